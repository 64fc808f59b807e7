"""The figures of a sweep, drawn from the files of its folder alone, and that of several sweeps side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from qpinn.analysis import statistics
from qpinn.report import comparison, style, words
from qpinn.report.style import (
    BLUE,
    ENERGY,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SKY,
    legend_row,
    log_axis,
    one_panel,
    two_panels,
)
from qpinn.runs import sweep_folder
from qpinn.runs.run_folder import read_summary

LOOKS = {
    "right state": (BLUE, "o"), "wrong state": (RED, "^"), "psi = 0": (ORANGE, "s"), "not converged": (GREY, "x"),
    "diverged": (SKY, "v"), "non-finite": (GREEN, "P"),
}  # fmt: skip
LINES = 40
"""Starts that the fan chart shows one by one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepData:
    """What the figures show; columns and frames as in `qpinn.analysis.statistics`.

    reference  what the levels are called: "exact" or "reference"
    fixed      whether E was given
    """

    title: str
    columns: statistics.Columns
    frames: np.ndarray
    outcome: np.ndarray
    levels: np.ndarray
    reference: str
    fixed: bool
    vary: str | None
    values: np.ndarray | None


def load(folder: Path) -> SweepData:
    """The data of the folder of a sweep. Raises ValueError, naming the file, if one is missing or damaged."""
    summary = read_summary(folder)
    sweep = summary["sweep"]
    columns, frames = sweep_folder.read_blocks(folder)
    if not columns:
        raise ValueError(f"{folder / 'blocks'}: missing or damaged")
    columns = {name: values[columns["number"] < sweep["seeds"]] for name, values in columns.items()}
    values = None
    if sweep["range"] is not None:
        first, last = sweep["range"]
        values = np.linspace(first, last, sweep["seeds"])[columns["number"]]
    title = f"{summary['potential']['name'].replace('_', ' ')}, {len(columns['energy'])} starts"
    outcome = statistics.outcomes(columns)
    return SweepData(
        title=title,
        columns=columns,
        frames=frames,
        outcome=outcome,
        levels=np.array(summary["levels"]),
        reference=words.reference_name(summary),
        fixed=words.is_fixed(summary),
        vary=sweep["vary"],
        values=values,
    )


def _window(data: SweepData, energies: np.ndarray) -> tuple[float, float]:
    """The energies to show: the first levels, and what the starts found, but for a few far away."""
    finite = energies[np.isfinite(energies)]
    low, high = np.quantile(finite, [0.01, 0.99]) if finite.size else (0.0, data.levels[0])
    low, high = min(low, data.levels[0]), max(high, data.levels[min(1, len(data.levels) - 1)])
    margin = 0.06 * (high - low or abs(high) or 1.0)
    return float(low - margin), float(high + margin)


def _levels(axes: Axes, data: SweepData, window: tuple[float, float], upright: bool) -> None:
    """The levels of the reference within `window` as dashed lines."""
    line, name = axes.axvline if upright else axes.axhline, f"{data.reference} levels"
    for k, energy in enumerate(data.levels[data.levels <= window[1]]):
        line(energy, color="black", linestyle="--", linewidth=1.2, label=None if k else name, zorder=1)


def energies(data: SweepData) -> Figure:
    """A histogram of the energies found, by outcome, against the levels of the reference."""
    figure, axes = one_panel(data.title)
    energy = data.columns["energy"]
    window = _window(data, energy)
    bins = np.linspace(*window, 81)
    names = [name for name in LOOKS if np.any(data.outcome == name)]
    groups = [energy[(data.outcome == name) & np.isfinite(energy)] for name in names]
    colors = [LOOKS[name][0] for name in names]
    _levels(axes, data, window, upright=True)
    axes.hist(groups, bins, stacked=True, color=colors, label=names, zorder=2)  # type: ignore[arg-type]
    beyond = sum(int(np.sum((group < window[0]) | (group > window[1]))) for group in groups)
    axes.set_xlim(*window)
    axes.set_xlabel(ENERGY + (f"   ({beyond} of {len(energy)} starts outside)" if beyond else ""))
    axes.set_ylabel("starts")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    legend_row(axes)
    return figure


def fan(data: SweepData) -> Figure:
    """E against step over all starts: median, half and nine tenths of them, some one by one, and the levels."""
    figure, axes = one_panel(data.title)
    history = data.columns["energies"].astype(float)
    step = data.frames
    for row in history[:: max(1, len(history) // LINES)][:LINES]:
        axes.plot(step, row, color=GREY, linewidth=0.4, alpha=0.5, zorder=1)
    finite = history[np.isfinite(history).all(axis=1)]
    if len(finite):
        outer, inner, middle, above, top = statistics.fan(finite)
        axes.fill_between(step, outer, top, color=SKY, alpha=0.25, linewidth=0, label="90 %")
        axes.fill_between(step, inner, above, color=SKY, alpha=0.6, linewidth=0, label="50 %")
        axes.plot(step, middle, color=BLUE, label="median")
    window = _window(data, np.concatenate([finite[:, -1], finite[:, 0]]))
    _levels(axes, data, window, upright=False)
    axes.set_ylim(*window)
    axes.set_xlabel("step")
    axes.set_ylabel(ENERGY)
    legend_row(axes)
    return figure


def loss_and_error(data: SweepData) -> Figure:
    """The L2 error of psi against the loss, by outcome."""
    figure, axes = one_panel(data.title)
    loss, error = data.columns["loss"], data.columns["relative_l2_psi"]
    for name, (color, marker) in LOOKS.items():
        those = data.outcome == name
        shown = those & np.isfinite(loss) & np.isfinite(error) & (loss > 0)
        if shown.any():
            axes.scatter(loss[shown], error[shown], s=14, color=color, marker=marker, alpha=0.7, linewidths=0.8,
                         label=f"{name} ({those.sum()})")  # fmt: skip
    if np.nanmax(loss, initial=1e-300) > 10 * np.nanmin(loss, initial=np.inf):
        axes.set_xscale("log")
    log_axis(axes, [error], left_out=0.0)  # each of them is a start
    axes.set_xlabel("loss")
    axes.set_ylabel("L2 error of psi")
    legend_row(axes)
    return figure


def varied(data: SweepData) -> Figure:
    """Where each value of what varies leads: the energy found, and the rate of success with its 95 % interval."""
    assert data.values is not None
    figure, upper, lower = two_panels(data.title)
    energy = data.columns["energy"]
    for name, (color, marker) in LOOKS.items():
        those = data.outcome == name
        if those.any():
            upper.scatter(data.values[those], energy[those], s=10, color=color, marker=marker, alpha=0.8,
                          linewidths=0.8, label=name)  # fmt: skip
    window = _window(data, energy)
    _levels(upper, data, window, upright=False)
    upper.set_ylim(*window)
    upper.set_ylabel(ENERGY)
    legend_row(upper)
    right = data.outcome == "right state"
    bins = np.array_split(np.argsort(data.values), max(1, min(20, len(right) // 8)))
    at = np.array([data.values[starts].mean() for starts in bins])
    rate = np.array([right[starts].mean() for starts in bins])
    interval = np.array([statistics.wilson(int(right[starts].sum()), len(starts)) for starts in bins])
    reach = np.abs(interval.T - rate)
    lower.errorbar(at, rate, reach, color=BLUE, marker="o", markersize=3.5, linewidth=1.0, capsize=2)
    lower.set_ylim(-0.05, 1.05)
    lower.set_xlabel(data.vary or "")
    lower.set_ylabel("right state")
    return figure


FIGURES: dict[str, Callable[[SweepData], Figure]] = {
    "energies": energies, "fan": fan, "loss_and_error": loss_and_error, "varied": varied,
}  # fmt: skip


def save_all(folder: Path) -> list[Path]:
    """Draw every figure of a sweep into its folder; none of an E that was given, nor of psi of a degenerate level."""
    data = load(folder)
    with matplotlib.rc_context(style.STYLE):  # type: ignore[arg-type]
        left_out = (["varied"] if data.values is None else []) + (["energies", "fan"] if data.fixed else [])
        if not np.isfinite(data.columns["relative_l2_psi"]).any():
            left_out.append("loss_and_error")
        return style.save_all({name: draw(data) for name, draw in FIGURES.items() if name not in left_out}, folder)


# ------------------------------------------------------------------------------------------------------ several sweeps


def settings(
    labels: Sequence[str], series: Mapping[str, Sequence[Mapping[str, Any] | None]], title: str, names: str = ""
) -> Figure:
    """Rate of success (95 % interval) and L2 error of psi (median, half, nine tenths): a row for each of `labels`.

    series   one list of the statistics of sweeps, in the order of the labels, or several to be told apart by colour;
             None where there is none
    """
    rows = np.arange(len(labels))
    reserve = 0.25 + 0.072 * max(*map(len, labels), len(names))  # inches for the labels
    several = len(series) > 1
    height, width = 1.3 + (0.14 + 0.1 * len(series)) * len(labels) + 0.2 * several, 4.6 + reserve
    figure = style.blank(height, width)
    bottom, size = 0.55 / height, 1 - (0.95 + 0.2 * several) / height
    left = figure.add_axes((reserve / width, bottom, 2.1 / width, size))
    right = figure.add_axes(((reserve + 2.45) / width, bottom, 1.95 / width, size), sharey=left)
    looks = zip((BLUE, RED, GREEN, ORANGE), "o^sD", strict=True)
    for number, (name, entries) in enumerate(series.items()):
        color, marker = next(looks)
        for row, entry in zip(rows + 0.22 * (number - (len(series) - 1) / 2), entries, strict=True):
            if entry is None:
                continue
            rate, interval = entry["success"]["rate"], np.array(entry["success"]["wilson_95"])
            left.errorbar(100 * rate, row, xerr=100 * np.abs(interval - rate)[:, None], fmt=marker, color=color, ms=4,
                          capsize=2.5, linewidth=1.2)  # fmt: skip
            spread = entry["relative_l2_psi"]
            if spread:
                right.plot([spread["5%"], spread["95%"]], [row, row], color=color, linewidth=1.0, alpha=0.6)
                right.plot([spread["25%"], spread["75%"]], [row, row], color=color, linewidth=3.2, alpha=0.6,
                           solid_capstyle="butt")  # fmt: skip
                right.plot(spread["median"], row, marker, color=color, markersize=4)
        if several:
            left.plot([], [], marker, color=color, markersize=4, label=name)
    left.set_xlim(-4, 104)
    left.set_xlabel("right state / %")
    right.set_xscale("log")
    low, high = np.log10(right.get_xlim())
    right.set_xlim(10 ** np.floor(low), 10 ** np.ceil(high))  # whole decades, each with its label
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set_xlabel("L2 error of psi")
    right.tick_params(labelleft=False)
    left.set_yticks(rows, labels)
    left.set_ylim(len(labels) - 0.4, -0.6)
    for axes in (left, right):
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
    left.set_title(title, fontsize=10, loc="left")
    if several:
        legend_row(left)
    figure.text((reserve - 0.1) / width, 0.2 / height, names, ha="right", va="center", fontsize=8, color=GREY)
    return figure


def save_settings(folder: Path, summaries: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Draw `settings` of several sweeps into `folder`."""
    differ = comparison.differing(summaries)
    names, labels = ", ".join(differ.names), [", ".join(row) for row in differ.values]
    if max(map(len, [names, *labels])) > comparison.LONGEST:
        names, labels = "", [comparison.clipped(label, 2 * comparison.LONGEST) for label in differ.short()]
    starts = sorted({summary["statistics"]["starts"] for summary in summaries})
    title = f"{' or '.join(map(str, starts[:3]))} starts each"
    with matplotlib.rc_context(style.STYLE):  # type: ignore[arg-type]
        series = {"": [summary["statistics"] for summary in summaries]}
        drawn = settings(labels, series, title, names)
        return style.save(drawn, folder / "settings")
