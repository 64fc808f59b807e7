"""Seconds by phase."""

from __future__ import annotations

import time


class Clock:
    """Every moment since it began, or `already` seconds before, belongs to one phase: they add up to the whole."""

    def __init__(self, already: float = 0.0) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter() - already

    def lap(self, phase: str, **inside: float) -> None:
        """What has passed since the last lap was `phase`, but for the seconds of the phases `inside` it."""
        now = time.perf_counter()
        parts = {phase: now - self._last - sum(inside.values()), **inside}
        for name, seconds in parts.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + max(seconds, 0.0)
        self._last = now
