"""What leaves the potential of a box as it is, reflections and exchanges of coordinates, and how psi behaves.

Within levels that are the same any mixture is an eigenfunction: here the one that has a parity, or is symmetric or
antisymmetric under an exchange, and where that leaves a choice the one among which <x_1^2> is diagonal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.physics.potentials.terms import coordinates

SAME = 1e-8
"""Of the energy that errors are divided by: levels that are closer are taken for one, and any mixture for an
eigenfunction."""

LOOSEST = 1e-4
"""Levels whose bounds overlap are called one if they are closer than this; and closer ones are mixed as far as the
symmetries of V ask for it."""

PLACES = 4096
"""Random places at which V is compared with itself."""

SAMPLES = 600
"""Random places at which functions are compared with their images."""

PURE = 1e-3
"""Share of psi by which psi(R x) may be off +-psi(x) where psi is said to be even or odd under R."""

CLEAR = 0.2
"""Share of a function above which it says which sign of psi is taken."""

Psi = Callable[[Float[np.ndarray, "N d"]], Float[np.ndarray, "K N"]]


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
    parities = [flip for flip in flips if _holds(potential, flip)]
    inversion = Symmetry("inversion", (True,) * d, same)
    if len(parities) < d and _holds(potential, inversion):
        parities.append(inversion)
    swaps = []
    if d <= 3:
        for i, j in combinations(range(d), 2):
            order = tuple({i: j, j: i}.get(axis, axis) for axis in same)
            swaps.append(Symmetry(f"{names[i]} <-> {names[j]}", none, order))
    else:
        swaps.append(Symmetry("reversal", none, same[::-1]))
    return parities + [swap for swap in swaps if _holds(potential, swap)]


def _holds(potential: Any, symmetry: Symmetry) -> bool:
    """Whether V, walls and other ends, and masses are what they were."""
    walls, masses = np.asarray(potential.domain, float), np.asarray(potential.masses, float)
    order = list(symmetry.order)
    if not (np.array_equal(walls[order], walls) and np.array_equal(masses[order], masses)):
        return False
    ends = potential.ends_of_axes
    if any(ends[place] != ends[axis] for axis, place in enumerate(order)):
        return False
    if any(turned and not (one.alike or one.ring) for turned, one in zip(symmetry.flipped, ends, strict=True)):
        return False
    x = walls[:, 0] + np.random.default_rng(0).random((PLACES, len(walls))) * (walls[:, 1] - walls[:, 0])
    moved = _image(potential, symmetry, x)
    with np.errstate(all="ignore"):
        before, after = (np.asarray(potential.at(places), float) for places in (x, moved))
    size = np.abs(before) + np.quantile(np.abs(before - before.min()), 0.1)
    return bool((np.abs(after - before) <= 1e-10 * size).all())


def groups(levels: Any) -> list[range]:
    """Neighbouring levels that are one as far as is known: closer than `SAME`, or than their bounds."""
    wide = (levels.half_width[1:] + levels.half_width[:-1]) / levels.scale[1:]
    wide = np.where(np.isfinite(wide), np.clip(wide, SAME, LOOSEST), SAME)
    return _runs(np.diff(levels.energies) / levels.scale[1:] <= wide)


def _runs(joined: np.ndarray) -> list[range]:
    """Places 0 to n in runs, from whether each is joined with the next one (n,)."""
    ends = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(joined) + 1]
    return [range(first, last) for first, last in pairwise(ends)]


def places(functions: Sequence[tuple[np.ndarray, np.ndarray]], count: int = SAMPLES) -> Float[np.ndarray, "N d"]:
    """Random places where psi is to be found, from positions (Q,) of every axis and densities there."""
    drawn, chance = [], np.random.default_rng(0)
    for x, density in functions:
        share = np.cumsum(density)
        drawn.append(np.interp(chance.random(count), share / share[-1], x))
    return np.stack(drawn, axis=1)


def aligned(
    potential: Any, psi: Psi, x: Float[np.ndarray, "N d"], levels: Any, residuals: Float[np.ndarray, "K K"]
) -> tuple[np.ndarray, Any]:
    """A mix (K, K) of neighbouring levels after which their functions have the symmetries of V, and signs chosen; and
    `levels` (`qpinn.drivers.box_solution.Levels`) with the moments and the residuals of these functions.

    psi        the functions (K, N) at places; of a symmetry R is psi_i(R x) = sum_j R_ij psi_j(x) at all places `x`
    residuals  <r_i|r_j> of r = H psi - E psi before they are mixed, orthogonal to all of them
    """
    operations, mix, values = symmetries(potential), np.eye(len(levels.energies)), psi(x)
    runs = [run for run in _runs(np.diff(levels.energies) <= LOOSEST * levels.scale[1:]) if len(run) > 1]
    moved = [psi(_image(potential, symmetry, x)) for symmetry in operations] if runs else []
    for run in runs:
        some = slice(run.start, run.stop)
        operators = [np.linalg.lstsq(values[some].T, image[some].T, rcond=None)[0] for image in moved]
        spread = np.tensordot(10.0 ** -np.arange(x.shape[1]), levels.squares[:, some, some], axes=1)
        mix[some, some] = _split(operators, levels.energies[some] / levels.scale[run.start], spread)
    mix = mix * _signs(mix.T @ values, x)
    turned = {name: mix.T @ getattr(levels, name) @ mix for name in ("moments", "squares", "kinetic")}
    apart = levels.energies[:, None] - levels.energies
    norms = np.sqrt(np.diag(mix.T @ residuals @ mix) + ((mix * apart) ** 2).sum(axis=0))
    return mix, dataclasses.replace(levels, residual=norms, **turned)


def characters(potential: Any, psi: Psi, x: Float[np.ndarray, "N d"]) -> dict[str, list[int | None]]:
    """+1 or -1 for each function under each symmetry of V, None where psi is neither even nor odd under it."""
    values, signs = psi(x), {}
    size = np.sqrt((values**2).sum(axis=1))
    for symmetry in symmetries(potential):
        image = psi(_image(potential, symmetry, x))
        off = {sign: np.sqrt(((image - sign * values) ** 2).sum(axis=1)) / size for sign in (1, -1)}
        signs[symmetry.name] = [next((sign for sign in off if off[sign][k] < PURE), None) for k in range(len(values))]
    return signs


def _image(potential: Any, symmetry: Symmetry, x: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "N d"]:
    """The places that a symmetry takes places to."""
    ends, moved = np.asarray(potential.domain, float).sum(axis=1), x[:, list(symmetry.order)]
    return np.where(symmetry.flipped, ends - moved, moved)


def _split(operators: Sequence[np.ndarray], energies: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """An orthogonal matrix whose columns diagonalise in turn every operator that leaves what is split by those before
    as it is; then H, and `spread` among what that leaves the same."""
    blocks = [np.eye(len(spread))]
    for operator in operators:
        parts = []
        for block in blocks:
            within = block.T @ operator @ block
            values, turn = np.linalg.eigh((within + within.T) / 2)
            pure = (np.abs(np.abs(values) - 1) < 1e-3).all()
            parts += [block @ turn[:, values > 0], block @ turn[:, values < 0]] if pure else [block]
        blocks = [block for block in parts if block.shape[1]]
    settled = []
    for block in blocks:
        values, turn = np.linalg.eigh(block.T @ (energies[:, None] * block))
        for run in _runs(np.diff(values) <= SAME):
            basis = block @ turn[:, run.start : run.stop]
            settled.append(basis @ np.linalg.eigh(basis.T @ spread @ basis)[1])
    whole = np.concatenate(settled, axis=1)
    order = np.round(((whole**2).T @ (energies - energies[0])) / SAME)
    return np.asarray(whole[:, np.argsort(order, kind="stable")])


def _signs(values: Float[np.ndarray, "K N"], x: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "K"]:
    """Signs with which psi is positive on the whole, or towards larger coordinates."""
    center = (x - x.mean(axis=0)) / x.std(axis=0)
    pairs = [center[:, i] * center[:, j] for i, j in combinations(range(x.shape[1]), 2)]
    shapes = np.array([np.ones(len(x)), *center.T, *pairs])
    share = values @ shapes.T / np.outer(np.linalg.norm(values, axis=1), np.linalg.norm(shapes, axis=1))
    first = np.argmax(np.abs(share) > CLEAR, axis=1)
    signs = np.sign(share[np.arange(len(values)), first])
    return np.where(signs == 0, 1.0, signs)
