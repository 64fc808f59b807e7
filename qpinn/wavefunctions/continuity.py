"""Continuity as one linear map from free nodal parameters to what every segment has at its two ends.

In every segment psi has a value and a slope at either end. They follow from the values u and the fluxes f = psi' / m at
the edges, of which some are free parameters c and the others follow from them:

    (u_left, u'_left, u_right, u'_right) of segment j = C_j c,    C (segments, 4, parameters).

At an edge with a delta of strength alpha the flux jumps by alpha u: f is the mean of its two sides, f -+ alpha u / 2. A
mass m makes a slope u' = m f of a flux. Ends and symmetries say which parameters there are:

    wall      u = 0                     free      f = 0
    even      f = 0 at the last edge, the centre of a box of which these are the segments of the left half
    odd       u = 0 there
    periodic  u and f of the last edge are those of the first one, times exp(i theta) (Bloch)

A Bloch phase other than +-1 makes psi complex, psi = psi_1 + i psi_2. Both parts are real functions on the same
segments, one after the other, tied by a rotation through theta.
"""

from __future__ import annotations

import numpy as np

WALL, FREE, PERIODIC = "wall", "free", "periodic"


def continuity(
    edges: np.ndarray,
    left: str = WALL,
    right: str = WALL,
    *,
    mass: np.ndarray | None = None,
    strength: np.ndarray | None = None,
    parity: float | None = None,
    theta: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The map C (sheets * segments, 4, q), and the unit (q,) of each parameter: 1 of a value, 1 / length of a flux.

    edges     (segments + 1,) ascending
    left, right  kind of the ends: "wall", "free" or, both of them, "periodic"
    mass      (segments,), or None: all 1
    strength  (segments + 1,) of the delta at each edge, or None: there is none
    parity    1 or -1 about the last edge, which then is no end; None: neither
    theta     Bloch phase over the period; there are two sheets unless it is a multiple of pi
    """
    n = len(edges) - 1
    strength = np.zeros(n + 1) if strength is None else np.asarray(strength, np.float64)
    mass = np.ones(n) if mass is None else np.asarray(mass, np.float64)
    rows = np.zeros((n, 4, 2 * (n + 1)))  # by values and fluxes of all edges
    j = np.arange(n)
    rows[j, 0, j] = 1
    rows[j, 1, n + 1 + j], rows[j, 1, j] = mass, mass * strength[:-1] / 2
    rows[j, 2, j + 1] = 1
    rows[j, 3, n + 2 + j], rows[j, 3, j + 1] = mass, -mass * strength[1:] / 2
    unit = np.repeat([1.0, 1 / (edges[-1] - edges[0])], n + 1)
    if left == PERIODIC:
        return _periodic(rows, unit, theta)
    last = {None: right, 1.0: FREE, -1.0: WALL}[parity if parity is None else float(parity)]
    free = np.ones((2, n + 1), bool)
    free[:, 0] = left != WALL, left != FREE
    free[:, -1] = last != WALL, last != FREE
    return rows[..., free.ravel()], unit[free.ravel()]


def _periodic(rows: np.ndarray, unit: np.ndarray, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """The last edge tied to the first by exp(i theta)."""
    n = len(rows)
    kept = np.delete(np.arange(2 * (n + 1)), [n, 2 * n + 1])
    cosine, sine = np.cos(theta), np.sin(theta)
    tied, turned = rows[..., kept].copy(), np.zeros_like(rows[..., kept])
    for first, last in ((0, n), (n, 2 * n + 1)):  # of the values, and of the fluxes
        tied[..., first] += cosine * rows[..., last]
        turned[..., first] += sine * rows[..., last]
    if abs(sine) < 1e-12:
        return tied, unit[kept]
    sheets = np.concatenate([np.concatenate([tied, -turned], axis=2), np.concatenate([turned, tied], axis=2)])
    return sheets, np.tile(unit[kept], 2)
