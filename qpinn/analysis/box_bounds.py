"""Bounds on the levels of a box: residual norms on a product of quadratures, and sigma by Bazley and Fox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.analysis.axis_levels import AxisLevels, axis_levels
from qpinn.analysis.tensor import Forms, outer
from qpinn.bounds import bazley_fox
from qpinn.geometry.domain import Ends
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
    """What bounds levels from below.

    lower     (n,) lower bounds of the lowest levels
    together  how many levels are bounded together, with `lower[together]` as sigma; or why there are none, in `reason`
    products  of the comparison potential that they come from
    """

    lower: Float[np.ndarray, "n"]
    together: int
    products: int = 0
    reason: str | None = None

    @property
    def above(self) -> float:
        """Lower bound of the first level that is not bounded with the others; -inf where there is none."""
        return float(self.lower[self.together]) if self.reason is None else -np.inf


class Rules(NamedTuple):
    """The functions of every axis on four quadratures: their levels are solved on `fine` and checked on `check`, and
    products of them integrated on `products`, checked on `others`, which may be coarser; where V jumps on curves both
    on `cells`."""

    fine: Sequence[OnGrid]
    check: Sequence[OnGrid]
    products: Sequence[OnGrid]
    others: Sequence[OnGrid]
    cells: tuple[list[OnCell], list[OnCell]] | None = None


def sigma(potential: Any, compared: Comparison, rules: Rules, energies: Float[np.ndarray, "K"], asked: int) -> Sigma:
    """Lower bounds of the levels of a box from a comparison potential below V.

    energies  upper bounds of `asked` levels and some more, which are bounded with them up to a gap. Products
              are added until sigma has come half-way through a gap

    One of SIZES is tried after the other; the error of the integrals is looked at for the last one alone.
    """
    none = Sigma(np.full(asked + 1, -np.inf), asked, 0, "the comparison potential is too far below V")
    rough = [grid.ritz(np.asarray(v.at(grid.x[:, None]), np.float64))[0]
             for v, grid in zip(compared.pieces, rules.fine, strict=True)]  # fmt: skip
    most = max(SIZES[-1], 4 * asked)
    lowest = sums(rough, most)
    below = int((sum(e[lowest[:, axis]] for axis, e in enumerate(rough)) < energies[asked - 1] + compared.excess).sum())
    if below > most * (1 - WINDOW):
        return none._replace(reason=f"{below} levels or more of the comparison potential lie below them")
    best, share = None, 0.0
    for size in (size for size in sorted({*SIZES, most}) if size >= max(4 * asked, below)):
        chosen = _chosen(compared, rules, rough, size, potential.ends_of_axes)
        if chosen is None:
            continue
        forms = _forms(_parts(potential, compared, chosen, rules, checks=False))
        lower = chosen.bounds(forms, (0.0, 0.0)) - compared.excess
        here, kept = max((_reach(lower, energies, count), count) for count in range(asked, len(energies)))
        if here > share:
            best, share = (chosen, forms, kept), here
        if share >= 0.5:
            break
    if best is None:
        return none
    chosen, forms, count = best
    others = _forms(_parts(potential, compared, chosen, rules, checks=True))
    first, second = (2 * float(np.linalg.norm(one - other, 2)) for one, other in zip(forms, others, strict=True))
    lower = chosen.bounds(forms, (first, second)) - compared.excess
    reason = None if lower[count] > energies[count - 1] else "the integrals over products are not accurate enough"
    return Sigma(lower, count, len(chosen.used), reason)


def _reach(lower: np.ndarray, energies: np.ndarray, count: int) -> float:
    """How far through the gap above level `count` - 1 its lower bound is, times the gap in units of the widest."""
    gap = float(energies[count] - energies[count - 1])
    if len(lower) <= count or gap <= 0 or lower[count] <= energies[count - 1]:
        return 0.0
    widest = max(float(np.diff(energies[-len(energies) // 2 :]).max()), gap)
    return min(float(lower[count] - energies[count - 1]) / gap, 1.0) * min(1.0, 4 * gap / widest)


class _Chosen(NamedTuple):
    """Products `used` (k, d) of levels of the axes, and a lower bound of the first that is not among them."""

    levels: list[AxisLevels]
    used: np.ndarray
    tau: float

    def bounds(self, forms: tuple[np.ndarray, np.ndarray], errors: tuple[float, float]) -> np.ndarray:
        energies = sum(one.energies[self.used[:, axis]] for axis, one in enumerate(self.levels))
        return bazley_fox.lower(energies, *forms, self.tau, _residual(self.levels, self.used), errors)  # type: ignore


def _chosen(
    compared: Comparison, rules: Rules, rough: list[np.ndarray], size: int, ends: Sequence[Ends]
) -> _Chosen | None:
    """About `size` products, up to a gap of their energies; None where the axes have too few functions."""
    tuples = sums(rough, int(size * (1 + WINDOW)) + 1)
    total = sum(e[tuples[:, axis]] for axis, e in enumerate(rough))
    first = int(size * (1 - WINDOW))
    used = tuples[: first + int(np.argmax(np.diff(total[first - 1 :])))]  # type: ignore[index]
    highest = used.max(axis=0)
    levels = []
    for axis, v in enumerate(compared.pieces):
        count = int(highest[axis]) + 1 + BEYOND
        if count > len(rough[axis]) // 2:
            return None
        levels.append(axis_levels(v, rules.fine[axis], rules.check[axis], count, ends[axis]))
        if not np.isfinite(levels[-1].lower).all():
            return None
    within = {tuple(index) for index in used}
    for index in sums([one.lower for one in levels], 4 * len(used)):
        if tuple(index) not in within:
            return _Chosen(levels, used, float(sum(one.lower[place] for one, place in zip(levels, index, strict=True))))
    return None


def _residual(levels: Sequence[AxisLevels], used: np.ndarray) -> np.ndarray:
    """<r_i|r_j> of products for the sum of the H of the axes: Ritz functions are orthogonal to residuals."""
    same = [used[:, axis][:, None] == used[:, axis] for axis in range(len(levels))]
    total = np.zeros((len(used), len(used)))
    for axis, one in enumerate(levels):
        block = one.residual[used[:, axis][:, None], used[:, axis]]
        for other in range(len(levels)):
            block = block * same[other] if other != axis else block
        total += block
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


def _parts(potential: Any, compared: Comparison, chosen: _Chosen, rules: Rules, checks: bool) -> Iterator[Part]:
    """Products `used`, times roots of weights, and V' = V - sum v + excess; `checks` says on which quadrature."""
    if rules.cells is not None:
        return _on_cells(compared, chosen, rules.cells[checks])
    return _on_grid(potential, compared, chosen, rules.others if checks else rules.products)


def _on_grid(potential: Any, compared: Comparison, chosen: _Chosen, grids: Sequence[OnGrid]) -> Iterator[Part]:
    """The same slab by slab."""
    levels, used = chosen.levels, chosen.used
    d, k = len(grids), len(used)
    functions = [one.mix.T @ grid.jets[0] for one, grid in zip(levels, grids, strict=True)]
    inner = int(np.prod([len(grid.x) for grid in grids[1:]]))
    rows = max(1, 2**23 // (k * inner))
    for begin in range(0, len(grids[0].x), rows):
        slab = slice(begin, begin + rows)
        places = [grids[0].x[slab], *(grid.x for grid in grids[1:])]
        above = grid_of(tabulated(potential, places), [len(x) for x in places]) + compared.excess
        for axis, x in enumerate(places):
            separable = np.asarray(compared.pieces[axis].at(x[:, None]), np.float64)
            above -= separable.reshape([-1 if place == axis else 1 for place in range(d)])
        weight = outer([grids[0].weight[slab], *(grid.weight for grid in grids[1:])])
        product = functions[0][used[:, 0]][:, slab]
        for axis in range(1, d):
            product = product[..., None] * functions[axis][used[:, axis]].reshape(k, *[1] * axis, -1)
        yield (product * np.sqrt(weight)).reshape(k, -1), above.ravel()


def _on_cells(compared: Comparison, chosen: _Chosen, cells: Sequence[OnCell]) -> Iterator[Part]:
    """The same cell by cell."""
    for cell in cells:
        above, product = cell.v + compared.excess, np.sqrt(cell.weight)
        for axis, one in enumerate(chosen.levels):
            above = above - np.asarray(compared.pieces[axis].at(cell.places[axis][:, None]), np.float64)
            product = product * (one.mix[cell.within[axis]].T @ cell.jets[axis][0])[chosen.used[:, axis]]
        yield product, above


def spread(fine: Forms, check: Forms) -> Float[np.ndarray, "K K"]:
    """How far the entries of <r_i|r_j> may be from those on the finer quadrature."""
    return 2 * np.abs(fine.residual - check.residual) + fine.strayed
