"""Edges of segments, and what mirrors them."""

from __future__ import annotations

from typing import Any

import numpy as np


def left_half(edges: np.ndarray) -> np.ndarray:
    """The edges left of the centre of the box, and the centre."""
    center = (edges[0] + edges[-1]) / 2
    return np.append(edges[edges < center - 1e-9 * (edges[-1] - edges[0])], center)


def mirrored(half: np.ndarray) -> np.ndarray:
    """The edges of the whole box, from those of its left half."""
    return np.concatenate([half, 2 * half[-1] - half[-2::-1]])


def reflected(values: np.ndarray, parity: Any = 1.0) -> np.ndarray:
    """Values (..., 2 n) on the whole box, from those on ascending points (..., n) of its left half."""
    return np.concatenate([values, parity * values[..., ::-1]], axis=-1)
