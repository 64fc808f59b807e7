"""How V goes on beyond the ends of a table.

wall         psi = 0 at the end
constant     V = V_end
exponential  V = limit + (V_end - limit) exp(k (x - x_end)) with the slope of the table at its end; without a limit,
             with its second derivative too
C6           V = limit - c6 / x^6, with the slope of the table at its end unless one of the two is given
parabola     V = V_end + V' (x - x_end) + V'' (x - x_end)^2 / 2, V'' > 0

V', V'' are those of the interpolation at the end. V is continuous in all of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from qpinn.checks import finite, one_of
from qpinn.physics.potentials.base import Number
from qpinn.physics.potentials.piecewise import Sampled

TAILS = ("wall", "constant", "exponential", "C6", "parabola")
SIDES = ("left", "right")

STEEPEST = 300.0
"""Argument of exp beyond which a tail is constant: it would overflow."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Tailed(Sampled):
    """V from samples, with tails; walls at `left` and `right` beyond them, None until they are put.

    limit, c6  of the tails, None where they follow from the table
    """

    tails: tuple[str, str] = dataclasses.field(metadata={"static": True})
    limit: Number | None = None
    c6: Number | None = None
    left: Number | None = None
    right: Number | None = None
    energies: ClassVar[dict[str, float]] = {"coefficients": 1, "limit": 1, "c6": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        sides = zip(self.tails, (self.left, self.right), (self.knots[0], self.knots[-1]), strict=True)
        left, right = (end if tail == "wall" else wall for tail, wall, end in sides)
        return left, right

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        first, last = (
            (end,) * (tail != "wall") for tail, end in zip(self.tails, (self.knots[0], self.knots[-1]), strict=True)
        )
        return (*first, *super().breakpoints, *last)

    def on(self, left: float | None, right: float | None) -> Tailed:
        """The same between other walls, none of them within the table."""
        x = self.seams
        apart = 1e-3 * (x[-1] - x[0])
        left = None if left is None or self.tails[0] == "wall" else min(float(left), float(x[0] - apart))
        right = None if right is None or self.tails[1] == "wall" else max(float(right), float(x[-1] + apart))
        return dataclasses.replace(self, left=left, right=right)

    def levels(self, count: int) -> np.ndarray | None:
        """None: there is no closed form."""
        return None

    @property
    def threshold(self) -> float:  # type: ignore[override]
        """The lower of the two values that V tends to."""
        return min(self._far(side) for side in (0, 1))

    def _far(self, side: int) -> float:
        """What V tends to: inf beyond a wall."""
        tail = self.tails[side]
        if tail in ("wall", "parabola"):
            return math.inf
        if tail == "constant":
            return float(self._end(side)[1])
        limit, size, rate = map(float, self._law(side))
        rising = tail == "exponential" and (rate > 0) == (side == 1)
        return math.copysign(math.inf, size) if rising else limit

    @property
    def _samples(self) -> Float[np.ndarray, "n"]:
        return np.asarray(self.at(self.seams[:, None]), np.float64)

    @property
    def middle(self) -> float:
        return float(self.seams[np.argmin(self._samples)])

    @property
    def length(self) -> float:
        """Half the width of what lies lower than half of the way up to the lower end."""
        v, x = self._samples, self.seams
        low = x[v - v.min() <= max(min(v[0], v[-1]) - v.min(), 1e-9 * np.ptp(v)) / 2]
        return float(max((low[-1] - low[0]) / 2, (x[-1] - x[0]) / 200))

    def _end(self, side: int) -> tuple[Number, Number, Number, Number]:
        """Position, V, V' and V'' of the interpolation at an end."""
        piece, last = self.coefficients[:, -side], -side
        step = self.knots[-1] - self.knots[-2] if side else 0.0 * self.knots[0]
        value, slope, bend = piece[0], 0.0 * piece[0], 0.0 * piece[0]
        for power in range(1, len(self.coefficients)):
            bend = bend * step + slope
            slope = slope * step + value
            value = value * step + piece[power]
        return self.knots[last], value, slope, 2 * bend

    def _law(self, side: int) -> tuple[Number, Number, Number]:
        """limit, amplitude and rate of an exponential; limit and c6 (and 0) of C6."""
        place, value, slope, bend = self._end(side)
        if self.tails[side] == "exponential":
            if self.limit is None:
                rate = bend / slope
                return value - slope / rate, slope / rate, rate
            return self.limit, value - self.limit, slope / (value - self.limit)
        if self.c6 is not None:
            return value + self.c6 / place**6, self.c6, 0.0
        if self.limit is not None:
            return self.limit, (self.limit - value) * place**6, 0.0
        return value + slope * place / 6, slope * place**7 / 6, 0.0

    def _beyond(self, side: int, x: Any, namespace: Any) -> Any:
        """The tail at positions x (...) beyond an end."""
        place, value, slope, bend = self._end(side)
        tail, step = self.tails[side], x - place
        if tail == "constant":
            return value + 0.0 * step
        if tail == "parabola":
            return value + step * (slope + bend / 2 * step)
        limit, size, rate = self._law(side)
        if tail == "C6":
            return limit - size / x**6
        return limit + size * namespace.exp(namespace.clip(rate * step, -STEEPEST, STEEPEST))

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        here = dataclasses.replace(self, knots=namespace.asarray(self.knots),
                                   coefficients=namespace.asarray(self.coefficients))  # fmt: skip
        place, value = x[..., 0], super().at(x)
        for side, tail in enumerate(self.tails):
            if tail != "wall":
                end = here.knots[-side]
                beyond = place > end if side else place < end
                value = namespace.where(
                    beyond, here._beyond(side, namespace.where(beyond, place, end), namespace), value
                )
        return value

    def _side(self, middle: np.ndarray) -> np.ndarray:
        """Where cells lie (n,): 0 or 1 in a tail, -1 in the table."""
        left, right = self.seams[[0, -1]]
        return np.where(middle < left, 0, np.where(middle > right, 1, -1))

    def enclose(
        self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """The least and the largest V on cells (n,) from `left` to `right`, none of them in both table and tail."""
        least, most = np.empty(len(left)), np.empty(len(left))
        where = self._side((left + right) / 2)
        for side in np.unique(where):
            cells = where == side
            if side < 0:
                least[cells], most[cells] = super().enclose(left[cells], right[cells])
                continue
            places = [left[cells], right[cells]]
            if self.tails[side] == "parabola":
                place, _, slope, bend = self._end(side)
                places.append(np.clip(place - slope / bend, *places))
            with np.errstate(over="ignore"):
                v = np.array([self._beyond(side, x, np) for x in places])
            blur = 64 * np.finfo(float).eps * (np.abs(v).max(axis=0) + self._size(side, *places[:2]))
            least[cells], most[cells] = v.min(axis=0) - blur, v.max(axis=0) + blur
        return least, most

    def _size(self, side: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Of the numbers that a tail is computed from, on cells (n,): a rounding error of each stays in the sum."""
        place, value, slope, bend = (abs(float(number)) for number in self._end(side))
        far = np.maximum(np.abs(left), np.abs(right)) + place
        if self.tails[side] == "constant":
            return value + 0.0 * far
        if self.tails[side] == "parabola":
            return value + slope * far + bend * far**2
        limit, size, rate = (abs(float(number)) for number in self._law(side))
        if self.tails[side] == "C6":
            return limit + size / np.minimum(np.abs(left), np.abs(right)) ** 6
        return limit + np.abs(self._beyond(side, left, np) - limit) * (1 + rate * far) + size

    def stray(self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"], degree: Any) -> Float[np.ndarray, "n"]:
        """How far V is from a polynomial of `degree` (n,) on panels.

        Of a tail at most max |V^(m + 1)| h^(m + 1) / (2^m (m + 1)!), h half of a panel: that of interpolation at the
        zeros of Chebyshev's polynomial.
        """
        off, where = np.empty(len(left)), self._side((left + right) / 2)
        degrees = np.broadcast_to(degree, left.shape).astype(float)
        for side in np.unique(where):
            cells = where == side
            begin, end, m = left[cells], right[cells], degrees[cells]
            if side < 0:
                off[cells] = super().stray(begin, end, m.astype(int))
                continue
            low, high = self.enclose(begin, end)
            least, tail = (high - low) / 2, self.tails[side]
            if tail in ("constant", "parabola"):
                off[cells] = np.where(m >= 2 * (tail == "parabola"), 0.0, least)
                continue
            _, size, rate = map(float, self._law(side))
            half, gamma = (end - begin) / 2, np.vectorize(math.lgamma)
            if tail == "C6":
                near = np.minimum(np.abs(begin), np.abs(end))
                powers = gamma(m + 7) - gamma(6.0) - (m + 7) * np.log(near)
            else:
                place = float(self.knots[-side])
                powers = np.maximum(rate * (begin - place), rate * (end - place)) + (m + 1) * np.log(abs(rate))
            exponent = np.log(abs(size)) + powers + (m + 1) * np.log(half) - m * np.log(2) - gamma(m + 2)
            off[cells] = np.minimum(least, np.exp(np.minimum(exponent, 700.0)))
        return off

    def mirrors(self) -> bool:
        """False: not looked for."""
        return False

    def times(self, length: float = 1.0, energy: float = 1.0, **more: float) -> Tailed:
        """The same with its numbers in other units."""
        scaled = super().times(length, energy, **more)
        factors = {"limit": energy, "c6": energy * length**6, "left": length, "right": length}
        numbers = {
            key: getattr(self, key) * factor for key, factor in factors.items() if getattr(self, key) is not None
        }
        return dataclasses.replace(scaled, **numbers)  # type: ignore[return-value]

    def by_key(self, by_field: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Derivatives with respect to the samples V, and to the limit and c6 where they were given."""
        return {**super().by_key(by_field), **{key: by_field[key] for key in ("limit", "c6") if key in by_field}}

    def said(self) -> list[str]:
        """The tails, in words."""
        return [
            f"beyond {self.knots[-side]:g}{' (a wall)' if tail == 'wall' else ''} V = {self._formula(side)}"
            for side, tail in enumerate(self.tails) if tail != "wall"
        ]  # fmt: skip

    def _formula(self, side: int) -> str:
        place, value, slope, bend = map(float, self._end(side))
        if self.tails[side] == "constant":
            return f"{value:.8g}"
        step = f"(x - {place:g})" if place >= 0 else f"(x + {-place:g})"
        if self.tails[side] == "parabola":
            return f"{value:.8g} {slope:+.6g} {step} {bend / 2:+.6g} {step}^2"
        limit, size, rate = map(float, self._law(side))
        return f"{limit:.8g} {-size:+.6g} / x^6" if self.tails[side] == "C6" else (
            f"{limit:.8g} {size:+.6g} exp({rate:.6g} {step})"
        )  # fmt: skip


def checked(tails: Any, limit: Any, c6: Any) -> tuple[str, str]:
    """The two tails. Raises ValueError for what is none, and for numbers without a tail that has them."""
    if isinstance(tails, str) or not isinstance(tails, Sequence) or len(tails) != 2:
        raise ValueError(f"potential.tails={tails}: must be two of {', '.join(TAILS)}, as [wall,exponential]")
    for tail in tails:
        one_of("potential.tails", tail, TAILS)
    for key, value, fitting in (("limit", limit, ("exponential", "C6")), ("c6", c6, ("C6",))):
        if value is not None:
            finite(f"potential.{key}", value)
            if not set(fitting) & set(tails):
                raise ValueError(f"potential.{key}={value:g}: has an effect only with {' or '.join(fitting)} in "
                                 "potential.tails")  # fmt: skip
    if limit is not None and c6 is not None and "exponential" not in tails:
        raise ValueError(f"potential.c6={c6:g}: and potential.limit={limit:g}; V would jump, give one of the two")
    return tails[0], tails[1]


def added(table: Sampled, tails: tuple[str, str], limit: float | None, c6: float | None) -> Tailed:
    """A table with tails. Raises ValueError for one that its end does not have."""
    fields = {field.name: getattr(table, field.name) for field in dataclasses.fields(table)}
    built = Tailed(**fields, tails=tails, limit=None if limit is None else float(limit),
                   c6=None if c6 is None else float(c6))  # fmt: skip
    for side, tail in enumerate(tails):
        place, value, slope, bend = map(float, built._end(side))
        what = f"potential.tails=[{', '.join(tails)}]: at the {SIDES[side]} end, {place:g},"
        if tail == "parabola" and not bend > 0:
            raise ValueError(f"{what} V'' is {bend:.3g}; a parabola needs one that is positive")
        if tail == "C6" and (place <= 0 if side else place >= 0):
            raise ValueError(f"{what} x is a distance from 0 on the other side; C6 needs positions r > 0 on the right")
        if tail == "exponential" and limit is None and not (slope and bend):
            raise ValueError(f"{what} V' is {slope:.3g} and V'' {bend:.3g}, from which no exponential follows; give "
                             "potential.limit, or interpolation=cubic")  # fmt: skip
        if tail == "exponential" and limit is not None and not (slope and value != limit):
            raise ValueError(f"{what} V is {value:.6g} with the slope {slope:.3g}; no exponential from there tends to "
                             f"potential.limit={limit:g}")  # fmt: skip
        if built._far(side) == -math.inf:
            raise ValueError(f"{what} V and its derivatives say an exponential that falls without end; give "
                             "potential.limit, or another tail")  # fmt: skip
        toward = tail == "exponential" and limit is not None and math.isinf(built._far(side))
        if toward and side == 1:
            raise ValueError(f"{what} V goes away from potential.limit={limit:g}; give the limit that it tends to")
    return dataclasses.replace(built, read=", ".join([table.read, *built.said()]))
