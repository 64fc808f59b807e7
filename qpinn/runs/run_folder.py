"""The files of a run folder, written from a solution and read back."""

from __future__ import annotations

import csv
import dataclasses
import functools
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

from qpinn.analysis import compare, errors, observables
from qpinn.bounds import certify
from qpinn.physics import potentials
from qpinn.physics.potentials.base import deltas_of
from qpinn.physics.reference import Eigenstates
from qpinn.runs import checkpoint, files

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "matplotlib", "hydra-core")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python, qpinn and the packages that it uses."""
    by_package = {"python": platform.python_version()}
    for package in ("qpinn", *PACKAGES):
        try:
            by_package[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            by_package[package] = "not installed"
    return by_package


@functools.cache
def git_commit() -> str | None:
    """Commit of the working tree that this package lies in, "-dirty" after it if files differ; None outside git."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
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


def summary(
    solution: Any,
    route: Mapping[str, Any],
    seconds: Mapping[str, float],
    levels: Eigenstates | None = None,
    rows: Sequence[compare.Row] = (),
    no_reference: str | None = None,
) -> dict:
    """The content of results.json: a qpinn.Solution, its errors against the reference `levels`, and classical methods.

    no_reference  the reason why there is no reference
    """
    potential = solution.potential
    return {
        "status": solution.status,
        "potential": potentials.describe(potential),
        "units": {"length": solution.units.length, "energy": solution.units.energy, "scale": solution.units.scale},
        "walls": [float(wall) for wall in potential.domain],
        "breakpoints": sorted(float(point) for point in potential.breakpoints),
        "deltas": [[float(number) for number in pair] for pair in zip(*deltas_of(potential), strict=True)],
        "route": dict(route),
        "settings": dataclasses.asdict(solution.settings),
        "states": [dataclasses.asdict(state) for state in solution.against(levels)],
        "dipoles": solution.dipoles.tolist(),
        "oscillator_strengths": observables.oscillator_strengths(
            solution.energies / solution.units.scale, solution.dipoles
        ).tolist(),
        "reference": reference(levels, solution.units.scale),
        "no_reference": no_reference,
        "certificate": certificate(solution),
        "rounds": solution.stats.rounds,
        "comparison": [dataclasses.asdict(row) for row in rows],
        "steps": solution.steps,
        "parameters": solution.parameters,
        "seconds": dict(seconds),
        "versions": versions(),
        "device": solution.stats.device,
        "seed": solution.settings.seed,
        "git": git_commit(),
    }  # fmt: skip


def bands_summary(bands: Any, potential: Any, settings: Any) -> dict[str, Any]:
    """The content of bands.json: a `qpinn.drivers.bands.Bands` of `potential`."""
    units = settings.units.units
    return {
        "potential": potentials.describe(potential),
        "units": {"length": units.length, "energy": units.energy, "scale": units.scale},
        "settings": dataclasses.asdict(settings),
        **{name: getattr(bands, name).tolist() for name in ("theta", "k", "energies", "lower", "upper", "gaps")},
        "versions": versions(),
        "git": git_commit(),
    }


def reference(levels: Eigenstates | None, scale: float) -> dict[str, Any] | None:
    """Levels of another method with their absolute errors, in units of 1 / `scale`."""
    if levels is None:
        return None
    energies, errors = (np.asarray(values) * scale for values in (levels.energies, levels.errors))
    return {
        "method": levels.method, "exact": levels.exact, "energies": energies.tolist(), "errors": errors.tolist()
    }  # fmt: skip


def certificate(solution: Any) -> dict[str, Any]:
    """What the bounds of a solution rest on; `unresolved`: intervals where `blur` keeps bounds from meeting tol."""
    plan, settings = solution.plan, solution.settings
    scale = settings.units.units.scale
    allowed = (settings.tol or certify.TOLERANCE) * solution.scale / scale
    method = "V by interval arithmetic" if plan.enclosed else "V in a cell as its samples and their curvature say"
    return {
        "tol": settings.tol,
        "trained": plan.trained,
        "sigma": plan.sigma * scale,
        "brackets": [[float(low) * scale, float(high) * scale] for low, high in zip(plan.low, plan.high, strict=True)],
        "walls_chosen": list(plan.chosen),
        "left_out": None if plan.left_out is None else plan.left_out * scale,
        "unresolved": [list(stretch) for stretch in certify.unresolved(solution.fine, allowed)],
        "checked": "no level below sigma was missed (count of a step potential below V); quadrature (two rules, and "
        f"how far V is from what they see), {method}",
        "assumed": ("V is the interpolation of its table; " if hasattr(plan.potential, "read") else "")
        + ("" if plan.enclosed else "V is sampled: between samples it is no lower than their curvature says; ")
        + "rounding below 32 eps (T + |V|), and what points that are rounded to eps |x| make of it"
        + ("; walls raise a level by psi'^2 / (2 kappa), twice that is allowed for" if any(plan.chosen) else "")
        + _of_walls(solution),
    }


def _of_walls(solution: Any) -> str:
    """That walls as given are part of the problem, where levels feel them."""
    raised = [state for state in solution.measured if state.wall_shift is not None]
    if not raised:
        return ""
    energy = "" if solution.units.none else f" {solution.units.energy}"
    each = ", ".join(
        f"level {state.index} by {'more than ' if state.free_at_wall else 'about '}{state.wall_shift:.0e}{energy}"
        for state in raised
    )
    return f"; psi = 0 at the walls as given, where V is not known to end: they raise {each} (psi'^2 / (2 m kappa))"


def write_arrays(folder: Path, solution: Any, levels: Eigenstates | None = None) -> None:
    """history.csv, wavefunction.npz and the parameters of a qpinn.Solution.

    One row of the history for each step and state; the arrays of psi are (states, n). Comparisons with the reference
    `levels` are left out without one, and NaN where its own error is too large.
    """
    history: dict[str, Any] = dict(solution.history)
    if levels is not None:
        history["relative_error_energy"] = _errors(history, levels, solution.units.scale)
    _write_history(folder, history, solution.units)
    samples = solution.samples
    arrays = {
        "x": samples.x, "psi": samples.psi, "v": samples.v,
        "residual": samples.h_psi - solution.energies[:, None] * samples.psi,
        "edges": solution.edges,
    }  # fmt: skip
    if levels is not None:
        indices = [state.index for state in solution.measured]
        unvouched = ~(levels.psi_errors[indices] <= errors.VOUCHED_PSI)
        arrays["psi_reference"] = np.where(unvouched[:, None], np.nan, levels.psi(samples.x)[indices])
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    files.write_atomically(folder / "wavefunction.npz", data.getvalue())
    checkpoint.save(folder / "parameters.npz", solution.params)


def _errors(history: Mapping[str, np.ndarray], levels: Eigenstates, scale: float) -> list[float | None]:
    """Relative errors of the energies of a history, None where the reference does not vouch for them."""
    index, relative = history["state"].astype(int), np.full(len(history["energy"]), np.nan)
    for k in np.unique(index):
        relative[index == k] = errors.of_energy(history["energy"][index == k] / scale, levels, k)
    return [errors.stated(error) for error in relative]


COLUMNS = (
    "step", "state", "pde", "norm", "orthogonality", "total", "energy", "relative_error_energy", "step_size", "seconds",
)  # fmt: skip


def _write_history(folder: Path, history: Mapping[str, Any], units: Any) -> None:
    """history.csv; a column that is not there is left empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([f"energy_{units.energy}" if name == "energy" and not units.none else name for name in COLUMNS])
    none = [None] * len(history["step"])
    for row in zip(*(history.get(name, none) for name in COLUMNS), strict=True):
        writer.writerow([int(row[0]), int(row[1]), *("" if value is None else f"{value:.17g}" for value in row[2:])])
    files.write_atomically(folder / "history.csv", buffer.getvalue().encode())


def write_stopped(folder: Path, progress: Any, units: Any) -> str:
    """Parameters and history of a training that was stopped, from what a callback saw of it. Returns what was done."""
    lanes = jax.tree.leaves(progress.params)[0].shape[0]
    checkpoint.save(folder / "parameters.npz", {"lanes": progress.params, "mix": np.eye(lanes)})
    history = progress.rows()
    _write_history(folder, {**history, "energy": history["energy"] * units.scale}, units)
    return f"stopped by a signal after step {progress.step}; parameters.npz and history.csv are in {folder}"


SCHEMA = 1
"""Version of the keys of results.json and summary.json: one more whenever a reader of the last would misread them."""

KINDS = {"results.json": ("eigenstates", "states"), "summary.json": ("sweep", "statistics")}
"""The files that mark a finished run and a finished sweep: the task of each, and a key that it must hold."""


def write_summary(folder: Path, results: Mapping[str, Any], name: str = "results.json") -> None:
    """results.json, the summary.json of a sweep or the bands.json of bands. Written last: then a folder is complete."""
    stamped = {"schema": SCHEMA, "task": KINDS[name][0] if name in KINDS else Path(name).stem, **results}
    files.write_atomically(folder / name, (json.dumps(_finite(stamped), indent=2) + "\n").encode())


def read_summary(folder: Path) -> dict[str, Any]:
    """What a run or a sweep ended with; a file without a schema is of the first.

    Raises ValueError, naming the file, if there is none, it is damaged, or its schema is a newer one.
    """
    path = next((folder / name for name in KINDS if (folder / name).is_file()), folder / "results.json")
    if not path.exists():
        raise ValueError(f"{path}: not there; {folder} is not the folder of a finished run")
    results = files.read_json(path)
    if not isinstance(results, dict):
        raise ValueError(f"{path}: is not the results of a run or a sweep")
    schema = results.get("schema", SCHEMA)
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise ValueError(f"{path}: schema={schema!r}: is not known to this version of qpinn; allowed: 1 to {SCHEMA}")
    task, key = KINDS[path.name]
    if results.get("task", task) != task or key not in results:
        raise ValueError(f"{path}: is not the results of a run or a sweep")
    return results


def find_runs(folder: Path) -> list[Path]:
    """`folder` if it is a run or a sweep, else those below it, in order of their names."""
    if any((folder / name).is_file() for name in KINDS):
        return [folder]
    return sorted(path.parent for name in KINDS for path in folder.rglob(name))
