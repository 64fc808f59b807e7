"""A solved box as the folder of a run: its parameters and arrays, results.json, figures and report.html."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from qpinn.drivers import box, box_curves, box_plan
from qpinn.drivers.box_solution import BoxSolution, Levels, Training
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Stats
from qpinn.report import page
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.runs import box_arrays, box_parameters, run_folder
from qpinn.runs.box_folder import summary
from qpinn.wavefunctions.ansatz import Ansatz


def write(
    folder: Path, solution: Any, route: Mapping[str, Any], seconds: Mapping[str, float], figures: Choice = EVERYTHING
) -> dict[str, Any]:
    """potential.json, parameters.npz, wavefunction.npz, results.json, the figures that are chosen, and report.html of a
    `BoxSolution`; returns the content of results.json.

    seconds  of each phase so far, and their `total`; those of the figures are added

    The result is on the disk before anything is drawn of it.
    """
    box_parameters.write(folder, solution, box_curves.curves_of(solution.plan.potential) if solution.bends else ())
    box_arrays.write(folder, box_arrays.arrays(solution))
    return finish(folder, summary(solution, route, seconds), figures)


def finish(folder: Path, results: dict[str, Any], figures: Choice = EVERYTHING) -> dict[str, Any]:
    """results.json, then the figures that are chosen and report.html, from what has been written of a box; returns the
    content of results.json, with the seconds of the figures and their `total`.
    """
    seconds = results["seconds"]
    total = seconds.get("total", sum(seconds.values()))
    results["seconds"] = {**seconds, "total": total}
    run_folder.write_summary(folder, results)
    begun, pictures = time.monotonic(), page.NONE
    if figures.name != "none":
        from qpinn.report import box_figures  # matplotlib takes its time

        pictures = box_figures.save_all(folder, figures).shown
    took = time.monotonic() - begun
    phases = {name: value for name, value in seconds.items() if name != "total"}
    results["seconds"] = {**phases, "figures": took, "total": total + took}
    run_folder.write_summary(folder, results)
    page.save(folder, pictures)
    return results


def read(folder: Path, potential: Any, settings: Settings, stats: Stats) -> BoxSolution:
    """The solution that `write` wrote, of a potential with these settings; nothing is solved.

    Raises ValueError, naming the file, if it is missing or damaged.
    """
    ends = settings.ends.of_axes(potential.dimension)

    def ansatz(edges: Float[np.ndarray, "S+1"], axis: int) -> Ansatz:
        return box.ansatz_on(edges, settings, ends[axis])

    with jax.enable_x64(True):
        stored = box_parameters.read(folder, potential.dimension, ansatz,
                                     lambda walls: box_curves.curves_of(potential.on(walls)), Levels,
                                     Training)  # fmt: skip
        plan = box_plan.restored(potential, settings, [axis.mesh.edges for axis in stored.axes])
    if len(stored.core) != plan.asked:
        raise ValueError(f"{folder / box_parameters.NAME}: holds {len(stored.core)} levels, and config.yaml asks for "
                         f"{plan.asked}")  # fmt: skip
    solving = {phase: seconds for phase, seconds in stats.seconds.items() if phase != "figures"}
    return BoxSolution(
        given=potential, settings=settings, plan=plan, axes=stored.axes, core=stored.core, bends=stored.bends,
        levels=stored.levels, training=stored.training, stats=stats._replace(seconds=solving),
    )  # fmt: skip
