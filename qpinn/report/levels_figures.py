"""The figures of several states of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qpinn.report import run_data, style
from qpinn.report.run_data import RunData
from qpinn.report.style import GREY, RED, legend_row, log_axis, one_panel, positive
from qpinn.report.words import grouped

MOST = 24
"""Levels whose numbers find room beside a figure."""


def _remarks(states: Sequence[RunData]) -> list[str]:
    """A line for each way to end that is not the right state."""
    lines = grouped((state.index, state.remark) for state in states if state.remark)
    return lines if len(lines) <= 4 else [*lines[:3], f"and {len(lines) - 3} more, see results.json"]


def _title(states: Sequence[RunData], what: str) -> str:
    """The potential, what is shown, and how those levels ended that are not right."""
    return "\n".join([f"{states[0].name}{what}", *_remarks(states)])


def _shade(states: Sequence[RunData], k: int) -> Any:
    """A colour for state k: along a map that is told apart with any colour vision and in grey."""
    return matplotlib.colormaps["viridis"](0.9 * k / max(len(states) - 1, 1))


def _lifted(states: Sequence[RunData], curves: Sequence[np.ndarray], title: str) -> Figure:
    """The levels on the potential, each curve lifted to its energy, with those bounds that can be seen.

    A level without a function is left out; one in a wrong state is dotted.
    """
    data = states[0]
    figure, axes = one_panel(title, height=4.6, attention=bool(_remarks(states)))
    style.box(axes, data)
    shown = [k for k, state in enumerate(states) if not state.empty and np.isfinite(state.energy)]
    energies = np.array([states[k].energy for k in shown])
    bottom, top = min([data.v.min(), *energies]), max(energies, default=data.v.min())
    top = top if top > bottom else bottom + max(abs(bottom), 1.0)
    gap = (top - bottom) / len(states)
    reach = max((float(np.abs(curves[k]).max()) for k in shown), default=1.0)
    apart = np.diff(np.sort(energies))
    height = 0.9 * max(gap, float(np.median(apart)) if apart.size else 0.0) / reach
    deepest = min((states[k].energy + height * float(np.nanmin(curves[k])) for k in shown), default=bottom)
    low, high = min(bottom, deepest) - 0.06 * (top - bottom), top + 1.3 * height * reach
    axes.plot(data.x, np.clip(data.v, low, 2 * high - low), color=GREY, linewidth=1.1)
    axes.fill_between(data.x, np.clip(data.v, low, 2 * high - low), low, color="#BBBBBB", alpha=0.35, linewidth=0)
    style.deltas(axes, data.deltas, low, high)
    for k in shown:
        state, color = states[k], _shade(states, k)
        axes.hlines(state.energy, *data.walls, color=color, linewidth=0.7, linestyle=(0, (4, 3)))
        axes.plot(data.x, state.energy + height * curves[k], color=color, linewidth=1.3,
                  linestyle=":" if state.remark else "-")  # fmt: skip
    axes.set_ylim(low, high)
    _show_where_psi_is(axes, [states[k] for k in shown])
    _bounds(axes, states, 0.012 * (high - low))
    _numbers(axes, [states[k] for k in shown], [_shade(states, k) for k in shown])
    axes.set_xlabel(data.position)
    axes.set_ylabel(f"V and E / {data.energy_unit}")
    return figure


def _show_where_psi_is(axes: Axes, states: Sequence[RunData]) -> None:
    """Leave out the far ends of a box in which no psi is to be seen."""
    if not states:
        return
    data = states[0]
    seen = data.x[np.any([np.abs(state.psi) > 1e-2 * np.abs(state.psi).max() for state in states], axis=0)]
    if seen.size and np.ptp(seen) < 0.75 * np.ptp(data.walls):
        axes.set_xlim(seen[0] - 0.05 * np.ptp(seen), seen[-1] + 0.05 * np.ptp(seen))


def _bounds(axes: Axes, states: Sequence[RunData], least: float) -> None:
    """The bounds of those levels whose distance is above `least`, as bars side by side within the walls."""
    left, right = axes.get_xlim()
    left, right = max(left, states[0].walls[0]), min(right, states[0].walls[1])
    drawn = 0
    for k, state in enumerate(states):
        lower, upper = state.bounds
        if lower is None or upper is None or upper - lower < least:
            continue
        at, middle = right - (0.03 + 0.025 * (drawn % 8)) * (right - left), (lower + upper) / 2
        axes.errorbar(at, middle, (upper - lower) / 2, color=_shade(states, k), fmt="none", linewidth=1.2, capsize=2.5,
                      label=None if drawn else "bounds of a level", clip_on=True)  # fmt: skip
        drawn += 1
    if drawn:
        legend_row(axes)


def _numbers(axes: Axes, states: Sequence[RunData], colors: Sequence[Any]) -> None:
    """The numbers of the levels at the right, each tied to its energy, apart where energies are close."""
    axes.text(1.115, 0.5, "level n", transform=axes.transAxes, rotation=90, ha="left", va="center", fontsize=10)
    axes.spines["right"].set_visible(True)
    stride = -(-len(states) // MOST)
    labelled = [k for k in range(len(states)) if k % stride == 0]
    low, high = axes.get_ylim()
    order = sorted(labelled, key=lambda k: states[k].energy)
    heights = spread(np.array([(states[k].energy - low) / (high - low) for k in order]), 0.036)
    for k, at in zip(order, heights, strict=True):
        axes.annotate(
            str(states[k].index), xy=(1.0, (states[k].energy - low) / (high - low)), xytext=(1.05, at),
            xycoords="axes fraction", textcoords="axes fraction", va="center", fontsize=9,
            color=RED if states[k].remark else "black", arrowprops={"arrowstyle": "-", "color": colors[k], "lw": 0.7},
        )  # fmt: skip


def spread(values: np.ndarray, gap: float) -> np.ndarray:
    """Ascending values (n,) moved as little as possible so that they are `gap` apart, within 0 and 1 if they fit."""
    from scipy import optimize

    grid = gap * np.arange(len(values))
    moved = optimize.isotonic_regression(values - grid).x
    return np.clip(moved, 0.0, max(1.0 - gap * (len(values) - 1), 0.0)) + grid


def levels(states: Sequence[RunData]) -> Figure:
    """psi of every level on the potential, lifted to its energy."""
    return _lifted(states, [state.psi for state in states], _title(states, ": ψ"))


def densities(states: Sequence[RunData]) -> Figure:
    """|psi|^2 of every level on the potential, lifted to its energy."""
    return _lifted(states, [state.psi**2 for state in states], _title(states, ": |ψ|²"))


def _each(
    states: Sequence[RunData], curve: Callable[[RunData], tuple[np.ndarray, np.ndarray]], log: bool = True
) -> tuple[Figure, Axes]:
    """A curve for every state, by default on a logarithmic axis."""
    title = _title(states, f", levels {states[0].index} to {states[-1].index}")
    figure, axes = one_panel(title, attention=bool(_remarks(states)))
    curves = [curve(state) for state in states]
    for k, (x, y) in enumerate(curves):
        named = len(states) <= 10 or k in (0, len(states) - 1)
        axes.plot(x, positive(y) if log else y, color=_shade(states, k), linewidth=1.1,
                  linestyle=":" if states[k].remark else "-", marker="o" if len(x) < 40 else None, markersize=2.5,
                  label=str(states[k].index) if named else None)  # fmt: skip
    if log:
        log_axis(axes, [y for _, y in curves])
    box = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="n", handlelength=1.2)
    marked = {str(state.index) for state in states if state.remark}
    for text in box.get_texts():
        text.set_color(RED if text.get_text() in marked else "black")
    return figure, axes


def _peaks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest |y| in each of about a hundred stretches of the grid, and their middles."""
    starts = np.arange(0, len(x), -(-len(x) // 100))
    return (x[starts] + x[np.append(starts[1:], len(x)) - 1]) / 2, np.maximum.reduceat(np.abs(y), starts)


def residuals(states: Sequence[RunData]) -> Figure:
    """|H psi - E psi| of every level along x, the largest of every few points: it oscillates between zeros.

    Not of psi = 0, whose residual is the smallest.
    """
    nothing = np.full(1, np.nan)
    figure, axes = _each(
        states, lambda state: (nothing, nothing) if state.empty else _peaks(state.x, state.residual)
    )  # fmt: skip
    style.box(axes, states[0])
    axes.set_xlabel(states[0].position)
    axes.set_ylabel(states[0].residual_label)
    return figure


def _steps(state: RunData) -> np.ndarray:
    """The steps of its history; the index of the level where there is but one, as without any training."""
    return state.history["step"] if len(state.history["step"]) != 1 else np.array([state.index])


def _axis(states: Sequence[RunData]) -> str:
    """What `_steps` are."""
    return "step" if len(states[0].history["step"]) > 1 else "level n"


def energies(states: Sequence[RunData]) -> Figure:
    """The error of E of every level against step, before the last Rayleigh-Ritz; E where no error is known."""
    errors = {state.index: state.energy_errors for state in states}
    if all(error is None for error in errors.values()):
        figure, axes = _each(states, lambda state: (_steps(state), state.history["energy"]), log=False)
        axes.set_ylabel(f"E / {states[0].energy_unit}")
    else:
        nothing = np.full(1, np.nan)

        def curve(state: RunData) -> tuple[np.ndarray, np.ndarray]:
            error = errors[state.index]
            return (nothing, nothing) if error is None else (_steps(state), error)

        figure, axes = _each(states, curve)
        axes.set_ylabel("relative error of E")
    style.whole_steps(axes, _axis(states))
    if any(state.reference_error > run_data.ROUNDING for state in states):
        axes.set_xlabel(f"{_axis(states)}   (errors end at that of the reference)")
    return figure


def losses(states: Sequence[RunData]) -> Figure:
    """The loss of every level against step."""
    figure, axes = _each(states, lambda state: (_steps(state), state.history["total"]))
    style.whole_steps(axes, _axis(states))
    axes.set_ylabel("weighted loss")
    return figure


FIGURES: dict[str, Callable[[Sequence[RunData]], Figure]] = {
    "levels": levels,
    "densities": densities,
    "residual": residuals,
    "energy": energies,
    "loss": losses,
}
"""Of several states."""
