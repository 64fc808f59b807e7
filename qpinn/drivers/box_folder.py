"""A solved box as the folder of a run: its arrays, results.json, figures and report.html."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qpinn.report import page
from qpinn.report.choice import EVERYTHING, Choice
from qpinn.runs import box_arrays, run_folder
from qpinn.runs.box_folder import summary


def write(
    folder: Path, solution: Any, route: Mapping[str, Any], seconds: Mapping[str, float], figures: Choice = EVERYTHING
) -> dict[str, Any]:
    """wavefunction.npz, results.json, the figures that are chosen, and report.html of a `BoxSolution`; returns the
    content of results.json.

    seconds  of each phase so far, and their `total`; those of the figures are added

    The result is on the disk before anything is drawn of it.
    """
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
