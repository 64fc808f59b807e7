"""A potential that is given by samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from qpinn.checks import LIMIT, one_of
from qpinn.physics import tables
from qpinn.physics.potentials import splines
from qpinn.physics.potentials import tails as beyond
from qpinn.physics.potentials.base import MOST_KINKS, builder, walls
from qpinn.physics.potentials.piecewise import Sampled
from qpinn.physics.tables import Column, Table

MOST_ROWS = 20_000
"""Rows of which all are used; a table with more of them is thinned."""

COLUMNS = {
    "x": Column("length", ("r", "z", "q", "position", "distance", "radius", "coordinate", "angle", "theta", "phi")),
    "V": Column("energy", ("E", "U", "energy", "potential", "pot", "potential energy", "Epot", "v_x")),
}
"""Positions and energies in a file."""


@builder
def sampled(
    file: str | os.PathLike[str] | None = None, interpolation: str = "linear",
    columns: Sequence[str | int] | None = None, x: Any = None, V: Any = None,  # noqa: N803  (its name in physics)
    tails: Sequence[str] = ("wall", "wall"), limit: float | None = None, c6: float | None = None,
) -> Sampled:  # fmt: skip
    """V from a table of positions and energies: a file of text, npy or npz (`qpinn.physics.tables`), or two arrays.

    interpolation  linear: straight lines, whose corners are breakpoints; cubic: a spline with continuous V'',
                   quintic: with a continuous fourth derivative (both not-a-knot), for smooth data
    columns        names or numbers (from 1) of the two columns, where their names do not tell
    x, V           arrays (n,), in the place of a file
    tails          how V goes on to the left and to the right of the table (`qpinn.physics.potentials.tails`): wall,
                   constant, exponential, C6, parabola
    limit, c6      of the tails, in the units of the table

    Rows are sorted by position. More than 20000 are thinned (`qpinn.physics.potentials.splines.thinned`). Where a
    position has two values V jumps, from the first to the second. Units in the header, as in `R (angstrom), E [cm-1]`,
    are converted into those that are chosen.

    Raises ValueError, naming the file and the row, for a table that is no function of the position.
    """
    one_of("potential.interpolation", interpolation, splines.LEAST)
    laws = beyond.checked(tails, limit, c6)
    if x is None and V is None:
        path = tables.path_of(file, "with columns of positions and of V, or potential.x and potential.V must be given")
        what, table = f"potential.file={path}", tables.read(path, COLUMNS, columns)
    else:
        path, what, table = "", "potential.x, V", _of_arrays(file, x, V)
    x, v, sections, order = _sorted(table, what)
    least, rows_read = splines.LEAST[interpolation], len(x)
    if min(map(len, sections)) < least:
        count, where = min(map(len, sections)), "" if len(sections) == 1 else " between two jumps"
        rows = f"{count} row{'' if count == 1 else 's'}{where}"
        raise ValueError(f"{what}: has {rows}; {interpolation} needs at least {least}")
    walls((float(x[0]), float(x[-1])))
    if len(x) > MOST_ROWS:
        keep, off = splines.thinned(x, v, sections, interpolation, MOST_ROWS)
        order.append(f"thinned to {keep.sum()} of them, from whose spline the others are at most {off:.1e} of the "
                     "depth of V or of their height away")  # fmt: skip
        place = np.cumsum(keep) - 1
        x, v, sections = x[keep], v[keep], [place[rows[keep[rows]]] for rows in sections]
    coefficients = np.concatenate([splines.pieces(x[rows], v[rows], interpolation) for rows in sections], axis=1)
    knots, jumps = np.unique(x), np.cumsum([len(rows) - 1 for rows in sections])[:-1]
    slope = coefficients[0]
    corners = np.abs(np.diff(slope)) > 1e-9 * max(float(np.abs(slope).max()), 1e-300)
    bends = sorted({*(1 + np.flatnonzero(corners if interpolation == "linear" else [])), *jumps})
    if len(bends) > MOST_KINKS:
        advice = "; potential.interpolation=cubic has none" if interpolation == "linear" else ""
        raise ValueError(
            f"{what}: {interpolation} pieces through {len(x)} rows have {len(bends)} corners and jumps, "
            f"at most {MOST_KINKS}{advice}"
        )
    read = ", ".join([
        f"{rows_read} rows of {' and '.join(table.names.values())}", f"from {x[0]:g} to {x[-1]:g}", *order,
        *([f"jumps at {', '.join(f'{at:g}' for at in knots[jumps])}"] if len(jumps) else []), interpolation,
    ])  # fmt: skip
    built = Sampled(
        knots=knots, coefficients=coefficients, file=path, interpolation=interpolation, bends=tuple(map(int, bends)),
        jumps=tuple(map(int, jumps)), given=table.given, read=read,
    )  # fmt: skip
    return built if laws == ("wall", "wall") else beyond.added(built, laws, limit, c6)


def _of_arrays(file: Any, x: Any, v: Any) -> Table:
    """Two arrays as the table of a file."""
    if file is not None:
        raise ValueError(f"potential.file={file}: and potential.x, V; give one of the two")
    values = {}
    for key, array in (("x", x), ("V", v)):
        try:
            value = np.asarray(array)
            value = np.asarray(value, None if np.iscomplexobj(value) else np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"potential.{key}={array}: must be numbers, one for each position") from None
        if np.iscomplexobj(value):
            raise ValueError(f"potential.{key}: has complex numbers; must be real")
        if value.ndim != 1:
            raise ValueError(f"potential.{key}: has the shape {list(value.shape)}; must be one row of numbers")
        bad = np.flatnonzero(~(np.abs(value) <= LIMIT))
        if bad.size:
            raise ValueError(f"potential.{key}: number {bad[0] + 1}={value[bad[0]]:g}: must be within +-{LIMIT:g}")
        values[key] = value
    count, other = map(len, values.values())
    if count != other or not count:
        raise ValueError(f"potential.x, V: have {count} and {other} numbers; must have as many")
    return Table(values=values, names={"x": "x", "V": "V"}, rows=list(range(1, count + 1)), given=())


def _sorted(table: Table, what: str) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[str]]:
    """Positions and values (n,) in order, the indices of each section between jumps, and what was done to the order."""
    x, v = table.values.values()
    rows, said, in_order = np.asarray(table.rows), [], True
    steps = np.diff(x)
    if len(x) > 1 and (steps <= 0).all() and (steps < 0).any():
        x, v, rows, said = x[::-1], v[::-1], rows[::-1], ["descending, turned round"]
    elif (steps < 0).any():
        order = np.argsort(x, kind="stable")
        x, v, rows, said, in_order = x[order], v[order], rows[order], ["sorted"], False
    again = np.flatnonzero(np.diff(x) == 0)
    same = again[v[again] == v[again + 1]]
    if same.size:
        kept = np.setdiff1d(np.arange(len(x)), same)
        x, v, rows = x[kept], v[kept], rows[kept]
        said.append(f"{same.size} given twice")
        again = np.flatnonzero(np.diff(x) == 0)
    if again.size and not in_order:
        at = again[0]
        raise ValueError(
            f"{what}: row {rows[at + 1]}, position {x[at]:g}: has two values of V, which is a jump only where the rows "
            "are in order"
        )
    thrice = np.flatnonzero(np.diff(again) == 1)
    if thrice.size:
        at = again[thrice[0]]
        raise ValueError(f"{what}: row {rows[at + 2]}, position {x[at]:g}: has more than two values of V")
    if again.size and (again[0] == 0 or again[-1] == len(x) - 2):
        at = again[0] if again[0] == 0 else again[-1]
        raise ValueError(f"{what}: row {rows[at + 1]}, position {x[at]:g}: has two values of V at a wall")
    return x, v, np.split(np.arange(len(x)), again + 1), said
