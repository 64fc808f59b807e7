"""A BoxSolution or a TrainedBox as a session shows it: a few lines of text, or a small table."""

from __future__ import annotations

from typing import Any

from qpinn.drivers import shown
from qpinn.drivers.eigenstates import describe_route
from qpinn.drivers.shown import Shown
from qpinn.report import box_tables, tables, words
from qpinn.runs import box_folder, trained_folder


def of_trained(solution: Any) -> Shown:
    """Potential and how it was trained, and every level with its norm and residual: nothing is compared with others."""
    results = trained_folder.summary(solution, describe_route(solution.settings), solution.seconds)
    states, units = results["states"], results["units"]
    remarks = ["no bounds: some level lies within the residual of <psi|H|psi>; `states` has the errors"]
    count = shown.LEVELS - len(remarks)
    rows = [[str(state["index"]), words.level(state["energy"], 10), words.level(state["energy_rayleigh"], 10),
             words.number(state["residual"]), f"{state['norm']:.4f}"] for state in states[:count]]  # fmt: skip
    if len(states) > count:
        remarks.insert(0, f"... and {len(states) - count} more")
    header = ["n", *(tables.with_unit(name, units, "energy") for name in ("E", "<psi|H|psi>", "residual")), "norm"]
    ended = "" if solution.status == "finished" else f"; {solution.status}"
    heads = [f"TrainedBox of {', '.join([str(results['potential']['name']), box_tables.potential(results)])}",
             f"{results['route']['label']}; {sum(solution.seconds.values()):.1f} s{ended}"]  # fmt: skip
    return Shown(heads, header, rows, remarks)


def of_box(solution: Any) -> Shown:
    """Potential and how it was solved, and every level with its bound and symmetry."""
    results = box_folder.summary(solution, {}, solution.seconds)
    states, within = results["states"], f"within {words.tolerance(results)}"
    reason = results["certificate"]["reason"]
    remarks = [f"no bounds: {reason}"] if reason else []
    remarks += filter(None, [box_tables.trained_axes(results)])
    count = shown.LEVELS - len(remarks)
    if len(states) > count:
        met = sum(state["converged"] for state in states)
        remarks.insert(0, f"... and {len(states) - count} more; {met} of {len(states)} levels {within}")
    folds = any(state["multiplicity"] > 1 for state in states)
    rows = [
        [str(state["index"]), words.certified(state), "yes" if state["converged"] else "no",
         *([box_tables.multiplicity(state)] if folds else []), box_tables.symmetry(state)]
        for state in states[:count]
    ]  # fmt: skip
    header = ["n", tables.with_unit("E", results["units"], "energy"), within, *(["fold"] if folds else []), "symmetry"]
    if not results["symmetries"]:
        header, rows = header[:-1], [row[:-1] for row in rows]
    name = str(results["potential"]["name"])
    heads = [f"BoxSolution of {', '.join([name, box_tables.potential(results)])}",
             f"{box_tables.made(results)}; {sum(solution.seconds.values()):.1f} s"]  # fmt: skip
    return Shown(heads, header, rows, remarks)
