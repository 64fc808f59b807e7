"""The figures of a run, of one state or of several: from the files of its folder alone, or on axes in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qpinn.report import levels_figures, run_data, state_figures, style
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.report.run_data import RunData
from qpinn.runs import run_folder

ESSENTIAL = ("wavefunction", "levels", "residual", "energy")
HEIGHTS = {"levels": 3.2, "densities": 3.2, "wavefunction": 3.2, "energy": 3.0}
"""Inches; 2.5 of the others."""
RATIOS = {"wavefunction": (0.64, 0.36), "energy": (0.5, 0.5)}


def names(states: Sequence[RunData]) -> list[str]:
    """The figures that there are of these states: none of an E that was given."""
    panels = state_figures.PANELS if len(states) == 1 else levels_figures.PANELS
    return [name for name in panels if name != "energy" or not states[0].fixed]


def panels(name: str, states: Sequence[Any]) -> list[Any]:
    """Functions of axes that draw the panels of a figure of RunData, or of Courses, from the top down."""
    single = len(states) == 1 and name in state_figures.PANELS
    every: Any = (state_figures.PANELS if single else levels_figures.PANELS)[name]
    if name == "energy" and all(state.energy_errors is None for state in states):
        every = every[:1]
    what = states[0] if single else states
    return [lambda axes, panel=panel: panel(axes, what) for panel in every]


def filled(axes: Sequence[Axes], drawn: Sequence[Any]) -> None:
    """Panels drawn on axes that stand one below the other."""
    for panel, draw_on in zip(axes, drawn, strict=True):
        draw_on(panel)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes[:-1]:
        panel.set_xlabel("")


def _head(axes: Axes, states: Sequence[RunData]) -> None:
    title = states[0].title if len(states) == 1 else levels_figures.title(states)
    style.head(axes, title, states[0].route, attention=any(state.remark for state in states))


def figure(name: str, states: Sequence[RunData]) -> Figure:
    """One of the figures of `names`."""
    drawn = panels(name, states)
    made, axes = style.panels(HEIGHTS.get(name, 2.5), RATIOS.get(name, (1.0,))[: len(drawn)])
    filled(axes, drawn)
    _head(axes[0], states)
    return made


def draw(states: Sequence[RunData], choice: Choice = EVERYTHING) -> dict[str, Figure]:
    """Every figure of a run that is chosen, by its name. To be called under `style.applied()`."""
    return {name: figure(name, states) for name in choice.some(names(states), ESSENTIAL)}


def on_axes(name: str, states: Sequence[RunData], axes: Any = None, panel: int = 0) -> Axes:
    """A panel of a figure on the axes that are given, or on those of a new figure, with the settings of the reader."""

    def draw(axes: Axes) -> None:
        panels(name, states)[panel](axes)
        _head(axes, states)

    return style.on_axes(draw, axes)


def save_all(folder: Path, choice: Choice = EVERYTHING) -> style.Drawn:
    """Draw the chosen figures of a run into its folder. Raises ValueError as `run_data.load`."""
    if run_folder.read_summary(folder).get("task") == run_folder.BOX:
        from qpinn.report import box_figures

        return box_figures.save_all(folder, choice)
    states = run_data.load(folder)
    with style.applied():
        drawn = style.save_all(draw(states, choice), folder, choice)
        if choice.animate:
            from qpinn.report import animation

            path, shown = animation.save(folder, states, choice)
            drawn.files.append(path)
            drawn.shown[path.stem] = ("gif", shown)
    return drawn
