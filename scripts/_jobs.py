"""The jobs of a multirun: what became of each, side by side, when all have been tried."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import _cli


class Ended(NamedTuple):
    """What became of a job, and why, where it is not finished."""

    status: str
    why: str = ""


def show(folder: Path, expected: int, ended: Callable[[Path], Ended]) -> list[dict]:
    """Print a table of the jobs in `folder` and why some are not finished. Returns the results of those that are."""
    from qpinn.report import comparison
    from qpinn.runs import run_folder

    places = sorted(
        (path.parent for path in folder.glob(f"*/{_cli.OVERRIDES}")), key=lambda path: (len(path.name), path)
    )
    rows, results = [], []
    for place in places:
        words = [word for word in (place / _cli.OVERRIDES).read_text().splitlines() if not word.startswith("output=")]
        status = ended(place)
        try:
            made = (
                run_folder.read_summary(place) if any((place / name).is_file() for name in run_folder.KINDS) else None
            )
            rows.append(comparison.Job(folder=place.name, overrides=words, status=status.status, results=made))
        except ValueError as error:
            _cli.fail(str(error))
        if status.status == "finished" and made is not None:
            results.append(made)
        elif status.status != "finished":
            print(f"{status.status}: {place.name} ({' '.join(words)}): {status.why}".rstrip(": "), file=sys.stderr)
    done = sum(row.status == "finished" for row in rows)
    print(f"\n{done} of {expected} jobs finished in {folder}")
    try:
        print(f"\n{comparison.jobs(rows, _cli.width())}" if rows else "", flush=True)
    except (ValueError, *_cli.DAMAGED) as error:
        _cli.fail(f"{folder}: a results.json or summary.json is damaged ({error!r})")
    return results
