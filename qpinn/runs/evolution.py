"""The files of a packet in time: evolve.csv, a row for each time, evolve.npz, psi on a grid, and evolve.json."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.physics import potentials
from qpinn.physics.packets import Gaussian, Superposition
from qpinn.physics.potentials.base import deltas_of
from qpinn.runs import files, run_folder

NAME, ARRAYS, TABLE = "evolve.json", "evolve.npz", "evolve.csv"

TIMES = 161
"""Of the files, evenly from the first to the last, beside those that were asked for."""

PER_WAVE, LEAST, MOST = 12, 401, 2401
"""Positions in a wave of the fastest part of psi, and in all."""

COLUMNS = ("t", "bound", "estimate", "norm", "energy", "position", "position_bound", "left", "left_bound", "right",
           "right_bound")  # fmt: skip
"""Of evolve.csv, and of `series` in evolve.json: lists of a number for each time."""


def summary(evolution: Any, divide: float | None = None) -> dict[str, Any]:
    """The content of evolve.json: a `qpinn.Evolution`, its P to both sides of `divide` (None: V's middle)."""
    units = evolution.units
    times = times_of(evolution)
    place = evolution.division(divide)
    left, right = (evolution.probability(side, times) for side in ((-np.inf, place), (place, np.inf)))
    position = evolution.position(times)
    values = (times, evolution.bound(times), evolution.estimate(times), evolution.norm(times).value,
              evolution.energy(times).value, *position, *left, *right)  # fmt: skip
    packet = evolution.packet
    walls, chosen = [float(wall) for wall in evolution.domain], [bool(margin) for margin in evolution.problem.margins]
    ends = [side if put else wall for side, wall, put in zip((-np.inf, np.inf), walls, chosen, strict=True)]
    return {
        "status": evolution.status,
        "converged": evolution.converged,
        "potential": potentials.describe(evolution.given),
        "units": {"length": units.length, "energy": units.energy, "scale": units.scale, "time": evolution.unit_of_time},
        "walls": walls,
        "ends": [evolution.settings.ends.left, evolution.settings.ends.right],
        "chosen": chosen,
        "breakpoints": sorted(float(point) for point in evolution.given.breakpoints),
        "deltas": [[float(number) for number in pair] for pair in zip(*deltas_of(evolution.given), strict=True)],
        "packet": described(packet),
        "beyond": packet.outside(*ends) if hasattr(packet, "outside") else None,
        "drive": None if evolution.drive is None else {"name": evolution.drive.name, "label": evolution.drive.label},
        "tol": evolution.problem.tol,
        "asked": evolution.times.tolist(),
        "held": evolution.held,
        "divide": place,
        "bound": evolution.series.final,
        "estimate": float(values[2][-1]),
        "left_out": evolution.series.initial,
        "norm_drift": float(np.max(np.abs(values[3] - values[3][0]))),
        **evolution.work,
        "series": {name: np.asarray(value, float).tolist() for name, value in zip(COLUMNS, values, strict=True)},
        "settings": dataclasses.asdict(evolution.settings),
        "seconds": dict(evolution.seconds),
        "versions": run_folder.versions(),
        "device": evolution.stats.device,
        "seed": evolution.settings.seed,
        "git": run_folder.git_commit(),
    }  # fmt: skip


def described(packet: Any) -> dict[str, Any]:
    """A packet by its name and its numbers."""
    if isinstance(packet, Gaussian):
        return {"name": packet.name, **dataclasses.asdict(packet)}
    if isinstance(packet, Superposition):
        amplitudes = [[complex(value).real, complex(value).imag] for value in packet.amplitudes]
        return {"name": packet.name, "levels": list(packet.levels), "amplitudes": amplitudes}
    text = getattr(packet, "text", None)
    return {"name": packet.name, **({} if text is None else {"real": text[0], "imaginary": text[1]})}


def times_of(evolution: Any) -> np.ndarray:
    """The times of the files (T,)."""
    asked = evolution.times
    return np.union1d(asked, np.linspace(asked[0], asked[-1], TIMES))


def arrays(evolution: Any) -> dict[str, np.ndarray]:
    """What evolve.npz holds: t (T,), x (X,), psi (T, X), v (X,), and, driven, f (T,) and w (X,) of f(t) W(x); of a
    training loss (steps,) and, where it is known, exact (T,), the bound of what it is compared with."""
    left, right = evolution.domain
    times, problem, scale = times_of(evolution), evolution.problem, evolution.units.scale
    v_min = problem.lowest
    fastest = evolution.fastest(times * evolution.per_time)
    waves = (right - left) * np.sqrt(max(fastest - v_min, 0.0)) / (2 * np.pi)
    x = np.linspace(left, right, int(np.clip(PER_WAVE * waves, LEAST, MOST)))
    found: dict[str, Any] = {
        "t": times,
        "x": x,
        "psi": evolution.psi(times, x),
        "v": scale * problem.potential.at(x[:, None]),
    }
    if problem.force is not None:
        found["f"] = scale * problem.force(problem.times[0] + (times - times[0]) * evolution.per_time)
        found["w"] = np.asarray(problem.space.at(x[:, None]), float) + 0 * x
    return {name: np.asarray(value) for name, value in {**found, **evolution.more(times)}.items()}


def write(folder: Path, content: Mapping[str, Any], grid: Mapping[str, np.ndarray]) -> None:
    """The files of a `summary` and of `arrays`; units stand behind the names of columns."""
    files.write_atomically(folder / TABLE, table(content).encode())
    data = io.BytesIO()
    np.savez(data, **grid)  # type: ignore[arg-type]
    files.write_atomically(folder / ARRAYS, data.getvalue())
    run_folder.write_summary(folder, content, NAME)


def table(content: Mapping[str, Any]) -> str:
    """evolve.csv."""
    units = content["units"]
    if units["length"] == "L":
        behind = {}
    else:
        time = units["time"].replace("/", "_per_")
        behind = {"t": f"_{time}", "energy": f"_{units['energy']}", "position": f"_{units['length']}",
                  "position_bound": f"_{units['length']}"}  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{name}{behind.get(name, '')}" for name in COLUMNS])
    for row in zip(*(content["series"][name] for name in COLUMNS), strict=True):
        writer.writerow(["" if value is None or np.isnan(value) else f"{value:.17g}" for value in row])
    return text.getvalue()


def read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """evolve.json and the arrays of evolve.npz. Raises ValueError, naming the file, for what is missing or damaged."""
    content, path = run_folder.read_summary(folder, (NAME,)), folder / ARRAYS
    try:
        grid = files.read_npz(path.read_bytes(), path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        shape = len(grid["t"]), len(grid["x"])
        fits = grid["psi"].shape == shape and grid["v"].shape == shape[1:] and np.isfinite(grid["psi"]).all()
        if not fits or {len(content["series"][name]) for name in COLUMNS} != {shape[0]}:
            raise ValueError("psi is not on its grid")
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged, or of another run ({error})") from None
    return content, grid
