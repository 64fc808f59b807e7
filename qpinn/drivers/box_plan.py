"""What is settled of a box before its levels are solved, from V alone: walls, meshes of the axes, how many levels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.analysis import box_symmetry
from qpinn.drivers import budget
from qpinn.drivers.settings import Settings
from qpinn.physics import box_walls, cells, units
from qpinn.physics.mean_field import MeanField, Sinc, lowest_path, sums
from qpinn.physics.potentials.several import tabulated
from qpinn.training.index_products import fit_into
from qpinn.wavefunctions.axis import CUTOFF

EXTRA = 4
"""Levels beyond those asked for that are solved, to end at a gap of the spectrum."""

MOST_EXTRA = 60
"""The same where an axis has other ends than walls: there levels of the mean field come in many of one energy (24 and
48 of a free particle on three rings), and as many are solved as it takes to come to a gap."""

GAP = 0.2
"""A gap of the mean field is one that is more than this share of the widest among these."""

MOST_TERMS = 100_000
"""Products of more than three axes."""

PHASE = {2: 3.0, 3: 3.6}
"""Longest segment of an axis in radians of psi or decay lengths, by the number of axes."""

WIDTH = 16
"""Hidden units of a segment."""

FEWEST, MOST = 4, {2: 48, 3: 20}
"""Segments of an axis."""

FLAT = 0.3
"""Where V jumps on curves, segments are nowhere longer than 1 / 0.3 times those at the bottom of V: a comparison
potential that separates is low where V is not."""

POINTS = {2: (24, 20), 3: (18, 15)}
"""Gauss-Legendre points in a segment of the finer quadrature and of the one that it is checked with: at least 2 m + 4
for the m = 8 to 10 functions of a segment, or levels appear that are none."""

POINTS_OF_OTHERS = {2: (36, 30), 3: (24, 20)}
"""The same for a V that is no polynomial: what half of these points do not see of it enters the bounds."""

COARSE = (15, 12)
"""Of three axes, the two rules on which products of the comparison potential are integrated: hundreds of functions."""

GRADED = 0.2, 2
"""Beside a plane where V jumps, on which psi is singular at corners: how much shorter each segment is than the one
farther away, and how many times."""


CUTOFF_OF_PLANES = 1e-8
"""With 4e-7 bounds of smooth V are 100 times as wide; with this in three dimensions levels are off by 7e-10."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxPlan:
    """Walls, levels and meshes, settled before anything is solved; dimensionless.

    potential  with its walls; chosen says on which axes they were put where psi has decayed
    asked      levels that were asked for; `solved` of them and some more are solved
    first      index of the first one that is shown
    edges      (S + 1,) of the segments of every axis, as many on each
    field      mean field on even points, and `axes` these points
    top        about the highest level that is solved
    more       levels that are solved beyond those asked for
    """

    potential: Any
    chosen: tuple[bool, ...]
    asked: int
    first: int
    edges: tuple[Float[np.ndarray, "S+1"], ...]
    field: MeanField
    axes: list[Sinc]
    top: float
    more: int = EXTRA

    @property
    def cutoff(self) -> float:
        """Of the functions of an axis: a finer one in the plane, where the quadrature has points for them."""
        return CUTOFF_OF_PLANES if self.potential.dimension == 2 else CUTOFF

    @property
    def points(self) -> tuple[int, ...]:
        """Gauss-Legendre points in a segment of each quadrature: to measure on, to check that, and the last two for the
        products of the comparison potential."""
        d = self.potential.dimension
        polynomial = max(cells.degrees(self.potential)) <= kind(POINTS, d)[0] // 2
        rules = kind(POINTS if polynomial else POINTS_OF_OTHERS, d)
        return (*rules, *COARSE) if d == 3 else rules

    @property
    def height(self) -> float:
        """`top` above about the least V, that of the mean field: the same whatever constant V has."""
        return self.top - (sum(float(v.min()) for v in self.field.v) - self.field.excess)

    @functools.cached_property
    def sampled(self) -> Float[np.ndarray, "N d"]:
        """Random places where psi of the levels is to be found."""
        count = 1 + self.asked // 2
        return box_symmetry.places([(sinc.x, sinc.weight * (u[:count] ** 2).mean(axis=0))
                                    for sinc, u in zip(self.axes, self.field.functions, strict=True)])  # fmt: skip

    @property
    def solved(self) -> int:
        return self.asked + self.more


def of(potential: Any, settings: Settings, phase: float = 1.0) -> BoxPlan:
    """The plan for the levels of `settings`; `phase` makes all segments shorter by this factor.

    Raises ValueError for an axis that needs more segments than an axis can have, or for what settings cannot do here.
    """
    bare = units.dimensionless(potential, settings.units.units, settings.units.particle)
    d = bare.dimension
    asked = settings.level + 1
    boxed, chosen = box_walls.in_box(bare.between(settings.ends.of_axes(d)), asked + EXTRA)
    field, axes = box_walls.coarse(boxed)
    more = _more(field, asked) if boxed.joined else EXTRA
    top = box_walls.highest(field, asked + more)
    tables = tabulated(boxed, [axis.x for axis in axes])
    sizes = [len(axis.x) for axis in axes]
    edges = []
    for axis, sinc in enumerate(axes):
        low = lowest_path(tables, axis, sizes)
        kinks = boxed.breakpoints[axis]
        longest = (settings.ansatz.phase or kind(PHASE, d)) * phase
        flat = FLAT if d == 2 and boxed.curves else 0.0
        cuts = _edges(low, sinc, boxed.domain[axis], top, longest, kinks, flat, boxed.ends_of_axes[axis].ring)
        if d == 2 and all(boxed.breakpoints):  # planes that cross; of three axes the grid would be too large
            cuts = _graded(cuts, kinks)
        if len(cuts) - 1 > kind(MOST, d):
            raise ValueError(f"states={asked}: {len(cuts) - 1} segments are needed on axis {axis + 1}, more than "
                             f"{kind(MOST, d)}; fewer levels or a smaller box need less")  # fmt: skip
        edges.append(cuts)
    most = max(map(len, edges))
    return BoxPlan(
        potential=boxed, chosen=chosen, asked=asked, first=settings.level if settings.states is None else 0,
        edges=tuple(_filled(cuts, most) for cuts in edges), field=field, axes=axes, top=top,
        more=more,
    )  # fmt: skip


def _more(field: MeanField, asked: int) -> int:
    """Levels to solve beyond those asked for, to have a gap of the mean field and some more among them."""
    total = sorted(sum(e[place] for e, place in zip(field.energies, index, strict=True))
                   for index in sums(field.energies, asked + MOST_EXTRA))  # fmt: skip
    gaps = np.diff(total[asked - 1 :])
    return int(np.argmax(gaps > GAP * gaps.max())) + EXTRA


def restored(potential: Any, settings: Settings, edges: Sequence[Float[np.ndarray, "S+1"]]) -> BoxPlan:
    """The plan of levels that were solved on these edges of the axes, from wall to wall."""
    walls = [(float(places[0]), float(places[-1])) for places in edges]
    chosen = tuple(left is None for left, _ in potential.domain)
    return dataclasses.replace(of(potential.on(walls), settings), edges=tuple(edges), chosen=chosen)


def kind(of_axes: Mapping[int, Any], d: int) -> Any:
    """What is meant for so many axes: where no grid holds all of them an axis is as fine as of two."""
    return of_axes[d if d == 3 else 2]


def check(plan: BoxPlan) -> None:
    """Raise ValueError, saying what would fit, if the grids of a plan do not fit into memory."""
    d = plan.potential.dimension
    if d > 3:
        fits = fit_into(budget.room(), plan.solved)
        if fits < MOST_TERMS // 10:
            raise ValueError(f"states={plan.asked}: {d} axes need {MOST_TERMS // 10} products at least, and memory "
                             f"holds {fits} of {plan.solved} levels; fewer levels need less")  # fmt: skip
        return
    points = (len(plan.edges[0]) - 1) * plan.points[0]
    size, room = 8 * points**d * (4 + (plan.solved if d == 2 else 0)), budget.room()
    if size > room:
        fits = int((room / (8 * (4 + (plan.solved if d == 2 else 0)))) ** (1 / d)) // plan.points[0]
        raise ValueError(f"states={plan.asked}: a grid of {points}^{d} points needs {size / 2**30:.3g} GiB, more than "
                         f"the {room / 2**30:.3g} that there are; {fits} segments an axis would fit: fewer levels or a "
                         "smaller box")  # fmt: skip


def _edges(
    low: np.ndarray,
    sinc: Sinc,
    walls: tuple[float, float],
    top: float,
    phase: float,
    kinks: tuple[float, ...],
    flat: float,
    ring: bool,
) -> np.ndarray:
    """Edges of segments in which psi of energy `top` turns or decays by no more than `phase`, and V's breakpoints.

    low   about the least V at the points of the axis
    flat  share of the turns at the least V that are counted everywhere at least
    ring  whether what lies beyond one end comes before the other
    """
    x, step = sinc.x, float(sinc.weight[0])
    wave = np.sqrt(sinc.mass * np.abs(low - top))
    inner = np.flatnonzero(low < top)
    if inner.size and not ring:
        before, after = np.cumsum(wave[: inner[0]][::-1])[::-1], np.cumsum(wave[inner[-1] + 1 :])
        beyond = np.concatenate([before, np.zeros(inner[-1] + 1 - inner[0]), after])
        wave = wave / (1 + (step * beyond / 4) ** 2)  # where little of psi is left, little needs to be followed
    wave = np.maximum(wave, flat * np.sqrt(sinc.mass * (top - low.min()))) + 0.3 / (walls[1] - walls[0])
    at = np.concatenate([[walls[0]], x, [walls[1]]])
    wave = np.concatenate([wave[:1], wave, wave[-1:]])
    turns = np.concatenate([[0.0], np.cumsum((wave[1:] + wave[:-1]) / 2 * np.diff(at))])
    edges = [np.array([walls[0]])]
    for left, right in zip((walls[0], *kinks), (*kinks, walls[1]), strict=True):
        begin, end = np.interp([left, right], at, turns)
        count = max(1 if kinks else FEWEST, int(np.ceil((end - begin) / phase)))
        inside = np.interp(np.linspace(begin, end, count + 1)[1:-1], turns, at)
        edges.append(np.append(inside, right))
    return np.concatenate(edges)


def _graded(edges: np.ndarray, kinks: tuple[float, ...]) -> np.ndarray:
    """Edges with shorter segments on either side of every breakpoint."""
    ratio, times = GRADED
    more = []
    for kink in kinks:
        place = int(np.argmin(np.abs(edges - kink)))
        for side in (-1, 1):
            size = edges[place + side] - edges[place]
            more += [edges[place] + size * ratio**power for power in range(1, times + 1)]
    return np.union1d(edges, more)


def _filled(edges: np.ndarray, count: int) -> np.ndarray:
    """Edges with the longest segments cut in two until there are `count` of them."""
    while len(edges) < count:
        place = int(np.argmax(np.diff(edges)))
        edges = np.insert(edges, place + 1, (edges[place] + edges[place + 1]) / 2)
    return edges
