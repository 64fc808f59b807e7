"""Which figures are drawn, and how they are written: the group `figures` of the configs."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from qpinn.checks import one_of, whole

FORMATS = ("png", "svg", "pdf")


@dataclasses.dataclass(frozen=True)
class Choice:
    """Figures of a folder: none, the essential ones or all of them.

    format   of the files, or a list of several
    dpi      pixels per inch of a png, and of pictures inside of the other formats; a figure is 3.4 inches wide
    animate  whether a GIF shows how psi and E moved in training
    """

    name: str = "all"
    format: Any = ("png", "svg")
    dpi: int = 200
    animate: bool = False
    NAMES: ClassVar[tuple[str, ...]] = ("none", "essential", "all")

    def __post_init__(self) -> None:
        one_of("figures.name", self.name, self.NAMES)
        if not self.formats:
            raise ValueError(f"figures.format={self.format}: must be one of {', '.join(FORMATS)}, or a list of them")
        for entry in self.formats:
            one_of("figures.format", entry, FORMATS)
        whole("figures.dpi", self.dpi, 20, 2400)
        if self.animate and self.name == "none":
            raise ValueError("figures.animate=true: figures=none draws nothing; allowed with it: essential, all")

    @property
    def formats(self) -> tuple[str, ...]:
        given = (self.format,) if isinstance(self.format, str) else self.format
        return tuple(dict.fromkeys(given)) if isinstance(given, (list, tuple)) else (given,)

    def some(self, names: list[str], essential: tuple[str, ...]) -> list[str]:
        """Those of `names` that are drawn."""
        if self.name == "essential":
            return [name for name in names if name in essential]
        return names if self.name == "all" else []


EVERYTHING = Choice()
"""What is drawn where nothing is said."""
