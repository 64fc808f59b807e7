"""Draw the figures of a run again, from the files in its folder alone.

python scripts/plot.py outputs/<a run or a multirun>
"""

from __future__ import annotations

import sys

import _cli


def main() -> int:
    from qpinn.analysis import plotting

    for folder, _ in _cli.runs(sys.argv, __doc__):
        try:
            written = plotting.save_all(plotting.load(folder), folder)
        except (ValueError, OSError) as error:
            _cli.fail(str(error))
        print("\n".join(map(str, written)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
