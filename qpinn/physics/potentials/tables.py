"""Potentials that are given as a table in a file: samples of V, or layers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from qpinn.checks import LIMIT, finite
from qpinn.physics import columns as tables
from qpinn.physics import units
from qpinn.physics.potentials.base import MOST_KINKS, Number, Potential, builder, walls

MOST_ROWS = 20_000
"""Knots of a spline that a reference can take as well."""

BLOCK = 64
"""Splines that are computed at a time."""


Given = tuple[tuple[str, str], ...]
"""Units of a file, by "length", "energy" and "mass"."""

POSITIONS = ("x", "r", "z", "q", "position", "distance", "radius", "coordinate", "angle", "theta", "phi")
ENERGIES = ("V", "E", "U", "energy", "potential", "pot", "potential energy", "Epot", "v_x", "V(x)", "V(r)", "E(r)")
"""What columns of positions and of V are called."""


class _Table(Potential):
    """Two potentials of arrays are the same if their numbers are, so that what is computed of one serves the other."""

    def _numbers(self) -> tuple[Any, ...]:
        return tuple(value.tobytes() if isinstance(value, np.ndarray) else value for value in vars(self).values())

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._numbers() == other._numbers()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._numbers())


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Sampled(_Table):
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
        return _entries(self.knots[np.array(self.bends, np.intp)])

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
        first, last = _piece_of(self.seams, left), _piece_of(self.seams, np.nextafter(right, left))
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
        first, last = _piece_of(self.seams, left), _piece_of(self.seams, np.nextafter(right, left))
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
        coefficients = np.polynomial.chebyshev.chebinterpolate(lambda t: self((middle + half * t)[:, None]), degree)
        inner = self.seams[(self.seams > left) & (self.seams < right)]
        ends = np.concatenate([[left], inner, [right]])
        nodes = np.cos(np.pi * (np.arange(2 * degree) + 0.5) / (2 * degree))
        x = (ends[:-1, None] + np.diff(ends)[:, None] * (1 + nodes) / 2).ravel()
        v = self(x[:, None])
        off = np.abs(v - np.polynomial.chebyshev.chebval((x - middle) / half, coefficients)).max()
        return float(np.sqrt(2) * max(off - 64 * np.finfo(float).eps * np.abs(v).max(), 0.0))

    def mirrors(self) -> bool:
        """Whether V is even about the middle of its walls: cubics that agree at four positions are the same."""
        knots = self.seams
        center, slack = (knots[0] + knots[-1]) / 2, 8 * np.finfo(float).eps * np.abs(knots[[0, -1]]).max()
        if np.abs(knots + knots[::-1] - 2 * center).max() > 2 * slack:
            return False
        x = knots[:-1, None] + np.diff(knots)[:, None] * np.array([0.1, 0.4, 0.6, 0.9])
        v, reflected = self(x[..., None]), self((2 * center - x)[..., None])
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

    def __call__(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        knots, coefficients = namespace.asarray(self.knots), namespace.asarray(self.coefficients)
        piece = namespace.clip(namespace.searchsorted(knots, x[..., 0], side="right") - 1, 0, len(self.knots) - 2)
        step = x[..., 0] - knots[piece]
        value = coefficients[0, piece]
        for row in range(1, len(self.coefficients)):
            value = value * step + coefficients[row, piece]
        return value


def _entries(values: Any) -> tuple[Number, ...]:
    """The entries of an array (n,): numbers on the host, tracers under jit."""
    return tuple(values.tolist()) if isinstance(values, np.ndarray) else tuple(values)


def _piece_of(knots: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The piece (n,) between two of `knots` that each of x (n,) lies in."""
    return np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)


@builder
def sampled(
    file: str | os.PathLike[str] | None = None, interpolation: str = "linear",
    columns: Sequence[str | int] | None = None, x: Any = None, V: Any = None,  # noqa: N803  (its name in physics)
) -> Sampled:  # fmt: skip
    """V from a table of positions and energies: a file of text, npy or npz (`qpinn.physics.columns`), or two arrays.

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
        path = _path(file, "with columns of positions and of V, or potential.x and potential.V must be given")
        what, table = f"potential.file={path}", tables.read(path, {"x": POSITIONS, "V": ENERGIES}, columns)
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
    coefficients = np.concatenate([_pieces(x_, v_, interpolation) for x_, v_ in _each(sections, x, v)], axis=1)
    knots = np.concatenate([x[section][int(n > 0) :] for n, section in enumerate(sections)])
    jumps = np.cumsum([len(section) - 1 for section in sections])[:-1]
    slope = coefficients[0]
    corners = np.abs(np.diff(slope)) > 1e-9 * max(float(np.abs(slope).max()), 1e-300)
    bends = sorted({*(1 + np.flatnonzero(corners if interpolation == "linear" else [])), *jumps})
    if len(bends) > MOST_KINKS:
        advice = "; potential.interpolation=cubic has none" if interpolation == "linear" else ""
        raise ValueError(
            f"{what}: {interpolation} pieces through {len(x)} rows have {len(bends)} corners and jumps, "
            f"at most {MOST_KINKS}{advice}"
        )
    given = _given(path, zip(("length", "energy"), table.units, table.names, strict=True))
    read = ", ".join([
        f"{len(x)} rows of {' and '.join(table.names)}", f"from {x[0]:g} to {x[-1]:g}", *order,
        *([f"jumps at {', '.join(f'{at:g}' for at in knots[jumps])}"] if len(jumps) else []), interpolation,
    ])  # fmt: skip
    return Sampled(knots=knots, coefficients=coefficients, file=path, interpolation=interpolation,
                   bends=tuple(map(int, bends)), jumps=tuple(map(int, jumps)), given=given, read=read)  # fmt: skip


def _of_arrays(file: Any, x: Any, v: Any) -> tables.Columns:
    """Two arrays as the table of a file."""
    if file is not None:
        raise ValueError(f"potential.file={file}: and potential.x, V; give one of the two")
    values = []
    for key, array in (("x", x), ("V", v)):
        try:
            value = np.asarray(array, np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"potential.{key}={array}: must be numbers, one for each position") from None
        if value.ndim != 1:
            raise ValueError(f"potential.{key}: has the shape {list(value.shape)}; must be one row of numbers")
        if not (np.abs(value) <= LIMIT).all():
            raise ValueError(f"potential.{key}: must be numbers within +-{LIMIT:g}")
        values.append(value)
    if len(values[0]) != len(values[1]) or not len(values[0]):
        raise ValueError(f"potential.x, V: have {len(values[0])} and {len(values[1])} numbers; must have as many")
    return tables.Columns(values, [None, None], ["x", "V"], list(range(1, len(values[0]) + 1)))


def _path(file: Any, what: str) -> str:
    """The path of a file as text."""
    if not isinstance(file, (str, os.PathLike)) or not os.fspath(file):
        raise ValueError(f"potential.file={'null' if file is None else file}: must be the path of a file {what}")
    return str(os.fspath(file))


def _sorted(table: tables.Columns, what: str) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[str]]:
    """Positions and values (n,) in order, the indices of each section between jumps, and what was done to the order."""
    x, v = table.values
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


def _each(sections: Sequence[np.ndarray], *arrays: np.ndarray) -> list[list[np.ndarray]]:
    return [[array[section] for array in arrays] for section in sections]


def _pieces(x: np.ndarray, v: np.ndarray, interpolation: str) -> np.ndarray:
    """Coefficients (P + 1, pieces) between samples without a jump."""
    from scipy import interpolate

    if interpolation == "cubic":
        return np.asarray(interpolate.CubicSpline(x, v).c)
    return np.stack([np.diff(v) / np.diff(x), v[:-1]])


def _given(file: str, columns: Any) -> Given:
    """The units of a file: of columns (kind, unit or None, name)."""
    allowed = {"length": units.LENGTHS, "energy": units.ENERGIES, "mass": units.MASSES}
    return tuple(
        (kind, units.named(f"potential.file={file}: unit of {name}", unit, allowed[kind]))
        for kind, unit, name in columns if unit
    )  # fmt: skip


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Layers(_Table):
    """Layers with a band offset V and an effective mass m each, between walls: H = -d/dx (1 / m) d/dx + V.

    edges (n + 1,) in nm from the left wall; offset (n,) in eV; masses (n,) in m_e. psi and psi' / m are continuous.
    """

    edges: Any
    offset: Any
    masses: Any
    file: str = dataclasses.field(metadata={"static": True})
    given: Given = dataclasses.field(default=(), metadata={"static": True, "hidden": True})
    name: ClassVar[str] = "layers"
    hard_walls: ClassVar[tuple[bool, bool]] = (True, True)
    energies: ClassVar[dict[str, float]] = {"offset": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.edges[0], self.edges[-1]

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return _entries(self.edges[1:-1])

    def times(self, length: float = 1.0, energy: float = 1.0, mass: float = 1.0) -> Layers:
        """The same with its numbers in other units."""
        return dataclasses.replace(self, edges=self.edges * length, offset=self.offset * energy,
                                   masses=self.masses * mass, given=())  # fmt: skip

    def by_key(self, by_field: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Derivatives with respect to thickness, offset and mass (..., n), and to edges (..., n + 1) one at a time.

        A layer that grows moves everything to the right of it.
        """
        edges = by_field["edges"]
        thickness = np.cumsum(edges[..., :0:-1], axis=-1)[..., ::-1]
        return {"thickness": thickness, "offset": by_field["offset"], "mass": by_field["masses"], "edges": edges}

    def enclose(
        self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """The offset on cells from `left` to `right` (n,), none of which holds the end of a layer."""
        value = np.asarray(self.offset, np.float64)[_piece_of(np.asarray(self.edges), (left + right) / 2)]
        return value, value

    def stray(self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"], degree: Any) -> Float[np.ndarray, "n"]:
        """0: V is constant in a layer."""
        return np.zeros(len(left))

    def _layer(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        inner = namespace.asarray(self.edges)[1:-1]
        return namespace.searchsorted(inner, x[..., 0], side="right")

    def __call__(self, x: Any) -> Any:
        return x.__array_namespace__().asarray(self.offset)[self._layer(x)]

    def mass(self, x: Any) -> Any:
        return x.__array_namespace__().asarray(self.masses)[self._layer(x)]


@builder
def layers(
    file: str | os.PathLike[str] | None = None, thickness: Sequence[float] = (), offset: Sequence[float] = (),
    mass: Sequence[float] = (), columns: Sequence[str | int] | None = None,
) -> Layers:  # fmt: skip
    """Layers from a file with the columns thickness, offset and mass, or from three lists of numbers.

    columns  names or numbers (from 1) of those of the file, where their names do not tell

    The header may say units (thickness_nm, offset_meV, mass_me), which are converted into those that are chosen.

    Raises ValueError, naming the row, for a thickness or a mass that is not positive, or another number of entries.
    """
    lists = {"thickness": thickness, "offset": offset, "mass": mass}
    for key, values in lists.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(f"potential.{key}={values}: must be numbers in brackets, one for each layer, as [10,8,10]")
    if file is not None and any(map(len, lists.values())):
        raise ValueError(f"potential.file={file}: and potential.thickness, offset, mass; give one of the two")
    given: Given = ()
    if isinstance(file, (str, os.PathLike)) and os.fspath(file):
        file = str(os.fspath(file))
        table = tables.read(file, {"thickness": LAYERS, "offset": ENERGIES + OFFSETS, "mass": MASSES}, columns)
        numbers, rows = table.values, table.rows
        given = _given(file, zip(("length", "energy", "mass"), table.units, table.names, strict=True))
        names = [f"potential.file={file}: row {{row}}, {name}" for name in table.names]
    elif file is None and any(map(len, lists.values())):
        numbers = [np.array([finite(f"potential.{key}", value) for value in values]) for key, values in lists.items()]
        names, rows = [f"potential.{key}: number {{row}}" for key in lists], list(range(1, len(numbers[0]) + 1))
    else:
        shown = "null" if file is None else file
        raise ValueError(f"potential.file={shown}: must be the path of a file with columns thickness, offset and mass; "
                         "or give the lists potential.thickness, offset, mass")  # fmt: skip
    if len({len(column) for column in numbers}) > 1:
        raise ValueError("potential.thickness, offset, mass: must have one number for each layer")
    count = len(numbers[0])
    if not 1 <= count <= MOST_KINKS + 1:
        what = "potential.thickness" if file is None else f"potential.file={file}"
        raise ValueError(f"{what}: has {count} layers; must be from 1 to {MOST_KINKS + 1}")
    for name, column, least in ((names[0], numbers[0], 1e-6 * numbers[0].sum()), (names[2], numbers[2], 1e-6)):
        for row, value in zip(rows, column, strict=True):
            if value <= 0 or value < least:
                reason = "must be positive" if value <= 0 else f"must be at least {least:.3g}"
                raise ValueError(f"{name.format(row=row)}={value:g}: {reason}")
    edges = np.concatenate([[0.0], np.cumsum(numbers[0])])
    return Layers(edges=edges, offset=numbers[1], masses=numbers[2], file=str(file or ""), given=given)


LAYERS, OFFSETS = ("width", "d", "length", "L"), ("band offset", "Ec", "band edge", "conduction band")
MASSES = ("m", "m*", "meff", "m_eff", "effective mass")
"""What columns of layers are called."""
