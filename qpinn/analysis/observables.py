"""What came out of a training, measured on quadratures and grids that it was not trained on."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from qpinn.bounds import certify
from qpinn.equations.eigenvalue import Fields
from qpinn.geometry.quadrature import Points
from qpinn.physics import operators
from qpinn.physics.hamiltonian import ends_of
from qpinn.training.lanes import Lanes, System
from qpinn.typing import Params, Scalar


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """One eigenstate, as the results file has it. Errors are relative; None without a reference that vouches for them.

    energy     the Rayleigh-Ritz energy with start=ritz, else the trained E
    lower, upper  bounds of level `index`, see `qpinn.bounds.certify`; None where there is none
    converged  whether they meet the tolerance
    outcome    "right state"; "wrong state"; "psi = 0" (norm below a tenth); "diverged" (norm above ten); "not
               converged" (no overlap above 0.9, or E more than 10 % away from the level of largest overlap, or outside
               its bracket); "non-finite"; or "no reference": neither that nor the bounds say what it is
    note       what else is to be said, in a line, or None
    residual   |H psi - E psi| / |psi|; some level lies within it of energy_rayleigh
    wall_shift first-order rise of the level by a wall that was given; None where that is negligible, or where the walls
               belong to the potential
    free_at_wall  whether E lies above V at such a wall, so that the level is one of the box
    wall_slope  what E falls by, per length, where such walls are moved outwards; None where wall_shift is
    expectation  <x>, <x^2>, <p^2>, the product of the uncertainties of x and p, kinetic and potential energy, the
               virial ratio, 1 for an eigenfunction, and parity: None where V has none; of several coordinates <x> and
               <x^2> of each, and both energies
    overlaps   |<psi_k|psi>| / |psi| with the lowest levels of the reference, whose largest says which state this is
    """

    index: int
    energy: float
    lower: float | None
    upper: float | None
    converged: bool
    energy_start: float
    energy_rayleigh: float
    norm: float
    node_count: int | None
    loss: float
    outcome: str
    note: str | None
    residual: float
    rounding: float
    truncation: float
    wall_shift: float | None
    free_at_wall: bool
    expectation: dict[str, Any]
    energy_reference: float | None = None
    relative_error_energy: float | None = None
    relative_error_energy_start: float | None = None
    relative_error_energy_rayleigh: float | None = None
    relative_l2_psi: float | None = None
    wall_slope: float | None = None
    overlaps: list[float] | None = None

    def times(self, scale: float) -> State:
        """The same state with every energy multiplied by `scale`: its numbers in another unit."""
        names = ("energy", "lower", "upper", "energy_start", "energy_rayleigh", "energy_reference", "residual",
                 "rounding", "truncation", "wall_shift", "wall_slope")  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        scaled: dict[str, Any] = {name: None if value is None else value * scale for name, value in values.items()}
        expectation = {key: value * scale if key in ("kinetic", "potential") and value is not None else value
                       for key, value in self.expectation.items()}  # fmt: skip
        return dataclasses.replace(self, expectation=expectation, **scaled)


def measure(lanes: Lanes, params: Params, at: Points) -> tuple[Fields, Scalar]:
    """psi with derivatives on `at`, and E of the params, of every lane. To be jitted."""

    def lane(system: System, params: Params) -> tuple[Fields, Scalar]:
        return system.equation.fields(params, at), system.equation.energy(params, at)

    return lanes.over(lane, params)


def norm_of(psi: Float[np.ndarray, "... n"], weight: Float[np.ndarray, "n"]) -> Float[np.ndarray, "..."]:
    """integral psi^2 dx for psi (..., n)."""
    return np.sum(weight * psi**2, axis=-1)


def overlaps_with(
    psi: Float[np.ndarray, "... n"], levels: Float[np.ndarray, "k n"], weight: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "... k"]:
    """|<psi_k|psi>| / |psi| (..., k) for psi (..., n) and normalised levels (k, n)."""
    return np.abs((weight * psi) @ levels.T) / np.sqrt(np.maximum(norm_of(psi, weight), 1e-300))[..., None]


def l2_error(
    psi: Float[np.ndarray, "... n"], level: Float[np.ndarray, "n"], weight: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "..."]:
    """The L2 norm of psi -+ level, whichever is smaller, for psi (..., n) and a normalised level (n,)."""
    return np.sqrt(np.minimum(norm_of(psi - level, weight), norm_of(psi + level, weight)))


@dataclasses.dataclass(frozen=True)
class Measured:
    """K functions on a quadrature and on a grid, with their bounds, energies and losses.

    energies  (2, K): E that each ended with, and that it started from
    losses    (K,)
    """

    fine: certify.Values
    grid: certify.Values
    bound: certify.Certificate
    energies: Float[np.ndarray, "2 K"]
    losses: Float[np.ndarray, "K"]


def scales(plan: Any, energies: Float[np.ndarray, "K"]) -> Float[np.ndarray, "K"]:
    """`certify.scale` of each trained level (K,), from Rayleigh quotients `energies` (K,) clipped to their brackets.

    The neighbours below and above the trained levels are `floor` and `sigma` of the plan.
    """
    low, high = plan.low[plan.indices], plan.high[plan.indices]
    levels = np.where(np.isfinite(energies), np.clip(energies, low, high), (low + high) / 2)
    below = [plan.floor] if np.isfinite(plan.floor) else []
    return certify.scale(np.concatenate([below, levels, [max(plan.sigma, levels[-1])]]))[len(below) : -1]


def contradicted(plan: Any, bound: certify.Certificate) -> bool:
    """Whether the bounds and the bracket of some level are disjoint, so that one of them is wrong."""
    low, high = plan.low[plan.indices], plan.high[plan.indices]
    slack = bound.rounding + 1e-9 * scales(plan, bound.energies)
    return bool(((bound.lower > high + slack) | (bound.upper < low - slack)).any())


def strayed(plan: Any, energies: Float[np.ndarray, "K"]) -> Bool[np.ndarray, "K"]:
    """Which of the energies (K,) lie outside the bracket of their level by more than a tenth of its scale."""
    low, high = plan.low[plan.indices], plan.high[plan.indices]
    off = np.maximum(low - energies, energies - high)
    return ~(off <= 0.1 * scales(plan, energies))


def states(measured: Measured, plan: Any, tol: float, even: bool, cutting: tuple[bool, bool]) -> list[State]:
    """The `State` of each trained level, its outcome judged by its bounds; errors are added by `errors.against`.

    even     whether V is, so that psi has a parity
    cutting  whether each of the walls was given for a potential that goes on beyond it
    """
    fine, grid, bound = measured.fine, measured.grid, measured.bound
    scale, outside = scales(plan, bound.energies), strayed(plan, measured.energies[0])
    narrow = bound.half_width <= tol * scale
    raised, free = wall_shift(bound, grid, cutting)
    falls = wall_slope(grid, cutting) / np.maximum(fine.norms(), 1e-300)
    measured_states = []
    for k, (index, psi) in enumerate(zip(plan.indices.tolist(), fine.psi, strict=True)):
        energy, energy_start, rayleigh = (float(values[k]) for values in (*measured.energies, bound.energies))
        norm = float(norm_of(psi, fine.weight))
        ended = outcome_by_bounds(norm, energy, float(bound.lower[k]), float(bound.upper[k]), bool(outside[k]))
        vanished = ended in ("psi = 0", "non-finite")
        expected = expectation(fine, k) | {"virial": virial(fine, grid, k) if ends_of(plan.potential).walls else None}
        note = None
        if outside[k] and np.isfinite(energy) and not vanished:
            note = f"E lies outside the bracket of level {index}"
        measured_states.append(State(
            index=index, energy=energy, lower=_known(bound.lower[k]), upper=_known(bound.upper[k]),
            converged=bool(narrow[k]) and not outside[k], energy_start=energy_start, energy_rayleigh=rayleigh,
            norm=norm, node_count=None if vanished else operators.node_count(psi, 1e-9 if narrow[k] else 1e-6),
            loss=float(measured.losses[k]), outcome=ended, note=note, residual=float(bound.residual[k]),
            rounding=float(bound.rounding[k]), truncation=float(bound.truncation[k]),
            wall_shift=float(raised[k]) if raised[k] > tol * scale[k] else None, free_at_wall=bool(free[k]),
            wall_slope=float(falls[k]) if raised[k] > tol * scale[k] else None,
            expectation=expected | {"parity": expected["parity"] if even and not vanished else None},
        ))  # fmt: skip
    return measured_states


def _known(bound: float) -> float | None:
    return float(bound) if np.isfinite(bound) else None


def outcome_by_bounds(norm: float, energy: float, lower: float, upper: float, outside: bool) -> str:
    """In words, where a training ended, as far as its bounds can tell; see `State`."""
    if not np.isfinite(norm):
        return "non-finite"
    if not 0.1 <= norm <= 10:
        return "psi = 0" if norm < 0.1 else "diverged"
    if outside:
        return "not converged"
    if not (np.isfinite(lower) and np.isfinite(upper)):
        return "no reference"
    return "right state" if lower <= energy <= upper else "not converged"


def cut_by_walls(potential: Any, chosen: tuple[bool, bool]) -> tuple[bool, bool]:
    """Whether the left and the right wall were given, for a potential that goes on beyond them."""
    left, right = getattr(potential, "hard_walls", (False, False))
    ends = ends_of(potential)
    return not (left or chosen[0] or ends.left != "wall"), not (right or chosen[1] or ends.right != "wall")


def interpolation_shift(values: certify.Values, energies: Float[np.ndarray, "K"], potential: Any) -> np.ndarray | None:
    """What levels (K,) of a table would change by if every second of its samples were left out.

    E of diag(E) + <i|V_half - V|j> among these functions, less E: to first order in the difference, and to second as
    far as these levels carry it. None for what is no table, or too short a one.
    """
    half = potential.halved() if hasattr(potential, "halved") else None
    if half is None or not np.isfinite(energies).all():
        return None
    psi = values.psi / np.sqrt(np.maximum(values.norms(), 1e-300))[:, None]
    change = half.at(values.x[:, None]) - potential.at(values.x[:, None])
    center = energies.mean()
    moved = np.linalg.eigvalsh(np.diag(energies - center) + (psi * (values.weight * change)) @ psi.T)
    return moved - np.sort(energies - center)


def wall_shift(
    bound: certify.Certificate, grid: certify.Values, cutting: tuple[bool, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Rise (K,) of each level by the walls `cutting` (left, right), and whether E lies above V at one of them (K,).

    psi'^2 / (2 m kappa) to first order, kappa^2 = m (V - E) at the wall, from psi ~ exp(-kappa x) beyond it. Where E
    lies above V at the wall, the level is not bound without it and the rise is at least E - V.
    """
    raised, free = np.zeros(len(bound.energies)), np.zeros(len(bound.energies), bool)
    for end, cuts in zip((0, -1), cutting, strict=True):
        if cuts:
            barrier = grid.mass[end] * (grid.v[end] - bound.energies)
            kappa = np.maximum(np.sqrt(np.maximum(barrier, 0.0)), 1 / (grid.x[-1] - grid.x[0]))
            decaying = grid.slope[:, end] ** 2 / (2 * grid.mass[end] * kappa)
            raised = np.where(barrier < 0, np.maximum(raised, -barrier / grid.mass[end]), raised + decaying)
            free |= barrier < 0
    return raised, free


def wall_slope(grid: certify.Values, cutting: tuple[bool, bool]) -> Float[np.ndarray, "K"]:
    """psi'^2 / m (K,) at the walls `cutting`: for unit norm -dE / dx of walls that are moved outwards (Hadamard)."""
    flux = [grid.slope[:, end] ** 2 / grid.mass[end] for end, cuts in zip((0, -1), cutting, strict=True) if cuts]
    return np.sum(flux, axis=0) if flux else np.zeros(len(grid.psi))


def expectation(values: certify.Values, k: int) -> dict[str, float | None]:
    """Expectation values of function k for unit norm, p = -i d/dx; parity, psi(x) to psi(-x), about the middle."""
    psi, weight = values.psi[k], values.weight
    norm = max(float(norm_of(psi, weight)), 1e-300)
    densities = values.x * psi**2, values.x**2 * psi**2, values.slope[k] ** 2
    x, x2, p2 = (float(np.sum(weight * density) / norm) for density in densities)
    kinetic, v = float(values.kinetic()[k] / norm), float(values.potential()[k] / norm)
    spread = math.sqrt(max(x2 - x * x, 0.0) * p2)
    mirrored = np.interp(values.x[0] + values.x[-1] - values.x, values.x, psi)
    parity = float(np.sum(weight * psi * mirrored) / norm)
    return {"x": x, "x2": x2, "p2": p2, "dx_dp": spread, "kinetic": kinetic, "potential": v, "parity": parity}


def virial(fine: certify.Values, grid: certify.Values, k: int) -> float:
    """What <x V'> and the walls make of twice the kinetic energy, relative to it: 1 for an eigenfunction.

    Psi times x psi' (x from the middle of the box), integrated over pieces of smooth mass between deltas, is

        2 <T> + integral x m' (psi' / m)^2 dx = -<V> - 2 integral V x psi psi' dx + sum over pieces of [x psi'^2 / m],

    with deltas in <V>: for a smooth V on the whole line 2 <T> = <x V'>. V' itself, and so its jumps, are not needed.
    The ends of pieces are those of `grid`, a hair inside.
    """
    middle = (fine.x[0] + fine.x[-1]) / 2
    kinetic, potential = fine.kinetic()[k], fine.potential()[k]
    graded = np.sum(fine.weight * (fine.x - middle) * fine.mass_slope * (fine.slope[k] / fine.mass) ** 2)
    torque = np.sum(fine.weight * fine.v * (fine.x - middle) * fine.psi[k] * fine.slope[k])
    ends = (grid.x - middle) * grid.slope[k] ** 2 / grid.mass
    # ascending, and twice at every edge of a segment: what flows over an edge without a delta or a mass cancels
    close = np.flatnonzero(np.diff(grid.x) < 1e-6 * np.median(np.diff(grid.x)))
    boundary = ends[-1] - ends[0] - np.sum(ends[close + 1] - ends[close])
    return float((boundary - graded - potential - 2 * torque) / max(2 * kinetic, 1e-300))


def oscillator_strengths(
    energies: Float[np.ndarray, "K"], dipoles: Float[np.ndarray, "K K"]
) -> Float[np.ndarray, "K K"]:
    """f_ij = (E_j - E_i) <i|x|j>^2 (K, K), dimensionless, H = p (1 / m) p + V.

    Over all j they add up to <i|1 / m|i>: to 1 for a single mass (Thomas, Reiche and Kuhn).
    """
    return (energies[None, :] - energies[:, None]) * dipoles**2


def dipoles(values: certify.Values) -> Float[np.ndarray, "K K"]:
    """<i|x|j> (K, K) of orthonormal functions."""
    return (values.weight * values.x * values.psi) @ values.psi.T


def outcome(norm: float, nearest: int | None, overlap: float, off: float, index: int) -> str:
    """In words, where a training ended; see `State`. `off` is the relative error of E against the level `nearest`.

    "no reference" where no exact level is known (`nearest` is None).
    """
    if not np.isfinite(norm):
        return "non-finite"
    if not 0.1 <= norm <= 10:
        return "psi = 0" if norm < 0.1 else "diverged"
    if nearest is None:
        return "no reference"
    if overlap < 0.9 or not abs(off) <= 0.1:
        return "not converged"
    return "right state" if nearest == index else "wrong state"
