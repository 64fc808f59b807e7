"""What every potential has, and the checks that their builders share.

A potential is one small pytree dataclass and one checking builder. It is an argument of every computation, not a
constant in it: its numbers are leaves, so that one compiled programme serves all of them and derivatives with respect
to them exist. It is called with positions of shape (..., d) and returns V of shape (...). It works on JAX arrays
(inside `jit`, `vmap`, `grad`) and, in float64 whatever JAX's precision is, on NumPy arrays.

`domain` holds the two walls, where psi = 0; `breakpoints` the positions strictly inside where V or its slope jumps. A
potential of the whole line has walls None until `on_box` gives it some, far enough out (`qpinn.physics.walls`).

Two things are there only where they are needed. `mass(x)`, constant between breakpoints, is the effective mass of

    H = -d/dx (1 / m) d/dx + V        (BenDaniel and Duke, Phys. Rev. 152 (1966) 683)

so that psi and psi' / m are continuous; it is 1 where a potential has none. `deltas` holds positions, breakpoints all
of them, and strengths alpha of Dirac deltas in V, at each of which psi' / m jumps by alpha psi. `energies` names the
fields that scale with the unit of energy, each with its power of it (`qpinn.physics.units`).

`domain`, `breakpoints` and `deltas` are functions of the leaves that can be traced, so that a level has derivatives
with respect to positions and widths (`qpinn.physics.derivatives`). Where the keys of the builder are not the fields,
`by_key` turns derivatives with respect to the fields into those with respect to the keys.

Builders (lower case) check their numbers and raise `ValueError` with a line that names the key, the value and what is
allowed. The dataclasses themselves check nothing, because under `jit` their fields are tracers.

Units: lengths in L, energies in hbar^2 / (2 m L^2), masses in that m, so that H = -d^2/dx^2 + V.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform

import jax
import numpy as np

Number = Any  # a Python float on the host, a tracer under jit
T = TypeVar("T")


class Potential(Protocol):
    """What the rest of the package asks of a potential."""

    name: ClassVar[str]

    @property
    def domain(self) -> tuple[Number, Number]: ...

    @property
    def breakpoints(self) -> tuple[Number, ...]: ...

    def __call__(self, x: Any) -> Any: ...


@dataclass_transform(frozen_default=True)
def pytree(cls: type[T]) -> type[T]:
    """A frozen dataclass whose fields are leaves, but for those whose metadata say that they are static."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))


LIMIT = 1e12
SMALLEST = 1e-12


def finite(key: str, value: Any) -> float:
    """`value` as a float, or a ValueError that names `key` if it is not a finite number of a usable size."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key}={value!r}: must be a number")
    if not math.isfinite(value):
        raise ValueError(f"{key}={value}: must be finite")
    if abs(value) > LIMIT:
        raise ValueError(f"{key}={value}: must lie within +-{LIMIT:g}")
    return float(value)


def positive(key: str, value: Any) -> float:
    """`value` as a float, or a ValueError that names `key` if it is not a positive number of a usable size."""
    number = finite(key, value)
    if number < SMALLEST:
        raise ValueError(f"{key}={value}: must be positive, at least {SMALLEST:g}")
    return number


def walls(domain: Sequence[Any]) -> tuple[float, float]:
    pair = isinstance(domain, Sequence) and not isinstance(domain, str) and len(domain) == 2
    if not pair or any(isinstance(wall, bool) or not isinstance(wall, (int, float)) for wall in domain):
        raise ValueError(f"potential.domain={domain!r}: must be two numbers [left, right]")
    left, right = (finite("potential.domain", wall) for wall in domain)
    if left >= right:
        raise ValueError(f"potential.domain=[{left:g}, {right:g}]: the left wall must be smaller than the right one")
    if right - left < 1e-9 * max(abs(left), abs(right), SMALLEST):
        raise ValueError(f"potential.domain=[{left!r}, {right!r}]: the walls are too close to be told apart")
    return left, right


def inside(domain: Sequence[Any], center: Any, width: Any, what: str) -> tuple[float, float, float, float]:
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
    return left, right, center, width


def mass_at(potential: Any, x: Any) -> Any:
    """The effective mass at positions x (..., d): (...), or the number 1 of a potential that has none."""
    return potential.mass(x) if hasattr(potential, "mass") else 1.0


def deltas_of(potential: Any) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
    """Positions and strengths of the Dirac deltas of a potential; of most there are none."""
    return getattr(potential, "deltas", ((), ()))


def has_kinks(potential: Any) -> bool:
    """Whether psi of this potential has kinks: at Dirac deltas, or where the mass changes."""
    return hasattr(potential, "mass") or bool(deltas_of(potential)[0])


def strengths_at(potential: Any, edges: np.ndarray) -> np.ndarray:
    """Strength (n,) of the delta at each of `edges` (n,), 0 where there is none; deltas beyond them are left out."""
    found = np.zeros(len(edges))
    slack = 1e-9 * (edges[-1] - edges[0])
    for place, own in zip(*deltas_of(potential), strict=True):
        nearest = int(np.argmin(np.abs(edges - place)))
        if abs(edges[nearest] - place) <= slack:
            found[nearest] += own
        elif edges[0] < place < edges[-1]:
            raise ValueError(f"potential={potential.name}: its delta at {place:g} is not among its breakpoints")
    return found


def attraction(edges: np.ndarray, strength: np.ndarray, mass: float) -> float:
    """How far below min V a level can lie with deltas `strength` (n,) at `edges` (n,), the walls among them.

    With all of them in one place a level would lie m (sum of alpha)^2 / 4 below it. With walls where psi' = 0 half-way
    between neighbours, which lower every level, each of them alone binds by kappa^2 / m with kappa tanh(kappa a) =
    m alpha / 2, a the distance to the nearer of its walls, and so kappa < m alpha / 2 + 1 / a. Half as much is
    added, so that no level is in this place itself.
    """
    own = np.flatnonzero(strength < 0)
    if not own.size:
        return 0.0
    ends = np.concatenate([[edges[0]], (edges[own][1:] + edges[own][:-1]) / 2, [edges[-1]]])
    room = np.minimum(edges[own] - ends[:-1], ends[1:] - edges[own])
    kappa = mass * np.abs(strength[own]) / 2 + 1 / np.maximum(room, 1e-9 * (edges[-1] - edges[0]))
    return 1.5 * float(min(mass * strength[own].sum() ** 2 / 4, (kappa**2).max() / mass))


MOST_LISTED = 64


def describe(potential: Any) -> dict[str, Any]:
    """Name and numbers of a potential, for a results file; arrays of more than 64 numbers are left out."""
    fields = (field for field in dataclasses.fields(potential) if not field.metadata.get("hidden"))
    values = {field.name: getattr(potential, field.name) for field in fields}
    plain = {key: value for key, value in values.items() if isinstance(value, (int, float, str))}
    lists = {key: value.tolist() for key, value in values.items() if np.ndim(value) == 1 and len(value) <= MOST_LISTED
             and isinstance(value, np.ndarray)}  # fmt: skip
    return {"name": potential.name, **plain, **lists}
