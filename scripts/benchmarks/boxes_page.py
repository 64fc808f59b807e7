"""docs/boxes.md, from docs/boxes.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from stamps import line

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
    if "baselines" in measured:
        blocks += _baselines(measured["baselines"])
    if "recipe" in measured:
        blocks += _recipe(measured["recipe"])
    if "training" in measured:
        blocks += _training(measured["training"])
    blocks += [
        "## Published elsewhere",
        "STNet (arXiv:2510.23986, tables 1 and 3), after 3e5 to 5e5 steps of Adam on an RTX 4090D; its numbers and its "
        "seconds, not run here. Both problems separate: sums of one-dimensional levels give 1e-15, here and anywhere, "
        "so that they show no skill in many dimensions.",
        markdown(["problem", "error of E", "seconds"], PUBLISHED),
    ]
    return "\n\n".join(blocks) + "\n"


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
                     seconds(row["solve_seconds"]), " / ".join(filter(None, aims))])  # fmt: skip
    return [
        "## Problems",
        f"{line(part)} Every problem in a process of its own on one core, with nothing compiled before; seconds of "
        "`qpinn.solve`, compiling included, beside whatever else the machine did. The reference of problems with jumps "
        "is the same route with another network on shorter segments, and says how far the levels are converged. "
        "*Outside*: levels whose reference is outside their bounds by more than 1e-9; of the latter, which lie above "
        "the levels themselves, below them.",
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
        f"{line(part)} Six levels each, default settings, compiled programmes kept between them; against a dense "
        "solve by polynomials, whose own error is what fewer functions of an axis change (*doubt*). A level that was "
        "missed would put all above it outside their bounds. *Outside*: potentials with a level outside its bounds by "
        "more than the doubt and 1e-10. *Closest*: the smallest distance of two levels over that of the first and the "
        "last.",
        markdown(["potentials", "number", "outside", "levels with bounds", "within 1e-8", "half-width, worst",
                  "difference of E, worst", "doubt, worst", "closest", "seconds, median"], rows),
    ]  # fmt: skip


EXACT = {"oscillator": [2.0, 4.0, 4.0, 6.0]}
"""Levels of problems that other programs alone are asked for, to check their units."""


def _baselines(part: Mapping[str, Any]) -> list[str]:
    own = {row["problem"]: row for row in part["qpinn"]}
    names = [*EXACT, *own]
    rows = [line for name in names for line in _routes(name, own.get(name, {}), part)]
    failed = [entry["failed"] for entry in part["qmsolve"] if "problem" not in entry]
    return [
        "## Other routes",
        f"{line(part)} {', '.join(f'{name} {release}' for name, release in part['programs'].items())}. "
        "Every row a process of its own on one core; seconds of the solve, and of the process. Errors "
        "are those against the levels of qpinn where all have bounds, and against the finest elements elsewhere; "
        "*within* in the row of qpinn is its half-width. *Elements*: quartic triangles of scikit-fem with edges where "
        "V jumps, narrow at a rectangle, curved at a circle, shift-invert of scipy; such levels lie above the exact "
        "ones where V is exact (parabolas stand for arcs), and nothing bounds them from below. *qmsolve*: second-order "
        "differences, with U = V / 2 in hartree and its energies turned back from eV; the oscillator is there to check "
        "the units. Its step is the side over N while its N points are the side over N - 1 apart, so that its error is "
        "of first order; *mended*: that undone by a mass of (N / (N - 1))^2. In three dimensions it has a cube of side "
        "10, and lobpcg the thirty iterations of its default, which leave it unconverged."
        + "".join(f" qmsolve: {reason}." for reason in failed),
        markdown(["problem", "route", "unknowns", "error of E", "solve, s", "in all, s"], rows),
    ]  # fmt: skip


def _routes(name: str, own: Mapping[str, Any], part: Mapping[str, Any]) -> list[list[str]]:
    """The rows of a problem."""
    entries = [
        (f"elements, refined {entry['refined']} times", entry) for entry in part["elements"] if entry["problem"] == name
    ]
    bounded = None not in own.get("half_width", [None])
    finest = [entry["energies"] for _, entry in entries if "energies" in entry][-1:]
    reference = np.array(own["energies"] if bounded else EXACT[name] if name in EXACT else [*finest, [np.nan]][0])
    if own:
        entries.insert(0, ("qpinn", {**own, "unknowns": None}))
    for entry in part["qmsolve"]:
        if entry.get("problem") == name:
            mended = ", mended" if entry["mended"] else ""
            entries.append((f"qmsolve, N = {entry['points']}, {entry['method']}{mended}", entry))
    rows = []
    for route, entry in entries:
        if "failed" in entry:
            rows.append([name, route, "", entry["failed"][:80], "", seconds(entry["seconds"])])
            continue
        error = f"{np.abs(np.array(entry['energies']) / reference - 1).max():.1e}"
        if bounded and route == "qpinn":
            error = f"within {max(own['half_width']):.1e}"
        elif not bounded and [entry["energies"]] == finest:
            error = "reference"
        unknowns = "" if entry["unknowns"] is None else str(entry["unknowns"])
        total = "" if route == "qpinn" else seconds(entry["seconds"])
        rows.append([name, route, unknowns, error, seconds(entry["solve_seconds"]), total])
    return rows


def _recipe(part: Mapping[str, Any]) -> list[str]:
    return [
        "## The paper's recipe",
        f"{line(part)} `scripts/benchmarks/trained_boxes.py`: one network in an envelope for the ground state, "
        f"{part['steps']} steps of Adam, one seed, one core. The oscillator is x^2 + y^2 + 0.1 x^2 y^2. In a box E is "
        "fixed at the exact one when the start is random. *Rayleigh*: that quotient of the trained psi.",
        markdown(["problem", "start", "error of E", "error of Rayleigh", "error of psi", "residual", "outcome",
                  "compile + train, s"], [_trained(row) for row in part["rows"]]),
    ]  # fmt: skip


def _trained(row: Mapping[str, Any]) -> list[str]:
    if "failed" in row:
        return [row["failed"][:80], *[""] * 7]
    energy = "fixed" if row["error_energy"] == 0 else f"{row['error_energy']:.1e}"
    return [
        row["problem"].replace("_", " "), row["start"], energy, f"{abs(row['error_rayleigh']):.1e}",
        f"{row['error_psi']:.1e}", f"{row['residual']:.1e}", row["outcome"],
        f"{row['seconds']['compile']:.0f} + {row['seconds']['train']:.0f}",
    ]  # fmt: skip


def _training(part: Mapping[str, Any]) -> list[str]:
    rows, narrow, wide, gained = [], [], [], []
    for row in part["rows"]:
        if "failed" in row:
            rows.append([row["problem"], "", row["failed"][:80], *[""] * 6])
            continue
        pairs = list(zip(row["solutions"][::2], row["solutions"][1::2], strict=True))
        for before, after in pairs:
            changes = [_arrow(before[key], after[key]) for key in ("error", "half_width")]
            rows.append([
                row["problem"], str(before["width"]), str(before["parameters"]), *changes, _arrow(*after["residuals"]),
                seconds(before["seconds"]), seconds(after["seconds"] - after["train_seconds"]),
                seconds(after["train_seconds"]),
            ])  # fmt: skip
        bounds = [[one["half_width"] for one in pair] for pair in (pairs[0], pairs[-1])]
        if None not in (*bounds[0], *bounds[1]):
            narrow.append(bounds[0][0] / bounds[0][1])
            wide.append(bounds[1][0] / bounds[1][1])
            gained.append(bounds[0][1] / bounds[1][0])
    said = ""
    if narrow:
        said = (
            f" Training divides the bounds of the narrowest networks by {_span(narrow)} and those of the widest ones "
            f"by {_span(wide)}; the widest ones without training have bounds {_span(gained)} times narrower than the "
            "narrowest with it, in less time: what training buys is compactness, fewer hidden weights for an accuracy "
            "that wider networks have at once. So nothing is trained by default."
        )
    return [
        "## Training of hidden units",
        f"{line(part)} Hidden units of every axis trained by {part['steps']} steps of Levenberg-Marquardt on its "
        "eight lowest functions in the mean field (`optimizer.steps`), then Ritz among products again, on the same "
        "mesh; default settings but for `network.width`. *Weights*: hidden weights and biases of all axes. *Residual*: "
        "of those functions on the worse axis. Seconds with compiling: of the levels untrained; of those with trained "
        "units; and of the training itself, beside whatever else the machine did. Errors against the references of "
        "the first table: those of the dot are of its reference." + said,
        markdown(["problem", "units a segment", "weights", "error of E", "half-width of bounds", "residual on an axis",
                  "untrained, s", "trained, s", "training, s"], rows),
    ]  # fmt: skip


def _arrow(before: float | None, after: float | None) -> str:
    return " to ".join("none" if value is None else f"{value:.1e}" for value in (before, after))


def _span(factors: list[float]) -> str:
    return " to ".join(f"{float(f'{factor:.2g}'):g}" for factor in (min(factors), max(factors)))
