"""Train many starts of one run and measure how sensitive the result is to them.

python scripts/sweep.py potential=finite_well sweep.seeds=1024
python scripts/sweep.py -m experiment=paper/finite_well network.activation=tanh,sin,gelu sweep.seeds=256

The same command again goes on where it was stopped, and skips what is finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import _cli
import _signals

STARTED = _cli.process_started()
FREE = ("block", "devices", "coordinator", "processes", "process", "patience")  # may differ when a sweep goes on
JOIN = 300
"""Seconds that a process waits for the others of its job when it starts."""


def main() -> int:
    arguments = _cli.command_line()
    options = [argument for argument in arguments if argument.startswith("-")]
    multirun = bool({"-m", "--multirun"} & set(options))
    if options and not multirun:
        return _cli.hydra_main(lambda config: None, "sweep")
    overrides = [argument for argument in arguments if argument not in options]
    config = _cli.check(overrides, multirun, "sweep", prepare)
    _cli.check_writable(config.output)
    _cli.use_cache()
    if not multirun:
        return sweep(config, _folder(config, overrides), STARTED)
    same = sorted(override for override in overrides if not override.startswith(("output=", "hydra/", "hydra.")))
    folder = Path(config.output) / f"sweeps-{_hash(same)}"
    if any(override.startswith("hydra.sweep.dir=") for override in overrides):
        folder = Path(config.hydra.sweep.dir)
    _cli.multirun(job, overrides, options, folder, "sweep")
    return ended(folder, _cli.jobs(overrides))


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
        sweep(config, folder, time.time())
    except _cli.Failed as error:
        (folder / "failed.txt").write_text(error.line)
    except Exception:
        (folder / "failed.txt").write_text(traceback.format_exc())


def ended(folder: Path, expected: int) -> int:
    """Show the jobs of a multirun side by side and say which failed. Returns the exit status."""
    from qpinn.report import sweep_figures, tables
    from qpinn.runs import run_folder

    jobs = sorted(path.parent for path in folder.rglob(_cli.OVERRIDES))
    finished = [path for path in jobs if (path / "summary.json").exists() and not (path / "failed.txt").exists()]
    summaries = [run_folder.read_summary(path) for path in finished]
    print(f"\n{len(finished)} of {expected} jobs finished in {folder}")
    if len(summaries) > 1:
        print(f"\n{tables.sweep_overview(summaries)}\n\n  figure: {sweep_figures.save_settings(folder, summaries)[0]}")
    for path in sorted(set(jobs) - set(finished)):
        log = path / "failed.txt"
        reason = log.read_text().strip().splitlines()[-1] if log.exists() else "killed, or still running"
        words = " ".join((path / _cli.OVERRIDES).read_text().split("\n")).strip()
        print(f"failed: {path.relative_to(folder)} ({words}): {reason}", file=sys.stderr)
    if len(jobs) < expected:
        print(f"failed: {expected - len(jobs)} more left nothing behind", file=sys.stderr)
    return 0 if len(finished) == expected else 1


def prepare(config: Any) -> None:
    """Join the other processes and choose the devices: before JAX is used."""
    import jax

    from qpinn.drivers import settings

    chosen = settings.from_mapping(settings.Sweep, _cli.plain(config)["sweep"], "sweep.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    alone = chosen.coordinator is None and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) == 1
    try:
        jax.config.update("jax_num_cpu_devices", chosen.devices or (cores if alone else 1))
    except RuntimeError:
        raise ValueError(
            f"sweep.devices={chosen.devices}: one process has one number of devices, not several"
        ) from None
    if not alone and not jax.distributed.is_initialized():
        _join(chosen)


def _join(chosen: Any) -> None:
    """Wait for the other processes of the job."""
    import jax

    def give_up() -> None:  # JAX itself ends the process with a page of C++
        print(f"error: not all processes of the job came within {JOIN} s", file=sys.stderr, flush=True)
        os._exit(1)

    watch = threading.Timer(JOIN, give_up)
    watch.daemon = True
    watch.start()
    auto = chosen.coordinator == "auto"
    try:
        jax.distributed.initialize(
            None if auto else chosen.coordinator, chosen.processes, chosen.process,
            initialization_timeout=2 * JOIN, heartbeat_timeout_seconds=chosen.patience,
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        _cli.fail(f"sweep.coordinator={chosen.coordinator}: no other processes found ({error})")
    finally:
        watch.cancel()
        _signals.arm()


def identity(config: Any) -> dict[str, Any]:
    """What makes two sweeps the same: everything but where they run."""
    values = _cli.plain(config)
    values.pop("output")
    values["sweep"] = {key: value for key, value in values["sweep"].items() if key not in FREE}
    return values


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def sweep(config: Any, folder: Path, started: float) -> int:
    """Train what is missing of a sweep and write its results."""
    import jax

    from qpinn.drivers import eigenstates, settings, sweep
    from qpinn.report import tables
    from qpinn.runs import run_folder

    potential, chosen = _cli.read(config)
    job = sweep.Job(potential, chosen, settings.from_mapping(settings.Sweep, _cli.plain(config)["sweep"], "sweep."))
    first = jax.process_index() == 0
    if first:
        _claim(config, folder)
        varied = f", {job.sweep.vary} from {job.sweep.range[0]:g} to {job.sweep.range[1]:g}" if job.sweep.range else ""
        print(
            f"{potential.name}: {eigenstates.describe_route(chosen)['label']}; {job.sweep.seeds} starts{varied}",
            flush=True,
        )
    if jax.process_count() == 1 and (folder / "summary.json").exists():
        print(f"\n{tables.sweep_report(run_folder.read_summary(folder))}\n  finished before: {folder}", flush=True)
        return 0
    with ProgressBar(first) as bar:
        try:
            facts = sweep.run(job, folder, bar)
        except ConnectionError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            os._exit(1)  # a peer is gone: leaving in order would wait for it
    if first:
        from qpinn.report import sweep_figures

        summary = sweep.finish(job, folder, facts, started)
        sweep_figures.save_all(folder)
        print(f"\n{tables.sweep_report(summary)}\n  folder: {folder}", flush=True)
    return 0


def _claim(config: Any, folder: Path) -> None:
    """Make the folder, or see that what is in it is this sweep."""
    from omegaconf import OmegaConf

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    if path.exists() and identity(OmegaConf.load(path)) != identity(config):
        _cli.fail(f"{folder}: holds another sweep; choose another output or remove it")
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(_cli.plain(config))))


class ProgressBar:
    """Shows how many starts are finished and how many found the right state; silent where there is no terminal."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._bar: Any = None

    def __enter__(self) -> ProgressBar:
        return self

    def __call__(self, report: Any) -> None:
        if not self._shown:
            return
        from tqdm import tqdm

        self._bar = self._bar or tqdm(total=report.starts, unit="start", leave=True)
        self._bar.set_postfix_str(f"right state {report.right}")
        self._bar.update(report.finished - self._bar.n)

    def __exit__(self, *_: Any) -> None:
        if self._bar:
            self._bar.close()


if __name__ == "__main__":
    _signals.watch("stopped by a signal; finished blocks are kept, and the same command goes on")
    status = main()
    _signals.check()
    sys.exit(status)
