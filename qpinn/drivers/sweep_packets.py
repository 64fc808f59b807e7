"""Sweeps over starts of a wave: one network of (t, x) for each, compared with the default route, see `wave_bench`.

A start is a row of columns: number, error (of psi at the last time), bound, norm (at the last time), loss, steps and
asked, seconds; and errors, at the times that are kept.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from qpinn.analysis import followed
from qpinn.analysis.statistics import Columns
from qpinn.drivers import build, evolve, wave_bench, wave_measure
from qpinn.drivers.evolution import Evolution
from qpinn.drivers.sweep_job import Bench, Job, Networks
from qpinn.drivers.sweep_settings import Sweep
from qpinn.runs import sweep_folder
from qpinn.runs.evolution import described
from qpinn.training.fit import Fit
from qpinn.training.lanes import Lanes
from qpinn.typing import Params

TIMES = 41
"""At which errors are kept."""

KNOWN = 1e-3
"""Largest bound of what starts are compared with."""

VARIED = ("loss.residual", "loss.unit", "optimizer.")
"""Beginnings of keys that may differ between the starts."""


def check(sweep: Sweep, asked: Any, potential: Any, settings: Any) -> None:
    """Raise ValueError for what a sweep over packets cannot do."""
    if not evolve.trained(settings):
        raise ValueError("packet, times: nothing is trained where a packet moves among states; allowed in a sweep: "
                         "experiment=paper/time")  # fmt: skip
    if sweep.vary is not None and not sweep.vary.startswith(VARIED):
        raise ValueError(f"sweep.vary={sweep.vary}: means nothing for a packet; leave it out")
    wave_bench.problem_of(potential, asked, settings)


class Packets(Networks):
    """Waves of a packet in time."""

    history = ("total",)
    goal = followed.FOLLOWED

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        check(job.sweep, job.asked, job.potential, job.settings)

    @functools.cached_property
    def _on(self) -> wave_bench.Bench:
        job = self.job
        problem = wave_bench.problem_of(job.potential, job.asked, job.settings)
        return wave_bench.bench(job.potential, job.asked, problem, job.settings)

    @property
    def _exact(self) -> Evolution:
        exact = self._on.exact
        if isinstance(exact, str):
            raise ValueError(exact)
        if exact.series.final > KNOWN:
            raise ValueError(f"packet: the default route, which all starts are compared with, knows psi to "
                             f"{exact.series.final:.1g} alone; at most {KNOWN:g}")  # fmt: skip
        return exact

    def route(self) -> dict[str, Any]:
        return wave_bench.describe_route(self.job.settings)

    def check_size(self, starts: int) -> None:
        wave_bench.check_size(self.job.settings, wave_bench.panels_of(self._on.problem), starts)

    def kept(self) -> np.ndarray:
        times = self._on.problem.times
        return np.linspace(times[0], times[-1], TIMES)

    def bench(self) -> Bench:
        on, asked, times, rule = self._on, build.course(self.job.settings).steps, self.kept(), self._on.rules[0]
        exact = self._exact

        def one(params: Params) -> dict[str, Any]:
            psi = wave_measure.psi_on(on.equation, params, times, rule.x)
            errors = wave_measure.apart(psi, exact, times, rule, on.problem)
            bound = on.initial + wave_measure.bounded(on.equation, params, on.problem, on.rules).sum()
            norm = np.sqrt(np.abs(psi[-1]) ** 2 @ rule.weight)
            return {"error": errors[-1], "bound": bound, "norm": norm, "errors": errors}

        def columns(lanes: Lanes, fit: Fit) -> Columns:
            every = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.device_get(fit.params))
            rows = [one(jax.tree.map(lambda leaf: leaf[i], every)) for i in range(lanes.count)]
            measured = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            return {**measured, "loss": fit.losses, "steps": fit.steps, "asked": np.full(lanes.count, asked)}

        return Bench([on.system], lambda like: columns)

    def right(self, columns: Columns) -> int:
        return followed.followed(columns)

    def results(self, columns: Columns) -> dict[str, Any]:
        return {
            "packet": self.described(), "statistics": followed.statistics(columns),
            "exact": {"bound": self._exact.series.final, **self._exact.work},
        }  # fmt: skip

    def described(self) -> dict[str, Any]:
        """The packet, and what is asked of it."""
        asked, problem = self.job.asked, self._on.problem
        return {**described(problem.packet), "times": problem.times.tolist(), "causal": asked.causal,
                "drive": None if asked.drive is None else asked.drive.label}  # fmt: skip

    def write_table(self, folder: Path, columns: Columns) -> None:
        job = self.job
        sweep_folder.write_packets(folder, columns, job.settings.seed, job.values, job.sweep.vary)
