"""Random layers in an electric field, about their avoided crossings, against a dense solve; writes docs/crossings.md.

python scripts/benchmarks/crossings.py                 # 1000 structures, about half an hour on two cores
python scripts/benchmarks/crossings.py --scale 0.1     # a few minutes
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import numpy as np
import routes

STATES = 4
FIELDS = 5
"""Of each structure, evenly from the first to the last; three more are at and beside the closest approach of a pair."""

SCAN = 1000
"""Energies of a shooting programme that looks for changes of sign between the lowest level and the highest."""

DEGREE = 22
PHASE = 3.0
"""Of the elements of the dense solve: the degree of their polynomials, and radians of psi in each at most."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=_cli.ROOT / "docs")
    parser.add_argument("--scale", type=float, default=1.0, help="a smaller number: fewer structures")
    arguments = parser.parse_args()
    _cli.use_cache()
    from qpinn.runs import run_folder

    begun = time.perf_counter()
    entries = [measure(number) for number in range(max(4, round(1000 * arguments.scale)))]
    measured = {
        "machine": {"cpu": routes.cpu(), "system": platform.system()}, "git": run_folder.git_commit(),
        "versions": run_folder.versions(), "seconds": time.perf_counter() - begun, "entries": entries,
    }  # fmt: skip
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "crossings.json").write_text(_json(measured))
    (arguments.output / "crossings.md").write_text(page(measured))
    return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Structure:
    """Layers in nm, eV and m_e, and the fields in kV/cm between which they are looked at."""

    kind: str
    thickness: list[float]
    offset: list[float]
    mass: list[float]
    fields: tuple[float, float]


def draw(number: int) -> Structure:
    """Structure number 0, 1, ...: in turn layers at random, and two wells that exchange a level across a barrier."""
    rng = np.random.default_rng(20_000 + number)
    if number % 2 == 0:
        count = int(rng.integers(2, 11))
        return Structure(
            kind="random", thickness=rng.uniform(1, 10, count).round(3).tolist(),
            offset=rng.uniform(0, 0.4, count).round(4).tolist(), mass=rng.uniform(0.03, 0.2, count).round(4).tolist(),
            fields=tuple(sorted(rng.uniform(-80, 80, 2).round(2).tolist())),
        )  # fmt: skip
    height, light, heavy = rng.uniform(0.2, 0.4), rng.uniform(0.04, 0.08), rng.uniform(0.08, 0.12)
    first = rng.uniform(4, 8)
    second = first * rng.uniform(0.7, 0.95)
    kappa = np.sqrt(heavy * 0.8 * height / HBAR2)
    barrier = max(rng.uniform(2, 13) * np.log(10) / kappa, 1.0)  # a splitting of about 1e-2 to 1e-11
    thickness = [8.0, first, barrier, second, 8.0]
    # the field that tilts the narrower well down to the other one, from particles in boxes as wide as wells and tails
    levels = [HBAR2 / light * (np.pi / (width + 2 / kappa)) ** 2 for width in (first, second)]
    tilt = 1e4 * (levels[0] - levels[1]) / (barrier + (first + second) / 2)
    return Structure(
        kind="two wells", thickness=np.round(thickness, 4).tolist(), offset=[height, 0.0, height, 0.0, height],
        mass=[heavy, light, heavy, light, heavy], fields=tuple(sorted([0.4 * tilt, 1.8 * tilt])),
    )  # fmt: skip


HBAR2 = 0.038099821161548596
"""hbar^2 / (2 m_e) in eV nm^2."""


def dense(structure: Structure, field: float, hbar2: float, states: int = STATES + 2) -> np.ndarray:
    """The lowest levels (states,) in eV by Gauss-Lobatto elements: none is missed, all eigenvalues are computed.

    A dense eigenproblem is right to a rounding error of its largest eigenvalue; its lowest functions span the lowest
    levels to twice the digits, and H among them is summed again from squares, which costs none.
    """
    from scipy import linalg

    nodes, weights, slope = lobatto(DEGREE)
    pieces, start = [], 0.0
    for length, v, m in zip(structure.thickness, structure.offset, structure.mass, strict=True):
        parts = int(np.ceil(length * np.sqrt(m * 0.8 / hbar2) / PHASE))
        pieces += [(start + length * part / parts, length / parts, v, m) for part in range(parts)]
        start += length
    size = DEGREE * len(pieces) + 1
    form, gram = np.zeros((size, size)), np.zeros(size)
    gradient, potential = np.zeros((len(pieces) * (DEGREE + 1), size)), np.zeros(size)
    for j, (left, length, v, m) in enumerate(pieces):
        place = slice(DEGREE * j, DEGREE * (j + 1) + 1)
        root = np.sqrt(hbar2 / m * 2 / length * weights)[:, None] * slope
        gradient[(DEGREE + 1) * j : (DEGREE + 1) * (j + 1), place] = root
        form[place, place] += root.T @ root
        potential[place] += length / 2 * weights * (v + 1e-4 * field * (left + length * (nodes + 1) / 2))
        gram[place] += length / 2 * weights
    inner = slice(1, -1)
    form = form[inner, inner] + np.diag(potential[inner])
    root = 1 / np.sqrt(gram[inner])
    _, vectors = linalg.eigh(root[:, None] * form * root, subset_by_index=[0, states + 1])
    functions = root[:, None] * vectors
    kinetic, lowest = gradient[:, inner] @ functions, (potential / gram)[inner].min()
    above = functions.T @ ((potential[inner] - lowest * gram[inner])[:, None] * functions)
    again = kinetic.T @ kinetic + above
    overlap = functions.T @ (gram[inner][:, None] * functions)
    return linalg.eigvalsh(again, overlap)[:states] + lowest


def lobatto(degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss-Lobatto points and weights on (-1, 1), and the derivatives of their Lagrange polynomials."""
    inner = np.polynomial.Legendre.basis(degree)
    x = np.concatenate([[-1], np.sort(inner.deriv().roots().real), [1]])
    for _ in range(3):  # of the derivative, by Newton's method
        x[1:-1] -= (inner.deriv()(x) / inner.deriv(2)(x))[1:-1]
    value = inner(x)
    apart = x[:, None] - x + np.eye(degree + 1)
    slope = np.where(np.eye(degree + 1), 0, value[:, None] / (value * apart))
    np.fill_diagonal(slope, -slope.sum(axis=1))  # of a constant it is 0
    return x, 2 / (degree * (degree + 1) * value**2), slope


def closest(structure: Structure, hbar2: float) -> tuple[int, float, float]:
    """The pair k, k + 1 of the lowest levels that comes closest within the fields, where, and how far apart it is.

    The square of the distance of two levels is a parabola of the field; its minimum is found again and again.
    """
    fields = np.linspace(*structure.fields, 9)
    gaps = np.array([np.diff(dense(structure, field, hbar2)[:STATES]) for field in fields])
    size = gaps / np.maximum(gaps.max(axis=0), 1e-300)
    k = int(np.argmin(size.min(axis=0)))

    def gap(field: float) -> float:
        return float(np.diff(dense(structure, field, hbar2)[k : k + 2])[0])

    middle, step = float(fields[np.argmin(gaps[:, k])]), fields[1] - fields[0]
    best = middle, gap(middle)
    for _ in range(12):
        around = np.array([gap(middle + share * step) ** 2 for share in (-1, 0, 1)])
        bend = around[0] - 2 * around[1] + around[2]
        if not bend > 0:
            break
        middle += float(np.clip((around[0] - around[2]) / (2 * bend), -2, 2)) * step
        found = gap(middle)
        best = min(best, (middle, found), key=lambda one: one[1])
        step = max(0.1 * step, 1e-13 * abs(middle))
    inside = float(np.clip(best[0], *structure.fields))
    return k, inside, gap(inside)


def measure(number: int) -> dict[str, Any]:
    """What qpinn says of a structure at all of its fields, and whether it is so."""
    import qpinn
    from qpinn.physics import units

    structure, hbar2 = draw(number), units.of("semiconductor").scale
    k, field, apart = closest(structure, hbar2)
    beside = max(1e-9 * abs(field), 1e-6)
    fields = np.unique([*np.linspace(*structure.fields, FIELDS), field - beside, field, field + beside])
    begun = time.perf_counter()
    layers = qpinn.potentials.layers(thickness=structure.thickness, offset=structure.offset, mass=structure.mass)
    found = qpinn.vary(layers, "field", fields, states=STATES, units="semiconductor")
    seconds = time.perf_counter() - begun
    exact = np.array([dense(structure, value, hbar2)[:STATES] for value in fields])
    spread = float(exact[:, -1].max() - exact[:, 0].min())
    granted = GRANTED * (np.abs(exact) + spread)
    lower, upper = found.bounds[..., 0], found.bounds[..., 1]
    outside = np.maximum(lower - exact, exact - upper)
    step = (exact[:, -1] - exact[:, 0]) / SCAN
    cell = np.floor((exact - exact[:, :1]) / np.maximum(step, 1e-300)[:, None] + 0.5)
    missed = int((np.diff(cell, axis=1) == 0).any(axis=1).sum())
    half = (upper - lower) / 2
    print(f"{number}: {structure.kind}, {len(structure.mass)} layers, closest {apart / spread:.1e}, {seconds:.1f} s",
          file=sys.stderr, flush=True)  # fmt: skip
    return {
        "number": number, "kind": structure.kind, "thickness": structure.thickness, "offset": structure.offset,
        "mass": structure.mass, "fields": fields.tolist(), "pair": k, "closest": apart / spread, "seconds": seconds,
        "levels": exact.size, "outside": int((outside > granted).sum()), "strictly": int((outside > 0).sum()),
        "bounded": int(np.isfinite(half).sum()), "converged": int(found.converged.sum()),
        "half_width": float(np.max(half / spread)), "error": float(np.max(np.abs(found.energies - exact)) / spread),
        "unsure": int((~found.sure).any(axis=1).sum()), "scan_missed": missed,
    }  # fmt: skip


GRANTED = 2e-14
"""Of a level and of the range, for rounding in the dense solve."""

DECADES = (1e-2, 1e-4, 1e-6, 1e-8, 0.0)


def page(measured: Mapping[str, Any]) -> str:
    """docs/crossings.md from docs/crossings.json."""
    from qpinn.report.tables import markdown

    entries = measured["entries"]
    versions = ", ".join(f"{name} {value}" for name, value in measured["versions"].items())
    rows, top = [], np.inf
    for bottom in DECADES:
        group = [entry for entry in entries if bottom <= entry["closest"] < top]
        label = f"above {bottom:g}" if np.isinf(top) else f"{bottom:g} to {top:g}" if bottom else f"below {top:g}"
        rows.append(_row(label, group))
        top = bottom
    rows.append(_row("all", entries))
    header = ["closest approach / range", "structures", "levels", "missed or outside bounds", "with bounds",
              "within 1e-8", "half-width / range, worst", "difference of E / range, worst",
              "points at which a scan misses a pair"]  # fmt: skip
    smallest = min(entry["closest"] for entry in entries)
    points = sum(len(entry["fields"]) for entry in entries)
    strictly = sum(entry["strictly"] for entry in entries)
    return "\n\n".join([
        "# Avoided crossings",
        f"Written by `scripts/benchmarks/crossings.py`. {measured['machine']['cpu']}, {measured['machine']['system']}; "
        f"commit {measured['git']}; {versions}; {measured['seconds'] / 60:.0f} minutes in all.",
        f"{len(entries)} structures drawn at random, half of them of 2 to 10 layers, half of two wells with a barrier "
        f"between them, at {FIELDS} electric fields each and three more, at and just beside the field at which two of "
        f"the lowest {STATES} levels come closest: {points} points. `qpinn.vary` over the field, against a dense solve "
        f"by spectral elements (degree {DEGREE}, all eigenvalues, so that none can be missed; H is summed again among "
        "the lowest functions, and is then right to about 1e-15). A level that was missed would put all above it "
        "outside their bounds. *Range*: from the lowest to the highest of these levels over all fields of a structure. "
        f"The closest pair is {smallest:.1e} of it apart.",
        markdown(header, rows),
        f"*Outside bounds*: by more than {GRANTED:g} of the level and the range, which is granted to the dense "
        f"solve; without that {strictly}. *A scan*: a shooting programme that looks for changes of the sign of psi at "
        f"the right wall, at {SCAN} energies from the lowest to the highest level; where two lie between neighbours "
        "it sees neither.",
    ]) + "\n"  # fmt: skip


def _json(measured: Mapping[str, Any]) -> str:
    """A line for each structure."""
    lines = ",\n".join(json.dumps(entry) for entry in measured["entries"])
    rest = json.dumps({**measured, "entries": []})
    return rest.replace('"entries": []', f'"entries": [\n{lines}\n]') + "\n"


def _row(label: str, group: list[dict[str, Any]]) -> list[str]:
    if not group:
        return [label, "0", *["-"] * 7]
    levels, worst = (
        sum(entry["levels"] for entry in group),
        {key: max(entry[key] for entry in group) for key in ("half_width", "error")},
    )
    return [
        label, str(len(group)), str(levels), str(sum(entry["outside"] for entry in group)),
        *(f"{sum(entry[key] for entry in group)}" for key in ("bounded", "converged")),
        f"{worst['half_width']:.1e}", f"{worst['error']:.1e}", str(sum(entry["scan_missed"] for entry in group)),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
