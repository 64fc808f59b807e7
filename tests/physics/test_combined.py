"""Deltas and masses beside those of a potential, against potentials that have them and equations solved otherwise."""

import dataclasses
import re

import numpy as np
import pytest
from scipy import optimize

import qpinn
from qpinn import potentials
from qpinn.physics import reference, symmetry
from qpinn.physics.potentials import combined
from tests.physics import airy


def solved(potential, states=3, **settings):
    return qpinn.solve(potential, states=states, tol=1e-8, **settings)


def inside(solution, exact):
    return ((solution.bounds[:, 0] <= exact) & (exact <= solution.bounds[:, 1])).all()


def test_deltas_in_an_infinite_well_are_a_comb():
    own = solved(potentials.delta_comb(count=3, period=0.25, strength=12.0))
    deltas = [[0.25 * k, 12.0] for k in (1, 2, 3)]
    other = solved(combined(potentials.infinite_well(), deltas=deltas))
    np.testing.assert_allclose(other.energies, own.energies, rtol=1e-13)


def test_a_delta_in_a_parabola():
    """Even levels have the kink alpha psi(0) = 2 psi'(0+), Gamma functions of the energy (Busch 1998); odd ones do not
    feel it."""
    from scipy.special import gamma

    alpha = 3.0
    solution = solved(potentials.harmonic(), 4, hamiltonian={"deltas": [[0.0, alpha]]})

    def kink(energy):  # -2 psi' / psi of a decaying parabolic cylinder function
        return alpha + 4 * gamma(3 / 4 - energy / 4) / gamma(1 / 4 - energy / 4)

    even = [optimize.brentq(kink, low, high, xtol=1e-14) for low, high in ((1.0001, 2.9), (5.0001, 6.9))]
    np.testing.assert_allclose(solution.energies, [even[0], 3.0, even[1], 7.0], rtol=1e-11)
    assert all(solution.converged)


@pytest.mark.parametrize("ratio", [3.0, 0.2])
def test_a_formula_of_the_mass(ratio):
    """m linear in x, between walls: the flux is an Airy function."""
    solution = solved(potentials.infinite_well(), hamiltonian={"mass": f"1 + {ratio - 1}*x"})
    exact = np.array([float(airy.graded_mass_level(energy, 1.0, 1.0, ratio)) for energy in solution.energies])
    np.testing.assert_allclose(solution.energies, exact, rtol=1e-13)
    assert inside(solution, exact)


def test_masses_and_deltas_with_a_curve_are_those_of_a_finer_grid():
    """A mass that jumps and varies, a delta and a smooth V: grids of finite differences, extrapolated."""
    v = potentials.expression([-3, 3], "10*(x**2-1)**2 + x")
    whole = combined(v, deltas=[[0.0, -4.0], [1.5, 2.0]], mass="where(x < 0.75, 1 + 0.2*sin(x), 2)")
    solution = solved(whole)
    grids = [reference.finite_differences(solution.plan.potential, 3, points).energies for points in (4799, 9599)]
    extrapolated = (4 * grids[1] - grids[0]) / 3
    np.testing.assert_allclose(solution.energies, extrapolated, rtol=2e-8)
    spectral = reference.best(solution.plan.potential, 3)
    np.testing.assert_allclose(solution.energies, spectral.energies, rtol=1e-11)
    assert inside(solution, spectral.energies)


def test_a_delta_between_layers_and_inside_of_one():
    layers = potentials.layers(thickness=[5, 6, 5], offset=[0.3, 0, 0.3], mass=[0.1, 0.067, 0.1], field=20.0)
    whole = combined(layers, deltas=[[5.0, 0.1], [8.0, 0.3]])
    assert whole.breakpoints == (5.0, 8.0, 11.0)
    solution = solved(whole, units="semiconductor")
    best = reference.best(solution.plan.potential, 3)
    np.testing.assert_allclose(solution.energies, best.energies * solution.units.scale, rtol=1e-12)
    assert all(solution.converged)
    alone = solved(layers, units="semiconductor")
    assert (solution.energies > alone.energies).all()


def test_derivatives_with_respect_to_deltas_and_to_the_potential():
    well = potentials.finite_well(width=2.0, depth=20.0)
    deltas = np.array([[0.3, 4.0], [-0.5, -3.0]])
    slopes = qpinn.gradients(solved(combined(well, deltas=deltas)))
    step = 1e-4
    for row, column, key in ((0, 0, "places"), (1, 0, "places"), (0, 1, "strengths"), (1, 1, "strengths")):
        moved = [deltas + side * step * np.eye(2)[row][:, None] * np.eye(2)[column] for side in (1, -1)]
        up, down = (solved(combined(well, deltas=entry)).energies for entry in moved)
        np.testing.assert_allclose(slopes[key][:, row], (up - down) / (2 * step), rtol=1e-5, atol=1e-7)
    wider = [dataclasses.replace(well, width=2.0 + side * step) for side in (1, -1)]
    up, down = (solved(combined(one, deltas=deltas)).energies for one in wider)
    np.testing.assert_allclose(slopes["width"], (up - down) / (2 * step), rtol=1e-5)


def test_a_number_of_the_potential_is_varied_and_deltas_stay():
    whole = combined(potentials.finite_well(), deltas=[[0.0, 5.0]])
    varied = qpinn.vary(whole, "depth", [15.0, 20.0], states=2)
    np.testing.assert_allclose(varied.energies[1], solved(whole, 2).energies, rtol=1e-9)


def test_it_is_saved_and_loaded(tmp_path):
    solution = solved(combined(potentials.expression([0, 2], "5*x"), deltas=[[1.0, 2.0]], mass="1 + x/4"), 2)
    again = qpinn.load(solution.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.energies, solution.energies)
    assert again.given == solution.given


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"deltas": [[1.5, 2.0]]}, "hamiltonian.deltas=[1.5, 2]: must lie between the walls 0 and 1"),
        ({"deltas": [[0.5, 0.0]]}, "hamiltonian.deltas=[0.5, 0]: must have a strength that is not zero"),
        ({"deltas": [0.5, 2.0]}, "hamiltonian.deltas=0.5: must be pairs of position and strength"),
        ({"deltas": "here"}, "hamiltonian.deltas='here': must be pairs"),
        ({"mass": "x - 0.5"}, "hamiltonian.mass=x - 0.5: is not above 1e-6 near x = 0; must be positive everywhere"),
        ({"mass": "1 + y"}, "hamiltonian.mass=1 + y: y is unknown"),
        ({"mass": -1}, "hamiltonian.mass=-1: is not above 1e-6"),
        ({"masses": 1}, "hamiltonian=masses: unknown; did you mean mass? allowed: deltas, mass"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(more, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        qpinn.solve(potentials.infinite_well(), hamiltonian=more)


def test_layers_have_masses_of_their_own():
    layers = potentials.layers(thickness=[5], offset=[0], mass=[0.1])
    with pytest.raises(ValueError, match="layers brings its own masses"):
        combined(layers, mass=1.0)
    with pytest.raises(ValueError, match="needs walls"):
        combined(potentials.harmonic(), mass=2.0)


@pytest.mark.parametrize(
    ("potential", "deltas", "even"),
    [
        (potentials.finite_well(width=1.0, depth=20.0), [[-0.5, 5.0]], False),
        (potentials.finite_well(width=1.0, depth=20.0), [[0.5, 5.0], [-0.5, 5.0]], True),
        (potentials.infinite_well(), [[0.2, 1.0], [0.8, 2.0], [0.4, 2.0], [0.6, 1.0]], False),
        (potentials.infinite_well(), [[0.2, 1.0], [0.8, 1.0], [0.4, 2.0], [0.6, 2.0]], True),
        (potentials.infinite_well(), [[0.25, 1.0], [0.25, 2.0], [0.75, 2.0], [0.75, 1.0]], True),
    ],
)
def test_deltas_are_even_by_where_they_are_and_not_by_their_order(potential, deltas, even):
    """A delta on one of two edges of a well, and strengths whose list alone reads the same backwards."""
    whole = combined(potential, deltas=deltas)
    assert symmetry.reflects(whole) is even
    assert all(solved(whole).converged)


def test_what_takes_a_delta_off_an_edge_has_no_derivative_and_the_rest_has():
    """A delta on an edge of a well, which moves with its width; the mesh has one edge for both."""

    def level(depth=20.0, strength=5.0):
        well = potentials.finite_well(width=1.0, depth=depth)
        return solved(combined(well, deltas=[[-0.5, strength], [1.0, 1.0]]), 1)

    slopes, step = qpinn.gradients(level()), 1e-3
    assert np.isnan([slopes["width"][0], slopes["center"][0], slopes["places"][0, 0]]).all()
    deeper, stronger = (
        (level(**{key: value + step}).energies[0] - level(**{key: value - step}).energies[0]) / (2 * step)
        for key, value in (("depth", 20.0), ("strength", 5.0))
    )
    np.testing.assert_allclose([slopes["depth"][0], slopes["strengths"][0, 0]], [deeper, stronger], rtol=1e-6)
    assert np.isfinite(slopes["places"][0, 1])
