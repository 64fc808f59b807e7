"""i psi_t = (H + f(t) W) psi for a function of t and x, as a least-squares problem."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from qpinn.geometry.quadrature import Points
from qpinn.linalg.jacobian import Dense, Residuals, dense
from qpinn.typing import Array, Key, Params, Scalar
from qpinn.wavefunctions.wave import Wave, initial

SLABS = 20
"""Stretches of the time that causal weights tell apart."""


class Fields(NamedTuple):
    """psi, psi_t, H psi without a drive, and W psi, each as Re and Im (..., 2)."""

    psi: Array
    rate: Array
    h_psi: Array
    w_psi: Array

    def residual(self, force: Any) -> Float[Array, "... 2"]:
        """Re and Im of i psi_t - (H + f W) psi, for f (...)."""
        moved = self.h_psi + jnp.asarray(force)[..., None] * self.w_psi
        return jnp.stack([-self.rate[..., 1] - moved[..., 0], self.rate[..., 0] - moved[..., 1]], axis=-1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Evolving:
    """i psi_t = -psi'' / m + V psi + f(t) W psi, dimensionless, for a `Wave`, whose psi(0, x) and walls are exact.

    params are those of the wave. With T the time, the residual vector is

        pde   sqrt(weight_pde c_j w_i / T) (i psi_t - H psi)(t_i, x_i) / unit, Re and Im

    wave, constants   the module and its constants
    potential  pytree, see qpinn.physics.potentials; mass: m ()
    force      f, a `Spline` of one value, and space: W, a pytree as `potential`; None without a drive
    unit       () energy in units of which the residual is taken
    causal     () a: c_j = exp(-a sum_(k < j) L_k / 20), with L_k the mean of |residual|^2 / unit^2 in slab k of 20 of
               the time, so that what comes later is trained later (Wang, Sankaran and Perdikaris 2022); 0: all at once
    """

    wave: Wave = dataclasses.field(metadata={"static": True})
    constants: Params
    potential: Any
    mass: Any
    force: Any
    space: Any
    weight_pde: Any
    unit: Any
    causal: Any

    def init(self, key: Key) -> Params:
        """Random parameters."""
        return initial(self.wave, self.constants, key)

    def psi(self, params: Params, tx: Float[Array, "2"]) -> Float[Array, "2"]:
        """Re and Im of psi at one time and position."""
        return jnp.asarray(self.wave.apply({"params": params, "constants": self.constants}, tx))

    def fields(self, params: Params, tx: Float[Array, "2"]) -> Fields:
        """psi and its derivatives at one time and position, by `jax.grad` of `jax.value_and_grad`."""

        def jet(part: Float[Array, "2"]) -> tuple[Scalar, Scalar, Scalar]:
            def slope(tx: Float[Array, "2"]) -> tuple[Scalar, tuple[Scalar, Array]]:
                value, gradient = jax.value_and_grad(lambda tx: part @ self.psi(params, tx))(tx)
                return gradient[1], (value, gradient)

            bend, (value, gradient) = jax.grad(slope, has_aux=True)(tx)
            return value, gradient[0], bend[1]

        psi, rate, bend = jax.vmap(jet)(jnp.eye(2, dtype=tx.dtype))
        v = self.potential.at(tx[1:])
        w = jnp.zeros_like(v) if self.space is None else self.space.at(tx[1:])
        return Fields(psi=psi, rate=rate, h_psi=v * psi - bend / self.mass, w_psi=w * psi)

    def _force(self, t: Float[Array, "n"]) -> Float[Array, "n"]:
        return jnp.zeros_like(t) if self.force is None else jax.vmap(self.force)(t)[:, 0]

    def _weights(self, rows: Float[Array, "n 2"], share: Float[Array, "n"], t: Float[Array, "n"]) -> Float[Array, "n"]:
        """c_j of the slab of each point (n,), from residuals with the roots of their `share` of the time in them."""
        begin, end = self.constants["span"]
        slab = jnp.clip(jnp.floor(SLABS * (t - begin) / (end - begin)), 0, SLABS - 1).astype(int)
        loss = jax.ops.segment_sum(jnp.sum(rows**2, axis=1), slab, SLABS)
        mean = loss / jnp.maximum(jax.ops.segment_sum(share, slab, SLABS), jnp.finfo(share.dtype).tiny) / SLABS
        before = jnp.cumsum(mean) - mean
        return jax.lax.stop_gradient(jnp.exp(-self.causal * before))[slab]

    def residuals(self, params: Params, points: Points) -> Residuals:
        tx, weight = points.x.reshape(-1, 2), points.weight.ravel()
        begin, end = self.constants["span"]
        (left, right) = self.constants["edges"]
        fields = jax.vmap(self.fields, (None, 0))(params, tx)
        rows = jnp.sqrt(weight / (end - begin))[:, None] * fields.residual(self._force(tx[:, 0])) / self.unit
        share = weight / ((end - begin) * (right - left))
        causal = self._weights(rows, share, tx[:, 0])
        return {"pde": (jnp.sqrt(self.weight_pde * causal)[:, None] * rows).ravel()}

    def linearize(self, params: Params, points: Points) -> tuple[Residuals, Dense]:
        return dense(lambda params: self.residuals(params, points), params)

    def moved(self, params: Params, step: Float[Array, "p"]) -> Params:
        flat, unravel = ravel_pytree(params)
        return unravel(flat + step)

    def report(self, params: Params, points: Points) -> dict[str, Scalar]:
        """None: what there is to know of a wave takes a quadrature, and the loss is known anyway."""
        return {}
