"""Levels over a number of a potential, every one with its bounds, each followed through avoided crossings.

python scripts/vary.py potential=finite_well vary=potential.width range=[0.5,4] points=41
python scripts/vary.py potential=layers potential.file=a.csv units=semiconductor vary=potential.offset[2] range=[0,1]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import _cli
import _help
import _overrides
import _signals
from _progress import Bar

STATED_EVERY = 2.0
"""Seconds between two lines in status.json."""


def main() -> int:
    arguments = _overrides.command_line()
    if _help.options(arguments, __doc__, "vary", multirun=False):
        return _cli.hydra_main(lambda config: None, "vary")
    config = _overrides.check(arguments, False, "vary")
    _cli.check_writable(config.output)
    _cli.use_cache()
    from qpinn.drivers import vary
    from qpinn.report import variation as words
    from qpinn.report import vary_figures

    potential, settings = _cli.read(config)
    family = _cli.varied(_cli.plain(config), potential, settings)
    print(f"{potential.name}: {settings.states or 1} levels over {family.name} from {family.values[0]:g} to "
          f"{family.values[-1]:g}, {len(family.values)} points", flush=True)  # fmt: skip
    with Work(config, len(family.values)) as work:
        try:
            result = vary.run(family, settings, [work])
        except ValueError as error:
            _cli.fail(str(error))
        content = work.write(result)
        figures = _cli.figures(config)
        if figures.name != "none":
            vary_figures.save_all(work.folder, figures)
    print(f"\n{words.report(content)}\n  folder: {work.folder}")
    return 0


class Work:
    """The folder of a variation, made after its first point; a callback that shows how many points are done, and keeps
    what a signal is to save. Ends the work after one."""

    folder: Path

    def __init__(self, config: Any, points: int) -> None:
        self._config, self._points = config, points
        self._done, self._stated, self._status = 0, 0.0, "failed"
        self._claim: Any = None
        self._bar = Bar("point")

    def __enter__(self) -> Work:
        return self

    def __call__(self, so_far: Any, done: int, count: int) -> bool:
        if self._claim is None:
            self._begin()
        self._done = done
        _signals.keep(lambda: self._rescue(so_far))
        if time.monotonic() - self._stated > STATED_EVERY:
            self._state("running")
        self._bar(done, count)
        return bool(_signals.came())

    def _begin(self) -> None:
        from qpinn.runs import run_folder, status, variation

        self.folder = _cli.fresh(Path(self._config.hydra.run.dir))  # not before: what is refused leaves no empty one
        _cli.write_config(self._config, self.folder)
        self._claim = status.Claim(self.folder)
        self._summary, self._save = variation.summary, variation.write
        run_folder.git_commit(), run_folder.versions()  # they are kept: a signal leaves no time to ask

    def _state(self, what: str) -> None:
        self._claim.write(what, step=self._done, steps=self._points, counted="points")
        self._stated = time.monotonic()

    def _write(self, result: Any) -> dict[str, Any]:
        content = self._summary(result, self._points)
        self._save(self.folder, content)
        return content

    def _rescue(self, so_far: Any) -> str:
        self._write(so_far())
        self._state("stopped")
        return self._left()

    def _left(self) -> str:
        files = f"vary.csv and vary.json are in {self.folder}"
        return f"stopped by a signal after point {self._done} of {self._points}; {files}"

    def write(self, result: Any) -> dict[str, Any]:
        """The files of what there is; a signal that came ends the script here."""
        content = self._write(result)
        self._status = content["status"]
        _signals.keep(None)
        if _signals.came():
            print(self._left(), file=sys.stderr)
        _signals.check()
        return content

    def __exit__(self, *_: Any) -> None:
        _signals.keep(None)
        self._bar.__exit__()
        if self._claim is not None:
            self._state(self._status)
            self._claim.release()


if __name__ == "__main__":
    _cli.script(main, "stopping")
