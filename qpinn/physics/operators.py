"""Derivatives, H psi, inner products and what follows from them, for unbatched functions psi: (d,) -> ()."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qpinn.typing import Array, Point, Psi, Scalar


def laplacian(psi: Psi, x: Point) -> Scalar:
    """sum_i d^2 psi / dx_i^2 at x (d,), by nested `jax.grad`."""
    first = jax.grad(psi)

    def second(i: int) -> Scalar:
        return jax.grad(lambda y: first(y)[i])(x)[i]

    return sum((second(i) for i in range(x.shape[0])), start=jnp.zeros((), x.dtype))


class Jet(NamedTuple):
    """Value (), gradient (d,) and Laplacian () of a function at one point."""

    value: Scalar
    gradient: Array
    laplacian: Scalar


def jet(psi: Psi, x: Point) -> Jet:
    """psi, its gradient and its Laplacian at x (d,) by forward mode: two nested tangents along each axis.

    The same numbers as `psi`, `jax.grad` and `laplacian`, to rounding, for less work; what training uses.
    """

    def along(axis: Any) -> tuple[Scalar, Scalar, Scalar]:
        def slope(y: Point) -> tuple[Scalar, Scalar]:
            return jax.jvp(psi, (y,), (axis,))

        (value, first), (_, second) = jax.jvp(slope, (x,), (axis,))
        return value, first, second

    # a loop over the axes rather than a vmap: for d = 1 it is a third less to trace
    values, first, second = zip(*[along(axis) for axis in np.eye(x.shape[0], dtype=x.dtype)], strict=True)
    return Jet(values[0], jnp.stack(first), sum(second[1:], start=second[0]))


def h_psi(psi: Psi, potential: Any, x: Point) -> Scalar:
    """(H psi)(x) = -laplacian psi + V(x) psi(x)."""
    return -laplacian(psi, x) + potential(x) * psi(x)


def inner_product(a: Array, b: Array, weight: Array) -> Scalar:
    """<a|b> = sum_i w_i a_i b_i for values on a quadrature, all of one shape."""
    return jnp.sum(weight * a * b)


def rayleigh_quotient(psi: Jet, v: Array, weight: Array, mass: Any = 1.0, contact: Any = 0.0) -> Scalar:
    """(<psi'|psi' / m> + <psi|V psi> + contact) / <psi|psi> from jets, V, m and weights on a quadrature (...,).

    contact = sum_j alpha_j psi(c_j)^2 is the energy in Dirac deltas. The weak form of <psi|H psi> / <psi|psi>: the same
    for a function that vanishes at the walls and whose flux psi' / m jumps by alpha_j psi at deltas and nowhere else.
    """
    kinetic = jnp.sum(weight * jnp.sum(psi.gradient**2, axis=-1) / mass)
    return (kinetic + jnp.sum(weight * v * psi.value**2) + contact) / jnp.sum(weight * psi.value**2)


def node_count(psi: np.ndarray, floor: float = 1e-6) -> int:
    """Sign changes of samples psi (n,), ascending in x, where |psi| exceeds `floor` times its maximum.

    By Sturm's theorem the level of number n has n of them. The floor keeps rounding in decayed tails from counting.
    """
    large = psi[np.abs(psi) > floor * np.max(np.abs(psi), initial=0.0)]
    return int(np.count_nonzero(np.diff(np.sign(large))))
