"""What leaves the potential of a box as it is, reflections and exchanges of coordinates, and how psi behaves.

Within levels that are the same any mixture is an eigenfunction: here the one that has a parity, or is symmetric or
antisymmetric under an exchange, and where that leaves a choice the one among which <x_1^2> is diagonal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import combinations, pairwise, product
from typing import Any, NamedTuple

import numpy as np

from qpinn.geometry.quadrature import legendre
from qpinn.physics.potentials.several import coordinates
from qpinn.training.products import along
from qpinn.wavefunctions.axis import Axis, OnGrid
from qpinn.wavefunctions.product import Core, Terms

SAME = 1e-8
"""Of the energy that errors are divided by: levels that are closer are taken for one, and any mixture for an
eigenfunction."""

LOOSEST = 1e-4
"""Levels whose bounds overlap are called one if they are closer than this; and closer ones are mixed as far as the
symmetries of V ask for it."""

PLACES = 4096
"""Random places at which V is compared with itself."""

PURE = 1e-5
"""How far <psi|R|psi> may be from +-1 where psi is said to be even or odd under R."""

POINTS = 20
"""Gauss-Legendre points between any two edges of an axis and their mirror images."""


class Symmetry(NamedTuple):
    """(R psi)(x) = psi(x') with x'_i = x_order[i], reflected about the middle of the walls where `flipped` says so."""

    name: str
    flipped: tuple[bool, ...]
    order: tuple[int, ...]


def symmetries(potential: Any) -> list[Symmetry]:
    """Those of: the reflection of each axis, of all, the exchange of two of three axes, the reversal of more.

    V is compared at random places, walls and masses exactly.
    """
    d = potential.dimension
    names, same, none = coordinates(d)[:d], tuple(range(d)), (False,) * d
    flips = [Symmetry(f"parity {name}", tuple(axis == place for place in same), same)
             for axis, name in enumerate(names)]  # fmt: skip
    found = [flip for flip in flips if _holds(potential, flip)]
    inversion = Symmetry("inversion", (True,) * d, same)
    if len(found) < d and _holds(potential, inversion):
        found.append(inversion)
    swaps = []
    if d <= 3:
        for i, j in combinations(range(d), 2):
            order = tuple({i: j, j: i}.get(axis, axis) for axis in same)
            swaps.append(Symmetry(f"{names[i]} <-> {names[j]}", none, order))
    else:
        swaps.append(Symmetry("reversal", none, same[::-1]))
    return found + [swap for swap in swaps if _holds(potential, swap)]


def _holds(potential: Any, symmetry: Symmetry) -> bool:
    """Whether V, walls and masses are what they were."""
    walls, masses = np.asarray(potential.domain, float), np.asarray(potential.masses, float)
    order = list(symmetry.order)
    if not (np.array_equal(walls[order], walls) and np.array_equal(masses[order], masses)):
        return False
    x = walls[:, 0] + np.random.default_rng(0).random((PLACES, len(walls))) * (walls[:, 1] - walls[:, 0])
    moved = np.where(symmetry.flipped, walls.sum(axis=1) - x[:, order], x[:, order])
    with np.errstate(all="ignore"):
        before, after = (np.asarray(potential.at(places), float) for places in (x, moved))
    size = np.abs(before) + np.quantile(np.abs(before - before.min()), 0.1)
    return bool((np.abs(after - before) <= 1e-10 * size).all())


def groups(levels: Any) -> list[range]:
    """Neighbouring levels that are one as far as is known: closer than `SAME`, or than their bounds."""
    wide = (levels.half_width[1:] + levels.half_width[:-1]) / levels.scale[1:]
    wide = np.where(np.isfinite(wide), np.clip(wide, SAME, LOOSEST), SAME)
    return runs(np.diff(levels.energies) / levels.scale[1:] <= wide)


def runs(joined: np.ndarray) -> list[range]:
    """Places 0 to n in runs, from whether each is joined with the next one (n,)."""
    ends = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(joined) + 1]
    return [range(first, last) for first, last in pairwise(ends)]


def aligned(potential: Any, axes: Sequence[Axis], core: Core, levels: Any) -> tuple[Core, Any]:
    """Coefficients with neighbouring levels mixed, so that their functions have the symmetries of V, and signs chosen;
    and `levels` (`qpinn.drivers.box_solution.Levels`) with the moments of these functions. Of more than three
    axes all stays as it is."""
    if isinstance(core, Terms):
        return core, levels
    grids, known, mix = _grids(axes, potential.masses), symmetries(potential), np.eye(len(core))
    kinetic, squares = levels.kinetic.copy(), levels.squares.copy()
    for run in runs(np.diff(levels.energies) <= LOOSEST * levels.scale[1:]):
        if len(run) == 1:
            continue
        some = slice(run.start, run.stop)
        own, energies = core[some], levels.energies[some] / levels.scale[run.start]
        forms = np.array([_form(own, axis, _matrix(grid, grid.x**2)) for axis, grid in enumerate(grids)])
        slopes = sum(_form(own, axis, _matrix(grid, 1 / grid.mass, 1)) for axis, grid in enumerate(grids))
        operators = [_form_of(own, _moved(own, axes, grids, symmetry)) for symmetry in known]
        turn = split(operators, energies, np.tensordot(10.0 ** -np.arange(len(axes)), forms, axes=1))
        mix[some, some] = turn
        squares[:, some] = np.einsum("ik,dij,jk->dk", turn, forms, turn)
        kinetic[some] = np.einsum("ik,ij,jk->k", turn, slopes, turn)
    mix = mix * _signs(np.tensordot(mix.T, core, axes=1), grids)
    moments = mix.T @ levels.moments @ mix
    return (
        np.tensordot(mix.T, core, axes=1),
        dataclasses.replace(levels, moments=moments, squares=squares, kinetic=kinetic),
    )


def characters(potential: Any, axes: Sequence[Axis], core: Core) -> dict[str, list[int | None]]:
    """+1 or -1 for each function under each symmetry of V, None where psi is neither even nor odd under it."""
    if isinstance(core, Terms):
        return {}
    grids, values = _grids(axes, potential.masses), {}
    for symmetry in symmetries(potential):
        moved = _moved(core, axes, grids, symmetry)
        overlap = (core * moved).reshape(len(core), -1).sum(axis=1)
        values[symmetry.name] = [int(np.sign(one)) if abs(abs(one) - 1) < PURE else None for one in overlap.tolist()]
    return values


def split(operators: Sequence[np.ndarray], energies: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """An orthogonal matrix whose columns diagonalise in turn every operator that leaves what is split by those before
    as it is; then H, and `spread` among what that leaves the same."""
    blocks = [np.eye(len(spread))]
    for operator in operators:
        parts = []
        for block in blocks:
            values, turn = np.linalg.eigh(block.T @ operator @ block)
            pure = (np.abs(np.abs(values) - 1) < 1e-3).all()
            parts += [block @ turn[:, values > 0], block @ turn[:, values < 0]] if pure else [block]
        blocks = [part for part in parts if part.shape[1]]
    settled = []
    for block in blocks:
        values, turn = np.linalg.eigh(block.T @ (energies[:, None] * block))
        for run in runs(np.diff(values) <= SAME):
            own = block @ turn[:, run.start : run.stop]
            settled.append(own @ np.linalg.eigh(own.T @ spread @ own)[1])
    whole = np.concatenate(settled, axis=1)
    order = np.round(((whole**2).T @ (energies - energies[0])) / SAME)
    return np.asarray(whole[:, np.argsort(order, kind="stable")])


def _signs(core: np.ndarray, grids: Sequence[OnGrid]) -> np.ndarray:
    """Signs (K,) with which psi is positive on the whole, or towards larger coordinates."""
    weights = [np.stack([grid.jets[0] @ (grid.weight * (grid.x - grid.x.mean()) ** power) for power in (0, 1)])
               for grid in grids]  # fmt: skip
    signs, open_ = np.ones(len(core)), np.full(len(core), True)
    powers = sorted(product((0, 1), repeat=len(grids)), key=sum) if len(grids) <= 4 else [(0,) * len(grids)]
    for power in powers:
        parts = [(weights[axis][one] / np.linalg.norm(weights[axis][one]))[:, None] for axis, one in enumerate(power)]
        along_it = along(core, parts).reshape(len(core))
        clear = open_ & (np.abs(along_it) > 1e-3)
        signs[clear], open_ = np.sign(along_it[clear]), open_ & ~clear
    return signs


def _grids(axes: Sequence[Axis], masses: Sequence[float]) -> list[OnGrid]:
    """Quadratures of the axes between all edges and their mirror images."""
    grids = []
    nodes, weights = legendre(POINTS)
    for axis, mass in zip(axes, masses, strict=True):
        edges = axis.mesh.edges
        both = np.unique(np.concatenate([edges, edges[0] + edges[-1] - edges]))
        both = both[np.append(True, np.diff(both) > 1e-12 * (edges[-1] - edges[0]))]
        half = np.diff(both)[:, None] / 2
        x = ((both[1:] + both[:-1])[:, None] / 2 + half * nodes).ravel()
        grids.append(dataclasses.replace(axis.on(x, float(mass)), weight=(half * weights).ravel()))
    return grids


def _matrix(grid: OnGrid, factor: Any, order: int = 0) -> np.ndarray:
    """<phi_a|factor|phi_b> of an axis, or of derivatives of some order."""
    return (grid.jets[order] * (grid.weight * factor)) @ grid.jets[order].T


def _form(core: np.ndarray, axis: int, matrix: np.ndarray) -> np.ndarray:
    """<i|A|j> of A that acts on one axis."""
    return _form_of(core, np.moveaxis(np.tensordot(core, matrix, axes=(axis + 1, 0)), -1, axis + 1))


def _form_of(core: np.ndarray, image: np.ndarray) -> np.ndarray:
    form = core.reshape(len(core), -1) @ image.reshape(len(core), -1).T
    return np.asarray((form + form.T) / 2)


def _moved(core: np.ndarray, axes: Sequence[Axis], grids: Sequence[OnGrid], symmetry: Symmetry) -> np.ndarray:
    """Coefficients of R psi in the same products."""
    if not any(symmetry.flipped):
        matrices = []
        for axis, to in enumerate(symmetry.order):
            if to == axis:
                matrices.append(np.eye(axes[axis].count))
            else:
                matrices.append((axes[axis].on(grids[to].x).jets[0] * grids[to].weight) @ grids[to].jets[0].T)
    else:
        matrices = [
            _matrix(grid, 1.0) if not flips else (grid.jets[0][:, ::-1] * grid.weight) @ grid.jets[0].T
            for grid, flips in zip(grids, symmetry.flipped, strict=True)
        ]
    inverse = np.argsort(symmetry.order)
    return np.transpose(along(core, matrices), [0, *(1 + inverse)])
