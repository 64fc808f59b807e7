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


@pytest.mark.parametrize("level", [0, 2])
def test_functions_that_are_left_out_are_in_no_level(level):
    half = np.random.default_rng(level).normal(size=(6, 6))
    stiffness, kept = half + half.T, np.array([True, False, True, True, False, True])
    energy, c = ritz.solve(jnp.asarray(stiffness), jnp.asarray(kept), jnp.array([level]))
    np.testing.assert_allclose(energy[0], linalg.eigvalsh(stiffness[np.ix_(kept, kept)])[level], rtol=1e-12)
    np.testing.assert_allclose(c[kept, 0] @ c[kept, 0], 1, rtol=1e-12)
    np.testing.assert_allclose(c[~kept], 0, atol=1e-14)


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
    assert -1e-10 * level < float(energy) - level < 1e-4 * level
    psi = jax.jit(problem.fields)(params, points).psi.value
    np.testing.assert_allclose(jnp.sum(points.weight * psi**2), 1, rtol=1e-6)
    assert psi[0, 0] > 0
