"""The files of a run folder, written from a solution and read back."""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import io
import json
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from qpinn.analysis import compare, evaluate
from qpinn.physics import potentials
from qpinn.training import checkpoint

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "matplotlib", "hydra-core")


def versions() -> dict[str, str]:
    """Versions of Python, qpinn and what it stands on."""
    found = {"python": platform.python_version()}
    for package in ("qpinn", *PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_commit() -> str | None:
    """Commit of the working tree that this package lies in, "-dirty" after it if files differ; None outside git."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


def _finite(value: Any) -> Any:
    """`value` with NaN and infinity as null, which JSON has no words for."""
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary(solution: Any, route: Mapping[str, Any], rows: Sequence[compare.Row], seconds: Mapping[str, float]) -> dict:
    """The content of results.json. `solution` is a qpinn.Solution, `rows` the classical methods."""
    potential = solution.potential
    return {
        "status": solution.status,
        "potential": potentials.describe(potential),
        "units": {"length": solution.units.length, "energy": solution.units.energy, "scale": solution.units.scale},
        "walls": [float(wall) for wall in potential.domain],
        "breakpoints": sorted(float(point) for point in potential.breakpoints),
        "route": dict(route),
        "settings": dataclasses.asdict(solution.settings),
        "states": [dataclasses.asdict(state) for state in solution.states],
        "dipoles": solution.dipoles.tolist(),
        "oscillator_strengths": evaluate.oscillator_strengths(
            solution.energies / solution.units.scale, solution.dipoles
        ).tolist(),
        "reference": {
            "method": solution.levels.method,
            "energies": [float(level) * solution.units.scale for level in solution.levels.energies],
        },
        "certificate": certificate(solution.plan, solution.settings),
        "rounds": solution.rounds,
        "comparison": [dataclasses.asdict(row) for row in rows],
        "steps": solution.steps,
        "parameters": solution.parameters,
        "seconds": dict(seconds),
        "versions": versions(),
        "device": solution.device,
        "seed": solution.settings.seed,
        "git": git_commit(),
    }  # fmt: skip


def certificate(plan: Any, settings: Any) -> dict[str, Any]:
    """What the bounds of a solution rest on, in words and numbers."""
    scale = settings.units.units.scale
    return {
        "tol": settings.tol,
        "trained": plan.trained,
        "sigma": plan.sigma * scale,
        "brackets": [[float(low) * scale, float(high) * scale] for low, high in zip(plan.low, plan.high, strict=True)],
        "walls_chosen": list(plan.chosen),
        "checked": "no level below sigma was missed (count of a step potential below V); quadrature (two rules)",
        "assumed": "V in a cell is no lower than its samples and their curvature say (compared with 16 times as many); "
        "rounding below 32 eps (T + |V|), and what points that are rounded to eps |x| make of it"
        + ("; walls raise a level by psi'^2 / (2 kappa), twice that is allowed for" if any(plan.chosen) else ""),
    }


def write_arrays(folder: Path, solution: Any) -> None:
    """history.csv, wavefunction.npz and the parameters of a qpinn.Solution.

    One row of the history for each step and state; the arrays of psi are (states, n).
    """
    history = dict(solution.history)
    own, units = history["state"].astype(int), solution.units
    off = history["energy"] / units.scale - np.asarray(solution.levels.energies)[own]
    history["relative_error_energy"] = np.abs(off) / solution.plan.scale[own]
    _write_history(folder, history, units)
    samples = solution.samples
    arrays = {
        "x": samples.x, "psi": samples.psi, "v": samples.v,
        "psi_reference": solution.levels.psi(samples.x)[[state.index for state in solution.states]],
        "residual": samples.h_psi - solution.energies[:, None] * samples.psi,
        "edges": solution.edges,
    }  # fmt: skip
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    checkpoint.write_atomically(folder / "wavefunction.npz", data.getvalue())
    checkpoint.save(folder / "parameters.npz", solution.params)


COLUMNS = (
    "step", "state", "pde", "norm", "orthogonality", "total", "energy", "relative_error_energy", "step_size", "seconds",
)  # fmt: skip


def _write_history(folder: Path, history: Mapping[str, np.ndarray], units: Any) -> None:
    """history.csv; a column that is not there is left empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([f"energy_{units.energy}" if name == "energy" and not units.none else name for name in COLUMNS])
    none = [None] * len(history["step"])
    for row in zip(*(history.get(name, none) for name in COLUMNS), strict=True):
        writer.writerow([int(row[0]), int(row[1]), *("" if value is None else f"{value:.17g}" for value in row[2:])])
    checkpoint.write_atomically(folder / "history.csv", buffer.getvalue().encode())


def write_stopped(folder: Path, progress: Any, units: Any) -> str:
    """Parameters and history of a training that was stopped, from what a callback saw of it. Returns what was done."""
    lanes = jax.tree.leaves(progress.params)[0].shape[0]
    checkpoint.save(folder / "parameters.npz", {"lanes": progress.params, "mix": np.eye(lanes)})
    history = progress.history()
    _write_history(folder, {**history, "energy": history["energy"] * units.scale}, units)
    return f"stopped by a signal after step {progress.step}; parameters.npz and history.csv are in {folder}"


def write_summary(folder: Path, results: Mapping[str, Any], name: str = "results.json") -> None:
    """results.json, or the summary.json of a sweep. Written last: a folder that has one is complete."""
    checkpoint.write_atomically(folder / name, (json.dumps(_finite(results), indent=2) + "\n").encode())


KINDS = {"results.json": "states", "summary.json": "statistics"}
"""The files that mark a finished run and a finished sweep, and what each must hold."""


def read_summary(folder: Path) -> dict[str, Any]:
    """What a run or a sweep ended with. Raises ValueError, naming the file, if there is none or it is damaged."""
    path = next((folder / name for name in KINDS if (folder / name).is_file()), folder / "results.json")
    try:
        results = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: not there; {folder} is not the folder of a finished run") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from None
    if not isinstance(results, dict) or KINDS[path.name] not in results:
        raise ValueError(f"{path}: is not the results of a run or a sweep")
    return results


def find_runs(folder: Path) -> list[Path]:
    """`folder` if it is a run or a sweep, else those below it, in order of their names."""
    if any((folder / name).is_file() for name in KINDS):
        return [folder]
    return sorted(path.parent for name in KINDS for path in folder.rglob(name))
