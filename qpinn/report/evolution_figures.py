"""Figures of a packet in time, from the files of its folder alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from qpinn.report import evolution, style
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.report.evolution_data import EvolutionData
from qpinn.report.style import BLACK, BLUE, FINE, GREEN, GREY, LIGHT, ORANGE
from qpinn.runs import evolution as files

FRAMES = 5
"""Times of the figure of |psi|^2 with its phase."""

MAP = "magma"
"""Of |psi|^2: dark where there is nothing, and lighter the more there is, in grey too."""


def save_all(folder: Path, choice: Choice = EVERYTHING, told: Callable[..., Any] | None = None) -> style.Drawn:
    """Draw the figures of evolve.json and evolve.npz into their folder, and an animation where that is asked for.

    told  is called with how many frames of the animation are done, and of how many

    Raises ValueError, naming the file, if one is missing or damaged.
    """
    data = EvolutionData(*files.read(folder))
    with style.applied():
        figures: dict[str, Figure] = {}

        def draw() -> None:
            names = [name for name in DRAWN if name != "training" or data.loss is not None]
            figures.update({name: DRAWN[name](data) for name in choice.some(names, ESSENTIAL)})

        style.named(folder / files.NAME, draw)
        drawn = style.save_all(figures, folder, choice)
        if choice.animate:
            from qpinn.report import evolution_animation

            drawn.files.extend(evolution_animation.save(folder, data, choice, told))
    return drawn


def draw_density(axes: Axes, data: EvolutionData) -> None:
    """|psi|^2 over x and t; dotted lines where V jumps. Colours are stretched where there is little."""
    image = _density(axes, data)
    style.color_bar(axes, image, data.per_length)
    style.head(axes, data.title, data.below)


def _density(axes: Axes, data: EvolutionData) -> Any:
    largest = float(data.density.max())
    image = axes.pcolormesh(data.x, data.t, data.density, cmap=MAP, norm=PowerNorm(0.5, 0.0, largest),
                            shading="nearest", rasterized=True)  # fmt: skip
    for point in style.marked_jumps(data):
        axes.axvline(point, color=LIGHT, linestyle=":", linewidth=FINE)
    axes.set_xlim(*data.shown)
    axes.set_ylim(data.t[0], data.t[-1])
    axes.set_xlabel(data.position)
    axes.set_ylabel(data.time)
    return image


def density(data: EvolutionData) -> Figure:
    """V, and below it |psi|^2 over x and t."""
    figure, (upper, lower) = style.panels(3.6, (0.22, 0.78))
    image = _density(lower, data)
    bar = style.color_bar(lower, image, data.per_length)
    bar.set_ticks(_ticks(float(data.density.max())))
    low, high = data.range
    room = 0.08 * (high - low)
    upper.fill_between(data.x, data.v, low - room, color=LIGHT, alpha=0.45, linewidth=0)
    upper.plot(data.x, data.v, color=GREY, linewidth=FINE)
    energy = float(data.series("energy")[0])
    upper.axhline(energy, color=style.RED, linewidth=0.9, linestyle=(0, (6, 2, 1, 2)))
    upper.annotate(r"$\langle E \rangle$", (1.02, energy), xycoords=upper.get_yaxis_transform(), va="center",
                   color=style.RED, fontsize="small")  # fmt: skip
    upper.set_ylim(low - room, high + room)
    upper.set_ylabel(f"$V$ / {data.unit('energy')}")
    upper.spines[["top", "right"]].set_visible(False)
    style.head(upper, data.title, data.below, legend=False)
    return figure


def _ticks(largest: float) -> list[float]:
    """Round numbers from 0, not too dense where the colours are stretched."""
    step = 10.0 ** np.floor(np.log10(largest))
    step *= next(factor for factor in (1.0, 0.5, 0.2) if largest / (step * factor) >= 2)
    values = step * np.arange(0, int(largest / step) + 1)
    stride = -(-(len(values) - 1) // 5)
    return [float(value) for value in values[::stride]]


def bound(data: EvolutionData) -> Figure:
    """The bound on |psi - exact| and the estimate of it over t; of a network its error, and the bound of what it is
    compared with."""
    figure, (axes,) = style.panels(2.4)
    own = evolution.trained(data.content)
    lines = [(data.series("bound"), "bound", BLUE, "-"),
             (data.series("estimate"), "error" if own else "estimate", ORANGE, (0, (4, 2)))]  # fmt: skip
    if data.exact is not None:
        lines.append((np.asarray(data.exact), "bound of the default route", GREEN, (0, (1, 1))))
    for values, label, color, line in lines:
        if np.isfinite(values).any():
            axes.plot(data.t, style.positive(values), color=color, linestyle=line, label=label)
    drawn = [values for values, *_ in lines]
    if not own:
        tol = float(data.content["tol"])
        axes.axhline(tol, color=GREY, linestyle=":", linewidth=FINE, label="tol")
        drawn.append(np.array([tol]))
    style.log_axis(axes, drawn, left_out=0.0)
    axes.set_ylabel(r"$\|\psi - \mathrm{exact}\|$")
    _over_time(axes, data)
    style.head(axes, data.title)
    return figure


def training(data: EvolutionData) -> Figure:
    """The loss of a network over the steps of its training."""
    figure, (axes,) = style.panels(2.4)
    assert data.loss is not None
    step = np.arange(len(data.loss))
    axes.plot(step, style.positive(data.loss), color=BLUE, linewidth=FINE)
    style.log_axis(axes, [data.loss])
    style.steps(axes, step)
    axes.set_ylabel("loss")
    axes.spines[["top", "right"]].set_visible(False)
    style.head(axes, data.title, data.below, legend=False)
    return figure


def course(data: EvolutionData) -> Figure:
    """Norm, energy and <x> over t."""
    figure, (norm, energy, position) = style.panels(3.6, (0.3, 0.3, 0.4))
    off = np.abs(data.series("norm") - 1)
    norm.plot(data.t, np.maximum(off, 1e-16), color=BLUE)
    style.log_axis(norm, [np.maximum(off, 1e-16)])
    norm.set_ylabel(r"$|\,\|\psi\| - 1|$")
    energy.plot(data.t, data.series("energy"), color=BLUE)
    energy.set_ylabel(rf"$\langle E \rangle$ / {data.unit('energy')}")
    values = data.series("energy")
    if np.ptp(values) < 1e-6 * np.abs(values).max():
        size = 0.01 * max(float(np.abs(values).max()), 1e-300)
        energy.set_ylim(values.mean() - size, values.mean() + size)
    x, known = data.series("position"), data.series("position_bound")
    position.plot(data.t, x, color=BLUE)
    if np.isfinite(known).all():
        position.fill_between(data.t, x - known, x + known, color=BLUE, alpha=0.3, linewidth=0)
    position.set_ylabel(rf"$\langle x \rangle$ / {data.unit('length')}")
    for axes in (norm, energy, position):
        _over_time(axes, data)
        axes.set_xlabel("")
    for axes in (energy, position):
        style.plain_numbers(axes.yaxis)
    position.set_xlabel(data.time)
    style.head(norm, data.title, data.below, legend=False)
    return figure


def probability(data: EvolutionData) -> Figure:
    """The probabilities to both sides over t, with how far they are known."""
    figure, (axes,) = style.panels(2.4)
    place = f"{data.content['divide']:.4g}".replace("-", "$-$")
    for name, sign, color, line in (("left", "<", GREEN, (0, (4, 2))), ("right", ">", BLUE, "-")):
        value, known = data.series(name), data.series(f"{name}_bound")
        axes.plot(data.t, value, color=color, linestyle=line, label=f"$P(x {sign}$ {place}$)$")
        axes.fill_between(data.t, value - known, value + known, color=color, alpha=0.3, linewidth=0)
    through = data.content.get("through")
    if through is not None:
        axes.axhline(through["value"], color=GREY, linestyle=":", linewidth=1.0, zorder=1, label="average of $T(E)$")
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("probability")
    _over_time(axes, data)
    last, off = data.series("right")[-1], data.series("right_bound")[-1]
    style.head(axes, data.title, rf"$P(x >$ {place}$)$ = {last:.6f} $\pm$ {evolution.most(off)} at the end")
    return figure


def _over_time(axes: Axes, data: EvolutionData) -> None:
    axes.set_xlim(data.t[0], data.t[-1])
    axes.set_xlabel(data.time)
    axes.spines[["top", "right"]].set_visible(False)


def frames(data: EvolutionData) -> Figure:
    """|psi|^2 at several times, coloured by the phase of psi, over V."""
    figure, panels = style.panels(4.6, (1.0,) * FRAMES)
    picked = np.unique(np.linspace(0, len(data.t) - 1, FRAMES).round().astype(int))
    largest = float(data.density.max())
    for axes, k in zip(panels, picked, strict=False):
        Frame(axes, data, 1.08 * min(largest, 3 * float(data.density[k].max()))).show(int(k))
        axes.annotate(f"$t$ = {data.t[k]:.4g}", (0.99, 0.94), xycoords="axes fraction", ha="right", va="top",
                      fontsize="small")  # fmt: skip
        axes.set_xlabel("")
    panels[-1].set_xlabel(data.position)
    panels[len(panels) // 2].set_ylabel(data.per_length)
    _wheel(panels[0])
    style.head(panels[0], data.title, data.below, legend=False)
    return figure


class Frame:
    """|psi|^2 on axes, coloured by the phase of psi, over V, at a time that can be changed."""

    def __init__(self, axes: Axes, data: EvolutionData, top: float) -> None:
        self._data, self._axes = data, axes
        low, high = data.shown
        self._inside = (data.x >= low) & (data.x <= high)
        self._x = data.x[self._inside]
        self._bottom, self._height = data.range[0], data.range[1] - data.range[0]
        self._scale = 0.85 * top / self._height
        self._hill = axes.fill_between(self._x, 0.0 * self._x, color=LIGHT, alpha=0.5, linewidth=0)
        (self._v,) = axes.plot(self._x, 0.0 * self._x, color=GREY, linewidth=FINE)
        spread = (self._x[0], self._x[-1], 0.0, top)
        self._image = axes.imshow(np.zeros((1, len(self._x), 3)), extent=spread, aspect="auto", origin="lower",
                                  interpolation="nearest", zorder=2)  # fmt: skip
        (self._line,) = axes.plot(self._x, 0.0 * self._x, color=BLACK, linewidth=0.6, zorder=3)
        axes.set_xlim(low, high)
        axes.set_ylim(0.0, top)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(data.position)

    def show(self, k: int) -> None:
        """The time of index k."""
        density, phase = self._data.density[k][self._inside], np.angle(self._data.psi[k][self._inside])
        self._image.set_data(colors(phase)[None])
        corners = np.stack([np.r_[self._x, self._x[::-1]], np.r_[density, 0 * density]], axis=1)
        self._image.set_clip_path(PathPatch(Outline(corners), transform=self._axes.transData))
        self._line.set_ydata(density)
        v = self._scale * (self._data.potential(k)[self._inside] - self._bottom)
        self._hill.set_verts([np.stack([np.r_[self._x, self._x[::-1]], np.r_[v, 0 * v]], axis=1)])
        self._v.set_ydata(v)


def colors(phase: np.ndarray) -> np.ndarray:
    """Phases (...,) as colours (..., 3) around a circle of about one lightness: red 0, green 120, blue 240 degrees."""
    return 0.58 + 0.36 * np.cos(np.asarray(phase)[..., None] - 2 * np.pi / 3 * np.arange(3))


def _wheel(axes: Axes) -> None:
    """What the colours mean."""
    inset = axes.inset_axes((0.015, 0.72, 0.16, 0.14))
    inset.imshow(colors(np.linspace(-np.pi, np.pi, 128))[None], extent=(-1, 1, 0, 1), aspect="auto")
    inset.set_yticks([])
    inset.set_xticks([-1, 0, 1], [r"$-\pi$", "0", r"$\pi$"])
    inset.tick_params(length=1.5, pad=1, labelsize="x-small")
    inset.set_title(r"arg $\psi$", fontsize="x-small", pad=1.5)
    for spine in inset.spines.values():
        spine.set_linewidth(0.4)


DRAWN: dict[str, Callable[[EvolutionData], Figure]] = {
    "density": density, "frames": frames, "probability": probability, "bound": bound, "course": course,
    "training": training,
}  # fmt: skip
"""Every figure by the name of its files."""
ESSENTIAL = ("density", "bound", "probability")
