"""The tables of the benchmark, from its JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.physics import potentials, reference
from qpinn.report.tables import level, markdown, number

Entry = Mapping[str, Any]


def put_into(document: Path, text: str, name: str) -> None:
    """Replace what stands between the marks `name` in `document`."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = document.read_text().partition(first)
    _, _, after = rest.partition(last)
    document.write_text(f"{before}{first}\n{text}\n{last}{after}")


def summary(measured: Mapping[str, Any]) -> str:
    """One line for each problem and route."""
    rows = []
    for (problem, route), group in _groups(measured["routes"], "problem", "route").items():
        right = sum(entry["outcome"] == "right state" for entry in group)
        error = "fixed" if _given(group[0]) else _spread(group, "relative_error_energy")
        rows.append([
            problem.replace("_", " "), route, f"{right} of {len(group)}", error,
            _spread(group, "relative_l2_psi"), f"{_median(_seconds(entry) for entry in group):.2f}",
        ])  # fmt: skip
    header = ["problem", "route", "right state", "relative error of E: median (worst)",
              "relative L2 error of psi: median (worst)", "compile + train, s"]  # fmt: skip
    return markdown(header, rows)


def _given(entry: Entry) -> bool:
    """Whether E of a run was given: in the paper's route on the infinite well (`configs/experiment/paper`)."""
    return (entry["route"], entry["problem"]) == ("paper", "infinite_well")


def page(measured: Mapping[str, Any]) -> str:
    """The whole of what was measured, as a Markdown page."""
    versions = ", ".join(f"{name} {value}" for name, value in measured["versions"].items())
    seeds = len({entry["seed"] for entry in measured["routes"]})
    sections = [
        "# Benchmark",
        f"Written by `scripts/benchmarks/routes.py`. {measured['machine']['cpu']}, one core, "
        f"{measured['machine']['system']}; commit {measured['git']}; {versions}. Every run is a process of its own.",
        "## Three problems, three routes",
        f"{seeds} seeds each. *paper*: envelope times MLP (3 layers of 20, tanh), random start, 5000 steps of Adam "
        "from 1e-2 down to 1e-4 on 100 uniform points, normalisation weight 1000, E fixed for the infinite well and "
        "trained for the others; the settings are ours, because the paper's were not available. *random start*: the "
        "default network and Levenberg-Marquardt for 300 steps from random parameters. *default*: the same from a "
        "Rayleigh-Ritz start, 15 steps. *default, float32*: that in numbers of 32 bits. "
        "A run that ends in another eigenstate has the error of that state against the "
        "ground state; nothing is left out of the medians.",
        summary(measured),
        "## Seed by seed",
        "The error of E before training is that of the Ritz start in the default route: the projected solve has found "
        "E already, and training lowers the residual of the equation from there.",
        _seed_by_seed(measured["routes"]),
        "## Collapse to psi = 0",
        "The paper's route on the finite well with other weights of (integral psi^2 - 1)^2. The residual is smallest "
        "at psi = 0, where it is zero, and only the normalisation term holds psi up: where its weight is small against "
        "the residual of the first random network, psi shrinks to nothing and the loss stays at the weight itself. The "
        "configs use 1000.",
        _collapse(measured["collapse"]),
        "## A uniform grid at a jump",
        "The paper's network on the finite well, trained further (3000 steps of Adam, then 5000 of L-BFGS), on grids "
        "of n midpoints. A grid does not see where V jumps: it is the same for every well that has the same points "
        "inside, and the trained E is that of the well as wide as the cells whose midpoint lies inside. So the error "
        "can be said in advance from the exact level of that other well (*predicted*), and a small loss says nothing "
        "about it. With 160 points both jumps fall between two cells and the effect is gone; what remains is what a "
        "smooth network cannot do at a jump. Quadrature in each segment, the default, removes the cause.",
        _jump(measured["jump"]),
        "## From process start to the last figure",
        "`python scripts/train.py potential=barrier` on one core, seconds, with an empty compile cache and with a "
        "filled one.",
        _start(measured["start"]),
    ]
    return "\n\n".join(sections) + "\n"


def _seed_by_seed(routes: Sequence[Entry]) -> str:
    rows = [
        [entry["problem"].replace("_", " "), entry["route"], str(entry["seed"]), level(entry["energy"]),
         *("fixed" if _given(entry) else number(entry[f"relative_error_energy{when}"]) for when in ("_start", "")),
         number(entry["relative_l2_psi"]), str(entry["node_count"]), entry["outcome"]]
        for entry in routes
    ]  # fmt: skip
    header = [
        "problem",
        "route",
        "seed",
        "E",
        "error of E before training",
        "error of E",
        "L2 error of psi",
        "nodes",
        "outcome",
    ]
    return markdown(header, rows)


def _collapse(entries: Sequence[Entry]) -> str:
    rows = [
        [f"{weight:g}", _outcomes(group), f"{_median(entry['norm'] for entry in group):.2g}",
         f"{_median(entry['loss'] for entry in group):.2g}", _spread(group, "relative_error_energy")]
        for (weight,), group in _groups(entries, "weight").items()
    ]  # fmt: skip
    return markdown(
        ["weight", "outcomes", "integral psi^2, median", "loss, median", "error of E: median (worst)"], rows
    )


def seen_by_grid(points: int) -> dict[str, float]:
    """What a grid of midpoints sees of the finite well: its width, and the relative error of E that follows from it."""
    well = potentials.finite_well()
    left, right = well.domain
    cell = (right - left) / points
    x = left + cell * (np.arange(points) + 0.5)
    width = cell * float(np.count_nonzero(well(x[:, None]) == 0))
    levels = [reference.exact(potentials.finite_well(width=w), 1).energies[0] for w in (width, well.width)]
    return {"width_seen": width, "predicted_error": float(levels[0] / levels[1] - 1)}


def _jump(entries: Sequence[Entry]) -> str:
    exact = reference.exact(potentials.finite_well(), 1).energies[0]
    rows = [
        [str(entry["points"]), f"{entry['width_seen']:.4f}", f"{entry['predicted_error']:+.2e}",
         f"{entry['energy'] / exact - 1:+.2e}", number(entry["relative_l2_psi"]), number(entry["loss"])]
        for entry in entries
    ]  # fmt: skip
    return markdown(
        ["points", "width seen (2 is true)", "error of E: predicted", "trained", "L2 error of psi", "loss"], rows
    )


def _start(entries: Sequence[Entry]) -> str:
    keys = ("import", "compile", "train", "figures", "total")
    rows = []
    for (cache,), group in _groups(entries, "cache").items():
        totals = ", ".join(f"{entry['seconds']['total']:.1f}" for entry in group)
        rows.append([cache, *(f"{_median(entry['seconds'][key] for entry in group):.2f}" for key in keys), totals])
    return markdown(["cache", *keys, "every total"], rows)


def _groups(entries: Iterable[Entry], *keys: str) -> dict[tuple, list[Entry]]:
    groups: dict[tuple, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(tuple(entry[key] for key in keys), []).append(entry)
    return groups


def _median(values: Iterable[float | None]) -> float:
    return statistics.median(float("nan") if value is None else value for value in values)


def _spread(group: Sequence[Entry], key: str) -> str:
    values = [entry[key] for entry in group if entry[key] is not None]
    return f"{statistics.median(values):.1e} ({max(values):.1e})" if values else "-"


def _outcomes(group: Sequence[Entry]) -> str:
    outcomes = [entry["outcome"] for entry in group]
    return ", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes))


def _seconds(entry: Entry) -> float:
    return entry["seconds"]["compile"] + entry["seconds"]["train"]


def sweeps_page(measured: Mapping[str, Any]) -> str:
    """The page of what was measured of sweeps."""
    machine, many, spread = measured["machine"], measured["many"], measured["spread"]
    versions = ", ".join(f"{name} {value}" for name, value in measured["versions"].items())
    return "\n\n".join([
        "# How fast sweeps are",
        f"Written by `scripts/benchmarks/sweeps.py`. {machine['cpu']}, {machine['cores']} cores, {machine['system']}; "
        f"commit {measured['git']}; {versions}. No GPU was at hand.",
        "## The whole of it",
        f"`python scripts/sweep.py {many['words']}` on {machine['cores']} cores: {many['seconds']['total']:.0f} s from "
        f"process start to the last figure, of which {many['seconds']['compile']:.1f} s compiling; {many['right']} of "
        f"{many['starts']} in the right state.",
        "## Devices and processes",
        f"`{spread['two devices']['words']}` and its kin: starts a second while training. A device of a CPU is one "
        "that XLA simulates, with a thread of its own; a single one that is free to use both cores spreads its larger "
        "matrix products over them.",
        _spread_table(spread),
        "## Size of a block",
        "One device on one core; milliseconds a start, for blocks of so many starts under one `vmap`. A block also "
        "makes its start, measures psi and writes its file; *alone* is the training of a single run and nothing "
        "else. Levenberg-Marquardt takes blocks of 1 and Adam blocks of 8 unless `sweep.block` says otherwise.",
        _blocks_table(measured["blocks"], measured["alone"]),
        "## Against a loop over single runs",
        "`qpinn.solve` for one seed after the other in one process on one core, each compiling again, against the "
        "best block above on the same core.",
        _loop_table(measured["blocks"], measured["alone"]),
        "## Memory",
        "Largest resident memory of the process, figures included.",
        markdown(["sweep", "starts", "memory, MB", "ms a start"], [
            [entry["words"], str(entry["starts"]), f"{entry['peak_memory_mb']:.0f}", _ms(entry)]
            for entry in measured["memory"]
        ]),
    ]) + "\n"  # fmt: skip


def _ms(entry: Entry) -> str:
    return f"{1e3 * entry['seconds']['per_start']:.1f}"


def _spread_table(spread: Mapping[str, Entry]) -> str:
    first = next(iter(spread.values()))["seconds"]["per_start"]
    rows = [
        [name, str(entry["starts"]), f"{1 / entry['seconds']['per_start']:.2f}",
         f"{first / entry['seconds']['per_start']:.2f}", f"{entry['seconds']['total']:.0f}"]
        for name, entry in spread.items()
    ]  # fmt: skip
    return markdown(["on", "starts", "starts a second", "against the first", "total, s"], rows)


def _blocks_table(blocks: Mapping[str, Sequence[Entry]], alone: Mapping[str, Entry]) -> str:
    rows = [
        [route, f"{1e3 * alone[route]['train']:.1f}", *(_ms(entry) for entry in entries)]
        for route, entries in blocks.items()
    ]
    sizes = [str(entry["block"]) for entry in next(iter(blocks.values()))]
    return markdown(["route", "alone", *sizes], rows)


def _loop_table(blocks: Mapping[str, Sequence[Entry]], alone: Mapping[str, Entry]) -> str:
    rows = []
    for route, entries in blocks.items():
        best = min(entry["seconds"]["per_start"] for entry in entries)
        steps, loop = entries[0]["steps"], alone[route]["loop"]
        rows.append([route, f"{steps / loop:.0f}", f"{steps / best:.0f}", f"{loop / best:.1f}"])
    return markdown(["route", "loop: starts x steps a second", "sweep: starts x steps a second", "ratio"], rows)


REFERENCE = 1e-13
"""Error that is granted to the reference, relative to the scale of a level."""


def levels_page(measured: Mapping[str, Any]) -> str:
    """The page of what was measured of levels and bounds."""
    versions = ", ".join(f"{name} {value}" for name, value in measured["versions"].items())
    seeds = len({entry["seed"] for entry in measured["library"]})
    return "\n\n".join([
        "# Levels and their bounds",
        f"Written by `scripts/benchmarks/levels.py`. {measured['machine']['cpu']}, {measured['machine']['system']}; "
        f"commit {measured['git']}; {versions}. Errors and bounds are relative to the level, or to a tenth of the "
        "spacing around it where it is near zero. The reference is exact for steps and spectral elements otherwise; "
        f"{REFERENCE:g} is granted to it.",
        "## The library",
        f"The lowest 8 levels, or all bound ones, with tol=1e-8 and the default settings, {seeds} seeds. *Half-width*: "
        "half the distance between the bounds. *Right state*: by overlap. *Nodes*: as many as its number, sought where "
        "|psi| is above 1e-9 of its maximum, so that those of a lobe behind a high barrier are missed. Seconds are "
        "those of one seed after the other in one process, with compiling where a shape is new.",
        _levels_table(measured["library"]),
        "## Potentials drawn at random",
        "Four levels each of steps of random heights, of sums of random waves, and of layers of random thickness, band "
        "offset and effective mass; one seed.",
        _levels_table(measured["random"]),
        "## Do the bounds hold?",
        _bounds_table(measured),
        *(_adversaries(measured["adversaries"]) if "adversaries" in measured else []),
    ]) + "\n"  # fmt: skip


def _adversaries(entries: Sequence[Entry]) -> list[str]:
    return [
        "## Potentials drawn to break bounds",
        "Three levels each, tol=1e-8. A Gaussian, a step tanh, a Lorentzian or a notch, of 1e-6 to 1e-2 of the box, "
        "anywhere in it and of either sign, up to 1e4 spacings high, on a parabola, a wall 1/x^12, an exponential or a "
        "flat floor of up to 1e6 either way, in boxes of 1e-3 to 1e3 (`scripts/benchmarks/adversaries.py`). The "
        "run knows the formula alone; the reference is spectral elements on a mesh that is laid on the feature, and is "
        "granted its own error. *Falsely converged*: said to be within tol, and not.",
        _adversaries_table(entries),
    ]  # fmt: skip


def _adversaries_table(entries: Sequence[Entry]) -> str:
    rows = []
    groups = [(base, feature, group) for (base, feature), group in _groups(entries, "base", "feature").items()]
    for base, feature, group in [*groups, ("all", "", list(entries))] if entries else []:
        total = sum(len(entry["outside"]) for entry in group)
        counts = [sum(sum(entry[key]) for entry in group) for key in ("outside", "false", "bounded", "converged")]
        seconds = [entry["seconds"] for entry in group]
        rows.append([base, feature, str(len(group)), str(total), *map(str, counts),
                     f"{statistics.median(seconds):.1f} ({max(seconds):.1f})"])  # fmt: skip
    header = ["base", "feature", "potentials", "levels", "outside their bounds", "falsely converged", "with bounds",
              "bounds within 1e-8", "seconds: median (worst)"]  # fmt: skip
    return markdown(header, rows)


def _levels_table(entries: Sequence[Entry]) -> str:
    rows = []
    for (name,), group in _groups(entries, "potential").items():
        total = sum(entry["states"] for entry in group)
        rows.append([
            name.replace("_", " "), str(max(entry["states"] for entry in group)),
            f"{sum(entry['right'] for entry in group)} of {total}",
            f"{sum(entry['nodes'] for entry in group)} of {total}",
            f"{sum(entry['converged'] for entry in group)} of {total}",
            *(_flat_spread(group, key) for key in ("error", "bound", "psi")),
            f"{_median(entry['seconds'] for entry in group):.1f} ({max(entry['seconds'] for entry in group):.1f})",
        ])  # fmt: skip
    header = ["potential", "levels", "right state", "nodes", "within tol", "error of E: median (worst)",
              "half-width: median (worst)", "L2 error: median (worst)", "seconds: median (worst)"]  # fmt: skip
    return markdown(header, rows)


def _flat_spread(group: Sequence[Entry], key: str) -> str:
    values = [value for entry in group for value in entry[key]]
    return f"{statistics.median(values):.1e} ({max(values):.1e})"


def _bounds_table(measured: Mapping[str, Any]) -> str:
    rows = []
    for name in ("library", "random"):
        outside = [value for entry in measured[name] for value in entry["outside"]]
        pairs = [pair for entry in measured[name] for pair in zip(entry["bound"], entry["error"], strict=True)]
        ratios = [bound / error for bound, error in pairs if error > REFERENCE]
        if outside:
            ratio = f"{statistics.median(ratios):.1f} over {len(ratios)}" if ratios else "-"
            failed = sum(value > REFERENCE for value in outside)
            rows.append([name, str(len(outside)), str(failed), f"{max(outside):.1e}", ratio])
    header = ["", "levels", "outside their bounds", "furthest outside", "half-width / error, where above 1e-13: median"]
    return markdown(header, rows)
