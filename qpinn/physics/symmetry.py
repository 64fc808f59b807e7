"""Whether V is even about a position: proved from its formula, not seen on samples.

A potential is called with a `Term` in place of positions, x = center + t, which keeps what is known of the function of
t: that it is even, that it is odd, or that it is a polynomial, with its coefficients as exact fractions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from qpinn.physics.enclosure import constant_in_pieces, enclose_mass
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.potentials.base import strengths_at

MOST_TERMS = 130
"""Coefficients of a polynomial that are kept."""

DIGITS = 4000
"""Digits of a coefficient that are kept."""


class Term:
    """A function of t.

    parity      1 if it is even, -1 if it is odd, 0 if neither is known
    polynomial  its coefficients, ascending, or None
    slack       shifts of t up to this are taken for rounding
    """

    __array_ufunc__ = None

    def __init__(self, parity: int, polynomial: tuple[Fraction, ...] | None = None, slack: float = 0.0) -> None:
        self.parity, self.polynomial, self.slack = parity, polynomial, slack

    @classmethod
    def of(cls, coefficients: tuple[Fraction, ...], slack: float = 0.0) -> Term:
        """A polynomial with these coefficients, ascending."""
        if len(coefficients) == 2 and abs(coefficients[0]) <= slack * abs(coefficients[1]):
            coefficients = (Fraction(0), coefficients[1])
        while coefficients and coefficients[-1] == 0:
            coefficients = coefficients[:-1]
        powers = {power % 2 for power, value in enumerate(coefficients) if value}
        parity = 1 if powers <= {0} else -1 if powers == {1} else 0
        long = len(coefficients) > MOST_TERMS or any(abs(value.denominator) > 10**DIGITS for value in coefficients)
        return cls(parity, None if long else coefficients, slack)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return _Namespace

    def __getitem__(self, index: Any) -> Term:
        return self

    def __neg__(self) -> Term:
        return self * -1.0

    def __add__(self, other: Any) -> Term:
        other = _term(other)
        if self.polynomial is not None and other.polynomial is not None:
            size = max(len(self.polynomial), len(other.polynomial))
            first, second = (one + (Fraction(0),) * (size - len(one)) for one in (self.polynomial, other.polynomial))
            total = tuple(a + b for a, b in zip(first, second, strict=True))
            return Term.of(total, max(self.slack, other.slack))
        return Term(self.parity if self.parity == other.parity else 0)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Term:
        return self + _term(other) * -1.0

    def __rsub__(self, other: Any) -> Term:
        return _term(other) + self * -1.0

    def __mul__(self, other: Any) -> Term:
        other = _term(other)
        if self.polynomial is not None and other.polynomial is not None:
            product = [Fraction(0)] * (len(self.polynomial) + len(other.polynomial))
            for i, a in enumerate(self.polynomial):
                for j, b in enumerate(other.polynomial):
                    product[i + j] += a * b
            return Term.of(tuple(product), max(self.slack, other.slack))
        return Term(self.parity * other.parity)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Term:
        other = _term(other)
        if other.polynomial is not None and len(other.polynomial) == 1:
            return self * Term.of((1 / other.polynomial[0],))
        return Term(self.parity * other.parity)

    def __rtruediv__(self, other: Any) -> Term:
        return _term(other) / self

    def __pow__(self, exponent: float) -> Term:
        whole = exponent == int(exponent)
        if whole and exponent >= 0 and self.polynomial is not None:
            result = Term.of((Fraction(1),))
            for _ in range(int(exponent)):
                result = result * self
            return result
        if whole and int(exponent) % 2 == 0:
            return Term(abs(self.parity))
        return Term(self.parity if whole else self._even)

    @property
    def _even(self) -> int:
        """Parity of any function of this."""
        return int(self.parity == 1)

    def __abs__(self) -> Term:
        return Term(abs(self.parity))

    def erf(self) -> Term:
        return Term(self.parity)

    def _compared(self, other: Any) -> Term:
        return Term((self - other)._even)

    def __and__(self, other: Term) -> Term:
        return Term(int(self.parity == other.parity == 1))

    __lt__ = __le__ = __gt__ = __ge__ = _compared


def _term(value: Any) -> Term:
    if isinstance(value, Term):
        return value
    return Term.of((Fraction(float(value)),))


def _where(test: Term, first: Any, second: Any) -> Term:
    first, second = _term(first), _term(second)
    if test.parity != 1:
        return Term(0)
    return Term(first.parity if first.parity == second.parity else 0)


class _Namespace:
    """The functions that potentials take from an array library."""

    where = staticmethod(_where)
    abs = staticmethod(abs)


def _odd(value: Any) -> Term:
    return Term(_term(value).parity)


def _even(value: Any) -> Term:
    return Term(abs(_term(value).parity))


def _any(value: Any) -> Term:
    return Term(_term(value)._even)


for _name in ("sin", "tan", "tanh", "sinh", "arctan", "arcsinh", "sign"):
    setattr(_Namespace, _name, staticmethod(_odd))
for _name in ("cos", "cosh"):
    setattr(_Namespace, _name, staticmethod(_even))
for _name in ("exp", "log", "sqrt", "floor"):
    setattr(_Namespace, _name, staticmethod(_any))


def _clip(value: Term, low: float, high: float) -> Term:
    return Term(value.parity if low == -high else value._even)


_Namespace.clip = staticmethod(_clip)  # type: ignore[attr-defined]


def is_even(potential: Any) -> bool:
    """Whether levels are even, odd, even, ... about the centre of the box: it reflects, and its ends are not joined.

    On a ring even and odd levels come in pairs, in either order: ask `reflects`.
    """
    return ends_of(potential).alike and reflects(potential)


def reflects(potential: Any) -> bool:
    """Whether H is the same reflected about the centre of the box, so that psi is even or odd; False if not known.

    V, masses and deltas are even about it, and the two ends alike; or they are joined with a phase of 1 or -1, for
    which exp(i theta) and exp(-i theta) are the same (Magnus & Winkler, Hill's Equation, chapter I). Breakpoints count
    as symmetric if they are so to rounding.
    """
    ends = ends_of(potential)
    if not (ends.alike or (ends.ring and ends.real)):
        return False
    left, right = (float(wall) for wall in potential.domain)
    edges = np.array([left, *(float(edge) for edge in potential.breakpoints), right])
    slack = 8 * np.finfo(float).eps * max(abs(left), abs(right))
    if np.abs(edges + edges[::-1] - (left + right)).max() > 2 * slack:
        return False
    strengths = strengths_at(potential, np.sort(edges))
    if not np.array_equal(strengths, strengths[::-1]):
        return False
    mirror = getattr(potential, "mirrors", None)
    if mirror is not None:
        return bool(mirror())
    light, heavy = enclose_mass(potential, edges[:-1], edges[1:])
    stepped = bool((heavy - light <= 1e-12 * heavy).all())
    if stepped and not (np.abs(light - light[::-1]) <= 1e-12 * heavy).all():
        return False
    if constant_in_pieces(potential):
        values = np.asarray(potential.at(((edges[:-1] + edges[1:]) / 2)[:, None]), np.float64)
        return bool((values == values[::-1]).all())
    x = Term.of(((Fraction(left) + Fraction(right)) / 2, Fraction(1)), slack)[..., None]
    return all(_even_of(function, x) for function in (potential.at, *(() if stepped else (potential.mass_at,))))


def _even_of(function: Any, x: Term) -> bool:
    try:
        term = function(x)
    except (TypeError, AttributeError, ValueError, IndexError):
        return False
    return isinstance(term, Term) and term.parity == 1
