"""Levels by second-order finite differences on a uniform grid."""

from __future__ import annotations

import numpy as np

from qpinn.physics.potentials import Potential
from qpinn.physics.potentials.base import mass_at
from qpinn.physics.reference.box import Eigenstates, box_of, first_sign, sample, walled, whole


def finite_differences(potential: Potential, states: int, points: int) -> Eigenstates:
    """The lowest `states` levels by (-psi_{i-1} + 2 psi_i - psi_{i+1}) / h^2 + V_i psi_i = E psi_i.

    An effective mass enters at the midpoints, (psi_i - psi_{i+1}) / (m_{i+1/2} h^2) and so on; a Dirac delta is
    alpha / h at the nearest point.

    `points` interior points of a uniform grid, h = L / (points + 1); psi is the linear interpolant, zero at the walls,
    normalised as such. The error is O(h^2) if every jump of V meets a grid point, which then takes the mean of both
    sides, and O(h) otherwise.

    Raises ValueError if `states` or `points` is not a positive integer, or there are fewer points than states.
    """
    from scipy import linalg

    states = whole("states", states, 1)
    points = whole("points", points, states)
    box = box_of(potential)
    h = box.edges[-1] / (points + 1)
    t = h * np.arange(1, points + 1)
    v = sample(potential, box.left, t)
    for edge in box.edges[1:-1]:
        i = round(edge / h) - 1
        if 0 <= i < points and abs(t[i] - edge) < 1e-6 * h:
            v[i] = sample(potential, box.left, np.array([edge - h / 2, edge + h / 2])).mean()
    for edge, strength in zip(box.edges, box.strength, strict=True):
        v[min(max(round(edge / h) - 1, 0), points - 1)] += strength / h
    middles = (box.left + h * (np.arange(points + 1) + 0.5))[:, None]
    light = np.broadcast_to(1 / np.asarray(mass_at(potential, middles)), points + 1) / h**2
    energies, vectors = linalg.eigh_tridiagonal(
        light[:-1] + light[1:] + v, -light[1:-1], select="i", select_range=(0, states - 1)
    )
    u = np.pad(vectors.T, ((0, 0), (1, 1)))
    norm2 = h / 3 * (u[:, :-1] ** 2 + u[:, :-1] * u[:, 1:] + u[:, 1:] ** 2).sum(axis=1)
    u = u * (first_sign(u) / np.sqrt(norm2))[:, None]
    grid = np.concatenate([[0.0], t, box.edges[-1:]])

    def psi(x: np.ndarray) -> np.ndarray:
        return walled(box, x, np.array([np.interp(np.asarray(x) - box.left, grid, row) for row in u]))

    unknown = np.full(states, np.nan)
    return Eigenstates(method="finite differences", energies=energies, psi=psi, errors=unknown, psi_errors=unknown)
