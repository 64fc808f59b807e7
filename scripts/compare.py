"""Show a run or a sweep, or those of a multirun side by side.

python scripts/compare.py outputs/<a run, a sweep or a multirun>

Runs come with the classical methods on the same potentials; sweeps with a figure, settings.png, in the folder given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import _cli


def main() -> int:
    from qpinn.report import comparison, tables

    summaries = [results for _, results in _cli.runs(sys.argv, __doc__)]
    runs = [results for results in summaries if "states" in results]
    sweeps = [results for results in summaries if "statistics" in results]
    try:
        if runs:
            print(tables.report(runs[0]) if len(runs) == 1 else comparison.overview(runs, _cli.width()))
        if sweeps:
            print(
                tables.sweep_report(sweeps[0]) if len(sweeps) == 1 else comparison.sweep_overview(sweeps, _cli.width())
            )
        if len(sweeps) > 1:
            from qpinn.report import sweep_figures

            print(f"\n  figure: {sweep_figures.save_settings(Path(sys.argv[1]), sweeps)[0]}")
    except (ValueError, *_cli.DAMAGED) as error:
        _cli.fail(f"{' '.join(sys.argv[1:])}: a results.json or summary.json is damaged ({error!r})")
    except BrokenPipeError:
        raise
    except OSError as error:
        _cli.fail(f"{sys.argv[1]}: the figure cannot be written; {error.strerror}")
    return 0


if __name__ == "__main__":
    sys.exit(_cli.shown(main))
