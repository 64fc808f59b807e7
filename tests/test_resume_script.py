"""Runs that were interrupted go on with the same command, as processes: what was computed before is not lost."""

from __future__ import annotations

import errno
import json
import random
import signal
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from tests_support import ROOT, call, script, start, train, until

from qpinn.runs import saves, status

QUICK = ["experiment=paper/barrier", "network.width=4", "optimizer.steps=20"]
LONG = ["experiment=paper/barrier", "network.width=8", "network.depth=1", "optimizer.steps=40000",
        "optimizer.chunk=300", "save_every=0.3"]  # fmt: skip
ENDLESS = ["optimizer.steps=1000000" if word.startswith("optimizer.steps=") else word for word in LONG]


def _only(output):
    (folder,) = (path.parent for path in output.glob("*/status.json"))
    return folder


def _run(*words) -> str:
    """A run in this process; its terminal output."""
    finished = call("train", *words)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def _same(one, other):
    """Parameters and history, but for the seconds."""
    with np.load(one / "parameters.npz") as a, np.load(other / "parameters.npz") as b:
        assert set(a.files) == set(b.files)
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    first, second = ((folder / "history.csv").read_text().splitlines() for folder in (one, other))
    assert [row.rpartition(",")[0] for row in first] == [row.rpartition(",")[0] for row in second]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that was not interrupted."""
    output = tmp_path_factory.mktemp("whole")
    train(*LONG, f"output={output}")
    return _only(output)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 10))])
def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(whole, tmp_path, seed):
    moments = random.Random(seed)
    for _ in range(3):
        process = start("train", *LONG, f"output={tmp_path}")
        with pytest.raises(subprocess.TimeoutExpired):  # or the run is too short for this
            process.communicate(timeout=moments.uniform(1.5, 3.5))
        process.kill()
        process.communicate()
    finished = train(*LONG, f"output={tmp_path}")
    folder = _only(tmp_path)
    assert status.read(folder)["status"] == "finished"
    assert "resume=never" in finished.stdout or not (folder / "saves" / "00000000.npz").exists()
    _same(whole, folder)


def test_a_run_that_a_signal_stopped_goes_on_with_the_same_command(whole, tmp_path):
    words = [*LONG[:-1], f"output={tmp_path}", "save_every=1000", "requeue=true"]
    process = start("train", *words)
    until(lambda: any("step 1500" in log.read_text() for log in tmp_path.glob("*/train.log")), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 75, errors
    folder = _only(tmp_path)
    assert status.read(folder)["status"] == "stopped"
    shown = train(*words).stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("goes on after step "))
    assert int(line.split()[4]) >= 1500
    assert _only(tmp_path) == folder
    _same(whole, folder)


@pytest.mark.usefixtures("optax_promotion")
def test_never_begins_anew_and_a_run_of_other_settings_is_not_taken(tmp_path):
    quick, folder = [*QUICK, f"output={tmp_path}"], tmp_path / "barrier-before"
    _run(*quick, f"hydra.run.dir={folder}")
    facts = json.loads((folder / "status.json").read_text())
    left = json.dumps({**facts, "status": "running"})  # as a killed one leaves it
    (folder / "status.json").write_text(left)
    _run(*quick, "seed=1")
    assert len(list(tmp_path.iterdir())) == 2
    assert status.read(folder)["status"] == "killed"
    assert "goes on after step 20" in _run(*quick)
    assert len(list(tmp_path.iterdir())) == 2
    (folder / "status.json").write_text(left)
    _run(*quick, "resume=never")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.usefixtures("optax_promotion")
def test_a_named_folder_is_this_run_or_is_refused(tmp_path):
    quick, folder = [*QUICK, "sampling=gauss_legendre", "optimizer.schedule=constant"], tmp_path / "here"
    longer = [word.replace("steps=20", "steps=40") for word in quick]
    _run(*quick, f"hydra.run.dir={folder}")
    assert "already finished" in _run(*quick, f"resume={folder}")
    for words, line in [
        (["network.width=5", "loss.unit=2"], f"resume={folder}: holds another run: loss.unit=1.0 there, 2 here; "
         "network.width=4 there, 5 here; allowed to differ: output, resume, save_every, requeue, debug, figures, "
         "optimizer.steps"),
        (["optimizer.steps=10"], f"optimizer.steps=10: must be at least 20, which the run in {folder} has taken"),
        ([f"resume={tmp_path}/nowhere"], f"resume={tmp_path}/nowhere: {tmp_path}/nowhere/config.yaml: cannot be "
         "read (No such file or directory); must be auto, never or the folder of a run"),
    ]:  # fmt: skip
        changed = {word.partition("=")[0]: word for word in [*quick, f"resume={folder}", *words]}
        refused = call("train", *changed.values())
        assert (refused.returncode, refused.stderr) == (2, f"error: {line}\n")
    assert "goes on after step 20" in _run(*longer, f"resume={folder}")
    _run(*longer, f"hydra.run.dir={tmp_path / 'straight'}")
    _same(tmp_path / "straight", folder)


def test_of_two_that_go_on_in_one_folder_one_is_refused(tmp_path):
    folder = tmp_path / "here"
    process = start("train", *ENDLESS, f"hydra.run.dir={folder}")
    until(lambda: (folder / "saves").is_dir(), process)
    refused = script("train", *ENDLESS, f"resume={folder}")
    assert refused.returncode == 2
    line = f"error: resume={folder}: another process works in this folder; wait for it, or choose another\n"
    assert refused.stderr == line
    assert status.read(folder)["status"] == "running"
    process.kill()
    process.communicate()
    assert status.read(folder)["status"] == "killed"
    assert json.loads((folder / "status.json").read_text())["status"] == "killed"


@pytest.mark.parametrize(
    "word", ["resume=null", "resume=", "save_every=0", "save_every=-1", "save_every=.nan", "save_every=x", "requeue=1"]
)
def test_what_cannot_be_done_is_one_line(tmp_path, word):
    refused = call("train", word, f"output={tmp_path / 'out'}")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {word.partition('=')[0]}=")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("optax_promotion")
def test_a_run_that_fails_says_so(tmp_path, monkeypatch):
    """The disk fills up while it trains."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saves, "write", full)
    failed = call("train", *QUICK, f"hydra.run.dir={tmp_path / 'run'}")
    assert failed.returncode == 1
    assert failed.stderr == f"error: {tmp_path / 'run'}: No space left on device; the run has stopped, and its last " \
        "save is as it was\n"  # fmt: skip
    facts = status.read(tmp_path / "run")
    assert (facts["status"], facts["reason"]) == ("failed", "OSError: [Errno 28] No space left on device")


def test_a_multirun_that_is_killed_goes_on_with_the_jobs_that_are_not_finished(tmp_path):
    quick = ["experiment=paper/barrier", "network.width=4", "optimizer.chunk=100", "save_every=0.2"]
    words = ["-m", "optimizer.steps=100,20000", *quick, f"output={tmp_path}"]
    process = start("train", *words)
    until(lambda: list(tmp_path.glob("*/1/saves/*.npz")), process)
    process.kill()
    process.communicate()
    (folder,) = tmp_path.iterdir()
    assert [status.read(folder / job)["status"] for job in "01"] == ["finished", "killed"]
    kept = (folder / "0" / "results.json").stat().st_mtime_ns
    shown = train(*words).stdout
    assert f"goes on in {folder}" in shown
    assert f"already finished: {folder / '0'}" in shown
    assert "goes on after step" in shown
    assert (folder / "0" / "results.json").stat().st_mtime_ns == kept
    assert [status.read(folder / job)["status"] for job in "01"] == ["finished"] * 2
    listed = call("status", folder)
    assert listed.stdout.splitlines()[-1].strip() == "2 finished"
    assert list(tmp_path.iterdir()) == [folder]


def test_processes_that_are_given_the_same_multirun_share_its_jobs(tmp_path):
    words = ["-m", "seed=0,1,2", "experiment=paper/barrier", "network.width=4", "optimizer.steps=500",
             f"hydra.sweep.dir={tmp_path / 'shared'}"]  # fmt: skip
    both = [start("train", *words) for _ in range(2)]
    shown = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], shown
    (folder,) = tmp_path.iterdir()
    assert [status.read(folder / job)["status"] for job in "012"] == ["finished"] * 3
    trained = [out.count("before training") for out, _ in shown]
    assert sum(trained) == 3
    late = train(*words).stdout
    assert late.count("already finished") == 3
    assert late.count("before training") == 0


@pytest.mark.parametrize("kib", [20, 100, pytest.param(180, marks=pytest.mark.long)])
def test_a_disk_that_is_full_is_one_line_and_the_same_command_goes_on(tmp_path, kib):
    """No file may be larger than so much: the save, then the arrays, then the figures are refused by the system."""
    folder = tmp_path / "run"
    words = [sys.executable, "scripts/train.py", "potential=barrier", f"hydra.run.dir={folder}"]
    limited = ["bash", "-c", f'ulimit -f {kib}; exec "$@"', "limited", *words]
    full = subprocess.run(limited, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert full.returncode == 1
    assert full.stderr == f"error: {folder}: File too large; the run has stopped, and its last save is as it was\n"
    assert status.read(folder)["status"] == "failed"
    assert not list(folder.rglob(".[!l]*"))  # no halves
    if kib > 60:
        json.loads((folder / "results.json").read_text())
    again = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert again.returncode == 0, again.stderr
    assert f"goes on after step {15 if kib > 80 else 0} in {folder}" in again.stdout
    assert {"loss.svg", "results.json", "wavefunction.npz"} <= {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("optax_promotion")
def test_a_file_that_has_changed_is_another_problem(tmp_path):
    """For runs and for sweeps: a run does not go on with it, and a sweep is not the one that is finished."""
    table, out = tmp_path / "v.csv", tmp_path / "out"
    table.write_text("x,V\n0,0\n0.5,1\n1,0\n")
    fast = ["ansatz=envelope", "start=random", "optimizer=adam", "network.width=4", "optimizer.steps=10",
            "potential=sampled", f"potential.file={table}"]  # fmt: skip
    _run(*fast, f"hydra.run.dir={tmp_path / 'run'}")
    for _ in range(2):
        swept = script("sweep", *fast, "sweep.seeds=2", "sweep.devices=1", f"output={out}")
        assert swept.returncode == 0, swept.stderr
    assert len(list(out.iterdir())) == 1
    table.write_text("x,V\n0,0\n0.5,2\n1,0\n")
    refused = call("train", *fast, f"resume={tmp_path / 'run'}")
    assert refused.returncode == 2
    assert refused.stderr == f"error: potential.file={table}: has changed since the run in {tmp_path / 'run'}\n"
    assert script("sweep", *fast, "sweep.seeds=2", "sweep.devices=1", f"output={out}").returncode == 0
    assert len(list(out.iterdir())) == 2


@pytest.mark.usefixtures("optax_promotion")
def test_saves_of_another_training_are_one_line(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    _run(*QUICK, f"hydra.run.dir={one}")
    _run(QUICK[0], "network.width=5", QUICK[2], f"hydra.run.dir={other}")
    for path in (other / "saves").iterdir():
        path.replace(one / "saves" / path.name)
    facts = json.loads((one / "status.json").read_text())
    (one / "status.json").write_text(json.dumps({**facts, "status": "running"}))
    refused = call("train", *QUICK, f"resume={one}")
    assert refused.returncode == 2
    assert refused.stderr == f"error: {one}: the save is of another training, or of another version of qpinn or JAX; " \
        "resume=never begins anew\n"  # fmt: skip


@pytest.mark.usefixtures("optax_promotion")
def test_a_longer_training_that_is_killed_at_once_does_not_mix_the_old_with_the_new(tmp_path):
    """Two functions in turn: the second began where the first one ended, which goes on; so it begins again."""
    words = ["ansatz=envelope", "start=random", "states=2", "network.width=4", "optimizer=adam", "optimizer.chunk=10"]
    folder = tmp_path / "run"
    _run(*words, "optimizer.steps=20", f"hydra.run.dir={folder}")
    assert len(saves.read(folder)[0]) == 2
    with mock.patch("qpinn.drivers.eigenstates.run", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        call("train", *words, "optimizer.steps=40", f"resume={folder}")
    assert [snapshot.done for snapshot in saves.read(folder)[0]] == [20]
    _run(*words, "optimizer.steps=40", f"resume={folder}")
    whole = tmp_path / "whole"
    _run(*words, "optimizer.steps=40", f"hydra.run.dir={whole}")
    _same(whole, folder)


@pytest.mark.usefixtures("optax_promotion")
def test_results_without_a_good_save_are_not_trained_over(tmp_path):
    folder = tmp_path / "run"
    _run(*QUICK, f"hydra.run.dir={folder}")
    for path in (folder / "saves").iterdir():
        path.unlink()
    longer = [word.replace("steps=20", "steps=40") for word in QUICK]
    refused = call("train", *longer, f"resume={folder}")
    assert refused.returncode == 2
    assert refused.stderr == f"error: resume={folder}: has results and no good save; resume=never begins anew\n"


@pytest.mark.usefixtures("optax_promotion")
def test_what_was_run_with_other_versions_is_named_and_not_gone_on_with(tmp_path):
    quick, folder = [*QUICK, f"output={tmp_path}"], tmp_path / "barrier-before"
    _run(*quick, f"hydra.run.dir={folder}")
    facts = json.loads((folder / "status.json").read_text())
    changed = {**facts, "status": "stopped", "versions": {**facts["versions"], "jax": "0.0.1"}}
    (folder / "status.json").write_text(json.dumps(changed))
    shown = _run(*quick)
    assert f"{folder} is unfinished, but of other versions or another commit; resume={folder} goes on with it" in shown
    assert len(list(tmp_path.iterdir())) == 2
    assert "goes on after step 20" in _run(*quick, f"resume={folder}")


@pytest.mark.usefixtures("optax_promotion")
def test_the_same_command_after_a_finished_run_is_a_new_one(tmp_path):
    """An older one that was stopped is not taken up again."""
    quick = [*QUICK, f"output={tmp_path}"]
    for name in ("barrier-1", "barrier-2"):
        _run(*quick, f"hydra.run.dir={tmp_path / name}")
    facts = json.loads((tmp_path / "barrier-1" / "status.json").read_text())
    (tmp_path / "barrier-1" / "status.json").write_text(json.dumps({**facts, "status": "stopped"}))
    _run(*quick)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.usefixtures("optax_promotion")
def test_a_new_folder_is_there_at_once_with_its_status(tmp_path):
    """An empty one is taken; one with something in it, or a file of that name, is not touched."""
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, made in (("empty", "empty"), ("full", "full-2"), ("file", "file-2"), ("deep/er", "deep/er")):
        assert f"folder: {tmp_path / made}\n" in _run(*QUICK, f"hydra.run.dir={tmp_path / name}")
        assert status.read(tmp_path / made)["status"] == "finished"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
    assert not list(tmp_path.rglob(".*"))
