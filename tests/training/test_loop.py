"""Chunks, callbacks, seeds, and what happens at a NaN."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn.drivers import eigenstates
from qpinn.drivers.settings import Settings, from_mapping
from qpinn.geometry.quadrature import FixedPoints
from qpinn.training import loop
from qpinn.training.lanes import alike
from qpinn.training.starts import Random

pytestmark = pytest.mark.usefixtures("optax_promotion")

PAPER = {
    "ansatz": "envelope", "start": "random", "network": {"width": 6, "depth": 2},
    "sampling": {"name": "uniform", "points": 20}, "loss": {"norm": 100.0},
}  # fmt: skip
BARRIER = qpinn.potentials.barrier()


@pytest.mark.parametrize("chunk", [1, 7, 25, 100])
def test_the_length_of_a_chunk_changes_nothing(chunk):
    solution = qpinn.solve(BARRIER, optimizer={"name": "adam", "steps": 25, "chunk": chunk}, **PAPER)
    whole = qpinn.solve(BARRIER, optimizer={"name": "adam", "steps": 25, "chunk": 25}, **PAPER)
    assert solution.steps == 25
    np.testing.assert_array_equal(solution.history["step"], np.arange(25))
    np.testing.assert_allclose(solution.history["total"], whole.history["total"], rtol=1e-9)
    np.testing.assert_allclose(solution.energy, whole.energy, rtol=1e-10)


def test_a_callback_stops_the_training_and_keeps_what_there_is():
    seen = []

    def stop(progress):
        seen.append(progress)
        return progress.step >= 20

    solution = qpinn.solve(BARRIER, callbacks=[stop], optimizer={"name": "adam", "steps": 100, "chunk": 10}, **PAPER)
    assert solution.status == "stopped"
    assert solution.steps == 20
    assert len(solution.history["step"]) == 20
    assert [progress.step for progress in seen] == [10, 20]


def test_a_nan_freezes_the_last_good_state():
    settings = from_mapping(Settings, {**PAPER, "optimizer": {"name": "adam"}})
    system = eigenstates.build(BARRIER, settings, eigenstates.exact_levels(BARRIER))
    seed = jnp.asarray(0)

    class Poisoned(type(system.optimizer)):
        def step(self, problem, state, points):
            new, record = super().step(problem, state, points)
            return new, record._replace(step_size=jnp.where(state.done == 7, jnp.nan, record.step_size))

    poisoned = jax.tree_util.register_dataclass(Poisoned, ["learning_rate", "final", "steps"], ["schedule"])
    adam, place = system.optimizer, jnp.zeros(1, int)
    bad = alike(system._replace(optimizer=poisoned(adam.learning_rate, adam.final, adam.steps, adam.schedule)))
    fit = loop.together(bad, seed, place, loop.Course(Random(), 20, 5))
    assert fit.status == "non-finite"
    assert fit.steps == 7
    assert len(fit.history["step"]) == 8  # the bad step is reported
    clean = loop.together(alike(system), seed, place, loop.Course(Random(), 7, 7))
    for a, b in zip(jax.tree.leaves(fit.params), jax.tree.leaves(clean.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_the_seed_moves_parameters_and_random_points():
    settings = {**PAPER, "sampling": {"name": "random", "points": 20}, "optimizer": {"name": "adam", "steps": 5}}
    losses = [qpinn.solve(BARRIER, seed=seed, **settings).history["total"] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert abs(losses[0][0] - losses[2][0]) > 1e-9


def test_no_state_trained_in_turn_has_the_key_of_another_seed():
    settings = {**PAPER, "sampling": {"name": "random", "points": 20}, "optimizer": {"name": "adam", "steps": 1}}
    settings |= {"states": 2, "loss": {"orthogonality": 0.0}}
    losses = [qpinn.solve(BARRIER, seed=seed, **settings).history["total"] for seed in (0, 1)]
    assert np.diff(np.sort(np.ravel(losses))).min() > 1e-9  # four states, four first steps


def test_random_points_are_drawn_anew_for_each_chunk_and_fixed_ones_are_not():
    settings = from_mapping(Settings, {**PAPER, "sampling": {"name": "random"}, "optimizer": {"name": "adam"}})
    _, _, sampling = eigenstates.build(BARRIER, settings, eigenstates.exact_levels(BARRIER))
    a, b = (sampling.draw(jax.random.key(i)).x for i in (0, 1))
    assert np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-3
    fixed = FixedPoints(sampling.draw(jax.random.key(0)))
    np.testing.assert_array_equal(fixed.draw(jax.random.key(0)).x, fixed.draw(jax.random.key(1)).x)
