"""The figures of a sweep, drawn from the files of its folder alone, and that of several sweeps side by side."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from qpinn.analysis import statistics
from qpinn.report import comparison, packet_sweep, style, words
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, SKY, log_axis, panels
from qpinn.runs import sweep_folder
from qpinn.runs.run_folder import read_summary

LOOKS = {
    "right state": (BLUE, "o", ""), "wrong state": (RED, "^", "/////"), "psi = 0": (ORANGE, "s", "....."),
    "not converged": (GREY, "x", "xxxxx"), "diverged": (SKY, "v", "-----"), "non-finite": (GREEN, "P", "+++++"),
}  # fmt: skip
"""Colour, marker and hatching of each way to end."""
LINES = 40
"""Starts that the fan chart shows one by one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepData:
    """What the figures show; columns and frames as in `qpinn.analysis.statistics`.

    route      how the starts were trained, and their seeds
    wanted     index of the level that is wanted, whose E is that of `levels`
    reference  what the levels are called: "exact" or "reference"
    fixed      whether E was given
    unit       of energies
    """

    title: str
    route: str
    columns: statistics.Columns
    frames: np.ndarray
    outcome: np.ndarray
    levels: np.ndarray
    wanted: int
    reference: str
    fixed: bool
    unit: str
    vary: str | None
    values: np.ndarray | None

    @property
    def close(self) -> bool:
        """Whether what the starts found is so close to the level that only a logarithmic axis tells it from it."""
        energy, levels = self.columns["energy"], self.levels
        off = np.abs(energy[np.isfinite(energy)] - levels[self.wanted])
        apart = np.abs(np.delete(levels, self.wanted) - levels[self.wanted])
        return bool(np.quantile(off, 0.9) < 0.01 * apart.min(initial=abs(levels[self.wanted]))) if off.size else False

    def off(self, energies: np.ndarray) -> np.ndarray:
        """Distances of energies from the level that is wanted, none below the rounding of their numbers."""
        level = self.levels[self.wanted]
        least = float(np.finfo(energies.dtype).eps) / 2 * abs(level)
        return np.maximum(np.abs(energies.astype(float) - level), least or 1e-300)

    @property
    def off_label(self) -> str:
        return rf"$|E - E_{{{self.wanted}}}|$ / {self.unit}"


def load(folder: Path) -> SweepData:
    """The data of the folder of a sweep. Raises ValueError, naming the file, if one is missing or damaged."""
    summary, columns, frames, values = sweep_folder.read(folder)
    sweep, settings = summary["sweep"], summary["settings"]
    outcome = statistics.outcomes(columns)
    count, right = len(outcome), int(np.sum(outcome == words.RIGHT))
    wanted = (settings["state"] or 0) if settings["states"] is None else settings["states"] - 1
    return SweepData(
        title=f"{summary['potential']['name'].replace('_', ' ')}, level {wanted}: {right} of {count} starts right",
        route=f"{words.route(summary)}, seeds {settings['seed']} to {settings['seed'] + sweep['seeds'] - 1}",
        columns=columns,
        frames=frames,
        outcome=outcome,
        levels=np.array(summary["levels"]),
        wanted=wanted,
        reference=words.reference_name(summary),
        fixed=words.is_fixed(summary),
        unit=words.drawn("ħ²/2mL²"),
        vary=sweep["vary"],
        values=values,
    )


def _window(data: SweepData, energies: np.ndarray, left_out: float = 0.01) -> tuple[float, float]:
    """The energies to show: the level that is wanted, and the others but for shares `left_out` far away."""
    finite, level = energies[np.isfinite(energies)], data.levels[data.wanted]
    low, high = np.quantile(finite, [left_out, 1 - left_out]) if finite.size else (level, level)
    low, high = min(low, level), max(high, level)
    margin = 0.06 * (high - low or abs(high) or 1.0)
    return float(low - margin), float(high + margin)


def _levels(axes: Axes, data: SweepData, window: tuple[float, float], upright: bool) -> None:
    """The levels of the reference within `window` as dashed lines."""
    line, name = axes.axvline if upright else axes.axhline, f"{data.reference} levels"
    seen = data.levels[(data.levels >= window[0]) & (data.levels <= window[1])]
    for k, energy in enumerate(seen):
        line(energy, color=BLACK, linestyle=(0, (3, 2.5)), linewidth=0.9, label=None if k else name, zorder=1)


def _head(axes: Axes, data: SweepData) -> None:
    for panel in axes.get_figure().axes:  # type: ignore[union-attr]
        panel.spines[["top", "right"]].set_visible(False)  # type: ignore[call-overload]
    style.head(axes, data.title, data.route)


def energies(data: SweepData) -> Figure:
    """A histogram of the energies found, by outcome, against the levels of the reference.

    Where they are too close to the level to be told from it: of their distance from it, on a logarithmic axis.
    """
    figure, (axes,) = panels(2.5)
    energy = data.off(data.columns["energy"]) if data.close else data.columns["energy"]
    if data.close:
        low, high = style.decades([energy], 0.0) or (1e-16, 1.0)
        room = max(2.0, (30 * low / high) ** 0.5)  # more than a decade
        window = low / room, high * room
        bins = np.geomspace(*window, 41)
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        window = _window(data, energy)
        bins = np.linspace(*window, 61)
        _levels(axes, data, window, upright=True)
    names = [name for name in LOOKS if np.any(data.outcome == name)]
    groups = [energy[(data.outcome == name) & np.isfinite(energy)] for name in names]
    colors, hatches = [LOOKS[name][0] for name in names], [LOOKS[name][2] for name in names]
    axes.hist(groups, list(bins), stacked=True, color=colors, label=names, hatch=hatches, edgecolor="white",
              linewidth=0.2, zorder=2)  # fmt: skip
    beyond = sum(int(np.sum((group < window[0]) | (group > window[1]))) for group in groups)
    axes.set_xlim(*window)
    label = data.off_label if data.close else f"$E$ / {data.unit}"
    axes.set_xlabel(label + (f"   ({beyond} of {len(energy)} starts outside)" if beyond else ""))
    axes.set_ylabel("starts")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _head(axes, data)
    return figure


def fan(data: SweepData) -> Figure:
    """E against step over all starts: median, half and nine tenths of them, some one by one, and the levels.

    Where they end too close to the level to be told from it: their distance from it, on a logarithmic axis.
    """
    figure, (axes,) = panels(2.5)
    history, step = data.columns["energies"], data.frames
    finite = history[np.isfinite(history).all(axis=1)]
    if data.close:
        history, finite = data.off(history), data.off(finite)
        log_axis(axes, [history], 0.0)
        low, high = np.log10(axes.get_ylim())
    else:
        low, high = _window(data, statistics.fan(finite)[[0, -1]] if len(finite) else history, 0.0)
        _levels(axes, data, (low, high), upright=False)
        axes.set_ylim(low, high)
    for row in history[:: max(1, len(history) // LINES)][:LINES]:
        axes.plot(step, row, color=GREY, linewidth=0.4, alpha=0.5, zorder=1)
    if len(finite):
        quantiles = statistics.fan(finite)
        at = np.log10(quantiles) if data.close else quantiles
        for below, upper, alpha, name in ((0, 4, 0.25, "90 %"), (1, 3, 0.6, "50 %")):
            if np.max(at[upper] - at[below]) > 0.01 * (high - low):  # else nothing would be seen of it
                axes.fill_between(step, quantiles[below], quantiles[upper], color=SKY, alpha=alpha, linewidth=0,
                                  label=f"{name} of starts")  # fmt: skip
        axes.plot(step, quantiles[2], color=BLUE, label="median")
    style.steps(axes, np.arange(step[-1] + 1))
    axes.set_ylabel(data.off_label if data.close else f"$E$ / {data.unit}")
    _head(axes, data)
    return figure


def loss_and_error(data: SweepData) -> Figure:
    """The L2 error of psi against the loss, by outcome."""
    figure, (axes,) = panels(2.5)
    loss, error = data.columns["loss"], data.columns["relative_l2_psi"]
    for name, (color, marker, _) in LOOKS.items():
        those = data.outcome == name
        shown = those & np.isfinite(loss) & np.isfinite(error) & (loss > 0)
        if shown.any():
            axes.scatter(loss[shown], error[shown], s=9, color=color, marker=marker, alpha=0.7, linewidths=0.8,
                         label=f"{name} ({those.sum()})")  # fmt: skip
    log_axis(axes, [loss], left_out=0.0, x=True)
    log_axis(axes, [error], left_out=0.0)  # each of them is a start
    axes.set_xlabel("weighted loss")
    axes.set_ylabel(r"$L^2$ error of $\psi$")
    _head(axes, data)
    return figure


def varied(data: SweepData) -> Figure:
    """Where each value of what varies leads: the energy found, and the rate of success with its 95 % interval."""
    assert data.values is not None
    figure, (upper, lower) = panels(3.2, (0.62, 0.38))
    energy = data.columns["energy"]
    for name, (color, marker, _) in LOOKS.items():
        those = data.outcome == name
        if those.any():
            upper.scatter(data.values[those], energy[those], s=8, color=color, marker=marker, alpha=0.8,
                          linewidths=0.8, label=name)  # fmt: skip
    window = _window(data, energy)
    _levels(upper, data, window, upright=False)
    upper.set_ylim(*window)
    upper.set_ylabel(f"$E$ / {data.unit}")
    right = data.outcome == "right state"
    bins = np.array_split(np.argsort(data.values), max(1, min(20, len(right) // 8)))
    at = np.array([data.values[starts].mean() for starts in bins])
    rate = np.array([right[starts].mean() for starts in bins])
    interval = np.array([statistics.wilson(int(right[starts].sum()), len(starts)) for starts in bins])
    reach = np.abs(interval.T - rate)
    lower.errorbar(at, rate, reach, color=BLUE, marker="o", markersize=2.5, linewidth=0.9, capsize=2)
    lower.set_ylim(-0.05, 1.05)
    lower.set_xlabel(data.vary or "")
    lower.set_ylabel("right state")
    _head(upper, data)
    return figure


FIGURES: dict[str, Callable[[SweepData], Figure]] = {
    "energies": energies, "fan": fan, "loss_and_error": loss_and_error, "varied": varied,
}  # fmt: skip
ESSENTIAL = ("energies", "loss_and_error", "varied")


def save_all(folder: Path, choice: Choice = EVERYTHING) -> style.Drawn:
    """Draw the chosen figures of a sweep into its folder.

    None of an E that was given, nor of psi of a degenerate level, nor of a training where there was none.
    """
    if packet_sweep.is_one(read_summary(folder)):
        return packet_sweep.save_all(folder, choice)
    data = load(folder)
    left_out = (["varied"] if data.values is None else []) + (["energies", "fan"] if data.fixed else [])
    if not (np.isfinite(data.columns["relative_l2_psi"]) & np.isfinite(data.columns["loss"])).any():
        left_out.append("loss_and_error")
    if len(data.frames) == 1:
        left_out.append("fan")
    names = choice.some([name for name in FIGURES if name not in left_out], ESSENTIAL)
    with style.applied():
        return style.save_all({name: FIGURES[name](data) for name in names}, folder, choice)


# ------------------------------------------------------------------------------------------------------ several sweeps


def settings(
    labels: Sequence[str], series: Mapping[str, Sequence[Mapping[str, Any] | None]], title: str, names: str = "",
    goal: str = "right state",
) -> Figure:  # fmt: skip
    """Rate of success (95 % interval) and L2 error of psi (median, half, nine tenths): a row for each of `labels`.

    series   one list of the statistics of sweeps, in the order of the labels, or several to be told apart by colour;
             None where there is none
    """
    rows = np.arange(len(labels))
    several = len(series) > 1
    wrapped = [textwrap.fill(label, 36) for label in labels]
    legend = textwrap.fill(names, 36)
    lines = [line for text in (*wrapped, legend) for line in text.split("\n")]
    reserve = 0.2 + 0.055 * max(map(len, lines))  # inches for the labels
    tall = max(0.12 + 0.09 * len(series), 0.08 + 0.11 * max(text.count("\n") + 1 for text in wrapped))
    below = 0.4 + 0.11 * max(legend.count("\n") - 1, 0)
    height, width = below + 0.35 + 0.15 * several + tall * (len(labels) + 0.2), 2.8 + reserve
    figure = style.panels(height, (), width)[0]
    figure.set_layout_engine("none")  # whatever the labels are, both panels have the same place
    size = tall * (len(labels) + 0.2) / height
    left = figure.add_axes((reserve / width, below / height, 1.2 / width, size))
    right = figure.add_axes(((reserve + 1.5) / width, below / height, 1.2 / width, size), sharey=left)
    looks = zip((BLUE, RED, GREEN, ORANGE), "o^sD", strict=True)
    for number, (name, entries) in enumerate(series.items()):
        color, marker = next(looks)
        for row, entry in zip(rows + 0.22 * (number - (len(series) - 1) / 2), entries, strict=True):
            if entry is None:
                continue
            rate, interval = entry["success"]["rate"], np.array(entry["success"]["wilson_95"])
            left.errorbar(100 * rate, row, xerr=100 * np.abs(interval - rate)[:, None], fmt=marker, color=color, ms=3,
                          capsize=2.5, linewidth=1.2)  # fmt: skip
            spread = entry["relative_l2_psi"]
            if spread:
                right.plot([spread["5%"], spread["95%"]], [row, row], color=color, linewidth=1.0, alpha=0.6)
                right.plot([spread["25%"], spread["75%"]], [row, row], color=color, linewidth=3.2, alpha=0.6,
                           solid_capstyle="butt")  # fmt: skip
                right.plot(spread["median"], row, marker, color=color, markersize=3)
        if several:
            left.plot([], [], marker, color=color, markersize=3, label=name)
    left.set_xlim(-4, 104)
    left.set_xlabel(f"{goal}: starts / %" if "%" in goal else f"{goal} / %")
    right.set_xscale("log")
    low, high = np.log10(right.get_xlim())
    right.set_xlim(10 ** np.floor(low), 10 ** np.ceil(high))  # whole decades, each with its label
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set_xlabel(r"$L^2$ error of $\psi$")
    right.tick_params(labelleft=False)
    left.set_yticks(rows, wrapped)
    left.set_ylim(len(labels) - 0.4, -0.6)
    for axes in (left, right):
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    style.head(left, title, legend=several)
    figure.text((reserve - 0.08) / width, 0.02 / height, legend, ha="right", va="bottom", fontsize="small", color=GREY)
    return figure


def save_settings(folder: Path, summaries: Sequence[Mapping[str, Any]], choice: Choice = EVERYTHING) -> list[Path]:
    """Draw `settings` of several sweeps into `folder`."""
    differ = comparison.differing(summaries)
    names, labels = ", ".join(differ.names), [", ".join(row) for row in differ.values]
    if max(map(len, [names, *labels])) > comparison.LONGEST:
        names, labels = "", [comparison.clipped(label, comparison.LONGEST + 10) for label in differ.short()]
    starts = sorted({summary["statistics"]["starts"] for summary in summaries})
    title = f"{' or '.join(map(str, starts[:3]))} starts each"
    with style.applied():
        series = {"": [summary["statistics"] for summary in summaries]}
        goals = {summary["statistics"].get("goal", "right state") for summary in summaries}
        drawn = settings(labels, series, title, names, goals.pop() if len(goals) == 1 else "right")
        return style.save(drawn, folder / "settings", choice)
