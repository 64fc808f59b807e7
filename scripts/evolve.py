"""A packet in time, psi with a bound on its error at every moment, and what it does at a barrier.

python scripts/evolve.py potential=barrier packet.center=0.25 packet.width=0.03 packet.momentum=30 times=[0,0.01]
python scripts/evolve.py experiment=time/tunnelling figures.animate=true
python scripts/evolve.py experiment=paper/time potential=harmonic   # one complex network, trained: for comparison
python scripts/evolve.py potential=double_well drive=dipole drive.amplitude=5 drive.frequency=3 times=[0,2]
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import _cli
import _help
import _overrides
import _signals
from _progress import Bar


def main() -> int:
    started = time.monotonic()
    arguments = _overrides.command_line()
    if _help.options(arguments, __doc__, "evolve", multirun=False):
        return _cli.hydra_main(lambda config: None, "evolve")
    config = _overrides.check(arguments, False, "evolve")
    _cli.check_writable(config.output)
    _cli.use_cache()
    from qpinn.drivers import evolve, wave_bench
    from qpinn.drivers.among_states import ROUNDS
    from qpinn.report import evolution as words
    from qpinn.runs import evolution as files

    potential, settings = _cli.read(config)
    values = _cli.plain(config)
    asked, divide = _cli.asked(values), values["divide"]
    trained = evolve.trained(settings)
    if trained:
        print(f"{potential.name}: {wave_bench.describe_route(settings)['label']}; seed {settings.seed}", flush=True)
    with Bar("step" if trained else "basis", ROUNDS, kept=False) as bar:
        try:
            result = evolve.run(potential, asked, settings, [partial(shown, bar) if trained else bar])
            content, grid = files.summary(result, divide), files.arrays(result)
            if values["transmission"]:
                content["through"] = result.transmitted()._asdict()
        except ValueError as error:
            _cli.fail(str(error))
    folder = _cli.fresh(Path(config.hydra.run.dir))  # not before: what is stopped leaves no half of one
    _signals.keep(lambda: f"stopped by a signal; the results are in {folder}")  # they are written in less than a second
    _cli.write_config(config, folder)
    files.write(folder, content, grid)
    print(f"{words.heading(content)}\n\n{words.report(content)}", flush=True)
    _signals.keep(None)
    if _signals.came():
        print(f"stopped by a signal; the results are in {folder}", file=sys.stderr)
    _signals.check()
    content["seconds"]["write"] = time.monotonic() - started - sum(content["seconds"].values())
    draw(folder, content, _cli.figures(config), started)
    print(f"  folder: {folder}")
    return _cli.NON_FINITE if content["status"] == "non-finite" else 0


def shown(bar: Bar, progress: Any) -> None:
    """The progress of a training."""
    bar(progress.step, progress.steps, f"loss {progress.loss:.1e}")


def draw(folder: Path, content: dict[str, Any], choice: Any, started: float) -> None:
    """Figures of a folder, and how long all of it took."""
    from qpinn.report import evolution_page
    from qpinn.runs import run_folder

    shown = {}
    if choice.name != "none":
        from qpinn.report import evolution_figures

        before = time.monotonic()
        with Bar("frame", kept=False) as bar:
            shown = evolution_figures.save_all(folder, choice, bar).shown
        content["seconds"]["figures"] = time.monotonic() - before
    content["seconds"]["total"] = time.monotonic() - started
    run_folder.write_summary(folder, content, "evolve.json")
    evolution_page.save(folder, shown)


if __name__ == "__main__":
    _cli.script(main, "stopping")
