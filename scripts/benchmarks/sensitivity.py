"""Measure how sensitive the routes are to their initialisation, and write docs/sensitivity.md.

    python scripts/benchmarks/sensitivity.py            # all of configs/sensitivity.yaml, about two hours on two cores
    python scripts/benchmarks/sensitivity.py --starts 8 --output bench

Every entry is one `sweep.py`, in a process of its own, one after the other. Its folder stays under --sweeps; what is
there already is not run again. The page shows what is there and what it had before of other sweeps,
and names what it lacks.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli

CONFIG = _cli.CONFIGS / "sensitivity.yaml"


class Entry(NamedTuple):
    """One sweep: `words` is its command line, the change `label` of `factor` ("seed" for the sweep as configured)."""

    route: str
    well: str
    factor: str
    label: str
    words: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return Path(self.route) / self.well / re.sub(r"[^\w.]+", "-", f"{self.factor} {self.label}").strip("-")

    def finished(self, sweeps: Path, starts: int) -> Path | None:
        """The folder of the finished sweep of so many starts below `sweeps`, if it is there."""
        for path in (sweeps / self.folder).glob("*/summary.json"):
            if json.loads(path.read_text())["statistics"]["starts"] == starts:
                return path.parent
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int)
    parser.add_argument("--sweeps", type=Path, default=_cli.ROOT / "outputs" / "sensitivity")
    parser.add_argument("--output", type=Path, default=_cli.ROOT / "docs")
    parser.add_argument("--only-page", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    from omegaconf import OmegaConf

    study: Any = OmegaConf.to_container(OmegaConf.load(CONFIG))
    starts = study.pop("starts") if arguments.starts is None else arguments.starts
    if starts < 1:
        _cli.fail(f"--starts {starts}: must be at least 1")
    everything = [entry for route, plan in study.items() for entry in entries(route, plan)]
    for number, entry in enumerate([] if arguments.only_page else everything, 1):
        if entry.finished(arguments.sweeps, starts) is None:
            print(f"{number} of {len(everything)}: {' '.join(entry.words)}", file=sys.stderr, flush=True)
            run(entry, starts, arguments.sweeps)
    return 1 if write(everything, arguments.sweeps, starts, arguments.output) else 0


def write(everything: list[Entry], sweeps: Path, starts: int, output: Path) -> list[str]:
    """The page with its numbers and figures, from the sweeps that are finished. Returns which of the study it lacks.

    Of a sweep that is not there, what the output folder has of it from before is kept, with the commit that it is of;
    but not its starts one by one, without which the figures of E are left as they are.
    """
    import pages

    from qpinn.report import study
    from qpinn.runs import run_folder

    folders = {entry: folder for entry in everything if (folder := entry.finished(sweeps, starts))}
    stored = output / "sensitivity.json"
    before: dict[str, Any] = json.loads(stored.read_text()) if stored.exists() else {"entries": [], "git": ""}
    kept = {tuple(entry["words"]): entry for entry in before["entries"]}
    if not (folders or kept):
        _cli.fail(f"--sweeps {sweeps}: holds no finished sweep of {starts} starts of the study")
    summaries = {entry: run_folder.read_summary(folder) for entry, folder in folders.items()}
    entries = [
        {**entry._asdict(), "statistics": summaries[entry]["statistics"]} if entry in summaries else kept[entry.words]
        for entry in everything if entry in summaries or entry.words in kept
    ]  # fmt: skip
    last = [before, *summaries.values()][-1]
    commits = [*(before["git"].split(", ") if len(entries) > len(summaries) else []),
               *(str(summary["git"]) for summary in summaries.values())]  # fmt: skip
    measured = {
        "git": ", ".join(dict.fromkeys(commits)),
        **{key: last[key] for key in ("versions", "device")},
        "missing": [
            " ".join(entry.words) for entry in everything if entry not in summaries and entry.words not in kept
        ],
        "entries": entries,
    }
    output.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps(measured, indent=1) + "\n")
    (output / "sensitivity.md").write_text(study.page(measured))
    energy = {entry.well: folder for entry, folder in folders.items() if entry.factor == "energy"}
    study.save_figures(entries, energy, output)
    if output.resolve() == _cli.ROOT / "docs":
        pages.put_into(_cli.ROOT / "README.md", study.summary(measured), "sensitivity")
    return list(measured["missing"])


def entries(route: str, plan: dict[str, Any]) -> Iterator[Entry]:
    """The sweeps of a route in the order in which they are run: factor by factor, each over the wells."""
    for well, words in plan["wells"].items():
        yield Entry(route, well, factor="seed", label="as configured", words=tuple(words))
    for factor, changes in plan["factors"].items():
        for change in changes:
            label = " ".join(word.partition(".")[2] or word for word in change)
            for well, words in plan["wells"].items():
                if not (well == "infinite_well" and factor == "energy"):  # E is fixed there
                    yield Entry(route, well, factor=factor, label=label, words=(*words, *change))


def run(entry: Entry, starts: int, sweeps: Path) -> None:
    """One sweep in a process of its own. If it fails, its reason is shown and the others go on."""
    command = [sys.executable, str(_cli.ROOT / "scripts" / "sweep.py"), *entry.words, f"sweep.seeds={starts}",
               f"output={sweeps / entry.folder}"]  # fmt: skip
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        print(f"failed: {' '.join(entry.words)}: {finished.stderr.strip() or finished.returncode}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
