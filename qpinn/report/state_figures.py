"""What there is to draw of a single state, each on axes that are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from qpinn.report import deltas, run_data, style
from qpinn.report.run_data import Course, RunData
from qpinn.report.style import BLACK, BLUE, FINE, GREY, LIGHT, RED, SKY, log_axis, positive


def _potential(axes: Axes, data: RunData, shown: tuple[float, float]) -> None:
    """V as a grey area, deltas as arrows and E as a line, on axes at the right that have their zero where `axes` do.

    shown  the range of what stands on `axes`
    """
    right = axes.twinx()
    right.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    low, high = data.shown
    v = data.v[(data.x >= low) & (data.x <= high)]
    energy = float(np.nan_to_num(data.energy))
    bottom, top = min(energy, v.min()), max(energy, v.max())
    if top - bottom > 50 * (energy - bottom) > 0:  # a steep wall: what lies near E is to be seen
        top = energy + 2 * (energy - bottom)
    offset = 0.0
    if bottom > 3 * (top - bottom) or top < -3 * (top - bottom):  # far from zero, which would hide all of V
        offset = bottom
    if len(data.deltas):
        size = max(abs(energy), abs(top), abs(bottom))
        top = max(top, size * (data.deltas[:, 1] > 0).any())
        bottom = min(bottom, -size * (data.deltas[:, 1] < 0).any())
    left, limits = style.common_zero(shown, (bottom - offset, top - offset))
    axes.set_ylim(*left)
    right.set_ylim(limits[0] + offset, limits[1] + offset)
    right.fill_between(data.x, data.v, offset, color=LIGHT, alpha=0.45, linewidth=0)
    right.plot(data.x, data.v, color=GREY, linewidth=FINE)
    right.axhline(data.energy, color=RED, linewidth=0.9, linestyle=(0, (6, 2, 1, 2)))
    axes.plot([], [], color=RED, linewidth=0.9, linestyle=(0, (6, 2, 1, 2)), label="$E$")
    axes.fill_between([], [], color=LIGHT, alpha=0.6, label="$V$")
    unit = f"; $\\delta$ in {data.units[1]} {data.units[0]}" if len(data.deltas) and "$" not in data.units[1] else ""
    right.set_ylabel(f"$V$, $E$ / {data.energy_unit}{unit}")
    right.spines[["top", "left"]].set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    style.plain_numbers(axes.yaxis)
    style.plain_numbers(right.yaxis)
    deltas.arrows(right, data, bottom, top)


def _curves(axes: Axes, data: RunData, psi: np.ndarray, reference: np.ndarray | None) -> None:
    """A function of the network with that of the reference, on V."""
    style.box(axes, data)
    axes.plot(data.x, psi, color=BLUE, linewidth=1.6, label="network")
    values = psi[np.isfinite(psi)]
    if reference is not None:
        axes.plot(data.x, reference, color=BLACK, linestyle=(0, (3, 2.5)), linewidth=0.9, label=data.reference_name)
        values = np.concatenate([values, reference])
    _potential(axes, data, (float(values.min(initial=0.0)), float(values.max(initial=0.0))))


def wavefunction(axes: Axes, data: RunData) -> None:
    """psi with that of the reference, on V."""
    _curves(axes, data, data.aligned, data.reference)
    axes.set_ylabel(data.psi_label(r"$\psi(x)$", "-1/2"))


def error(axes: Axes, data: RunData) -> None:
    """The pointwise error of psi; the residual where none is known."""
    style.box(axes, data)
    deltas.marks(axes, data)
    if data.reference is None or data.empty:
        off, label = data.residual, data.residual_label
    else:
        off, label = data.aligned - data.reference, rf"$|\psi - \psi_{{\mathrm{{{data.reference_name}}}}}|$"
    axes.plot(data.x, positive(off), color=BLUE, linewidth=FINE)
    log_axis(axes, [_within(data, off)])
    axes.set_ylabel(label)


def _within(data: RunData, values: np.ndarray) -> np.ndarray:
    """Those of values along x that are shown."""
    return values[(data.x >= data.shown[0]) & (data.x <= data.shown[1])]


def density(axes: Axes, data: RunData) -> None:
    """|psi|^2 with that of the reference, on V."""
    axes.fill_between(data.x, data.psi**2, color=SKY, alpha=0.35, linewidth=0)
    _curves(axes, data, data.psi**2, None if data.reference is None else data.reference**2)
    axes.set_ylabel(data.psi_label(r"$|\psi(x)|^2$", "-1"))


def residual(axes: Axes, data: RunData) -> None:
    """|H psi - E psi| along x, with the segments of the ansatz."""
    style.box(axes, data)
    deltas.marks(axes, data)
    axes.plot(data.x, positive(data.residual), color=BLUE, linewidth=FINE)
    log_axis(axes, [_within(data, data.residual)])
    axes.plot(data.edges, np.zeros(len(data.edges)), "|", color="black", transform=axes.get_xaxis_transform(),
              markersize=5, label="edges of segments")  # fmt: skip
    if len(style.marked_jumps(data)):
        axes.plot([], [], color=GREY, linestyle=":", linewidth=FINE, label=r"jumps of $V$ or its slope")
    if len(data.deltas):
        axes.plot([], [], "^", color=GREY, markersize=3, label=r"$\delta$ (up: repels)")
    axes.set_ylabel(data.residual_label)


def _against_steps(axes: Axes, data: Course, values: np.ndarray, **look: Any) -> None:
    step = data.history["step"]
    axes.plot(step, values, marker="o" if len(step) < 40 else None, markersize=2.5, **look)
    style.steps(axes, step)


def energy(axes: Axes, data: Course) -> None:
    """E against step, with the level of the reference."""
    _against_steps(axes, data, data.history["energy"], color=BLUE, label="network")
    level, known = data.reference_energy, data.history["energy"]
    known = known[np.isfinite(known)]
    if level is not None:
        axes.axhline(level, color=BLACK, linestyle=(0, (3, 2.5)), linewidth=0.9, label=data.reference_name)
        size = abs(level) or 1.0
        off = np.abs(known - level).max(initial=0.0)
        if off < 1e-6 * size:  # a scale on which the curve lies flat on its line
            axes.set_ylim(level - 0.01 * size, level + 0.01 * size)
        elif off > 1e4 * size:
            axes.set_yscale("symlog", linthresh=10 * size)
    if axes.get_yscale() == "linear":
        style.plain_numbers(axes.yaxis)
    axes.set_ylabel(f"$E$ / {data.energy_unit}")


def energy_error(axes: Axes, data: Course) -> None:
    """The relative error of E against step, where one is known."""
    errors = data.energy_errors
    if errors is None:
        errors = np.full(len(data.history["step"]), np.nan)
    _against_steps(axes, data, errors, color=BLUE)
    log_axis(axes, [errors])
    if data.reference_error > max(run_data.ROUNDING, 0.01 * float(np.nanmin(errors, initial=np.inf))):
        axes.axhline(data.reference_error, color=GREY, linestyle=":", linewidth=FINE)
        axes.annotate("error of the reference", (1, data.reference_error), xytext=(0, -2), ha="right", va="top",
                      xycoords=axes.get_yaxis_transform(), textcoords="offset points", fontsize="small",
                      color=GREY)  # fmt: skip
    axes.set_ylabel("relative error of $E$")


def loss(axes: Axes, data: Course) -> None:
    """The terms of the loss against step."""
    terms = (("total", "total", LIGHT, "-"), ("pde", "equation", BLUE, "-"), ("norm", "norm", BLACK, (0, (3, 2))))
    for name, label, color, line in terms:
        width = 2.4 if name == "total" else 1.0
        _against_steps(axes, data, positive(data.history[name]), color=color, linestyle=line, linewidth=width,
                       label=label)  # fmt: skip
    log_axis(axes, [data.history[name] for name, *_ in terms])
    axes.set_ylabel("weighted loss")


Panel = Callable[[Axes, RunData], None]

PANELS: dict[str, tuple[Panel, ...]] = {
    "wavefunction": (wavefunction, error),
    "density": (density,),
    "residual": (residual,),
    "energy": (energy, energy_error),
    "loss": (loss,),
}
"""The figures of a single state: each a panel, or several that share x."""
