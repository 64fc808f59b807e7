"""How far psi(t) that nearly obeys i psi_t = H psi can be from the solution: by unitarity, without a gap.

For any psi(t) in the domain of H(t), with r = i psi_t - H psi, d/dt |psi - exact| <= |r|, and so

    |psi(t) - exact(t)| <= |psi(0) - exact(0)| + integral_0^t |r(s)| ds

(Duhamel; for instance Lubich, From Quantum to Classical Molecular Dynamics (2008), theorem II.1.5). On each of a row of
intervals the integral of |r| is taken as sqrt(h integral |r|^2) at most (Schwarz).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Float


def residual_integrals(
    start: Complex[np.ndarray, "N"], energies: Float[np.ndarray, "N"], gram: Float[np.ndarray, "N N"],
    edges: Float[np.ndarray, "K+1"],
) -> Float[np.ndarray, "K"]:  # fmt: skip
    """Upper bounds (K,) of the integral of |r| between neighbouring times, for psi = sum_n c_n exp(-i e_n t) u_n.

    start     c_n at the first time
    gram      <r_m|r_n> of r_n = H u_n - e_n u_n

    integral |r|^2 = sum_mn c_m* c_n G_mn integral exp(i (e_m - e_n) t), which is exact in time.
    """
    widths, totals = np.diff(edges), np.zeros(len(edges) - 1)
    _, alike = np.unique(np.round(widths / widths.max(), 9), return_inverse=True)
    for kind in range(alike.max() + 1):
        where = np.flatnonzero(alike == kind)
        h = float(widths[where].max())
        middle = (edges[where] + edges[where + 1]) / 2 - edges[0]
        kernel = gram * np.sinc((energies[:, None] - energies) * (h / 2 / np.pi))
        at = start[:, None] * np.exp(-1j * energies[:, None] * middle)
        squares = np.einsum("nk,nk->k", at.real, kernel @ at.real) + np.einsum("nk,nk->k", at.imag, kernel @ at.imag)
        totals[where] = h * np.sqrt(np.maximum(squares, 0.0))
    return totals


def rounding(
    start: Complex[np.ndarray, "N"], energies: Float[np.ndarray, "N"], edges: Float[np.ndarray, "K+1"]
) -> Float[np.ndarray, "K"]:
    """What rounding of the phases e_n t may add on each interval (K,): a few eps |H psi| dt."""
    return 8 * np.finfo(float).eps * float(np.linalg.norm(start * energies)) * np.diff(edges)


def at_times(
    initial: float, integrals: Float[np.ndarray, "K"], edges: Float[np.ndarray, "K+1"], times: Float[np.ndarray, "T"]
) -> Float[np.ndarray, "T"]:
    """The bound (T,) at any times between the first and the last of `edges`, from its `initial` error.

    Part of an interval of length h: sqrt(s integral |r|^2) <= sqrt(s / h) of that of the whole.
    """
    before = np.concatenate([[0.0], np.cumsum(integrals)])
    place = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(integrals) - 1)
    share = np.clip((times - edges[place]) / np.diff(edges)[place], 0.0, 1.0)
    return initial + before[place] + np.sqrt(share) * integrals[place]


def of_probability(probability: Float[np.ndarray, "T"], bound: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """How far the probability of a region is known: | |chi psi|^2 - |chi exact|^2 | <= 2 b sqrt(P) + b^2."""
    return 2 * bound * np.sqrt(np.maximum(probability, 0.0)) + bound**2
