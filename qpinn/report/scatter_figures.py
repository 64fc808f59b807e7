"""The figures of a scattering: T and R over E, |psi|^2 over x and E, and the phase time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qpinn.report import style, words
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.report.scattering import column
from qpinn.runs.files import read_npz
from qpinn.runs.run_folder import read_summary
from qpinn.runs.scattering import NAME, WAVES

LEAST = 1e-30
"""T below which no axis goes."""

FAINTEST, BRIGHTEST = 1e-8, 1e4
"""|psi|^2 where colours end, of a wave of amplitude 1."""

Content = Mapping[str, Any]
Grid = Mapping[str, np.ndarray]


def save_all(folder: Path, choice: Choice = EVERYTHING) -> style.Drawn:
    """Draw scattering.json and waves.npz into their folder. Raises ValueError, naming it, if one is damaged."""
    content, path = read_summary(folder, (NAME,)), folder / WAVES
    grid = read_npz(path.read_bytes(), path) if path.is_file() else None
    figures: dict[str, Figure] = {}
    with style.applied():
        for name in choice.some(list(PANELS), ESSENTIAL):
            if name != "density" or grid is not None:
                figure, (axes,) = style.panels(2.9 if name == "density" else 2.5)
                what = (content,) if name != "density" else (content, grid)
                style.named(folder / (WAVES if name == "density" else NAME), PANELS[name], axes, *what)
                figures[name] = figure
        return style.save_all(figures, folder, choice)


def draw(axes: Axes, content: Content) -> None:
    """T and R over E on a logarithmic axis, each within its bounds, and a stroke for each resonance."""
    energies, t, r = (column(content, name) for name in ("energies", "T", "R"))
    for name, values, bound, color, line in (
        ("R", r, column(content, "reflection_bound"), style.ORANGE, (0, (4, 1.5))),
        ("T", t, column(content, "bound"), style.BLUE, "-"),
    ):
        shown = np.where(values > LEAST, values, np.nan)
        bound = np.where(np.isfinite(bound), bound, 1.0)
        axes.fill_between(
            energies, np.maximum(shown - bound, LEAST), shown + bound, color=color, alpha=0.3, linewidth=0
        )
        axes.plot(energies, shown, color=color, linestyle=line, label=f"${name}$")
    axes.set_yscale("log")
    least = max(LEAST, float(np.nanmin(np.where(np.minimum(t, r) > LEAST, np.minimum(t, r), np.nan), initial=1.0)))
    axes.set_ylim(max(least / 2, 1e-20), 2.0)
    _energy_axis(axes, content)
    _resonances(axes, content)
    axes.set_ylabel("probability")
    _head(axes, content, "transmission and reflection")


def draw_time(axes: Axes, content: Content) -> None:
    """The phase time hbar d(arg t)/dE from end to end of the structure."""
    energies, delay = column(content, "energies"), column(content, "phase_time")
    axes.plot(energies, delay, color=style.GREEN, label=r"$\hbar\,\mathrm{d}(\arg t)/\mathrm{d}E$")
    known = delay[np.isfinite(delay) & (delay > 0)]
    if known.size and known.max() > 30 * np.median(known):
        axes.set_yscale("log")
    _energy_axis(axes, content)
    _resonances(axes, content)
    axes.set_ylabel(f"phase time / {words.divided(content['units']['time'])}")
    _head(axes, content, "phase time")


def draw_density(axes: Axes, content: Content, grid: Grid) -> None:
    """|psi|^2 of the wave from the left over position and energy, and V on it."""
    from matplotlib.colors import LogNorm

    x, v, energies, density = (np.asarray(grid[name], float) for name in ("x", "v", "energies", "density"))
    norm = LogNorm(max(float(density.min()), FAINTEST), max(min(float(density.max()), BRIGHTEST), 2 * FAINTEST))
    mesh = axes.pcolormesh(x, energies, np.maximum(density, norm.vmin or 0.0), norm=norm, cmap="viridis",
                           shading="nearest", rasterized=True)  # fmt: skip
    axes.plot(x, v, color="white", linewidth=1.0)
    axes.plot(x, v, color=style.BLACK, linewidth=0.6, linestyle=(0, (3, 2)))
    if energies[-1] > energies[0]:
        axes.set_ylim(energies[0], energies[-1])
    axes.set_xlabel(f"position $x$ / {words.drawn(content['units']['length'])}")
    axes.set_ylabel(f"$E$ and $V$ / {words.divided(content['units']['energy'])}")
    style.color_bar(axes, mesh, r"$|\psi|^2$")
    _head(axes, content, r"$|\psi|^2$ of the wave from the left")


PANELS: dict[str, Callable[..., None]] = {"scatter": draw, "density": draw_density, "phase_time": draw_time}
"""Every figure by its name."""

ESSENTIAL = ("scatter",)


def _energy_axis(axes: Axes, content: Content) -> None:
    energies = column(content, "energies")
    if energies[-1] > energies[0]:
        axes.set_xlim(energies[0], energies[-1])
    axes.set_xlabel(f"$E$ / {words.divided(content['units']['energy'])}")
    axes.spines[["top", "right"]].set_visible(False)


def _resonances(axes: Axes, content: Content) -> None:
    """A stroke below the upper edge at each E_r that is shown."""
    energies = column(content, "energies")
    inside = [one["energy"] for one in content["resonances"] if energies[0] <= one["energy"] <= energies[-1]]
    if inside:
        axes.plot(inside, np.full(len(inside), 0.98), "|", color=style.RED, markersize=7, markeredgewidth=1.2,
                  transform=axes.get_xaxis_transform(), label="$E_r$", linestyle="none")  # fmt: skip


def _head(axes: Axes, content: Content, what: str) -> None:
    levels, unit = content["leads"]["levels"], content["units"]["energy"]
    name = content["potential"]["name"].replace("_", " ")
    beyond = f"leads at {levels[0]:.6g} and {levels[1]:.6g}" if levels[0] != levels[1] else f"leads at {levels[0]:.6g}"
    unit = "" if content["units"]["length"] == "L" else f" {words.drawn(unit)}"
    style.head(axes, f"{name}: {what}", f"{beyond}{unit}; {len(content['energies'])} energies")
