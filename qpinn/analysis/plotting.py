"""The figures of a run, drawn from the files of its folder alone."""

from __future__ import annotations

import csv
import dataclasses
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qpinn.analysis import style
from qpinn.analysis.results import read_summary
from qpinn.analysis.style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    SKY,
    STYLE,
    legend,
    log_axis,
    one_panel,
    positive,
    two_panels,
)


@dataclasses.dataclass(frozen=True)
class RunData:
    """What the figures show of one state. Arrays over the grid are (n,), `history` has the columns of history.csv."""

    title: str
    x: np.ndarray
    psi: np.ndarray
    reference: np.ndarray | None
    v: np.ndarray
    residual: np.ndarray
    edges: np.ndarray
    breakpoints: np.ndarray
    walls: tuple[float, float]
    energy: float
    reference_energy: float | None
    bounds: tuple[float | None, float | None]
    units: tuple[str, str]
    history: dict[str, np.ndarray]

    @property
    def position(self) -> str:
        """Label of an axis of x."""
        return f"position x / {self.units[0]}"

    @property
    def energy_unit(self) -> str:
        """What an axis of energies is divided by."""
        return f"({self.units[1]})" if "/" in self.units[1] else self.units[1]


def load(folder: Path) -> list[RunData]:
    """The data of a run folder, one entry a state. Raises ValueError, naming the file, if one is missing or damaged."""
    results = read_summary(folder)
    path = folder / "wavefunction.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            grid = {name: stored[name] for name in stored.files}
        path = folder / "history.csv"
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        units = results["units"]["length"], results["units"]["energy"]
        history = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
        if results["units"]["length"] != "L":
            history["energy"] = history.pop(f"energy_{units[1]}")
        title = results["potential"]["name"].replace("_", " ")
        return [
            RunData(
                title=f"{title}, level {state['index']}", x=grid["x"], psi=grid["psi"][k],
                reference=grid["psi_reference"][k], v=grid["v"], residual=grid["residual"][k], edges=grid["edges"],
                breakpoints=np.array(results["breakpoints"]), walls=tuple(results["walls"]),
                energy=np.nan if state["energy"] is None else state["energy"],
                reference_energy=state["energy_reference"],
                bounds=(state["lower"], state["upper"]), units=units,
                history={name: values[history["state"] == state["index"]] for name, values in history.items()},
            )
            for k, state in enumerate(results["states"])
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: missing or damaged ({error})") from None


def _geometry(axes: Axes, data: RunData) -> None:
    """Walls as hatched bars, breakpoints as dotted lines, and a little room beyond the walls."""
    left, right = data.walls
    margin = 0.035 * (right - left)
    for start, stop in ((left - margin, left), (right, right + margin)):
        axes.axvspan(start, stop, facecolor="#DDDDDD", edgecolor=GREY, hatch="////", linewidth=0, zorder=0)
    for point in data.breakpoints:
        axes.axvline(point, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    axes.set_xlim(left - margin, right + margin)


def _potential(axes: Axes, data: RunData) -> None:
    """V as a grey area on an axis of its own at the right."""
    right = axes.twinx()
    right.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    right.fill_between(data.x, data.v, data.v.min(), color="#BBBBBB", alpha=0.45, linewidth=0)
    right.plot(data.x, data.v, color=GREY, linewidth=0.9)
    right.axhline(data.energy, color=RED, linewidth=0.9, linestyle=(0, (6, 3)))
    known = [0.0, data.v.max(), data.v.min(), np.nan_to_num(data.energy)]
    bottom, top = min(known), max(known)
    span = max(top - bottom, 1e-300)
    right.set_ylim(bottom - 0.08 * span, top + 0.25 * span)
    right.set_ylabel(f"V (grey) and E (red) / {data.energy_unit}", fontsize=8.5)
    right.spines["right"].set_visible(True)


def _per(symbol: str, length: str, power: str) -> str:
    """A label: a symbol over its unit, a power of the unit of length."""
    unit = length if len(length) == 1 else rf"\mathrm{{{length}}}"
    return rf"${symbol}\ /\ {unit}^{{{power}}}$"


def _residual_of(data: RunData) -> str:
    """The label of a residual, whose unit is that of an energy times that of psi."""
    return "|Hψ − Eψ|" if data.units[0] == "L" else f"|Hψ − Eψ| / ({data.units[1]} {data.units[0]}$^{{-1/2}}$)"


def _aligned(data: RunData) -> np.ndarray:
    if data.reference is not None and np.sum(data.psi * data.reference) < 0:
        return -data.psi
    return data.psi


def wavefunction(data: RunData) -> Figure:
    """psi over V with the exact psi, and below it the pointwise error."""
    psi = _aligned(data)
    figure, upper, lower = two_panels(data.title)
    _geometry(upper, data)
    _potential(upper, data)
    upper.plot(data.x, psi, color=BLUE, label="network")
    upper.set_ylabel(_per("\\psi(x)", data.units[0], "-1/2"))
    low, high = min(0.0, np.nanmin(psi)), max(np.nanmax(psi), 1e-12)
    if data.reference is not None:
        upper.plot(data.x, data.reference, color=ORANGE, linestyle="--", linewidth=1.3, label="exact")
        low, high = min(low, data.reference.min()), max(high, data.reference.max())
    upper.set_ylim(low - 0.08 * (high - low), high + 0.12 * (high - low))
    legend(upper)
    _geometry(lower, data)
    lower.set_xlabel(data.position)
    if data.reference is not None:
        error = psi - data.reference
        lower.plot(data.x, positive(error), color=RED, linewidth=1.0)
        log_axis(lower, [error])
        lower.set_ylabel("|ψ − exact|")
    else:
        lower.plot(data.x, positive(data.residual), color=RED, linewidth=1.0)
        log_axis(lower, [data.residual])
        lower.set_ylabel(_residual_of(data))
    return figure


def density(data: RunData) -> Figure:
    """|psi|^2 over V."""
    figure, axes = one_panel(data.title)
    _geometry(axes, data)
    _potential(axes, data)
    axes.fill_between(data.x, data.psi**2, color=SKY, alpha=0.35, linewidth=0)
    axes.plot(data.x, data.psi**2, color=BLUE, label="network")
    high = np.nanmax(data.psi**2)
    if data.reference is not None:
        axes.plot(data.x, data.reference**2, color=ORANGE, linestyle="--", linewidth=1.3, label="exact")
        high = max(high, (data.reference**2).max())
    axes.set_ylim(-0.05 * high, 1.1 * max(high, 1e-12))
    axes.set_xlabel(data.position)
    axes.set_ylabel(_per("|\\psi(x)|^2", data.units[0], "-1"))
    legend(axes)
    return figure


def residual(data: RunData) -> Figure:
    """|H psi - E psi| along x, with the segments of the ansatz."""
    figure, axes = one_panel(data.title)
    _geometry(axes, data)
    for edge in data.edges:
        axes.axvline(edge, ymax=0.03, color="black", linewidth=0.9)
    axes.plot(data.x, positive(data.residual), color=BLUE, linewidth=1.0)
    log_axis(axes, [data.residual])
    axes.set_xlabel(f"{data.position}   (ticks inside: segments; dotted: breakpoints)")
    axes.set_ylabel(_residual_of(data))
    return figure


def _steps(axes: Axes, data: RunData, values: np.ndarray, **style: Any) -> None:
    step = data.history["step"]
    axes.plot(step, values, marker="o" if len(step) < 40 else None, markersize=3, **style)


def energy(data: RunData) -> Figure:
    """E against step with the exact level, and below it the relative error."""
    found = data.history["energy"]
    if data.reference_energy is None:
        figure, upper = one_panel(data.title)
        lower = upper
    else:
        figure, upper, lower = two_panels(data.title, 0.5)
        upper.axhline(data.reference_energy, color=ORANGE, linestyle="--", linewidth=1.3, label="exact")
        error = (found - data.reference_energy) / abs(data.reference_energy)
        _steps(lower, data, positive(error), color=RED)
        log_axis(lower, [error])
        lower.set_ylabel("|E − exact| / |exact|")
        off = np.nanmax(np.abs(error), initial=0.0)
        if off < 1e-6:  # a scale at which the curve is flat on its line, not a picture of rounding
            upper.set_ylim(*(data.reference_energy + abs(data.reference_energy) * np.array([-0.01, 0.01])))
    _steps(upper, data, found, color=BLUE, label="network")
    upper.set_ylabel(f"E / {data.energy_unit}")
    legend(upper)
    lower.set_xlabel("step")
    return figure


def loss(data: RunData) -> Figure:
    """The terms of the loss against step."""
    figure, axes = one_panel(data.title)
    terms = (("pde", "equation", BLUE, "-"), ("norm", "norm", ORANGE, "--"), ("total", "total", GREY, ":"))
    for name, label, color, line in terms:
        _steps(axes, data, positive(data.history[name]), color=color, linestyle=line, label=label)
    log_axis(axes, [data.history[name] for name, *_ in terms])
    axes.set_xlabel("step")
    axes.set_ylabel("weighted loss")
    legend(axes)
    return figure


FIGURES: dict[str, Callable[[RunData], Figure]] = {
    "wavefunction": wavefunction,
    "density": density,
    "residual": residual,
    "energy": energy,
    "loss": loss,
}
"""Of a single state."""


# ------------------------------------------------------------------------------------------------------- several states


def _shade(states: Sequence[RunData], k: int) -> Any:
    """A colour for state k: along a map that is told apart with any colour vision and in grey."""
    return matplotlib.colormaps["viridis"](0.9 * k / max(len(states) - 1, 1))


def _lifted(states: Sequence[RunData], curves: Sequence[np.ndarray], title: str) -> Figure:
    """The levels on the potential, each curve lifted to its energy, with the bounds as a band."""
    data = states[0]
    figure = style.blank(4.6)
    axes = figure.add_axes((0.14, 0.12, 0.72, 0.8))
    axes.set_title(title, fontsize=10, loc="left")
    _geometry(axes, data)
    energies = np.array([state.energy for state in states])
    bottom, top = min(float(np.min(data.v)), float(energies.min())), float(energies.max())
    gap = (top - bottom) / len(states)
    reach = max(float(np.abs(curve).max()) for curve in curves)
    height = 0.9 * max(gap, float(np.median(np.diff(energies)))) / reach
    low, high = bottom - 0.06 * (top - bottom), top + 1.3 * height * reach
    axes.plot(data.x, np.clip(data.v, low, 2 * high), color=GREY, linewidth=1.1)
    axes.fill_between(data.x, np.clip(data.v, low, 2 * high), low, color="#BBBBBB", alpha=0.35, linewidth=0)
    for k, (state, curve) in enumerate(zip(states, curves, strict=True)):
        color = _shade(states, k)
        lower, upper = state.bounds
        if lower is not None and upper is not None:
            axes.axhspan(lower, upper, color=color, alpha=0.3, linewidth=0)
        axes.axhline(state.energy, color=color, linewidth=0.7, linestyle=(0, (4, 3)))
        axes.plot(data.x, state.energy + height * curve, color=color, linewidth=1.3)
    right = axes.secondary_yaxis("right")
    apart = [k for k in range(len(states)) if k == 0 or energies[k] - energies[k - 1] > 0.03 * (high - low)]
    right.set_yticks(energies[apart], [str(k) for k in apart])
    right.set_ylabel("level n")
    axes.set_ylim(low, high)
    shown = data.x[np.any([np.abs(curve) > 1e-3 * reach for curve in curves], axis=0)]
    if np.ptp(shown) < 0.75 * np.ptp(data.walls):  # the walls are far out
        axes.set_xlim(shown[0] - 0.05 * np.ptp(shown), shown[-1] + 0.05 * np.ptp(shown))
    axes.set_xlabel(data.position)
    axes.set_ylabel(f"V and E / {data.energy_unit}")
    return figure


def levels(states: Sequence[RunData]) -> Figure:
    """psi of every level on the potential, lifted to its energy."""
    return _lifted(states, [state.psi for state in states], f"{_name(states)}: ψ")


def densities(states: Sequence[RunData]) -> Figure:
    """|psi|^2 of every level on the potential, lifted to its energy."""
    return _lifted(states, [state.psi**2 for state in states], f"{_name(states)}: |ψ|²")


def _name(states: Sequence[RunData]) -> str:
    return states[0].title.partition(",")[0]


def _each(states: Sequence[RunData], curve: Callable[[RunData], tuple[np.ndarray, np.ndarray]]) -> tuple[Figure, Axes]:
    """A curve for every state on a logarithmic axis."""
    figure, axes = one_panel(f"{_name(states)}, levels 0 to {len(states) - 1}")
    curves = [curve(state) for state in states]
    for k, (x, y) in enumerate(curves):
        axes.plot(x, positive(y), color=_shade(states, k), linewidth=1.1, marker="o" if len(x) < 40 else None,
                  markersize=2.5, label=str(k) if len(states) <= 10 or k in (0, len(states) - 1) else None)  # fmt: skip
    log_axis(axes, [y for _, y in curves])
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="n", handlelength=1.2)
    return figure, axes


def _peaks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest |y| in each of about a hundred stretches of the grid, and their middles."""
    starts = np.arange(0, len(x), -(-len(x) // 100))
    return (x[starts] + x[np.append(starts[1:], len(x)) - 1]) / 2, np.maximum.reduceat(np.abs(y), starts)


def residuals(states: Sequence[RunData]) -> Figure:
    """|H psi - E psi| of every level along x, the largest of every few points: it oscillates between zeros."""
    figure, axes = _each(states, lambda state: _peaks(state.x, state.residual))
    _geometry(axes, states[0])
    axes.set_xlabel(states[0].position)
    axes.set_ylabel(_residual_of(states[0]))
    return figure


def energies(states: Sequence[RunData]) -> Figure:
    """The error of E of every level against step, before the last Rayleigh-Ritz."""
    figure, axes = _each(states, lambda state: (state.history["step"], state.history["relative_error_energy"]))
    axes.set_xlabel("step")
    axes.set_ylabel("relative error of E")
    if not any(state.history["relative_error_energy"].any() for state in states):
        axes.text(0.5, 0.5, "E is fixed at the reference", transform=axes.transAxes, ha="center")
    return figure


def losses(states: Sequence[RunData]) -> Figure:
    """The loss of every level against step."""
    figure, axes = _each(states, lambda state: (state.history["step"], state.history["total"]))
    axes.set_xlabel("step")
    axes.set_ylabel("weighted loss")
    return figure


FIGURES_OF_SEVERAL: dict[str, Callable[[Sequence[RunData]], Figure]] = {
    "levels": levels,
    "densities": densities,
    "residual": residuals,
    "energy": energies,
    "loss": losses,
}


def save_all(folder: Path) -> list[Path]:
    """Draw every figure of a run into its folder. Raises ValueError as `load`."""
    states = load(folder)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        if len(states) == 1:
            return style.save_all({name: draw(states[0]) for name, draw in FIGURES.items()}, folder)
        return style.save_all({name: draw(states) for name, draw in FIGURES_OF_SEVERAL.items()}, folder)
