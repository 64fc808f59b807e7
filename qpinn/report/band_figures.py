"""The figure of a band structure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from qpinn.report import style, words
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.runs.run_folder import read_summary

NAME = "bands.json"


def save_all(folder: Path, choice: Choice = EVERYTHING) -> list[Path]:
    """Draw the figure of bands.json into its folder. Raises ValueError, naming it, if it is missing or damaged."""
    content = read_summary(folder, (NAME,))
    with style.applied():
        figure, (axes,) = style.panels(3.2)
        style.named(folder / NAME, draw, axes, content)
        return style.save(figure, folder / "bands", choice)


def draw(axes: Axes, content: Mapping[str, Any]) -> None:
    """E over k a / pi from -1 to 1, the whole Brillouin zone, gaps between bands shaded."""
    theta, k, energies, gaps = (np.asarray(content[name], float) for name in ("theta", "k", "energies", "gaps"))
    axes.set_xlim(-1, 1)
    for low, high in gaps:
        if high > low:
            axes.axhspan(low, high, color="#BBBBBB", alpha=0.35, linewidth=0)
    phase = np.concatenate([-theta[::-1], theta]) / np.pi
    for column, color in zip(energies.T, style.level_colors(energies.shape[1]), strict=True):
        axes.plot(phase, np.concatenate([column[::-1], column]), color=color)
    axes.set_xlabel(r"$k a / \pi$")
    axes.set_ylabel(f"$E$ / {words.divided(content['units']['energy'])}")
    axes.spines[["top", "right"]].set_visible(False)
    name = content["potential"]["name"].replace("_", " ")
    below = f"period $a$ = {theta[-1] / k[-1]:.6g} {words.drawn(content['units']['length'])}"
    style.head(axes, f"{name}, {energies.shape[1]} bands", f"{below}; seed {content['settings']['seed']}")
