"""Where an unbounded domain is cut: walls so far out that no level of interest feels them.

V of these potentials is monotonic where psi decays, so that steps through its values are accurate enough to say where
psi is negligible. How far a wall raises a level is estimated from psi there (`qpinn.bounds.certify.beyond_walls`).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from qpinn.physics.counting import Steps, count_below, levels_of
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.potentials.base import mass_at, strengths_at
from qpinn.physics.survey import first_ends

FAR = 2e4
"""Natural lengths beyond which no wall is put."""

DECAY = 20.0
"""Decay lengths of the highest level between its last turning point and a wall."""

HIGHEST = 1e15
"""V beyond which nothing of psi is left, times the square of a natural length below 1."""

WEAK = (2 * DECAY / FAR) ** 2
"""Binding energy times length^2 below which a level decays so slowly that its walls would lie beyond FAR."""


def on_box(potential: Any, states: int, decay: float = DECAY, key: str | None = None) -> Any:
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
    reach = np.full(2, potential.length)
    bottom, levels = float(potential.at(np.array([potential.middle]))), None
    while True:
        trial = _between(potential, reach)
        levels = levels_of(steps(trial).joined(), np.unique([0, states - 1]), 12, levels)[1]
        energy = float(levels[-1])
        if energy < potential.threshold:
            energy += min(1e-3 * abs(energy - bottom), (potential.threshold - energy) / 4)
            places = _decayed(trial, energy, decay)
            pairs = list(zip(walls, places, strict=True))
            if all(wall is not None or place is not None for wall, place in pairs):
                return potential.on(*(place if wall is None else wall for wall, place in pairs))
            grow = np.array([wall is None and place is None for wall, place in pairs])
        else:
            grow = np.array([wall is None for wall in walls])
        if (reach > 4 * FAR * potential.length).any():
            raise ValueError(f"{key}: the highest state is too weakly bound for a box; give potential.domain")
        reach = np.where(grow, 1.5 * reach, reach)


def at_energy(potential: Any, energy: float, left: float, right: float) -> Any:
    """`potential` with its missing walls put beyond [left, right] and, where V rises above `energy`, where a state of
    it has decayed by exp(-DECAY)."""
    reach, pairs = np.full(2, potential.length), list(zip(potential.domain, (left, right), (min, max), strict=True))
    while (reach < 4 * FAR * potential.length).all():
        if energy >= potential.threshold:
            return potential.on(*(side if wall is None else wall for wall, side, _ in pairs))
        trial = _between(potential, reach)
        wide = [pick(own, side) if wall is None else wall
                for own, (wall, side, pick) in zip(trial.domain, pairs, strict=True)]  # fmt: skip
        places = _decayed(potential.on(*wide), energy, DECAY)
        if all(wall is not None or place is not None for place, (wall, _, _) in zip(places, pairs, strict=True)):
            return potential.on(*(wall if place is None or wall is not None else pick(place, side)  # type: ignore
                                  for place, (wall, side, pick) in zip(places, pairs, strict=True)))  # fmt: skip
        reach = 1.5 * reach
    raise ValueError(f"potential={potential.name}: a packet of energy {energy:g} reaches too far for a box; give "
                     "potential.domain")  # fmt: skip


def bound_states(potential: Any) -> int:
    """How many levels lie below the threshold of a potential of the whole line, and need no wall beyond `FAR`."""
    return _below_threshold(potential)[0]


def left_out(potential: Any) -> float | None:
    """Binding energy below which levels exist that `bound_states` does not count; None if there are none."""
    counted, every = _below_threshold(potential)
    return WEAK / potential.length**2 if every > counted else None


@functools.lru_cache(maxsize=16)
def _below_threshold(potential: Any) -> tuple[int, int]:
    """Number of levels with a binding energy above WEAK / length^2, and above a hundredth of that."""
    box = steps(_between(potential, np.full(2, FAR * potential.length)), 4000).joined()
    margin = WEAK / potential.length**2 * np.array([1.0, 0.01])
    counted, every = count_below(box, potential.threshold - np.maximum(margin, 1e-13 * abs(box.floor)))
    return int(counted), int(every)


def steps(potential: Any, cells: int = 400) -> Steps:
    """The potential with its mean in each cell (three Gauss points), which moves no level to first order."""
    ends = first_ends(potential, cells)
    middle = (ends[:-1] + ends[1:]) / 2
    nodes, weights = np.polynomial.legendre.leggauss(3)
    with np.errstate(over="ignore"):
        v = potential.at((middle[:, None] + np.diff(ends)[:, None] / 2 * nodes)[..., None])
    values = np.minimum(v, HIGHEST * max(1.0, potential.length**-2)) @ weights / 2
    mass = np.broadcast_to(np.asarray(mass_at(potential, middle[:, None]), np.float64), values.shape)
    strength = strengths_at(potential, ends)
    return Steps(edges=ends, values=values, mass=mass, strength=strength, ends=ends_of(potential))


def _between(potential: Any, reach: np.ndarray) -> Any:
    """With walls `reach` (2,) to either side of the middle where there are none, beyond every breakpoint."""
    left, right = potential.domain
    places = [potential.middle, *potential.breakpoints, *(place for place in (left, right) if place is not None)]
    return potential.on(
        min(places) - reach[0] if left is None else left, max(places) + reach[1] if right is None else right
    )


def _decayed(trial: Any, energy: float, decay: float) -> tuple[float | None, float | None]:
    """Where a state of this energy has decayed to the left and to the right; None where it has not within its box."""
    box = steps(trial, 4000)
    edges, allowed = box.edges, box.allowed(energy)
    if not allowed.size:
        return None, None
    # no wall between two deltas, however little of psi reaches the outer one
    deltas = np.flatnonzero((box.strength[:-1] != 0) | (box.strength[1:] != 0))
    allowed = np.union1d(allowed, deltas)
    depth = np.sqrt(np.maximum(-box.wave_number(energy), 0.0)) * box.sizes
    left, right = np.cumsum(depth[allowed[0] :: -1]), np.cumsum(depth[allowed[-1] :])
    to_left, to_right = int(np.searchsorted(left, decay)), int(np.searchsorted(right, decay))
    return (
        float(edges[allowed[0] - to_left]) if to_left < len(left) else None,
        float(edges[allowed[-1] + to_right + 1]) if to_right < len(right) else None,
    )
