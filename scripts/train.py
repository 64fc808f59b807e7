"""Train a neural wavefunction and write a run folder.

python scripts/train.py potential=barrier
python scripts/train.py -m potential=infinite_well,finite_well,barrier seed=0,1,2
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import _box
import _cli
import _help
import _jobs
import _overrides
import _resume
import _signals
import _training
from _training import say

STARTED = _cli.process_started()
DEEP = 12
"""Layers from which on it is said how long compiling takes: on two cores 0.65 s a layer by Levenberg-Marquardt, 0.35 by
Adam."""


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
        _training.close_log()


def train(config: Any, place: _resume.Place, started: float) -> tuple[int, str]:
    """One run, begun at `started`, from a checked config to a complete folder. Returns its exit status and status.

    The run's own result is written before anything is computed to compare it with.
    """
    from qpinn.analysis import compare
    from qpinn.drivers import discretize, eigenstates, frames
    from qpinn.drivers.clock import Clock
    from qpinn.physics.potentials.base import dimension
    from qpinn.report import page, tables
    from qpinn.runs import run_folder

    folder, clock = place.folder, Clock(already=time.monotonic() - started)
    clock.lap("import")
    potential, settings = _cli.read(config)
    _training.open_log(folder)
    _cli.write_config(config, folder)
    if dimension(potential) > 1:
        return _box.train(config, place, potential, settings, clock, started)
    route = eigenstates.describe_route(settings)
    plan, units = discretize.of(potential, settings), settings.units.units
    say(_heading(plan.with_walls(potential), settings))
    if any(plan.chosen):
        say("walls put where psi of the highest state has decayed by exp(-20)")
    say(f"{route['label']}; seed {settings.seed}")
    clock.lap("planning")
    if settings.network.depth > DEEP:
        say(f"network.depth={settings.network.depth}: compiling takes about {settings.network.depth / 2:.0f} s")
    _training.say_where(place)
    figures, seen = _cli.figures(config), frames.Frames()
    looks = frames.watched(settings) if figures.animate else settings
    with _training.followed(config, place, units, started) as callbacks:
        solution = eigenstates.run(potential, looks, [*callbacks, *([seen] if figures.animate else [])],
                                   place.snapshots)  # fmt: skip
    solution = dataclasses.replace(solution, settings=settings)
    clock.lap("planning", **solution.seconds)
    clock.seconds.update({"earlier": place.seconds} if place.seconds else {})
    run_folder.write_arrays(folder, solution)
    run_folder.write_summary(folder, run_folder.summary(solution, route, clock.seconds))
    if figures.animate:
        run_folder.write_frames(folder, seen.arrays(solution))
    _training.written(solution, folder)
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
    seconds = {**clock.seconds, "total": _training.spent(place, started)}
    summary = run_folder.summary(solution, route, seconds, levels, rows, missing)
    run_folder.write_summary(folder, summary)
    page.save(folder, drawn)
    say(f"\n{tables.report(summary)}\n  folder: {folder}")
    return _training.ended(solution), solution.status


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


if __name__ == "__main__":
    _cli.script(main, "stopping")
