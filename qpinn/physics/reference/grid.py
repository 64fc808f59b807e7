"""Levels by second-order finite differences on a uniform grid."""

from __future__ import annotations

import numpy as np

from qpinn.checks import whole
from qpinn.physics.potentials import Potential
from qpinn.physics.potentials.base import mass_at
from qpinn.physics.reference.box import Box, Eigenstates, box_of, ended, first_sign, sample


def finite_differences(potential: Potential, states: int, points: int) -> Eigenstates:
    """The lowest `states` levels by (-psi_{i-1} + 2 psi_i - psi_{i+1}) / h^2 + V_i psi_i = E psi_i.

    An effective mass enters at the midpoints, (psi_i - psi_{i+1}) / (m_{i+1/2} h^2) and so on; a Dirac delta is
    alpha / h at the nearest point. A free end is a point with half a cell, (psi_0 - psi_1) / (m h^2) + V_0 psi_0 / 2 =
    E psi_0 / 2; on a ring the last point is the first, times exp(i theta).

    `points` interior points of a uniform grid, h = L / (points + 1); psi is the linear interpolant, zero at the walls,
    normalised as such. The error is O(h^2) if every jump of V meets a grid point, which then takes the mean of both
    sides, and O(h) otherwise.

    Raises ValueError if `states` or `points` is not a positive integer, or there are fewer points than states.
    """
    states = whole("states", states, 1)
    points = whole("points", points, states)
    box = box_of(potential)
    h = box.edges[-1] / (points + 1)
    t = h * np.arange(points + 2)
    t[-1] = box.edges[-1]
    v = sample(potential, box.left, t)
    for edge in box.edges[1:-1]:
        i = round(edge / h)
        if 0 < i <= points and abs(t[i] - edge) < 1e-6 * h:
            v[i] = sample(potential, box.left, np.array([edge - h / 2, edge + h / 2])).mean()
    for edge, strength in zip(box.edges, box.strength, strict=True):
        v[min(max(round(edge / h), 1), points)] += strength / h
    middles = (box.left + h * (np.arange(points + 1) + 0.5))[:, None]
    light = np.broadcast_to(1 / np.asarray(mass_at(potential, middles)), points + 1) / h**2
    energies, u = _on_ring(box, v, light, states) if box.ends.ring else _between(box, v, light, states)
    norm2 = h / 3 * (np.abs(u[:, :-1]) ** 2 + (u[:, :-1].conj() * u[:, 1:]).real + np.abs(u[:, 1:]) ** 2).sum(axis=1)
    u = u * (first_sign(u).conj() / np.sqrt(norm2))[:, None]

    def wave(x: np.ndarray) -> np.ndarray:
        return np.array([np.interp(x, t, row) for row in u])

    unknown = np.full(states, np.nan)
    return Eigenstates(method="finite differences", energies=energies, psi=ended(box, lambda x: wave(x - box.left)),
                       errors=unknown, psi_errors=unknown)  # fmt: skip


def _between(box: Box, v: np.ndarray, light: np.ndarray, states: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels (k,) and psi (k, n) at all points from V (n,) at them and 1 / (m h^2) (n - 1,) between them."""
    from scipy import linalg

    share = np.ones(len(v))
    share[[0, -1]] = 0.5
    diagonal = v + (np.append(light, 0.0) + np.append(0.0, light)) / share
    off = -light / np.sqrt(share[:-1] * share[1:])
    first, last = int(box.ends.left == "wall"), len(v) - (box.ends.right == "wall")
    energies, vectors = linalg.eigh_tridiagonal(
        diagonal[first:last], off[first : last - 1], select="i", select_range=(0, states - 1)
    )
    return energies, np.pad(vectors.T, ((0, 0), (first, len(v) - last))) / np.sqrt(share)


def _on_ring(box: Box, v: np.ndarray, light: np.ndarray, states: int) -> tuple[np.ndarray, np.ndarray]:
    """The same, the last point as the first: numbered 0, -1, 1, -2, ... the matrix is within two of its diagonal."""
    from scipy import linalg

    count, phase = len(light), box.ends.phase
    order = np.empty(count, int)
    order[::2], order[1::2] = np.arange((count + 1) // 2), count - 1 - np.arange(count // 2)
    place = np.argsort(order)
    band = np.zeros((3, count), type(phase))
    band[0, place] = np.append((v[0] + v[-1]) / 2, v[1:-1]) + light + np.roll(light, 1)
    for i in range(count):
        j = (i + 1) % count
        link = -light[i] * (1.0 if j else phase)  # of the row i with the column j
        low, high = sorted((place[i], place[j]))
        band[high - low, low] += link if place[i] > place[j] else np.conj(link)
    energies, vectors = linalg.eig_banded(band, lower=True, select="i", select_range=(0, states - 1))
    u = vectors[place].T
    return energies, np.append(u, phase * u[:, :1], axis=1)
