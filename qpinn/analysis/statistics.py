"""Statistics of a sweep over starts.

A start is a row of columns: number (its place in the sweep), energy, energy_start, energy_rayleigh,
relative_error_energy and relative_l2_psi (against level `index`), nearest (level of largest overlap), overlap and
off_nearest (relative error of E against that level), node_count, norm, loss, steps (good ones) and asked, seconds (of
its block, divided by the starts in it), steps_to_1e-02 and so on (steps after which E stays within that relative error;
NaN if it does not), and energies (the frames of its history).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qpinn.analysis import observables

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-6)
OUTCOMES = ("right state", "wrong state", "psi = 0", "not converged", "non-finite")
Columns = dict[str, np.ndarray]


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


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's rank correlation of what is finite in both; None where a rank does not exist."""
    from scipy import stats

    used = np.isfinite(a) & np.isfinite(b)
    if used.sum() < 3 or np.ptp(a[used]) == 0 or np.ptp(b[used]) == 0:
        return None
    return float(stats.spearmanr(a[used], b[used]).statistic)


def quantiles(values: np.ndarray) -> dict[str, float] | None:
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
