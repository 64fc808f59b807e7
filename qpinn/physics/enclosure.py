"""Bounds of V on cells, and bounds of its distance from polynomials.

A potential is evaluated on intervals (`qpinn.physics.interval`), so that no feature of V is missed, however narrow. A
function that is analytic and within M of a constant inside the Bernstein ellipse of parameter rho about a panel differs
from a polynomial of degree m by at most 2 M rho^-m / (rho - 1) (Trefethen, Approximation Theory and Approximation
Practice, theorem 8.2), and any function by at most half its range. This bounds what a quadrature can miss of V.

Tables (samples, layers) know their own extremes: `enclose(left, right)` and `stray(left, right, degree)` of a potential
are used where it has them. A function of a user that cannot be evaluated on intervals is sampled; `is_enclosed` tells.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from qpinn.checks import LIMIT
from qpinn.physics.interval import EPS, Interval, Region

HAIR = 32 * EPS
"""Relative distance from a breakpoint at which a cell that ends there is cut off, so that V is one-sided."""

RADII = (1.15, 1.3, 1.6, 2.0, 3.0, 6.0)
"""Parameters rho of the ellipses that are tried."""

RECTANGLES = 8
"""Rectangles side by side that cover an ellipse."""

MOST_CHECKED = 2048
"""Cells that are bisected at once in the search for a V that is too large."""

SAMPLES = 33
"""Samples of V in a cell, where it cannot be enclosed."""


@functools.lru_cache(maxsize=256)
def is_enclosed(potential: Any) -> bool:
    """Whether V is known between its samples; else `enclose` and `stray` are estimates from samples."""
    if hasattr(potential, "enclose"):
        return True
    left, right = (np.asarray(float(wall)) for wall in _walls(potential))
    try:
        value = potential.at(Interval(left, right)[..., None])
    except (TypeError, AttributeError, ValueError, IndexError):
        return False
    return isinstance(value, Interval)


@functools.lru_cache(maxsize=256)
def is_mass_enclosed(potential: Any) -> bool:
    """Whether the effective mass is known between its samples, as `is_enclosed` says of V; True where there is none."""
    if not hasattr(potential, "mass_at") or hasattr(potential, "enclose_mass"):
        return True
    return is_enclosed(_Mass(potential))


def _walls(potential: Any) -> tuple[float, float]:
    """Walls, or any two positions where there are none."""
    left, right = potential.domain
    return (0.0 if right is None else right - 1.0) if left is None else left, (
        (1.0 if left is None else left + 1.0) if right is None else right
    )


def enclose(
    potential: Any, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Lower and upper bounds (n,) of V on cells from `left` to `right`, (n,) each.

    A cell may not hold a breakpoint, but end at one.
    """
    left, right = inside(potential, left, right)
    if hasattr(potential, "enclose"):
        return potential.enclose(left, right)  # type: ignore[no-any-return]
    if is_enclosed(potential):
        value = potential.at(Interval(left[:, None], right[:, None]))
        return np.broadcast_to(value.lo, left.shape), np.broadcast_to(value.hi, left.shape)
    v = _sampled(potential, left, right, np.linspace(0, 1, SAMPLES))
    bend = np.abs(np.diff(v, 2, axis=1)).max(
        axis=1
    )  # second difference h^2 V'': a parabola exceeds its samples by an eighth of it
    bend = np.where(bend > 1e-12 * np.abs(v).max(axis=1), bend, 0.0)
    return v.min(axis=1) - bend / 4, v.max(axis=1) + bend / 4


def enclose_mass(
    potential: Any, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Lower and upper bounds (n,) of the effective mass on cells from `left` to `right`, (n,) each.

    A mass that cannot be evaluated on intervals is taken to lie between its samples, ends included.
    """
    left, right = inside(potential, left, right)
    if not hasattr(potential, "mass_at"):
        return np.ones(len(left)), np.ones(len(left))
    if hasattr(potential, "enclose_mass"):
        return potential.enclose_mass(left, right)  # type: ignore[no-any-return]
    if is_mass_enclosed(potential):
        value = potential.mass_at(Interval(left[:, None], right[:, None]))
        return np.broadcast_to(value.lo, left.shape), np.broadcast_to(value.hi, left.shape)
    x = left[:, None] + (right - left)[:, None] * np.linspace(0, 1, SAMPLES)
    mass = np.broadcast_to(np.asarray(potential.mass_at(x[..., None]), np.float64), x.shape)
    return mass.min(axis=1), mass.max(axis=1)


@dataclasses.dataclass(frozen=True)
class _Mass:
    """m of a potential, to be enclosed like a V."""

    potential: Any

    @property
    def domain(self) -> Any:
        return self.potential.domain

    @property
    def breakpoints(self) -> Any:
        return self.potential.breakpoints

    def at(self, x: Any) -> Any:
        return self.potential.mass_at(x)


class _Light(_Mass):
    """1 / m."""

    def at(self, x: Any) -> Any:
        return 1.0 / self.potential.mass_at(x)


def stray_mass(
    potential: Any, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"], degree: Int[np.ndarray, "n"] | int
) -> Float[np.ndarray, "n"]:
    """Bound (n,) on the distance of 1 / m from a polynomial of `degree` on panels, relative to its largest value.

    Where a potential encloses its masses itself they are linear in x between breakpoints: 1 / (a + xi) on (-1, 1) is
    rho^-n / (a^2 - 1) from a polynomial of degree n, rho = a + sqrt(a^2 - 1) (Chebyshev 1859).
    """
    if not hasattr(potential, "mass_at"):
        return np.zeros(len(left))
    lo, hi = enclose_mass(potential, left, right)
    if not hasattr(potential, "enclose_mass"):
        return stray(_Light(potential), left, right, degree) * lo
    a = (hi + lo) / np.maximum(hi - lo, EPS * lo)
    rho = a + np.sqrt(a**2 - 1)
    return np.asarray(rho ** -np.asarray(degree, np.float64) / (a**2 - 1) * lo * 2 / np.maximum(hi - lo, EPS * lo))


def stray(
    potential: Any, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"], degree: Int[np.ndarray, "n"] | int
) -> Float[np.ndarray, "n"]:
    """Bound (n,) on the distance of V from a polynomial of `degree` on panels from `left` to `right`, (n,) each."""
    left, right = inside(potential, left, right)
    if hasattr(potential, "stray"):
        return potential.stray(left, right, degree)  # type: ignore[no-any-return]
    if not is_enclosed(potential):
        return _tail(potential, left, right, np.broadcast_to(degree, left.shape))
    lo, hi = enclose(potential, left, right)
    least = np.minimum((hi - lo) / 2, 2 * largest(*potential.domain))
    half, middle = (right - left) / 2, (left + right) / 2
    share = np.linspace(-1, 1, RECTANGLES + 1)
    center = np.asarray(potential.at(middle[:, None]), np.float64)[:, None]
    for rho in RADII:
        wide, high = half * (rho + 1 / rho) / 2, half * (rho - 1 / rho) / 2
        ends = middle[:, None] + wide[:, None] * share
        re, im = Interval(ends[:, :-1], ends[:, 1:]), Interval(np.zeros((len(half), 1)), high[:, None])
        real = Interval(left[:, None] + np.zeros(RECTANGLES), right[:, None] + np.zeros(RECTANGLES))
        im = Interval(im.lo + np.zeros(RECTANGLES), im.hi + np.zeros(RECTANGLES))
        value = potential.at(Region(re, im, real)[..., None])
        if not isinstance(value, Region):
            value = Region(value, value * 0.0, value)
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.broadcast_to((value - center).size.hi, (len(half), RECTANGLES)).max(axis=1)
            bound = 2 * size * rho ** -np.asarray(degree, np.float64) / (rho - 1)
        least = np.fmin(least, bound)
    return least


def constant_in_pieces(potential: Any) -> bool:
    """Whether V and the mass are constant between the breakpoints, to rounding."""
    left, right = potential.domain
    edges = np.array([left, *sorted(p for p in potential.breakpoints if left < p < right), right], np.float64)
    for lo, hi in (f(potential, edges[:-1], edges[1:]) for f in (enclose, enclose_mass)):
        known = np.isfinite(lo) & np.isfinite(hi)  # where nothing is known of V, inf <= inf
        if not (known & (hi - lo <= 1e-12 * np.maximum(np.abs(lo), np.abs(hi)))).all():
            return False
    return True


def largest(left: float | None = None, right: float | None = None) -> float:
    """The largest size of V between walls: LIMIT in a box of length 1 or more, and as much of hbar^2 / (2 m length^2)
    in a smaller one. So a box of 1e-9 m is one of 1 nm."""
    length = 1.0 if left is None or right is None else min(float(right - left), 1.0)
    return LIMIT / length**2


def out_of_range(potential: Any) -> tuple[float, float] | None:
    """A position between the walls where V is not finite or exceeds `largest`, and V there; None where there is none.

    Cells in which V may do so are bisected to the spacing of numbers, and V is taken at their ends and middles: a
    maximiser of samples, as SciPy has, would miss a narrow peak that interval arithmetic does not.
    """
    left, right = (float(wall) for wall in potential.domain)
    limit = largest(left, right)
    inner = [place for place in potential.breakpoints if left < place < right]
    ends = np.unique(np.concatenate([np.linspace(left, right, 257), inner]))
    low, high = ends[:-1], ends[1:]
    while len(low):
        places = np.concatenate([(low + high) / 2, *inside(potential, low, high)])
        with np.errstate(all="ignore"):
            v = np.broadcast_to(np.asarray(potential.at(places[:, None]), np.float64), places.shape)
        bad = np.flatnonzero(~(np.abs(v) <= limit))
        if bad.size:
            first = bad[np.argmin(places[bad])]
            return float(places[first]), float(v[first])
        lo, hi = enclose(potential, low, high)
        undecided = (high - low > 64 * EPS * np.maximum(np.abs(low), np.abs(high))) & ~((lo >= -limit) & (hi <= limit))
        low, high = low[undecided][:MOST_CHECKED], high[undecided][:MOST_CHECKED]
        middle = (low + high) / 2
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    return None


def inside(
    potential: Any, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Cells less HAIR at those ends that are breakpoints or walls."""
    edges = np.array([place for place in (*potential.breakpoints, *potential.domain) if place is not None], np.float64)
    hair = HAIR * np.maximum(np.abs(left), np.abs(right))
    inner, outer = left + np.where(np.isin(left, edges), hair, 0.0), right - np.where(np.isin(right, edges), hair, 0.0)
    middle = (left + right) / 2
    return np.minimum(inner, middle), np.maximum(outer, middle)


def _sampled(potential: Any, left: np.ndarray, right: np.ndarray, share: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(potential.at((left[:, None] + (right - left)[:, None] * share)[..., None]), np.float64)


def _tail(potential: Any, left: np.ndarray, right: np.ndarray, degree: np.ndarray) -> np.ndarray:
    """Estimate of `stray` from samples: 16 times the largest of eight Legendre coefficients from `degree` on."""
    strays = np.empty(len(left))
    for m in np.unique(degree):
        group = degree == m
        nodes, weights = np.polynomial.legendre.leggauss(2 * int(m) + 24)
        v = _sampled(potential, left[group], right[group], (nodes + 1) / 2)
        order = np.arange(int(m), int(m) + 8)
        terms = (weights * v) @ np.polynomial.legendre.legvander(nodes, int(m) + 8)[:, order] * (order + 0.5)
        rounding = 64 * EPS * int(m) * np.abs(v).max(axis=1)
        strays[group] = 16 * np.maximum(np.abs(terms).max(axis=1) - rounding, 0.0)
    return strays
