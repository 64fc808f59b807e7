"""The files of a variation: vary.csv, a row for each level at each point, and vary.json."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.physics import potentials
from qpinn.physics.potentials import numbers
from qpinn.runs import files, run_folder


def summary(variation: Any, points: int) -> dict[str, Any]:
    """The content of vary.json: a `qpinn.Variation`, at so many of `points` as there are in it."""
    units, bounds = variation.units, variation.bounds
    names = ("energies", "converged", "slopes", "dipoles", "followed", "overlaps")
    return {
        "status": "finished" if len(variation.values) == points else "stopped",
        "potential": potentials.describe(variation.given),
        "units": {"length": units.length, "energy": units.energy, "scale": units.scale},
        "settings": dataclasses.asdict(variation.settings),
        "name": variation.name,
        "unit": numbers.unit_of(variation.name, units),
        "points": points,
        "values": variation.values.tolist(),
        "lower": bounds[..., 0].tolist(),
        "upper": bounds[..., 1].tolist(),
        **{name: getattr(variation, name).tolist() for name in names},
        "versions": run_folder.versions(),
        "git": run_folder.git_commit(),
    }


def write(folder: Path, content: dict[str, Any]) -> None:
    """vary.csv and vary.json of a `summary`."""
    files.write_atomically(folder / "vary.csv", _table(content).encode())
    run_folder.write_summary(folder, content, "vary.json")


def _table(content: dict[str, Any]) -> str:
    """vary.csv: units stand behind the names of columns."""
    units, unit = content["units"], content["unit"]
    length, energy = ("", "") if units["length"] == "L" else (f"_{units['length']}", f"_{units['energy']}")
    number = content["name"].removeprefix(numbers.PREFIX)
    per = f"{energy}_per_{unit}" if unit and energy else energy
    levels = len(content["energies"][0])
    header = [
        "point", f"{number}_{unit}" if unit else number, "level", "followed", f"energy{energy}", f"lower{energy}",
        f"upper{energy}", "converged", f"slope{per}", "overlap", *(f"dipole_{j}{length}" for j in range(levels)),
    ]  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for t, value in enumerate(content["values"]):
        for k in range(levels):
            measured = [content[name][t][k] for name in ("energies", "lower", "upper", "slopes", "overlaps")]
            level, lower, upper, slope, overlap = map(_text, measured)
            converged, dipoles = int(content["converged"][t][k]), map(_text, content["dipoles"][t][k])
            writer.writerow([t, _text(value), k, content["followed"][t][k], level, lower, upper, converged, slope,
                             overlap, *dipoles])  # fmt: skip
    return text.getvalue()


def _text(value: float) -> str:
    """A number with all of its digits; nothing for NaN."""
    return f"{value:.17g}" if np.isfinite(value) else ""
