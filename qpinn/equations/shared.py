"""Several levels of one line by functions that share the hidden units of a network, as one least-squares problem."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from qpinn.equations.eigenvalue import pde
from qpinn.geometry.quadrature import Points
from qpinn.linalg.jacobian import Blocks, Residuals
from qpinn.physics import operators
from qpinn.typing import Array, Key, Params, Scalar
from qpinn.wavefunctions.ansatz import Ansatz


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedEigenvalue:
    """-u_k'' / m + v u_k = e_k u_k with integral u_k^2 dx = 1 for K functions of a line, e_k their Rayleigh quotients.

    params = {"psi": {"network": its hidden layers (S, ...), which all functions share, and its readouts (S, K, ...);
    "nodal": (K, q)}}. The residual vectors are, with all functions one after the other in every segment,

        pde    sqrt(weight_pde w_i) (-u_k'' / m + v u_k - e_k u_k)(x_i) / unit
        norm   sqrt(weight_norm) (integral u_k^2 dx - 1)

    ansatz     piecewise, of one function; see qpinn.wavefunctions.ansatz
    v          (S, n) on the points of the training
    mass, unit, weight_pde, weight_norm   ()
    steepest   () largest hidden weight, in units of a segment's half-length, that the measuring quadratures resolve
    count      K
    """

    ansatz: Ansatz
    v: Any
    mass: Any
    unit: Any
    weight_pde: Any
    weight_norm: Any
    steepest: Any
    count: int = dataclasses.field(metadata={"static": True})

    def init(self, key: Key) -> Params:
        """Random parameters."""
        return {"psi": of_functions(jax.vmap(self.ansatz.init)(jax.random.split(key, self.count)))}

    def energies(self, params: Params, points: Points) -> Float[Array, "K"]:
        """Rayleigh quotients of the functions."""

        def quadratic(*of_one: Any) -> tuple[Array, Array]:
            hidden, readout, nodal, ends, x, weight, v = of_one
            psi = self._jets(hidden, readout, nodal, ends, x)
            return jnp.sum(weight * (psi.gradient[:, 0] ** 2 / self.mass + v * psi.value**2)), _norm(psi, weight)

        form, norm = self._over(quadratic)(*self._segments(params), points.x, points.weight, self.v)
        return jnp.sum(form, axis=0) / jnp.sum(norm, axis=0)

    def report(self, params: Params, points: Points) -> dict[str, Scalar]:
        """The sum of the Rayleigh quotients."""
        return {"energy": jnp.sum(self.energies(params, points))}

    def residuals(self, params: Params, points: Points) -> Residuals:
        energies, segments = self.energies(params, points), self._segments(params)
        return self._vectors(self._over(self._rows, 1)(*segments, points.x, points.weight, self.v, energies))

    def linearize(self, params: Params, points: Points) -> tuple[Residuals, Blocks]:
        """The residuals and their Jacobian in blocks, with the Rayleigh quotients taken as constant: residuals are
        orthogonal to their functions, so that the gradient of the loss is the same."""
        energies, segments = self.energies(params, points), self._segments(params)

        def rows(*of_one: Any) -> tuple[Array, Array]:
            values = self._rows(*of_one)
            return values, values

        derivative = self._over(jax.jacfwd(rows, (0, 1, 2), has_aux=True), 1)
        (by_hidden, by_readout, by_nodal), values = derivative(*segments, points.x, points.weight, self.v, energies)
        columns = {**by_hidden, "readout": jax.tree.map(self._apart, by_readout)}
        inner = jnp.concatenate([self._ordered(leaf) for leaf in jax.tree.leaves(columns)], axis=-1)
        eye = jnp.eye(self.count, dtype=inner.dtype)
        ties = jnp.einsum("ab,skq->sakbq", eye, self.ansatz.continuity)
        ties = ties.reshape(len(inner), -1, self.count * self.ansatz.continuity.shape[2])
        shared = self._ordered(self._apart(by_nodal))
        return self._vectors(values), Blocks(inner=inner, shared=shared, continuity=ties, border=("norm",))

    def moved(self, params: Params, step: tuple[Float[Array, "S P"], Float[Array, "Kq"]]) -> Params:
        """params + step, with hidden weights clipped so that the functions vary no faster than quadratures resolve."""
        psi, (by_segment, shared) = params["psi"], step
        _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], psi["network"]))
        change = {"network": jax.vmap(unravel)(by_segment), "nodal": shared.reshape(psi["nodal"].shape)}
        new = jax.tree.map(jnp.add, psi, change)
        return {"psi": self.ansatz.wavefunction.confined(new, self.steepest)}

    def _segments(self, params: Params) -> tuple[Params, Params, Array, Params]:
        """What every segment knows: hidden layers (S, ...), readouts (S, K, ...), (S, K, 4) at its ends, and these."""
        psi = params["psi"]
        ends = {"left": self.ansatz.edges[:-1], "right": self.ansatz.edges[1:]}
        nodal = jnp.einsum("skq,aq->sak", self.ansatz.continuity, psi["nodal"])
        hidden = {name: layer for name, layer in psi["network"].items() if name != "readout"}
        return hidden, psi["network"]["readout"], nodal, ends

    @staticmethod
    def _over(function: Any, more: int = 0) -> Any:
        """`function` of one segment and one function over all of them, with `more` arguments that each function has."""
        each = jax.vmap(function, (None, 0, 0, None, None, None, None, *[0] * more))
        return jax.vmap(each, (0, 0, 0, 0, 0, 0, 0, *[None] * more))

    def _jets(self, hidden: Params, readout: Params, nodal: Array, ends: Params, x: Array) -> operators.Jet:
        segment = {"network": {**hidden, "readout": readout}, "nodal": nodal, **ends}
        return jax.vmap(lambda y: operators.jet(lambda z: self.ansatz.in_segment(segment, z), y))(x)

    def _rows(
        self, hidden: Params, readout: Params, nodal: Array, ends: Params, *on_points: Any
    ) -> Float[Array, "n+1"]:
        """Weighted residuals of a function in a segment, then its part of the norm."""
        x, weight, v, energy = on_points
        psi = self._jets(hidden, readout, nodal, ends, x)
        equation = pde(v * psi.value - psi.laplacian / self.mass, psi.value, energy, weight, self.unit)
        norm = jnp.sqrt(self.weight_norm) * _norm(psi, weight)
        return jnp.concatenate([jnp.sqrt(self.weight_pde) * equation, norm[None]])

    def _apart(self, leaf: Array) -> Array:
        """Derivatives (S, K, n + 1, ...) by what each function has for itself, by that of all: (S, K, n + 1, K c)."""
        eye = jnp.eye(self.count, dtype=leaf.dtype)
        apart = jnp.einsum("skrc,kl->skrlc", leaf.reshape(*leaf.shape[:3], -1), eye)
        return apart.reshape(*leaf.shape[:3], -1)

    @staticmethod
    def _ordered(leaf: Array) -> Array:
        """(S, K, n + 1, ...) to (S, K n + K, c): the norms last."""
        leaf = leaf.reshape(*leaf.shape[:3], -1)
        return jnp.concatenate([leaf[:, :, :-1].reshape(len(leaf), -1, leaf.shape[-1]), leaf[:, :, -1]], axis=1)

    def _vectors(self, rows: Float[Array, "S K n+1"]) -> Residuals:
        norms = jnp.sum(rows[..., -1], axis=0) - jnp.sqrt(self.weight_norm)
        return {"norm": norms, "pde": rows[..., :-1].ravel()}


def _norm(psi: operators.Jet, weight: Array) -> Scalar:
    return jnp.sum(weight * psi.value**2)


def of_functions(params: Params) -> Params:
    """Parameters of K functions with the same hidden units, (K, ...) each as those of one, as `SharedEigenvalue` has
    them."""
    network = {
        name: jax.tree.map(
            (lambda leaf: jnp.swapaxes(leaf, 0, 1)) if name == "readout" else (lambda leaf: leaf[0]), layer
        )
        for name, layer in params["network"].items()
    }
    return {**params, "network": network}
