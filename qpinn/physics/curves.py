"""Curves g(x, y) = 0 across which V jumps or bends: where they run in the cells of a plane, so that none is missed.

A cell in which interval arithmetic finds no zero of g lies on one side. In one where dg/dx has no zero and is not much
smaller than dg/dy, the curve is a graph x(y), which leaves it through faces where g is zero; or the same with x and y
in each other's place. Other cells are cut in four (Saye, SIAM J. Sci. Comput. 37 (2015) A993).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.physics.enclosure import HAIR
from qpinn.physics.interval import Interval
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.branches import slope
from qpinn.physics.potentials.formula import Node
from qpinn.physics.potentials.terms import at_places, coordinates

STEEPEST = 2.5
"""Slope |dx/dy| of a graph in a cell, at most: the shallower, the fewer points integrate up to it."""

DEEPEST = 9
"""Times that a cell is cut in four; where a curve has a corner or meets itself no number suffices."""

SEEN = 64
"""Places of a panel at which two curves are compared, to find where they cross."""


class Curve:
    """g of two coordinates, a tree without parameters, in a box, and its derivatives."""

    def __init__(self, tree: Node, box: Sequence[tuple[float, float]]) -> None:
        self.tree, self.box = tree, box
        pairs = coordinates(2)
        names = [next((name for name in pairs[axis::2] if name in formulas.parameters(tree)), pairs[axis])
                 for axis in (0, 1)]  # fmt: skip
        self.slopes = [slope(tree, name) for name in names]
        self.seconds = [slope(derivative, name) for derivative, name in zip(self.slopes, names, strict=True)]

    def at(self, x: Any, y: Any) -> Any:
        """g at positions, numbers or intervals."""
        return at_places(self.tree, {0: x, 1: y})

    def jets(self, x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "5 N"]:
        """g, dg/dx, dg/dy, d2g/dx2 and d2g/dy2."""
        trees = (self.tree, *self.slopes, *self.seconds)
        return np.stack([at_places(tree, {0: x, 1: y}) + 0.0 * x for tree in trees])

    @functools.cached_property
    def _zeros(self) -> dict[tuple[int, float], np.ndarray]:
        return {}

    def zeros(self, axis: int, at: float) -> Float[np.ndarray, "n"]:
        """Where g is zero along the other coordinate where coordinate `axis` is `at`."""
        if (axis, at) not in self._zeros:
            tree = formulas.bound(self.tree, dict.fromkeys(coordinates(2)[axis::2], at))
            for name in coordinates(2)[1 - axis :: 2]:
                tree = _renamed(tree, name)
            self._zeros[axis, at] = np.array(formulas.zeros(tree, *self.box[1 - axis]))
        return self._zeros[axis, at]


def _renamed(node: Node, name: str) -> Node:
    """A tree of the coordinate `name` as one of x."""
    if node.operation == "parameter":
        return Node("x") if node.operands[0] == name else node
    return Node(node.operation, tuple(_renamed(child, name) if isinstance(child, Node) else child
                                      for child in node.operands))  # fmt: skip


class Piece(NamedTuple):
    """A rectangle in the cell `cell`, with the curves that run through it as graphs along `axis`; none: axis is -1.

    panels  (P + 1,) places on the other axis between which each of the graphs stays in the piece, or outside of it
    """

    cell: tuple[int, int]
    low: tuple[float, float]
    high: tuple[float, float]
    axis: int
    panels: Float[np.ndarray, "P+1"]
    curves: tuple[Curve, ...]


def pieces(curves: Sequence[Curve], edges: Sequence[Float[np.ndarray, "S+1"]]) -> list[Piece]:
    """The cells between the edges of two axes, cut where curves run through them.

    Raises ValueError where a curve has a corner, an end or a double point that no cut resolves.
    """
    every = []
    for i in range(len(edges[0]) - 1):
        for j in range(len(edges[1]) - 1):
            low, high = (edges[0][i], edges[1][j]), (edges[0][i + 1], edges[1][j + 1])
            every += _cut(tuple(curves), (i, j), tuple(map(float, low)), tuple(map(float, high)), 0)  # type: ignore
    return every


def _cut(
    curves: tuple[Curve, ...], cell: tuple[int, int], low: tuple[float, float], high: tuple[float, float], depth: int
) -> list[Piece]:
    hair = [HAIR * max(abs(low[axis]), abs(high[axis])) for axis in (0, 1)]
    x, y = (Interval(low[axis] + hair[axis], high[axis] - hair[axis]) for axis in (0, 1))
    active = tuple(curve for curve in curves if _holds_zero(curve.at(x, y)))
    if not active:
        return [Piece(cell=cell, low=low, high=high, axis=-1, panels=np.array([low[1], high[1]]), curves=())]
    ranges = [[at_places(derivative, {0: x, 1: y}) for derivative in curve.slopes] for curve in active]
    steep = [max(_ratio(both[1 - axis], both[axis]) for both in ranges) for axis in (0, 1)]
    axis = int(np.argmin(steep))
    if steep[axis] <= STEEPEST:
        panels = _panels(active, axis, low, high)
        return [Piece(cell=cell, low=low, high=high, axis=axis, panels=panels, curves=active)]
    if depth == DEEPEST:
        place = ", ".join(f"{(a + b) / 2:.4g}" for a, b in zip(low, high, strict=True))
        raise ValueError(f"a curve where V jumps or bends is none that can be followed near ({place})")
    middle = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2)
    parts = []
    for right in (False, True):
        for upper in (False, True):
            corner = (middle[0] if right else low[0], middle[1] if upper else low[1])
            beyond = (high[0] if right else middle[0], high[1] if upper else middle[1])
            parts += _cut(active, cell, corner, beyond, depth + 1)
    return parts


def _holds_zero(value: Interval) -> bool:
    return bool((value.lo <= 0) & (value.hi >= 0))


def _ratio(above: Interval, below: Interval) -> float:
    """The largest slope of a graph; inf where it may be none."""
    least = float(below.mignitude)
    return float(above.magnitude) / least if least > 0 else np.inf


def _panels(curves: tuple[Curve, ...], axis: int, low: Any, high: Any) -> np.ndarray:
    """Places on the other axis where a graph enters or leaves the piece, or two of them cross."""
    begin, end = low[1 - axis], high[1 - axis]
    places = [begin, end]
    for curve in curves:
        for side in (low[axis], high[axis]):
            places += [place for place in curve.zeros(axis, side) if begin < place < end]
    if len(curves) > 1:
        places += _meetings(curves, axis, low, high)
    least = 1e-13 * max(abs(begin), abs(end), end - begin)
    kept = [begin]
    for place in sorted(places):
        if kept[-1] + least < place < end - least:
            kept.append(place)
    return np.array([*kept, end])


def _meetings(curves: tuple[Curve, ...], axis: int, low: Any, high: Any) -> list[float]:
    """Where two graphs cross."""

    def apart(first: Curve, second: Curve, at: np.ndarray) -> np.ndarray:
        return graph(first, axis, low[axis], high[axis], at) - graph(second, axis, low[axis], high[axis], at)

    at, crossings = np.linspace(low[1 - axis], high[1 - axis], SEEN), []
    for place, first in enumerate(curves):
        for second in curves[:place]:
            sign = np.sign(apart(first, second, at))
            change = np.flatnonzero(sign[:-1] * sign[1:] < 0)
            left, right, before = at[change], at[change + 1], sign[change]
            for _ in range(60):
                middle = (left + right) / 2
                same = np.sign(apart(first, second, middle)) == before
                left, right = np.where(same, middle, left), np.where(same, right, middle)
            crossings += right.tolist()
    return crossings


def graph(curve: Curve, axis: int, low: float, high: float, others: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Where along `axis` between low and high g changes its sign, at places of the other axis; `low` where it does not.

    By bisection to neighbouring numbers, all at once.
    """

    def sign(at: np.ndarray) -> np.ndarray:
        return np.sign(curve.at(at, others) if axis == 0 else curve.at(others, at))

    left, right = np.full(len(others), low), np.full(len(others), high)
    before = sign(left)
    changes = before * sign(right) < 0
    while True:
        middle = (left + right) / 2
        moves = (left < middle) & (middle < right)
        if not moves.any():
            return np.where(changes, right, low)
        same = sign(middle) == before
        left, right = np.where(same & moves, middle, left), np.where(same | ~moves, right, middle)


def extent(pieces: Sequence[Piece], curve: Curve) -> tuple[tuple[float, float], tuple[float, float]]:
    """About how far a curve reaches along both axes."""
    places: list[tuple[np.ndarray, np.ndarray]] = []
    for piece in pieces:
        if curve in piece.curves:
            axis, low, high = piece.axis, piece.low[piece.axis], piece.high[piece.axis]
            others = np.linspace(piece.panels[:-1], piece.panels[1:], SEEN).ravel()
            along = graph(curve, axis, low, high, others)
            inside = along > low
            places.append((along[inside], others[inside]) if axis == 0 else (others[inside], along[inside]))
    x, y = (np.concatenate([one[axis] for one in places]) for axis in (0, 1))
    return (float(x.min()), float(x.max())), (float(y.min()), float(y.max()))


def points(piece: Piece, rule: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and weights (N,) of a Gauss-Legendre rule on [-1, 1] between the walls of a piece and its curves."""
    nodes, weights = rule
    if piece.axis < 0:
        x, y = (_scaled(nodes, piece.low[axis], piece.high[axis]) for axis in (0, 1))
        area = (piece.high[0] - piece.low[0]) * (piece.high[1] - piece.low[1]) / 4
        return np.repeat(x, len(y)), np.tile(y, len(x)), area * np.outer(weights, weights).ravel()
    axis, low, high = piece.axis, piece.low[piece.axis], piece.high[piece.axis]
    size = np.diff(piece.panels)
    others = (piece.panels[:-1, None] + size[:, None] * (nodes + 1) / 2).ravel()
    along = (size[:, None] * weights / 2).ravel()
    sides = [np.full(len(others), low), *(graph(curve, axis, low, high, others) for curve in piece.curves),
            np.full(len(others), high)]  # fmt: skip
    ends = np.sort(np.stack(sides, axis=1), axis=1)
    length = np.diff(ends, axis=1)
    positions = ends[:, :-1, None] + length[..., None] * (nodes + 1) / 2
    weight = along[:, None, None] * length[..., None] * weights / 2
    other = np.broadcast_to(others[:, None, None], positions.shape)
    kept = weight.ravel() > 0
    first, second = positions.ravel()[kept], other.ravel()[kept]
    x, y = (first, second) if axis == 0 else (second, first)
    return x, y, weight.ravel()[kept]


def _scaled(nodes: np.ndarray, low: float, high: float) -> np.ndarray:
    return low + (high - low) * (nodes + 1) / 2
