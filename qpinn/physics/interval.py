"""Interval arithmetic: numbers between which the values of a function lie, on a stretch of the real line or about it.

A function that is written for arrays (`x.__array_namespace__()` names its library) is called with an `Interval` in
place of positions and returns one (Moore, Interval Analysis (1966)); called with a `Region`, it returns what it takes
in a complex neighbourhood of the interval, where it is analytic there, and something unbounded where that is not known.

Results are rounded outwards by a few units in the last place. Entries are independent, as in arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

EPS = float(np.finfo(float).eps)
LARGEST = float(np.finfo(float).max)


class Truth:
    """A comparison of intervals, entry by entry: true of all their values (yes), of none (no), or neither."""

    def __init__(self, yes: np.ndarray, no: np.ndarray, of_region: bool = False) -> None:
        self.yes, self.no, self.of_region = yes, no, of_region

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.yes & other.yes, self.no | other.no, self.of_region or other.of_region)

    def __bool__(self) -> bool:
        raise TypeError("a comparison of intervals has no single truth value")


class _Values:
    """What intervals and regions share: the arithmetic that follows from sums, products and reciprocals."""

    __array_ufunc__ = None  # NumPy leaves its operators to these

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return _Namespace

    def __radd__(self, other: Any) -> Any:
        return self + other  # type: ignore[operator]

    def __sub__(self, other: Any) -> Any:
        return self + (-other)  # type: ignore[operator]

    def __rsub__(self, other: Any) -> Any:
        return (-self) + other  # type: ignore[operator]

    def __rmul__(self, other: Any) -> Any:
        return self * other  # type: ignore[operator]

    def __truediv__(self, other: Any) -> Any:
        return self * _interval(other).reciprocal() if not isinstance(other, _Values) else self * other.reciprocal()  # type: ignore

    def __rtruediv__(self, other: Any) -> Any:
        return self.reciprocal() * other  # type: ignore[attr-defined]


class Interval(_Values):
    """lo <= value <= hi in each entry, arrays of one shape."""

    def __init__(self, lo: Any, hi: Any) -> None:
        self.lo, self.hi = np.asarray(lo, np.float64), np.asarray(hi, np.float64)

    def __getitem__(self, index: Any) -> Interval:
        return Interval(self.lo[index], self.hi[index])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lo.shape

    @property
    def magnitude(self) -> np.ndarray:
        """The largest absolute value."""
        return np.maximum(np.abs(self.lo), np.abs(self.hi))

    @property
    def mignitude(self) -> np.ndarray:
        """The smallest absolute value."""
        return np.maximum(np.maximum(self.lo, -self.hi), 0.0)

    def within(self, bound: np.ndarray) -> Interval:
        """The part in [-bound, bound]."""
        return Interval(np.clip(self.lo, -bound, bound), np.clip(self.hi, -bound, bound))

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Region):
            return other + self
        other = _interval(other)
        with np.errstate(over="ignore", invalid="ignore"):
            return _rounded(self.lo + other.lo, self.hi + other.hi)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Region):
            return other * self
        other = _interval(other)
        ends = [_product(a, b) for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return _rounded(np.minimum.reduce(ends), np.maximum.reduce(ends))

    def reciprocal(self) -> Interval:
        through = (self.lo <= 0) & (self.hi >= 0)
        with np.errstate(divide="ignore", over="ignore"):
            first, last = 1 / self.hi, 1 / self.lo
        lo = np.where(through & (self.lo < 0), -np.inf, first)
        hi = np.where(through & (self.hi > 0), np.inf, last)
        zero = (self.lo == 0) & (self.hi == 0)
        return _rounded(np.where(zero, -np.inf, lo), np.where(zero, np.inf, hi))

    def __pow__(self, exponent: float) -> Interval:
        if exponent != int(exponent):
            power = _increasing(self, lambda value: value ** abs(exponent))
            return power if exponent > 0 else power.reciprocal()
        if exponent < 0:
            return (self ** (-exponent)).reciprocal()
        n = int(exponent)
        if n == 0:
            return _interval(np.ones(self.shape))
        with np.errstate(over="ignore"):
            if n % 2:
                return _rounded(self.lo**n, self.hi**n, 2 * n)
            return _rounded(self.mignitude**n, self.magnitude**n, 2 * n)

    def __abs__(self) -> Interval:
        return Interval(self.mignitude, self.magnitude)

    def __lt__(self, other: Any) -> Truth:
        other = _interval(other)
        return Truth(self.hi < other.lo, self.lo >= other.hi)

    def __le__(self, other: Any) -> Truth:
        other = _interval(other)
        return Truth(self.hi <= other.lo, self.lo > other.hi)

    def __gt__(self, other: Any) -> Truth:
        other = _interval(other)
        return Truth(self.lo > other.hi, self.hi <= other.lo)

    def __ge__(self, other: Any) -> Truth:
        other = _interval(other)
        return Truth(self.lo >= other.hi, self.hi < other.lo)

    def exp(self) -> Interval:
        with np.errstate(over="ignore"):
            return _rounded(np.exp(self.lo), np.exp(self.hi), 4)

    def log(self) -> Interval:
        return _increasing(self, np.log)

    def sqrt(self) -> Interval:
        return _increasing(self, np.sqrt)

    def tanh(self) -> Interval:
        return _rounded(np.tanh(self.lo), np.tanh(self.hi), 4).within(np.ones(()))

    def sinh(self) -> Interval:
        with np.errstate(over="ignore"):
            return _rounded(np.sinh(self.lo), np.sinh(self.hi), 4)

    def cosh(self) -> Interval:
        with np.errstate(over="ignore"):
            return _rounded(np.cosh(self.mignitude), np.cosh(self.magnitude), 4)

    def arctan(self) -> Interval:
        return _rounded(np.arctan(self.lo), np.arctan(self.hi), 4)

    def arcsinh(self) -> Interval:
        return _rounded(np.arcsinh(self.lo), np.arcsinh(self.hi), 4)

    def erf(self) -> Interval:
        from scipy import special  # takes a tenth of a second

        return _rounded(special.erf(self.lo), special.erf(self.hi), 8).within(np.ones(()))

    def sin(self) -> Interval:
        return self._wave(np.sin, 0.25)

    def cos(self) -> Interval:
        return self._wave(np.cos, 0.0)

    def tan(self) -> Interval:
        return self.sin() / self.cos()

    def _wave(self, wave: Any, top: float) -> Interval:
        """sin or cos, whose maxima lie at (top + n) 2 pi."""
        turns = Interval(self.lo, self.hi) * (0.5 / math.pi)

        def holds(place: float) -> np.ndarray:
            with np.errstate(invalid="ignore"):
                return ~(np.ceil(turns.lo - place) > np.floor(turns.hi - place))

        with np.errstate(invalid="ignore"):
            ends = wave(self.lo), wave(self.hi)
        lo, hi = np.fmin(*ends), np.fmax(*ends)
        lo, hi = np.where(holds(top + 0.5) | np.isnan(lo), -1.0, lo), np.where(holds(top) | np.isnan(hi), 1.0, hi)
        # an argument is known to its last place only
        slack = EPS * (4 + self.magnitude)
        with np.errstate(invalid="ignore"):
            return Interval(lo - slack, hi + slack).within(np.ones(()))

    def sign(self) -> Interval:
        return Interval(np.sign(self.lo), np.sign(self.hi))

    def floor(self) -> Interval:
        return Interval(np.floor(self.lo), np.floor(self.hi))

    def clip(self, low: float, high: float) -> Interval:
        return Interval(np.clip(self.lo, low, high), np.clip(self.hi, low, high))

    def chosen(self, truth: Truth, other: Any) -> Interval:
        """This where `truth` is yes, `other` where it is no, the hull of both where it is neither."""
        other = _interval(other)
        lo = np.where(truth.yes, self.lo, np.where(truth.no, other.lo, np.minimum(self.lo, other.lo)))
        hi = np.where(truth.yes, self.hi, np.where(truth.no, other.hi, np.maximum(self.hi, other.hi)))
        return Interval(lo, hi)


def _interval(value: Any) -> Interval:
    if isinstance(value, Interval):
        return value
    if isinstance(value, _Values):
        raise TypeError("a region stands where an interval should")
    number = np.asarray(value, np.float64)
    return Interval(number, number)


def _rounded(lo: Any, hi: Any, ulps: float = 2.0) -> Interval:
    """Rounded outwards; unbounded where the operation has no number."""
    lo = np.where(np.isnan(lo), -np.inf, np.minimum(lo, LARGEST))
    hi = np.where(np.isnan(hi), np.inf, np.maximum(hi, -LARGEST))
    with np.errstate(over="ignore", invalid="ignore"):
        # -inf + inf, where a bound is infinite, is left as it was
        lower, upper = lo - ulps * EPS * np.abs(lo), hi + ulps * EPS * np.abs(hi)
    return Interval(np.where(np.isfinite(lo), lower, lo), np.where(np.isfinite(hi), upper, hi))


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where((a == 0) | (b == 0), 0.0, a * b)


BLUR = 1e-9
"""Below zero by no more than this, an argument of sqrt or log is taken for rounding."""


def _increasing(values: Interval, function: Any) -> Interval:
    """An increasing function of positive numbers; unbounded where the interval extends below zero."""
    with np.errstate(all="ignore"):
        lo, hi = function(np.maximum(values.lo, 0.0)), function(np.maximum(values.hi, 0.0))
    outside = (values.lo < -BLUR) | (values.hi < 0)
    return _rounded(np.where(outside, -np.inf, lo), np.where(outside, np.inf, hi), 4)


class Region(_Values):
    """Values in a complex neighbourhood of an interval: re + i im of absolute value `size`, `real` on the interval.

    Comparisons are those of the interval: on it one branch holds, and in the neighbourhood the function is that branch.
    """

    def __init__(self, re: Interval, im: Interval, real: Interval, size: Interval | None = None) -> None:
        with np.errstate(over="ignore"):
            least = np.hypot(re.mignitude, im.mignitude) * (1 - 4 * EPS)
            most = np.hypot(re.magnitude, im.magnitude) * (1 + 4 * EPS)
        if size is not None:
            least, most = np.maximum(least, size.lo), np.minimum(most, size.hi)
        self.size = Interval(least, most)
        self.re, self.im, self.real = re.within(most), im.within(most), real

    def __getitem__(self, index: Any) -> Region:
        return Region(self.re[index], self.im[index], self.real[index], self.size[index])

    def __neg__(self) -> Region:
        return Region(-self.re, -self.im, -self.real, self.size)

    def __add__(self, other: Any) -> Region:
        other = _region(other)
        apart, total = self.size - other.size, self.size + other.size
        size = Interval(apart.mignitude, total.hi)
        return Region(self.re + other.re, self.im + other.im, self.real + other.real, size)

    def __mul__(self, other: Any) -> Region:
        other = _region(other)
        re, im = self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re
        return Region(re, im, self.real * other.real, self.size * other.size)

    def reciprocal(self) -> Region:
        size = self.size.reciprocal()
        square = size**2
        values = Region(self.re * square, -self.im * square, self.real.reciprocal(), size)
        return values.unless(self.size.lo <= 0)

    def unless(self, unknown: np.ndarray) -> Region:
        """Unbounded where `unknown`."""

        def spread(interval: Interval, least: float) -> Interval:
            return Interval(np.where(unknown, least, interval.lo), np.where(unknown, np.inf, interval.hi))

        return Region(spread(self.re, -np.inf), spread(self.im, -np.inf), self.real, spread(self.size, 0.0))

    def with_real(self, real: Interval) -> Region:
        """The same with other values on the interval."""
        return Region(self.re, self.im, real, self.size)

    def __pow__(self, exponent: float) -> Region:
        if exponent != int(exponent):
            return (self.log() * exponent).exp().with_real(self.real**exponent)
        if exponent < 0:
            return (self ** (-exponent)).reciprocal()
        result, factor, n = _region(_interval(np.ones(self.real.shape))), self, int(exponent)
        while n:
            result, factor, n = (result * factor if n % 2 else result), factor * factor, n // 2
        return result.with_real(self.real**exponent)

    def __abs__(self) -> Region:
        sign = np.where(self.real.hi <= 0, -1.0, 1.0)
        undecided = (self.real.lo < 0) & (self.real.hi > 0)
        return (self * _interval(sign)).unless(undecided).with_real(abs(self.real))

    def __lt__(self, other: Any) -> Truth:
        return _of_region(self.real < _real(other))

    def __le__(self, other: Any) -> Truth:
        return _of_region(self.real <= _real(other))

    def __gt__(self, other: Any) -> Truth:
        return _of_region(self.real > _real(other))

    def __ge__(self, other: Any) -> Truth:
        return _of_region(self.real >= _real(other))

    def exp(self) -> Region:
        size = self.re.exp()
        return Region(size * self.im.cos(), size * self.im.sin(), self.real.exp(), size)

    def log(self) -> Region:
        """The principal branch for re > 0; unbounded where re may be <= 0, as its cut lies there."""
        angle = np.arctan2(self.im.magnitude, np.maximum(self.re.lo, 0.0)) * (1 + 4 * EPS)
        return Region(self.size.log(), Interval(-angle, angle), self.real.log()).unless(self.re.lo <= 0)

    def sqrt(self) -> Region:
        return self**0.5

    def sin(self) -> Region:
        re, im = self.re.sin() * self.im.cosh(), self.re.cos() * self.im.sinh()
        return Region(re, im, self.real.sin(), _between_waves(self.im))

    def cos(self) -> Region:
        re, im = self.re.cos() * self.im.cosh(), -(self.re.sin() * self.im.sinh())
        return Region(re, im, self.real.cos(), _between_waves(self.im))

    def tan(self) -> Region:
        return (self.sin() / self.cos()).with_real(self.real.tan())

    def sinh(self) -> Region:
        re, im = self.re.sinh() * self.im.cos(), self.re.cosh() * self.im.sin()
        return Region(re, im, self.real.sinh(), _between_waves(self.re))

    def cosh(self) -> Region:
        re, im = self.re.cosh() * self.im.cos(), self.re.sinh() * self.im.sin()
        return Region(re, im, self.real.cosh(), _between_waves(self.re))

    def tanh(self) -> Region:
        """1 - 2 / (exp(2 z) + 1), on the side where exp does not vanish."""
        side = _interval(np.where(self.re.hi < 0, -1.0, 1.0))
        values = 1 - 2 * ((2 * (self * side)).exp() + 1).reciprocal()
        return (values * side).with_real(self.real.tanh())

    def arctan(self) -> Region:
        """|d arctan / dz| <= 1 / (1 - im^2)."""
        room = 1 - self.im.magnitude**2
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(room > 0, 1 / np.where(room > 0, room, 1), np.inf)
        return self._off_axis(self.re.arctan(), self.real.arctan(), slope).unless(room <= 0)

    def arcsinh(self) -> Region:
        """|d arcsinh / dz|^2 = 1 / |z - i| |z + i| <= 1 / (1 - |im|)."""
        room = 1 - self.im.magnitude
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(room > 0, 1 / np.sqrt(np.where(room > 0, room, 1)), np.inf)
        return self._off_axis(self.re.arcsinh(), self.real.arcsinh(), slope).unless(room <= 0)

    def erf(self) -> Region:
        """|d erf / dz| = 2 / sqrt(pi) exp(im^2 - re^2)."""
        with np.errstate(over="ignore"):
            slope = 2 / math.sqrt(math.pi) * np.exp(self.im.magnitude**2 - self.re.mignitude**2)
        return self._off_axis(self.re.erf(), self.real.erf(), slope)

    def _off_axis(self, on_axis: Interval, real: Interval, slope: np.ndarray) -> Region:
        """A function that is `on_axis` at re, and changes no faster than `slope` on the way to re + i im."""
        with np.errstate(over="ignore", invalid="ignore"):
            stray = np.nan_to_num(self.im.magnitude * slope * (1 + 8 * EPS), nan=np.inf, posinf=np.inf)
        spread = Interval(-stray, stray)
        return Region(on_axis + spread, spread, real)

    def sign(self) -> Region:
        return _region(self.real.sign()).unless((self.real.lo < 0) & (self.real.hi > 0))

    def floor(self) -> Region:
        low = self.real.floor()
        return _region(low).unless(low.lo != low.hi)

    def clip(self, low: float, high: float) -> Region:
        inside, outside = (self.real.lo >= low) & (self.real.hi <= high), (self.real.hi <= low) | (self.real.lo >= high)
        return self.chosen(Truth(inside, ~inside), self.real.clip(low, high)).unless(~(inside | outside))

    def chosen(self, truth: Truth, other: Any) -> Region:
        """As for intervals; unbounded where `truth` is neither yes nor no."""
        other = _region(other)
        fields = (getattr(self, name).chosen(truth, getattr(other, name)) for name in ("re", "im", "real", "size"))
        return Region(*fields).unless(~(truth.yes | truth.no))


def _between_waves(along: Interval) -> Interval:
    """|sinh y| <= |sin(x + i y)|, |cos(x + i y)| <= cosh y."""
    return Interval(abs(along.sinh()).lo, along.cosh().hi)


def _region(value: Any) -> Region:
    if isinstance(value, Region):
        return value
    real = _interval(value)
    return Region(real, _interval(np.zeros(real.shape)), real)


def _real(value: Any) -> Any:
    return value.real if isinstance(value, Region) else value


def _of_region(truth: Truth) -> Truth:
    return Truth(truth.yes, truth.no, True)


def _where(truth: Any, first: Any, second: Any) -> Any:
    kind = _region if truth.of_region or isinstance(first, Region) or isinstance(second, Region) else _interval
    return kind(first).chosen(truth, second)


class _Namespace:
    """The functions that potentials take from an array library."""

    where = staticmethod(_where)
    abs = staticmethod(abs)


def _forward(name: str) -> Any:
    return staticmethod(lambda value, *arguments: getattr(value, name)(*arguments))


for _name in (
    "exp",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sinh",
    "cosh",
    "arctan",
    "arcsinh",
    "sign",
    "floor",
    "clip",
):
    setattr(_Namespace, _name, _forward(_name))
