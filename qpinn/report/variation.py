"""What a vary.json says, in words: how levels move, where two come close, and where they exchange their characters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.analysis import following
from qpinn.bounds import certify
from qpinn.report import tables, words

MOST = 12
"""Exchanges that are listed."""


def column(content: Mapping[str, Any], name: str) -> Float[np.ndarray, "T K ..."]:
    """Numbers of a vary.json; NaN where it has none."""
    return np.asarray(content[name], np.float64)


def heading(content: Mapping[str, Any], name: str) -> str:
    """The name of a number with its unit."""
    return f"{name} ({content['unit']})" if content["unit"] else name


def number(content: Mapping[str, Any]) -> str:
    """The name of what varies, without that of its group."""
    return str(content["name"]).removeprefix("potential.")


def report(content: Mapping[str, Any]) -> str:
    """A line for each level, then exchanges, and what is not certain."""
    return "\n".join([tables.plain(*ends(content)), *said(content)])


def said(content: Mapping[str, Any]) -> list[str]:
    """Exchanges, bounds, and what is not certain."""
    return [*exchanges(content), certified(content), *unsure(content)]


def ends(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table: every level at the first and the last point, and where it is closest to the next."""
    energies, values = column(content, "energies"), np.asarray(content["values"])
    unit = f"({content['units']['energy']})"
    rows = []
    for k, levels in enumerate(energies.T):
        gap = energies[:, k + 1] - levels if k + 1 < energies.shape[1] else None
        closest = ["", ""] if gap is None else [f"{gap.min():.6g}", f"{values[np.argmin(gap)]:.6g}"]
        rows.append([str(k), *(f"{levels[t]:.10g}" for t in (0, -1)), *closest])
    name = number(content)
    header = [*(f"at {name} {values[t]:.6g} {unit}" for t in (0, -1)), f"closest to the next {unit}"]
    return ["level", *header, heading(content, f"at {name}")], rows


def exchanges(content: Mapping[str, Any]) -> list[str]:
    """Between which points two levels exchange their characters."""
    followed, energies = np.asarray(content["followed"]), column(content, "energies")
    values, sure = content["values"], column(content, "overlaps") > following.SURE
    found = []
    for t in range(1, len(values)):
        for k in range(followed.shape[1] - 1):
            if followed[t, k] == followed[t - 1, k + 1] and followed[t, k + 1] == followed[t - 1, k]:
                gap = min(energies[s, k + 1] - energies[s, k] for s in (t - 1, t))
                doubt = "" if sure[t, k : k + 2].all() else " (overlaps below 1/2)"
                found.append(f"  levels {k} and {k + 1} exchange their characters between {values[t - 1]:.6g} and "
                             f"{values[t]:.6g}, {gap:.3g} apart at the nearer{doubt}")  # fmt: skip
    if len(found) > MOST:
        found[MOST:] = [f"  and {len(found) - MOST} more exchanges; vary.csv has them under followed"]
    return found


def certified(content: Mapping[str, Any]) -> str:
    """How many levels have bounds that meet the tolerance, and the widest."""
    lower, upper = column(content, "lower"), column(content, "upper")
    bounded, converged = ~np.isnan(upper - lower), np.asarray(content["converged"])
    tol = content["settings"]["tol"] or certify.TOLERANCE
    width = float(np.max((upper - lower)[bounded], initial=0.0)) / 2
    without = "" if bounded.all() else f", {(~bounded).sum()} without bounds"
    return (f"  {converged.sum()} of {converged.size} levels within tol={tol:g}{without}; the widest bound is "
            f"+- {width:.1e} {content['units']['energy']}")  # fmt: skip


def unsure(content: Mapping[str, Any]) -> list[str]:
    """A line where overlaps do not say which level continues which."""
    overlaps, values = column(content, "overlaps"), content["values"]
    doubtful = np.flatnonzero((overlaps <= following.SURE).any(axis=1))
    if not doubtful.size:
        return []
    shown = ", ".join(f"{values[t]:.6g}" for t in doubtful[:4]) + (", ..." if doubtful.size > 4 else "")
    return [f"  {words.counted(doubtful.size, 'point')} where overlaps do not say which level is which "
            f"(at most 1/2): {shown}; more points tell, or it is the middle of an exchange"]  # fmt: skip
