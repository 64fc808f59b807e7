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
import yaml

from qpinn.analysis import compare, errors, observables
from qpinn.bounds import certify
from qpinn.physics import enclosure, potentials
from qpinn.physics.potentials.base import deltas_of
from qpinn.physics.reference import Eigenstates
from qpinn.runs import checkpoint, files, potential_file
from qpinn.training.fit import Fit
from qpinn.typing import Params

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
    plan, settings, shift = solution.plan, solution.settings, solution.interpolation_shift
    scale = settings.units.units.scale
    allowed = (settings.tol or certify.TOLERANCE) * solution.scale / scale
    enclosed = enclosure.is_enclosed(plan.potential)
    method = "V by interval arithmetic" if enclosed else "V in a cell as its samples and their curvature say"
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
        "interpolation_shift": None if shift is None else shift.tolist(),
        "assumed": _of_table(plan.potential, shift)
        + ("" if enclosed else "V is sampled: between samples it is no lower than their curvature says; ")
        + ("" if enclosure.is_mass_enclosed(plan.potential) else "the mass is sampled: it lies between its samples; ")
        + "rounding below 32 eps (T + |V|), and what points that are rounded to eps |x| make of it"
        + ("; walls raise a level by psi'^2 / (2 kappa), twice that is allowed for" if any(plan.chosen) else "")
        + _of_walls(solution),
    }


def _of_table(potential: Any, shift: np.ndarray | None) -> str:
    """What is assumed of V between the rows of a table and beyond them."""
    if not hasattr(potential, "read"):
        return ""
    tails = ", and beyond it its tails" if set(getattr(potential, "tails", ("wall",))) != {"wall"} else ""
    left_out = ""
    if shift is not None:
        left_out = (f" (without every second row levels differ by up to {np.abs(shift).max():.1e}: <i|V_half - V|j> to "
                    "first order, and to second among the levels trained)")  # fmt: skip
    return f"V is the interpolation of its table{left_out}{tails}; "


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
    """history.csv, wavefunction.npz, potential.json and parameters.npz of a qpinn.Solution.

    They are compared with the reference `levels`.
    """
    write_history(folder, history(solution, levels), solution.units)
    data = io.BytesIO()
    np.savez(data, **arrays(solution, levels))  # type: ignore[arg-type]
    files.write_atomically(folder / "wavefunction.npz", data.getvalue())
    potential_file.write(folder, solution.given)
    fit, mesh = solution.trained.fit, solution.trained.mesh
    ended = {"start": fit.start, "steps": fit.steps, "alive": fit.alive, "edges": mesh.edges,
             "half": np.array(mesh.half)}  # fmt: skip
    checkpoint.save(folder / "parameters.npz", {**solution.params, **ended})


def history(solution: Any, levels: Eigenstates | None = None) -> dict[str, Any]:
    """Columns of history.csv, one row for each step and state; without `levels` there are no errors of E."""
    columns: dict[str, Any] = dict(solution.history)
    if levels is not None:
        columns["relative_error_energy"] = _errors(columns, levels, solution.units.scale)
    return columns


def arrays(solution: Any, levels: Eigenstates | None = None) -> dict[str, np.ndarray]:
    """What wavefunction.npz holds; arrays of psi are (states, n).

    psi of the reference `levels` is left out without one, and NaN where its own error is too large.
    """
    samples = solution.samples
    by_name = {
        "x": samples.x, "psi": samples.psi, "v": samples.v,
        "residual": samples.h_psi - solution.energies[:, None] * samples.psi,
        "edges": solution.edges,
    }  # fmt: skip
    if levels is not None:
        indices = [state.index for state in solution.measured]
        unvouched = ~(levels.psi_errors[indices] <= errors.VOUCHED_PSI)
        by_name["psi_reference"] = np.where(unvouched[:, None], np.nan, levels.psi(samples.x)[indices])
    return by_name


def _errors(history: Mapping[str, np.ndarray], levels: Eigenstates, scale: float) -> list[float | None]:
    """Relative errors of the energies of a history, None where the reference does not vouch for them."""
    index, relative = history["state"].astype(int), np.full(len(history["energy"]), np.nan)
    for k in np.unique(index):
        relative[index == k] = errors.of_energy(history["energy"][index == k] / scale, levels, k)
    return [errors.stated(error) for error in relative]


FRAMES = "frames.npz"
"""Where a run keeps psi at some of its steps, if that is asked for."""


def write_frames(folder: Path, frames: Mapping[str, np.ndarray]) -> None:
    """frames.npz: steps taken (F, K), psi (F, K, n) on the grid of wavefunction.npz, and energy (F, K)."""
    data = io.BytesIO()
    np.savez(data, **frames)  # type: ignore[arg-type]
    files.write_atomically(folder / FRAMES, data.getvalue())


COLUMNS = (
    "step", "state", "pde", "norm", "orthogonality", "total", "energy", "relative_error_energy", "step_size", "seconds",
)  # fmt: skip


def write_history(folder: Path, history: Mapping[str, Any], units: Any) -> None:
    """history.csv; a column that is not there is left empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([f"energy_{units.energy}" if name == "energy" and not units.none else name for name in COLUMNS])
    none = [None] * len(history["step"])
    for row in zip(*(history.get(name, none) for name in COLUMNS), strict=True):
        writer.writerow([int(row[0]), int(row[1]), *("" if value is None else f"{value:.17g}" for value in row[2:])])
    files.write_atomically(folder / "history.csv", buffer.getvalue().encode())


def read_history(folder: Path, units: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The columns of history.csv, energies in the `units` of results.json; what is empty there is NaN.

    Raises ValueError, naming the file, if it is missing or damaged.
    """
    path = folder / "history.csv"
    try:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        history = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
        if units["length"] != "L":
            history["energy"] = history.pop(f"energy_{units['energy']}")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: missing or damaged ({error})") from None
    return history


def read_fit(folder: Path, results: Mapping[str, Any], shapes: Params, first: int) -> Fit:
    """What came out of the training whose `write_arrays` and results are in a folder.

    shapes  of the parameters of all lanes
    first   index of the level of the first lane

    Raises ValueError, naming the file, if one is missing or damaged.
    """
    path = folder / "parameters.npz"
    stored, count = checkpoint.arrays(path), jax.tree.leaves(shapes)[0].shape[0]
    params = checkpoint.load(path, {"lanes": shapes})["lanes"]
    history = read_history(folder, results["units"])
    try:
        steps, alive = stored["steps"].astype(int), stored["alive"].astype(bool)
        start = {name.removeprefix("start/"): value for name, value in stored.items() if name.startswith("start/")}
        at = history.pop("step").astype(int), history.pop("state").astype(int) - first
        if (np.bincount(at[1], minlength=count) != steps + ~alive).any():
            raise ValueError("rows are missing")
        columns = {}
        for name, values in history.items():
            if name != "relative_error_energy" and not np.isnan(values).all():
                columns[name] = np.full((at[0].max() + 1, count), np.nan)
                columns[name][at] = values / (results["units"]["scale"] if name == "energy" else 1.0)
        seconds = {phase: float(results["seconds"].get(phase, 0.0)) for phase in ("compile", "train")}
        return Fit(params=params, start=start, history=columns, steps=steps, alive=alive, seconds=seconds,
                   status=results["status"], asked=False)  # fmt: skip
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: does not go with history.csv and results.json ({error})") from None


def write_config(folder: Path, values: Mapping[str, Any]) -> None:
    """config.yaml of a run: the groups of its config, by name."""
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)
    files.write_atomically(folder / "config.yaml", text.encode())


def write_stopped(folder: Path, progress: Any, units: Any) -> str:
    """Parameters and history of a training that was stopped, from what a callback saw of it. Returns what was done."""
    lanes = jax.tree.leaves(progress.params)[0].shape[0]
    checkpoint.save(folder / "parameters.npz", {"lanes": progress.params, "mix": np.eye(lanes)})
    history = progress.rows()
    write_history(folder, {**history, "energy": history["energy"] * units.scale}, units)
    return f"stopped by a signal after step {progress.step}; parameters.npz and history.csv are in {folder}"


SCHEMA = 1
"""Version of the keys of results.json and summary.json: one more whenever a reader of the last would misread them."""

KINDS = {
    "results.json": ("eigenstates", "states"),
    "summary.json": ("sweep", "statistics"),
    "bands.json": ("bands", "theta"),
    "vary.json": ("vary", "values"),
    "scattering.json": ("scattering", "energies"),
    "evolve.json": ("evolve", "series"),
}
"""The files that mark a finished run, a finished sweep, bands, levels over a number, a scattering and a packet in time:
the task of each, and a key that it must hold."""
RUNS = ("results.json", "summary.json")

BOX = "box"
"""The task of a results.json of several coordinates, see `box_folder.py`."""


def write_summary(folder: Path, results: Mapping[str, Any], name: str = "results.json") -> None:
    """One of the files of `KINDS`. Written last: then a folder is complete."""
    stamped = {"schema": SCHEMA, "task": KINDS[name][0], **results}
    files.write_atomically(folder / name, (json.dumps(_finite(stamped), indent=2) + "\n").encode())


def read_summary(folder: Path, names: Sequence[str] = RUNS) -> dict[str, Any]:
    """What a run or a sweep ended with, or another of `names` of `KINDS`; a file without a schema is of the first.

    Raises ValueError, naming the file, if there is none, it is damaged, or its schema is a newer one.
    """
    path = next((folder / name for name in names if (folder / name).is_file()), folder / names[0])
    task, key = KINDS[path.name]
    if not path.exists():
        what = "run" if names == RUNS else task
        raise ValueError(f"{path}: not there; {folder} is not the folder of a finished {what}")
    results = files.read_json(path)
    if not isinstance(results, dict):
        raise ValueError(f"{path}: is not the results of {task}")
    schema = results.get("schema", SCHEMA)
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise ValueError(f"{path}: schema={schema!r}: is not known to this version of qpinn; allowed: 1 to {SCHEMA}")
    if results.get("task", task) not in ((task, BOX) if key == "states" else (task,)) or key not in results:
        raise ValueError(f"{path}: is not the results of {task}")
    return results


def find_runs(folder: Path, names: Sequence[str] = RUNS) -> list[Path]:
    """`folder` if it has a file of `names`, as a run or a sweep has, else those below it, in order of their names."""
    if any((folder / name).is_file() for name in names):
        return [folder]
    return sorted(path.parent for name in names for path in folder.rglob(name))
