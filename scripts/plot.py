"""Draw the figures of a run or a sweep and report.html again, from the files in its folder alone.

python scripts/plot.py outputs/<a run, a sweep or a multirun>
python scripts/plot.py outputs/<a run> figures=essential figures.format=pdf figures.dpi=300

figures=all or essential; figures.format=png, svg, pdf or a list of them; figures.dpi;
figures.animate=true (training.gif)
"""

from __future__ import annotations

import sys
from pathlib import Path

import _cli
import _overrides


def main() -> int:
    words = [word for word in sys.argv[1:] if "=" in word and not Path(word).exists()]
    folders = _cli.runs([word for word in sys.argv if word not in words], __doc__)
    choice = _overrides.figures(words)
    if choice.name == "none":
        return 0
    from qpinn.report import page, run_figures, sweep_figures

    for folder, results in folders:
        if choice.animate and "statistics" in results:
            _cli.fail(f"figures.animate=true: {folder} is a sweep, which keeps no frames; allowed for runs")
        draw = sweep_figures.save_all if "statistics" in results else run_figures.save_all
        try:
            written = draw(folder, choice)
            written.append(page.save(folder, written))
        except (ValueError, OSError) as error:
            _cli.fail(str(error))
        except _cli.DAMAGED as error:
            _cli.fail(f"{folder}: a file is damaged ({error!r})")
        print("\n".join(map(str, written)))
    return 0


if __name__ == "__main__":
    sys.exit(_cli.outcome(main))
