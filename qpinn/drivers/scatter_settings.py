"""What a scattering can be told: one frozen dataclass for the keys of `configs/scatter.yaml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from qpinn.checks import finite, plain, shown, whole
from qpinn.drivers.settings import Network, UnitsChoice
from qpinn.physics import leads

MOST_ENERGIES = 100_000
"""At some 300 to 3000 of them a second."""

MOST_RESONANCES = 32


@dataclasses.dataclass(frozen=True)
class LeadsChoice(leads.Leads):
    """The leads by the keys of the group `leads`, in the units of the potential."""

    NAMED: ClassVar[dict[str, dict[str, float]]] = {"own": {}, "zero": {"left": 0.0, "right": 0.0}}


@dataclasses.dataclass(frozen=True)
class ScatterSettings:
    """Everything but the potential and the energies. The hidden units of one network serve all energies.

    phase   of waves in the longest segment, in radians or decay lengths
    tol     of the bounds on T and R: segments are halved where they are not met
    train   steps of Levenberg-Marquardt for the hidden units, on the energies as a band; 0: as they were drawn
    points  of the least squares in a segment
    """

    network: Network = dataclasses.field(default_factory=lambda: Network(shared=True))
    units: UnitsChoice = dataclasses.field(default_factory=UnitsChoice)
    leads: LeadsChoice = dataclasses.field(default_factory=LeadsChoice)
    phase: float = 3.0
    points: int = 40
    tol: float = 1e-10
    train: int = 0
    seed: int = 0
    precision: ClassVar[str] = "float64"

    def __post_init__(self) -> None:
        whole("seed", self.seed, 0, 2**31 - 1)
        whole("train", self.train, 0, 10_000)
        whole("points", self.points, 16, 400)
        if not 0.05 <= finite("phase", self.phase) <= 100:
            raise ValueError(f"phase={self.phase:g}: must lie from 0.05 to 100")
        if not 1e-14 <= finite("tol", self.tol) < 1:
            raise ValueError(f"tol={self.tol:g}: must lie below 1, and from 1e-14 for float64")
        if self.network.shared is False:
            raise ValueError("network.shared=false: one network serves all energies; leave it out")

    @property
    def width(self) -> int:
        """Units of a hidden layer."""
        return self.network.width or 20


@dataclasses.dataclass(frozen=True)
class ScatterChoice:
    """Which energies scripts/scatter.py takes: [first, last, count], refined where T moves; and how many resonances."""

    energies: Any = None
    refine: bool = True
    resonances: int = 0

    def __post_init__(self) -> None:
        whole("resonances", self.resonances, 0, MOST_RESONANCES)
        if self.energies is None and not self.resonances:
            raise ValueError("energies=null: must be [first,last,count], as in energies=[1,200,1000]; or resonances=4")
        self.values  # noqa: B018 (checks)

    @property
    def values(self) -> np.ndarray | None:
        """The energies, evenly. Raises ValueError for what is no such range."""
        given = plain(self.energies)
        if given is None:
            return None
        if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 3:
            raise ValueError(f"energies={shown(given)}: must be [first,last,count], as in energies=[1,200,1000]")
        said = f"energies=[{','.join(f'{entry:g}' if isinstance(entry, float) else str(entry) for entry in given)}]"
        first, last, count = (finite("energies", entry) for entry in given)
        if first >= last:
            raise ValueError(f"{said}: must be [first,last,count], the first smaller than the last")
        if count != int(count) or not 2 <= count <= MOST_ENERGIES:
            raise ValueError(f"{said}: the count must be a whole number from 2 to {MOST_ENERGIES}")
        return np.linspace(first, last, int(count))
