"""What the figures have in common: colours, sizes, axes, files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from qpinn.runs.files import write_atomically

# Okabe and Ito (2008): told apart with any colour vision; line styles tell them apart in grey
BLUE, ORANGE, GREEN, RED, GREY, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#555555", "#56B4E9"
STYLE: dict[str, Any] = {
    "font.size": 9, "axes.labelsize": 10, "legend.fontsize": 8.5, "legend.frameon": False, "lines.linewidth": 1.6,
    "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "qpinn", "svg.fonttype": "path",
    "axes.formatter.limits": (-3, 6), "axes.formatter.use_mathtext": False,
}  # fmt: skip
ENERGY = "energy / (ħ²/2mL²)"


def blank(height: float, width: float = 5.6) -> Figure:
    """An empty figure, sizes in inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


HEAD, LINE = 0.42, 0.17
"""Inches above a panel for a title and a legend, and for each further line of the title."""


def one_panel(title: str, height: float = 3.5, attention: bool = False) -> tuple[Figure, Axes]:
    """A figure with a title at the left, in red where it asks for attention; it grows by the lines of the title."""
    total = height + LINE * title.count("\n")
    figure = blank(total)
    bottom = 0.5
    axes = figure.add_axes((0.14, bottom / total, 0.72, (height - HEAD - bottom) / total))
    _titled(axes, title, attention)
    return figure, axes


def two_panels(title: str, ratio: float = 0.62, attention: bool = False) -> tuple[Figure, Axes, Axes]:
    """Two panels that share x, the upper one taking `ratio` of the height."""
    figure = blank(4.6)
    bottom, total, gap = 0.11, 0.80, 0.04
    low = (1 - ratio) * total - gap / 2
    lower = figure.add_axes((0.14, bottom, 0.72, low))
    upper = figure.add_axes((0.14, bottom + low + gap, 0.72, ratio * total - gap / 2), sharex=lower)
    upper.tick_params(labelbottom=False)
    _titled(upper, title, attention)
    return figure, upper, lower


def _titled(axes: Axes, title: str, attention: bool) -> None:
    axes.set_title(title, fontsize=10, loc="left", color=RED if attention else "black")


def box(axes: Axes, data: Any) -> None:
    """Walls of a `RunData` as hatched bars, other ends as thin lines, breakpoints as dotted ones, and a little room."""
    left, right = data.walls
    margin = 0.035 * (right - left)
    for end, start, stop in ((data.ends[0], left - margin, left), (data.ends[1], right, right + margin)):
        if end == "wall":
            axes.axvspan(start, stop, facecolor="#DDDDDD", edgecolor=GREY, hatch="////", linewidth=0, zorder=0)
        else:
            axes.axvline(left if stop == left else right, color=GREY, linewidth=0.7, zorder=1)
    for point in data.breakpoints:
        axes.axvline(point, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    axes.set_xlim(left - margin, right + margin)


def deltas(axes: Axes, positions_and_strengths: np.ndarray, bottom: float, top: float) -> None:
    """Dirac deltas (d, 2) as bars from zero: to `top` where they repel, to `bottom` where they attract."""
    for position, strength in positions_and_strengths:
        axes.vlines(position, 0.0, top if strength > 0 else bottom, color="#999999", linewidth=2.2, zorder=1)


def whole_steps(axes: Axes, label: str = "step") -> None:
    """An x axis of steps, or of other whole numbers."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.set_xlabel(label)


def legend_row(axes: Axes) -> None:
    """In a row of its own above the axes, the title above it."""
    axes.set_title(axes.get_title(loc="left"), fontsize=10, loc="left", pad=19)
    axes.yaxis.get_offset_text().set_horizontalalignment(
        "right"
    )  # the power of ten of large numbers, beside the legend
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncol=5, borderaxespad=0.2, handlelength=1.8, columnspacing=1.1,
        handletextpad=0.5, borderpad=0.2,
    )  # fmt: skip


def positive(values: np.ndarray) -> np.ndarray:
    """Magnitudes for a logarithmic axis: zeros and what is not finite left out."""
    size = np.abs(values)
    return np.where(np.isfinite(size) & (size > 0), size, np.nan)


def log_axis(axes: Axes, curves: list[np.ndarray], left_out: float = 0.02) -> None:
    """A logarithmic y axis around what there is to see; the share `left_out` of the smallest does not stretch it."""
    shown = np.concatenate([positive(curve) for curve in curves])
    shown = shown[np.isfinite(shown)]
    if not shown.size:
        axes.text(0.5, 0.5, "zero to rounding", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    axes.set_yscale("log")
    top = shown.max()
    low = max(np.quantile(shown, left_out), top * 1e-16)
    axes.set_ylim(low / 4, top * 6)  # more than a decade: a power of ten is in it, and no others need their numbers
    axes.yaxis.set_minor_formatter(NullFormatter())


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path` as .png and .svg, byte for byte the same when the figure is the same."""
    png, svg = save_png(figure, path.with_suffix(".png")), path.with_suffix(".svg")
    _write(figure, svg, metadata={"Date": None})
    return [png, svg]


def save_png(figure: Figure, path: Path) -> Path:
    """Write `path`, the same bytes when the figure is the same."""
    _write(figure, path, dpi=150, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
    return path


def _write(figure: Figure, path: Path, **options: Any) -> None:
    data = io.BytesIO()
    figure.savefig(data, format=path.suffix[1:], **options)
    write_atomically(path, data.getvalue())


def save_all(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write every figure under its name into `folder`."""
    return [path for name, figure in figures.items() for path in save(figure, folder / name)]
