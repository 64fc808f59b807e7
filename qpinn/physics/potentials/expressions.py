"""A potential that is given as a formula in x."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from qpinn.checks import LIMIT, finite
from qpinn.physics import enclosure
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.base import MOST_KINKS, Number, Potential, builder, pytree, walls


@pytree
class Expression(Potential):
    """V = scale formula(x), see `qpinn.physics.potentials.formula`, between walls."""

    left: Number
    right: Number
    formula: str = dataclasses.field(metadata={"static": True})
    breakpoints: tuple[float, ...] = dataclasses.field(metadata={"static": True})
    scale: Number = dataclasses.field(default=1.0, metadata={"hidden": True})
    name: ClassVar[str] = "expression"
    energies: ClassVar[dict[str, float]] = {"scale": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.left, self.right

    def at(self, x: Any) -> Any:
        return self.scale * formulas.compute(formulas.parse(self.formula), x[..., 0])


@builder
def expression(
    domain: Sequence[float] | None = None, formula: str = "10*(x**2-1)**2 + 0.3*x", breakpoints: Sequence[float] = ()
) -> Expression:
    """V from a formula. `breakpoints` are added to those that are found where V or its slope jumps.

    Raises ValueError for what a formula may not hold, and where V is not a finite real number within the walls.
    """
    if domain is None:
        raise ValueError("potential.domain=null: a formula needs walls, as in potential.domain=[-3,3]")
    left, right = walls(domain)
    if not isinstance(formula, str):
        raise ValueError(f"potential.formula={formula!r}: must be a formula in x, in quotes")
    if isinstance(breakpoints, str) or not isinstance(breakpoints, Sequence):
        raise ValueError(f"potential.breakpoints={breakpoints!r}: must be numbers in brackets, as [-1,1]")
    tree = formulas.parse(formula)
    for term in formulas.denominators(tree):
        poles = formulas.zeros(term, left, right)
        if poles:
            raise ValueError(f"potential.formula={formula}: division by zero at {_pole(poles[0], left, right)}")
    kinks = {kink for term in formulas.switches(tree) for kink in formulas.zeros(term, left, right)}
    for point in breakpoints:
        if not left < finite("potential.breakpoints", point) < right:
            raise ValueError(f"potential.breakpoints={point:g}: must lie inside the domain [{left:g}, {right:g}]")
        kinks.add(float(point))
    apart = _apart(sorted(kinks), left, right)
    if len(apart) > MOST_KINKS:
        raise ValueError(f"potential.formula={formula}: V jumps or bends at {len(apart)} places; at most {MOST_KINKS}")
    built = Expression(left=left, right=right, formula=formula, breakpoints=apart)
    beyond = enclosure.out_of_range(built)
    if beyond is not None:
        raise ValueError(
            f"potential.formula={formula}: is {beyond[1]:g} at x = {beyond[0]:.6g}; must be real and within +-{LIMIT:g}"
        )
    return built


def _pole(place: float, left: float, right: float) -> str:
    """Where a pole lies, and what can be done about one at a wall."""
    off = 1e-3 * (right - left)
    if abs(place - left) < 1e-9 * (right - left):
        return f"x = {place:.6g}, the left wall; begin beyond it, as with potential.domain=[{left + off:g},{right:g}]"
    if abs(place - right) < 1e-9 * (right - left):
        return f"x = {place:.6g}, the right wall; end before it, as with potential.domain=[{left:g},{right - off:g}]"
    return f"x = {place:.6g}, inside the domain"


def _apart(points: list[float], left: float, right: float) -> tuple[float, ...]:
    """Those of ascending points that differ from the last and from the walls by more than rounding."""
    kept: list[float] = []
    for point in points:
        least = 1e-9 * (right - left)
        if point - left > least and right - point > least and (not kept or point - kept[-1] > least):
            kept.append(point)
    return tuple(kept)
