"""A solved box that is kept, copied or read back is the solution that it was."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import pickle
import shutil

import jax
import numpy as np
import pytest
from test_damaged_files import DAMAGES
from tests_support import call

import qpinn
from qpinn.drivers import box_curves, box_folder
from qpinn.runs import box_parameters, potential_file

ROUGH = {"ansatz": {"name": "piecewise", "phase": 8.0}, "network": {"width": 6}}
PLANE = {"domain": [[-1.5, 1.5], [None, None]], "states": 3, "units": {"name": "semiconductor", "energy": "meV"}}


@pytest.fixture(scope="module")
def solved():
    """A jump across one axis, walls that were chosen on the other, and units."""
    return qpinn.solve("where(x < 0.25, 0, 40) + 30*y**2 + 5*x*y", **PLANE, **ROUGH)


@pytest.fixture(scope="module")
def folder(solved, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qpinn.report.box_figures.MOST_ALONE", 0)
        return solved.save(tmp_path_factory.mktemp("box") / "kept")


def _same(one, other):
    x = np.random.default_rng(0).uniform(-1.6, 1.6, (7, 5, len(one.axes)))
    np.testing.assert_array_equal(one.psi(x), other.psi(x))
    for name in ("energies", "bounds", "dipoles"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name, value in vars(one.levels).items():
        np.testing.assert_array_equal(value, getattr(other.levels, name), err_msg=name)
    assert one.symmetries == other.symmetries
    assert one.converged == other.converged
    assert (one.given, one.settings) == (other.given, other.settings)
    assert one.plan.potential == other.plan.potential
    assert one.plan.chosen == other.plan.chosen
    assert [edges.tolist() for edges in one.plan.edges] == [edges.tolist() for edges in other.plan.edges]
    assert repr(one) == repr(other)


def test_what_is_kept_is_the_same_again(solved, folder):
    with jax.enable_x64(False):  # as it is in a session
        loaded = qpinn.load(folder)
    _same(loaded, solved)
    assert loaded.stats.rounds == solved.stats.rounds
    assert loaded.plan.chosen == (False, True)


def test_a_copy_is_the_same(solved):
    solved.symmetries  # noqa: B018  (what has been computed by then is no hindrance)
    with jax.enable_x64(False):
        _same(pickle.loads(pickle.dumps(solved)), solved)
        _same(copy.deepcopy(solved), solved)


@pytest.mark.parametrize("potential", [
    qpinn.potentials.circular_dot(depth=10.0, domain=[[-2, 2], [-2, 2]]),
    qpinn.potentials.oscillator_chain(dimension=4, coupling=0.1),
], ids=["what bends on a curve", "chosen products"])  # fmt: skip
def test_every_kind_of_product_is_kept(tmp_path, potential):
    solution = qpinn.solve(potential, **ROUGH)
    with jax.enable_x64(False):
        _same(pickle.loads(pickle.dumps(solution)), solution)
    box_parameters.write(tmp_path, solution, box_curves.curves_of(solution.plan.potential))
    loaded = box_folder.read(tmp_path, potential_file.read(tmp_path), solution.settings, solution.stats)
    _same(loaded, solution)
    assert len(loaded.bends) == len(potential.curves)
    with np.load(tmp_path / "parameters.npz") as stored:
        arrays = dict(stored)
    wrong = {"bend_0/curve": np.array(4), "indices": arrays.get("indices", np.zeros(0, int)) + 100}
    for name in wrong.keys() & arrays.keys():
        _written(tmp_path, {**arrays, name: wrong[name]})
        with pytest.raises(ValueError, match=r"parameters\.npz: is damaged \((tuple index out|indices of functions)"):
            box_folder.read(tmp_path, solution.given, solution.settings, solution.stats)


def test_a_run_of_the_script_is_loaded(tmp_path):
    words = ["potential=box", "potential.domain=[[0,1],[0,0.8]]", "state=1", "figures=none"]
    finished = call("train", *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert finished.returncode == 0, finished.stderr
    loaded = qpinn.load(tmp_path / "run")
    (state,) = json.loads((tmp_path / "run" / "results.json").read_text())["states"]
    assert state["energy"] == loaded.energy
    assert [state["lower"], state["upper"]] == loaded.bounds[0].tolist()
    with np.load(tmp_path / "run" / "wavefunction.npz") as stored:
        x, psi = np.stack(np.meshgrid(stored["x_0"], stored["x_1"][60:], indexing="ij"), axis=-1), stored["psi"][0]
    np.testing.assert_allclose(loaded.psi(x), psi[:, 60:], atol=1e-8 * np.abs(psi).max())


def test_a_kept_box_is_a_run_to_the_scripts(solved, folder):
    for name, *words in (["compare"], ["plot", "figures=essential"], ["status"]):
        finished = call(name, folder, *words)
        assert finished.returncode == 0, finished.stderr
    assert "finished" in finished.stdout
    with pytest.raises(ValueError, match="is not empty; a solution is saved into a folder of its own"):
        solved.save(folder)


@pytest.mark.parametrize("name", ["parameters.npz", "parameters.json", "potential.json", "results.json", "config.yaml"])
def test_a_damaged_or_missing_file_is_named(folder, tmp_path, name):
    place = tmp_path / "run"
    shutil.copytree(folder, place)
    whole = (place / name).read_bytes()
    for damage in DAMAGES.values():
        (place / name).write_bytes(damage(whole))
        try:
            qpinn.load(place)
        except ValueError as error:
            assert str(error).startswith(str(place))  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
    (place / name).unlink()
    with pytest.raises(ValueError, match=f"{place / name}"):
        qpinn.load(place)


def _written(place, arrays):
    """parameters.npz with arrays that go with their description."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    data = stream.getvalue()
    about = {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in arrays.items()}
    (place / "parameters.npz").write_bytes(data)
    (place / "parameters.json").write_text(json.dumps({"sha256": hashlib.sha256(data).hexdigest(), "arrays": about}))


def test_arrays_of_another_shape_are_named(folder, tmp_path):
    place = tmp_path / "run"
    shutil.copytree(folder, place)
    with np.load(place / "parameters.npz") as stored:
        arrays = dict(stored)
    for number, name in enumerate(sorted(set(arrays) - {"levels/reason"})):
        changed, own = {key: value for key, value in arrays.items() if key != name}, arrays[name]
        _written(place, [changed, {**changed, name: own[..., None]}, {**changed, name: own.astype(str)}][number % 3])
        with pytest.raises(ValueError, match=r"parameters\.npz: (is damaged|has no array|axis)"):
            qpinn.load(place)
    _written(place, {**arrays, "axis_0/edges": arrays["axis_0/edges"][::-1]})
    with pytest.raises(ValueError, match="edges that do not ascend"):
        qpinn.load(place)
    config = (place / "config.yaml").read_text()
    _written(place, arrays)
    (place / "config.yaml").write_text(config.replace("states: 3", "states: 2"))
    with pytest.raises(ValueError, match=r"parameters\.npz: holds 3 levels, and config\.yaml asks for 2"):
        qpinn.load(place)


def test_functions_that_were_trained_in_a_box_are_not_read_back(folder, tmp_path):
    place = tmp_path / "run"
    shutil.copytree(folder, place)
    config = (place / "config.yaml").read_text()
    (place / "config.yaml").write_text(config.replace("piecewise", "envelope").replace("name: ritz", "name: random"))
    with pytest.raises(ValueError, match=r"its functions were trained in a box, and these are not read back"):
        qpinn.load(place)
