"""The lowest eigenpairs of a large symmetric matrix that is close to a diagonal, from its products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MOST_BLOCKS = 12
"""Blocks of vectors that are kept at once."""

NEAREST = 1e-2
"""A denominator is no smaller than this, relative to the spread of the wanted eigenvalues."""

STALLED = 8, 40
"""Steps without a smaller residual after which there is none to be had: of a small one, which may be rounding, and of a
large one, which waits for a level that is not among the vectors yet."""


class Eigenpairs(NamedTuple):
    """values (k,), vectors (N, k), the norm of each residual (k,), and steps taken."""

    values: Float[np.ndarray, "k"]
    vectors: Float[np.ndarray, "N k"]
    residuals: Float[np.ndarray, "k"]
    steps: int


def davidson(
    apply: Callable[[Float[np.ndarray, "N m"]], Float[np.ndarray, "N m"]],
    diagonal: Float[np.ndarray, "N"],
    start: Float[np.ndarray, "N m"],
    count: int,
    tol: float,
    most: int = 100,
) -> Eigenpairs:
    """The lowest `count` eigenpairs, until their residuals are below `tol` or no longer fall (E. R. Davidson 1975).

    diagonal  of a matrix close to the one that `apply` multiplies by: residuals are divided by it less the eigenvalue
    start     vectors (N, m), m >= count; those beyond `count` make clusters converge
    """
    space = np.linalg.qr(start)[0]
    image = apply(space)
    width, steps, stalled, best = start.shape[1], 0, 0, np.inf
    while True:
        small = space.T @ image
        values, mix = np.linalg.eigh((small + small.T) / 2)
        values, mix = values[:width], mix[:, :width]
        vectors, images = space @ mix, image @ mix
        residual = images - vectors * values
        sizes = np.linalg.norm(residual, axis=0)
        worst = float(sizes[:count].max())
        stalled = 0 if worst < 0.7 * best else stalled + 1
        best = min(best, worst)
        patience = STALLED[0 if worst < NEAREST**2 * float(values[-1] - values[0]) else 1]
        if worst <= tol or steps == most or stalled > patience:
            return Eigenpairs(values[:count], vectors[:, :count], sizes[:count], steps)
        steps += 1
        if space.shape[1] >= MOST_BLOCKS * width:
            space, image = vectors, images
        active = sizes > tol / 2
        least = NEAREST * max(float(values[-1] - values[0]), 1e-3 * abs(float(values[0])), 1e-12)
        apart = diagonal[:, None] - values[active]
        apart = np.where(np.abs(apart) < least, np.where(apart < 0, -least, least), apart)
        new = residual[:, active] / apart
        for _ in range(2):
            new = new - space @ (space.T @ new)
            new = np.linalg.qr(new)[0]
        space, image = np.concatenate([space, new], axis=1), np.concatenate([image, apply(new)], axis=1)
