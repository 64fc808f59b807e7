"""The group `ends` of the settings: what psi does at the ends of a line, or of every axis of a box."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from qpinn.checks import one_of, plain, shown
from qpinn.geometry import domain


@dataclasses.dataclass(frozen=True)
class EndsChoice:
    """What psi does at the ends of the domain, see `qpinn.geometry.domain.Ends`.

    axes  of several coordinates: for each axis walls, free or periodic, or its two ends; None: what the others say
    """

    left: str = "wall"
    right: str = "wall"
    theta: float = 0.0
    axes: Any = None
    LISTED: ClassVar[str] = "axes"
    NAMED: ClassVar[dict[str, dict[str, Any]]] = {
        "walls": {}, "free": {"left": "free", "right": "free"}, "periodic": {"left": "periodic", "right": "periodic"}
    }  # fmt: skip

    def __post_init__(self) -> None:
        for_all = domain.ends(self.left, self.right, self.theta)
        if self.axes is None:
            return
        given = plain(self.axes)
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise ValueError(f"ends.axes={shown(given)}: must be a list, one entry for each axis, as [periodic,walls]")
        if for_all != domain.WALLS:
            raise ValueError(f"ends.axes={shown(list(given))}: and ends.left={self.left}, ends.right={self.right}; "
                             "give one of the two")  # fmt: skip
        entries = tuple(entry if isinstance(entry, str) else tuple(entry) if isinstance(entry, Sequence) else entry
                        for entry in given)  # fmt: skip
        for place, entry in enumerate(entries):
            _ends_of_axis(f"ends.axes[{place}]", entry)
        object.__setattr__(self, "axes", entries)

    @property
    def said(self) -> str:
        """As a message shows it."""
        sides = f"ends.left={self.left}, ends.right={self.right}"
        return sides if self.axes is None else f"ends.axes={shown(list(self.axes))}"

    @property
    def walls(self) -> bool:
        """Whether psi = 0 at all ends."""
        return all(ends.walls for ends in self.of_axes(len(self.axes or (0,))))

    def of_axes(self, dimension: int) -> tuple[domain.Ends, ...]:
        """The ends of each of so many axes. Raises ValueError for another number of them, or a phase of several."""
        if self.axes is None:
            if dimension > 1 and self.theta:
                raise ValueError(
                    f"ends.theta={self.theta:g}: a phase over a period is there on a line alone; leave it out"
                )
            return (domain.ends(self.left, self.right, self.theta),) * dimension
        if len(self.axes) != dimension:
            raise ValueError(f"ends.axes={shown(list(self.axes))}: has {len(self.axes)} entries, and the potential has "
                             f"{dimension} {'axes' if dimension > 1 else 'axis'}; one for each, or one word for all, "
                             "as ends=periodic")  # fmt: skip
        return tuple(_ends_of_axis("ends.axes", entry) for entry in self.axes)


def _ends_of_axis(key: str, entry: Any) -> domain.Ends:
    """The ends that an entry of a list is. Raises ValueError for one that is none."""
    if isinstance(entry, str):
        one_of(key, entry, EndsChoice.NAMED)
        return domain.ends(**EndsChoice.NAMED[entry])
    if not isinstance(entry, tuple) or len(entry) != 2 or not all(isinstance(end, str) for end in entry):
        raise ValueError(
            f"{key}={shown(entry)}: must be one of {', '.join(EndsChoice.NAMED)}, or two ends, as [free,wall]"
        )
    try:
        return domain.ends(*entry)
    except ValueError as error:
        raise ValueError(f"{key}=[{','.join(entry)}]: {str(error).partition(': ')[2]}") from None
