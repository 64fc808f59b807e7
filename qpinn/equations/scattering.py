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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.physics import operators
from qpinn.physics.potentials.base import mass_at, mass_slope_at
from qpinn.typing import Key, Params, Point, Scalar
from qpinn.wavefunctions import features
from qpinn.wavefunctions.ansatz import Ansatz


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
        """Random hidden units, and psi = 0."""
        return features.drawn(self.ansatz, key)

    def columns(self, params: Params, x: Float[np.ndarray, "S n 1"]) -> Columns:
        """What psi is linear in while the hidden units of `params` stay as they are, on points of every segment."""
        shape = x.shape[:2]
        place = np.repeat(np.arange(shape[0]), shape[1])
        value, slope, second = features.jets(self.ansatz, params, place, np.ravel(x)).reshape(3, *shape, -1)
        mass = np.broadcast_to(np.asarray(mass_at(self.potential, x), value.dtype), shape)[..., None]
        bent = np.asarray(mass_slope_at(self.potential, jnp.asarray(x))) + np.zeros(shape)
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
