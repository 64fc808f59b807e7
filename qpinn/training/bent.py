"""Rayleigh-Ritz among products of axis functions and others that bend on curves, max(s g, 0)^2 times products.

The products are orthonormal. What the bent functions have beyond them is made orthonormal twice, as it is small, and
what rounding leaves nothing of is dropped; then a block Davidson iteration gives the lowest levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.linalg.davidson import davidson
from qpinn.physics.mean_field import sums
from qpinn.wavefunctions.on_cells import Functions, OnCell

FIRST = 400
"""Products of a dense problem to start from."""

BEYOND = 1e-13
"""Share of |psi|^2 that a bent function must have beyond the products."""

EXTRA = 4
"""Vectors beyond the levels that are wanted."""


class Start(NamedTuple):
    """Orthonormal functions of every axis as mixes (P, n) of all its functions, and their kinetic energies (n,)."""

    mixes: tuple[Float[np.ndarray, "P n"], ...]
    kinetic: tuple[Float[np.ndarray, "n"], ...]


class Bent(NamedTuple):
    """What E functions have beyond all products, orthonormal, and H between them and the products.

    functions  as they are
    with_      (n, n, E) <phi phi|H|e>
    own        (E, E) <e|H|e>
    """

    functions: Functions
    with_: Float[np.ndarray, "n n E"]
    own: Float[np.ndarray, "E E"]


def ritz(
    cells: Sequence[OnCell], start: Start, bends: Sequence[tuple[np.ndarray, np.ndarray]], masses: Sequence[float],
    count: int, tol: float,
) -> Functions:  # fmt: skip
    """The functions of the lowest `count` levels.

    bends  for every curve the functions of both axes as mixes (P, m) whose products are multiplied by max(s g, 0)^2
    tol    of the norm of the residual in the span
    """
    blocks = [(cell.products() * (cell.weight * cell.v)) @ cell.products().T for cell in cells]
    shape = tuple(mix.shape[1] for mix in start.mixes)
    size = shape[0] * shape[1]
    kinetic = start.kinetic[0][:, None] + start.kinetic[1]

    def energy(cores: np.ndarray) -> np.ndarray:
        """H among products, of cores (m, n, n)."""
        full = _spread(cores, start)
        image = np.zeros_like(full)
        for cell, block in zip(cells, blocks, strict=True):
            rows, columns = cell.within
            part = cell.part(full)
            image[:, rows[:, None], columns] += (part.reshape(len(part), -1) @ block).reshape(part.shape)
        return kinetic * cores + _gathered(image, start)

    bent = _beyond(cells, start, bends, masses, energy)
    levels, turn = np.linalg.eigh((bent.own + bent.own.T) / 2)
    with_ = (bent.with_ @ turn).reshape(size, -1)

    def apply(vectors: np.ndarray) -> np.ndarray:
        top = energy(vectors[:size].T.reshape(-1, *shape)).reshape(-1, size).T
        return np.concatenate(
            [top + with_ @ vectors[size:], with_.T @ vectors[:size] + levels[:, None] * vectors[size:]]
        )

    first = np.ravel_multi_index(tuple(sums(start.kinetic, min(FIRST, size)).T), shape)
    few = np.concatenate([first, size + np.arange(len(levels))])
    unit = np.zeros((size + len(levels), len(few)))
    unit[few, np.arange(len(few))] = 1
    image = apply(unit)
    mean = sum(float(cell.weight @ cell.v) for cell in cells) / sum(float(cell.weight.sum()) for cell in cells)
    diagonal = np.concatenate([(kinetic + mean).ravel(), levels])
    small = image[few]
    begin = unit @ np.linalg.eigh((small + small.T) / 2)[1][:, : count + EXTRA]
    solved = davidson(apply, diagonal, begin, count, tol)
    cores, others = solved.vectors[:size].T.reshape(-1, *shape), solved.vectors[size:]
    added = bent.functions.mixed(turn @ others)
    return Functions(added.core + _spread(cores, start), added.bends)


def _spread(cores: np.ndarray, start: Start) -> np.ndarray:
    """Coefficients (m, P, P) in all functions of the axes from those in orthonormal ones (m, n, n)."""
    return np.asarray(start.mixes[0] @ cores @ start.mixes[1].T)


def _gathered(images: np.ndarray, start: Start) -> np.ndarray:
    """Overlaps (m, n, n) with orthonormal products from those with all (m, P, P)."""
    return np.asarray(start.mixes[0].T @ images @ start.mixes[1])


def _beyond(
    cells: Sequence[OnCell], start: Start, bends: Sequence[tuple[np.ndarray, np.ndarray]], masses: Sequence[float],
    energy: Callable[[np.ndarray], np.ndarray],
) -> Bent:  # fmt: skip
    """What bent functions have beyond the products, see `ritz`; `energy` is H among these."""
    functions = _all(bends, start)
    for last in (False, True):
        count = len(functions.core)
        seen, image = (np.zeros((count, *(len(mix) for mix in start.mixes))) for _ in range(2))
        gram, own = np.zeros((count, count)), np.zeros((count, count))
        for cell in cells:
            fields = cell.fields(functions) if last else cell.values(functions)[None]
            value = cell.weight * fields[0]
            rows, columns = cell.within
            products = cell.products().T
            gram += value @ fields[0].T
            seen[:, rows[:, None], columns] += (value @ products).reshape(count, len(rows), -1)
            if last:
                h_value = cell.h(fields, masses)
                own += value @ h_value.T
                image[:, rows[:, None], columns] += ((cell.weight * h_value) @ products).reshape(count, len(rows), -1)
        overlap = _gathered(seen, start)
        flat = overlap.reshape(count, -1)
        size = np.sqrt(np.maximum(np.diag(gram), 1e-300))
        shares, directions = np.linalg.eigh((gram - flat @ flat.T) / np.outer(size, size))
        kept = shares > BEYOND
        mix = directions[:, kept] / np.sqrt(shares[kept]) / size[:, None]
        functions = Functions(functions.core - _spread(overlap, start), functions.bends).mixed(mix)
    h_overlap = energy(overlap)
    crossed = _gathered(image, start) - h_overlap
    both = _gathered(image, start).reshape(count, -1) @ flat.T
    own = own - both - both.T + h_overlap.reshape(count, -1) @ flat.T
    return Bent(functions, np.moveaxis(np.tensordot(mix.T, crossed, axes=1), 0, -1), mix.T @ own @ mix)


def _all(bends: Sequence[tuple[np.ndarray, np.ndarray]], start: Start) -> Functions:
    """The bent functions as they are given, one curve after the other."""
    sizes = [len(mix) for mix in start.mixes]
    count = sum(first.shape[1] * second.shape[1] for first, second in bends)
    cores = np.zeros((len(bends), count, *sizes))
    begin = 0
    for own, (first, second) in zip(cores, bends, strict=True):
        end = begin + first.shape[1] * second.shape[1]
        own[begin:end] = np.einsum("pa,qb->abpq", first, second).reshape(-1, *sizes)
        begin = end
    return Functions(np.zeros((count, *sizes)), cores)
