"""Every figure, drawn from the files of a run folder alone."""

from __future__ import annotations

import csv
import dataclasses
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qpinn.analysis.results import read_summary

# Okabe and Ito (2008): told apart with any colour vision; line styles tell them apart in grey
BLUE, ORANGE, GREEN, RED, GREY, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#555555", "#56B4E9"
STYLE: dict[str, Any] = {
    "font.size": 9, "axes.labelsize": 10, "legend.fontsize": 8.5, "legend.frameon": False, "lines.linewidth": 1.6,
    "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "qpinn", "svg.fonttype": "path",
    "axes.formatter.limits": (-3, 4), "axes.formatter.use_mathtext": False,
}  # fmt: skip
POSITION = "position x / L"
ENERGY = "energy / (ħ²/2mL²)"


@dataclasses.dataclass(frozen=True)
class RunData:
    """What the figures show. Arrays over the grid are (n,), `history` has one array for each column of history.csv."""

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
    history: dict[str, np.ndarray]


def load(folder: Path) -> RunData:
    """The data of a run folder. Raises ValueError, naming the file, if one is missing or damaged."""
    results = read_summary(folder)
    path = folder / "wavefunction.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            grid = {name: stored[name] for name in stored.files}
        path = folder / "history.csv"
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        history = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
        state = results["states"][0]
        return RunData(
            title=f"{results['potential']['name'].replace('_', ' ')}, level {state['index']}",
            x=grid["x"], psi=grid["psi"], reference=grid.get("psi_reference"), v=grid["v"],
            residual=grid["residual"], edges=grid["edges"], breakpoints=np.array(results["breakpoints"]),
            walls=tuple(results["walls"]), energy=np.nan if state["energy"] is None else state["energy"],
            reference_energy=state["energy_reference"], history=history,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: missing or damaged ({error})") from None


def _figure(height: float) -> Figure:
    figure = Figure(figsize=(5.6, height))
    FigureCanvasAgg(figure)
    return figure


def _one(data: RunData) -> tuple[Figure, Axes]:
    figure = _figure(3.5)
    axes = figure.add_axes((0.14, 0.15, 0.72, 0.75))
    axes.set_title(data.title, fontsize=10, loc="left")
    return figure, axes


def _two(data: RunData, ratio: float = 0.62) -> tuple[Figure, Axes, Axes]:
    """Two panels that share x, the upper one taking `ratio` of the height."""
    figure = _figure(4.6)
    bottom, total, gap = 0.11, 0.82, 0.04
    low = (1 - ratio) * total - gap / 2
    lower = figure.add_axes((0.14, bottom, 0.72, low))
    upper = figure.add_axes((0.14, bottom + low + gap, 0.72, ratio * total - gap / 2), sharex=lower)
    upper.tick_params(labelbottom=False)
    upper.set_title(data.title, fontsize=10, loc="left")
    return figure, upper, lower


def _legend(axes: Axes) -> None:
    """Above the axes at the right, where it hides no curve."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=3, borderaxespad=0.3, handlelength=2.2, columnspacing=1.2
    )


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
    top = max(data.v.max(), np.nan_to_num(data.energy), 1e-300)
    right.set_ylim(min(data.v.min(), 0) - 0.08 * top, 1.25 * top)
    right.set_ylabel("V (grey) and E (red) / (ħ²/2mL²)", fontsize=8.5)
    right.spines["right"].set_visible(True)


def _positive(values: np.ndarray) -> np.ndarray:
    """Magnitudes for a logarithmic axis: zeros and what is not finite left out."""
    size = np.abs(values)
    return np.where(np.isfinite(size) & (size > 0), size, np.nan)


def _log(axes: Axes, curves: list[np.ndarray]) -> None:
    """A logarithmic y axis around what there is to see; rounding noise does not stretch it."""
    shown = np.concatenate([_positive(curve) for curve in curves])
    shown = shown[np.isfinite(shown)]
    if not shown.size:
        axes.text(0.5, 0.5, "zero to rounding", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    axes.set_yscale("log")
    top = shown.max()
    low = max(np.quantile(shown, 0.02), top * 1e-16)
    axes.set_ylim(low / 4, top * 6)


def _aligned(data: RunData) -> np.ndarray:
    if data.reference is not None and np.sum(data.psi * data.reference) < 0:
        return -data.psi
    return data.psi


def wavefunction(data: RunData) -> Figure:
    """psi over V with the exact psi, and below it the pointwise error."""
    psi = _aligned(data)
    figure, upper, lower = _two(data)
    _geometry(upper, data)
    _potential(upper, data)
    upper.plot(data.x, psi, color=BLUE, label="network")
    upper.set_ylabel(r"$\psi(x)\ /\ L^{-1/2}$")
    low, high = min(0.0, np.nanmin(psi)), max(np.nanmax(psi), 1e-12)
    if data.reference is not None:
        upper.plot(data.x, data.reference, color=ORANGE, linestyle="--", linewidth=1.3, label="exact")
        low, high = min(low, data.reference.min()), max(high, data.reference.max())
    upper.set_ylim(low - 0.08 * (high - low), high + 0.12 * (high - low))
    _legend(upper)
    _geometry(lower, data)
    lower.set_xlabel(POSITION)
    if data.reference is not None:
        error = psi - data.reference
        lower.plot(data.x, _positive(error), color=RED, linewidth=1.0)
        _log(lower, [error])
        lower.set_ylabel("|ψ − exact|")
    else:
        lower.plot(data.x, _positive(data.residual), color=RED, linewidth=1.0)
        _log(lower, [data.residual])
        lower.set_ylabel("|Hψ − Eψ|")
    return figure


def density(data: RunData) -> Figure:
    """|psi|^2 over V."""
    figure, axes = _one(data)
    _geometry(axes, data)
    _potential(axes, data)
    axes.fill_between(data.x, data.psi**2, color=SKY, alpha=0.35, linewidth=0)
    axes.plot(data.x, data.psi**2, color=BLUE, label="network")
    high = np.nanmax(data.psi**2)
    if data.reference is not None:
        axes.plot(data.x, data.reference**2, color=ORANGE, linestyle="--", linewidth=1.3, label="exact")
        high = max(high, (data.reference**2).max())
    axes.set_ylim(-0.05 * high, 1.1 * max(high, 1e-12))
    axes.set_xlabel(POSITION)
    axes.set_ylabel(r"$|\psi(x)|^2\ /\ L^{-1}$")
    _legend(axes)
    return figure


def residual(data: RunData) -> Figure:
    """|H psi - E psi| along x, with the segments of the ansatz."""
    figure, axes = _one(data)
    _geometry(axes, data)
    for edge in data.edges:
        axes.axvline(edge, ymax=0.03, color="black", linewidth=0.9)
    axes.plot(data.x, _positive(data.residual), color=BLUE, linewidth=1.0)
    _log(axes, [data.residual])
    axes.set_xlabel(f"{POSITION}   (ticks inside: segments; dotted: jumps of V)")
    axes.set_ylabel("|Hψ − Eψ|")
    return figure


def _steps(axes: Axes, data: RunData, values: np.ndarray, **style: Any) -> None:
    step = data.history["step"]
    axes.plot(step, values, marker="o" if len(step) < 40 else None, markersize=3, **style)


def energy(data: RunData) -> Figure:
    """E against step with the exact level, and below it the relative error."""
    found = data.history["energy"]
    if data.reference_energy is None:
        figure, upper = _one(data)
        lower = upper
    else:
        figure, upper, lower = _two(data, 0.5)
        upper.axhline(data.reference_energy, color=ORANGE, linestyle="--", linewidth=1.3, label="exact")
        error = (found - data.reference_energy) / abs(data.reference_energy)
        _steps(lower, data, _positive(error), color=RED)
        _log(lower, [error])
        lower.set_ylabel("|E − exact| / |exact|")
        off = np.nanmax(np.abs(error), initial=0.0)
        if off < 1e-6:  # a scale at which the curve is flat on its line, not a picture of rounding
            upper.set_ylim(*(data.reference_energy + abs(data.reference_energy) * np.array([-0.01, 0.01])))
    _steps(upper, data, found, color=BLUE, label="network")
    upper.set_ylabel(ENERGY)
    _legend(upper)
    lower.set_xlabel("step")
    return figure


def loss(data: RunData) -> Figure:
    """The terms of the loss against step."""
    figure, axes = _one(data)
    terms = (("pde", "equation", BLUE, "-"), ("norm", "norm", ORANGE, "--"), ("total", "total", GREY, ":"))
    for name, label, color, style in terms:
        _steps(axes, data, _positive(data.history[name]), color=color, linestyle=style, label=label)
    _log(axes, [data.history[name] for name, *_ in terms])
    axes.set_xlabel("step")
    axes.set_ylabel("weighted loss")
    _legend(axes)
    return figure


FIGURES: dict[str, Callable[[RunData], Figure]] = {
    "wavefunction": wavefunction,
    "density": density,
    "residual": residual,
    "energy": energy,
    "loss": loss,
}


def save(figure: Figure, path: Path) -> list[Path]:
    """Write `path` as .png and .svg, byte for byte the same when the figure is the same."""
    png, svg = path.with_suffix(".png"), path.with_suffix(".svg")
    figure.savefig(png, dpi=150, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
    figure.savefig(svg, metadata={"Date": None})
    return [png, svg]


def save_all(data: RunData, folder: Path) -> list[Path]:
    """Draw every figure into `folder`."""
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        return [path for name, draw in FIGURES.items() for path in save(draw(data), folder / name)]
