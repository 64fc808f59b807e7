"""Many starts of one run: in blocks, over devices and processes, each block on the disk as soon as it is finished.

A sweep of n starts trains the seeds seed, seed + 1, ..., the same parameters and points that `train.py seed=...` has.
What is there already is not trained again, so the same command goes on after a kill. Several processes share nothing
but the folder: process r of n trains the blocks r, r + n, ... of blocks that follow from the settings alone, and writes
them. Which of them finds all starts there summarises them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from qpinn.analysis import observables, on_box, statistics
from qpinn.analysis.quadratures import quadratures
from qpinn.drivers import box, budget, build, discretize, eigenstates, sweep_products, trained_box
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import exact_levels
from qpinn.drivers.sweep_settings import Sweep
from qpinn.physics import reference
from qpinn.physics.potentials import describe
from qpinn.physics.potentials.base import dimension
from qpinn.runs import run_folder, sweep_folder
from qpinn.training import loop
from qpinn.training.fit import Fit
from qpinn.training.lanes import Lanes, System, varied
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.typing import Params

GPU_BLOCK = 1024

OF_PROBLEM = {
    "energy.initial": "energy_value", "energy.value": "energy_value", "loss.residual": "weight_pde",
    "loss.norm": "weight_norm", "loss.unit": "unit",
}  # fmt: skip
"""Which field of a problem is a number of the settings that may vary; the others are the optimiser's."""

FRAMES = 200
"""Steps at which the energies of a sweep are kept for its figure."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked sweep. Its starts have the numbers 0, 1, ..., sweep.seeds - 1."""

    potential: Any
    settings: Settings
    sweep: Sweep

    @property
    def values(self) -> np.ndarray | None:
        """What varies, one value for each start."""
        if self.sweep.range is None:
            return None
        return np.linspace(*self.sweep.range, self.sweep.seeds)


@dataclasses.dataclass(frozen=True)
class Report:
    """What a callback sees after a block: starts finished, starts in all, starts in the right state, seconds.

    Each of several processes counts the starts that it trains.
    """

    finished: int
    starts: int
    right: int
    seconds: float


def run(job: Job, folder: Path, callback: Callable[[Report], Any] = lambda report: None) -> dict[str, Any]:
    """Train what is missing in `folder`/blocks of the share of this process, or of all, if its share is there.

    Returns seconds and sizes; the results are in the files.
    """
    with jax.enable_x64(job.settings.precision == "float64"):
        return _run(_with_walls(job), folder, callback)


def _levels(job: Job) -> reference.Eigenstates:
    """The lowest levels, that of the sweep among them."""
    levels = trained_box.exact_levels if dimension(job.potential) > 1 else exact_levels
    return levels(job.potential, job.settings.level + 1)


def of_products(job: Job) -> bool:
    """Whether starts are solved among products of several axes, and not trained."""
    return dimension(job.potential) > 1 and job.settings.ansatz.name != "envelope"


def route(job: Job) -> dict[str, Any]:
    """How the starts are made, in the words of `eigenstates.describe_route`."""
    return (box if of_products(job) else eigenstates).describe_route(job.settings)


def _with_walls(job: Job) -> Job:
    """The same sweep of a potential that has its walls. Raises ValueError for one of a box that this cannot train."""
    if of_products(job):
        plan = sweep_products.plan_of(job.potential, job.settings, job.sweep)
        return dataclasses.replace(job, potential=plan.potential)
    if dimension(job.potential) > 1:
        return dataclasses.replace(job, potential=trained_box.with_walls(job.potential, job.settings)[0])
    return dataclasses.replace(job, potential=discretize.of(job.potential, job.settings).potential)


def _run(job: Job, folder: Path, callback: Callable[[Report], Any]) -> dict[str, Any]:
    budget.forget_programmes()
    on = devices(1 if of_products(job) else job.sweep.devices or (None if job.sweep.count == 1 else 1))
    width = _width(job, len(on))
    if jax.default_backend() == "cpu" and not of_products(job):
        _check_size(job, width * len(on))
    done = sweep_folder.finished(folder, job.sweep.seeds)
    share = _share(job.sweep, width * len(on), done)
    todo = np.flatnonzero(share & ~done)
    facts = {"block": width, "devices": len(on) * job.sweep.count, "processes": job.sweep.count,
             "compile": 0.0, "trained": len(todo)}  # fmt: skip
    if not len(todo):
        return facts
    begun = time.perf_counter()
    train = trainer(job, width * len(on), on)
    facts["compile"] = time.perf_counter() - begun
    right = 0
    for numbers in np.split(todo, np.flatnonzero(np.diff(todo // (width * len(on)))) + 1):  # block by block
        at = time.perf_counter()
        columns = train(numbers)
        columns["seconds"] = np.full(len(numbers), (time.perf_counter() - at) / len(numbers))
        kept = sweep_products.FRAMES if of_products(job) else frames(job.settings)
        sweep_folder.write_block(folder, columns, kept)
        done[numbers] = True
        right += int(np.sum(statistics.outcomes(columns) == "right state"))
        callback(Report(
            finished=int(done[share].sum()), starts=int(share.sum()), right=right, seconds=time.perf_counter() - begun
        ))  # fmt: skip
    return facts


def _check_size(job: Job, starts: int) -> None:
    """Raise ValueError where so many starts at once need more memory than there is."""
    if dimension(job.potential) > 1:
        trained_box.check_size(job.potential, job.settings, starts)
    else:
        budget.check(job.settings, len(discretize.of(job.potential, job.settings).mesh), 1, starts=starts)


def _width(job: Job, devices: int) -> int:
    """Starts that one device trains at once: the same for all processes, whatever is on the disk."""
    if of_products(job):  # one after the other, whatever is on the disk together
        return job.sweep.block or 1
    width = OPTIMIZERS[job.settings.optimizer.name].block if jax.default_backend() == "cpu" else GPU_BLOCK
    return min(job.sweep.block or width, -(-job.sweep.seeds // (devices * job.sweep.count)))


def _share(sweep: Sweep, block: int, done: np.ndarray) -> np.ndarray:
    """Which starts (starts,) this process trains, if not there: those of the blocks process, process + count, ...

    Where they are there already, those of all blocks: so that any process goes on where others ended.
    """
    everything = np.ones(sweep.seeds, bool)
    if sweep.process is None:
        return everything
    share = np.arange(sweep.seeds) // block % sweep.count == sweep.process
    return everything if done[share].all() else share


def trained(job: Job, folder: Path) -> statistics.Columns:
    """The columns of all starts that are there."""
    columns, _ = sweep_folder.read_blocks(folder)
    return {name: values[columns["number"] < job.sweep.seeds] for name, values in columns.items()}


def finish(
    job: Job, folder: Path, columns: statistics.Columns, facts: dict[str, Any], started: float
) -> dict[str, Any]:
    """seeds.csv and summary.json of a sweep whose starts are all there. Returns the summary.

    started  `time.monotonic()` at which it did
    Its seconds are of all processes side by side: those of a start, divided by how many processes share the sweep.
    """
    job = _with_walls(job)
    sweep_folder.write_table(folder, columns, job.settings.seed, job.values, job.sweep.vary)
    exact = _levels(job)
    seconds = float(np.sum(columns["seconds"])) / facts["processes"]
    phases = ("plan", "solve") if of_products(job) else ("compile", "train")
    summary = {
        "potential": describe(job.potential),
        "route": route(job),
        "settings": dataclasses.asdict(job.settings),
        "sweep": dataclasses.asdict(dataclasses.replace(job.sweep, process=None)),
        "statistics": statistics.statistics(columns),
        "levels": [float(energy) for energy in exact.energies],
        "reference": {"method": exact.method},
        "seconds": {phases[0]: facts["compile"], phases[1]: seconds, "total": time.monotonic() - started,
                    "per_start": seconds / len(columns["energy"])},
        "starts_per_second": len(columns["energy"]) / seconds,
        **{key: facts[key] for key in ("block", "devices", "processes")},
        "device": eigenstates.check_device(job.settings.precision),
        "versions": run_folder.versions(),
        "git": run_folder.git_commit(),
    }  # fmt: skip
    run_folder.write_summary(folder, summary, "summary.json")
    return summary


def with_value(system: System, key: str, value: Any) -> System:
    """`system` with one of the numbers of `sweep_settings.VARIABLE` changed."""
    optimizer = system.optimizer
    name = OF_PROBLEM.get(key, key.removeprefix("optimizer."))
    number: dict[str, Any] = {name: value}
    if key in OF_PROBLEM:
        return system._replace(equation=dataclasses.replace(system.equation, **number))
    if hasattr(optimizer, "adam"):  # the first of two
        number = {"adam": dataclasses.replace(optimizer.adam, **number)}
    return system._replace(optimizer=dataclasses.replace(optimizer, **number))


def devices(count: int | None) -> list[jax.Device]:
    """The first `count` devices of this process, or all of them."""
    there = jax.local_devices()
    if count is not None and count > len(there):
        raise ValueError(f"sweep.devices={count}: there are {len(there)} here")
    return there[:count]


def frames(settings: Settings) -> np.ndarray:
    """Steps whose energies are kept."""
    steps = build.course(settings).steps
    return np.unique(np.linspace(0, steps - 1, min(FRAMES, steps)).round().astype(int))


class Bench(NamedTuple):
    """What a sweep trains and how it measures it.

    system     of the wanted level
    energies   (index + 1,) E of each level up to it if it is fixed, or where it starts
    measurer   from lanes of starts what measures a fit of lanes like these, compiled: (lanes, fit) -> columns
    """

    system: System
    energies: Float[np.ndarray, "levels"]
    measurer: Callable[[Lanes], Callable[[Lanes, Fit], statistics.Columns]]


def _on_line(job: Job) -> Bench:
    """The bench of a potential on a line."""
    settings, levels, index = job.settings, _levels(job), job.settings.level
    energies = build.energies(settings, np.arange(index + 1), levels.energies).astype(settings.precision)
    mesh = discretize.mesh_of(job.potential, index + 1, settings.phase, settings.by_parity)
    system = build.system(job.potential, settings, mesh, energies[index])
    edges = np.asarray(system.equation.ansatz.edges, np.float64)
    rules = quadratures(job.potential, edges, mesh, 0, index + 1).only("check")
    at = build.cast(settings.precision, rules.points)
    exact = statistics.Exact(
        levels=levels,
        psi=levels.psi(rules.positions("check")),
        index=index,
        fixed=settings.energy.name == "fixed",
        projected=settings.start.name == "ritz",
    )
    kept, steps = frames(settings), build.course(settings).steps

    def measurer(like: Lanes) -> Callable[[Lanes, Fit], statistics.Columns]:
        measure = jax.jit(observables.measure).lower(like, loop.parameter_shapes(like), at).compile()

        def columns(lanes: Lanes, fit: Fit) -> statistics.Columns:
            fields, energies = jax.device_get(measure(lanes, fit.params, at))
            fine = rules.values(fields, "check", [discretize.parity_of(index)] * lanes.count)
            return statistics.columns(fine, np.asarray(energies, np.float64), fit, exact, kept, steps)

        return columns

    return Bench(system, energies, measurer)


def _in_box(job: Job) -> Bench:
    """The bench of a potential of several coordinates."""
    settings, levels, index = job.settings, _levels(job), job.settings.level
    energies = trained_box.energies_of(settings, np.arange(index + 1), levels).astype(settings.precision)
    unit = settings.loss.unit or trained_box.energy_unit(job.potential, index)
    system = build.at_level(trained_box.system_of(job.potential, settings, unit), energies[index], settings.seed, index)
    exact = trained_box.exact_on(job.potential, settings, levels, index)
    kept, steps = frames(settings), build.course(settings).steps

    def measurer(like: Lanes) -> Callable[[Lanes, Fit], statistics.Columns]:
        measure = on_box.measurer(like, [trained_box.measured_on(job.potential)])

        def columns(lanes: Lanes, fit: Fit) -> statistics.Columns:
            (values,), energy = measure(lanes, fit.params)
            return on_box.columns(values, energy, fit, exact, kept, steps)

        return columns

    return Bench(system, energies, measurer)


def trainer(job: Job, size: int, on: list[jax.Device]) -> Callable[[np.ndarray], statistics.Columns]:
    """A function that trains and measures at most `size` starts, a multiple of the number of devices.

    It takes their numbers, and gives the columns that `qpinn.analysis.statistics` describes, one entry for each.
    """
    settings, index = job.settings, job.settings.level
    if of_products(job):
        plan = sweep_products.plan_of(job.potential, settings, job.sweep)
        return sweep_products.trainer(plan, settings, _levels(job))
    course = build.course(settings, watched=False)
    turns = index + 1 if settings.in_turn else 1
    bench = _in_box(job) if dimension(job.potential) > 1 else _on_line(job)

    def lanes(numbers: np.ndarray, trained: Sequence[Params] = ()) -> Lanes:
        turn, padded = len(trained), np.pad(numbers, (0, size - len(numbers)), mode="edge")
        one = with_value(bench.system, "energy.value", bench.energies[index + 1 - turns + turn])
        many = one._replace(seed=loop.seeds_of_turn(settings.seed + padded, turn))
        if job.sweep.vary and job.values is not None:
            many = with_value(many, job.sweep.vary, job.values[padded].astype(settings.precision))
        if settings.in_turn:
            one = build.orthogonal(one, [], turns, settings)
            many = build.orthogonal(many, trained, turns, settings, lanes=(size,))
        return varied(one, many, size, on)

    first = lanes(np.arange(1))
    programmes = loop.compiled(first, course, runs=turns * -(-job.sweep.seeds // size))
    measure = bench.measurer(first)

    def train(numbers: np.ndarray) -> statistics.Columns:
        block = partial(lanes, numbers)
        every = loop.in_turn(programmes, block, turns, course, kept=("energy", "total"))
        fit = every.some(slice(-size, None))
        columns = measure(block([fit.params] * (turns - 1)), fit)
        columns["steps"] = every.steps.reshape(turns, size).min(axis=0)  # a NaN in any of its functions ends a start
        return {"number": numbers, **{name: column[: len(numbers)] for name, column in columns.items()}}

    return train
