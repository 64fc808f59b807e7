"""Resonances: E = E_r - i Gamma / 2 at which waves leave a structure on both sides and none comes.

psi is a combination of functions that satisfy u, f = -+i v u at the ends exactly (`qpinn.equations.scattering`), so
that T(E) = <phi_i|(H - E) phi_j>, without a complex conjugate, is symmetric and depends on E through v as well. Starts
are eigenvalues of T near several wave numbers, in which it is quadratic; each is followed by inverse iteration with the
zero of x^T T(E) x (residual inverse iteration, Neumaier, SIAM J. Numer. Anal. 22 (1985) 914), and its E is corrected by
the residual of psi on other points, which leaves an error of second order in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import sparse
from scipy.sparse import linalg

from qpinn.training.waves import ROUNDING, Discretization, Waves, fields, measured

STEPS = 15
"""Of the inverse iteration; four or five of them do from a good start."""

DEPTHS = (0.0, 0.5, 1.5)
"""Imaginary parts of the wave numbers of starts, in units of pi over the length of the structure."""

NEAR = 8
"""Eigenvalues that each start looks at."""

CLOSE = 1e-7
"""Relative distance of two that are one."""


Progress = Callable[[int, int], object]


class Resonance(NamedTuple):
    """energy is E_r - i Gamma / 2; residual |(H - E) psi| / |psi|; error an estimate of |E - exact|."""

    energy: complex
    residual: float
    error: float


class _Matrices(NamedTuple):
    """<phi_i|H phi_j> and <phi_i|phi_j> of the bubbles of all segments, then u of all nodes, then f."""

    h: sparse.csc_matrix
    gram: sparse.csc_matrix
    bubbles: int
    nodes: int


def resonances(
    system: Discretization, low: float, high: float, starts: int, progress: Progress | None = None
) -> list[Resonance]:
    """Resonances with E_r between `low` and `high`, ascending, from starts at `starts` wave numbers; those found.

    progress  called with how many starts were followed, and of how many
    """
    matrices, found = _matrices(system), list[Resonance]()
    lower = int(np.argmin(system.structure.levels))
    level, mass = system.structure.levels[lower], system.structure.masses[lower]
    first, last = (np.sqrt(mass * max(energy - level, 0.0)) for energy in (low, high))
    depth = np.pi / (system.mesh.edges[-1] - system.mesh.edges[0])
    depths = DEPTHS[:1] if system.structure.tails.any() else DEPTHS  # waves that grow feel where V was cut
    for row, share in enumerate(depths):
        for place, k in enumerate(np.linspace(first, last, starts + 2)[1:-1] - 1j * share * depth):
            if progress:
                progress(row * starts + place + 1, len(depths) * starts)
            for start, vector in _near(system, matrices, k):
                if start.imag > 1e-9 * abs(start) or not _new(start, found):
                    continue
                led = _followed(system, matrices, start, vector, 2 * high - low)
                if led is None or not low <= led[0].real <= high or not _new(led[0], found):
                    continue
                one = _corrected(system, matrices, *led)
                if one:
                    found.append(one)
    return sorted(found, key=lambda one: one.energy.real)


def _new(energy: complex, found: list[Resonance]) -> bool:
    return all(abs(energy - other.energy) > CLOSE * abs(energy) for other in found)


def _matrices(system: Discretization) -> _Matrices:
    sizes = [bubbles.shape[1] for bubbles in system.bubbles]
    first, nodes = np.cumsum([0, *sizes]), len(sizes) + 1
    rows, columns, h_all, b_all = [], [], [], []
    for j, (h, b) in enumerate(system.fit):
        place = np.concatenate([np.arange(first[j], first[j + 1]),
                                first[-1] + np.array([j, nodes + j, j + 1, nodes + j + 1])])  # fmt: skip
        rows.append(np.repeat(place, len(place)))
        columns.append(np.tile(place, len(place)))
        h_all.append((b.T @ h).ravel())
        b_all.append((b.T @ b).ravel())
    shape = (first[-1] + 2 * nodes,) * 2
    indices = np.concatenate(rows), np.concatenate(columns)
    full = [sparse.csc_matrix((np.concatenate(values), indices), shape) for values in (h_all, b_all)]
    return _Matrices(full[0], full[1], int(first[-1]), nodes)


def _ends(system: Discretization, matrices: _Matrices, energy: complex) -> sparse.csc_matrix:
    """All functions from those whose outgoing waves are exact at this energy: f at both ends follows from u."""
    left, right = system.structure.velocity(np.array([energy]))[0]
    first, last = matrices.bubbles, matrices.bubbles + matrices.nodes - 1
    total = matrices.h.shape[0]
    kept = np.setdiff1d(np.arange(total), [last + 1, total - 1])
    rows, columns = np.append(kept, [last + 1, total - 1]), np.append(np.arange(len(kept)), [first, last])
    values = np.append(np.ones(len(kept), complex), [-1j * left, 1j * right])
    return sparse.csc_matrix((values, (rows, columns)), (total, len(kept)))


def _near(system: Discretization, matrices: _Matrices, k: complex) -> list[tuple[complex, np.ndarray]]:
    """E and psi of eigenvalues near a wave number of the lower lead, quadratic in which T is where leads are alike.

    The velocity in the other lead is taken to first order about k. T(k) x = (A_0 + k A_1 + k^2 A_2) x = 0 is linear for
    (x, k x), and inverted about k.
    """
    structure, u = system.structure, [matrices.bubbles, matrices.bubbles + matrices.nodes - 1]
    lower = int(np.argmin(structure.levels))
    level, mass = structure.levels[lower], structure.masses[lower]
    energy = np.array([level + k**2 / mass])
    slopes = structure.velocity_slope(energy)[0] * 2 * k / mass
    first = structure.velocity(energy)[0] - slopes * k
    first[lower], slopes[lower] = 0.0, 1 / mass
    weak = matrices.h.tolil().astype(complex)  # <phi'|psi' / m> + <phi|V psi>
    weak[u[1], u[1] + matrices.nodes] += 1
    weak[u[0], u[0] + matrices.nodes] -= 1
    weak[u, u] -= 1j * first
    crossed = sparse.lil_matrix(weak.shape, dtype=complex)
    crossed[u, u] = -1j * slopes
    a0, a1, a2 = (weak - level * matrices.gram).tocsc(), crossed.tocsc(), -matrices.gram / mass
    size, count = weak.shape[0], min(NEAR, weak.shape[0] - 2)
    try:
        solve = linalg.splu((a0 + k * a1 + k**2 * a2).tocsc()).solve

        def inverse(pair: np.ndarray) -> np.ndarray:
            x, kx = np.ravel(pair)[:size], np.ravel(pair)[size:]
            y = -solve(a2 @ kx + a1 @ x + k * (a2 @ x))
            return np.concatenate([y, x + k * y])

        operator = linalg.LinearOperator((2 * size,) * 2, inverse, dtype=complex)
        values, vectors = linalg.eigs(operator, count, v0=np.ones(2 * size, complex))
    except (linalg.ArpackError, RuntimeError):
        return []
    kept = np.delete(vectors[:size], [u[0] + matrices.nodes, u[1] + matrices.nodes], axis=0)
    return list(zip(level + (k + 1 / values) ** 2 / mass, kept.T, strict=True))


def _followed(
    system: Discretization, matrices: _Matrices, energy: complex, vector: np.ndarray, most: float
) -> tuple[complex, np.ndarray] | None:
    """The resonance that a start leads to, and its vector; None where it leads to none, or beyond E_r = `most`."""
    bubbles, last, before = matrices.bubbles, matrices.nodes - 1, np.inf
    for _ in range(STEPS):
        ties = _ends(system, matrices, energy)
        gram, moved = ties.T @ matrices.gram @ ties, _boundary(system, energy)
        matrix = (ties.T @ matrices.h @ ties - energy * gram).tocsc()
        norm = vector @ (gram @ vector) + moved @ vector[[bubbles, bubbles + last]] ** 2
        change = vector @ (matrix @ vector) / norm
        energy = energy + change
        if not np.isfinite(energy) or energy.imag > 1e-6 * abs(energy) or energy.real > most:
            return None
        if abs(change) < 1e-9 * abs(energy) and not abs(change) < before / 2:
            return energy, vector
        before = abs(change)
        try:
            vector = linalg.splu(matrix).solve(gram @ vector)
        except RuntimeError:  # singular to the last bit: this is it
            return energy, vector
        vector = vector / np.abs(vector).max()
    return None


def _boundary(system: Discretization, energy: complex) -> np.ndarray:
    """i dv/dE of both leads, by which the outgoing waves count in the norm of psi."""
    return 1j * system.structure.velocity_slope(np.array([energy]))[0]


def _corrected(system: Discretization, matrices: _Matrices, energy: complex, vector: np.ndarray) -> Resonance | None:
    """E less the first order of its error, from the residual of psi on the points of a measurement."""
    found = _as_wave(system, matrices, energy, vector)
    psi, residual = fields(system, found)
    known = measured(system, found)
    ends = found.nodes[0, [0, -1], 0, 0]
    norm = complex(np.sum(psi[..., 0, 0] ** 2) + _boundary(system, energy) @ ends**2)
    change = complex(np.sum(psi[..., 0, 0] * residual[..., 0, 0])) / norm
    size = float(np.linalg.norm(known.size[0, :, 0]))
    left = float(np.linalg.norm(known.residual[0, :, 0])) / size
    unseen = float(np.sum(known.unseen[0, :, 0] * known.size[0, :, 0])) / abs(norm)
    steep = float(np.abs(system.v).max() + abs(energy))
    if not np.isfinite(left) or left > 1e-3 * steep:
        return None
    return Resonance(energy + change, left, abs(change) + unseen + ROUNDING * abs(energy))


def _as_wave(system: Discretization, matrices: _Matrices, energy: complex, vector: np.ndarray) -> Waves:
    """The function as a pair of equal waves, with the weights of the readout."""
    full = _ends(system, matrices, energy) @ vector
    inner, nodes = full[: matrices.bubbles], full[matrices.bubbles :].reshape(2, -1).T
    place, weights = 0, []
    for j, bubbles in enumerate(system.bubbles):
        own = inner[place : place + bubbles.shape[1]]
        place += bubbles.shape[1]
        weights.append(np.concatenate([bubbles @ own, system.ends[j] @ nodes[j : j + 2].ravel()]))
    twice: Complex[np.ndarray, "S P+4 1 2"] = np.repeat(np.stack(weights)[:, :, None, None], 2, axis=-1)
    energies: Float[np.ndarray, "1"] = np.array([energy])
    both = np.repeat(nodes[None, :, :, None], 2, axis=-1)
    return Waves(energies, system.structure.velocity(energies), both, np.ascontiguousarray(twice))
