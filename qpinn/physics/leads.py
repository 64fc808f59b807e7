"""What lies beyond the two ends of a structure that scatters: leads, in which V and m are constant.

A potential between walls is one between leads here, with what it is at its ends. One of the whole line is cut where it
has met its limits, and what is left out of it (`Structure.tails`) enters the bounds.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Inexact

from qpinn.checks import finite
from qpinn.geometry.domain import OPEN
from qpinn.physics import enclosure
from qpinn.physics.hamiltonian import Hamiltonian
from qpinn.physics.interval import EPS
from qpinn.physics.potentials.base import Potential, deltas_of, dimension, mass_at, pytree
from qpinn.physics.potentials.wells import InfiniteWell

FARTHEST = 1e4
"""Lengths of a potential of the whole line within which its limits must be met."""

NEGLIGIBLE = 1e-17
"""What a tail may add to a phase before it is cut, in units of k times the length of the potential."""

GROWTH = 1.02
"""Of the cells in which a tail is enclosed, from the end outwards."""


@dataclasses.dataclass(frozen=True)
class Leads:
    """V and m beyond both ends (None: as at the ends); bias, by which V falls from end to end, and the right lead."""

    left: float | None = None
    right: float | None = None
    mass_left: float | None = None
    mass_right: float | None = None
    bias: float = 0.0

    def __post_init__(self) -> None:
        for key in ("left", "right", "mass_left", "mass_right"):
            if (value := getattr(self, key)) is not None:
                finite(f"leads.{key}", value)
        for key in ("mass_left", "mass_right"):
            if (value := getattr(self, key)) is not None and not 1e-6 <= value <= 1e6:
                raise ValueError(f"leads.{key}={value:g}: must lie from 1e-6 to 1e6")
        finite("leads.bias", self.bias)

    def over(self, scale: float) -> Leads:
        """The same with energies over `scale`."""
        left, right = (None if level is None else level / scale for level in (self.left, self.right))
        return dataclasses.replace(self, left=left, right=right, bias=self.bias / scale)


class Structure(NamedTuple):
    """What scatters: V between two ends, the leads, and what was cut off.

    potential  a Hamiltonian with open ends
    levels     (2,) V of the left and of the right lead
    masses     (2,)
    tails      (2,) integral of |V - level| over what was cut off
    """

    potential: Any
    levels: Float[np.ndarray, "2"]
    masses: Float[np.ndarray, "2"]
    tails: Float[np.ndarray, "2"]

    @property
    def domain(self) -> tuple[float, float]:
        left, right = self.potential.domain
        return float(left), float(right)

    def velocity(self, energies: Inexact[np.ndarray, "N"]) -> Complex[np.ndarray, "N 2"]:
        """k / m in both leads, i kappa / m below their levels; of complex E that of waves that leave."""
        above = np.asarray(energies)[..., None] - self.levels
        root = np.where(above.real < 0, 1j * np.sqrt(-above + 0j), np.sqrt(above + 0j))
        return root / np.sqrt(self.masses)

    def velocity_rounding(self, energies: Inexact[np.ndarray, "N"]) -> Float[np.ndarray, "N 2"]:
        """What rounding of E and of V in the leads makes of v, relative to it: much near a threshold."""
        above = np.abs(np.asarray(energies)[..., None] - self.levels)
        with np.errstate(divide="ignore"):
            return EPS * (4 + (np.abs(np.asarray(energies))[..., None] + np.abs(self.levels)) / above)

    def velocity_slope(self, energies: Inexact[np.ndarray, "N"]) -> Complex[np.ndarray, "N 2"]:
        """dv/dE = 1 / (2 m v)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 / (2 * self.masses * self.velocity(energies))


@pytree
class Section(Potential):
    """V + slope (x - start) between two positions."""

    potential: Any
    left: Any
    right: Any
    slope: Any = 0.0
    start: Any = 0.0

    def __getattr__(self, key: str) -> Any:
        if key in ("potential", "left", "right", "slope", "start") or key.startswith("__"):  # while a copy is made
            raise AttributeError(key)
        own = getattr(self.potential, key)  # which says whether there is one
        if key == "mirrors":
            raise AttributeError(key)
        return {"enclose": self._enclose, "stray": self._stray}[key](own) if key in ("enclose", "stray") else own

    name = property(lambda self: self.potential.name)  # type: ignore[assignment]
    seams = property(lambda self: self.potential.seams)  # type: ignore[assignment]

    @property
    def domain(self) -> tuple[Any, Any]:
        return self.left, self.right

    @property
    def breakpoints(self) -> tuple[Any, ...]:
        return tuple(place for place in self.potential.breakpoints if self.left < place < self.right)

    def at(self, x: Any) -> Any:
        return self.potential.at(x) + self.slope * (x[..., 0] - self.start)

    def _enclose(self, own: Any) -> Any:
        def enclose(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            lo, hi = own(left, right)
            ends = float(self.slope) * (np.stack([left, right]) - float(self.start))
            hair = 8 * EPS * np.abs(ends).max(initial=0.0)
            return lo + ends.min(axis=0) - hair, hi + ends.max(axis=0) + hair

        return enclose

    def _stray(self, own: Any) -> Any:
        def stray(left: np.ndarray, right: np.ndarray, degree: Any) -> np.ndarray:
            flat = own(left, right, degree)
            return np.where(np.asarray(degree) > 0, flat, flat + abs(float(self.slope)) * (right - left) / 2)

        return stray


def structure(potential: Any, leads: Leads = Leads(), slowest: float = 1.0) -> Structure:
    """A dimensionless potential between leads.

    slowest  the smallest k that waves in the leads will have: it says where a V of the whole line is cut

    Raises ValueError for several coordinates, a V that is none between its walls, one that has no limit on a side, and
    a bias without ends to fall between.
    """
    if dimension(potential) > 1:
        raise ValueError(f"potential={potential.name}: has {potential.dimension} coordinates; scattering takes a "
                         "potential on a line")  # fmt: skip
    bare = potential.potential if isinstance(potential, Hamiltonian) else potential
    if isinstance(getattr(bare, "potential", bare), InfiniteWell) and not getattr(bare, "places", ()):
        raise ValueError("potential=infinite_well: nothing scatters between its walls; allowed: potentials with a "
                         "barrier, a well or layers between leads")  # fmt: skip
    cut, limits, tails = _ends(potential, slowest)
    if leads.bias:
        if None in potential.domain:
            raise ValueError(f"leads.bias={leads.bias:g}: falls between two ends; give potential.domain")
        left, right = (float(place) for place in cut.domain)
        cut = Section(potential=cut, left=left, right=right, slope=-leads.bias / (right - left), start=left)
    ends = np.concatenate(enclosure.inside(cut, *(np.array([float(place)]) for place in cut.domain)))
    masses = np.broadcast_to(np.asarray(mass_at(cut, ends[:, None]), np.float64), (2,))
    levels = _given(limits, leads.left, leads.right) - np.array([0.0, leads.bias])
    masses = _given(masses, leads.mass_left, leads.mass_right)
    return Structure(Hamiltonian(cut, OPEN), levels, masses, tails)


def between_jumps(given: Structure) -> Structure:
    """The same without those ends of the structure in which it is as in the lead beyond."""
    potential, (left, right) = given.potential.potential, given.domain
    places = [float(place) for place in potential.breakpoints if left < place < right]
    deltas = np.asarray(deltas_of(potential)[0], np.float64)
    inner = [place for place in places if not len(deltas) or np.abs(deltas - place).min() > 1e-9 * (right - left)]
    if not inner or len(inner) < len(places):  # waves of a lead are known on both sides of a delta alone
        return given
    ends = []
    for side, (first, last) in enumerate(((left, inner[0]), (inner[-1], right))):
        cell = np.array([first]), np.array([last])
        alike = [bounds[0] == bounds[1] == value for bounds, value in (
            (enclosure.enclose(potential, *cell), given.levels[side]),
            (enclosure.enclose_mass(potential, *cell), given.masses[side]),
        )]  # fmt: skip
        ends.append((last if side == 0 else first) if all(alike) else (first if side == 0 else last))
    if ends[1] - ends[0] <= 0 or given.tails.any():
        return given
    section = Section(potential=potential, left=ends[0], right=ends[1])
    return given._replace(potential=Hamiltonian(section, OPEN))


def _given(own: np.ndarray, *given: float | None) -> np.ndarray:
    """Two numbers, or those that were given in their place."""
    return np.array([number if other is None else other for number, other in zip(own, given, strict=True)])


def _ends(potential: Any, slowest: float) -> tuple[Any, np.ndarray, np.ndarray]:
    """The potential between two ends, V there or its limits, and the tails that were cut off (2,)."""
    left, right = potential.domain
    hard = potential.hard_walls
    limits, tails, places = np.zeros(2), np.zeros(2), [left, right]
    for side, place in enumerate(potential.domain):
        sign = 2 * side - 1
        if place is not None and not (hard[side] and None in potential.domain):
            near = enclosure.HAIR * max(abs(float(place)), 1e-300)  # as a wall has a V on one side alone
            limits[side] = float(potential.at(np.array([float(place) - sign * near])))
            continue
        limits[side] = _limit(potential, sign)
        places[side], tails[side] = _cut(potential, sign, limits[side], slowest)
    return (potential.on(*places) if None in potential.domain else potential), limits, tails


def _limit(potential: Any, sign: int) -> float:
    """V far to the left or the right."""
    far = potential.middle + sign * potential.length * np.array([0.5, 1.0]) * FARTHEST
    with np.errstate(all="ignore"):
        near, last = (float(potential.at(np.array([place]))) for place in far)
        size = max(abs(float(potential.at(np.array([potential.middle])))), potential.length**-2)
    rises = potential.hard_walls[0] and sign < 0
    if rises or not np.isfinite(last) or abs(last - near) > 1e-3 * size:
        where = "left" if sign < 0 else "right"
        raise ValueError(f"potential={potential.name}: V has no limit to the {where}, where no wave could leave; give "
                         "potential.domain, beyond which V is what it is at its ends")  # fmt: skip
    return last


def _cut(potential: Any, sign: int, limit: float, slowest: float) -> tuple[float, float]:
    """Where a V of the whole line is cut, and a bound on the integral of |V - limit| over what is cut off."""
    inner = [potential.middle, *(float(place) for place in potential.breakpoints)]
    start = max(inner) if sign > 0 else min(inner)
    far = FARTHEST * potential.length
    size = potential.length * 0.25 * GROWTH ** np.arange(int(np.log(4 * FARTHEST) / np.log(GROWTH)))
    places = np.concatenate([[0.0], size])
    places = start + sign * np.concatenate([places[places < far], [far]])
    low, high = np.minimum(places[:-1], places[1:]), np.maximum(places[:-1], places[1:])
    wide = potential.on(*(min(inner) - far, max(inner) + far))
    lo, hi = enclosure.enclose(wide, low, high)
    tail = np.cumsum((np.maximum(np.abs(lo - limit), np.abs(hi - limit)) * (high - low))[::-1])[::-1]
    small = np.flatnonzero(tail <= NEGLIGIBLE * slowest)
    if not small.size:
        small = np.flatnonzero(np.abs(places[:-1] - start) >= 60 * potential.length)[:1]
    index = int(max(small[0], 1))
    return float(places[index]), float(tail[index])
