"""The figure of a band structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from qpinn.report import style, words


def draw(summary: dict[str, Any], path: Path) -> list[Path]:
    """E over k a / pi from -1 to 1, the whole Brillouin zone, gaps between bands shaded: path.png and path.svg."""
    theta, energies = np.asarray(summary["theta"]) / np.pi, np.asarray(summary["energies"], float)
    figure, axes = style.one_panel(f"{summary['potential']['name']}, bands of one period", height=4.2)
    axes.set_xlim(-1, 1)
    for low, high in summary["gaps"]:
        if high > low:
            axes.axhspan(low, high, color="#BBBBBB", alpha=0.35, linewidth=0)
    for band, column in enumerate(energies.T):
        color = matplotlib.colormaps["viridis"](0.9 * band / max(energies.shape[1] - 1, 1))
        axes.plot(np.concatenate([-theta[::-1], theta]), np.concatenate([column[::-1], column]), color=color)
    axes.set_xlabel("k a / π")
    axes.set_ylabel(f"E ({words.drawn(summary['units']['energy'])})")
    return style.save(figure, path)
