"""Levels of boxes of three to five axes: normal modes, tensor grids, degenerate levels, bounds from below."""

from __future__ import annotations

import numpy as np
import pytest
from tests_support import sine_axis

from qpinn.analysis import chains, many_axes, tensor
from qpinn.bounds.intermediate import sigma
from qpinn.physics.mean_field import Sinc, mean_field, sums
from qpinn.physics.potentials.several import several
from qpinn.physics.separable import by_terms
from qpinn.training import index_products as products
from qpinn.wavefunctions.product import Terms


def _solved(stiffness, asked, tol, half=6.5, functions=56, segments=13):
    """Levels of x K x in a box, and the exact ones by normal modes."""
    d = len(stiffness)
    terms = [f"{stiffness[i, i]}*x{i + 1}**2" for i in range(d)]
    terms += [f"{2 * stiffness[i, j]}*x{i + 1}*x{j + 1}" for i in range(d) for j in range(i) if stiffness[i, j]]
    potential = several([[-half, half]] * d, " + ".join(terms))
    axis, edges = sine_axis(-half, half, functions, segments)
    other, _ = sine_axis(-half, half, functions, segments, points=14)
    found = many_axes.levels(potential, [axis] * d, [other] * d, [edges] * d, asked, tol)
    omega = np.sqrt(np.linalg.eigvalsh(stiffness))
    modes = sums([w * (2 * np.arange(9) + 1) for w in omega], 12)
    return found, np.array([omega @ (2 * index + 1) for index in modes])


def _chain(d, coupling):
    return np.eye(d) + coupling * (np.diag([1, *[2] * (d - 2), 1]) - np.eye(d, k=1) - np.eye(d, k=-1))


@pytest.mark.parametrize("stiffness", [
    _chain(4, 0.5), _chain(5, 0.2), np.kron(np.eye(2), _chain(2, 0.5)),
    np.array([[1, 0.2, 0, 0], [0.2, 1.3, -0.3, 0], [0, -0.3, 1.7, 0.4], [0, 0, 0.4, 2.1]]),
], ids=["4 axes", "5 axes", "two equal pairs", "unequal"])  # fmt: skip
def test_levels_of_harmonic_chains_lie_in_their_bounds(stiffness):
    found, exact = _solved(stiffness, 4, 1e-8)
    energies, count = found.forms.energies, len(found.forms.energies)
    exact = exact[:count]
    assert np.abs(energies - exact).max() < 3e-8
    assert (energies - exact < 2 * found.missing + 1e-10).all()
    assert (exact <= energies + found.forms.unseen + 1e-10).all()
    assert (found.lower <= exact + 1e-12).all()
    assert (energies - found.lower).max() < 1e-6
    assert exact[-1] < found.sigma


def test_a_cluster_of_levels_is_as_exact_as_is_said():
    stiffness = _chain(10, 0.1)
    terms = [f"{stiffness[i, i]}*x{i + 1}**2" for i in range(10)] + [f"-0.2*x{i + 1}*x{i + 2}" for i in range(9)]
    potential = several([[-6.5, 6.5]] * 10, " + ".join(terms))
    axes = [sine_axis(-6.5, 6.5, 50)[0]] * 10
    field = mean_field(potential, axes)
    densities = [grid.weight * u[0] ** 2 for grid, u in zip(axes, field.functions, strict=True)]
    parts = products.split(potential, axes, densities)
    own = [grid.mixed(grid.ritz(v)[1][:, :12]) for grid, v in zip(axes, parts.v, strict=True)]
    found = products.ritz(products.couple(parts, own), 11, 1e-9, 30_000, more=1)
    omega = np.sqrt(np.linalg.eigvalsh(stiffness))
    exact = omega.sum() + np.append(0, 2 * omega)
    error = found.energies[:11] - exact
    assert (error > -1e-10).all()
    assert (error < 2 * found.missing[:11] + 1e-10).all()


def test_sigma_is_below_the_next_level_of_random_chains():
    rng = np.random.default_rng(5)
    axis, edges = sine_axis(-6.5, 6.5, 50, 13)
    for _ in range(3):
        root = np.diag(rng.uniform(0.9, 1.5, 4)) + 0.35 * np.diag(rng.uniform(-1, 1, 3), 1)
        k = root.T @ root
        omega = np.sqrt(np.linalg.eigvalsh(k))
        exact = omega.sum() + np.sort(2 * sums([w * np.arange(6) for w in omega], 8) @ omega)
        terms = [f"{k[i, i]}*x{i + 1}**2" for i in range(4)] + [
            f"{2 * k[i, i + 1]}*x{i + 1}*x{i + 2}" for i in range(3)
        ]
        potential = several([[-6.5, 6.5]] * 4, "+".join(terms))
        near = [(axis.x, axis.weight * np.exp(-(axis.x**2)))] * 4
        for count in (1, 3):
            if exact[count] - exact[count - 1] < 0.05:
                continue
            compared = by_terms(potential, [edges] * 4, near, 0.05 * (exact[count] - exact[count - 1]))
            above = sigma(potential, compared, [axis] * 4, exact[: count + 1])
            assert exact[count - 1] < above < exact[count]


def _of_three_axes(kept=None):
    """A potential of three axes with a term on all of them, its Ritz functions, and the functions of the axes."""
    potential = several([[-5, 5], [-4, 4], [-3.5, 3.5]],
                        "x**2 + 2*y**2 + 3*z**2 + 0.2*x*y*z + 0.3*(x - y)**2 + 0.1*x**2*z**2")  # fmt: skip
    axes = [sine_axis(-half, half, 26, 8, 12)[0] for half in (5, 4, 3.5)]
    field = mean_field(potential, axes)
    densities = [grid.weight * u[0] ** 2 for grid, u in zip(axes, field.functions, strict=True)]
    parts = products.split(potential, axes, densities)
    own = [grid.mixed(grid.ritz(v)[1][:, :n]) for grid, v, n in zip(axes, parts.v, (7, 6, 5), strict=True)]
    coupled = products.couple(parts, own)
    tuples = sums(coupled.energies, kept or 210)
    tuples = tuples[np.argsort(products.keys_of(tuples, coupled.sizes))]
    vectors = np.linalg.eigh(products.hamiltonian(coupled, tuples, 0.0).toarray())[1][:, :4]
    core = np.zeros((4, 7, 6, 5))
    core[:, tuples[:, 0], tuples[:, 1], tuples[:, 2]] = vectors.T
    return potential, own, coupled, tuples, vectors, core


@pytest.mark.parametrize("kept", [210, 60])
def test_energies_residuals_and_moments_are_those_on_a_tensor_grid(kept):
    potential, own, coupled, tuples, vectors, core = _of_three_axes(kept)
    grid = tensor.forms(potential, own, core)
    chain, outside = chains.forms(coupled, own, tuples, vectors)
    assert np.abs(chain.energies - grid.energies).max() < 1e-9
    assert np.abs(chain.kinetic - grid.kinetic).max() < 1e-9
    assert np.abs(chain.moments - grid.moments).max() < 1e-9
    assert np.abs(chain.squares - grid.squares).max() < 1e-9
    for axis, one in enumerate(own):
        along = tensor.density(one, Terms(tuples, vectors.T), axis)
        assert np.abs(along - tensor.density(one, core, axis)).max() < 1e-9
    above = np.linalg.eigvalsh(chain.residual - grid.residual)
    assert above.min() > -1e-8 * np.diag(grid.residual).max()
    within = np.diag(grid.residual) - (np.diag(chain.residual) - outside)  # exactly what is outside of the products
    assert (within > -1e-9).all()
    assert (within <= outside * (1 + 1e-9) + 1e-9).all()
    assert (np.diag(chain.residual) < 7 * np.diag(grid.residual)).all()


def test_psi_at_positions_is_the_sum_of_its_products():
    _, own, _, tuples, vectors, core = _of_three_axes(60)
    some = [slice(5, 60, 5)] * 3
    values = [grid.jets[0][:, part] for grid, part in zip(own, some, strict=True)]
    shuffled = np.random.default_rng(0).permutation(len(tuples))
    direct = np.einsum("kabc,am,bm,cm->km", core, *values)
    assert np.allclose(chains.psi(values, tuples[shuffled], vectors[shuffled]), direct, atol=1e-12)


def test_coordinates_that_are_not_coupled_give_sums_to_the_last_digits():
    potential = several([[-7, 7]] * 5, " + ".join(f"{k}*x{k}**2" for k in range(1, 6)))
    axis, edges = sine_axis(-7, 7, 76, 14)
    other, _ = sine_axis(-7, 7, 76, 14, points=15)
    found = many_axes.levels(potential, [axis] * 5, [other] * 5, [edges] * 5, 3, 1e-10)
    root = np.sqrt(np.arange(1, 6))
    exact = root.sum() + np.array([0, 2, 2 * np.sqrt(2)])
    assert np.abs(found.forms.energies[:3] - exact).max() < 1e-11
    assert np.abs(found.forms.energies[:3] - found.lower[:3]).max() < 1e-8


def test_couplings_that_are_no_polynomials_are_bounded_too():
    # x1^2 + x2^2 + exp(-(x1 - x2)^2) separates in (x1 +- x2) / sqrt(2)
    pair = "x{0}**2 + x{1}**2 + exp(-(x{0} - x{1})**2)"
    potential = several([[-6, 6]] * 4, f"{pair.format(1, 2)} + {pair.format(3, 4)}")
    line = Sinc(-8.0, 8.0, 1.0, 120)
    along, across = line.levels(line.x**2)[0], line.levels(line.x**2 + np.exp(-2 * line.x**2))[0]
    two = np.sort(np.add.outer(along[:6], across[:6]).ravel())[:8]
    exact = np.sort(np.add.outer(two, two).ravel())[:8]
    axis, edges = sine_axis(-6, 6, 50, 12, 24)
    other, _ = sine_axis(-6, 6, 50, 12, 22)
    found = many_axes.levels(potential, [axis] * 4, [other] * 4, [edges] * 4, 3, 1e-6)
    count = len(found.forms.energies)
    assert found.reason is None
    assert np.abs(found.forms.energies - exact[:count]).max() < 1e-5
    assert (exact[:count] <= found.forms.energies + found.forms.unseen + 1e-9).all()
    assert (found.lower <= exact[:count] + 1e-9).all()
    assert (found.forms.energies - found.lower).max() < 1e-3


def test_a_jump_on_a_curve_leaves_no_bounds_and_says_so():
    potential = several([[-5, 5]] * 4, "x1**2 + x2**2 + x3**2 + x4**2 + 0.1*x2*x3 + where(x1**2 + x2**2 < 1, 1, 0)")
    axis, edges = sine_axis(-5, 5, 30, 8, 14)
    other, _ = sine_axis(-5, 5, 30, 8, 12)
    found = many_axes.levels(potential, [axis] * 4, [other] * 4, [edges] * 4, 1, 1e-3, 1000)
    assert "curves" in found.reason
    assert not np.isfinite(found.lower).any()
