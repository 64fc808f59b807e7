"""Transmission and reflection between two leads over energies, each with its bound; resonances; |psi|^2; phase time.

python scripts/scatter.py potential=barrier energies=[1,200,1000]
python scripts/scatter.py potential=layers potential.file=a.csv units=semiconductor energies=[0.01,0.6,500] resonances=3
python scripts/scatter.py potential=barrier resonances=4
"""

from __future__ import annotations

from pathlib import Path

import _cli
import _help
import _overrides
from _progress import Bar


def main() -> int:
    arguments = _overrides.command_line()
    if _help.options(arguments, __doc__, "scatter", multirun=False):
        return _cli.hydra_main(lambda config: None, "scatter")
    config = _overrides.check(arguments, False, "scatter")
    _cli.check_writable(config.output)
    _cli.use_cache()
    from qpinn.drivers import resonances, scatter
    from qpinn.report import scattering as words
    from qpinn.runs import scattering as files

    potential, settings = _cli.read(config)
    choice = _cli.scattered(_cli.plain(config))
    try:
        with Bar("start", kept=False) as bar:
            poles = resonances.of(potential, choice.resonances, settings, bar) if choice.resonances else []
        energies = resonances.about(poles, potential, settings) if choice.values is None else choice.values
        with Bar("energy", kept=False) as bar:
            result = scatter.run(potential, energies, settings, choice.refine, bar)
    except ValueError as error:
        _cli.fail(str(error))
    folder = _cli.fresh(Path(config.hydra.run.dir))  # not before: what is killed leaves no empty one
    _cli.write_config(config, folder)
    content = files.summary(result, poles, choice.resonances)
    files.write(folder, content, scatter.densities(result))
    figures = _cli.figures(config)
    if figures.name != "none":
        from qpinn.report import scatter_figures, scatter_page

        scatter_page.save(folder, scatter_figures.save_all(folder, figures).shown)
    print(f"{words.report(content)}\n  folder: {folder}")
    return 0


if __name__ == "__main__":
    _cli.script(main, "stopping")
