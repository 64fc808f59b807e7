"""A comparison potential that separates and lies nowhere above V: v_1(x_1) + ... + v_d(x_d) <= V(x_1, ..., x_d).

The best of them for given densities rho_i is the solution of a linear programme,

    maximise  sum_i integral of v_i rho_i   with   sum_i v_i(x_i) <= V(x)   at the points of a grid,

the dual of Kantorovich's problem of transport with the cost V. Here v_i are cubic splines between the edges of an axis,
and what they exceed V by between the points is bounded by `qpinn.physics.cells` and taken off.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.physics import cells
from qpinn.physics.interval import Interval
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.piecewise import Sampled
from qpinn.physics.potentials.terms import Term, at_places, renumbered

EVEN = 0.1
"""Share of an even density: without it v_i falls without end where no state is, and its levels come in hundreds."""

HIGH = 6.0
"""V is cut off this many times as high above its least value as the highest level is: more helps nobody."""

FINE = {1: 8, 2: 8, 3: 4}
"""Points in every segment of an axis where the splines are compared with V, by the number of axes."""

BLOCK = 4
"""Of these points along every axis, the worst one of each such block joins the linear programme."""

ROUNDS = 15

DEGREE = 7
"""Of the polynomials in place of terms of one axis alone."""

NEAR = 2e-3
"""Of the width of the box: how near of a curve where V jumps the comparison potential is below the lower side of it."""

LOSS = {2: 1e-3, 3: 1e-2}
"""How far v may exceed V, relative to the highest level above the least V, by the number of axes."""


class Comparison(NamedTuple):
    """v_i of every axis, and how far their sum may exceed V."""

    pieces: list[Sampled]
    excess: float


def comparison(
    potential: Any,
    edges: Sequence[Float[np.ndarray, "S+1"]],
    densities: Sequence[tuple[Float[np.ndarray, "Q"], Float[np.ndarray, "Q"]]],
    top: float,
    crossed: float | None = None,
) -> Comparison:
    """The comparison potential of V in a box.

    edges      of the segments of every axis, V's breakpoints among them
    densities  positions and |phi|^2 times weights of the states that matter, on every axis
    top        energy of the highest of them; inf: V is not cut off
    crossed    by how much it may exceed V before that is taken off; None: `LOSS` of the height of `top`
    """
    d = len(edges)
    splines = [_Splines(own, potential.breakpoints[axis]) for axis, own in enumerate(edges)]
    places = [_places(own, 2) for own in edges]
    goal = []
    for axis, (x, density) in enumerate(densities):
        even = np.gradient(places[axis]) / (edges[axis][-1] - edges[axis][0])
        near = density @ splines[axis].at(x) / density.sum()
        goal.append((1 - EVEN) * near + EVEN * even @ splines[axis].at(places[axis]))
    fine = [_places(own, FINE[d]) for own in edges]
    points = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1)
    over = _low(potential, points.reshape(-1, d), edges).reshape(points.shape[:-1])
    cap = over.min() + HIGH * max(top - float(over.min()), 1e-12)
    crossed = LOSS[d] * max(top - float(over.min()), 1e-12) if crossed is None else crossed
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*places, indexing="ij")], axis=-1)
    best: Comparison | None = None
    for _ in range(ROUNDS):
        weights = _highest(splines, goal, grid, np.minimum(_low(potential, grid, edges), cap))
        if weights is None:
            break
        values = [one.at(x) @ own for one, x, own in zip(splines, fine, weights, strict=True)]
        above = functools.reduce(np.add.outer, values) - over
        worst = _worst(above, fine)
        if above.max() <= crossed / 2:
            pieces = _pieces(splines, weights, places)
            low, worst = cells.least(potential, pieces, edges, -crossed)
            if best is None or -low < best.excess:
                best = Comparison(pieces, max(-low, 0.0))
            if low >= -2 * crossed or not len(worst):
                break
            worst = worst[:: max(1, len(worst) // 500)]
        grid = np.concatenate([grid, worst])
    if best is None:
        pieces = _pieces(splines, weights or [np.zeros(one.count) for one in splines], places)
        best = Comparison(pieces, max(-cells.least(potential, pieces, edges, -crossed)[0], 0.0))
    return best


def _low(potential: Any, places: Float[np.ndarray, "n d"], edges: Sequence[Float[np.ndarray, "S+1"]]) -> np.ndarray:
    """V at places (n, d); where it jumps on a curve `NEAR` one no more than V about there, so that cells that hold a
    place on either side need not be small."""
    v = np.asarray(potential.at(places), np.float64)
    reach = [NEAR * float(own[-1] - own[0]) for own in edges]
    about = [Interval(np.maximum(places[:, axis] - far, own[0]), np.minimum(places[:, axis] + far, own[-1]))
             for axis, (far, own) in enumerate(zip(reach, edges, strict=True))]  # fmt: skip
    for tree in potential.curves:
        g = at_places(tree, dict(enumerate(about)))
        near = np.flatnonzero(np.broadcast_to((g.lo <= 0) & (g.hi >= 0), len(v)))
        if near.size:
            v[near] = np.minimum(v[near], potential.enclosed([own[near] for own in about]).lo)
    return v


def _pieces(splines: Sequence[_Splines], weights: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> list[Sampled]:
    """The potentials of the axes, the least value of each but the first 0: a constant may go from one to the other."""
    lows = [float((one.at(x) @ own).min()) for one, x, own in zip(splines, places, weights, strict=True)]
    shifts = [sum(lows[1:]), *(-low for low in lows[1:])]
    return [one.potential(own + shift) for one, own, shift in zip(splines, weights, shifts, strict=True)]


def _places(edges: np.ndarray, count: int) -> np.ndarray:
    """Points between the edges, `count` in every segment, and the walls."""
    share = (np.arange(count) + 0.5) / count
    return np.concatenate([edges[:1], (edges[:-1, None] + np.diff(edges)[:, None] * share).ravel(), edges[-1:]])


def _highest(
    splines: Sequence[_Splines], goal: Sequence[np.ndarray], grid: np.ndarray, right: np.ndarray
) -> list[np.ndarray] | None:
    """Weights of the splines that make the goal largest, with their sum below `right` (n,) at the points (n, d)."""
    from scipy import optimize

    rows = np.concatenate([one.at(grid[:, axis]) for axis, one in enumerate(splines)], axis=1)
    unit = max(float(np.abs(right).max()), 1e-12)
    solved = optimize.linprog(-np.concatenate(goal), A_ub=rows, b_ub=right / unit, bounds=(-1e3, 1e3), method="highs")
    if solved.x is None:
        return None
    ends = np.cumsum([0, *(one.count for one in splines)])
    return [unit * solved.x[begin:end] for begin, end in pairwise(ends)]


def _worst(above: np.ndarray, fine: Sequence[np.ndarray]) -> np.ndarray:
    """The highest points above zero, one from each block of the grid (n, d)."""
    size = [range(0, n, BLOCK) for n in above.shape]
    padded = np.full([BLOCK * len(starts) for starts in size], -np.inf)
    padded[tuple(slice(n) for n in above.shape)] = above
    blocks = padded.reshape([part for starts in size for part in (len(starts), BLOCK)])
    blocks = np.moveaxis(blocks, range(1, 2 * above.ndim, 2), range(above.ndim, 2 * above.ndim))
    flat = blocks.reshape(*blocks.shape[: above.ndim], -1)
    where = np.argwhere(flat.max(axis=-1) > 0)
    within = np.stack(np.unravel_index(flat.argmax(axis=-1)[tuple(where.T)], (BLOCK,) * above.ndim), axis=1)
    index = where * BLOCK + within
    return np.stack([x[index[:, axis]] for axis, x in enumerate(fine)], axis=1)


class _Splines:
    """Cubic B-splines between edges, with jumps at breakpoints."""

    def __init__(self, edges: np.ndarray, kinks: Sequence[float]) -> None:
        self.edges = np.asarray(edges, np.float64)
        apart = 1e-9 * (self.edges[-1] - self.edges[0])
        self.bends = tuple(int(np.argmin(np.abs(self.edges - kink))) for kink in kinks
                           if np.abs(self.edges - kink).min() <= apart)  # fmt: skip
        repeats = np.ones(len(self.edges), int)
        repeats[[0, -1]] = 4
        repeats[list(self.bends)] = 4
        self.knots = np.repeat(self.edges, repeats)
        self.count = len(self.knots) - 4

    def at(self, x: np.ndarray) -> np.ndarray:
        """Values (n, count) of every spline."""
        from scipy import interpolate

        return np.asarray(interpolate.BSpline.design_matrix(x, self.knots, 3).toarray())

    def potential(self, weights: np.ndarray) -> Sampled:
        from scipy import interpolate

        spline = interpolate.BSpline(self.knots, weights, 3)
        size = np.diff(self.edges)
        share = (1 - np.cos(np.pi * (np.arange(4) + 0.5) / 4)) / 2
        values = spline(self.edges[:-1, None] + size[:, None] * share)
        powers = np.linalg.solve(share[:, None] ** np.array([3, 2, 1, 0]), values.T)  # of the share of the way
        coefficients = powers / size ** np.array([3, 2, 1, 0])[:, None]
        return Sampled(knots=self.edges, coefficients=coefficients, file="", interpolation="cubic", bends=self.bends,
                       jumps=self.bends)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Alone:
    """One term of a potential of many axes, as a potential of its own axes."""

    potential: Any
    term: Term

    @property
    def dimension(self) -> int:
        return len(self.term.axes)

    @property
    def domain(self) -> Any:
        return tuple(self.potential.domain[axis] for axis in self.term.axes)

    @property
    def unlocated(self) -> tuple[int, ...]:
        return tuple(self.term.axes.index(axis) for axis in self.potential.unlocated if axis in self.term.axes)

    @property
    def breakpoints(self) -> Any:
        return tuple(self.potential.breakpoints[axis] for axis in self.term.axes)

    @property
    def terms(self) -> tuple[Term, ...]:
        return (renumbered(self.term),)

    @property
    def switches(self) -> tuple[Term, ...]:
        (own,) = self.terms
        return tuple(Term(own.axes, tree) for tree in formulas.switches(own.tree))

    @property
    def curves(self) -> tuple[Any, ...]:
        return tuple(switch.tree for switch in self.switches if len(formulas.parameters(switch.tree)) > 1)

    def at(self, x: Any) -> Any:
        return self.enclosed([x[..., place] for place in range(self.dimension)])

    def enclosed(self, cells: Sequence[Any]) -> Any:
        """The term on cells, or at places, of its axes."""
        return self.potential.term_at(self.term, dict(zip(self.term.axes, cells, strict=True)))


class ByTerms(NamedTuple):
    """A comparison potential of many axes: v_i of every axis, `shift` + sum_i v_i <= V, and what of it is from where.

    parts  for every term of several axes those axes, the pieces below it, and how far their sum may exceed it
    """

    pieces: list[Sampled]
    shift: float
    parts: list[tuple[Term, Comparison]]


def by_terms(
    potential: Any,
    edges: Sequence[Float[np.ndarray, "S+1"]],
    densities: Sequence[tuple[Float[np.ndarray, "Q"], Float[np.ndarray, "Q"]]],
    crossed: float,
) -> ByTerms:
    """The sum of the comparison potentials of all terms; what is of one axis alone is kept as it is.

    crossed  by how much their sum may exceed V before that is taken off
    """
    pieces = [Sampled(knots=own, coefficients=np.zeros((DEGREE + 1, len(own) - 1)), file="", interpolation="cubic",
                      bends=_Splines(own, potential.breakpoints[axis]).bends,
                      jumps=_Splines(own, potential.breakpoints[axis]).bends)
              for axis, own in enumerate(edges)]  # fmt: skip
    coupling = [term for term in potential.terms if len(term.axes) > 1]
    shift, parts = 0.0, []
    for term in potential.terms:
        own = [edges[axis] for axis in term.axes]
        if len(term.axes) == 0:
            shift += float(potential.term_at(term, {0: np.zeros(())}))
        elif len(term.axes) == 1:
            coefficients, off = _interpolated(Alone(potential, term), own[0])
            pieces[term.axes[0]] = _plus(pieces[term.axes[0]], coefficients)
            shift -= off
        else:
            found = comparison(Alone(potential, term), own, [densities[axis] for axis in term.axes], np.inf,
                               crossed / len(coupling))  # fmt: skip
            for axis, piece in zip(term.axes, found.pieces, strict=True):
                pieces[axis] = _plus(pieces[axis], piece.coefficients)
            shift -= found.excess
            parts.append((term, found))
    return ByTerms(pieces, shift, parts)


def _plus(piece: Sampled, coefficients: Float[np.ndarray, "p S"]) -> Sampled:
    """A piecewise polynomial plus another one between the same knots."""
    total = np.array(piece.coefficients)
    total[-len(coefficients) :] += coefficients
    return dataclasses.replace(piece, coefficients=total)


def _interpolated(alone: Alone, edges: Float[np.ndarray, "S+1"]) -> tuple[Float[np.ndarray, "p S"], float]:
    """Polynomials close to a term of one axis between the edges, and a bound on their distance from it."""
    share = (1 - np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))) / 2
    size = np.diff(edges)
    values = np.asarray(alone.at((edges[:-1, None] + size[:, None] * share)[..., None]), np.float64)
    powers = np.arange(DEGREE, -1, -1)
    coefficients = np.linalg.solve(share[:, None] ** powers, values.T) / size ** powers[:, None]
    if cells.degrees(alone)[0] <= DEGREE:
        return coefficients, 0.0
    hair = cells.HAIR * np.abs(edges).max()
    return coefficients, float(cells.stray(alone, edges[:-1, None] + hair, edges[1:, None] - hair, DEGREE).max())
