"""The scripts end to end, as processes: what a user types, and what comes out."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tests_support import ROOT, script, train

FILES = {
    "config.yaml", "history.csv", "results.json", "wavefunction.npz", "parameters.npz", "parameters.json", "train.log",
}  # fmt: skip
FIGURES = {"wavefunction", "density", "residual", "energy", "loss"}
QUICK = ["optimizer.steps=20", "network.width=4", "network.depth=1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished default run: its folder and its terminal output."""
    output = tmp_path_factory.mktemp("run")
    finished = train("potential=barrier", f"output={output}")
    (folder,) = output.iterdir()
    return folder, finished


def test_a_run_folder_is_complete(run):
    folder, _ = run
    figures = {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == FILES | figures
    results = json.loads((folder / "results.json").read_text())
    assert results["potential"] == {
        "name": "barrier", "left": 0.0, "right": 1.0, "center": 0.5, "width": 0.2, "height": 50.0
    }  # fmt: skip
    assert results["route"]["projected_start"] is True
    (state,) = results["states"]
    wanted = "index energy energy_start energy_rayleigh energy_reference relative_error_energy relative_l2_psi norm"
    assert {*wanted.split(), "node_count", "loss"} <= set(state)
    assert set(results["seconds"]) >= {"import", "compile", "train", "reference", "figures", "total"}
    spent = dict(results["seconds"])
    assert {"planning", "measure", "classical", "write"} <= set(spent)
    assert all(value >= 0 for value in spent.values())
    total = spent.pop("total")
    assert abs(sum(spent.values()) - total) <= 0.05 * total
    assert {"steps", "parameters", "versions", "device", "seed", "git"} <= set(results)
    assert [row["method"] for row in results["comparison"]] == [
        "finite differences, 200 points", "finite differences, 2000 points", "spectral elements"
    ]  # fmt: skip


def test_the_files_agree_with_each_other(run):
    folder, _ = run
    results = json.loads((folder / "results.json").read_text())
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert len(rows) == results["steps"]
    last = {key: float(value) for key, value in rows[-1].items()}
    np.testing.assert_allclose(last["total"], results["states"][0]["loss"], rtol=1e-12)
    np.testing.assert_allclose(last["energy"], results["states"][0]["energy"], rtol=1e-10)
    np.testing.assert_allclose(last["pde"] + last["norm"], last["total"], rtol=1e-12)
    with np.load(folder / "wavefunction.npz") as arrays:
        x, (psi,), (exact,), v = (arrays[name] for name in ("x", "psi", "psi_reference", "v"))
    assert (np.diff(x) > 0).all()
    np.testing.assert_array_equal(v, np.where(abs(x - 0.5) < 0.1, 50.0, 0.0))
    np.testing.assert_allclose(
        np.sqrt(np.trapezoid((psi - exact) ** 2, x)), results["states"][0]["relative_l2_psi"], 0.1
    )


def test_the_terminal_shows_the_problem_the_table_and_the_folder(run):
    folder, finished = run
    text = finished.stdout
    for part in ("-psi'' + V psi = E psi", "this network", "finite differences", "spectral elements", str(folder)):
        assert part in text
    assert "classical solvers win" in text
    assert finished.stderr == ""  # no progress bar where there is no terminal
    assert "this network" in (folder / "train.log").read_text()


def test_the_config_of_a_run_is_the_run(run, tmp_path):
    folder, _ = run
    import _cli
    from omegaconf import OmegaConf

    potential, settings = _cli.read(OmegaConf.load(folder / "config.yaml"))
    results = json.loads((folder / "results.json").read_text())
    assert potential.height == results["potential"]["height"]
    assert settings.optimizer.steps == results["steps"]


def test_figures_come_back_the_same_from_the_files_alone(run):
    folder, _ = run
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".svg")}
    for name in before:
        (folder / name).unlink()
    finished = script("plot", folder)
    assert finished.returncode == 0, finished.stderr
    assert {path.name for path in folder.iterdir()} == FILES | set(before)
    for name, content in before.items():
        assert (folder / name).read_bytes() == content, name


def test_a_multirun_and_its_comparison(tmp_path):
    finished = train("-m", "potential=infinite_well,finite_well", "seed=0,1", f"output={tmp_path}", *QUICK)
    (folder,) = tmp_path.iterdir()
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    assert len(names) == 4
    assert any("potential=finite_well" in name and "seed=1" in name for name in names)
    assert finished.stdout.count("this network") == 4
    compared = script("compare", folder)
    assert compared.returncode == 0, compared.stderr
    lines = compared.stdout.splitlines()
    assert lines[0].split()[:2] == ["potential", "seed"]
    assert sum("right state" in line for line in lines) == 4
    assert sum("spectral elements" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["potential=barier"], "potential=barier: unknown; did you mean barrier?"),
        (["potental=barrier"], "potental=barrier: unknown key; did you mean potential?"),
        (["network.widht=3"], "network.widht=3: unknown key; did you mean network.width?"),
        (["network.depth=1.5"], "network.depth=1.5: must be a whole number"),
        (["network.width=-3"], "network.width=-3: must be a whole number from 1 to 4096"),
        (["potential.height=nan"], "potential.height=nan: must be finite"),
        (["potential.height=inf"], "potential.height=inf: must be finite"),
        (["potential.height=1e-400"], "potential.height=1e-400: too small"),
        (["potential.domain=[1,0]"], "potential.domain=[1, 0]: the left wall must be smaller"),
        (["potential=finite_well", "potential.width=20"], "potential.width=20: the well must be narrower than the box"),
        (["potential.center=0.95"], "potential.center=0.95: the barrier on (0.85, 1.05) must lie inside the box"),
        (["network.activation=tnah"], "network.activation=tnah: unknown; did you mean tanh?"),
        (["network.activation=relu"], "network.activation=relu: its second derivative is zero"),
        (["precision=float128"], "precision=float128: unknown; did you mean float32?"),
        (["seed=0,1"], "seed=0,1: several values need -m"),
        (["-m", "seed=0,x"], "seed='x': must be a whole number"),
        (["-m", "potential=barrier,bx"], "potential=bx: unknown"),
        (["potential={"], "potential={: cannot be read"),
    ],
)
def test_bad_input_is_one_line_status_2_and_no_folder(tmp_path, words, message):
    output = tmp_path / "out"
    finished = script("train", *words, f"output={output}")
    assert finished.returncode == 2
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert "Traceback" not in finished.stderr
    assert not output.exists()


@pytest.mark.parametrize("words", [[], ["-m", "seed=1,2"]])
def test_an_output_that_cannot_be_written_is_refused(tmp_path, words):
    (tmp_path / "file").write_text("")
    finished = script("train", *words, f"output={tmp_path / 'file' / 'sub'}")
    assert finished.returncode == 2
    assert f"output={tmp_path / 'file' / 'sub'}: cannot be written" in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1


def test_a_nan_stops_at_the_last_good_state_with_status_3(tmp_path):
    finished = script(
        "train", "experiment=paper/barrier", "precision=float32", "optimizer.learning_rate=1e12", f"output={tmp_path}",
        *QUICK,
    )  # fmt: skip
    assert finished.returncode == 3
    assert "not finite at step" in finished.stderr
    assert "optimizer.learning_rate" in finished.stderr
    assert "Traceback" not in finished.stderr
    (folder,) = tmp_path.iterdir()
    results = json.loads((folder / "results.json").read_text())
    assert results["status"] == "non-finite"
    with np.load(folder / "parameters.npz") as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays)


def test_a_signal_ends_a_run_with_everything_saved(tmp_path):
    words = ["experiment=paper/barrier", "optimizer.steps=10000000", "optimizer.chunk=100", f"output={tmp_path}"]
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not any("step 300" in log.read_text() for log in tmp_path.glob("*/train.log")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by a signal after step" in errors
    (folder,) = tmp_path.iterdir()
    results = json.loads((folder / "results.json").read_text())
    assert results["status"] == "stopped"
    assert results["steps"] % 100 == 0
    assert (folder / "energy.png").exists()


@pytest.mark.parametrize("name", ["plot", "compare"])
def test_what_is_not_a_run_is_named(tmp_path, name):
    for arguments, message in (([tmp_path], "holds no finished run"), ([], "python scripts")):
        finished = script(name, *arguments)
        assert finished.returncode == 2
        assert message in finished.stdout + finished.stderr
        assert "Traceback" not in finished.stderr
    (tmp_path / "results.json").write_text("{}")
    finished = script(name, tmp_path)
    assert finished.returncode == 2
    assert "results.json" in finished.stderr


def test_a_damaged_wavefunction_is_named(run, tmp_path):
    folder, _ = run
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "wavefunction.npz").write_bytes(b"PK")
    finished = script("plot", tmp_path)
    assert finished.returncode == 2
    assert "wavefunction.npz" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_two_runs_at_once_do_not_share_a_folder(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), f"output={tmp_path}", *QUICK]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    for process in both:
        process.stderr.close()
    assert len(list(tmp_path.glob("*/results.json"))) == 2


def test_help_shows_the_groups():
    finished = script("train", "--help")
    assert finished.returncode == 0
    for group in ("potential", "network", "ansatz", "energy", "optimizer", "start", "sampling", "experiment"):
        assert group in finished.stdout
