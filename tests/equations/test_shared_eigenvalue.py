"""Levels that share hidden units as one least-squares problem: its derivatives, and what it says of known levels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from qpinn.equations.shared import SharedEigenvalue, of_functions
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.linalg.jacobian import Dense, dense
from qpinn.physics import potentials
from qpinn.wavefunctions.ansatz import ansatz_of
from qpinn.wavefunctions.axis import axis_of
from qpinn.wavefunctions.networks import MLP

MASS, COUNT = 1.7, 3


@pytest.fixture(scope="module")
def problem():
    """Functions of an oscillator between walls with their parameters and points."""
    edges = np.linspace(-4.0, 4.0, 6)
    network = MLP(width=5, depth=1, dtype=jnp.dtype("float64"))
    ansatz = ansatz_of("piecewise", network, edges, potentials.infinite_well(domain=[-4.0, 4.0]))
    points = gauss_legendre(Mesh(edges), 30)
    axis, (grid,) = axis_of(ansatz, ansatz.init(jax.random.key(3)), MASS, [30])
    energies, mix = grid.ritz(grid.x**2)
    equation = SharedEigenvalue(
        ansatz=ansatz, v=points.x[..., 0] ** 2, mass=MASS, unit=2.0, weight_pde=1.5, weight_norm=7.0, steepest=3.0,
        count=COUNT,
    )  # fmt: skip
    return equation, {"psi": of_functions(axis.mixed(mix[:, :COUNT]).function_params())}, points, energies[:COUNT]


def test_energies_are_those_of_the_functions(problem):
    equation, params, points, energies = problem
    np.testing.assert_allclose(equation.energies(params, points), energies, rtol=1e-11)
    oscillator = (2 * np.arange(COUNT) + 1) / np.sqrt(MASS)
    np.testing.assert_allclose(energies, oscillator, rtol=1e-5)


def test_the_step_of_the_blocks_is_that_of_the_whole_jacobian(problem):
    equation, params, points, energies = problem
    rough = jax.tree.map(lambda leaf: leaf * 1.1, params)
    fixed = dataclasses.replace(equation, steepest=jnp.inf)
    residuals, blocks = fixed.linearize(rough, points)
    every = equation.residuals(rough, points)
    assert residuals.keys() == every.keys()
    for name in every:
        np.testing.assert_allclose(residuals[name], every[name], rtol=1e-9, atol=1e-9)

    class Constant(SharedEigenvalue):
        def energies(self, params, points):
            return jnp.asarray(energies)

    constant = Constant(**vars(fixed))
    _, whole = dense(lambda params: constant.residuals(params, points), rough)
    moved = fixed.moved(rough, blocks.damped_step(residuals, jnp.asarray(1e-8)))
    step, _ = ravel_pytree(jax.tree.map(jnp.subtract, moved, rough))
    right = jnp.concatenate([residuals[name] for name in sorted(residuals)])
    newton = Dense(whole.matrix).damped_step(residuals, jnp.asarray(1e-8))
    left, least = (float(jnp.sum((whole.matrix @ change + right) ** 2)) for change in (step, newton))
    assert left < 1e-3 * float(jnp.sum(right**2))
    assert left == pytest.approx(least, rel=0.3)


def test_units_stay_as_flat_as_quadratures_resolve(problem):
    equation, params, points, _ = problem
    residuals, blocks = equation.linearize(params, points)
    far = jax.tree.map(lambda leaf: 1e3 * leaf, blocks.damped_step(residuals, jnp.asarray(1e-6)))
    network = equation.moved(params, far)["psi"]["network"]
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(network["hidden_0"])) <= 3.0
