"""Each optimiser lowers the loss, Levenberg-Marquardt on the default route to the limit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn.training.optimizers import Adam, _damped_step


@pytest.mark.parametrize("seed", range(4))
def test_the_default_route_reaches_its_marks(well, seed):
    state = qpinn.solve(well, seed=seed).state
    limit = {"infinite_well": (1e-12, 1e-8), "finite_well": (1e-11, 1e-7), "barrier": (1e-11, 1e-8)}[well.name]
    assert state.outcome == "right state"
    assert state.node_count == 0
    assert state.relative_error_energy < limit[0]
    assert state.relative_l2_psi < limit[1]


@pytest.mark.parametrize("shape", [(5, 9), (9, 7)])
def test_a_damped_step_is_the_ridge_solution(shape):
    """Of a matrix with a row for the norm, two segments with two columns of their own each, and shared columns."""
    rng = np.random.default_rng(1)
    jacobian, residual = rng.normal(size=shape), rng.normal(size=shape[0])
    columns = np.array([[0, 2], [1, 4]]), np.setdiff1d(np.arange(shape[1]), [0, 1, 2, 4])
    half = (shape[0] - 1) // 2
    jacobian[1 + half :, columns[0][0]] = 0
    jacobian[1 : 1 + half, columns[0][1]] = 0
    lengths = np.linalg.norm(jacobian, axis=0)
    scaled = jacobian / lengths
    expected = -np.linalg.solve(scaled.T @ scaled + 0.3 * np.eye(shape[1]), scaled.T @ residual) / lengths
    found = _damped_step(jnp.asarray(jacobian), jnp.asarray(residual), jnp.asarray(0.3), columns)
    np.testing.assert_allclose(found, expected)


def test_levenberg_marquardt_never_raises_the_loss():
    solution = qpinn.solve(qpinn.potentials.barrier(), start="random", optimizer={"steps": 40})
    assert (np.diff(solution.history["total"]) <= 0).all()
    assert solution.history["total"][-1] < 1e-2 * solution.history["total"][0]


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("optimizer", [{"name": "adam"}, {"name": "adam_lbfgs", "adam_steps": 200}])
def test_gradient_descent_lowers_the_loss(optimizer):
    solution = qpinn.solve(
        qpinn.potentials.infinite_well(), ansatz="envelope", energy="fixed", start="random",
        network={"width": 8, "depth": 2, "init": "glorot"}, loss={"norm": 1000.0},
        optimizer={**optimizer, "steps": 400, "learning_rate": 5e-3},
    )  # fmt: skip
    assert solution.history["total"][-1] < 1e-2 * solution.history["total"][0]


@pytest.mark.usefixtures("optax_promotion")
def test_lbfgs_goes_far_beyond_adam():
    common = {"ansatz": "envelope", "energy": "fixed", "start": "random", "loss": {"norm": 1000.0}}
    network = {"width": 8, "depth": 2, "init": "glorot"}
    adam, both = (
        qpinn.solve(qpinn.potentials.infinite_well(), network=network, optimizer={"steps": 600, **o}, **common)
        for o in ({"name": "adam"}, {"name": "adam_lbfgs", "adam_steps": 200})
    )
    assert both.state.loss < 1e-3 * adam.state.loss
    assert both.state.outcome == "right state"


def test_schedules_begin_and_end_where_they_say():
    for schedule, end in (("constant", 1e-3), ("cosine", 1e-5), ("exponential", 1e-5)):
        adam = Adam(1e-3, 1e-2, 100, schedule)
        np.testing.assert_allclose(adam.rate(jnp.asarray(0)), 1e-3, rtol=1e-12)
        np.testing.assert_allclose(adam.rate(jnp.asarray(100)), end, rtol=1e-12)
        rates = jax.vmap(adam.rate)(jnp.arange(101))
        assert (np.diff(rates) <= 0).all()


@pytest.mark.usefixtures("optax_promotion")
def test_psi_collapses_when_the_normalisation_is_light():
    outcomes = {
        weight: qpinn.solve(
            qpinn.potentials.finite_well(), ansatz="envelope", start="random",
            sampling={"name": "uniform", "points": 100}, network={"width": 20, "depth": 3, "init": "glorot"},
            optimizer={"name": "adam", "steps": 2000}, loss={"norm": weight, "unit": 1.0},
        ).state.outcome
        for weight in (1.0, 1000.0)
    }  # fmt: skip
    assert outcomes[1.0] == "psi = 0"
    assert outcomes[1000.0] != "psi = 0"
