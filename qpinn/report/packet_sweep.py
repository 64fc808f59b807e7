"""What a sweep over waves of a packet shows: its text, and its figures from the files of its folder alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qpinn.analysis import followed, statistics
from qpinn.report import style, words
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.report.style import BLUE, GREEN, GREY, ORANGE, RED, SKY
from qpinn.runs import sweep_folder

LOOKS = {
    "error below 1 %": (BLUE, "o", ""), "error 1 to 10 %": (SKY, "s", "....."), "not followed": (RED, "^", "/////"),
    "non-finite": (GREEN, "P", "+++++"),
}  # fmt: skip
"""Colour, marker and hatching of each way to end."""

LINES = 40
"""Starts whose course is drawn one by one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PacketSweepData:
    """Columns of the starts as in `qpinn.analysis.followed`, and the times of their courses."""

    title: str
    route: str
    columns: statistics.Columns
    outcome: np.ndarray
    times: np.ndarray
    vary: str | None
    values: np.ndarray | None


def load(folder: Path) -> PacketSweepData:
    """The data of the folder of a sweep. Raises ValueError, naming the file, if one is missing or damaged."""
    summary, columns, times, values = sweep_folder.read(folder)
    sweep, settings = summary["sweep"], summary["settings"]
    stats = summary["statistics"]
    return PacketSweepData(
        title=f"{summary['potential']['name'].replace('_', ' ')}: {words.packet_name(summary['packet'])}, "
        f"{stats['success']['count']} of {stats['starts']} starts within 10 %",
        route=f"{words.route(summary)}, seeds {settings['seed']} to {settings['seed'] + sweep['seeds'] - 1}",
        columns=columns, outcome=followed.outcomes(columns), times=times, vary=sweep["vary"], values=values,
    )  # fmt: skip


def course(data: PacketSweepData) -> Figure:
    """The error over t of all starts: median, half and nine tenths of them, and some one by one."""
    figure, (axes,) = style.panels(2.5)
    errors = data.columns["errors"]
    finite = errors[np.isfinite(errors).all(axis=1)]
    for row in errors[:: max(1, len(errors) // LINES)][:LINES]:
        axes.plot(data.times, style.positive(row), color=GREY, linewidth=0.4, alpha=0.5, zorder=1)
    if len(finite):
        quantiles = statistics.fan(finite)
        for below, upper, alpha, name in ((0, 4, 0.25, "90 %"), (1, 3, 0.6, "50 %")):
            axes.fill_between(data.times, quantiles[below], quantiles[upper], color=SKY, alpha=alpha, linewidth=0,
                              label=f"{name} of starts")  # fmt: skip
        axes.plot(data.times, style.positive(quantiles[2]), color=BLUE, label="median")
    style.log_axis(axes, [errors[:, 1:]], left_out=0.0)
    axes.set_xlim(data.times[0], data.times[-1])
    axes.set_xlabel(f"$t$ / {words.divided('2mL²/ħ')}")
    axes.set_ylabel(r"$\|\psi - \mathrm{exact}\|$")
    return _headed(figure, data)


def errors(data: PacketSweepData) -> Figure:
    """A histogram of the errors at the last time, by outcome, and of the bounds that the networks give themselves."""
    figure, (axes,) = style.panels(2.5)
    error, bound = data.columns["error"], data.columns["bound"]
    style.log_axis(axes, [error, bound], left_out=0.0, x=True)
    bins = list(np.geomspace(*axes.get_xlim(), 41))
    names = [name for name in LOOKS if np.any((data.outcome == name) & np.isfinite(error))]
    groups = [error[(data.outcome == name) & np.isfinite(error)] for name in names]
    if groups:
        colors, hatches = [LOOKS[name][0] for name in names], [LOOKS[name][2] for name in names]
        axes.hist(
            groups, bins, stacked=True, color=colors, hatch=hatches, edgecolor="white", linewidth=0.2, label=names
        )
    axes.hist(bound[np.isfinite(bound)], bins, histtype="step", color=ORANGE, linewidth=1.2, label="bounds")
    axes.set_xlabel(r"$\|\psi - \mathrm{exact}\|$ at the last time")
    axes.set_ylabel("starts")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return _headed(figure, data)


def loss_and_error(data: PacketSweepData) -> Figure:
    """The error at the last time against the loss, by outcome."""
    figure, (axes,) = style.panels(2.5)
    loss, error = data.columns["loss"], data.columns["error"]
    _scattered(axes, data, loss)
    style.log_axis(axes, [loss], left_out=0.0, x=True)
    style.log_axis(axes, [error], left_out=0.0)
    axes.set_xlabel("loss")
    axes.set_ylabel(r"$\|\psi - \mathrm{exact}\|$ at the last time")
    return _headed(figure, data)


def varied(data: PacketSweepData) -> Figure:
    """The error at the last time against what varies."""
    assert data.values is not None
    figure, (axes,) = style.panels(2.5)
    _scattered(axes, data, data.values)
    style.log_axis(axes, [data.columns["error"]], left_out=0.0)
    axes.set_xlabel(data.vary or "")
    axes.set_ylabel(r"$\|\psi - \mathrm{exact}\|$ at the last time")
    return _headed(figure, data)


def _scattered(axes: Any, data: PacketSweepData, x: np.ndarray) -> None:
    error = data.columns["error"]
    for name, (color, marker, _) in LOOKS.items():
        those = (data.outcome == name) & np.isfinite(x) & np.isfinite(error)
        if those.any():
            axes.scatter(x[those], error[those], s=9, color=color, marker=marker, alpha=0.7, linewidths=0.8,
                         label=f"{name} ({those.sum()})")  # fmt: skip


def _headed(figure: Figure, data: PacketSweepData) -> Figure:
    for panel in figure.axes:
        panel.spines[["top", "right"]].set_visible(False)
    style.head(figure.axes[0], data.title, data.route)
    return figure


FIGURES: dict[str, Callable[[PacketSweepData], Figure]] = {
    "course": course, "errors": errors, "loss_and_error": loss_and_error, "varied": varied,
}  # fmt: skip
ESSENTIAL = ("course", "errors", "varied")


def save_all(folder: Path, choice: Choice = EVERYTHING) -> style.Drawn:
    """Draw the chosen figures of a sweep into its folder."""
    data = load(folder)
    names = choice.some([name for name in FIGURES if name != "varied" or data.values is not None], ESSENTIAL)
    with style.applied():
        return style.save_all({name: FIGURES[name](data) for name in names}, folder, choice)


def is_one(summary: Mapping[str, Any]) -> bool:
    """Whether a summary.json is of packets."""
    return "packet" in summary
