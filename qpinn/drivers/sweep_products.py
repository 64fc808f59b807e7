"""A sweep over the networks of a box: for each seed the axes have others, and levels are solved among products of them.

A start is one step, from the level of the mean field to that among products, whether hidden units are trained or not.
It has no loss, and products have no number of nodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from qpinn.analysis import statistics, tensor
from qpinn.drivers import box, box_plan, trained_box
from qpinn.drivers.box_plan import BoxPlan
from qpinn.drivers.settings import Settings
from qpinn.drivers.sweep_job import Job
from qpinn.drivers.sweep_levels import Levels
from qpinn.drivers.sweep_settings import Sweep
from qpinn.physics import box_walls
from qpinn.physics.mean_field import Sinc
from qpinn.physics.reference import Eigenstates
from qpinn.training.fit import Fit
from qpinn.training.products import along

EVEN = {2: 160, 3: 48}
"""Even points of an axis on which psi is compared, by the number of axes: exact for as many sin functions."""

FRAMES = np.zeros(1, int)
"""The step whose energy is kept."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnRule:
    """B functions of unit norm: psi (B, n) on points with weights (n,), and integrals (B,) by a finer quadrature: the
    Rayleigh quotients, and their kinetic parts."""

    psi: Float[np.ndarray, "B n"]
    weight: Float[np.ndarray, "n"]
    energies: Float[np.ndarray, "B"]
    slopes: Float[np.ndarray, "B"]

    def norms(self) -> Float[np.ndarray, "B"]:
        return np.ones(len(self.psi))

    def kinetic(self) -> Float[np.ndarray, "B"]:
        return self.slopes

    def potential(self) -> Float[np.ndarray, "B"]:
        return self.energies - self.slopes


def plan_of(potential: Any, settings: Settings, sweep: Sweep) -> BoxPlan:
    """The plan that all starts share. Raises ValueError for what a sweep of products cannot do."""
    box.check(settings)
    if potential.dimension not in EVEN:
        raise ValueError(f"potential={potential.name}: has {potential.dimension} axes; a sweep compares with products "
                         "of sin functions, on two or three axes")  # fmt: skip
    if potential.curves:
        raise ValueError(f"potential={potential.name}: V jumps or bends on curves; a sweep of products takes one that "
                         "does on planes alone")  # fmt: skip
    if sweep.vary is not None:
        raise ValueError(f"sweep.vary={sweep.vary}: nothing is trained among products; leave it out, or "
                         "ansatz=envelope")  # fmt: skip
    if not all(ends.walls for ends in settings.ends.of_axes(potential.dimension)):
        raise ValueError(f"{settings.ends.said}: a sweep of products compares with products of sin functions, which "
                         "are those of walls; leave it out")  # fmt: skip
    plan = box_plan.of(potential, settings)
    box.check_room(plan, settings)
    return plan


class Products(Levels):
    """Levels of a potential of several coordinates, among products."""

    exact_levels = staticmethod(trained_box.exact_levels)
    phases = ("plan", "solve")
    alone = True

    def __init__(self, job: Job) -> None:
        self._plan = plan_of(job.potential, job.settings, job.sweep)
        super().__init__(dataclasses.replace(job, potential=self._plan.potential))

    def route(self) -> dict[str, Any]:
        return box.describe_route(self.job.settings)

    def check_size(self, starts: int) -> None:
        """Nothing more: the plan has checked it."""

    def kept(self) -> np.ndarray:
        return FRAMES

    def width(self, devices: int) -> int:
        return self.job.sweep.block or 1  # one after the other, whatever is on the disk together

    def trainer(self, size: int, on: list[jax.Device]) -> Callable[[np.ndarray], statistics.Columns]:
        return solver(self._plan, self.job.settings, self.levels())


def solver(plan: BoxPlan, settings: Settings, levels: Eigenstates) -> Callable[[np.ndarray], statistics.Columns]:
    """A function that solves starts by their numbers, and gives the columns of `qpinn.analysis.statistics`."""
    index, d = settings.level, plan.potential.dimension
    rules = [Sinc(float(left), float(right), float(mass), EVEN[d])
             for (left, right), mass in zip(plan.potential.domain, plan.potential.masses, strict=True)]  # fmt: skip
    weight = tensor.outer([rule.weight for rule in rules]).ravel()
    x = np.stack(np.meshgrid(*(rule.x for rule in rules), indexing="ij"), axis=-1).reshape(-1, d)
    # fixed: E converges to nothing step by step
    exact = statistics.Exact(levels=levels, psi=levels.psi(x), index=index, fixed=True, projected=True)
    begun = box_walls.highest(plan.field, index + 1)

    def start(number: int) -> tuple[np.ndarray, float, float, float]:
        found = box.among_products(plan, dataclasses.replace(settings, seed=settings.seed + number))
        jets = [axis.on(rule.x).jets[0] for axis, rule in zip(found.axes, rules, strict=True)]
        psi, forms = along(found.core[index : index + 1], jets).ravel(), found.fine
        return psi, forms.energies[index], forms.kinetic[index, index], float(np.sqrt(forms.residual[index, index]))

    def solved(numbers: np.ndarray) -> statistics.Columns:
        with jax.enable_x64(True):
            psi, energy, kinetic, residual = map(np.array, zip(*map(start, numbers.tolist()), strict=True))
        values = OnRule(psi=psi, weight=weight, energies=energy, slopes=kinetic)
        count = len(numbers)
        fit = Fit(
            params={}, start={"energy": np.full(count, begun)}, steps=np.ones(count, int), alive=np.ones(count, bool),
            history={"energy": energy[None], "total": np.full((1, count), np.nan)}, seconds={}, status="finished",
            asked=False,
        )  # fmt: skip
        columns = statistics.columns(values, energy, fit, exact, FRAMES, 1)
        return {**columns, "number": numbers, "node_count": np.full(count, np.nan), "residual": residual}

    return solved
