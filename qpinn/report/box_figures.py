"""The figures of a box: from the files of its folder alone, or on axes in a notebook."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qpinn.report import box_data, box_maps, run_figures, style, words
from qpinn.report.box_data import ALONE, BoxData
from qpinn.report.box_levels import level_diagram, ridges
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.report.style import GREY, WIDTH

ESSENTIAL = ("levels", "states", "marginals", "residual", "energy")

MOST_SHEET, MOST_ALONE = 24, 12
"""Levels that a sheet shows, and that have a figure of their own."""

SURFACE = f"surface: {100 * box_maps.SHARE:.0f} % of the probability inside; red: ψ > 0, blue: ψ < 0"


New = Callable[[float, float], Figure]
"""What makes an empty figure of some width and height, in inches."""


def _new(width: float, height: float) -> Figure:
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def names(data: BoxData) -> list[str]:
    """The figures that there are of a box."""
    if data.dimension > 3:
        return ["levels", "marginals"]
    alone = [f"{ALONE}{level.index}" for level in data.levels[:MOST_ALONE]]
    sheets = ["states", "densities", "cuts", "residual"] if data.dimension == 2 else ["states", "cuts", "residual"]
    trained = ["energy", "loss"] if data.courses else []
    if trained and data.courses[0].fixed:  # E that was given has no course
        trained = trained[1:]
    return ["levels", *(sheets if len(data.levels) > 1 else sheets[-2:]), *trained, *alone]


def figure(name: str, data: BoxData, new: New = _new) -> Figure:
    """One of the figures of `names`, begun by `new`."""
    if name.startswith(ALONE):
        place = data.place(int(name.removeprefix(ALONE)))
        return (_alone if data.dimension == 2 else _in_space)(data, place, new)
    if name in ("energy", "loss"):
        return _course(name, data, new)
    drawn: dict[str, Callable[[BoxData, New], Figure]] = {
        "levels": _levels, "marginals": _marginals, "cuts": _cuts,
        "states": _states if data.dimension == 2 else _surfaces, "densities": _densities,
        "residual": _residuals if data.dimension == 2 else _residual_planes,
    }  # fmt: skip
    return drawn[name](data, new)


def draw(data: BoxData, choice: Choice = EVERYTHING) -> dict[str, Figure]:
    """Every figure that is chosen, by its name. To be called under `style.applied()`."""
    essential = (*ESSENTIAL, f"{ALONE}{data.levels[0].index}") if len(data.levels) == 1 else ESSENTIAL
    return {name: figure(name, data) for name in choice.some(names(data), essential)}


def save_all(folder: Path, choice: Choice = EVERYTHING) -> style.Drawn:
    """Draw the chosen figures of a box into its folder. Raises ValueError as `box_data.load`."""
    data = box_data.load(folder)
    with style.applied():
        try:
            figures = draw(data, choice)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder / 'wavefunction.npz'}: damaged ({error!r})") from None
        return style.save_all(figures, folder, choice)


def in_session(name: str, data: BoxData) -> Any:
    """The axes of a figure that a session shows, with the settings of the reader: one, or an array of several."""
    from matplotlib import pyplot

    made = figure(name, data, lambda width, height: pyplot.figure(figsize=(1.7 * width, 1.7 * height),
                                                                  layout="constrained"))  # fmt: skip
    axes = [panel for panel in made.axes if panel.get_label() != "<colorbar>" and panel.get_visible()]
    return axes[0] if len(axes) == 1 else np.array(axes)


def on_axes(name: str, data: BoxData, place: int, axes: Axes) -> Axes:
    """A level on the axes that are given: "states", "densities" or "residual" of two coordinates, "states" of three in
    space, or "levels", which are all."""
    if name == "levels":
        level_diagram(axes, data)
    elif name == "states" and data.dimension == 3:
        space: Any = axes
        box_maps.surface(space, data, place)
        space.set(**{f"{letter}label": data.position(axis) for axis, letter in enumerate("xyz")})
    elif data.dimension == 2:
        kinds: dict[str, Callable[[], tuple[Any, str]]] = {
            "states": lambda: (box_maps.psi(axes, data, place), data.psi_label(r"$\psi$", "-1")),
            "densities": lambda: (box_maps.density(axes, data, place), data.psi_label(r"$|\psi|^2$", "-2")),
            "residual": lambda: (box_maps.residual(axes, data, place, _ends(data, [name])), data.residual_label),
        }  # fmt: skip
        drawn, label = kinds[name]()
        style.color_bar(axes, drawn, label)
    else:
        raise ValueError(f"ax: {name} of {data.dimension} coordinates take axes of their own; leave it out")
    axes.set_title(data.title if name == "levels" else f"{data.name}, {data.energy(place)}", loc="left")
    return axes


# ---------------------------------------------------------------------------------------------------------- one level


def _alone(data: BoxData, place: int, new: New) -> Figure:
    """psi and |psi|^2 of a level of two coordinates, side by side, or one below the other where the box is wide."""
    beside = _ratio(data) > 0.75
    made, axes = _grid(data, new, 2, 2 if beside else 1, bars=0.42 if beside else -0.3, head=0.26)
    drawn = box_maps.psi(axes.flat[0], data, place), box_maps.density(axes.flat[1], data, place)
    labels = data.psi_label(r"$\psi$", "-1"), data.psi_label(r"$|\psi|^2$", "-2")
    for panel, image, label in zip(axes.flat, drawn, labels, strict=True):
        _bar(made, image, [panel], label, "bottom" if beside else "right", 0.5)
        panel.label_outer()
    _head(made, f"{data.name}, {data.energy(place)}", _said(data, place) or _lines(data))
    return made


def _in_space(data: BoxData, place: int, new: New) -> Figure:
    """|psi|^2 of a level of three coordinates on three planes through its largest value, and as a surface."""
    made = new(WIDTH, 3.9)
    axes = [made.add_subplot(2, 2, at) for at in (1, 2, 3)]
    for axis, panel in zip((2, 1, 0), axes, strict=True):
        drawn = box_maps.density(panel, data, place, axis=axis)
        panel.set_title(box_maps.through(data, place, axis), fontsize="small", pad=2)
    _bar(made, drawn, axes, data.psi_label(r"$|\psi|^2$", "-3"))
    space: Any = made.add_subplot(2, 2, 4, projection="3d")
    box_maps.surface(space, data, place)
    _space_labels(space, data)
    _head(made, f"{data.name}, {data.energy(place)}", "\n".join(filter(None, [_said(data, place), SURFACE])))
    return made


def _said(data: BoxData, place: int) -> str:
    """How a level ended, its symmetry and multiplicity."""
    level = data.levels[place]
    many = f"{level.multiplicity}-fold" if level.multiplicity > 1 else ""
    return "; ".join(filter(None, [level.remark, level.symmetry, many]))


def _lines(data: BoxData) -> str:
    """What the lines of a map are."""
    jumps = any(data.breakpoints) or len(data.grid["switches"])
    smooth = "" if box_maps.is_stepped(data.grid["v"]) else "lines: V; dashed: V = E"
    return "; ".join(filter(None, [smooth, "dotted: V may jump or bend" if jumps else ""]))


# ------------------------------------------------------------------------------------------------------------- sheets


def _states(data: BoxData, new: New) -> Figure:
    """psi of every level of two coordinates."""
    most = float(np.abs(data.grid["psi"][:MOST_SHEET]).max())
    return _sheet(
        data, new, lambda panel, place: box_maps.psi(panel, data, place, most), data.psi_label(r"$\psi$", "-1")
    )


def _densities(data: BoxData, new: New) -> Figure:
    """|psi|^2 of every level of two coordinates, each by its largest value."""
    return _sheet(data, new, lambda panel, place: box_maps.density(panel, data, place, own=True),
                  r"$|\psi|^2$ / its largest value")  # fmt: skip


def _residuals(data: BoxData, new: New) -> Figure:
    """|H psi - E psi| of every level of two coordinates."""
    ends = _ends(data, ["residual"])
    return _sheet(data, new, lambda panel, place: box_maps.residual(panel, data, place, ends), data.residual_label,
                  _edges(data))  # fmt: skip


def _edges(data: BoxData) -> str:
    """What the lines of a map of the residual are."""
    return "" if data.courses else "lines: edges of the segments"


def _sheet(data: BoxData, new: New, draw_on: Callable[[Axes, int], Any], label: str, below: str = "") -> Figure:
    """A map of every level, with one colour bar."""
    count = min(len(data.levels), MOST_SHEET)
    columns = 1 if count == 1 else 2 if count <= 4 else 3 if count <= 12 else 4
    titles = 0.27 + 0.18 * any(level.remark for level in data.levels[:count])
    made, axes = _grid(data, new, count, columns, titles=titles, bars=0.36, head=0.2)
    for place, panel in enumerate(axes.flat):
        if place >= count:
            panel.set_visible(False)
            continue
        drawn = draw_on(panel, place)
        _caption(panel, data, place, "x-small" if columns <= 3 else "xx-small")
        box_maps.ticks(panel, 3)
        panel.label_outer()
    _bar(made, drawn, list(axes.flat), label)
    left_out = f"; the lowest {count} of {len(data.levels)}" if count < len(data.levels) else ""
    _head(made, f"{data.title}{left_out}", below or _lines(data))
    return made


def _surfaces(data: BoxData, new: New) -> Figure:
    """Surfaces of |psi|^2 of every level of three coordinates."""
    count = min(len(data.levels), MOST_SHEET)
    columns = 2 if count <= 4 else 3 if count <= 12 else 4
    rows = -(-count // columns)
    made = new(WIDTH, 0.45 + rows * (WIDTH / columns + 0.12))
    for place in range(count):
        panel: Any = made.add_subplot(rows, columns, place + 1, projection="3d")
        box_maps.surface(panel, data, place)
        _space_labels(panel, data, ticks=False)
        _caption(panel, data, place)
    _head(made, data.title, SURFACE)
    return made


def _residual_planes(data: BoxData, new: New) -> Figure:
    """|H psi - E psi| of levels of three coordinates on three planes through the largest |psi|."""
    count = min(len(data.levels), 8)
    ends = _ends(data, [f"residual_{axis}" for axis in range(3)])
    made = new(WIDTH, 0.75 + 0.9 * count)
    axes = made.subplots(count, 3, squeeze=False)
    for place in range(count):
        for axis, panel in zip((2, 1, 0), axes[place], strict=True):
            drawn = box_maps.residual(panel, data, place, ends, axis)
            panel.set_title(box_maps.through(data, place, axis), fontsize="x-small", pad=2)
            box_maps.ticks(panel, 3)
            if place < count - 1:
                panel.set_xlabel("")
        axes[place, 0].set_ylabel(f"level {data.levels[place].index}\n{axes[place, 0].get_ylabel()}")
    _bar(made, drawn, list(axes.flat), data.residual_label)
    _head(made, data.title, _edges(data))
    return made


def _ends(data: BoxData, of: Sequence[str]) -> tuple[float, float]:
    """Ends of logarithmic colours, beyond which few points are: those on a curve where V jumps are on neither side."""
    size = np.concatenate([np.abs(data.grid[name]).ravel() for name in of])
    size = size[np.isfinite(size) & (size > 0)]
    if not size.size:
        return 1e-16, 1e-15
    low, high = np.quantile(size, [0.1, 0.9995]).tolist()
    return max(min(low, high / 10), high * 1e-8), high


def _cuts(data: BoxData, new: New) -> Figure:
    """psi of every level along each axis, through the place of the largest |psi|."""
    count = len(data.levels)
    made = new(WIDTH, data.dimension * (1.0 + 0.14 * min(count, 20)) + 0.4)
    axes = made.subplots(data.dimension, 1, squeeze=False)[:, 0]
    for axis, panel in enumerate(axes):
        rows = []
        for place in range(count):
            at = [slice(None) if other == axis else index for other, index in enumerate(data.peak(place))]
            rows.append(data.grid["psi"][place][tuple(at)])
        ridges(panel, data, axis, np.array(rows), signed=True)
    most = np.abs(data.grid["psi"]).max()
    unit = data.psi_label("", f"{-data.dimension / 2:g}").removeprefix(" / ")
    _head(
        made,
        data.title,
        f"ψ along each axis through the place of the largest |ψ|, at most {most:.3g}\N{NO-BREAK SPACE}{unit}",
    )
    return made


def _marginals(data: BoxData, new: New) -> Figure:
    """|psi|^2 of every level along each axis, integrated over all others."""
    columns = 2 if data.dimension <= 6 else 3
    rows = -(-data.dimension // columns)
    made = new(WIDTH, rows * (0.7 + 0.12 * min(len(data.levels), 20)) + 0.4)
    axes = made.subplots(rows, columns, squeeze=False, sharey=True)
    for axis, panel in enumerate(axes.flat):
        if axis < data.dimension:
            ridges(panel, data, axis, data.grid[f"density_{axis}"], signed=False)
        else:
            panel.set_visible(False)
        if axis % columns:
            panel.set_ylabel("")
    _head(made, data.title, "|ψ|² along each axis, integrated over all others")
    return made


def _levels(data: BoxData, new: New) -> Figure:
    made = new(WIDTH, 3.2)
    panel = made.subplots()
    level_diagram(panel, data)
    below = "no bounds: " + data.reason if data.reason and not data.courses else data.route
    if any(level.reference is not None for level in data.levels):
        below += f"\ndashed: {data.courses[0].reference_name}"
    _head(made, data.title, below)
    return made


def _course(name: str, data: BoxData, new: New) -> Figure:
    """E or the loss of every level against step."""
    drawn = run_figures.panels(name, data.courses)
    made = new(WIDTH, run_figures.HEIGHTS.get(name, 2.5))
    axes = made.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    run_figures.filled(list(axes), drawn)
    title = "\n".join([data.title, *words.grouped((one.index, one.remark) for one in data.courses if one.remark)])
    style.head(axes[0], title, data.route, attention=any(one.remark for one in data.courses))
    return made


# ------------------------------------------------------------------------------------------------------------- layout


def _ratio(data: BoxData) -> float:
    """Height over width of a map."""
    x, y = data.x[:2]
    ratio = (y[-1] - y[0]) / (x[-1] - x[0])
    return float(ratio) if 1 / box_maps.LONGEST <= ratio <= box_maps.LONGEST else 1.0


def _grid(
    data: BoxData, new: New, count: int, columns: int, titles: float = 0.0, bars: float = 0.0, head: float = 0.0
) -> tuple[Figure, Any]:
    """A figure with `count` maps in columns, as high as they ask for; heights of what is not a map in inches."""
    rows = -(-count // columns)
    wide = (WIDTH - 0.6) / columns
    made = new(WIDTH, rows * (wide * _ratio(data) + titles) + bars + head + 0.35)
    made.set_layout_engine("compressed")  # for panels of a shape that is given
    return made, made.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)


def _caption(panel: Axes, data: BoxData, place: int, size: str = "x-small") -> None:
    """Index, degeneracy and E of a level above its map."""
    level = data.levels[place]
    many = f" (×{level.multiplicity})" if level.multiplicity > 1 else ""
    lines = [f"level {level.index}{many}", f"{level.digits}{data.behind}", level.remark]
    panel.set_title("\n".join(filter(None, lines)), fontsize=size, pad=2)


def _bar(made: Figure, drawn: Any, panels: Sequence[Axes], label: str, at: str = "bottom", share: float = 1.0) -> None:
    """A colour bar beside panels that take a `share` of the width of the figure, or of its height."""
    width, height = made.get_size_inches()
    across, along = (width, height) if at == "right" else (height, width)
    bar = made.colorbar(drawn, ax=list(panels), location=at, fraction=1.7 * THICK / across, pad=0.06 / across,
                        aspect=0.85 * share * along / THICK,
                        extend="both" if isinstance(drawn.norm, LogNorm) else "neither")  # fmt: skip
    bar.set_label(label)
    bar.outline.set_linewidth(0.4)  # type: ignore[operator]
    if isinstance(drawn.norm, LogNorm):
        bar.ax.minorticks_off()
    else:
        bar.locator = MaxNLocator(4)
        bar.update_ticks()


THICK = 0.08
"""Inches, of a colour bar."""


def _head(made: Figure, title: str, below: str) -> None:
    """A title at the left, and small grey lines at the foot."""
    made.suptitle("\n".join(textwrap.wrap(title, 58)), x=0.01, ha="left", fontsize="medium")
    if below:
        lines = [part for line in below.split("\n") for part in textwrap.wrap(line, 72)]
        made.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize="small", color=GREY)


def _space_labels(panel: Any, data: BoxData, ticks: bool = True) -> None:
    """Names of the axes in space, which the layout does not leave room for."""
    panel.figure.get_layout_engine().set(rect=(0, 0, 0.97, 1), h_pad=0.05)
    for set_label, axis in zip((panel.set_xlabel, panel.set_ylabel, panel.set_zlabel), range(3), strict=True):
        set_label(data.position(axis) if ticks else box_data.symbol(data.names[axis]), labelpad=-10 if ticks else -16)
    panel.tick_params(pad=-4, labelsize="x-small")
    for side in (panel.xaxis, panel.yaxis, panel.zaxis):
        side.set_pane_color((1, 1, 1, 0))
        side.line.set_linewidth(0.5)
        side.set_major_locator(MaxNLocator(3))
        if not ticks:
            side.set_ticklabels([])
    panel.grid(False)
