"""A potential of layers, each with its band offset and its effective mass."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from qpinn.checks import finite, plain, shown
from qpinn.physics import tables, units
from qpinn.physics.potentials.arrays import OfArrays, entries, piece_of
from qpinn.physics.potentials.base import MOST_KINKS, Number, builder
from qpinn.physics.tables import Column, Given

COLUMNS = {
    "thickness": Column("length", ("width", "d", "length", "L")),
    "offset": Column(
        "energy", ("V", "E", "U", "energy", "potential", "band offset", "Ec", "band edge", "conduction band")
    ),
    "mass": Column("mass", ("m", "m*", "meff", "m_eff", "effective mass")),
}
"""Thicknesses, band offsets and masses in a file."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Layers(OfArrays):
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
    in_units: ClassVar[bool] = True

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.edges[0], self.edges[-1]

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return entries(self.edges[1:-1])

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
        value = np.asarray(self.offset, np.float64)[piece_of(np.asarray(self.edges), (left + right) / 2)]
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
    lists = {key: plain(values) for key, values in (("thickness", thickness), ("offset", offset), ("mass", mass))}
    for key, values in lists.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(
                f"potential.{key}={shown(values)}: must be numbers in brackets, one for each layer, as [10,8,10]"
            )
    if file is not None and any(map(len, lists.values())):
        raise ValueError(f"potential.file={file}: and potential.thickness, offset, mass; give one of the two")
    given: Given = ()
    if file is None and any(map(len, lists.values())):
        numbers = [
            np.array([finite(f"potential.{key}: number {row}", value) for row, value in enumerate(values, 1)])
            for key, values in lists.items()
        ]
        names, path = [f"potential.{key}: number {{row}}" for key in lists], ""
        rows = list(range(1, len(numbers[0]) + 1))
    else:
        wanted = "with columns thickness, offset and mass; or give the lists potential.thickness, offset, mass"
        path = tables.path_of(file, wanted)
        numbers, titles, rows, given = tables.read(path, COLUMNS, columns)
        names = [f"potential.file={path}: row {{row}}, {title}" for title in titles]
    if len({len(column) for column in numbers}) > 1:
        raise ValueError("potential.thickness, offset, mass: must have one number for each layer")
    count = len(numbers[0])
    if not 1 <= count <= MOST_KINKS + 1:
        what = f"potential.file={path}" if path else "potential.thickness"
        raise ValueError(f"{what}: has {count} layers; must be from 1 to {MOST_KINKS + 1}")
    masses = units.si("mass")
    lightest = 1e-6 * masses["m_e"] / masses[dict(given)["mass"]] if "mass" in dict(given) else 1e-6
    for name, column, least in ((names[0], numbers[0], 1e-6 * numbers[0].sum()), (names[2], numbers[2], lightest)):
        for row, value in zip(rows, column, strict=True):
            if value <= 0 or value < least:
                reason = "must be positive" if value <= 0 else f"must be at least {least:.3g}"
                raise ValueError(f"{name.format(row=row)}={value:g}: {reason}")
    edges = np.concatenate([[0.0], np.cumsum(numbers[0])])
    return Layers(edges=edges, offset=numbers[1], masses=numbers[2], file=path, given=given)
