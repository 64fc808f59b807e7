"""The least value of V less functions of one coordinate each, over a whole box, from below.

In a cell the difference is close to a polynomial: its values at Chebyshev points give the coefficients in Bernstein's
basis, none of which the polynomial is below, and interval arithmetic in a complex neighbourhood bounds the distance
(`qpinn.physics.enclosure`). Where V jumps in a cell, its interval does. Cells are halved where the bound is below what
is wanted.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.physics.enclosure import HAIR
from qpinn.physics.interval import EPS, Interval, Region
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.formula import Node
from qpinn.physics.potentials.several import OneSided
from qpinn.physics.potentials.terms import at_places, coordinates

DEGREE = 6
"""Of the polynomials along every axis, where V itself is none of a lower degree."""

HIGHEST = 10
"""Degree of a V that is a polynomial up to which nothing is lost."""

MOST = {2: 20000, 3: 60000}
"""Cells that are looked at, by the number of axes."""

RADII = (1.3, 1.8, 3.0, 6.0)
"""Parameters of the ellipses that are tried."""

RECTANGLES = 4
"""Rectangles side by side that cover an ellipse."""


def degree(node: Node, name: str) -> float:
    """The degree of a tree as a polynomial in one of its coordinates, between its switches; inf where it is none."""
    if node.operation == "parameter":
        return float(node.operands[0] == name)
    if node.operation in ("heaviside", "sign", "floor", *formulas.COMPARED):
        return 0.0
    degrees = [degree(child, name) for child in node.operands if isinstance(child, Node)]
    if not any(degrees):
        return 0.0
    if node.operation in ("where", "abs", "minimum", "maximum"):
        return max(degrees)
    if node.operation in ("+", "-"):
        return max(degrees)
    if node.operation == "*":
        return sum(degrees)
    if node.operation == "/" and degrees[1] == 0:
        return degrees[0]
    if node.operation == "**" and node.operands[1] >= 0 and node.operands[1] == int(node.operands[1]):
        return degrees[0] * float(node.operands[1])
    return math.inf


@functools.lru_cache(maxsize=32)
def _bernstein(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev points (m + 1,) in (0, 1), and the matrix from values there to coefficients in Bernstein's basis."""
    s = (1 - np.cos(np.pi * (np.arange(m + 1) + 0.5) / (m + 1))) / 2
    j = np.arange(m + 1)
    basis = np.array([math.comb(m, i) for i in j]) * s[:, None] ** j * (1 - s[:, None]) ** (m - j)
    return s, np.linalg.inv(basis)


def hull(values: Float[np.ndarray, "n *m+1"], margin: Any = 0.0) -> Float[np.ndarray, "n"]:
    """Numbers (n,) that the polynomials with these values at the Chebyshev points of n cells do not fall below."""
    size = np.abs(values).reshape(len(values), -1).max(axis=1)
    growth = 1.0
    for axis in range(1, values.ndim):
        matrix = _bernstein(values.shape[axis] - 1)[1]
        values = np.moveaxis(np.tensordot(values, matrix, axes=(axis, 1)), -1, axis)
        growth *= float(np.abs(matrix).sum(axis=1).max())
    return np.asarray(values.reshape(len(values), -1).min(axis=1) - 16 * EPS * growth * size - margin)


def stray(potential: Any, low: Float[np.ndarray, "n d"], high: Float[np.ndarray, "n d"], m: int) -> Any:
    """Bound (n,) on the distance of V from its interpolant of degree m along every axis at Chebyshev points, on cells.

    Along one axis 4 M rho^-m / (rho - 1), M the largest |V - V_0| in the ellipse rho for all other coordinates
    (Trefethen, theorem 8.2); axis after axis, times the Lebesgue constants of those before.
    """
    n, d = low.shape
    lebesgue = 2 / math.pi * math.log(m + 1) + 1
    middle, half = (low + high) / 2, (high - low) / 2
    center = np.asarray(potential.at(middle), np.float64)[:, None]
    share = np.linspace(-1, 1, RECTANGLES + 1)
    total = np.zeros(n)
    for axis in range(d):
        others = [Interval(low[:, place, None] + np.zeros(RECTANGLES), high[:, place, None] + np.zeros(RECTANGLES))
                  for place in range(d)]  # fmt: skip
        least = np.full(n, np.inf)
        for rho in RADII:
            wide, tall = half[:, axis] * (rho + 1 / rho) / 2, half[:, axis] * (rho - 1 / rho) / 2
            ends = middle[:, axis, None] + wide[:, None] * share
            zero = np.zeros((n, RECTANGLES))
            region: Any = Region(
                Interval(ends[:, :-1], ends[:, 1:]), Interval(zero, tall[:, None] + zero), others[axis]
            )
            places: list[Any] = [region if place == axis else others[place] for place in range(d)]
            value: Any = potential.enclosed(places)
            if not isinstance(value, Region):
                value = Region(value, value * 0.0, value)
            with np.errstate(over="ignore", invalid="ignore"):
                size = np.broadcast_to((value - center).size.hi, (n, RECTANGLES)).max(axis=1)
                least = np.fmin(least, 4 * size * rho**-m / (rho - 1))
        total = total + lebesgue**axis * least
    return total


def stray_of_sides(potential: Any, low: Float[np.ndarray, "n d"], high: Float[np.ndarray, "n d"], m: int) -> Any:
    """The same from what V is on the sides of its switches that cells lie on; inf in a cell with two sides."""
    trees = [switch.tree for switch in potential.switches if switch.tree.operation != "floor"]
    if not trees:
        return stray(potential, low, high, m)
    total, signs = np.zeros(len(low)), np.zeros((len(low), len(trees)))
    places = {axis: Interval(low[:, axis], high[:, axis]) for axis in range(low.shape[1])}
    for column, tree in enumerate(trees):
        g = at_places(tree, places)
        total += np.where((g.lo < 0) & (g.hi > 0), np.inf, 0.0)
        signs[:, column] = g.lo >= 0
    decided = np.flatnonzero(np.isfinite(total))
    for row in np.unique(signs[decided], axis=0):
        those = decided[(signs[decided] == row).all(axis=1)]
        one = OneSided(potential, tuple(zip(trees, (row > 0).tolist(), strict=True)))
        if max(degrees(one)) > m:
            total[those] = stray(one, low[those], high[those], m)
    return total


def least(
    potential: Any,
    pieces: Sequence[Any],
    edges: Sequence[Float[np.ndarray, "S+1"]],
    wanted: float,
) -> tuple[float, Float[np.ndarray, "n d"]]:
    """A number that V - sum_i v_i does not fall below in the box, and places (n, d) where it may be below `wanted`.

    pieces  v_i, cubic polynomials between neighbouring `edges`, as `Sampled`
    """
    d = len(edges)
    orders_ = degrees(potential)
    exact = max(orders_) <= HIGHEST and not potential.curves
    orders = [max(int(order), 3) if exact else DEGREE for order in orders_]
    low, high = boxes(edges)
    hair = [HAIR * np.maximum(np.abs(cuts[0]), np.abs(cuts[-1])) for cuts in edges]
    bound, looked, seen, places_below = np.inf, 0, np.inf, [np.zeros((0, d))]
    while len(low):
        looked += len(low)
        nodes = [_bernstein(m)[0] for m in orders]
        places = [low[:, axis, None] + (high - low)[:, axis, None] * nodes[axis] for axis in range(d)]
        grid = [place.reshape(len(low), *[-1 if axis == other else 1 for other in range(d)])
                for axis, place in enumerate(places)]  # fmt: skip
        with np.errstate(all="ignore"):
            values = np.asarray(potential.at(np.stack(np.broadcast_arrays(*grid), axis=-1)), np.float64)
        size, tops = np.abs(values).reshape(len(low), -1).max(axis=1), np.zeros(len(low))
        for axis, piece in enumerate(pieces):
            separable = _within(piece, low[:, axis], high[:, axis], places[axis])
            size = size + np.abs(separable).max(axis=1)
            values = values - separable.reshape(grid[axis].shape)
            tops = tops + piece.enclose(low[:, axis] + hair[axis], high[:, axis] - hair[axis])[1]
        rounding = 32 * EPS * size
        seen = min(seen, float(np.nanmin(values)))
        aim = min(wanted, seen + wanted)  # no bound is above a value that is taken
        below = hull(np.nan_to_num(values)) - rounding
        if not exact:
            inner = [(low[:, axis] + hair[axis], high[:, axis] - hair[axis]) for axis in range(d)]
            plain = np.broadcast_to(potential.enclosed([Interval(*ends) for ends in inner]).lo, (len(low),)) - tops
            close = np.flatnonzero((below >= aim) & (plain < aim))  # where the distance from the polynomial decides
            margin = np.full(len(low), np.inf)
            first, last = (np.stack([ends[side] for ends in inner], axis=1)[close] for side in (0, 1))
            margin[close] = stray_of_sides(potential, first, last, DEGREE)
            with np.errstate(invalid="ignore"):
                below = np.fmax(below - margin, plain - rounding)
        wanting = below < aim
        places_below.append(((low + high) / 2)[(below < wanted) & ~wanting])
        bound = min(bound, float(below[~wanting].min(initial=np.inf)))
        if not wanting.any() or looked + 2**d * int(wanting.sum()) > MOST[d]:
            places_below.append(((low + high) / 2)[wanting])
            return min(bound, float(below.min(initial=np.inf))), np.concatenate(places_below)
        low, high = _halved(low[wanting], high[wanting])
    return bound, np.concatenate(places_below)


def degrees(potential: Any) -> list[float]:
    """The degree of V as a polynomial in every coordinate, between planes where it jumps; inf where it is none.

    Where these planes are not located it is none either.
    """
    names = coordinates(potential.dimension)
    by_axis: list[float] = [0.0] * potential.dimension
    for term in potential.terms:
        for axis in term.axes:
            variables = {name for name in names if names.index(name) % potential.dimension == axis}
            by_axis[axis] = max(by_axis[axis], *(degree(term.tree, name) for name in variables))
    for axis in potential.unlocated:
        by_axis[axis] = math.inf
    return by_axis


def _within(piece: Any, low: np.ndarray, high: np.ndarray, places: np.ndarray) -> np.ndarray:
    """v at places (n, m) of cells that lie in one of its pieces each, from that piece."""
    knots, coefficients = np.asarray(piece.knots), np.asarray(piece.coefficients)
    index = np.clip(np.searchsorted(knots, (low + high) / 2, side="right") - 1, 0, len(knots) - 2)
    step = places - knots[index][:, None]
    value = coefficients[0, index][:, None]
    for row in coefficients[1:]:
        value = value * step + row[index][:, None]
    return np.asarray(value)


def boxes(edges: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corners (n, d) of the cells between the edges of every axis, the last axis fastest."""
    low = np.array(list(itertools.product(*(cuts[:-1] for cuts in edges))))
    high = np.array(list(itertools.product(*(cuts[1:] for cuts in edges))))
    return low, high


def _halved(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells cut in two along every axis."""
    middle, lows, highs = (low + high) / 2, [], []
    for corner in itertools.product((False, True), repeat=low.shape[1]):
        upper = np.array(corner)
        lows.append(np.where(upper, middle, low))
        highs.append(np.where(upper, high, middle))
    return np.concatenate(lows), np.concatenate(highs)
