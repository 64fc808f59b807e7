"""Functions of two coordinates on cells that curves cut: energies, residuals and moments, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from qpinn.analysis.tensor import Forms
from qpinn.wavefunctions.on_cells import Functions, OnCell


def ritz_mix(cells: Sequence[OnCell], functions: Functions, masses: Sequence[float]) -> Float[np.ndarray, "K K"]:
    """The mix that makes functions orthonormal and diagonalises H among them."""
    from scipy import linalg

    count = len(functions.core)
    overlap, form = np.zeros((count, count)), np.zeros((count, count))
    for cell in cells:
        fields = cell.fields(functions)
        overlap += (cell.weight * fields[0]) @ fields[0].T
        form += (cell.weight * cell.v * fields[0]) @ fields[0].T
        for slope, mass in zip(fields[1:3], masses, strict=True):
            form += (cell.weight / mass * slope) @ slope.T
    return np.asarray(linalg.eigh((form + form.T) / 2, (overlap + overlap.T) / 2)[1])


def forms(cells: Sequence[OnCell], functions: Functions, masses: Sequence[float]) -> Forms:
    """The integrals of functions, see `qpinn.analysis.tensor.forms`."""
    count = len(functions.core)
    overlap, moments, gram = np.zeros((count, count)), np.zeros((2, count, count)), np.zeros((count, count))
    each = {name: np.zeros(count) for name in ("potential", "size", "unseen", "felt")}
    squares, kinetic = np.zeros((2, count, count)), np.zeros((count, count))
    for cell in cells:
        value, *slopes = cell.fields(functions)[:3]
        weighted = cell.weight * value
        density = weighted * value
        overlap += weighted @ value.T
        each["potential"] += density @ cell.v
        each["size"] += density @ np.abs(cell.v)
        for slope, mass in zip(slopes, masses, strict=True):
            kinetic += (cell.weight / mass * slope) @ slope.T
        each["unseen"] += 2 * density @ cell.blur
        each["felt"] += density @ cell.blur**2
        for axis, x in enumerate(cell.places):
            moments[axis] += (x * weighted) @ value.T
            squares[axis] += (x**2 * weighted) @ value.T
    norm = np.diag(overlap)
    energies = (each["potential"] + np.diag(kinetic)) / norm
    for cell in cells:
        fields = cell.fields(functions)
        residual = cell.h(fields, masses) - energies[:, None] * fields[0]
        gram += (cell.weight * residual) @ residual.T
    unit = np.outer(1 / np.sqrt(norm), 1 / np.sqrt(norm))
    gram = gram * unit
    felt, size = np.sqrt(each["felt"] / norm), np.sqrt(np.maximum(np.diag(gram), 0.0))
    return Forms(
        overlap=overlap, energies=energies, residual=gram, kinetic=kinetic * unit,
        size=(each["size"] + np.diag(kinetic)) / norm, moments=moments * unit,
        squares=squares * unit, unseen=each["unseen"] / norm,
        strayed=2 * (np.outer(size, felt) + np.outer(felt, size) + np.outer(felt, felt)),
    )  # fmt: skip
