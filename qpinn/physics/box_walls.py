"""Where a box is cut along the axes on which psi decays: from bounds of V on slabs."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpinn.physics.interval import Interval
from qpinn.physics.mean_field import MeanField, Sinc, mean_field, sums

DECAYED = 20.0
"""Of psi nothing but exp(-20) is left at a wall: 1e-17 of |psi|^2."""

DECAYED_OF_CURVES = 9.0
"""The same, 1e-8 of |psi|^2 at the top, where V jumps on curves: V separates badly there, and the larger the box, the
more levels of a comparison potential lie below those of V."""

FIRST, WIDEST = 4.0, 1e4
"""Half-widths that are tried, in turn."""

CELLS = 256

AFAR = {2: (513, 129), 3: (257, 25)}
"""Places of the axis to either side, and of each other axis, at which V is looked at beyond the walls."""

OTHERS = (1, 64, 24)
"""Cells of each other axis in which V is bounded, by the number of axes; of more it is bounded over all of space."""


def decay(has_curves: bool) -> float:
    """psi has decayed by exp(-decay) at walls that are chosen, for a V that jumps on curves or does not."""
    return DECAYED_OF_CURVES if has_curves else DECAYED


def highest(field: MeanField, count: int) -> float:
    """The level `count` - 1 of the mean field."""
    last = sums(field.energies, count)[-1]
    return float(sum(e[place] for e, place in zip(field.energies, last, strict=True)) - field.excess)


def coarse(potential: Any) -> tuple[MeanField, list[Sinc]]:
    """The mean field on even points between the walls of a box."""
    axes = [Sinc(float(left), float(right), float(mass), ends=ends) for (left, right), mass, ends in
            zip(potential.domain, potential.masses, potential.ends_of_axes, strict=True)]  # fmt: skip
    return mean_field(potential, axes), axes


def in_box(potential: Any, count: int) -> tuple[Any, tuple[bool, ...]]:
    """The potential between walls, where they are missing so far out that the lowest `count` levels have decayed.

    Returns too on which axes they were chosen. Raises ValueError for an axis along which V is not known to rise.
    """
    missing = tuple(left is None for left, _ in potential.domain)
    if not any(missing):
        return potential, missing
    reach = {axis: FIRST for axis, wanted in enumerate(missing) if wanted}
    while True:
        trial = potential.on([(-reach[axis], reach[axis]) if axis in reach else side
                              for axis, side in enumerate(potential.domain)])  # fmt: skip
        top = highest(coarse(trial)[0], count)
        walls = {axis: _decayed(potential, axis, half, top, reach) for axis, half in reach.items()}
        short = [axis for axis, wall in walls.items() if wall is None]
        far = {} if short else {axis: _low_afar(potential, axis, half, top) for axis, half in reach.items()}
        if not short and not any(far.values()):
            sides = [walls.get(axis) or side for axis, side in enumerate(potential.domain)]
            return potential.on(sides), missing
        for axis in short:
            reach[axis] *= 1.5
        for axis, place in far.items():
            reach[axis] = max(reach[axis], 1.2 * place)
        if max(reach.values()) > WIDEST:
            axis = max(reach, key=lambda axis: reach[axis])
            raise ValueError(f"potential.domain: V is not known to rise along axis {axis + 1}, so that psi need "
                             f"not decay there; give walls, as in potential.domain=[[-6,6],...]")  # fmt: skip


def _low_afar(potential: Any, axis: int, half: float, top: float) -> float:
    """The distance |x| of the nearest place beyond +-half of an axis at which V is below `top`; 0 where none is seen.

    Of three axes or fewer the others go as far out as this one does, between their walls; of more they are in the
    middle. A well may be missed that is narrower than a hundredth of its distance.
    """
    d = potential.dimension
    count, across = AFAR.get(d, (513, 1))
    far = np.geomspace(half, WIDEST, count)
    x = np.empty((2, count, *[across] * (d - 1), d))
    share = np.linspace(-1, 1, across) if across > 1 else np.zeros(1)
    for place, (left, right) in enumerate(potential.domain):
        size = far.reshape(-1, *[1] * (d - 1))
        if place == axis:
            x[..., place] = np.stack([-size, size])
        else:
            along = share.reshape([-1 if one == place + (place < axis) else 1 for one in range(d)])
            x[..., place] = size * along if left is None else left + (right - left) * (along + 1) / 2
    with np.errstate(all="ignore"):
        v = np.asarray(potential.at(x), np.float64).reshape(2, count, -1)
    below = (v < top).any(axis=(0, 2))
    return float(far[np.argmax(below)]) if below.any() else 0.0


def lowest(potential: Any, axis: int, ends: np.ndarray, reach: dict[int, float]) -> np.ndarray:
    """Lower bounds (n,) of V on slabs of an axis between neighbouring `ends` (n + 1,).

    Of three axes or fewer over the box within `reach` of the others, in cells; of more over all of space.
    """
    d, shape = potential.dimension, [1] * potential.dimension
    cells: list[Any] = []
    for place, (left, right) in enumerate(potential.domain):
        if place == axis:
            marks = ends
        elif d > len(OTHERS):
            marks = np.array([-np.inf if left is None else left, np.inf if right is None else right])
        else:
            far = reach.get(place, 0.0)
            marks = np.linspace(-far if left is None else left, far if right is None else right, OTHERS[d - 1] + 1)
        shape[place] = -1
        cells.append(Interval(marks[:-1].reshape(shape), marks[1:].reshape(shape)))
        shape[place] = 1
    sizes = [cell.lo.size for cell in cells]
    low = np.broadcast_to(potential.enclosed(cells).lo, sizes)
    return np.asarray(low.min(axis=tuple(place for place in range(d) if place != axis)))


def _decayed(potential: Any, axis: int, half: float, top: float, reach: dict[int, float]) -> tuple[float, float] | None:
    """Walls on an axis within +-half, beyond which V on slabs has let psi of energy `top` decay; None if too near."""
    ends = np.linspace(-half, half, CELLS + 1)
    low = lowest(potential, axis, ends, reach)
    kappa = np.sqrt(potential.masses[axis] * np.clip(low - top, 0.0, 1e12)) * np.diff(ends)
    inner = np.flatnonzero(kappa <= 0)
    if inner.size == 0:
        inner = np.array([int(np.argmin(low))])
    enough = decay(bool(potential.curves))
    right, left = np.cumsum(kappa[inner[-1] + 1 :]), np.cumsum(kappa[: inner[0]][::-1])
    if max(right.size, left.size) == 0 or right.max(initial=0) < enough or left.max(initial=0) < enough:
        return None
    last, first = inner[-1] + 2 + np.searchsorted(right, enough), inner[0] - 1 - np.searchsorted(left, enough)
    return float(ends[max(first, 0)]), float(ends[min(last, CELLS)])
