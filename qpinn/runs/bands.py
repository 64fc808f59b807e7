"""The files of bands: bands.csv, a row for each level at each phase, and bands.json."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

from qpinn.physics import potentials
from qpinn.runs import files, run_folder


def summary(bands: Any) -> dict[str, Any]:
    """The content of bands.json: a `qpinn.Bands`."""
    units = bands.units
    return {
        "potential": potentials.describe(bands.given),
        "units": {"length": units.length, "energy": units.energy, "scale": units.scale},
        "settings": dataclasses.asdict(bands.settings),
        **{name: getattr(bands, name).tolist() for name in ("theta", "k", "energies", "lower", "upper", "gaps")},
        "versions": run_folder.versions(),
        "git": run_folder.git_commit(),
    }


def write(folder: Path, content: dict[str, Any]) -> None:
    """bands.csv and bands.json of a `summary`; units stand behind the names of columns."""
    units = content["units"]
    length, energy = ("", "") if units["length"] == "L" else (f"_per_{units['length']}", f"_{units['energy']}")
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["theta", f"k{length}", "band", *(f"{name}{energy}" for name in ("energy", "lower", "upper"))])
    for i, (theta, k) in enumerate(zip(content["theta"], content["k"], strict=True)):
        for n in range(len(content["energies"][i])):
            numbers = theta, k, n, *(content[name][i][n] for name in ("energies", "lower", "upper"))
            writer.writerow([f"{number:.17g}" for number in numbers])
    files.write_atomically(folder / "bands.csv", rows.getvalue().encode())
    run_folder.write_summary(folder, content, "bands.json")
