"""The files of a box whose functions were trained: results.json, and the arrays of the training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qpinn.analysis import observables
from qpinn.physics.reference import Eigenstates
from qpinn.runs import box_arrays, box_folder, checkpoint, run_folder

NO_BOUNDS = (
    "this route excludes no level below; that some level lies within the residual of the Rayleigh quotient is all that "
    "is known, but for the quadrature"
)


def summary(
    solution: Any, route: Mapping[str, Any], seconds: Mapping[str, float], levels: Eigenstates | None = None,
    no_reference: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The content of results.json: a `qpinn.drivers.trained_box.TrainedBox`, its errors against the reference `levels`.

    states  as `qpinn.analysis.observables.State` has them, and what a `box_folder` says of symmetries and multiplicity,
            of which nothing is known here
    """
    states = solution.against(levels)
    energies = solution.energies / solution.units.scale
    strengths = [observables.oscillator_strengths(energies, dipole).tolist() for dipole in solution.dipoles]
    return {
        **box_folder.problem(solution, solution.boxed),
        "symmetries": [],
        "route": dict(route),
        "states": [{**dataclasses.asdict(state), "group": state.index, "multiplicity": 1, "open": False, "symmetry": {}}
                   for state in states],
        "dipoles": solution.dipoles.tolist(),
        "oscillator_strengths": strengths,
        "next_energy": None,
        "reference": run_folder.reference(levels, solution.units.scale),
        "no_reference": no_reference,
        "certificate": {
            "tol": None, "sigma": None, "together": 0, "products": 0, "reason": NO_BOUNDS,
            "walls_chosen": list(solution.chosen), "checked": None, "assumed": None,
        },
        "steps": solution.steps,
        "parameters": solution.parameters,
        "seconds": dict(seconds),
    }  # fmt: skip


def write_arrays(folder: Path, solution: Any) -> None:
    """wavefunction.npz, parameters.npz, and history.csv without errors of E."""
    box_arrays.write(folder, box_arrays.of_trained(solution))
    fit = solution.fit
    checkpoint.save(
        folder / "parameters.npz", {"lanes": fit.params, "start": fit.start, "steps": fit.steps, "alive": fit.alive}
    )
    write_history(folder, solution)


def write_history(folder: Path, solution: Any, levels: Eigenstates | None = None) -> None:
    """history.csv, with errors of E against the reference `levels`."""
    run_folder.write_history(folder, run_folder.history(solution, levels), solution.units)
