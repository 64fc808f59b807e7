"""Draw the figures of a folder again, from its files alone; of a run and a sweep report.html too.

python scripts/plot.py outputs/<a run, a sweep, a multirun, bands, levels over a number, a scattering, a packet in time>
python scripts/plot.py outputs/<a run> figures=essential figures.format=pdf figures.dpi=300

figures=all or essential; figures.format=png, svg, pdf or a list of them; figures.dpi;
figures.animate=true (training.gif of a run, evolve.gif of a packet)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import _cli
import _overrides

OTHERS = ("bands.json", "vary.json", "scattering.json", "evolve.json")
"""Files of folders that are no runs or sweeps, and are drawn too."""


def main() -> int:
    words = [word for word in sys.argv[1:] if "=" in word and not Path(word).exists()]
    folders = _cli.runs([word for word in sys.argv if word not in words], __doc__, OTHERS)
    choice = _overrides.figures(words)
    if choice.name == "none":
        return 0
    for folder, results in folders:
        try:
            written = draw(folder, results, choice)
        except (ValueError, OSError) as error:
            _cli.fail(str(error))
        except _cli.DAMAGED as error:
            _cli.fail(f"{folder}: a file is damaged ({error!r})")
        print("\n".join(map(str, written)))
    return 0


def draw(folder: Path, results: dict[str, Any], choice: Any) -> list[Path]:
    """The figures of a folder that ended with these results, and its report.html where it has one."""
    from qpinn.report import (
        band_figures,
        evolution_figures,
        evolution_page,
        page,
        run_figures,
        scatter_figures,
        scatter_page,
        sweep_figures,
        vary_figures,
    )  # fmt: skip

    if "series" in results:
        moving = evolution_figures.save_all(folder, choice)
        return [*moving.files, evolution_page.save(folder, moving.shown)]
    if choice.animate and "states" not in results:
        raise ValueError(f"figures.animate=true: {folder} is not one run, and keeps no frames; allowed for runs")
    if "theta" in results:
        return band_figures.save_all(folder, choice)
    if "values" in results:
        return vary_figures.save_all(folder, choice)
    if results.get("task") == "scattering":
        scattered = scatter_figures.save_all(folder, choice)
        return [*scattered.files, scatter_page.save(folder, scattered.shown)]
    drawn = (sweep_figures if "statistics" in results else run_figures).save_all(folder, choice)
    return [*drawn.files, page.save(folder, drawn.shown)]


if __name__ == "__main__":
    sys.exit(_cli.outcome(main))
