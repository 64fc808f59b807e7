"""The mesh: segments of a box, the map from the place in a segment to a position, and reflection about the centre."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclasses.dataclass(frozen=True)
class Mesh:
    """S segments of a box, or of its left half where functions are even or odd about the centre.

    x = edge_j + h_j s, with s in [0, 1] the share of the way through segment j of length h_j. Where an edge
    depends on a number, such as the width of a well, points of fixed s move with it.

    edges  (S + 1,) ascending; those of NumPy, or of JAX where derivatives go through them
    half   whether the last edge is the centre of the box
    """

    edges: Float[Any, "S+1"]
    half: bool = False

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def lengths(self) -> Float[Any, "S"]:
        return self.edges[1:] - self.edges[:-1]

    @property
    def middles(self) -> Float[Any, "S"]:
        return (self.edges[1:] + self.edges[:-1]) / 2

    def segment(self, x: Float[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
        """The segment that x lies in: of an inner edge the one right of it, of an end the first or last."""
        return np.searchsorted(self.edges[1:-1], x, side="right")

    def share(self, segment: Int[Any, "*n"], x: Float[Any, "*n"]) -> Float[Any, "*n"]:
        """s of x, as seen from its segment."""
        return (x - self.edges[segment]) / self.lengths[segment]

    def position(self, segment: Int[Any, "*n"], share: Float[Any, "*n"]) -> Float[Any, "*n"]:
        """x from s and the segment."""
        return self.edges[segment] + self.lengths[segment] * share

    def at(self, share: Float[Any, "n"]) -> Float[Any, "S n"]:
        """x at these shares of every segment."""
        return self.edges[:-1, None] + self.lengths[:, None] * share

    def bisected(self, which: Bool[np.ndarray, "S"]) -> Mesh:
        """The mesh with some of its segments cut in two."""
        return dataclasses.replace(self, edges=np.sort(np.concatenate([self.edges, self.middles[which]])))

    def left_half(self) -> Mesh:
        """The segments left of the centre of the box; where that is no edge, the segment that holds it is cut there."""
        center = (self.edges[0] + self.edges[-1]) / 2
        left = self.edges[self.edges < center - 1e-9 * (self.edges[-1] - self.edges[0])]
        return Mesh(np.append(left, center), half=True)

    @property
    def whole(self) -> Mesh:
        """The segments of the whole box."""
        if not self.half:
            return self
        return Mesh(np.concatenate([self.edges, 2 * self.edges[-1] - self.edges[-2::-1]]))


def reflected(values: Float[np.ndarray, "... n"], parity: Any = 1.0) -> Float[np.ndarray, "... 2*n"]:
    """Values (..., 2 n) on the whole box, from values (..., n) on the n ascending points of its left half."""
    return np.concatenate([values, parity * values[..., ::-1]], axis=-1)
