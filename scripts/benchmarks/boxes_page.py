"""docs/boxes.md, from docs/boxes.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qpinn.report.tables import markdown, seconds

AIMS = {
    "x^2 + y^2 + 0.1 x^2 y^2": ("1e-11", "1e-8", "5"), "x^2 + y^2 + x^2 y^2": ("1e-11", "1e-8", "5"),
    "Henon-Heiles, 0.1118": ("1e-11", "1e-8", "5"), "rectangular dot, depth 20": ("1e-9", "1e-5", "10"),
    "circular dot, depth 50": ("1e-7", "1e-4", "10"), "x^2 + 2 y^2 + 3 z^2, coupled": ("1e-9", "1e-8", "20"),
    "three coupled sextic": ("1e-9", "1e-8", "20"), "5-D chain, 0.5": ("1e-9", "1e-7", "5"),
    "10-D chain, 0.1": ("1e-9", "1e-7", "10"), "10-D chain, 0.5": ("1e-6", "1e-4", "60"),
    "box in 5-D (separates)": ("1e-12", "", ""), "oscillator in 5-D (separates)": ("1e-12", "", ""),
}  # fmt: skip
"""Error of E, half-width of bounds, seconds: what was set out to be reached."""

PUBLISHED = [
    ["box Laplacian, ground state, 1 / 2 / 5 dimensions", "6.4e-11 / 5.1e-7 / 4.7e-6", "3.1e4 in 5-D"],
    ["box in 2-D, levels 2 to 4", "1.0e-3 to 2.5e-3", ""],
    ["oscillator, ground state, 1 / 2 / 5 dimensions", "7.2e-7 / 2.4e-6 / 1.3e-1", ""],
]


def page(measured: Mapping[str, Any]) -> str:
    """The whole of what was measured, as a Markdown page."""
    blocks = [
        "# Two, three, many dimensions",
        "Written by `scripts/benchmarks/boxes.py`. Energies in hbar^2 / (2 m L^2); errors and half-widths are "
        "relative, the worst of the levels.",
    ]  # fmt: skip
    if "problems" in measured:
        blocks += _problems(measured["problems"])
    if "random" in measured:
        blocks += _random(measured["random"])
    blocks += [
        "## Published elsewhere",
        "STNet (arXiv:2510.23986, tables 1 and 3), after 3e5 to 5e5 steps of Adam on an RTX 4090D; its numbers and its "
        "seconds, not run here. Both problems separate: sums of one-dimensional levels give 1e-15, here and anywhere, "
        "so that they show no skill in many dimensions.",
        markdown(["problem", "error of E", "seconds"], PUBLISHED),
    ]
    return "\n\n".join(blocks) + "\n"


def _stamp(part: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in part["versions"].items())
    machine = part["machine"]
    return (f"{machine['cpu']}, {machine['system']}; load {machine['load']:.1f} on {machine['cores']} cores when it "
            f"began; commit {part['git']}; {versions}.")  # fmt: skip


def _problems(part: Mapping[str, Any]) -> list[str]:
    rows = []
    for row in part["rows"]:
        aims = AIMS.get(row["problem"], ("", "", ""))
        if "failed" in row:
            rows.append([row["problem"], "", row["failed"][:80], "", "", "", seconds(row["seconds"]), " / ".join(aims)])
            continue
        halves = [half for half in row["half_width"] if half is not None]
        bound = f"{max(halves):.1e}" if len(halves) == row["states"] else f"none: {row['reason']}"
        error = "-" if row["error"] is None else f"{row['error']:.1e}"
        outside = "-" if row["outside"] is None else str(row["outside"])
        rows.append([row["problem"], str(row["states"]), error, row["reference"], bound, outside,
                     seconds(row["seconds"]), " / ".join(filter(None, aims))])  # fmt: skip
    return [
        "## Problems",
        f"{_stamp(part)} Every problem in a process of its own on one core, with nothing compiled before; seconds from "
        "the start of the process to its end, the reference included. The reference of problems with jumps is the same "
        "route with another network on shorter segments, and says how far the levels are converged. *Outside*: levels "
        "whose reference is outside their bounds by more than 1e-9.",
        markdown(["problem", "levels", "error of E", "against", "half-width of bounds", "outside", "seconds",
                  "aim: error / bound / seconds"], rows),
    ]  # fmt: skip


def _random(part: Mapping[str, Any]) -> list[str]:
    rows = []
    kinds = dict.fromkeys((entry["dimension"], entry["kind"]) for entry in part["entries"])
    for d, kind in [*kinds, *((d, "all") for d in (2, 3))]:
        group = [entry for entry in part["entries"] if entry["dimension"] == d and kind in ("all", entry["kind"])]
        if not group:
            continue
        bounded = f"{sum(entry['bounded'] for entry in group)} of {6 * len(group)}"
        outside = sum(entry["off"] > entry["doubt"] + 1e-10 for entry in group)
        rows.append([
            f"{d}-D, {kind}", str(len(group)), str(outside), bounded,
            str(sum(entry["within"] for entry in group)), f"{max(entry['half_width'] for entry in group):.1e}",
            f"{max(entry['difference'] for entry in group):.1e}", f"{max(entry['doubt'] for entry in group):.1e}",
            f"{min(entry['gap'] for entry in group):.1e}",
            seconds(sorted(entry["seconds"] for entry in group)[len(group) // 2]),
        ])  # fmt: skip
    return [
        "## Random potentials",
        f"{_stamp(part)} Six levels each, default settings, compiled programmes kept between them; against a dense "
        "solve by polynomials, whose own error is what fewer functions of an axis change (*doubt*). A level that was "
        "missed would put all above it outside their bounds. *Outside*: potentials with a level outside its bounds by "
        "more than the doubt and 1e-10. *Closest*: the smallest distance of two levels over that of the first and the "
        "last.",
        markdown(["potentials", "number", "outside", "levels with bounds", "within 1e-8", "half-width, worst",
                  "difference of E, worst", "doubt, worst", "closest", "seconds, median"], rows),
    ]  # fmt: skip
