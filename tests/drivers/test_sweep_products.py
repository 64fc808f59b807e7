"""Many networks for the axes of a box: each start is the solve of its seed, and there is no talk of training."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import sweep as sweep_script
from tests_support import call

import qpinn
from qpinn.analysis import statistics
from qpinn.drivers import sweep, sweep_products
from qpinn.drivers.ends_choice import EndsChoice
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.drivers.sweep_settings import Sweep
from qpinn.physics.potentials.several import several
from qpinn.runs import sweep_folder


def _swept(folder, potential, settings, **numbers):
    job = sweep.Job(potential, from_mapping(Settings, settings), Sweep(**numbers))
    sweep.run(job, folder)
    columns, frames = sweep_folder.read_blocks(folder)
    assert frames.tolist() == [0]
    return columns


def test_a_start_is_the_solve_of_its_seed(tmp_path):
    """And its level is that of the normal modes, below that of the mean field."""
    rough = {"network": {"width": 10}}
    potential = several([[-5, 5], [-5, 5]], "x**2 + 2*y**2 + 0.8*x*y")
    columns = _swept(tmp_path, potential, {"state": 1, "seed": 3, **rough}, seeds=2, block=2)
    frequencies = np.sqrt(np.linalg.eigvalsh([[1, 0.4], [0.4, 2]]))
    np.testing.assert_allclose(columns["energy"], 3 * frequencies[0] + frequencies[1], rtol=1e-8)
    assert statistics.outcomes(columns).tolist() == ["right state"] * 2
    assert columns["residual"][0] != columns["residual"][1]  # energies may be the same to the last digit
    alone = qpinn.solve(potential, state=1, seed=4, **rough)
    assert columns["energy"][1] == pytest.approx(alone.energy, rel=1e-13)
    assert columns["residual"][1] == pytest.approx(alone.levels.residual[1], rel=1e-3)
    assert (columns["energy_start"] > columns["energy"] + 1e-3).all()
    assert (columns["relative_l2_psi"] < 1e-5).all()
    assert np.isnan(columns["loss"]).all()


def test_three_axes(tmp_path):
    columns = _swept(tmp_path, several([[0, 1], [0, 1.2], [0, 1.5]], "0*x"), {"network": {"width": 6}}, seeds=1)
    np.testing.assert_allclose(columns["energy"], np.pi**2 * (1 + 1 / 1.44 + 1 / 2.25), rtol=1e-9)
    np.testing.assert_allclose(columns["overlap"], 1, atol=1e-8)


@pytest.mark.parametrize(("potential", "numbers", "words"), [
    (qpinn.potentials.circular_dot(), {}, "circular_dot: V jumps or bends on curves"),
    (qpinn.potentials.oscillator_chain(dimension=4), {}, "has 4 axes; a sweep compares with products of sin"),
    (qpinn.potentials.box(), {"vary": "optimizer.damping", "range": (1e-6, 1e-3)}, "sweep.vary=optimizer.damping: "),
])  # fmt: skip
def test_what_it_cannot_do_is_one_line(potential, numbers, words):
    with pytest.raises(ValueError, match=words):
        sweep_products.plan_of(potential, Settings(), Sweep(**numbers))


def test_the_script_says_nothing_of_training(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_script, "prepare", lambda config: None)  # this process has its devices
    words = ["potential=box", "potential.domain=[[0,1],[0,0.7]]", "sweep.seeds=3", f"hydra.run.dir={tmp_path}",
             "figures.format=png", "figures.dpi=50"]  # fmt: skip
    finished = call("sweep", *words)
    assert finished.returncode == 0, finished.stderr
    for word in ("nan", "loss", "devices", "at step"):
        assert word not in finished.stdout
    assert "right state       3  100.0 %" in finished.stdout
    assert [path.name for path in tmp_path.glob("*.png")] == ["energies.png"]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["route"]["ansatz"], summary["statistics"]["loss"]) == ("product", None)
    assert set(summary["seconds"]) == {"plan", "solve", "total", "per_start"}
    with (tmp_path / "seeds.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["seed"] for row in rows] == ["0", "1", "2"]
    assert {row["loss"] + row["node_count"] + row["steps_to_1e-02"] for row in rows} == {""}
    again = call("sweep", *words)
    assert "finished before" in again.stdout
    refused = call("sweep", "potential=circular_dot", f"hydra.run.dir={tmp_path / 'other'}")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("ends", [{"left": "periodic", "right": "periodic"}, {"axes": ["walls", ["free", "wall"]]}])
def test_ends_other_than_walls_are_refused_in_one_line(ends):
    with pytest.raises(ValueError, match=r"^ends\.[^\n]* a sweep of products compares [^\n]*$"):
        sweep_products.plan_of(qpinn.potentials.box(), Settings(ends=EndsChoice(**ends)), Sweep())
