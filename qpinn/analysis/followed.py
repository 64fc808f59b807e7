"""Statistics of a sweep over waves of a packet in time.

A start is a row of columns: number, error (of psi at the last time, in L2), bound (of that, its own), norm, loss, steps
(good ones) and asked, seconds; and errors, at the times of a course.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qpinn.analysis.statistics import Columns, quantiles, rank_correlation, wilson

FOLLOWED = "error below 10 %"
"""What a start is to come to."""

OUTCOMES = ("error below 1 %", "error 1 to 10 %", "not followed", "non-finite")
"""How a start ends."""


def outcomes(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """How each start ended, one of OUTCOMES."""
    error = columns["error"]
    ended = np.array(OUTCOMES)[np.searchsorted([0.01, 0.1], error)]
    return np.where((columns["steps"] < columns["asked"]) | ~np.isfinite(error), OUTCOMES[-1], ended)


def followed(columns: Mapping[str, np.ndarray]) -> int:
    """How many starts came to it."""
    return int(np.isin(outcomes(columns), OUTCOMES[:2]).sum())


def statistics(columns: Columns) -> dict[str, Any]:
    """What summary.json says of the starts, under the names that sweeps over levels have."""
    ended, right = outcomes(columns), followed(columns)
    loss = np.where(np.isfinite(columns["loss"]) & (ended != OUTCOMES[-1]), columns["loss"], np.inf)
    best = int(np.argmin(loss))
    return {
        "starts": len(ended),
        "goal": FOLLOWED,
        "right": OUTCOMES[:2],
        "success": {"count": right, "rate": right / len(ended), "wilson_95": list(wilson(right, len(ended)))},
        "outcomes": {name: int(np.sum(ended == name)) for name in OUTCOMES},
        "relative_error_energy": None,
        "relative_l2_psi": quantiles(columns["error"]),
        "bound": quantiles(columns["bound"]),
        "outside": int(np.sum(columns["error"] > columns["bound"])),
        "norm": quantiles(columns["norm"]),
        "loss": quantiles(columns["loss"]),
        "rank_correlation_loss_l2": rank_correlation(columns["loss"], columns["error"]),
        "lowest_loss": None if not np.isfinite(loss[best]) else {
            "number": int(columns["number"][best]), "outcome": str(ended[best]), "error": float(columns["error"][best]),
        },
        "not_finite": [[int(n), int(s) + 1] for n, s, e in zip(columns["number"], columns["steps"], ended, strict=True)
                       if e == OUTCOMES[-1]],
    }  # fmt: skip
