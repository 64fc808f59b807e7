"""Functions of two coordinates on points that lie on one side of every curve, cell by cell of the meshes of the axes.

    psi = sum_ab c_ab phi_a(x) phi_b(y) + sum over curves g = 0 of max(s g, 0)^2 sum_ab b_ab phi_a(x) phi_b(y)

is once continuously differentiable, and its second derivatives may jump across the curves, as V may. The sign s is that
of g on the outer side: what is within a closed curve goes on beyond it smoothly, while decay from it, taken inwards,
is singular at its middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from qpinn.geometry.quadrature import legendre
from qpinn.physics import curves as follow
from qpinn.physics.curves import Curve, Piece
from qpinn.physics.interval import Interval
from qpinn.physics.potentials.terms import at_places
from qpinn.wavefunctions.axis import Axis

ORDERS = ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2))
"""Orders along both axes of a function, its first derivatives and its second ones."""


class Side(NamedTuple):
    """The side of a curve where sign g > 0."""

    curve: Curve
    sign: float

    def jets(self, x: Float[np.ndarray, "N"], y: Float[np.ndarray, "N"]) -> Float[np.ndarray, "5 N"]:
        """max(sign g, 0)^2 and its derivatives, in the order of `ORDERS`."""
        g, g_x, g_y, g_xx, g_yy = self.sign * self.curve.jets(x, y)
        square = np.stack([g * g, 2 * g * g_x, 2 * g * g_y, 2 * (g_x**2 + g * g_xx), 2 * (g_y**2 + g * g_yy)])
        return np.where(g > 0, square, 0.0)

    def is_smooth(self, pieces: Sequence[Piece]) -> bool:
        """Whether g has second derivatives on this side, by intervals."""
        low, high = (np.array([getattr(piece, end) for piece in pieces]).T for end in ("low", "high"))
        x, y = (Interval(low[axis], high[axis]) for axis in (0, 1))
        g = self.sign * self.curve.at(x, y)
        trees = (*self.curve.slopes, *self.curve.seconds)
        sizes = [np.broadcast_to(at_places(tree, {0: x, 1: y}).magnitude, g.shape) for tree in trees]
        return bool(np.isfinite(np.stack([g.magnitude, *sizes])[:, g.hi > 0]).all())


class Bend(NamedTuple):
    """What psi has of max(s g, 0)^2: functions of every axis, and the coefficients (K, m, m) of their products."""

    side: Side
    axes: tuple[Axis, ...]
    core: Float[np.ndarray, "K m m"]


class Functions(NamedTuple):
    """K functions by their coefficients in products of all functions of two axes.

    core   (K, P, P) c_ab
    bends  (C, K, P, P) b_ab of every curve
    """

    core: Float[np.ndarray, "K P P"]
    bends: Float[np.ndarray, "C K P P"]

    def mixed(self, mix: Float[np.ndarray, "K J"]) -> Functions:
        """The functions sum_k mix_kj psi_k."""
        core = np.tensordot(mix.T, self.core, axes=1)
        return Functions(core, np.stack([np.tensordot(mix.T, own, axes=1) for own in self.bends]))


class OnCell(NamedTuple):
    """The functions of two axes on the N points of a cell.

    places   (2, N) positions, with weights (N,)
    v, blur  (N,) V there, and a bound on its distance from what the quadrature integrates
    within   which functions of each axis are not zero here
    jets     (3, k, N) of each axis: their values and derivatives
    bends    (C, 5, N) of max(s g, 0)^2 of every curve, see `Side.jets`
    even     whether the points are a grid of as many along both axes, the second one fastest
    """

    places: Float[np.ndarray, "2 N"]
    weight: Float[np.ndarray, "N"]
    v: Float[np.ndarray, "N"]
    blur: Float[np.ndarray, "N"]
    within: tuple[Int[np.ndarray, "k"], ...]
    jets: tuple[Float[np.ndarray, "3 k N"], ...]
    bends: Float[np.ndarray, "C 5 N"]
    even: bool

    def products(self) -> Float[np.ndarray, "k*k N"]:
        """All products of functions that are not zero here."""
        first, second = (jets[0] for jets in self.jets)
        return (first[:, None] * second).reshape(-1, len(self.weight))

    def part(self, core: Float[np.ndarray, "K P P"]) -> Float[np.ndarray, "K k k"]:
        """The coefficients of what is not zero here."""
        return core[:, self.within[0][:, None], self.within[1]]

    def values(self, functions: Functions) -> Float[np.ndarray, "K N"]:
        """Values of functions."""
        total = self._sums(functions.core, ORDERS[:1])[0]
        for bend, core in zip(self.bends, functions.bends, strict=True):
            if bend.any():
                total += bend[0] * self._sums(core, ORDERS[:1])[0]
        return np.asarray(total)

    def fields(self, functions: Functions) -> Float[np.ndarray, "5 K N"]:
        """Values and derivatives of functions, in the order of `ORDERS`."""
        total = self._sums(functions.core)
        for bend, core in zip(self.bends, functions.bends, strict=True):
            if bend.any():
                total += times(bend, self._sums(core))
        return total

    def _sums(self, core: Float[np.ndarray, "K P P"], orders: Sequence[tuple[int, int]] = ORDERS) -> np.ndarray:
        """sum_ab core_kab phi_a(x) phi_b(y) and its derivatives (orders, K, N)."""
        part, (first, second) = self.part(core), self.jets
        total = np.zeros((len(orders), len(core), len(self.weight)))
        some = np.flatnonzero(part.any(axis=(1, 2)))  # many are zero where each bends on one of several curves
        if not some.size:
            return total
        if self.even:
            n = math.isqrt(len(self.weight))
            x, y = first[..., ::n], second[..., :n]
            along = {k: x[k].T @ part[some] for k in {k for k, _ in orders}}  # (K, n, b)
            for place, (k, m) in enumerate(orders):
                total[place, some] = (along[k] @ y[m]).reshape(len(some), -1)
            return total
        along = {k: np.tensordot(part[some], first[k], axes=(1, 0)) for k in {k for k, _ in orders}}  # (K, b, N)
        for place, (k, m) in enumerate(orders):
            total[place, some] = np.einsum("kbq,bq->kq", along[k], second[m])
        return total

    def h(self, fields: Float[np.ndarray, "5 K N"], masses: Sequence[float]) -> Float[np.ndarray, "K N"]:
        """H psi from the fields of psi."""
        return np.asarray(self.v * fields[0] - fields[3] / masses[0] - fields[4] / masses[1])


def times(one: Float[np.ndarray, "5 N"], other: Float[np.ndarray, "5 K N"]) -> Float[np.ndarray, "5 K N"]:
    """A product with its derivatives, from those of its factors."""
    value, first, second = one[0] * other[0], one[1:3, None], one[3:5, None]
    slopes = first * other[0] + one[0] * other[1:3]
    return np.concatenate([value[None], slopes, second * other[0] + 2 * first * other[1:3] + one[0] * other[3:5]])


def on_cells(
    potential: Any, axes: Sequence[Axis], sides: Sequence[Side], pieces: Sequence[Piece], count: int,
    blurs: Float[np.ndarray, "pieces"] | None = None,
) -> list[OnCell]:  # fmt: skip
    """The functions of two axes on Gauss-Legendre rules of `count` points between the walls of pieces and the curves.

    blurs  of V in every piece, see `OnCell.blur`
    """
    together: dict[tuple[int, int], list[np.ndarray]] = {}
    for place, piece in enumerate(pieces):
        x, y, weight = follow.points(piece, legendre(count))
        blur = np.full(len(x), 0.0 if blurs is None else blurs[place])
        together.setdefault(piece.cell, []).append(np.stack([x, y, weight, blur]))
    whole = {piece.cell for piece in pieces if piece.axis < 0 and len(together[piece.cell]) == 1}
    cells = {cell: np.concatenate(parts, axis=1) for cell, parts in together.items()}
    jets: dict[tuple[int, int], list[np.ndarray]] = {cell: [] for cell in cells}
    for axis, functions in enumerate(axes):
        rows = [[cell for cell in cells if cell[axis] == segment] for segment in range(len(functions.mesh))]
        found = functions.jets([np.concatenate([cells[cell][axis] for cell in row]) for row in rows])
        for row, own in zip(rows, found, strict=True):
            ends = np.cumsum([cells[cell].shape[1] for cell in row])[:-1]
            for cell, part in zip(row, np.split(own, ends, axis=-1), strict=True):
                jets[cell].append(part)
    within = [[functions.within(segment) for segment in range(len(functions.mesh))] for functions in axes]
    return [
        OnCell(
            places=own[:2], weight=own[2], v=np.asarray(potential.at(own[:2].T), np.float64), blur=own[3],
            within=tuple(within[axis][cell[axis]] for axis in (0, 1)), jets=tuple(jets[cell]),
            bends=np.stack([side.jets(*own[:2]) for side in sides]), even=cell in whole,
        )
        for cell, own in cells.items()
    ]  # fmt: skip
