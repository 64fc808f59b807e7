"""V of samples: a polynomial between each two of them."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from qpinn.physics.potentials import splines
from qpinn.physics.potentials.arrays import OfArrays, entries, piece_of
from qpinn.physics.potentials.base import Number
from qpinn.physics.tables import Given

BLOCK = 64
"""Splines that are computed at a time."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Sampled(OfArrays):
    """V from samples, between walls at the first and the last of them.

    Piece j, x from knots[j], is sum_p coefficients[p, j] (x - knots[j])^(P - p), P = 1 (linear), 3 or 5 (splines).
    `bends` are the indices of the knots that are breakpoints; at those of `jumps` V has two samples, and jumps. `given`
    are the units of the file, `read` says what was read of it.
    """

    knots: Any
    coefficients: Any
    file: str = dataclasses.field(metadata={"static": True})
    interpolation: str = dataclasses.field(metadata={"static": True})
    bends: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    jumps: tuple[int, ...] = dataclasses.field(default=(), metadata={"static": True})
    given: Given = dataclasses.field(default=(), metadata={"static": True, "hidden": True})
    read: str = dataclasses.field(default="", metadata={"static": True})
    name: ClassVar[str] = "sampled"
    energies: ClassVar[dict[str, float]] = {"coefficients": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.knots[0], self.knots[-1]

    @property
    def breakpoints(self) -> tuple[Number, ...]:
        return entries(self.knots[np.array(self.bends, np.intp)])

    @property
    def seams(self) -> Float[np.ndarray, "seams"]:
        """Where one polynomial ends and the next begins."""
        return np.asarray(self.knots, np.float64)

    def times(self, length: float = 1.0, energy: float = 1.0, **_: float) -> Sampled:
        """The same with its numbers in other units."""
        powers = np.arange(len(self.coefficients))[::-1, None]
        coefficients = self.coefficients * energy / length**powers
        return dataclasses.replace(self, knots=self.knots * length, coefficients=coefficients, given=())

    def enclose(
        self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """The least and the largest V on cells from `left` to `right` (n,): at their ends, at knots and between."""
        first, last = piece_of(self.seams, left), piece_of(self.seams, np.nextafter(right, left))
        least, most = self._extremes(first, left, np.minimum(right, self.seams[first + 1]))
        last_least, last_most = self._extremes(last, np.maximum(left, self.seams[last]), right)
        least, most = np.minimum(least, last_least), np.maximum(most, last_most)
        whole = self._extremes(np.arange(len(self.knots) - 1), self.seams[:-1], self.seams[1:])
        for cell in np.flatnonzero(last - first > 1):  # pieces that lie in a cell as a whole
            between = slice(first[cell] + 1, last[cell])
            least[cell] = min(least[cell], whole[0][between].min())
            most[cell] = max(most[cell], whole[1][between].max())
        blur = 8 * np.finfo(float).eps * np.maximum(np.abs(least), np.abs(most))
        return least - blur, most + blur

    def stray(self, left: Float[np.ndarray, "n"], right: Float[np.ndarray, "n"], degree: Any) -> Float[np.ndarray, "n"]:
        """How far V is from its Chebyshev interpolant of `degree` (n,) on panels; 0 within one piece.

        On a piece the difference is a polynomial, which at 2 m Chebyshev nodes is at least 1 / sqrt(2) of its largest
        (Ehlich and Zeller, Math. Z. 86 (1964) 41).
        """
        first, last = piece_of(self.seams, left), piece_of(self.seams, np.nextafter(right, left))
        degrees = np.broadcast_to(degree, left.shape)
        low, high = self.enclose(left, right)
        off = (high - low) / 2
        for panel in range(len(left)):
            m = int(degrees[panel])
            if first[panel] == last[panel] and m >= len(self.coefficients) - 1:
                off[panel] = 0.0
            elif m > 0:
                off[panel] = min(off[panel], self._off_interpolant(left[panel], right[panel], m))
        return off

    def _off_interpolant(self, left: float, right: float, degree: int) -> float:
        middle, half = (left + right) / 2, (right - left) / 2
        coefficients = np.polynomial.chebyshev.chebinterpolate(lambda t: self.at((middle + half * t)[:, None]), degree)
        inner = self.seams[(self.seams > left) & (self.seams < right)]
        ends = np.concatenate([[left], inner, [right]])
        nodes = np.cos(np.pi * (np.arange(2 * degree) + 0.5) / (2 * degree))
        x = (ends[:-1, None] + np.diff(ends)[:, None] * (1 + nodes) / 2).ravel()
        v = self.at(x[:, None])
        off = np.abs(v - np.polynomial.chebyshev.chebval((x - middle) / half, coefficients)).max()
        return float(np.sqrt(2) * max(off - 64 * np.finfo(float).eps * np.abs(v).max(), 0.0))

    def mirrors(self) -> bool:
        """Whether V is even about the middle of its walls: quintics that agree at six positions are the same."""
        knots = self.seams
        center, slack = (knots[0] + knots[-1]) / 2, 8 * np.finfo(float).eps * np.abs(knots[[0, -1]]).max()
        if np.abs(knots + knots[::-1] - 2 * center).max() > 2 * slack:
            return False
        x = knots[:-1, None] + np.diff(knots)[:, None] * np.array([0.1, 0.25, 0.4, 0.6, 0.75, 0.9])
        v, reflected = self.at(x[..., None]), self.at((2 * center - x)[..., None])
        return bool(np.abs(v - reflected).max() <= 1e-12 * np.abs(v).max())

    def by_key(self, by_field: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Derivatives (..., n) with respect to the samples V, from those with respect to the coefficients.

        V is linear in its samples: what is asked for is the derivative along the interpolants of 1 at one of them, 0 at
        all others, a block of them at a time.
        """
        blocks = []
        ends = [0, *self.jumps, len(self.seams) - 1]
        for begin, end in pairwise(ends):  # between jumps
            of, knots = by_field["coefficients"][..., begin:end], self.seams[begin : end + 1]
            if len(self.coefficients) == 2:
                per_step = of[..., 0, :] / np.diff(knots)
                none = np.zeros((*of.shape[:-2], 1))
                value = np.concatenate([of[..., 1, :] - per_step, none], axis=-1)
                blocks.append(value + np.concatenate([none, per_step], axis=-1))
                continue
            for first in range(0, len(knots), BLOCK):
                unit = np.eye(len(knots), min(BLOCK, len(knots) - first), -first)
                blocks.append(np.tensordot(of, splines.pieces(knots, unit, self.interpolation), 2))
        return {"V": np.concatenate(blocks, axis=-1)}

    def _extremes(self, piece: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers between which the polynomials `piece` (n,) lie from `left` to `right`, which are in their pieces."""
        return splines.extremes(
            np.asarray(self.coefficients)[:, piece], left - self.seams[piece], np.maximum(right - left, 0.0)
        )

    def halved(self) -> Sampled | None:
        """V by the same interpolation through every second of the samples; None where that leaves too few of them."""
        ends = [0, *self.jumps, len(self.knots) - 1]
        knots, coefficients = [], []
        for begin, end in pairwise(ends):  # between jumps
            terms, x = np.asarray(self.coefficients)[:, begin:end], self.seams[begin : end + 1]
            v = np.append(terms[-1], splines.values(terms[:, -1], x[-1] - x[-2]))
            kept = splines.halved(len(x))
            if len(kept) >= splines.LEAST[self.interpolation]:
                x, terms = x[kept], splines.pieces(x[kept], v[kept], self.interpolation)
            knots.append(x[:-1])
            coefficients.append(terms)
        every = np.concatenate([*knots, self.seams[-1:]])
        if len(every) == len(self.knots):
            return None
        return dataclasses.replace(
            self, knots=every, coefficients=np.concatenate(coefficients, axis=1), bends=(), jumps=()
        )

    def at(self, x: Any) -> Any:
        namespace = x.__array_namespace__()
        knots, coefficients = namespace.asarray(self.knots), namespace.asarray(self.coefficients)
        piece = namespace.clip(namespace.searchsorted(knots, x[..., 0], side="right") - 1, 0, len(self.knots) - 2)
        step = x[..., 0] - knots[piece]
        value = coefficients[0, piece]
        for row in range(1, len(self.coefficients)):
            value = value * step + coefficients[row, piece]
        return value
