"""Potentials that are given as a table in a file: samples of V, or layers."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from qpinn.checks import LIMIT, finite
from qpinn.physics.potentials.base import MOST_KINKS, Number, Potential, builder, walls

MOST_ROWS = 20_000
"""Knots of a spline that a reference can take as well."""

BLOCK = 64
"""Splines that are computed at a time."""


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
    `bends` are the indices of the knots that are breakpoints.
    """

    knots: Any
    coefficients: Any
    file: str = dataclasses.field(metadata={"static": True})
    interpolation: str = dataclasses.field(metadata={"static": True})
    bends: tuple[int, ...] = dataclasses.field(metadata={"static": True})
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

    def enclose(
        self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """The least and the largest V on cells from `left` to `right` (n,): at their ends, at knots and between."""
        first, last = (_piece_of(np.asarray(self.knots), end) for end in (left, right))
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

        of, knots = by_field["coefficients"], self.seams
        if len(self.coefficients) == 2:
            per_step = of[..., 0, :] / np.diff(knots)
            none = np.zeros((*of.shape[:-2], 1))
            value = np.concatenate([of[..., 1, :] - per_step, none], axis=-1)
            return {"V": value + np.concatenate([none, per_step], axis=-1)}
        blocks = []
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
def sampled(file: str | None = None, interpolation: str = "linear") -> Sampled:
    """V from the columns x and V of a CSV file.

    interpolation  linear: straight lines, whose corners are breakpoints; cubic: a spline with continuous V''
                   (not-a-knot), for smooth data

    Raises ValueError, naming the file and the row, for data that are no function of an ascending x.
    """
    from scipy import interpolate

    if not isinstance(file, str) or not file:
        raise ValueError(f"potential.file={file}: must be the path of a CSV file with columns x and V")
    if interpolation not in ("linear", "cubic"):
        raise ValueError(f"potential.interpolation={interpolation}: unknown; allowed: linear, cubic")
    x, v = _columns(file, ("x", "V"))
    least = 2 if interpolation == "linear" else 4
    if len(x) < least:
        raise ValueError(f"potential.file={file}: has {len(x)} rows; {interpolation} needs at least {least}")
    order = np.diff(x)
    if (order <= 0).any():
        row = int(np.argmax(order <= 0))
        fault = "twice" if order[row] == 0 else "before a smaller one"
        raise ValueError(f"potential.file={file}: x = {x[row]:g} stands {fault} (row {row + 2}); x must ascend")
    walls((float(x[0]), float(x[-1])))
    if interpolation == "cubic":
        coefficients = np.asarray(interpolate.CubicSpline(x, v).c)
        return Sampled(knots=x, coefficients=coefficients, file=file, interpolation=interpolation, bends=())
    slope = np.diff(v) / order
    bends = np.abs(np.diff(slope)) > 1e-9 * max(float(np.abs(slope).max()), 1e-300)
    if bends.sum() > MOST_KINKS:
        raise ValueError(
            f"potential.file={file}: straight lines through {len(x)} rows have {bends.sum()} corners, at most "
            f"{MOST_KINKS}; potential.interpolation=cubic has none"
        )
    places = tuple((1 + np.flatnonzero(bends)).tolist())
    return Sampled(
        knots=x, coefficients=np.stack([slope, v[:-1]]), file=file, interpolation=interpolation, bends=places
    )


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
    name: ClassVar[str] = "layers"
    hard_walls: ClassVar[tuple[bool, bool]] = (True, True)
    energies: ClassVar[dict[str, float]] = {"offset": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.edges[0], self.edges[-1]

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return _entries(self.edges[1:-1])

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
    file: str | None = None, thickness: Sequence[float] = (), offset: Sequence[float] = (), mass: Sequence[float] = ()
) -> Layers:
    """Layers from a CSV file with the columns thickness_nm, offset_eV and mass_me, or from three lists of numbers.

    Raises ValueError, naming the row, for a thickness or a mass that is not positive, or another number of entries.
    """
    lists = {"thickness": thickness, "offset": offset, "mass": mass}
    for key, values in lists.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(f"potential.{key}={values}: must be numbers in brackets, one for each layer, as [10,8,10]")
    if file is not None and any(map(len, lists.values())):
        raise ValueError(f"potential.file={file}: and potential.thickness, offset, mass; give one of the two")
    if isinstance(file, str) and file:
        columns = _columns(file, ("thickness_nm", "offset_eV", "mass_me"))
        names = [f"potential.file={file}: row {{row}}, {name}" for name in ("thickness_nm", "offset_eV", "mass_me")]
        first = 2
    elif file is None and any(map(len, lists.values())):
        columns = [np.array([finite(f"potential.{key}", value) for value in values]) for key, values in lists.items()]
        names, first = [f"potential.{key}: number {{row}}" for key in lists], 1
    else:
        shown = "null" if file is None else file
        raise ValueError(f"potential.file={shown}: must be the path of a CSV file with columns thickness_nm, "
                         "offset_eV, mass_me; or give the lists potential.thickness, offset, mass")  # fmt: skip
    if len({len(column) for column in columns}) > 1:
        raise ValueError("potential.thickness, offset, mass: must have one number for each layer")
    count = len(columns[0])
    if not 1 <= count <= MOST_KINKS + 1:
        what = "potential.thickness" if file is None else f"potential.file={file}"
        raise ValueError(f"{what}: has {count} layers; must be from 1 to {MOST_KINKS + 1}")
    for name, column, least in ((names[0], columns[0], 1e-6 * columns[0].sum()), (names[2], columns[2], 1e-6)):
        for row, value in enumerate(column, first):
            if value <= 0 or value < least:
                reason = "must be positive" if value <= 0 else f"must be at least {least:.3g}"
                raise ValueError(f"{name.format(row=row)}={value:g}: {reason}")
    edges = np.concatenate([[0.0], np.cumsum(columns[0])])
    return Layers(edges=edges, offset=columns[1], masses=columns[2], file=file or "")


def _columns(file: str, names: tuple[str, ...]) -> list[np.ndarray]:
    """Columns of a CSV file by name, as finite numbers."""
    if Path(file).exists() and not Path(file).is_file():  # a device may never end
        raise ValueError(f"potential.file={file}: is no file")
    try:
        with Path(file).open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            missing = [name for name in names if name not in header]
            if missing:
                raise ValueError(f"potential.file={file}: has no column {missing[0]}; needs {', '.join(names)}")
            where = [header.index(name) for name in names]
            columns: list[list[float]] = [[] for _ in names]
            for number, row in enumerate(reader, 2):
                if not any(cell.strip() for cell in row):
                    continue
                if number > MOST_ROWS + 1:
                    raise ValueError(f"potential.file={file}: has more than {MOST_ROWS} rows")
                if len(row) > len(header):
                    raise ValueError(
                        f"potential.file={file}: row {number} has {len(row)} cells, the header {len(header)}"
                    )
                for column, index, name in zip(columns, where, names, strict=True):
                    column.append(_cell(row[index] if index < len(row) else "", file, number, name))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = (
            error.strerror
            if isinstance(error, OSError)
            else str(error)
            if isinstance(error, csv.Error)
            else "it is not text"
        )
        raise ValueError(f"potential.file={file}: cannot be read ({reason})") from None
    return [np.array(column) for column in columns]


def _cell(text: str, file: str, row: int, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= LIMIT:
        shown = text.strip() or "nothing"
        raise ValueError(f"potential.file={file}: row {row}, {name}={shown}: must be a number within +-{LIMIT:g}")
    return value
