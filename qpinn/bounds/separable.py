"""A sum of functions of one axis each that lies below a function of several axes, as high as it can.

    w_1(x_1) + w_2(x_2) + ... <= V(x_1, x_2, ...),    integral of w_1 rho_1 + integral of w_2 rho_2 + ... largest

for densities rho_i: the dual of Kantorovich's problem of transport (1942), here among cubic splines by a linear
programme. Its constraints hold at points; where splines cross V between them, points are added. What then remains is
bounded by subdividing the box until V on cells, by intervals, says enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.physics.interval import Interval

EVEN = 0.05
"""Share of an even density, so that the splines follow V where rho is small too."""

ROUNDS = 8
CLOSE = 1e-4
"""The rounds end where splines cross V by less than this share of the range of their average."""

MOST_CELLS = 400_000
"""Cells that are looked at on each level of subdivision, and levels of it."""

LEVELS = 14

Function = Callable[[Sequence[Any]], Any]
"""V at positions on each of its axes, arrays or intervals that go together."""


class Below(NamedTuple):
    """Splines w_i (scipy `BSpline`) of each axis, and `crossed`: V - sum w_i is nowhere below -crossed."""

    splines: list[Any]
    crossed: float


def separable_below(
    function: Function, knots: Sequence[Float[np.ndarray, "s"]], densities: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Below:
    """The highest sum of splines below V.

    knots      from wall to wall of each axis
    densities  of each axis points (Q,) and the share of rho there (Q,), weights of a quadrature included
    """
    from scipy.interpolate import BSpline

    wide = [np.concatenate([[edges[0]] * 3, edges, [edges[-1]] * 3]) for edges in knots]
    aims = [_aim(edges, *density) for edges, density in zip(wide, densities, strict=True)]
    places = [np.unique(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2])) for edges in knots]
    fine = [_between(edges, 8 if len(knots) < 3 else 3) for edges in knots]
    points = np.stack([mesh.ravel() for mesh in np.meshgrid(*places, indexing="ij")], axis=1)
    v = function(np.meshgrid(*fine, indexing="ij", sparse=True)) + np.zeros([len(x) for x in fine])
    rows = [_rows(x, edges) for x, edges in zip(fine, wide, strict=True)]
    for _ in range(ROUNDS):
        coefficients = _highest(function, wide, aims, points)
        above = -v
        for axis, (basis, c) in enumerate(zip(rows, coefficients, strict=True)):
            above = above + (basis @ c).reshape([-1 if axis == place else 1 for place in range(len(knots))])
        scale = max(abs(sum(float(aim @ c) for aim, c in zip(aims, coefficients, strict=True))), 1e-3 * np.ptp(v))
        if above.max() <= CLOSE * scale:
            break
        points = np.concatenate([points, _worst(above, fine)])
    splines = [BSpline(edges, c, 3) for edges, c in zip(wide, coefficients, strict=True)]
    return Below(splines, crossed(function, splines, knots, CLOSE * scale))


def _aim(edges: np.ndarray, x: np.ndarray, share: np.ndarray) -> Float[np.ndarray, "n"]:
    """The average of every B-spline over the density."""
    even = np.linspace(edges[0], edges[-1], 2001)
    weights = np.full(len(even), 1.0)
    weights[[0, -1]] = 0.5
    aim = (share / share.sum()) @ _rows(x, edges)
    return (1 - EVEN) * aim + EVEN * (weights / weights.sum()) @ _rows(even, edges)


def _rows(x: np.ndarray, edges: np.ndarray) -> Float[np.ndarray, "Q n"]:
    """All B-splines at points."""
    from scipy.interpolate import BSpline

    return BSpline.design_matrix(np.clip(x, edges[0], edges[-1]), edges, 3).toarray()  # type: ignore[no-any-return]


def _between(edges: np.ndarray, count: int) -> np.ndarray:
    """Points from wall to wall, `count` to each stretch between knots."""
    share = np.arange(count) / count
    return np.append((edges[:-1, None] + share * np.diff(edges)[:, None]).ravel(), edges[-1])


def _highest(
    function: Function, wide: Sequence[np.ndarray], aims: Sequence[np.ndarray], points: Float[np.ndarray, "N d"]
) -> list[np.ndarray]:
    """Coefficients of the splines, below V at N points."""
    from scipy.optimize import linprog

    blocks = [_rows(points[:, axis], edges) for axis, edges in enumerate(wide)]
    free = [slice(0 if axis == 0 else 1, None) for axis in range(len(wide))]  # constants belong to the first axis
    matrix = np.concatenate([block[:, part] for block, part in zip(blocks, free, strict=True)], axis=1)
    aim = np.concatenate([aim[part] for aim, part in zip(aims, free, strict=True)])
    v = np.asarray(function(list(points.T)), np.float64) + np.zeros(len(points))
    scale = max(float(np.abs(v).max()), 1e-300)
    solved = linprog(-aim, A_ub=matrix, b_ub=v / scale, bounds=(None, None), method="highs")
    if solved.x is None:
        raise RuntimeError(f"the linear programme of a separable lower bound ended with: {solved.message}")
    ends = np.cumsum([len(aim[part]) for aim, part in zip(aims, free, strict=True)])[:-1]
    found = np.split(solved.x * scale, ends)
    return [c if axis == 0 else np.append(0.0, c) for axis, c in enumerate(found)]


def _worst(above: np.ndarray, fine: Sequence[np.ndarray], block: int = 8) -> Float[np.ndarray, "N d"]:
    """The points where splines are furthest above V, one from each block of the grid where they are."""
    sizes = [-(-n // block) for n in above.shape]
    padded = np.full([n * block for n in sizes], -np.inf)
    padded[tuple(slice(n) for n in above.shape)] = above
    split = padded.reshape([part for n in sizes for part in (n, block)])
    split = split.transpose([*range(0, split.ndim, 2), *range(1, split.ndim, 2)]).reshape(*sizes, -1)
    best = split.argmax(axis=-1)
    where = np.argwhere(np.take_along_axis(split, best[..., None], axis=-1)[..., 0] > 0)
    within = np.stack(np.unravel_index(best[tuple(where.T)], (block,) * above.ndim), axis=1)
    index = where * block + within
    return np.stack([x[index[:, axis]] for axis, x in enumerate(fine)], axis=1)


def crossed(
    function: Function, splines: Sequence[Any], knots: Sequence[Float[np.ndarray, "s"]], enough: float
) -> float:
    """A number c >= 0 with V - sum w_i >= -c everywhere, by subdivision until c is below `enough` or cells are too many.

    On a cell V is enclosed by intervals, and w_i, a cubic, by its Taylor series about the middle.
    """
    cells = np.stack([mesh.ravel() for mesh in np.meshgrid(
        *(np.arange(len(edges) - 1) for edges in knots), indexing="ij")], axis=1)  # fmt: skip
    left = np.stack([edges[cells[:, axis]] for axis, edges in enumerate(knots)], axis=1)
    right = np.stack([edges[cells[:, axis] + 1] for axis, edges in enumerate(knots)], axis=1)
    settled = enough
    for level in range(LEVELS):
        low = _least(function, splines, left, right)
        open_ = ~(low >= -settled)
        if not open_.any():
            return settled
        last = level == LEVELS - 1 or open_.sum() * 2 ** len(knots) > MOST_CELLS
        if last:
            return float(-low[open_].min())
        left, right = left[open_], right[open_]
        for axis in range(len(knots)):
            middle = (left[:, axis] + right[:, axis]) / 2
            halves = left.copy(), right.copy()
            halves[0][:, axis], halves[1][:, axis] = middle, middle
            left, right = np.concatenate([left, halves[0]]), np.concatenate([halves[1], right])
    return np.inf


def _least(function: Function, splines: Sequence[Any], left: np.ndarray, right: np.ndarray) -> Float[np.ndarray, "N"]:
    """Lower bounds (N,) of V - sum w_i on cells."""
    v = function([Interval(left[:, axis], right[:, axis]) for axis in range(left.shape[1])])
    low = v.lo if isinstance(v, Interval) else np.asarray(v) + np.zeros(len(left))
    for axis, spline in enumerate(splines):
        middle, half = (left[:, axis] + right[:, axis]) / 2, (right[:, axis] - left[:, axis]) / 2
        value, *slopes = (spline(middle, nu) for nu in range(4))
        reach = sum(np.abs(slope) * half**power / factor
                    for power, (slope, factor) in enumerate(zip(slopes, (1, 2, 6), strict=True), 1))  # fmt: skip
        low = low - value - reach
    return low
