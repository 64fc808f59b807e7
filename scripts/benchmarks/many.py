"""Measure many levels at once, with a network for each of them and with one for all, and write docs/many.md.

python scripts/benchmarks/many.py            # about five minutes
python scripts/benchmarks/many.py --output bench
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import numpy as np
import routes

COUNTS = (8, 16, 48, 64)

MOST_LANES = 16
"""Levels up to which each is given a network of its own here: 48 of them take minutes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=_cli.ROOT / "docs")
    arguments = parser.parse_args()
    from qpinn import potentials
    from qpinn.runs import run_folder

    cases = {
        "box": potentials.infinite_well(),
        "x^2": potentials.harmonic(),
        "10 (x^2 - 1)^2": potentials.double_well(),
    }
    entries = [
        measure(name, potential, states, shared)
        for states in COUNTS for name, potential in cases.items()
        for shared in (False, True) if shared or states <= MOST_LANES
    ]  # fmt: skip
    measured = {"machine": {"cpu": routes.cpu(), "system": platform.system()}, "git": run_folder.git_commit(),
                "versions": run_folder.versions(), "entries": entries}  # fmt: skip
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "many.json").write_text(json.dumps(measured, indent=1) + "\n")
    (arguments.output / "many.md").write_text(page(measured))
    return 0


def measure(name: str, potential: Any, states: int, shared: bool) -> dict[str, Any]:
    """Worst errors and bounds of the lowest levels, relative to them, and seconds, nothing kept from a run before."""
    import jax

    import qpinn
    from qpinn.drivers import discretize
    from qpinn.physics import survey

    jax.clear_caches()
    for cached in (discretize._plan, survey._survey):
        cached.cache_clear()
    solution = qpinn.solve(potential, states=states, network={"shared": shared})
    lower, upper = solution.bounds.T
    seconds = solution.seconds
    entry = {
        "potential": name, "states": states, "shared": shared, "segments": len(solution.edges) - 1,
        "converged": sum(solution.converged), "bound": float(np.max((upper - lower) / 2 / solution.scale)),
        "start": _worst(state.relative_error_energy_start for state in solution.states),
        "error": _worst(state.relative_error_energy for state in solution.states),
        "psi": _worst(state.relative_l2_psi for state in solution.states),
        "planning": seconds["planning"], "compile": seconds["compile"], "solve": seconds["train"] + seconds["measure"],
    }  # fmt: skip
    print(f"{name}, {states} levels, {'one network' if shared else 'a network each'}: {entry['solve']:.2f} s",
          file=sys.stderr, flush=True)  # fmt: skip
    return entry


def _worst(errors: Iterable[float | None]) -> float:
    """The largest; an error of None lies within that of the reference."""
    return max(error or 0.0 for error in errors)


def page(measured: Mapping[str, Any]) -> str:
    """docs/many.md from docs/many.json."""
    from qpinn.report.tables import markdown

    versions = ", ".join(f"{name} {value}" for name, value in measured["versions"].items())
    rows = [
        [entry["potential"], str(entry["states"]), "one" if entry["shared"] else "one each", str(entry["segments"]),
         f"{entry['converged']} of {entry['states']}",
         *(f"{entry[key]:.1e}" for key in ("bound", "start", "error", "psi")),
         *(f"{entry[key]:.2f}" for key in ("planning", "compile", "solve"))]
        for entry in measured["entries"]
    ]  # fmt: skip
    header = ["potential", "levels", "networks", "segments", "bounds within 1e-8", "half-width, worst",
              "error of E before training, worst", "error of E, worst", "L2 error of psi, worst", "planning, s",
              "compile, s", "train and measure, s"]  # fmt: skip
    return "\n\n".join([
        "# Many levels",
        f"Written by `scripts/benchmarks/many.py`. {measured['machine']['cpu']}, {measured['machine']['system']}; "
        f"commit {measured['git']}; {versions}. *One each*: every level trains a network of its own, from a "
        "Rayleigh-Ritz solve. *One*: `network.shared=true`, all levels from one Rayleigh-Ritz solve in the basis of "
        "one network (one for each parity), whose hidden units stay as they were drawn: nothing is trained, and E "
        "before training differs from E by one more Rayleigh-Ritz solve, on a finer quadrature. Seed 0, no tol; errors "
        "and half-widths are relative to the level.",
        markdown(header, rows),
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
