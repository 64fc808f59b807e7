"""A progress bar on stderr."""

from __future__ import annotations

import sys
from typing import Any


class Bar:
    """Shows how many of something are done, of how many; silent where stderr is not a terminal.

    unit   what is counted; total: of how many, where a call does not say
    kept   whether it stays when it is full; one that does not begins to show after a second
    """

    def __init__(self, unit: str, total: int | None = None, kept: bool = True) -> None:
        self._unit, self._total, self._kept = unit, total, kept
        self._bar: Any = None

    def __enter__(self) -> Bar:
        return self

    def __call__(self, done: int, total: int | None = None, said: str = "") -> None:
        """`done` of `total`, and what else is to be `said`; where it is not more than before, another count begins."""
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm

        if self._bar is not None and done <= self._bar.n:
            self.__exit__()
        if self._bar is None:
            delay = 0.0 if self._kept else 1.0
            self._bar = tqdm(total=total or self._total, unit=self._unit, leave=self._kept, delay=delay)
        self._bar.total = total or self._total
        self._bar.set_postfix_str(said, refresh=False)
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
