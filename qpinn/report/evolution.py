"""What an evolve.json says, in words: the equation, the packet, a table over t, and what the bound carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qpinn.report import tables, words

ROWS = 5
"""Of the table, where only the first and the last time were given; and at most MOST of them."""
MOST = 9

LISTED = 12
"""Numbers of a list that are shown: a table of V is in the configuration, or in its file."""

Content = Mapping[str, Any]


def equation(content: Content) -> str:
    """The equation with its units and the numbers of the potential."""
    units, potential = content["units"], dict(content["potential"])
    name = potential.pop("name")
    potential |= potential.pop("parameters", {})
    read = potential.pop("read", None)
    drive = "" if content["drive"] is None else " + f(t) W"
    if units["length"] == "L":
        said = f"i psi_t = -psi'' + (V{drive}) psi" if drive else "i psi_t = -psi'' + V psi"
    else:
        h = "B psi''" if units["length"] == "rad" else "(hbar^2 / 2 m) psi''"
        v = f"(V{drive})" if drive else "V"
        said = f"i hbar psi_t = -{h} + {v} psi in {units['length']}, {units['energy']} and {units['time']}"
    numbers = [f"{key} {_shown(value)}" for key, value in potential.items()
               if value not in ("", [], None) and not (isinstance(value, list) and len(value) > LISTED)]  # fmt: skip
    return ", ".join([f"{name}: {said}", *numbers, *([read] if read else [])])


def most(value: float) -> str:
    """One digit that a number > 0 does not exceed."""
    return words.at_most(value).removeprefix("<= ")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def packet(content: Content) -> list[str]:
    """The packet, its drive, and where it is held."""
    given = dict(content["packet"])
    name = given.pop("name")
    numbers = ", ".join(f"{key} {_shown(value)}" for key, value in given.items() if value is not None)
    left, right = content["walls"]
    beyond = content["beyond"]
    lost = ""
    if beyond is not None:
        lost = f"; {most(beyond)} of it lies beyond the ends" if beyond > 1e-16 else ""
        lost += ", cut off and normalised" if beyond > 1e-12 else ""
    lines = [f"{name} packet: {numbers}{lost}" if numbers else f"{name} packet{lost}"]
    if content["drive"] is not None:
        lines.append(f"driven by {content['drive']['label']}")
    both = list(zip(content["ends"], (left, right), content["chosen"], strict=True))
    sides = [f"x = {place:.6g}" for _, place, put in both if put]
    kinds = [f"{kind} at {place:.6g}" for kind, place, put in both if not put]
    if sides:
        how = "; what lies beyond is in the bound, which" if trained(content) else ", beyond what it reaches; the bound"
        lines.append(f"where no wall is given psi is made to end at {' and '.join(sides)}{how} holds on the whole line")
    if kinds:
        lines.append(", ".join(kinds))
    return lines


def rows_of(content: Content) -> list[int]:
    """Indices of the times that the table has: those that were asked for, or a few of them all."""
    t = np.asarray(content["series"]["t"])
    asked = np.asarray(content["asked"])
    times = asked if len(asked) > 2 else np.linspace(t[0], t[-1], ROWS)
    if len(times) > MOST:
        times = times[np.unique(np.linspace(0, len(times) - 1, MOST).round().astype(int))]
    return [int(np.argmin(np.abs(t - time))) for time in times]


def table(content: Content) -> tuple[list[str], list[list[str]]]:
    """Header and rows over t."""
    units, place = content["units"], f"{content['divide']:.4g}"
    time, length = ("", "") if units["length"] == "L" else (f" ({units['time']})", f" ({units['length']})")
    header = [
        f"t{time}",
        "bound",
        "error" if trained(content) else "estimate",
        "norm - 1",
        f"<x>{length}",
        f"P(x < {place})",
        f"P(x > {place})",
    ]
    series = {name: [np.nan if value is None else value for value in values] for name, values in
              content["series"].items()}  # fmt: skip
    rows = []
    for k in rows_of(content):
        at = {name: float(values[k]) for name, values in series.items()}
        rows.append([
            f"{at['t']:.6g}", _most(at["bound"]), number(at["estimate"]), f"{at['norm'] - 1:.0e}",
            known(at["position"], at["position_bound"]), known(at["left"], at["left_bound"]),
            known(at["right"], at["right_bound"]),
        ])  # fmt: skip
    return header, rows


def known(value: float, bound: float) -> str:
    """A number and how far it is known; six digits where there is no bound."""
    return f"{value:.6f} +- {most(max(bound, 1e-300))}" if np.isfinite(bound) else f"{value:.6g}"


def trained(content: Content) -> bool:
    """Whether psi is one network that was trained, and is compared with the default route."""
    return "route" in content


def status(content: Content) -> list[str]:
    """Whether the tolerance is met, and if not, what can be had; of a training, how far it is from the default
    route."""
    end, units = content["series"]["t"][-1], content["units"]
    unit = "" if units["length"] == "L" else f" {units['time']}"
    if trained(content):
        return _status_of_training(content, f"t = {end:g}{unit}")
    work = (f"{words.counted(content['states'], 'state')} on {words.counted(content['segments'], 'segment')}, "
            f"{words.counted(content['rounds'], 'basis').replace('basiss', 'bases')}, "
            f"{sum(value for key, value in content['seconds'].items() if key != 'total'):.1f} s")  # fmt: skip
    bound = most(content["bound"])
    if content["converged"]:
        return [f"converged: |psi - exact| is at most {bound} at t = {end:g}{unit} (tol {content['tol']:g}); {work}"]
    held = content["held"]
    until = "holds at no time" if held is None or not np.isfinite(held) else f"holds until t = {held:.4g}{unit}"
    carried = f"at t = {end:g}{unit} the bound carries tol={bound} at best"
    return [f"not converged: {carried}; tol={content['tol']:g} {until}", work]


def _status_of_training(content: Content, at: str) -> list[str]:
    known, spent = content["exact"], dict(content["seconds"])
    apart = f"the error is not known: the default route ends with {content['unknown']}"
    if known is not None:
        apart = (f"error {number(content['estimate'])} at {at}, against the default route ({known['states']} states, "
                 f"known to {_most(known['bound'])}, {known['seconds']:.1f} s)")  # fmt: skip
        spent.pop("exact", None)
    spent.pop("total", None)
    taken = f"{content['steps']} steps of {content['parameters']} parameters, loss {number(content['loss'])}"
    bad = "; then it was not finite" if content["status"] == "non-finite" else ""
    return [apart, f"bound {_most(content['bound'])}, by the residual of the network itself",
            f"{content['route']['label']}: {taken}{bad}; {sum(spent.values()):.1f} s"]  # fmt: skip


def number(value: float | None) -> str:
    """Two digits; "-" for what is none, which JSON has as null."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.1e}"


def _most(value: float | None) -> str:
    return "-" if value is None or not 0 < value < np.inf else most(value)


def through(content: Content) -> list[str]:
    """What should get through in the end, if that was asked for."""
    if content.get("through") is None:
        return []
    found = content["through"]
    return [f"average of T(E) over the waves of psi0: {known(found['value'], found['bound'])} get through to the "
            f"{found['side']} in the end"]  # fmt: skip


def report(content: Content) -> str:
    """Table and status."""
    lines = "\n".join(f"  {line}" for line in [*through(content), *status(content)])
    return f"{tables.plain(*table(content), left=0)}\n\n{lines}"


def heading(content: Content) -> str:
    """What is solved, in lines."""
    return "\n".join([tables.wrapped(equation(content)).strip(), *packet(content)])
