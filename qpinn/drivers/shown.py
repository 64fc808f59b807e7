"""A Solution as a session shows it: a few lines of text, or a small table for a notebook."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from typing import Any

from qpinn.drivers.eigenstates import describe_route
from qpinn.physics.potentials import describe
from qpinn.report import tables, words

LEVELS = 8
"""Levels that are shown."""


def text(solution: Any) -> str:
    """Potential, route, and a line for each level; at most twelve lines."""
    heads, header, rows, more = _content(solution)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    return "\n".join([*heads, *(f"  {line.rstrip()}" for line in lines), *([f"  {more}"] if more else [])])


def table(solution: Any) -> str:
    """The same as HTML, in the colours of the page that it is put into."""
    heads, header, rows, more = _content(solution)

    def row(cells: list[str], tag: str) -> str:
        return (
            "<tr>" + "".join(f'<{tag} style="text-align:left">{html.escape(cell)}</{tag}>' for cell in cells) + "</tr>"
        )

    body = "".join(row(cells, "td") for cells in rows)
    paragraphs = [f"<div>{html.escape(line)}</div>" for line in heads]
    return "".join([
        "<div>", *paragraphs, f"<table><thead>{row(header, 'th')}</thead><tbody>{body}</tbody></table>",
        f"<div>{html.escape(more)}</div>" if more else "", "</div>",
    ])  # fmt: skip


def _content(solution: Any) -> tuple[list[str], list[str], list[list[str]], str]:
    """Two lines on what was solved and how, the head and the rows of the levels, and what is left out."""
    states = [dataclasses.asdict(state) for state in solution.measured]
    units = solution.units
    results = {"units": {"length": units.length, "energy": units.energy}, "certificate": {"tol": solution.settings.tol}}
    within = f"within {words.tolerance(results)}"
    rows = [
        [str(state["index"]), "-" if words.is_empty(state) else words.certified(state),
         "yes" if state["converged"] and words.holds(state) else "no",
         "-" if words.is_empty(state) else str(state["node_count"])]
        for state in states[:LEVELS]
    ]  # fmt: skip
    more = ""
    if len(states) > LEVELS:
        met = sum(state["converged"] and words.holds(state) for state in states)
        more = f"... and {len(states) - LEVELS} more; {met} of {len(states)} levels {within}"
    seconds = sum(solution.seconds.values())
    ended = "" if solution.status == "finished" else f"; {solution.status}"
    heads = [f"Solution of {_potential(solution.potential)}",
             f"{describe_route(solution.settings)['label']}; {seconds:.1f} s{ended}"]  # fmt: skip
    return heads, ["n", tables.with_unit("E", results["units"], "energy"), within, "nodes"], rows, more


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
