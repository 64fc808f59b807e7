"""Functions of many coordinates as sums of chosen products: residuals, moments, values at positions.

No grid of all axes is needed: H psi is written in the products that it reaches, and what it has beyond the functions of
the axes is bounded by integrals over the axes of one term.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from qpinn.analysis.tensor import Forms
from qpinn.training.index_products import Coupled, elements, image, keys_of, meeting, reduced
from qpinn.wavefunctions.axis import OnGrid

NEGLECTED = 1e-11
"""Matrix elements times coefficients below this are left out of H psi, and bounded."""

POSITIONS = 2**22
"""Numbers of one field of all products that are held at once."""


def forms(
    coupled: Coupled, axes: Sequence[OnGrid], index: Int[np.ndarray, "N d"], vectors: Float[np.ndarray, "N K"],
    check: Coupled | None = None,
) -> Forms:  # fmt: skip
    """The integrals of K functions with coefficients `vectors` in the products `index`, see `qpinn.analysis.tensor`.

    axes   the functions of every axis on a quadrature
    check  the same Hamiltonian among the same functions by another quadrature, for `unseen` and `strayed`

    `residual` is no less than <r_i|r_j> in the order of forms. With P on all products of the functions of the axes,
    P H psi is exact. (1 - P) H psi has a part on each axis, where the functions satisfy their own equation to a defect,
    and one from each term. Those without a common axis are orthogonal; if each meets no more than T of them, itself
    included, |sum|^2 <= T times the sum of squares. A Gram matrix is no more than its trace.
    """
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    found = image(coupled, index, vectors, NEGLECTED)
    energies = np.einsum("nk,nk->k", vectors, found.values[found.places])
    rest = found.values.copy()
    rest[found.places] -= energies * vectors
    residual = rest.T @ rest
    count = meeting([(axis,) for axis in range(len(axes))] + [coupling.axes for coupling in coupled.couplings])
    outside, kinetic, moments, squares = np.zeros_like(residual), np.zeros(len(energies)), [], []
    for axis, (grid, defects) in enumerate(zip(axes, coupled.defects, strict=True)):
        slices = _slices(index, axis, coupled.sizes, vectors)
        outside += count * _expected(slices, defects)
        slope = grid.jets[1]
        kinetic += np.diag(_expected(slices, (slope * (grid.weight / grid.mass)) @ slope.T))
        moments.append(_expected(slices, elements(grid.x, [grid])))
        squares.append(np.diag(_expected(slices, elements(grid.x**2, [grid]))))
    leaving = [_mean(coupling.leaving, index, coupling.axes, coupled, vectors) for coupling in coupled.couplings]
    outside += count * np.eye(len(energies)) * sum(max(value, 0.0) for value in leaving)
    diagonal = coupled.diagonal(index)
    size = np.abs(coupled.shift) + np.einsum("nk,n->k", vectors**2, np.abs(diagonal - coupled.shift))
    size += np.abs(energies - np.einsum("nk,n->k", vectors**2, diagonal))
    wrong = found.left + (0.0 if check is None else _differs(coupled, check, index, vectors, found.values))
    norms = np.sqrt(np.diag(residual + outside))
    return Forms(
        overlap=vectors.T @ vectors, energies=energies, residual=residual + outside, size=size, kinetic=kinetic,
        moments=np.array(moments), squares=np.array(squares), unseen=wrong,
        strayed=np.outer(norms, wrong) + np.outer(wrong, norms) + np.outer(wrong, wrong),
    )  # fmt: skip


def _slices(index: np.ndarray, axis: int, sizes: tuple[int, ...], vectors: np.ndarray) -> Float[np.ndarray, "G n K"]:
    """Coefficients by what they are off an axis, and on it."""
    off = index.copy()
    off[:, axis] = 0
    _, group = np.unique(keys_of(off, sizes), return_inverse=True)
    slices = np.zeros((group.max() + 1, sizes[axis], vectors.shape[1]))
    slices[group, index[:, axis]] = vectors
    return slices


def _expected(slices: Float[np.ndarray, "G n K"], matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "K K"]:
    """<i|f|j> of a function f of one axis."""
    count = slices.shape[2]
    return np.tensordot(slices, np.einsum("ab,gbk->gak", matrix, slices), axes=((0, 1), (0, 1))).reshape(count, count)


def _mean(form: np.ndarray, index: np.ndarray, axes: tuple[int, ...], coupled: Coupled, vectors: np.ndarray) -> float:
    """The sum over k of <k|f|k>, f of some axes."""
    return float(np.sum(form * reduced(index, axes, coupled.sizes, vectors)))


def _differs(coupled: Coupled, check: Coupled, index: np.ndarray, vectors: np.ndarray, h_psi: np.ndarray) -> float:
    """About the norm of what H psi, less E times what overlaps differ from 1, changes by another quadrature."""
    total = abs(check.shift - coupled.shift)
    felt = float(np.linalg.norm(h_psi)) / np.sqrt(vectors.shape[1])
    for axis, (e, first, second) in enumerate(zip(coupled.energies, coupled.forms, check.forms, strict=True)):
        differs = (second.form - first.form) - (e[:, None] + e) / 2 * (second.overlap - first.overlap)
        for matrix, scale in ((differs, 1.0), (second.overlap - first.overlap, felt)):
            total += scale * np.sqrt(max(_mean(matrix @ matrix, index, (axis,), coupled, vectors), 0.0))
    for first, second in zip(coupled.couplings, check.couplings, strict=True):
        differs = second.inside - first.inside
        total += np.sqrt(max(_mean(differs @ differs, index, first.axes, coupled, vectors), 0.0))
    return total


def psi(
    values: Sequence[Float[np.ndarray, "n M"]], index: Int[np.ndarray, "N d"], vectors: Float[np.ndarray, "N K"]
) -> Float[np.ndarray, "K M"]:
    """The functions at M positions, from the values of every axis's functions at their coordinates.

    Products that begin alike are summed over the last axis first, so that most are touched once.
    """
    sizes = tuple(len(value) for value in values)
    order = np.argsort(keys_of(index, sizes))
    index, vectors = index[order], vectors[order]
    count, places = vectors.shape[1], values[0].shape[1]
    result = np.empty((count, places))
    step = max(1, POSITIONS // (len(index) * count))
    for begin in range(0, places, step):
        part = slice(begin, begin + step)
        tuples, total = index, vectors[:, :, None]
        for value in values[::-1]:
            total = total * value[tuples[:, -1], None, part]
            tuples = tuples[:, :-1]
            starts = np.flatnonzero(np.append(True, (np.diff(tuples, axis=0) != 0).any(axis=1)))
            total, tuples = np.add.reduceat(total, starts, axis=0), tuples[starts]
        result[:, part] = total[0]
    return result

