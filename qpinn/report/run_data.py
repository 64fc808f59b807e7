"""What the figures of a run show: read from the files of its folder alone, or taken from a solution in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.report import words
from qpinn.runs import run_folder
from qpinn.runs.files import read_npz

ROUNDING = 2.0**-53
"""The relative error of E that rounding leaves: what is smaller is drawn there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Course:
    """What the figures show of how one state was trained; `history` has the columns of history.csv.

    remark            how the state ended, where that is not the right state
    reference_energy  E of the reference, None where it is not known; named `reference_name`, "exact" or "reference"
    reference_error   its error of E, relative
    fixed             whether E was given
    units             of lengths and of energies
    """

    index: int
    remark: str
    reference_name: str
    reference_energy: float | None
    reference_error: float
    fixed: bool
    units: tuple[str, str]
    history: dict[str, np.ndarray]

    @property
    def energy_unit(self) -> str:
        """What an axis of energies is divided by."""
        return words.divided(self.units[1])

    @property
    def energy_errors(self) -> np.ndarray | None:
        """Relative errors of E, one a step, none below rounding and that of the reference; None where none is known."""
        errors = np.abs(self.history["relative_error_energy"])
        if self.fixed or not np.isfinite(errors).any():
            return None
        return np.maximum(errors, max(ROUNDING, self.reference_error))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunData(Course):
    """What the figures show of one state. Arrays over the grid are (n,).

    route            how it was trained, and its seed
    digits           E as the tables print it, with the uncertainty of its last digit in brackets
    empty            whether there is no function to show
    reference        psi of the reference, None where it is not known
    shown            the positions between which some psi of the run is to be seen: one range for all figures
    ends             kind of the left and of the right one: wall, free or periodic
    deltas           positions and strengths (d, 2) of Dirac deltas
    bounds           of the level; None where there is none
    """

    name: str
    route: str
    digits: str
    empty: bool
    x: np.ndarray
    psi: np.ndarray
    reference: np.ndarray | None
    v: np.ndarray
    residual: np.ndarray
    edges: np.ndarray
    breakpoints: np.ndarray
    deltas: np.ndarray
    walls: tuple[float, float]
    shown: tuple[float, float]
    ends: tuple[str, str]
    energy: float
    bounds: tuple[float | None, float | None]

    @property
    def title(self) -> str:
        """The potential, the level with its E, and how it ended."""
        named = f"{self.name}, level {self.index}" + (f": {self.remark}" if self.remark else "")
        return f"{named}\n$E$ = {self.digits}{self.behind}" + (", given" if self.fixed else "")

    @property
    def behind(self) -> str:
        """The unit of an energy behind its digits, where there is one."""
        return "" if self.units[0] == "$L$" else f"\N{NO-BREAK SPACE}{self.units[1]}"

    @property
    def jumps(self) -> np.ndarray:
        """Breakpoints of V that are no Dirac deltas."""
        apart = np.abs(self.breakpoints[:, None] - self.deltas[:, 0]).min(axis=1, initial=np.inf)
        return self.breakpoints[apart > 1e-9 * (self.walls[1] - self.walls[0])]

    @property
    def position(self) -> str:
        """Label of an axis of x."""
        return f"position $x$ / {self.units[0]}"

    def psi_label(self, symbol: str, power: str) -> str:
        """Label of an axis of `symbol`, whose unit is a power of that of length."""
        unit = self.units[0]
        return f"{symbol} / " + (f"$L^{{{power}}}$" if unit == "$L$" else f"{unit}$^{{{power}}}$")

    @property
    def residual_label(self) -> str:
        """Label of an axis of residuals, whose unit is that of an energy times that of psi."""
        name = r"$|H\psi - E\psi|$"
        return name if self.units[0] == "$L$" else f"{name} / ({self.units[1]} {self.units[0]}$^{{-1/2}}$)"

    @property
    def aligned(self) -> np.ndarray:
        """psi with the sign of the reference."""
        if self.reference is not None and np.sum(self.psi * self.reference) < 0:
            return -self.psi
        return self.psi


def load(folder: Path) -> list[RunData]:
    """The data of a run folder, one entry a state. Raises ValueError, naming the file, if one is missing or damaged."""
    results = run_folder.read_summary(folder)
    history = run_folder.read_history(folder, results.get("units", {}))
    path = folder / "wavefunction.npz"
    try:
        grid = read_npz(path.read_bytes(), path)
        return _of_states(results, grid, history)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: missing or damaged ({error})") from None


def of(solution: Any, route: Mapping[str, Any]) -> list[RunData]:
    """The data of a `qpinn.Solution`, one entry a state; `route` is what `describe_route` says of it."""
    levels = solution.reference
    results = run_folder.summary(solution, route, solution.seconds, levels)
    return _of_states(results, run_folder.arrays(solution, levels), history_of(solution, levels))


def history_of(solution: Any, levels: Any) -> dict[str, np.ndarray]:
    """The columns of history.csv of a solution in memory; NaN where there is nothing."""
    rows = run_folder.history(solution, levels)
    history = {name: np.full(len(rows["step"]), np.nan) for name in run_folder.COLUMNS}
    return history | {name: np.array(values, float) for name, values in rows.items()}


def courses(results: Mapping[str, Any], history: Mapping[str, np.ndarray]) -> list[Course]:
    """How every state of the results was trained."""
    return [Course(**_course(results, k, history)) for k in range(len(results["states"]))]


def _course(results: Mapping[str, Any], k: int, history: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The fields of a `Course` of state k of the results."""
    state, units = results["states"][k], results["units"]
    index = state["index"]
    return {
        "index": index,
        "remark": "" if state["outcome"] == words.RIGHT else words.outcome(state),
        "reference_name": words.reference_name(results),
        "reference_energy": state["energy_reference"],
        "reference_error": words.reference_error(results, index),
        "fixed": words.is_fixed(results),
        "units": (words.drawn(units["length"]), words.drawn(units["energy"])),
        "history": {name: values[history["state"] == index] for name, values in history.items()},
    }


def _of_states(
    results: Mapping[str, Any], grid: Mapping[str, np.ndarray], history: Mapping[str, np.ndarray]
) -> list[RunData]:
    shown = _seen(grid["x"], grid["psi"], (results["walls"][0], results["walls"][1]))
    return [_of_state(results, grid, history, k, shown) for k in range(len(results["states"]))]


def _seen(x: np.ndarray, psi: np.ndarray, walls: tuple[float, float]) -> tuple[float, float]:
    """Where some psi (K, n) is above a thousandth of its maximum; the whole box, unless that leaves much of it out."""
    size = np.abs(np.nan_to_num(psi))
    most = size.max(axis=1, keepdims=True)
    there = x[((size > 1e-3 * most) & (most > 0)).any(axis=0)]
    if not there.size or np.ptp(there) > 0.75 * (walls[1] - walls[0]) or np.ptp(there) == 0:
        return walls
    return max(walls[0], float(there.min())), min(walls[1], float(there.max()))


def _of_state(
    results: Mapping[str, Any], grid: Mapping[str, np.ndarray], history: Mapping[str, np.ndarray], k: int,
    shown: tuple[float, float],
) -> RunData:  # fmt: skip
    """What is shown of state k of the results."""
    state = results["states"][k]
    psi = grid["psi_reference"][k] if "psi_reference" in grid else None
    ends = results["settings"].get("ends", {})  # runs from before there were any have walls
    return RunData(
        **_course(results, k, history),
        name=results["potential"]["name"].replace("_", " "),
        route=words.seeded_route(results),
        digits="-" if state["energy"] is None else words.certified(state).replace("-", "−"),
        empty=words.is_empty(state),
        x=grid["x"],
        psi=grid["psi"][k],
        reference=psi if psi is not None and np.isfinite(psi).all() else None,
        v=grid["v"],
        residual=grid["residual"][k],
        edges=grid["edges"],
        breakpoints=np.array(results["breakpoints"]),
        deltas=np.reshape(results.get("deltas", []), (-1, 2)),
        walls=(results["walls"][0], results["walls"][1]),
        shown=shown,
        ends=(ends.get("left", "wall"), ends.get("right", "wall")),
        energy=np.nan if state["energy"] is None else state["energy"],
        bounds=(state["lower"], state["upper"]),
    )
