"""What the figures of a box show: read from the files of its folder alone, or taken from a solution in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.report import box_tables, run_data, words
from qpinn.report.run_data import Course
from qpinn.runs import box_arrays, box_folder, run_folder, trained_folder

ALONE = "level_"
"""What the name of a figure of a single level begins with."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level:
    """What is shown of a level.

    digits    E as the tables print it, with the uncertainty of its last digit in brackets
    bounds    None where there are none
    group     index of the first of the levels that are one with it, and their number
    symmetry  in words, as "even in x, odd in y"; empty where there is none
    remark    how it ended, where that is not the right state
    reference  E of another method; None without one
    """

    index: int
    energy: float
    digits: str
    bounds: tuple[float, float] | None
    group: int
    multiplicity: int
    symmetry: str
    remark: str
    reference: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxData:
    """What the figures show of all K levels of a box; `grid` has the arrays that `qpinn.runs.box_arrays` names.

    names    of the d coordinates
    reason   why there are no bounds, or None
    units    of lengths and of energies
    courses  how each level was trained; empty for what was solved among products
    """

    name: str
    route: str
    names: tuple[str, ...]
    levels: tuple[Level, ...]
    reason: str | None
    walls: tuple[tuple[float, float], ...]
    breakpoints: tuple[tuple[float, ...], ...]
    dipoles: np.ndarray
    units: tuple[str, str]
    grid: dict[str, np.ndarray]
    courses: tuple[Course, ...] = ()

    @property
    def dimension(self) -> int:
        return len(self.names)

    @property
    def x(self) -> list[np.ndarray]:
        """Points of every axis."""
        return [self.grid[f"x_{axis}"] for axis in range(self.dimension)]

    @property
    def behind(self) -> str:
        """The unit of an energy behind its digits, where there is one."""
        return "" if self.units[0] == "$L$" else f"\N{NO-BREAK SPACE}{self.units[1]}"

    @property
    def energy_unit(self) -> str:
        """What an axis of energies is divided by."""
        return f"({self.units[1]})" if "/" in self.units[1] and "$" not in self.units[1] else self.units[1]

    @property
    def title(self) -> str:
        """The potential with its levels."""
        first, last = self.levels[0].index, self.levels[-1].index
        return f"{self.name}, " + (f"level {first}" if first == last else f"levels {first} to {last}")

    def place(self, index: int) -> int:
        """Where the level of an index is among those that are shown."""
        indices = [level.index for level in self.levels]
        if index not in indices:
            raise ValueError(f"level={index}: was not solved; allowed: {indices[0]} to {indices[-1]}")
        return indices.index(index)

    def only(self, index: int) -> BoxData:
        """The same with a single level."""
        at = self.place(index)
        shared = ("x_", "edges_")
        grid = {name: values if name.startswith(shared) or name in ("v", "switches") else values[at : at + 1]
                for name, values in self.grid.items()}  # fmt: skip
        return dataclasses.replace(self, levels=self.levels[at : at + 1], grid=grid)

    def position(self, axis: int) -> str:
        """Label of an axis of one of the coordinates."""
        return f"{symbol(self.names[axis])} / {self.units[0]}"

    def energy(self, place: int) -> str:
        """E of a level with its digits."""
        return f"$E_{{{self.levels[place].index}}}$ = {self.levels[place].digits}{self.behind}"

    def psi_label(self, text: str, power: str) -> str:
        """Label of what has the unit of length to some power."""
        unit = self.units[0]
        return f"{text} / " + (f"$L^{{{power}}}$" if unit == "$L$" else f"{unit}$^{{{power}}}$")

    @property
    def residual_label(self) -> str:
        """Label of residuals, whose unit is that of an energy times that of psi."""
        name, d = r"$|H\psi - E\psi|$", self.dimension
        power = f"{-d // 2}" if d % 2 == 0 else f"-{d}/2"
        return name if self.units[0] == "$L$" else f"{name} / ({self.units[1]} {self.units[0]}$^{{{power}}}$)"

    def peak(self, place: int) -> tuple[int, ...]:
        """Where on the grid |psi| of a level is largest."""
        return tuple(int(at) for at in self.grid["peak"][place])


def symbol(name: str) -> str:
    """A coordinate as it stands in a figure: x, x_1."""
    return f"${name}$" if len(name) == 1 else f"${name[0]}_{{{name[1:]}}}$"


def load(folder: Path) -> BoxData:
    """The data of the folder of a box. Raises ValueError, naming the file, if one is missing or damaged."""
    results = run_folder.read_summary(folder)
    history = run_folder.read_history(folder, results["units"]) if words.is_trained(results) else None
    try:
        return of_results(results, box_arrays.read(folder), history)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder / 'wavefunction.npz'}: missing or damaged ({error})") from None


def of(solution: Any, route: Mapping[str, Any]) -> BoxData:
    """The data of a `qpinn.drivers.box_solution.BoxSolution`, or of a `TrainedBox`, against its reference."""
    if route.get("optimizer"):
        levels = solution.reference
        results = trained_folder.summary(solution, route, solution.seconds, levels)
        return of_results(results, box_arrays.of_trained(solution), run_data.history_of(solution, levels))
    return of_results(box_folder.summary(solution, route, solution.seconds), box_arrays.arrays(solution))


def of_results(
    results: Mapping[str, Any], grid: dict[str, np.ndarray], history: Mapping[str, np.ndarray] | None = None
) -> BoxData:
    """The data of results.json and wavefunction.npz, and of history.csv where there was a training."""
    units = results["units"]
    data = BoxData(
        name=results["potential"]["name"].replace("_", " "),
        route=words.seeded_route(results) if words.is_trained(results) else str(results["route"].get("label", "")),
        names=tuple(results["coordinates"]),
        levels=tuple(_level(results, state) for state in results["states"]),
        reason=results["certificate"]["reason"],
        walls=tuple((left, right) for left, right in results["walls"]),
        breakpoints=tuple(map(tuple, results["breakpoints"])),
        dipoles=np.array(results["dipoles"]),
        units=(words.drawn(units["length"]), words.drawn(units["energy"])),
        grid=grid,
        courses=() if history is None else tuple(run_data.courses(results, history)),
    )
    for axis in range(data.dimension):  # what is missing is said before anything is drawn
        grid[f"x_{axis}"], grid[f"density_{axis}"], grid[f"edges_{axis}"]
    return data


def _level(results: Mapping[str, Any], state: Mapping[str, Any]) -> Level:
    lower, upper = state["lower"], state["upper"]
    return Level(
        index=state["index"], energy=np.nan if state["energy"] is None else state["energy"],
        digits=words.certified(state).replace("-", "−"),
        bounds=None if lower is None or upper is None else (lower, upper), group=state["group"],
        multiplicity=state["multiplicity"], symmetry=box_tables.symmetry(state, symbol),
        remark=words.outcome(state) if words.is_trained(results) and state["outcome"] != words.RIGHT else "",
        reference=state.get("energy_reference"),
    )  # fmt: skip
