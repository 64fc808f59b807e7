"""A potential that is given as a formula in x, with named numbers."""

from __future__ import annotations

import dataclasses
import functools
import keyword
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from qpinn.checks import finite, plain, suggestion
from qpinn.physics import enclosure
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.base import MOST_KINKS, Number, Potential, builder, pytree, walls
from qpinn.physics.potentials.formula import Node
from qpinn.physics.potentials.several import Several, checked_names, several

Places = tuple[tuple[float, Node | None], ...]
"""Positions where V or its slope jumps, each with the tree whose zero it is if that depends on the parameters."""

JOINT = Node("joint")
"""In the place of that tree where several that move differently are zero at one position."""


@pytree
class Expression(Potential):
    """V = scale formula(x, parameters), see `qpinn.physics.potentials.formula`, between walls.

    names, values  of the parameters
    given_kinks    breakpoints beside those that are found in the formula
    places         all of them, for these values
    """

    left: Number
    right: Number
    formula: str = dataclasses.field(metadata={"static": True})
    places: Places | None = dataclasses.field(default=None, metadata={"static": True, "hidden": True, "derived": True})
    names: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True, "hidden": True})
    values: tuple[Number, ...] = ()
    given_kinks: tuple[float, ...] = dataclasses.field(default=(), metadata={"static": True, "hidden": True})
    scale: Number = dataclasses.field(default=1.0, metadata={"hidden": True})
    name: ClassVar[str] = "expression"
    energies: ClassVar[dict[str, float]] = {"scale": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.left, self.right

    @property
    def parameters(self) -> dict[str, Number]:
        return dict(zip(self.names, self.values, strict=True))

    def with_parameters(self, **numbers: Number) -> Expression:
        """The same with other parameters, which may be traced. Raises ValueError for a name that it does not have."""
        for name, value in numbers.items():
            if name not in self.names:
                hint = suggestion(name, self.names)
                raise ValueError(f"potential.parameters.{name}={value}: is not in potential.formula={self.formula}; "
                                 f"{hint}allowed: {', '.join(self.names) or 'none'}")  # fmt: skip
        return dataclasses.replace(self, values=tuple({**self.parameters, **numbers}.values()))

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        if any(isinstance(value, jax.core.Tracer) for value in self.values):
            return tuple(self._moved(place, term) for place, term in self.places or ())
        return tuple(place for place, _ in self.settled().places or ())

    def settled(self) -> Expression:
        """The same with the places that belong to its parameters, which are numbers here."""
        if not self.names and self.places is not None:
            return self
        at = tuple(float(value) for value in (self.left, self.right, *self.values))
        return dataclasses.replace(self, places=_places(self.formula, self.names, at, self.given_kinks))

    def check_derivatives(self) -> None:
        """Raise ValueError if a place where V or its slope jumps has no derivative with respect to the parameters."""
        for place, term in self.places or ():
            if term is None:
                continue
            steep = term != JOINT and float(self._slope(term, self.values, place))
            if not steep or not np.isfinite(steep):
                why = "several switches meet" if term == JOINT else "a switch only touches zero"
                raise ValueError(f"potential.formula={self.formula}: at x = {place:g} {why}, so that levels have no "
                                 "derivative with respect to potential.parameters")  # fmt: skip

    def _moved(self, place: float, term: Node | None) -> Number:
        """`place`, as the zero of a tree in x that moves with the parameters."""
        if term is None:
            return place
        fixed = jax.lax.stop_gradient
        value = formulas.compute(formulas.bound(term, self.parameters), jnp.asarray(place, jnp.float64))
        return place - (value - fixed(value)) / self._slope(term, fixed(self.values), place)

    def _slope(self, term: Node, values: tuple[Number, ...], place: float) -> Number:
        """Of a tree, at a place."""
        tree = formulas.bound(term, dict(zip(self.names, values, strict=True)))
        with jax.enable_x64(True):
            return jax.grad(lambda x: formulas.compute(tree, x))(jnp.asarray(place, jnp.float64))

    def by_key(self, by_field: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Derivatives (..., ) with respect to the walls and to each of the parameters."""
        numbers = by_field.pop("values", np.zeros(0))
        return {**by_field, **{name: numbers[..., index] for index, name in enumerate(self.names)}}

    def at(self, x: Any) -> Any:
        return self.scale * formulas.compute(self._tree, x[..., 0])

    @property
    def _tree(self) -> Node:
        return formulas.bound(formulas.parse(self.formula, self.names), self.parameters)


@builder
def expression(
    domain: Sequence[Any] | None = None, formula: str = "10*(x**2-1)**2 + 0.3*x", breakpoints: Sequence[float] = (),
    parameters: Mapping[str, float] | None = None, masses: Sequence[float] | None = None,
) -> Expression | Several:  # fmt: skip
    """V from a formula in x and in `parameters`, numbers by name: "D*(1-exp(-a*x))**2" with {"D": 10, "a": 1}.

    `breakpoints` are added to those that are found where V or its slope jumps. Levels have derivatives with respect to
    parameters (`qpinn.gradients`), those that say where V jumps among them. With units x is in that of length and the
    formula gives V in that of energy; a parameter is the number that it is in the formula, and is not converted.

    With a pair of walls for each axis, as [[-6, 6], [-6, 6]], it is a formula of several coordinates, x, y and z or x1
    to x10, and `masses` are those of the axes (`qpinn.physics.potentials.several`).

    Raises ValueError for what a formula may not hold, parameters that are not in it, and where V is not a finite real
    number within the walls.
    """
    if _nested(domain):
        if breakpoints is not None and np.size(breakpoints):
            raise ValueError(f"potential.breakpoints={breakpoints}: are found in a formula of several coordinates; "
                             "leave them out")  # fmt: skip
        return checked_names(several(domain, formula, _numbers(parameters), masses))
    if masses is not None:
        raise ValueError(f"potential.masses={masses}: are those of several axes; on a line hamiltonian.mass")
    if domain is None:
        raise ValueError("potential.domain=null: a formula needs walls, as in potential.domain=[-3,3]")
    left, right = walls(domain)
    if not isinstance(formula, str):
        raise ValueError(f"potential.formula={formula!r}: must be a formula in x, in quotes")
    if isinstance(breakpoints, str) or not isinstance(breakpoints, Sequence):
        raise ValueError(f"potential.breakpoints={breakpoints!r}: must be numbers in brackets, as [-1,1]")
    numbers = _numbers(parameters)
    names, values = tuple(numbers), tuple(numbers.values())
    tree = formulas.parse(formula, names)
    for name in numbers:
        if name not in formulas.parameters(tree):
            raise ValueError(f"potential.parameters.{name}={numbers[name]:g}: is not in potential.formula={formula}; "
                             "leave it out")  # fmt: skip
    for term in formulas.denominators(formulas.bound(tree, numbers)):
        poles = formulas.zeros(term, left, right)
        if poles:
            raise ValueError(f"potential.formula={formula}: division by zero at {_pole(poles[0], left, right)}")
    kinks = tuple(finite("potential.breakpoints", point) for point in breakpoints)
    for point in kinks:
        if not left < point < right:
            raise ValueError(f"potential.breakpoints={point:g}: must lie inside the domain [{left:g}, {right:g}]")
    places = _places(formula, names, (left, right, *values), kinks)
    if len(places) > MOST_KINKS:
        raise ValueError(f"potential.formula={formula}: V jumps or bends at {len(places)} places; at most {MOST_KINKS}")
    built = Expression(
        left=left, right=right, formula=formula, places=places, names=names, values=values, given_kinks=kinks
    )
    beyond = enclosure.out_of_range(built)
    if beyond is not None:
        raise ValueError(
            f"potential.formula={formula}: is {beyond[1]:g} at x = {beyond[0]:.6g}; must be real and within "
            f"+-{enclosure.largest(left, right):g}"
        )
    return built


def _nested(domain: Any) -> bool:
    """Whether these are walls of several axes."""
    rows = plain(domain)
    return isinstance(rows, Sequence | np.ndarray) and any(isinstance(row, Sequence | np.ndarray) for row in rows)


TAKEN = ("x", "left", "right", *formulas.CONSTANTS, *formulas.ARGUMENTS, *formulas.ALIASES)
"""Names that mean something else, in a formula or among derivatives."""


def _numbers(parameters: Any) -> dict[str, float]:
    """Parameters by name. Raises ValueError for what is none."""
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise ValueError(f"potential.parameters={parameters!r}: must be numbers by name, as {{D: 10, a: 1}}")
    numbers = {}
    for name, value in parameters.items():
        key = f"potential.parameters.{name}"
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"{key}={value}: must have a name of letters, digits and _, as in {{D: 10, a_1: 1}}")
        if name in TAKEN:
            raise ValueError(f"{key}={value}: {name} has a meaning of its own; choose another name, as {name}_0")
        number = value.item() if isinstance(value, np.generic) else value
        numbers[unicodedata.normalize("NFKC", name)] = finite(key, number)  # as Python reads names
    return numbers


@functools.lru_cache(maxsize=256)
def _places(formula: str, names: tuple[str, ...], numbers: tuple[float, ...], given: tuple[float, ...]) -> Places:
    """Where V or its slope jumps; numbers: left and right wall, and the values of the parameters."""
    left, right, *values = numbers
    by_name = dict(zip(names, values, strict=True))
    pairs: list[tuple[float, Node | None]] = []
    for term in formulas.switches(formulas.parse(formula, names)):
        zeros = formulas.zeros(formulas.bound(term, by_name), left, right)
        moving = (term.operands[0] if term.operation == "floor" else term) if formulas.parameters(term) else None
        pairs += [(zero, moving) for zero in zeros]
    found = _apart(pairs, left, right)
    others = [(point, None) for point in given if all(abs(point - place) > 1e-9 * (right - left) for place, _ in found)]
    return _apart([*found, *others], left, right)


def _pole(place: float, left: float, right: float) -> str:
    """Where a pole lies, and what can be done about one at a wall."""
    off = 1e-3 * (right - left)
    if abs(place - left) < 1e-9 * (right - left):
        return f"x = {place:.6g}, the left wall; begin beyond it, as with potential.domain=[{left + off:g},{right:g}]"
    if abs(place - right) < 1e-9 * (right - left):
        return f"x = {place:.6g}, the right wall; end before it, as with potential.domain=[{left:g},{right - off:g}]"
    return f"x = {place:.6g}, inside the domain"


def _apart(pairs: Sequence[tuple[float, Node | None]], left: float, right: float) -> Places:
    """Places in order, those that differ from the last and from the walls by more than rounding."""
    kept: list[tuple[float, Node | None]] = []
    least = 1e-9 * (right - left)
    for place, term in sorted(pairs, key=lambda pair: pair[0]):
        if place - left <= least or right - place <= least:
            continue
        if kept and place - kept[-1][0] <= least:
            before, other = kept[-1]
            if term != other:  # one that moves and one that does not, or two that move differently
                kept[-1] = before, JOINT
            continue
        kept.append((place, term))
    return tuple(kept)
