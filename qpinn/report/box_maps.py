"""What there is to draw of a level of two or three coordinates, each on axes that are given."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from qpinn.report import isosurface, style
from qpinn.report.box_data import BoxData, symbol
from qpinn.report.style import BLACK, GREY

PSI, DENSITY, RESIDUAL = "RdBu_r", "BuPu", "viridis"

LINES = 6
"""Of V that are drawn below the highest level, about."""

SHARE = 0.8
"""Of the probability that an isosurface holds."""

LONGEST = 4.0
"""Ratio of the sides of a map beyond which lengths along them are not drawn alike."""

POSITIVE, NEGATIVE = "#C0392B", "#2E6DA4"
"""Of the lobes of an isosurface: those of `PSI`."""

LIGHT_FROM = np.array([-0.45, -0.6, 0.66])


def plane(data: BoxData, values: np.ndarray, axis: int, at: int) -> np.ndarray:
    """Values of two coordinates, or of three on the plane across `axis` through the point `at` of it."""
    return values if data.dimension == 2 else np.take(values, at, axis=axis)


def across(data: BoxData, axis: int) -> tuple[int, int]:
    """The two axes of a map: of three coordinates those in the plane across `axis`."""
    first, second = (other for other in range(data.dimension) if data.dimension == 2 or other != axis)
    return first, second


def _image(axes: Axes, data: BoxData, values: np.ndarray, sides: tuple[int, int], **look: Any) -> Any:
    """Values on the points of two axes as colours between them."""
    x, y = (data.x[side] for side in sides)
    pads = [(points[-1] - points[0]) / (len(points) - 1) / 2 for points in (x, y)]
    extent = (x[0] - pads[0], x[-1] + pads[0], y[0] - pads[1], y[-1] + pads[1])
    drawn = axes.imshow(values.T, origin="lower", extent=extent, interpolation="bilinear", zorder=0, **look)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    long = (x[-1] - x[0]) / (y[-1] - y[0])
    axes.set_aspect("equal" if 1 / LONGEST <= long <= LONGEST else "auto")
    axes.set_xlabel(data.position(sides[0]))
    axes.set_ylabel(data.position(sides[1]))
    ticks(axes, 5)
    return drawn


def ticks(axes: Axes, most: int) -> None:
    """No more numbers than these on each side of a map."""
    for side in (axes.xaxis, axes.yaxis):
        side.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
        style.plain_numbers(side)


def is_stepped(v: np.ndarray) -> bool:
    """Whether V is constant but for jumps."""
    return len(np.unique(v)) <= 16


def _potential(axes: Axes, data: BoxData, place: int, axis: int = 0, at: int = 0, lines: bool = True) -> None:
    """V as thin lines, V = E of the level as a dashed one, and where V jumps or bends as dotted ones."""
    sides = across(data, axis)
    x, y = (data.x[side] for side in sides)
    v = plane(data, data.grid["v"], axis, at)
    energy, top = data.levels[place].energy, max(level.energy for level in data.levels)
    stepped = is_stepped(v)
    low = float(v.min())
    if lines and not stepped and min(top, float(v.max())) > low:
        heights = low + (min(top, float(v.max())) - low) * np.arange(1, 2 * LINES) / LINES
        axes.contour(x, y, v.T, levels=heights, colors=GREY, linewidths=0.35, alpha=0.55, zorder=1)
    if not stepped and v.min() < energy < v.max():
        axes.contour(x, y, v.T, levels=[energy], colors=BLACK, linewidths=0.6, linestyles=[(0, (4, 2.5))], zorder=2)
    for side, line in zip(sides, (axes.axvline, axes.axhline), strict=True):
        for point in data.breakpoints[side]:
            line(point, color=BLACK, linestyle=":", linewidth=0.7, zorder=2)
    for values in data.grid["switches"]:
        g = plane(data, values, axis, at)
        if g.min() < 0 < g.max():
            axes.contour(x, y, g.T, levels=[0.0], colors=BLACK, linewidths=0.7, linestyles=":", zorder=2)


def psi(axes: Axes, data: BoxData, place: int, most: float | None = None) -> Any:
    """psi of a level of two coordinates over V; `most` is the end of the colours."""
    values = data.grid["psi"][place]
    end = np.abs(values).max() if most is None else most
    drawn = _image(axes, data, values, (0, 1), cmap=PSI, norm=Normalize(-end, end))
    _potential(axes, data, place)
    return drawn


def density(axes: Axes, data: BoxData, place: int, axis: int = 0, own: bool = False) -> Any:
    """|psi|^2 of a level over V, divided by its largest value if that is its `own` scale; of three coordinates on the
    plane across `axis` through this value."""
    at = data.peak(place)[axis]
    values = plane(data, data.grid["psi"][place] ** 2, axis, at)
    end = (data.grid["psi"][place] ** 2).max()
    values, end = (values / end, 1.0) if own else (values, end)
    drawn = _image(axes, data, values, across(data, axis), cmap=DENSITY, norm=Normalize(0, end))
    _potential(axes, data, place, axis, at)
    return drawn


def residual(axes: Axes, data: BoxData, place: int, ends: tuple[float, float], axis: int = 0) -> Any:
    """|H psi - E psi| of a level in logarithmic colours between `ends`, with the edges of the segments."""
    name = "residual" if data.dimension == 2 else f"residual_{axis}"
    size = np.maximum(np.nan_to_num(np.abs(data.grid[name][place])), ends[0])
    drawn = _image(axes, data, size, across(data, axis), cmap=RESIDUAL, norm=LogNorm(*ends))
    for side, line in zip(across(data, axis), (axes.axvline, axes.axhline), strict=True):
        for edge in data.grid[f"edges_{side}"][1:-1]:
            line(edge, color="white", linewidth=0.25, alpha=0.5, zorder=1)
    return drawn


def through(data: BoxData, place: int, axis: int) -> str:
    """The plane across an axis through the largest |psi| of a level, in words: x = 0.71."""
    value = data.x[axis][data.peak(place)[axis]]
    step = float(np.diff(data.x[axis])[0])
    decimals = max(0, -int(np.floor(np.log10(step))))
    return f"{symbol(data.names[axis])} = {round(float(value), decimals) + 0.0:.{decimals}f}".replace("-", "−")


def surface(axes: Any, data: BoxData, place: int) -> None:
    """On axes in space: where |psi|^2 is so large that `SHARE` of the probability is inside, by the sign of psi."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    values = data.grid["psi"][place]
    level = isosurface.enclosing(values**2, SHARE)
    faces = isosurface.triangles(data.x, values**2, level)
    middle = faces.mean(axis=1)
    slopes = np.stack([_between(data, part, middle) for part in np.gradient(values**2, *data.x)], axis=1)
    normal = -slopes / np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), 1e-300)
    bright = 0.45 + 0.55 * np.clip(normal @ LIGHT_FROM, 0, 1)
    gleam = 0.35 * np.clip(normal @ LIGHT_FROM, 0, 1)[:, None] ** 20
    lobes = _between(data, values, middle)[:, None] > 0
    colors = np.where(lobes, *(matplotlib.colors.to_rgb(name) for name in (POSITIVE, NEGATIVE))) * bright[:, None]
    colors = np.clip(colors + gleam, 0, 1)
    axes.add_collection3d(Poly3DCollection(faces, facecolors=colors, edgecolors=colors, linewidths=0.15,
                                           rasterized=True))  # fmt: skip
    spans = [(x[0], x[-1]) for x in data.x]
    reach = np.array([[faces[..., axis].min(), faces[..., axis].max()] for axis in range(3)])
    half = 0.55 * np.ptp(reach, axis=1).max()
    for limits, (low, high), span in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), reach, spans, strict=True):
        center = (low + high) / 2
        limits(max(span[0], center - half), min(span[1], center + half))
    axes.set_box_aspect([np.ptp(limit()) for limit in (axes.get_xlim, axes.get_ylim, axes.get_zlim)], zoom=1.15)
    axes.view_init(elev=22, azim=-52)


def _between(data: BoxData, values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of the grid at places (T, 3), linear between its points."""
    from scipy import ndimage

    index = [(places[:, axis] - x[0]) / (x[1] - x[0]) for axis, x in enumerate(data.x)]
    return np.asarray(ndimage.map_coordinates(values, index, order=1, mode="nearest"))
