"""Functions of two coordinates that bend on curves, on grids: values, H psi, densities, slopes at walls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.analysis import chains
from qpinn.analysis.tensor import Fields
from qpinn.geometry.quadrature import legendre
from qpinn.training.products import along
from qpinn.wavefunctions.axis import Axis
from qpinn.wavefunctions.on_cells import ORDERS, Bend, times
from qpinn.wavefunctions.product import Core, Terms

POINTS = 20
"""Gauss-Legendre points in a segment of an axis that is integrated over."""


class Psi(NamedTuple):
    """K functions: coefficients (K, n, ...) in products of the functions of axes, and of two axes what bends."""

    axes: tuple[Axis, ...]
    core: Core
    bends: tuple[Bend, ...]

    def mixed(self, mix: Float[np.ndarray, "K J"]) -> Psi:
        """The functions sum_k mix_kj psi_k."""
        bends = tuple(bend._replace(core=np.tensordot(mix.T, bend.core, axes=1)) for bend in self.bends)
        if isinstance(self.core, Terms):
            return Psi(self.axes, Terms(self.core.indices, mix.T @ self.core.coefficients), bends)
        return Psi(self.axes, np.tensordot(mix.T, self.core, axes=1), bends)

    def at(self, places: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "K N"]:
        """Values at any places."""
        value = _at(self.axes, self.core, places)
        for bend in self.bends:
            value = value + bend.side.jets(*places.T)[0] * _at(bend.axes, bend.core, places)
        return value

    def on(self, places: Sequence[Float[np.ndarray, "Q"]]) -> Float[np.ndarray, "5 K Q R"]:
        """Values and derivatives, in the order of `ORDERS`, on the grid of places of both axes."""
        assert not isinstance(self.core, Terms)
        total = _products(self.axes, self.core, places)
        at = [grid.ravel() for grid in np.meshgrid(*places, indexing="ij")]
        for bend in self.bends:
            own = _products(bend.axes, bend.core, places)
            total += times(bend.side.jets(*at), own.reshape(5, len(self.core), -1)).reshape(total.shape)
        return total


def _at(axes: Sequence[Axis], core: Core, places: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "K N"]:
    """Sums of products at any places."""
    tables = [axis.on(x).jets[0] for axis, x in zip(axes, places.T, strict=True)]
    if isinstance(core, Terms):
        return chains.psi(tables, core.indices, core.coefficients.T)
    value = np.tensordot(core, tables[0], axes=(1, 0))
    for table in tables[1:]:
        value = np.einsum("ka...n,an->k...n", value, table)
    return np.asarray(value)


def _products(axes: Sequence[Axis], core: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    jets = [axis.on(x).jets for axis, x in zip(axes, places, strict=True)]
    return np.stack([along(core, [jets[0][k], jets[1][m]]) for k, m in ORDERS])


def fields(potential: Any, psi: Psi, places: Sequence[Float[np.ndarray, "Q"]]) -> Fields:
    """psi, H psi and V on a grid, see `qpinn.analysis.tensor.fields`."""
    value, _, _, *curvatures = psi.on(places)
    v = np.asarray(potential.at(np.stack(np.meshgrid(*places, indexing="ij"), axis=-1)), np.float64)
    h_psi = v * value
    for curvature, mass in zip(curvatures, potential.masses, strict=True):
        h_psi = h_psi - curvature / float(mass)
    return Fields(psi=value, h_psi=h_psi, v=v)


def density(psi: Psi, x: Float[np.ndarray, "Q"], axis: int) -> Float[np.ndarray, "K Q"]:
    """|psi|^2 integrated over the other axis."""
    others, weight = _rule(psi.axes[1 - axis])
    value = psi.on([x, others] if axis == 0 else [others, x])[0]
    return np.asarray(np.tensordot(value**2, weight, axes=(2 - axis, 0)))


def _rule(axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights in all segments."""
    nodes, weights = legendre(POINTS)
    return axis.mesh.at((nodes + 1) / 2).ravel(), (axis.mesh.lengths[:, None] * weights / 2).ravel()


def wall_flux(psi: Psi, masses: Sequence[float]) -> Float[np.ndarray, "K 2 2"]:
    """See `qpinn.analysis.tensor.wall_flux`."""
    flux = np.empty((len(psi.core), 2, 2))
    for axis, mass in enumerate(masses):
        others, weight = _rule(psi.axes[1 - axis])
        walls = np.asarray(psi.axes[axis].mesh.edges)[[0, -1]]
        slopes = psi.on([walls, others] if axis == 0 else [others, walls])[1 + axis]
        flux[:, axis] = np.tensordot(slopes**2, weight, axes=(2 - axis, 0)) / mass
    return flux
