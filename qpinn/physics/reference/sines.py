"""Levels of a potential of two or three coordinates in a box, by products of sin functions.

On n even points of every axis -psi_ii / m_i is exact for the n lowest sin functions and V is diagonal (Colbert and
Miller, J. Chem. Phys. 96 (1992) 1982). Spectral where V is smooth; where it jumps the error falls as a low power of n,
and the difference of two n says so. In the functions of the mean field that matrix is close to a diagonal, so that few
steps of a block Davidson iteration give its lowest levels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.linalg.davidson import davidson
from qpinn.physics.mean_field import Sinc, mean_field, sums
from qpinn.physics.reference.box import Eigenstates, SizeError, Solution
from qpinn.physics.reference.vouched import ROUNDING, mixing

POINTS = {2: (64, 48), 3: (32, 24)}
"""Points of an axis, and those of a second solve, by the number of axes."""

EXTRA = 4
"""Vectors beyond the levels that are wanted: they make clusters at the end converge."""

TOLERANCE = 1e-9
"""Norm of a residual relative to the highest level; the error of E is its square over a gap."""

BLOCK = 2048
"""Positions at which psi is evaluated at once."""


def sine_products(potential: Any, states: int) -> Eigenstates:
    """The lowest `states` levels of a potential between walls, their errors those of fewer points against more.

    psi of the result maps positions (n, d) to (k, n); it is zero outside the box. Raises SizeError for another number
    of axes than two or three, and for more levels than the axes' functions resolve.
    """
    if potential.dimension not in POINTS:
        raise SizeError(f"{potential.dimension} axes: a grid of products has two or three")
    fine, coarse = (_solve(potential, states, count) for count in POINTS[potential.dimension])
    least = ROUNDING * (np.abs(fine.energies) + np.abs(fine.energies).max())
    errors = np.abs(fine.energies - coarse.energies) + least
    psi_errors = np.maximum(_apart(fine, coarse, potential), mixing(fine.energies, least))
    return Eigenstates(
        method="products of sin functions", energies=fine.energies, psi=fine.wave, errors=errors, psi_errors=psi_errors
    )


def _solve(potential: Any, states: int, count: int) -> Solution:
    walls = [(float(left), float(right)) for left, right in potential.domain]
    axes = [Sinc(left, right, float(mass), count) for (left, right), mass in zip(walls, potential.masses, strict=True)]
    shape = (count,) * len(axes)
    if states + EXTRA > count * len(axes):
        raise SizeError(f"{states} levels on {count} points of each axis")
    field = mean_field(potential, axes)
    turns = [
        u * np.sqrt(axis.weight) for axis, u in zip(axes, field.functions, strict=True)
    ]  # to functions of the field
    x = np.stack(np.meshgrid(*(axis.x for axis in axes), indexing="ij"), axis=-1)
    coupling = np.asarray(potential.at(x), np.float64) + field.excess - _outer_sum(field.v)
    diagonal = _outer_sum(field.energies) - field.excess

    def apply(vectors: np.ndarray) -> np.ndarray:
        grid = _along(vectors.T.reshape(-1, *shape), turns)
        image = _along(grid * coupling, [turn.T for turn in turns]).reshape(-1, diagonal.size)
        return image.T + diagonal.ravel()[:, None] * vectors

    first = sums(field.energies, 2 * (states + EXTRA))
    start = np.zeros((diagonal.size, len(first)))
    start[np.ravel_multi_index(tuple(first.T), shape), np.arange(len(first))] = 1.0
    size = float(np.abs(diagonal.ravel()[np.ravel_multi_index(tuple(first[-1]), shape)]))
    solved = davidson(apply, diagonal.ravel(), start, states, TOLERANCE * size)
    modes = np.arange(1, count + 1)
    sines = np.sqrt(2 / (count + 1)) * np.sin(np.pi * np.outer(modes, modes) / (count + 1))
    core = _along(solved.vectors.T.reshape(-1, *shape), [turn @ sines for turn in turns])
    wave = functools.partial(_psi, _signed(core), walls)
    nothing = np.zeros(states)
    return Solution(energies=solved.values, wave=wave, errors=nothing, psi_errors=nothing)


def _along(core: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """sum_ab... core (K, a, b, ...) A (a, p) B (b, q) ...: (K, p, q, ...)."""
    for matrix in matrices:
        core = np.tensordot(core, matrix, axes=(1, 0))  # the axis that was first is now last
    return core


def _outer_sum(parts: Sequence[np.ndarray]) -> np.ndarray:
    return functools.reduce(np.add.outer, parts)


def _signed(core: Float[np.ndarray, "K *n"]) -> Float[np.ndarray, "K *n"]:
    """psi so that it is positive near the corner where all coordinates are least: its largest mode is positive."""
    flat = core.reshape(len(core), -1)
    largest = np.take_along_axis(flat, np.argmax(np.abs(flat), axis=1)[:, None], axis=1)
    return core * np.sign(largest).reshape(-1, *[1] * (core.ndim - 1))


def _psi(core: np.ndarray, walls: Sequence[tuple[float, float]], x: Float[np.ndarray, "n d"]) -> np.ndarray:
    """sum of sin functions with coefficients `core` (K, ...) at positions x (n, d): (K, n)."""
    blocks = [_block(core, walls, x[begin : begin + BLOCK]) for begin in range(0, len(x), BLOCK)]
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(core), 0))


def _block(core: np.ndarray, walls: Sequence[tuple[float, float]], x: np.ndarray) -> np.ndarray:
    modes = np.arange(1, core.shape[1] + 1)
    values: Any = None
    for axis in range(len(walls))[::-1]:
        left, right = walls[axis]
        share = np.clip((x[:, axis] - left) / (right - left), 0, 1)
        lines = np.sqrt(2 / (right - left)) * np.sin(np.pi * np.outer(modes, share))
        values = np.tensordot(core, lines, axes=(-1, 0)) if values is None else np.sum(values * lines, axis=-2)
    return np.asarray(values)


def _apart(fine: Solution, coarse: Solution, potential: Any) -> Float[np.ndarray, "K"]:
    """L2 distance (k,) of psi of two solutions, at random positions; that of a mixture of close levels is not small."""
    low, high = np.array(potential.domain, np.float64).T
    x = low + (high - low) * np.random.default_rng(0).random((2 * BLOCK, len(low)))
    psi, other = fine.wave(x), coarse.wave(x)
    volume = float(np.prod(high - low)) / len(x)
    turned = np.sign(np.sum(psi * other, axis=1))
    return np.asarray(np.sqrt(volume * np.sum((psi - turned[:, None] * other) ** 2, axis=1)))
