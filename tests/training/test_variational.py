"""The Rayleigh quotient is minimised from random parameters: above the level, in its basin, without a linear solve."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests_support import system_of

import qpinn
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.physics import reference
from qpinn.training import variational

pytestmark = pytest.mark.usefixtures("optax_promotion")


def test_the_start_is_above_the_level_and_near_it(well):
    settings = from_mapping(Settings, {"start": "variational"})
    system = system_of(well, settings)
    points = system.sampling.draw(jax.random.key(0))
    params = jax.jit(system.equation.init)(jax.random.key(2))
    started, start = jax.jit(lambda p: variational.start(system.equation, p, points, 600, 1e-2))(params)
    energy = start["energy"]
    level = reference.exact(well, 1).energies[0]
    assert level < float(energy) < 1.1 * level
    assert float(started["energy"]) == float(energy)
    psi = jax.jit(system.equation.fields)(started, points).psi.value
    np.testing.assert_allclose(jnp.sum(points.weight * psi**2), 1, rtol=1e-12)


def test_the_objective_is_the_energy_however_long_psi_is(well):
    system = system_of(well, from_mapping(Settings, {}))
    equation, points = system.equation, system.sampling.draw(jax.random.key(0))
    params = jax.jit(equation.init)(jax.random.key(1))
    longer = {**params, "psi": equation.ansatz.scaled(params["psi"], jnp.asarray(3.0))}
    values = [jax.jit(lambda p: variational.objective(equation, p, points)[1][0])(p["psi"]) for p in (params, longer)]
    np.testing.assert_allclose(*values, rtol=1e-11)
    below = jax.tree.map(lambda leaf: leaf[None], params["psi"])
    kept_off = dataclasses.replace(equation, below=below, weight_below=jnp.ones(1))
    psi = jax.jit(equation.fields)(params, points).psi.value
    overlap = jax.jit(kept_off.overlaps_below)(psi, points)
    np.testing.assert_allclose(overlap[0], jnp.sum(points.weight * psi**2), rtol=1e-12)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_levenberg_marquardt_goes_on_from_there_to_the_level(well, seed):
    """From random parameters alone it does so from a few seeds only."""
    state = qpinn.solve(well, start="variational", seed=seed, optimizer={"steps": 60}).state
    assert state.outcome == "right state"
    assert state.relative_error_energy < 1e-9
    assert state.relative_error_energy_start > 1e-6  # it did the work


def test_several_levels_in_turn():
    solution = qpinn.solve(
        qpinn.potentials.finite_well(), start={"name": "variational", "steps": 600}, states=3, optimizer={"steps": 60}
    )
    assert [state.outcome for state in solution.states] == ["right state"] * 3
    assert max(state.relative_error_energy for state in solution.states) < 1e-9
