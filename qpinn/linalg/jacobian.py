"""Jacobians of least-squares problems, as operators that can solve for a damped step.

A problem has residuals r, in named vectors, and parameters p. A Jacobian J = dr/dp offers

    damped_step(residuals, damping) -> the change of p that minimises |J dp + r|^2 + damping |D dp|^2,

with D the lengths of its columns (Marquardt 1963). It is dense, which any problem can have by `dense`, or made of
`Blocks`, whose step costs as much as the blocks, not as the matrix. No J^T J is formed, which would lose half of the
digits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Float

from qpinn.linalg.lapack import one_by_one
from qpinn.typing import Array, Params, Scalar

Residuals = dict[str, Array]
"""Named residual vectors; the sum of their squares is the loss."""


class Jacobian(Protocol):
    """What an optimiser asks of a Jacobian: a step, in the form that the problem's `moved` takes."""

    def damped_step(self, residuals: Residuals, damping: Scalar) -> Any: ...


def losses(residuals: Residuals) -> dict[str, Scalar]:
    """The term of the loss that belongs to each residual vector: its sum of squares."""
    return {name: jnp.sum(vector**2) for name, vector in residuals.items()}


# -------------------------------------------------------------------------------------------------------------- dense


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Dense:
    """matrix (rows, p), its rows in the order of the sorted names of the residual vectors."""

    matrix: Float[Array, "rows p"]

    def damped_step(self, residuals: Residuals, damping: Scalar) -> Float[Array, "p"]:
        """The step (p,)."""
        length = jnp.sqrt(jnp.sum(self.matrix**2, axis=0))
        inverse = _reciprocal(length)
        right = jnp.concatenate([residuals[name] for name in sorted(residuals)])
        nothing = jnp.zeros((length.size, 0), right.dtype)
        step, _ = _ridge(self.matrix * inverse, right, nothing, jnp.sqrt(damping))
        return inverse * step


def dense(residuals: Callable[[Params], Residuals], params: Params) -> tuple[Residuals, Dense]:
    """Residuals at `params` and their Jacobian by forward mode, with columns in the order of `ravel_pytree`."""
    flat, unravel = ravel_pytree(params)

    def vector(flat: Array) -> tuple[Array, Residuals]:
        values = residuals(unravel(flat))
        return jnp.concatenate([values[name] for name in sorted(values)]), values

    matrix, values = jax.jacfwd(vector, has_aux=True)(flat)
    return values, Dense(matrix)


# -------------------------------------------------------------------------------------------------------------- blocks


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Blocks:
    """The Jacobian of S segments, each with n residuals, parameters of its own, and parameters shared with others.

    Below the rows of the segments stands a border: residuals to which every segment adds, such as that of a norm.

    inner         (S, n + m, P)  derivatives by the parameters of the segment: of its n rows, and of what it adds to the
                                 m border rows
    shared        (S, n + m, k)  by what else the segment sees
    continuity    (S, k, q)      what each segment sees of the q shared parameters
    border        names of the residual vectors of the border; those of the segments, n each, are all the others
    """

    inner: Float[Array, "S n+m P"]
    shared: Float[Array, "S n+m k"]
    continuity: Float[Array, "S k q"]
    border: tuple[str, ...] = dataclasses.field(metadata={"static": True})

    def damped_step(self, residuals: Residuals, damping: Scalar) -> tuple[Float[Array, "S P"], Float[Array, "q"]]:
        """The step, as (S, P) of the segments and (q,) of what they share.

        Columns of shared parameters are scaled by their lengths; those of one segment all by the length of the longest
        of them. With lengths of their own, hidden weights with a small readout would make steps so large that the
        residuals are not linear over them.

        The parameters of a segment are eliminated from its rows by a QR decomposition, which leaves k rows for the
        shared parameters; those of all segments are one small dense problem. The border G, with residuals g, is put
        on by Woodbury's formula: with H = J^T J + damping D^2 of the other rows, y the step without the border and
        H V = G^T, the step is y - V (1 + G V)^-1 (G y + g).
        """
        root = jnp.sqrt(damping)
        right, m = self._rows(residuals)
        ties, n = self.continuity, right.shape[1]
        border_inner, border_shared = self.inner[:, n:], jnp.einsum("smk,skq->mq", self.shared[:, n:], ties)
        squares = jnp.einsum("snk,snl->skl", self.shared[:, :n], self.shared[:, :n])
        longest = jnp.max(jnp.sum(self.inner**2, axis=1), axis=1, keepdims=True)
        length_inner = jnp.sqrt(jnp.broadcast_to(longest, self.inner[:, 0].shape))
        length = jnp.sqrt(jnp.einsum("skq,skl,slq->q", ties, squares, ties) + jnp.sum(border_shared**2, axis=0))
        inverse_inner, inverse = _reciprocal(length_inner), _reciprocal(length)
        border_inner, border_shared = border_inner * inverse_inner[:, None], border_shared * inverse
        ties = ties * inverse

        rows = self.inner[:, :n] * inverse_inner[:, None], self.shared[:, :n], right
        solved, pulled, left = jax.vmap(_eliminate, (0, 0, 0, 0, None))(*rows, border_inner, root)
        k = self.shared.shape[2]
        forced = border_shared.T - jnp.einsum("skm,skq->qm", pulled, ties)
        reduced = jnp.einsum("skl,slq->skq", left[:, :, :k], ties).reshape(len(left) * k, length.size)
        step_shared, along_shared = _ridge(reduced, left[:, :, k].ravel(), forced, root)
        coupling = jnp.einsum("spk,skq->spq", solved[:, :, :k], ties)
        step_inner = -solved[:, :, k] - coupling @ step_shared
        along_inner = solved[:, :, k + 1 :] - coupling @ along_shared
        ahead = jnp.einsum("smp,sp->m", border_inner, step_inner) + border_shared @ step_shared
        ahead += jnp.concatenate([residuals[name] for name in self.border])
        weight = jnp.eye(m, dtype=ahead.dtype) + border_shared @ along_shared
        weight += jnp.einsum("smp,spl->ml", border_inner, along_inner)
        share = ahead / weight[0] if m == 1 else _solve(weight, ahead)
        return inverse_inner * (step_inner - along_inner @ share), inverse * (step_shared - along_shared @ share)

    def _rows(self, residuals: Residuals) -> tuple[Array, int]:
        """Residuals (S, n) of the segments, and the number of rows of the border."""
        inside = [residuals[name].reshape(len(self.inner), -1) for name in sorted(set(residuals) - set(self.border))]
        return jnp.concatenate(inside, axis=1), sum(residuals[name].size for name in self.border)


def _reciprocal(length: Array) -> Array:
    return jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 0)


@one_by_one
def _eliminate(inner: Array, shared: Array, right: Array, border: Array, root: Scalar) -> tuple[Array, Array, Array]:
    """What one segment with inner (n, P), shared (n, k), right (n,) and border (m, P) leaves to the others.

    With R from the QR decomposition of (inner, shared, right) above root I in the first P columns: R11^-1 (R12, R13,
    R11^-T border^T) (P, k + 1 + m), R12^T R11^-T border^T (k, m), and the rows R22, R23 (k, k + 1) that are left.
    """
    basis = None
    if inner.shape[1] > inner.shape[0] + border.shape[0]:  # a step lies in the span of the rows and the border
        basis, triangle = jnp.linalg.qr(jnp.concatenate([inner.T, border.T], axis=1))
        inner, border = triangle[:, : inner.shape[0]].T, triangle[:, inner.shape[0] :].T
    size, k = inner.shape[1], shared.shape[1]
    top = jnp.concatenate([inner, shared, right[:, None]], axis=1)
    top = jnp.pad(top, ((0, max(k - len(top), 0)), (0, 0)))  # fewer rows than shared parameters leave k rows too
    below = jnp.concatenate([root * jnp.eye(size, dtype=inner.dtype), jnp.zeros((size, k + 1), inner.dtype)], axis=1)
    triangle = jnp.linalg.qr(jnp.concatenate([top, below]), mode="r")
    corner, beside = triangle[:size, :size], triangle[:size, size:]
    force = solve_triangular(corner, border.T, trans=1)
    solved = solve_triangular(corner, jnp.concatenate([beside, force], axis=1))
    return solved if basis is None else basis @ solved, beside[:, :k].T @ force, triangle[size : size + k, size:]


@one_by_one
def _ridge(rows: Array, right: Array, force: Array, root: Scalar) -> tuple[Array, Array]:
    """y (q,) that minimises |rows y + right|^2 + |root y|^2, and v (q, m) with (rows^T rows + root^2) v = force."""
    size = rows.shape[1]
    if not size:
        return jnp.zeros(0, rows.dtype), force
    matrix = jnp.concatenate([rows, root * jnp.eye(size, dtype=rows.dtype)])
    right = jnp.concatenate([right, jnp.zeros(size, rows.dtype)])
    triangle = jnp.linalg.qr(jnp.concatenate([matrix, right[:, None]], axis=1), mode="r")
    corner = triangle[:size, :size]
    step = -solve_triangular(corner, triangle[:size, size])
    if not force.shape[1]:
        return step, force
    return step, solve_triangular(corner, solve_triangular(corner, force, trans=1))


@one_by_one
def _solve(matrix: Array, right: Array) -> Array:
    return jnp.linalg.solve(matrix, right)
