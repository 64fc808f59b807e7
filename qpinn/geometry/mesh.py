"""Edges of segments, and what mirrors them."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float


def left_half(edges: Float[np.ndarray, "edges"]) -> Float[np.ndarray, "half"]:
    """The edges left of the centre of the box, and the centre."""
    center = (edges[0] + edges[-1]) / 2
    return np.append(edges[edges < center - 1e-9 * (edges[-1] - edges[0])], center)


def mirrored(half: Float[np.ndarray, "half"]) -> Float[np.ndarray, "edges"]:
    """The edges of the whole box, from those of its left half."""
    return np.concatenate([half, 2 * half[-1] - half[-2::-1]])


def reflected(values: Float[np.ndarray, "... n"], parity: Any = 1.0) -> Float[np.ndarray, "... 2*n"]:
    """Values (..., 2 n) on the whole box, from those on ascending points (..., n) of its left half."""
    return np.concatenate([values, parity * values[..., ::-1]], axis=-1)
