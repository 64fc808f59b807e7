"""Many starts at once are the same as one after the other, and none reaches another."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests_support import system_of

import qpinn
from qpinn.analysis import statistics
from qpinn.drivers import discretize, eigenstates, sweep, sweep_job
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.drivers.sweep_settings import VARIABLE, Sweep, with_value
from qpinn.runs import sweep_folder
from qpinn.training import loop
from qpinn.training.lanes import varied
from qpinn.training.starts import Random

QUICK = {"network": {"width": 6}, "optimizer": {"steps": 6}}
PAPER = {
    "network": {"width": 8, "depth": 2, "init": "glorot"}, "ansatz": "envelope", "start": "random",
    "optimizer": {"name": "adam", "steps": 200, "learning_rate": 1e-2}, "sampling": {"name": "uniform", "points": 32},
    "loss": {"unit": 1.0},
}  # fmt: skip

ADAM = [key for key, where in VARIABLE.items() if "optimizer.name=adam" in where]


def _job(mapping=QUICK, potential=None, **numbers) -> sweep.Job:
    return sweep.Job(potential or qpinn.potentials.infinite_well(), from_mapping(Settings, mapping), Sweep(**numbers))


def _run(job, folder):
    folder.mkdir(exist_ok=True)
    facts = sweep.run(job, folder)
    columns, frames = sweep_folder.read_blocks(folder)
    return facts, columns, frames


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """Five starts in blocks of two: the last one is padded."""
    folder = tmp_path_factory.mktemp("five")
    return folder, *_run(_job(seeds=5, block=2), folder)


def test_padding_reaches_no_column(five):
    folder, facts, columns, _ = five
    assert facts["block"] == 2
    np.testing.assert_array_equal(columns["number"], np.arange(5))
    assert all(len(values) == 5 for values in columns.values())
    assert statistics.statistics(columns)["starts"] == 5
    assert len(list((folder / "blocks").iterdir())) == 3


@pytest.mark.parametrize("block", [1, 5])
def test_the_size_of_a_block_does_not_matter(five, tmp_path, block):
    _, _, columns, _ = five
    _, other, _ = _run(_job(seeds=5, block=block), tmp_path)
    np.testing.assert_allclose(other["energy"], columns["energy"], rtol=1e-12)
    np.testing.assert_allclose(other["energy_start"], columns["energy_start"], rtol=1e-12)
    np.testing.assert_array_equal(statistics.outcomes(other), statistics.outcomes(columns))


@pytest.mark.usefixtures("optax_promotion")
def test_the_size_of_a_block_does_not_matter_to_adam_on_a_symmetric_well(tmp_path):
    """With biases at zero the network would stay odd but for rounding, which differs between sizes."""
    job = _job(PAPER, qpinn.potentials.finite_well(), seeds=4, block=1)
    _, one, _ = _run(job, tmp_path / "one")
    _, four, _ = _run(dataclasses.replace(job, sweep=Sweep(seeds=4, block=4)), tmp_path / "four")
    np.testing.assert_allclose(one["energies"], four["energies"], rtol=1e-6)
    np.testing.assert_allclose(one["energy"], four["energy"], rtol=1e-9)


def test_a_start_alone_is_the_start_of_the_sweep(five):
    _, _, columns, frames = five
    job = _job(seeds=5)
    alone = eigenstates.run(job.potential, dataclasses.replace(job.settings, seed=3))
    np.testing.assert_allclose(columns["energy"][3], alone.energy, rtol=1e-12)
    np.testing.assert_allclose(columns["energy_start"][3], alone.state.energy_start, rtol=1e-12)
    np.testing.assert_allclose(columns["relative_l2_psi"][3], alone.state.relative_l2_psi, rtol=1e-2)
    np.testing.assert_allclose(columns["energies"][3], alone.history["energy"][frames], rtol=1e-6)
    assert columns["node_count"][3] == alone.state.node_count
    assert statistics.outcomes(columns)[3] == alone.state.outcome


IN_TURN = {"start": {"name": "variational", "steps": 60}, "states": 2, "optimizer": {"steps": 40}}


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize(
    "mapping",
    [
        {**IN_TURN, "network": {"width": 6}},
        {**PAPER, **IN_TURN, "optimizer": PAPER["optimizer"], "sampling": "gauss_legendre"},
        {**PAPER, "states": 2, "energy": "fixed"},
    ],
)
def test_a_start_of_functions_in_turn_is_that_of_the_sweep(tmp_path, mapping):
    well = qpinn.potentials.finite_well()
    job = _job({**mapping, "seed": 4}, well, seeds=3, block=2)
    _, columns, _ = _run(job, tmp_path)
    alone = qpinn.solve(well, **mapping, seed=5)
    index = mapping["states"] - 1
    np.testing.assert_array_equal(columns["index"], index)
    np.testing.assert_allclose(columns["energy"][1], alone.states[index].energy, rtol=1e-7)
    rows = alone.history["state"] == index
    np.testing.assert_allclose(columns["loss"][1], alone.history["total"][rows][-1], rtol=1e-3)
    assert statistics.outcomes(columns)[1] == alone.states[index].outcome


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("block", [1, 2])
def test_a_block_of_which_no_start_is_left_ends_no_sweep(tmp_path, block):
    """All of its starts meet a NaN in the first of several chunks."""
    mapping = {**PAPER, "optimizer": {"name": "adam", "steps": 60, "chunk": 10}, "precision": "float32"}
    job = _job(mapping, seeds=3, block=block, vary="optimizer.learning_rate", range=(1e-3, 1e11))
    _, columns, frames = _run(job, tmp_path)
    np.testing.assert_array_equal(columns["asked"], 60)
    assert columns["energies"].shape == (3, len(frames))
    assert columns["steps"][0] == 60
    assert (columns["steps"][1:] < 60).all()
    np.testing.assert_array_equal(statistics.outcomes(columns)[1:], "non-finite")


@pytest.mark.usefixtures("optax_promotion")
def test_a_nan_in_the_first_of_two_functions_ends_a_start(tmp_path):
    mapping = {**PAPER, "optimizer": {"name": "adam", "steps": 40}, "precision": "float32", "states": 2}
    job = _job(mapping, seeds=4, block=4, vary="optimizer.learning_rate", range=(1e-3, 1e11))
    _, columns, _ = _run(job, tmp_path)
    np.testing.assert_array_equal(statistics.outcomes(columns)[1:], "non-finite")
    assert statistics.outcomes(columns)[0] != "non-finite"


@pytest.mark.parametrize(
    ("ends", "state", "exact"),
    [
        ({"left": "free", "right": "free"}, 2, 4 * np.pi**2),
        ({"left": "wall", "right": "free"}, 1, (1.5 * np.pi) ** 2),
        ({"left": "periodic", "right": "periodic"}, 2, 4 * np.pi**2),  # one of two: any mixture of sine and cosine
        ({"left": "periodic", "right": "periodic", "theta": np.pi}, 0, np.pi**2),  # the same
    ],
)
def test_other_ends(tmp_path, ends, state, exact):
    _, columns, _ = _run(_job({**QUICK, "ends": ends, "state": state}, seeds=3), tmp_path)
    np.testing.assert_allclose(columns["energy"], exact, rtol=1e-9)
    np.testing.assert_array_equal(statistics.outcomes(columns), "right state")
    degenerate = ends["left"] == "periodic"
    assert np.all(np.isnan(columns["relative_l2_psi"]) == degenerate)


def test_more_seeds_train_only_the_new_ones_elsewhere(five, tmp_path):
    _, _, columns, _ = five
    job = _job({**QUICK, "seed": 3}, seeds=2, block=2)
    _, new, _ = _run(job, tmp_path)
    np.testing.assert_allclose(new["energy"], columns["energy"][3:], rtol=1e-13)


def test_a_sweep_is_the_same_twice(five, tmp_path):
    _, _, columns, _ = five
    _, again, _ = _run(_job(seeds=5, block=2), tmp_path)
    for name in set(columns) - {"seconds"}:
        np.testing.assert_array_equal(again[name], columns[name])


def test_what_is_there_is_not_trained_again_and_what_is_damaged_is(five, tmp_path):
    _, _, columns, _ = five
    job = _job(seeds=5, block=2)
    _run(job, tmp_path)
    blocks = sorted((tmp_path / "blocks").iterdir())
    blocks[0].unlink()
    blocks[2].write_bytes(blocks[2].read_bytes()[:200])
    kept = blocks[1].read_bytes()
    facts, again, _ = _run(job, tmp_path)
    assert facts["trained"] == 3
    assert blocks[1].read_bytes() == kept
    np.testing.assert_allclose(again["energy"], columns["energy"], rtol=1e-12)
    assert _run(job, tmp_path)[0]["trained"] == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_processes_in_any_order_train_what_one_trains(five, tmp_path, order):
    """Blocks 0, 1 and 2 of two starts, one for each of three processes: to the last bit what one process trains."""
    _, _, columns, _ = five
    for i, process in enumerate(order):
        facts, trained, _ = _run(_job(seeds=5, block=2, processes=3, process=process, devices=1), tmp_path)
        assert facts["trained"] == (1 if process == 2 else 2)
        names = [f"{2 * k:08d}-{min(2 * k + 1, 4):08d}.npz" for k in sorted(order[: i + 1])]
        assert sorted(path.name for path in (tmp_path / "blocks").iterdir()) == names
    for name in set(columns) - {"seconds"}:
        np.testing.assert_array_equal(trained[name], columns[name])


@pytest.mark.parametrize("numbers", [{"process": 0}, {}])
def test_a_process_whose_share_is_there_trains_what_others_left(tmp_path, numbers):
    job = _job(seeds=5, block=2, devices=1, processes=2, process=0)
    assert _run(job, tmp_path)[0]["trained"] == 3
    assert len(sweep.trained(job, tmp_path)["number"]) == 3
    again = dataclasses.replace(job, sweep=Sweep(seeds=5, block=2, devices=1, processes=2, **numbers))
    assert _run(again, tmp_path)[0]["trained"] == 2
    np.testing.assert_array_equal(sweep.trained(job, tmp_path)["number"], np.arange(5))


def test_a_sweep_goes_on_with_other_blocks(five, tmp_path):
    _, _, columns, _ = five
    _run(_job(seeds=5, block=2, devices=1, processes=3, process=1), tmp_path)
    facts, trained, _ = _run(_job(seeds=5, block=3, devices=1), tmp_path)
    assert facts["trained"] == 3
    np.testing.assert_allclose(trained["energy"], columns["energy"], rtol=1e-12)


@pytest.mark.parametrize("value", [3.0, float("nan")])
def test_a_lane_reaches_no_other(value):
    """Another norm weight, or a NaN, in the second of three starts: the other two are the same to the last bit."""
    job = _job({**QUICK, "start": "random"}, vary="loss.norm", range=(1.0, 2.0))
    course = loop.Course(Random(), 40, 40)
    system = system_of(job.potential, job.settings)

    def trained(weights):
        many = sweep_job.with_value(system._replace(seed=np.arange(3)), "loss.norm", np.array(weights))
        lanes = varied(system, many, 3, sweep.devices(1))
        return loop.fit(loop.compiled(lanes, course), lanes, course)

    before, after = (trained([1e3, other, 1e3]) for other in (1e3, value))
    others = np.array([0, 2])
    for name in set(before.history) - {"seconds"}:
        np.testing.assert_array_equal(after.history[name][:, others], before.history[name][:, others])
    for a, b in zip(*(jax.tree.leaves(fit.params) for fit in (after, before)), strict=True):
        np.testing.assert_array_equal(a[others], b[others])
    assert any(np.any(a[1] != b[1]) for a, b in zip(*map(jax.tree.leaves, (after.params, before.params)), strict=True))
    if np.isnan(value):
        np.testing.assert_array_equal(after.steps, [40, 0, 40])
        np.testing.assert_array_equal(after.alive, [True, False, True])
        # the bad one keeps its last good parameters
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.params))


@pytest.mark.usefixtures("optax_promotion")
def test_a_start_that_goes_non_finite_is_reported_with_its_seed_and_step(tmp_path):
    mapping = {**PAPER, "optimizer": {"name": "adam", "steps": 40}, "precision": "float32"}
    job = _job(mapping, seeds=4, block=4, vary="optimizer.learning_rate", range=(1e-3, 1e11))
    _, columns, _ = _run(job, tmp_path)
    found = statistics.statistics(columns)
    np.testing.assert_array_equal(statistics.outcomes(columns)[1:], "non-finite")
    assert statistics.outcomes(columns)[0] != "non-finite"
    assert [number for number, _ in found["not_finite"]] == [1, 2, 3]
    assert all(1 <= step <= 40 for _, step in found["not_finite"])


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize(
    ("mapping", "key", "ends"),
    [
        (PAPER, "energy.initial", (1.0, 21.0)),
        ({**PAPER, "energy": "fixed"}, "energy.value", (5.0, 15.0)),
        ({**PAPER, "optimizer": {"name": "adam_lbfgs", "adam_steps": 60, "steps": 80}}, "optimizer.learning_rate",
         (1e-3, 2e-2)),
        (QUICK, "loss.norm", (100.0, 2000.0)),
    ],
)  # fmt: skip
def test_what_varies_is_what_a_run_with_that_value_does(tmp_path, mapping, key, ends):
    job = _job(mapping, seeds=3, vary=key, range=ends)
    _, columns, _ = _run(job, tmp_path)
    if key == "energy.initial":
        np.testing.assert_allclose(columns["energy_start"], np.linspace(*ends, 3))
    settings = with_value(job.settings, key, float(np.mean(ends)))
    alone = eigenstates.run(job.potential, dataclasses.replace(settings, seed=1))
    np.testing.assert_allclose(columns["energy"][1], alone.energy, rtol=1e-9)
    np.testing.assert_allclose(columns["loss"][1], alone.history["total"][-1], rtol=1e-4)


@pytest.mark.parametrize(
    ("key", "optimizer"),
    [
        *((key, "levenberg_marquardt") for key in VARIABLE if key not in ADAM),
        *((key, optimizer) for key in ADAM for optimizer in ("adam", "adam_lbfgs")),
    ],
)
def test_every_number_that_may_vary_reaches_its_place(key, optimizer):
    job = _job({"optimizer": optimizer, "energy": "fixed" if key == "energy.value" else "trainable"})
    changed = with_value(job.settings, key, 0.75)
    one, other = (system_of(job.potential, settings) for settings in (job.settings, changed))
    moved = sweep_job.with_value(one, key, jnp.asarray(0.75))
    assert jax.tree.structure(moved) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.any(a != b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def test_a_varied_sweep_builds_its_mesh_no_more_often_for_more_starts(tmp_path, monkeypatch):
    built, build = [], discretize.mesh_of
    monkeypatch.setattr(discretize, "mesh_of", lambda *words: (built.append(1), build(*words))[1])
    counts = []
    for seeds in (1, 4):
        built.clear()
        _run(_job(seeds=seeds, vary="loss.norm", range=(100.0, 2000.0)), tmp_path / str(seeds))
        counts.append(len(built))
    assert counts[1] <= counts[0]


def test_steps_to_a_tolerance_are_counted_to_where_e_stays():
    off = np.array([[0.5, 0.0, 0.5], [0.001, 0.0, 0.5], [0.5, 0.0, 0.5], [0.001, 0.0, 0.5]])
    np.testing.assert_array_equal(statistics.steps_to(off, 1e-2), [3, 0, np.nan])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"vary": "network.width", "range": (1, 2)}, "sweep.vary=network.width: unknown"),
        ({"vary": "energy.initial"}, "needs sweep.range"),
        ({"seeds": 0}, "sweep.seeds=0"),
        ({"block": 0}, "sweep.block=0"),
        ({"process": 0}, "sweep.process=0: needs sweep.processes"),
        ({"processes": "slurm", "process": 0}, "sweep.process=0: needs sweep.processes"),
        ({"processes": "slum"}, "sweep.processes=slum: must be a whole number from 1, or slurm or distributed"),
        ({"processes": 0}, "sweep.processes=0"),
        ({"processes": 2, "process": 2}, "sweep.process=2"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(numbers, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        Sweep(**numbers)


@pytest.mark.parametrize(
    ("mapping", "numbers", "message"),
    [
        ({}, {"vary": "energy.initial", "range": (0, 1)}, "start.name=random"),
        ({"energy": "fixed"}, {"vary": "optimizer.learning_rate", "range": (1e-3, 1)}, "optimizer.name=adam"),
        ({}, {"vary": "loss.norm", "range": (-1, 1)}, "loss.norm=-1"),
        ({"seed": 2**31 - 2}, {"seeds": 3}, "seed=2147483648"),
    ],
)
def test_what_would_have_no_effect_is_refused(mapping, numbers, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        Sweep(**numbers).check(from_mapping(Settings, mapping))
