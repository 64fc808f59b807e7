"""A potential of several coordinates, from a formula: a sum of terms, each on some of the axes of a box.

    H = -sum_i (1 / m_i) d^2 / dx_i^2 + V(x_1, ..., x_d)

V is cut at its plus and minus signs into terms, so that what needs a grid needs one on the axes of a term alone. A
`switch` of the formula (the condition of where, the argument of heaviside, abs, ...) that depends on one coordinate
makes breakpoints on its axis, where all functions of the axis may have a jump in their second derivative; one that
depends on several is a curve or a surface g = 0.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.checks import LIMIT, finite, plain, positive, shown
from qpinn.geometry.domain import WALLS, Ends
from qpinn.physics.interval import Interval
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.base import MOST_KINKS, Number, Potential, pytree, walls
from qpinn.physics.potentials.branches import branch
from qpinn.physics.potentials.formula import Node
from qpinn.physics.potentials.terms import (
    MOST_AXES,
    Term,
    as_x,
    at_places,
    axes_of,
    coordinates,
    letter,
    read,
    terms_of,
)

CLOSEST = 1e-9
"""Distance of jumps from each other and from walls, as a share of the box, below which they are not told apart."""

WIDEST = 3
"""Axes that one term may depend on: a grid of more is too large."""


@pytree
class Several(Potential):
    """V = scale formula(x, parameters) in a box; a wall that is None is one where psi decays.

    title     what the potential is called
    masses    m_i of the axes
    joined    what psi does at the ends of every axis; () for walls (`between` makes others)
    """

    lefts: tuple[Number | None, ...]
    rights: tuple[Number | None, ...]
    formula: str = dataclasses.field(metadata={"static": True})
    title: str = dataclasses.field(default="expression", metadata={"static": True, "hidden": True})
    names: tuple[str, ...] = dataclasses.field(default=(), metadata={"static": True, "hidden": True})
    values: tuple[Number, ...] = ()
    masses: tuple[Number, ...] = ()
    scale: Number = dataclasses.field(default=1.0, metadata={"hidden": True})
    joined: tuple[Ends, ...] = dataclasses.field(default=(), metadata={"static": True, "hidden": True})
    energies: ClassVar[dict[str, float]] = {"scale": 1}

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.title

    @property
    def dimension(self) -> int:
        return len(self.lefts)

    @property
    def domain(self) -> Any:
        """(left, right) of every axis."""
        return tuple(zip(self.lefts, self.rights, strict=True))

    def described(self) -> dict[str, Any]:
        """Name and numbers, for a results file."""
        numbers = {"parameters": dict(self.parameters)} if self.names else {}
        masses = {"masses": list(self.masses)} if set(self.masses) != {1.0} else {}
        return {"name": self.title, "dimension": self.dimension, "formula": self.formula, **numbers, **masses}

    @property
    def parameters(self) -> dict[str, Number]:
        return dict(zip(self.names, self.values, strict=True))

    def on(self, domain: Sequence[tuple[float, float]]) -> Several:
        """The same between other walls."""
        lefts, rights = zip(*domain, strict=True)
        return dataclasses.replace(self, lefts=tuple(lefts), rights=tuple(rights))

    def between(self, ends: Sequence[Ends]) -> Several:
        """The same with other ends, one pair for each axis.

        Raises ValueError where psi is to be free or periodic on a side on which the box has no end.
        """
        for axis, (pair, (left, right)) in enumerate(zip(ends, self.domain, strict=True)):
            for name, place in ((pair.left, left), (pair.right, right)):
                if place is None and name != "wall":
                    raise ValueError(f"ends={name}: axis {axis + 1} has no ends, psi decays there; give "
                                     "potential.domain, as [[0,6.283185307179586],...]")  # fmt: skip
        return dataclasses.replace(self, joined=() if all(pair.walls for pair in ends) else tuple(ends))

    @property
    def ends_of_axes(self) -> tuple[Ends, ...]:
        """What psi does at the ends of every axis."""
        return self.joined or (WALLS,) * self.dimension

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms that add up to V / scale, with the numbers of the parameters in them."""
        split = terms_of(self.formula, self.names, self.dimension)
        return tuple(Term(term.axes, formulas.bound(term.tree, self.parameters)) for term in split)

    def term_at(self, term: Term, places: Mapping[int, Any]) -> Any:
        """A term where each coordinate has these values, arrays of NumPy or JAX or intervals that go together."""
        return self.scale * at_places(term.tree, places)

    def at(self, x: Any) -> Any:
        """V (...) at positions x (..., d)."""
        return _total(self, self.terms, [x[..., axis] for axis in range(self.dimension)], 0.0 * x[..., 0])

    def __call__(self, x: Any) -> Any:
        """V at positions x (..., d), an array of any shape whose last axis is that of the coordinates."""
        place = np.asarray(x, np.float64)
        if place.ndim == 0 or place.shape[-1] != self.dimension:
            raise TypeError(
                f"x: has the shape {place.shape}; its last axis must be that of {self.dimension} coordinates"
            )
        return self.at(place)[()]

    @property
    def switches(self) -> tuple[Term, ...]:
        """The trees at whose zeros V or its slope may jump, with the axes that each depends on; the smallest first."""
        places: dict[Term, None] = {}
        for term in self.terms:
            for tree in formulas.switches(term.tree):
                places[Term(axes_of(tree, self.dimension), tree)] = None
        return tuple(sorted(places, key=lambda term: formulas.size(term.tree)))

    @property
    def breakpoints(self) -> Any:
        """For every axis the positions on it where V or its slope may jump on a plane."""
        found: list[list[float]] = [[] for _ in range(self.dimension)]
        alone = [switch for switch in self.switches if len(switch.axes) == 1]
        for switch in sorted(alone, key=_nested):
            (axis,) = switch.axes
            left, right = self.domain[axis]
            ends = [-1e3 if left is None else left, 1e3 if right is None else right]
            tree = as_x(switch.tree, axis, self.dimension)
            if _nested(switch):  # a tree that is zero on a stretch: its zeros on others are looked for one by one
                ends = sorted({*ends, *(place for place in found[axis] if ends[0] < place < ends[1])})
            found[axis] += [place for stretch in pairwise(ends) for place in formulas.zeros(tree, *stretch)]
        return tuple(_inner(places, *self.domain[axis]) for axis, places in enumerate(found))

    @property
    def unlocated(self) -> tuple[int, ...]:
        """Axes on which interval arithmetic does not tell where V jumps or bends: there `breakpoints` may lack some."""
        return _unlocated(self, [switch for switch in self.switches if len(switch.axes) == 1])

    @property
    def curves(self) -> tuple[Node, ...]:
        """Trees g of several coordinates, at whose zeros V or its slope may jump."""
        return tuple(switch.tree for switch in self.switches if len(switch.axes) > 1)

    def enclosed(self, cells: Sequence[Interval]) -> Interval:
        """V on cells: an interval for each axis, arrays of shapes that go together."""
        return _total(self, self.terms, cells, Interval(np.zeros(()), np.zeros(())))  # type: ignore[no-any-return]


Sides = tuple[tuple[Node, bool], ...]
"""Trees and whether each is positive; a tree may have earlier ones in it."""


def resolved(tree: Node, sides: Sides) -> Node:
    """A tree as it is on these sides of its switches."""
    for place, (switch, above) in enumerate(sides):
        tree = branch(tree, resolved(switch, sides[:place]), above)
    return tree


class OneSided(NamedTuple):
    """A potential as it is on one side of some of its `switches`, continued beyond them."""

    potential: Several
    sides: Sides

    @property
    def dimension(self) -> int:
        return self.potential.dimension

    @property
    def domain(self) -> Any:
        """(left, right) of every axis."""
        return self.potential.domain

    @property
    def breakpoints(self) -> Any:
        """Those of V on all sides."""
        return self.potential.breakpoints

    @property
    def unlocated(self) -> tuple[int, ...]:
        """Axes of switches that are left and whose places are not known."""
        trees = {tree for term in self.terms for tree in formulas.switches(term.tree)}
        return _unlocated(self, [Term(axes_of(tree, self.dimension), tree) for tree in trees])

    @property
    def terms(self) -> tuple[Term, ...]:
        return tuple(Term(term.axes, resolved(term.tree, self.sides)) for term in self.potential.terms)

    def at(self, x: Any) -> Any:
        """V (...) at positions x (..., d)."""
        places = [x[..., axis] for axis in range(self.dimension)]
        return _total(self.potential, self.terms, places, 0.0 * x[..., 0])

    def enclosed(self, cells: Sequence[Interval]) -> Interval:
        """V on cells: an interval for each axis, arrays of shapes that go together."""
        zero = Interval(np.zeros(()), np.zeros(()))
        return _total(self.potential, self.terms, cells, zero)  # type: ignore[no-any-return]


def _total(potential: Several, terms: Sequence[Term], places: Sequence[Any], total: Any) -> Any:
    for term in terms:
        total = total + potential.term_at(term, {axis: places[axis] for axis in term.axes} or {0: places[0]})
    return total


def _unlocated(potential: Any, switches: Sequence[Term]) -> tuple[int, ...]:
    """Axes of switches that depend on several coordinates, or on one and have zeros that are not all known."""
    found: set[int] = set()
    for switch in switches:
        if len(switch.axes) > 1 or (switch.axes and not _is_located(potential, switch)):
            found |= set(switch.axes)
    return tuple(sorted(found))


def _is_located(potential: Any, switch: Term) -> bool:
    (axis,) = switch.axes
    left, right = potential.domain[axis]
    ends = [-1e3 if left is None else left, 1e3 if right is None else right]
    tree = as_x(switch.tree, axis, potential.dimension)
    if formulas.switches(tree):
        ends = sorted({*ends, *(place for place in potential.breakpoints[axis] if ends[0] < place < ends[1])})
    return all(formulas.located(tree, *stretch) for stretch in pairwise(ends))


def _nested(switch: Term) -> int:
    """How many switches there are within one."""
    return len(formulas.switches(switch.tree)) - (switch.tree.operation == "floor")


def _inner(places: Sequence[float], left: float | None, right: float | None) -> tuple[float, ...]:
    """Places inside the walls, in order, those that are the same but for rounding once.

    Raises ValueError for two that are not, yet closer than segments can be.
    """
    low, high = -math.inf if left is None else left, math.inf if right is None else right
    width = high - low if math.isfinite(high - low) else 2e3
    kept: list[float] = []
    for place in sorted(places):
        if not low + CLOSEST * width < place < high - CLOSEST * width:
            continue
        beyond = place - kept[-1] if kept else math.inf
        if left is not None and right is not None and 1e-4 * CLOSEST * width < beyond <= CLOSEST * width:
            raise ValueError(f"potential.formula: V jumps or bends at two places about {place:g} that are {beyond:.2g} "
                             f"apart; segments of a box as wide as {width:g} cannot be so short")  # fmt: skip
        if beyond > CLOSEST * width:
            kept.append(place)
    return tuple(kept)


def several(
    domain: Any, formula: str, parameters: Mapping[str, float] | None = None, masses: Sequence[float] | None = None,
    title: str = "expression",
) -> Several:  # fmt: skip
    """A potential from a formula in x, y, z or x1, ..., xd, between the walls `domain` of every axis.

    domain  [[left, right], ...] of each axis; null in the place of a wall where psi decays
    masses  of the axes, 1 unless they are given

    Raises ValueError for what a formula may not hold, terms on more than three axes, and where V is not a finite real
    number in the box.
    """
    sides = boxed(domain)
    dimension = len(sides)
    numbers = {name: finite(f"potential.parameters.{name}", value) for name, value in (parameters or {}).items()}
    taken = coordinates(dimension)
    for name in numbers:
        if name in taken:
            raise ValueError(f"potential.parameters.{name}={numbers[name]:g}: {name} is a coordinate; choose another "
                             f"name, as {name}_0")  # fmt: skip
    built = Several(
        lefts=tuple(left for left, _ in sides), rights=tuple(right for _, right in sides), formula=formula,
        title=title, names=tuple(numbers), values=tuple(numbers.values()), masses=masses_of(masses, dimension),
    )  # fmt: skip
    for name in numbers:
        if name not in formulas.parameters(read(formula, tuple(numbers), dimension)):
            raise ValueError(f"potential.parameters.{name}={numbers[name]:g}: is not in potential.formula={formula}; "
                             "leave it out")  # fmt: skip
    for term in built.terms:
        if len(term.axes) > WIDEST:
            which = ", ".join(letter(axis, dimension) for axis in term.axes)
            raise ValueError(f"potential.formula={formula}: has a term of {len(term.axes)} coordinates ({which}); at "
                             f"most {WIDEST}, in sums of terms")  # fmt: skip
    for axis, places in enumerate(built.breakpoints):
        if len(places) > MOST_KINKS:
            raise ValueError(f"potential.formula={formula}: V jumps or bends at {len(places)} places of axis "
                             f"{axis + 1}; at most {MOST_KINKS}")  # fmt: skip
    _check(built)
    return built


def checked_names(potential: Several) -> Several:
    """Itself. Raises ValueError where the box has an axis that the formula does not name: walls too many."""
    dimension = potential.dimension
    missing = set(range(dimension)) - set(axes_of(read(potential.formula, potential.names, dimension), dimension))
    if missing:
        name = letter(min(missing), dimension)
        raise ValueError(f"potential.formula={potential.formula}: does not name {name}, and potential.domain has "
                         f"{dimension} axes; leave out walls, or write + 0*{name}")  # fmt: skip
    return potential


def boxed(domain: Any) -> list[tuple[float | None, float | None]]:
    """Walls of every axis. Raises ValueError for what are none."""
    rows = plain(domain)
    rows = rows.tolist() if isinstance(rows, np.ndarray) else rows
    if (
        not isinstance(rows, Sequence)
        or isinstance(rows, str)
        or not len(rows) >= 1
        or not all(
            isinstance(row, Sequence | np.ndarray) and not isinstance(row, str) and len(row) == 2 for row in rows
        )
    ):
        raise ValueError(f"potential.domain={shown(domain)}: must be [left, right] of every axis, as [[-6,6],[-6,6]]")
    if not 2 <= len(rows) <= MOST_AXES:
        raise ValueError(f"potential.domain={shown(domain)}: has {len(rows)} axes; must be from 2 to {MOST_AXES}")
    return [(None, None) if tuple(row) == (None, None) else walls(plain(row)) for row in rows]


def masses_of(masses: Any, dimension: int) -> tuple[float, ...]:
    """A mass for each axis, 1 unless they are given; one number is that of all."""
    if masses is None:
        return (1.0,) * dimension
    values = plain(masses)
    values = [values] * dimension if isinstance(values, int | float) else values
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != dimension:
        raise ValueError(f"potential.masses={shown(masses)}: must be {dimension} numbers, one for each axis")
    return tuple(positive("potential.masses", value) for value in values)


CELLS, MOST_CELLS = {1: 256, 2: 32, 3: 12}, 40_000
"""Cells of an axis, by the axes of a term, in which V is looked at to begin with; and cells in all."""


def _check(potential: Several) -> None:
    """Raise ValueError where V is not a finite real number within +-LIMIT: cells in which it may not be are halved."""
    for term in potential.terms:
        if not term.axes:
            with np.errstate(all="ignore"):
                constant = float(potential.term_at(term, {0: np.zeros(())}))
            if not abs(constant) <= LIMIT:
                raise ValueError(f"potential.formula={potential.formula}: is no real number within +-{LIMIT:g}")
            continue
        d = len(term.axes)
        sides = [potential.domain[axis] for axis in term.axes]
        ends = [np.linspace(-1.0 if left is None else left, 1.0 if right is None else right, CELLS[d] + 1)
                for left, right in sides]  # fmt: skip
        low, high = (np.stack([axis.ravel() for axis in np.meshgrid(*parts, indexing="ij")], axis=1)
                     for parts in ([own[:-1] for own in ends], [own[1:] for own in ends]))  # fmt: skip
        size = max(own[-1] - own[0] for own in ends)
        while len(low):
            enclosed = potential.term_at(term, {axis: Interval(low[:, place], high[:, place])
                                                for place, axis in enumerate(term.axes)})  # fmt: skip
            bad = ~((enclosed.lo >= -LIMIT) & (enclosed.hi <= LIMIT)) & np.ones(len(low), bool)
            low, high = low[bad], high[bad]
            if not len(low):
                break
            if len(low) > MOST_CELLS or (high - low).max() < 1e-9 * size:
                raise _out_of_range(potential, term, (low[0] + high[0]) / 2)
            place = int(np.argmax((high - low).max(axis=0)))  # the longest side
            middle, lower, upper = (low[:, place] + high[:, place]) / 2, high.copy(), low.copy()
            lower[:, place], upper[:, place] = middle, middle
            low, high = np.concatenate([low, upper]), np.concatenate([lower, high])


def _out_of_range(potential: Several, term: Term, place: np.ndarray) -> ValueError:
    at = ", ".join(f"{letter(axis, potential.dimension)} = {number:.6g}" if abs(number) > 1e-8 else
                   f"{letter(axis, potential.dimension)} = 0"
                   for axis, number in zip(term.axes, place, strict=True))  # fmt: skip
    return ValueError(f"potential.formula={potential.formula}: is no real number within +-{LIMIT:g} about {at}")


def table(potential: Several, term: Term, grids: Sequence[Float[np.ndarray, "q"]]) -> Float[np.ndarray, "..."]:
    """A term on the product of grids, one for each of its axes."""
    mesh = np.meshgrid(*grids, indexing="ij", sparse=True)
    places = dict(zip(term.axes, mesh, strict=True)) or {0: np.zeros(())}
    with np.errstate(all="ignore"):
        value = np.asarray(potential.term_at(term, places), np.float64)
    return np.broadcast_to(value, tuple(len(grid) for grid in grids))


def tabulated(
    potential: Several, grids: Sequence[Float[np.ndarray, "q"]]
) -> list[tuple[tuple[int, ...], Float[np.ndarray, "..."]]]:
    """Every term on the grid of its axes, with these axes; a constant has none."""
    return [(term.axes, table(potential, term, [grids[axis] for axis in term.axes])) for term in potential.terms]
