"""Numbers of a box as text: its levels with their bounds, symmetries and moments, and what the bounds rest on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from qpinn.physics import box_walls
from qpinn.report import words
from qpinn.report.tables import formatter, plain, settled, size, training, with_unit, wrapped
from qpinn.report.words import Results, State

WIDEST = 4
"""Axes whose moments stand in one table with the symmetries; of more in one of their own."""

BLANK = "the reference is not accurate enough there, or the level is degenerate and psi any mixture"

FEW = 3
"""Axes up to which a terminal has all dipoles."""


def symmetry(state: State, name: Callable[[str], str] = str) -> str:
    """What psi is under the symmetries of V: "even in x, odd in y; symmetric in x ↔ y"; nothing for none.

    name  how a coordinate is written
    """
    ways: dict[str, list[str]] = {}
    others = []
    for key, value in state["symmetry"].items():
        if value is None:
            continue
        if key.startswith("parity "):
            ways.setdefault("even" if value > 0 else "odd", []).append(name(key.removeprefix("parity ")))
        elif " <-> " in key:
            pair = " ↔ ".join(map(name, key.split(" <-> ")))
            others.append(f"{'symmetric' if value > 0 else 'antisymmetric'} in {pair}")
        else:
            others.append(f"{'even' if value > 0 else 'odd'} under {key}")
    parities = ", ".join(f"{way} in {_listed(axes)}" for way, axes in ways.items())
    return "; ".join(filter(None, [parities, *others]))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def report(results: Results) -> str:
    """The content of the results.json of a box for a terminal."""
    right = sum(map(settled, results["states"]))
    several = right > 1 and len(results["coordinates"]) <= FEW
    table = trained_levels if words.is_trained(results) else levels
    blocks = [table(results), without_training(results), moments(results), *([transitions(results)] if several else [])]
    return "\n\n".join([*filter(None, blocks), "\n".join(wrapped(line) for line in remarks(results))])


def levels(results: Results) -> str:
    """A line for each level: E with its bound in the last digit, multiplicity, and +, - or blank for each symmetry."""
    states, names = results["states"], results["symmetries"]
    rows = []
    for state in states:
        signs = [
            "" if state["symmetry"][name] is None else "+" if state["symmetry"][name] > 0 else "-" for name in names
        ]
        rows.append([str(state["index"]), words.certified(state), "yes" if state["converged"] else "no",
                     multiplicity(state), words.number(state["residual"]), *signs])  # fmt: skip
    energy, residual = (with_unit(name, results["units"], "energy") for name in ("E", "residual"))
    head = ["n", energy, f"within {words.tolerance(results)}", "fold", residual, *names]
    if all(state["multiplicity"] == 1 for state in states):
        head, rows = [*head[:3], *head[4:]], [[*row[:3], *row[4:]] for row in rows]
    return plain(head, rows)


def without_training(results: Results) -> str:
    """A line for each level whose axes were trained: E of products of the mean field, then with its bound in the last
    digit before training, with more hidden units in its place, and after it; nothing where nothing was trained."""
    training = results.get("training")
    if not training:
        return ""
    units = f"{training['width']} units"
    head = ["n", "mean field", f"untrained, {units}", f"untrained, {training['wider']} units", f"trained, {units}"]
    rows = [[str(state["index"]), words.level(one["energy_start"], 8), words.certified(one["before"]),
             words.certified(one["widened"]), words.certified(state)]
            for one, state in zip(training["states"], results["states"], strict=True)]  # fmt: skip
    return f"  {with_unit('E', results['units'], 'energy')} beside that without training\n" + plain(head, rows)


def trained_axes(results: Results) -> str | None:
    """On what the hidden units of the axes were trained, and what of the residual is left."""
    training = results.get("training")
    if not training:
        return None
    fallen = ", ".join(f"{name} {words.number(before)} to {words.number(after)}" for name, before, after in zip(
        results["coordinates"], training["residual_before"], training["residual"], strict=True))  # fmt: skip
    steps, count = words.counted(training["steps"], "step"), training["functions"]
    return (f"hidden units trained in {steps} on the {count} lowest functions of each axis in the mean field; their "
            f"residual fell: {fallen}{words.unit(results)}")  # fmt: skip


def trained_levels(results: Results) -> str:
    """A line for each level that was trained: E against that of the reference, its errors, and how it ended."""
    fine = [state["energy_reference"] is not None for state in results["states"]]
    rows = []
    for state in results["states"]:
        lost = words.is_empty(state)
        rows.append([
            str(state["index"]), "-" if lost else words.level(state["energy"], 10),
            words.level(state["energy_reference"], 10), words.error_of(results, state),
            "-" if lost else words.number(state["relative_l2_psi"]), "-" if lost else words.number(state["residual"]),
            words.outcome(state),
        ])  # fmt: skip
    energy, residual = (with_unit(name, results["units"], "energy") for name in ("E", "residual"))
    head = ["n", energy, words.reference_name(results), "error of E", "L2 error", residual, "outcome"]
    if not any(fine):
        head, rows = [*head[:2], *head[3:]], [[*row[:2], *row[3:]] for row in rows]
    return plain(head, rows)


def potential(results: Results) -> str:
    """Numbers of the potential, masses where they are not 1, and walls."""
    others = ("name", "dimension")
    numbers = {key: value for key, value in results["potential"].items() if key not in others and value not in ("", [])}
    numbers |= numbers.pop("parameters", {})
    said = [f"{key} {_short(value)}" for key, value in numbers.items()]
    if set(results["masses"]) != {1.0}:
        said.append(f"masses {_short(results['masses'])}")
    walls = [f"{name} from {left:.6g} to {right:.6g}{at_ends(kinds)}" for name, (left, right), kinds in
             zip(results["coordinates"], results["walls"], ends(results), strict=True)]  # fmt: skip
    if len({wall.partition(" ")[2] for wall in walls}) == 1 and len(walls) > 2:
        walls = [f"{results['coordinates'][0]} to {results['coordinates'][-1]} {walls[0].partition(' ')[2]}"]
    return ", ".join([*said, *walls])


def ends(results: Results) -> list[list[str]]:
    """What psi does at the left and the right end of every axis; walls in runs from before there was anything else."""
    return list(results.get("ends", [["wall", "wall"]] * len(results["coordinates"])))


def at_ends(kinds: Sequence[str]) -> str:
    """What is said of the ends of an axis that are not both walls."""
    left, right = kinds
    if left == right:
        return "" if left == "wall" else f" ({left})"
    return f" ({left} left, {right} right)"


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_short, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def multiplicity(state: State) -> str:
    """How many levels are the same as far as is known; with a plus sign where more may follow."""
    return f"{state['multiplicity']}{'+' if state['open'] else ''}"


def moments(results: Results) -> str:
    """<x_i> and the root of <x_i^2> of every level, and its kinetic energy."""
    units, names = results["units"], results["coordinates"]
    states = [state for state in results["states"] if not words.is_empty(state)]
    d = len(names)
    if not states:
        return ""
    columns = []
    for axis in range(d):
        roots = [math.sqrt(max(state["expectation"]["x2"][axis], 0.0)) for state in states]
        means = [state["expectation"]["x"][axis] for state in states]
        columns.append(([formatter(means, size=max(roots))(value) for value in means],
                        [formatter(roots)(value) for value in roots]))  # fmt: skip
    kinetic = [state["expectation"]["kinetic"] for state in states]
    energies = [formatter(kinetic)(value) for value in kinetic]
    rows = [[str(state["index"]), *(mean[k] for mean, _ in columns), *(root[k] for _, root in columns), energies[k]]
            for k, state in enumerate(states)]  # fmt: skip
    first, second = ([with_unit(text.format(name), units, "length") for name in names]
                     for text in ("<{}>", "<{}^2>^1/2"))  # fmt: skip
    head = ["n", *first, *second, with_unit("<T>", units, "energy")]
    if d <= WIDEST:
        return plain(head, rows)
    split = 1 + d
    return "\n\n".join([plain(head[:split], [row[:split] for row in rows]),
                        plain([head[0], *head[split:]], [[row[0], *row[split:]] for row in rows])])  # fmt: skip


def transitions(results: Results) -> str:
    """|<i|x_a|j>| of the lowest levels, for each axis."""
    count = min(len(results["states"]), words.SHOWN)
    states, blocks = results["states"][:count], []
    right = list(map(settled, states))
    for name, dipole in zip(results["coordinates"], results["dipoles"], strict=True):
        table = [[abs(dipole[i][j]) if right[i] and right[j] else None for j in range(i)] for i in range(count)]
        every = [value for row in table for value in row if value is not None]
        show, none = formatter(every, 4), 1e-6 * max(every)
        rows = [
            [
                str(states[i]["index"]),
                *(
                    "0" if value is not None and (value <= none or not float(show(value))) else show(value)
                    for value in table[i]
                ),
                *[""] * (count - 1 - i),
            ]
            for i in range(1, count)
        ]
        title = with_unit(f"|<i|{name}|j>|", results["units"], "length")
        left_out = (
            f" of the lowest {count} of {len(results['states'])} levels" if count < len(results["states"]) else ""
        )
        blocks.append(f"  {title}{left_out}\n" + plain(["", *(str(state["index"]) for state in states[:-1])], rows))
    return "\n\n".join(blocks)


def remarks(results: Results) -> list[str]:
    """What else there is to say, a line each: bounds and what they rest on, multiplicities, walls, seconds."""
    if words.is_trained(results):
        said = [*training(results), words.cut_short(results), *trained(results), walls(results), words.spent(results)]
        return [line for line in said if line]
    lines = [*bounds(results), *degenerate(results), trained_axes(results), walls(results), cut(results), made(results),
             words.spent(results)]  # fmt: skip
    return [line for line in lines if line]


def trained(results: Results) -> list[str]:
    """What is known of levels that were trained: no bounds, and what their errors are against."""
    lines, reference = [f"no bounds: {results['certificate']['reason']}"], results["reference"]
    if reference:
        worst = max(words.reference_error(results, state["index"]) for state in results["states"])
        stated = f", themselves good to {words.number(worst)}" if worst > 0 else ""
        lines.append(f"errors are against {reference['method']}{stated}")
    missing = words.no_reference(results)
    return [*lines, *([missing.replace("the reference is not accurate enough there", BLANK)] if missing else [])]


def bounds(results: Results) -> list[str]:
    """Which levels are within the tolerance, and what their bounds rest on, or why there are none."""
    states, known = results["states"], results["certificate"]
    within = f"within {words.tolerance(results)}" + ("" if known["tol"] is not None else " (no tol was given)")
    bounded = [state for state in states if state["lower"] is not None and state["upper"] is not None]
    lines = []
    if known["reason"] is not None or not bounded:
        lines.append(f"no bounds: {known['reason'] or 'the levels do not end at a gap'}")
        above = [f"E_{state['index']} {words.below(state['upper'])}{words.unit(results)}"
                 for state in states if state["upper"] is not None]  # fmt: skip
        return lines + ([f"from above alone: {', '.join(above[: words.SHOWN])}"] if above else [])
    missed = [state["index"] for state in states if not state["converged"]]
    lines.append(f"bounds {within}: " + ("all levels" if not missed else f"not of {words.listed(missed)}"))
    by = f"Bazley and Fox: {known['products']} products" if known["products"] else "inertia of H among products"
    together, sigma = known["together"], f"{words.level(known['sigma'], 8)}{words.unit(results)}"
    lines.append(f"they rest on a lower bound of level {together}, {sigma} ({by} "
                 "of a comparison potential that separates, nowhere above V), and on the residuals of levels "
                 f"0 to {together - 1} together (Lehmann and Maehly), by two quadratures")  # fmt: skip
    return lines


def degenerate(results: Results) -> list[str]:
    """Levels that are one as far as is known."""
    groups: dict[int, list[State]] = {}
    for state in results["states"]:
        groups.setdefault(state["group"], []).append(state)
    several = [group for group in groups.values() if len(group) > 1]
    each = [f"{group[0]['index']} {'and' if len(group) == 2 else 'to'} {group[-1]['index']}" for group in several]
    lines = []
    if each:
        more = f" and {len(each) - words.SHOWN} more" if len(each) > words.SHOWN else ""
        lines.append(f"the same as far as their bounds say: levels {', '.join(each[: words.SHOWN])}{more}; their psi "
                     "are those with the symmetries of V")  # fmt: skip
    return [*lines, *filter(None, [goes_on(results)])]


def goes_on(results: Results) -> str | None:
    """That the last level is one of some that were not all asked for."""
    last = results["states"][-1]
    if not last["open"]:
        return None
    return (f"the next level lies at {words.level(results['next_energy'], 8)}{words.unit(results)}: level "
            f"{last['index']} is one of more that are the same, and its psi some mixture of theirs")  # fmt: skip


def walls(results: Results) -> str | None:
    """Which walls were chosen."""
    known = zip(results["coordinates"], results["walls"], results["certificate"]["walls_chosen"], strict=True)
    chosen = [f"{name} from {left:.4g} to {right:.4g}" for name, (left, right), here in known if here]
    unit = "" if results["units"]["length"] == "L" else f" {results['units']['length']}"
    decay = f"exp(-{box_walls.decay(results['curves'] > 0):g})"
    return f"walls put where psi has decayed by {decay}: {', '.join(chosen)}{unit}" if chosen else None


def cut(results: Results) -> str | None:
    """Which levels feel the walls that were given."""
    tol, states = float(words.tolerance(results)), results["states"]
    felt = [
        state
        for state in states
        if state["wall_fall"] > tol * max(abs(state["energy"]), abs(states[-1]["energy"]) / 10)
    ]
    if not felt:
        return None
    each = [f"{state['wall_fall']:.0e} (level {state['index']})" for state in felt]
    more = f" and {len(each) - words.SHOWN} more" if len(each) > words.SHOWN else ""
    return (f"walls as given are part of the problem: with them further out by 1 % E falls by about "
            f"{', '.join(each[: words.SHOWN])}{more}{words.unit(results)}")  # fmt: skip


def made(results: Results) -> str:
    """What psi is made of."""
    if words.is_trained(results):
        return f"{size(results)}; seed {results['seed']}"

    alike = len(results["functions"]) > FEW and len({*results["functions"]}) == len({*results["segments"]}) == 1
    functions, segments = (
        " x ".join(map(str, results[key][: 1 if alike else None])) for key in ("functions", "segments")
    )
    meshes = "1 mesh" if results["rounds"] == 1 else f"{results['rounds']} meshes"
    which = "each axis" if alike else "the axes"
    return f"{functions} functions of {which}, on {segments} segments; {meshes}; seed {results['seed']}"
