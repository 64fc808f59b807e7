"""Training of the hidden units of a box's axes, and its levels beside those without it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from qpinn.drivers import budget, build
from qpinn.drivers.box_plan import WIDTH, BoxPlan
from qpinn.drivers.box_solution import Levels, Training
from qpinn.drivers.settings import Settings
from qpinn.physics.mean_field import mean_field, sums
from qpinn.training import axes as training
from qpinn.training import starts
from qpinn.training.fit import Fit
from qpinn.wavefunctions.axis import Axis, OnGrid, axis_of

FUNCTIONS = 8
"""Functions of an axis that its hidden units are trained on."""

COPIES = 6
"""Arrays as large as a Jacobian that a step has at once, about."""


class Trained(NamedTuple):
    """Axes with trained hidden units, their functions on the quadratures, and how the training went.

    functions  of every axis that were trained on
    start      (K,) the lowest energies of products of the mean field
    residuals  (2, d) root mean square of |H u - e u| of the trained functions of every axis, before and after
    """

    axes: tuple[Axis, ...]
    grids: tuple[list[OnGrid], ...]
    functions: int
    start: Float[np.ndarray, "K"]
    residuals: Float[np.ndarray, "2 d"]


def is_wanted(settings: Settings) -> bool:
    """Whether hidden units are trained: where steps were asked for."""
    return settings.optimizer.steps is not None


def check(settings: Settings) -> None:
    """Raise ValueError for a training that there is not."""
    name, sampling = settings.optimizer.name, settings.sampling
    if name != "levenberg_marquardt":
        raise ValueError(f"optimizer.name={name}: hidden units of the axes are trained by levenberg_marquardt; leave "
                         "it out, or write ansatz=envelope to train one network of all coordinates")  # fmt: skip
    if not is_wanted(settings):
        return
    if sampling.name != "gauss_legendre":
        raise ValueError(f"sampling.name={sampling.name}: hidden units of the axes are trained on Gauss-Legendre "
                         "points; allowed: gauss_legendre")  # fmt: skip


def trained(plan: BoxPlan, settings: Settings, axes: Sequence[Axis], grids: Sequence[Sequence[OnGrid]]) -> Trained:
    """The axes with hidden units trained on their lowest functions in the mean field.

    axes, grids  all functions of every axis as their hidden units were drawn, and these on the quadratures of the plan
    """
    solving = [rules[1 if plan.potential.dimension == 3 else 0] for rules in grids]
    field = mean_field(plan.potential, solving)
    start = np.sort([sum(e[n] for e, n in zip(field.energies, index, strict=True)) for index in
                     sums(field.energies, plan.asked)]) - field.excess  # fmt: skip
    count = min(FUNCTIONS, *(axis.count for axis in axes))
    course = dataclasses.replace(build.course(settings, watched=False), start=starts.Random())
    optimizer = settings.optimizer.build(course.steps)
    systems, begun, units = [], [], []
    for axis, grid, v in zip(axes, solving, field.v, strict=True):
        e, mix = grid.ritz(v)
        units.append(settings.loss.unit or float(e[count - 1] - e[0]))
        numbers = {"unit": units[-1], "weight_pde": settings.loss.residual, "weight_norm": settings.loss.norm,
                   "steepest": training.steepest(min(plan.points[:2]))}  # fmt: skip
        some = axis.mixed(mix[:, :count])
        system, psi = training.system(some, grid, v, optimizer, numbers, settings.sampling.points)
        systems.append(system)
        begun.append(psi)
    fit = training.fit(systems, begun, course)
    made = [
        axis_of(axis.ansatz, training.with_hidden(axis, jax.tree.map(lambda leaf, k=k: leaf[k], fit.params["psi"])),
                float(plan.potential.masses[k]), plan.points, plan.cutoff)
        for k, axis in enumerate(axes)
    ]  # fmt: skip
    residuals = _residuals(fit, np.array(units), settings.loss.residual, count)
    return Trained(
        tuple(axis for axis, _ in made), tuple(rules for _, rules in made), functions=count, start=start,
        residuals=residuals,
    )  # fmt: skip


def _residuals(fit: Fit, units: Float[np.ndarray, "d"], weight: float, count: int) -> Float[np.ndarray, "2 d"]:
    """Root mean squares of the residual norms from the loss of the first and of the last step."""
    return np.asarray(units * np.sqrt(fit.history["pde"][[0, -1]] / (weight * count)))


def check_room(plan: BoxPlan, settings: Settings) -> None:
    """Raise ValueError where the networks of the axes, or the Jacobians that train them, do not fit into memory."""
    network, d, segments = settings.network, plan.potential.dimension, len(plan.edges[0]) - 1
    width = network.width or WIDTH
    most = wider(width) if is_wanted(settings) else width
    size, what = 16 * segments * sum(plan.points) * most * network.depth * (most + 5), "networks of an axis take"
    if is_wanted(settings):
        hidden = 2 * width + (network.depth - 1) * width * (width + 1)
        rows, columns = FUNCTIONS * (settings.sampling.points + 1), hidden + FUNCTIONS * (width + 5)
        jacobian = 8 * COPIES * d * segments * columns * max(rows, columns, 2 * FUNCTIONS * segments)
        size, what = max((size, what), (jacobian, f"training on {FUNCTIONS} functions of every axis takes"))
    if size > budget.room():
        raise ValueError(f"network.width={width}: {what} {size / 2**30:.3g} GiB on {segments} segments, more "
                         f"than the {budget.room() / 2**30:.3g} that there are; fewer units need less")  # fmt: skip


def untrained(settings: Settings, width: int | None = None) -> Settings:
    """The settings of levels with hidden units as they are drawn, and so many of them in a segment."""
    network = dataclasses.replace(settings.network, width=width or settings.network.width)
    return dataclasses.replace(settings, network=network, optimizer=dataclasses.replace(settings.optimizer, steps=None))


def wider(width: int) -> int:
    """Hidden units that stand in the place of training: as many as there are by default, or twice as many."""
    return WIDTH if width < WIDTH else 2 * width


def beside(settings: Settings, result: Trained, levels_of: Callable[[Settings], Levels]) -> Training:
    """What the levels are without training, and with more hidden units in its place.

    levels_of  the levels of untrained axes, on the same mesh
    """
    width = settings.network.width or WIDTH
    before, widened = levels_of(untrained(settings)), levels_of(untrained(settings, wider(width)))
    return Training(
        steps=int(settings.optimizer.steps or 0), width=width, wider=wider(width), functions=result.functions,
        start=result.start, residuals=result.residuals,
        before=before.energies, before_bounds=np.stack([before.lower, before.upper]),
        widened=widened.energies, widened_bounds=np.stack([widened.lower, widened.upper]),
    )  # fmt: skip
