"""What the figures and the page of a packet in time show: from evolve.json and evolve.npz alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.report import evolution, words

FAINT = 1e-4
"""Of the largest |psi|^2: what is less at all times is not shown."""

WHOLE = 0.7
"""Share of the box from which on all of it is shown."""


class EvolutionData:
    """Arrays of psi (T, X) on t (T,) and x (X,), and the series of evolve.json, each (T,)."""

    def __init__(self, content: Mapping[str, Any], grid: Mapping[str, np.ndarray]) -> None:
        self.content, self.t, self.x = content, np.asarray(grid["t"], float), np.asarray(grid["x"], float)
        self.psi, self.v = np.asarray(grid["psi"], complex), np.asarray(grid["v"], float)
        self.density = np.abs(self.psi) ** 2
        self.walls = (float(content["walls"][0]), float(content["walls"][1]))
        self.jumps = np.array(content.get("breakpoints", ()), float)
        self.driven = content["drive"] is not None
        self.loss, self.exact = grid.get("loss"), grid.get("exact")
        self._drive = (grid["f"], grid["w"]) if "f" in grid else None

    def series(self, name: str) -> Float[np.ndarray, "T"]:
        """Numbers at each time; NaN where there is none."""
        return np.asarray([np.nan if value is None else value for value in self.content["series"][name]], float)

    def potential(self, k: int) -> Float[np.ndarray, "X"]:
        """V at time k, with what drives it."""
        return self.v if self._drive is None else self.v + self._drive[0][k] * self._drive[1]

    @property
    def shown(self) -> tuple[float, float]:
        """The positions between which psi is to be seen."""
        left, right = self.walls
        seen = self.x[self.density.max(axis=0) > FAINT * self.density.max()]
        low, high = float(seen[0]), float(seen[-1])
        if high - low > WHOLE * (right - left):
            return left, right
        room = 0.12 * (high - low)
        return max(left, low - room), min(right, high + room)

    @property
    def name(self) -> str:
        return str(self.content["potential"]["name"]).replace("_", " ")

    def unit(self, kind: str) -> str:
        """The unit of a length, an energy or a time, as it stands behind the stroke of a label."""
        return words.divided(self.content["units"][kind]).replace("²", "$^2$").replace("ħ", r"$\hbar$")

    @property
    def position(self) -> str:
        return f"$x$ / {self.unit('length')}"

    @property
    def time(self) -> str:
        return f"$t$ / {words.divided(self.content['units']['time'])}"

    @property
    def per_length(self) -> str:
        length = self.content["units"]["length"]
        return r"$|\psi|^2$ / $L^{-1}$" if length == "L" else rf"$|\psi|^2$ / {words.drawn(length)}$^{{-1}}$"

    @property
    def range(self) -> tuple[float, float]:
        """V from its lowest to where it is of interest: steep walls are cut a little above the energy."""
        low, high = self.shown
        inside = (self.x >= low) & (self.x <= high)
        v = np.concatenate([self.potential(k)[inside] for k in range(0, len(self.t), max(1, len(self.t) // 24))])
        energy = self.series("energy")
        bottom, top = float(v.min()), float(np.nanmax(energy))
        highest = float(v.max())
        if highest - bottom > 3 * (top - bottom) > 0:
            highest = top + (top - bottom)
        return bottom, max(highest, top, bottom + 1e-12)

    @property
    def title(self) -> str:
        """What was solved, for the head of a figure."""
        kind = words.packet_name(self.content["packet"])
        driven = f", driven by {self.content['drive']['label']}" if self.driven else ""
        return f"{self.name}: {kind}{driven}"

    @property
    def below(self) -> str:
        """How well it is known."""
        if evolution.trained(self.content) and self.exact is not None:
            return f"error {evolution.number(self.content['estimate'])} at the end"
        return rf"$\|\psi - \mathrm{{exact}}\| \leq$ {evolution.most(self.content['bound'])} at the end"
