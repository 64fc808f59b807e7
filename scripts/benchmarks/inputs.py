"""Measure what people bring, from process start to the last figure, and write docs/inputs.md.

python scripts/benchmarks/inputs.py                    # about ten minutes on two cores
python scripts/benchmarks/inputs.py --scale 0.05       # smaller inputs
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import crossings
import numpy as np
import routes

DIGITS = 30
"""Of the transfer matrices: layers that psi decays through cost none of E."""

LEVELS = -((10.0 - np.arange(5) - 0.5) ** 2)
"""Of the Morse curve 100 (1 - exp(-x))^2 - 100."""

COMPARED = 5
"""Points of a variation that are solved again."""

Input = tuple[str, list[str], Callable[[Path], Mapping[str, Any]]]
"""The name of a script, its command line, and what is known of the folder that it left."""


def main() -> int:
    arguments = routes.scaled(__doc__)
    from qpinn.runs import run_folder

    load = [os.getloadavg()]
    with tempfile.TemporaryDirectory() as folder:
        cases = inputs(Path(folder), arguments.scale)
        entries = [
            {"input": name, "cache": cache, **measure(case, Path(folder) / str(number), cache)}
            for number, (name, case) in enumerate(cases.items()) for cache in ("empty", "filled")
        ]  # fmt: skip
    load.append(os.getloadavg())
    measured = {
        "machine": {"cpu": routes.cpu(), "cores": len(os.sched_getaffinity(0)), "system": platform.system()},
        "load": load, "git": run_folder.git_commit(), "versions": run_folder.versions(), "entries": entries,
    }  # fmt: skip
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "inputs.json").write_text(json.dumps(measured, indent=1) + "\n")
    (arguments.output / "inputs.md").write_text(page(measured))
    return 0


def inputs(folder: Path, scale: float) -> dict[str, Input]:
    """The four inputs by name, their files written into `folder`."""
    few, many = layers(10, 10), layers(20, max(20, round(1000 * scale)))
    points, rows = max(COMPARED, round(200 * scale)), [max(201, round(count * scale)) for count in (2001, 100_000)]
    written = [_layers_file(folder / f"{len(each.mass)}.csv", each) for each in (few, many)]
    tables = [_table_file(folder / f"{count}-rows.csv", count) for count in rows]
    semiconductor = ["potential=layers", "units=semiconductor", "states=4"]
    return {
        f"10 layers, 4 levels over the field at {points} points": (
            "vary", [*semiconductor, f"potential.file={written[0]}", "vary=potential.field",
                     f"range=[{few.fields[0]:g},{few.fields[1]:g}]", f"points={points}"],
            lambda folder: _of_variation(folder, few)),
        f"{len(many.mass)} layers, 4 levels": (
            "train", [*semiconductor, f"potential.file={written[1]}"], lambda folder: _of_layers(folder, many)),
        **{f"a table of {count} rows, 5 levels": (
            "train", ["potential=sampled", f"potential.file={table}", "potential.interpolation=cubic", "states=5"],
            _of_table) for count, table in zip(rows, tables, strict=True)},
    }  # fmt: skip


def layers(seed: int, count: int) -> crossings.Structure:
    """Layers drawn at random, in nm, eV and m_e, and fields in kV/cm."""
    rng = np.random.default_rng(seed)
    return crossings.Structure(
        kind="random", thickness=rng.uniform(1, 10, count).round(3).tolist(),
        offset=rng.uniform(0, 0.4, count).round(4).tolist(), mass=rng.uniform(0.03, 0.2, count).round(4).tolist(),
        fields=(0.0, 80.0),
    )  # fmt: skip


def _layers_file(path: Path, structure: crossings.Structure) -> Path:
    columns = structure.thickness, structure.offset, structure.mass
    rows = [",".join(map(repr, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(["thickness (nm),offset (eV),mass (m_e)", *rows]) + "\n")
    return path


def _table_file(path: Path, rows: int) -> Path:
    x = np.linspace(-2.0, 6.0, rows)
    np.savetxt(path, np.stack([x, 100 * (1 - np.exp(-x)) ** 2 - 100], axis=1), fmt="%.17g", delimiter=",", header="x,V")
    return path


def measure(case: Input, scratch: Path, cache: str) -> dict[str, Any]:
    """Seconds of a script from the start of its process, by phases, and how good its levels are."""
    script, words, known = case
    output = scratch / cache
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(scratch / "cache")}
    command = [sys.executable, str(_cli.ROOT / "scripts" / f"{script}.py"), *words, f"output={output}"]
    begun, clock = time.time(), time.perf_counter()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    total, load = time.perf_counter() - clock, os.getloadavg()[0]
    if finished.returncode:
        _cli.fail(f"{' '.join(words)}: {finished.stderr}", status=1)
    (folder,) = (path for path in output.iterdir() if path.is_dir())
    found = known(folder)
    print(f"{' '.join(words[:1])} {cache}: {total:.1f} s, {found}", file=sys.stderr, flush=True)
    phases = found.get("phases") or _phases(folder, begun, total)
    return {"script": script, **found, "phases": phases, "total": total, "load": load}


def _phases(folder: Path, begun: float, total: float) -> dict[str, float]:
    """Of a variation, from when its files were written: until its first point, the others, and what comes after."""
    first, last = ((folder / name).stat().st_mtime - begun for name in ("config.yaml", "vary.json"))
    return {"until the first point": first, "all other points": last - first, "figures": total - last}


def _of_variation(folder: Path, structure: crossings.Structure) -> dict[str, Any]:
    content = json.loads((folder / "vary.json").read_text())
    lower, upper, energies = (np.array(content[key], float) for key in ("lower", "upper", "energies"))
    places = np.unique(np.linspace(0, len(energies) - 1, COMPARED).round().astype(int))
    exact = [crossings.dense(structure, content["values"][place], hbar2())[:4] for place in places]
    return _quality(lower, upper, np.array(content["converged"]), energies[places], np.array(exact))


def _of_layers(folder: Path, structure: crossings.Structure) -> dict[str, Any]:
    results = _results(folder)
    exact = np.array([transfer(structure, k, state["energy"]) for k, state in enumerate(results["states"])])
    return _of_run(results, exact)


def _of_table(folder: Path) -> dict[str, Any]:
    return _of_run(_results(folder), LEVELS)


def _results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def _of_run(results: Mapping[str, Any], exact: np.ndarray) -> dict[str, Any]:
    states = results["states"]
    lower, upper, energies = (np.array([state[key] for state in states], float) for key in ("lower", "upper", "energy"))
    phases = {key: seconds for key, seconds in results["seconds"].items() if key != "total" and seconds >= 0.05}
    quality = _quality(lower, upper, np.array([state["converged"] for state in states]), energies, exact)
    return {**quality, "phases": phases}


def _quality(
    lower: np.ndarray, upper: np.ndarray, converged: np.ndarray, energies: np.ndarray, exact: np.ndarray
) -> dict[str, Any]:
    half = (upper - lower) / (upper + lower)
    return {
        "levels": lower.size, "converged": int(converged.sum()), "half_width": float(np.max(np.abs(half))),
        "compared": exact.size, "error": float(np.max(np.abs(energies / exact - 1))),
    }  # fmt: skip


@functools.cache
def hbar2() -> float:
    """hbar^2 / (2 m_e) in eV nm^2."""
    from qpinn.physics import units

    return units.of("semiconductor").scale


def transfer(structure: crossings.Structure, level: int, guess: float) -> float:
    """A level in eV by transfer matrices of 30 digits, from a guess; nodes on either side say that it is this one.

    Raises ValueError if they do not.
    """
    import mpmath

    with mpmath.workdps(DIGITS):
        near = [guess * (1 + step) for step in (-1e-9, 1e-9)]
        energy = mpmath.findroot(lambda energy: shoot(structure, energy)[0], near, solver="secant", verify=False)
        below, above = (shoot(structure, energy * (1 + step))[1] for step in (-1e-12, 1e-12))
    if (below, above) != (level, level + 1):
        raise ValueError(f"{float(energy)} eV: {below} nodes below and {above} above it; must be level {level}")
    return float(energy)


def shoot(structure: crossings.Structure, energy: Any) -> tuple[Any, int]:
    """psi at the right wall from psi = 0 and psi' / m = 1 at the left one, and its zeros in between."""
    import mpmath

    psi, flux, zeros = mpmath.mpf(0), mpmath.mpf(1), 0
    for length, v, mass in zip(structure.thickness, structure.offset, structure.mass, strict=True):
        square = mass * (energy - v) / hbar2()
        wave = mpmath.sqrt(abs(square))
        inner = wave / mass
        if square > 0:
            cos, sin = mpmath.cos(wave * length), mpmath.sin(wave * length)
            start = mpmath.atan2(inner * psi, flux)
            zeros += int(mpmath.floor((start + wave * length) / mpmath.pi) - mpmath.floor(start / mpmath.pi))
            psi, flux = psi * cos + flux / inner * sin, flux * cos - psi * inner * sin
        else:
            cos, sin = mpmath.cosh(wave * length), mpmath.sinh(wave * length)
            after = psi * cos + flux / inner * sin
            zeros += int(psi * after < 0)
            psi, flux = after, flux * cos + psi * inner * sin
    return psi, zeros


def page(measured: Mapping[str, Any]) -> str:
    """docs/inputs.md from docs/inputs.json."""
    from qpinn.report.tables import markdown

    machine, (before, after) = measured["machine"], measured["load"]
    versions = ", ".join(f"{name} {value}" for name, value in measured["versions"].items())
    rows = [
        [entry["input"], entry["cache"], f"{entry['total']:.1f}", f"{entry['load']:.1f}",
         ", ".join(f"{name} {seconds:.1f}" for name, seconds in entry["phases"].items()),
         f"{entry['converged']} of {entry['levels']}", f"{entry['half_width']:.1e}",
         f"{entry['error']:.1e} ({entry['compared']})"]
        for entry in measured["entries"]
    ]  # fmt: skip
    header = ["input", "compile cache", "process, s", "load average", "of which, s", "bounds within 1e-8",
              "half-width, worst", "error of E, worst (of so many)"]  # fmt: skip
    return "\n\n".join([
        "# What people bring",
        f"Written by `scripts/benchmarks/inputs.py`. {machine['cpu']}, {machine['cores']} cores, {machine['system']}; "
        f"commit {measured['git']}; {versions}. The machine had other work: its load average was {before[0]:.1f} at "
        f"the start and {after[0]:.1f} at the end, and in each row is that of the minute before the process ended, its "
        "own share included: where it is above the number of cores, seconds are upper limits.",
        "Seconds of `scripts/vary.py` and `scripts/train.py` from the start of the process to the last figure, with an "
        "empty and with a filled compile cache, every other setting as it is. Half-widths and errors are relative to "
        "the level. Errors of the variation are against a dense solve by spectral elements at "
        f"{COMPARED} of its points (that of [crossings.md](crossings.md)), those of many layers against transfer "
        f"matrices of {DIGITS} digits whose nodes say that no level was missed. The tables are of a Morse curve, "
        "interpolated by cubic splines, on [-2, 6], against Morse's levels: what these rows and the walls do to a "
        "level is in that error, and not in the bounds, which are those of the curve between the rows. The run says of "
        "the longest one that it keeps fewer rows, and how far V is from the others.",
        markdown(header, rows),
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
