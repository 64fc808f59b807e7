"""Levels of two and three coordinates: against exact ones and another route, and inside their bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, optimize

import qpinn
from qpinn import potentials
from qpinn.physics.potentials.several import several
from qpinn.wavefunctions import product


def _inside(solution, exact, slack=1e-10):
    bounds = solution.bounds
    assert np.isfinite(bounds).all(), solution.levels.reason
    assert (bounds[:, 0] <= exact + slack).all(), exact - bounds[:, 0]
    assert (exact <= bounds[:, 1] + slack).all(), bounds[:, 1] - exact


def _dense(potential, count, points=44):
    """Levels by sin functions on even points (Colbert and Miller), whose error is that of cutting off their series."""
    axes, kinetic = [], []
    for (left, right), mass in zip(potential.domain, potential.masses, strict=True):
        k = np.arange(1, points + 1)
        axes.append(left + (right - left) * k / (points + 1))
        modes = np.sqrt(2 / (points + 1)) * np.sin(np.pi * np.outer(k, k) / (points + 1))
        kinetic.append((modes * (k * np.pi / (right - left)) ** 2) @ modes.T / mass)
    v = potential(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    eye = np.eye(points)
    h = np.kron(kinetic[0], eye) + np.kron(eye, kinetic[1]) + np.diag(v.ravel())
    return linalg.eigh(h, subset_by_index=[0, count - 1], eigvals_only=True)


def _modes(potential, count):
    """Levels of a quadratic V from its normal modes."""
    d = potential.dimension
    eye = np.eye(d)
    form = np.array([[(potential(eye[i] + eye[j]) - potential(eye[i]) - potential(eye[j])) / 2 for j in range(d)]
                     for i in range(d)])  # fmt: skip
    root = 1 / np.sqrt(np.array(potential.masses))
    frequencies = np.sqrt(np.linalg.eigvalsh(root[:, None] * form * root))
    levels = frequencies.sum()
    for frequency in frequencies:
        levels = np.add.outer(levels, 2 * frequency * np.arange(count)).ravel()
        levels = np.sort(levels)[:count]
    return levels


def test_a_box_has_its_levels_degenerate_ones_too():
    solution = qpinn.solve(potentials.box(domain=[[0, 1], [0, 1]]), states=8, tol=1e-10)
    exact = np.pi**2 * np.sort([n**2 + m**2 for n in range(1, 9) for m in range(1, 9)])[:8]
    assert np.abs(solution.energies / exact - 1).max() < 1e-11
    _inside(solution, exact)
    assert all(solution.converged)


def test_masses_are_those_of_their_axes():
    solution = qpinn.solve(potentials.box(domain=[[0, 2], [1, 2]], masses=[3.0, 0.5]), states=5)
    exact = np.sort([np.pi**2 * (n**2 / 12 + m**2 / 0.5) for n in range(1, 9) for m in range(1, 9)])[:5]
    _inside(solution, exact)


@pytest.mark.parametrize("masses", [None, [1.0, 2.5]])
def test_coupled_oscillators_have_their_normal_modes(masses):
    chain = potentials.oscillator_chain(dimension=2, coupling=0.8, masses=masses)
    solution = qpinn.solve(chain, states=6, tol=1e-8)
    exact = _modes(chain, 6)
    assert np.abs(solution.energies / exact - 1).max() < 1e-10
    _inside(solution, exact)
    assert all(solution.converged)


def test_three_coordinates():
    chain = potentials.oscillator_chain(dimension=3, coupling=0.5)
    solution = qpinn.solve(chain, states=5)
    exact = _modes(chain, 5)
    assert np.abs(solution.energies / exact - 1).max() < 1e-9
    _inside(solution, exact)
    assert (solution.levels.half_width < 1e-6).all()


def test_henon_heiles_has_its_published_levels():
    """0.998595, 1.990077 twice, 2.956243, 2.985326 twice, 3.925964 twice of -Laplace / 2 (facts of several sources)."""
    solution = qpinn.solve(potentials.henon_heiles(), states=8, tol=1e-8)
    published = 2 * np.array([0.998595, 1.990077, 1.990077, 2.956243, 2.985326, 2.985326, 3.925964, 3.925964])
    assert np.abs(solution.energies - published).max() < 2e-5
    assert all(solution.converged)


@pytest.mark.parametrize("seed", range(4))
def test_random_potentials_against_a_dense_route(seed):
    draw = np.random.default_rng(seed)
    a, b, c, e, f = draw.uniform(-1, 1, 5).round(3)
    formula = f"(x**2 + {1.5 + a}*y**2) + {0.2 + 0.2 * b:.3f}*x**2*y**2 + {c}*x*y + {3 * e}*exp(-(x - {f})**2 - y**2)"
    potential = several([[-5.5, 5.5], [-5.5, 5.5]], formula)
    solution = qpinn.solve(potential, states=6)
    exact = _dense(potential, 6)
    assert np.abs(solution.energies - exact).max() < 1e-8
    _inside(solution, exact, 1e-8)


def test_a_pair_that_is_nearly_degenerate_is_not_missed():
    """Two double wells: four levels within a millionth of each other below the rest."""
    potential = several([[-2.6, 2.6], [-2.6, 2.6]], "30*(x**2 - 1)**2 + 30*(y**2 - 1)**2 + 0.01*x*y")
    solution = qpinn.solve(potential, states=4)
    exact = _dense(potential, 4, 50)
    assert np.ptp(exact) < 0.5
    _inside(solution, exact, 1e-7)


def test_a_rectangle_in_a_deep_well_of_the_other_axis_separates():
    """A jump on one axis beside a smooth V on the other: sums of a finite well's and an oscillator's levels."""
    potential = several([[-3, 3], [-7, 7]], "where(-1 < x < 1, 0, 12) + y**2")
    solution = qpinn.solve(potential, states=5)

    def even(k):  # cos(k) kappa = k sin(k) ... of a finite well in a box
        kappa = np.sqrt(12 - k**2)
        return k * np.tan(k) - kappa / np.tanh(2 * kappa)

    def odd(k):
        kappa = np.sqrt(12 - k**2)
        return k / np.tan(k) + kappa / np.tanh(2 * kappa)

    roots = [optimize.brentq(even, 0.1, 1.57, xtol=1e-15), optimize.brentq(odd, 1.6, 3.1, xtol=1e-15)]
    exact = np.sort([root**2 + 2 * n + 1 for root in roots for n in range(8)])[:5]
    assert np.abs(solution.energies - exact).max() < 1e-9
    _inside(solution, exact)


def test_psi_is_a_flax_module_that_solves_the_equation():
    solution = qpinn.solve("x**2 + 2*y**2 + 0.3*x*y", domain=[[-6, 6], [-6, 6]], states=3)
    module = product.product_of(solution.axes)
    indices = np.indices(solution.core.shape[1:]).reshape(2, -1).T
    made = product.variables(solution.axes, indices, solution.core.reshape(3, -1))
    x = np.random.default_rng(0).uniform(-2, 2, (40, 2))

    def psi(place):
        return module.apply(made, place)

    def laplacian(place):
        return sum(jax.vmap(jnp.diag)(jax.hessian(psi)(place)).T)

    values, curved = np.asarray(jax.vmap(psi)(jnp.asarray(x))), np.asarray(jax.vmap(laplacian)(jnp.asarray(x)))
    assert np.allclose(values.T, solution.psi(x), atol=1e-13)
    residual = -curved + (solution.potential(x)[:, None] - solution.energies) * values
    assert np.abs(residual).max() < 1e-3


def test_psi_is_normalised_takes_any_shape_and_is_zero_outside():
    solution = qpinn.solve("x**2 + y**2 + x*y", domain=[[-6, 6], [-6, 6]], states=3)
    x = np.linspace(-6, 6, 121)
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1)
    psi = solution.psi(grid)
    assert psi.shape == (3, 121, 121)
    gram = np.einsum("iab,jab->ij", psi, psi) * 0.1**2
    assert np.allclose(gram, np.eye(3), atol=1e-8)
    assert solution.psi([7.0, 0.0]).tolist() == [0.0, 0.0, 0.0]
    assert qpinn.solve("x**2 + y**2", domain=[[-6, 6], [-6, 6]]).psi(np.zeros((2, 1, 2))).shape == (2, 1)
    with pytest.raises(TypeError, match="2 coordinates"):
        solution.psi(np.zeros((4, 3)))


def test_one_level_by_its_index_and_units():
    potential = several([[-20, 20], [-20, 20]], "0.01*x**2 + 0.02*y**2")
    solution = qpinn.solve(potential, state=1, units={"name": "semiconductor", "mass": 0.067})
    hbar2 = 0.0380998212 / 0.067  # hbar^2 / 2m in eV nm^2
    exact = np.sqrt(hbar2) * (3 * np.sqrt(0.01) + np.sqrt(0.02))
    assert solution.energy == pytest.approx(exact, rel=1e-8)
    assert solution.energies.shape == (1,)


def test_different_networks_give_the_same_levels():
    energies = [qpinn.solve(potentials.henon_heiles(), states=3, seed=seed).energies for seed in (0, 1, 2)]
    assert np.ptp(energies, axis=0).max() < 1e-9


@pytest.mark.parametrize(("settings", "words"), [
    ({"states": "all"}, "states=all"), ({"precision": "float32"}, "precision=float32"),
    ({"hamiltonian": {"deltas": [[0.5, 1.0]]}}, "hamiltonian.deltas"),
    ({"hamiltonian": {"mass": 2.0}}, "potential.masses"), ({"states": 200}, "states=200"),
])  # fmt: skip
def test_what_several_coordinates_do_not_have_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        qpinn.solve(potentials.henon_heiles(), **settings)


def test_a_jump_on_a_curve_in_three_coordinates_has_no_bounds_and_says_why():
    ball = several([[-2, 2]] * 3, "where(x**2 + y**2 + z**2 < 1, 0, 20)")
    solution = qpinn.solve(ball, states=1)
    assert np.isnan(solution.bounds).all()
    assert "curves" in solution.levels.reason
