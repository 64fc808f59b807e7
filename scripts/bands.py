"""Bands of a periodic potential over the Brillouin zone, every level with its bounds; its domain is one period.

python scripts/bands.py potential=expression potential.formula="10*cos(2*x)" potential.domain=[0,3.141592653589793]
python scripts/bands.py potential=delta potential.domain=[0,1] potential.center=0.5 potential.strength=6 bands.count=6
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import _cli
import _help
import _overrides


def main() -> int:
    arguments = _overrides.command_line()
    if _help.options(arguments, __doc__, "bands", multirun=False):
        return _cli.hydra_main(lambda config: None, "bands")
    config = _overrides.check(arguments, False, "bands")
    _cli.check_writable(config.output)
    _cli.use_cache()
    from qpinn.drivers import bands
    from qpinn.runs import run_folder
    from qpinn.runs.files import write_atomically

    potential, settings = _cli.read(config)
    try:
        result = bands.run(potential, config.bands.count, config.bands.phases, settings)
    except ValueError as error:
        _cli.fail(str(error))
    folder = _cli.fresh(Path(config.hydra.run.dir))  # not before: what is killed leaves no empty one
    _cli.write_config(config, folder)
    summary = run_folder.bands_summary(result, potential, settings)
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["theta", "k", "band", "energy", "lower", "upper"])
    for i, theta in enumerate(result.theta):
        for n in range(result.energies.shape[1]):
            numbers = theta, result.k[i], n, result.energies[i, n], result.lower[i, n], result.upper[i, n]
            writer.writerow([f"{number:.17g}" for number in numbers])
    write_atomically(folder / "bands.csv", rows.getvalue().encode())
    run_folder.write_summary(folder, summary, "bands.json")
    figures = _cli.figures(config)
    if figures.name != "none":
        from qpinn.report import band_figures

        band_figures.draw(summary, folder / "bands", figures)
    print(_table(result, settings))
    print(f"  folder: {folder}")
    return 0


def _table(result: Any, settings: Any) -> str:
    """Edges of every band and the gap above it, with the widest bound."""
    import numpy as np

    from qpinn.report import tables

    gaps = [f"{high - low:.10g}" if high > low else "none" for low, high in result.gaps] + [""]
    rows = [
        [str(n), f"{column.min():.12g}", f"{column.max():.12g}", gap]
        for n, (column, gap) in enumerate(zip(result.energies.T, gaps, strict=True))
    ]
    energy = f" ({settings.units.units.energy})"
    bounded = ~np.isnan(result.lower)
    width = float(np.max((result.upper - result.lower)[bounded], initial=0.0)) / 2
    lines = [tables.plain(["band", f"bottom{energy}", f"top{energy}", f"gap above{energy}"], rows)]
    lines.append(f"  {bounded.sum()} of {bounded.size} levels with bounds, the widest +- {width:.1e}")
    return "\n".join(lines)


if __name__ == "__main__":
    _cli.script(main, "stopping")
