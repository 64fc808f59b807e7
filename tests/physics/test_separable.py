"""Sums of functions of one coordinate each: nowhere above V, and as high as theory says."""

from __future__ import annotations

import numpy as np
import pytest

from qpinn.physics.potentials.several import several
from qpinn.physics.separable import Alone, by_terms, comparison

EDGES = np.linspace(-5, 5, 12)
X = np.linspace(-5, 5, 401)
NEAR = (X, np.exp(-(X**2)))

PAIRS = {
    "0.5*(x-y)**2": 0.0,  # no sum below it is above 0 on average
    "-x*y": -0.5,  # x y <= (x^2 + y^2) / 2, and <x^2> = 1/2
    "x*y": -0.5,
    "x**2*y**2": 0.0,
    "0.3*x*y + 0.1*x**2*y**2": None,
    "exp(-(x-y)**2)": 0.0,
    "-exp(-(x-y)**2)": -1.0,
    "where(x<0, 2, 0)*y**2": None,
}


@pytest.mark.parametrize("formula", PAIRS)
def test_it_lies_below_v_and_is_as_high_as_it_can_be(formula):
    potential = several([[-5, 5]] * 2, formula)
    edges = [np.union1d(EDGES, potential.breakpoints[axis]) for axis in range(2)]
    found = comparison(potential, edges, [NEAR, NEAR], np.inf, 1e-2)
    places = np.random.default_rng(0).uniform(-5, 5, (200_000, 2))
    total = sum(piece.at(places[:, [axis]]) for axis, piece in enumerate(found.pieces))
    assert (potential(places) - total).min() >= -found.excess - 1e-12
    assert found.excess < 0.1
    mean = sum(NEAR[1] @ piece.at(X[:, None]) / NEAR[1].sum() for piece in found.pieces)
    if PAIRS[formula] is not None:
        assert mean > PAIRS[formula] - 0.1


def test_terms_of_many_axes_add_up_to_a_potential_below_v():
    formula = "1 + x1**2 + exp(-x2**2) + x3**4/10 + 0.5*(x1-x2)**2 - x2*x3 + 0.1*x1*x3*x4 + x4**2"
    potential = several([[-5, 5]] * 4, formula)
    found = by_terms(potential, [EDGES] * 4, [NEAR] * 4, 0.1)
    places = np.random.default_rng(1).uniform(-5, 5, (100_000, 4))
    total = sum(piece.at(places[:, [axis]]) for axis, piece in enumerate(found.pieces))
    assert (potential(places) - total - found.shift).min() >= -1e-9
    assert [term.axes for term, _ in found.parts] == [(0, 1), (0, 2, 3), (1, 2)]


def test_a_term_alone_is_that_term():
    potential = several([[-1, 1]] * 5, "x1 + 3*x4*x2**2")
    (term,) = [term for term in potential.terms if len(term.axes) == 2]
    alone = Alone(potential, term)
    x = np.random.default_rng(2).uniform(-1, 1, (10, 2))
    assert np.allclose(alone.at(x), 3 * x[:, 1] * x[:, 0] ** 2)
