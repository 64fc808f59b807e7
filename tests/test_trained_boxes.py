"""One network of several coordinates from the command line to a complete folder, interrupted and gone on with."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from tests_support import call, start, train, until

import qpinn
from qpinn.drivers import trained_box
from qpinn.report import box_data, box_figures, box_page, style, tables
from qpinn.runs import box_arrays, checkpoint, run_folder, status

PAPER = ["experiment=paper/box_2d", "network.width=8", "network.depth=1", "sampling.points=12", "optimizer.chunk=100",
         "figures=none"]  # fmt: skip
QUICK = [*PAPER[:-1], "optimizer.steps=60", "figures.format=png", "figures.dpi=50"]
COUPLED = ["potential=expression", "potential.formula=x**2 + y**2 + 0.1*x**2*y**2",
           "potential.domain=[[-3,3],[-2.5,2.5]]", "ansatz=envelope", "start=variational", "start.steps=600",
           "start.learning_rate=2e-2", "network.init=glorot", "network.width=12", "network.depth=2",
           "sampling.points=16", "optimizer=adam", "optimizer.steps=30", "optimizer.learning_rate=1e-4",
           "figures.format=png", "figures.dpi=50"]  # fmt: skip


@pytest.fixture(scope="module")
def coupled(tmp_path_factory):
    """Two levels, each from its variational start: the folder, and what the terminal showed."""
    folder = tmp_path_factory.mktemp("coupled") / "run"
    finished = train(*COUPLED, "states=2", f"hydra.run.dir={folder}")
    return folder, finished.stdout


def test_a_run_is_a_complete_folder(coupled):
    folder, shown = coupled
    assert {"config.yaml", "history.csv", "parameters.npz", "results.json", "report.html", "status.json", "train.log",
            "wavefunction.npz", "levels.png", "states.png", "residual.png", "cuts.png", "energy.png", "loss.png",
            "level_1.png"} <= {path.name for path in folder.iterdir()}  # fmt: skip
    assert status.read(folder)["status"] == "finished"
    for words in ("-Laplace psi + V psi = E psi", "reference  error of E  L2 error", "right state", "no bounds",
                  "errors are against products of sin functions", str(folder)):  # fmt: skip
        assert words in shown
    log = (folder / "train.log").read_text()
    assert log.count("of 60: loss") == 2
    page = (folder / "report.html").read_text()
    assert page.count('<tr id="row-') == 2
    assert "What is known" in page
    assert "What is certified" not in page


def test_its_numbers_are_those_of_psi(coupled):
    """Energies, norms and errors of results.json from the arrays alone, by sums on the grid of the figures."""
    folder, _ = coupled
    results, grid = run_folder.read_summary(folder), box_arrays.read(folder)
    x, y = grid["x_0"], grid["x_1"]
    area = np.diff(x)[0] * np.diff(y)[0]
    exact = qpinn.solve("x**2 + y**2 + 0.1*x**2*y**2", domain=[[-3, 3], [-2.5, 2.5]], states=2)
    places = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    np.testing.assert_allclose(grid["v"], (places**2).sum(axis=-1) + 0.1 * (places**2).prod(axis=-1), atol=1e-8)
    energies, stated = (np.array(results["reference"][name][:2]) for name in ("energies", "errors"))
    assert (np.abs(energies - exact.energies) < np.maximum(stated, 1e-9)).all()
    assert stated.max() < 1e-6
    for state, psi, residual in zip(results["states"], grid["psi"], grid["residual"], strict=True):
        norm = (psi**2).sum() * area
        assert state["norm"] == pytest.approx(norm, rel=1e-3)
        assert (state["lower"], state["upper"], state["converged"]) == (None, None, False)
        level = exact.energies[state["index"]]
        assert state["relative_error_energy"] == pytest.approx(abs(state["energy"] - level) / level, rel=1e-2)
        assert abs(state["energy_rayleigh"] - level) < state["residual"]
        h_psi = residual + state["energy"] * psi
        assert (psi * h_psi).sum() * area / norm == pytest.approx(state["energy_rayleigh"], rel=1e-2)
        np.testing.assert_allclose(
            state["expectation"]["x2"][0], (psi**2 * x[:, None] ** 2).sum() * area / norm, rtol=1e-2
        )
    assert results["states"][0]["outcome"] == "right state"
    assert results["states"][1]["relative_l2_psi"] is None or results["states"][1]["relative_l2_psi"] > 0
    rows = run_folder.read_history(folder, results["units"])
    assert len(rows["step"]) == 60
    assert np.isfinite(rows["relative_error_energy"]).all()
    assert checkpoint.arrays(folder / "parameters.npz")["steps"].tolist() == [30, 30]


def test_it_is_compared_and_drawn_again(coupled, tmp_path):
    folder, shown = coupled
    alone = call("compare", folder)
    assert alone.stdout.splitlines()[0] == next(line for line in shown.splitlines() if line.startswith("  n "))
    for name in ("results.json", "wavefunction.npz", "history.csv", "config.yaml"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    drawn = call("plot", tmp_path, "figures=essential", "figures.format=png", "figures.dpi=40")
    assert drawn.returncode == 0, drawn.stderr
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "levels.png", "states.png", "residual.png", "energy.png"
    }  # fmt: skip
    (tmp_path / "history.csv").unlink()
    lost = call("plot", tmp_path, "figures=essential")
    assert lost.returncode == 2
    assert lost.stderr.startswith(f"error: {tmp_path / 'history.csv'}: missing or damaged")


def test_a_level_without_a_function_says_nothing(coupled, tmp_path):
    """psi = 0 beside a level that is right, and a psi that has diverged to an E far below V."""
    folder, _ = coupled
    results, grid = run_folder.read_summary(folder), box_arrays.read(folder)
    first, second = results["states"]
    lost = {**second, "outcome": "psi = 0", "energy": None, "residual": None, "norm": 0.0,
            "expectation": {"x": [None] * 2, "x2": [None] * 2, "kinetic": None, "potential": None}}  # fmt: skip
    text, page = (
        tables.report({**results, "states": [first, lost]}),
        box_page.of_box({**results, "states": [first, lost]}, ""),
    )
    assert re.search(r"\n +1 +- +4\.0887\d+ +- +- +- +psi = 0\n", text)
    assert "<i|x|j>" not in text
    assert "<td>psi = 0</td>" in page
    assert "level 1: psi = 0" in page
    strayed = {**results, "states": [{**first, "energy": -1e9, "outcome": "diverged"}, lost]}
    with style.applied():
        data = box_data.of_results(strayed, grid, run_folder.read_history(folder, results["units"]))
        for name in box_figures.names(data):
            box_figures.figure(name, data).canvas.draw()


def test_jobs_of_a_multirun_stand_side_by_side(tmp_path):
    many = train("-m", "seed=0,1", *QUICK, "figures=none", f"hydra.sweep.dir={tmp_path / 'many'}")
    line = [line for line in many.stdout.splitlines() if line.startswith("  0 ")][-1]
    assert "fixed" in line
    assert line.rstrip().endswith("finished")
    both = call("compare", tmp_path / "many")
    assert both.stdout.count("fixed") == 2
    assert "None" not in both.stdout


def _same(one, other):
    """Parameters and history, but for the seconds."""
    a, b = (checkpoint.arrays(folder / "parameters.npz") for folder in (one, other))
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    first, second = ((folder / "history.csv").read_text().splitlines() for folder in (one, other))
    assert [row.rpartition(",")[0] for row in first] == [row.rpartition(",")[0] for row in second]


def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path):
    words = [*PAPER, "optimizer.steps=20000", "save_every=0.1"]
    process = start("train", *words, f"output={tmp_path / 'killed'}")
    until(lambda: len(list(tmp_path.glob("killed/*/saves/*.npz"))) > 1, process)
    process.kill()
    process.communicate()
    shown = train(*words, f"output={tmp_path / 'killed'}").stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("goes on after step "))
    assert 100 <= int(line.split()[4]) < 20000
    (folder,) = (tmp_path / "killed").iterdir()
    train(*words, f"hydra.run.dir={tmp_path / 'whole'}")
    _same(tmp_path / "whole", folder)
    assert json.loads((folder / "results.json").read_text())["seconds"]["earlier"] > 0


def test_a_signal_keeps_what_there_is(tmp_path):
    folder = tmp_path / "run"
    process = start("train", *PAPER, "optimizer.steps=1000000", f"hydra.run.dir={folder}")
    until(lambda: (folder / "train.log").exists() and "step 200" in (folder / "train.log").read_text(), process)
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143, errors
    assert status.read(folder)["status"] == "stopped"
    assert re.search(r"stopped by a signal after step \d+", errors)
    assert {"parameters.npz", "history.csv"} <= {path.name for path in folder.iterdir()}
    assert list((folder / "saves").glob("*.npz"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["potential=henon_heiles", "ansatz=envelope"], "start.name=ritz: an envelope of 2 coordinates is trained, not "
         "solved; write start=random or start=variational"),
        (["potential=oscillator_chain", "ansatz=envelope", "start=random"], "ansatz.name=envelope: "
         "potential=oscillator_chain has 10 coordinates, and one network is trained of two or three; leave it out for "
         "products of networks"),
        (["potential=henon_heiles", "start=random"], "start.name=random: products are solved, not trained; leave it "
         "out, or write ansatz=envelope to train one network of all coordinates"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_line(tmp_path, words, line):
    refused = call("train", *words, f"output={tmp_path / 'out'}")
    assert (refused.returncode, refused.stderr) == (2, f"error: {line}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("optax_promotion")
def test_three_coordinates_in_units_are_drawn_and_shown():
    """A cube of 10 nm: 3 (pi / 10 nm)^2 hbar^2 / 2m."""
    trained = qpinn.solve(
        "0*x + 0*y + 0*z", domain=[[0, 10]] * 3, units={"name": "semiconductor", "mass": 0.067}, ansatz="envelope",
        start={"name": "variational", "steps": 200, "learning_rate": 2e-2}, network={"width": 6, "depth": 1},
        sampling={"points": 8}, optimizer={"name": "adam", "steps": 5},
    )  # fmt: skip
    assert isinstance(trained, trained_box.TrainedBox)
    assert trained.steps == 5
    (state,) = trained.states
    assert state.outcome == "right state"
    np.testing.assert_allclose(state.energy_reference, 0.0380998212 / 0.067 * 3 * (np.pi / 10) ** 2, rtol=1e-7)
    np.testing.assert_allclose(state.expectation["x"], 5, rtol=2e-2)
    assert len(repr(trained).splitlines()) <= 12
    assert "no bounds" in repr(trained)
    assert "<table>" in trained._repr_html_()
    route = {"optimizer": "adam", "ansatz": "envelope", "start": "variational", "projected_start": False,
             "energy": "trainable", "label": "trained"}  # fmt: skip
    data = box_data.of(trained, route)
    assert box_figures.names(data) == ["levels", "cuts", "residual", "energy", "loss", "level_0"]
    assert data.grid["psi"].shape == (1, 61, 61, 61)
    step = float(np.diff(data.x[0])[0])
    np.testing.assert_allclose((data.grid["psi"] ** 2).sum() * step**3, state.norm, rtol=1e-3)
    np.testing.assert_allclose(data.grid["density_1"].sum() * step, state.norm, rtol=1e-3)
