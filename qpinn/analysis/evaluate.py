"""What came out of a training, measured on quadratures and grids that it was not trained on."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from qpinn.analysis import certify
from qpinn.physics import domain, operators
from qpinn.physics.domain import Points
from qpinn.training.problem import Fields, Problem
from qpinn.types import Params, Scalar

QUADRATURE = 40
"""Points in a segment, for a sweep."""


@dataclasses.dataclass(frozen=True)
class State:
    """One eigenstate, as the results file has it. Errors are relative, and None without a reference.

    energy     of Rayleigh and Ritz where the start was Ritz's, else the one trained
    lower, upper  bounds of level `index`, see `qpinn.analysis.certify`; None where there is none
    converged  whether they meet the tolerance
    residual   |H psi - E psi| / |psi|; some level lies within it of energy_rayleigh
    overlaps   |<psi_k|psi>| / |psi| with the lowest exact levels, whose largest says which state this is
    expectation  <x>, <x^2>, <p^2>, the product of the uncertainties of x and p, kinetic and potential energy, parity,
               and the virial ratio, 1 for an eigenfunction
    outcome    "right state", "wrong state", "psi = 0" (norm below a tenth), "not converged" (no overlap above 0.9, or E
               more than 10 % away from the level of largest overlap) or "non-finite"
    """

    index: int
    energy: float
    lower: float | None
    upper: float | None
    converged: bool
    energy_start: float
    energy_rayleigh: float
    energy_reference: float | None
    relative_error_energy: float | None
    relative_error_energy_start: float | None
    relative_error_energy_rayleigh: float | None
    relative_l2_psi: float | None
    norm: float
    node_count: int
    loss: float
    outcome: str
    residual: float
    rounding: float
    truncation: float
    expectation: dict[str, float]
    overlaps: list[float]

    def times(self, scale: float) -> State:
        """The same state with energies in a unit of which `scale` are one of those that they are in."""
        names = ("energy", "lower", "upper", "energy_start", "energy_rayleigh", "energy_reference", "residual",
                 "rounding", "truncation")  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        scaled: dict[str, Any] = {name: None if value is None else value * scale for name, value in values.items()}
        expectation = {key: value * (scale if key in ("kinetic", "potential") else 1)
                       for key, value in self.expectation.items()}  # fmt: skip
        return dataclasses.replace(self, expectation=expectation, **scaled)


def quadrature(potential: Any, edges: np.ndarray, merged: bool) -> Points:
    """Gauss-Legendre points of every segment; `merged` into one group where the ansatz has a single segment."""
    if not merged:
        return domain.gauss_legendre(edges, QUADRATURE)
    return domain.merge(domain.gauss_legendre(domain.segment_edges(potential, phase=1.5), QUADRATURE))


def measure(problem: Problem, lanes: Params, at: Points) -> tuple[Fields, Scalar]:
    """psi with derivatives on `at`, and E of the params, of every lane. To be jitted."""

    values, of = problem.lanes(jax.tree.leaves(lanes)[0].shape[0])

    def own(lane: Any, params: Params) -> tuple[Fields, Scalar]:
        return of(lane).fields(params, at), of(lane).energy(params, at)

    return jax.vmap(own)(values, lanes)


def norm_of(psi: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """integral psi^2 dx for psi (..., n)."""
    return np.sum(weight * psi**2, axis=-1)


def overlaps_with(psi: np.ndarray, levels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """|<psi_k|psi>| / |psi| (..., k) for psi (..., n) and normalised levels (k, n)."""
    return np.abs((weight * psi) @ levels.T) / np.sqrt(np.maximum(norm_of(psi, weight), 1e-300))[..., None]


def l2_error(psi: np.ndarray, level: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The L2 norm of psi -+ level, whichever is smaller, for psi (..., n) and a normalised level (n,)."""
    return np.sqrt(np.minimum(norm_of(psi - level, weight), norm_of(psi + level, weight)))


@dataclasses.dataclass(frozen=True)
class Measured:
    """K functions on a quadrature and on a grid, and what is known of them.

    energies  (2, K): E that each ended with, and that it started from
    losses    (K,)
    """

    fine: certify.Values
    grid: certify.Values
    bound: certify.Certificate
    energies: np.ndarray
    losses: np.ndarray


def states(measured: Measured, reference: Any, scale: np.ndarray, tol: float, indices: np.ndarray) -> list[State]:
    """Each function as the level of `indices` (K,) that it should be; errors are in units of `scale` (all levels)."""
    fine, grid, bound = measured.fine, measured.grid, measured.bound
    levels, exact, scale = reference.psi(fine.x), np.asarray(reference.energies), scale[indices]
    narrow = bound.half_width <= tol * scale
    found = []
    for k, (index, psi) in enumerate(zip(indices.tolist(), fine.psi, strict=True)):
        energy, energy_start, rayleigh = (float(part[k]) for part in (*measured.energies, bound.energies))
        norm = float(norm_of(psi, fine.weight))
        errors = [float(abs(value - exact[index]) / scale[k]) for value in (energy, energy_start, rayleigh)]
        overlaps = overlaps_with(psi, levels, fine.weight).tolist()
        nearest = int(np.argmax(overlaps))
        ended = outcome(
            norm, nearest, overlaps[nearest], (energy - exact[nearest]) / certify.scale(exact)[nearest], index
        )
        nodes = operators.node_count(psi, 1e-9 if narrow[k] else 1e-6)
        found.append(State(
            index, energy, _known(bound.lower[k]), _known(bound.upper[k]), bool(narrow[k]), energy_start, rayleigh,
            float(exact[index]), errors[0], errors[1], errors[2], float(l2_error(psi, levels[index], fine.weight)),
            norm, nodes, float(measured.losses[k]), ended, float(bound.residual[k]), float(bound.rounding[k]),
            float(bound.truncation[k]), expectation(fine, k) | {"virial": virial(fine, grid, k)}, overlaps,
        ))  # fmt: skip
    return found


def _known(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None


def expectation(values: certify.Values, k: int) -> dict[str, float]:
    """Expectation values of function k for unit norm, p = -i d/dx; parity, psi(x) to psi(-x), about the middle."""
    psi, weight = values.psi[k], values.weight
    norm = max(float(norm_of(psi, weight)), 1e-300)
    x, x2, p2 = (
        float(np.sum(weight * part) / norm) for part in (values.x * psi**2, values.x**2 * psi**2, values.slope[k] ** 2)
    )
    kinetic, v = (part / norm for part in values.energy_of(k))
    spread = math.sqrt(max(x2 - x * x, 0.0) * p2)
    mirrored = np.interp(values.x[0] + values.x[-1] - values.x, values.x, psi)
    parity = float(np.sum(weight * psi * mirrored) / norm)
    return {"x": x, "x2": x2, "p2": p2, "dx_dp": spread, "kinetic": kinetic, "potential": v, "parity": parity}


def virial(fine: certify.Values, grid: certify.Values, k: int) -> float:
    """What <x V'> and the walls make of twice the kinetic energy, relative to it: 1 for an eigenfunction.

    Psi times x psi' (x from the middle of the box), integrated over pieces of one mass between deltas, is

        2 <T> = -<V> - 2 integral V x psi psi' dx + sum over pieces of [x psi'^2 / m],

    with deltas in <V>: for a smooth V on the whole line 2 <T> = <x V'>. V' itself, and so its jumps, are not needed.
    The ends of pieces are those of `grid`, a hair inside.
    """
    middle = (fine.x[0] + fine.x[-1]) / 2
    kinetic, potential = fine.energy_of(k)
    torque = np.sum(fine.weight * fine.v * (fine.x - middle) * fine.psi[k] * fine.slope[k])
    ends = (grid.x - middle) * grid.slope[k] ** 2 / grid.mass
    # ascending, and twice at every edge of a segment: what flows over an edge without a delta or a mass cancels
    close = np.flatnonzero(np.diff(grid.x) < 1e-6 * np.median(np.diff(grid.x)))
    boundary = ends[-1] - ends[0] - np.sum(ends[close + 1] - ends[close])
    return float((boundary - potential - 2 * torque) / max(2 * kinetic, 1e-300))


def oscillator_strengths(energies: np.ndarray, dipoles: np.ndarray) -> np.ndarray:
    """f_ij = (E_j - E_i) <i|x|j>^2 (K, K), dimensionless, H = p (1 / m) p + V.

    Over all j they add up to <i|1 / m|i>: to 1 for a single mass (Thomas, Reiche and Kuhn).
    """
    return (energies[None, :] - energies[:, None]) * dipoles**2


def dipoles(values: certify.Values) -> np.ndarray:
    """<i|x|j> (K, K) of orthonormal functions."""
    return (values.weight * values.x * values.psi) @ values.psi.T


def outcome(norm: float, nearest: int | None, overlap: float, off: float, index: int) -> str:
    """In words, where a training ended; see `State`. `off` is the relative error of E against the level `nearest`.

    "no reference" where no exact level is known (`nearest` is None).
    """
    if not np.isfinite(norm):
        return "non-finite"
    if norm < 0.1:
        return "psi = 0"
    if nearest is None:
        return "no reference"
    if overlap < 0.9 or not abs(off) <= 0.1:
        return "not converged"
    return "right state" if nearest == index else "wrong state"
