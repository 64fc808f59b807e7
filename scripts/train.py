"""Train a neural wavefunction and write a run folder.

python scripts/train.py potential=barrier
python scripts/train.py -m potential=infinite_well,finite_well,barrier seed=0,1,2
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import _box
import _cli
import _help
import _jobs
import _overrides
import _resume
import _signals

STARTED = _cli.process_started()
DEEP = 12
"""Layers from which on it is said how long compiling takes: on two cores 0.65 s a layer by Levenberg-Marquardt, 0.35 by
Adam."""

log = logging.getLogger("qpinn")


def main() -> int:
    arguments = _overrides.command_line()
    options = _help.options(arguments, __doc__)
    multirun = bool({"-m", "--multirun"} & set(options))
    if options and not multirun:  # --cfg and the like are Hydra's
        return _cli.hydra_main(lambda config: None)
    import qpinn  # noqa: F401

    config = _overrides.check([argument for argument in arguments if not argument.startswith("-")], multirun)
    _resume.check(config)
    _signals.requeue(config.requeue)
    _cli.check_writable(config.output)
    _cli.use_cache()
    if not multirun:
        given = any(word.startswith("hydra.run.dir=") for word in arguments)
        exit_status = run(config, _resume.place(config, Path(config.hydra.run.dir), given), STARTED)
        _signals.requeue(False)  # it has ended: a signal from here on asks for nothing
        return exit_status
    statuses: list[int] = []

    def job(config: Any, folder: Path) -> None:
        try:
            place = _resume.job(config, folder)
            if isinstance(place, int):
                statuses.append(place)
            elif place is not None:
                statuses.append(run(config, place, time.monotonic() if statuses else STARTED))
        except _cli.Failed as failed:  # this job; the others stand, but on a disk that is full
            statuses.append(failed.status)
            if failed.status == 1:
                raise
        except ValueError as error:  # two values that do not go together
            print(f"error: {error}", file=sys.stderr)
            statuses.append(_cli.BAD_INPUT)

    overrides = [argument for argument in arguments if argument not in options]
    folder = _resume.multirun(config, overrides, Path(config.hydra.sweep.dir))
    count = _overrides.jobs(overrides)
    _cli.multirun(job, overrides, options, folder, count)
    _jobs.show(folder, count, _became)
    return max([*statuses, *_resume.exits(folder)], default=0)


def _became(folder: Path) -> _jobs.Ended:
    """What became of a job of a multirun."""
    from qpinn.runs import status

    facts = status.read(folder)
    return (
        _jobs.Ended("not begun")
        if facts is None
        else _jobs.Ended(facts["status"], (facts.get("reason") or "").removeprefix("ValueError: "))
    )


def run(config: Any, place: _resume.Place, started: float) -> int:
    """One run in its folder, which says what became of it. Returns the exit status."""
    from qpinn.report import tables
    from qpinn.runs import run_folder, status

    folder, claim = place.folder, place.claim
    begun: dict[str, Any] = {"config": status.identity(_resume.asked(config)), "reason": None, **_cli.contents(config)}
    if place.before and place.before["status"] == "finished" and place.before.get("config") == begun["config"]:
        claim.release()
        try:
            print(f"\n{tables.report(run_folder.read_summary(folder))}\n  already finished: {folder}")
        except ValueError as error:
            _cli.fail(str(error))
        except _cli.DAMAGED as error:
            _cli.fail(f"{folder / 'results.json'}: is damaged ({error!r}); resume=never begins anew")
        return int(place.before.get("exit", 0))
    if place.before:
        begun["number"] = place.before.get("number", 0)
    ended = "failed"
    try:
        claim.write("running", **begun, **_resume.code())
        exit_status, ended = train(config, place, started)
        begun["exit"] = exit_status
        return exit_status
    except SystemExit as error:
        ended = "stopped" if _signals.came() else "failed"
        begun["reason"] = getattr(error, "line", None)
        raise
    except Exception as error:
        begun["reason"] = f"{type(error).__name__}: {error}"
        if place.snapshots and isinstance(error, ValueError):  # all else has been checked
            _cli.fail(f"{folder}: {error}; resume=never begins anew")
        if isinstance(error, OSError) and error.strerror:
            _cli.fail(f"{folder}: {error.strerror}; the run has stopped, and its last save is as it was", 1)
        raise
    finally:
        _signals.keep(None)  # what it would save is in a folder that another process may have now
        with contextlib.suppress(OSError):  # the disk may be what failed
            claim.write(ended, **begun)
        claim.release()
        _close_log()


def train(config: Any, place: _resume.Place, started: float) -> tuple[int, str]:
    """One run, begun at `started`, from a checked config to a complete folder. Returns its exit status and status.

    The run's own result is written before anything is computed to compare it with.
    """
    from qpinn.analysis import compare
    from qpinn.drivers import discretize, eigenstates, frames
    from qpinn.drivers.clock import Clock
    from qpinn.physics.potentials.base import dimension
    from qpinn.report import page, tables
    from qpinn.runs import run_folder, saves

    folder, clock = place.folder, Clock(already=time.monotonic() - started)
    clock.lap("import")
    potential, settings = _cli.read(config)
    _open_log(folder)
    _cli.write_config(config, folder)
    if dimension(potential) > 1:
        return _box.train(config, place, potential, settings, clock)
    route = eigenstates.describe_route(settings)
    plan, units = discretize.of(potential, settings), settings.units.units
    say(_heading(plan.with_walls(potential), settings))
    if any(plan.chosen):
        say("walls put where psi of the highest state has decayed by exp(-20)")
    say(f"{route['label']}; seed {settings.seed}")
    clock.lap("planning")
    if settings.network.depth > DEEP:
        say(f"network.depth={settings.network.depth}: compiling takes about {settings.network.depth / 2:.0f} s")
    if place.before:
        done = place.snapshots[-1].done if place.snapshots else 0
        say(f"goes on after step {done} in {folder}; resume=never begins anew")

    def spent() -> float:
        return place.seconds + time.monotonic() - started

    def saved(progress: Any) -> None:
        place.claim.write("running", step=progress.step, steps=progress.steps, seconds=spent())

    figures, seen = _cli.figures(config), frames.Frames()
    looks = frames.watched(settings) if figures.animate else settings
    saver = saves.Saver(folder, config.save_every, saved, place.snapshots, **_resume.code())
    with progress_bar() as bar:
        callbacks: list[Any] = [saver, bar, Keep(folder, units, saver), *([seen] if figures.animate else [])]
        solution = eigenstates.run(potential, looks, callbacks, place.snapshots)
    solution = dataclasses.replace(solution, settings=settings)
    saver.close()
    clock.lap("planning", **solution.seconds)
    clock.seconds.update({"earlier": place.seconds} if place.seconds else {})
    run_folder.write_arrays(folder, solution)
    run_folder.write_summary(folder, run_folder.summary(solution, route, clock.seconds))
    if figures.animate:
        run_folder.write_frames(folder, seen.arrays(solution))
    _written(solution, folder)
    clock.lap("write")
    levels, missing = _reference(solution)
    clock.lap("reference")
    highest = solution.measured[-1].index
    rows = compare.classical(solution.plan.potential, levels, highest, units.scale)
    clock.lap("classical")
    run_folder.write_arrays(folder, solution, levels)
    run_folder.write_summary(folder, run_folder.summary(solution, route, clock.seconds, levels, rows, missing))
    clock.lap("write")
    drawn = draw(folder, figures)
    clock.lap("figures")
    seconds = {**clock.seconds, "total": spent()}
    summary = run_folder.summary(solution, route, seconds, levels, rows, missing)
    run_folder.write_summary(folder, summary)
    page.save(folder, drawn)
    say(f"\n{tables.report(summary)}\n  folder: {folder}")
    return _ended(solution), solution.status


def _reference(solution: Any) -> tuple[Any, str | None]:
    """The reference of a solution, or None and why there is none."""
    from qpinn.drivers.solution import reference_of
    from qpinn.physics import reference

    try:
        return reference_of(solution.plan), None
    except reference.SizeError as error:
        say(f"no reference: {error}")
        return None, str(error)


def _heading(potential: Any, settings: Any) -> str:
    """The equation that is solved, with the numbers of a potential with walls."""
    from qpinn.drivers import shown
    from qpinn.physics.potentials import describe

    left, right = potential.domain
    described = describe(potential)
    numbers = {key: value for key, value in described.items() if not isinstance(value, list) and value != ""}
    numbers = {**numbers, "left": left, "right": right}
    numbers |= numbers.pop("parameters", {})
    layered, units = hasattr(potential, "mass_at"), settings.units.units
    if hasattr(potential, "masses"):
        numbers["layers"], field = len(potential.masses), numbers.pop("field")
        numbers |= {"field": f"{field:g} kV/cm"} if field else {}
    elif not (layered or units.none):
        key, value, unit = "mass", settings.units.particle or 1, units.mass
        if settings.units.constant is not None:
            key, value, unit = "B", settings.units.constant, units.energy
        numbers[key] = f"{value:.10g} {unit}"
    factor = "" if units.none else "hbar^2 / 2 "
    kinetic = f"{factor}(psi' / m)'" if layered else f"{factor}psi'' / m" if factor else "psi''"
    kinetic = "B psi''" if "B" in numbers else kinetic
    name, read = numbers.pop("name"), numbers.pop("read", None)
    listed = ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in numbers.items()
    )
    listed += f", {shown.deltas(described['deltas'])}" if described.get("deltas") else ""
    table = "" if read is None else f"\n{read}"
    said = "" if units.none else f" in {units.length} and {units.energy}"
    return f"{name}: -{kinetic} + V psi = E psi{said}, {listed}{table}"


def draw(folder: Path, figures: Any) -> dict[str, tuple[str, bytes]]:
    """Draw the chosen figures of a run folder, from its files alone. Returns what its page shows of them."""
    if figures.name == "none":
        return {}
    from qpinn.report import run_figures

    return run_figures.save_all(folder, figures).shown


say = _box.say


class _Log(logging.FileHandler):
    """A disk that is full is said by what must be written, not by the log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (its name in logging)
        pass


def _close_log() -> None:
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()


def _open_log(folder: Path) -> None:
    _close_log()
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


class progress_bar:  # noqa: N801  (used like a function)
    """A callback that shows steps, loss and E, on each mesh anew; silent where stderr is not a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> progress_bar:
        return self

    def __call__(self, progress: Any) -> None:
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm

        if self._bar is not None and progress.step <= self._bar.n:
            self._bar.close()
            self._bar = None
        if self._bar is None:
            self._bar = tqdm(total=progress.steps, unit="step", leave=True)
        self._bar.set_postfix_str(f"loss {progress.loss:.1e}, E {progress.report['energy']:.9g}", refresh=False)
        self._bar.update(progress.step - self._bar.n)

    def __exit__(self, *_: Any) -> None:
        if self._bar:
            self._bar.close()


def _written(solution: Any, folder: Path) -> None:
    """The results are on the disk: from here on a signal has nothing to save, and one that came ends the run."""
    _signals.keep(None)
    if _signals.came():
        print(f"stopped by a signal after step {solution.steps}; the results are in {folder}", file=sys.stderr)
    _signals.check()


def _ended(solution: Any) -> int:
    """The exit status, with a line where a loss was not finite or has diverged."""
    frozen = ", ".join(f"{steps + 1} (level {level})" for level, steps in solution.frozen.items())
    diverged = ", ".join(str(state.index) for state in solution.measured if state.outcome == "diverged")
    if not (frozen or diverged):
        return 0
    what = f"not finite at step {frozen}; its last good state is saved" if frozen else f"level {diverged} has diverged"
    message = f"error: {what}. Try a smaller optimizer.learning_rate, precision=float64, or start=ritz"
    log.error(message)
    print(message, file=sys.stderr)
    return _cli.NON_FINITE


if __name__ == "__main__":
    _cli.script(main, "stopping")
