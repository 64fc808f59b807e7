"""A potential of layers, each with its band offset and its effective mass, in an electric field."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from qpinn.checks import finite, plain, shown, whole
from qpinn.physics import tables, units
from qpinn.physics.interval import EPS
from qpinn.physics.potentials.arrays import OfArrays, entries, piece_of
from qpinn.physics.potentials.base import Number, builder
from qpinn.physics.tables import Column, Given

MOST_LAYERS = 1000

LIGHTEST = 1e-6
"""Smallest mass of a layer."""

STRONGEST = 1e5
"""Field in kV/cm, ten volts in a nanometre: beyond it a unit was mistaken."""

WANTED = "with columns thickness, offset and mass; or give the lists potential.thickness, offset, mass"

COLUMNS = {
    "thickness": Column("length", ("width", "d", "length", "L")),
    "offset": Column(
        "energy", ("V", "E", "U", "energy", "potential", "band offset", "Ec", "band edge", "conduction band")
    ),
    "mass": Column("mass", ("m", "m*", "meff", "m_eff", "effective mass")),
    "offset_end": Column("energy", ("V_end", "E_end"), optional=True),
    "mass_end": Column("mass", ("m_end",), optional=True),
}
"""Thicknesses, band offsets and masses in a file; the last two where a layer ends with others than it begins with."""

FIELD = 1e-4
"""dV/dx of an electron in eV / nm for a field of 1 kV / cm."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Layers(OfArrays):
    """Layers with a band offset V and an effective mass m each, between walls: H = -d/dx (1 / m) d/dx + V + e F x.

    edges (n + 1,) in nm from the left wall, where e F x is 0; offset (n,) in eV; masses (n,) in m_e; field F in kV/cm.
    Graded layers end with offset_end (n,) and masses_end (n,), to which V and m are linear in x; None where none does.
    psi and psi' / m are continuous. field_unit is the slope of V, in these units, for a field of 1.
    """

    edges: Any
    offset: Any
    masses: Any
    offset_end: Any = None
    masses_end: Any = None
    field: Number = 0.0
    file: str = dataclasses.field(metadata={"static": True})
    field_unit: float = dataclasses.field(default=FIELD, metadata={"static": True, "hidden": True})
    given: Given = dataclasses.field(default=(), metadata={"static": True, "hidden": True})
    name: ClassVar[str] = "layers"
    hard_walls: ClassVar[tuple[bool, bool]] = (True, True)
    energies: ClassVar[dict[str, float]] = {"offset": 1, "offset_end": 1, "field": 1}
    in_units: ClassVar[bool] = True

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.edges[0], self.edges[-1]

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return entries(self.edges[1:-1])

    def times(self, length: float = 1.0, energy: float = 1.0, mass: float = 1.0) -> Layers:
        """The same with its numbers in other units; a field is in kV/cm whatever they are."""
        return dataclasses.replace(
            self, edges=self.edges * length, offset=self.offset * energy, masses=self.masses * mass, given=(),
            offset_end=None if self.offset_end is None else self.offset_end * energy,
            masses_end=None if self.masses_end is None else self.masses_end * mass,
        )  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """The numbers as the builder takes them; of a file, what it says."""
        rows = {"thickness": np.diff(self.edges), "offset": self.offset, "mass": self.masses,
                "offset_end": self.offset_end, "mass_end": self.masses_end}  # fmt: skip
        lists = {key: np.asarray(row).tolist() for key, row in rows.items() if row is not None}
        return {**lists, "field": float(self.field)}

    def by_key(self, by_field: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Derivatives with respect to thickness, offset and mass (..., n), and to edges (..., n + 1) one at a time.

        A layer that grows moves everything to the right of it.
        """
        edges = by_field["edges"]
        thickness = np.cumsum(edges[..., :0:-1], axis=-1)[..., ::-1]
        named = {"masses": "mass", "masses_end": "mass_end"}
        rest = {named.get(field, field): values for field, values in by_field.items() if field != "edges"}
        return {"thickness": thickness, **rest, "edges": edges}

    def enclose(
        self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """V on cells from `left` to `right` (n,), none of which holds the end of a layer."""
        layer = piece_of(np.asarray(self.edges), (left + right) / 2)
        return _between(self._v(left, layer), self._v(right, layer), self.offset_end is None and self.field == 0)

    def enclose_mass(
        self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """The mass on cells from `left` to `right` (n,), none of which holds the end of a layer."""
        layer = piece_of(np.asarray(self.edges), (left + right) / 2)
        return _between(self._m(left, layer), self._m(right, layer), self.masses_end is None)

    def stray(self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"], degree: Any) -> Float[np.ndarray, "n"]:
        """0 for a degree of 1 or more: V is linear in a layer."""
        lo, hi = self.enclose(left, right)
        return np.where(np.asarray(degree) > 0, 0.0, (hi - lo) / 2)

    def mirrors(self) -> bool:
        """Whether V and m are even about the middle; the thicknesses are."""
        pairs = (self.offset, self.offset_end), (self.masses, self.masses_end)
        even = [np.array_equal(start, (start if end is None else end)[::-1]) for start, end in pairs]
        return all(even) and float(self.field) == 0

    def _layer(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        return namespace.searchsorted(namespace.asarray(self.edges)[1:-1], x, side="right")

    def _v(self, x: Any, layer: Any) -> Any:
        return self._linear(self.offset, self.offset_end, x, layer) + self.field * self.field_unit * (x - self.edges[0])

    def _m(self, x: Any, layer: Any) -> Any:
        return self._linear(self.masses, self.masses_end, x, layer)

    def _linear(self, start: Any, end: Any, x: Any, layer: Any) -> Any:
        namespace = x.__array_namespace__()
        first = namespace.asarray(start)[layer]
        if end is None:
            return first
        edges = namespace.asarray(self.edges)
        share = (x - edges[layer]) / (edges[layer + 1] - edges[layer])
        return first + (namespace.asarray(end)[layer] - first) * share

    def at(self, x: Any) -> Any:
        return self._v(x[..., 0], self._layer(x[..., 0]))

    def mass_at(self, x: Any) -> Any:
        return self._m(x[..., 0], self._layer(x[..., 0]))


def _between(first: np.ndarray, last: np.ndarray, flat: bool) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of a function that is linear between these values, and of what rounding makes of it."""
    lo, hi = np.minimum(first, last), np.maximum(first, last)
    rounding = 0.0 if flat else 16 * EPS * np.maximum(np.abs(lo), np.abs(hi)).max()
    return lo - rounding, hi + rounding


@builder
def layers(
    file: str | os.PathLike[str] | None = None, thickness: Sequence[float] = (), offset: Sequence[float] = (),
    mass: Sequence[float] = (), columns: Sequence[str | int] | None = None, field: float = 0.0,
    offset_end: Sequence[float] = (), mass_end: Sequence[float] = (), repeat: int = 1,
) -> Layers:  # fmt: skip
    """Layers from a file with the columns thickness, offset and mass, or from three lists of numbers.

    columns   names or numbers (from 1) of those of the file, where their names do not tell
    field     electric field in kV/cm along x, whatever the units: an electron has the energy e F x, 0 at the left wall
    offset_end, mass_end   of graded layers, to which offset and mass go linearly; columns of the file, too
    repeat    how many times these layers follow one another

    The header may say units (thickness_nm, offset_meV, mass_me), which are converted into those that are chosen.

    Raises ValueError, naming the row, for a thickness or a mass that is not positive, or another number of entries.
    """
    lists = {"thickness": thickness, "offset": offset, "mass": mass, "offset_end": offset_end, "mass_end": mass_end}
    lists = {key: plain(values) for key, values in lists.items()}
    for key, values in lists.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(
                f"potential.{key}={shown(values)}: must be numbers in brackets, one for each layer, as [10,8,10]"
            )
    path = "" if file is None and any(map(len, lists.values())) else tables.path_of(file, WANTED)
    if path and any(map(len, lists.values())):
        raise ValueError(f"potential.file={path}: and potential.thickness, offset, mass; give one of the two")
    numbers, given = _of_file(path, columns) if path else (_of_lists(lists), ())
    most = MOST_LAYERS // len(numbers["thickness"])
    numbers = {key: np.tile(column, whole("potential.repeat", repeat, 1, most)) for key, column in numbers.items()}
    edges = np.concatenate([[0.0], np.cumsum(numbers["thickness"])])
    return Layers(
        edges=edges, offset=numbers["offset"], masses=numbers["mass"], offset_end=numbers.get("offset_end"),
        masses_end=numbers.get("mass_end"), field=_field(field), file=path, given=given,
    )  # fmt: skip


def _of_lists(lists: dict[str, Any]) -> dict[str, np.ndarray]:
    numbers = {
        key: np.array([finite(f"potential.{key}: number {row}", value) for row, value in enumerate(values, 1)])
        for key, values in lists.items() if len(values) or not COLUMNS[key].optional
    }  # fmt: skip
    if len({len(column) for column in numbers.values()}) > 1:
        counts = ", ".join(f"{key} {len(column)}" for key, column in numbers.items())
        raise ValueError(f"potential.{', '.join(numbers)}: must have one number for each layer; they have {counts}")
    names = {key: f"potential.{key}: number {{row}}" for key in numbers}
    _check(numbers, names, range(1, len(numbers["thickness"]) + 1), "potential.thickness", LIGHTEST)
    return numbers


def _of_file(path: str, columns: Sequence[str | int] | None) -> tuple[dict[str, np.ndarray], Given]:
    table = tables.read(path, COLUMNS, columns)
    masses, unit = units.si("mass"), dict(table.given).get("mass", "m_e")
    names = {key: f"potential.file={path}: row {{row}}, {title}" for key, title in table.names.items()}
    _check(table.values, names, table.rows, f"potential.file={path}", LIGHTEST * masses["m_e"] / masses[unit])
    return table.values, table.given


def _field(field: Any) -> float:
    value = finite("potential.field", field)
    if abs(value) > STRONGEST:
        raise ValueError(f"potential.field={value:g}: must lie within +-{STRONGEST:g} kV/cm; 1 V/m is 1e-5 kV/cm")
    return value


def _check(
    numbers: dict[str, np.ndarray], names: dict[str, str], rows: Sequence[int], what: str, lightest: float
) -> None:
    """Raise ValueError unless there are as many layers as can be, with positive thicknesses and masses."""
    count = len(numbers["thickness"])
    if not 1 <= count <= MOST_LAYERS:
        raise ValueError(f"{what}: has {count} layers; must be from 1 to {MOST_LAYERS}")
    least = {"thickness": 1e-6 * numbers["thickness"].sum(), "mass": lightest, "mass_end": lightest}
    for key in numbers.keys() & least.keys():
        for row, value in zip(rows, numbers[key], strict=True):
            if value <= 0 or value < least[key]:
                units = ", in m_e or amu" if key != "thickness" and lightest == LIGHTEST else ""
                reason = "must be positive" if value <= 0 else f"must be at least {least[key]:.3g}{units}"
                raise ValueError(f"{names[key].format(row=row)}={value:g}: {reason}")
