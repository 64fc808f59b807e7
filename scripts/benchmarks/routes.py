"""Measure the routes, the traps and the time to the first figure, and write the tables.

    python scripts/benchmarks/routes.py               # 8 seeds, everything, about ten minutes
    python scripts/benchmarks/routes.py --seeds 2 --output bench

Every run is a process of its own on one core, one after the other. Writes benchmark.json and benchmark.md into the
output folder (default docs), and the summary between the marks in README.md if the output folder is docs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli

PROBLEMS = ("infinite_well", "finite_well", "barrier")
ROUTES = {
    "paper": lambda problem: [f"experiment=paper/{problem}"],
    "random start": lambda problem: ["experiment=random_start", f"potential={problem}"],
    "default": lambda problem: [f"potential={problem}"],
    "default, float32": lambda problem: [f"potential={problem}", "precision=float32"],
}
NORM_WEIGHTS = (0.01, 1, 1000)
GRIDS = (65, 100, 140, 160)
POLISHED = ("optimizer=adam_lbfgs", "optimizer.steps=8000", "optimizer.adam_steps=3000")
STARTS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--output", type=Path, default=_cli.ROOT / "docs")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        _cli.fail(f"--seeds {arguments.seeds}: must be at least 1")
    import pages

    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        measured = measure(range(arguments.seeds), Path(scratch))
    (arguments.output / "benchmark.json").write_text(json.dumps(measured, indent=1) + "\n")
    (arguments.output / "benchmark.md").write_text(pages.page(measured))
    print(pages.summary(measured))
    if arguments.output.resolve() == _cli.ROOT / "docs":
        pages.put_into(_cli.ROOT / "README.md", pages.summary(measured), "benchmark")
    return 0


def measure(seeds: Sequence[int], scratch: Path) -> dict[str, Any]:
    """Everything that the tables show, one entry a run."""
    import pages

    run = Runner(scratch)
    start = [run(["potential=barrier"], cache=scratch / f"cache-{i}") for i in range(STARTS) for _ in range(2)]
    routes = [
        {"problem": problem, "route": route, **run([*words(problem), f"seed={seed}"])}
        for problem in PROBLEMS for route, words in ROUTES.items() for seed in seeds
    ]  # fmt: skip
    collapse = [
        {"weight": weight, **run(["experiment=paper/finite_well", f"loss.norm={weight}", f"seed={seed}"])}
        for weight in NORM_WEIGHTS for seed in seeds
    ]  # fmt: skip
    jump = [
        {"points": n, **pages.seen_by_grid(n),
         **run(["experiment=paper/finite_well", *POLISHED, f"sampling.points={n}"])}
        for n in GRIDS
    ]  # fmt: skip
    return {
        "machine": {"cpu": cpu(), "cores_used": 1, "system": platform.system()},
        "git": run.last["git"], "versions": run.last["versions"],
        "start": [{"cache": "filled" if i % 2 else "empty", **entry} for i, entry in enumerate(start)],
        "routes": routes, "collapse": collapse, "jump": jump,
    }  # fmt: skip


class Runner:
    """Runs `train.py` in a process on one core; compiled programmes are shared through one cache."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._count = 0
        self.last: dict[str, Any] = {}

    def __call__(self, words: list[str], cache: Path | None = None) -> dict[str, Any]:
        self._count += 1
        output = self._scratch / f"run-{self._count}"
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache or self._scratch / "cache")}
        command = [sys.executable, str(_cli.ROOT / "scripts" / "train.py"), *words, f"output={output}"]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, preexec_fn=one_core)
        if finished.returncode not in (0, _cli.NON_FINITE):
            _cli.fail(f"{' '.join(words)}: {finished.stderr}", status=1)
        (path,) = output.glob("*/results.json")
        self.last = json.loads(path.read_text())
        state = self.last["states"][0]
        keys = ("energy", "relative_error_energy", "relative_l2_psi", "relative_error_energy_start", "node_count",
                "norm", "loss", "outcome")  # fmt: skip
        entry = {"seed": self.last["seed"], **{key: state[key] for key in keys}, "seconds": self.last["seconds"]}
        print(f"{' '.join(words):70s} {entry['outcome']:14s} {entry['seconds']['total']:.1f} s", file=sys.stderr)
        return entry


def one_core() -> None:
    """Keep this process on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def scaled(about: str | None) -> argparse.Namespace:
    """The command line of a benchmark whose numbers of trials are all multiplied by --scale."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--output", type=Path, default=_cli.ROOT / "docs")
    arguments = parser.parse_args()
    if not 0 < arguments.scale <= 1:
        _cli.fail(f"--scale {arguments.scale:g}: must lie above 0 and not above 1")
    return arguments


def cpu() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
