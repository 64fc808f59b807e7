"""Bounds on the levels of a box: residual norms on a product of quadratures, and sigma by Bazley and Fox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.analysis.axis_levels import AxisLevels, axis_levels
from qpinn.analysis.tensor import Forms, outer
from qpinn.bounds import bazley_fox
from qpinn.physics.mean_field import sums
from qpinn.physics.potentials.several import tabulated
from qpinn.physics.separable import Comparison
from qpinn.training.products import grid_of
from qpinn.wavefunctions.axis import OnGrid
from qpinn.wavefunctions.on_cells import OnCell

Part = tuple[Float[np.ndarray, "k N"], Float[np.ndarray, "N"]]

SIZES = (70, 140, 260)
"""Products of the comparison potential that are tried, about."""

WINDOW = 0.25
"""How far from such a number a gap of their energies is looked for, as a share of it."""

BEYOND = 3
"""Levels of an axis that are bounded beyond those that occur in the products."""


class Sigma(NamedTuple):
    """Lower bounds (n,) of the lowest levels, and how many products they come from; or why there are none."""

    lower: Float[np.ndarray, "n"]
    products: int
    reason: str | None = None


def sigma(
    potential: Any, compared: Comparison, fine: Sequence[OnGrid], check: Sequence[OnGrid],
    energies: Float[np.ndarray, "K+"], count: int, cells: tuple[list[OnCell], list[OnCell]] | None = None,
) -> Sigma:  # fmt: skip
    """Lower bounds of the levels of a box from a comparison potential below V.

    energies  of the levels, one beyond `count` at least: products are added until their bound of level `count` has come
              half-way to it from the level below
    cells     of both quadratures where V jumps on curves
    """
    last = Sigma(np.full(count + 1, -np.inf), 0, "the comparison potential is too far below V")
    wanted = float(energies[count - 1] + 0.5 * (energies[count] - energies[count - 1]))
    for size in SIZES:
        found = _with(potential, compared, fine, check, max(size, 4 * count), cells)
        if found is None:
            continue
        if len(found.lower) > count and found.lower[count] > last.lower[min(count, len(last.lower) - 1)]:
            last = found
        if len(last.lower) > count and last.lower[count] >= wanted:
            break
    if not last.lower[count] > energies[count - 1]:
        return last._replace(reason=last.reason or "the comparison potential is too far below V")
    return last


def _with(
    potential: Any, compared: Comparison, fine: Sequence[OnGrid], check: Sequence[OnGrid], size: int,
    cells: tuple[list[OnCell], list[OnCell]] | None,
) -> Sigma | None:  # fmt: skip
    """The bounds from about `size` products; None where the axes have too few functions."""
    d = len(fine)
    rough = [
        grid.ritz(np.asarray(v.at(grid.x[:, None]), np.float64))[0]
        for v, grid in zip(compared.pieces, fine, strict=True)
    ]
    tuples = sums(rough, int(size * (1 + WINDOW)) + 1)
    total = sum(rough[axis][tuples[:, axis]] for axis in range(d))
    first = int(size * (1 - WINDOW))
    k = first + int(np.argmax(np.diff(total[first - 1 :])))
    used = tuples[:k]
    counts = [min(int(used[:, axis].max()) + 1 + BEYOND, len(rough[axis]) // 2) for axis in range(d)]
    if any(used[:, axis].max() >= counts[axis] for axis in range(d)):
        return None
    levels = [
        axis_levels(v, *pair, n)
        for v, pair, n in zip(compared.pieces, zip(fine, check, strict=True), counts, strict=True)
    ]
    if not all(np.isfinite(one.lower).all() for one in levels):
        return None
    within = {tuple(index) for index in used}
    beyond = [index for index in sums([one.lower for one in levels], k + 4 * int(WINDOW * size) + 8)
              if tuple(index) not in within]  # fmt: skip
    if not beyond:
        return None
    tau = min(float(sum(levels[axis].lower[place] for axis, place in enumerate(index))) for index in beyond)
    energies = sum(levels[axis].energies[used[:, axis]] for axis in range(d))
    (first_, second), (first_check, second_check) = (
        _forms(_on_grid(potential, compared, levels, used, grids)) for grids in (fine, check)
    ) if cells is None else (_forms(_on_cells(compared, levels, used, own)) for own in cells)  # fmt: skip
    errors = (2 * float(np.linalg.norm(first_ - first_check, 2)), 2 * float(np.linalg.norm(second - second_check, 2)))
    lower = bazley_fox.lower(energies, first_, second, tau, _residual(levels, used), errors)
    return Sigma(lower - compared.excess, k)


def _residual(levels: Sequence[AxisLevels], used: np.ndarray) -> np.ndarray:
    """<r_i|r_j> of products for the sum of the H of the axes: Ritz functions are orthogonal to residuals."""
    same = [used[:, axis][:, None] == used[:, axis] for axis in range(len(levels))]
    total = np.zeros((len(used), len(used)))
    for axis, one in enumerate(levels):
        part = one.residual[used[:, axis][:, None], used[:, axis]]
        for other in range(len(levels)):
            part = part * same[other] if other != axis else part
        total += part
    return total


def _forms(parts: Iterator[Part]) -> tuple[np.ndarray, np.ndarray]:
    """<u_i|V'|u_j> and <u_i|V'^2|u_j> between products, from parts of the plane or the box."""
    first: Any = 0.0
    second: Any = 0.0
    for product, above in parts:
        with_v = product * above
        first = first + product @ with_v.T
        second = second + with_v @ with_v.T
    return first, second


def _on_grid(
    potential: Any, compared: Comparison, levels: Sequence[AxisLevels], used: np.ndarray, grids: Sequence[OnGrid]
) -> Iterator[Part]:
    """Products `used`, times roots of weights, and V' = V - sum v + excess, slab by slab."""
    d, k = len(grids), len(used)
    functions = [one.mix.T @ grid.jets[0] for one, grid in zip(levels, grids, strict=True)]
    inner = int(np.prod([len(grid.x) for grid in grids[1:]]))
    rows = max(1, 2**23 // (k * inner))
    for begin in range(0, len(grids[0].x), rows):
        part = slice(begin, begin + rows)
        places = [grids[0].x[part], *(grid.x for grid in grids[1:])]
        above = grid_of(tabulated(potential, places), [len(x) for x in places]) + compared.excess
        for axis, x in enumerate(places):
            own = np.asarray(compared.pieces[axis].at(x[:, None]), np.float64)
            above -= own.reshape([-1 if place == axis else 1 for place in range(d)])
        weight = outer([grids[0].weight[part], *(grid.weight for grid in grids[1:])])
        product = functions[0][used[:, 0]][:, part]
        for axis in range(1, d):
            product = product[..., None] * functions[axis][used[:, axis]].reshape(k, *[1] * axis, -1)
        yield (product * np.sqrt(weight)).reshape(k, -1), above.ravel()


def _on_cells(
    compared: Comparison, levels: Sequence[AxisLevels], used: np.ndarray, cells: Sequence[OnCell]
) -> Iterator[Part]:
    """The same cell by cell."""
    for cell in cells:
        above, product = cell.v + compared.excess, np.sqrt(cell.weight)
        for axis, one in enumerate(levels):
            above = above - np.asarray(compared.pieces[axis].at(cell.places[axis][:, None]), np.float64)
            product = product * (one.mix[cell.within[axis]].T @ cell.jets[axis][0])[used[:, axis]]
        yield product, above


def ends_at(energies: Float[np.ndarray, "n"], asked: int) -> int:
    """How many of the levels (n,) are bounded together: up to the widest gap after those that were asked for."""
    gaps = np.diff(energies[asked - 1 :])
    wide = np.flatnonzero(gaps > 0.2 * gaps.max())
    return asked + int(wide[0]) if gaps.size else asked


def spread(fine: Forms, check: Forms) -> Float[np.ndarray, "K K"]:
    """How far the entries of <r_i|r_j> may be from those on the finer quadrature."""
    return 2 * np.abs(fine.residual - check.residual) + fine.strayed
