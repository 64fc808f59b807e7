"""Chosen products of axis functions against all of them, by dense matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qpinn.training import index_products as products
from qpinn.training.index_products import AxisForms, Coupled, Coupling


def _coupled(sizes, where, seed=0, strength=0.3):
    """A random H of this form, and its matrix among all products."""
    rng = np.random.default_rng(seed)
    energies = [np.sort(rng.uniform(0, 6, n)) for n in sizes]
    couplings = []
    whole = np.diag(sum(np.meshgrid(*energies, indexing="ij")).ravel()) - 0.5 * np.eye(int(np.prod(sizes)))
    every = np.array(list(itertools.product(*map(range, sizes))))
    for axes in where:
        m = int(np.prod([sizes[axis] for axis in axes]))
        inside = rng.normal(size=(m, m)) * strength
        inside = (inside + inside.T) / 2
        couplings.append(Coupling(axes, inside, np.zeros((m, m))))
        place = np.ravel_multi_index(tuple(every[:, axis] for axis in axes), [sizes[axis] for axis in axes])
        others = [axis for axis in range(len(sizes)) if axis not in axes]
        same = (every[:, None, others] == every[None, :, others]).all(axis=-1)
        whole = whole + same * inside[np.ix_(place, place)]
    none = [np.zeros((n, n)) for n in sizes]
    forms = [AxisForms(np.diag(e), np.eye(len(e))) for e in energies]
    coupled = Coupled(energies=energies, shift=-0.5, couplings=couplings, defects=none, forms=forms)
    return coupled, whole, every


@pytest.mark.parametrize("where", [[(0, 1), (1, 2)], [(0, 2)], [(0, 1, 2)], [(1,), (0, 1)], []])
def test_h_among_all_products_is_the_dense_matrix(where):
    coupled, whole, every = _coupled((3, 4, 5), where)
    assert np.allclose(products.hamiltonian(coupled, every, 0.0).toarray(), whole, atol=1e-14)


def test_h_of_a_few_products_reaches_what_the_dense_matrix_says():
    coupled, whole, every = _coupled((3, 4, 5), [(0, 1), (1, 2)])
    some = np.array([3, 17, 30, 58])
    vectors = np.random.default_rng(1).normal(size=(4, 2))
    found = products.image(coupled, every[some], vectors, 0.0)
    dense = np.zeros((60, 2))
    dense[found.keys] = found.values
    assert np.allclose(dense, whole[:, some] @ vectors, atol=1e-13)
    assert np.array_equal(found.keys[found.places], some)
    assert (found.left == 0).all()


def test_what_is_left_out_of_h_psi_is_within_its_bound():
    coupled, whole, every = _coupled((3, 4, 5), [(0, 1), (1, 2), (0, 2)])
    vectors = np.random.default_rng(2).normal(size=(60, 3)) * 10.0 ** -np.arange(60)[:, None]
    for least in (1e-1, 1e-2, 1e-4):
        found = products.image(coupled, every, vectors, least)
        dense = np.zeros((60, 3))
        dense[found.keys] = found.values
        missing = np.linalg.norm(dense - whole @ vectors, axis=0)
        assert (missing <= found.left).all()
        assert missing.max() > 0


def test_the_levels_of_a_chain_are_those_of_all_its_products():
    coupled, whole, _ = _coupled((5, 6, 5, 6), [(0, 1), (1, 2), (2, 3)], seed=3, strength=0.05)
    exact = np.linalg.eigvalsh(whole)
    found = products.ritz(coupled, 5, 1e-9, 900, more=1)
    assert np.abs(found.energies[:5] - exact[:5]).max() < 3e-9
    assert (found.energies - exact[:6] > -1e-12).all()  # from above
    few = products.ritz(coupled, 5, 1e-9, 500)
    assert len(few.tuples) == 500
    error = few.energies - exact[:5]
    assert (error > few.missing / 3).all()  # what it says is missing is
    assert (error < 3 * few.missing).all()


def test_density_matrices_give_the_expectation_of_a_coupling():
    coupled, whole, every = _coupled((3, 4, 5), [(0, 2)])
    vectors = np.random.default_rng(4).normal(size=(60, 2))
    alone = whole - np.diag(coupled.diagonal(every))
    (coupling,) = coupled.couplings
    total = np.sum(coupling.inside * products.reduced(every, coupling.axes, coupled.sizes, vectors))
    assert np.isclose(total, np.trace(vectors.T @ alone @ vectors))
    pair = products.reduced(every, coupling.axes, coupled.sizes, vectors[:, [0]], vectors[:, [1]])
    assert np.isclose(np.sum(coupling.inside * pair), vectors[:, 0] @ alone @ vectors[:, 1])
