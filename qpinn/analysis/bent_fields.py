"""Functions of two coordinates that bend on curves, on grids: values, H psi, densities, and their symmetries."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.analysis import box_symmetry
from qpinn.analysis.box_symmetry import LOOSEST, PURE, Symmetry
from qpinn.analysis.tensor import Fields
from qpinn.geometry.quadrature import legendre
from qpinn.training.products import along
from qpinn.wavefunctions.axis import Axis
from qpinn.wavefunctions.on_cells import ORDERS, Bend, times

POINTS = 20
"""Gauss-Legendre points in a segment, where functions are compared with their images."""


class Psi(NamedTuple):
    """K functions: coefficients (K, n, n) in products of the functions of two axes, and what bends."""

    axes: tuple[Axis, ...]
    core: Float[np.ndarray, "K n n"]
    bends: tuple[Bend, ...]

    def mixed(self, mix: Float[np.ndarray, "K J"]) -> Psi:
        """The functions sum_k mix_kj psi_k."""
        bends = tuple(bend._replace(core=np.tensordot(mix.T, bend.core, axes=1)) for bend in self.bends)
        return Psi(self.axes, np.tensordot(mix.T, self.core, axes=1), bends)

    def on(self, places: Sequence[Float[np.ndarray, "Q"]]) -> Float[np.ndarray, "5 K Q R"]:
        """Values and derivatives, in the order of `ORDERS`, on the grid of places of both axes."""
        total = _products(self.axes, self.core, places)
        at = [grid.ravel() for grid in np.meshgrid(*places, indexing="ij")]
        for bend in self.bends:
            own = _products(bend.axes, bend.core, places)
            total += times(bend.side.jets(*at), own.reshape(5, len(self.core), -1)).reshape(total.shape)
        return total


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


def _moved(potential: Any, psi: Psi, places: Sequence[np.ndarray], symmetry: Symmetry) -> np.ndarray:
    """R psi (K, Q, R) on a grid."""
    walls = np.asarray(potential.domain, float).sum(axis=1)
    own = [walls[axis] - places[to] if flips else places[to]
           for axis, (to, flips) in enumerate(zip(symmetry.order, symmetry.flipped, strict=True))]  # fmt: skip
    value = psi.on(own)[0]
    return np.transpose(value, (0, 1 + symmetry.order[0], 1 + symmetry.order[1]))


def aligned(potential: Any, psi: Psi, levels: Any) -> tuple[Psi, Any]:
    """See `qpinn.analysis.box_symmetry.aligned`."""
    rules = [_rule(axis) for axis in psi.axes]
    places, weight = [x for x, _ in rules], np.outer(rules[0][1], rules[1][1])
    known, count = box_symmetry.symmetries(potential), len(psi.core)
    mix, squares, kinetic = np.eye(count), levels.squares.copy(), levels.kinetic.copy()
    value, *slopes = psi.on(places)[:3]
    images = [_moved(potential, psi, places, symmetry) for symmetry in known]
    weighted = (value * weight).reshape(count, -1)
    close = np.diff(levels.energies) <= LOOSEST * levels.scale[1:]
    for run in box_symmetry.runs(close):
        own = slice(run.start, run.stop)
        if len(run) == 1:
            continue
        forms = np.stack([
            (weighted[own] * np.broadcast_to(x, weight.shape).ravel() ** 2) @ value[own].reshape(len(run), -1).T
            for x in (places[0][:, None], places[1])
        ])  # fmt: skip
        kinds = [(weighted[own] @ image[own].reshape(len(run), -1).T) for image in images]
        moving = sum((slope[own] * weight).reshape(len(run), -1) @ slope[own].reshape(len(run), -1).T / float(mass)
                     for slope, mass in zip(slopes, potential.masses, strict=True))  # fmt: skip
        energies = levels.energies[own] / levels.scale[run.start]
        turn = box_symmetry.split([(kind + kind.T) / 2 for kind in kinds], energies, forms[0] + 0.1 * forms[1])
        mix[own, own] = turn
        squares[:, own] = np.einsum("ik,dij,jk->dk", turn, forms, turn)
        kinetic[own] = np.einsum("ik,ij,jk->k", turn, moving, turn)
    mix = mix * _signs(np.tensordot(mix.T, value, axes=1), weight, places)
    return psi.mixed(mix), dataclasses.replace(levels, moments=mix.T @ levels.moments @ mix, squares=squares,
                                               kinetic=kinetic)  # fmt: skip


def _signs(value: np.ndarray, weight: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """Signs (K,) with which psi is positive on the whole, or towards larger coordinates."""
    signs, open_ = np.ones(len(value)), np.full(len(value), True)
    x, y = (places[axis] - places[axis].mean() for axis in (0, 1))
    for powers in sorted(product((0, 1), repeat=2), key=sum):
        toward = x[:, None] ** powers[0] * y ** powers[1]
        share = np.tensordot(value, weight * toward, axes=2) / np.sqrt((weight * toward**2).sum())
        clear = open_ & (np.abs(share) > 1e-3)
        signs[clear], open_ = np.sign(share[clear]), open_ & ~clear
    return signs


def characters(potential: Any, psi: Psi) -> dict[str, list[int | None]]:
    """See `qpinn.analysis.box_symmetry.characters`."""
    rules = [_rule(axis) for axis in psi.axes]
    places, weight = [x for x, _ in rules], np.outer(rules[0][1], rules[1][1])
    value, found = psi.on(places)[0], {}
    norm = (weight * value**2).sum(axis=(1, 2))
    for symmetry in box_symmetry.symmetries(potential):
        moved = _moved(potential, psi, places, symmetry)
        overlap = (weight * value * moved).sum(axis=(1, 2)) / np.sqrt(norm * (weight * moved**2).sum(axis=(1, 2)))
        found[symmetry.name] = [int(np.sign(one)) if abs(abs(one) - 1) < PURE else None for one in overlap.tolist()]
    return found
