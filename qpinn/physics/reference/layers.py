"""Exact levels of potentials that are constant between their breakpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qpinn.checks import whole
from qpinn.physics.enclosure import constant_in_pieces
from qpinn.physics.interval import EPS
from qpinn.physics.potentials import Potential
from qpinn.physics.reference.box import (
    Box,
    Eigenstates,
    SizeError,
    Solution,
    Wave,
    box_of,
    eigenstates,
    gauss,
    inside,
    sample,
    upper_bound,
)
from qpinn.physics.reference.vouched import mixing, rounding

MOST_PIECES = 10_000
"""Pieces of less than half a wave beyond which nothing is solved: they are handled one after the other."""


def exact(potential: Potential, states: int) -> Eigenstates:
    """The lowest `states` levels of a potential that is constant in pieces, to rounding.

    In a layer of length l with m (E - V) = q^2, psi = (u_j s(x_{j+1} - x) + u_{j+1} s(x - x_j)) / s(l), s = sin(q .),
    or sinh for q^2 < 0. The balance of fluxes psi' / m at the nodes is D(E) u = 0 with a tridiagonal D, the
    transcendental equation of the box, with a row for each free end; a Dirac delta adds its strength to the diagonal.
    As long as q l < pi in every layer, the number of levels below E is the number of negative pivots of D(E) (Wittrick
    & Williams, Q. J. Mech. Appl. Math. 24 (1971) 263), which brackets every level. On a ring both parities are solved
    on half of it. A box of a single value of V and of m, without deltas, has V + k^2 / m and sines, or plane waves.

    Raises ValueError if V is not constant between the breakpoints, or `states` is not a positive integer, or psi on a
    ring is not even or odd; SizeError, which is one, if there are more than `MOST_PIECES`.
    """
    states = whole("states", states, 1)
    box = box_of(potential)
    if not constant_in_pieces(potential):
        raise ValueError("exact levels need a potential that is constant between its breakpoints")
    layers = sample(potential, box.left, inside(box.edges, 7))[:, 3]
    constant = np.ptp(layers) == 0.0 and np.ptp(box.mass) == 0.0 and not box.strength.any()
    if box.ends.ring and not box.even and not constant:
        raise ValueError(
            "exact levels on a ring need a potential that is even about its middle, and a phase of 1 or -1"
        )

    def solve(box: Box, count: int) -> Solution:
        if constant:
            return _constant(box, float(layers[0]), count)
        bound = upper_bound(potential, box, count, cuts=(1,))
        return _solve_layers(box, layers[: len(box.mass)], count, bound)

    return eigenstates("closed form" if constant else "transcendental equation", box, states, solve)


def _constant(box: Box, value: float, states: int) -> Solution:
    """V + k^2 / m, k l = (n + 1) pi between walls, n pi between free ends, (n + 1/2) pi between one of each.

    On a ring k l = theta + 2 pi n, n = 0, -1, 1, ... as they follow one another.
    """
    length, ends = box.edges[-1], box.ends
    order = np.arange(states)
    if ends.ring:
        turns = math.remainder(ends.theta, 2 * np.pi) + 2 * np.pi * np.arange(-states, states + 1)
        k = turns[np.argsort(np.abs(turns), kind="stable")][:states] / length
    else:
        k = (order + [0.0, 0.5, 1.0][(ends.left == "wall") + (ends.right == "wall")]) * (np.pi / length)

    def wave(t: np.ndarray) -> np.ndarray:
        if ends.ring:
            return np.exp(1j * k[:, None] * t) / math.sqrt(length)
        size = np.sqrt(np.where(k == 0, 1.0, 2.0) / length)[:, None]
        return size * (np.sin(k[:, None] * t) if ends.left == "wall" else np.cos(k[:, None] * t))

    energies, size = value + k**2 / box.mass[0, 0], np.full(states, abs(value))
    errors = rounding(box, energies, size)
    return Solution(energies=energies, wave=wave, errors=errors, psi_errors=mixing(energies, errors))


@dataclass(frozen=True)
class _Stiffness:
    """D(E) by its diagonal and its off-diagonal, and the pieces it was made of: lengths and q^2 = m (E - V)."""

    diagonal: list[float]
    off: list[float]
    lengths: list[float]
    q2: list[float]


def _layer(length: float, q2: float) -> tuple[float, float]:
    """q cot(q l) and -q / sin(q l), with sinh and its kin for q^2 < 0."""
    z = q2 * length**2
    root = math.sqrt(abs(z))
    if root < 1e-3:
        return (1.0 - z / 3 - z * z / 45) / length, -(1.0 + z / 6 + 7 * z * z / 360) / length
    if z > 0.0:
        return root / math.tan(root) / length, -root / math.sin(root) / length
    return root / math.tanh(root) / length, 2 * root * math.exp(-root) / math.expm1(-2 * root) / length


def _stiffness(box: Box, values: np.ndarray, energy: float) -> _Stiffness:
    diagonal, off = [float(box.strength[0])], []
    pieces: list[float] = []
    q2s: list[float] = []
    layers = (np.diff(box.edges), values, box.mass[:, 0], box.strength[1:])
    for length, value, mass, strength in zip(*(numbers.tolist() for numbers in layers), strict=True):
        q2 = mass * (energy - value)
        # Pieces with q l <= 2 stay clear of the pole at pi, where D overflows and the count needs a correction.
        parts = int(math.sqrt(max(q2, 0.0)) * length / 2) + 1
        at_end, cross = (entry / mass for entry in _layer(length / parts, q2))
        for _ in range(parts):
            diagonal[-1] += at_end
            diagonal.append(at_end)
            off.append(cross)
        diagonal[-1] += strength
        pieces += [length / parts] * parts
        q2s += [q2] * parts
    first, last = _unknowns(box, len(diagonal))
    return _Stiffness(diagonal=diagonal[first:last], off=off[first : last - 1], lengths=pieces, q2=q2s)


def _unknowns(box: Box, nodes: int) -> tuple[int, int]:
    """From which to before which of the nodes psi is not given, as it is at walls."""
    return int(box.ends.left == "wall"), nodes - (box.ends.right == "wall")


def _pivots(diagonal: list[float], off: list[float]) -> list[float]:
    """The pivots of Gaussian elimination of a tridiagonal matrix, from its first row on."""
    pivots = diagonal[:1]
    for entry, cross in zip(diagonal[1:], off, strict=True):
        pivots.append(entry - cross * cross / (pivots[-1] or 1e-300))
    return pivots


def _solve_layers(box: Box, values: np.ndarray, count: int, bound: float) -> Solution:
    floor = box.floor(float(values.min()))
    top = bound + 1e-9 * abs(bound)  # a hair, so that a wide box holds no more half-waves there than at the levels
    pieces = float(np.sum(np.sqrt(np.maximum(box.mass[:, 0] * (top - values), 0.0)) * np.diff(box.edges) / 2 + 1))
    if pieces > MOST_PIECES:
        raise SizeError(f"exact levels need {pieces:.3g} pieces of less than half a wave, more than {MOST_PIECES}")
    (energies, size, tied), waves = np.empty((3, count)), []
    for state in range(count):
        low, high = floor, top
        while low < (middle := 0.5 * (low + high)) < high:
            matrix = _stiffness(box, values, middle)
            below = sum(pivot < 0.0 for pivot in _pivots(matrix.diagonal, matrix.off))
            low, high = (low, middle) if below > state else (middle, high)
        energies[state] = middle
        matrix = _stiffness(box, values, middle)
        wave, shares = _layer_wave(matrix, box)
        waves.append(wave)
        ends = np.cumsum(matrix.lengths)
        # dE = u^T dD u: thin layers have large entries, which are known to rounding
        nodes = np.append(0.0, ends)[slice(*_unknowns(box, len(ends) + 1))]
        tied[state] = EPS * np.abs(matrix.diagonal) @ wave(nodes) ** 2
        layer = np.clip(np.searchsorted(box.edges, ends - np.array(matrix.lengths) / 2) - 1, 0, len(values) - 1)
        size[state] = np.abs(values)[layer] @ shares + np.abs(box.strength) @ wave(box.edges) ** 2
    errors = rounding(box, energies, size) + tied
    return Solution(
        energies=energies, wave=lambda t: np.array([wave(t) for wave in waves]), errors=errors,
        psi_errors=mixing(energies, errors),
    )  # fmt: skip


def _null_vector(matrix: _Stiffness) -> np.ndarray:
    """u with D u = 0, to rounding in every component: twisted factorisation (Parlett & Dhillon, LAA 267 (1997) 247)."""
    diagonal, off = matrix.diagonal, matrix.off
    down = _pivots(diagonal, off)
    up = _pivots(diagonal[::-1], off[::-1])[::-1]
    twist = min(range(len(diagonal)), key=lambda j: abs(down[j] + up[j] - diagonal[j]))
    u = np.zeros(len(diagonal))
    # Every off-diagonal is negative: the signs of the pivots give that of psi at the left end even where u underflows.
    u[twist] = (-1.0) ** sum(pivot < 0.0 for pivot in down[:twist])
    for j in range(twist, 0, -1):
        u[j - 1] = -off[j - 1] * u[j] / (down[j - 1] or 1e-300)
    for j in range(twist, len(u) - 1):
        u[j + 1] = -off[j] * u[j] / (up[j + 1] or 1e-300)
    return u


def _ratio(t: np.ndarray, length: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """s(t) / s(length), with no overflow however wide the barrier, and t / length for q^2 -> 0."""
    q = np.sqrt(np.maximum(q2, 0.0)) / np.pi
    kappa = np.maximum(np.sqrt(np.maximum(-q2, 0.0)), 1e-9 / length)
    sine = t / length * np.sinc(q * t) / np.sinc(q * length)
    sinh = np.exp(-kappa * (length - t)) * np.expm1(-2 * kappa * t) / np.expm1(-2 * kappa * length)
    return np.where(q2 > 0.0, sine, sinh)


def _layer_wave(matrix: _Stiffness, box: Box) -> tuple[Wave, np.ndarray]:
    """psi between the nodes from the null vector, normalised to 1, and the share of its norm in each piece."""
    lengths, q2 = np.array(matrix.lengths), np.array(matrix.q2)
    u = np.zeros(len(lengths) + 1)
    u[slice(*_unknowns(box, len(u)))] = _null_vector(matrix)
    u = u / math.sqrt(float(_norm2(lengths, q2, u).sum()))
    shares = _norm2(lengths, q2, u)
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])

    def wave(t: np.ndarray) -> np.ndarray:
        piece = np.clip(np.searchsorted(starts, t, side="right") - 1, 0, len(starts) - 1)
        size, square = lengths[piece], q2[piece]
        here = np.clip(t - starts[piece], 0.0, size)
        return u[piece] * _ratio(size - here, size, square) + u[piece + 1] * _ratio(here, size, square)

    return wave, shares


def _norm2(lengths: np.ndarray, q2: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The integral of psi^2 over each piece: Gauss-Legendre where |q| l is small, else where psi decays closed form."""
    nodes, weights = gauss(32)
    left, right, size, square = u[:-1], u[1:], lengths[:, None], q2[:, None]
    t = size * (nodes + 1) / 2
    psi = left[:, None] * _ratio(size - t, size, square) + right[:, None] * _ratio(t, size, square)
    smooth = lengths / 2 * (psi**2 @ weights)
    kappa = np.sqrt(np.abs(q2))
    reach = np.clip(kappa * lengths, 4.0, 300.0)  # beyond 300 both remainders are zero
    coth, csch = 1 / np.tanh(reach), 1 / np.sinh(reach)
    squares, product = coth - reach * csch**2, (reach * coth - 1) * csch
    steep = ((left**2 + right**2) * squares + 2 * left * right * product) / (2 * np.maximum(kappa, 1e-300))
    return np.where((q2 < 0.0) & (kappa * lengths > 4.0), steep, smooth)
