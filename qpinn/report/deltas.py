"""Dirac deltas in figures: arrows on V with their strengths, marks where V is not shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from qpinn.report.style import GREY

OFF, AROUND = 3.0, 1.5
"""Points between an arrow and its strength, and around that to what else is drawn."""
MOST = 8
"""Strengths that are written; of more the lengths of the arrows tell."""
PLACES = 16
"""Heights at which a strength may stand, on either side of its arrow."""


def marks(axes: Axes, data: Any) -> None:
    """Where deltas are, on axes without V: arrows at the lower edge, up where they repel."""
    for position, strength in data.deltas:
        if data.shown[0] <= position <= data.shown[1]:
            axes.plot(position, 0.0, marker="^" if strength > 0 else "v", color=GREY, clip_on=False, zorder=3,
                      markersize=3, transform=axes.get_xaxis_transform())  # fmt: skip


def arrows(axes: Axes, data: Any, bottom: float, top: float) -> None:
    """Deltas as arrows from V = 0, as long as they are strong: up towards `top` where they repel, else down.

    To be called when all else is drawn within its limits: the strength of the first of several that are alike stands
    beside it where it hides least, no curve at all where there is room. Of more than `MOST` the strongest alone has it.
    """
    strongest = np.abs(data.deltas[:, 1]).max(initial=0.0)
    shown = data.deltas[(data.deltas[:, 0] >= data.shown[0]) & (data.deltas[:, 0] <= data.shown[1])]
    taken, ways = _curves(axes), []
    for position, strength in shown.tolist():
        tip = (top if strength > 0 else bottom) * (0.25 + 0.6 * abs(strength) / strongest)
        axes.annotate("", (position, tip), (position, 0.0), zorder=1,
                      arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0,
                                  "mutation_scale": 7})  # fmt: skip
        ways.append(axes.transData.transform([(position, tip), (position, 0.0)]))
    taken += map(Path, ways)
    first = np.diff(shown[:, 1], prepend=np.nan) != 0
    if first.sum() > MOST:
        first = np.arange(len(shown)) == np.argmax(np.abs(shown[:, 1]))
    for way, (position, strength) in zip(np.array(ways)[first], shown[first].tolist(), strict=True):
        note = axes.annotate(rf"{strength:.4g} $\delta$".replace("-", "−"), (position, 0.0), xytext=(OFF, 0.0),
                             va="center", textcoords="offset points", fontsize="small", color=GREY, zorder=5,
                             bbox={"color": "white", "alpha": 0.7, "pad": 0.5})  # fmt: skip
        taken.append(_placed(note, way, taken))


def _curves(axes: Axes) -> list[Path]:
    """Lines on these axes and those that share their place, in dots."""
    lines = [line for drawn in axes.get_shared_x_axes().get_siblings(axes) for line in drawn.get_lines()]
    return [line.get_transform().transform_path(line.get_path()) for line in lines if len(line.get_xdata())]


def _placed(note: Annotation, way: np.ndarray, taken: Sequence[Path]) -> Path:
    """Put a note beside a way (2, 2) from the tip of an arrow to its base, as near the tip as it lies on nothing of
    `taken`, or else on least of it. Returns its outline. All in dots."""
    axes: Any = note.axes
    size, dot = note.get_window_extent(), axes.get_figure(root=True).dpi / 72
    inward = np.sign(way[1, 1] - way[0, 1]) * (size.height / 2 + AROUND * dot)
    heights = np.linspace(way[0, 1] + inward, way[1, 1] - inward, PLACES)

    def box(side: int, height: float) -> Bbox:
        left = way[0, 0] + side * OFF * dot - (size.width if side < 0 else 0.0)
        return Bbox.from_bounds(left, height - size.height / 2, size.width, size.height)

    def hidden(place: tuple[int, float]) -> int:
        around = box(*place).padded(AROUND * dot)
        outside = not (axes.bbox.x0 <= around.x0 and around.x1 <= axes.bbox.x1)
        return sum(path.intersects_bbox(around, filled=False) for path in taken) + len(taken) * outside

    side, height = min(((side, height) for height in heights for side in (-1, 1)), key=hidden)
    note.xy = (note.xy[0], axes.transData.inverted().transform((way[0, 0], height))[1])
    note.set_position((side * OFF, 0.0))
    note.set_horizontalalignment("right" if side < 0 else "left")
    return Path(box(side, height).corners()[[0, 1, 3, 2, 0]])
