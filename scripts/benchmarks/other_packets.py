"""Packets in time by routes that qpinn has no part in: spectral elements, split operators, Crank and Nicolson."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from scipy import fft, linalg
from scipy.linalg import solve_banded

Function = Callable[[np.ndarray], np.ndarray]

DEGREE, POINTS = 24, 44
"""Of the polynomials of an element, and Gauss-Legendre points in it."""

RADIANS = 10.0
"""Of psi of the highest energy in an element."""


class Elements:
    """H = -d^2/dx^2 + V between walls in polynomials on elements: all of its states.

    cuts    the walls and, between them, the places where V jumps
    energy  that elements follow
    """

    def __init__(self, v: Function, cuts: Sequence[float], energy: float) -> None:
        edges = [cuts[0]]
        for left, right in itertools.pairwise(cuts):
            count = max(1, int(np.ceil((right - left) * np.sqrt(energy) / RADIANS)))
            edges += list(np.linspace(left, right, count + 1)[1:])
        self.edges = np.array(edges)
        nodes, weights = legendre.leggauss(POINTS)
        shapes, slopes = self._shapes(nodes), self._slopes(nodes)
        half = np.diff(self.edges) / 2
        self.x = ((self.edges[:-1] + self.edges[1:])[:, None] / 2 + half[:, None] * nodes).ravel()
        self.weight = (half[:, None] * weights).ravel()
        elements, inner = len(half), DEGREE - 1
        place = np.arange(elements)[:, None]
        self.indices = np.concatenate([place - 1, place, elements - 1 + place * inner + np.arange(inner)], axis=1)
        self.indices[0, 0] = self.indices[-1, 1] = -1  # psi = 0 at the walls
        self.count = elements - 1 + elements * inner
        self._values = shapes, weights, half
        stiffness = np.einsum("aq,q,bq->ab", slopes, weights, slopes) / half[:, None, None]
        self.overlap = self._assembled(np.ones(len(self.x)))
        form = self._added(stiffness) + self._assembled(v(self.x))
        self.energies, self.states = linalg.eigh(form, self.overlap)

    @staticmethod
    def _shapes(at: np.ndarray) -> np.ndarray:
        table = legendre.legvander(at, DEGREE).T
        return np.concatenate([[(1 - at) / 2, (1 + at) / 2], table[2:] - table[:-2]])

    @staticmethod
    def _slopes(at: np.ndarray) -> np.ndarray:
        every = np.stack([legendre.legval(at, legendre.legder(row)) for row in np.eye(DEGREE + 1)])
        return np.concatenate([np.stack([np.full(len(at), -0.5), np.full(len(at), 0.5)]), every[2:] - every[:-2]])

    def _assembled(self, factor: np.ndarray) -> np.ndarray:
        shapes, weights, half = self._values
        blocks = np.einsum("aq,eq,bq->eab", shapes, factor.reshape(len(half), -1) * weights, shapes)
        return self._added(blocks * half[:, None, None])

    def _added(self, blocks: np.ndarray) -> np.ndarray:
        matrix = np.zeros((self.count + 1,) * 2)  # the last row takes what is at the walls
        for block, own in zip(blocks, self.indices, strict=True):
            matrix[np.ix_(own, own)] += block
        return matrix[:-1, :-1]

    def coefficients(self, psi0: Function) -> np.ndarray:
        """Of the states in psi0, normalised."""
        shapes, weights, half = self._values
        moments = np.einsum("aq,eq->ea", shapes, psi0(self.x).reshape(len(half), -1) * weights) * half[:, None]
        load = np.zeros(self.count + 1, complex)
        np.add.at(load, self.indices, moments)
        found = self.states.T @ load[:-1]
        return found / np.linalg.norm(found)

    def coupling(self, w: Function, states: int) -> np.ndarray:
        """<m|w n> of the lowest states."""
        low = self.states[:, :states]
        return low.T @ self._assembled(w(self.x)) @ low

    def psi(self, coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
        """psi at positions, from coefficients of the lowest states."""
        nodal = np.append(self.states[:, : len(coefficients)] @ coefficients, 0.0)
        element = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.edges) - 2)
        left, right = self.edges[element], self.edges[element + 1]
        shapes = self._shapes((2 * x - left - right) / (right - left))
        return np.einsum("qa,aq->q", nodal[self.indices[element]], shapes)


def exponential(elements: Elements, psi0: Function, t: float) -> np.ndarray:
    """Coefficients at t of an undriven packet."""
    return elements.coefficients(psi0) * np.exp(-1j * elements.energies * t)


def driven(
    elements: Elements, psi0: Function, f: Function, w: Function, t: float, states: int, steps: int
) -> np.ndarray:
    """Coefficients at t of a packet driven by f(t) w(x), in the lowest states: `split` between H and f w."""
    c, energies = elements.coefficients(psi0)[:states], elements.energies[:states]
    kicks, turn = linalg.eigh(elements.coupling(w, states))
    h = t / steps
    free = [np.exp(-1j * energies * h * share) for share in SHARES]
    for step in range(steps):
        at = step * h
        for share, factor in zip(SHARES, free, strict=True):
            half = np.exp(-0.5j * h * share * float(f(np.array(at + h * share / 2))) * kicks)
            c = turn @ (half * (turn.T @ (factor * (turn @ (half * (turn.T @ c))))))
            at += h * share
    return c


SHARES = np.array([1, -(2 ** (1 / 3)), 1]) / (2 - 2 ** (1 / 3))
"""Of a step, in three steps of second order that make one of the fourth (Yoshida, Phys. Lett. A 150 (1990) 262)."""


def split_operator(v: Callable[[np.ndarray, float], np.ndarray], psi0: Function, box: tuple[float, float], t: float,
                   points: int = 2048, steps: int = 2000) -> tuple[np.ndarray, np.ndarray, float]:  # fmt: skip
    """psi on a grid between walls by fourth-order splitting with sine transforms; grid and seconds."""
    begun = time.perf_counter()
    left, right = box
    x = np.linspace(left, right, points + 1)[1:-1]
    square = (np.pi * np.arange(1, points) / (right - left)) ** 2
    psi = psi0(x)
    psi = psi / np.sqrt(np.sum(np.abs(psi) ** 2) * (right - left) / points)
    h = t / steps
    kinetic = [np.exp(-1j * square * h * share) for share in SHARES]
    for step in range(steps):
        at = step * h
        for share, factor in zip(SHARES, kinetic, strict=True):
            half = np.exp(-0.5j * h * share * v(x, at + h * share / 2))
            psi = half * fft.idst(factor * fft.dst(half * psi, 1), 1)
            at += h * share
    return x, psi, time.perf_counter() - begun


def crank_nicolson(v: Callable[[np.ndarray, float], np.ndarray], psi0: Function, box: tuple[float, float], t: float,
                   points: int = 4000, steps: int = 2000) -> tuple[np.ndarray, np.ndarray, float]:  # fmt: skip
    """psi on a grid between walls by second-order differences and the implicit midpoint rule; the grid, and seconds."""
    begun = time.perf_counter()
    x = np.linspace(*box, points + 1)[1:-1]
    dx, h = x[1] - x[0], t / steps
    psi = psi0(x)
    psi = psi / np.sqrt(np.sum(np.abs(psi) ** 2) * dx)
    off = np.full(len(x), -1 / dx**2)
    for step in range(steps):
        diagonal = 2 / dx**2 + v(x, (step + 0.5) * h)
        right = (1 - 0.5j * h * diagonal) * psi
        right[1:] -= 0.5j * h * off[1:] * psi[:-1]
        right[:-1] -= 0.5j * h * off[:-1] * psi[1:]
        bands: Any = np.stack([0.5j * h * off, 1 + 0.5j * h * diagonal, 0.5j * h * off])
        psi = solve_banded((1, 1), bands, right, check_finite=False)
    return x, psi, time.perf_counter() - begun
