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
import jax.numpy as jnp
import numpy as np

from qpinn.analysis import observables, statistics
from qpinn.bounds import certify
from qpinn.drivers import discretize, eigenstates
from qpinn.drivers.settings import Settings, Sweep
from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.mesh import reflected
from qpinn.physics import operators, reference
from qpinn.physics.potentials import describe
from qpinn.runs import run_folder, sweep_folder
from qpinn.training import batch as batch_module
from qpinn.training.lanes import System
from qpinn.training.optimizers import OPTIMIZERS

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

    def __post_init__(self) -> None:
        if not self.settings.ends.ends.walls:
            raise ValueError(f"ends.left={self.settings.ends.left}, ends.right={self.settings.ends.right}: a sweep "
                             "knows the levels between two walls only; allowed: wall")  # fmt: skip

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
    return eigenstates.exact_levels(job.potential, (job.settings.state or 0) + 1)


def _with_walls(job: Job) -> Job:
    """The same sweep of a potential that has its walls."""
    return dataclasses.replace(job, potential=discretize.of(job.potential, job.settings).potential)


def _run(job: Job, folder: Path, callback: Callable[[Report], Any]) -> dict[str, Any]:
    on = batch_module.devices(job.sweep.devices or (None if job.sweep.count == 1 else 1))
    width = _width(job, len(on))
    done = sweep_folder.finished(folder, job.sweep.seeds)
    share = _share(job.sweep, width * len(on), done)
    todo = np.flatnonzero(share & ~done)
    facts = {"block": width, "devices": len(on) * job.sweep.count, "processes": job.sweep.count,
             "compile": 0.0, "trained": len(todo)}  # fmt: skip
    if not len(todo):
        return facts
    begun = time.perf_counter()
    measurer = Measurer(job)
    batch = _compile(job, measurer, width * len(on), on)
    facts["compile"] = time.perf_counter() - begun
    values = np.zeros(job.sweep.seeds) if job.values is None else job.values
    right = 0
    for numbers in np.split(todo, np.flatnonzero(np.diff(todo // batch.size)) + 1):  # block by block
        at = time.perf_counter()
        padded = np.pad(numbers, (0, batch.size - len(numbers)), mode="edge")
        columns = measurer.columns(batch_module.train(batch, values[padded], job.settings.seed + padded))
        columns = {name: column[: len(numbers)] for name, column in columns.items()}
        columns["number"] = numbers
        columns["seconds"] = np.full(len(numbers), (time.perf_counter() - at) / len(numbers))
        sweep_folder.write_block(folder, columns, measurer.frames)
        done[numbers] = True
        right += int(np.sum(statistics.outcomes(columns) == "right state"))
        callback(Report(
            finished=int(done[share].sum()), starts=int(share.sum()), right=right, seconds=time.perf_counter() - begun
        ))  # fmt: skip
    return facts


def _width(job: Job, devices: int) -> int:
    """Starts that one device trains at once: the same for all processes, whatever is on the disk."""
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

    Its seconds are of all processes side by side: those of a start, divided by how many processes share the sweep.
    """
    job = _with_walls(job)
    sweep_folder.write_table(folder, columns, job.settings.seed, job.values, job.sweep.vary)
    exact = _levels(job)
    seconds = float(np.sum(columns["seconds"])) / facts["processes"]
    summary = {
        "potential": describe(job.potential),
        "route": eigenstates.describe_route(job.settings),
        "settings": dataclasses.asdict(job.settings),
        "sweep": dataclasses.asdict(dataclasses.replace(job.sweep, process=None)),
        "statistics": statistics.statistics(columns),
        "levels": [float(energy) for energy in exact.energies],
        "reference": {"method": exact.method},
        "seconds": {"compile": facts["compile"], "train": seconds, "total": time.time() - started,
                    "per_start": seconds / len(columns["energy"])},
        "starts_per_second": len(columns["energy"]) / seconds,
        **{key: facts[key] for key in ("block", "devices", "processes")},
        "device": eigenstates.check_device(job.settings.precision),
        "versions": run_folder.versions(),
        "git": run_folder.git_commit(),
    }  # fmt: skip
    run_folder.write_summary(folder, summary, "summary.json")
    return summary


def with_value(system: System, key: str, value: jax.Array) -> System:
    """`system` with one of the numbers of `settings.VARIABLE` changed: under jit and vmap."""
    optimizer = system.optimizer
    name = OF_PROBLEM.get(key, key.removeprefix("optimizer."))
    number: dict[str, Any] = {name: value}
    if key in OF_PROBLEM:
        return system._replace(equation=dataclasses.replace(system.equation, **number))
    if hasattr(optimizer, "adam"):  # the first of two
        number = {"adam": dataclasses.replace(optimizer.adam, **number)}
    return system._replace(optimizer=dataclasses.replace(optimizer, **number))


def _compile(job: Job, measurer: Measurer, size: int, on: list[jax.Device]) -> batch_module.Batch:
    system = eigenstates.build(job.potential, job.settings, _levels(job))
    key, course = job.sweep.vary, eigenstates.course(job.settings)

    def vary(system: System, value: jax.Array) -> System:
        return with_value(system, key, value) if key else system

    return batch_module.compile_batch(system, vary, size, job.settings.state or 0, course, on, measurer.measure)


class Measurer:
    """What is computed of a start after training, and the columns that it gives."""

    def __init__(self, job: Job) -> None:
        equation = eigenstates.build(job.potential, job.settings, _levels(job)).equation
        points = observables.quadrature(
            job.potential, np.asarray(equation.ansatz.edges), eigenstates.merged(job.settings)
        )
        self._even = "parity" in equation.ansatz.mesh
        x, weight = np.asarray(points.x, np.float64).ravel(), np.asarray(points.weight, np.float64).ravel()
        if self._even:
            center = float(np.asarray(equation.ansatz.edges)[-1])
            x, weight = np.concatenate([x, 2 * center - x[::-1]]), reflected(weight)
            points = points.for_both_halves()
        self._points = jax.tree.map(lambda leaf: jnp.asarray(leaf, job.settings.precision), points)
        order = np.argsort(x)
        exact = _levels(job)
        self._weight, self._order = weight[order], order
        self._levels, self._energies, self._scale = exact.psi(x[order]), exact.energies, certify.scale(exact.energies)
        self._index = job.settings.state or 0
        self._fixed = job.settings.energy.name == "fixed"
        self._projected = job.settings.start.name == "ritz"
        steps = eigenstates.course(job.settings).steps
        self.frames = np.unique(np.linspace(0, steps - 1, min(FRAMES, steps)).round().astype(int))

    def measure(self, equation: Eigenvalue, params: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """psi on the quadrature, E and the Rayleigh quotient of one start; under jit and vmap."""
        fields = equation.fields(params, self._points)
        rayleigh = equation.rayleigh_quotient(fields, self._points.weight)
        return fields.psi.value.ravel(), equation.energy(params, self._points), rayleigh

    def columns(self, trained: batch_module.Trained) -> dict[str, np.ndarray]:
        """One entry for each start, as `qpinn.analysis.statistics` describes them."""
        psi, energy, rayleigh = (np.asarray(values, np.float64) for values in trained.measured)
        if self._even:
            psi = reflected(psi, 1 - 2 * (self._index % 2))
        psi = psi[:, self._order]
        if self._projected:  # as `eigenstates.run` does
            energy, psi = rayleigh, psi / np.sqrt(observables.norm_of(psi, self._weight))[:, None]
        index = self._index
        exact = self._energies[index]
        overlaps = observables.overlaps_with(psi, self._levels, self._weight)
        nearest = np.argmax(overlaps, axis=1)
        columns = {
            "energy": energy, "energy_start": trained.energy_start, "energy_rayleigh": rayleigh,
            "relative_error_energy": np.abs(energy - exact) / self._scale[index],
            "relative_l2_psi": observables.l2_error(psi, self._levels[index], self._weight),
            "index": np.full(len(psi), index), "nearest": nearest, "overlap": np.max(overlaps, axis=1),
            "off_nearest": (energy - self._energies[nearest]) / self._scale[nearest],
            "node_count": np.array([operators.node_count(row) for row in psi]),
            "norm": observables.norm_of(psi, self._weight), "loss": trained.loss, "steps": trained.steps,
            "asked": np.full(len(psi), len(trained.energy)),
            "energies": trained.energy[self.frames].T.astype(np.float32),
        }  # fmt: skip
        for tolerance in statistics.TOLERANCES:
            columns[f"steps_to_{tolerance:.0e}"] = self._steps_to(trained.energy, tolerance)
        return columns

    def _steps_to(self, energy: np.ndarray, tolerance: float) -> np.ndarray:
        """Steps after which E (steps, B) stays within `tolerance` to the end; NaN where it does not, or E is fixed."""
        if self._fixed:
            return np.full(energy.shape[1], np.nan)
        outside = ~(np.abs(energy - self._energies[self._index]) <= tolerance * self._scale[self._index])
        steps = np.where(outside.any(axis=0), len(energy) - np.argmax(outside[::-1], axis=0), 0)
        return np.where(outside[-1], np.nan, steps).astype(float)
