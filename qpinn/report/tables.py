"""Numbers as text: one table layout for the terminal, one for Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qpinn.report import words
from qpinn.report.words import level, number, unit
from qpinn.runs.run_folder import BOX


def seconds(value: float | None) -> str:
    """A duration with three significant digits, or two where it is short."""
    return "-" if value is None else f"{value:.{3 if value > 0.1 else 2}g}"


def plain(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns aligned for a terminal, the first `left` of them to the left and the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def text(line: list[str]) -> str:
        cells = [cell.ljust(widths[i]) if i < left else cell.rjust(widths[i]) for i, cell in enumerate(line)]
        return "  " + "  ".join(cells).rstrip()

    rule = "  " + "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([text(lines[0]), rule, *map(text, lines[1:])])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(results: Mapping[str, Any]) -> str:
    """The content of results.json for a terminal: the levels, and the classical methods on the highest of them."""
    if results.get("task") == BOX:
        from qpinn.report import box_tables

        return box_tables.report(results)
    states = results["states"]
    several = len(states) > 1
    blocks = [levels(results), expectations(results)] if several else []
    blocks += [methods(results)]
    ring = results["settings"].get("ends", {}).get("left") == "periodic"  # x means nothing on it
    blocks += [transitions(results)] if sum(map(settled, states)) > 1 and not ring else []
    lines: list[str | None] = [*(training(results))]
    lines.append(words.cut_short(results))
    lines += words.remarks(states) if several else words.notes(states)
    lines += [words.no_reference(results), *words.bounds(results), *words.walls(results), words.interpolation(results),
              words.left_out(results),              words.spent(results)]  # fmt: skip
    lines.append(words.fastest_classical(results))
    return "\n\n".join([*blocks, "\n".join(wrapped(line) for line in lines if line)])


def wrapped(line: str, width: int = 100) -> str:
    """A line of a report, which goes on below after a comma, further in, where it is long."""
    lines = ["  "]
    for piece in re.split(r"(?<=[,;:]) ", line):
        if lines[-1].strip() and len(lines[-1]) + len(piece) >= width:
            lines.append("    ")
        lines[-1] += piece if not lines[-1].strip() else f" {piece}"
    return "\n".join(lines)


def full(value: float | None) -> str:
    """An energy of a column, with its zeros: a level at 3 is known as well as the others."""
    return "-" if value is None else f"{value:#.13g}".rstrip(".")


def methods(results: Mapping[str, Any]) -> str:
    """The highest level by this network, by classical methods, and its reference."""
    state, reference = results["states"][-1], results["reference"]
    index, lost = state["index"], words.is_empty(state)
    outcome = "" if settled(state) else f": {state['outcome']}"
    cells = [[f"this network{outcome}", "-" if lost else full(state["energy"]), words.error_of(results, state),
              "-" if lost else number(state["relative_l2_psi"]), seconds(words.trained_in(results))]]  # fmt: skip
    cells += [classical(results, row) for row in results["comparison"]]
    if reference and state["energy_reference"] is not None:
        name, method = words.reference_name(results), reference["method"]
        stated = words.reference_error(results, index)
        cells.append([name if method == name else f"{name} ({method})", full(state["energy_reference"]),
                      words.at_most(stated) if stated else "", "", ""])  # fmt: skip
    name = "method" if len(results["states"]) == 1 else f"level {index} by"
    return plain([name, with_unit("E", results["units"], "energy"), "error of E", "L2 error", "seconds"], cells)


def classical(results: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    """The cells of a classical method."""
    error = words.error(results, row["index"], row["relative_error_energy"])
    return [row["method"], full(row["energy"]), error, number(row["relative_l2_psi"]), seconds(row["seconds"])]


def size(results: Mapping[str, Any]) -> str:
    """Steps and parameters."""
    return f"{words.counted(results['steps'], 'step')}, {results['parameters']} parameters"


def training(results: Mapping[str, Any]) -> list[str]:
    """What training made of the one state, or of all of them."""
    return _single(results) if len(results["states"]) == 1 else _several(results)


def _single(results: Mapping[str, Any]) -> list[str]:
    """What training made of the one state."""
    (state,) = results["states"]
    e = unit(results)
    start, rayleigh = (words.error_of(results, state, f"relative_error_energy_{key}") for key in ("start", "rayleigh"))
    if words.is_fixed(results):
        before = f"E was given: {level(state['energy'])}{e}"
    else:
        before = f"before training: E {level(state['energy_start'])}{e}" + (f", error {start}" if start != "-" else "")
    if words.is_empty(state):
        after = f"after training:  E {level(state['energy'])}{e}, which says nothing without psi"
    else:
        after = f"after training:  Rayleigh quotient {level(state['energy_rayleigh'])}{e}"
        after += f", error {rayleigh}" if rayleigh != "-" else ""
    nodes = (
        ""
        if words.is_empty(state) or state["node_count"] is None
        else f"{words.counted(state['node_count'], 'node')}, "
    )
    made = f"{nodes}norm {level(state['norm'], 10)}, loss {number(state['loss'])}, {size(results)}"
    return [before, after, f"{words.outcome(state)}: {made}"]


def _several(results: Mapping[str, Any]) -> list[str]:
    """Largest error before training, meshes, steps and parameters, for several states."""
    key = "relative_error_energy_start"
    stated = [state for state in results["states"] if state[key] is not None]
    worst = max(stated, key=lambda state: float(state[key]), default=None)
    meshes = "1 mesh" if results["rounds"] == 1 else f"{results['rounds']} meshes"
    if words.is_fixed(results):
        return [f"E was given; {meshes}, {size(results)}"]
    start = "" if worst is None else words.error(results, worst["index"], worst[key]).removeprefix("<= ")
    start = start and f"before training: errors of E up to {start}; "
    return [f"{start}{meshes}, {size(results)}"]


def with_unit(name: str, units: Mapping[str, Any], kind: str, power: int = 1) -> str:
    """A heading: the name alone where numbers are dimensionless, else with its unit."""
    if units["length"] == "L":
        return name
    return f"{name} / {units[kind]}" + (f"^{power}" if power != 1 else "")


def levels(results: Mapping[str, Any]) -> str:
    """A line for each level: E, with its bound in the last digit where the start was projected, and errors.

    With an outcome where one is not the right state. A level without a function has dashes.
    """
    states, projected = results["states"], results["route"]["projected_start"]
    rows = []
    for state in states:
        lost = words.is_empty(state)
        energy = words.certified(state) if projected else level(state["energy"])
        within = "yes" if state["converged"] and words.holds(state) else "no"
        rows.append([
            str(state["index"]), "-" if lost else energy, "-" if lost else within, words.error_of(results, state),
            "-" if lost else number(state["relative_l2_psi"]), "-" if lost else str(state["node_count"]),
            str(state["outcome"]),
        ])  # fmt: skip
    energy = with_unit("E", results["units"], "energy")
    header = ["n", energy, f"within {words.tolerance(results)}", "error of E", "L2 error", "nodes", "outcome"]
    if all(state["outcome"] == words.RIGHT for state in states):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return plain(header, rows)


def expectations(results: Mapping[str, Any]) -> str:
    """Expectation values, a line for each level."""
    states, units = results["states"], results["units"]
    names = ("x", "x2", "p2", "dx_dp")
    columns = []
    for name in names:
        values = [_of(state, name) for state in states]
        width = max((_of(state, "x2") or 0.0 for state in states), default=0.0) ** 0.5 if name == "x" else 0.0
        columns.append(list(map(formatter(values, size=width), values)))
    rows = []
    for k, state in enumerate(states):
        virial = _of(state, "virial")
        rows.append([str(state["index"]), _parity(_of(state, "parity")), *(column[k] for column in columns),
                     "-" if virial is None else f"{virial - 1:.0e}"])  # fmt: skip
    p = "p" if units["length"] == "L" else "k"  # p = hbar k
    powers = (("x", 1), ("x^2", 2), (f"{p}^2", -2))
    x, x2, p2 = (with_unit(f"<{name}>", units, "length", power) for name, power in powers)
    return plain(["n", "parity", x, x2, p2, f"dx d{p}", "virial - 1"], rows)


def _of(state: Mapping[str, Any], name: str) -> float | None:
    """An expectation value, or None where there is no function."""
    return None if words.is_empty(state) else state["expectation"][name]


def settled(state: Mapping[str, Any]) -> bool:
    """Whether psi is taken for that of its level: the right state, or no reference and no bound that says otherwise."""
    return state["outcome"] in (words.RIGHT, "no reference")


def transitions(results: Mapping[str, Any]) -> str:
    """Dipole matrix elements of the lowest levels left of the diagonal, oscillator strengths right of it.

    With dashes where a function is not that of its level.
    """
    count = min(len(results["states"]), words.SHOWN)
    states = results["states"][:count]
    right = list(map(settled, states))

    def entry(i: int, j: int) -> float | None:
        value = results["dipoles" if j < i else "oscillator_strengths"][i][j]
        return None if value is None or not (right[i] and right[j]) else abs(value) if j < i else value

    table = [[None if i == j else entry(i, j) for j in range(count)] for i in range(count)]
    dipoles, strengths = (
        formatter([row[j] for i, row in enumerate(table) for j in range(count) if (j < i) == below], 4)
        for below in (True, False)
    )
    rows = [
        [str(states[i]["index"]),
         *("" if i == j else (dipoles if j < i else strengths)(table[i][j]) for j in range(count))]
        for i in range(count)
    ]  # fmt: skip
    dipole = with_unit("|<i|x|j>|", results["units"], "length")
    title = f"transitions: {dipole} for j < i, oscillator strength f_ij for j > i"
    if count < len(results["states"]):
        title += f"; the lowest {count} of {len(results['states'])}, all are in results.json"
    return wrapped(title) + "\n" + plain(["", *(str(state["index"]) for state in states)], rows)


def _parity(value: float | None) -> str:
    return "-" if value is None else "even" if value > 0.999 else "odd" if value < -0.999 else "-"


def formatter(values: Sequence[float | None], decimals: int = 5, size: float = 0.0) -> Callable[[float | None], str]:
    """How to show numbers of a kind: decimals, or digits where their size asks for it; no sign before a zero.

    size  what they are to be seen against, where they may all be zero but for rounding
    """
    largest = max([size, *(abs(value) for value in values if value is not None)])
    if largest == 0 or 1e-2 <= largest < 1e5:
        return lambda value: "-" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f}"
    return lambda value: number(0.0 if value and abs(value) < 1e-12 * largest else value, decimals - 1)


def sweep_report(summary: Mapping[str, Any]) -> str:
    """The content of summary.json for a terminal."""
    stats, spent = summary["statistics"], summary["seconds"]
    rows = [[name, str(count), f"{100 * count / stats['starts']:.1f} %"] for name, count in stats["outcomes"].items()]
    low, high = (100 * end for end in stats["success"]["wilson_95"])
    goal = stats.get("goal", "right state")
    lines = [
        plain(["outcome", "starts", "share"], [row for row in rows if row[1] != "0"]), "",
        f"  {goal}: {100 * stats['success']['rate']:.1f} % (95 % interval {low:.1f} to {high:.1f} %)",
    ]  # fmt: skip
    given = summary["route"].get("energy") == "fixed"
    lines += ["  E was given"] if given else []
    for key, name in (("relative_error_energy", "error of E"), ("relative_l2_psi", "L2 error of psi"),
                      ("bound", "its own bound")):  # fmt: skip
        spread = stats.get(key)
        if spread and not (given and key == "relative_error_energy"):
            lines.append(f"  {name}: median {number(spread['median'])}, 95 % below {number(spread['95%'])}, "
                         f"worst {number(spread['max'])}")  # fmt: skip
    rank = stats["rank_correlation_loss_l2"]
    best = stats["lowest_loss"]
    if best:
        correlated = "" if rank is None else f"; rank correlation of loss and L2 error {rank:.2f}"
        lines.append(f"  the start of lowest loss: {best['outcome']}{correlated}")
    lines += [f"  start {n}: not finite at step {step}" for n, step in stats["not_finite"][:5]]
    lines.append(
        f"  {1e3 * spent['per_start']:.3g} ms a start ({summary['starts_per_second']:.3g} starts a second), "
        + (f"compile {spent['compile']:.1f} s, {summary['block']} at once on each of {summary['devices']} devices"
           if "plan" not in spent else f"plan and reference {spent['plan']:.1f} s, one after the other")
    )  # fmt: skip
    return "\n".join(lines)
