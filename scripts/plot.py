"""Draw the figures of a run or a sweep and report.html again, from the files in its folder alone.

python scripts/plot.py outputs/<a run, a sweep or a multirun>
"""

from __future__ import annotations

import sys

import _cli


def main() -> int:
    from qpinn.report import page, run_figures, sweep_figures

    for folder, results in _cli.runs(sys.argv, __doc__):
        draw = sweep_figures.save_all if "statistics" in results else run_figures.save_all
        try:
            written = draw(folder)
            written.append(page.save(folder, written))
        except (ValueError, OSError) as error:
            _cli.fail(str(error))
        except _cli.DAMAGED as error:
            _cli.fail(f"{folder}: a file is damaged ({error!r})")
        print("\n".join(map(str, written)))
    return 0


if __name__ == "__main__":
    sys.exit(_cli.outcome(main))
