"""Derivatives, H psi, inner products and what follows from them, for unbatched functions psi: (d,) -> ()."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.typing import Array, Point, Psi, Scalar


class Jet(NamedTuple):
    """Value (), gradient (d,) and Laplacian () of a function at one point."""

    value: Scalar
    gradient: Array
    laplacian: Scalar


def jet(psi: Psi, x: Point, masses: Float[Array, "d"] | None = None) -> Jet:
    """psi, its gradient and its Laplacian at x (d,) by `jax.grad` of `jax.value_and_grad`: one pass for each axis.

    masses  of the axes: the derivatives are then those along sqrt(m_i) x_i, in which H = -laplacian + V
    """

    def along(axis: int) -> tuple[Scalar, tuple[Scalar, Array]]:
        def slope(y: Point) -> tuple[Scalar, tuple[Scalar, Array]]:
            value, gradient = jax.value_and_grad(psi)(y)
            return gradient[axis], (value, gradient)

        second, values = jax.grad(slope, has_aux=True)(x)
        return second[axis], values

    second, values = zip(*[along(axis) for axis in range(x.shape[0])], strict=True)
    value, gradient = values[0]
    if masses is not None:
        second, gradient = tuple(jnp.stack(second) / masses), gradient / jnp.sqrt(masses)
    return Jet(value, gradient, sum(second[1:], start=second[0]))


def h_psi(psi: Psi, potential: Any, x: Point) -> Scalar:
    """(H psi)(x) = -laplacian psi + V(x) psi(x)."""
    at = jet(psi, x)
    return -at.laplacian + potential.at(x) * at.value


def rayleigh_quotient(
    psi: Jet, v: Float[Array, "*n"], weight: Float[Array, "*n"], mass: Any = 1.0, contact: Any = 0.0
) -> Scalar:
    """(<psi'|psi' / m> + <psi|V psi> + contact) / <psi|psi> from jets, V, m and weights on a quadrature (...,).

    contact = sum_j alpha_j psi(c_j)^2 is the energy in Dirac deltas. The weak form of <psi|H psi> / <psi|psi>: the same
    for a function that vanishes at the walls and whose flux psi' / m jumps by alpha_j psi at deltas and nowhere else.
    """
    kinetic = jnp.sum(weight * jnp.sum(psi.gradient**2, axis=-1) / mass)
    return (kinetic + jnp.sum(weight * v * psi.value**2) + contact) / jnp.sum(weight * psi.value**2)


def node_count(psi: Float[np.ndarray, "n"], floor: float = 1e-6) -> int:
    """Sign changes of samples psi (n,), ascending in x, where |psi| exceeds `floor` times its maximum.

    By Sturm's theorem the level of number n has n of them. The floor keeps rounding in decayed tails from counting.
    """
    large = psi[np.abs(psi) > floor * np.max(np.abs(psi), initial=0.0)]
    return int(np.count_nonzero(np.diff(np.sign(large))))
