"""Bands of a periodic potential over the Brillouin zone, every level with its bounds; its domain is one period.

python scripts/bands.py potential=expression potential.formula="10*cos(2*x)" potential.domain=[0,3.141592653589793]
python scripts/bands.py potential=delta potential.domain=[0,1] potential.center=0.5 potential.strength=6 bands.count=6
"""

from __future__ import annotations

from pathlib import Path

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
    from qpinn.report import bands as words
    from qpinn.runs import bands as files

    potential, settings = _cli.read(config)
    try:
        result = bands.run(potential, config.bands.count, config.bands.phases, settings)
    except ValueError as error:
        _cli.fail(str(error))
    folder = _cli.fresh(Path(config.hydra.run.dir))  # not before: what is killed leaves no empty one
    _cli.write_config(config, folder)
    content = files.summary(result)
    files.write(folder, content)
    figures = _cli.figures(config)
    if figures.name != "none":
        from qpinn.report import band_figures

        band_figures.save_all(folder, figures)
    print(f"{words.report(content)}\n  folder: {folder}")
    return 0


if __name__ == "__main__":
    _cli.script(main, "stopping")
