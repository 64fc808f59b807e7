"""Continuity as one linear map from free nodal parameters to what every segment has at its two ends.

psi has a value u and a flux f = psi' / m at every edge. Some of these numbers are free parameters c; the conditions at
the edges give the others. So the values and slopes of psi at both ends of every segment are linear in c:

    (u_left, u'_left, u_right, u'_right) of segment j = C_j c,    C (segments, 4, parameters).

At an edge with a delta of strength alpha the flux jumps by alpha u: f is the mean of its two sides, f -+ alpha u / 2. A
mass m makes a slope u' = m f of a flux, each side its own. Ends and symmetries say which parameters there are:

    wall      u = 0                     free      f = 0
    even      f = 0 at the last edge, the centre of a box of which these are the segments of the left half
    odd       u = 0 there
    periodic  u and f of the last edge are those of the first one, times exp(i theta) (Bloch)
    open      both are free; waves in the leads tie one to the other (`qpinn.equations.scattering`)

A Bloch phase other than +-1 makes psi complex, psi = psi_1 + i psi_2. psi_1 and psi_2 are real functions on the same
segments (those of psi_2 are numbered after those of psi_1), and the periodic ends rotate one into the other by theta.
"""

from __future__ import annotations

import numpy as np

from qpinn.geometry.domain import WALLS, Ends


def continuity(
    edges: np.ndarray,
    ends: Ends = WALLS,
    *,
    mass: np.ndarray | None = None,
    strength: np.ndarray | None = None,
    parity: float | None = None,
    sheets: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The map C (sheets * segments, 4, q), and the unit (q,) of each parameter: 1 of a value, 1 / length of a flux.

    edges     (segments + 1,) ascending
    ends      of the domain
    sheets    real functions that psi is made of on a ring: 2, or 1 where the phase is real (none: as many as it takes)
    mass      (segments, 2) at the two ends of each, or (segments,), or None: all 1
    strength  (segments + 1,) of the delta at each edge, or None: there is none
    parity    1 or -1 about the last edge, which then is no end; None: neither
    """
    n = len(edges) - 1
    strength = np.zeros(n + 1) if strength is None else np.asarray(strength, np.float64)
    mass = np.ones(n) if mass is None else np.asarray(mass, np.float64)
    first, last = np.broadcast_to(mass.reshape(n, -1), (n, 2)).T
    rows = np.zeros((n, 4, 2 * (n + 1)))  # by values and fluxes of all edges
    j = np.arange(n)
    rows[j, 0, j] = 1
    rows[j, 1, n + 1 + j], rows[j, 1, j] = first, first * strength[:-1] / 2
    rows[j, 2, j + 1] = 1
    rows[j, 3, n + 2 + j], rows[j, 3, j + 1] = last, -last * strength[1:] / 2
    unit = np.repeat([1.0, 1 / (edges[-1] - edges[0])], n + 1)
    if ends.ring:
        return _joined(rows, unit, ends, sheets or (1 if ends.real else 2))
    end = {None: ends.right, 1.0: "free", -1.0: "wall"}[parity if parity is None else float(parity)]
    free = np.ones((2, n + 1), bool)
    free[:, 0] = ends.left != "wall", ends.left != "free"
    free[:, -1] = end != "wall", end != "free"
    return rows[..., free.ravel()], unit[free.ravel()]


def _joined(rows: np.ndarray, unit: np.ndarray, ends: Ends, sheets: int) -> tuple[np.ndarray, np.ndarray]:
    """The last edge tied to the first by exp(i theta)."""
    n = len(rows)
    kept = np.delete(np.arange(2 * (n + 1)), [n, 2 * n + 1])
    tied, turned = rows[..., kept].copy(), np.zeros_like(rows[..., kept])
    for first, last in ((0, n), (n, 2 * n + 1)):  # of the values, and of the fluxes
        tied[..., first] += ends.cosine * rows[..., last]
        turned[..., first] += ends.sine * rows[..., last]
    if sheets == 1:
        return tied, unit[kept]
    both = np.concatenate([np.concatenate([tied, -turned], axis=2), np.concatenate([turned, tied], axis=2)])
    return both, np.tile(unit[kept], 2)
