"""A lower bound of a level from above which a method of Lehmann and Maehly works, for boxes of many axes.

H = H_0 + V' with H_0 a sum of one-axis Hamiltonians, whose levels are known, and V' >= 0. For any functions p_1..p_m

    H  >=  H_0 + V' p (p, V' p)^-1 (V' p)^T                                      (Aronszajn 1948, Bazley and Fox 1961)

in the order of forms. With H_0 >= tau off N of its products this is a diagonal matrix and one of rank m, and how many
of its eigenvalues lie below lambda follows from inertia (Haynsworth 1968):

    #{D < lambda}  -  number of negative eigenvalues of  1 + Z^T (D - lambda)^-1 Z,

D the energies of the products, Z = V' p for p made orthonormal in V'. So many products cost no more than a product of
matrices. If p holds the lowest products of H_0, which are lifted by V', and approximate eigenfunctions of H, for which
the right side is H itself, the bound is close to the level.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from qpinn.physics.hamiltonian import hamiltonian
from qpinn.physics.potentials.several import Several, table
from qpinn.physics.separable import ByTerms
from qpinn.physics.survey import survey
from qpinn.training.index_products import (
    Coupled,
    Reach,
    Split,
    couple,
    functions,
    grouped,
    index_of,
    keys_of,
    leaving_form,
    outer_sum,
    reach,
    ritz,
)
from qpinn.wavefunctions.axis import OnGrid

SPLIT = 1e-3
"""eta in |a + b|^2 >= (1 - eta) |a|^2 - (1 / eta - 1) |b|^2, for what V' p has outside the products."""

INDEPENDENT = 1e-6
"""Directions of (p, V' p) below this share of the largest are left out of p."""

STAGES = ((40, 2), (120, 2), (360, 2), (360, 24))
"""How many products of H_0, the lowest, are among the functions p, and how many approximate eigenfunctions of H beyond
the levels in question, until they are enough."""

MOST_PRODUCTS = 20_000
MOST_TRIAL = 4000
"""Products of H_0, and products that approximate eigenfunctions are made of, at most."""

NEGLECTED = 1e-9
"""Matrix elements of V' times coefficients below this are left out, and bounded."""

LOSS = 0.1
"""Share of the gap that may be lost for functions of an axis that are no eigenfunctions."""

FUNCTIONS = 16
"""Functions of an axis among which V' p is written."""

ROUNDING = 1e-6
"""What (p, V' p), made 1, may be off, its smallest directions being 1e-6 of the largest."""

PAIR = 1e-2
"""Of the functions of an axis that are known none is taken without another one whose energy is as close to its own, of
the way to the lowest: on a ring they come in pairs."""

EPS = float(np.finfo(float).eps)

SHARES = (0.9, 0.75, 0.5, 0.25, 0.1)
"""Shares of the gap above the levels at which the bound is tried."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intermediate:
    """D (N,) and Z (N, m), (m, m) the Gram matrix of what V' p has beyond the N products, and tau."""

    energies: Float[np.ndarray, "N"]
    lift: Float[np.ndarray, "N m"]
    beyond: Float[np.ndarray, "m m"]
    tau: float

    def count(self, level: float) -> int:
        """How many levels of H are below `level` < tau at most."""
        if not level < self.tau:
            raise ValueError(f"level={level:g}: must be below tau={self.tau:g}")
        apart = self.energies - level
        matrix = np.eye(len(self.beyond)) / (1 - SPLIT) + self.beyond / (self.tau - level)
        matrix = matrix + self.lift.T @ (self.lift / apart[:, None])
        values = np.linalg.eigvalsh(matrix)  # one that may be negative by rounding alone does not count as negative
        return int((apart < 0).sum() - (values < -ROUNDING - 1e3 * EPS * np.abs(values).max(initial=0.0)).sum())


def above(potential: Several, compared: ByTerms, grids: Sequence[OnGrid]) -> Split:
    """V = sum_i v_i + shift + sum_t W_t with W_t >= 0, v_i of a comparison potential; W of one axis is left out."""
    v = [np.asarray(piece.at(grid.x[:, None]), np.float64) for piece, grid in zip(compared.pieces, grids, strict=True)]
    parts = []
    for term, (pieces, excess) in compared.parts:
        x = [grids[axis].x for axis in term.axes]
        below = [np.asarray(piece.at(places[:, None]), np.float64) for piece, places in zip(pieces, x, strict=True)]
        parts.append((term.axes, table(potential, term, x) - outer_sum(below) + excess))
    return Split(v, compared.shift, parts)


def known(coupled: Coupled, loss: float) -> list[np.ndarray]:
    """What each function of each axis may count for in H_0, as far as it loses no more than `loss`: (n_i,) each.

    On an axis [[E, r^T], [r, h]] >= [[E - r^T r / loss, 0], [0, h - loss]] for functions with defects r, and a Gram
    matrix of n functions is no more than n times its diagonal.
    """
    found = []
    for e, defects in zip(coupled.energies, coupled.defects, strict=True):
        size = np.diag(defects)[:-1]  # one is left out: its level is the floor of the others
        kept = max(1, int(np.argmax(np.append(len(size) * size > loss**2, True))))
        while kept > 1 and e[kept] - e[kept - 1] < PAIR * (e[kept] - e[0]):
            kept -= 1
        found.append(e[:kept] - kept * size[:kept] / loss)
    return found


def lower_products(
    coupled: Coupled, few: Sequence[np.ndarray], loss: float, most: int, floors: Sequence[np.ndarray]
) -> tuple[Int[np.ndarray, "N d"], float]:
    """Products of functions whose energies are `few` that lie below some tau, at most so many, and tau.

    floors  lower bounds (n_i,) of the levels of every axis
    """
    low, high = 0.0, max(float(e[-1] - e[0]) for e in few) + 1e-9
    for _ in range(40):
        cut = (low + high) / 2
        low, high = (cut, high) if len(_below(few, cut, most)) <= most else (low, cut)
    index, lowest = _below(few, low, most), sum(float(e[0]) for e in few) + coupled.shift
    tau = lowest + low
    for e, defects, kept, floor in zip(coupled.energies, coupled.defects, few, floors, strict=True):
        n = len(kept)
        top = float(min(floor[n], e[n]))
        top -= loss + float(np.linalg.norm(defects[:n, :n], 2)) / max(top - float(e[n - 1]), 1e-300)
        tau = min(tau, lowest - float(kept[0]) + top)
    return index, tau


def _below(energies: Sequence[np.ndarray], cut: float, most: int) -> Int[np.ndarray, "N d"]:
    """Tuples whose energies exceed the lowest sum by less than `cut`, or too many of them."""
    index, total = np.zeros((1, 0), int), np.zeros(1)
    for e in energies:
        rows, columns = np.nonzero(total[:, None] + (e - e[0]) < cut)
        if len(rows) > 4 * most:
            return np.zeros((len(rows), len(energies)), int)
        index, total = np.column_stack([index[rows], columns]), total[rows] + (e - e[0])[columns]
    return index


def intermediate(
    coupled: Coupled, index: Int[np.ndarray, "n d"], vectors: Any,
    products: Int[np.ndarray, "N d"], energies: Float[np.ndarray, "N"], tau: float,
) -> Intermediate:  # fmt: skip
    """The right side of the module's inequality, for p = `vectors` in products `index`, H_0 >= `energies` or tau."""
    found = reach(coupled, index, np.asarray(abs(vectors).max(axis=1).toarray()).ravel(), NEGLECTED)
    felt = (found.matrix @ vectors).tocsr()
    form = (vectors.T @ felt[found.places]).toarray()
    sizes, directions = np.linalg.eigh((form + form.T) / 2)
    kept = sizes > max(INDEPENDENT * sizes[-1], 1e-300)
    unit = directions[:, kept] / np.sqrt(sizes[kept])
    keys = keys_of(products, coupled.sizes)
    order = np.argsort(keys)
    places = order[np.minimum(np.searchsorted(keys, found.keys, sorter=order), len(keys) - 1)]
    inside = keys[places] == found.keys
    lift = np.zeros((len(keys), len(unit)))
    lift[places[inside]] = felt[inside].toarray()
    outside = felt[~inside]
    beyond = (outside.T @ outside).toarray()
    missed = _missed(coupled, index, vectors, unit, found)
    return Intermediate(energies=energies, lift=lift @ unit, beyond=unit.T @ beyond @ unit, tau=tau - missed / SPLIT)


def _missed(coupled: Coupled, index: np.ndarray, vectors: Any, unit: np.ndarray, found: Reach) -> float:
    """Bound on the square of the norm of what of V' p is not in `found`, by |a + b|^2 <= 2 |a|^2 + 2 |b|^2."""
    leaving = np.asarray(unit.T @ ((vectors.T @ (leaving_form(coupled, index) @ vectors)) @ unit))
    strength = np.sqrt(np.asarray(abs(vectors).power(2).sum(axis=1)).ravel() * np.linalg.norm(unit) ** 2)
    tails = sum(float(np.linalg.norm(grouped(coupling.axes, coupled.sizes, index, tail * strength)))
                for coupling, tail in zip(coupled.couplings, found.tails, strict=True))  # fmt: skip
    return 2 * float(np.linalg.norm(leaving)) + 2 * tails**2


def sigma(potential: Several, compared: ByTerms, axes: Sequence[OnGrid], energies: Float[np.ndarray, "K+1"]) -> float:
    """A lower bound of level K (counted from 0) above level K - 1, or -inf where none is found.

    compared  a comparison potential of V
    axes      all functions of every axis
    energies  (K + 1,) of levels 0..K, upper bounds
    """
    from scipy import sparse

    split, counts = above(potential, compared, axes), functions(potential, FUNCTIONS)
    count, gap = len(energies) - 1, float(energies[-1] - energies[-2])
    mixes = [grid.ritz(v) for grid, v in zip(axes, split.v, strict=True)]
    coupled = couple(split, [grid.mixed(mix[:, :n]) for grid, (_, mix), n in zip(axes, mixes, counts, strict=True)])
    ends = potential.ends_of_axes
    floors = [survey(hamiltonian(piece.times(energy=grid.mass), pair), n).low / grid.mass
              for piece, grid, n, pair in zip(compared.pieces, axes, counts, ends, strict=True)]  # fmt: skip
    loss = LOSS * gap / len(axes)
    few = known(coupled, loss)
    products, tau = lower_products(coupled, few, loss, MOST_PRODUCTS, floors)
    lower = coupled.shift + sum(e[products[:, axis]] for axis, e in enumerate(few))
    products = products[np.argsort(lower, kind="stable")]
    trial, beyond = None, 0
    for many, more in STAGES:
        if trial is None or more > beyond:
            trial, beyond = ritz(coupled, count, LOSS * gap, MOST_TRIAL, more), more
        most = products[:many]
        keys = np.union1d(keys_of(trial.tuples, coupled.sizes), keys_of(most, coupled.sizes))
        ones = np.searchsorted(keys, keys_of(most, coupled.sizes)), np.arange(len(most))
        single = sparse.coo_array((np.ones(len(most)), ones), shape=(len(keys), len(most)))
        vectors = np.zeros((len(keys), count + more))
        vectors[np.searchsorted(keys, keys_of(trial.tuples, coupled.sizes))] = trial.vectors
        vectors = sparse.hstack([single, sparse.coo_array(vectors)]).tocsr()
        below = intermediate(coupled, index_of(keys, coupled.sizes), vectors, products, np.sort(lower), tau)
        for share in SHARES:
            level = float(energies[-2]) + share * gap
            if level < below.tau and below.count(level) <= count:
                return level
    return -np.inf
