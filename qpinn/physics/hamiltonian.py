"""A potential and the ends of its domain: what it takes to make H = -(psi' / m)' + V psi self-adjoint.

A `Hamiltonian` stands wherever a potential does: `at(x)`, or a call, gives V, and it has whatever its potential has
(walls, breakpoints, masses, deltas, ...), and lacks what that lacks. With psi = 0 at both ends a potential alone is
enough.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from qpinn.geometry.domain import WALLS, Ends
from qpinn.physics.potentials.base import pytree
from qpinn.physics.potentials.combined import Combined


@pytree
class Hamiltonian:
    """V with ends.

    A side of the domain that is None is one where psi decays; when it is given a place (`qpinn.physics.walls`), that
    is a wall.
    """

    potential: Any
    ends: Ends

    def __call__(self, x: Any) -> Any:
        return self.potential(x)

    def at(self, x: Any) -> Any:
        """V (...) at positions (..., d)."""
        return self.potential.at(x)

    def __getattr__(self, key: str) -> Any:
        if key in ("potential", "ends") or key.startswith("__"):  # not set yet, while a copy is made
            raise AttributeError(key)
        return getattr(self.potential, key)

    def on(self, left: float | None, right: float | None) -> Hamiltonian:
        """The same between other places, if the potential has a choice of them."""
        return dataclasses.replace(self, potential=self.potential.on(left, right))

    def levels(self, count: int) -> np.ndarray | None:
        """None: what closed forms there are hold with psi = 0 at the ends."""
        return None


def hamiltonian(potential: Any, ends: Ends) -> Any:
    """`potential` with these ends, itself with two walls.

    Raises ValueError for a free or a periodic end on a side where the domain has none.
    """
    if isinstance(potential, Hamiltonian):
        potential = potential.potential
    if ends.walls:
        return potential
    for side, name, place in zip(("left", "right"), (ends.left, ends.right), potential.domain, strict=True):
        if place is None and name != "wall":
            raise ValueError(f"ends.{side}={name}: {potential.name} has no {side} end, psi decays there; "
                             "give potential.domain")  # fmt: skip
    return Hamiltonian(potential, ends)


def ends_of(potential: Any) -> Ends:
    """The ends of a Hamiltonian; walls of a potential alone."""
    return potential.ends if isinstance(potential, Hamiltonian) else WALLS


def changed(potential: Any, **numbers: Any) -> Any:
    """The same potential, and ends, with other numbers."""
    if isinstance(potential, Hamiltonian):
        return dataclasses.replace(potential, potential=changed(potential.potential, **numbers))
    if isinstance(potential, Combined):
        own = {key: numbers.pop(key) for key in ("places", "strengths") if key in numbers}
        return dataclasses.replace(potential, **own).of(changed(potential.potential, **numbers))
    return dataclasses.replace(potential, **numbers)
