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

STATED_EVERY = 2.0
"""Seconds between two lines in status.json."""


def main() -> int:
    arguments = _overrides.command_line()
    if _help.options(arguments, __doc__, "vary"):
        return _cli.hydra_main(lambda config: None, "vary")
    config = _overrides.check(arguments, False, "vary")
    _cli.check_writable(config.output)
    _cli.use_cache()
    from qpinn.drivers import vary
    from qpinn.report import variation as words
    from qpinn.report import vary_figures
    from qpinn.runs import run_folder, status, variation

    potential, settings = _cli.read(config)
    family = _cli.varied(_cli.plain(config), potential, settings)
    print(f"{potential.name}: {settings.states or 1} levels over {family.name} from {family.values[0]:g} to "
          f"{family.values[-1]:g}, {len(family.values)} points", flush=True)  # fmt: skip
    folder = _cli.fresh(Path(config.hydra.run.dir))
    _cli.write_config(config, folder)
    claim = status.Claim(folder)
    run_folder.git_commit()  # kept: a signal leaves no time to ask

    def written(result: Any) -> dict[str, Any]:
        content = variation.summary(result, potential, settings, len(family.values))
        variation.write(folder, content)
        return content

    ended = "failed"
    try:
        with Watch(claim, written, folder) as watch:
            result = vary.run(family, settings, [watch])
        content = written(result)
        _signals.keep(None)
        ended = content["status"]
        if _signals.came():
            print(watch.left(), file=sys.stderr)
        _signals.check()
        vary_figures.save(content, folder / "vary")
        print(f"\n{words.report(content)}\n  folder: {folder}")
    except ValueError as error:
        _cli.fail(str(error))
    finally:
        claim.write(ended, step=watch.done, steps=len(family.values))
        claim.release()
    return 0


class Watch:
    """A callback that shows how many points are done, and keeps what a signal is to save. Ends the work after one."""

    def __init__(self, claim: Any, written: Any, folder: Path) -> None:
        self.done, self._count = 0, 0
        self._claim, self._written, self._folder, self._stated = claim, written, folder, 0.0
        self._bar: Any = None

    def __enter__(self) -> Watch:
        return self

    def __call__(self, so_far: Any, done: int, count: int) -> bool:
        self.done, self._count = done, count
        _signals.keep(lambda: self._stopped(so_far))
        if time.monotonic() - self._stated > STATED_EVERY:
            self._claim.write("running", step=done, steps=count)
            self._stated = time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = self._bar or tqdm(total=count, unit="point", leave=True)
            self._bar.update(done - self._bar.n)
        return bool(_signals.came())

    def _stopped(self, so_far: Any) -> str:
        self._written(so_far())
        self._claim.write("stopped", step=self.done, steps=self._count)
        return self.left()

    def left(self) -> str:
        """What a signal has left."""
        files = f"vary.csv and vary.json are in {self._folder}"
        return f"stopped by a signal after point {self.done} of {self._count}; {files}"

    def __exit__(self, *_: Any) -> None:
        if self._bar:
            self._bar.close()


if __name__ == "__main__":
    _cli.script(main, "stopping")
