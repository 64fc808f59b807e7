"""Chunks, callbacks, seeds, and what happens at a NaN."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests_support import system_of

import qpinn
from qpinn.drivers import build
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.geometry.quadrature import FixedPoints
from qpinn.training import loop
from qpinn.training.lanes import side_by_side
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


def poisoned(system, step):
    """The same system with an optimiser that reports a NaN at `step`, or never for None."""
    adam = system.optimizer

    class Poisoned(type(adam)):
        def step(self, problem, state, points):
            new, record = super().step(problem, state, points)
            bad = jnp.asarray(state.done, float) == jnp.round(self.final * 1e4)
            return new, record._replace(step_size=jnp.where(bad, jnp.nan, record.step_size))

    jax.tree_util.register_dataclass(Poisoned, ["learning_rate", "final", "steps"], ["schedule"])

    def with_step(step):  # `final` means nothing to a constant schedule: it carries the number of the bad step
        final = -1.0 if step is None else step / 1e4
        return system._replace(optimizer=Poisoned(adam.learning_rate, final, adam.steps, adam.schedule))

    return [with_step(each) for each in step]


def test_a_nan_freezes_the_last_good_state():
    settings = from_mapping(Settings, {**PAPER, "optimizer": {"name": "adam"}})
    system = system_of(BARRIER, settings)
    fit = loop.together(side_by_side(poisoned(system, [7])), loop.Course(Random(), 20, 5))
    assert fit.status == "non-finite"
    np.testing.assert_array_equal(fit.steps, [7])
    assert len(fit.rows()["step"]) == 8  # the bad step is reported
    clean = loop.together(side_by_side([system]), loop.Course(Random(), 7, 7))
    for a, b in zip(jax.tree.leaves(fit.params), jax.tree.leaves(clean.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fit.losses, clean.losses, rtol=1e-9)


@pytest.mark.parametrize("chunk", [3, 20])
def test_a_lane_that_meets_a_nan_ends_no_other(chunk):
    settings = from_mapping(Settings, {**PAPER, "optimizer": {"name": "adam"}})
    system = system_of(BARRIER, settings)
    systems = poisoned(system, [None, 7, None, 0])
    fit = loop.together(side_by_side(systems), loop.Course(Random(), 20, chunk))
    alone = loop.together(side_by_side(systems[:1]), loop.Course(Random(), 20, chunk))
    assert fit.status == "non-finite"
    np.testing.assert_array_equal(fit.steps, [20, 7, 20, 0])
    np.testing.assert_array_equal(fit.alive, [True, False, True, False])
    np.testing.assert_allclose(fit.losses[[0, 2]], alone.losses[[0, 0]], rtol=1e-10)
    assert np.isnan(fit.losses[3])
    rows = fit.rows()
    assert [int(np.sum(rows["state"] == lane)) for lane in range(4)] == [20, 8, 20, 1]
    np.testing.assert_array_equal(rows["step"][rows["state"] == 1], np.arange(8))
    energy = fit.filled("energy")
    np.testing.assert_array_equal(energy[7:, 1], energy[6, 1])
    np.testing.assert_array_equal(energy[:, 3], fit.start["energy"][3])
    for leaf in jax.tree.leaves(fit.params):
        np.testing.assert_allclose(leaf[0], leaf[2], rtol=1e-12)


def test_a_callback_sees_a_lane_that_goes_on():
    settings = from_mapping(Settings, {**PAPER, "optimizer": {"name": "adam"}})
    system = system_of(BARRIER, settings)
    seen = []
    fit = loop.together(side_by_side(poisoned(system, [7, None])), loop.Course(Random(), 20, 5), [seen.append])
    assert [progress.step for progress in seen] == [5, 10, 15, 20]
    assert all(np.isfinite(progress.loss) for progress in seen)
    for progress in seen[1:]:
        step, lane = progress.step - 1, 1
        np.testing.assert_array_equal(progress.report["energy"], fit.history["energy"][step, lane])
        np.testing.assert_array_equal(progress.loss, fit.history["total"][step, lane])


def test_a_training_in_turn_that_is_stopped_says_at_which_step_of_its_turn():
    settings = {**PAPER, "states": 3, "optimizer": {"name": "adam", "steps": 20, "chunk": 5}}
    solution = qpinn.solve(BARRIER, callbacks=[lambda progress: progress.step >= 30], **settings)
    assert solution.status == "stopped"
    np.testing.assert_array_equal(solution.trained.fit.steps, [20, 10, 0])
    assert solution.steps == 10
    assert [int(np.sum(solution.history["state"] == k)) for k in range(3)] == [20, 10, 0]


def test_all_lanes_at_a_nan_end_the_training():
    settings = from_mapping(Settings, {**PAPER, "optimizer": {"name": "adam"}})
    system = system_of(BARRIER, settings)
    seen = []
    lanes = side_by_side(poisoned(system, [7, 3]))
    fit = loop.together(lanes, loop.Course(Random(), 1000, 5), [lambda progress: seen.append(progress.step)])
    assert fit.status == "non-finite"
    assert seen == [5, 7]
    assert len(fit.history["total"]) == 10


def test_who_asks_for_the_end_in_a_turn_that_meets_a_nan_is_heard():
    settings = from_mapping(Settings, {**PAPER, "optimizer": {"name": "adam"}})
    (bad,) = poisoned(system_of(BARRIER, settings), [7])
    lanes, course, seen = side_by_side([bad]), loop.Course(Random(), 20, 5), []
    fit = loop.in_turn(
        loop.compiled(lanes, course), lambda trained: lanes, 3, course,
        [lambda progress: seen.append(progress) or not np.isfinite(progress.loss)],
    )  # fmt: skip
    assert len(seen) == 2
    assert fit.status == "non-finite"
    np.testing.assert_array_equal(fit.steps, [7, 0, 0])


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
    sampling = system_of(BARRIER, settings).sampling
    a, b = (sampling.draw(jax.random.key(i)).x for i in (0, 1))
    assert np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-3
    fixed = FixedPoints(sampling.draw(jax.random.key(0)))
    np.testing.assert_array_equal(fixed.draw(jax.random.key(0)).x, fixed.draw(jax.random.key(1)).x)


def test_levenberg_marquardt_is_looked_at_as_it_goes():
    """By default every few steps, which changes nothing; where nobody looks all of them are one chunk."""
    seen = []
    watched = qpinn.solve(BARRIER, callbacks=[lambda progress: seen.append(progress.step)], network={"width": 4})
    assert len(seen) >= 5
    assert seen[-1] == watched.steps == 15
    unwatched = qpinn.solve(BARRIER, network={"width": 4})
    np.testing.assert_allclose(unwatched.energy, watched.energy, rtol=1e-13)
    assert build.course(Settings(), watched=False).length == 15
