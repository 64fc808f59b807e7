"""scripts/evolve.py as a user runs it: results, files, figures from the files alone, and what is refused."""

from __future__ import annotations

import csv
import json
import re
import signal
import time

import _cli
import _overrides
import numpy as np
import pytest
from tests_support import call, script, start

from qpinn.drivers import evolve, packet_problem, settings
from qpinn.runs import evolution as files

QUICK = ["potential=infinite_well", "packet=superposition", "times=[0,0.2]", "tol=1e-4"]


def _folder(tmp_path):
    (folder,) = tmp_path.iterdir()
    return folder


def test_two_levels_of_a_box_beat_as_they_do_exactly(tmp_path):
    finished = call("evolve", *QUICK, "packet.levels=[0,1]", f"output={tmp_path}", "figures=none")
    assert finished.returncode == 0, finished.stderr
    assert "converged" in finished.stdout
    assert "i psi_t = -psi'' + V psi" in finished.stdout
    content, grid = files.read(_folder(tmp_path))
    assert content["converged"]
    assert content["bound"] <= 1e-4
    t, x = grid["t"], grid["x"]
    exact = np.abs(sum(np.exp(-1j * (n * np.pi) ** 2 * t)[:, None] * np.sin(n * np.pi * x) for n in (1, 2))) ** 2
    found = np.abs(grid["psi"]) ** 2
    if found[0, : len(x) // 2].sum() < found[0, len(x) // 2 :].sum():  # signs of levels are chosen
        found = found[:, ::-1]
    assert np.abs(found - exact).max() < 1e-4
    position = np.asarray(content["series"]["position"])
    beat = 16 / (9 * np.pi**2) * np.cos(3 * np.pi**2 * t)
    assert np.abs(np.abs(position - 0.5) - np.abs(beat)).max() < 1e-4
    rows = list(csv.DictReader((_folder(tmp_path) / "evolve.csv").read_text().splitlines()))
    assert len(rows) == len(t)
    for row in (rows[0], rows[-1]):
        assert float(row["left"]) + float(row["right"]) == pytest.approx(1, abs=1e-3)


def test_every_figure_comes_back_from_the_files_alone(tmp_path):
    assert call("evolve", *QUICK, f"output={tmp_path}", "figures.format=png", "figures.dpi=40").returncode == 0
    folder = _folder(tmp_path)
    drawn = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    page = (folder / "report.html").read_text()
    times = page.count('<figure class="level"')
    assert times > 20
    assert page.count('<tr id="row-') == times  # what the slider picks
    assert f'max="{times - 1}"' in page
    (folder / "report.html").unlink()
    assert set(drawn) == {f"{name}.png" for name in ("density", "frames", "probability", "bound", "course")}
    for path in folder.glob("*.png"):
        path.unlink()
    words = [str(folder), "figures.format=png", "figures.dpi=40", "figures.animate=true"]
    assert call("plot", *words).returncode == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.png")} == drawn
    assert (folder / "report.html").is_file()
    from PIL import Image

    with Image.open(folder / "evolve.gif") as moving:
        assert moving.n_frames > 100


def test_a_driven_packet_needs_no_walls_and_says_where_it_ends(tmp_path):
    words = ["potential=harmonic", "drive=dipole", "drive.amplitude=1", "drive.frequency=1", "times=[0,0.5]"]
    finished = call("evolve", *words, "packet.width=0.7071067811865476", f"output={tmp_path}", "figures=none")
    assert finished.returncode == 0, finished.stderr
    assert "holds on the whole line" in finished.stdout
    content, grid = files.read(_folder(tmp_path))
    # x'' = -4 x - 2 cos t from rest: Ehrenfest is exact here
    exact = -2 / 3 * (np.cos(grid["t"]) - np.cos(2 * grid["t"]))
    assert np.abs(np.asarray(content["series"]["position"]) - exact).max() < 1e-5


def test_what_the_bound_cannot_carry_is_said_after_the_results(tmp_path):
    words = ["potential=infinite_well", "packet=formula", "packet.real=1 + 0*x", "times=[0,0.01]", "tol=1e-9"]
    finished = call("evolve", *words, f"output={tmp_path}", "figures=none")
    assert finished.returncode == 0, finished.stderr  # psi0 does not vanish at the walls
    assert "not converged: at t = 0.01 the bound carries tol=" in finished.stdout
    assert not json.loads((_folder(tmp_path) / "evolve.json").read_text())["converged"]


BAD = [
    (["packet.center=0.01", "packet.width=0.05"], "of it lies beyond the walls 0 and 1"),
    (["packet.width=-1"], "packet.width=-1"),
    (["packet.center=.nan"], "packet.center"),
    (["packet.momentun=3"], "did you mean packet.momentum?"),
    (["packet=gausian"], "did you mean gaussian?"),
    (["packet=eigenstate", "packet.level=-1"], "packet.level=-1"),
    (["packet=sampled"], "packet.file=null"),
    (["packet=formula", "packet.real=exp("], "packet.real"),
    (["times=[1,0]"], "must ascend"),
    (["times=[0,inf]"], "must be finite"),
    (["times=3"], "must be the first and the last"),
    (["drive=formula", "drive.time=1/t"], "must be finite and real"),
    (["drive=formula", "drive.time=sqrt(-1-t)"], "must be finite and real"),
    (["divide=3"], "divide=3: must lie between the walls 0 and 1"),
    (["states=3"], "means nothing for a packet"),
    (["precision=float32", "tol=0.01"], "packets evolve in float64"),
    (["optimizer.steps=5"], "means nothing for a packet"),
    (["loss.norm=2"], "means nothing for a packet"),
    (["units=rotor", "units.constant=1", "potential=layers", "potential.file=x.csv"], "error"),
    (["experiment=paper/barrier"], "experiment=paper/barrier: unknown"),
    (["potential=henon_heiles"], "packets evolve on a line"),
]


@pytest.mark.parametrize(
    ("words", "message"), BAD, ids=lambda entry: " ".join(entry) if isinstance(entry, list) else ""
)
def test_bad_input_is_one_line_status_2_and_no_folder(tmp_path, words, message):
    finished = call("evolve", "packet.width=0.05" if not _names_packet(words) else "debug=false", *words,
                    f"output={tmp_path}")  # fmt: skip
    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    assert message in finished.stderr
    assert not list(tmp_path.iterdir())


def _names_packet(words):
    return any(word.startswith(("packet=", "packet.width")) for word in words)


@pytest.mark.parametrize("word", ["packet=gaussian", "drive=dipole", "experiment=time/tunnelling", "times=[0,1]"])
def test_other_scripts_have_no_packets(tmp_path, word):
    finished = call("train", word, f"output={tmp_path}")
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"error: {word.partition('=')[0]}=")
    assert "unknown" in finished.stderr


def test_a_signal_leaves_a_line_and_no_half_of_a_folder(tmp_path):
    process = start("evolve", "experiment=time/tunnelling", "packet.center=-5", f"output={tmp_path}")
    time.sleep(6)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == "stopping\n"
    assert not list(tmp_path.iterdir())


def test_the_defaults_of_the_files_are_those_of_the_function():
    config = _overrides.composed([], "evolve")
    _, chosen = _cli.read(config)
    assert chosen == settings.of_keywords({**evolve.NETWORK, "optimizer": _filled(chosen)})
    assert packet_problem.packet_of(_cli.plain(config)["packet"]) == packet_problem.packet_of("gaussian")


def _filled(chosen):
    return {"name": chosen.optimizer.name, "steps": chosen.optimizer.steps}


CONFIGS = sorted(path for group in ("packet", "drive") for path in (_cli.CONFIGS / group).glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_choice_makes_a_problem(path, tmp_path):
    words = [f"{path.parent.name}={path.stem}", "potential=harmonic"]
    if path.stem == "sampled":
        x = np.linspace(-6, 6, 101)
        np.savetxt(tmp_path / "psi.csv", np.c_[x, np.exp(-(x**2))], delimiter=",", header="x,re", comments="")
        words += [f"packet.file={tmp_path / 'psi.csv'}"]
    _cli.read(_overrides.composed(words, "evolve"))


def test_the_experiment_can_be_run():
    _cli.read(_overrides.composed(["experiment=time/tunnelling"], "evolve"))


def test_help_shows_packets_and_not_those_of_others():
    shown = call("evolve", "--help").stdout
    assert "packet" in shown
    assert "momentum: 0.0" in shown
    assert "paper/barrier" not in shown
    assert "packet " not in call("train", "--help").stdout
    assert script("evolve", "--version").returncode == 0


WAVE = ["experiment=paper/time", "potential=harmonic", "network.width=6", "network.depth=1", "optimizer.steps=30",
        "sampling.points=12"]  # fmt: skip


@pytest.mark.usefixtures("optax_promotion")
def test_a_network_is_trained_and_shown_beside_the_default_route(tmp_path):
    finished = call("evolve", *WAVE, f"output={tmp_path}", "figures.format=png", "figures.dpi=40")
    assert finished.returncode == 0, finished.stderr
    assert "one complex network of (t, x)" in finished.stdout
    assert "against the default route" in finished.stdout
    assert "by the residual of the network itself" in finished.stdout
    folder = _folder(tmp_path)
    content, grid = files.read(folder)
    assert content["steps"] == 30
    assert content["status"] == "finished"
    assert not content["converged"]
    assert len(grid["loss"]) == 30
    error, bound = (np.asarray(content["series"][name]) for name in ("estimate", "bound"))
    assert (error <= bound + grid["exact"]).all()
    drawn = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert set(drawn) == {f"{name}.png" for name in ("density", "frames", "probability", "bound", "course", "training")}
    for path in folder.glob("*.png"):
        path.unlink()
    assert call("plot", str(folder), "figures.format=png", "figures.dpi=40").returncode == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.png")} == drawn
    page = (folder / "report.html").read_text()
    assert "one complex network" in page
    data = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["states"]) == page.count('<figure class="level"') > 20  # what the slider picks from


@pytest.mark.usefixtures("optax_promotion")
def test_a_sweep_over_waves_goes_on_and_is_drawn(tmp_path):
    words = [*WAVE, f"output={tmp_path}", "sweep.devices=1", "sweep.block=2", "figures.format=png", "figures.dpi=40"]
    finished = script("sweep", *words, "sweep.seeds=3")
    assert finished.returncode == 0, finished.stderr
    assert "error below 10 %" in finished.stdout
    assert "its own bound" in finished.stdout
    folder = _folder(tmp_path)
    rows = list(csv.DictReader((folder / "seeds.csv").read_text().splitlines()))
    assert [int(row["seed"]) for row in rows] == [0, 1, 2]
    assert all(0 < float(row["error"]) <= float(row["bound"]) for row in rows)
    assert "finished before" in script("sweep", *words, "sweep.seeds=3").stdout
    drawn = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert set(drawn) == {"course.png", "errors.png", "loss_and_error.png"}
    for path in folder.glob("*.png"):
        path.unlink()
    assert call("plot", str(folder), "figures.format=png", "figures.dpi=40").returncode == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.png")} == drawn
    assert "i ψ_t = −ψ″ + V ψ" in (folder / "report.html").read_text()
    assert "error below 10 %" in call("compare", str(folder)).stdout


@pytest.mark.parametrize(
    ("name", "words", "line"),
    [
        ("evolve", ["start=ritz"], "start.name=ritz: a network of (t, x) is trained from random parameters"),
        ("evolve", ["causal=-1"], "causal=-1: must not be negative"),
        ("evolve", ["hamiltonian.deltas=[[0.1,2]]"], "potential=harmonic: has deltas, at which psi' jumps"),
        ("evolve", ["ends=periodic"], "ends.left=periodic"),
        ("evolve", ["times=[1,0]"], "times=[1,0]: must ascend"),
        ("sweep", ["sweep.vary=energy.initial", "sweep.range=[1,2]"], "sweep.vary=energy.initial"),
        ("sweep", ["sweep.vary=loss.norm", "sweep.range=[1,2]"], "sweep.vary=loss.norm: means nothing for a packet"),
        ("sweep", ["figures.animate=true"], "figures.animate=true: shows the training of one run"),
        ("sweep", ["packet.width=-1"], "packet.width=-1"),
    ],
)
def test_what_a_trained_wave_cannot_be_asked_is_one_line(tmp_path, name, words, line):
    finished = call(name, "experiment=paper/time", "potential=harmonic", *words, f"output={tmp_path}")
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"error: {line}")
    assert finished.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_sweep_without_that_experiment_has_no_packet(tmp_path):
    finished = call("sweep", "packet=gaussian", f"output={tmp_path}")
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: packet=gaussian: a sweep is of levels, or, with experiment=paper/time")


def test_what_should_get_through_is_told_beside_what_has(tmp_path):
    words = ["experiment=time/tunnelling", "tol=1e-2", "figures=essential", "figures.format=png", "figures.dpi=40"]
    finished = call("evolve", *words, f"output={tmp_path}")
    assert finished.returncode == 0, finished.stderr
    assert "average of T(E) over the waves of psi0" in finished.stdout
    content, _ = files.read(_folder(tmp_path))
    through, right = content["through"], content["series"]["right"][-1]
    assert through["side"] == "right"
    assert abs(through["value"] - right) <= through["bound"] + content["series"]["right_bound"][-1]
    refused = call("evolve", "potential=barrier", "transmission=true", f"output={tmp_path}")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: transmission=true: ")


@pytest.mark.usefixtures("optax_promotion")
def test_a_place_of_division_may_lie_beyond_the_box_of_a_network(tmp_path):
    finished = call("evolve", *WAVE, "divide=6", f"output={tmp_path}", "figures=none")
    assert finished.returncode == 0, finished.stderr
    content, _ = files.read(_folder(tmp_path))
    assert content["walls"][1] < 6 == content["divide"]
    assert content["series"]["right"][-1] == 0


@pytest.mark.usefixtures("optax_promotion")
def test_a_training_that_is_not_finite_is_told_and_drawn(tmp_path):
    words = ["loss.unit=1e-30", "precision=float32", f"output={tmp_path}", "figures=essential", "figures.format=png"]
    finished = call("evolve", *WAVE, *words, "figures.dpi=40")
    assert finished.returncode == _cli.NON_FINITE
    assert "then it was not finite" in finished.stdout
    folder = _folder(tmp_path)
    assert (folder / "report.html").is_file()
    assert call("plot", str(folder), "figures=essential", "figures.format=png").returncode == 0


def test_another_packet_in_the_same_file_is_another_sweep(tmp_path):
    path, x = tmp_path / "psi.csv", np.linspace(-4, 4, 201)
    words = [*WAVE, "packet=sampled", f"packet.file={path}", "sweep.seeds=1", "sweep.devices=1", "figures=none"]
    folders = []
    for center in (0.0, 0.5):
        rows = "".join(f"{a:.6f},{b:.9f}\n" for a, b in zip(x, np.exp(-((x - center) ** 2)), strict=True))
        path.write_text(f"x,re\n{rows}")
        finished = script("sweep", *words, f"output={tmp_path / 'out'}")
        assert finished.returncode == 0, finished.stderr
        assert "finished before" not in finished.stdout
        folders.append(len(list((tmp_path / "out").iterdir())))
    assert folders == [1, 2]
