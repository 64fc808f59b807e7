"""Do to runs and sweeps what a cluster does, see whether anything is lost, and write docs/faults.md.

    python scripts/benchmarks/faults.py                # about fifteen minutes
    python scripts/benchmarks/faults.py --scale 0.1 --output bench

Every fault is done for real, to a process of its own. Writes faults.json and faults.md into the output folder (default
docs). --scale multiplies every number of trials.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import numpy as np
import routes

RUN = ["experiment=paper/barrier", "network.width=8", "network.depth=1", "optimizer.steps=60000", "optimizer.chunk=300",
       "save_every=0.3", "seed=5"]  # fmt: skip
SHORT = ["potential=barrier", "seed=5"]
SWEEP = ["potential=barrier", "network.width=6", "optimizer.steps=8", "sweep.seeds=400", "sweep.devices=1"]
SLACK = 1.5
"""Seconds that a loaded machine may take on top of the two in which a signal ends a run."""


@dataclasses.dataclass
class Fault:
    """What was done, how often, how often nothing was lost, and a line of what the user sees."""

    what: str
    tried: int = 0
    kept: int = 0
    seen: str = ""

    def add(self, kept: bool, seen: str = "") -> None:
        self.tried += 1
        self.kept += kept
        self.seen = seen or self.seen
        print(f"{self.what}: {self.kept} of {self.tried}", file=sys.stderr, flush=True)


def main() -> int:
    arguments = routes.scaled(__doc__)
    from qpinn.runs import run_folder

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        whole, swept = place / "whole", place / "swept"
        _finish("train", *RUN, f"hydra.run.dir={whole}")
        _finish("sweep", *SWEEP, f"hydra.run.dir={swept}")
        faults = [
            one
            for fault in (
                killed_runs,
                killed_sweeps,
                signalled_runs,
                full_disks,
                damaged_saves,
                two_at_once,
                array_of_jobs,
            )
            for one in fault(place, whole if fault is not killed_sweeps else swept, arguments.scale)
        ]
        tests = tested(place)
    measured = {
        "machine": {"cpu": routes.cpu(), "system": platform.system()}, "git": run_folder.git_commit(),
        "versions": run_folder.versions(), "faults": [dataclasses.asdict(fault) for fault in faults],
        "tests": [dataclasses.asdict(fault) for fault in tests],
    }  # fmt: skip
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "faults.json").write_text(json.dumps(measured, indent=1) + "\n")
    (arguments.output / "faults.md").write_text(page(measured))
    return 0


# --------------------------------------------------------------------------------------------------------- the faults


def killed_runs(place: Path, whole: Path, scale: float) -> Iterator[Fault]:
    """kill -9 at random moments, several times in a row, then the same command to the end."""
    moments, fault = random.Random(0), Fault("kill -9 of a run at a random moment, five in a row; the same command")
    for chain in range(max(1, round(10 * scale))):
        folder = place / f"killed-{chain}"
        kills, shown = _killed("train", [*RUN, f"hydra.run.dir={folder}"], moments)
        kept = same_run(whole, folder)
        seen = next((line for line in shown.splitlines() if line.startswith("goes on after")), "")
        for _ in range(kills):
            fault.add(kept, _plain(seen, folder))
    yield fault


def killed_sweeps(place: Path, whole: Path, scale: float) -> Iterator[Fault]:
    """The same for a sweep."""
    moments, fault = random.Random(1), Fault("kill -9 of a sweep at a random moment, five in a row; the same command")
    for chain in range(max(1, round(10 * scale))):
        folder = place / f"killed-sweep-{chain}"
        kills, _ = _killed("sweep", [*SWEEP, f"hydra.run.dir={folder}"], moments)
        kept = _rows(folder / "seeds.csv") == _rows(whole / "seeds.csv")
        for _ in range(kills):
            fault.add(kept)
    yield fault


def signalled_runs(place: Path, whole: Path, scale: float) -> Iterator[Fault]:
    """SIGTERM and SIGINT at random moments: the end in time, with the right status, and the same command."""
    moments = random.Random(2)
    for number in (signal.SIGTERM, signal.SIGINT):
        fault = Fault(f"{number.name} at a random moment of a run: ended in two seconds; the same command")
        for trial in range(max(1, round(10 * scale))):
            folder = place / f"{number.name}-{trial}"
            words = [*RUN, f"hydra.run.dir={folder}"]
            status = 0
            while status == 0:  # the run had ended before the signal came
                shutil.rmtree(folder, ignore_errors=True)
                status, seconds, errors = _stopped("train", words, moments.uniform(0.2, 5.0), number)
            in_time = status in (128 + number, -number) and seconds < 2 + SLACK
            _finish("train", *words)
            seen = (errors.strip().splitlines() or [""])[-1]
            kept = in_time and same_run(whole, folder) and "Traceback" not in errors
            fault.add(kept, _plain(seen, folder) if "stopped by" in seen else "")
        yield fault


def full_disks(place: Path, whole: Path, scale: float) -> Iterator[Fault]:
    """No file may be larger than so many KiB: every kind of write is refused once. Then the same command without."""
    fault = Fault("a disk that is full (`ulimit -f`), at every kind of write; the same command with room")
    short = place / "short"
    _finish("train", *SHORT, f"hydra.run.dir={short}")
    for kib in (1, 2, 5, 20, 60, 80, 100, 120, 140, 160, 180, 195)[:: max(1, round(1 / (4 * scale)))]:
        folder = place / f"full-{kib}"
        words = [sys.executable, "scripts/train.py", *SHORT, f"hydra.run.dir={folder}"]
        limited = ["bash", "-c", f'ulimit -f {kib}; exec "$@"', "limited", *words]
        full = subprocess.run(limited, capture_output=True, text=True, cwd=_cli.ROOT, check=False)
        if full.returncode == 0:  # no file is so large
            continue
        one_line = (
            full.returncode in (1, _cli.BAD_INPUT) and full.stderr.count("\n") == 1 and "Traceback" not in full.stderr
        )
        halves = [path for path in folder.rglob(".*") if path.name != ".lock"]
        _finish("train", *SHORT, f"hydra.run.dir={folder}")
        fault.add(one_line and not halves and same_run(short, folder), _plain(full.stderr, folder))
    yield fault


def damaged_saves(place: Path, whole: Path, scale: float) -> Iterator[Fault]:
    """The newest save cut short, or with one bit flipped: it is named, and the last good one used."""
    from qpinn.runs import saves

    folder = place / "damaged"
    shutil.copytree(whole / "saves", folder / "saves")
    last = max((folder / "saves").glob("*.npz"))
    snapshots, _ = saves.read(folder)
    saves.write(folder, snapshots)
    newest = max((folder / "saves").glob("*.npz"))
    good = newest.read_bytes()
    cut, flipped = Fault("the newest save cut at a tenth of its length"), Fault("one bit of the newest save flipped")
    places = random.Random(3)

    def tried(fault: Fault, data: bytes) -> None:
        newest.write_bytes(data)
        found, damaged = saves.read(folder)
        equal = all(
            np.array_equal(a, b) for one, other in zip(found, snapshots, strict=True)
            for a, b in zip(one.carry, other.carry, strict=True)
        )  # fmt: skip
        warning = f"warning: {_plain(damaged[0], folder)}; the newest good save is used" if damaged else "nothing"
        fault.add(equal and len(damaged) == 1 and last.exists(), warning)

    for tenth in range(10):
        tried(cut, good[: len(good) * tenth // 10])
    for _ in range(max(10, round(200 * scale))):
        at = places.randrange(len(good))
        tried(flipped, good[:at] + bytes([good[at] ^ (1 << places.randrange(8))]) + good[at + 1 :])
    yield from (cut, flipped)


def two_at_once(place: Path, whole: Path, scale: float) -> Iterator[Fault]:
    """A second process for a folder in which a first one works: refused, and the first one is not disturbed."""
    fault = Fault("a second process in the folder of a run (`resume=<folder>`)")
    for trial in range(max(1, round(5 * scale))):
        folder = place / f"two-{trial}"
        first = _begun("train", [*RUN, f"hydra.run.dir={folder}"])
        while first.poll() is None and not (folder / "status.json").exists():
            time.sleep(0.02)
        second = _begun("train", [*RUN, f"resume={folder}"])
        _, errors = second.communicate()
        first.communicate()
        fault.add(second.returncode == 2 and same_run(whole, folder), _plain(errors, folder))
    yield fault


def array_of_jobs(place: Path, whole: Path, scale: float) -> Iterator[Fault]:
    """Jobs of one config, eight at a time, with an empty cache: how often each programme was compiled."""
    jobs = max(8, round(100 * scale))
    fault = Fault(f"{jobs} jobs of one config, eight at a time, and an empty cache: programmes, those compiled once")
    site, counted = place / "site", place / "compiled.txt"
    site.mkdir()
    (site / "sitecustomize.py").write_text(COUNTING)
    around = {"PYTHONPATH": str(site), "COMPILED": str(counted), "JAX_COMPILATION_CACHE_DIR": str(place / "cache")}
    waiting = [[*ARRAY, f"seed={job}", f"hydra.run.dir={place / f'job-{job}'}"] for job in range(jobs)]
    running: list[subprocess.Popen[str]] = []
    while waiting or running:
        while waiting and len(running) < 8:
            running.append(_begun("train", waiting.pop(), around))
        for process in [process for process in running if process.poll() is not None]:
            if process.returncode:
                raise RuntimeError(process.communicate()[1])
            process.communicate()
            running.remove(process)
        time.sleep(0.02)
    names = counted.read_text().split()
    for name in sorted(set(names)):
        fault.add(names.count(name) == 1)
    yield fault


ARRAY = ["experiment=paper/barrier", "network.width=6", "network.depth=2", "optimizer.steps=200"]
COUNTING = """
import os
replace = os.replace
def counted(one, other):
    if str(other).endswith("-checked"):
        with open(os.environ["COMPILED"], "a") as file:
            file.write(os.path.basename(other) + "\\n")
    replace(one, other)
os.replace = counted
"""
"""Every programme that a process compiles is a line of a file."""


def tested(place: Path) -> list[Fault]:
    """The faults of the tests, a row for each test: its cases, and those that passed."""
    report = place / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-n", "2", "-m", "long or not long", f"--junit-xml={report}", *TESTS]
    subprocess.run(command, cwd=_cli.ROOT, check=False, stdout=sys.stderr)
    rows: dict[str, Fault] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["name"].partition("[")[0].removeprefix("test_").replace("_", " ")
        if case.find("skipped") is None:
            rows.setdefault(name, Fault(name)).add(case.find("failure") is None and case.find("error") is None)
    return list(rows.values())


TESTS = [f"tests/test_{name}.py" for name in ("faults", "signals", "damaged_files", "cache", "bad_input")]


# ---------------------------------------------------------------------------------------------------------- processes


def _begun(name: str, words: list[str], around: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, f"scripts/{name}.py", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=_cli.ROOT,
                            env={**os.environ, **(around or {})})  # fmt: skip


def _stopped(name: str, words: list[str], after: float, number: signal.Signals) -> tuple[int, float, str]:
    """Status, seconds from the signal to the end, and stderr of a script that gets a signal after so many seconds."""
    process = _begun(name, words)
    time.sleep(after)
    sent = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate()
    return process.returncode, time.monotonic() - sent, errors


def _killed(name: str, words: list[str], moments: random.Random) -> tuple[int, str]:
    """How often a script was killed before it could finish, five times at most, and what the last one showed."""
    for kills in range(5):
        process = _begun(name, words)
        try:
            out, _ = process.communicate(timeout=moments.uniform(0.2, 6.0))
            return kills, out
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    return 5, _finish(name, *words)


def _finish(name: str, *words: str) -> str:
    process = _begun(name, list(words))
    out, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{name} {' '.join(words)}: {errors}")
    return out


def same_run(one: Path, other: Path) -> bool:
    """Whether two runs have the same parameters and history bit for bit, but for the seconds."""
    with np.load(one / "parameters.npz") as a, np.load(other / "parameters.npz") as b:
        equal = a.files == b.files and all(np.array_equal(a[name], b[name]) for name in a.files)
    return equal and _rows(one / "history.csv") == _rows(other / "history.csv")


def _rows(path: Path) -> list[str]:
    """The rows of a CSV file without the columns of seconds."""
    header, *rows = (line.split(",") for line in path.read_text().splitlines())
    kept = [index for index, name in enumerate(header) if not name.startswith("seconds")]
    return [",".join(row[index] for index in kept) for row in rows]


def _plain(text: str, folder: Path) -> str:
    return " ".join(text.replace(str(folder), "<folder>").split())


def page(measured: dict[str, Any]) -> str:
    """docs/faults.md from docs/faults.json."""
    from qpinn.report.tables import markdown

    versions = ", ".join(f"{name} {value}" for name, value in measured["versions"].items())
    rows = [
        [fault["what"], str(fault["tried"]), str(fault["kept"]), f"`{fault['seen']}`" if fault["seen"] else ""]
        for fault in measured["faults"]
    ]
    tests = [[fault["what"], str(fault["tried"]), str(fault["kept"])] for fault in measured["tests"]]
    return "\n\n".join([
        "# What is lost when something goes wrong",
        f"Written by `scripts/benchmarks/faults.py`. {measured['machine']['cpu']}, {measured['machine']['system']}; "
        f"commit {measured['git']}; {versions}. Every fault was done for real, to a process of its own. *Nothing "
        "lost*: what came out in the end is what a run or a sweep without the fault gives, parameters and every row of "
        "the history or of the table bit for bit, and where the fault ends a process it ended with one line. The runs "
        "are of 60000 steps of Adam, saved every 0.3 s.",
        markdown(["fault", "tried", "nothing lost", "what the user sees, last"], rows),
        "## Tests",
        f"The tests of {', '.join(f'`{path}`' for path in TESTS)}, those included that take minutes: what must come of "
        "a fault, in how many cases it was done, and in how many it came.",
        markdown(["what must come of it", "cases", "came"], tests),
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
