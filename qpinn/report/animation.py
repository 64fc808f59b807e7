"""How psi and E moved in the training of a run, as a GIF, from the frames that its folder keeps."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes

from qpinn.report import levels_figures, state_figures, style
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.report.run_data import RunData
from qpinn.runs.files import read_npz, write_atomically
from qpinn.runs.run_folder import FRAMES

PER_SECOND, HELD = 10, 10
"""Frames a second, and those for which the end is held."""


def save(folder: Path, states: Sequence[RunData], choice: Choice) -> tuple[Path, bytes]:
    """Write training.gif: psi of each level on V, lifted to its E, and below it E or its error against step.

    Returns its path, and what a page shows, with no more dots than by default. Raises ValueError if the folder keeps no
    frames, or they are damaged.
    """
    path = folder / FRAMES
    if not path.is_file():
        raise ValueError(f"figures.animate=true: {path} is not there; allowed for runs of scripts/train.py with "
                         "figures.animate=true")  # fmt: skip
    frames = read_npz(path.read_bytes(), path)
    try:
        moving = _Moving(states, frames)
    except (LookupError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error})") from None
    path, data = folder / "training.gif", moving.encoded(choice.dpi)
    write_atomically(path, data)
    return path, data if choice.dpi <= EVERYTHING.dpi else moving.encoded(EVERYTHING.dpi)


class _Moving:
    """A figure of a run of which psi, its level and a mark on the history move."""

    def __init__(self, states: Sequence[RunData], frames: Mapping[str, np.ndarray]) -> None:
        self._states, self._frames = states, frames
        final = [state.aligned for state in states]
        self.figure, (self._upper, lower) = style.panels(4.0, (0.64, 0.36), sharex=False)
        self._drawn = levels_figures.lifted(self._upper, states, final)
        self._widen()
        known = [errors for state in states if (errors := state.energy_errors) is not None]
        self._marked = known if len(known) == len(states) else [state.history["energy"] for state in states]
        _history(lower, states, self._marked is known)
        (self._marks,) = lower.plot([], [], "o", color="black", markersize=3, zorder=5, clip_on=False)
        last = frames["psi"][-1]
        self._signs = np.where(np.sum(np.nan_to_num(last) * final, axis=1) < 0, -1.0, 1.0)
        for axes in (self._upper, lower):
            axes.spines[["top", "right"]].set_visible(False)
        self.show(0)
        style.freeze(self.figure)

    def _widen(self) -> None:
        """Room for what is not yet where it will be, up to twice that of the end."""
        low, high = self._upper.get_ylim()
        ways = self._frames["energy"][..., None] + self._drawn.height * np.abs(self._frames["psi"])
        finite = ways[np.isfinite(ways)]
        least, most = finite.min(initial=low), finite.max(initial=high)
        size = high - low
        self._upper.set_ylim(max(min(low, least), low - size), min(max(high, most), high + size))

    def encoded(self, dpi: int) -> bytes:
        """All frames as a GIF."""
        with tempfile.TemporaryDirectory() as place:
            draft, writer = Path(place) / "draft.gif", PillowWriter(fps=PER_SECOND)
            with writer.saving(self.figure, str(draft), dpi):
                for number in [*range(len(self._frames["done"])), *[-1] * HELD]:
                    self.show(number)
                    writer.grab_frame()
            return draft.read_bytes()

    def show(self, number: int) -> None:
        """Frame `number`."""
        done, energy, psi = (self._frames[name][number] for name in ("done", "energy", "psi"))
        for k, curve in self._drawn.curves.items():
            curve.set_ydata(energy[k] + self._drawn.height * self._signs[k] * psi[k])
            self._drawn.lines[k].set_ydata([energy[k], energy[k]])
        places = [(count - 1, column[min(int(count), len(column)) - 1])
                  for count, column in zip(done, self._marked, strict=True) if np.isfinite(count)]  # fmt: skip
        self._marks.set_data(*np.transpose(places) if places else ([], []))
        first = self._states[0]
        levels = (
            f"level {first.index}" if len(self._states) == 1 else f"levels {first.index} to {self._states[-1].index}"
        )
        taken = np.nansum(done) if np.isnan(self._frames["done"]).any() else np.nanmax(done)  # in turn, or at once
        style.head(self._upper, f"{first.name}, {levels}: step {taken:.0f}", first.route, legend=False)


def _history(axes: Axes, states: Sequence[RunData], errors: bool) -> None:
    """The error of E, or E, against step."""
    single: Any = state_figures.energy_error if errors else state_figures.energy
    several: Any = levels_figures.energy_errors if errors else levels_figures.energies
    several(axes, states) if len(states) > 1 else single(axes, states[0])
