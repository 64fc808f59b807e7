"""|psi|^2 in motion, coloured by the phase of psi, over V: a GIF, and an MP4 where there is an ffmpeg."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import animation

from qpinn.report import evolution_figures, style
from qpinn.report.choice import Choice
from qpinn.report.evolution_data import EvolutionData
from qpinn.runs.files import write_atomically

PER_SECOND, HELD = 20, 20
"""Frames a second, and those for which the end is held."""


def save(folder: Path, data: EvolutionData, choice: Choice, told: Callable[..., Any] | None = None) -> list[Path]:
    """Write evolve.gif, and evolve.mp4 where there is an ffmpeg; `told` is called with frames done, and all of them."""
    figure, (axes,) = style.panels(2.4)
    frame = evolution_figures.Frame(axes, data, 1.08 * float(data.density.max()))
    axes.set_ylabel(data.per_length)
    frame.show(0)
    style.head(axes, f"{data.title}, t = {data.t[0]:.4g}", data.below, legend=False)
    style.freeze(figure)
    writers: dict[str, Any] = {"gif": animation.PillowWriter(fps=PER_SECOND)}
    if animation.FFMpegWriter.isAvailable():
        even = ["-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2", "-pix_fmt", "yuv420p"]
        writers["mp4"] = animation.FFMpegWriter(fps=PER_SECOND, extra_args=even)
    shown = [*range(len(data.t)), *[len(data.t) - 1] * HELD]
    written = []
    with tempfile.TemporaryDirectory() as place:
        for number, (kind, writer) in enumerate(writers.items()):
            draft = Path(place) / f"draft.{kind}"
            with writer.saving(figure, str(draft), choice.dpi):
                for done, k in enumerate(shown):
                    frame.show(k)
                    style.head(axes, f"{data.title}, t = {data.t[k]:.4g}", data.below, legend=False)
                    writer.grab_frame()
                    if told is not None:
                        told(number * len(shown) + done + 1, len(writers) * len(shown))
            written.append(folder / f"evolve.{kind}")
            write_atomically(written[-1], draft.read_bytes())
    return written
