"""The levels of a box in one panel: a diagram with degeneracies and bounds, and curves of all levels along an axis."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from qpinn.report import style
from qpinn.report.box_data import BoxData
from qpinn.report.levels_figures import spread
from qpinn.report.style import BLACK, GREY, LIGHT

MOST_LABELS = 26
"""Levels with their E beside them."""

LEFT, RIGHT = 0.06, 0.5
"""Where the levels lie across the panel; their numbers are at the right."""


def level_diagram(axes: Axes, data: BoxData) -> None:
    """E as bars with their digits, side by side where levels are the same; bounds as boxes where they can be seen, and
    levels of another method as dashed lines."""
    groups: dict[int, list[int]] = {}
    for place, level in enumerate(data.levels):
        if np.isfinite(level.energy):
            groups.setdefault(level.group, []).append(place)
    shown = [data.levels[place] for members in groups.values() for place in members]
    energies = [level.energy for level in shown] + [level.reference for level in shown if level.reference is not None]
    low, high = min(energies, default=-1.0), max(energies, default=1.0)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_ylim(low - room, high + room)
    colors = style.level_colors(len(groups))
    drawn = False
    for color, members in zip(colors, groups.values(), strict=True):
        wide = (RIGHT - LEFT) / len(members)
        for at, place in enumerate(members):
            level = data.levels[place]
            left, right = LEFT + at * wide + 0.006, LEFT + (at + 1) * wide - 0.006
            if level.bounds and level.bounds[1] - level.bounds[0] > 0.008 * (high - low + 2 * room):
                axes.fill_between([left, right], *level.bounds, color=LIGHT, alpha=0.6, linewidth=0,
                                  label=None if drawn else "bounds")  # fmt: skip
                drawn = True
            axes.plot([left, right], [level.energy] * 2, color=color, linewidth=1.4, solid_capstyle="butt")
            if level.reference is not None:
                axes.plot([left, right], [level.reference] * 2, color=BLACK, linewidth=0.7, linestyle=(0, (4, 3)))
    order = sorted(zip(groups.values(), colors, strict=True), key=lambda pair: data.levels[pair[0][0]].energy)
    _numbers(axes, data, [members for members, _ in order], [color for _, color in order])
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_ylabel(f"$E$ / {data.energy_unit}")
    style.plain_numbers(axes.yaxis)


def _numbers(axes: Axes, data: BoxData, groups: list[list[int]], colors: list) -> None:
    """Indices and E of every group at the right, tied to its bar."""
    size = 1.3 * style.points("small")
    figure = axes.get_figure(root=True)
    gap = size / (0.82 * figure.get_figheight() * 72)  # type: ignore[union-attr]
    if len(groups) > min(MOST_LABELS, 1 / gap):
        style.level_bar(axes, [data.levels[members[0]].index for members in groups])
        return
    low, high = axes.get_ylim()
    share = np.array([(data.levels[members[0]].energy - low) / (high - low) for members in groups])
    for members, at, tied, color in zip(groups, spread(share, gap), share, colors, strict=True):
        first, last = data.levels[members[0]], data.levels[members[-1]]
        indices = f"{first.index}" if len(members) == 1 else f"{first.index}–{last.index}"
        many = f"  ×{first.multiplicity}" if first.multiplicity > 1 else ""
        axes.annotate(f"{indices}:  {first.digits}{many}", xy=(RIGHT, tied), xytext=(RIGHT + 0.08, at),
                      xycoords="axes fraction", textcoords="axes fraction", va="center", fontsize="small",
                      arrowprops={"arrowstyle": "-", "color": color, "lw": 0.6, "shrinkA": 1, "shrinkB": 0},
                      )  # fmt: skip


def ridges(axes: Axes, data: BoxData, axis: int, curves: np.ndarray, signed: bool) -> None:
    """Curves (K, n) of all levels along an axis, each above the line of its level, on one scale."""
    x, count = data.x[axis], len(curves)
    height = (0.48 if signed else 0.9) / np.abs(curves).max()
    colors = style.level_colors(count)
    for place in range(count - 1, -1, -1):
        index, curve = data.levels[place].index, height * curves[place]
        axes.axhline(index, color=LIGHT, linewidth=0.4, zorder=1)
        axes.fill_between(x, index, index + curve, color=colors[place], alpha=0.22, linewidth=0, zorder=2)
        axes.plot(x, index + curve, color=colors[place], linewidth=0.9, zorder=3)
    for point in data.breakpoints[axis]:
        axes.axvline(point, color=GREY, linestyle=":", linewidth=style.FINE, zorder=1)
    first = data.levels[0].index
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(first - (0.6 if signed else 0.15), first + count - 0.4 + (0.0 if signed else 0.5))
    stride = -(-count // 10)
    axes.set_yticks(range(first, first + count, stride))
    axes.set_xlabel(data.position(axis))
    axes.set_ylabel("level $n$")
    axes.spines[["top", "right"]].set_visible(False)
