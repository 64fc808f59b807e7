"""Functions of two or three coordinates on a product of quadratures: energies, residuals and moments, slab by slab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.physics.potentials.several import tabulated
from qpinn.training.products import along, grid_of
from qpinn.wavefunctions.axis import OnGrid

SLAB = 2**21
"""Numbers of one field of all functions that are held at once."""


class Forms(NamedTuple):
    """What integrals say of K functions on a grid.

    overlap    (K, K) <psi_i|psi_j>
    energies   (K,) Rayleigh quotients
    residual   (K, K) <r_i|r_j> with r = H psi - E psi, for unit norm
    size       (K,) the energy with all signs positive
    moments    (d, K, K) <i|x|j>, squares (d, K) <x^2>
    unseen     (K,) bound on what `blur` makes in each energy, and strayed (K, K) in each entry of <r_i|r_j>
    """

    overlap: Float[np.ndarray, "K K"]
    energies: Float[np.ndarray, "K"]
    residual: Float[np.ndarray, "K K"]
    size: Float[np.ndarray, "K"]
    moments: Float[np.ndarray, "d K K"]
    squares: Float[np.ndarray, "d K"]
    unseen: Float[np.ndarray, "K"]
    strayed: Float[np.ndarray, "K K"]


def forms(potential: Any, axes: Sequence[OnGrid], core: Float[np.ndarray, "K *n"], blur: Any = None) -> Forms:
    """The integrals of functions with coefficients `core` in products of the functions of `axes`.

    blur  (Q_1, ..., Q_d) bound on the distance of V from what the quadrature integrates exactly; None: none

    One pass for energies, one for residuals: their squares are 1e-12 of what is subtracted.
    """
    count, sizes = len(core), [len(grid.x) for grid in axes]
    sums = {name: np.zeros(shape) for name, shape in (
        ("overlap", (count, count)), ("form", count), ("size", count), ("moments", (len(axes), count, count)),
        ("squares", (len(axes), count)), ("unseen", count), ("felt", count),
    )}  # fmt: skip
    for slab, grids in _slabs(axes, count):
        value, v = _value(core, grids), grid_of(tabulated(potential, [grid.x for grid in grids]), value_shape(grids))
        weight = _outer([grid.weight for grid in grids])
        density = (weight * value**2).reshape(count, -1)
        flat = value.reshape(count, -1)
        sums["overlap"] += (weight.ravel() * flat) @ flat.T
        sums["form"] += density @ v.ravel()
        sums["size"] += density @ np.abs(v).ravel()
        for axis, grid in enumerate(grids):
            slope = along(core, [one.jets[1 if place == axis else 0] for place, one in enumerate(grids)])
            kinetic = (weight * slope**2).reshape(count, -1).sum(axis=1) / grid.mass
            sums["form"] += kinetic
            sums["size"] += kinetic
            x = np.broadcast_to(grid.x.reshape([-1 if place == axis else 1 for place in range(len(axes))]), v.shape)
            sums["moments"][axis] += (weight.ravel() * x.ravel() * flat) @ flat.T
            sums["squares"][axis] += density @ x.ravel() ** 2
        if blur is not None:
            sums["unseen"] += 2 * density @ blur[slab].ravel()
            sums["felt"] += density @ blur[slab].ravel() ** 2
    norm = np.diag(sums["overlap"])
    energies = sums["form"] / norm
    gram = np.zeros((count, count))
    for _, grids in _slabs(axes, count):
        v = grid_of(tabulated(potential, [grid.x for grid in grids]), value_shape(grids))
        residual = (v - energies.reshape(-1, *[1] * len(axes))) * _value(core, grids)
        for axis, grid in enumerate(grids):
            residual -= (
                along(core, [one.jets[2 if place == axis else 0] for place, one in enumerate(grids)]) / grid.mass
            )
        flat = residual.reshape(count, -1)
        gram += (_outer([grid.weight for grid in grids]).ravel() * flat) @ flat.T
    unit = 1 / np.sqrt(norm)
    gram = gram * np.outer(unit, unit)
    felt, size = np.sqrt(sums["felt"] / norm), np.sqrt(np.maximum(np.diag(gram), 0.0))
    del sizes
    return Forms(
        overlap=sums["overlap"], energies=energies, residual=gram, size=sums["size"] / norm,
        moments=sums["moments"] * np.outer(unit, unit), squares=sums["squares"] / norm, unseen=sums["unseen"] / norm,
        strayed=2 * (np.outer(size, felt) + np.outer(felt, size) + np.outer(felt, felt)),
    )  # fmt: skip


def value_shape(grids: Sequence[OnGrid]) -> tuple[int, ...]:
    return tuple(len(grid.x) for grid in grids)


def _value(core: np.ndarray, grids: Sequence[OnGrid]) -> np.ndarray:
    return along(core, [grid.jets[0] for grid in grids])


def _outer(weights: Sequence[np.ndarray]) -> np.ndarray:
    total = weights[0]
    for weight in weights[1:]:
        total = total[..., None] * weight
    return total


def _slabs(axes: Sequence[OnGrid], count: int) -> Any:
    """The grid in parts along its first axis: which places of it, and the axes there."""
    import dataclasses

    first = axes[0]
    per_row = count * int(np.prod([len(grid.x) for grid in axes[1:]]))
    rows = max(1, SLAB // max(per_row, 1))
    for begin in range(0, len(first.x), rows):
        part = slice(begin, begin + rows)
        cut = dataclasses.replace(first, x=first.x[part], weight=first.weight[part], jets=first.jets[..., part])
        yield part, [cut, *axes[1:]]
