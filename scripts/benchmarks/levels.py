"""Measure levels and their bounds over the library and over potentials drawn at random, and write docs/levels.md.

    python scripts/benchmarks/levels.py              # 8 seeds, 240 random and 300 adversarial potentials: about an hour
    python scripts/benchmarks/levels.py --seeds 1 --random 10 --adversaries 8 --output bench

One process; compiled programmes are kept. Writes levels.json and levels.md into the output folder (default docs).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import adversaries
import numpy as np
import routes

STATES = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--random", type=int, default=240)
    parser.add_argument("--adversaries", type=int, default=300)
    parser.add_argument("--output", type=Path, default=_cli.ROOT / "docs")
    arguments = parser.parse_args()
    if arguments.seeds < 1 or min(arguments.random, arguments.adversaries) < 0:
        _cli.fail("--seeds must be at least 1, --random and --adversaries at least 0")
    _cli.use_cache()
    import pages

    from qpinn.physics import potentials
    from qpinn.runs import run_folder

    library = []
    for name, build in potentials.BUILDERS.items():
        if name != "sampled":
            library += [measure(name, build(**arguments_of(name)), seed) for seed in range(arguments.seeds)]
    drawn = [measure(*draw(number), 0, states=4) for number in range(arguments.random)]
    against = [adversaries.measure(number) for number in range(arguments.adversaries)]
    measured = {
        "machine": {"cpu": routes.cpu(), "system": platform.system()}, "git": run_folder.git_commit(),
        "versions": run_folder.versions(), "library": library, "random": drawn, "adversaries": against,
    }  # fmt: skip
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "levels.json").write_text(json.dumps(measured) + "\n")
    (arguments.output / "levels.md").write_text(pages.levels_page(measured))
    print(pages.levels_page(measured))
    return 0


WELLS = {"thickness": [10, 8, 2, 6, 10], "offset": [0.228, 0, 0.228, 0, 0.228],
         "mass": [0.0919, 0.0665, 0.0919, 0.0665, 0.0919]}  # fmt: skip
"""Two coupled wells of GaAs between layers of Al(0.3)Ga(0.7)As: nm, eV, m_e."""


def arguments_of(name: str) -> dict[str, Any]:
    """A formula needs walls and layers need a table; everything else has its defaults."""
    needs: dict[str, dict[str, Any]] = {"expression": {"domain": (-3.0, 3.0)}, "layers": WELLS}
    return needs.get(name, {})


def draw(number: int) -> tuple[str, Any]:
    """A potential that nobody chose: steps, a smooth sum of waves, or layers with masses."""
    from qpinn.physics import potentials

    rng = np.random.default_rng(number)
    if number % 3 == 2:
        count = int(rng.integers(3, 8))
        columns = rng.uniform(2, 10, count), rng.uniform(0, 0.5, count), rng.uniform(0.03, 0.3, count)
        lists = (column.round(4).tolist() for column in columns)
        return "layers", potentials.layers(None, *lists)
    if number % 3 == 1:
        terms = " + ".join(
            f"{rng.normal() * 30 / k:.6f}*sin({k * rng.uniform(0.5, 1):.6f}*x + {rng.uniform(0, 6):.6f})"
            for k in range(1, 6)
        )
        return "smooth", potentials.expression((-3.0, 3.0), terms)
    edges = np.sort(rng.uniform(-2.9, 2.9, 5))
    heights = rng.uniform(-60, 60, 6)
    steps = " + ".join(
        f"{high - low:.6f}*heaviside(x - {edge:.6f})"
        for edge, low, high in zip(edges, heights[:-1], heights[1:], strict=True)
    )
    return "steps", potentials.expression((-3.0, 3.0), f"{heights[0]:.6f} + {steps}")


def measure(name: str, potential: Any, seed: int, states: int = STATES) -> dict[str, Any]:
    """Errors and bounds of the lowest levels (all bound ones, if they are fewer), relative to their scale."""
    import jax

    import qpinn
    from qpinn.drivers.solution import reference_of
    from qpinn.physics import walls

    threshold = getattr(potential, "threshold", np.inf)
    if np.isfinite(threshold):
        states = min(states, walls.bound_states(potential))
    jax.clear_caches()  # thousands of programmes in one process run out of maps of memory
    begun = time.perf_counter()
    units = "semiconductor" if hasattr(potential, "mass_at") else "dimensionless"
    solution = qpinn.solve(potential, states=states, tol=1e-8, seed=seed, units=units)
    seconds = time.perf_counter() - begun
    scale = solution.scale / solution.units.scale
    exact = reference_of(solution.plan).energies[:states]
    lower, upper = solution.bounds.T / solution.units.scale
    entry = {
        "potential": name, "seed": seed, "states": states, "rounds": solution.stats.rounds, "seconds": seconds,
        "segments": len(solution.edges) - 1,
        "right": sum(state.outcome == "right state" for state in solution.states),
        "nodes": sum(state.node_count == state.index for state in solution.states),
        "error": [state.relative_error_energy for state in solution.states],
        "psi": [state.relative_l2_psi for state in solution.states],
        "bound": ((upper - lower) / 2 / scale).tolist(),
        "outside": (np.maximum(np.maximum(lower - exact, exact - upper), 0) / scale).tolist(),
        "converged": sum(solution.converged),
    }  # fmt: skip
    print(f"{name:16s} seed {seed}: {entry['right']} of {states} right, {seconds:.1f} s", file=sys.stderr, flush=True)
    return entry


if __name__ == "__main__":
    sys.exit(main())
