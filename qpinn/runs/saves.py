"""Saves of a run: snapshots of its trainings, from which a run that was interrupted goes on.

A save is a checkpoint (`qpinn.runs.checkpoint`) in <run>/saves, numbered. The last few are kept, so that one that was
damaged is not the end: the newest good one is used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.runs import checkpoint
from qpinn.training.fit import Progress, Snapshot, joined

KEPT = 3
"""How many saves are kept while a run is in progress."""

SHARE = 0.02
"""Largest share of the time that is spent on saves: large ones are made less often."""


class Saver:
    """A callback that saves a run every so often, and at the end of every training.

    every      seconds
    saved      called after a save of the training that was asked for by time or by its end, with what the callback saw
    snapshots  that the run goes on from
    facts      are written into the description of every save
    """

    def __init__(
        self, folder: Path, every: float, saved: Callable[[Progress], Any] = lambda progress: None,
        snapshots: Sequence[Snapshot] = (), **facts: Any,
    ) -> None:  # fmt: skip
        self._folder, self._every, self._saved = folder, every, saved
        self._snapshots, self._facts = list(snapshots), facts
        self._due, self._changed = time.monotonic() + every, False
        self._one_at_a_time = threading.RLock()  # a signal saves from a thread of its own

    def __call__(self, progress: Progress) -> None:
        self._snapshots[progress.training :] = [progress.snapshot()]
        self._changed = True
        if progress.ended or time.monotonic() >= self._due:
            self.save()
            self._saved(progress)

    def save(self) -> None:
        """Save the latest snapshot, unless that has been done. Raises OSError where it cannot be written."""
        with self._one_at_a_time:
            if not self._changed:
                return
            begun = time.monotonic()
            write(self._folder, self._snapshots, **self._facts)
            self._changed = False
            self._due = time.monotonic() + max(self._every, (time.monotonic() - begun) / SHARE)

    def close(self) -> None:
        """Save what has not been saved, and remove all saves but the last."""
        with self._one_at_a_time:
            self.save()
            for path in _paths(self._folder)[:-1]:
                _remove(path)


def replace(folder: Path, snapshots: Sequence[Snapshot], **facts: Any) -> None:
    """A save of these in the place of all that are there."""
    write(folder, snapshots, **facts)
    for path in _paths(folder)[:-1]:
        _remove(path)


def write(folder: Path, snapshots: Sequence[Snapshot], **facts: Any) -> None:
    """One more save in `folder`/saves; all but the last few are removed.

    Raises OSError, and leaves the saves before it as they were, where it cannot be written.
    """
    place = folder / "saves"
    place.mkdir(exist_ok=True)
    paths = _paths(folder)
    number = int(paths[-1].stem) + 1 if paths else 0
    tree = {
        str(training): {
            "carry": {str(index): leaf for index, leaf in enumerate(snapshot.carry)},
            "start": snapshot.start, "history": joined(snapshot.chunks), "done": np.asarray(snapshot.done),
        }
        for training, snapshot in enumerate(snapshots)
    }  # fmt: skip
    checkpoint.save(place / f"{number:08d}.npz", tree, **facts)
    for path in _paths(folder)[:-KEPT]:
        _remove(path)


def read(folder: Path) -> tuple[list[Snapshot], list[str]]:
    """The snapshots of the newest good save, an empty list without one; and a message for each damaged one after it."""
    damaged: list[str] = []
    for path in reversed(_paths(folder)):
        try:
            return _snapshots(checkpoint.arrays(path)), damaged
        except (KeyError, ValueError) as error:
            told = str(error) if str(path) in str(error) else f"{path}: holds no snapshots ({error})"
            damaged.append(told)
    return [], damaged


def _snapshots(arrays: dict[str, np.ndarray]) -> list[Snapshot]:
    """Raises KeyError or ValueError if something is missing."""
    trainings: dict[int, dict[str, dict[str, np.ndarray]]] = {}
    for name, array in arrays.items():
        training, part, *rest = name.split("/", 2)
        trainings.setdefault(int(training), {}).setdefault(part, {})["".join(rest)] = array
    return [
        Snapshot(
            carry=[parts["carry"][str(index)] for index in range(len(parts["carry"]))],
            start=parts.get("start", {}), chunks=[parts["history"]], done=int(parts["done"][""]),
        )
        for parts in (trainings[number] for number in range(len(trainings)))
    ]  # fmt: skip


def _paths(folder: Path) -> list[Path]:
    """All saves, the newest last."""
    return sorted(path for path in (folder / "saves").glob("*.npz") if path.stem.isdigit())


def _remove(path: Path) -> None:
    for file in (path, path.with_suffix(".json")):
        if file.is_file():
            file.unlink()
