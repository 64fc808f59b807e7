"""Rayleigh-Ritz among chosen products of axis functions, for boxes of many axes, where no grid of all axes exists.

With one potential v_i on each axis, and what is left of V as terms W_t on few axes each,

    H = sum_i (-(1 / m_i) d^2 / dx_i^2 + v_i) + shift + sum_t W_t.

A product is a tuple of indices, one for each axis, of functions in which the first part is diagonal. W_t connects
products that agree off its axes, by integrals over its axes alone. Which products are taken, the residual says: those
that H reaches and that lower the levels most are added, until what they could add is small (Huron, Malrieu and Rancurel
1973).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from qpinn.linalg.davidson import MOST_BLOCKS, Eigenpairs, davidson
from qpinn.physics.mean_field import Tables, sums
from qpinn.physics.potentials.several import Several, table
from qpinn.wavefunctions.axis import OnGrid

EXTRA = 4
"""Vectors beyond the levels that are wanted: they make clusters at the end converge."""

DENSE = 400
"""Products that are begun with."""

FIRST_ACCURATE = 1e-3
"""Norm of the residual among the first products at which they are solved."""

WITHIN, FINEST = 0.1, 1e-10
"""Norm of the residual among the products, relative to that outside of them; and the least that is asked for."""

GROWTH = 2.5
"""Products are added until there are so many times as many."""

MOST_LOCAL = 1000
"""Products of the functions of the three axes of a term, at most: a matrix among them is dense."""

NEGLECTED = 1e-11
"""Matrix elements below this share of the largest are left out while products are chosen; no result rests on them."""

SCREENED = 1e-3
"""Matrix elements times coefficients below this share of the root of the tolerance find no new products."""

PRODUCT_BYTES = 10_000
"""Memory that a product takes, about, but for its coefficients in the blocks of the Davidson iteration."""


class Split(NamedTuple):
    """V = sum_i v_i + shift + sum_t W_t: v (Q_i,) of every axis, and W_t on the grid of its axes."""

    v: list[np.ndarray]
    shift: float
    parts: Tables


@dataclasses.dataclass(frozen=True)
class Coupling:
    """W of some axes among the m products of their functions, the last axis running fastest.

    inside   (m, m) <ab|W|cd>
    leaving  (m, m) <ab|W (1 - P) W|cd> with P on those products
    """

    axes: tuple[int, ...]
    inside: Float[np.ndarray, "m m"]
    leaving: Float[np.ndarray, "m m"]

    @functools.cached_property
    def by_size(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of every column rows (m, m) and elements, the largest first, and norms (m, m + 1) of what follows each."""
        rows = np.argsort(-np.abs(self.inside), axis=0).T
        values = np.take_along_axis(self.inside.T, rows, axis=1)
        rest = np.sqrt(np.cumsum(values[:, ::-1] ** 2, axis=1))[:, ::-1]
        return rows, values, np.concatenate([rest, np.zeros((len(rest), 1))], axis=1)


class AxisForms(NamedTuple):
    """<u_a'|u_b' / m> + <u_a|v u_b> and <u_a|u_b> (n, n) by the quadrature."""

    form: Float[np.ndarray, "n n"]
    overlap: Float[np.ndarray, "n n"]


class Coupled(NamedTuple):
    """H among products of n_i functions of every axis: energies (n_i,) of them, a shift, and what couples them.

    defects  (n_i, n_i) <r_a|r_b>, r = -u'' / m + v u - e u of the functions of every axis
    forms    what the energies are made from, of every axis
    """

    energies: list[np.ndarray]
    shift: float
    couplings: list[Coupling]
    defects: list[np.ndarray]
    forms: list[AxisForms]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(e) for e in self.energies)

    def diagonal(self, index: Int[np.ndarray, "N d"]) -> Float[np.ndarray, "N"]:
        """Energies (N,) of products without what couples them."""
        return self.shift + sum(e[index[:, axis]] for axis, e in enumerate(self.energies))  # type: ignore[no-any-return]


def split(
    potential: Several, grids: Sequence[OnGrid], densities: Sequence[Float[np.ndarray, "Q"]],
    places: Sequence[Float[np.ndarray, "P"]] | None = None,
) -> Split:  # fmt: skip
    """V split by its averages over |phi_i|^2 times weights, (Q_i,) on every axis: no W_t has an average over an axis.

    places  of every axis, where v_i and W_t are asked for; None: on the grids
    """
    fine = [grid.x for grid in grids]
    asked = fine if places is None else places
    v, shift, parts = [np.zeros(len(x)) for x in asked], 0.0, []
    for term in potential.terms:
        here = [asked[axis] for axis in term.axes]
        rest = table(potential, term, here)
        averages = []
        for axis in term.axes:
            seen = rest if places is None else table(
                potential, term, [asked[axis] if other == axis else fine[other] for other in term.axes]
            )  # fmt: skip
            averages.append(_average(seen, [None if other == axis else densities[other] for other in term.axes]))
            v[axis] = v[axis] + averages[-1]
        seen = rest if places is None else table(potential, term, [fine[axis] for axis in term.axes])
        mean = float(_average(seen, [densities[axis] for axis in term.axes]))
        shift -= (len(term.axes) - 1) * mean
        if len(term.axes) > 1:
            parts.append((term.axes, rest + (len(term.axes) - 1) * mean - outer_sum(averages)))
    return Split(v, shift, parts)


def _average(values: np.ndarray, densities: Sequence[np.ndarray | None]) -> Any:
    """The average over all axes but those of None."""
    for place, density in reversed(list(enumerate(densities))):
        if density is not None:
            values = np.tensordot(values, density, axes=(place, 0))
    return values


def outer_sum(functions: Sequence[np.ndarray]) -> np.ndarray:
    """f (P,), g (Q,), ... to f_p + g_q + ... (P, Q, ...)."""
    total = functions[0]
    for function in functions[1:]:
        total = np.add.outer(total, function)
    return total


def functions(potential: Several, count: int) -> list[int]:
    """How many functions of each axis to take: `count`, or so many that a term of three axes has no more products."""
    wide = {axis for term in potential.terms if len(term.axes) > 2 for axis in term.axes}
    return [round(MOST_LOCAL ** (1 / 3)) if axis in wide else count for axis in range(potential.dimension)]


def couple(parts: Split, axes: Sequence[OnGrid]) -> Coupled:
    """H among the products of the functions of `axes`, those of the potentials v_i of `parts`."""
    energies, defects, forms = [], [], []
    for grid, v in zip(axes, parts.v, strict=True):
        value, slope, bend = grid.jets
        form = (slope * (grid.weight / grid.mass)) @ slope.T + (value * (grid.weight * v)) @ value.T
        overlap = (value * grid.weight) @ value.T
        e = np.diag(form) / np.diag(overlap)
        rest = v * value - bend / grid.mass - e[:, None] * value
        energies.append(e)
        defects.append((rest * grid.weight) @ rest.T)
        forms.append(AxisForms(form, overlap))
    couplings = [_coupling(where, table, [axes[axis] for axis in where]) for where, table in parts.parts]
    return Coupled(energies=energies, shift=parts.shift, couplings=couplings, defects=defects, forms=forms)


def _coupling(where: tuple[int, ...], table: np.ndarray, axes: Sequence[OnGrid]) -> Coupling:
    inside = elements(table, axes)
    leaving = elements(table**2, axes) - inside @ inside
    return Coupling(where, inside, leaving)


def elements(table: np.ndarray, axes: Sequence[OnGrid]) -> Float[np.ndarray, "m m"]:
    """<ab|f|cd> (m, m) of f on the grid of the axes, among the m products of their functions."""
    form, places = table, []
    for grid in axes:  # (Q, ...) to (..., pairs)
        value = grid.jets[0]
        first, last = np.triu_indices(len(value))
        form = np.tensordot(form, value[first] * value[last] * grid.weight, axes=(0, 1))
        place = np.zeros((len(value), len(value)), int)
        place[first, last] = place[last, first] = np.arange(len(first))
        places.append(place)
    for axis, place in enumerate(places):  # (..., pairs, ...) to (..., n, n, ...)
        form = np.take(form, place, axis=2 * axis)
    order = [*range(0, 2 * len(axes), 2), *range(1, 2 * len(axes), 2)]
    count = int(np.prod([len(place) for place in places]))
    return form.transpose(order).reshape(count, count)


class Entries(NamedTuple):
    """Numbers of a sparse matrix: the keys of the products that its rows are, its columns, and values."""

    keys: Int[np.ndarray, "z"]
    columns: Int[np.ndarray, "z"]
    values: Float[np.ndarray, "z"]


def keys_of(index: Int[np.ndarray, "N d"], sizes: tuple[int, ...]) -> Int[np.ndarray, "N"]:
    """One number for each tuple, ascending as tuples do."""
    return np.ravel_multi_index(tuple(index.T), sizes)


def index_of(keys: Int[np.ndarray, "N"], sizes: tuple[int, ...]) -> Int[np.ndarray, "N d"]:
    return np.stack(np.unravel_index(keys, sizes), axis=1)


def local(
    index: Int[np.ndarray, "N d"], axes: tuple[int, ...], sizes: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The place (N,) of each product among those of some axes, and (m,) what every place adds to the key."""
    few = tuple(sizes[axis] for axis in axes)
    strides = np.cumprod([1, *sizes[:0:-1]])[::-1]
    every = np.stack(np.unravel_index(np.arange(int(np.prod(few))), few))
    place = np.ravel_multi_index(tuple(index[:, axis] for axis in axes), few)
    return place, strides[list(axes)] @ every


def reached(
    coupled: Coupled, index: Int[np.ndarray, "N d"], strength: Float[np.ndarray, "N"], least: float
) -> tuple[Entries, list[Float[np.ndarray, "N"]]]:
    """Matrix elements from N products to all others that are at least `least` / `strength`, diagonal left out.

    Also for every coupling the norm (N,) of what was left out of each column.
    """
    sizes, keys, entries, left = coupled.sizes, keys_of(index, coupled.sizes), [], []
    for coupling in coupled.couplings:
        place, steps = local(index, coupling.axes, sizes)
        order, values, rest = coupling.by_size
        ends = _counts(-np.abs(values), place, -least / np.maximum(strength, 1e-300))
        left.append(rest[place, ends])
        columns = np.repeat(np.arange(len(index)), ends)
        within = np.arange(len(columns)) - np.repeat(np.cumsum(ends) - ends, ends)
        there = place[columns]
        rows = order[there, within]
        entries.append(Entries(keys[columns] + steps[rows] - steps[there], columns, values[there, within]))
    if not entries:
        return Entries(np.zeros(0, int), np.zeros(0, int), np.zeros(0)), left
    return Entries(*(np.concatenate(part) for part in zip(*entries, strict=True))), left


def _counts(ascending: np.ndarray, place: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """How many numbers of row `place` of `ascending` (m, n) are at most `limit`, for each of N."""
    counts = np.zeros(len(place), int)
    order = np.argsort(place, kind="stable")
    begins = np.searchsorted(place[order], np.arange(len(ascending) + 1))
    for row in np.flatnonzero(np.diff(begins)):
        those = order[begins[row] : begins[row + 1]]
        counts[those] = np.searchsorted(ascending[row], limit[those], side="right")
    return counts


class Image(NamedTuple):
    """H psi_k on the M products that it reaches: keys (M,) ascending, values (M, K), and where the N products are.

    left  (K,) bound on the norm of what was left out
    """

    keys: Int[np.ndarray, "M"]
    values: Float[np.ndarray, "M K"]
    places: Int[np.ndarray, "N"]
    left: Float[np.ndarray, "K"]


class Reach(NamedTuple):
    """The coupling from N products to the M that it reaches: sparse (M, N), keys (M,), places of the N among them.

    tails  for every coupling the norm (N,) of what was left out of each column
    """

    matrix: Any
    keys: Int[np.ndarray, "M"]
    places: Int[np.ndarray, "N"]
    tails: list[Float[np.ndarray, "N"]]


def reach(
    coupled: Coupled, index: Int[np.ndarray, "N d"], strength: Float[np.ndarray, "N"], least: float
) -> Reach:  # fmt: skip
    """The coupling as a matrix, where elements times `strength` below `least` are left out."""
    from scipy import sparse

    entries, tails = reached(coupled, index, strength, least)
    keys, where = np.unique(np.concatenate([keys_of(index, coupled.sizes), entries.keys]), return_inverse=True)
    places, rows = where[: len(index)], where[len(index) :]
    matrix = sparse.coo_array((entries.values, (rows, entries.columns)), shape=(len(keys), len(index)))
    return Reach(matrix=matrix.tocsr(), keys=keys, places=places, tails=tails)


def image(coupled: Coupled, index: Int[np.ndarray, "N d"], vectors: Float[np.ndarray, "N K"], least: float) -> Image:
    """H times vectors, where matrix elements times coefficients below `least` are left out."""
    found = reach(coupled, index, np.abs(vectors).max(axis=1), least)
    left = np.zeros(vectors.shape[1])
    for coupling, tail in zip(coupled.couplings, found.tails, strict=True):
        left += np.sqrt(
            np.sum(grouped(coupling.axes, coupled.sizes, index, np.abs(vectors) * tail[:, None]) ** 2, axis=0)
        )
    values = found.matrix @ vectors
    values[found.places] += coupled.diagonal(index)[:, None] * vectors
    return Image(keys=found.keys, values=values, places=found.places, left=left)


def grouped(axes: tuple[int, ...], sizes: tuple[int, ...], index: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums of values (N, K) over products that agree off these axes."""
    from scipy import sparse

    others = index.copy()
    others[:, list(axes)] = 0
    _, group = np.unique(keys_of(others, sizes), return_inverse=True)
    one = sparse.coo_array((np.ones(len(group)), (group, np.arange(len(group)))))
    return np.asarray(one.tocsr() @ values)


class Ritz(NamedTuple):
    """Levels among N products: energies (K,), tuples (N, d) by ascending keys, and coefficients (N, K).

    missing  (K,) by how much all products that are one step away would lower each level, to second order
    steps    of the Davidson iterations
    """

    energies: Float[np.ndarray, "K"]
    tuples: Int[np.ndarray, "N d"]
    vectors: Float[np.ndarray, "N K"]
    missing: Float[np.ndarray, "K"]
    steps: int


def fit_into(room: float, count: int) -> int:
    """How many products of `count` levels fit into so many bytes, about."""
    return int(room / (PRODUCT_BYTES + 24 * MOST_BLOCKS * (count + 1 + EXTRA)))


def ritz(coupled: Coupled, count: int, tol: float, most: int, more: int = 0) -> Ritz:
    """The lowest `count` levels, from as many products as it takes for `missing` to be below `tol`, `most` at most.

    more  levels beyond, which have no say in which products are taken
    """
    solved = count + more
    index = _sorted(sums(coupled.energies, max(DENSE, 8 * solved)), coupled.sizes)
    vectors = np.linalg.eigh(hamiltonian(coupled, index).toarray())[1][:, : solved + EXTRA]
    steps, accurate = 0, FIRST_ACCURATE
    matrix = hamiltonian(coupled, index)
    while True:
        found = davidson(matrix.__matmul__, matrix.diagonal(), vectors, solved, accurate)
        steps += found.steps
        outside = _outside(coupled, index, found, SCREENED * np.sqrt(tol))
        missing, worst = outside.gains.sum(axis=0), outside.gains[:, :count].max(axis=1, initial=0.0)
        vectors = np.concatenate([found.vectors, vectors[:, solved:]], axis=1)
        last = missing[:count].max() <= tol or len(index) >= most
        finer = max(WITHIN * float(outside.norms[:count].min()), FINEST)
        if last and (found.residuals[:count].max() <= 2 * finer or accurate <= finer):
            return Ritz(energies=found.values, tuples=index, vectors=found.vectors, missing=missing, steps=steps)
        if last:  # what is left within the products must not be what limits the levels
            accurate = finer
            continue
        order = np.argsort(-worst)
        rest = worst.sum() - np.cumsum(worst[order])
        enough = int(np.count_nonzero(rest > tol / 4)) + 1
        added = order[: min(enough, int(len(index) * (GROWTH - 1)), most - len(index))]
        left = np.sqrt(max(rest[len(added) - 1], 0.0) / worst.sum())
        accurate = max(WITHIN * left * float(outside.norms.max()), FINEST)
        index, vectors = _grown(index, vectors, outside.keys[added], coupled.sizes)
        matrix = hamiltonian(coupled, index)


def hamiltonian(coupled: Coupled, index: Int[np.ndarray, "N d"], least: float | None = None) -> Any:
    """H among products (sparse (N, N)), their tuples by ascending keys, without elements below `least`."""
    from scipy import sparse

    if least is None:
        least = NEGLECTED * max((float(np.abs(one.inside).max()) for one in coupled.couplings), default=1.0)
    entries, _ = reached(coupled, index, np.ones(len(index)), least)
    keys = keys_of(index, coupled.sizes)
    rows = np.minimum(np.searchsorted(keys, entries.keys), len(keys) - 1)
    among = keys[rows] == entries.keys
    shape = (len(keys), len(keys))
    coupling = sparse.coo_array((entries.values[among], (rows[among], entries.columns[among])), shape=shape)
    return (coupling + sparse.diags_array(coupled.diagonal(index))).tocsr()


class _Outside(NamedTuple):
    """Products that H reaches beyond those there are: keys (M,), by how much each lowers a level (M, K); |r| (K,)."""

    keys: np.ndarray
    gains: np.ndarray
    norms: np.ndarray


def _outside(coupled: Coupled, index: np.ndarray, pairs: Eigenpairs, least: float) -> _Outside:
    found = image(coupled, index, pairs.vectors, least)
    others = np.ones(len(found.keys), bool)
    others[found.places] = False
    keys, rest = found.keys[others], found.values[others]
    apart = coupled.diagonal(index_of(keys, coupled.sizes))[:, None] - pairs.values
    close = max(1e-3 * float(np.abs(pairs.values).max()), 1e-12)
    return _Outside(keys, rest**2 / np.maximum(apart, close), np.linalg.norm(rest, axis=0))


def _sorted(index: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    return index[np.argsort(keys_of(index, sizes))]


def _grown(index: np.ndarray, vectors: np.ndarray, new: np.ndarray, sizes: tuple[int, ...]) -> tuple[Any, Any]:
    """Products with new ones among them, by ascending keys, and vectors that are 0 there."""
    keys = np.concatenate([keys_of(index, sizes), new])
    order = np.argsort(keys)
    wide = np.concatenate([vectors, np.zeros((len(new), vectors.shape[1]))])
    return index_of(keys[order], sizes), wide[order]


def reduced(
    index: Int[np.ndarray, "N d"], axes: tuple[int, ...], sizes: tuple[int, ...], vectors: Float[np.ndarray, "N K"],
    others: Float[np.ndarray, "N K"] | None = None,
) -> Float[np.ndarray, "m m"]:  # fmt: skip
    """sum over k and over products off the axes of c_a c'_b, (m, m): density matrices of some axes, summed over k."""
    from scipy import sparse

    place, _ = local(index, axes, sizes)
    off = index.copy()
    off[:, list(axes)] = 0
    _, group = np.unique(keys_of(off, sizes), return_inverse=True)
    count, m = vectors.shape[1], int(np.prod([sizes[axis] for axis in axes]))
    rows = (group[:, None] * count + np.arange(count)).ravel()
    shape, columns = ((group.max() + 1) * count, m), np.repeat(place, count)

    def gathered(values: np.ndarray) -> Any:
        return sparse.coo_array((values.ravel(), (rows, columns)), shape=shape).tocsr()

    left = gathered(vectors)
    return (left.T @ (left if others is None else gathered(others))).toarray()  # type: ignore[no-any-return]


def meeting(sets: Sequence[tuple[int, ...]]) -> int:
    """How many of these sets of axes one of them has an axis in common with at most, itself included."""
    return max((sum(bool(set(one) & set(other)) for other in sets) for one in sets), default=1)


def leaving_form(coupled: Coupled, index: Int[np.ndarray, "N d"]) -> Any:
    """A sparse (N, N) form that is no less than |(1 - P) sum_t W_t psi|^2, P on all products of the axes' functions.

    (1 - P) W_t psi and (1 - P) W_s psi are orthogonal if no axis is common to both: if each meets no more than T of
    them, itself included, |sum|^2 <= T times the sum of squares.
    """
    count = meeting([coupling.axes for coupling in coupled.couplings])
    alone = [Coupling(one.axes, count * one.leaving, one.leaving) for one in coupled.couplings]
    empty = [np.zeros(len(e)) for e in coupled.energies]
    return hamiltonian(coupled._replace(energies=empty, shift=0.0, couplings=alone), index, 0.0)
