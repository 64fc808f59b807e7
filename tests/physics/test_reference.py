"""Two independent routes to the levels, and both against textbook equations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import interpolate

from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.physics import reference
from qpinn.physics.potentials import barrier, expression, finite_well, harmonic, infinite_well, morse, two_deltas
from qpinn.physics.potentials.samples import Sampled
from qpinn.physics.resolution import segment_edges

CASES = [
    infinite_well(),
    infinite_well((-3.0, 11.0)),
    finite_well(),
    barrier(),
    finite_well(center=1.3, width=0.7),
    finite_well((-40.0, 40.0), depth=0.6),
    finite_well(depth=2000.0),
    barrier(center=0.3, height=500.0),
    barrier((1000.0, 1001.0), center=1000.5, height=5.0),
    barrier(width=0.9, height=2.0),
]


def _quadrature(potential, phase=0.5):
    points = gauss_legendre(Mesh(segment_edges(potential, 9, phase)), 24)
    return np.asarray(points.x).ravel(), np.asarray(points.weight).ravel()


@pytest.mark.parametrize("potential", CASES, ids=lambda p: f"{p.name}-{p.domain}")
def test_two_routes_agree(potential):
    exact = reference.exact(potential, 8)
    galerkin = reference.spectral_elements(potential, 8)
    np.testing.assert_allclose(galerkin.energies, exact.energies, rtol=1e-12)
    x, weight = _quadrature(potential)
    a, b = exact.psi(x), galerkin.psi(x)
    assert np.sqrt(np.sum(weight * (a - b) ** 2, axis=1)).max() < 1e-9
    np.testing.assert_allclose((weight * a) @ a.T, np.eye(8), atol=1e-11)


@pytest.mark.parametrize("seed", range(5))
def test_two_routes_agree_on_random_wells(seed):
    rng = np.random.default_rng(seed)
    length = 10 ** rng.uniform(-0.5, 1.5)
    width = length * rng.uniform(0.05, 0.8)
    center = rng.uniform(-0.49, 0.49) * (length - width)
    build = [finite_well, barrier][seed % 2]
    potential = build((-length / 2, length / 2), center, width, 10 ** rng.uniform(0, 3) / length**2)
    exact = reference.exact(potential, 6).energies
    np.testing.assert_allclose(reference.spectral_elements(potential, 6).energies, exact, rtol=1e-12)


def test_infinite_well_is_the_closed_form():
    levels = reference.exact(infinite_well((0.0, 2.0)), 5)
    np.testing.assert_allclose(levels.energies, (np.arange(1, 6) * np.pi / 2) ** 2, rtol=1e-15)


def test_finite_well_solves_the_textbook_equation():
    a, b, depth = 1.0, 4.0, 20.0
    energies = reference.exact(finite_well(), 3).energies
    k, kappa = np.sqrt(energies), np.sqrt(depth - energies)
    outside = kappa / np.tanh(kappa * (b - a))
    assert abs(k[0] * np.tan(k[0] * a) - outside[0]) < 1e-11
    assert abs(-k[1] / np.tan(k[1] * a) - outside[1]) < 1e-11
    assert abs(k[2] * np.tan(k[2] * a) - outside[2]) < 1e-10


def test_barrier_solves_the_textbook_equation():
    a, b, height = 0.1, 0.5, 50.0
    energies = reference.exact(barrier(), 2).energies
    k, kappa = np.sqrt(energies), np.sqrt(height - energies)
    left = -k / np.tan(k * (b - a))
    assert abs(left[0] - kappa[0] * np.tanh(kappa[0] * a)) < 1e-11
    assert abs(left[1] - kappa[1] / np.tanh(kappa[1] * a)) < 1e-11


@pytest.mark.parametrize(
    ("potential", "energies"),
    [
        (finite_well(), [1.63948015, 6.44187996, 13.89153476, 20.61745222]),
        (barrier(), [25.0596863, 41.6335314, 106.0174389, 165.040116]),
    ],
)
def test_eight_digits_computed_elsewhere(potential, energies):
    np.testing.assert_allclose(reference.exact(potential, 4).energies, energies, rtol=3e-9)


def test_finite_differences_converge_with_second_order_where_jumps_meet_the_grid():
    potential = finite_well()
    exact = reference.exact(potential, 1).energies[0]
    coarse, fine = (reference.finite_differences(potential, 1, n).energies[0] - exact for n in (399, 799))
    assert 3.7 < coarse / fine < 4.3


def test_the_kth_state_has_k_nodes_and_starts_upwards(well):
    x, _ = _quadrature(well)
    for states in (reference.exact(well, 6), reference.spectral_elements(well, 6)):
        psi = states.psi(np.sort(x))
        assert [int(np.sum(np.diff(np.sign(row[np.abs(row) > 1e-9])) != 0)) for row in psi] == list(range(6))
        assert (psi[:, 0] > 0).all()


def test_even_potentials_have_states_of_definite_parity(well):
    left, right = well.domain
    x = np.linspace(left, right, 401)
    psi = reference.exact(well, 4).psi(x)
    signs = np.array([1, -1, 1, -1])[:, None]
    np.testing.assert_allclose(psi, signs * psi[:, ::-1], atol=1e-13)


def test_psi_vanishes_at_and_beyond_the_walls(well):
    left, right = well.domain
    for states in (reference.exact(well, 2), reference.spectral_elements(well, 2)):
        assert (states.psi(np.array([left - 1, left, right, right + 1])) == 0).all()


@pytest.mark.parametrize("states", [0, -1, 1.5, True, "3"])
def test_a_number_of_states_that_is_none_is_refused(states):
    for method in (reference.exact, reference.spectral_elements):
        with pytest.raises(ValueError, match="states="):
            method(finite_well(), states)


def test_exact_refuses_a_potential_that_is_not_piecewise_constant():
    class Ramp:
        domain, breakpoints = (0.0, 1.0), ()

        def at(self, x):
            return x[..., 0]

    with pytest.raises(ValueError, match="constant between its breakpoints"):
        reference.exact(Ramp(), 1)
    energy = reference.spectral_elements(Ramp(), 1).energies[0]
    assert np.pi**2 + 0.49 < energy < np.pi**2 + 0.5  # just below first-order perturbation theory


def _sampled(rows):
    """A spline through a parabola, V'' = 2, which it is itself: levels 2 k + 1 but for the walls at +-8."""
    x = np.linspace(-8.0, 8.0, rows)
    return Sampled(
        knots=x,
        coefficients=np.asarray(interpolate.CubicSpline(x, x**2).c),
        file="",
        interpolation="cubic",
        bends=(),
    )


@pytest.mark.parametrize(
    ("potential", "energies"),
    [
        (infinite_well((0.0, 2.0)), (np.arange(1, 4) * np.pi / 2) ** 2),
        (finite_well(depth=1e8), (np.arange(1, 4) * np.pi / 2) ** 2 / (1 + 1e-4) ** 2),  # k = n pi / (2 a + 2 / kappa)
        (harmonic((-9.0, 9.0)), [1, 3, 5]),
        (harmonic((1e5 - 9, 1e5 + 9), center=1e5), [1, 3, 5]),  # a position is known to 1e-11 only
        (morse((-2.0, 6.0)), 2 * 10 * (np.arange(3) + 0.5) - (np.arange(3) + 0.5) ** 2 - 100),
        (expression((-60.0, 62.22), "-20*exp(-x**2)"), [-15.9053405, -8.56120435, -3.08390145]),  # by sinc functions
        (_sampled(2001), [1, 3, 5]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_reference_states_its_own_error(potential, energies):
    levels = reference.best(potential, 8)
    digits = {"finite_well": 1e-7, "expression": 1e-8}.get(potential.name, 0.0)  # of the numbers beside
    assert (np.abs(levels.energies[:3] - energies) <= levels.errors[:3] + digits).all()
    assert (levels.errors <= 1e-9 * np.maximum(np.abs(levels.energies), 1)).all()
    assert (levels.psi_errors < 1e-6).all()
    assert levels.exact == (potential.name in ("infinite_well", "finite_well"))


def test_a_reference_on_a_mesh_that_misses_a_well_says_so():
    """Three elements of degree 6 do not resolve it; their halves do not agree with them."""
    potential = expression((-3.0, 3.3), "-2000*exp(-((x-0.7)/0.1)**2)")
    truth = reference.best(potential, 2)
    coarse = reference.spectral_elements(potential, 2, degree=6, elements=3, checked=True)
    off = np.abs(coarse.energies - truth.energies)
    assert (off > 0.1 * np.abs(truth.energies)).all()
    assert (coarse.errors > 0.1 * off).all()
    assert np.isnan(reference.spectral_elements(potential, 2).errors).all()


def test_a_pair_that_rounding_cannot_tell_apart_is_two_states():
    """A double well that is not even by 1e-9: both levels are there, orthogonal, and psi is not vouched for."""
    potential = expression((-4.0, 4.0), "30*(x**2-2.25)**2+1e-13*x")
    levels = reference.best(dataclasses.replace(potential, right=4.0 + 1e-7), 4)
    assert levels.energies[1] - levels.energies[0] < 1e-9 * levels.energies[0]
    x, weight = _quadrature(potential)
    psi = levels.psi(x)
    np.testing.assert_allclose((weight * psi) @ psi.T, np.eye(4), atol=1e-9)
    assert levels.psi_errors[0] > 1e-6 > 1e-10 > levels.errors[0]


def test_a_reference_beyond_the_budget_is_refused_before_it_is_begun():
    with pytest.raises(reference.SizeError, match=r"spectral elements need 3000000 unknowns, more than \d+"):
        reference.spectral_elements(harmonic((-9.0, 9.1)), 1, degree=30, elements=100_000)
    with pytest.raises(reference.SizeError, match=r"exact levels need \S+ pieces of less than half a wave, more"):
        reference.exact(finite_well(), 40_000)


def test_a_wide_box_costs_what_its_levels_cost():
    """Two deltas far apart bind at -4 each; above them lie the levels of a box of 5e8 and of 1e9."""
    levels = reference.exact(two_deltas((-5.01e8, 5.01e8), 1e9, -4.0, -4.0), 8)
    np.testing.assert_allclose(levels.energies[:2], -4, rtol=1e-12)
    assert (levels.energies[2:] < 1e-14).all()


def test_a_formula_that_intervals_cannot_bound_is_not_taken_for_a_constant():
    """1 + x*x may be zero for all that interval arithmetic knows of x in [-10, 10]; 1 + x**2 may not."""
    naive, known = (expression((-10.0, 10.0), f"-20/(1+{square})**2") for square in ("x*x", "x**2"))
    levels = [reference.best(potential, 3) for potential in (naive, known)]
    assert levels[0].method == levels[1].method == "spectral elements"
    np.testing.assert_allclose(levels[0].energies, levels[1].energies, rtol=1e-12)
