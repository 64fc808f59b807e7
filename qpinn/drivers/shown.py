"""A Solution, Bands or a Variation as a session shows it: a few lines of text, or a small table for a notebook."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from typing import Any, NamedTuple

from qpinn.drivers.eigenstates import describe_route
from qpinn.physics.potentials import describe
from qpinn.report import bands, scattering, tables, variation, words
from qpinn.runs import bands as band_files
from qpinn.runs import scattering as scattering_files
from qpinn.runs import variation as variation_files

LEVELS = 8
"""Levels that are shown."""


class Shown(NamedTuple):
    """Lines on what was solved, head and rows of a table of levels, and lines with what else is to be said of them."""

    heads: list[str]
    header: list[str]
    rows: list[list[str]]
    remarks: list[str]


def text(shown: Shown) -> str:
    """A few lines: at most twelve of a solution."""
    heads, header, rows, remarks = shown
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    return "\n".join([*heads, *(f"  {line.rstrip()}" for line in [*lines, *remarks])])


def table(shown: Shown) -> str:
    """The same as HTML, in the colours of the page that it is put into."""
    heads, header, rows, remarks = shown

    def row(cells: list[str], tag: str) -> str:
        return (
            "<tr>" + "".join(f'<{tag} style="text-align:left">{html.escape(cell)}</{tag}>' for cell in cells) + "</tr>"
        )

    body = "".join(row(cells, "td") for cells in rows)
    above, below = ("".join(f"<div>{html.escape(line)}</div>" for line in lines) for lines in (heads, remarks))
    return f"<div>{above}<table><thead>{row(header, 'th')}</thead><tbody>{body}</tbody></table>{below}</div>"


def of_solution(solution: Any) -> Shown:
    """Potential and route, and every level with its bound."""
    states = [dataclasses.asdict(state) for state in solution.measured]
    units = solution.units
    shift = solution.interpolation_shift
    results: dict[str, Any] = {
        "units": {"length": units.length, "energy": units.energy}, "states": states,
        "walls": list(map(float, solution.plan.potential.domain)),
        "certificate": {"tol": solution.settings.tol, "interpolation_shift": None if shift is None else shift.tolist()},
    }  # fmt: skip
    remarks = [line for line in (*words.walls(results), words.interpolation(results)) if line]
    count = LEVELS - len(remarks)
    within = f"within {words.tolerance(results)}"
    rows = [
        [str(state["index"]), "-" if words.is_empty(state) else words.certified(state),
         "yes" if state["converged"] and words.holds(state) else "no",
         "-" if words.is_empty(state) else str(state["node_count"])]
        for state in states[:count]
    ]  # fmt: skip
    if len(states) > count:
        met = sum(state["converged"] and words.holds(state) for state in states)
        remarks.insert(0, f"... and {len(states) - count} more; {met} of {len(states)} levels {within}")
    seconds = sum(solution.seconds.values())
    ended = "" if solution.status == "finished" else f"; {solution.status}"
    heads = [f"Solution of {_potential(solution.potential)}",
             f"{describe_route(solution.settings)['label']}; {seconds:.1f} s{ended}"]  # fmt: skip
    return Shown(heads, ["n", tables.with_unit("E", results["units"], "energy"), within, "nodes"], rows, remarks)


def of_bands(found: Any) -> Shown:
    """The edges of every band, as the script shows them."""
    content = band_files.summary(found)
    heads = [f"Bands of {_potential(found.given)}", f"{len(found.theta)} phases from 0 to pi"]
    return Shown(heads, *_first(*bands.edges(content)), [bands.bounded(content).strip()])


def of_variation(found: Any) -> Shown:
    """Every level at the ends of the range, as the script shows them."""
    content = variation_files.summary(found, len(found.values))
    unit = f" {content['unit']}" if content["unit"] else ""
    first, last = found.values[[0, -1]]
    over = f"over {variation.number(content)} from {first:g} to {last:g}{unit}, {len(found.values)} points"
    heads = [f"Levels of {content['potential']['name']} {over}"]
    return Shown(heads, *_first(*variation.ends(content)), [line.strip() for line in variation.said(content)])


def _first(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """A table with a row that says how many are left out, if there are too many."""
    left_out = len(rows) - LEVELS
    more = [["...", f"and {left_out} more", *[""] * (len(header) - 2)]]
    return header, rows[:LEVELS] + more if left_out > 0 else rows


def deltas(pairs: Sequence[Sequence[float]]) -> str:
    """Dirac deltas beside those of a potential, pairs (d, 2) of position and strength; many by their number."""
    listed = ", ".join(f"[{place:g}, {strength:g}]" for place, strength in pairs)
    return f"deltas [{listed}]" if len(pairs) <= 4 else f"{len(pairs)} deltas"


def _potential(potential: Any) -> str:
    """Name and numbers of a potential."""
    numbers = describe(potential)
    name = numbers.pop("name")
    numbers |= numbers.pop("parameters", {})
    if "read" in numbers:  # which says all that is to be said of a table
        numbers = {"file": numbers.get("file", ""), "": numbers["read"]}
    numbers.update(zip(("left", "right"), map(float, potential.domain), strict=True))
    shown = [f"{len(potential.masses)} layers"] if hasattr(potential, "masses") else []
    for key, value in numbers.items():
        if isinstance(value, float):
            shown.append(f"{key} {value:.6g}")
        elif key == "deltas":
            shown.append(deltas(value))
        elif not isinstance(value, list) and value != "":
            shown.append(f"{key} {value}".strip())
    return ", ".join([name, *shown])


def of_scattering(scattered: Any) -> Shown:
    """T and R at some energies and where T has its peaks, and how wide the bounds are."""
    content = scattering_files.summary(scattered)
    name = content["potential"]["name"].replace("_", " ")
    count = len(content["energies"])
    head = f"{name}: waves from the left at {count} energ{'y' if count == 1 else 'ies'}"
    return Shown([head], *scattering.rows(content), scattering.bounded(content))
