"""What a results.json says of a run, in words: the reference, how each level ended, its bounds, what a wall does to it.

Every function takes the dictionary of a run (or one of its states) as it is read from the file. Unknown numbers
are None there; a key may be missing in a file that is older than it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np

from qpinn.bounds import certify
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.wavefunctions.networks import ROUGH

Results = Mapping[str, Any]
State = Mapping[str, Any]

EXACT = ("exact", "closed form", "transcendental equation")
"""Methods without an error of their own but rounding; "exact" is what they were once called."""

RIGHT = "right state"
EMPTY = ("psi = 0", "non-finite")
"""Outcomes that leave no function to speak of."""

SHOWN = 8
"""Levels that are listed one by one."""


# ----------------------------------------------------------------------------------------------------------- numbers


def level(value: float | None, digits: int = 13) -> str:
    """An energy to `digits` significant digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def number(value: float | None, digits: int = 1) -> str:
    """An error or a small figure: 3.2e-11, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}e}"


def at_most(value: float) -> str:
    """One digit that `value` > 0 does not exceed: <= 3e-13."""
    place = math.floor(math.log10(value))
    return f"<= {math.ceil(value / 10.0**place) * 10.0**place:.0e}"


def tolerance(results: Results) -> str:
    """The tolerance that bounds were asked to meet, or the one they are compared with: 1e-8."""
    tol = results["certificate"]["tol"]
    return f"{certify.TOLERANCE if tol is None else tol:g}".replace("e-0", "e-")


def unit(results: Results) -> str:
    """The unit of energy behind a number, where there is one."""
    return "" if results["units"]["length"] == "L" else f" {results['units']['energy']}"


def counted(count: int, noun: str) -> str:
    """1 node, 2 nodes."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(indices: Sequence[int]) -> str:
    """Level 2, or levels 2, 3 and 5."""
    if len(indices) == 1:
        return f"level {indices[0]}"
    return f"levels {', '.join(map(str, indices[:-1]))} and {indices[-1]}"


# --------------------------------------------------------------------------------------------------------- reference


def reference_name(results: Results) -> str:
    """What a comparison is with: "exact" for closed forms and transcendental equations, else "reference".

    Of a run or a sweep.
    """
    reference = results.get("reference") or {}
    return "exact" if reference.get("exact", reference.get("method") in EXACT) else "reference"


def no_reference(results: Results) -> str | None:
    """One line where there is no reference, or where it cannot vouch for some levels; else None."""
    if results.get("task") == "box" and not is_trained(results):
        return None
    if not results["reference"]:
        why = results.get("no_reference")
        return f"no reference was computed{f': {why}' if why else ''}; no errors are known"
    errors = ("relative_error_energy", "relative_l2_psi")
    blank = [state["index"] for state in results["states"]
             if not is_empty(state) and None in [state[name] for name in errors]]  # fmt: skip
    if not blank:
        return None
    return f"errors of {listed(blank)} are unknown where blank: the reference is not accurate enough there"


def reference_error(results: Results, index: int) -> float:
    """The error that the reference states of its level, relative as other errors are; 0 where it states none."""
    reference = results["reference"] or {}
    errors, energies = reference.get("errors"), reference.get("energies")
    if not errors or not energies or index >= len(errors) or errors[index] is None or None in energies:
        return 0.0
    return float(errors[index] / certify.scale(np.asarray(energies, float))[index])


def is_trained(results: Results) -> bool:
    """Whether psi was trained: that of several coordinates may be solved among products instead."""
    return bool(results["route"].get("optimizer"))


def is_fixed(results: Results) -> bool:
    """Whether E of the run was given and not computed."""
    route = results["route"]
    return route["energy"] == "fixed" and not route["projected_start"]


def error(results: Results, index: int, value: float | None) -> str:
    """A relative error of E of level `index`; what is below the error of the reference is bounded by their sum."""
    floor = reference_error(results, index)
    return at_most(value + floor) if value is not None and value < floor else number(value)


def error_of(results: Results, state: State, key: str = "relative_error_energy") -> str:
    """The relative error of E of a state: "fixed" where E was given, a dash where psi = 0 or nothing is known."""
    if is_empty(state):
        return "-"
    if is_fixed(results) and key != "relative_error_energy_rayleigh":
        return "fixed"
    return error(results, state["index"], state.get(key))


def route(results: Results) -> str:
    """How a run or a sweep was trained, in short: "piecewise, Ritz start, Levenberg-Marquardt"."""
    parts = results["route"]
    start = {"ritz": "Ritz"}.get(parts["start"], parts["start"]) + " start"
    optimizer = OPTIMIZERS[parts["optimizer"]].label if parts.get("optimizer") in OPTIMIZERS else None
    if "untrained" in parts["label"]:
        start, optimizer = "Rayleigh-Ritz", "untrained"
    return ", ".join(part for part in (parts.get("ansatz"), start, optimizer) if part)


def seeded_route(results: Results) -> str:
    """`route` with its seed."""
    return f"{route(results)}, seed {results['seed']}"


# ---------------------------------------------------------------------------------------------------------- outcomes


def is_empty(state: State) -> bool:
    """Whether there is no function: psi = 0, or not finite."""
    return state["outcome"] in EMPTY


def outcome(state: State) -> str:
    """How a level ended; a wrong state with the level that it is nearest to."""
    if state["outcome"] == "wrong state" and state["overlaps"]:
        return f"wrong state, nearest is level {int(np.argmax(state['overlaps']))}"
    return str(state["outcome"])


def cut_short(results: Results) -> str | None:
    """That training ended before its last step, and why."""
    why = {"stopped": "stopped by a signal", "non-finite": "not finite any more"}.get(results["status"])
    return why and f"{why} after {counted(results['steps'], 'step')}"


def remarks(states: Sequence[State]) -> list[str]:
    """A line for each way to end that is not the right state: "levels 2 and 3: psi = 0"."""
    lines = grouped((state["index"], outcome(state)) for state in states if state["outcome"] != RIGHT)
    return lines + notes(states)


def notes(states: Sequence[State]) -> list[str]:
    """What else is to be said of the levels (`note` of a state)."""
    return grouped((state["index"], state["note"]) for state in states if state.get("note"))


def grouped(ended: Iterable[tuple[int, str]]) -> list[str]:
    """A line for each way to end, with the levels of which it is said."""
    ways: dict[str, list[int]] = {}
    for index, way in ended:
        ways.setdefault(way, []).append(index)
    return [f"{listed(indices)}: {way}" for way, indices in ways.items()]


# ------------------------------------------------------------------------------------------------------------ bounds


def holds(state: State) -> bool:
    """Whether the bounds of the level hold E of the run, to rounding."""
    lower, upper, energy = state["lower"], state["upper"], state["energy"]
    if None in (lower, upper, energy):
        return False
    slack = 1e-14 * max(abs(lower), abs(upper))
    return bool(lower - slack <= energy <= upper + slack)


def certified(state: State) -> str:
    """E with its bound in the last digit, 20.6174522(4); with a question mark where there is no bound.

    Where bounds are wide, or E of the run lies outside: E alone.
    """
    lower, upper = state["lower"], state["upper"]
    if lower is None or upper is None:
        return f"{level(state['energy'], 9)}(?)"
    if not holds(state) or _wide(state):
        return level(state["energy"])
    return certify.digits((lower + upper) / 2, (upper - lower) / 2)


def _wide(state: State) -> bool:
    return bool(state["upper"] - state["lower"] > 0.1 * abs(state["energy"]))


def interval(state: State) -> str:
    """Both bounds, rounded outwards to digits that tell them from each other and from E: [1.379, 1.665]."""
    lower, upper, energy = state["lower"], state["upper"], state["energy"]
    largest = max(abs(lower), abs(upper), 1e-300)
    gaps = [upper - lower] + ([] if energy is None else [abs(energy - lower), abs(energy - upper)])
    least = min([gap for gap in gaps if gap > 0] or [largest])
    digits = min(max(2 + math.ceil(math.log10(largest / least)), 4), 16)
    place = _place(largest, digits)
    low, high = float(_rounded(lower, place, ROUND_FLOOR)), float(_rounded(upper, place, ROUND_CEILING))
    return f"[{low:.{digits}g}, {high:.{digits}g}]"


def below(upper: float) -> str:
    """<= and a bound from above, rounded upwards."""
    return f"<= {float(_rounded(upper, _place(upper, 6), ROUND_CEILING)):.6g}"


def _place(value: float, digits: int) -> Decimal:
    """The last of `digits` significant digits of a value."""
    return Decimal(1).scaleb(math.floor(math.log10(abs(value) or 1e-300)) - digits + 1)


def _rounded(value: float, place: Decimal, rounding: str) -> Decimal:
    return (Decimal(value) / place).to_integral_value(rounding) * place


def bounds(results: Results) -> list[str]:
    """What the certificate says of the levels: which are within tol, whose E stands outside, and why there is none."""
    states, within = results["states"], f"within {tolerance(results)}"
    within += "" if results["certificate"]["tol"] is not None else " (no tol was given)"
    bounded = [state for state in states if state["lower"] is not None and state["upper"] is not None]
    lines = [] if len(bounded) == len(states) else [_unbounded(results, states, bounded)]
    above = [f"E_{state['index']} {below(state['upper'])}{unit(results)}"
             for state in states if state["lower"] is None and state["upper"] is not None]  # fmt: skip
    lines += [f"from above alone: {', '.join(above[:SHOWN])}"] if above else []
    if len(states) == 1:
        return [_one(results, state, within) for state in bounded] or lines
    if bounded:
        missed = [state["index"] for state in states if not state["converged"]]
        lines = [f"bounds {within}: " + ("all levels" if not missed else f"not of {listed(missed)}"), *lines]
    return lines + outside(results)


def outside(results: Results) -> list[str]:
    """A line for each level whose bounds do not hold E of the run."""
    bounded = [state for state in results["states"] if state["lower"] is not None and state["upper"] is not None]
    strayed = [state for state in bounded if not holds(state) and not is_empty(state)]
    more = [f"E of {len(strayed) - SHOWN} more levels is outside its bounds"] if len(strayed) > SHOWN else []
    return [_outside(results, state) for state in strayed[:SHOWN]] + more


def _outside(results: Results, state: State) -> str:
    return (f"level {state['index']} lies in {interval(state)}{unit(results)}; "
            f"this run's E, {level(state['energy'], 6)}, does not")  # fmt: skip


def _one(results: Results, state: State, within: str) -> str:
    index, met = state["index"], "" if state["converged"] else "not "
    if is_empty(state):
        return f"certified: level {index} lies in {interval(state)}{unit(results)}, {met}{within}"
    if not holds(state):
        return f"certified: {_outside(results, state)}"
    if _wide(state):
        return (f"certified: level {index} lies in {interval(state)}{unit(results)}, as this run's E does; "
                f"{met}{within}")  # fmt: skip
    return f"certified: E_{index} = {certified(state)}{unit(results)}, {met}{within}"


def _unbounded(results: Results, states: Sequence[State], bounded: Sequence[State]) -> str:
    """Why there are no bounds, or none of some levels."""
    without = [state for state in states if state not in bounded]
    name = "no bounds" if all(state["upper"] is None for state in without) else "no bounds from below"
    name += f" of {listed([state['index'] for state in without])}" if bounded else ""
    places, sigma = results["certificate"].get("unresolved") or [], results["certificate"].get("sigma")
    energies = [state["energy_rayleigh"] if state["upper"] is None else state["upper"] for state in without]
    if places:
        return f"{name}: V is unresolved near {_places(places, results)}"
    activation = results["settings"].get("network", {}).get("activation")
    if activation in ROUGH:
        return f"{name}: psi' has jumps where {activation} has kinks, so that psi is not in the domain of H"
    if None in energies:
        return f"{name}: psi = 0 or not finite"
    if sigma is not None and max(energies) >= sigma:
        return f"{name}: <psi|H|psi> lies above the next level"
    return f"{name}: V or psi is steeper than the quadrature resolves"


def _places(places: Sequence[Sequence[float]], results: Results, most: int = 3) -> str:
    """Where V is unresolved: the middles of narrow stretches, the ends of wide ones."""
    left, right = results["walls"]
    words = [
        f"{(first + last) / 2:.6g}" if last - first < 0.01 * (right - left) else f"{first:.4g} to {last:.4g}"
        for first, last in places[:most]
    ]
    length = "" if results["units"]["length"] == "L" else f" {results['units']['length']}"
    more = f" and {len(places) - most} more places" if len(places) > most else ""
    return f"x = {', '.join(words)}{length}{more}"


def walls(results: Results) -> list[str]:
    """Which levels feel a wall that the user gave, and by how much it raises them.

    From `wall_shift` of a state, an estimate, and `free_at_wall`, where E is above V at such a wall.
    """
    shifts = {state["index"]: state.get("wall_shift") for state in results["states"] if not is_empty(state)}
    free = {state["index"]: state.get("free_at_wall") for state in results["states"]}
    boxed = [index for index, shift in shifts.items() if free[index] or shift == "box"]
    moved = {index: shift for index, shift in shifts.items() if isinstance(shift, (int, float)) and shift}
    lines = []
    if boxed:
        lines.append(f"a wall as given cuts psi where E is above V: {listed(boxed)} "
                     f"belong{'s' if len(boxed) == 1 else ''} to the box{_further_out(results, boxed)}")  # fmt: skip
    if moved:
        each = [f"level {index} by about {abs(shift):.0e}{unit(results)}" for index, shift in moved.items()]
        more = f" and {len(each) - SHOWN} more levels" if len(each) > SHOWN else ""
        lines.append(f"a wall as given raises {', '.join(each[:SHOWN])}{more} (estimates)")
    return lines


def interpolation(results: Results) -> str | None:
    """What leaving out every second row of a table does to its levels, in a line; else None."""
    shifts = results["certificate"].get("interpolation_shift")
    if not shifts:
        return None
    each = [f"{number(abs(shift))} (level {state['index']})"
            for state, shift in zip(results["states"], shifts, strict=True)]  # fmt: skip
    more = f" and {len(each) - SHOWN} more" if len(each) > SHOWN else ""
    return (f"V between the rows of the table is an assumption; without every second row E changes by about "
            f"{', '.join(each[:SHOWN])}{more}{unit(results)}")  # fmt: skip


def _further_out(results: Results, indices: Sequence[int]) -> str:
    """By how much levels of the box would fall in a wider one, where that is known: psi'^2 / m at the walls."""
    left, right = results["walls"]
    falls = {state["index"]: state.get("wall_slope") for state in results["states"]}
    each = [f"{0.01 * (right - left) * falls[index]:.0e}" for index in indices if falls[index]]
    if not each:
        return ""
    shown = f"{', '.join(each[:SHOWN])}{', ...' if len(each) > SHOWN else ''}{unit(results)}"
    return f"; with walls further out by 1 % of it E falls by about {shown}"


def left_out(results: Results) -> str | None:
    """That states=all leaves out a level that is bound too weakly for walls."""
    binding = results["certificate"].get("left_out")
    if binding is None:
        return None
    return f"one more level is bound, by less than {binding:.0e}{unit(results)}, and left out: too wide for a box"


# ----------------------------------------------------------------------------------------------------------- seconds


def spent(results: Results) -> str:
    """Every phase that took more than 0.05 s, and the total."""
    seconds = results["seconds"]
    phases = [f"{name} {value:.1f}" for name, value in seconds.items() if name != "total" and value > 0.05]
    return "seconds: " + ", ".join([*phases, f"total {seconds['total']:.1f}"])


def duration(seconds: float) -> str:
    """Seconds, or milliseconds where it is short, with their unit."""
    return f"{seconds:.3g} s" if seconds >= 0.1 else f"{1e3 * seconds:.2g} ms"


UNITS = {
    "cm^-1": r"cm$^{-1}$", "angstrom": "Å", "um": "µm", "L": "$L$", "ħ²/2mL²": r"$(\hbar^2/2mL^2)$",
    "2mL^2/hbar": r"$(2mL^2/\hbar)$", "hbar/hartree": r"$(\hbar/\mathrm{hartree})$",
}  # fmt: skip
"""Units as they stand in figures, where every sign can be drawn; a terminal has their plain names."""


def drawn(name: str) -> str:
    """A unit as it stands in a figure."""
    return UNITS.get(name, name)


def divided(name: str) -> str:
    """A unit as it stands behind the stroke of a label of an axis."""
    unit = drawn(name)
    return f"({unit})" if "/" in unit and "$" not in unit else unit


def signs(text: str) -> str:
    """A unit, or what is said with one, as it stands on a page, which has these signs and sets no formulas."""
    for plain, sign in (("^-1", "⁻¹"), ("^-2", "⁻²"), ("^2", "²"), ("angstrom", "Å"), (" um", " µm")):
        text = text.replace(plain, sign)
    return text


def trained_in(results: Results) -> float:
    """Seconds that the network took, compiling included, and whatever processes took that were interrupted."""
    return float(sum(results["seconds"].get(phase, 0.0) for phase in ("compile", "train", "solve", "earlier")))


def fastest_classical(results: Results) -> str | None:
    """The fastest classical method that was as good as the network, or within tol, in less time; None without errors.

    Compared by the error of E, or by that of psi where E was given.
    """
    state = results["states"][-1]
    key = "relative_l2_psi" if is_fixed(results) else "relative_error_energy"
    tol = certify.TOLERANCE if results["certificate"]["tol"] is None else results["certificate"]["tol"]
    rows = [row for row in results["comparison"] if row[key] is not None]
    if not rows:
        return None
    if state[key] is None and not is_empty(state):
        return None  # nobody knows how good the network is
    reached = math.inf if is_empty(state) else state[key]
    reached = max(reached, tol, 0.0 if is_fixed(results) else reference_error(results, state["index"]))
    time = trained_in(results)
    faster = [row for row in rows if row[key] <= reached and row["seconds"] < time]
    if not faster:
        return f"None of these classical methods was as accurate in less than the network's {duration(time)}"
    best = min(faster, key=lambda row: row["seconds"])
    what, reached_by = "E", error(results, state["index"], best[key]).removeprefix("<= ")
    if is_fixed(results):
        what, reached_by = "psi", number(best[key])
    return (f"In one dimension classical solvers win: {best['method']}, "
            f"{what} to {reached_by} in {duration(best['seconds'])}")  # fmt: skip


def packet_name(packet: Mapping[str, Any]) -> str:
    """A packet of evolve.json in a word or two."""
    if packet["name"] == "eigenstate":
        return f"level {packet['levels'][0]}"
    if packet["name"] == "superposition":
        return f"levels {listed(packet['levels'])}"
    return {"gaussian": "Gaussian packet"}.get(packet["name"], "packet")
