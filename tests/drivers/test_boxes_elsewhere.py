"""Levels of boxes against finite elements, and those against exact ones."""

import elsewhere
import numpy as np
import pytest
from scipy import optimize, special

import qpinn
from qpinn import potentials
from qpinn.physics.potentials.several import several


@pytest.mark.parametrize(
    ("potential", "relative"),
    [
        (several([[-5, 5], [-4.5, 5.5]], "x**2 + 1.5*y**2 + 0.3*x*y + 0.2*x**2*y**2"), 1e-3),
        (potentials.box_dot(depth=20.0, sizes=[2.0, 1.4], domain=[[-2, 2], [-2, 2]]), 1e-3),
    ],
    ids=["coupled", "rectangle"],
)
def test_finite_elements_find_the_same_levels(potential, relative):
    """Those lie above the exact ones, by less than a quarter of what they fall on a finer mesh."""
    solution = qpinn.solve(potential, states=5)
    coarse, fine = (elsewhere.finite_elements(potential, 5, refined)[0] for refined in (2, 3))
    below = fine - (coarse - fine) / 4
    assert (below < fine).all()
    assert (below > fine * (1 - relative)).all()
    assert (below < solution.energies).all()
    assert (solution.energies < fine).all()
    assert (below < solution.bounds[:, 1]).all()
    assert (solution.bounds[:, 0] < fine).all()


def test_elements_around_a_circle_find_the_levels_of_bessel_functions():
    depth, radius = 50.0, 1.2
    dot = potentials.circular_dot(depth=depth, radius=radius, domain=[[-3, 3], [-3, 3]])
    found, _ = elsewhere.finite_elements(dot, 6, 4)

    def mismatch(energy, m):
        k, q = np.sqrt(energy), np.sqrt(depth - energy)
        inside = k * special.jvp(m, k * radius) * special.kv(m, q * radius)
        return inside - q * special.kvp(m, q * radius) * special.jv(m, k * radius)

    energies = np.linspace(0.01, depth - 0.01, 400)
    exact = []
    for m in range(4):
        values = mismatch(energies, m)
        for place in np.flatnonzero(values[1:] * values[:-1] < 0):
            root = optimize.brentq(mismatch, *energies[place : place + 2], args=(m,), xtol=1e-13)
            exact += [root] * (2 if m else 1)
    exact = np.sort(exact)[:6]
    assert (found > exact).all()
    assert (found < exact * (1 + 1e-5)).all()
    np.testing.assert_allclose(found[[1, 3]], found[[2, 4]], rtol=1e-6)
