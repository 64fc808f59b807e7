"""A problem joins a potential, an ansatz, an energy mode and the weights of the loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from qpinn.geometry.quadrature import Points
from qpinn.physics import operators
from qpinn.physics.potentials.base import deltas_of, mass_at
from qpinn.typing import Array, Params, Scalar
from qpinn.wavefunctions import ansatz as ansatz_module
from qpinn.wavefunctions.ansatz import Ansatz

ENERGY_MODES = ("fixed", "trainable", "rayleigh")


def pde(h_psi: Array, psi: Array, energy: Scalar, weight: Array, unit: Scalar) -> Array:
    """sqrt(w_i) (H psi - E psi)(x_i) / unit (n,), whose squares add up to integral (H psi - E psi)^2 dx / unit^2."""
    return jnp.sqrt(weight) * (h_psi - energy * psi) / unit


class Fields(NamedTuple):
    """psi with its derivatives, V and the effective mass on a set of points, each (segments, n); psi at deltas (D,)."""

    psi: operators.Jet
    v: Array
    mass: Any
    at_deltas: Any

    @property
    def h_psi(self) -> Array:
        return -self.psi.laplacian / self.mass + self.v * self.psi.value


class Linear(NamedTuple):
    """Residuals of S segments at some parameters, and their derivatives.

    Rows are n residuals of the equation in a segment and its share of the norm: sqrt(weight) integral psi^2 dx.

    rows    (S, n + 1)
    own     (S, n + 1, P)  with respect to the network of the segment
    shared  (S, n + 1, k)  with respect to what else the segment sees (`Problem.ties`)
    """

    rows: Array
    own: Array
    shared: Array


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
    below          parameters of psi of (K,) states that this one is to be orthogonal to, or None
    weight_below   (K,) weights of <psi_j|psi>^2
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

    def lanes(self, states: int) -> tuple[Any, Callable[[Any], Problem]]:
        """What the problems of the levels 0, 1, ... have of their own, (states,) each, and the problem with one of it.

        It is `energy_value`, which may be one for all, and the parity of an ansatz that has any.
        """
        energies = jnp.broadcast_to(jnp.asarray(self.energy_value), (states,))
        parity = None
        if self.ansatz.parity is not None:
            parity = jnp.asarray(1 - 2 * (np.arange(states) % 2), energies.dtype)
        return (energies, parity), partial(_lane, self)

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
        local = self.ansatz.local(params["psi"])
        vectors = self.vectors(jax.vmap(self._rows, (0, 0, 0, None))(local, points.x, points.weight, energy))
        if self.below is not None:
            psi = self._values(params["psi"], points.x)
            below = jax.vmap(lambda own: self._values(own, points.x))(self.below)
            overlaps = jnp.sum(points.weight * psi * below, axis=(1, 2))
            vectors["orthogonality"] = jnp.sqrt(self.weight_below) * overlaps
        return vectors

    def linearize(self, params: Params, points: Points) -> Linear:
        """The residuals and their derivatives, segment by segment, see `Linear`.

        A residual depends on the network of its segment, on the few nodal values and slopes that this segment shares
        with its neighbours, and on E. A Rayleigh quotient is taken as constant: residuals are orthogonal to psi, so
        that the gradient of the loss is the same.
        """
        local, energy = self.ansatz.local(params["psi"]), self.energy(params, points)
        ends = {key: local[key] for key in ("left", "right")}

        def rows(seen: Params, energy: Scalar, ends: Params, x: Array, weight: Array) -> tuple[Array, Array]:
            values = self._rows({**seen, **ends}, x, weight, energy)
            return values, values

        seen = {key: local[key] for key in ("network", "nodal")}
        columns = sum(leaf[0].size for leaf in jax.tree.leaves(seen))
        jacobian = jax.jacfwd if columns <= 4 * points.x.shape[1] else jax.jacrev
        trained = (0, 1) if self.energy_mode == "trainable" else (0,)
        derivative = jax.vmap(jacobian(rows, trained, has_aux=True), (0, None, 0, 0, 0))
        (by_seen, *by_energy), values = derivative(seen, energy, ends, points.x, points.weight)
        shared = [_flat(by_seen["nodal"], 2), *(column[..., None] for column in by_energy)]
        return Linear(values, _flat(by_seen["network"], 2), jnp.concatenate(shared, axis=-1))

    def seen(self, params: Params) -> tuple[Array, Array]:
        """What each segment sees of parameters: its network (S, P), and what it shares (S, k); E last if trained."""
        local = self.ansatz.local(params["psi"])
        own, shared = _flat(local["network"], 1), _flat(local["nodal"], 1)
        if self.energy_mode == "trainable":
            shared = jnp.concatenate([shared, jnp.broadcast_to(params["energy"], (len(shared), 1))], axis=1)
        return own, shared

    def split(self, params: Params) -> tuple[Array, Array, Callable[[Array, Array], Params]]:
        """Parameters as networks (S, P) and what segments share (q,), and the function that puts them together."""
        networks = params["psi"]["network"]
        rest = {**params, "psi": {key: leaf for key, leaf in params["psi"].items() if key != "network"}}
        flat, unravel_rest = ravel_pytree(rest)
        _, unravel_own = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], networks))

        def join(own: Array, shared: Array) -> Params:
            rest = unravel_rest(shared)
            return {**rest, "psi": {**rest["psi"], "network": jax.vmap(unravel_own)(own)}}

        return _flat(networks, 1), flat, join

    def ties(self, params: Params) -> Array:
        """The derivative (S, k, q) of what each segment shares by the shared parameters; it is the same everywhere."""
        own, shared, join = self.split(params)
        return jax.jacfwd(lambda flat: self.seen(join(own, flat))[1])(shared)

    def confined(self, params: Params) -> Params:
        """The nearest parameters whose psi varies no faster than points resolve."""
        return {**params, "psi": self.ansatz.confined(params["psi"])}

    def _values(self, psi: Params, x: Array) -> Array:
        """psi (S, n) on points grouped by segments."""
        return jax.vmap(lambda own, at: jax.vmap(lambda y: self.ansatz.psi_local(own, y))(at))(
            self.ansatz.local(psi), x
        )

    def _jets(self, own: Params, x: Array) -> operators.Jet:
        """psi of one segment on its points x (n, d)."""
        return jax.vmap(lambda y: operators.jet(lambda z: self.ansatz.psi_local(own, z), y))(x)

    def _rows(self, own: Params, x: Array, weight: Array, energy: Scalar) -> Array:
        """Weighted residuals of the equation in one segment, and then its share of the norm: (n + 1,)."""
        fields = Fields(self._jets(own, x), self.potential(x), mass_at(self.potential, x), None)
        equation = pde(fields.h_psi, fields.psi.value, energy, weight, self.unit)
        share = jnp.sum(weight * fields.psi.value**2)
        return jnp.concatenate([jnp.sqrt(self.weight_pde) * equation, jnp.sqrt(self.weight_norm) * share[None]])

    def vectors(self, rows: Array) -> dict[str, Array]:
        """The named residual vectors from the rows (S, n + 1) of all segments."""
        norm = jnp.sum(rows[:, -1:], axis=0) - jnp.sqrt(self.weight_norm)
        return {"norm": norm, "pde": rows[:, :-1].ravel()}


def _flat(tree: Params, axes: int) -> Array:
    """All leaves of a tree side by side, their first `axes` axes kept, in the order of `ravel_pytree`."""
    leaves = jax.tree.leaves(tree)
    return jnp.concatenate([leaf.reshape(*leaf.shape[:axes], -1) for leaf in leaves], axis=-1)


def _lane(problem: Problem, own: tuple[Any, Any]) -> Problem:
    energy, parity = own
    ansatz = problem.ansatz if parity is None else dataclasses.replace(problem.ansatz, parity=parity)  # type: ignore
    return dataclasses.replace(problem, energy_value=energy, ansatz=ansatz)


def losses(vectors: dict[str, Array]) -> dict[str, Scalar]:
    """The term of the loss that belongs to each residual vector: its sum of squares."""
    return {name: jnp.sum(vector**2) for name, vector in vectors.items()}
