"""The figure of a band structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from qpinn.report import style, words
from qpinn.report.choice import EVERYTHING, Choice


def draw(summary: dict[str, Any], path: Path, choice: Choice = EVERYTHING) -> list[Path]:
    """Write the figure of bands.json in every format of the choice: path.png, ..."""
    with style.applied():
        return style.save(figure(summary), path, choice)


def figure(summary: dict[str, Any]) -> Figure:
    """E over k a / pi from -1 to 1, the whole Brillouin zone, gaps between bands shaded."""
    theta, energies = np.asarray(summary["theta"]) / np.pi, np.asarray(summary["energies"], float)
    drawn, (axes,) = style.panels(3.2)
    axes.set_xlim(-1, 1)
    for low, high in summary["gaps"]:
        if high > low:
            axes.axhspan(low, high, color="#BBBBBB", alpha=0.35, linewidth=0)
    for column, color in zip(energies.T, style.level_colors(energies.shape[1]), strict=True):
        axes.plot(np.concatenate([-theta[::-1], theta]), np.concatenate([column[::-1], column]), color=color)
    axes.set_xlabel(r"$k a / \pi$")
    axes.set_ylabel(f"$E$ / {words.drawn(summary['units']['energy'])}")
    axes.spines[["top", "right"]].set_visible(False)
    name = summary["potential"]["name"].replace("_", " ")
    style.head(axes, f"{name}, {energies.shape[1]} bands", f"one period; seed {summary['settings']['seed']}")
    return drawn
