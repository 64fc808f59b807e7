"""What can be said of the levels from V alone: how many lie below an energy, and between which two each of them lies.

The domain is cut into small cells, and in each of them V is replaced by a constant that nowhere exceeds it (or nowhere
falls below it). Then every level goes down (or up), by the minimax principle, and the levels of a potential of constant
pieces below E can be counted: Wittrick and Williams, Q. J. Mech. Appl. Math. 24 (1971) 263. So a count with the lower
steps is never too small and one with the upper steps never too large, to the extent that the extremes of V in a cell
are known; they are taken from samples, with the curvature between samples added.

This places walls and segments, and it is what a certificate rests on when it says that no level was missed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from qpinn.physics.potentials.base import attraction, mass_at, strengths_at

CELLS = 1500
"""Cells in a domain."""

SAMPLES = 5
"""Samples of V in a cell, its ends included."""


@dataclasses.dataclass(frozen=True)
class Steps:
    """V and the effective mass as constants in cells, with deltas between them.

    edges (m + 1,); values, mass (m,); strength (m + 1,) of the delta at each edge, 0 where there is none
    """

    edges: np.ndarray
    values: np.ndarray
    mass: np.ndarray
    strength: np.ndarray

    def joined(self) -> Steps:
        """The same, neighbours with nothing between them as one."""
        new = (np.diff(self.values) != 0) | (np.diff(self.mass) != 0) | (self.strength[1:-1] != 0)
        first = np.concatenate([[0], np.flatnonzero(new) + 1])
        last = np.append(first, len(self.values))
        return Steps(self.edges[last], self.values[first], self.mass[first], self.strength[last])

    @property
    def floor(self) -> float:
        """An energy that no level lies below."""
        return float(self.values.min()) - attraction(self.edges, self.strength, float(self.mass.max()))

    def wave_number(self, energy: float) -> np.ndarray:
        """q^2 = m (E - V) (m,) in each cell."""
        return self.mass * (energy - self.values)

    def allowed(self, energy: float) -> np.ndarray:
        """Cells (m,) where psi of this energy oscillates, and those beside an attractive delta."""
        beside = (self.strength[:-1] < 0) | (self.strength[1:] < 0)
        return np.flatnonzero((self.values < energy) | beside)


def pieces(potential: Any) -> np.ndarray:
    """Walls and breakpoints of a potential with concrete numbers, ascending: (pieces + 1,)."""
    left, right = potential.domain
    inner = sorted(point for point in potential.breakpoints if left < point < right)
    return np.array([left, *inner, right], dtype=np.float64)


def _ends(potential: Any, edges: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Ends of cells: `uniform`, more about the middle of a potential that may be narrow against its box, and `edges`.

    None is so close to another that a cell would drown in rounding.
    """
    apart, points = 1e-7 * (edges[-1] - edges[0]), uniform
    if hasattr(potential, "length"):
        apart = min(apart, 0.01 * potential.length)
        near = potential.middle + potential.length * np.linspace(-12, 12, 193)
        points = np.sort(np.concatenate([points, near[(near > edges[0]) & (near < edges[-1])]]))
    points = points[np.diff(points, prepend=-np.inf) > apart]
    return np.sort(np.concatenate([edges, points[np.abs(points[:, None] - edges).min(axis=1) > apart]]))


def cells(potential: Any, count: int = CELLS) -> tuple[Steps, Steps]:
    """About `count` cells of equal size, cut at every breakpoint, with values below V and above V in each."""
    bounds = _cell_ends(potential, count)
    v = _inside(potential, bounds, np.linspace(0, 1, SAMPLES))
    bend = np.abs(np.diff(v, 2, axis=1)).max(axis=1)  # h^2 |V''| of the samples: a parabola strays by an eighth of it
    bend = np.where(bend > 1e-12 * np.abs(v).max(axis=1), bend, 0.0)
    lower, upper = v.min(axis=1) - bend / 4, v.max(axis=1) + bend / 4
    return _with_steps(potential, bounds, lower), _with_steps(potential, bounds, upper)


def _cell_ends(potential: Any, count: int) -> np.ndarray:
    edges = pieces(potential)
    sizes = np.diff(edges)
    parts = np.maximum(1, np.ceil(count * sizes / sizes.sum())).astype(int)
    ends = [edges[j] + sizes[j] * np.arange(n) / n for j, n in enumerate(parts)]
    return _ends(potential, edges, np.concatenate(ends))


def _inside(potential: Any, bounds: np.ndarray, share: np.ndarray) -> np.ndarray:
    """V (cells, n) at these shares (n,) of every cell; a hair inside its ends, so that V there is that of the cell."""
    share = np.clip(share, 1e-9, 1 - 1e-9)
    v: np.ndarray = potential((bounds[:-1, None] + np.diff(bounds)[:, None] * share)[..., None])
    return v


def followed(potential: Any) -> bool:
    """Whether V runs between the samples of every cell as they let expect, on 16 times as many points.

    Straight lines through the samples may miss it by a fifth of its range in the cell: a kink or a parabola does so by
    less than an eighth. A spike or a jump that is no breakpoint is found, unless it is 1e-5 of the box wide or less.
    """
    bounds = _cell_ends(potential, CELLS)
    ends = np.linspace(0, 1, SAMPLES)
    share = (np.arange(16 * (SAMPLES - 1)) + 0.381966) / (16 * (SAMPLES - 1))
    coarse, fine = (_inside(potential, bounds, part) for part in (ends, share))
    place = np.minimum((share * (SAMPLES - 1)).astype(int), SAMPLES - 2)
    beyond = share * (SAMPLES - 1) - place
    off = np.abs(fine - coarse[:, place] * (1 - beyond) - coarse[:, place + 1] * beyond).max(axis=1)
    both = np.concatenate([coarse, fine], axis=1)
    blur = 1e-9 * np.ptp(both) + 1e-12 * np.abs(both).max()
    return bool((off <= 0.2 * np.ptp(both, axis=1) + blur).all())


def steps(potential: Any, count: int = 400) -> Steps:
    """The potential as about `count` cells with its values in their middles."""
    edges = pieces(potential)
    bounds = _ends(potential, edges, np.linspace(edges[0], edges[-1], count + 1))
    with np.errstate(over="ignore"):
        values = potential(((bounds[:-1] + bounds[1:]) / 2)[:, None])
    return _with_steps(potential, bounds, np.minimum(values, 1e15))


def _with_steps(potential: Any, bounds: np.ndarray, values: np.ndarray) -> Steps:
    """Cells with these values; mass and deltas are those of the potential, whose breakpoints are among `bounds`."""
    mass = mass_at(potential, ((bounds[:-1] + bounds[1:]) / 2)[:, None])
    mass = np.broadcast_to(np.asarray(mass, np.float64), values.shape)
    return Steps(bounds, values, mass, strengths_at(potential, bounds))


def count_below(steps: Steps, energies: np.ndarray) -> np.ndarray:
    """How many levels of `steps` lie below each of `energies` (k,).

    With clamped nodes a cell of length l has floor(q l / pi) levels below E, q^2 = m (E - V); the others are as many
    as negative pivots of the tridiagonal matrix that balances the fluxes psi' / m at the nodes.
    """
    length, mass = np.diff(steps.edges)[:, None], steps.mass[:, None]
    q2 = mass * (energies - steps.values[:, None])
    root = np.sqrt(np.abs(q2)) * length
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        small = root < 1e-4
        safe = np.where(small, 1.0, root)
        own = np.where(q2 > 0, safe / np.tan(safe), safe / np.tanh(safe))
        cross = np.where(q2 > 0, safe / np.sin(safe), np.where(safe < 700, safe / np.sinh(np.minimum(safe, 700)), 0.0))
    own = np.where(small, 1 - q2 * length**2 / 3, own) / (length * mass)
    cross2 = (np.where(small, 1 + q2 * length**2 / 6, cross) / (length * mass)) ** 2
    found = np.sum(np.where(q2 > 0, np.floor(root / np.pi), 0.0), axis=0)
    pivot = np.full(len(energies), np.inf)
    for j in range(len(length) - 1):
        pivot = own[j] + own[j + 1] + steps.strength[j + 1] - (cross2[j] / pivot if j else 0.0)
        pivot = np.where(pivot == 0, -1e-300, pivot)
        found = found + (pivot < 0)
    return found.astype(int)


def levels_of(steps: Steps, states: int, digits: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Energies (states,) below and above the lowest levels of `steps`, 2^-digits of their range apart.

    The range begins where no level is and ends, for all of them, below the levels of the cells with walls between them
    and below those of the whole box with the largest V, the least mass, and deltas that push sines up.
    """
    wanted = np.arange(1, states + 1)
    size, width = np.diff(steps.edges)[:, None], steps.edges[-1] - steps.edges[0]
    alone = steps.values[:, None] + (wanted * np.pi / size) ** 2 / steps.mass[:, None]
    pushed = np.maximum(steps.strength, 0).sum() * 2 * states / width
    whole = steps.values.max() + (states * np.pi / width) ** 2 / steps.mass.min() + pushed
    low = np.full(states, steps.floor)
    high = np.full(states, min(float(np.sort(alone, axis=None)[states - 1]), float(whole)))
    share = np.arange(1, 16)[:, None] / 16  # a count for many energies costs little more than for one
    for _ in range(-(-digits // 4)):
        between = low + (high - low) * share
        below = (count_below(steps, between.ravel()).reshape(between.shape) < wanted).sum(axis=0)
        low, high = low + (high - low) * below / 16, low + (high - low) * (below + 1) / 16
    return low, high


def levels(potential: Any, states: int) -> np.ndarray:
    """The lowest `states` levels to a few digits."""
    return levels_of(steps(potential).joined(), states)[1]


def brackets(potential: Any, states: int, count: int = CELLS) -> tuple[np.ndarray, np.ndarray]:
    """Energies (states,) below and above each of the lowest `states` levels."""
    lower, upper = cells(potential, count)
    low, high = levels_of(lower.joined(), states)[0], levels_of(upper.joined(), states)[1]
    rounding = 1e-9 * (np.abs(high) + np.abs(high - upper.floor))
    return low - rounding, high + rounding


# ------------------------------------------------------------------------------------------------------ the whole line


FAR = 400.0
"""Natural lengths beyond which no wall is put."""


def on_box(potential: Any, states: int, decay: float = 20.0, key: str | None = None) -> Any:
    """`potential` with its missing walls put where level states - 1 has decayed by exp(-decay) of its amplitude.

    The integral of sqrt(m (V - E)) from the last turning point to the wall is at least `decay`, E from above; a wall
    there raises the level by about exp(-2 decay) of its kinetic energy. Raises ValueError if there are fewer bound
    states.
    """
    walls = potential.domain
    key = key or f"states={states}"
    if None not in walls:
        return potential
    if np.isfinite(potential.threshold) and (bound := bound_states(potential)) < states:
        plural = "" if bound == 1 else "s"
        raise ValueError(f"{key}: the well holds {bound} bound state{plural}, asked for {states} "
                         f"(none counts that a box of {FAR:g} lengths to either side does not hold)")  # fmt: skip
    reach = np.array([potential.length, potential.length])
    bottom = float(potential(np.array([potential.middle])))
    while True:
        trial = _between(potential, reach)
        energy = float(levels(trial, states)[-1])
        energy += 1e-3 * abs(energy - bottom)
        if energy < potential.threshold:
            found = _decayed(trial, energy, decay)
            if all(own is not None or wall is not None for own, wall in zip(walls, found, strict=True)):
                return potential.on(*(own if own is not None else wall for own, wall in zip(walls, found, strict=True)))
            grow = np.array([own is None and wall is None for own, wall in zip(walls, found, strict=True)])
        else:
            grow = np.array([wall is None for wall in walls])
        if (reach > 4 * FAR * potential.length).any():
            raise ValueError(f"{key}: the highest state is too weakly bound for a box; give potential.domain")
        reach = np.where(grow, 1.5 * reach, reach)


def bound_states(potential: Any) -> int:
    """How many levels lie below the threshold of a potential of the whole line, in a box of `FAR` natural lengths."""
    box = steps(_between(potential, np.full(2, FAR * potential.length)), 40 * int(FAR)).joined()
    energy = potential.threshold - 1e-9 * (potential.threshold - box.floor)
    return int(count_below(box, np.array([energy]))[0])


def _between(potential: Any, reach: np.ndarray) -> Any:
    """With walls `reach` (2,) to either side of the middle where there are none."""
    left, right = potential.domain
    middle = potential.middle
    return potential.on(middle - reach[0] if left is None else left, middle + reach[1] if right is None else right)


def _decayed(trial: Any, energy: float, decay: float) -> tuple[float | None, float | None]:
    """Where a state of this energy has decayed to the left and to the right; None where it has not within its box."""
    box = steps(trial, 4000)
    edges, allowed = box.edges, box.allowed(energy)
    if not allowed.size:
        return None, None
    depth = np.sqrt(np.maximum(-box.wave_number(energy), 0.0)) * np.diff(edges)
    left, right = np.cumsum(depth[allowed[0] :: -1]), np.cumsum(depth[allowed[-1] :])
    to_left, to_right = int(np.searchsorted(left, decay)), int(np.searchsorted(right, decay))
    return (
        float(edges[allowed[0] - to_left]) if to_left < len(left) else None,
        float(edges[allowed[-1] + to_right + 1]) if to_right < len(right) else None,
    )
