"""Measure how fast sweeps are, and write docs/sweeps.md.

    python scripts/benchmarks/sweeps.py                 # about ten minutes on two cores
    python scripts/benchmarks/sweeps.py --scale 0.1 --output bench

Every measurement is a process of its own (two for a job of two processes). Writes sweeps.json and sweeps.md into the
output folder (default docs). --scale multiplies every number of starts.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import routes

WELL = ["potential=finite_well"]
PAPER = ["experiment=paper/finite_well"]
BLOCKS = (1, 2, 4, 8, 16, 32)
SCRIPTS = _cli.ROOT / "scripts"
CORES = sorted(os.sched_getaffinity(0))
FIRST = CORES[0]


def main() -> int:
    arguments = routes.scaled(__doc__)
    import pages as tables

    with tempfile.TemporaryDirectory() as scratch:
        measured = measure(Sweeps(Path(scratch)), arguments.scale)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "sweeps.json").write_text(json.dumps(measured, indent=1) + "\n")
    (arguments.output / "sweeps.md").write_text(tables.sweeps_page(measured))
    print(tables.sweeps_page(measured))
    return 0


def measure(sweep: Sweeps, scale: float) -> dict[str, Any]:
    """Everything that the page shows."""

    def starts(count: int) -> int:
        return max(4, round(count * scale))

    many = sweep([*WELL, f"sweep.seeds={starts(1024)}"])
    words = [*WELL, f"sweep.seeds={starts(256)}"]
    spread = {
        "one device, one core": sweep([*words, "sweep.devices=1"], [FIRST]),
        "one device, free": sweep([*words, "sweep.devices=1"]),
        "two devices": sweep([*words, "sweep.devices=2"]),
        "two processes, one core each": sweep.pair(words),
    }
    blocks = {
        route: [
            sweep(
                [*words, f"sweep.seeds={max(starts(count), size)}", "sweep.devices=1", f"sweep.block={size}"], [FIRST]
            )
            for size in BLOCKS
        ]
        for route, words, count in (("default", WELL, 64), ("paper", PAPER, 32))
    }
    memory = [sweep(["potential=infinite_well", f"sweep.seeds={starts(count)}"]) for count in (128, 4096)]
    return {
        "machine": {"cpu": routes.cpu(), "cores": len(CORES), "system": platform.system()},
        "git": many["git"], "versions": many["versions"], "many": many, "spread": spread, "blocks": blocks,
        "alone": {route: alone(words, starts(8)) for route, words in (("default", WELL), ("paper", PAPER))},
        "memory": memory,
    }  # fmt: skip


class Sweeps:
    """Runs `sweep.py` in a process; compiled programmes are shared through one cache."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._count = 0

    def __call__(self, words: list[str], cores: list[int] = CORES) -> dict[str, Any]:
        output = self._output()
        process = self._process([*words, f"output={output}"], cores)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            _cli.fail(f"{' '.join(words)}: ended with status {os.waitstatus_to_exitcode(status)}", status=1)
        return self._read(words, output, usage)

    def pair(self, words: list[str]) -> dict[str, Any]:
        """A job of two processes, one core each, as SLURM would bind them."""
        words, output = [*words, "sweep.processes=2"], self._output()
        pair = [
            self._process([*words, f"sweep.process={i}", f"output={output}"], [core])
            for i, core in enumerate(CORES[:2])
        ]
        ended = [os.wait4(process.pid, 0) for process in pair]
        if any(status for _, status, _ in ended):
            _cli.fail(f"{' '.join(words)}: a process of two failed", status=1)
        return self._read(words, output, ended[0][2])

    def _output(self) -> Path:
        self._count += 1
        return self._scratch / f"sweep-{self._count}"

    def _process(self, words: list[str], cores: list[int]) -> subprocess.Popen:
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(self._scratch / "cache")}
        command = [sys.executable, str(SCRIPTS / "sweep.py"), *words]
        pinned = functools.partial(os.sched_setaffinity, 0, cores)
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, preexec_fn=pinned)

    @staticmethod
    def _read(words: list[str], output: Path, usage: resource.struct_rusage) -> dict[str, Any]:
        (path,) = output.glob("*/summary.json")
        summary = json.loads(path.read_text())
        of_starts = summary["statistics"]
        entry = {
            "words": " ".join(words), "starts": of_starts["starts"], "right": of_starts["success"]["count"],
            "steps": summary["settings"]["optimizer"]["steps"], "peak_memory_mb": usage.ru_maxrss / 1024,
            **{key: summary[key] for key in ("block", "devices", "processes", "seconds", "git", "versions")},
        }  # fmt: skip
        print(f"{entry['words']:80s} {1e3 * entry['seconds']['per_start']:.0f} ms a start", file=sys.stderr)
        return entry


def alone(words: list[str], count: int) -> dict[str, float]:
    """`count` seeds by a plain Python loop over `qpinn.solve`, and the training alone of one: seconds a start."""
    code = (
        "import json, sys, time; sys.path.insert(0, sys.argv[1]); import _cli; from qpinn.drivers import eigenstates\n"
        "potential, settings = _cli.read(_overrides.composed(sys.argv[3:]))\n"
        "import dataclasses; begun = time.perf_counter()\n"
        "runs = [eigenstates.run(potential, dataclasses.replace(settings, seed=i)) for i in range(int(sys.argv[2]))]\n"
        "train = sorted(run.seconds['train'] for run in runs)[len(runs) // 2]\n"
        "print(json.dumps({'loop': (time.perf_counter() - begun) / len(runs), 'train': train, 'runs': len(runs)}))"
    )
    command = [sys.executable, "-c", code, str(SCRIPTS), str(count), *words]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=routes.one_core)
    return json.loads(finished.stdout)


if __name__ == "__main__":
    sys.exit(main())
