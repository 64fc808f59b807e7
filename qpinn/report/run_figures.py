"""The figures of a run, drawn from the files of its folder alone: those of a single state here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qpinn.report import levels_figures, run_data, style
from qpinn.report.run_data import RunData
from qpinn.report.style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    SKY,
    STYLE,
    legend_row,
    log_axis,
    one_panel,
    positive,
    two_panels,
)

FLOOR, HEADROOM = 0.06, 0.16
"""Parts of the height below and above what a panel of psi shows: V starts where psi does."""


def _panel(data: RunData) -> tuple[Figure, Axes]:
    return one_panel(data.title, attention=bool(data.remark))


def _potential(axes: Axes, data: RunData) -> None:
    """V as a grey area, deltas as bars and E as a line, on an axis of their own at the right."""
    right = axes.twinx()
    right.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    energy = np.nan_to_num(data.energy)
    bottom, top = min(energy, data.v.min()), max(energy, data.v.max())
    if bottom - 2 * (top - bottom) < 0.0 < top + 2 * (top - bottom):  # a constant far from zero would hide all of V
        bottom, top = min(0.0, bottom), max(0.0, top)
    if top - bottom > 50 * (energy - bottom) > 0:  # a steep wall: what lies near E is to be seen
        top = energy + 2 * (energy - bottom)
    right.fill_between(data.x, data.v, bottom, color="#BBBBBB", alpha=0.45, linewidth=0)
    right.plot(data.x, data.v, color=GREY, linewidth=0.9)
    style.deltas(right, data.deltas, bottom, top)
    right.axhline(data.energy, color=RED, linewidth=0.9, linestyle=(0, (6, 3)))
    _limits(right, bottom, top)
    right.set_ylabel(f"V (grey) and E (red) / {data.energy_unit}", fontsize=8.5)
    right.spines["right"].set_visible(True)
    right.yaxis.get_offset_text().set_horizontalalignment("left")


def _limits(axes: Axes, low: float, high: float) -> None:
    """Show from `low` to `high`, with the same parts of the height left free on every axis."""
    height = max(high - low, 1e-12) / (1 - FLOOR - HEADROOM)
    axes.set_ylim(low - FLOOR * height, low + (1 - FLOOR) * height)


def _per(symbol: str, length: str, power: str) -> str:
    """A label: a symbol over its unit, a power of the unit of length."""
    unit = length if len(length) == 1 else rf"\mathrm{{{length}}}"
    return rf"${symbol}\ /\ {unit}^{{{power}}}$"


def _curves(axes: Axes, data: RunData, psi: np.ndarray, reference: np.ndarray | None) -> None:
    """A function of the network over that of the reference, on V."""
    style.box(axes, data)
    _potential(axes, data)
    axes.plot(data.x, psi, color=BLUE, label="network")
    shown = [psi, np.zeros(1)]
    if reference is not None:
        axes.plot(data.x, reference, color=ORANGE, linestyle="--", linewidth=1.3, label=data.reference_name)
        shown.append(reference)
    values = np.nan_to_num(np.concatenate(shown))
    _limits(axes, values.min(), values.max())
    legend_row(axes)


def wavefunction(data: RunData) -> Figure:
    """psi over V with that of the reference, and below it the pointwise error; the residual where there is none."""
    psi = data.aligned
    figure, upper, lower = two_panels(data.title, attention=bool(data.remark))
    _curves(upper, data, psi, data.reference)
    upper.set_ylabel(_per("\\psi(x)", data.units[0], "-1/2"))
    style.box(lower, data)
    lower.set_xlabel(data.position)
    if data.reference is None or data.empty:
        off, label = data.residual, data.residual_label
    else:
        off, label = psi - data.reference, f"|ψ − {data.reference_name}|"
    lower.plot(data.x, positive(off), color=RED, linewidth=1.0)
    log_axis(lower, [off])
    lower.set_ylabel(label, fontsize=9)
    return figure


def density(data: RunData) -> Figure:
    """|psi|^2 over V."""
    figure, axes = _panel(data)
    axes.fill_between(data.x, data.psi**2, color=SKY, alpha=0.35, linewidth=0)
    _curves(axes, data, data.psi**2, None if data.reference is None else data.reference**2)
    axes.set_xlabel(data.position)
    axes.set_ylabel(_per("|\\psi(x)|^2", data.units[0], "-1"))
    return figure


def residual(data: RunData) -> Figure:
    """|H psi - E psi| along x, with the segments of the ansatz."""
    figure, axes = _panel(data)
    style.box(axes, data)
    for edge in data.edges:
        axes.axvline(edge, ymax=0.03, color="black", linewidth=0.9)
    axes.plot(data.x, positive(data.residual), color=BLUE, linewidth=1.0)
    log_axis(axes, [data.residual])
    axes.set_xlabel(f"{data.position}   (ticks inside: segments; dotted: breakpoints)")
    axes.set_ylabel(data.residual_label)
    return figure


def _steps(axes: Axes, data: RunData, values: np.ndarray, **look: Any) -> None:
    step = data.history["step"]
    axes.plot(step, values, marker="o" if len(step) < 40 else None, markersize=3, **look)


def energy(data: RunData) -> Figure:
    """E against step with the level of the reference, and below it the relative error, where one is known."""
    errors, level = data.energy_errors, data.reference_energy
    if errors is None or level is None:
        figure, upper = _panel(data)
        lower = upper
    else:
        figure, upper, lower = two_panels(data.title, 0.5, attention=bool(data.remark))
    _steps(upper, data, data.history["energy"], color=BLUE, label="network")
    if errors is not None and level is not None:
        upper.axhline(level, color=ORANGE, linestyle="--", linewidth=1.3, label=data.reference_name)
        _steps(lower, data, errors, color=RED)
        if data.reference_error > max(run_data.ROUNDING, 0.01 * float(np.nanmin(np.abs(errors), initial=np.inf))):
            lower.axhline(data.reference_error, color=GREY, linestyle=":", linewidth=1.0, label="that of the reference")
            lower.legend(loc="upper right")
        log_axis(lower, [errors])
        lower.set_ylabel("relative error of E")
        off = np.abs(data.history["energy"] - level)
        if np.nanmax(off, initial=0.0) < 1e-6 * abs(level):  # a scale on which the curve lies flat on its line
            upper.set_ylim(*(level + abs(level) * np.array([-0.01, 0.01])))
    upper.set_ylabel(f"E / {data.energy_unit}")
    legend_row(upper)
    style.whole_steps(lower)
    return figure


def loss(data: RunData) -> Figure:
    """The terms of the loss against step."""
    figure, axes = _panel(data)
    terms = (("pde", "equation", BLUE, "-"), ("norm", "norm", ORANGE, "--"), ("total", "total", GREY, ":"))
    for name, label, color, line in terms:
        _steps(axes, data, positive(data.history[name]), color=color, linestyle=line, label=label)
    log_axis(axes, [data.history[name] for name, *_ in terms])
    style.whole_steps(axes)
    axes.set_ylabel("weighted loss")
    legend_row(axes)
    return figure


FIGURES: dict[str, Callable[[RunData], Figure]] = {
    "wavefunction": wavefunction,
    "density": density,
    "residual": residual,
    "energy": energy,
    "loss": loss,
}
"""Of a single state."""


def draw(states: list[RunData]) -> dict[str, Figure]:
    """Every figure of a run by its name; none of an E that was given."""
    names = [name for name in FIGURES if name != "energy" or not states[0].fixed]
    if len(states) == 1:
        return {name: FIGURES[name](states[0]) for name in names}
    several = levels_figures.FIGURES
    return {name: several[name](states) for name in several if name != "energy" or not states[0].fixed}


def save_all(folder: Path) -> list[Path]:
    """Draw every figure of a run into its folder. Raises ValueError as `run_data.load`."""
    states = run_data.load(folder)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        return style.save_all(draw(states), folder)
