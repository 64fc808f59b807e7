"""What every sweep over starts is made of, whatever is trained: the job, and what differs between kinds of problems."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np

from qpinn.analysis import statistics
from qpinn.drivers import build
from qpinn.drivers.settings import Settings
from qpinn.drivers.sweep_settings import Sweep
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
    """A checked sweep. Its starts have the numbers 0, 1, ..., sweep.seeds - 1.

    asked  of a packet in time, see `qpinn.drivers.packet_problem`; None for levels
    """

    potential: Any
    settings: Settings
    sweep: Sweep
    asked: Any = None

    @property
    def values(self) -> np.ndarray | None:
        """What varies, one value for each start."""
        if self.sweep.range is None:
            return None
        return np.linspace(*self.sweep.range, self.sweep.seeds)


class Bench(NamedTuple):
    """What a sweep trains and how it measures it.

    systems   of each of the functions that are trained in turn; of the only one
    measurer  from lanes of starts what measures a fit of lanes like these, compiled: (lanes, fit) -> columns
    """

    systems: Sequence[System]
    measurer: Callable[[Lanes], Callable[[Lanes, Fit], statistics.Columns]]


class Kind(abc.ABC):
    """What a sweep needs to know of its problem.

    job     with walls where there were none
    phases  names of the seconds before and during the starts
    """

    phases: ClassVar[tuple[str, str]] = ("compile", "train")
    alone: ClassVar[bool] = False
    """Whether starts are made one after the other, on one device."""
    goal: ClassVar[str] = "right state"
    """What a start is to come to."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @abc.abstractmethod
    def route(self) -> dict[str, Any]:
        """How the starts are made, in the words of `eigenstates.describe_route`."""

    @abc.abstractmethod
    def check_size(self, starts: int) -> None:
        """Raise ValueError where so many starts at once need more memory than there is."""

    def kept(self) -> np.ndarray:
        """What the columns that have a history have it of: steps, or times."""
        return frames(self.job.settings)

    @abc.abstractmethod
    def right(self, columns: statistics.Columns) -> int:
        """How many of the starts are right."""

    @abc.abstractmethod
    def results(self, columns: statistics.Columns) -> dict[str, Any]:
        """What the summary says of the starts: statistics, and what they are compared with."""

    @abc.abstractmethod
    def write_table(self, folder: Path, columns: statistics.Columns) -> None:
        """seeds.csv."""

    @abc.abstractmethod
    def width(self, devices: int) -> int:
        """Starts that one device trains at once: the same for all processes, whatever is on the disk."""

    @abc.abstractmethod
    def trainer(self, size: int, on: list[jax.Device]) -> Callable[[np.ndarray], statistics.Columns]:
        """A function that trains and measures at most `size` starts, a multiple of the number of devices.

        It takes their numbers, and gives the columns that `qpinn.analysis.statistics` describes, one entry for each.
        """


class Networks(Kind):
    """Starts that are networks, trained side by side."""

    history: ClassVar[tuple[str, ...]] = ("energy", "total")
    """Columns of the history that are measured."""

    @abc.abstractmethod
    def bench(self) -> Bench:
        """What is trained, and how it is measured."""

    def width(self, devices: int) -> int:
        """Starts that one device trains at once: the same for all processes, whatever is on the disk."""
        width = OPTIMIZERS[self.job.settings.optimizer.name].block if jax.default_backend() == "cpu" else GPU_BLOCK
        sweep = self.job.sweep
        return min(sweep.block or width, -(-sweep.seeds // (devices * sweep.count)))

    def trainer(self, size: int, on: list[jax.Device]) -> Callable[[np.ndarray], statistics.Columns]:
        job, settings = self.job, self.job.settings
        course, bench = build.course(settings, watched=False), self.bench()
        turns = len(bench.systems)

        def lanes(numbers: np.ndarray, trained: Sequence[Params] = ()) -> Lanes:
            turn, padded = len(trained), np.pad(numbers, (0, size - len(numbers)), mode="edge")
            one = bench.systems[turn]
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
            every = loop.in_turn(programmes, block, turns, course, kept=self.history)
            fit = every.some(slice(-size, None))
            columns = measure(block([fit.params] * (turns - 1)), fit)
            # a NaN in any of its functions ends a start
            columns["steps"] = every.steps.reshape(turns, size).min(axis=0)
            return {"number": numbers, **{name: column[: len(numbers)] for name, column in columns.items()}}

        return train


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


def frames(settings: Settings) -> np.ndarray:
    """Steps whose energies are kept."""
    steps = build.course(settings).steps
    return np.unique(np.linspace(0, steps - 1, min(FRAMES, steps)).round().astype(int))
