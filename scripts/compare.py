"""Show a run, or the runs of a multirun side by side, with the classical methods on the same potentials.

python scripts/compare.py outputs/<a run or a multirun>
"""

from __future__ import annotations

import sys

import _cli


def main() -> int:
    from qpinn.analysis import tables

    runs = [results for _, results in _cli.runs(sys.argv, __doc__)]
    try:
        print(tables.report(runs[0]) if len(runs) == 1 else tables.overview(runs))
    except (KeyError, IndexError, TypeError) as error:
        _cli.fail(f"{' '.join(sys.argv[1:])}: a results.json is damaged ({error})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
