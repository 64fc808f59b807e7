"""Statistics of a sweep over starts.

A start is a row of columns: number (its place in the sweep), energy, energy_start, energy_rayleigh,
relative_error_energy and relative_l2_psi (against level `index`), nearest (level of largest overlap), overlap and
off_nearest (relative error of E against that level), node_count, norm, loss, steps (good ones) and asked, seconds (of
its block, divided by the starts in it), steps_to_1e-02 and so on (steps after which E stays within that relative error;
NaN if it does not), and energies (the frames of its history).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int

from qpinn.analysis import observables
from qpinn.analysis.errors import degenerate
from qpinn.bounds.certify import scale as scale_of
from qpinn.physics import operators
from qpinn.physics.reference import Eigenstates
from qpinn.training.fit import Fit

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-6)
OUTCOMES = ("right state", "wrong state", "psi = 0", "not converged", "diverged", "non-finite")
Columns = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exact:
    """What starts are compared with: `levels`, their `psi` (k, n) on the quadrature, and which of them is wanted.

    fixed      whether E is fixed, so that it converges to nothing
    projected  whether the Rayleigh quotient of psi, normalised, stands for the trained E, as after a Ritz start
    """

    levels: Eigenstates
    psi: Float[np.ndarray, "k n"]
    index: int
    fixed: bool
    projected: bool


class Functions(Protocol):
    """B functions on n points: psi (B, n), weights (n,), and integrals (B,) of psi^2, of psi'^2 / m and of V psi^2."""

    @property
    def psi(self) -> Float[np.ndarray, "B n"]: ...

    @property
    def weight(self) -> Float[np.ndarray, "n"]: ...

    def norms(self) -> Float[np.ndarray, "B"]: ...

    def kinetic(self) -> Float[np.ndarray, "B"]: ...

    def potential(self) -> Float[np.ndarray, "B"]: ...


def columns(
    values: Functions,
    energy: Float[np.ndarray, "B"],
    fit: Fit,
    exact: Exact,
    frames: Int[np.ndarray, "frames"],
    asked: int,
) -> Columns:
    """The columns of B starts, but for number and seconds.

    values  psi of each on a quadrature
    energy  (B,) the trained E
    frames  steps at which energies are kept
    asked   steps that each was to take
    """
    levels, index, norm = exact.levels, exact.index, values.norms()
    scale, there = scale_of(levels.energies), exact.psi
    rayleigh, psi = (values.kinetic() + values.potential()) / np.maximum(norm, 1e-300), values.psi
    if exact.projected:
        energy, psi, norm = rayleigh, psi / np.sqrt(np.maximum(norm, 1e-300))[:, None], norm / np.maximum(norm, 1e-300)
    # psi of a degenerate level is any mixture: what counts is its part among them, and psi has no error
    alike = degenerate(levels)
    overlaps = np.sqrt(observables.overlaps_with(psi, there, values.weight) ** 2 @ alike)
    nearest = np.argmax(overlaps, axis=1)
    nearest = np.where(alike[nearest, index], index, nearest)
    error = observables.l2_error(psi, there[index], values.weight)
    history = fit.filled("energy")
    # a training ends early where none of its lanes goes on
    history = np.pad(history, ((0, asked - len(history)), (0, 0)), mode="edge")
    off = np.abs(history - levels.energies[index]) / scale[index]
    return {
        "energy": energy, "energy_start": fit.start["energy"], "energy_rayleigh": rayleigh,
        "relative_error_energy": np.abs(energy - levels.energies[index]) / scale[index],
        "relative_l2_psi": error if alike[index].sum() == 1 else np.full(len(psi), np.nan),
        "index": np.full(len(psi), index), "nearest": nearest, "overlap": np.max(overlaps, axis=1),
        "off_nearest": (energy - levels.energies[nearest]) / scale[nearest],
        "node_count": np.array([operators.node_count(row) for row in psi]),
        "norm": norm, "loss": fit.losses, "steps": fit.steps, "asked": np.full(len(psi), asked),
        "energies": history[frames].T,
        **{f"steps_to_{tolerance:.0e}": np.full(len(psi), np.nan) if exact.fixed else steps_to(off, tolerance)
           for tolerance in TOLERANCES},
    }  # fmt: skip


def steps_to(off: Float[np.ndarray, "steps B"], tolerance: float) -> Float[np.ndarray, "B"]:
    """Steps (B,) after which the relative error of E (steps, B) stays within `tolerance` to the end; NaN if never."""
    outside = ~(off <= tolerance)
    steps = np.where(outside.any(axis=0), len(off) - np.argmax(outside[::-1], axis=0), 0)
    return np.where(outside[-1], np.nan, steps)


def outcomes(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """How each start ended, one of OUTCOMES; see `qpinn.analysis.observables.State`."""
    names = []
    index = columns.get("index", np.zeros(len(columns["energy"]), int))  # sweeps from before there was one: level 0
    for i in range(len(columns["energy"])):
        bad = columns["steps"][i] < columns["asked"][i] or not np.isfinite(columns["energy"][i])
        names.append("non-finite" if bad else observables.outcome(
            float(columns["norm"][i]), int(columns["nearest"][i]), float(columns["overlap"][i]),
            float(columns["off_nearest"][i]), int(index[i]),
        ))  # fmt: skip
    return np.array(names)


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a rate of which `count` of `total` were seen (Wilson 1927)."""
    from scipy import stats

    interval = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def rank_correlation(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"]) -> float | None:
    """Spearman's rank correlation of what is finite in both; None where a rank does not exist."""
    from scipy import stats

    used = np.isfinite(a) & np.isfinite(b)
    if used.sum() < 3 or np.ptp(a[used]) == 0 or np.ptp(b[used]) == 0:
        return None
    return float(stats.spearmanr(a[used], b[used]).statistic)


def quantiles(values: Float[np.ndarray, "n"]) -> dict[str, float] | None:
    """Least, 5, 25, 50, 75, 95 % and greatest of what is finite."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    names = ("min", "5%", "25%", "median", "75%", "95%", "max")
    return dict(zip(names, map(float, np.quantile(finite, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])), strict=True))


def statistics(columns: Columns) -> dict[str, Any]:
    """What summary.json says of the starts."""
    ended = outcomes(columns)
    total = len(ended)
    right = int(np.sum(ended == "right state"))
    low, high = wilson(right, total)
    usable = np.isfinite(columns["loss"]) & (ended != "non-finite")
    best = int(np.argmin(np.where(usable, columns["loss"], np.inf))) if usable.any() else None
    reached = {}
    for tolerance in TOLERANCES:
        count = int(np.sum(np.isfinite(columns[f"steps_to_{tolerance:.0e}"])))
        reached[f"{tolerance:.0e}"] = {"count": count, "steps": quantiles(columns[f"steps_to_{tolerance:.0e}"])}
    return {
        "starts": total,
        "success": {"count": right, "rate": right / total, "wilson_95": [low, high]},
        "outcomes": {name: int(np.sum(ended == name)) for name in OUTCOMES},
        "nearest_level": {str(k): int(np.sum((columns["nearest"] == k) & np.isin(ended, OUTCOMES[:2])))
                          for k in np.unique(columns["nearest"])},
        "relative_error_energy": quantiles(columns["relative_error_energy"]),
        "relative_l2_psi": quantiles(columns["relative_l2_psi"]),
        "loss": quantiles(columns["loss"]),
        "energy": quantiles(columns["energy"]),
        "rank_correlation_loss_l2": rank_correlation(columns["loss"], columns["relative_l2_psi"]),
        "lowest_loss": None if best is None else {"number": int(columns["number"][best]), "outcome": str(ended[best])},
        "reached": reached,
        "not_finite": [[int(n), int(s) + 1] for n, s, e in zip(columns["number"], columns["steps"], ended, strict=True)
                       if e == "non-finite"],
    }  # fmt: skip


def fan(energies: np.ndarray, levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95)) -> np.ndarray:
    """Quantiles over the starts (levels, frames) of energies (starts, frames)."""
    return np.nanquantile(energies, levels, axis=0)
