"""The levels of a potential from V alone: between which two energies each of them lies.

The domain is cut into cells, and in each of them V is replaced by a constant that nowhere exceeds it (or nowhere falls
below it). Then every level goes down (or up), by the minimax principle, whatever the ends of the domain are, and the
levels of potentials of steps can be counted (`qpinn.physics.counting`): so a count with the lower steps is never too
small and one with the upper steps never too large. The constants come from `qpinn.physics.enclosure`. Cells are
bisected where the distance of the two matters to the levels: by the distance itself, and by what a decaying psi leaves
of it.

This places walls and segments, and it is what a certificate rests on when it says that no level was missed.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.geometry.domain import Ends
from qpinn.physics import enclosure
from qpinn.physics.counting import Steps, levels_of
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.interval import EPS
from qpinn.physics.potentials.base import strengths_at

CELLS = 160
"""Cells to begin with."""

MOST_CELLS = 6000

LOOSE = 0.1
"""Distance of the two energies about a level, in spacings of the levels, that the survey stops at."""

DEEP = 45.0
"""Decay lengths after which nothing of psi is left: exp(-2 * 45) = 1e-39."""


@dataclasses.dataclass(frozen=True)
class Survey:
    """Steps nowhere above V or lighter, others nowhere below V or heavier, and energies about the lowest n levels.

    low, high  (n,) below and above each of them
    """

    lower: Steps
    upper: Steps
    low: Float[np.ndarray, "n"]
    high: Float[np.ndarray, "n"]

    @property
    def energies(self) -> Float[np.ndarray, "n"]:
        """The levels (n,) to a few digits."""
        return (self.low + self.high) / 2

    @property
    def middle(self) -> Steps:
        """Steps in between: with the levels to a few digits."""
        return _between(self.lower, self.upper)


FEW = 20
"""Levels whose brackets are as narrow as the cells allow; for more of them that would take longer than it is worth."""


def pieces(potential: Any) -> Float[np.ndarray, "pieces+1"]:
    """Walls and breakpoints of a potential with concrete numbers, ascending: (pieces + 1,)."""
    left, right = potential.domain
    inner = sorted(point for point in potential.breakpoints if left < point < right)
    return np.array([left, *inner, right], dtype=np.float64)


def survey(potential: Any, states: int) -> Survey:
    """Cells of a potential between walls that tell the lowest `states` levels apart, and the levels' brackets."""
    size = 6
    while size < states:  # few sizes, so that what was found for one question serves the next
        size = 3 * size // 2 + 1
    whole = _survey(potential, size)
    return dataclasses.replace(whole, low=whole.low[:states], high=whole.high[:states])


@functools.lru_cache(maxsize=32)
def _survey(potential: Any, states: int) -> Survey:
    ends = first_ends(potential)
    wanted = np.unique(np.linspace(0, states - 1, min(states, 8)).round().astype(int))
    least = max(256 * EPS * np.abs(ends[[0, -1]]).max(), 1e-15 * (ends[-1] - ends[0]))
    energies = None
    while True:
        lower, upper = steps_about(potential, ends)
        energies = np.mean(levels_of(_between(lower, upper).joined(), wanted, 4, energies), axis=0)
        cut = _coarse(lower, upper, wanted, energies) & (lower.sizes > 2 * least)
        if not cut.any() or len(ends) > MOST_CELLS:
            break
        ends = np.sort(np.concatenate([ends, ((ends[:-1] + ends[1:]) / 2)[cut]]))
    return _bracketed(lower, upper, np.interp(np.arange(states), wanted, energies))


def with_ends(surveyed: Survey, ends: Ends) -> Survey:
    """The same cells with other ends, and the brackets that the levels then have."""
    lower, upper = (dataclasses.replace(steps, ends=ends) for steps in (surveyed.lower, surveyed.upper))
    return _bracketed(lower, upper, (surveyed.low + surveyed.high) / 2)


def _bracketed(lower: Steps, upper: Steps, guess: np.ndarray) -> Survey:
    every, digits = np.arange(len(guess)), 14 if len(guess) <= FEW else 8
    low = levels_of(lower.joined(), every, digits, guess)[0]
    high = levels_of(upper.joined(), every, digits, low)[1]
    # positions are known to eps |x|, V to eps |V|: a thousand times that is far below what cells cost
    rounding = 1e-12 * (high - lower.floor) + 64 * EPS * np.maximum(np.abs(high), abs(lower.floor))
    return Survey(lower=lower, upper=upper, low=low - rounding, high=high + rounding)


def first_ends(potential: Any, cells: int = CELLS) -> Float[np.ndarray, "cells+1"]:
    """Ends of cells: evenly spaced, more about the middle of a potential that is narrow in its box, and its pieces."""
    edges = pieces(potential)
    points = np.linspace(edges[0], edges[-1], (cells if enclosure.is_enclosed(potential) else 8 * cells) + 1)
    if hasattr(potential, "length"):
        far = max(float(np.abs(edges - potential.middle).max()) / potential.length, 12.0)
        growing = 12 * 1.1 ** np.arange(1, np.log(far / 12) / np.log(1.1) + 1)
        out = np.concatenate([np.linspace(0, 12, cells // 3), growing])
        near = potential.middle + potential.length * np.concatenate([-out[:0:-1], out])
        points = np.sort(np.concatenate([points, near[(near > edges[0]) & (near < edges[-1])]]))
    apart = 1e-9 * (edges[-1] - edges[0])
    points = points[np.diff(points, prepend=-np.inf) > apart]
    place = np.clip(np.searchsorted(edges, points), 1, len(edges) - 1)
    nearest = np.minimum(np.abs(points - edges[place - 1]), np.abs(points - edges[place]))
    return np.sort(np.concatenate([edges, points[nearest > apart]]))


def steps_about(potential: Any, ends: Float[np.ndarray, "cells+1"]) -> tuple[Steps, Steps]:
    """Steps with cells between `ends`, one nowhere above V and nowhere lighter, and one the other way round."""
    lo, hi = enclosure.enclose(potential, ends[:-1], ends[1:])
    light, heavy = enclosure.enclose_mass(potential, ends[:-1], ends[1:])
    strength = strengths_at(potential, ends)
    limit = 2 * enclosure.largest(*ends[[0, -1]])
    values = (np.clip(bound, -limit, limit) for bound in (lo, hi))
    lower, upper = (
        Steps(edges=ends, values=value, mass=mass, strength=strength, ends=ends_of(potential))
        for value, mass in zip(values, (heavy, light), strict=True)
    )
    return lower, upper


def _between(lower: Steps, upper: Steps) -> Steps:
    """Steps half-way, or those below where V is not known from above."""
    apart = upper.values - lower.values
    values = lower.values + np.where(apart < enclosure.largest(*lower.edges[[0, -1]]), apart, 0.0) / 2
    return dataclasses.replace(lower, values=values, mass=(lower.mass + upper.mass) / 2)


def _coarse(lower: Steps, upper: Steps, wanted: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Cells (m,) to bisect: where what is not known of V moves a level, and where a decay is not followed."""
    size, apart, heavier = lower.sizes, upper.values - lower.values, lower.mass / upper.mass - 1
    mean = np.ptp(energies) / max(np.ptp(wanted), 1)
    least = max(0.1 * mean, (np.pi / (lower.edges[-1] - lower.edges[0])) ** 2 / lower.mass.max())
    shift, steep = np.zeros(len(size)), np.zeros(len(size), bool)
    for k, energy in enumerate(energies):
        first, last = max(k - 2, 0), min(k + 2, len(energies) - 1)
        spacing = max((energies[last] - energies[first]) / max(wanted[last] - wanted[first], 1), least)
        decay, depth = lower.decay(energy)
        unsure = apart + heavier * np.abs(energy - lower.values)
        shift = np.maximum(shift, unsure * size * lower.density(energy) / spacing)
        steep |= (decay > 1 + depth / 2) & (depth < DEEP)
    if shift.sum() <= LOOSE:
        return steep
    return steep | (shift > LOOSE / len(size))
