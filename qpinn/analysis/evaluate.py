"""What came out of a training, measured on quadratures and grids that it was not trained on."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from qpinn.physics import domain, operators
from qpinn.physics.domain import Points
from qpinn.training.problem import Fields, Problem
from qpinn.types import Array, Params, Scalar

QUADRATURE = 40
GRID = 800


@dataclasses.dataclass(frozen=True)
class Samples:
    """psi, H psi and V on a grid that is uniform in every segment, ends included: each (n,), in order of x."""

    x: np.ndarray
    psi: np.ndarray
    h_psi: np.ndarray
    v: np.ndarray


@dataclasses.dataclass(frozen=True)
class State:
    """One eigenstate, as the results file has it. Errors are relative, and None without a reference.

    overlaps   |<psi_k|psi>| / |psi| with the lowest exact levels, whose largest says which state this is
    outcome    "right state", "wrong state", "psi = 0" (norm below a tenth), "not converged" (no overlap above 0.9, or E
               more than 10 % away from the level of largest overlap) or "non-finite"
    """

    index: int
    energy: float
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
    overlaps: list[float]


def quadrature(potential: Any, edges: np.ndarray, merged: bool) -> Points:
    """Gauss-Legendre points of every segment; `merged` into one group where the ansatz has a single segment."""
    if not merged:
        return domain.gauss_legendre(edges, QUADRATURE)
    return domain.merge(domain.gauss_legendre(domain.segment_edges(potential, phase=1.5), QUADRATURE))


def points(potential: Any, edges: np.ndarray, merged: bool) -> Points:
    """`quadrature`, and then the grid for figures with weight zero, in the same groups."""
    fine = quadrature(potential, edges, merged)
    per_segment = max(8, -(-GRID // fine.x.shape[0])) + 1
    # a hair inside, so that V on either side of a breakpoint is that of the segment
    share = np.linspace(0, 1, per_segment)
    share[[0, -1]] = 1e-9, 1 - 1e-9
    grid = edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * share
    return Points(
        x=np.concatenate([fine.x, grid[..., None]], axis=1),  # type: ignore[arg-type]
        weight=np.concatenate([fine.weight, np.zeros_like(grid)], axis=1),  # type: ignore[arg-type]
    )


def measure(problem: Problem, params: Params, at: Points) -> tuple[Fields, Scalar, Scalar]:
    """psi with derivatives on `at`, E of the params, and the Rayleigh quotient. To be jitted."""
    fields = problem.fields(params, at)
    return fields, problem.energy(params, at), operators.rayleigh_quotient(fields.psi, fields.v, at.weight)


def samples(fields: Fields, at: Points) -> Samples:
    """The grid part of what `measure` gives, as NumPy arrays in order of x."""
    grid = np.asarray(at.weight) == 0

    def flat(values: Array) -> np.ndarray:
        return np.asarray(values, np.float64)[grid]

    x = np.asarray(at.x, np.float64)[..., 0][grid]
    psi = flat(fields.psi.value)
    return Samples(x, psi, -flat(fields.psi.laplacian) + flat(fields.v) * psi, flat(fields.v))


def norm_of(psi: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """integral psi^2 dx for psi (..., n)."""
    return np.sum(weight * psi**2, axis=-1)


def overlaps_with(psi: np.ndarray, levels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """|<psi_k|psi>| / |psi| (..., k) for psi (..., n) and normalised levels (k, n)."""
    return np.abs((weight * psi) @ levels.T) / np.sqrt(np.maximum(norm_of(psi, weight), 1e-300))[..., None]


def l2_error(psi: np.ndarray, level: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The L2 norm of psi -+ level, whichever is smaller, for psi (..., n) and a normalised level (n,)."""
    return np.sqrt(np.minimum(norm_of(psi - level, weight), norm_of(psi + level, weight)))


def state(
    fields: Fields, at: Points, energies: tuple[float, float, float], loss: float, reference: Any, index: int = 0
) -> State:
    """The measured state. `energies` are (E, E at the start, Rayleigh quotient), `reference` Eigenstates or None."""
    weight = np.asarray(at.weight, np.float64).ravel()
    used = weight > 0
    x, weight = np.asarray(at.x, np.float64).reshape(-1)[used], weight[used]
    psi = np.asarray(fields.psi.value, np.float64).ravel()[used]
    order = np.argsort(x)
    energy, energy_start, rayleigh = energies
    errors: list[float | None] = [None, None, None]
    norm = float(norm_of(psi, weight))
    exact_energy, error_psi, overlaps, ended = None, None, [], outcome(norm, None, 0.0, 0.0, index)
    if reference is not None:
        levels = reference.psi(x)
        exact_energy = float(reference.energies[index])
        errors = [abs(value - exact_energy) / abs(exact_energy) for value in energies]
        error_psi = float(l2_error(psi, levels[index], weight))
        overlaps = overlaps_with(psi, levels, weight).tolist()
        nearest = int(np.argmax(overlaps))
        ended = outcome(norm, nearest, overlaps[nearest], energy / float(reference.energies[nearest]) - 1, index)
    return State(
        index, energy, energy_start, rayleigh, exact_energy, errors[0], errors[1], errors[2], error_psi, norm,
        operators.node_count(psi[order]), loss, ended, overlaps,
    )  # fmt: skip


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


def compile_measure(problem: Problem, params: Params, at: Points, options: dict[str, Any]) -> Any:
    """`measure`, compiled for these shapes."""
    return jax.jit(measure, compiler_options=options).lower(problem, params, at).compile()
