"""Levels of boxes of four to ten axes: chosen products of the functions of the axes, and what bounds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qpinn.analysis import many_axes, tensor
from qpinn.bounds import certify
from qpinn.drivers import box_plan, budget
from qpinn.drivers.box_plan import BoxPlan
from qpinn.drivers.box_solution import Levels
from qpinn.drivers.settings import Settings
from qpinn.training.index_products import fit_into
from qpinn.wavefunctions.axis import Axis, OnGrid
from qpinn.wavefunctions.product import Core, Terms

TOLERANCE = 1e-10
"""Of the energies where none was asked for, relative to the highest one above the least V."""


def expanded(
    plan: BoxPlan, settings: Settings, axes: Sequence[Axis], grids: Sequence[Sequence[OnGrid]]
) -> tuple[tuple[Axis, ...], Core, Levels, np.ndarray]:
    """The functions of the axes that products are made of, the products, what is known of the levels, and <r_i|r_j>."""
    most = min(box_plan.MOST_TERMS, fit_into(budget.room(), plan.solved))
    fine, check = ([rules[which] for rules in grids] for which in (0, 1))
    tol = min(0.03 * (settings.tol or 1.0), TOLERANCE) if settings.tol else TOLERANCE
    solved = many_axes.levels(plan.potential, fine, check, plan.edges, plan.asked, tol * plan.height, most, plan.more)
    mixed = tuple(axis.mixed(mix) for axis, mix in zip(axes, solved.mixes, strict=True))
    shown = slice(0, plan.asked)
    core = Terms(solved.tuples, solved.vectors.T[shown])
    return mixed, core, _levels(plan, solved, mixed, core), solved.forms.residual[shown, shown]


def _levels(plan: BoxPlan, solved: many_axes.ManyAxes, axes: tuple[Axis, ...], core: Terms) -> Levels:
    forms, shown = solved.forms, slice(0, plan.asked)
    energies = forms.energies[shown]
    rounding = forms.unseen + 32 * np.finfo(float).eps * forms.size
    flux = tensor.wall_flux(axes, core, plan.potential.masses)
    truncation = np.zeros(plan.asked)
    for axis, chosen in enumerate(plan.chosen):
        if chosen:
            low = plan.field.v[axis][[0, -1]]
            kappa = np.sqrt(np.maximum(float(plan.potential.masses[axis]) * (low - plan.top), 1e-12))
            truncation += (flux[:, axis] / kappa).sum(axis=1)
    lower = np.full(plan.asked, -np.inf)
    if solved.reason is None:
        lower = solved.lower[shown] - (rounding - forms.unseen)[shown] - truncation
    return Levels(
        energies=energies, lower=lower, upper=energies + rounding[shown],
        residual=np.sqrt(np.diag(forms.residual))[shown], rounding=rounding[shown], truncation=truncation,
        sigma=solved.sigma, products=0, together=len(forms.energies), reason=solved.reason,
        kinetic=forms.kinetic[shown, shown], moments=forms.moments[:, shown, shown],
        squares=forms.squares[:, shown, shown],
        scale=certify.scale(energies), beyond=solved.beyond,
    )  # fmt: skip
