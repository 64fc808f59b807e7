"""docs/scattering.md from docs/scattering.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stamps import line

from qpinn.report.tables import markdown

FIVE = """
`qpinn.scatter` at a thousand energies, hidden units as they are drawn. Seconds are those of the call in a fresh
process, compiling included, beside whatever else the machine did; CPU seconds are its own. Errors are against closed
forms, or transfer matrices at 100 digits; *outside* counts energies at which the error is larger than the bound
stated. Bounds are mostly what is allowed for rounding, 8 eps of every term of a residual. T + R of psi as it stands
is a check; of corrected amplitudes it is 1 whatever psi is.
"""

RANDOM = """
Usual: one to six layers with masses, in turn flat, graded, in a field of up to 100 kV/cm, and under a bias with leads
of their own; eight energies each, some of them below one of the leads. Extreme: up to thirty layers from 1e-3 to 20
nm with masses from 0.01 to 10, under a bias of up to 2 eV, energies down to 1e-8 eV above both thresholds. Errors are
of values with a bound; the last column is the largest T without one.
"""

RESONANCES = """
GaAs/AlGaAs double barriers (0.3 eV; 0.092 and 0.067 m_e; well of 5 nm), with hbar^2 / 2 m_e = 0.0380998212 eV nm^2.
The estimate is what qpinn says of its own error. It is no bound, and that no resonance was missed is not certified.
"""

NARROW = """
80 energies from 10 to 500 meV, refined where T and the phase of t ask for it. A resonance of relative width Gamma / E
costs digits of T in proportion, since E itself is rounded; the bound says so.
"""

TRAINING = """
The 3/5/3 nm double barrier on four segments, 200 energies: largest residual |(H - E) psi| and largest bound on T with
the hidden units as they are drawn, and after 60 steps. The default is 20 units, whose bound is rounding.
"""

ELSEWHERE = """
For flat layers a product of transfer matrices in 64 bits is as accurate, and faster; it states no bound. Numerov's
method needs many points for a smooth V.
"""


def page(content: Mapping[str, Any]) -> str:
    """The page."""
    blocks = [
        "# Transmission and reflection", FIVE.strip(), _five(content["five"]),
        "## Random structures", RANDOM.strip(), _random([content["random"], content["extreme"]]),
        "## Resonances", RESONANCES.strip(), _resonances(content["resonances"]),
        NARROW.strip(), _narrow(content["narrow"]),
        "## Hidden units trained on a band", TRAINING.strip(), _training(content["training"]),
        "## Elsewhere", ELSEWHERE.strip(), _elsewhere(content["elsewhere"]),
        "`python scripts/benchmarks/scattering.py` writes this page and `scattering.json`. " + line(content),
    ]  # fmt: skip
    return "\n\n".join(blocks) + "\n"


def _e(value: float) -> str:
    return f"{value:.1e}"


def _random(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["", "structures", "values of T and R", "outside", "without bound", "largest error", "largest bound",
            "median bound", "seconds", "smallest T", "largest T without bound"]  # fmt: skip
    return markdown(head, [
        [name, str(one["structures"]), str(one["numbers"]), str(one["outside"]), str(one["without_bound"]),
         _e(one["largest_error"]), _e(one["largest_bound"]), _e(one["median_bound"]), f"{one['seconds']:.0f}",
         _e(one["smallest"]), _e(one["unbounded"]) if one["without_bound"] else "-"]
        for name, one in zip(("usual", "extreme"), rows, strict=True)
    ])  # fmt: skip


def _five(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["", "segments", "seconds", "CPU seconds", "largest error of T", "largest bound", "outside",
            "T + R - 1 uncorrected"]  # fmt: skip
    return markdown(head, [
        [one["about"], str(one["segments"]), f"{one['seconds']:.1f}", f"{one['cpu']:.1f}",
         _e(one["error"]), _e(one["bound"]), str(one["outside"]), _e(one["unitarity"])]
        for one in rows
    ])  # fmt: skip


def _resonances(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["barriers / nm", "E_r / meV", "Gamma / meV", "error of E_r", "relative error of Gamma", "estimate / meV"]
    return markdown(head, [
        [str(one["thickness"]), f"{one['energy_meV']:.10f}", f"{one['width_meV']:.11g}", _e(one["error_energy_meV"]),
         _e(one["relative_error_width"]), _e(one["estimate_meV"])]
        for one in rows
    ])  # fmt: skip


def _narrow(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["barriers / nm", "Gamma / E", "energies", "T at the peak", "largest error", "largest bound", "outside",
            "seconds"]  # fmt: skip
    return markdown(head, [
        [str(one["thickness"]), _e(one["quality"]), str(one["energies"]), f"{one['peak']:.8f}", _e(one["error"]),
         _e(one["bound"]), str(one["outside"]), f"{one['seconds']:.1f}"]
        for one in rows
    ])  # fmt: skip


def _training(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["units", "seed", "residual drawn", "trained", "bound drawn", "trained", "seconds"]
    return markdown(head, [
        [str(one["width"]), str(one["seed"]), _e(one["residual_drawn"]), _e(one["residual_trained"]),
         _e(one["bound_drawn"]), _e(one["bound_trained"]), f"{one['seconds']:.1f}"]
        for one in rows
    ])  # fmt: skip


def _elsewhere(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ["method", "largest error of T", "seconds"]
    return markdown(head, [[one["method"], _e(one["error"]), f"{one['seconds']:.2f}"] for one in rows])
