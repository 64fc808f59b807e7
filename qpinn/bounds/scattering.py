"""Bounds on amplitudes of transmission and reflection, from waves psi_L and psi_R that come from either side.

Both satisfy the conditions in the leads exactly, and the equation up to r = (H - E) psi. Exact amplitudes differ from

    t = t~ + (1 / 2 i v_R) integral psi_R r_L,    r = r~ + (1 / 2 i v_L) integral psi_L r_L,

corrected in the manner of Kohn (Phys. Rev. 74 (1948) 1763), by (1 / 2 i v) <r_R|G r_L>, and <r_L|G r_L>, with G the
Green's function of waves that leave. W = psi_L f_R - f_L psi_R is a Wronskian, and G~ = psi_L(x>) psi_R(x<) / W
satisfies (H - E) G~ = 1 + K, where r stands in K in the place of one psi. Where |K| < 1, G = G~ (1 + K)^-1, and

    |<r_R|G r_L>| <= <|r_R| |G~| |r_L|> + |G~| |K| / (1 - |K|) |r_R| |r_L|.

Integrals over x > y and x < y are sums over segments, so that waves which decay through a barrier keep what is small
small. Where |K| is not below 1 nothing is known.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Complex, Float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Waves from the left and from the right (.., 2), at N energies, in S segments.

    residual   (N, S, 2) norms of (H - E) psi, what is unseen included
    unseen     (N, S, 2) the part of it that the corrections do not have: rounding, V between points
    size       (N, S, 2) norms of psi
    wronskian  (N,) the smaller one of its sizes at both ends
    velocity   (N, 2) in both leads
    rounding   (N, 2) what rounding at the nodes and of v may add to the integrals of psi_R r_L and of psi_L r_L
    """

    residual: Float[np.ndarray, "N S 2"]
    unseen: Float[np.ndarray, "N S 2"]
    size: Float[np.ndarray, "N S 2"]
    wronskian: Float[np.ndarray, "N"]
    velocity: Complex[np.ndarray, "N 2"]
    rounding: Float[np.ndarray, "N 2"]


def amplitude_bounds(waves: Pair) -> tuple[Float[np.ndarray, "N"], Float[np.ndarray, "N"]]:
    """Bounds (N,) on |t - exact| and |r - exact|, both of waves from the left; inf where there is none."""
    (r_left, r_right), (left, right) = (np.moveaxis(part, -1, 0) for part in (waves.residual, waves.size))
    moved = np.sum(left * r_right + right * r_left, axis=1)
    wronskian = waves.wronskian - moved
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        green = np.sqrt(2 * np.sum(left**2 * _below(right**2), axis=1)) / wronskian
        kernel = np.sqrt(np.sum(r_left**2 * _below(right**2) + left**2 * _below(r_right**2), axis=1)) / wronskian
        more = green * kernel / (1 - kernel)
        totals = np.linalg.norm(r_left, axis=1), np.linalg.norm(r_right, axis=1)
        crossed = _through(r_right, r_left, left, right) / wronskian + more * totals[0] * totals[1]
        back = _through(r_left, r_left, left, right) / wronskian + more * totals[0] ** 2
        unseen = waves.unseen[..., 0]
        t = (crossed + np.sum(unseen * right, axis=1) + waves.rounding[:, 0]) / np.abs(2 * waves.velocity[:, 1])
        r = (back + np.sum(unseen * left, axis=1) + waves.rounding[:, 1]) / np.abs(2 * waves.velocity[:, 0])
    known = (wronskian > 0) & (kernel < 1)
    return tuple(np.where(known & np.isfinite(bound), bound, np.inf) for bound in (t, r))  # type: ignore[return-value]


def _below(values: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N S"]:
    """Sums over all segments up to and with each."""
    return np.cumsum(values, axis=1)


def _through(first: np.ndarray, second: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """<|first| |psi_L(x>) psi_R(x<)| |second|> (N,) from norms (N, S)."""
    one = np.sum(first * left * _below(second * right), axis=1)
    return one + np.sum(second * left * _below(first * right), axis=1)


def cut_off(strength: Float[np.ndarray, "N 2"]) -> tuple[Float[np.ndarray, "N"], Float[np.ndarray, "N"]]:
    """What tails of V that were cut off may do: relative to |t|, and to r itself; inf where they may do anything.

    strength  (N, 2) J = integral of |V - level| / v over each. A tail alone reflects no more than j = (e^J - 1) / 2 of
    the amplitude and changes t by no more than j of it: its solution differs from a plane wave by e^J - 1 (Volterra).
    Between tail and structure waves go to and fro, so that t changes by (1 + j') t with j' <= 2 j / (1 - j).
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        j = np.expm1(strength) / 2
        each = np.where(j < 0.5, 2 * j / (1 - j), np.inf)
        crossed = np.prod(1 + each, axis=1) - 1
        back = np.sum(np.where(j < 0.5, 5 * j / (1 - j), np.inf), axis=1)
    return crossed, back


def probability(amplitude: Complex[np.ndarray, "N"], bound: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
    """Bound (N,) on | |a|^2 - exact | from one on a; rounding of the square included."""
    size = np.abs(amplitude)
    return 2 * size * bound + bound**2 + 4 * float(np.finfo(np.float64).eps) * size**2
