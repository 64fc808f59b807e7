"""What the figures have in common: colours, sizes, titles, axes, files.

Sizes of text are relative, so that a figure in a notebook follows the reader's own settings; `STYLE` is for files.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from qpinn.report.choice import EVERYTHING, Choice
from qpinn.runs.files import write_atomically

# Okabe and Ito (2008): told apart with any colour vision; line styles and markers tell them apart in grey
BLUE, ORANGE, GREEN, RED, GREY, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#555555", "#56B4E9"
BLACK, LIGHT = "#000000", "#BBBBBB"
WIDTH = 3.4
"""Inches: a column of a journal."""
STYLE: dict[str, Any] = {
    "font.size": 7.5, "axes.titlesize": "medium", "legend.fontsize": "small", "legend.frameon": False,
    "xtick.labelsize": "small", "ytick.labelsize": "small", "lines.linewidth": 1.2,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4, "xtick.major.size": 2.5, "ytick.major.size": 2.5, "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5, "axes.labelpad": 2.5, "hatch.linewidth": 0.5, "figure.constrained_layout.h_pad": 0.025,
    "figure.constrained_layout.w_pad": 0.025, "figure.constrained_layout.hspace": 0.02, "svg.hashsalt": "qpinn",
    "svg.fonttype": "path", "pdf.fonttype": 42, "figure.dpi": EVERYTHING.dpi,
}  # fmt: skip
FINE = 0.7
"""Width of lines that are not what a figure is about."""


@contextmanager
def applied() -> Iterator[None]:
    """The style of files, whatever the settings of the process are."""
    settings: Any = STYLE
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def panels(
    height: float, ratios: Sequence[float] = (1.0,), width: float = WIDTH, sharex: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure with panels one below the other, which share x; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if not ratios:
        return figure, []
    axes = figure.subplots(len(ratios), 1, sharex=sharex, height_ratios=list(ratios), squeeze=False)
    return figure, list(axes[:, 0])


def on_axes(draw: Callable[..., None], axes: Any, *what: Any) -> Axes:
    """Axes on which `draw(axes, *what)` has drawn: those given, or those of a new figure as the reader has set them."""
    if axes is None:
        from matplotlib import pyplot

        _, axes = pyplot.subplots(layout="constrained")
    draw(axes, *what)
    made: Axes = axes
    return made


# ---------------------------------------------------------------------------------------------------- title and legend


def head(axes: Axes, title: str, below: str = "", attention: bool = False, legend: bool = True) -> None:
    """From the top down: a title at the left, in red where it asks for attention, a small line, a legend in rows."""
    height = 2.0
    entries = axes.get_legend_handles_labels()
    if legend and entries[0]:
        height += _legend(axes, *entries)
    if below:
        size = points("small")
        for note in [note for note in axes.texts if note.get_gid() == BELOW]:
            note.remove()
        axes.annotate(below, (0, 1), xytext=(0, height + 1), xycoords="axes fraction", textcoords="offset points",
                      va="bottom", fontsize=size, color=GREY, annotation_clip=False, gid=BELOW)  # fmt: skip
        height += 1.35 * size * (below.count("\n") + 1)
    lines = "\n".join(_wrapped(axes, line) for line in title.split("\n"))
    axes.set_title(lines, loc="left", color=RED if attention else "black", pad=height + 3)


BELOW = "below the title"


def _wrapped(axes: Axes, line: str) -> str:
    """A line of a title in as many as the width of the figure asks for."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    figure: Any = axes.get_figure(root=True)
    font = FontProperties(size=matplotlib.rcParams["axes.titlesize"])

    def width(text: str) -> float:
        return text_to_path.get_text_width_height_descent(text, font, ismath="$" in text)[0]

    lines: list[str] = []
    for word in line.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer) <= 0.82 * 72 * figure.get_figwidth():
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _legend(axes: Axes, handles: Any, labels: Any) -> float:
    """A legend above the axes, in as many rows as its width asks for. Returns its height in points."""
    figure: Any = axes.get_figure(root=True)
    for rows in range(1, len(labels) + 1):
        legend = axes.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1), ncol=-(-len(labels) // rows), borderaxespad=0.1,
            handlelength=1.8, columnspacing=1.1, handletextpad=0.5, borderpad=0.2, frameon=False,
        )  # fmt: skip
        extent = legend.get_window_extent()
        if extent.width <= 0.82 * figure.bbox.width:
            break
    return float(extent.height * 72 / figure.dpi)


def points(size: str) -> float:
    """A size of text by its name, in points."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=size).get_size_in_points()  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------- axes


def box(axes: Axes, data: Any) -> None:
    """An x axis over `shown` of a `RunData`: walls are hatched bars, other ends thin lines, jumps of V dotted ones."""
    left, right = data.walls
    low, high = data.shown
    margin = 0.035 * (high - low)
    for end, start, stop in ((data.ends[0], left - margin, left), (data.ends[1], right, right + margin)):
        if end == "wall":
            axes.axvspan(start, stop, facecolor="#DDDDDD", edgecolor=GREY, hatch="/////", linewidth=0, zorder=0)
        else:
            axes.axvline(left if stop == left else right, color=GREY, linewidth=FINE, zorder=1)
    for point in marked_jumps(data):
        axes.axvline(point, color=GREY, linestyle=":", linewidth=FINE, zorder=1)
    axes.set_xlim(low - margin, high + margin)
    axes.set_xlabel(data.position)


MOST_JUMPS = 30
"""Of V that are marked: the lines of more would hide psi, and V shows them itself."""


def marked_jumps(data: Any) -> Any:
    """The jumps of V or its slope that `box` marks."""
    return data.jumps if len(data.jumps) <= MOST_JUMPS else data.jumps[:0]


def common_zero(*ranges: tuple[float, float], floor: float = 0.05, headroom: float = 0.06) -> list[tuple[float, float]]:
    """Limits of several axes on which zero is at one height, each about a range (low, high) with room around it.

    Ranges are as large on the page as that allows: the smallest share of the height that one takes is maximal.
    """
    ends = np.array([(min(low, 0.0), max(high, 0.0)) for low, high in ranges])
    ends[ends[:, 0] == ends[:, 1], 1] = 1.0
    height = ends[:, 1] - ends[:, 0]
    below = np.linspace(0.0, 1.0, 401)[:, None]  # of the height, below zero
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.fmax(-ends[:, 0] / below, ends[:, 1] / (1 - below))
    best = int(np.argmin((needed / height).max(axis=1)))
    return [(-size * (below[best, 0] + floor), size * (1 - below[best, 0] + headroom)) for size in needed[best]]


def steps(axes: Axes, step: np.ndarray, label: str = "step") -> None:
    """An x axis of steps: logarithmic from 1 on where there are many, of whole numbers else."""
    axes.set_xlabel(label)
    if label == "step" and len(step) > 100:
        axes.set_xscale("symlog", linthresh=1, linscale=0.25)
        powers = 10.0 ** np.arange(np.floor(np.log10(step[-1])) + 1)
        axes.set_xticks([0.0, *powers])
        axes.set_xticks(np.outer(powers, np.arange(2, 10)).ravel(), minor=True)
        plain_numbers(axes.xaxis)
        axes.set_xlim(0, step[-1] * 1.1)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 2.5, 5, 10]))


class _Plain(ScalarFormatter):
    """Numbers as they are, those of other sizes with a power of ten each."""

    def __init__(self) -> None:
        super().__init__(useOffset=False)
        self.set_scientific(False)
        self._powers = False

    def set_locs(self, locs: Any) -> None:
        self._powers = not 1e-4 <= np.abs(locs).max(initial=0.0) < 1e5
        super().set_locs(locs)

    def __call__(self, x: float, pos: int | None = None) -> str:
        if not self._powers:
            return super().__call__(x, pos)
        digits, _, power = f"{x:.4e}".partition("e")
        return rf"${digits.rstrip('0').rstrip('.')}\!\times\!10^{{{int(power)}}}$" if x else "0"


def plain_numbers(axis: Any) -> None:
    """Ticks with all of their digits: no power of ten and no offset beside the axis, where a legend may be."""
    axis.set_major_formatter(_Plain())


def positive(values: np.ndarray) -> np.ndarray:
    """Magnitudes for a logarithmic axis: zeros and what is not finite left out."""
    size = np.abs(values)
    return np.where(np.isfinite(size) & (size > 0), size, np.nan)


def decades(curves: Sequence[np.ndarray], left_out: float = 0.02) -> tuple[float, float] | None:
    """The range of magnitudes that there is to see; the share `left_out` of the smallest does not stretch it."""
    shown = np.concatenate([np.ravel(positive(curve)) for curve in curves])
    shown = shown[np.isfinite(shown)]
    if not shown.size:
        return None
    return float(max(np.quantile(shown, left_out), shown.max() * 1e-16)), float(shown.max())


def log_axis(axes: Axes, curves: Sequence[np.ndarray], left_out: float = 0.02, x: bool = False) -> None:
    """A logarithmic y (or x) axis around what there is to see."""
    ends = decades(curves, left_out)
    if ends is None:
        axes.text(0.5, 0.5, "zero to rounding", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    axis, scale, limit = (
        (axes.xaxis, axes.set_xscale, axes.set_xlim) if x else (axes.yaxis, axes.set_yscale, axes.set_ylim)
    )
    scale("log")
    room = 2.0 + 2.0 * (ends[1] < 10 * ends[0])  # more than a decade: a power of ten is in it, others need no number
    limit(ends[0] / room, ends[1] * room)
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_minor_formatter(NullFormatter())


def level_colors(count: int) -> list[Any]:
    """A colour for each of several levels: along a map that is told apart with any colour vision and in grey."""
    return [matplotlib.colormaps["viridis"](0.9 * k / max(count - 1, 1)) for k in range(count)]


def color_bar(axes: Axes, drawn: Any, label: str, **ticks: Any) -> Any:
    """A colour bar at the right of axes, which keep their place."""
    figure: Any = axes.get_figure(root=True)
    bar = figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0.0, 0.035, 1.0)), **ticks)
    bar.set_label(label)
    bar.outline.set_linewidth(0.4)
    return bar


def level_bar(axes: Axes, indices: Sequence[int], marked: Sequence[int] = ()) -> None:
    """What the colours of levels mean; numbers of `marked` ones in red."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    edges = np.arange(len(indices) + 1) - 0.5
    mapped = ScalarMappable(BoundaryNorm(edges, len(indices)), ListedColormap(level_colors(len(indices))))
    stride = -(-len(indices) // 10)
    places = range(0, len(indices), stride)
    bar = color_bar(axes, mapped, "level $n$", ticks=places, spacing="proportional")
    bar.set_ticklabels([str(indices[k]) for k in places])
    bar.minorticks_off()
    for k, text in zip(places, bar.ax.get_yticklabels(), strict=True):
        text.set_color(RED if indices[k] in marked else "black")


# --------------------------------------------------------------------------------------------------------------- files


def freeze(figure: Figure) -> None:
    """Lay the figure out, once for all formats and frames: it takes as long as writing one."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def named(path: Path, draw: Callable[..., None], *what: Any) -> None:
    """draw(*what), the content of `path` among them. Raises ValueError, naming it, if its content cannot be drawn."""
    try:
        draw(*what)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged ({error!r})") from None


def encoded(figure: Figure, kind: str, dpi: int) -> bytes:
    """A figure that is laid out in one of `FORMATS`, byte for byte the same when the figure is the same."""
    options: dict[str, dict[str, Any]] = {
        "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
        "svg": {"metadata": {"Date": None}},
        "pdf": {"metadata": {"CreationDate": None}},
    }
    data = io.BytesIO()
    figure.savefig(data, format=kind, dpi=dpi, **options[kind])
    return data.getvalue()


def save(figure: Figure, path: Path, choice: Choice = EVERYTHING) -> list[Path]:
    """Write `path` in every format of the choice."""
    freeze(figure)
    written = [path.with_name(f"{path.name}.{kind}") for kind in choice.formats]
    for file, kind in zip(written, choice.formats, strict=True):
        write_atomically(file, encoded(figure, kind, choice.dpi))
    return written


LARGEST = 300_000
"""Bytes of a drawing beyond which a page shows a picture instead."""


class Drawn(NamedTuple):
    """What was drawn: the files, and by name what a page shows, its type (image/...) and its bytes.

    It is the same whatever the formats of the files are: a drawing, or a picture where that is smaller by much.
    """

    files: list[Path]
    shown: dict[str, tuple[str, bytes]]


def save_all(figures: Mapping[str, Figure], folder: Path, choice: Choice = EVERYTHING) -> Drawn:
    """Write every figure under its name into `folder`."""
    drawn = Drawn([], {})
    for name, figure in figures.items():
        drawn.files.extend(save(figure, folder / name, choice))
        same = "svg" in choice.formats and choice.dpi == EVERYTHING.dpi  # it takes as long to draw as all the rest
        drawing = (folder / f"{name}.svg").read_bytes() if same else encoded(figure, "svg", EVERYTHING.dpi)
        small = len(drawing) <= LARGEST
        drawn.shown[name] = ("svg+xml", drawing) if small else ("png", encoded(figure, "png", EVERYTHING.dpi))
    return drawn
