"""What a scattering.json says, in words: T and R at some energies and at the peaks, bounds, resonances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qpinn.report import tables, words

ROWS = 9
"""Energies of a table, evenly, beside those where T has a peak."""

PEAKS = 6


def column(content: Mapping[str, Any], name: str) -> np.ndarray:
    """Numbers of a scattering.json; NaN where it has none, as for a bound that is not there."""
    numbers = np.array([np.nan if value is None else value for value in content[name]], float)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def peaks(content: Mapping[str, Any], most: int = PEAKS) -> np.ndarray:
    """Places (p,) of the maxima of T between its neighbours that rise highest above them, ascending."""
    t = column(content, "T")
    if len(t) < 3:
        return np.zeros(0, int)
    inner = np.flatnonzero((t[1:-1] > t[:-2]) & (t[1:-1] >= t[2:])) + 1
    floor = np.array([max(t[:place].min(), t[place:].min()) for place in inner])
    high = inner[t[inner] > 1.001 * floor + 1e-9]
    return np.sort(high[np.argsort(-t[high], kind="stable")][:most])


def rows(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table: energies evenly from the first to the last, and the peaks of T."""
    units, energies = content["units"], column(content, "energies")
    even = np.linspace(energies[0], energies[-1], min(ROWS, len(energies)))
    some = {int(np.argmin(np.abs(energies - energy))) for energy in even}
    high = peaks(content).tolist()
    names = ("T", "bound", "R", "reflection_bound", "phase_time")
    numbers = {name: column(content, name) for name in names}
    time = tables.with_unit("phase time", units, "time")
    head = [tables.with_unit("E", units, "energy"), "T", "+-", "R", "+-", time, ""]
    lines = []
    for place in sorted(some | set(high)):
        t, t_bound, r, r_bound, delay = (numbers[name][place] for name in names)
        cells = [f"{energies[place]:.10g}", _probability(t, t_bound), _bound(t_bound), _probability(r, r_bound)]
        lines.append([*cells, _bound(r_bound), f"{delay:.6g}" if np.isfinite(delay) else "-",
                      "peak" if place in high else ""])  # fmt: skip
    return head, lines


def _probability(value: float, bound: float) -> str:
    """As many digits as are certain, at least four and at most fourteen."""
    if not np.isfinite(bound) or bound <= 0 or value <= 0:
        return f"{value:.6g}"
    digits = int(np.clip(np.floor(np.log10(value / bound)), 4, 14))
    return f"{value:#.{digits}g}"


def _bound(value: float) -> str:
    if value == 0:
        return "exact"
    return f"{value:.0e}" if np.isfinite(value) else "none"


def resonances(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table of resonances."""
    units = content["units"]
    head = [tables.with_unit(name, units, "energy") for name in ("E_r", "Gamma", "error, about")]
    lines = [[_digits(one["energy"], one["error"]), _digits(one["width"], one["error"]), f"{one['error']:.0e}"]
             for one in content["resonances"]]  # fmt: skip
    return ["", *head], [[str(number), *line] for number, line in enumerate(lines)]


def _digits(value: float, error: float) -> str:
    """A number to about the last digit that its error leaves."""
    digits = 15 if error <= 0 else int(np.clip(np.floor(np.log10(max(abs(value), 1e-300) / error)) + 1, 2, 15))
    return f"{value:.{digits}g}"


def bounded(content: Mapping[str, Any]) -> list[str]:
    """How many energies have bounds within the tolerance, and the widest bound."""
    bounds = np.maximum(column(content, "bound"), column(content, "reflection_bound"))
    tol, count = content["certificate"]["tol"], len(bounds)
    within, known = int(np.sum(bounds <= tol)), np.isfinite(bounds)
    lines = []
    if known.any():
        widest = float(bounds[known].max())
        lines.append(f"{within} of {count} energies have bounds on T and R within {tol:g}, the widest +- {widest:.1e}")
    if not known.all():
        place = int(np.argmax(~known))
        lines.append(f"{int((~known).sum())} of {count} energies have no bound, the first of them at E = "
                     f"{content['energies'][place]:.8g}{words.unit(content)}")  # fmt: skip
    if content["untrained"] is not None:
        before, after = (float(np.max(column(content, name))) for name in ("untrained", "residual"))
        lines.append(f"largest residual {before:.1e} with the hidden units as they were drawn, {after:.1e} trained")
    asked, found = content["resonances_asked"], len(content["resonances"])
    if asked > found:
        lines.append(f"{found} of {asked} resonances were found")
    closed = int(np.sum(column(content, "T") == 0.0))
    if closed:
        lines.append(f"{closed} energies lie below one of the leads, where T = 0 and R = 1")
    lines.append(f"{content['segments']} segments; {words.spent(content)}")
    return lines


def report(content: Mapping[str, Any]) -> str:
    """The tables, and what is to be said of them."""
    blocks = [tables.plain(*rows(content))]
    if content["resonances"]:
        blocks.append("  resonances, E = E_r - i Gamma / 2\n\n" + tables.plain(*resonances(content)))
    blocks.append("\n".join(tables.wrapped(line) for line in bounded(content)))
    return "\n\n".join(blocks)
