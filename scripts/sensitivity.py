"""Measure how sensitive the routes are to their initialisation, and write docs/sensitivity.md.

    python scripts/sensitivity.py                    # all of configs/sensitivity.yaml, about two hours and a half on two cores
    python scripts/sensitivity.py --starts 8 --output bench

Every entry is one `sweep.py`, in a process of its own, one after the other. Its folder stays under --sweeps; what is
there already is not run again. The page shows what is there, and names what is not.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import _cli

CONFIG = _cli.CONFIGS / "sensitivity.yaml"


class Entry(NamedTuple):
    """One sweep: `words` is its command line, the change `label` of `factor` ("seed" for the sweep as configured)."""

    route: str
    well: str
    factor: str
    label: str
    words: list[str]

    @property
    def folder(self) -> Path:
        return Path(self.route) / self.well / re.sub(r"[^\w.]+", "-", f"{self.factor} {self.label}").strip("-")


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
    found = [list(entries(route, plan)) for route, plan in study.items()]
    everything = [entry for listed in found for entry in listed]
    for number, entry in enumerate([] if arguments.only_page else everything, 1):
        if not list((arguments.sweeps / entry.folder).glob("*/summary.json")):
            print(f"{number} of {len(everything)}: {' '.join(entry.words)}", file=sys.stderr, flush=True)
            run(entry, starts, arguments.sweeps)
    return 0


def entries(route: str, plan: dict[str, Any]) -> Iterator[Entry]:
    """The sweeps of a route in the order in which they are run: factor by factor, each over the wells."""
    for well, words in plan["wells"].items():
        yield Entry(route, well, "seed", "as configured", words)
    for factor, changes in plan["factors"].items():
        for change in changes:
            label = " ".join(word.partition(".")[2] or word for word in change)
            for well, words in plan["wells"].items():
                if not (well == "infinite_well" and factor == "energy"):  # E is fixed there
                    yield Entry(route, well, factor, label, [*words, *change])


def run(entry: Entry, starts: int, sweeps: Path) -> None:
    """One sweep in a process of its own."""
    command = [sys.executable, str(_cli.ROOT / "scripts" / "sweep.py"), *entry.words, f"sweep.seeds={starts}",
               f"output={sweeps / entry.folder}"]  # fmt: skip
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        _cli.fail(f"{' '.join(entry.words)}: {finished.stderr.strip() or finished.returncode}", status=1)


if __name__ == "__main__":
    sys.exit(main())
