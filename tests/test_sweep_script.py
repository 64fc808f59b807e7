"""The sweep script end to end, as processes: several devices, several processes, kills, multiruns and launchers."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from tests_support import ROOT, call, script, start, until

QUICK = ["potential=barrier", "network.width=6", "optimizer.steps=8"]
FILES = {"config.yaml", "seeds.csv", "summary.json", "blocks", "report.html"}


def _sweep(*words) -> subprocess.CompletedProcess[str]:
    finished = script("sweep", *words)
    assert finished.returncode == 0, finished.stderr + finished.stdout
    return finished


def _processes(count, *words) -> list[subprocess.Popen[str]]:
    """All processes of a sweep, at the same time."""
    return [start("sweep", *words, f"sweep.processes={count}", f"sweep.process={i}") for i in range(count)]


def _rows(folder) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "seeds.csv").read_text().splitlines()))


def _column(folder, name) -> np.ndarray:
    return np.array([float(row[name]) for row in _rows(folder)])


def _only(output):
    (folder,) = output.iterdir()
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Seven starts on one device: the sweep folder and the terminal output."""
    output = tmp_path_factory.mktemp("one")
    finished = _sweep(*QUICK, "sweep.seeds=7", "sweep.devices=1", f"output={output}")
    return _only(output), finished


def test_a_sweep_folder_is_complete(one):
    folder, finished = one
    figures = {f"{name}.{kind}" for name in ("energies", "fan", "loss_and_error") for kind in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == FILES | figures
    rows = _rows(folder)
    assert [int(row["seed"]) for row in rows] == list(range(7))
    assert {row["outcome"] for row in rows} == {"right state"}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["statistics"]["outcomes"]["right state"] == 7
    np.testing.assert_allclose(
        summary["statistics"]["relative_error_energy"]["median"], np.median(_column(folder, "relative_error_energy"))
    )
    assert f"folder: {folder}" in finished.stdout
    assert finished.stderr == ""


def test_four_devices_give_the_energies_of_one(one, tmp_path):
    folder, _ = one
    _sweep(*QUICK, "sweep.seeds=7", "sweep.devices=4", f"output={tmp_path}")  # seven starts in two blocks of four
    other = _only(tmp_path)
    assert json.loads((other / "summary.json").read_text())["devices"] == 4
    np.testing.assert_allclose(_column(other, "energy"), _column(folder, "energy"), rtol=1e-11)
    assert [row["outcome"] for row in _rows(other)] == [row["outcome"] for row in _rows(folder)]


def test_two_devices_give_the_functions_in_turn_of_one(tmp_path):
    words = [
        "potential=barrier",
        "network.width=4",
        "start=random",
        "optimizer.steps=4",
        "states=2",
    ]
    for devices in (1, 2):
        _sweep(*words, "sweep.seeds=4", f"sweep.devices={devices}", f"output={tmp_path / str(devices)}")
    one, two = (_only(tmp_path / str(devices)) for devices in (1, 2))
    np.testing.assert_allclose(_column(two, "energy"), _column(one, "energy"), rtol=1e-9)


def _without_seconds(folder) -> list[dict[str, str]]:
    return [{name: text for name, text in row.items() if not name.startswith("seconds")} for row in _rows(folder)]


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.long)])
def test_processes_side_by_side_give_the_table_of_one(one, tmp_path, count):
    ended = [
        process.communicate(timeout=240) for process in _processes(count, *QUICK, "sweep.seeds=7", f"output={tmp_path}")
    ]
    assert all(errors == "" for _, errors in ended)
    assert any("folder: " in out for out, _ in ended)  # whoever is last summarises
    assert all("folder: " in out or "finished before" in out or "starts are missing" in out for out, _ in ended)
    other = _only(tmp_path)
    assert _without_seconds(other) == _without_seconds(one[0])
    summary = json.loads((other / "summary.json").read_text())
    assert (summary["processes"], summary["sweep"]["process"]) == (count, None)
    assert {path.name for path in other.iterdir()} == {path.name for path in one[0].iterdir()}


@pytest.mark.parametrize("order", [(1, 0), pytest.param((2, 0, 1), marks=pytest.mark.long)])
def test_processes_one_after_the_other_give_the_table_of_one(one, tmp_path, order):
    words = [*QUICK, "sweep.seeds=7", f"sweep.processes={len(order)}", f"output={tmp_path}"]
    said = [_sweep(*words, f"sweep.process={process}").stdout for process in order]
    assert ["starts are missing" in out for out in said] == [True] * (len(order) - 1) + [False]
    share = len(range(order[0], 7, len(order)))
    assert f"{7 - share} of 7 starts are missing" in said[0]
    assert _without_seconds(_only(tmp_path)) == _without_seconds(one[0])


@pytest.mark.parametrize("again", [pytest.param(["sweep.processes=2", "sweep.process=0"], marks=pytest.mark.long), []])
def test_what_a_killed_process_leaves_is_trained_by_a_later_command(tmp_path, again):
    words = [*QUICK, "sweep.seeds=120", f"output={tmp_path}"]
    alive, killed = _processes(2, *words)
    until(lambda: list(tmp_path.glob("*/blocks/*[13579].npz")), killed)
    killed.kill()
    killed.communicate()
    out, errors = alive.communicate(timeout=120)
    assert (alive.returncode, errors) == (0, "")
    folder = _only(tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("blocks/*.npz")}
    assert 60 < len(kept) < 120
    assert f"\n{120 - len(kept)} of 120 starts are missing in {folder}: " in out
    assert not (folder / "summary.json").exists()
    _sweep(*words, *again)
    np.testing.assert_array_equal(_column(folder, "seed"), np.arange(120))
    assert all((folder / "blocks" / name).stat().st_mtime_ns == when for name, when in kept.items())


def test_of_two_sweeps_that_begin_in_one_folder_one_is_refused(tmp_path):
    words = ["potential=barrier", "optimizer.steps=8", "sweep.seeds=3", f"hydra.run.dir={tmp_path / 'here'}"]
    both = [
        start("sweep", *words, f"network.width={5 + i}", "sweep.processes=2", f"sweep.process={i}") for i in range(2)
    ]
    ended = [(process.communicate(timeout=240)[1], process.returncode) for process in both]
    assert sorted(status for _, status in ended) == [0, 2]
    (line,) = (errors for errors, status in ended if status == 2)
    assert line == f"error: {tmp_path / 'here'}: holds another sweep; choose another output or remove it\n"


@pytest.fixture
def slurm(tmp_path):
    """The environment of two tasks on a node with two GPUs.

    `srun` is played by a script that starts them as SLURM does, and `python` by one that says which GPU it sees.
    """
    (tmp_path / "bin").mkdir()
    for name, text in {
        "srun": 'while [[ "$1" = --* ]]; do shift; done\n'
        'for i in 0 1; do SLURM_PROCID=$i SLURM_LOCALID=$i "$@" & pids="$pids $!"; done\n'
        "status=0; for pid in $pids; do wait $pid || status=$?; done; exit $status\n",
        "python": f'echo "sees GPU $CUDA_VISIBLE_DEVICES"\nexec {sys.executable} "$@"\n',
    }.items():
        (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (tmp_path / "bin" / name).chmod(0o755)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]  # JAX makes one of the number of the job
    return {
        **os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHON": str(tmp_path / "bin" / "python"),
        "SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "CUDA_VISIBLE_DEVICES": "4,6",
    }  # fmt: skip


@pytest.mark.parametrize("processes", [[], pytest.param(["sweep.processes=distributed"], marks=pytest.mark.long)])
def test_the_slurm_script_with_the_variables_of_slurm(one, tmp_path, slurm, processes):
    words = [*QUICK, "sweep.seeds=7", f"output={tmp_path / 'out'}", *processes]
    command = ["bash", str(ROOT / "scripts" / "jobs" / "slurm.sh"), *words]
    finished = subprocess.run(command, env=slurm, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr
    assert {line for line in finished.stdout.splitlines() if "GPU" in line} == {"sees GPU 4", "sees GPU 6"}
    assert "process 0 of 2" in finished.stdout
    assert "process 1 of 2" in finished.stdout
    assert _without_seconds(_only(tmp_path / "out")) == _without_seconds(one[0])


def test_a_stopped_sweep_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    words = [*QUICK, "sweep.seeds=150", "sweep.devices=1"]
    process = start("sweep", *words, f"output={tmp_path}")
    until(lambda: len(list(tmp_path.glob("*/blocks/*.npz"))) > 3, process)
    folder = _only(tmp_path)
    assert " running " in call("status", folder).stdout
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "the same command goes on" in errors
    assert " unfinished " in call("status", folder).stdout
    assert not (folder / "summary.json").exists()
    assert len(list((folder / "blocks").glob("*.npz"))) < 150
    _sweep(*words, f"output={tmp_path}")
    np.testing.assert_array_equal(_column(folder, "seed"), np.arange(150))


def test_a_sweep_over_the_initial_energy_in_a_folder_of_choice(tmp_path):
    folder = tmp_path / "here"
    words = ["experiment=paper/finite_well", "network.width=6", "optimizer.steps=20", "sweep.seeds=6"]
    words += [f"hydra.run.dir={folder}", f"output={tmp_path / 'out'}"]
    finished = _sweep(*words, "sweep.vary=energy.initial", "sweep.range=[0,25]")
    assert _only(tmp_path) == folder
    np.testing.assert_allclose(_column(folder, "energy.initial"), np.linspace(0, 25, 6))
    np.testing.assert_allclose(_column(folder, "energy_start"), np.linspace(0, 25, 6))
    assert "energy.initial from 0 to 25" in finished.stdout
    assert (folder / "varied.png").exists()


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_multirun_by_a_launcher(tmp_path, launcher):
    words = [*QUICK, "network.init=lecun,glorot", "sweep.seeds=3", "sweep.devices=1"]
    first = _sweep("-m", *words, f"output={tmp_path}", f"hydra/launcher={launcher}")
    folder = _only(tmp_path)
    jobs = sorted(path.parent for path in folder.glob("*/summary.json"))
    assert [path.name for path in jobs] == ["0", "1"]
    for path, init in zip(jobs, ("lecun", "glorot"), strict=True):
        assert f"network.init={init}" in (path / "overrides.txt").read_text().splitlines()
    assert "2 of 2 jobs finished" in first.stdout
    assert (folder / "settings.png").exists()
    if launcher == "joblib":
        return
    written = {path: (path / "summary.json").stat().st_mtime_ns for path in jobs}
    again = _sweep("-m", *reversed(words), f"output={tmp_path}")  # the same command, in another order, in one process
    assert "2 of 2 jobs finished" in again.stdout
    assert again.stdout.count("finished before") == 2
    assert {path: (path / "summary.json").stat().st_mtime_ns for path in jobs} == written
    compared = call("compare", folder)
    assert compared.returncode == 0, compared.stderr
    for init in ("lecun", "glorot"):
        assert any(init in line.split() for line in compared.stdout.splitlines())


def test_a_failed_job_is_listed_and_the_others_stand(tmp_path):
    words = [
        "-m",
        QUICK[0],
        QUICK[2],
        "network.width=4,5",
        "sweep.seeds=3",
        "sweep.devices=1",
        f"hydra.sweep.dir={tmp_path}",
    ]
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "config.yaml").write_text("sweep: {seeds: 3}\n")  # another sweep's
    broken = script("sweep", *words)
    assert broken.returncode == 1
    assert "1 of 2 jobs finished" in broken.stdout
    (line,) = (line for line in broken.stderr.splitlines() if line.startswith("failed: 1 ("))
    assert "network.width=5" in line
    assert "Traceback" not in broken.stderr
    (tmp_path / "1" / "config.yaml").unlink()
    mended = _sweep(*words)
    assert "2 of 2 jobs finished" in mended.stdout


def test_plot_draws_the_same_figures_again(one, tmp_path):
    folder, _ = one
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".svg", ".html")}
    for name in before:
        (folder / name).unlink()
    finished = call("plot", folder)
    assert finished.returncode == 0, finished.stderr
    for name, content in before.items():
        assert (folder / name).read_bytes() == content, name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep.devices=999"], "sweep.devices=999: must be at most"),
        (["sweep.seeds=0"], "sweep.seeds=0: must be a whole number from 1"),
        (["sweep.seeds=many"], "sweep.seeds=many: must be a whole number"),
        (["sweep.block=-1"], "sweep.block=-1: must be a whole number from 1"),
        (["sweep.seds=3"], "sweep.seds=3: unknown key; did you mean sweep.seeds?"),
        (["sweep.vary=energy.initial"], "sweep.vary=energy.initial: needs sweep.range"),
        (["sweep.vary=energy.inital", "sweep.range=[0,1]"], "sweep.vary=energy.inital: unknown; did you mean"),
        (["sweep.vary=energy.initial", "sweep.range=[0,1]"], "sweep.vary=energy.initial: has an effect only with"),
        (["sweep.range=[0,1,2]"], "must be two numbers"),
        (["sweep.process=0"], "sweep.process=0: needs sweep.processes, a whole number from 1"),
        (["sweep.processes=2", "sweep.process=2"], "sweep.process=2: must be a whole number from 0 to 1"),
        (["sweep.processes=slum"], "sweep.processes=slum: must be a whole number from 1, or slurm or distributed"),
        (["network.width=4,5"], "several values need -m"),
        (["-m", "network.width=4,5", "hydra/launcher=slurm"], "hydra/launcher=slurm: unknown; allowed: basic"),
        (["seed=2147483647"], "seed=2147483710: must be a whole number from 0 to 2147483647"),
    ],
)
def test_bad_input_is_one_line_status_2_and_no_folder(tmp_path, words, message):
    output = tmp_path / "out"
    finished = call("sweep", *words, f"output={output}")
    assert finished.returncode == 2
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "sweep.processes=slurm: several processes share a folder, which must be given; allowed: output=<folder>"),
        (["output=out"], "sweep.processes=slurm: SLURM_PROCID= and SLURM_NTASKS= are no process of several; "
         "allowed: under srun"),
    ],
)  # fmt: skip
def test_processes_that_cannot_know_their_folder_or_number_are_refused(words, message):
    finished = script("sweep", *QUICK, "sweep.processes=slurm", *words)
    assert (finished.returncode, finished.stderr) == (2, f"error: {message}\n")
    assert not (ROOT / "out").exists()
