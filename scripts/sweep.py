"""Train many starts of one run and measure how sensitive the result is to them.

python scripts/sweep.py potential=finite_well sweep.seeds=1024
python scripts/sweep.py -m experiment=paper/finite_well network.activation=tanh,sin,gelu sweep.seeds=256
python scripts/sweep.py potential=finite_well output=/shared sweep.processes=2 sweep.process=0   # another: process=1

The same command again goes on where it was stopped, and skips what is finished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import _cli
import _help
import _jobs
import _overrides
import _signals
from _progress import Bar

STARTED = _cli.process_started()
FREE = ("block", "devices", "processes", "process")  # may differ when a sweep goes on
DEVICES = 8
"""That a machine with fewer cores may pretend to have, to try how a sweep is split; more only cost time."""

PLACES = ("output=", "hydra.run.dir=", "hydra.sweep.dir=")


def main() -> int:
    arguments = _overrides.command_line()
    options = _help.options(arguments, __doc__, "sweep")
    multirun = bool({"-m", "--multirun"} & set(options))
    if options and not multirun:
        return _cli.hydra_main(lambda config: None, "sweep")
    overrides = [argument for argument in arguments if argument not in options]
    config = _overrides.check(overrides, multirun, "sweep", prepare)
    if config.sweep.processes not in (None, 1) and not any(word.startswith(PLACES) for word in overrides):
        _cli.fail(f"sweep.processes={config.sweep.processes}: several processes share a folder, which must be given; "
                  "allowed: output=<folder>")  # fmt: skip
    _cli.check_writable(config.output)
    _cli.use_cache()
    if not multirun:
        return sweep(config, _folder(config, overrides), STARTED)
    elsewhere = ("output=", "hydra/", "hydra.", "figures=", "figures.", *(f"sweep.{key}=" for key in FREE))
    same = sorted(override for override in overrides if not override.startswith(elsewhere))
    folder = Path(config.output) / f"sweeps-{_hash(same)}"
    if any(override.startswith("hydra.sweep.dir=") for override in overrides):
        folder = Path(config.hydra.sweep.dir)
    count = _overrides.jobs(overrides)
    _cli.multirun(job, overrides, options, folder, count, "sweep")
    return ended(folder, count, _cli.figures(config))


def _folder(config: Any, overrides: list[str]) -> Path:
    """Where a single sweep goes: where the command line says, or a folder named by what is swept."""
    if any(override.startswith("hydra.run.dir=") for override in overrides):
        return Path(config.hydra.run.dir)
    return Path(config.output) / f"sweep-{config.potential.name}-{_hash(identity(config))}"


def job(config: Any, folder: Path) -> None:
    """One job of a multirun. What goes wrong is written into its folder, and the others stand."""
    (folder / "failed.txt").unlink(missing_ok=True)
    try:
        prepare(config)
        sweep(config, folder, time.monotonic())
    except _cli.Failed as error:
        (folder / "failed.txt").write_text(error.line)
    except Exception:
        (folder / "failed.txt").write_text(traceback.format_exc())


def ended(folder: Path, expected: int, figures: Any) -> int:
    """Show the jobs of a multirun side by side and say which failed. Returns the exit status."""

    summaries = _jobs.show(folder, expected, _became)
    if len(summaries) > 1 and figures.name != "none":
        from qpinn.report import sweep_figures

        print(f"\n  figure: {sweep_figures.save_settings(folder, summaries, figures)[0]}")
    begun = len(list(folder.glob(f"*/{_cli.OVERRIDES}")))
    if begun < expected:
        print(f"failed: {expected - begun} more left nothing behind", file=sys.stderr)
    return 0 if len(summaries) == expected else 1


def _became(path: Path) -> _jobs.Ended:
    """What became of a job."""
    if (path / "failed.txt").exists():
        return _jobs.Ended("failed", (path / "failed.txt").read_text().strip().splitlines()[-1])
    if (path / "summary.json").exists():
        return _jobs.Ended("finished")
    return _jobs.Ended("not finished", "killed, still running, or with starts for other processes")


def prepare(config: Any) -> None:
    """Choose the devices: before JAX is used. Initialises `jax.distributed` where that is asked for."""
    import jax

    chosen = _chosen(config)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if chosen.devices is not None and chosen.devices > max(cores, DEVICES):
        raise ValueError(f"sweep.devices={chosen.devices}: must be at most {max(cores, DEVICES)} on {cores} cores")
    alone = chosen.processes in (None, 1) or (chosen.processes, os.environ.get("SLURM_NTASKS")) == ("slurm", "1")
    try:
        jax.config.update("jax_num_cpu_devices", chosen.devices or (cores if alone else 1))
    except RuntimeError:
        raise ValueError(
            f"sweep.devices={chosen.devices}: one process has one number of devices, not several"
        ) from None
    if chosen.processes == "distributed" and not jax.distributed.is_initialized():
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"sweep.processes=distributed: jax.distributed finds no processes ({error})") from None
        _signals.arm()


def _chosen(config: Any) -> Any:
    from qpinn.drivers.mapping import from_mapping
    from qpinn.drivers.sweep_settings import Sweep

    return from_mapping(Sweep, _cli.plain(config)["sweep"], "sweep.")


def settled(chosen: Any) -> Any:
    """The settings of a sweep with the number of this process and how many there are."""
    import jax

    if chosen.processes == "distributed":
        return dataclasses.replace(chosen, processes=jax.process_count(), process=jax.process_index())
    if chosen.processes != "slurm":
        return chosen
    rank, count = (os.environ.get(name, "") for name in ("SLURM_PROCID", "SLURM_NTASKS"))
    try:
        return dataclasses.replace(chosen, processes=int(count), process=int(rank))
    except ValueError:
        _cli.fail(
            f"sweep.processes=slurm: SLURM_PROCID={rank} and SLURM_NTASKS={count} are no process of several; "
            "allowed: under srun"
        )


def identity(config: Any) -> dict[str, Any]:
    """What makes two sweeps the same: everything but where they run, and the content of the file that they name."""
    return {**_same(_cli.plain(config)), **_cli.contents(config)}


def _same(values: dict[str, Any]) -> dict[str, Any]:
    """The settings of a sweep but for where it runs."""
    kept = {key: value for key, value in values.items() if key not in _cli.RUNNING}
    if isinstance(values.get("sweep"), dict):
        kept["sweep"] = {key: value for key, value in values["sweep"].items() if key not in FREE}
    return kept


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def sweep(config: Any, folder: Path, started: float) -> int:
    """Train what is missing of a sweep, or the share of this process, and write its results if all starts are there."""
    from qpinn.drivers import sweep
    from qpinn.report import page, tables
    from qpinn.runs import run_folder, status

    potential, chosen = _cli.read(config)
    shared = settled(_chosen(config))
    job = sweep.Job(potential, chosen, shared, asked=_cli.asked(_cli.plain(config)))
    _claim(config, folder)
    varied = f", {job.sweep.vary} from {job.sweep.range[0]:g} to {job.sweep.range[1]:g}" if job.sweep.range else ""
    rank = "" if job.sweep.process is None else f"; process {job.sweep.process} of {job.sweep.count}"
    kind = sweep.kind(job)
    label = kind.route()["label"]
    print(f"{potential.name}: {label}; {job.sweep.seeds} starts{varied}{rank}", flush=True)
    with contextlib.suppress(
        ValueError, *_cli.DAMAGED
    ):  # not there, or damaged: then it is made again, from the blocks
        print(f"\n{tables.sweep_report(run_folder.read_summary(folder))}\n  finished before: {folder}", flush=True)
        return 0
    try:
        with Bar("start") as bar, status.at_work(folder):
            facts = sweep.run(kind, folder, partial(_shown, bar, kind.goal))
    except ValueError as error:  # it does not fit
        _cli.fail(str(error))
    columns = sweep.trained(job, folder)
    missing = job.sweep.seeds - len(columns.get("number", ()))
    if missing:
        print(f"{missing} of {job.sweep.seeds} starts are missing in {folder}: other processes train them, or the same "
              "command of any process goes on; the last one summarises", flush=True)  # fmt: skip
        return 0
    summary = sweep.finish(kind, folder, columns, facts, started)
    figures, drawn = _cli.figures(config), {}
    if figures.name != "none":
        from qpinn.report import sweep_figures

        drawn = sweep_figures.save_all(folder, figures).shown
    page.save(folder, drawn)
    print(f"\n{tables.sweep_report(summary)}\n  folder: {folder}", flush=True)
    return 0


def _claim(config: Any, folder: Path) -> None:
    """Make the folder, or see that what is in it is this sweep. One of several processes that come at once is first."""
    from omegaconf import OmegaConf

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    _cli.first(path, OmegaConf.to_yaml(OmegaConf.create(_cli.plain(config))))
    try:
        stored = _cli.stored(folder)
    except ValueError as error:
        _cli.fail(f"{error}; choose another output or remove it")
    if _same(stored) != _same(_cli.plain(config)):
        _cli.fail(f"{folder}: holds another sweep; choose another output or remove it")


def _shown(bar: Bar, goal: str, report: Any) -> None:
    bar(report.finished, report.starts, f"{goal}: {report.right}")


if __name__ == "__main__":
    _cli.script(main, "stopped by a signal; finished blocks are kept, and the same command goes on")
