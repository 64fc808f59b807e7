"""What every reference method needs of a potential: its box, its symmetry, a bound on its levels, and the result.

Where H is the same reflected about the centre of the box, both parities are solved on half the box (psi' = 0 or psi = 0
at the centre) and put together, so that the nearly degenerate pairs of a high barrier, and the double levels of a ring,
keep their symmetry.

Positions are measured from the left wall (`t`), so that a box far from the origin loses no digits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.geometry.domain import Ends
from qpinn.geometry.mesh import Mesh
from qpinn.physics.enclosure import enclose_mass
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.potentials import Potential
from qpinn.physics.potentials.base import attraction, strengths_at
from qpinn.physics.symmetry import reflects

Wave = Callable[[np.ndarray], np.ndarray]


class Solution(NamedTuple):
    """Levels of a stretch: energies (k,), psi: t (n,) -> (k, n), normalised there, and errors as in `Eigenstates`."""

    energies: np.ndarray
    wave: Wave
    errors: np.ndarray
    psi_errors: np.ndarray


Solve = Callable[["Box", int], Solution]  # box or half of it, number of states

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
    psi         maps positions (n,) to values (k, n), with integral psi_i* psi_j = delta_ij over the box. Its first lobe
                is positive. Between walls and free ends it is 0 beyond, and at walls; that of a ring goes on from
                period to period, with its phase, and is complex unless that is 1 or -1
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

    mass (pieces, 2), the least and the largest in each; strength (edges,) of the Dirac delta at each edge; even: psi is
    even or odd
    """

    left: float
    right: float
    edges: np.ndarray
    mass: np.ndarray
    strength: np.ndarray
    ends: Ends
    even: bool

    def floor(self, lowest: float) -> float:
        """An energy below all levels; `lowest` is the least V. Without a wall psi may be constant: it is put lower."""
        mass, below = float(self.mass.max()), 0.0
        if "wall" not in (self.ends.left, self.ends.right):
            below = (np.pi / self.edges[-1]) ** 2 / mass
        return lowest - below - attraction(self.edges, self.strength, mass, self.ends)

    def half(self, ends: Ends) -> Box:
        """The left half, with half the strength of a delta at its centre, which is the last of its edges."""
        edges = Mesh(self.edges).left_half().edges
        center = self.edges[-1] / 2
        last = 0.0 if len(self.edges) % 2 == 0 else self.strength[len(self.edges) // 2] / 2
        strength = np.append(self.strength[: len(edges) - 1], last)
        return Box(left=self.left, right=self.left + center, edges=edges, mass=self.mass[: len(edges) - 1],
                   strength=strength, ends=ends, even=False)  # fmt: skip

    def parities(self, states: int) -> list[tuple[int, Box, int]]:
        """Parity, half of the box and number of levels to solve for, of the even and of the odd ones.

        Between ends that are not joined they take turns. On a ring they come in pairs of both, in either order, above
        a first one that is even if the phase is 1: an even psi has psi' = 0 at the centre of the box and, since psi' is
        odd, psi' = 0 at its seam too, or psi = 0 if the phase is -1; for an odd psi it is the other way round.
        """
        if not self.ends.ring:
            each = (1, "free", self.ends.left, (states + 1) // 2), (-1, "wall", self.ends.left, states // 2)
        elif self.ends.phase == 1:
            each = (1, "free", "free", states // 2 + 1), (-1, "wall", "wall", (states + 1) // 2)
        else:
            each = (1, "free", "wall", (states + 1) // 2), (-1, "wall", "free", (states + 1) // 2)
        return [(parity, self.half(Ends(left, right)), count) for parity, right, left, count in each if count]


def sample(potential: Potential, left: float, t: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """V at left + t, same shape as t."""
    return np.asarray(potential.at((left + t)[..., None]), dtype=np.float64)


def box_of(potential: Potential) -> Box:
    left, right = (float(wall) for wall in potential.domain)
    inner = [float(edge) for edge in potential.breakpoints]
    walls = np.array([left, *inner, right])
    if not (np.isfinite(walls).all() and (np.diff(walls) > 0).all()):
        raise ValueError(f"walls and breakpoints {walls.tolist()}: must be finite and in ascending order")
    edges = walls - left
    mass = np.stack(enclose_mass(potential, walls[:-1], walls[1:]), axis=1)
    strength = strengths_at(potential, walls)
    return Box(left=left, right=right, edges=edges, mass=mass, strength=strength, ends=ends_of(potential),
               even=reflects(potential))  # fmt: skip


def inside(edges: Float[np.ndarray, "m+1"], count: int) -> Float[np.ndarray, "m count"]:
    """`count` evenly spaced points within each piece, shape (pieces, count)."""
    return Mesh(edges).at((np.arange(count) + 0.5) / count)


def upper_bound(potential: Potential, box: Box, states: int, cuts: Sequence[int]) -> float:
    """A bound above the `states` lowest levels, by Dirichlet bracketing (Reed & Simon IV, section XIII.15).

    More walls raise every level, whatever the ends of the box, and silence deltas; between them
    max V + (j pi / l)^2 / m is above the j-th. The best of several partitions.
    """
    bounds = []
    for parts in cuts:
        cells = np.append(cut(box.edges, parts), box.edges[-1])
        top = sample(potential, box.left, inside(cells, 9)).max(axis=1)
        kinetic = (np.arange(1, states + 1) * np.pi / np.diff(cells)[:, None]) ** 2
        levels = top[:, None] + kinetic / np.repeat(box.mass[:, 0], parts)[:, None]
        bounds.append(np.sort(levels, axis=None)[states - 1])
    return float(min(bounds))


def cut(edges: Float[np.ndarray, "m+1"], parts: int) -> Float[np.ndarray, "m*parts"]:
    """The starts of `parts` equal cells in each piece."""
    return Mesh(edges).at(np.arange(parts) / parts).ravel()


@functools.cache
def gauss(count: int) -> tuple[Float[np.ndarray, "count"], Float[np.ndarray, "count"]]:
    """Gauss-Legendre nodes and weights on (-1, 1)."""
    return np.polynomial.legendre.leggauss(count)


def eigenstates(method: str, box: Box, states: int, solve: Solve) -> Eigenstates:
    """Solve on the whole box, or both parities on half of it, and put the states together."""
    if not box.even:
        one = solve(box, states)
        return Eigenstates(
            method=method, energies=one.energies, psi=ended(box, lambda x: one.wave(x - box.left)), errors=one.errors,
            psi_errors=one.psi_errors,
        )  # fmt: skip

    parities = [(parity, solve(half, count)) for parity, half, count in box.parities(states)]
    energies, errors, psi_errors = (
        np.concatenate([getattr(one, name) for _, one in parities]) for name in ("energies", "errors", "psi_errors")
    )
    place = np.argsort(energies, kind="stable")
    if not box.ends.ring:
        place = np.argsort(
            np.concatenate([2 * np.arange(len(one.energies)) - (parity - 1) // 2 for parity, one in parities])
        )
    place = place[:states]

    def psi(x: np.ndarray) -> np.ndarray:
        to_left, to_right = x - box.left, box.right - x
        folded, beyond = np.minimum(to_left, to_right), to_left > to_right
        each = [one.wave(folded) * np.where(beyond, parity, 1.0) for parity, one in parities]
        return (np.concatenate(each) * math.sqrt(0.5))[place]

    return Eigenstates(method=method, energies=energies[place], psi=ended(box, psi), errors=errors[place],
                       psi_errors=psi_errors[place])  # fmt: skip


def ended(box: Box, wave: Wave) -> Wave:
    """psi from a `wave` on the box: 0 at walls, 0 beyond them and beyond free ends, from period to period on a ring."""

    def psi(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        if not box.ends.ring:
            from_left = x > box.left if box.ends.left == "wall" else x >= box.left
            to_right = x < box.right if box.ends.right == "wall" else x <= box.right
            return np.where(from_left & to_right, wave(np.clip(x, box.left, box.right)), 0.0)
        periods = np.floor((x - box.left) / (box.right - box.left))
        home = np.clip(x - periods * (box.right - box.left), box.left, box.right)
        return wave(home) * box.ends.phase**periods

    return psi


def first_sign(values: Float[np.ndarray, "K n"]) -> Float[np.ndarray, "K"]:
    """The sign of the first visible lobe, or the phase of it, for values of shape (k, n): (k,)."""
    seen = np.abs(values) > VISIBLE * np.abs(values).max(axis=1, keepdims=True)
    return np.sign(values[np.arange(len(values)), seen.argmax(axis=1)])
