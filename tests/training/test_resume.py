"""A training that goes on from a snapshot ends as one that was never interrupted, bit for bit."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import qpinn
from qpinn.drivers import eigenstates
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings

ADAM = {"start": "random", "ansatz": "envelope", "network": {"width": 6}}
CASES = {
    "Levenberg-Marquardt": {"states": 2, "network": {"width": 6}, "optimizer": {"steps": 9, "chunk": 4}},
    "meshes": {"tol": 1e-10, "network": {"width": 5}, "ansatz": {"phase": 2.5}, "optimizer": {"steps": 6, "chunk": 4}},
    "Adam, random points": {
        **ADAM, "sampling": "random",
        "optimizer": {"name": "adam", "steps": 25, "chunk": 10, "schedule": "cosine"},
    },
    "Adam, then L-BFGS": {**ADAM, "optimizer": {"name": "adam_lbfgs", "steps": 24, "adam_steps": 12, "chunk": 5}},
    "states in turn": {**ADAM, "states": 2, "optimizer": {"name": "adam", "steps": 20, "chunk": 10}},
    "variational": {"network": {"width": 6}, "start": {"name": "variational", "steps": 20}, "optimizer": {"steps": 4}},
}  # fmt: skip


def _run(settings, snapshots=(), callbacks=()):
    return eigenstates.run(qpinn.potentials.finite_well(), from_mapping(Settings, settings), callbacks, snapshots)


def assert_same(one, other):
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(one.history) == set(other.history)
    for name, column in one.history.items():
        if name != "seconds":
            np.testing.assert_array_equal(column, other.history[name], err_msg=name)
    assert (np.diff(other.history["seconds"][other.history["state"] == 0]) >= 0).all()
    np.testing.assert_array_equal(one.energies, other.energies)
    np.testing.assert_array_equal(one.bounds, other.bounds)
    assert (one.status, one.stats.rounds) == (other.status, other.stats.rounds)


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("case", CASES)
def test_from_every_chunk_on_it_is_theassert_same(case):
    saves, kept = [], []

    def keep(progress):
        kept[progress.training :] = [progress.snapshot()]
        saves.append(list(kept))

    whole = _run(CASES[case], callbacks=[keep])
    assert len(saves) > 1 or case == "variational"
    assert [snapshot.done for snapshot in saves[-1]] == [from_mapping(Settings, CASES[case]).optimizer.steps] * len(
        kept
    )
    assert len(kept) == {"meshes": whole.stats.rounds, "states in turn": 2}.get(case, 1)
    assert whole.stats.rounds > 1 or case != "meshes"
    for snapshots in (saves[0], saves[len(saves) // 2], saves[-1]):
        steps = []
        assert_same(whole, _run(CASES[case], snapshots, [lambda progress, steps=steps: steps.append(progress.step)]))
        if snapshots is saves[-1]:
            assert not steps  # what is finished is not trained again


@pytest.mark.usefixtures("optax_promotion")
def test_a_finished_training_goes_on_with_more_steps():
    """Constant rate, fixed points: as if it had been asked for all of them at once."""
    settings = {**ADAM, "optimizer": {"name": "adam", "steps": 20, "chunk": 10}}
    kept = {}
    _run(settings, callbacks=[lambda progress: kept.update(last=progress.snapshot())])
    longer = {**settings, "optimizer": {**settings["optimizer"], "steps": 40}}
    assert_same(_run(longer), _run(longer, [kept["last"]]))


def test_a_snapshot_of_another_training_is_refused():
    kept = {}
    _run(CASES["Levenberg-Marquardt"], callbacks=[lambda progress: kept.update(last=progress.snapshot())])
    other = {**CASES["Levenberg-Marquardt"], "network": {"width": 7}}
    with pytest.raises(ValueError, match="the save is of another training"):
        _run(other, [kept["last"]])
