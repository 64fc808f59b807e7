"""What every potential has, and the checks that their builders share.

A potential is one small pytree dataclass and one checking builder. It is an argument of every computation, not a
constant in it: its numbers are leaves, so that one compiled programme serves all of them and derivatives with respect
to them exist. Its equation is `at(x)`, V (...) at positions x of shape (..., d): what the package computes with. It
works on JAX arrays (inside `jit`, `vmap`, `grad`), in float64 whatever JAX's precision is on NumPy arrays, and on what
else has `__array_namespace__` (intervals). Who has positions on a line, of any shape, calls the potential itself.

`domain` holds the two walls, where psi = 0; `breakpoints` the positions strictly inside where V or its slope jumps. A
potential of the whole line has walls None until `on_box` gives it some, far enough out (`qpinn.physics.walls`).

Two attributes exist only where they are needed, and `hasattr` tells. `mass_at(x)`, smooth between breakpoints, is
the effective mass (...) at positions (..., d) of

    H = -d/dx (1 / m) d/dx + V        (BenDaniel and Duke, Phys. Rev. 152 (1966) 683)

so that psi and psi' / m are continuous; it is 1 where a potential has none. `deltas` holds positions, breakpoints all
of them, and strengths alpha of Dirac deltas in V, at each of which psi' / m jumps by alpha psi. What else the package
asks of a potential has a default in `Potential`.

`domain`, `breakpoints` and `deltas` are functions of the leaves that can be traced, so that a level has derivatives
with respect to positions and widths (`qpinn.physics.derivatives`). Where the keys of the builder are not the fields,
`by_key` turns derivatives with respect to the fields into those with respect to the keys.

Builders (lower case, with `@builder`) check their numbers and raise `ValueError` with a line that names the key, the
value and what is allowed. The dataclasses themselves check nothing, because under `jit` their fields are tracers.

Units: lengths in L, energies in hbar^2 / (2 m L^2), masses in that m, so that H = -d^2/dx^2 + V.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.checks import SMALLEST, finite, plain, positive, shown
from qpinn.geometry.domain import WALLS, Ends
from qpinn.typing import Array

Number = Any  # a Python float on the host, a tracer under jit
T = TypeVar("T")


class Potential:
    """What the rest of the package asks of a potential.

    energies    the fields that scale with the unit of energy, each with its power of it (`qpinn.physics.units`); None
                for a potential whose numbers have no units
    in_units    whether its numbers are in nm, eV and m_e, so that dimensionless they mean nothing
    threshold   the lower of V(-inf) and V(inf), above which nothing is bound; inf if V rises without end
    hard_walls  whether the left and the right wall belong to the potential, so that V does not go on beyond them
    seams       positions between which V is smooth, breakpoints or not
    """

    name: ClassVar[str]
    energies: ClassVar[dict[str, float] | None] = None
    in_units: ClassVar[bool] = False
    threshold: ClassVar[float] = math.inf
    hard_walls: ClassVar[tuple[bool, bool]] = (False, False)

    if TYPE_CHECKING:  # a field of some potentials, a property of others

        @property
        def domain(self) -> tuple[Number, Number]: ...

        @property
        def breakpoints(self) -> tuple[Number, ...]: ...

        def at(self, x: Any) -> Any: ...

    def __call__(self, x: Any) -> Any:
        """V at positions x, of whatever shape and in that shape: numbers, lists, NumPy and JAX arrays.

        In the units of the potential's numbers. Beyond the walls, where psi is zero, it is the formula continued, and
        Dirac deltas are not in it. Raises TypeError for what are no real numbers.
        """
        place = positions(x, self)
        return self.at(place[..., None])[()]

    def mass(self, x: Any) -> Any:
        """The effective mass at positions x, of whatever shape and in that shape; 1 where a potential has none."""
        place = positions(x, self)
        return (mass_at(self, place[..., None]) + 0.0 * place)[()]

    @property
    def seams(self) -> Float[np.ndarray, "seams"]:
        return np.zeros(0)


BUILDERS: dict[str, Callable[..., Any]] = {}
"""What `potential.name` in a config may say, of potentials on a line."""

BOXES: dict[str, Callable[..., Any]] = {}
"""The same of potentials of several coordinates."""

Builder = TypeVar("Builder", bound=Callable[..., Any])


def builder(function: Builder) -> Builder:
    """Register a checking function as the potential of its name. Raises ValueError for a name that is taken."""
    return _registered(function, BUILDERS)


def box_builder(function: Builder) -> Builder:
    """The same for a potential of several coordinates."""
    return _registered(function, BOXES)


def _registered(function: Builder, registry: dict[str, Callable[..., Any]]) -> Builder:
    name = function.__name__
    taken = {**BUILDERS, **BOXES}.get(name, function)
    if taken.__module__ != function.__module__:
        raise ValueError(f"potential.name={name}: in {function.__module__}, and in {taken.__module__}; must be unique")
    registry[name] = function
    return function


def dimension(potential: Any) -> int:
    """The number of coordinates of a potential."""
    return int(getattr(potential, "dimension", 1))


@dataclass_transform(frozen_default=True)
def pytree(cls: type[T]) -> type[T]:
    """A frozen dataclass whose fields are leaves, but for those whose metadata say that they are static."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))


@pytree
class Between(Potential):
    """A potential with two walls, and smooth between them."""

    left: Number
    right: Number

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.left, self.right

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return ()


MOST_KINKS = 48
"""Breakpoints that a mesh can take."""


def positives(**numbers: Any) -> dict[str, float]:
    """Fields of a potential that must be positive, by name."""
    return {key: positive(f"potential.{key}", value) for key, value in numbers.items()}


def walls(domain: Sequence[Any]) -> tuple[float, float]:
    domain = plain(domain)
    pair = isinstance(domain, Sequence) and not isinstance(domain, str) and len(domain) == 2
    if not pair or any(isinstance(wall, bool) or not isinstance(plain(wall), (int, float)) for wall in domain):
        raise ValueError(f"potential.domain={shown(domain)}: must be two numbers [left, right]")
    left, right = (finite("potential.domain", wall) for wall in domain)
    if left >= right:
        raise ValueError(f"potential.domain=[{left:g}, {right:g}]: the left wall must be smaller than the right one")
    if right - left < 1e-9 * max(abs(left), abs(right), SMALLEST):
        raise ValueError(f"potential.domain=[{left!r}, {right!r}]: the walls are too close to be told apart")
    return left, right


def inside(domain: Sequence[Any], center: Any, width: Any, what: str) -> dict[str, float]:
    """The fields left, right, center and width of a `what` that lies inside its box, or a ValueError."""
    left, right = walls(domain)
    center, width = finite("potential.center", center), positive("potential.width", width)
    box = f"the box potential.domain=[{left:g}, {right:g}]"
    if width >= right - left:
        raise ValueError(f"potential.width={width:g}: the {what} must be narrower than {box}")
    start, stop = center - width / 2, center + width / 2
    margin = 1e-6 * (right - left)
    if start < left + margin or stop > right - margin:
        raise ValueError(
            f"potential.center={center:g}: the {what} on ({start:g}, {stop:g}) must lie inside {box}, off its walls"
        )
    if width < margin:
        raise ValueError(f"potential.width={width:g}: must be at least a millionth of {box}")
    return {"left": left, "right": right, "center": center, "width": width}


def positions(x: Any, potential: Any) -> Any:
    """Positions as an array: of JAX if they are, or numbers of the potential, else of NumPy in float64.

    Raises TypeError for what are no real numbers.
    """
    if not isinstance(x, jax.Array):
        array = np.asarray(x) if _regular(x) else np.asarray(None)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"x={reprlib.repr(x)}: must be real numbers, positions in an array of any shape")
        x = array.astype(np.float64)
        if not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(potential)):
            return x
    elif not jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(f"x: has the type {x.dtype}; must be real numbers, positions in an array of any shape")
    return jnp.asarray(x, jnp.result_type(x, float))


def _regular(x: Any) -> bool:
    """Whether NumPy makes an array of something: lists of lists of unequal lengths are none."""
    try:
        np.asarray(x)
    except (TypeError, ValueError):
        return False
    return True


def mass_at(potential: Any, x: Any) -> Any:
    """The effective mass at positions x (..., d): (...), or the number 1 of a potential that has none."""
    return potential.mass_at(x) if hasattr(potential, "mass_at") else 1.0


def mass_slope_at(potential: Any, x: Array) -> Any:
    """dm/dx at positions x (..., 1) on JAX arrays: (...), or the number 0 of a potential without masses."""
    return jax.jvp(potential.mass_at, (x,), (jnp.ones_like(x),))[1] if hasattr(potential, "mass_at") else 0.0


def axis_masses(potential: Any) -> tuple[Number, ...] | None:
    """Masses of the axes of a potential of several coordinates; None of one on a line."""
    return potential.masses if hasattr(potential, "dimension") else None


def deltas_of(potential: Any) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
    """Positions and strengths of the Dirac deltas of a potential; of most there are none."""
    return getattr(potential, "deltas", ((), ()))


def has_kinks(potential: Any) -> bool:
    """Whether psi of this potential has kinks: at Dirac deltas, or where the mass changes."""
    return hasattr(potential, "mass_at") or bool(deltas_of(potential)[0])


def strengths_at(potential: Any, edges: Float[np.ndarray, "edges"]) -> Float[np.ndarray, "edges"]:
    """Strength (n,) of the delta at each of `edges` (n,), 0 where there is none; deltas beyond them are left out."""
    strengths = np.zeros(len(edges))
    slack = 1e-9 * (edges[-1] - edges[0])
    for place, strength in zip(*deltas_of(potential), strict=True):
        nearest = int(np.argmin(np.abs(edges - place)))
        if abs(edges[nearest] - place) <= slack:
            strengths[nearest] += strength
        elif edges[0] < place < edges[-1]:
            raise ValueError(f"potential={potential.name}: its delta at {place:g} is not among its breakpoints")
    return strengths


def attraction(
    edges: Float[np.ndarray, "edges"], strength: Float[np.ndarray, "edges"], mass: float, ends: Ends = WALLS
) -> float:
    """How far below min V a level can lie with deltas `strength` (n,) at `edges` (n,), the two ends among them.

    With A the sum of the attractive alpha, all of them bind no more than one in one place. |psi|^2 there exceeds its
    mean by at most 2 |psi| |psi'| (norms), or half as much on a ring, which can be walked both ways; between two walls
    |psi|^2 itself is at most |psi| |psi'|. So a level lies at most m A^2 + A / L below V, m A^2 / 4 + A / L on a ring,
    m A^2 / 4 between walls. With free ends half-way between neighbours, which lower every level, each of them alone
    binds by kappa^2 / m with kappa tanh(kappa a) = m alpha / 2, a the distance to the nearer of these, and so kappa <
    m alpha / 2 + 1 / a; one at a free end is half of one with twice its strength. Half as much is added, so that no
    level is in this place itself.
    """
    strength = np.minimum(strength, 0.0)
    at_ends = np.array([ends.left != "wall", ends.right != "wall"])
    strength[[0, -1]] *= at_ends  # at a wall a delta is not felt
    attractive = np.flatnonzero(strength)
    if not attractive.size:
        return 0.0
    length, total = edges[-1] - edges[0], -strength.sum()
    together = mass * total**2 / 4 if ends.walls or ends.ring else mass * total**2
    together += 0.0 if ends.walls else total / length
    cuts = np.concatenate([[edges[0]], (edges[attractive][1:] + edges[attractive][:-1]) / 2, [edges[-1]]])
    before, after = edges[attractive] - cuts[:-1], cuts[1:] - edges[attractive]
    first, last = attractive == 0, attractive == len(edges) - 1
    room = np.where(first, after, np.where(last, before, np.minimum(before, after)))
    kappa = mass * np.abs(strength[attractive]) * np.where(first | last, 1.0, 0.5) + 1 / np.maximum(room, 1e-9 * length)
    return 1.5 * float(min(together, (kappa**2).max() / mass))


MOST_LISTED = 64


def describe(potential: Any) -> dict[str, Any]:
    """Name and numbers of a potential, for a results file; arrays of more than 64 numbers are left out."""
    if hasattr(potential, "ends"):
        return {**describe(potential.potential), "ends": potential.ends.described()}
    if dimension(potential) > 1:
        return potential.described()  # type: ignore[no-any-return]
    if hasattr(potential, "heavy"):  # `combined`
        deltas = [list(pair) for pair in zip(potential.places, potential.strengths, strict=True)]
        mass = {} if potential.heavy is None else {"mass(x)": potential.heavy.formula}
        return {**describe(potential.potential), **mass, **({"deltas": deltas} if deltas else {})}
    fields = (field for field in dataclasses.fields(potential) if not field.metadata.get("hidden"))
    values = {field.name: getattr(potential, field.name) for field in fields}
    plain: dict[str, Any] = {key: value for key, value in values.items() if isinstance(value, (int, float, str))}
    if getattr(potential, "parameters", None):
        plain["parameters"] = dict(potential.parameters)
    lists = {key: value.tolist() for key, value in values.items() if np.ndim(value) == 1 and len(value) <= MOST_LISTED
             and isinstance(value, np.ndarray)}  # fmt: skip
    return {"name": potential.name, **plain, **lists}
