"""The surface on which numbers on a grid have one value, as triangles: every cell is cut into six tetrahedra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
TETRAHEDRA = np.array([[0, 1, 2, 6], [0, 2, 3, 6], [0, 3, 7, 6], [0, 7, 4, 6], [0, 4, 5, 6], [0, 5, 1, 6]])
"""Corners of the tetrahedra of a cell, all of which have its diagonal in common."""


def triangles(
    x: Sequence[Float[np.ndarray, "n"]], values: Float[np.ndarray, "n m o"], level: float
) -> Float[np.ndarray, "T 3 3"]:
    """Corners of triangles, linear between the points of the grid `x`; none of cells at whose corners all is above the
    level or all is below."""
    above = values > level
    cells = np.stack([above[tuple(slice(at, at - 1 or None) for at in corner)] for corner in CORNERS])
    first = np.argwhere(cells.any(axis=0) & ~cells.all(axis=0))
    index = first[:, None, None, :] + CORNERS[TETRAHEDRA]  # (cells, 6, 4, 3)
    index = index.reshape(-1, 4, 3)
    height = values[tuple(np.moveaxis(index, -1, 0))] - level
    place = np.stack([own[index[..., axis]] for axis, own in enumerate(x)], axis=-1)
    order = np.argsort(-height, axis=1)  # those above the level first
    height, place = np.take_along_axis(height, order, axis=1), np.take_along_axis(place, order[..., None], axis=1)
    count = (height > 0).sum(axis=1)

    def cut(some: np.ndarray, a: int, b: int) -> np.ndarray:
        """Where the surface crosses the edge between two corners."""
        share = height[some, a] / (height[some, a] - height[some, b])
        return np.asarray(place[some, a] + share[:, None] * (place[some, b] - place[some, a]))

    found = []
    for inside, faces in {
        1: [((0, 1), (0, 2), (0, 3))],
        2: [((0, 2), (0, 3), (1, 2)), ((0, 3), (1, 3), (1, 2))],
        3: [((0, 3), (1, 3), (2, 3))],
    }.items():
        some = np.flatnonzero(count == inside)
        found += [np.stack([cut(some, *edge) for edge in face], axis=1) for face in faces]
    return np.concatenate(found)


def enclosing(density: Float[np.ndarray, "n m o"], share: float) -> float:
    """The value above which the largest numbers of a grid add up to a share of all."""
    ordered = np.sort(density, axis=None)[::-1]
    total = np.cumsum(ordered)
    return float(ordered[min(int(np.searchsorted(total, share * total[-1])), ordered.size - 1)])
