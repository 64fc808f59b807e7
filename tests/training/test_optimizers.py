"""Each optimiser lowers the loss, Levenberg-Marquardt on the default route to the limit."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn.linalg.jacobian import Blocks, Dense
from qpinn.training.optimizers import OPTIMIZERS, optimizer, record
from qpinn.training.optimizers.adam import Adam


@pytest.mark.parametrize("seed", range(3))
def test_the_default_route_reaches_its_marks(well, seed):
    state = qpinn.solve(well, seed=seed).state
    limit = {"infinite_well": (1e-12, 1e-8), "finite_well": (1e-11, 1e-7), "barrier": (1e-11, 1e-8)}[well.name]
    assert state.outcome == "right state"
    assert state.node_count == 0
    assert state.relative_error_energy < limit[0]
    assert state.relative_l2_psi < limit[1]


@pytest.mark.parametrize("width", [3, 30])
@pytest.mark.parametrize("damping", [0.3, 1e-12])
@pytest.mark.parametrize("border", [1, 3])
@pytest.mark.parametrize(("count", "n"), [(0, 8), (3, 8), (3, 2), (3, 1), (0, 1)])
def test_a_damped_step_is_the_ridge_solution(width, damping, border, count, n):
    """Of a dense matrix with a few border rows, segments with n rows and columns of their own, and shared columns."""
    rng = np.random.default_rng(width)
    segments, q = 4, 5 if count else 0
    inner, shared = (rng.normal(size=(segments, n + border, size)) for size in (width, count))
    ties = rng.normal(size=(segments, count, q))
    names = ("norm", "orthogonality")[: 1 + (border > 1)]
    residuals = {
        "norm": rng.normal(size=1),
        "orthogonality": rng.normal(size=border - 1),
        "pde": rng.normal(size=4 * n),
    }
    residuals = {name: jnp.asarray(vector) for name, vector in residuals.items() if name == "pde" or name in names}
    full = np.zeros((segments, n + border, segments * width + q))
    for s in range(segments):
        full[s, :, s * width : (s + 1) * width] = inner[s]
        full[s, :, segments * width :] = shared[s] @ ties[s]
    matrix = np.concatenate([full[:, n:].sum(axis=0), full[:, :n].reshape(segments * n, -1)])
    residual = np.concatenate([residuals[name] for name in sorted(residuals)])
    lengths = np.linalg.norm(matrix, axis=0)
    for s in range(segments):  # those of a segment have one
        columns = slice(s * width, (s + 1) * width)
        lengths[columns] = np.linalg.norm(full[s, :, columns], axis=0).max()
    below = np.sqrt(damping) * np.eye(matrix.shape[1])
    scaled = np.concatenate([matrix / lengths, below]), np.concatenate([residual, np.zeros(matrix.shape[1])])
    expected = -np.linalg.lstsq(*scaled)[0] / lengths
    blocks = Blocks(*(jnp.asarray(part) for part in (inner, shared, ties)), names)
    step = blocks.damped_step(residuals, jnp.asarray(damping))
    np.testing.assert_allclose(np.concatenate([step[0].ravel(), step[1]]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("damping", [0.3, 1e-12])
@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_a_damped_step_of_a_dense_jacobian_is_the_ridge_solution(damping, shape):
    rng = np.random.default_rng(0)
    matrix, right = rng.normal(size=shape), rng.normal(size=shape[0])
    lengths = np.linalg.norm(matrix, axis=0)
    below = np.sqrt(damping) * np.eye(shape[1])
    scaled = np.concatenate([matrix / lengths, below]), np.concatenate([right, np.zeros(shape[1])])
    expected = -np.linalg.lstsq(*scaled)[0] / lengths
    step = Dense(jnp.asarray(matrix)).damped_step({"r": jnp.asarray(right)}, jnp.asarray(damping))
    np.testing.assert_allclose(step, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "points"), [("barrier", 2), ("harmonic", 3), ("finite_well", 4)])
def test_few_points_in_a_segment_give_a_wide_bound_and_no_more(name, points):
    """Fewer residuals than a segment shares parameters with its neighbours."""
    state = qpinn.solve(getattr(qpinn.potentials, name)(), sampling={"points": points}).state
    assert np.isfinite(state.energy)
    assert not state.converged
    if None not in (state.lower, state.energy_reference):
        assert state.lower <= state.energy_reference <= state.upper


def test_levenberg_marquardt_never_raises_the_loss():
    solution = qpinn.solve(qpinn.potentials.barrier(), start="random", optimizer={"steps": 40})
    assert (np.diff(solution.history["total"]) <= 0).all()
    assert solution.history["total"][-1] < 1e-2 * solution.history["total"][0]


@pytest.mark.usefixtures("optax_promotion")
def test_adam_lowers_the_loss():
    solution = qpinn.solve(
        qpinn.potentials.infinite_well(), ansatz="envelope", energy="fixed", start="random",
        network={"width": 8, "depth": 2, "init": "glorot"}, loss={"norm": 1000.0},
        optimizer={"name": "adam", "steps": 400, "learning_rate": 5e-3},
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


def test_a_new_optimizer_is_one_registered_builder():
    """With a name, a label and numbers of its own it is trained with by name, and its numbers are checked by name."""

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Descent:
        """Steps of one length against the gradient."""

        length: float

        def init(self, equation, params, points):
            return Plain(params)

        def step(self, equation, carry, points):
            gradient = jax.grad(lambda p: record(equation, p, points, equation.residuals(p, points)).loss)(carry.params)
            params = jax.tree.map(lambda p, g: p - self.length * g, carry.params, gradient)
            residuals = equation.residuals(carry.params, points)
            return Plain(params), record(equation, carry.params, points, residuals, self.length)

    @optimizer("descent", label="gradient descent", steps=7, length=1e-6)
    def build(numbers, steps):
        return Descent(**numbers)

    try:
        settings = {"ansatz": "envelope", "start": "random", "network": {"width": 4}}
        solution = qpinn.solve(qpinn.potentials.infinite_well(), optimizer={"name": "descent"}, **settings)
        assert solution.steps == 7
        assert solution.history["total"][-1] < solution.history["total"][0]
        with pytest.raises(ValueError, match=r"optimizer\.length=0\.0: must be positive"):
            qpinn.solve(qpinn.potentials.infinite_well(), optimizer={"name": "descent", "length": 0}, **settings)
        with pytest.raises(ValueError, match=r"optimizer\.lenght=1: unknown key; did you mean length"):
            qpinn.solve(qpinn.potentials.infinite_well(), optimizer={"name": "descent", "lenght": 1}, **settings)
    finally:
        del OPTIMIZERS["descent"]


class Plain(NamedTuple):
    """Parameters and nothing else."""

    params: Any
