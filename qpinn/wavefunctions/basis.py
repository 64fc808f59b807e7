"""The basis: functions that psi is a combination of while the hidden units of its networks stay as they are.

In a segment of a piecewise psi these are its bubbles, one for each weight of its readout, and its part of the nodal
functions, one for each nodal parameter. Random features are nearly dependent, so the bubbles of each segment are made
orthonormal by a singular value decomposition, which drops those that are too small to survive rounding. Nodal
functions are made orthogonal to the bubbles, and not bubbles to them, because a nodal function spans two segments.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Bool, Float

from qpinn.geometry.quadrature import Points
from qpinn.linalg.lapack import one_by_one
from qpinn.typing import Array, Params, Point, Scalar
from qpinn.wavefunctions.ansatz import Ansatz

CUTOFF = 0.5
"""Bubbles smaller than eps**0.5 of the largest are left out: 1.5e-8 in float64. Of 0.42 to 0.6, it gave the levels of
four potentials their smallest residuals: larger, and rounding makes noise of psi''; smaller, and functions are lost."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Basis:
    """Functions that are orthonormal on a quadrature of n points a segment: r bubbles in each of S segments, q nodal.

    A segment sees k numbers of the nodal functions: value and slope at both of its ends, 4 for a piecewise psi.

    value, slope  (S, n, r + k) times the square root of the quadrature weight: of the bubbles, then for each of the k
    ties          (S, k, q) the k numbers of each nodal function
    kept          (S r + q,) False for what was dropped, which is zero here so that shapes stay static
    readout       (S, P, r + k) the P weights of the readout of each
    nodal         (q, q) the nodal parameters of each nodal function
    """

    value: Float[Array, "S n r+k"]
    slope: Float[Array, "S n r+k"]
    ties: Float[Array, "S k q"]
    kept: Bool[Array, "p"]
    readout: Float[Array, "S P r+k"]
    nodal: Float[Array, "q q"]

    @property
    def bubbles(self) -> int:
        """Bubbles r in a segment."""
        return self.value.shape[-1] - self.ties.shape[-2]

    def form(self, blocks: Float[Array, "S r+k r+k"]) -> Float[Array, "p p"]:
        """A quadratic form on all functions from its blocks in each segment."""
        segments, r = len(blocks), self.bubbles
        inner = jnp.einsum("srt,su->srut", blocks[:, :r, :r], jnp.eye(segments, dtype=blocks.dtype))
        inner = inner.reshape(segments * r, segments * r)
        cross = (blocks[:, :r, r:] @ self.ties).reshape(segments * r, -1)
        outer = jnp.einsum("skq,skl,slt->qt", self.ties, blocks[:, r:, r:], self.ties)
        return jnp.block([[inner, cross], [cross.T, outer]])

    def psi(self, params: Params, coefficients: Float[Array, "p"]) -> Params:
        """Parameters of psi = sum_p c_p phi_p, with the hidden units of `params`; it rises at the left."""
        r, inner = self.bubbles, len(self.ties) * self.bubbles
        nodes = coefficients[inner:]
        local = jnp.concatenate([coefficients[:inner].reshape(-1, r), self.ties @ nodes], axis=1)
        upwards = jnp.where(self.slope[0, 0] @ local[0] < 0, -1, 1)
        _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], params["network"]["readout"]))
        readout = jax.vmap(unravel)(upwards * jnp.einsum("spr,sr->sp", self.readout, local))
        psi = {**params, "network": {**params["network"], "readout": readout}}
        return {**psi, "nodal": upwards * (self.nodal @ nodes)} if "nodal" in params else psi


def basis(ansatz: Ansatz, params: Params, points: Points, nodal_too: bool = True) -> Basis:
    """The basis of the parameters of psi, orthonormal on `points`, which are grouped by the segments of the ansatz.

    nodal_too  whether nodal functions are made orthonormal among themselves, which takes a dense matrix of all of them
    """
    readout = params["network"]["readout"]
    size, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], readout))
    segments, continuity = ansatz.segments(params), ansatz.continuity
    root = jnp.sqrt(points.weight)[..., None]
    k, n = continuity.shape[1], root.shape[1]

    def at(segment: Params, x: Point) -> tuple[Array, Array]:
        """psi and psi' at x where one weight of the readout, or one number of the nodes, is 1 and all others are 0."""

        def psi(unit: Array, x: Point) -> Scalar:
            network = {**segment["network"], "readout": unravel(unit[: size.size])}
            return ansatz.in_segment({**segment, "network": network, "nodal": unit[size.size :]}, x)

        def along(unit: Array) -> tuple[Scalar, Array]:
            value, gradient = jax.value_and_grad(psi, 1)(unit, x)
            return value, gradient[0]

        return jax.vmap(along)(jnp.eye(size.size + k, dtype=size.dtype))

    value, slope = (root * array for array in jax.vmap(jax.vmap(at, (None, 0)))(segments, points.x))
    width = size.size
    left, singular, right = jax.vmap(_svd)(value[..., :width])
    wanted = singular > float(jnp.finfo(value.dtype).eps) ** CUTOFF * singular[:, :1]
    wanted &= jnp.arange(singular.shape[1]) < n - k  # so that the points resolve the nodal functions too
    inverse = jnp.where(wanted, 1 / jnp.where(wanted, singular, 1), 0)
    bubbles = right.mT * inverse[:, None]
    left = jnp.where(wanted[:, None], left, 0)
    nodes = value[..., width:]
    within = left.mT @ nodes
    nodes = nodes - left @ within
    again = left.mT @ nodes
    within, nodes = within + again, nodes - left @ again

    of_bubbles = slope[..., :width] @ bubbles
    of_nodes = slope[..., width:] - of_bubbles @ within
    nodal, found = jnp.eye(continuity.shape[2], dtype=size.dtype), jnp.ones(continuity.shape[2], bool)
    if nodal_too:
        nodal, found = _orthonormal(jnp.einsum("skq,snk,snl,slt->qt", continuity, nodes, nodes, continuity))
    return Basis(
        value=jnp.concatenate([left, nodes], axis=-1), slope=jnp.concatenate([of_bubbles, of_nodes], axis=-1),
        ties=continuity @ nodal, kept=jnp.concatenate([wanted.ravel(), found]),
        readout=jnp.concatenate([bubbles, -bubbles @ within], axis=-1), nodal=nodal,
    )  # fmt: skip


def _orthonormal(gram: Float[Array, "q q"]) -> tuple[Float[Array, "q q"], Bool[Array, "q"]]:
    """Columns c with c^T gram c = 1 on its well-conditioned part, zero for the rest; and which are not zero."""
    if not len(gram):
        return gram, jnp.zeros(0, bool)
    diagonal = jnp.diagonal(gram)
    norm = jnp.where(diagonal > 0, 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1)), 0)
    size, vectors = eigh(norm[:, None] * gram * norm)
    kept = size > 1e3 * jnp.finfo(gram.dtype).eps * size[-1]
    return norm[:, None] * vectors * jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, size, 1)), 0), kept


@one_by_one
def eigh(matrix: Float[Array, "p p"]) -> tuple[Float[Array, "p"], Float[Array, "p p"]]:
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@one_by_one
def _svd(matrix: Float[Array, "n P"]) -> tuple[Array, Array, Array]:
    left, values, right = jnp.linalg.svd(matrix, full_matrices=False)
    return left, values, right
