"""Functions of two or three coordinates on a product of quadratures: energies, residuals and moments, slab by slab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.physics.potentials.several import tabulated
from qpinn.training.products import along, grid_of
from qpinn.wavefunctions.axis import Axis, OnGrid
from qpinn.wavefunctions.product import Core, unfolded

SLAB = 2**21
"""Numbers of one field of all functions that are held at once."""


class Forms(NamedTuple):
    """What integrals say of K functions on a grid, for unit norm.

    overlap    (K, K) <psi_i|psi_j>
    energies   (K,) Rayleigh quotients
    residual   (K, K) <r_i|r_j> with r = H psi - E psi
    size       (K,) the energy with all signs positive
    kinetic    (K, K) <i|T|j>
    moments    (d, K, K) <i|x|j>, squares (d, K, K) <i|x^2|j>
    unseen     (K,) bound on what `blur` makes in each energy; strayed (K, K) in each entry of <r_i|r_j>
    """

    overlap: Float[np.ndarray, "K K"]
    energies: Float[np.ndarray, "K"]
    residual: Float[np.ndarray, "K K"]
    size: Float[np.ndarray, "K"]
    kinetic: Float[np.ndarray, "K K"]
    moments: Float[np.ndarray, "d K K"]
    squares: Float[np.ndarray, "d K K"]
    unseen: Float[np.ndarray, "K"]
    strayed: Float[np.ndarray, "K K"]


def ritz_mix(potential: Any, axes: Sequence[OnGrid], core: Float[np.ndarray, "K *n"]) -> Float[np.ndarray, "K K"]:
    """The mix that makes functions orthonormal and diagonalises H among them; as they are where they are dependent."""
    from scipy import linalg

    count = len(core)
    overlap, form = np.zeros((count, count)), np.zeros((count, count))
    for _, grids, v, weight in _slabs(potential, axes, count):
        value = _value(core, grids).reshape(count, -1)
        overlap += (weight.ravel() * value) @ value.T
        form += (weight.ravel() * v.ravel() * value) @ value.T
        for axis, grid in enumerate(grids):
            slope = _value(core, grids, {axis: 1}).reshape(count, -1)
            form += (weight.ravel() / grid.mass * slope) @ slope.T
    try:
        return np.asarray(linalg.eigh((form + form.T) / 2, (overlap + overlap.T) / 2)[1])
    except (linalg.LinAlgError, ValueError):
        return np.eye(count)


def forms(
    potential: Any, axes: Sequence[OnGrid], core: Float[np.ndarray, "K *n"], blur: Float[np.ndarray, "*Q"] | None = None
) -> Forms:
    """The integrals of functions with coefficients `core` in products of the functions of `axes`.

    blur  bound on the distance of V from what the quadrature integrates exactly; None: none

    One pass for energies and one for residuals, as those are a millionth of what is subtracted in them.
    """
    count, d = len(core), len(axes)
    names = {"overlap": (count, count), "form": (count,), "kinetic": (count, count), "size": (count,),
             "moments": (d, count, count), "squares": (d, count, count), "unseen": (count,),
             "felt": (count,)}  # fmt: skip
    total = {name: np.zeros(shape) for name, shape in names.items()}
    for part, grids, v, weight in _slabs(potential, axes, count):
        value = _value(core, grids).reshape(count, -1)
        density = weight.ravel() * value**2
        total["overlap"] += (weight.ravel() * value) @ value.T
        total["form"] += density @ v.ravel()
        total["size"] += density @ np.abs(v).ravel()
        for axis, grid in enumerate(grids):
            slope = _value(core, grids, {axis: 1}).reshape(count, -1)
            total["kinetic"] += (weight.ravel() / grid.mass * slope) @ slope.T
            x = np.broadcast_to(grid.x.reshape(_along(axis, d)), v.shape).ravel()
            total["moments"][axis] += (weight.ravel() * x * value) @ value.T
            total["squares"][axis] += (weight.ravel() * x**2 * value) @ value.T
        if blur is not None:
            total["unseen"] += 2 * density @ blur[part].ravel()
            total["felt"] += density @ blur[part].ravel() ** 2
    norm = np.diag(total["overlap"])
    kinetic = np.diag(total["kinetic"])
    energies = (total["form"] + kinetic) / norm
    gram = np.zeros((count, count))
    for _, grids, v, weight in _slabs(potential, axes, count):
        residual = (v - energies.reshape(-1, *[1] * d)) * _value(core, grids)
        for axis, grid in enumerate(grids):
            residual -= _value(core, grids, {axis: 2}) / grid.mass
        flat = residual.reshape(count, -1)
        gram += (weight.ravel() * flat) @ flat.T
    unit = np.outer(1 / np.sqrt(norm), 1 / np.sqrt(norm))
    gram = gram * unit
    felt, size = np.sqrt(total["felt"] / norm), np.sqrt(np.maximum(np.diag(gram), 0.0))
    return Forms(
        overlap=total["overlap"], energies=energies, residual=gram, kinetic=total["kinetic"] * unit,
        size=(total["size"] + kinetic) / norm, moments=total["moments"] * unit, squares=total["squares"] * unit,
        unseen=total["unseen"] / norm,
        strayed=2 * (np.outer(size, felt) + np.outer(felt, size) + np.outer(felt, felt)),
    )  # fmt: skip


class Fields(NamedTuple):
    """K functions and H of them (K, Q_1, ..., Q_d), and V (Q_1, ..., Q_d), on a grid of points."""

    psi: Float[np.ndarray, "K *Q"]
    h_psi: Float[np.ndarray, "K *Q"]
    v: Float[np.ndarray, "*Q"]


def fields(
    potential: Any, axes: Sequence[Axis], core: Float[np.ndarray, "K *n"], places: Sequence[Float[np.ndarray, "Q"]]
) -> Fields:
    """Functions on the grid of some positions of every axis."""
    grids = [axis.on(x, float(mass)) for axis, x, mass in zip(axes, places, potential.masses, strict=True)]
    v = grid_of(tabulated(potential, places), [len(x) for x in places])
    psi = _value(core, grids)
    h_psi = v * psi
    for axis, grid in enumerate(grids):
        h_psi -= _value(core, grids, {axis: 2}) / grid.mass
    return Fields(psi, h_psi, v)


def density(grid: OnGrid, core: Core, axis: int) -> Float[np.ndarray, "K Q"]:
    """|psi|^2 at the points of an axis, integrated over all others, whose functions are orthonormal."""
    table = unfolded(core, axis)
    mixed, values = table @ np.swapaxes(table, 1, 2), grid.jets[0][: table.shape[1]]
    return np.asarray(np.einsum("kab,aq,bq->kq", mixed, values, values, optimize=True))


def wall_flux(axes: Sequence[Axis], core: Core, masses: Sequence[float]) -> np.ndarray:
    """Integrals (K, d, 2) of (d psi / dn)^2 / m over both walls of every axis: for unit norm by how much E falls if a
    wall is moved outwards, divided by its way (Hadamard)."""
    flux = np.empty((len(core), len(axes), 2))
    for place, (axis, mass) in enumerate(zip(axes, masses, strict=True)):
        slopes = axis.on(np.asarray(axis.mesh.edges)[[0, -1]]).jets[1]
        table = unfolded(core, place)
        normal = np.einsum("kng,ne->kge", table, slopes[: table.shape[1]])
        flux[:, place] = (normal**2).sum(axis=1) / mass
    return flux


def _value(core: np.ndarray, grids: Sequence[OnGrid], orders: dict[int, int] | None = None) -> np.ndarray:
    """The functions, or their derivatives of some order along some axes, (K, Q_1, ..., Q_d)."""
    return along(core, [grid.jets[(orders or {}).get(axis, 0)] for axis, grid in enumerate(grids)])


def _along(axis: int, dimension: int) -> list[int]:
    """The shape of an array on one axis that is to go with one on all."""
    return [-1 if place == axis else 1 for place in range(dimension)]


def outer(weights: Sequence[np.ndarray]) -> np.ndarray:
    """Products of weights (Q_i,) on the grid of all axes."""
    total = weights[0]
    for weight in weights[1:]:
        total = total[..., None] * weight
    return total


def _slabs(potential: Any, axes: Sequence[OnGrid], count: int) -> Iterator[Any]:
    """The grid in parts along its first axis: which places of it, the axes there, V and the weights."""
    first = axes[0]
    per_row = count * int(np.prod([len(grid.x) for grid in axes[1:]]))
    rows = max(1, SLAB // max(per_row, 1))
    for begin in range(0, len(first.x), rows):
        part = slice(begin, begin + rows)
        grids = [first.part(part), *axes[1:]]
        v = grid_of(tabulated(potential, [grid.x for grid in grids]), [len(grid.x) for grid in grids])
        yield part, grids, v, outer([grid.weight for grid in grids])
