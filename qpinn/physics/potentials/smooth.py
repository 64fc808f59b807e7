"""Smooth potentials of the whole line (or half of it), most of them with levels in closed form.

Where the builder's `domain` is None the walls are put where psi has decayed (`qpinn.physics.walls.on_box`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from qpinn.checks import finite, plain
from qpinn.physics.potentials.base import Between, Number, builder, positives, pytree, walls

FARTHEST = 300.0
"""Arguments of exp and cosh beyond which a well has ended: they would overflow."""


@pytree
class _Line(Between):
    """A potential with walls that may be chosen later.

    middle  where to look for psi first
    length  over which V changes
    """

    def on(self, left: float | None, right: float | None) -> Any:
        """The same potential between other walls."""
        return dataclasses.replace(self, left=left, right=right)

    def levels(self, count: int) -> np.ndarray | None:
        """The lowest levels (at most `count`) of the whole line in closed form, or None where there is none."""
        return None


@pytree
class Harmonic(_Line):
    """V = (omega (x - center))^2.

    E_n = omega (2 n + 1), with H = -d^2/dx^2 + V.
    """

    center: Number
    omega: Number
    name: ClassVar[str] = "harmonic"
    energies: ClassVar[dict[str, float]] = {"omega": 0.5}

    @property
    def middle(self) -> float:
        return float(self.center)

    @property
    def length(self) -> float:
        return float(self.omega) ** -0.5

    def at(self, x: Any) -> Any:
        return (self.omega * (x[..., 0] - self.center)) ** 2

    def levels(self, count: int) -> np.ndarray | None:
        return self.omega * (2.0 * np.arange(count) + 1)


@pytree
class Anharmonic(_Line):
    """V = x^2 + g x^4, g >= 0. The quartic oscillator of Bender and Wu (1969); no closed form."""

    g: Number
    name: ClassVar[str] = "anharmonic"
    middle: ClassVar[float] = 0.0

    @property
    def length(self) -> float:
        return 1.0 / max(1.0, float(self.g)) ** (1 / 6)

    def at(self, x: Any) -> Any:
        square = x[..., 0] ** 2
        return square + self.g * square**2


@pytree
class DoubleWell(_Line):
    """V = height (x^2 / a^2 - 1)^2: minima at +-a, a barrier of `height` between them; levels pair up below it.

    No closed form.
    """

    height: Number
    a: Number
    name: ClassVar[str] = "double_well"
    energies: ClassVar[dict[str, float]] = {"height": 1}
    middle: ClassVar[float] = 0.0

    @property
    def length(self) -> float:
        return float(self.a)

    def at(self, x: Any) -> Any:
        return self.height * ((x[..., 0] / self.a) ** 2 - 1) ** 2


@pytree
class Morse(_Line):
    """V = depth (1 - exp(-a (x - center)))^2 - depth (Morse, Phys. Rev. 34 (1929) 57); V(inf) = 0.

    E_n = -(sqrt(depth) - a (n + 1/2))^2 for n + 1/2 < sqrt(depth) / a.
    """

    center: Number
    depth: Number
    a: Number
    name: ClassVar[str] = "morse"
    energies: ClassVar[dict[str, float]] = {"depth": 1}
    threshold: ClassVar[float] = 0.0

    @property
    def middle(self) -> float:
        return float(self.center)

    @property
    def length(self) -> float:
        return 1 / float(self.a)

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        decay = namespace.exp(-self.a * (x[..., 0] - self.center))
        return self.depth * decay * (decay - 2)

    def levels(self, count: int) -> np.ndarray | None:
        roots = math.sqrt(self.depth) - self.a * (np.arange(count) + 0.5)
        return -(roots[roots > 0] ** 2)


@pytree
class PoeschlTeller(_Line):
    """V = -l (l + 1) a^2 / cosh^2(a x), l > 0 (Poeschl and Teller, Z. Phys. 83 (1933) 143); V(+-inf) = 0.

    E_n = -(a (l - n))^2 for n < l.
    """

    a: Number
    l: Number  # noqa: E741  (its name in the field)
    name: ClassVar[str] = "poeschl_teller"
    energies: ClassVar[dict[str, float]] = {}
    threshold: ClassVar[float] = 0.0
    middle: ClassVar[float] = 0.0

    @property
    def length(self) -> float:
        return 1 / float(self.a)

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        far = namespace.clip(self.a * x[..., 0], -FARTHEST, FARTHEST)
        return -self.l * (self.l + 1) * self.a**2 / namespace.cosh(far) ** 2

    def levels(self, count: int) -> np.ndarray | None:
        roots = self.a * (self.l - np.arange(count))
        return -(roots[roots > 0] ** 2)


@pytree
class Linear(_Line):
    """V = slope x for x > 0, a wall at x = 0: the triangular well.

    E_n = -slope^(2/3) a_n with a_n the zeros of the Airy function Ai.
    """

    slope: Number
    name: ClassVar[str] = "linear"
    hard_walls: ClassVar[tuple[bool, bool]] = (True, False)
    energies: ClassVar[dict[str, float]] = {"slope": 1}

    @property
    def middle(self) -> float:
        return self.length

    @property
    def length(self) -> float:
        return float(self.slope) ** (-1 / 3)

    def at(self, x: Any) -> Any:
        return self.slope * x[..., 0]

    def levels(self, count: int) -> np.ndarray | None:
        from scipy import special

        return -(self.slope ** (2 / 3)) * special.ai_zeros(count)[0]


@pytree
class WoodsSaxon(_Line):
    """V = -depth / (1 + exp((|x| - radius) / a)) (Woods and Saxon, Phys. Rev. 95 (1954) 577); V(+-inf) = 0.

    Its slope jumps at x = 0. No closed form.
    """

    depth: Number
    radius: Number
    a: Number
    name: ClassVar[str] = "woods_saxon"
    energies: ClassVar[dict[str, float]] = {"depth": 1}
    threshold: ClassVar[float] = 0.0
    middle: ClassVar[float] = 0.0

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return (0.0,)

    @property
    def length(self) -> float:
        return max(float(self.radius), float(self.a))

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        far = namespace.clip((abs(x[..., 0]) - self.radius) / self.a, -FARTHEST, FARTHEST)
        return -self.depth / (1 + namespace.exp(far))


@pytree
class GaussianWell(_Line):
    """V = -depth exp(-x^2 / (2 width^2)); V(+-inf) = 0. No closed form."""

    depth: Number
    width: Number
    name: ClassVar[str] = "gaussian_well"
    energies: ClassVar[dict[str, float]] = {"depth": 1}
    threshold: ClassVar[float] = 0.0
    middle: ClassVar[float] = 0.0

    @property
    def length(self) -> float:
        return float(self.width)

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        return -self.depth * namespace.exp(-((x[..., 0] / self.width) ** 2) / 2)


Domain = Sequence[float] | None


def _walls(domain: Domain) -> dict[str, float | None]:
    """The fields left and right of a `domain` that may lack both walls (None), or one of them (None in its place)."""
    domain = plain(domain)
    if domain is None:
        return {"left": None, "right": None}
    if isinstance(domain, str) or not isinstance(domain, Sequence) or len(domain) != 2 or None not in domain:
        left, right = walls(domain)
        return {"left": left, "right": right}
    sides = (None if place is None else finite("potential.domain", place) for place in domain)
    return dict(zip(("left", "right"), sides, strict=True))


@builder
def harmonic(domain: Domain = None, center: float = 0.0, omega: float = 1.0) -> Harmonic:
    """Harmonic oscillator. Raises ValueError for omega <= 0 or walls out of order."""
    return Harmonic(**_walls(domain), center=finite("potential.center", center), **positives(omega=omega))


@builder
def anharmonic(domain: Domain = None, g: float = 1.0) -> Anharmonic:
    """Quartic oscillator. Raises ValueError for g <= 0 or walls out of order."""
    return Anharmonic(**_walls(domain), **positives(g=g))


@builder
def double_well(domain: Domain = None, height: float = 10.0, a: float = 1.0) -> DoubleWell:
    """Quartic double well. Raises ValueError for numbers that are not positive or walls out of order."""
    return DoubleWell(**_walls(domain), **positives(height=height, a=a))


@builder
def morse(domain: Domain = None, center: float = 0.0, depth: float = 100.0, a: float = 1.0) -> Morse:
    """Morse potential. Raises ValueError for numbers that are not positive or walls out of order.

    Whether it binds anything depends on the units, and is asked when levels are.
    """
    return Morse(**_walls(domain), center=finite("potential.center", center), **positives(depth=depth, a=a))


@builder
def poeschl_teller(domain: Domain = None, a: float = 1.0, l: float = 4.0) -> PoeschlTeller:  # noqa: E741
    """Poeschl-Teller well. Raises ValueError for numbers that are not positive or walls out of order."""
    return PoeschlTeller(**_walls(domain), **positives(a=a, l=l))


@builder
def linear(domain: Domain = None, slope: float = 1.0) -> Linear:
    """Triangular well. Raises ValueError for slope <= 0, or a left wall that is not at 0."""
    left, right = _walls(domain).values()
    if left is not None and left != 0.0:
        raise ValueError(f"potential.domain=[{left}, {right}]: the left wall of the triangular well is at 0")
    return Linear(left=0.0, right=right, **positives(slope=slope))


@builder
def woods_saxon(domain: Domain = None, depth: float = 50.0, radius: float = 2.0, a: float = 0.2) -> WoodsSaxon:
    """Woods-Saxon well. Raises ValueError for numbers that are not positive, or walls not on both sides of 0."""
    left, right = _walls(domain).values()
    if not (-math.inf if left is None else left) < 0.0 < (math.inf if right is None else right):
        raise ValueError(f"potential.domain=[{left}, {right}]: 0, where the slope of V jumps, must lie inside")
    return WoodsSaxon(left=left, right=right, **positives(depth=depth, radius=radius, a=a))


@builder
def gaussian_well(domain: Domain = None, depth: float = 20.0, width: float = 1.0) -> GaussianWell:
    """Gaussian well. Raises ValueError for numbers that are not positive or walls out of order."""
    return GaussianWell(**_walls(domain), **positives(depth=depth, width=width))
