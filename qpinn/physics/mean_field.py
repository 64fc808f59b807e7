"""The mean field: what each axis of a box feels of V where the others are in their ground states.

    v_i(x_i) = integral of V |phi_j(x_j)|^2 over all j other than i

Solved until it changes no more (Hartree 1928). Its functions are where products start from, and H less its own part,

    V - sum_i v_i + (d - 1) <V>,

is what couples them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from qpinn.geometry.domain import WALLS, Ends
from qpinn.physics.potentials.several import tabulated

SWEEPS = 12
SETTLED = 1e-6
"""Relative change of the mean energy at which the sweeps end: a start needs no more."""


class AxisProblem(Protocol):
    """One axis: positions x (Q,) with weights (Q,), and the levels of -u'' / m + v u = e u for v (Q,) on them."""

    @property
    def x(self) -> Float[np.ndarray, "Q"]: ...

    @property
    def weight(self) -> Float[np.ndarray, "Q"]: ...

    def levels(self, v: Float[np.ndarray, "Q"]) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n Q"]]: ...


Tables = list[tuple[tuple[int, ...], np.ndarray]]


class MeanField(NamedTuple):
    """v_i (Q_i,), levels e_i (n_i,) and functions u_i (n_i, Q_i) of every axis, and <V> of the ground product."""

    v: list[np.ndarray]
    energies: list[np.ndarray]
    functions: list[np.ndarray]
    mean: float

    @property
    def excess(self) -> float:
        """What sums of the e_i have counted too often: (d - 1) <V>."""
        return (len(self.v) - 1) * self.mean


def averaged(tables: Tables, densities: Sequence[Float[np.ndarray, "Q"]], but: int | None) -> Any:
    """V averaged over |phi|^2 times weights (Q_i,) of every axis `but` one: (Q,) on that one, a number for None."""
    total: Any = 0.0 if but is None else np.zeros(len(densities[but]))
    for axes, table in tables:
        value = table
        for place in range(len(axes))[::-1]:
            if axes[place] != but:
                value = np.tensordot(value, densities[axes[place]], axes=(place, 0))
        total = total + value
    return total


def mean_field(potential: Any, problems: Sequence[AxisProblem], lift: float = np.inf) -> MeanField:
    """The mean field of a potential of several coordinates, begun with even densities where V is low.

    lift  V above its least value is taken to be no more than this, where it is first averaged
    """
    tables = tabulated(potential, [problem.x for problem in problems])
    densities = []
    for axis, problem in enumerate(problems):
        low = lowest_path(tables, axis, [len(other.x) for other in problems])
        near = np.exp(-(low - low.min()) / max(float(np.median(low - low.min())), 1e-300))
        densities.append(problem.weight * near / (problem.weight @ near))
    last = np.inf
    for _ in range(SWEEPS):
        fields, energies, functions = [], [], []
        for axis, problem in enumerate(problems):
            v = averaged(tables, densities, axis)
            e, u = problem.levels(v)
            densities[axis] = problem.weight * u[0] ** 2
            fields.append(v)
            energies.append(e)
            functions.append(u)
        mean = float(averaged(tables, densities, None))
        total = sum(e[0] for e in energies) - (len(problems) - 1) * mean
        if abs(total - last) <= SETTLED * max(abs(total), 1e-300):
            break
        last = total
    return MeanField(fields, energies, functions, mean)


def lowest_path(tables: Tables, axis: int, sizes: Sequence[int]) -> Float[np.ndarray, "Q"]:
    """A lower bound on V at the places of one axis, as far as the grid sees it: each term at its least."""
    low = np.zeros(sizes[axis])
    for axes, table in tables:
        others = tuple(place for place, other in enumerate(axes) if other != axis)
        least = table.min(axis=others) if others else table
        low = low + least
    return low


class Sinc:
    """An axis on n even points between walls, by sin functions (Colbert and Miller, J. Chem. Phys. 96 (1992) 1982);
    with other ends on the middles of n even cells, by the sin and cos functions that do there what psi does."""

    def __init__(self, left: float, right: float, mass: float, count: int = 64, ends: Ends = WALLS) -> None:
        self.mass = mass
        cells = count + 1 if ends.walls else count
        step = (right - left) / cells
        self.x = left + step * (np.arange(1, count + 1) if ends.walls else np.arange(count) + 0.5)
        self.weight = np.full(count, step)
        waves, modes = _waves((self.x - left) / (right - left), ends)
        modes = modes / np.linalg.norm(modes, axis=0)
        self._kinetic = (modes * (waves * np.pi / (right - left)) ** 2) @ modes.T / mass

    def levels(self, v: Float[np.ndarray, "Q"]) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n Q"]]:
        e, u = np.linalg.eigh(self._kinetic + np.diag(v))
        return e, u.T / np.sqrt(self.weight)


def _waves(t: Float[np.ndarray, "n"], ends: Ends) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n n"]]:
    """Half-waves (n,) on an axis of length 1, and at its even points t the functions (n, n), one a column."""
    k = np.arange(len(t))
    if ends.ring:
        turns = (k + 1) // 2
        angle = 2 * np.pi * np.outer(t, turns)
        return 2.0 * turns, np.where(k % 2 == 1, np.sin(angle), np.cos(angle))
    waves = k + (1.0 if ends.walls else 0.0 if ends.alike else 0.5)
    angle = np.pi * np.outer(t, waves)
    return waves, np.sin(angle) if ends.left == "wall" else np.cos(angle)


def sums(energies: Sequence[Float[np.ndarray, "n"]], count: int) -> np.ndarray:
    """Index tuples (count, d), or all there are, of the lowest sums of one energy from each axis, ascending.

    energies  ascending, of every axis
    """
    import heapq

    first = (0,) * len(energies)
    heap = [(float(sum(e[0] for e in energies)), first)]
    seen: set[tuple[int, ...]] = {first}
    found: list[tuple[int, ...]] = []
    while heap and len(found) < count:
        total, index = heapq.heappop(heap)
        found.append(index)
        for axis, place in enumerate(index):
            if place + 1 < len(energies[axis]):
                following = (*index[:axis], place + 1, *index[axis + 1 :])
                if following not in seen:
                    seen.add(following)
                    step = float(energies[axis][place + 1] - energies[axis][place])
                    heapq.heappush(heap, (total + step, following))
    return np.array(found, int)
