"""Hidden units of the axes of a box, trained in the mean field: against exact levels, and beside levels without it."""

import dataclasses

import jax
import numpy as np
import pytest
from tests_support import call

import qpinn
from qpinn import potentials
from qpinn.drivers import box, box_folder
from qpinn.drivers.settings import Settings
from qpinn.geometry.domain import WALLS
from qpinn.physics.potentials.several import several
from qpinn.report import box_page, box_tables
from qpinn.runs import box_folder as results_of
from qpinn.runs import box_parameters, potential_file

CHAIN = potentials.oscillator_chain(dimension=2, coupling=0.8)
NARROW = {"network": {"width": 4}}


@pytest.fixture(scope="module")
def trained():
    return qpinn.solve(CHAIN, states=6, **NARROW, optimizer={"steps": 60})


@pytest.fixture(scope="module")
def exact():
    """Levels of the normal modes, of frequencies 1 and (1 + 2 coupling)^1/2."""
    n = np.arange(8)
    return np.sort(((2 * n[:, None] + 1) + np.sqrt(2.6) * (2 * n + 1)).ravel())[:6]


def test_training_brings_narrow_networks_closer_to_the_levels(trained, exact):
    before, after = (np.abs(energies / exact - 1) for energies in (trained.training.before, trained.energies))
    assert (after < 0.5 * before).all()
    assert after.max() < 0.3 * before.max()
    first, last = trained.training.residuals
    assert (last < 0.7 * first).all()
    assert trained.steps == 60


def test_bounds_hold_the_levels_before_and_after(trained, exact):
    training = trained.training
    for lower, upper in (training.before_bounds, training.widened_bounds, trained.bounds.T):
        assert (lower <= exact + 1e-11).all()
        assert (exact <= upper + 1e-11).all()
    before = np.diff(training.before_bounds, axis=0)[0] / 2
    assert (trained.levels.half_width < before).all()


def test_what_stands_beside_it_is_what_is_solved_without_training(trained):
    training = trained.training
    same = dataclasses.replace(trained.settings, optimizer=Settings().optimizer)
    alone = box.run(CHAIN, same)
    assert alone.training is None
    np.testing.assert_allclose(training.before, alone.energies, rtol=1e-12)
    wide = qpinn.solve(CHAIN, states=6)
    np.testing.assert_allclose(training.widened, wide.energies, rtol=1e-12)
    np.testing.assert_allclose(training.widened_bounds.T, wide.bounds, rtol=1e-12)
    assert (training.width, training.wider) == (4, 16)
    assert (training.start[1:] >= training.start[:-1]).all()
    assert training.start[0] > trained.energy  # a product of one function each is above the ground state


def test_what_was_trained_is_kept(trained, tmp_path):
    box_parameters.write(tmp_path, trained, ())
    with jax.enable_x64(False):  # as it is in a session
        loaded = box_folder.read(tmp_path, potential_file.read(tmp_path), trained.settings, trained.stats)
    for name, value in vars(trained.training).items():
        np.testing.assert_array_equal(value, getattr(loaded.training, name), err_msg=name)
    x = np.random.default_rng(0).uniform(-3, 3, (20, 2))
    np.testing.assert_array_equal(loaded.psi(x), trained.psi(x))
    drawn = box.ansatz_on(trained.axes[0].mesh.edges, trained.settings, WALLS).init(jax.random.key(0))
    hidden = loaded.axes[0].params["network"]["hidden_0"]["kernel"]
    assert hidden.shape == drawn["network"]["hidden_0"]["kernel"].shape


def test_the_tables_have_the_levels_side_by_side(trained):
    results = results_of.summary(trained, box.describe_route(trained.settings), {**trained.seconds, "total": 9.0})
    table = box_tables.without_training(results).splitlines()
    assert table[1].split("  ")[-1].strip() == "trained, 4 units"
    assert len(table) == 3 + 6
    assert "trained by Levenberg-Marquardt in the mean field" in results["route"]["label"]
    text = " ".join(box_tables.report(results).split())
    assert "hidden units trained in 60 steps on the 8 lowest functions of each axis" in text
    assert "Before training" in box_page.of_box(results, "")
    without = {**results, "training": None}
    assert "untrained" not in box_tables.report(without)


@pytest.mark.parametrize("potential", [
    several([[-5, 5]] * 3, "x**2 + y**2 + z**2 + 0.3*((x - y)**2 + (y - z)**2)"),
    potentials.oscillator_chain(dimension=4, coupling=0.1),
], ids=["all products of three axes", "chosen products of four"])  # fmt: skip
def test_axes_of_many_coordinates_are_trained_too(potential):
    ansatz = {"name": "piecewise", "phase": 4.0}
    solution = qpinn.solve(potential, **NARROW, optimizer={"steps": 10}, ansatz=ansatz)
    d = potential.dimension
    matrix = 2 * np.eye(d) - np.eye(d, k=1) - np.eye(d, k=-1)
    matrix[[0, -1], [0, -1]] = 1
    coupling = float(potential(np.eye(d)[0]) - 1)
    ground = np.sqrt(1 + coupling * np.linalg.eigvalsh(matrix)).sum()
    assert solution.bounds[0, 0] <= ground <= solution.bounds[0, 1]
    assert abs(solution.energy - ground) <= abs(solution.training.before[0] - ground)
    assert (solution.training.residuals[1] < solution.training.residuals[0]).all()


@pytest.mark.parametrize(("words", "said"), [
    (["optimizer=adam"], "error: optimizer.name=adam: hidden units of the axes are trained by levenberg_marquardt"),
    (["optimizer.steps=5", "sampling=uniform"], "error: sampling.name=uniform: hidden units of the axes are trained"),
    (["network.width=4096"], "error: network.width=4096: networks of an axis take"),
    (["optimizer.steps=5", "network.width=300"], "error: network.width=300: training on 8 functions of every axis"),
], ids=lambda value: value[0] if isinstance(value, list) else None)  # fmt: skip
def test_a_training_that_there_is_not_is_refused_in_one_line(tmp_path, words, said):
    finished = call("train", "potential=henon_heiles", *words, f"output={tmp_path}")
    assert finished.returncode == 2
    assert finished.stderr.startswith(said), finished.stderr
    assert finished.stderr.count("\n") == 1
