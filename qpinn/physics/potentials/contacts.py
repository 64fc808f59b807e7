"""Dirac deltas: V = sum_j alpha_j delta(x - c_j), so that psi' jumps by alpha_j psi at c_j."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar

import numpy as np

from qpinn.checks import finite, positive, whole
from qpinn.physics.potentials.base import MOST_KINKS, Number, Potential, builder, positives, pytree
from qpinn.physics.potentials.smooth import Domain, _Line, _walls


class _Contacts(Potential, abc.ABC):
    """What all of them have: V = 0 off the deltas, which are breakpoints."""

    @property
    @abc.abstractmethod
    def deltas(self) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
        """Positions and strengths."""

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return self.deltas[0]

    def at(self, x: Any) -> Any:
        return 0.0 * x[..., 0]


@pytree
class Delta(_Contacts, _Line):
    """V = strength delta(x - center).

    On the whole line one level, E_0 = -strength^2 / 4, for strength < 0.
    """

    center: Number
    strength: Number
    name: ClassVar[str] = "delta"
    energies: ClassVar[dict[str, float]] = {"strength": 1}
    threshold: ClassVar[float] = 0.0

    @property
    def middle(self) -> float:
        return float(self.center)

    @property
    def length(self) -> float:
        return 2 / abs(float(self.strength))

    @property
    def deltas(self) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
        return (self.center,), (self.strength,)

    def levels(self, count: int) -> np.ndarray | None:
        return np.array([-(self.strength**2) / 4])[:count]


@pytree
class TwoDeltas(_Contacts, _Line):
    """V = strength_left delta(x + distance / 2) + strength_right delta(x - distance / 2).

    On the whole line E = -kappa^2 with (2 kappa + a)(2 kappa + b) = a b exp(-2 kappa distance) for strengths a and b.
    """

    distance: Number
    strength_left: Number
    strength_right: Number
    name: ClassVar[str] = "two_deltas"
    energies: ClassVar[dict[str, float]] = {"strength_left": 1, "strength_right": 1}
    threshold: ClassVar[float] = 0.0
    middle: ClassVar[float] = 0.0

    @property
    def length(self) -> float:
        return max(float(self.distance) / 2, 2 / max(abs(float(self.strength_left)), abs(float(self.strength_right))))

    @property
    def deltas(self) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
        return (-self.distance / 2, self.distance / 2), (self.strength_left, self.strength_right)


@pytree
class DeltaComb(_Contacts):
    """V = strength sum_j delta(x - j period), j = 1 ... count, between walls at 0 and (count + 1) period.

    Kronig and Penney's row of barriers, each as thin as can be: with k^2 = E and n = 1, 2, ... the levels solve
    cos(k period) + strength sin(k period) / (2 k) = cos(n pi / (count + 1)), or have sin(k period) = 0.
    """

    period: Number
    strength: Number
    count: int = dataclasses.field(metadata={"static": True})
    name: ClassVar[str] = "delta_comb"
    hard_walls: ClassVar[tuple[bool, bool]] = (True, True)
    energies: ClassVar[dict[str, float]] = {"strength": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return 0.0, (self.count + 1) * self.period

    @property
    def deltas(self) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
        return tuple(j * self.period for j in range(1, self.count + 1)), (self.strength,) * self.count


def _strength(key: str, value: Any) -> float:
    number = finite(f"potential.{key}", value)
    if number == 0:
        raise ValueError(f"potential.{key}=0: must not be zero")
    return number


def _around(domain: Domain, places: tuple[float, ...]) -> dict[str, float | None]:
    """The fields left and right; raises ValueError for walls that do not have all `places` between them."""
    walls = _walls(domain)
    left = -np.inf if walls["left"] is None else walls["left"]
    right = np.inf if walls["right"] is None else walls["right"]
    margin = 1e-6 * (right - left) if np.isfinite(right - left) else 0.0
    for place in places:
        if not left + margin < place < right - margin:
            raise ValueError(
                f"potential.domain=[{left:g}, {right:g}]: the delta at {place:g} must lie inside, off its walls"
            )
    return walls


@builder
def delta(domain: Domain = None, center: float = 0.0, strength: float = -4.0) -> Delta:
    """One delta. Raises ValueError for a strength of zero, or a delta that is not between its walls."""
    center, strength = finite("potential.center", center), _strength("strength", strength)
    ends = _around(domain, (center,))
    if domain is None and strength > 0:
        raise ValueError(f"potential.strength={strength:g}: binds nothing; a positive one needs potential.domain")
    return Delta(**ends, center=center, strength=strength)


@builder
def two_deltas(
    domain: Domain = None, distance: float = 1.0, strength_left: float = -4.0, strength_right: float = -4.0
) -> TwoDeltas:
    """Two deltas about 0. Raises ValueError as `delta`, and for distance <= 0."""
    distance = positive("potential.distance", distance)
    left, right = _strength("strength_left", strength_left), _strength("strength_right", strength_right)
    ends = _around(domain, (-distance / 2, distance / 2))
    if domain is None and min(left, right) > 0:
        raise ValueError(f"potential.strength_left={left:g}: binds nothing, nor does strength_right={right:g}; two "
                         "positive ones need potential.domain")  # fmt: skip
    return TwoDeltas(**ends, distance=distance, strength_left=left, strength_right=right)


@builder
def delta_comb(count: int = 5, period: float = 1.0, strength: float = 20.0) -> DeltaComb:
    """A row of equal deltas between walls. Raises ValueError unless 1 <= count <= 48, period > 0, strength != 0."""
    count = whole("potential.count", count, 1, MOST_KINKS)
    return DeltaComb(**positives(period=period), strength=_strength("strength", strength), count=count)
