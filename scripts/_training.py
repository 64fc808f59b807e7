"""What a training does beside training: what it says, the log, the progress bar, saves, and its exit status."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import _cli
import _resume
import _signals
from _progress import Bar

log = logging.getLogger("qpinn")


def say(text: str) -> None:
    """To the terminal and to train.log."""
    print(text, flush=True)
    log.info(text)


def say_where(place: _resume.Place) -> None:
    """That a run goes on, and from where."""
    if place.before:
        done = place.snapshots[-1].done if place.snapshots else 0
        say(f"goes on after step {done} in {place.folder}; resume=never begins anew")


def spent(place: _resume.Place, started: float) -> float:
    """Seconds of a run that was begun at `started`, with those before it was interrupted."""
    return place.seconds + time.monotonic() - started


@contextlib.contextmanager
def followed(config: Any, place: _resume.Place, units: Any, started: float) -> Iterator[list[Any]]:
    """Callbacks of a training: saves, a progress bar, the log, and what a signal keeps. What is there at its end is
    saved."""
    from qpinn.runs import saves

    def saved(progress: Any) -> None:
        place.claim.write("running", step=progress.step, steps=progress.steps, seconds=spent(place, started))

    saver = saves.Saver(place.folder, config.save_every, saved, place.snapshots, **_resume.code())
    with Bar("step") as bar:

        def shown(progress: Any) -> None:
            said = f"loss {progress.loss:.1e}, E {progress.report['energy']:.9g}"
            bar(progress.step, progress.steps, said)

        yield [saver, shown, Keep(place.folder, units, saver)]
    saver.close()


class _Log(logging.FileHandler):
    """A disk that is full is said by what must be written, not by the log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (its name in logging)
        pass


def close_log() -> None:
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()


def open_log(folder: Path) -> None:
    close_log()
    handler = _Log(folder / "train.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


class Keep:
    """A callback that writes the log and keeps what a signal is to save. Ends training after one."""

    def __init__(self, folder: Path, units: Any, saver: Any) -> None:
        self._folder, self._units, self._saver = folder, units, saver

    def __call__(self, progress: Any) -> bool:
        energy = progress.report["energy"]
        log.info("step %d of %d: loss %.3e, E %.12g", progress.step, progress.steps, progress.loss, energy)
        _signals.keep(partial(self._stopped, progress))
        return bool(_signals.came())

    def _stopped(self, progress: Any) -> str:
        from qpinn.runs import run_folder

        self._saver.save()
        return run_folder.write_stopped(self._folder, progress, self._units)


def written(solution: Any, folder: Path) -> None:
    """The results are on the disk: from here on a signal has nothing to save, and one that came ends the run."""
    _signals.keep(None)
    if _signals.came():
        print(f"stopped by a signal after step {solution.steps}; the results are in {folder}", file=sys.stderr)
    _signals.check()


def ended(solution: Any, start: str = "ritz") -> int:
    """The exit status, with a line where a loss was not finite or has diverged, and a `start` that may do better."""
    frozen = ", ".join(f"{steps + 1} (level {level})" for level, steps in solution.frozen.items())
    diverged = ", ".join(str(state.index) for state in solution.measured if state.outcome == "diverged")
    if not (frozen or diverged):
        return 0
    what = f"not finite at step {frozen}; its last good state is saved" if frozen else f"level {diverged} has diverged"
    message = f"error: {what}. Try a smaller optimizer.learning_rate, precision=float64, or start={start}"
    log.error(message)
    print(message, file=sys.stderr)
    return _cli.NON_FINITE
