"""The files of a scattering: scatter.csv, a row for each energy, scattering.json, and waves.npz."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.physics import enclosure, potentials
from qpinn.physics.units import time
from qpinn.runs import files, run_folder

NAME = "scattering.json"

WAVES = "waves.npz"

COLUMNS = ("energies", "T", "R", "bound", "reflection_bound", "phase_time", "residual")
"""Numbers of every energy in scattering.json, beside t and r."""


def summary(scattering: Any, resonances: Sequence[Any] = (), asked: int = 0) -> dict[str, Any]:
    """The content of scattering.json: a `qpinn.Scattering`, and of `asked` resonances those that were found."""
    units, system = scattering.units, scattering.system
    structure, scale = system.structure, scattering.units.scale
    trained = scattering.untrained
    return {
        "status": "finished",
        "potential": potentials.describe(scattering.given),
        "units": {"length": units.length, "energy": units.energy, "scale": units.scale, "time": time(units)[0]},
        "ends": list(structure.domain),
        "leads": {"levels": (structure.levels * scale).tolist(), "masses": structure.masses.tolist()},
        "settings": dataclasses.asdict(scattering.settings),
        **{name: getattr(scattering, name).tolist() for name in COLUMNS},
        **{name: [[float(z.real), float(z.imag)] for z in getattr(scattering, name)] for name in ("t", "r")},
        "resonances": [dataclasses.asdict(one) for one in resonances],
        "resonances_asked": asked,
        "untrained": None if trained is None else trained.tolist(),
        "segments": len(system.mesh),
        "certificate": certificate(scattering),
        "seconds": dict(scattering.seconds),
        "versions": run_folder.versions(),
        "git": run_folder.git_commit(),
    }


def certificate(scattering: Any) -> dict[str, Any]:
    """What the bounds rest on."""
    structure = scattering.system.structure
    enclosed = enclosure.is_enclosed(structure.potential)
    method = "V by interval arithmetic" if enclosed else "V in a cell as its samples and their curvature say"
    tails = structure.tails * scattering.units.scale
    return {
        "tol": scattering.settings.tol,
        "checked": f"residual norms on points that the least squares does not know, and how far V is from what they "
        f"see, {method}; psi and psi' / m are continuous, and waves in the leads exact, by construction",
        "assumed": ("" if enclosed else "V is sampled: between samples it is no lower than their curvature says; ")
        + "rounding below 8 eps of every term of a residual"
        + (f"; V differs from its limits beyond the ends by {tails.max():.1e} in all, which is counted"
           if tails.any() else ""),
    }  # fmt: skip


def write(folder: Path, content: Mapping[str, Any], waves: Mapping[str, np.ndarray]) -> None:
    """scatter.csv, waves.npz and scattering.json of a `summary` and of |psi|^2 on a grid."""
    data = io.BytesIO()
    np.savez(data, **waves)  # type: ignore[arg-type]
    files.write_atomically(folder / WAVES, data.getvalue())
    files.write_atomically(folder / "scatter.csv", table(content).encode())
    run_folder.write_summary(folder, content, NAME)


def table(content: Mapping[str, Any]) -> str:
    """scatter.csv: units stand behind the names of columns, and a bound that is not there is left empty."""
    units = content["units"]
    energy = "" if units["length"] == "L" else f"_{units['energy']}"
    of_time = "" if units["length"] == "L" else f"_{units['time'].replace('/', '_per_')}"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"energy{energy}", "T", "R", "bound_T", "bound_R", f"phase_time{of_time}", "t_re", "t_im", "r_re",
                     "r_im", "residual"])  # fmt: skip
    names = ("energies", "T", "R", "bound", "reflection_bound", "phase_time")
    for row in zip(*(content[name] for name in names), content["t"], content["r"], content["residual"], strict=True):
        writer.writerow([_text(value) for value in (*row[:6], *row[6], *row[7], row[8])])
    return text.getvalue()


def _text(value: float | None) -> str:
    """A number with all of its digits; nothing for one that is not known."""
    return f"{value:.17g}" if value is not None and np.isfinite(value) else ""
