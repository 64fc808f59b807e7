"""Many starts of one run: in blocks, over devices and processes, each block on the disk as soon as it is finished.

A sweep of n starts trains the seeds seed, seed + 1, ..., the same parameters and points that `train.py seed=...` has.
What is there already is not trained again, so the same command goes on after a kill. Several processes share nothing
but the folder: process r of n trains the blocks r, r + n, ... of blocks that follow from the settings alone, and writes
them. Which of them finds all starts there summarises them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from qpinn.analysis.statistics import Columns
from qpinn.drivers import budget, eigenstates
from qpinn.drivers.sweep_job import Job, Kind
from qpinn.drivers.sweep_levels import InBox, OnLine
from qpinn.drivers.sweep_packets import Packets
from qpinn.drivers.sweep_products import Products
from qpinn.drivers.sweep_settings import Sweep
from qpinn.physics.potentials import describe
from qpinn.physics.potentials.base import dimension
from qpinn.runs import run_folder, sweep_folder


@dataclasses.dataclass(frozen=True)
class Report:
    """What a callback sees after a block: starts finished, starts in all, starts in the right state, seconds.

    Each of several processes counts the starts that it trains.
    """

    finished: int
    starts: int
    right: int
    seconds: float


def kind(job: Job) -> Kind:
    """The job with what its problem is like. Raises ValueError for one that a sweep cannot do."""
    if job.asked is not None:
        return Packets(job)
    if dimension(job.potential) == 1:
        return OnLine(job)
    return (InBox if job.settings.ansatz.name == "envelope" else Products)(job)


def run(job: Job | Kind, folder: Path, callback: Callable[[Report], Any] = lambda report: None) -> dict[str, Any]:
    """Train what is missing in `folder`/blocks of the share of this process, or of all, if its share is there.

    Returns seconds and sizes; the results are in the files.
    """
    starts = job if isinstance(job, Kind) else kind(job)
    with jax.enable_x64(starts.job.settings.precision == "float64"):
        return _run(starts, folder, callback)


def _run(starts: Kind, folder: Path, callback: Callable[[Report], Any]) -> dict[str, Any]:
    budget.forget_programmes()
    sweep = starts.job.sweep
    on = devices(1 if starts.alone else sweep.devices or (None if sweep.count == 1 else 1))
    width = starts.width(len(on))
    if jax.default_backend() == "cpu":
        starts.check_size(width * len(on))
    kept = starts.kept()
    done = sweep_folder.finished(folder, sweep.seeds)
    share = _share(sweep, width * len(on), done)
    todo = np.flatnonzero(share & ~done)
    facts = {"block": width, "devices": len(on) * sweep.count, "processes": sweep.count,
             "compile": 0.0, "trained": len(todo)}  # fmt: skip
    if not len(todo):
        return facts
    begun = time.perf_counter()
    train = starts.trainer(width * len(on), on)
    facts["compile"] = time.perf_counter() - begun
    right = 0
    for numbers in np.split(todo, np.flatnonzero(np.diff(todo // (width * len(on)))) + 1):  # block by block
        at = time.perf_counter()
        columns = train(numbers)
        columns["seconds"] = np.full(len(numbers), (time.perf_counter() - at) / len(numbers))
        sweep_folder.write_block(folder, columns, kept)
        done[numbers] = True
        right += starts.right(columns)
        callback(Report(
            finished=int(done[share].sum()), starts=int(share.sum()), right=right, seconds=time.perf_counter() - begun
        ))  # fmt: skip
    return facts


def _share(sweep: Sweep, block: int, done: np.ndarray) -> np.ndarray:
    """Which starts (starts,) this process trains, if not there: those of the blocks process, process + count, ...

    Where they are there already, those of all blocks: so that any process goes on where others ended.
    """
    everything = np.ones(sweep.seeds, bool)
    if sweep.process is None:
        return everything
    share = np.arange(sweep.seeds) // block % sweep.count == sweep.process
    return everything if done[share].all() else share


def trained(job: Job, folder: Path) -> Columns:
    """The columns of all starts that are there."""
    columns, _ = sweep_folder.read_blocks(folder)
    return {name: values[columns["number"] < job.sweep.seeds] for name, values in columns.items()}


def finish(
    job: Job | Kind, folder: Path, columns: Columns, facts: dict[str, Any], started: float
) -> dict[str, Any]:  # fmt: skip
    """seeds.csv and summary.json of a sweep whose starts are all there. Returns the summary.

    started  `time.monotonic()` at which it did
    Its seconds are of all processes side by side: those of a start, divided by how many processes share the sweep.
    """
    starts = job if isinstance(job, Kind) else kind(job)
    job, count = starts.job, len(columns["number"])
    starts.write_table(folder, columns)
    seconds = float(np.sum(columns["seconds"])) / facts["processes"]
    before, during = starts.phases
    summary = {
        "potential": describe(job.potential),
        "route": starts.route(),
        "settings": dataclasses.asdict(job.settings),
        "sweep": dataclasses.asdict(dataclasses.replace(job.sweep, process=None)),
        **starts.results(columns),
        "seconds": {before: facts["compile"], during: seconds, "total": time.monotonic() - started,
                    "per_start": seconds / count},
        "starts_per_second": count / seconds,
        **{key: facts[key] for key in ("block", "devices", "processes")},
        "device": eigenstates.check_device(job.settings.precision),
        "versions": run_folder.versions(),
        "git": run_folder.git_commit(),
    }  # fmt: skip
    run_folder.write_summary(folder, summary, "summary.json")
    return summary


def devices(count: int | None) -> list[jax.Device]:
    """The first `count` devices of this process, or all of them."""
    there = jax.local_devices()
    if count is not None and count > len(there):
        raise ValueError(f"sweep.devices={count}: there are {len(there)} here")
    return there[:count]
