"""The sweep script end to end, as processes: several devices, several processes, kills, multiruns and launchers."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from tests_support import ROOT, call, script, start

QUICK = ["potential=barrier", "network.width=6", "optimizer.steps=8"]
FILES = {"config.yaml", "seeds.csv", "summary.json", "blocks"}


def _sweep(*words) -> subprocess.CompletedProcess[str]:
    finished = script("sweep", *words)
    assert finished.returncode == 0, finished.stderr + finished.stdout
    return finished


def _pair(port, *words, outputs) -> list[subprocess.Popen[str]]:
    """Two processes of one job, each with an output of its own: only the first one's is used."""
    job = [f"sweep.coordinator=127.0.0.1:{port}", "sweep.processes=2"]
    return [
        start("sweep", *words, *job, f"sweep.process={rank}", f"output={output}") for rank, output in enumerate(outputs)
    ]


@pytest.fixture
def port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def _rows(folder) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "seeds.csv").read_text().splitlines()))


def _column(folder, name) -> np.ndarray:
    return np.array([float(row[name]) for row in _rows(folder)])


def _only(output):
    (folder,) = output.iterdir()
    return folder


def _wait(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


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


def test_the_slurm_script_with_the_variables_of_slurm(one, tmp_path, port):
    """`srun` is played by a script that starts two tasks as SLURM does: what JAX reads of them is real."""
    folder, _ = one
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(
        '#!/usr/bin/env bash\n[ "$1" = --kill-on-bad-exit=1 ] && shift\n'
        'for i in 0 1; do SLURM_PROCID=$i SLURM_LOCALID=$i "$@" & pids="$pids $!"; done\n'
        "status=0; for pid in $pids; do wait $pid || status=$?; done; exit $status\n"
    )
    srun.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{srun.parent}:{os.environ['PATH']}", "PYTHON": sys.executable,
        "SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2",
    }  # fmt: skip
    words = [*QUICK, "sweep.seeds=7", f"output={tmp_path / 'out'}"]
    command = ["bash", str(ROOT / "scripts" / "jobs" / "slurm.sh"), *words]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("folder: ") == 1  # one of them speaks
    other = _only(tmp_path / "out")
    assert json.loads((other / "summary.json").read_text())["processes"] == 2
    np.testing.assert_array_equal(_column(other, "seed"), np.arange(7))
    np.testing.assert_allclose(_column(other, "energy"), _column(folder, "energy"), rtol=1e-11)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other_and_the_same_command_goes_on(tmp_path, port, victim):
    words = [*QUICK, "sweep.seeds=250", "sweep.patience=2"]
    pair = _pair(port, *words, outputs=[tmp_path / "first", tmp_path / "second"])
    _wait(lambda: list(tmp_path.glob("first/*/blocks/*.npz")), pair[0])
    pair[victim].kill()
    killed = time.monotonic()
    _, errors = pair[1 - victim].communicate(timeout=60)
    assert time.monotonic() - killed < 2 * 2 + 5  # patience, once to notice and once to leave
    pair[victim].communicate()
    assert pair[1 - victim].returncode != 0
    assert "another process of this job is gone" in errors or "another task died" in errors
    assert not (tmp_path / "second").exists()  # one of them writes
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("first/*/blocks/*.npz")}
    assert 0 < len(kept) < 125
    if victim == 0:  # who is killed makes no difference to what is there
        return
    _sweep(*words, f"output={tmp_path / 'first'}")  # on one process now
    folder = _only(tmp_path / "first")
    np.testing.assert_array_equal(_column(folder, "seed"), np.arange(250))
    assert all((folder / "blocks" / name).stat().st_mtime_ns == when for name, when in kept.items())


def test_a_stopped_sweep_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    words = [*QUICK, "sweep.seeds=150", "sweep.devices=1"]
    process = start("sweep", *words, f"output={tmp_path}")
    _wait(lambda: len(list(tmp_path.glob("*/blocks/*.npz"))) > 3, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "the same command goes on" in errors
    folder = _only(tmp_path)
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
    words = ["-m", *QUICK, "network.width=4,5", "sweep.seeds=3", "sweep.devices=1", f"hydra.sweep.dir={tmp_path}"]
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
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".svg")}
    for name in before:
        (folder / name).unlink()
    finished = call("plot", folder)
    assert finished.returncode == 0, finished.stderr
    for name, content in before.items():
        assert (folder / name).read_bytes() == content, name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep.seeds=0"], "sweep.seeds=0: must be a whole number from 1"),
        (["sweep.seeds=many"], "sweep.seeds='many': must be a whole number"),
        (["sweep.block=-1"], "sweep.block=-1: must be a whole number from 1"),
        (["sweep.seds=3"], "sweep.seds=3: unknown key; did you mean sweep.seeds?"),
        (["sweep.vary=energy.initial"], "sweep.vary=energy.initial: needs sweep.range"),
        (["sweep.vary=energy.inital", "sweep.range=[0,1]"], "sweep.vary=energy.inital: unknown; did you mean"),
        (["sweep.vary=energy.initial", "sweep.range=[0,1]"], "sweep.vary=energy.initial: has an effect only with"),
        (["sweep.range=[0,1,2]"], "must be two numbers"),
        (["sweep.processes=2"], "needs sweep.processes and sweep.process"),
        (["sweep.coordinator=here", "sweep.processes=2", "sweep.process=0"], "must be host:port or auto"),
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
