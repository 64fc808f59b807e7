"""-(psi' / m)' + V psi = E psi between two leads, for a psi that is linear in what is solved for.

In the leads V and m are constant and psi is a sum of plane waves with k^2 = m (E - V), of the velocity v = k / m. With
u = psi and f = psi' / m at the left and at the right end, a wave of amplitude 1 that comes

    from the left   f_0 = i v_L (2 - u_0),   f_S = i v_R u_S,          r = u_0 - 1,   t = u_S
    from the right  f_0 = -i v_L u_0,        f_S = -i v_R (2 - u_S),   r' = u_S - 1,  t' = u_0

where the amplitudes of waves are those at the end that they cross. Below a lead's V its k is i kappa and the wave there
decays. The real functions that psi is made of are those of a piecewise network, so that the residual of every one of
them is computed once, and that of psi at any E is a linear combination of these: (H - E) psi.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from qpinn.physics import operators
from qpinn.physics.potentials.base import mass_at, mass_slope_at
from qpinn.typing import Array, Key, Params, Point, Scalar
from qpinn.wavefunctions.ansatz import Ansatz
from qpinn.wavefunctions.networks import MLP, from_uniform, parameter_count, uniform_draws

TOGETHER = 16
"""Segments that are computed at once."""

NODAL = 4
"""Numbers of the nodes that a segment sees: value and slope at both of its ends."""


class Columns(NamedTuple):
    """Functions on n points of each of S segments, the P weights of a readout and then 4 nodal numbers, one at 1 each.

    value, kinetic  (S, n, P + 4) psi and -(psi' / m)' of each
    """

    value: Float[np.ndarray, "S n P+4"]
    kinetic: Float[np.ndarray, "S n P+4"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scattering:
    """(H - E) psi = 0 for a piecewise psi whose ends are open; psi is complex, and E is an argument.

    potential  pytree, see qpinn.physics.potentials; dimensionless
    ansatz     pytree, see qpinn.wavefunctions.ansatz
    """

    potential: Any
    ansatz: Ansatz

    def init(self, key: Key) -> Params:
        """Random hidden units, and psi = 0. A few segments at a time, as `columns`."""
        mlp, segments = self.ansatz.wavefunction.mlp, len(self.ansatz.edges) - 1
        blocks = [_drawn(mlp, key, first) for first in range(0, segments, TOGETHER)]
        network = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:segments], *blocks)
        return {"network": network, "nodal": np.zeros(self.ansatz.continuity.shape[2], mlp.dtype)}

    def columns(self, params: Params, x: Float[np.ndarray, "S n 1"]) -> Columns:
        """What psi is linear in while the hidden units of `params` stay as they are, on points of every segment.

        Segments go through one compiled programme, a few at a time, whatever their number is.
        """
        segments = jax.tree.map(np.asarray, self.ansatz.segments(params))
        parts = []
        for first in range(0, len(x), TOGETHER):
            some = np.minimum(np.arange(first, first + TOGETHER), len(x) - 1)
            jets = _jets(self.ansatz.wavefunction, jax.tree.map(lambda leaf: leaf[some], segments), x[some])
            parts.append([np.asarray(part)[: len(x) - first] for part in jets])
        value, slope, second = (np.concatenate(part) for part in zip(*parts, strict=True))
        mass = np.broadcast_to(np.asarray(mass_at(self.potential, x), value.dtype), x.shape[:2])[..., None]
        bent = np.asarray(mass_slope_at(self.potential, jnp.asarray(x))) + np.zeros(x.shape[:2])
        return Columns(value, -(second - slope * bent[..., None] / mass) / mass)

    def residual(self, params: tuple[Params, Params], energy: Any, x: Point) -> Scalar:
        """(H psi - E psi)(x) at one position x (1,) by `jax.grad`; params of the real and of the imaginary part."""
        mass, mass_slope = mass_at(self.potential, x[None]), mass_slope_at(self.potential, x[None])
        h_psi, psi = [], []
        for part in params:
            at = operators.jet(lambda y: self.ansatz.psi(part, y), x)
            bent = at.laplacian - at.gradient[0] * jnp.squeeze(mass_slope) / jnp.squeeze(mass)
            h_psi.append(-bent / jnp.squeeze(mass) + self.potential.at(x) * at.value)
            psi.append(at.value)
        return jax.lax.complex(*h_psi) - energy * jax.lax.complex(*psi)


@functools.partial(jax.jit, static_argnums=0)
def _drawn(mlp: MLP, key: Key, first: int) -> Params:
    """Parameters of the networks of TOGETHER segments."""
    size = parameter_count(mlp)
    draws = uniform_draws(jax.random.fold_in(key, first), TOGETHER * size, mlp.dtype)
    return jax.vmap(lambda row: from_uniform(mlp, row))(draws.reshape(TOGETHER, size))


@functools.partial(jax.jit, static_argnums=0)
def _jets(wavefunction: Any, segments: Params, x: Float[Array, "S n 1"]) -> tuple[Array, Array, Array]:
    """`segment_jets` of every segment."""
    return jax.vmap(lambda segment, places: segment_jets(wavefunction, segment, places))(segments, x)


def segment_jets(wavefunction: Any, segment: Params, x: Float[Array, "n 1"]) -> tuple[Array, Array, Array]:
    """psi, psi' and psi'' (n, P + 4) in a segment by `jax.grad`, with one weight or one nodal number at 1."""
    readout, unravel = ravel_pytree(segment["network"]["readout"])

    def psi(unit: Array, x: Point) -> Scalar:
        network = {**segment["network"], "readout": unravel(unit[: readout.size])}
        return wavefunction.in_segment({**segment, "network": network, "nodal": unit[readout.size :]}, x)

    def at(x: Point) -> tuple[Array, Array, Array]:
        units = jnp.eye(readout.size + NODAL, dtype=readout.dtype)
        jets = jax.vmap(lambda unit: operators.jet(lambda y: psi(unit, y), x))(units)
        return jets.value, jets.gradient[:, 0], jets.laplacian

    return jax.vmap(at)(x)
