"""A problem joins a potential, an ansatz, an energy mode and the weights of the loss."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from qpinn.physics import operators
from qpinn.physics.domain import Points
from qpinn.physics.potentials.base import deltas_of, mass_at
from qpinn.training import residuals
from qpinn.types import Array, Params, Scalar
from qpinn.wavefunctions import ansatz as ansatz_module
from qpinn.wavefunctions.ansatz import Ansatz

ENERGY_MODES = ("fixed", "trainable", "rayleigh")


class Fields(NamedTuple):
    """psi with its derivatives, V and the effective mass on a set of points, each (segments, n); psi at deltas (D,)."""

    psi: operators.Jet
    v: Array
    mass: Any
    at_deltas: Any

    @property
    def h_psi(self) -> Array:
        return -self.psi.laplacian / self.mass + self.v * self.psi.value


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Problem:
    """H psi = E psi for a trial function, as a least-squares problem in `params`.

    params = {"psi": parameters of the ansatz}, and "energy" beside it when E is trained.

    potential      pytree, see qpinn.physics.potentials
    ansatz         pytree, see qpinn.wavefunctions.ansatz
    weight_pde     () weight of integral (H psi - E psi)^2 dx / unit^2
    weight_norm    () weight of (integral psi^2 dx - 1)^2
    unit           () energy in units of which the residual is taken
    energy_value   () E if it is fixed, its first value if it is trained from a random start; (states,) for several
    energy_mode    "fixed", "trainable" or "rayleigh" (E is the Rayleigh quotient of psi)
    """

    potential: Any
    ansatz: Ansatz
    weight_pde: Any
    weight_norm: Any
    unit: Any
    energy_value: Any
    energy_mode: str = dataclasses.field(metadata={"static": True})

    def lanes(self, states: int) -> tuple[Array, Any]:
        """`energy_value` of each of several states, which may be one for all, and this problem with one of them."""
        return jnp.broadcast_to(jnp.asarray(self.energy_value), (states,)), partial(_with_energy, self)

    def init(self, key: Array) -> Params:
        """Random parameters; a trained energy starts at `energy_value`."""
        params = {"psi": self.ansatz.init(key)}
        if self.energy_mode == "trainable":
            params["energy"] = jnp.asarray(self.energy_value, self.ansatz.network.dtype)
        return params

    def fields(self, params: Params, points: Points) -> Fields:
        """psi, its derivatives, V and m on points grouped by the segments of the ansatz."""
        psi = jax.vmap(self._jets)(self.ansatz.local(params["psi"]), points.x)
        places = jnp.asarray(deltas_of(self.potential)[0], psi.value.dtype)
        at_deltas = jax.vmap(lambda x: ansatz_module.psi(self.ansatz, params["psi"], x[None]))(places)
        return Fields(psi, self.potential(points.x), mass_at(self.potential, points.x), at_deltas)

    def strengths(self) -> Array:
        """Strengths (D,) of the deltas of the potential."""
        return jnp.asarray(deltas_of(self.potential)[1], self.ansatz.network.dtype)

    def rayleigh_quotient(self, fields: Fields, weight: Array) -> Scalar:
        """The Rayleigh quotient of psi from its fields on a quadrature."""
        contact = jnp.sum(self.strengths() * fields.at_deltas**2)
        return operators.rayleigh_quotient(fields.psi, fields.v, weight, fields.mass, contact)

    def energy(self, params: Params, points: Points) -> Scalar:
        """E of `params`, by the energy mode."""
        if self.energy_mode == "trainable":
            return params["energy"]
        if self.energy_mode == "fixed":
            return jnp.asarray(self.energy_value, self.ansatz.network.dtype)
        fields = self.fields(params, points)
        return self.rayleigh_quotient(fields, points.weight)

    def residuals(self, params: Params, points: Points) -> dict[str, Array]:
        """The named residual vectors, each times the square root of its weight in the loss."""
        energy = self.energy(params, points)
        rows, _ = jax.vmap(self._rows, (0, 0, 0, None))(
            self.ansatz.local(params["psi"]), points.x, points.weight, energy
        )
        return self._split(rows)

    def linearize(self, params: Params, points: Points) -> tuple[dict[str, Array], Array]:
        """The residual vectors, and the derivative (residuals, parameters) of all of them, in the order of `ravel`.

        A residual depends on the parameters of its own segment and, through E, on the rest. So the reverse pass runs
        inside segments, for all of them at once, and its rows are put in place afterwards: for S segments the work of
        one, not of S. The same matrix as `jax.jacobian` of `residuals`, to rounding.
        """
        energy, energy_gradient = jax.value_and_grad(lambda p: self.energy(p, points))(params)
        local, to_params = jax.vjp(self.ansatz.local, params["psi"])

        def rows(own: Params, x: Array, weight: Array) -> tuple[Array, tuple[Array, Array]]:
            values, psi = self._rows(own, x, weight, energy)
            return values, (values, psi)

        columns = sum(leaf[0].size for leaf in jax.tree.leaves(local))
        jacobian = jax.jacfwd if columns <= 4 * points.x.shape[1] else jax.jacrev
        own, (values, psi) = jax.vmap(jacobian(rows, has_aux=True))(local, points.x, points.weight)
        segments = values.shape[0]

        def place(segment: Array, row: Params) -> Array:
            here = jnp.arange(segments) == segment
            cotangent = jax.tree.map(lambda leaf: jnp.where(here.reshape(-1, *[1] * leaf.ndim), leaf, 0.0), row)
            zeros = jax.tree.map(jnp.zeros_like, params)
            return ravel_pytree({**zeros, "psi": to_params(cotangent)[0]})[0]

        matrix = jax.vmap(jax.vmap(place, (None, 0)))(jnp.arange(segments), own)
        by_energy = -jnp.sqrt(self.weight_pde * points.weight) / self.unit * psi
        pde = matrix[:, :-1].reshape(-1, matrix.shape[-1]) + by_energy.reshape(-1, 1) * ravel_pytree(energy_gradient)[0]
        norm = jnp.sum(matrix[:, -1:], axis=0)
        return self._split(values), jnp.concatenate([norm, pde])

    def confined(self, params: Params) -> Params:
        """The nearest parameters whose psi varies no faster than points resolve."""
        return {**params, "psi": self.ansatz.confined(params["psi"])}

    def columns(self, params: Params, segments: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns of `linearize` that are zero outside the rows of one segment, (segments, k), and all others."""
        own, start = [], 0
        for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
            if any(getattr(entry, "key", None) == "network" for entry in path):
                own.append(np.arange(start, start + leaf.size).reshape(segments, -1))
            start += leaf.size
        inside = np.concatenate(own, axis=1)
        return inside, np.setdiff1d(np.arange(start), inside)

    def _jets(self, own: Params, x: Array) -> operators.Jet:
        """psi of one segment on its points x (n, d)."""
        return jax.vmap(lambda y: operators.jet(lambda z: self.ansatz.psi_local(own, z), y))(x)

    def _rows(self, own: Params, x: Array, weight: Array, energy: Scalar) -> tuple[Array, Array]:
        """Weighted equation residuals of one segment with its share of the norm (n + 1,), and psi (n,)."""
        fields = Fields(self._jets(own, x), self.potential(x), mass_at(self.potential, x), None)
        pde = residuals.pde(fields.h_psi, fields.psi.value, energy, weight, self.unit)
        share = jnp.sum(weight * fields.psi.value**2)
        rows = jnp.concatenate([jnp.sqrt(self.weight_pde) * pde, jnp.sqrt(self.weight_norm) * share[None]])
        return rows, fields.psi.value

    def _split(self, rows: Array) -> dict[str, Array]:
        norm = jnp.sum(rows[:, -1:], axis=0) - jnp.sqrt(self.weight_norm)
        return {"norm": norm, "pde": rows[:, :-1].ravel()}


def _with_energy(problem: Problem, value: Array) -> Problem:
    return dataclasses.replace(problem, energy_value=value)


def losses(vectors: dict[str, Array]) -> dict[str, Scalar]:
    """The term of the loss that belongs to each residual vector: its sum of squares."""
    return {name: jnp.sum(vector**2) for name, vector in vectors.items()}
