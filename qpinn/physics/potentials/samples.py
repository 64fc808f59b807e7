"""A potential that is given by samples."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from qpinn.checks import LIMIT
from qpinn.physics import tables
from qpinn.physics.potentials.arrays import OfArrays, entries, piece_of
from qpinn.physics.potentials.base import MOST_KINKS, Number, builder, walls
from qpinn.physics.tables import Column, Given, Table

MOST_ROWS = 20_000
"""Knots of a spline that a reference can take as well."""

BLOCK = 64
"""Splines that are computed at a time."""


COLUMNS = {
    "x": Column("length", ("r", "z", "q", "position", "distance", "radius", "coordinate", "angle", "theta", "phi")),
    "V": Column("energy", ("E", "U", "energy", "potential", "pot", "potential energy", "Epot", "v_x")),
}
"""Positions and energies in a file."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Sampled(OfArrays):
    """V from samples, between walls at the first and the last of them.

    Piece j, x from knots[j], is sum_p coefficients[p, j] (x - knots[j])^(P - p), P = 1 (linear) or 3 (cubic spline).
    `bends` are the indices of the knots that are breakpoints; at those of `jumps` V has two samples, and jumps. `given`
    are the units of the file, `read` says what was read of it.
    """

    knots: Any
    coefficients: Any
    file: str = dataclasses.field(metadata={"static": True})
    interpolation: str = dataclasses.field(metadata={"static": True})
    bends: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    jumps: tuple[int, ...] = dataclasses.field(default=(), metadata={"static": True})
    given: Given = dataclasses.field(default=(), metadata={"static": True, "hidden": True})
    read: str = dataclasses.field(default="", metadata={"static": True})
    name: ClassVar[str] = "sampled"
    energies: ClassVar[dict[str, float]] = {"coefficients": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.knots[0], self.knots[-1]

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return entries(self.knots[np.array(self.bends, np.intp)])

    @property
    def seams(self) -> Float[np.ndarray, "seams"]:
        """Where one polynomial ends and the next begins."""
        return np.asarray(self.knots, np.float64)

    def times(self, length: float = 1.0, energy: float = 1.0, **_: float) -> Sampled:
        """The same with its numbers in other units."""
        powers = np.arange(len(self.coefficients))[::-1, None]
        coefficients = self.coefficients * energy / length**powers
        return dataclasses.replace(self, knots=self.knots * length, coefficients=coefficients, given=())

    def enclose(
        self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """The least and the largest V on cells from `left` to `right` (n,): at their ends, at knots and between."""
        first, last = piece_of(self.seams, left), piece_of(self.seams, np.nextafter(right, left))
        least, most = self._extremes(first, left, np.minimum(right, self.seams[first + 1]))
        last_least, last_most = self._extremes(last, np.maximum(left, self.seams[last]), right)
        least, most = np.minimum(least, last_least), np.maximum(most, last_most)
        whole = self._extremes(np.arange(len(self.knots) - 1), self.seams[:-1], self.seams[1:])
        for cell in np.flatnonzero(last - first > 1):  # pieces that lie in a cell as a whole
            between = slice(first[cell] + 1, last[cell])
            least[cell] = min(least[cell], whole[0][between].min())
            most[cell] = max(most[cell], whole[1][between].max())
        blur = 8 * np.finfo(float).eps * np.maximum(np.abs(least), np.abs(most))
        return least - blur, most + blur

    def stray(self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"], degree: Any) -> Float[np.ndarray, "n"]:
        """How far V is from its Chebyshev interpolant of `degree` (n,) on panels; 0 within one piece.

        On a piece the difference is a polynomial, which at 2 m Chebyshev nodes is at least 1 / sqrt(2) of its largest
        (Ehlich and Zeller, Math. Z. 86 (1964) 41).
        """
        first, last = piece_of(self.seams, left), piece_of(self.seams, np.nextafter(right, left))
        degrees = np.broadcast_to(degree, left.shape)
        low, high = self.enclose(left, right)
        off = (high - low) / 2
        for panel in range(len(left)):
            m = int(degrees[panel])
            if first[panel] == last[panel] and m >= len(self.coefficients) - 1:
                off[panel] = 0.0
            elif m > 0:
                off[panel] = min(off[panel], self._off_interpolant(left[panel], right[panel], m))
        return off

    def _off_interpolant(self, left: float, right: float, degree: int) -> float:
        middle, half = (left + right) / 2, (right - left) / 2
        coefficients = np.polynomial.chebyshev.chebinterpolate(lambda t: self.at((middle + half * t)[:, None]), degree)
        inner = self.seams[(self.seams > left) & (self.seams < right)]
        ends = np.concatenate([[left], inner, [right]])
        nodes = np.cos(np.pi * (np.arange(2 * degree) + 0.5) / (2 * degree))
        x = (ends[:-1, None] + np.diff(ends)[:, None] * (1 + nodes) / 2).ravel()
        v = self.at(x[:, None])
        off = np.abs(v - np.polynomial.chebyshev.chebval((x - middle) / half, coefficients)).max()
        return float(np.sqrt(2) * max(off - 64 * np.finfo(float).eps * np.abs(v).max(), 0.0))

    def mirrors(self) -> bool:
        """Whether V is even about the middle of its walls: cubics that agree at four positions are the same."""
        knots = self.seams
        center, slack = (knots[0] + knots[-1]) / 2, 8 * np.finfo(float).eps * np.abs(knots[[0, -1]]).max()
        if np.abs(knots + knots[::-1] - 2 * center).max() > 2 * slack:
            return False
        x = knots[:-1, None] + np.diff(knots)[:, None] * np.array([0.1, 0.4, 0.6, 0.9])
        v, reflected = self.at(x[..., None]), self.at((2 * center - x)[..., None])
        return bool(np.abs(v - reflected).max() <= 1e-12 * np.abs(v).max())

    def by_key(self, by_field: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Derivatives (..., n) with respect to the samples V, from those with respect to the coefficients.

        V is linear in its samples: what is asked for is the derivative along the interpolants of 1 at one of them, 0 at
        all others, a block of them at a time.
        """
        from scipy import interpolate

        blocks = []
        ends = [0, *self.jumps, len(self.seams) - 1]
        for begin, end in pairwise(ends):  # between jumps
            of, knots = by_field["coefficients"][..., begin:end], self.seams[begin : end + 1]
            if len(self.coefficients) == 2:
                per_step = of[..., 0, :] / np.diff(knots)
                none = np.zeros((*of.shape[:-2], 1))
                value = np.concatenate([of[..., 1, :] - per_step, none], axis=-1)
                blocks.append(value + np.concatenate([none, per_step], axis=-1))
                continue
            for first in range(0, len(knots), BLOCK):
                unit = np.eye(len(knots), min(BLOCK, len(knots) - first), -first)
                blocks.append(np.tensordot(of, interpolate.CubicSpline(knots, unit).c, 2))
        return {"V": np.concatenate(blocks, axis=-1)}

    def _extremes(self, piece: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The extremes of the polynomials `piece` (n,) between `left` and `right`, which lie in their pieces."""
        terms = np.asarray(self.coefficients)[:, piece]
        size = np.maximum(right - left, 0.0)
        places = [left - self.seams[piece], left - self.seams[piece] + size]
        if len(terms) == 4:  # zeros of the slope 3 a s^2 + 2 b s + c, written without loss of digits
            a, b, c = 3 * terms[0], terms[1], terms[2]
            root = np.sqrt(np.maximum(b * b - a * c, 0.0))
            sum_ = -(b + np.where(b < 0, -root, root))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                places += [np.clip(np.nan_to_num(at, nan=0.0), places[0], places[1]) for at in (sum_ / a, c / sum_)]
        values = []
        for step in places:
            value = terms[0]
            for term in terms[1:]:
                value = value * step + term
            values.append(value)
        return np.minimum.reduce(values), np.maximum.reduce(values)

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        knots, coefficients = namespace.asarray(self.knots), namespace.asarray(self.coefficients)
        piece = namespace.clip(namespace.searchsorted(knots, x[..., 0], side="right") - 1, 0, len(self.knots) - 2)
        step = x[..., 0] - knots[piece]
        value = coefficients[0, piece]
        for row in range(1, len(self.coefficients)):
            value = value * step + coefficients[row, piece]
        return value


@builder
def sampled(
    file: str | os.PathLike[str] | None = None, interpolation: str = "linear",
    columns: Sequence[str | int] | None = None, x: Any = None, V: Any = None,  # noqa: N803  (its name in physics)
) -> Sampled:  # fmt: skip
    """V from a table of positions and energies: a file of text, npy or npz (`qpinn.physics.tables`), or two arrays.

    interpolation  linear: straight lines, whose corners are breakpoints; cubic: a spline with continuous V''
                   (not-a-knot), for smooth data
    columns        names or numbers (from 1) of the two columns, where their names do not tell
    x, V           arrays (n,), in the place of a file

    Rows are sorted by position. Where a position has two values V jumps, from the first to the second. Units in the
    header, as in `R (angstrom), E [cm-1]`, are converted into those that are chosen.

    Raises ValueError, naming the file and the row, for a table that is no function of the position.
    """
    if interpolation not in ("linear", "cubic"):
        raise ValueError(f"potential.interpolation={interpolation}: unknown; allowed: linear, cubic")
    if x is None and V is None:
        path = tables.path_of(file, "with columns of positions and of V, or potential.x and potential.V must be given")
        what, table = f"potential.file={path}", tables.read(path, COLUMNS, columns)
    else:
        path, what, table = "", "potential.x, V", _of_arrays(file, x, V)
    x, v, sections, order = _sorted(table, what)
    if len(x) > MOST_ROWS:
        raise ValueError(f"{what}: has {len(x)} rows; at most {MOST_ROWS}")
    least = 2 if interpolation == "linear" else 4
    if min(map(len, sections)) < least:
        where = "rows" if len(sections) == 1 else "rows between two jumps"
        raise ValueError(f"{what}: has {min(map(len, sections))} {where}; {interpolation} needs at least {least}")
    walls((float(x[0]), float(x[-1])))
    coefficients = np.concatenate([_pieces(x[rows], v[rows], interpolation) for rows in sections], axis=1)
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
        f"{len(x)} rows of {' and '.join(table.names.values())}", f"from {x[0]:g} to {x[-1]:g}", *order,
        *([f"jumps at {', '.join(f'{at:g}' for at in knots[jumps])}"] if len(jumps) else []), interpolation,
    ])  # fmt: skip
    return Sampled(
        knots=knots, coefficients=coefficients, file=path, interpolation=interpolation, bends=tuple(map(int, bends)),
        jumps=tuple(map(int, jumps)), given=table.given, read=read,
    )  # fmt: skip


def _of_arrays(file: Any, x: Any, v: Any) -> Table:
    """Two arrays as the table of a file."""
    if file is not None:
        raise ValueError(f"potential.file={file}: and potential.x, V; give one of the two")
    values = {}
    for key, array in (("x", x), ("V", v)):
        try:
            value = np.asarray(array, np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"potential.{key}={array}: must be numbers, one for each position") from None
        if value.ndim != 1:
            raise ValueError(f"potential.{key}: has the shape {list(value.shape)}; must be one row of numbers")
        if not (np.abs(value) <= LIMIT).all():
            raise ValueError(f"potential.{key}: must be numbers within +-{LIMIT:g}")
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


def _pieces(x: np.ndarray, v: np.ndarray, interpolation: str) -> np.ndarray:
    """Coefficients (P + 1, pieces) between samples without a jump."""
    from scipy import interpolate

    if interpolation == "cubic":
        return np.asarray(interpolate.CubicSpline(x, v).c)
    return np.stack([np.diff(v) / np.diff(x), v[:-1]])
