"""Piecewise polynomials through samples: their coefficients, their extremes, and how many samples are enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

LEAST = {"linear": 2, "cubic": 4, "quintic": 6}
"""Samples between two jumps that each interpolation needs."""

LOW = 1e-10
"""Of the depth of V, or of the height above its minimum: how far a spline may be from samples that are left out."""


def pieces(x: Float[np.ndarray, "n"], v: Float[np.ndarray, "n *k"], interpolation: str) -> np.ndarray:
    """Coefficients (P + 1, n - 1, *k) in x - x_j of the pieces between samples without a jump, highest power first.

    Straight lines; or splines with continuous derivatives up to V'' (cubic) or V'''' (quintic), whose ends are not a
    knot: the two (three) pieces next to each end are one polynomial.
    """
    from scipy import interpolate

    if interpolation == "linear":
        return np.stack([(np.diff(v, axis=0).T / np.diff(x)).T, v[:-1]])
    if interpolation == "cubic":
        return np.asarray(interpolate.CubicSpline(x, v).c)
    spline = interpolate.make_interp_spline(x, v, k=5)
    rows = [spline.derivative(power)(x[:-1]) / math.factorial(power) for power in (4, 3, 2, 1)]
    highest = spline.derivative(5)((x[:-1] + x[1:]) / 2) / math.factorial(5)  # constant in each
    return np.stack([highest, *rows, v[:-1]])


def values(terms: Float[np.ndarray, "P+1 n"], step: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Polynomials (n,) at `step` from where they begin."""
    value = terms[0]
    for term in terms[1:]:
        value = value * step + term
    return value


def extremes(
    terms: Float[np.ndarray, "P+1 n"], start: Float[np.ndarray, "n"], size: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Numbers (n,) between which polynomials lie from `start` to `start + size`: their extremes up to cubics.

    Of higher ones the least and the largest of the coefficients in Bernstein's basis, whose convex hull holds them.
    """
    if len(terms) > 4:
        return _hull(terms, start, size)
    places = [start, start + size]
    if len(terms) == 4:  # zeros of the slope 3 a s^2 + 2 b s + c, written without loss of digits
        a, b, c = 3 * terms[0], terms[1], terms[2]
        root = np.sqrt(np.maximum(b * b - a * c, 0.0))
        sum_ = -(b + np.where(b < 0, -root, root))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            places += [np.clip(np.nan_to_num(at, nan=0.0), places[0], places[1]) for at in (sum_ / a, c / sum_)]
    each = [values(terms, step) for step in places]
    return np.minimum.reduce(each), np.maximum.reduce(each)


def _hull(terms: np.ndarray, start: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    degree = len(terms) - 1
    powers = list(terms[::-1])  # of s, from the lowest
    for low in range(degree):  # Taylor's shift to `start`
        for power in range(degree - 1, low - 1, -1):
            powers[power] = powers[power] + start * powers[power + 1]
    scaled = [power * size**j for j, power in enumerate(powers)]
    bernstein = [
        sum(math.comb(i, j) / math.comb(degree, j) * scaled[j] for j in range(i + 1)) for i in range(degree + 1)
    ]
    rounding = (
        64
        * np.finfo(float).eps
        * sum(np.abs(term) * np.maximum(start, start + size) ** (degree - j) for j, term in enumerate(terms))
    )
    return np.minimum.reduce(bernstein) - rounding, np.maximum.reduce(bernstein) + rounding


def halved(count: int) -> Int[np.ndarray, "half"]:
    """Every second of `count` samples, the first and the last among them."""
    return np.unique([*range(0, count, 2), count - 1])


def thinned(
    x: Float[np.ndarray, "n"], v: Float[np.ndarray, "n"], sections: Sequence[np.ndarray], interpolation: str, most: int
) -> tuple[Bool[np.ndarray, "n"], float]:
    """Which of the samples to keep (n,), at most about `most`, and how far the rest is from the spline through them.

    More of them wherever one that is left out is further from the spline than LOW times the depth of V (from its
    minimum to the lower of its ends), or times its own height above the minimum where that is more. The distance is in
    these units, at most LOW unless `most` was reached.
    """
    height = v - v.min()
    unit = np.maximum(height, max(min(height[0], height[-1]), 1e-9 * float(np.ptp(v)), 1e-300))
    keep = np.zeros(len(x), bool)
    for rows in sections:
        keep[rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), 400)).astype(int))]] = True
    while True:
        off = np.zeros(len(x))
        for rows in sections:
            chosen = rows[keep[rows]]
            knots, coefficients = x[chosen], pieces(x[chosen], v[chosen], interpolation)
            place = np.clip(np.searchsorted(knots, x[rows], side="right") - 1, 0, len(knots) - 2)
            off[rows] = np.abs(values(coefficients[:, place], x[rows] - knots[place]) - v[rows]) / unit[rows]
        between = [np.array([i, j]) for i, j in pairwise(np.flatnonzero(keep)) if j > i + 1]
        spans = np.array(between, int).reshape(-1, 2)
        wide = np.maximum.reduceat(off, spans[:, 0]) > LOW if len(spans) else np.zeros(0, bool)
        wide = np.array([off[i:j].max() > LOW for i, j in spans], bool) if wide.any() else wide
        if not wide.any() or keep.sum() + wide.sum() > most:
            return keep, float(off.max())
        keep[spans[wide].sum(axis=1) // 2] = True
