"""What potentials of arrays of numbers share: samples of V, and layers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from qpinn.physics.potentials.base import Number, Potential


class OfArrays(Potential):
    """Two potentials of arrays are the same if their numbers are, so that what is computed of one serves the other.

    They are shown by the shapes of their arrays, and what else they hold.
    """

    def __repr__(self) -> str:
        hidden = {field.name for field in dataclasses.fields(self) if field.metadata.get("hidden")}  # type: ignore[arg-type]
        fields = {name: _short(value) for name, value in vars(self).items()
                  if name not in hidden and value is not None and np.size(value)}  # fmt: skip
        shown = ", ".join(f"{name}={value}" for name, value in fields.items() if value != "''")
        return f"{type(self).__name__}({shown})"

    def _numbers(self) -> tuple[Any, ...]:
        return tuple(value.tobytes() if isinstance(value, np.ndarray) else value for value in vars(self).values())

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._numbers() == other._numbers()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self._numbers())


def _short(value: Any) -> str:
    """A word or a number, or how many there are."""
    return f"<{' x '.join(map(str, np.shape(value)))} numbers>" if np.ndim(value) else repr(value)


def entries(values: Any) -> tuple[Number, ...]:
    """The entries of an array (n,): numbers on the host, tracers under jit."""
    return tuple(values.tolist()) if isinstance(values, np.ndarray) else tuple(values)


def piece_of(knots: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The piece (n,) between two of `knots` that each of x (n,) lies in."""
    return np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
