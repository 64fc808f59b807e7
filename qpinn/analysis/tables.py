"""Numbers as text: one table layout for the terminal, one for Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qpinn.analysis import certify


def number(value: float | None, digits: int = 1) -> str:
    """An error or a small figure: 3.2e-11, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}e}"


def seconds(value: float | None) -> str:
    """A duration with three significant digits."""
    return "-" if value is None else f"{value:.3g}"


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
    states, spent = results["states"], results["seconds"]
    state = states[-1]
    own = {"method": "this network", **state, "seconds": spent["compile"] + spent["train"]}
    cells = [_method(row) for row in (own, *results["comparison"])]
    cells.append(["reference", f"{state['energy_reference']:.13g}", "", "", ""])
    energy = with_unit("E", results["units"], "energy")
    name = "method" if len(states) == 1 else f"level {state['index']} by"
    projected = results["route"]["projected_start"]
    lines = [] if len(states) == 1 else [levels(states, results["units"], projected), ""]
    lines += [plain([name, energy, "error of E", "L2 error of psi", "seconds"], cells), ""]
    if len(states) == 1:
        e = _unit(results)
        lines += [
            f"  before training: E {level(state['energy_start'])}{e}, "
            f"error {number(state['relative_error_energy_start'])}",
            f"  after training:  Rayleigh quotient {level(state['energy_rayleigh'])}{e}, "
            f"error {number(state['relative_error_energy_rayleigh'])}",
            f"  {state['outcome']}: {state['node_count']} nodes, norm {level(state['norm'], 10)}, "
            f"loss {number(state['loss'])}, {results['steps']} steps, {results['parameters']} parameters",
        ]
    else:
        worst = max(state["relative_error_energy_start"] for state in states)
        meshes = "1 mesh" if results["rounds"] == 1 else f"{results['rounds']} meshes"
        lines += [transitions(results), ""]
        lines.append(f"  before training: errors of E up to {number(worst)}; {meshes}, {results['steps']} steps, "
                     f"{results['parameters']} parameters")  # fmt: skip
    lines.append(f"  {_bounds(results)}")
    lines.append(
        f"  seconds: import {spent['import']:.1f}, compile {spent['compile']:.1f}, train {spent['train']:.2f}, "
        f"figures {spent['figures']:.1f}, total {spent['total']:.1f}"
    )
    best = min(results["comparison"], key=lambda row: row["relative_error_energy"])
    lines.append(f"  In one dimension classical solvers win: {best['method']} took {seconds(best['seconds'])} s.")
    return "\n".join(lines)


def _unit(results: Mapping[str, Any]) -> str:
    """The unit of energy behind a number, where there is one."""
    return "" if results["units"]["length"] == "L" else f" {results['units']['energy']}"


def with_unit(name: str, units: Mapping[str, Any], kind: str, power: int = 1) -> str:
    """A heading: the name alone where numbers are dimensionless, else with its unit."""
    if units["length"] == "L":
        return name
    return f"{name} / {units[kind]}" + (f"^{power}" if power != 1 else "")


def levels(states: Sequence[Mapping[str, Any]], units: Mapping[str, Any], projected: bool = True) -> str:
    """A line for each level: E, with its bound in the last digit if `projected`, and what a physicist asks of psi."""
    rows = []
    for state in states:
        found = state["expectation"]
        rows.append([
            str(state["index"]), certified(state) if projected else level(state["energy"]),
            "yes" if state["converged"] else "no", number(state["relative_error_energy"]),
            number(state["relative_l2_psi"]), str(state["node_count"]),
            _parity(found["parity"]), *(_fixed(found[key]) for key in ("x", "x2", "p2", "dx_dp")),
            f"{found['virial'] - 1:.0e}",
        ])  # fmt: skip
    energy = with_unit("E", units, "energy")
    p = "p" if units["length"] == "L" else "k"  # p = hbar k
    powers = (("x", 1), ("x^2", 2), (f"{p}^2", -2))
    x, x2, p2 = (with_unit(f"<{name}>", units, "length", power) for name, power in powers)
    header = ["n", energy, "to tol", "error of E", "L2 error", "nodes", "parity", x, x2, p2, f"dx d{p}", "virial - 1"]
    return plain(header, rows)


SHOWN = 8
"""Levels between which transitions are shown."""


def transitions(results: Mapping[str, Any]) -> str:
    """Dipole matrix elements of the lowest levels left of the diagonal, oscillator strengths right of it."""
    count = min(len(results["states"]), SHOWN)
    rows = []
    for i in range(count):
        dipoles = [f"{abs(results['dipoles'][i][j]):.4f}" for j in range(i)]
        strengths = [f"{round(results['oscillator_strengths'][i][j], 4) + 0.0:.4f}" for j in range(i + 1, count)]
        rows.append([str(results["states"][i]["index"]), *dipoles, "", *strengths])
    dipole = with_unit("|<i|x|j>|", results["units"], "length")
    title = f"  transitions: {dipole} for j < i, oscillator strength f_ij for j > i"
    return title + "\n" + plain(["", *(str(state["index"]) for state in results["states"][:count])], rows)


def _parity(value: float | None) -> str:
    return "-" if value is None else "even" if value > 0.999 else "odd" if value < -0.999 else "-"


def _fixed(value: float) -> str:
    """Five decimals, and no sign before a zero."""
    return f"{round(value, 5) + 0.0:.5f}"


def certified(state: Mapping[str, Any]) -> str:
    """E with its bound in the last digit, or without one: 20.6174522(4)."""
    if state["lower"] is None or state["upper"] is None:
        return f"{level(state['energy'], 9)}(?)"
    middle, half = (state["lower"] + state["upper"]) / 2, (state["upper"] - state["lower"]) / 2
    if half > 0.05 * abs(state["energy"]):
        return f"{state['energy']:.4g} in [{state['lower']:.4g}, {state['upper']:.4g}]"
    return certify.digits(middle, half)


def _bounds(results: Mapping[str, Any]) -> str:
    """What the certificate says, in one line."""
    states = results["states"]
    known = [state for state in states if state["lower"] is not None]
    if not known:
        return "no bounds: V or psi is steeper than the quadrature resolves, or E above the next level, or not finite"
    missed = [str(state["index"]) for state in states if not state["converged"]]
    tol = results["certificate"]["tol"]
    wanted = "1e-08 (no tol was given)" if tol is None else number(tol, 0)
    if len(states) == 1:
        unit = _unit(results)
        return (
            f"certified: E_{states[0]['index']} = {certified(states[0])}{unit}, {'not ' * bool(missed)}within {wanted}"
        )
    return f"bounds within {wanted}: " + ("all levels" if not missed else f"not of level {', '.join(missed)}")


def level(value: float | None, digits: int = 13) -> str:
    """An energy to `digits` significant digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def _method(row: Mapping[str, Any]) -> list[str]:
    errors = [number(row[key]) for key in ("relative_error_energy", "relative_l2_psi")]
    return [row["method"], level(row["energy"]), *errors, seconds(row["seconds"])]


def overview(runs: Sequence[Mapping[str, Any]]) -> str:
    """One line for each of several results.json, with the settings in which they differ, and the classical methods."""
    names, labels = differing(runs)
    rows = []
    for label, run in zip(labels, runs, strict=True):
        state, spent = run["states"][0], run["seconds"]
        rows.append([
            *label, level(state["energy"]) + _unit(run), number(state["relative_error_energy"]),
            number(state["relative_l2_psi"]), str(state["node_count"]), state["outcome"],
            seconds(spent["compile"] + spent["train"]),
        ])  # fmt: skip
    header = [*names, "E", "error of E", "L2 error of psi", "nodes", "outcome", "seconds"]
    return f"{plain(header, rows, left=len(names))}\n\n{_classical(runs)}"


def _classical(runs: Sequence[Mapping[str, Any]]) -> str:
    """The classical methods, once for each potential among the runs."""
    rows, seen = [], set()
    for run in runs:
        if str(run["potential"]) not in seen:
            seen.add(str(run["potential"]))
            rows += [[run["potential"]["name"], *_method(row)] for row in run["comparison"]]
    return plain(["potential", "classical method", "E", "error of E", "L2 error of psi", "seconds"], rows, left=2)


def _varied(run: Mapping[str, Any]) -> dict[str, str]:
    """What varies within a sweep, as a setting."""
    sweep = run.get("sweep", {})
    return {sweep["vary"]: "{:g} to {:g}".format(*sweep["range"])} if sweep.get("vary") else {}


def _follows(settings: Sequence[Mapping[str, Any]], name: str, key: str) -> bool:
    """Whether `key`, of the same group as `name`, has one value for each value of `name`."""
    if key.split(".")[0] != name.split(".")[0]:
        return False
    pairs = {(str(flat.get(name)), str(flat.get(key))) for flat in settings}
    return len(pairs) == len({first for first, _ in pairs})


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat


def sweep_report(summary: Mapping[str, Any]) -> str:
    """The content of summary.json for a terminal."""
    found, spent = summary["statistics"], summary["seconds"]
    rows = [[name, str(count), f"{100 * count / found['starts']:.1f} %"] for name, count in found["outcomes"].items()]
    low, high = found["success"]["wilson_95"]
    lines = [
        plain(["outcome", "starts", "share"], [row for row in rows if row[1] != "0"]), "",
        f"  right state: {100 * found['success']['rate']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)",
    ]  # fmt: skip
    for key, name in (("relative_error_energy", "error of E"), ("relative_l2_psi", "L2 error of psi")):
        spread = found[key]
        if spread:
            lines.append(f"  {name}: median {number(spread['median'])}, 95 % below {number(spread['95%'])}, "
                         f"worst {number(spread['max'])}")  # fmt: skip
    rank = found["rank_correlation_loss_l2"]
    best = found["lowest_loss"]
    if best:
        correlated = "" if rank is None else f"; rank correlation of loss and L2 error {rank:.2f}"
        lines.append(f"  the start of lowest loss: {best['outcome']}{correlated}")
    lines += [f"  start {n}: not finite at step {step}" for n, step in found["not_finite"][:5]]
    lines.append(
        f"  {1e3 * spent['per_start']:.3g} ms a start ({summary['starts_per_second']:.3g} starts a second), "
        f"compile {spent['compile']:.1f} s, {summary['block']} at once on each of {summary['devices']} devices"
    )
    return "\n".join(lines)


def sweep_overview(summaries: Sequence[Mapping[str, Any]]) -> str:
    """One line for each sweep: what differs, success with its interval, errors."""
    names, labels = differing(summaries)
    rows = []
    for label, summary in zip(labels, summaries, strict=True):
        found = summary["statistics"]
        low, high = found["success"]["wilson_95"]
        others = ", ".join(f"{n} {name}" for name, n in found["outcomes"].items() if n and name != "right state")
        rows.append([
            *label, str(found["starts"]), f"{100 * found['success']['rate']:.1f} %",
            f"{100 * low:.1f} - {100 * high:.1f} %", _median(found["relative_error_energy"]),
            _median(found["relative_l2_psi"]), others or "-", f"{1e3 * summary['seconds']['per_start']:.3g}",
        ])  # fmt: skip
    header = [*names, "starts", "right state", "95 % interval", "error of E", "L2 error", "others", "ms a start"]
    return plain(header, rows, left=len(names))


def _median(spread: Mapping[str, float] | None) -> str:
    return "-" if spread is None else number(spread["median"])


def differing(summaries: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The settings in which runs or sweeps differ, and their values for each of them; the seed last."""
    settings = [_flat({"potential": run["potential"], **run["settings"], **_varied(run)}) for run in summaries]
    keys = list(dict.fromkeys(key for flat in settings for key in flat))
    varied = [key for key in keys if len({str(flat.get(key)) for flat in settings}) > 1]
    # a name tells its numbers where they follow from it
    names = [key for key in varied if key.endswith(".name")]
    shown = [key for key in varied if key in names or not any(_follows(settings, name, key) for name in names)]
    shown = sorted(shown, key=lambda key: key == "seed") or ["potential.name"]
    return [key.removesuffix(".name") for key in shown], [
        [str(flat.get(key, "-")) for key in shown] for flat in settings
    ]
