"""The potentials: one small pytree dataclass and one checking builder each.

A potential is an argument of every computation, not a constant in it: its numbers are leaves, so that one compiled
programme serves all of them and derivatives with respect to them exist. It is called with positions of shape
(..., d) and returns V of shape (...). It works on JAX arrays (inside `jit`, `vmap`, `grad`) and, in float64 whatever
JAX's precision is, on NumPy arrays.

`domain` holds the two walls, where psi = 0; `breakpoints` the positions strictly inside where V jumps.

Builders (lower case) check their numbers and raise `ValueError` with a line that names the key, the value and what is
allowed. The dataclasses themselves check nothing, because under `jit` their fields are tracers.

Units: lengths in L, energies in hbar^2 / (2 m L^2), so that H = -d^2/dx^2 + V.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform

import jax

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
def _pytree(cls: type[T]) -> type[T]:
    """A frozen dataclass whose fields are all leaves."""
    frozen = dataclasses.dataclass(frozen=True)(cls)
    names = [field.name for field in dataclasses.fields(frozen)]  # type: ignore[arg-type]
    return jax.tree_util.register_dataclass(frozen, data_fields=names, meta_fields=[])


@_pytree
class InfiniteWell:
    """V = 0 between two impenetrable walls.

    E_n = ((n + 1) pi / (right - left))^2, n = 0, 1, ...
    """

    left: Number
    right: Number
    name: ClassVar[str] = "infinite_well"

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.left, self.right

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return ()

    def __call__(self, x: Any) -> Any:
        return 0.0 * x[..., 0]


@_pytree
class _Step:
    """V = `inside` within width / 2 of the centre, another constant outside; walls at left and right."""

    left: Number
    right: Number
    center: Number
    width: Number

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.left, self.right

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return self.center - self.width / 2, self.center + self.width / 2

    def _piecewise(self, x: Any, inside: Number, outside: Number) -> Any:
        namespace = x.__array_namespace__()
        return namespace.where(abs(x[..., 0] - self.center) < self.width / 2, inside, outside)


@_pytree
class FiniteWell(_Step):
    """V = 0 for |x - center| < width / 2 and V = depth outside, in a box with impenetrable walls.

    With a = width / 2, b the distance of both walls from the centre, k^2 = E, kappa^2 = depth - E, the levels of the
    centred well solve k tan(k a) = kappa coth(kappa (b - a)) (even) and -k cot(k a) = kappa coth(kappa (b - a)) (odd).
    """

    depth: Number
    name: ClassVar[str] = "finite_well"

    def __call__(self, x: Any) -> Any:
        return self._piecewise(x, 0.0, self.depth)


@_pytree
class Barrier(_Step):
    """V = height for |x - center| < width / 2 and V = 0 outside, in a box with impenetrable walls.

    With a = width / 2, b the distance of both walls from the centre, k^2 = E, kappa^2 = height - E, the levels of the
    centred barrier solve -k cot(k (b - a)) = kappa tanh(kappa a) (even) and the same with coth (odd).
    """

    height: Number
    name: ClassVar[str] = "barrier"

    def __call__(self, x: Any) -> Any:
        return self._piecewise(x, self.height, 0.0)


# ---------------------------------------------------------------------------------------------------------- builders

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


def _walls(domain: Sequence[Any]) -> tuple[float, float]:
    if isinstance(domain, str) or not isinstance(domain, Sequence) or len(domain) != 2:
        raise ValueError(f"potential.domain={domain!r}: must be two numbers [left, right]")
    left, right = (finite("potential.domain", wall) for wall in domain)
    if left >= right:
        raise ValueError(f"potential.domain=[{left:g}, {right:g}]: the left wall must be smaller than the right one")
    if right - left < 1e-9 * max(abs(left), abs(right), SMALLEST):
        raise ValueError(f"potential.domain=[{left!r}, {right!r}]: the walls are too close to be told apart")
    return left, right


def _inside(domain: Sequence[Any], center: Any, width: Any, what: str) -> tuple[float, float, float, float]:
    left, right = _walls(domain)
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


def infinite_well(domain: Sequence[float] = (0.0, 1.0)) -> InfiniteWell:
    """Infinite well between `domain` = (left, right). Raises ValueError for walls out of order or not finite."""
    return InfiniteWell(*_walls(domain))


def finite_well(
    domain: Sequence[float] = (-4.0, 4.0), center: float = 0.0, width: float = 2.0, depth: float = 20.0
) -> FiniteWell:
    """Finite well of `width` and `depth` > 0, in a box `domain`. Raises ValueError if it does not fit its box."""
    geometry = _inside(domain, center, width, "well")
    return FiniteWell(*geometry, depth=positive("potential.depth", depth))


def barrier(
    domain: Sequence[float] = (0.0, 1.0), center: float = 0.5, width: float = 0.2, height: float = 50.0
) -> Barrier:
    """Finite barrier of `width` and `height` > 0, in a box `domain`. Raises ValueError if it does not fit its box."""
    geometry = _inside(domain, center, width, "barrier")
    return Barrier(*geometry, height=positive("potential.height", height))


BUILDERS: dict[str, Callable[..., Any]] = {
    "infinite_well": infinite_well,
    "finite_well": finite_well,
    "barrier": barrier,
}
"""What `potential.name` in a config may say."""


def describe(potential: Any) -> dict[str, float | str]:
    """Name and numbers of a potential, for a results file."""
    return {"name": potential.name, **{key: float(value) for key, value in dataclasses.asdict(potential).items()}}
