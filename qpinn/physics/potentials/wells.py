"""Wells and barriers: V constant between breakpoints, in a box with impenetrable walls."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from qpinn.checks import whole
from qpinn.physics.potentials.base import Between, Number, Potential, builder, inside, positives, pytree, walls


@pytree
class InfiniteWell(Between):
    """V = 0 between two impenetrable walls.

    E_n = ((n + 1) pi / (right - left))^2, n = 0, 1, ...
    """

    name: ClassVar[str] = "infinite_well"
    hard_walls: ClassVar[tuple[bool, bool]] = (True, True)
    energies: ClassVar[dict[str, float]] = {}

    def at(self, x: Any) -> Any:
        return 0.0 * x[..., 0]


@pytree
class _Step(Between):
    """V = `inside` within width / 2 of the centre, another constant outside; walls at left and right."""

    center: Number
    width: Number
    hard_walls: ClassVar[tuple[bool, bool]] = (True, True)

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return self.center - self.width / 2, self.center + self.width / 2

    def _piecewise(self, x: Any, inside: Number, outside: Number) -> Any:
        namespace = x.__array_namespace__()
        return namespace.where(abs(x[..., 0] - self.center) < self.width / 2, inside, outside)


@pytree
class FiniteWell(_Step):
    """V = 0 for |x - center| < width / 2 and V = depth outside, in a box with impenetrable walls.

    With a = width / 2, b the distance of both walls from the centre, k^2 = E, kappa^2 = depth - E, the levels of the
    centred well solve k tan(k a) = kappa coth(kappa (b - a)) (even) and -k cot(k a) = kappa coth(kappa (b - a)) (odd).
    """

    depth: Number
    name: ClassVar[str] = "finite_well"
    energies: ClassVar[dict[str, float]] = {"depth": 1}

    def at(self, x: Any) -> Any:
        return self._piecewise(x, 0.0, self.depth)


@pytree
class Barrier(_Step):
    """V = height for |x - center| < width / 2 and V = 0 outside, in a box with impenetrable walls.

    With a = width / 2, b the distance of both walls from the centre, k^2 = E, kappa^2 = height - E, the levels of the
    centred barrier solve -k cot(k (b - a)) = kappa tanh(kappa a) (even) and the same with coth (odd).
    """

    height: Number
    name: ClassVar[str] = "barrier"
    energies: ClassVar[dict[str, float]] = {"height": 1}

    def at(self, x: Any) -> Any:
        return self._piecewise(x, self.height, 0.0)


@builder
def infinite_well(domain: Sequence[float] = (0.0, 1.0)) -> InfiniteWell:
    """Infinite well between `domain` = (left, right). Raises ValueError for walls out of order or not finite."""
    return InfiniteWell(*walls(domain))


@builder
def finite_well(
    domain: Sequence[float] = (-4.0, 4.0), center: float = 0.0, width: float = 2.0, depth: float = 20.0
) -> FiniteWell:
    """Finite well of `width` and `depth` > 0, in a box `domain`. Raises ValueError if it does not fit its box."""
    return FiniteWell(**inside(domain, center, width, "well"), **positives(depth=depth))


@builder
def barrier(
    domain: Sequence[float] = (0.0, 1.0), center: float = 0.5, width: float = 0.2, height: float = 50.0
) -> Barrier:
    """Finite barrier of `width` and `height` > 0, in a box `domain`. Raises ValueError if it does not fit its box."""
    return Barrier(**inside(domain, center, width, "barrier"), **positives(height=height))


@pytree
class AsymmetricWell(_Step):
    """V = 0 for |x - center| < width / 2, V = depth_left left of it and depth_right right of it, in a box."""

    depth_left: Number
    depth_right: Number
    name: ClassVar[str] = "asymmetric_well"
    energies: ClassVar[dict[str, float]] = {"depth_left": 1, "depth_right": 1}

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        outside = namespace.where(x[..., 0] < self.center, self.depth_left, self.depth_right)
        return self._piecewise(x, 0.0, outside)


@builder
def asymmetric_well(
    domain: Sequence[float] = (-4.0, 4.0), center: float = 0.0, width: float = 2.0, depth_left: float = 20.0,
    depth_right: float = 10.0,
) -> AsymmetricWell:  # fmt: skip
    """Well with steps of two heights > 0. Raises ValueError if it does not fit its box `domain`."""
    steps = positives(depth_left=depth_left, depth_right=depth_right)
    return AsymmetricWell(**inside(domain, center, width, "well"), **steps)


@pytree
class KronigPenney(Potential):
    """A row of `count` wells (V = 0) of `width` and between them count - 1 barriers of `height` and `thickness`.

    The box ends where the row ends: Kronig and Penney (Proc. R. Soc. A 130 (1931) 499) with walls. Below `height` the
    levels come in bands of `count`.
    """

    width: Number
    thickness: Number
    height: Number
    count: int = dataclasses.field(metadata={"static": True})
    name: ClassVar[str] = "kronig_penney"
    hard_walls: ClassVar[tuple[bool, bool]] = (True, True)
    energies: ClassVar[dict[str, float]] = {"height": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return 0.0, self.count * self.width + (self.count - 1) * self.thickness

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        period = self.width + self.thickness
        return tuple(end for j in range(self.count - 1) for end in (j * period + self.width, (j + 1) * period))

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        period = self.width + self.thickness
        within = x[..., 0] - period * namespace.floor(x[..., 0] / period)
        return namespace.where(within < self.width, 0.0, self.height)


@builder
def kronig_penney(count: int = 5, width: float = 1.0, thickness: float = 0.2, height: float = 50.0) -> KronigPenney:
    """A row of wells and barriers. Raises ValueError unless 2 <= count <= 24 and all numbers are positive."""
    count = whole("potential.count", count, 2, 24)
    return KronigPenney(**positives(width=width, thickness=thickness, height=height), count=count)
