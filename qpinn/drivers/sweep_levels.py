"""Sweeps over starts whose results are levels: on a line, and by one network in a box."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np

from qpinn.analysis import observables, on_box, statistics
from qpinn.analysis.quadratures import quadratures
from qpinn.drivers import budget, build, discretize, eigenstates, trained_box
from qpinn.drivers.solution import exact_levels
from qpinn.drivers.sweep_job import Bench, Job, Kind, Networks, frames, with_value
from qpinn.physics.reference import Eigenstates
from qpinn.runs import sweep_folder
from qpinn.training import loop
from qpinn.training.fit import Fit
from qpinn.training.lanes import Lanes, System


class Levels(Kind):
    """Starts that are to find a level, and are compared with that of a reference."""

    exact_levels: ClassVar[Callable[..., Eigenstates]]

    def levels(self) -> Eigenstates:
        """The lowest levels, that of the sweep among them."""
        return type(self).exact_levels(self.job.potential, self.job.settings.level + 1)

    def route(self) -> dict[str, Any]:
        return eigenstates.describe_route(self.job.settings)

    def right(self, columns: statistics.Columns) -> int:
        return int(np.sum(statistics.outcomes(columns) == "right state"))

    def results(self, columns: statistics.Columns) -> dict[str, Any]:
        exact = self.levels()
        return {"statistics": statistics.statistics(columns), "levels": [float(energy) for energy in exact.energies],
                "reference": {"method": exact.method}}  # fmt: skip

    def write_table(self, folder: Path, columns: statistics.Columns) -> None:
        job = self.job
        sweep_folder.write_table(folder, columns, job.settings.seed, job.values, job.sweep.vary)

    def in_turn(self, system: System, energies: np.ndarray) -> list[System]:
        """The system of each level that is trained in turn, or of the only one, with E if it is fixed."""
        turns = len(energies) if self.job.settings.in_turn else 1
        return [with_value(system, "energy.value", energy) for energy in energies[-turns:]]


class OnLine(Levels, Networks):
    """Levels of a potential on a line."""

    exact_levels = staticmethod(exact_levels)

    def __init__(self, job: Job) -> None:
        super().__init__(dataclasses.replace(job, potential=discretize.of(job.potential, job.settings).potential))

    def check_size(self, starts: int) -> None:
        settings = self.job.settings
        budget.check(settings, len(discretize.of(self.job.potential, settings).mesh), 1, starts=starts)

    def bench(self) -> Bench:
        settings, levels, index = self.job.settings, self.levels(), self.job.settings.level
        energies = build.energies(settings, np.arange(index + 1), levels.energies).astype(settings.precision)
        mesh = discretize.mesh_of(self.job.potential, index + 1, settings.phase, settings.by_parity)
        system = build.system(self.job.potential, settings, mesh, energies[index])
        edges = np.asarray(system.equation.ansatz.edges, np.float64)
        rules = quadratures(self.job.potential, edges, mesh, 0, index + 1).only("check")
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

        return Bench(self.in_turn(system, energies), measurer)


class InBox(Levels, Networks):
    """Levels of a potential of several coordinates, by one network."""

    exact_levels = staticmethod(trained_box.exact_levels)

    def __init__(self, job: Job) -> None:
        super().__init__(dataclasses.replace(job, potential=trained_box.with_walls(job.potential, job.settings)[0]))

    def check_size(self, starts: int) -> None:
        trained_box.check_size(self.job.potential, self.job.settings, starts)

    def bench(self) -> Bench:
        settings, levels, index = self.job.settings, self.levels(), self.job.settings.level
        energies = trained_box.energies_of(settings, np.arange(index + 1), levels).astype(settings.precision)
        unit = settings.loss.unit or trained_box.energy_unit(self.job.potential, index)
        system = trained_box.system_of(self.job.potential, settings, unit)
        system = build.at_level(system, energies[index], settings.seed, index)
        exact = trained_box.exact_on(self.job.potential, settings, levels, index)
        kept, steps = frames(settings), build.course(settings).steps

        def measurer(like: Lanes) -> Callable[[Lanes, Fit], statistics.Columns]:
            measure = on_box.measurer(like, [trained_box.measured_on(self.job.potential)])

            def columns(lanes: Lanes, fit: Fit) -> statistics.Columns:
                (values,), energy = measure(lanes, fit.params)
                return on_box.columns(values, energy, fit, exact, kept, steps)

            return columns

        return Bench(self.in_turn(system, energies), measurer)
