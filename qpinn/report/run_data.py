"""What the figures of a run show, read from the files of its folder alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.report import words
from qpinn.runs.files import read_npz
from qpinn.runs.run_folder import read_history, read_summary

ROUNDING = 2.0**-53
"""The relative error of E that rounding leaves: what is smaller is drawn there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunData:
    """What the figures show of one state. Arrays over the grid are (n,), `history` has the columns of history.csv.

    remark           how the state ended, where that is not the right state
    empty            whether there is no function to show
    reference        psi of the reference, None where it is not known; named `reference_name`, "exact" or "reference"
    reference_error  its error of E, relative
    fixed            whether E was given
    ends             kind of the left and of the right one: wall, free or periodic
    deltas           positions and strengths (d, 2) of Dirac deltas
    bounds           of the level; None where there is none
    units            of lengths and of energies
    """

    name: str
    index: int
    remark: str
    empty: bool
    x: np.ndarray
    psi: np.ndarray
    reference: np.ndarray | None
    reference_name: str
    reference_error: float
    v: np.ndarray
    residual: np.ndarray
    edges: np.ndarray
    breakpoints: np.ndarray
    deltas: np.ndarray
    walls: tuple[float, float]
    ends: tuple[str, str]
    energy: float
    reference_energy: float | None
    fixed: bool
    bounds: tuple[float | None, float | None]
    units: tuple[str, str]
    history: dict[str, np.ndarray]

    @property
    def title(self) -> str:
        """The potential, the level, and how it ended."""
        return f"{self.name}, level {self.index}" + (f": {self.remark}" if self.remark else "")

    @property
    def position(self) -> str:
        """Label of an axis of x."""
        return f"position x / {self.units[0]}"

    @property
    def energy_unit(self) -> str:
        """What an axis of energies is divided by."""
        return f"({self.units[1]})" if "/" in self.units[1] else self.units[1]

    @property
    def residual_label(self) -> str:
        """Label of an axis of residuals, whose unit is that of an energy times that of psi."""
        return "|Hψ − Eψ|" if self.units[0] == "L" else f"|Hψ − Eψ| / ({self.units[1]} {self.units[0]}$^{{-1/2}}$)"

    @property
    def aligned(self) -> np.ndarray:
        """psi with the sign of the reference."""
        if self.reference is not None and np.sum(self.psi * self.reference) < 0:
            return -self.psi
        return self.psi

    @property
    def energy_errors(self) -> np.ndarray | None:
        """Relative errors of E, one a step, none below rounding and that of the reference; None where none is known."""
        errors = np.abs(self.history["relative_error_energy"])
        if self.fixed or not np.isfinite(errors).any():
            return None
        return np.maximum(errors, max(ROUNDING, self.reference_error))


def load(folder: Path) -> list[RunData]:
    """The data of a run folder, one entry a state. Raises ValueError, naming the file, if one is missing or damaged."""
    results = read_summary(folder)
    history = read_history(folder, results.get("units", {}))
    path = folder / "wavefunction.npz"
    try:
        grid = read_npz(path.read_bytes(), path)
        return [_of_state(results, grid, history, k) for k in range(len(results["states"]))]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: missing or damaged ({error})") from None


def _of_state(
    results: Mapping[str, Any], grid: Mapping[str, np.ndarray], history: Mapping[str, np.ndarray], k: int
) -> RunData:
    """What is shown of state k of the results."""
    state, units = results["states"][k], results["units"]
    index = state["index"]
    psi = grid["psi_reference"][k] if "psi_reference" in grid else None
    ends = results["settings"].get("ends", {})  # runs from before there were any have walls
    return RunData(
        name=results["potential"]["name"].replace("_", " "),
        index=index,
        remark="" if state["outcome"] == words.RIGHT else words.outcome(state),
        empty=words.is_empty(state),
        x=grid["x"],
        psi=grid["psi"][k],
        reference=psi if psi is not None and np.isfinite(psi).all() else None,
        reference_name=words.reference_name(results),
        reference_error=words.reference_error(results, index),
        v=grid["v"],
        residual=grid["residual"][k],
        edges=grid["edges"],
        breakpoints=np.array(results["breakpoints"]),
        deltas=np.reshape(results.get("deltas", []), (-1, 2)),
        walls=(results["walls"][0], results["walls"][1]),
        ends=(ends.get("left", "wall"), ends.get("right", "wall")),
        energy=np.nan if state["energy"] is None else state["energy"],
        reference_energy=state["energy_reference"],
        fixed=words.is_fixed(results),
        bounds=(state["lower"], state["upper"]),
        units=(words.drawn(units["length"]), words.drawn(units["energy"])),
        history={name: values[history["state"] == index] for name, values in history.items()},
    )
