"""What there is to draw of several states of a run, each on axes that are given."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from qpinn.report import deltas, run_data, style
from qpinn.report.run_data import Course, RunData
from qpinn.report.style import GREY, LIGHT, RED, log_axis, positive
from qpinn.report.words import grouped


def remarks(states: Sequence[RunData]) -> list[str]:
    """A line for each way to end that is not the right state."""
    lines = grouped((state.index, state.remark) for state in states if state.remark)
    return lines if len(lines) <= 4 else [*lines[:3], f"and {len(lines) - 3} more, see results.json"]


def title(states: Sequence[RunData]) -> str:
    """The potential with its levels, E of the first and the last, and how those levels ended that are not right."""
    first, last = states[0], states[-1]
    energies = textwrap.fill(f"$E$ = {first.digits} to {last.digits}{last.behind}", 50)  # digits are wide
    return "\n".join([f"{first.name}, levels {first.index} to {last.index}", energies, *remarks(states)])


class Lifted(NamedTuple):
    """What was drawn of levels: `height` of an energy for one of the curve; lines by the place of the state."""

    height: float
    curves: dict[int, Any]
    lines: dict[int, Any]


def lifted(axes: Axes, states: Sequence[RunData], curves: Sequence[np.ndarray]) -> Lifted:
    """The levels on the potential, each curve lifted to its energy, with those bounds that can be seen.

    A level without a function is left out; one in a wrong state is dotted.
    """
    data, colors = states[0], style.level_colors(len(states))
    style.box(axes, data)
    shown = [k for k, state in enumerate(states) if not state.empty and np.isfinite(state.energy)]
    energies = np.array([states[k].energy for k in shown])
    bottom, top = min([data.v.min(), *energies]), max(energies, default=data.v.min())
    top = top if top > bottom else bottom + max(abs(bottom), 1.0)
    reach = max((float(np.abs(curves[k]).max()) for k in shown), default=1.0)
    apart = np.diff(np.sort(energies))
    height = 0.9 * max((top - bottom) / len(states), float(np.median(apart)) if apart.size else 0.0) / reach
    deepest = min((states[k].energy + height * float(np.nanmin(curves[k])) for k in shown), default=bottom)
    low, high = min(bottom, deepest) - 0.06 * (top - bottom), top + 1.3 * height * reach
    if len(data.deltas):
        low, high = min(low, -0.1 * (high - low)), max(high, 0.0)
    v = np.clip(data.v, low, 2 * high - low)
    axes.plot(data.x, v, color=GREY, linewidth=0.9)
    axes.fill_between(data.x, v, low, color=LIGHT, alpha=0.35, linewidth=0)
    drawn = Lifted(height, {}, {})
    for k in shown:
        drawn.lines[k] = axes.axhline(states[k].energy, color=colors[k], linewidth=0.5, linestyle=(0, (4, 3)))
        (drawn.curves[k],) = axes.plot(data.x, states[k].energy + height * curves[k], color=colors[k],
                                       linewidth=1.1 if len(shown) < 20 else 0.8,
                                       linestyle=":" if states[k].remark else "-")  # fmt: skip
    axes.set_ylim(low, high)
    deltas.arrows(axes, data, 0.9 * low, 0.9 * high)
    _bounds(axes, states, colors, 0.012 * (high - low))
    _numbers(axes, [states[k] for k in shown], [colors[k] for k in shown])
    axes.set_ylabel(f"$V$ and $E$ / {data.energy_unit}")
    style.plain_numbers(axes.yaxis)
    return drawn


def _bounds(axes: Axes, states: Sequence[RunData], colors: Sequence[Any], least: float) -> None:
    """The bounds of those levels whose distance is above `least`, as bars side by side within the walls."""
    left, right = states[0].shown
    drawn = 0
    for k, state in enumerate(states):
        lower, upper = state.bounds
        if lower is None or upper is None or upper - lower < least:
            continue
        at, middle = right - (0.03 + 0.025 * (drawn % 8)) * (right - left), (lower + upper) / 2
        axes.errorbar(at, middle, (upper - lower) / 2, color=colors[k], fmt="none", linewidth=1.0, capsize=2,
                      label=None if drawn else "bounds of a level", clip_on=True)  # fmt: skip
        drawn += 1


def _numbers(axes: Axes, states: Sequence[RunData], colors: Sequence[Any]) -> None:
    """The number of every level at the right, tied to its energy, apart where energies are close.

    Where there is no room for all of them a colour bar says which colour is which level.
    """
    size = 1.25 * style.points("small")
    gap = size / (axes.get_window_extent().height * 72 / axes.get_figure(root=True).dpi)  # type: ignore[union-attr]
    if len(states) * gap > 1:
        style.level_bar(axes, [state.index for state in states], [state.index for state in states if state.remark])
        return
    low, high = axes.get_ylim()
    order = sorted(range(len(states)), key=lambda k: states[k].energy)
    heights = spread(np.array([(states[k].energy - low) / (high - low) for k in order]), gap)
    for k, at in zip(order, heights, strict=True):
        axes.annotate(
            str(states[k].index), xy=(1.0, (states[k].energy - low) / (high - low)), xytext=(1.05, at),
            xycoords="axes fraction", textcoords="axes fraction", va="center", fontsize="small",
            color=RED if states[k].remark else "black",
            arrowprops={"arrowstyle": "-", "color": colors[k], "lw": 0.6, "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip
    axes.annotate("level $n$", (1.13, 0.5), xycoords="axes fraction", rotation=90, ha="left", va="center")


def spread(values: np.ndarray, gap: float) -> np.ndarray:
    """Ascending values (n,) moved as little as possible so that they are `gap` apart, within 0 and 1 if they fit."""
    from scipy import optimize

    grid = gap * np.arange(len(values))
    moved = optimize.isotonic_regression(values - grid).x
    return np.clip(moved, 0.0, max(1.0 - gap * (len(values) - 1), 0.0)) + grid


def levels(axes: Axes, states: Sequence[RunData]) -> None:
    """psi of every level on the potential, lifted to its energy."""
    lifted(axes, states, [state.aligned for state in states])


def densities(axes: Axes, states: Sequence[RunData]) -> None:
    """|psi|^2 of every level on the potential, lifted to its energy."""
    lifted(axes, states, [state.psi**2 for state in states])


def residuals(axes: Axes, states: Sequence[RunData]) -> None:
    """|H psi - E psi| over x and level as colours, the largest of every few points: it oscillates between zeros.

    Not of psi = 0, whose residual is the smallest.
    """
    data = states[0]
    style.box(axes, data)
    inside = np.flatnonzero((data.x >= data.shown[0]) & (data.x <= data.shown[1]))
    starts = inside[:: -(-len(inside) // 160)]
    sizes = np.abs([np.full(len(data.x), np.nan) if state.empty else state.residual for state in states])
    largest = np.maximum.reduceat(sizes[:, : inside[-1] + 1], starts, axis=1)
    low, high = style.decades([largest]) or (1e-16, 1.0)
    rows = np.arange(len(states) + 1) + data.index - 0.5
    drawn = axes.pcolormesh(np.append(data.x[starts], data.shown[1]), rows, np.ma.masked_invalid(positive(largest)),
                            norm=LogNorm(min(low, high / 10), high), cmap="viridis", rasterized=True)  # fmt: skip
    for state in states:
        if state.empty:
            axes.text(0.5, state.index, "no function", transform=axes.get_yaxis_transform(), ha="center", va="center",
                      fontsize="small", color=RED)  # fmt: skip
    style.color_bar(axes, drawn, data.residual_label, extend="min")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel("level $n$")


def _steps(state: Course) -> np.ndarray:
    """The steps of its history; the index of the level where there is but one, as without any training."""
    return state.history["step"] if len(state.history["step"]) != 1 else np.array([state.index])


def _each(axes: Axes, states: Sequence[Course], curves: Sequence[np.ndarray], bar: bool = True) -> None:
    """A curve against step for every state; where there was no training, a point for every level."""
    trained = len(states[0].history["step"]) > 1
    for state, curve, color in zip(states, curves, style.level_colors(len(states)), strict=True):
        step = _steps(state)
        axes.plot(step, curve, color=color, linewidth=1.0, linestyle=":" if state.remark else "-",
                  marker="o" if len(step) < 40 else None, markersize=2.0)  # fmt: skip
    longest = max((_steps(state) for state in states), key=len)
    style.steps(axes, longest, "step" if trained else "level $n$")
    if bar and trained:
        style.level_bar(axes, [state.index for state in states], [state.index for state in states if state.remark])


def energies(axes: Axes, states: Sequence[Course]) -> None:
    """E of every level against step."""
    _each(axes, states, [state.history["energy"] for state in states])
    axes.set_ylabel(f"$E$ / {states[0].energy_unit}")
    style.plain_numbers(axes.yaxis)


def energy_errors(axes: Axes, states: Sequence[Course]) -> None:
    """The relative error of E of every level against step, before the last Rayleigh-Ritz, where one is known."""
    known = [state.energy_errors for state in states]
    curves = [
        np.full(len(_steps(state)), np.nan) if curve is None else curve
        for state, curve in zip(states, known, strict=True)
    ]
    _each(axes, states, [positive(curve) for curve in curves], bar=False)
    log_axis(axes, curves)
    axes.set_ylabel("relative error of $E$")
    if any(state.reference_error > run_data.ROUNDING for state in states):
        axes.set_xlabel(f"{axes.get_xlabel()}   (errors end at that of the reference)")


def losses(axes: Axes, states: Sequence[Course]) -> None:
    """The loss of every level against step."""
    curves = [state.history["total"] for state in states]
    _each(axes, states, [positive(curve) for curve in curves])
    log_axis(axes, curves, left_out=0.0)
    axes.set_ylabel("weighted loss")


Panel = Callable[[Axes, Sequence[RunData]], None]

PANELS: dict[str, tuple[Panel, ...]] = {
    "levels": (levels,),
    "densities": (densities,),
    "residual": (residuals,),
    "energy": (energies, energy_errors),
    "loss": (losses,),
}
"""The figures of several states: each a panel, or several that share x."""
