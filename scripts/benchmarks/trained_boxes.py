"""Measure the recipe of physics-informed networks in two and three dimensions: the baseline of the route of products.

    python scripts/benchmarks/trained_boxes.py --seeds 2            # some twenty minutes on a core
    python scripts/benchmarks/trained_boxes.py --only box_2d --steps 500 --output rows.json

One network in an envelope, experiment=paper/method, from random parameters (E fixed in a box, trained elsewhere) and
from a minimum of the Rayleigh quotient (E trained). A line, and an entry of rows.json, for each run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import yaml

METHOD = _cli.CONFIGS / "experiment" / "paper" / "method.yaml"

PROBLEMS: dict[str, dict[str, Any]] = {
    "box_2d": {"domain": [[0, 1]] * 2, "formula": "0*x + 0*y", "energy": {"name": "fixed"}, "points": 32},
    "oscillator_2d": {"domain": [[-6, 6]] * 2, "formula": "x**2 + y**2 + 0.1*x**2*y**2",
                      "energy": {"name": "trainable", "initial": 1.0}, "points": 32},
    "box_3d": {"domain": [[0, 1]] * 3, "formula": "0*x + 0*y + 0*z", "energy": {"name": "fixed"}, "points": 12},
}  # fmt: skip
"""Domain, formula, how E is found, and points of an axis."""

STARTS: dict[str, dict[str, Any]] = {
    "random": {"start": "random"},
    "variational": {"start": "variational", "sampling": "gauss_legendre", "energy": "trainable"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--only", choices=PROBLEMS)
    parser.add_argument("--output", type=Path, default=Path("rows.json"))
    arguments = parser.parse_args()
    if min(arguments.seeds, arguments.steps) < 1:
        _cli.fail(f"--seeds {arguments.seeds} --steps {arguments.steps}: must be at least 1")
    rows = []
    for row in measure([arguments.only] if arguments.only else list(PROBLEMS), arguments.seeds, arguments.steps):
        rows.append(row)
        print(line(row), flush=True)
        arguments.output.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def measure(problems: list[str], seeds: int, steps: int) -> Iterator[dict[str, Any]]:
    """What came out of each run: see `row_of`."""
    for problem in problems:
        for start in STARTS:
            for seed in range(seeds):
                yield {"problem": problem, "start": start, "seed": seed, **row_of(problem, start, seed, steps)}


def settings_of(problem: str, start: str, seed: int, steps: int) -> Mapping[str, Any]:
    """Settings of a run, as `qpinn.solve` takes them."""
    method, chosen, also = yaml.safe_load(METHOD.read_text()), PROBLEMS[problem], STARTS[start]
    energy = {"name": also["energy"]} if "energy" in also else chosen["energy"]
    sampling = {"name": also.get("sampling", "uniform"), "points": chosen["points"]}
    optimizer = {"name": "adam", "steps": steps, **method["optimizer"]}
    return {"ansatz": "envelope", "start": {"name": also["start"]}, "energy": energy, "sampling": sampling,
            "optimizer": optimizer, "network": method["network"], "loss": method["loss"], "seed": seed}  # fmt: skip


def row_of(problem: str, start: str, seed: int, steps: int) -> dict[str, Any]:
    """Errors of E and psi of one run, relative, its residual, how it ended, and its seconds."""
    from qpinn.drivers import trained_box
    from qpinn.drivers.mapping import from_mapping
    from qpinn.drivers.settings import Settings
    from qpinn.physics.potentials.several import several

    settings = from_mapping(Settings, settings_of(problem, start, seed, steps))
    trained = trained_box.solve_trained(
        several(PROBLEMS[problem]["domain"], PROBLEMS[problem]["formula"]), settings
    )  # fmt: skip
    (state,), reference = trained.states, trained.reference
    assert reference is not None  # there are few levels
    level = float(reference.energies[0])
    return {
        "level": level, "energy": trained.energy, "rayleigh": float(trained.rayleigh[0]), "outcome": state.outcome,
        "error_energy": state.relative_error_energy, "error_rayleigh": float(trained.rayleigh[0]) / level - 1,
        "error_psi": state.relative_l2_psi, "residual": float(trained.residuals[0]), "norm": float(trained.norms[0]),
        "doubt": float(trained.doubt[0]), "seconds": trained.seconds, "device": trained.stats.device,
    }  # fmt: skip


def line(row: Mapping[str, Any]) -> str:
    """A run in a line."""
    seconds = row["seconds"]
    return (
        f"{row['problem']:14s} {row['start']:12s} {row['seed']:2d}  E {row['error_energy']:.1e}  <H> "
        f"{row['error_rayleigh']:+.1e}  psi {row['error_psi']:.1e}  |r| {row['residual']:.1e}  norm {row['norm']:.4f}  "
        f"{seconds['compile']:.0f} + {seconds['train']:.0f} s  {row['outcome']}"
    )


if __name__ == "__main__":
    sys.exit(main())
