"""H psi = E psi for a trial function, as a least-squares problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from qpinn.geometry.quadrature import Points
from qpinn.linalg.jacobian import Blocks, Residuals
from qpinn.physics import operators
from qpinn.physics.potentials.base import axis_masses, deltas_of, mass_at, mass_slope_at
from qpinn.typing import Array, Key, Params, Scalar
from qpinn.wavefunctions.ansatz import Ansatz

ENERGY_MODES = ("fixed", "trainable", "rayleigh")


def pde(
    h_psi: Float[Array, "n"], psi: Float[Array, "n"], energy: Scalar, weight: Float[Array, "n"], unit: Scalar
) -> Float[Array, "n"]:
    """sqrt(w_i) (H psi - E psi)(x_i) / unit (n,), whose squares add up to integral (H psi - E psi)^2 dx / unit^2."""
    return jnp.sqrt(weight) * (h_psi - energy * psi) / unit


class Fields(NamedTuple):
    """psi with its derivatives, V, the effective mass m and m' on points, each (segments, n); psi at deltas (D,).

    In several dimensions derivatives are along sqrt(m_i) x_i, with m_i the masses of the axes, and m is 1.
    """

    psi: operators.Jet
    v: Array
    mass: Any
    mass_slope: Any
    at_deltas: Any

    @property
    def h_psi(self) -> Float[Array, "segments n"]:
        """-(psi' / m)' + V psi = -(psi'' - psi' m' / m) / m + V psi; in several dimensions -laplacian psi + V psi."""
        bent = self.psi.laplacian - self.psi.gradient[..., 0] * self.mass_slope / self.mass
        return -bent / self.mass + self.v * self.psi.value


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Eigenvalue:
    """H psi = E psi with integral psi^2 dx = 1, on a line or, with a potential of several coordinates, in a box.

    params = {"psi": parameters of the ansatz}, and "energy" beside it when E is trained. The residual vectors are

        pde            sqrt(weight_pde w_i) (H psi - E psi)(x_i) / unit
        norm           sqrt(weight_norm) (integral psi^2 dx - 1)
        orthogonality  sqrt(weight_below_j) <psi_j|psi>, where there are functions below

    potential      pytree, see qpinn.physics.potentials
    ansatz         pytree, see qpinn.wavefunctions.ansatz
    weight_pde, weight_norm   ()
    unit           () energy in units of which the residual is taken
    energy_value   () E if it is fixed, its first value if it is trained from a random start
    energy_mode    "fixed", "trainable" or "rayleigh" (E is the Rayleigh quotient of psi)
    below          parameters of psi of (K,) functions that this one is to be orthogonal to, or None
    weight_below   (K,)
    """

    potential: Any
    ansatz: Ansatz
    weight_pde: Any
    weight_norm: Any
    unit: Any
    energy_value: Any
    energy_mode: str = dataclasses.field(metadata={"static": True})
    below: Params | None = None
    weight_below: Any = None

    def init(self, key: Key) -> Params:
        """Random parameters; a trained energy starts at `energy_value`."""
        params = {"psi": self.ansatz.init(key)}
        if self.energy_mode == "trainable":
            params["energy"] = jnp.asarray(self.energy_value, self.ansatz.dtype)
        return params

    def with_psi(self, params: Params, psi: Params, energy: Scalar) -> Params:
        """`params` with these of psi, and with E where it is trained."""
        return {**params, "psi": psi, **({"energy": energy} if self.energy_mode == "trainable" else {})}

    def fields(self, params: Params, points: Points) -> Fields:
        """psi, its derivatives, V and m on points grouped by the segments of the ansatz."""
        psi = jax.vmap(self._jets)(self.ansatz.segments(params["psi"]), points.x)
        return self._fields(psi, points.x, self.at_deltas(params["psi"]))

    def _fields(self, psi: operators.Jet, x: Array, at_deltas: Any) -> Fields:
        mass, slope = mass_at(self.potential, x), mass_slope_at(self.potential, x)
        return Fields(psi=psi, v=self.potential.at(x), mass=mass, mass_slope=slope, at_deltas=at_deltas)

    def at_deltas(self, psi: Params) -> Float[Array, "D"]:
        """psi at the deltas (D,) of the potential, one real function after the other, from its parameters."""
        places = deltas_of(self.potential)[0]
        if not len(places):
            return jnp.zeros(0, self.ansatz.dtype)
        x = jnp.asarray(places, self.ansatz.dtype)[:, None]
        values = jax.vmap(lambda place: self.ansatz.psi(psi, place))(x)
        return jnp.concatenate([values.real, values.imag]) if self.ansatz.sheets == 2 else values

    def strengths(self) -> Float[Array, "D"]:
        """Strengths (D,) of the deltas of the potential, for each real function that psi is made of."""
        return jnp.tile(jnp.asarray(deltas_of(self.potential)[1], self.ansatz.dtype), self.ansatz.sheets)

    def rayleigh_quotient(self, fields: Fields, weight: Float[Array, "segments n"]) -> Scalar:
        """The Rayleigh quotient of psi from its fields on a quadrature."""
        contact = jnp.sum(self.strengths() * fields.at_deltas**2)
        return operators.rayleigh_quotient(fields.psi, fields.v, weight, fields.mass, contact)

    def energy(self, params: Params, points: Points) -> Scalar:
        """E of `params`, by the energy mode."""
        if self.energy_mode == "trainable":
            return params["energy"]
        if self.energy_mode == "fixed":
            return jnp.asarray(self.energy_value, self.ansatz.dtype)
        fields = self.fields(params, points)
        return self.rayleigh_quotient(fields, points.weight)

    def report(self, params: Params, points: Points) -> dict[str, Scalar]:
        return {"energy": self.energy(params, points)}

    def residuals(self, params: Params, points: Points) -> Residuals:
        energy, segments = self.energy(params, points), self.ansatz.segments(params["psi"])
        below = self._functions_below(points)
        return self._vectors(jax.vmap(self._rows, (0, None, 0, 0, 0))(segments, energy, points.x, points.weight, below))

    def linearize(self, params: Params, points: Points) -> tuple[Residuals, Blocks]:
        """The residuals and their Jacobian in blocks, segment by segment.

        A residual depends on the network of its segment, on the values and slopes at the ends of the segment, and on E.
        A Rayleigh quotient is taken as constant: residuals are orthogonal to psi, so that the gradient of the loss is
        the same.
        """
        energy, segments = self.energy(params, points), self.ansatz.segments(params["psi"])
        ends = {key: segments[key] for key in ("left", "right")}
        variables = {key: segments[key] for key in ("network", "nodal")}

        def rows(
            variables: Params, energy: Scalar, ends: Params, x: Array, weight: Array, below: Array
        ) -> tuple[Array, Array]:
            values = self._rows({**variables, **ends}, energy, x, weight, below)
            return values, values

        columns = sum(leaf[0].size for leaf in jax.tree.leaves(variables))
        jacobian = jax.jacfwd if columns <= 4 * points.x.shape[1] else jax.jacrev
        trained = (0, 1) if self.energy_mode == "trainable" else (0,)
        derivative = jax.vmap(jacobian(rows, trained, has_aux=True), (0, None, 0, 0, 0, 0))
        below = self._functions_below(points)
        (by_variables, *by_energy), values = derivative(variables, energy, ends, points.x, points.weight, below)
        leaves = jax.tree.leaves(by_variables["network"])
        inner = jnp.concatenate([leaf.reshape(*values.shape, -1) for leaf in leaves], axis=-1)
        shared = jnp.concatenate([by_variables["nodal"], *(column[..., None] for column in by_energy)], axis=-1)
        border = ("norm",) if self.below is None else ("norm", "orthogonality")
        blocks = Blocks(inner=inner, shared=shared, continuity=self._continuity(), border=border)
        return self._vectors(values), blocks

    def _continuity(self) -> Array:
        """What each segment sees (S, k, q) of the nodal parameters, and of E if it is trained."""
        ties = self.ansatz.continuity
        if self.energy_mode != "trainable":
            return ties
        ties = jnp.pad(ties, ((0, 0), (0, 1), (0, 1)))
        return ties.at[:, -1, -1].set(1)

    def moved(self, params: Params, step: tuple[Float[Array, "S P"], Float[Array, "q"]]) -> Params:
        """params + step, with hidden weights clipped so that psi varies no faster than the points resolve."""
        by_segment, shared = step
        _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], params["psi"]["network"]))
        change: Params = {"psi": {"network": jax.vmap(unravel)(by_segment)}}
        if "nodal" in params["psi"]:
            change["psi"]["nodal"] = shared[: params["psi"]["nodal"].size]
        if "energy" in params:
            change["energy"] = shared[-1]
        new = jax.tree.map(jnp.add, params, change)
        return {**new, "psi": self.ansatz.wavefunction.confined(new["psi"])}

    def orthogonal_to(
        self, below: Sequence[Params], count: int, weight: float, lanes: tuple[int, ...] = ()
    ) -> Eigenvalue:
        """The same for a function that is to be orthogonal to those `below` (parameters of psi), `count` at most.

        weight  of each <psi_j|psi>^2 in the loss; 0 for those that are not there, so that their number compiles nothing
        lanes   leading axes of `below`
        """
        shapes = jax.eval_shape(self.ansatz.init, jax.random.key(0))
        absent = jax.tree.map(lambda leaf: np.zeros((*lanes, *leaf.shape), leaf.dtype), shapes)
        every = [*below, *[absent] * (count - len(below))]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves, axis=len(lanes)), *every)
        weights = np.where(np.arange(count) < len(below), weight, 0.0).astype(self.ansatz.dtype)
        return dataclasses.replace(self, below=stacked, weight_below=weights)

    def overlaps_below(self, psi: Float[Array, "S n"], points: Points) -> Float[Array, "K"]:
        """<psi_j|psi> (K,) with the functions below, for psi (S, n) on the points."""
        return jnp.einsum("skn,sn->k", self._functions_below(points), points.weight * psi)

    def _functions_below(self, points: Points) -> Array:
        """The functions below on the points: (S, K, n)."""
        if self.below is None:
            return jnp.zeros((len(points.x), 0, points.x.shape[1]), points.weight.dtype)

        def values(segment: Params, x: Array) -> Array:
            return jax.vmap(lambda y: self.ansatz.in_segment(segment, y))(x)

        return jax.vmap(lambda psi: jax.vmap(values)(self.ansatz.segments(psi), points.x), out_axes=1)(self.below)

    def _jets(self, segment: Params, x: Array) -> operators.Jet:
        """psi of one segment on its points x (n, d)."""
        masses = axis_masses(self.potential)
        scale = None if masses is None else jnp.stack([jnp.asarray(mass, x.dtype) for mass in masses])
        return jax.vmap(lambda y: operators.jet(lambda z: self.ansatz.in_segment(segment, z), y, scale))(x)

    def _rows(self, segment: Params, energy: Scalar, x: Array, weight: Array, below: Array) -> Array:
        """Weighted residuals (n,) in one segment; then its parts of the norm and of <psi_j|psi>: (n + 1 + K,)."""
        fields = self._fields(self._jets(segment, x), x, None)
        equation = pde(fields.h_psi, fields.psi.value, energy, weight, self.unit)
        norm = jnp.sum(weight * fields.psi.value**2)
        parts = [jnp.sqrt(self.weight_pde) * equation, jnp.sqrt(self.weight_norm) * norm[None]]
        if self.below is not None:
            parts.append(jnp.sqrt(self.weight_below) * (below @ (weight * fields.psi.value)))
        return jnp.concatenate(parts)

    def _vectors(self, rows: Array) -> Residuals:
        """The named residual vectors from the rows (S, n + 1 + K) of all segments."""
        count = 0 if self.below is None else len(self.weight_below)
        inside, border = jnp.split(rows, [rows.shape[1] - 1 - count], axis=1)
        border = jnp.sum(border, axis=0)
        vectors = {"norm": border[:1] - jnp.sqrt(self.weight_norm), "pde": inside.ravel()}
        return vectors if self.below is None else {**vectors, "orthogonality": border[1:]}
