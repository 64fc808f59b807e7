"""A comparison potential that separates and lies nowhere above V: v_1(x_1) + ... + v_d(x_d) <= V(x_1, ..., x_d).

The best of them for given densities rho_i is the solution of a linear programme,

    maximise  sum_i integral of v_i rho_i   with   sum_i v_i(x_i) <= V(x)   at the points of a grid,

the dual of Kantorovich's problem of transport with the cost V. Here v_i are cubic splines between the edges of an axis,
and what they exceed V by between the points is bounded by `qpinn.physics.cells` and taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.physics import cells
from qpinn.physics.interval import Interval
from qpinn.physics.potentials.piecewise import Sampled
from qpinn.physics.potentials.several import at_places

EVEN = 0.1
"""Share of an even density: without it v_i falls without end where no state is, and its levels come in hundreds."""

HIGH = 6.0
"""V is cut off this many times as high above its least value as the highest level is: more helps nobody."""

POINTS = {2: 4, 3: 3}
"""Of the linear programme in every segment of an axis, by the number of axes."""

ROUNDS = 3

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
) -> Comparison:
    """The comparison potential of V in a box.

    edges      of the segments of every axis, V's breakpoints among them
    densities  positions and |phi|^2 times weights of the states that matter, on every axis
    top        energy of the highest of them
    """
    from scipy import optimize

    d = len(edges)
    splines = [_Splines(own, potential.breakpoints[axis]) for axis, own in enumerate(edges)]
    share = (1 - np.cos(np.pi * (np.arange(POINTS[d]) + 0.5) / POINTS[d])) / 2
    places = [np.concatenate([[own[0]], (own[:-1, None] + np.diff(own)[:, None] * share).ravel(), [own[-1]]])
              for own in edges]  # fmt: skip
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*places, indexing="ij")], axis=-1)
    goal = []
    for axis, (x, density) in enumerate(densities):
        even = np.gradient(places[axis]) / (edges[axis][-1] - edges[axis][0])
        near = density @ splines[axis].at(x) / density.sum()
        goal.append((1 - EVEN) * near + EVEN * even @ splines[axis].at(places[axis]))
    v = np.asarray(potential.at(grid), np.float64)
    cap = v.min() + HIGH * max(top - float(v.min()), 1e-12)
    wanted = -LOSS[d] * max(top - float(v.min()), 1e-12)
    best: Comparison | None = None
    for _ in range(ROUNDS):
        rows = np.concatenate([splines[axis].at(grid[:, axis]) for axis in range(d)], axis=1)
        right = np.minimum(_low(potential, grid, edges), cap)
        unit = max(float(np.abs(right).max()), 1e-12)
        solved = optimize.linprog(
            -np.concatenate(goal), A_ub=rows, b_ub=right / unit, bounds=(-1e3, 1e3), method="highs"
        )
        if solved.x is None:
            break
        ends = np.cumsum([0, *(one.count for one in splines)])
        weights = [unit * solved.x[begin:end] for begin, end in pairwise(ends)]
        for axis in range(1, d):  # a constant may go from one to the other
            low = float((splines[axis].at(places[axis]) @ weights[axis]).min())
            weights[axis], weights[0] = weights[axis] - low, weights[0] + low
        pieces = [one.potential(own) for one, own in zip(splines, weights, strict=True)]
        low, worst = cells.least(potential, pieces, edges, wanted)
        if best is None or -low < best.excess:
            best = Comparison(pieces, max(-low, 0.0))
        if low >= 2 * wanted or not len(worst):
            break
        grid = np.concatenate([grid, worst[:: max(1, len(worst) // 500)]])
    if best is None:
        flat = [one.potential(np.zeros(one.count)) for one in splines]
        best = Comparison(flat, max(-cells.least(potential, flat, edges, -np.inf)[0], 0.0))
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
