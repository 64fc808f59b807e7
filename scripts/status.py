"""Say what runs, sweeps and jobs of multiruns are: finished, running, stopped, killed, failed, non-finite, not begun.

Of a sweep, to which any number of processes belong: finished, running, or unfinished, where no process is at work.

python scripts/status.py outputs/<a run, a sweep or a multirun> [...]
python scripts/status.py outputs
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import _cli


def main() -> int:
    if len(sys.argv) < 2 or any(argument.startswith("-") for argument in sys.argv[1:]):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else _cli.BAD_INPUT
    from qpinn.report import tables

    rows = []
    for argument in sys.argv[1:]:
        top = Path(argument)
        folders = [top, *sorted(path for path in top.rglob("*") if path.is_dir())] if top.is_dir() else []
        found = [(folder, state(folder)) for folder in folders]
        if not any(row for _, row in found):
            _cli.fail(f"{argument}: holds no run, sweep or multirun")
        rows += [[str(folder), *row] for folder, row in found if row]
    print(tables.plain(["folder", "status", "done", "last update", "host", "remark"], rows))
    counts = {status: sum(row[1] == status for row in rows) for status in dict.fromkeys(row[1] for row in rows)}
    print("\n  " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    return 0


def state(folder: Path) -> list[str] | None:
    """A row for a run, a sweep or a job of a multirun; None for another folder."""
    from qpinn.runs import status

    facts = status.read(folder)
    if facts is not None:
        done = f"{facts['step']} of {facts['steps']} {facts.get('counted', 'steps')}" if "step" in facts else ""
        return [facts["status"], done, _ago(facts), str(facts.get("host", "")), str(facts.get("reason") or "")]
    if (folder / "failed.txt").is_file():
        return ["failed", "", "", "", (folder / "failed.txt").read_text().strip().splitlines()[-1]]
    if (folder / "blocks").is_dir() or (folder / "summary.json").is_file():
        return _sweep(folder)
    if (folder / _cli.OVERRIDES).is_file():
        return ["not begun", "", "", "", ""]
    return None


def _sweep(folder: Path) -> list[str]:
    from qpinn.runs import status, sweep_folder

    try:
        starts = int(_cli.stored(folder)["sweep"]["seeds"])
    except (ValueError, KeyError, TypeError):
        return ["damaged", "", "", "", "config.yaml cannot be read"]
    done = f"{int(sweep_folder.finished(folder, starts).sum())} of {starts} starts"
    if (folder / "summary.json").is_file():
        return ["finished", done, "", "", ""]
    return ["running" if status.is_at_work(folder) else "unfinished", done, "", "", ""]


def _ago(facts: dict[str, Any]) -> str:
    """How long ago status.json was written."""
    seconds = time.time() - float(facts.get("updated", time.time()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


if __name__ == "__main__":
    sys.exit(_cli.shown(main))
