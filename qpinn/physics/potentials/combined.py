"""A potential with Dirac deltas, or with an effective mass, beside those of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from qpinn.checks import finite, plain, shown
from qpinn.physics import enclosure
from qpinn.physics.potentials.base import Number, Potential, deltas_of, pytree
from qpinn.physics.potentials.expressions import expression

CELLS = 512
"""Cells in which the mass is enclosed."""


@pytree
class Combined(Potential):
    """H = -d/dx (1 / m) d/dx + V + sum_j strengths_j delta(x - places_j), with V of a `potential`.

    What is not here is that of the potential.

    places, strengths  (D,) of the deltas, and those of the potential
    heavy  a formula m(x) in the form of a potential, or None: the mass of the potential, if it has one
    order  which of the places where V, m or psi' jump are breakpoints, from left to right: of those of the potential,
           the deltas, and those of m
    """

    potential: Any
    places: tuple[Number, ...]
    strengths: tuple[Number, ...]
    heavy: Any
    order: tuple[int, ...] = dataclasses.field(metadata={"static": True, "hidden": True})

    def __getattr__(self, key: str) -> Any:
        names = {field.name for field in dataclasses.fields(Combined)}
        if key in names or key.startswith("__"):  # not set yet, while a copy is made
            raise AttributeError(key)
        if self.heavy is not None and key in ("mass_at", "mirrors"):
            if key == "mass_at":
                return self.heavy.at
            raise AttributeError(key)  # whether m is even is found from its formula
        return getattr(self.potential, key)

    @property
    def name(self) -> str:  # type: ignore[override]
        return str(self.potential.name)

    @property
    def energies(self) -> dict[str, float] | None:  # type: ignore[override]
        own = self.potential.energies
        return None if own is None else {**own, "strengths": 1}

    @property
    def in_units(self) -> bool:  # type: ignore[override]
        return bool(self.potential.in_units)

    @property
    def threshold(self) -> float:  # type: ignore[override]
        return float(self.potential.threshold)

    @property
    def hard_walls(self) -> tuple[bool, bool]:  # type: ignore[override]
        return self.potential.hard_walls  # type: ignore[no-any-return]

    @property
    def seams(self) -> Any:
        return self.potential.seams

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.potential.domain  # type: ignore[no-any-return]

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        every = self.jumps()
        return tuple(every[place] for place in self.order)

    @property
    def deltas(self) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
        places, strengths = deltas_of(self.potential)
        return (*places, *self.places), (*strengths, *self.strengths)

    def at(self, x: Any) -> Any:
        return self.potential.at(x)

    def levels(self, count: int) -> None:
        """None: closed forms are those of the potential alone."""

    def times(self, **factors: float) -> Combined:
        """The same with the numbers of the potential in other units, those of its file."""
        return self.of(self.potential.times(**factors))

    def on(self, left: float | None, right: float | None) -> Combined:
        return self.of(self.potential.on(left, right))

    def settled(self) -> Combined:
        """The same, with the places of a formula with named numbers where these put them."""
        return self.of(self.potential.settled()) if hasattr(self.potential, "settled") else self

    def check_derivatives(self) -> None:
        """Raise ValueError where the potential has a place without a derivative."""
        if hasattr(self.potential, "check_derivatives"):
            self.potential.check_derivatives()

    def of(self, potential: Any) -> Combined:
        """The same of another potential, which may be traced."""
        new = dataclasses.replace(self, potential=potential)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(new)):
            return new
        return dataclasses.replace(new, order=new._sorted())

    def meeting(self) -> tuple[tuple[int, int], ...]:
        """Pairs of `jumps` at one place: the one that is no breakpoint, and the one in whose place it is."""
        every = np.array([float(place) for place in self.jumps()])
        others = np.setdiff1d(np.arange(len(every)), self.order)
        kept = np.array(self.order, np.intp)
        return tuple((int(j), int(kept[np.argmin(np.abs(every[kept] - every[j]))])) for j in others)

    def jumps(self) -> tuple[Number, ...]:
        """Breakpoints of the potential, deltas, and breakpoints of m, some of them maybe at one place."""
        return (*self.potential.breakpoints, *self.places, *(() if self.heavy is None else self.heavy.breakpoints))

    def _sorted(self) -> tuple[int, ...]:
        every = np.array([float(place) for place in self.jumps()])
        order = np.argsort(every, kind="stable")
        slack = 1e-12 * max(float(np.abs(every).max(initial=0.0)), 1e-300)
        return tuple(order[np.diff(every[order], prepend=-np.inf) > slack].tolist())


def combined(potential: Any, deltas: Sequence[Sequence[float]] = (), mass: str | float | None = None) -> Any:
    """`potential` with Dirac deltas and an effective mass: H = -d/dx (1 / m) d/dx + V + sum_j alpha_j delta(x - c_j).

    deltas  pairs [c_j, alpha_j] of position and strength, an energy times a length
    mass    m, a number or a formula in x, in units of the mass (dimensionless: of the m in hbar^2 / (2 m L^2))

    psi is continuous and psi' / m jumps by alpha_j psi at c_j. Raises ValueError for a delta that is not between the
    walls, a mass that is not positive, or one beside that of the potential.
    """
    pairs = [_pair(entry) for entry in plain(deltas)] if _is_list(deltas) else _refuse(deltas)
    if not pairs and mass is None:
        return potential
    left, right = potential.domain
    low, high = (-np.inf if left is None else float(left)), (np.inf if right is None else float(right))
    for place, strength in pairs:
        margin = 1e-9 * (high - low) if np.isfinite(high - low) else 0.0
        if not low + margin < place < high - margin:
            raise ValueError(f"deltas=[{place:g}, {strength:g}]: must lie between the walls {low:g} and {high:g}")
    heavy = None if mass is None else _mass(potential, mass)
    bare = Combined(
        potential=potential, places=tuple(place for place, _ in pairs), strengths=tuple(alpha for _, alpha in pairs),
        heavy=heavy, order=(),
    )  # fmt: skip
    return bare.of(potential)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)


def _refuse(deltas: Any) -> list[tuple[float, float]]:
    raise ValueError(f"deltas={shown(deltas)}: must be pairs of position and strength, as [[0.5, 10]]")


def _pair(entry: Any) -> tuple[float, float]:
    if not _is_list(entry) or len(entry) != 2:
        _refuse(entry)
    place, strength = (finite("deltas", number) for number in plain(entry))
    if strength == 0:
        raise ValueError(f"deltas=[{place:g}, 0]: must have a strength that is not zero")
    return place, strength


def _mass(potential: Any, mass: str | float) -> Any:
    """m(x) in the form of a potential."""
    if hasattr(potential, "mass_at"):
        raise ValueError(f"mass={mass}: {potential.name} brings its own masses; leave it out")
    left, right = potential.domain
    if left is None or right is None:
        raise ValueError(f"mass={mass}: needs walls; give potential.domain")
    text = mass if isinstance(mass, str) else repr(finite("mass", mass))
    try:
        heavy = expression([float(left), float(right)], text)
    except ValueError as error:
        raise ValueError(str(error).replace("potential.formula", "mass", 1)) from None
    ends = np.array([left, *heavy.breakpoints, right], np.float64)
    cells = np.unique(np.concatenate([np.linspace(ends[0], ends[-1], CELLS), ends]))
    lo, _ = enclosure.enclose(heavy, cells[:-1], cells[1:])
    least = int(np.argmin(np.nan_to_num(lo, nan=-np.inf)))
    if not lo[least] > 1e-6:
        raise ValueError(f"mass={mass}: is not above 1e-6 near x = {cells[least]:.4g}; must be positive everywhere")
    return heavy
