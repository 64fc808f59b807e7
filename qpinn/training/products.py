"""Rayleigh-Ritz among products of axis functions, up to three axes: all of them on one grid.

In the functions of the mean field H is diagonal but for what couples the axes,

    H = sum_i e_i - (d - 1) <V> + (V - sum_i v_i + (d - 1) <V>),

so that few steps of a block Davidson iteration give the lowest levels among all products. What they are made of on one
axis is then said with as few functions as it takes: the natural ones (Loewdin 1955).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.linalg.davidson import davidson
from qpinn.physics.mean_field import MeanField, sums
from qpinn.wavefunctions.axis import OnGrid

EXTRA = 4
"""Vectors beyond the levels that are wanted: they make clusters at the end converge."""

FIRST = 60
"""Products of a dense problem to start from, at least."""

NATURAL = 1e-14
"""Natural functions with a smaller share of every level are left out."""


class Ritz(NamedTuple):
    """energies (K,), coefficients (K, n_1, ..., n_d) of the products, residuals (K,) among them, and steps taken."""

    energies: Float[np.ndarray, "K"]
    core: Float[np.ndarray, "K *n"]
    residuals: Float[np.ndarray, "K"]
    steps: int


def along(core: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """sum_ab... core (K, a, b, ...) A (a, p) B (b, q) ...: (K, p, q, ...)."""
    for matrix in matrices:
        core = np.tensordot(core, matrix, axes=(1, 0))  # the axis that was first is now last
    return core


def ritz(v: Float[np.ndarray, "*Q"], field: MeanField, axes: Sequence[OnGrid], count: int, tol: float) -> Ritz:
    """The lowest `count` levels among all products of the functions of `axes`, those of the mean field `field`.

    v    V on the grid of the axes
    tol  of the norm of the residual among products
    """
    dimension = len(axes)
    coupling = v + field.excess
    for axis, own in enumerate(field.v):
        coupling = coupling - own.reshape([-1 if place == axis else 1 for place in range(dimension)])
    weighted = [grid.jets[0] * np.sqrt(grid.weight) for grid in axes]
    shape = tuple(len(values) for values in weighted)
    energies = [e[:n] for e, n in zip(field.energies, shape, strict=True)]
    diagonal = sum(np.meshgrid(*energies, indexing="ij", sparse=True), np.zeros(shape)) - field.excess

    def apply(vectors: np.ndarray) -> np.ndarray:
        image = np.empty_like(vectors)
        for column in range(vectors.shape[1]):  # one at a time: a grid is large
            core = vectors[:, column].reshape(1, *shape)
            grid = along(core, weighted) * coupling
            image[:, column] = (along(grid, [values.T for values in weighted]) + diagonal * core).ravel()
        return image

    first = sums(energies, max(FIRST, 4 * (count + EXTRA)))
    places = np.ravel_multi_index(tuple(first.T), shape)
    start = _among(places, first, weighted, coupling, diagonal)[:, : count + EXTRA]
    vectors = np.zeros((diagonal.size, start.shape[1]))
    vectors[places] = start
    solved = davidson(apply, diagonal.ravel(), vectors, count, tol)
    return Ritz(solved.values, solved.vectors.T.reshape(count, *shape), solved.residuals, solved.steps)


def _among(
    places: np.ndarray, first: np.ndarray, weighted: Sequence[np.ndarray], coupling: np.ndarray, diagonal: np.ndarray
) -> np.ndarray:
    """Eigenvectors among a few products: the matrix of the coupling between them, an axis contracted at a time."""
    highest = first.max(axis=0) + 1
    few = [values[:n] for values, n in zip(weighted, highest, strict=True)]
    form = coupling
    for values in few:  # (Q, ...) to (..., n, n)
        pairs = np.einsum("aq,bq->abq", values, values)
        form = np.moveaxis(np.tensordot(pairs, form, axes=(2, 0)), (0, 1), (-2, -1))
    index = [first[:, axis] for axis in range(len(few))]
    picked = form[tuple(part for one in index for part in (one[:, None], one[None, :]))]
    picked = picked + np.diag(diagonal.ravel()[places])
    return np.linalg.eigh((picked + picked.T) / 2)[1]


def natural(core: Float[np.ndarray, "K *n"]) -> tuple[list[np.ndarray], np.ndarray]:
    """Natural functions of every axis as mixes (n_i, m_i) of those that are there, and the coefficients in them."""
    mixes = []
    for axis in range(1, core.ndim):
        unfolded = np.moveaxis(core, axis, 0).reshape(core.shape[axis], -1)
        left, sizes, _ = np.linalg.svd(unfolded, full_matrices=False)
        mixes.append(left[:, sizes > NATURAL * sizes[0]])
    return mixes, along(core, mixes)


def grid_of(tables: Any, shape: Sequence[int]) -> Float[np.ndarray, "*Q"]:
    """V on the grid of all axes from its terms on theirs."""
    total = np.zeros(shape)
    for axes, table in tables:
        total += table.reshape([shape[axis] if axis in axes else 1 for axis in range(len(shape))])
    return total
