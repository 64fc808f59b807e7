"""The results.json of a box: what was solved, its levels with their bounds and symmetries, and what they rest on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from qpinn.analysis import box_symmetry, observables
from qpinn.physics import potentials
from qpinn.physics.potentials.terms import coordinates
from qpinn.runs import run_folder


def summary(solution: Any, route: Mapping[str, Any], seconds: Mapping[str, float]) -> dict[str, Any]:
    """The content of results.json: a `qpinn.drivers.box_solution.BoxSolution`, as JSON can hold it.

    dimension, coordinates  d and their names; walls, ends (what psi does there), breakpoints and masses have an entry
                            for each
    curves                  conditions of several coordinates across which V may jump or bend
    symmetries              names of what leaves V as it is
    states                  see `_states`
    training                see `_training`; None where hidden units are as they were drawn
    dipoles                 (d, K, K) <i|x|j>, and oscillator_strengths
    next_energy             E of the level after the last one
    """
    levels, scale, plan = solution.levels, solution.units.scale, solution.plan
    energies = levels.energies[solution.shown]
    return {
        **problem(solution, plan.potential),
        "symmetries": list(solution.symmetries),
        "route": dict(route),
        "states": _states(solution),
        "dipoles": solution.dipoles.tolist(),
        "oscillator_strengths": [observables.oscillator_strengths(energies, dipole).tolist()
                                 for dipole in solution.dipoles],
        "next_energy": levels.beyond * scale,
        "reference": None,
        "no_reference": None,
        "certificate": certificate(solution),
        "training": _training(solution),
        "segments": [len(edges) - 1 for edges in plan.edges],
        "functions": [axis.count for axis in solution.axes],
        "seconds": dict(seconds),
    }  # fmt: skip


def problem(solution: Any, boxed: Any) -> dict[str, Any]:
    """What was solved, between the walls of `boxed`, and on what, as both kinds of a results.json of a box have it."""
    d = int(boxed.dimension)
    return {
        "status": solution.status,
        "task": run_folder.BOX,
        "potential": potentials.describe(solution.potential),
        "units": {"length": solution.units.length, "energy": solution.units.energy, "scale": solution.units.scale},
        "dimension": d,
        "coordinates": list(coordinates(d)[:d]),
        "walls": [[float(wall) for wall in pair] for pair in boxed.domain],
        "ends": [[ends.left, ends.right] for ends in boxed.ends_of_axes],
        "masses": [float(mass) for mass in boxed.masses],
        "breakpoints": [[float(point) for point in points] for points in boxed.breakpoints],
        "curves": len(boxed.curves),
        "settings": dataclasses.asdict(solution.settings),
        "rounds": solution.stats.rounds,
        "versions": run_folder.versions(),
        "device": solution.stats.device,
        "seed": solution.settings.seed,
        "git": run_folder.git_commit(),
    }


def dimension(solution: Any) -> int:
    """Number of coordinates."""
    return int(solution.plan.potential.dimension)


def _states(solution: Any) -> list[dict[str, Any]]:
    """Every state that was asked for.

    energy, lower, upper       E and its bounds, None where there are none
    outcome                    as of a run in one dimension: "right state" or "no reference" (no bounds)
    residual                   |H psi - E psi|; rounding and truncation: what the bounds allow for
    group, multiplicity        first of the levels that are one with it as far as is known, and how many these are
    open                       whether the next level, which was not asked for, may be one of them
    wall_fall                  by how much E falls if the walls that were given were 1 % further from the middle
    symmetry                   +1, -1 or None for each of `symmetries`
    expectation                <x> and <x^2> of every axis, kinetic and potential energy
    """
    levels, scale, groups = solution.levels, solution.units.scale, box_symmetry.groups(solution.levels)
    last = float(np.clip(levels.half_width[-1] / levels.scale[-1], box_symmetry.SAME, box_symmetry.LOOSEST))
    goes_on = levels.beyond - levels.energies[-1] <= last * levels.scale[-1]
    shown = range(len(levels.energies))[solution.shown]
    plan = solution.plan
    given = [[not chosen and end == "wall" for end in (ends.left, ends.right)]
             for chosen, ends in zip(plan.chosen, plan.potential.ends_of_axes, strict=True)]  # fmt: skip
    widths = np.diff(np.asarray(plan.potential.domain, float)) * given
    falls = 0.005 * (solution.wall_flux * widths).sum(axis=(1, 2)) if widths.any() else np.zeros(len(shown))
    states = []
    for place, (index, converged) in enumerate(zip(shown, solution.converged, strict=True)):
        group = next(run for run in groups if index in run)
        lower, upper = (_known(bound[index], scale) for bound in (levels.lower, levels.upper))
        states.append({
            "index": index, "energy": float(levels.energies[index]) * scale, "lower": lower, "upper": upper,
            "converged": converged, "outcome": "no reference" if lower is None or upper is None else "right state",
            "residual": float(levels.residual[index]) * scale, "rounding": _known(levels.rounding[index], scale),
            "truncation": float(levels.truncation[index]) * scale, "wall_fall": float(falls[place]) * scale,
            "group": group.start, "multiplicity": len(group),
            "open": bool(goes_on) and group.stop == len(levels.energies),
            "symmetry": {name: values[place] for name, values in solution.symmetries.items()},
            "expectation": {
                "x": [float(moment[index, index]) for moment in levels.moments],
                "x2": [float(square[index, index]) for square in levels.squares],
                "kinetic": float(levels.kinetic[index, index]) * scale,
                "potential": float(levels.energies[index] - levels.kinetic[index, index]) * scale,
            },
        })  # fmt: skip
    return states


def _training(solution: Any) -> dict[str, Any] | None:
    """What training the hidden units of the axes did, and the levels without it.

    steps, functions            of the training, and of an axis that it was on
    width, wider                hidden units of a segment, and as many as stand in the place of training
    residual, residual_before   (d,) root mean square of |H u - e u| of those functions of every axis
    states                      for every state E of the product of the mean field, and E with its bounds before
                                training and with more units instead
    """
    training, scale = solution.training, solution.units.scale
    if training is None:
        return None

    def without(energies: np.ndarray, bounds: np.ndarray, index: int) -> dict[str, Any]:
        lower, upper = (_known(bound, scale) for bound in bounds[:, index])
        return {"energy": float(energies[index]) * scale, "lower": lower, "upper": upper}

    return {
        **{name: getattr(training, name) for name in ("steps", "functions", "width", "wider")},
        "residual_before": (training.residuals[0] * scale).tolist(),
        "residual": (training.residuals[1] * scale).tolist(),
        "states": [{
            "index": index, "energy_start": float(training.start[index]) * scale,
            "before": without(training.before, training.before_bounds, index),
            "widened": without(training.widened, training.widened_bounds, index),
        } for index in range(len(training.start))[solution.shown]],
    }  # fmt: skip


def _known(value: float, scale: float) -> float | None:
    return float(value) * scale if np.isfinite(value) else None


def certificate(solution: Any) -> dict[str, Any]:
    """What the bounds of a box rest on.

    sigma     lower bound of level `together`, from `products` of the comparison potential
    together  how many levels are bounded together, from the lowest one on
    reason    why there are no bounds, or None
    """
    levels, plan, tol = solution.levels, solution.plan, solution.settings.tol
    names = coordinates(dimension(solution))
    chosen = [name for name, here in zip(names, plan.chosen, strict=False) if here]
    bounded = levels.reason is None
    above = f"Bazley and Fox: {levels.products} products" if levels.products else "inertia of H among products"
    checked = (
        f"no level below sigma was missed ({above} of a comparison potential that "
        "separates and lies nowhere above V, whose own levels have lower bounds); V against it in cells, by interval "
        f"arithmetic; levels 0 to {levels.together - 1} bounded together up to a gap (Lehmann and Maehly); quadrature "
        "by two rules"
    )
    assumed = "what the finer rule misses is no more than twice what the two differ by; rounding below 32 eps (T + |V|)"
    if any(plan.chosen):
        assumed += (f"; walls of {', '.join(chosen)}, put where psi has decayed, raise a level by no more than twice "
                    "the sum of (d psi / dn)^2 / (2 m kappa) over them")  # fmt: skip
    return {
        "tol": tol,
        "sigma": _known(levels.sigma, solution.units.scale),
        "together": levels.together,
        "products": levels.products,
        "reason": levels.reason,
        "walls_chosen": list(plan.chosen),
        "checked": checked if bounded else None,
        "assumed": assumed if bounded else None,
    }
