"""The figure of levels over a number of a potential."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import AutoLocator, AutoMinorLocator

from qpinn.analysis import following
from qpinn.report import style, variation, words
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.runs.run_folder import read_summary

NAME = "vary.json"

STROKES = 9
"""Tangents that are drawn of each level."""


def save_all(folder: Path, choice: Choice = EVERYTHING) -> list[Path]:
    """Draw the figure of vary.json into its folder. Raises ValueError, naming it, if it is missing or damaged."""
    content = read_summary(folder, (NAME,))
    with style.applied():
        figure, (axes,) = style.panels(3.2)
        style.named(folder / NAME, draw, axes, content)
        return style.save(figure, folder / "vary", choice)


def draw(axes: Axes, content: Mapping[str, Any]) -> None:
    """E over the number, coloured by character.

    A colour is a level of the first point, as its psi is followed; dotted where overlaps do not tell. Strokes are the
    derivatives that were computed, bands the bounds, where they can be seen.
    """
    energies, values = variation.column(content, "energies"), np.asarray(content["values"], float)
    followed = np.asarray(content["followed"])
    for label, color in enumerate(style.level_colors(energies.shape[1])):
        place = (np.arange(len(values)), np.argmax(followed == label, axis=1))
        _line(axes, content, place, color)
        axes.text(1.01, energies[-1, place[1][-1]], str(label), color=color, transform=axes.get_yaxis_transform(),
                  va="center", fontsize="small")  # fmt: skip
    if np.ptp(values):  # not of a single point, after which a signal came
        axes.set_xlim(values.min(), values.max())
    number, unit = variation.number(content).replace("_", " "), words.divided(content["unit"])
    axes.set_xlabel(f"{number} / {unit}" if unit else number)
    axes.set_ylabel(f"$E$ / {words.divided(content['units']['energy'])}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(AutoLocator())
    axes.xaxis.set_minor_locator(AutoMinorLocator())
    name = content["potential"]["name"].replace("_", " ")
    style.head(axes, f"{name}: levels over {number}", "a colour is a character; black strokes are derivatives")


def _line(axes: Axes, content: Mapping[str, Any], place: tuple[np.ndarray, np.ndarray], color: Any) -> None:
    """One character: its levels are those at `place`, an index (T,) of points and one of levels."""
    values = np.asarray(content["values"], float)
    energy, lower, upper, slope, overlap = (
        variation.column(content, name)[place] for name in ("energies", "lower", "upper", "slopes", "overlaps")
    )
    doubtful = np.flatnonzero(overlap[1:] <= following.SURE) + 1
    axes.plot(np.insert(values, doubtful, np.nan), np.insert(energy, doubtful, np.nan), color=color)
    for t in doubtful:
        axes.plot(values[t - 1 : t + 1], energy[t - 1 : t + 1], ":", color=color)
    axes.fill_between(values, lower, upper, color=color, alpha=0.3, linewidth=0)
    if len(values) <= 3 * STROKES:
        axes.plot(values, energy, "o", color=color, markersize=1.8)
    half = np.ptp(values) / 60
    for t in np.unique(np.linspace(0, len(values) - 1, STROKES).round().astype(int)):
        ends = values[t] + half * np.array([-1, 1])
        axes.plot(ends, energy[t] + slope[t] * (ends - values[t]), color="black", linewidth=0.8, zorder=3)
