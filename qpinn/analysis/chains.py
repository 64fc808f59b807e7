"""Functions of many coordinates as sums of chosen products: residuals, moments, values at positions.

No grid of all axes is needed: H psi is written in the products that it reaches, and what it has beyond the functions of
the axes is bounded by integrals over the axes of one term.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from qpinn.analysis.tensor import Forms
from qpinn.physics import cells
from qpinn.physics.potentials.several import Several
from qpinn.physics.separable import Alone
from qpinn.training.index_products import Coupled, elements, image, keys_of, meeting, reduced
from qpinn.wavefunctions.axis import OnGrid

Tables = Sequence[tuple[tuple[int, ...], np.ndarray]]

NEGLECTED = 1e-11
"""Matrix elements times coefficients below this are left out of H psi, and bounded."""

SMALL = 0.1
"""A part of the residual below this share of its square needs no matrix of its own."""

POSITIONS = 2**22
"""Numbers of one field of all products that are held at once."""


def forms(
    coupled: Coupled, axes: Sequence[OnGrid], index: Int[np.ndarray, "N d"], vectors: Float[np.ndarray, "N K"],
    check: Coupled | None = None, blur: Tables = (),
) -> tuple[Forms, Float[np.ndarray, "K"]]:  # fmt: skip
    """The integrals of K functions with coefficients `vectors` in the products `index`, see `qpinn.analysis.tensor`.

    Returns too which part (K,) of |r|^2 is outside of all products of the functions of the axes.

    axes   the functions of every axis on a quadrature
    check  the same Hamiltonian among the same functions by another quadrature, for `unseen` and `strayed`
    blur   bounds on the distance of terms from what the quadrature integrates exactly, on the grids of their axes

    `residual` is no less than <r_i|r_j> in the order of forms. With P on all products of the functions of the axes,
    P H psi is exact. (1 - P) H psi has a part on each axis, where the functions satisfy their own equation to a defect,
    and one from each term. Those without a common axis are orthogonal; if each meets no more than T of them, itself
    included, |sum|^2 <= T times the sum of squares.
    """
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    applied = image(coupled, index, vectors, NEGLECTED)
    energies = np.einsum("nk,nk->k", vectors, applied.values[applied.places])
    rest = applied.values.copy()
    rest[applied.places] -= energies * vectors
    residual = rest.T @ rest
    count = meeting([(axis,) for axis in range(len(axes))] + [coupling.axes for coupling in coupled.couplings])
    outside, kinetic, moments, squares = np.zeros_like(residual), np.zeros_like(residual), [], []
    for axis, (grid, defects) in enumerate(zip(axes, coupled.defects, strict=True)):
        slices = _slices(index, axis, coupled.sizes, vectors)
        outside += count * _expected(slices, defects)
        slope = grid.jets[1]
        kinetic += _expected(slices, (slope * (grid.weight / grid.mass)) @ slope.T)
        moments.append(_expected(slices, elements(grid.x, [grid])))
        squares.append(_expected(slices, elements(grid.x**2, [grid])))
    outside += count * _leaving(coupled, index, vectors, SMALL * float(np.diag(residual).min()))
    diagonal = coupled.diagonal(index)
    size = np.abs(coupled.shift) + np.einsum("nk,n->k", vectors**2, np.abs(diagonal - coupled.shift))
    size += np.abs(energies - np.einsum("nk,n->k", vectors**2, diagonal))
    differs = [] if check is None else _differences(coupled, check, energies)
    unseen = sum((np.abs(_diagonal(one, index, coupled.sizes, vectors)) for one in differs), applied.left)
    wrong = applied.left + sum(_norm(one, index, coupled.sizes, vectors) for one in differs)
    for where, table in blur:
        if not np.isfinite(table).all():
            unseen = unseen + np.inf
            continue
        seen = [axes[axis] for axis in where]
        unseen = unseen + 2 * _diagonal(_Difference(where, elements(table, seen)), index, coupled.sizes, vectors)
        felt = _mean(elements(table**2, seen), index, where, coupled, vectors)
        wrong = wrong + 2 * np.sqrt(max(felt, 0.0))
    norms = np.sqrt(np.diag(residual + outside))
    measured = Forms(
        overlap=vectors.T @ vectors, energies=energies, residual=residual + outside, size=size, kinetic=kinetic,
        moments=np.array(moments), squares=np.array(squares), unseen=unseen,
        strayed=np.outer(norms, wrong) + np.outer(wrong, norms) + np.outer(wrong, wrong),
    )  # fmt: skip
    return measured, np.diag(outside)


def blurred(
    potential: Several, grids: Sequence[OnGrid], edges: Sequence[Float[np.ndarray, "S+1"]]
) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """For every term that is no polynomial how far it may be from one that the quadrature of its axes integrates.

    On each cell between the edges the bound of `qpinn.physics.cells` for half as high a degree as there are points.
    """
    tables = []
    points = [len(grid.x) // (len(cuts) - 1) for grid, cuts in zip(grids, edges, strict=True)]
    for term in potential.terms:
        if not term.axes:
            continue
        degree = min(points[axis] for axis in term.axes) // 2
        alone = Alone(potential, term)
        if max(cells.degrees(alone)) <= degree and not alone.curves:
            continue
        cuts = [edges[axis] for axis in term.axes]
        if alone.curves or alone.unlocated:
            tables.append((term.axes, np.full([len(grids[axis].x) for axis in term.axes], np.inf)))
            continue
        low, high = cells.boxes(cuts)
        hair = np.array([cells.HAIR * np.abs(places).max() for places in cuts])
        off = np.asarray(cells.stray(alone, low + hair, high - hair, degree)).reshape([len(one) - 1 for one in cuts])
        for place, axis in enumerate(term.axes):
            off = np.repeat(off, points[axis], axis=place)
        tables.append((term.axes, off))
    return tables


def _leaving(coupled: Coupled, index: np.ndarray, vectors: np.ndarray, small: float) -> Float[np.ndarray, "K K"]:
    """sum_t <i|W_t (1 - P) W_t|j>, or where it is less than `small` a multiple of 1 that is no less."""
    total = sum(max(_mean(one.leaving, index, one.axes, coupled, vectors), 0.0) for one in coupled.couplings)
    count = vectors.shape[1]
    if total <= small:
        return np.eye(count) * total
    gram = np.zeros((count, count))
    for i, j in itertools.combinations_with_replacement(range(count), 2):
        pair = vectors[:, [i]], vectors[:, [j]]
        gram[i, j] = gram[j, i] = sum(
            float(np.sum(one.leaving * reduced(index, one.axes, coupled.sizes, *pair))) for one in coupled.couplings
        )
    return gram


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


class _Difference(NamedTuple):
    """What another quadrature makes of H less E on some axes: (m, m)."""

    axes: tuple[int, ...]
    matrix: Float[np.ndarray, "m m"]


def _differences(coupled: Coupled, check: Coupled, energies: np.ndarray) -> list[_Difference]:
    """By how much another quadrature changes H, less E times the overlaps of functions, to first order in each."""
    differences = [_Difference((0,), (check.shift - coupled.shift) * np.eye(coupled.sizes[0]))]
    felt = float(np.abs(energies - coupled.shift - sum(e[0] for e in coupled.energies)).max())
    for axis, (e, first, second) in enumerate(zip(coupled.energies, coupled.forms, check.forms, strict=True)):
        overlap = second.overlap - first.overlap
        differences.append(_Difference((axis,), second.form - first.form - (e[:, None] + e) / 2 * overlap))
        differences.append(_Difference((axis,), felt * overlap))
    for one, other in zip(coupled.couplings, check.couplings, strict=True):
        differences.append(_Difference(one.axes, other.inside - one.inside))
    return differences


def _diagonal(
    one: _Difference, index: np.ndarray, sizes: tuple[int, ...], vectors: np.ndarray
) -> Float[np.ndarray, "K"]:  # fmt: skip
    """<k|f|k> of every function."""
    return np.array([np.sum(one.matrix * reduced(index, one.axes, sizes, vectors[:, [k]]))
                     for k in range(vectors.shape[1])])  # fmt: skip


def _norm(one: _Difference, index: np.ndarray, sizes: tuple[int, ...], vectors: np.ndarray) -> float:
    """No less than the norm of f psi_k of any function."""
    form = one.matrix @ one.matrix
    return float(np.sqrt(max(np.sum(form * reduced(index, one.axes, sizes, vectors)), 0.0)))


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
        slab = slice(begin, begin + step)
        tuples, total = index, vectors[:, :, None]
        for value in values[::-1]:
            total = total * value[tuples[:, -1], None, slab]
            tuples = tuples[:, :-1]
            starts = np.flatnonzero(np.append(True, (np.diff(tuples, axis=0) != 0).any(axis=1)))
            total, tuples = np.add.reduceat(total, starts, axis=0), tuples[starts]
        result[:, slab] = total[0]
    return result
