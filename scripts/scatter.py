"""Transmission and reflection between two leads over energies, each with its bound; resonances; |psi|^2; phase time.

python scripts/scatter.py potential=barrier energies=[1,200,1000]
python scripts/scatter.py potential=layers potential.file=a.csv units=semiconductor energies=[0.01,0.6,500] resonances=3
python scripts/scatter.py potential=barrier resonances=4
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import _cli
import _help
import _overrides


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
        with Bar("start") as bar:
            poles = resonances.of(potential, choice.resonances, settings, bar) if choice.resonances else []
        energies = resonances.about(poles, potential, settings) if choice.values is None else choice.values
        with Bar("energy") as bar:
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


class Bar:
    """How many are done, on a terminal and of what takes more than a second."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._bar: Any = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(unit=self._unit, delay=1.0)
        return self

    def __call__(self, done: int, count: int) -> None:
        if self._bar is not None:
            self._bar.total = count
            self._bar.update(done - self._bar.n)

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()


if __name__ == "__main__":
    _cli.script(main, "stopping")
