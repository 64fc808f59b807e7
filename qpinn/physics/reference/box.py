"""What every reference method needs of a potential: its box, its symmetry, a bound on its levels, and the result.

Where V is even about the centre of the box, both parities are solved on half the box (psi' = 0 or psi = 0 at the
centre) and interleaved, so that the nearly degenerate pairs of a high barrier keep their symmetry.

Positions are measured from the left wall (`t`), so that a box far from the origin loses no digits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qpinn.geometry.mesh import left_half
from qpinn.physics.potentials import Potential
from qpinn.physics.potentials.base import attraction, mass_at, strengths_at
from qpinn.physics.symmetry import is_even

Wave = Callable[[np.ndarray], np.ndarray]


class Solution(NamedTuple):
    """Levels of a stretch: energies (k,), psi: t (n,) -> (k, n), normalised there, and errors as in `Eigenstates`."""

    energies: np.ndarray
    wave: Wave
    errors: np.ndarray
    psi_errors: np.ndarray


Solve = Callable[["Box", bool, int], Solution]  # box or half of it, psi' free at its last edge?, number of states

EXACT = ("closed form", "transcendental equation")
"""Methods whose error is rounding."""

VISIBLE = 1e-8  # a lobe smaller than this part of max|psi| is rounding noise and cannot carry the sign


class SizeError(ValueError):
    """A reference would take more unknowns than are allowed."""


@dataclass(frozen=True)
class Eigenstates:
    """The lowest k levels of a potential.

    method      how they were computed
    energies    (k,), ascending
    psi         maps positions (n,) to values (k, n), with integral psi_i psi_j = delta_ij over the box, psi' > 0 at the
                left wall, and 0 at the walls and beyond
    errors      (k,), what the method says of its own absolute error of each level; NaN where it says nothing
    psi_errors  (k,), and of the L2 error of psi
    """

    method: str
    energies: np.ndarray
    psi: Wave
    errors: np.ndarray
    psi_errors: np.ndarray

    @property
    def exact(self) -> bool:
        """Whether the levels are those of an equation that was solved to rounding."""
        return self.method in EXACT


@dataclass(frozen=True)
class Box:
    """The walls, the edges of the pieces as seen from the left wall (0 and the length included), the symmetry.

    mass (pieces,), constant in each; strength (edges,) of the Dirac delta at each edge
    """

    left: float
    right: float
    edges: np.ndarray
    mass: np.ndarray
    strength: np.ndarray
    even: bool

    def floor(self, lowest: float, mirrored: bool) -> float:
        """An energy below all levels; `lowest` is the least V, `mirrored`: the last edge is the centre of a box."""
        edges, strength = self.edges, self.strength
        if mirrored:
            edges = np.append(edges[:-1], edges[-1] + np.append(0, np.cumsum(np.diff(edges)[::-1])))
            strength = np.concatenate([strength[:-1], [2 * strength[-1]], strength[-2::-1]])
        return lowest - attraction(edges, strength, float(self.mass.max()))

    def half(self) -> Box:
        """The left half, with half the strength of a delta at its centre, which is the last of its edges."""
        edges = left_half(self.edges)
        center = self.edges[-1] / 2
        last = 0.0 if len(self.edges) % 2 == 0 else self.strength[len(self.edges) // 2] / 2
        strength = np.append(self.strength[: len(edges) - 1], last)
        return Box(left=self.left, right=self.left + center, edges=edges, mass=self.mass[: len(edges) - 1],
                   strength=strength, even=False)  # fmt: skip


def sample(potential: Potential, left: float, t: np.ndarray) -> np.ndarray:
    """V at left + t, same shape as t."""
    return np.asarray(potential((left + t)[..., None]), dtype=np.float64)


def box_of(potential: Potential) -> Box:
    left, right = (float(wall) for wall in potential.domain)
    inner = [float(edge) for edge in potential.breakpoints]
    walls = np.array([left, *inner, right])
    if not (np.isfinite(walls).all() and (np.diff(walls) > 0).all()):
        raise ValueError(f"walls and breakpoints {walls.tolist()}: must be finite and in ascending order")
    edges = walls - left
    mass = np.asarray(mass_at(potential, ((walls[:-1] + walls[1:]) / 2)[:, None]), np.float64)
    mass = np.broadcast_to(mass, len(edges) - 1)
    strength = strengths_at(potential, walls)
    return Box(left=left, right=right, edges=edges, mass=mass, strength=strength, even=is_even(potential))


def inside(edges: np.ndarray, count: int) -> np.ndarray:
    """`count` evenly spaced points within each piece, shape (pieces, count)."""
    return edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(count) + 0.5) / count


def upper_bound(potential: Potential, box: Box, states: int, cuts: Sequence[int]) -> float:
    """A bound above the `states` lowest levels, by Dirichlet bracketing (Reed & Simon IV, section XIII.15).

    More walls raise every level and silence deltas; between them max V + (j pi / l)^2 / m is above the j-th. The best
    of several partitions.
    """
    bounds = []
    for parts in cuts:
        cells = np.append(cut(box.edges, parts), box.edges[-1])
        top = sample(potential, box.left, inside(cells, 9)).max(axis=1)
        kinetic = (np.arange(1, states + 1) * np.pi / np.diff(cells)[:, None]) ** 2
        levels = top[:, None] + kinetic / np.repeat(box.mass, parts)[:, None]
        bounds.append(np.sort(levels, axis=None)[states - 1])
    return float(min(bounds))


def cut(edges: np.ndarray, parts: int) -> np.ndarray:
    """The starts of `parts` equal cells in each piece."""
    return (edges[:-1, None] + np.diff(edges)[:, None] * np.arange(parts) / parts).ravel()


@functools.cache
def gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on (-1, 1)."""
    return np.polynomial.legendre.leggauss(count)


def whole(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}={value!r}: must be an integer, at least {least}")
    return int(value)


def eigenstates(method: str, box: Box, states: int, solve: Solve) -> Eigenstates:
    """Solve on the whole box, or both parities on half of it, and put the states together."""
    if not box.even:
        one = solve(box, False, states)
        return Eigenstates(
            method=method, energies=one.energies, psi=lambda x: walled(box, x, one.wave(np.asarray(x) - box.left)),
            errors=one.errors, psi_errors=one.psi_errors,
        )  # fmt: skip

    half = box.half()
    parities = [solve(half, True, (states + 1) // 2)] + ([solve(half, False, states // 2)] if states > 1 else [])
    energies, errors, psi_errors = np.empty((3, states))
    for parity, one in enumerate(parities):
        energies[parity::2], errors[parity::2], psi_errors[parity::2] = one.energies, one.errors, one.psi_errors

    def psi(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        to_left, to_right = x - box.left, box.right - x
        folded = np.minimum(to_left, to_right)
        values = np.empty((states, x.size))
        for parity, one in enumerate(parities):
            values[parity::2] = one.wave(folded) * math.sqrt(0.5)
        values[1::2] *= np.where(to_left > to_right, -1.0, 1.0)
        return walled(box, x, values)

    return Eigenstates(method=method, energies=energies, psi=psi, errors=errors, psi_errors=psi_errors)


def walled(box: Box, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`values` within the box, exactly zero at its walls and beyond."""
    return np.where((x > box.left) & (x < box.right), values, 0.0)


def first_sign(values: np.ndarray) -> np.ndarray:
    """The sign of the first visible lobe, for values of shape (k, n): (k,)."""
    seen = np.abs(values) > VISIBLE * np.abs(values).max(axis=1, keepdims=True)
    return np.sign(values[np.arange(len(values)), seen.argmax(axis=1)])
