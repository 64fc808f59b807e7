"""Rayleigh-Ritz: variational, and the exact answer where the basis holds it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg
from tests_support import system_of

from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.physics import reference
from qpinn.training import ritz


@pytest.mark.parametrize("state", [0, 2])
def test_solve_is_the_generalised_eigenproblem(state):
    rng = np.random.default_rng(state)
    a, b = rng.normal(size=(2, 6, 6))
    stiffness, gram = a + a.T, b @ b.T + np.eye(6)
    energy, c = ritz.solve(jnp.asarray(gram), jnp.asarray(stiffness), jnp.array([state]), 1e-13)
    np.testing.assert_allclose(energy[0], linalg.eigh(stiffness, gram, eigvals_only=True)[state], rtol=1e-10)
    np.testing.assert_allclose(c[:, 0] @ gram @ c[:, 0], 1, rtol=1e-11)


def test_dependent_directions_are_left_out():
    basis = np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 0]])  # the third column is the sum of the others
    gram, stiffness = basis.T @ basis, basis.T @ np.diag([1.0, 3.0, 0]) @ basis
    for state, expected in ((0, 1.0), (1, 3.0)):
        energy, _ = ritz.solve(jnp.asarray(gram), jnp.asarray(stiffness), jnp.array([state]), 1e-10)
        np.testing.assert_allclose(energy, [expected], rtol=1e-9)


@pytest.mark.parametrize(("state", "parity"), [(0, "auto"), (1, "auto"), (3, "auto"), (3, "none")])
def test_the_start_is_the_wanted_state_from_above(well, state, parity):
    settings = from_mapping(Settings, {"ansatz": {"parity": parity}, "state": state})
    system = system_of(well, settings)
    problem, sampling = system.equation, system.sampling
    points = sampling.draw(jax.random.key(0))
    place = state // 2 if "parity" in problem.ansatz.mesh else state
    init = jax.jit(problem.init)(jax.random.key(1))
    params, start = jax.jit(ritz.start)(problem, init, points, place)
    energy = start["energy"]
    level = reference.exact(well, state + 1).energies[state]
    assert -1e-12 * level < float(energy) - level < 1e-4 * level
    psi = jax.jit(problem.fields)(params, points).psi.value
    np.testing.assert_allclose(jnp.sum(points.weight * psi**2), 1, rtol=1e-6)
    assert psi[0, 0] > 0
