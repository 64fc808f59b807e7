"""SIGINT and SIGTERM end a script within two seconds, in every phase, with what there is saved."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tests_support import ROOT, start, until

LIMIT = 2.0
SLACK = 1.5
"""Seconds that a loaded machine may take on top, to start a process or to notice that one has ended."""
STATUS = {signal.SIGINT: (130, -2), signal.SIGTERM: (143, -15)}
"""As a script says it, and as a process that is ended from outside while it cannot."""
QUICK = ["network.width=4", "optimizer.steps=8"]


def _ends(process: subprocess.Popen[str], number: signal.Signals, times: int = 1) -> str:
    """Send a signal and see the process end in time. Returns its stderr."""
    sent = time.monotonic()
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.1)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - sent < LIMIT + SLACK
    assert process.returncode in STATUS[number]
    assert "Traceback" not in errors
    return errors


@pytest.mark.parametrize(
    ("delay", "number"),
    [*((delay, signal.SIGTERM) for delay in (0.3, 1.0, 2.0, 3.0, 4.0)), (0.3, signal.SIGINT), (2.0, signal.SIGINT)],
)
def test_a_run_ends_wherever_it_is(tmp_path, monkeypatch, delay, number):
    """Import, checks, reference, compiling, training, measuring, figures: whatever is there after so many seconds."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    process = start("train", "potential=morse", "states=6", "tol=1e-10", f"output={tmp_path / 'out'}")
    time.sleep(delay)
    assert "stopping" in _ends(process, number)
    for path in tmp_path.glob("out/*/results.json"):
        json.loads(path.read_text())  # if it is there it is whole


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_ends_inside_of_lapack(times):
    """SciPy holds the lock of the interpreter there, so that no Python code runs. A second signal ends it at once."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import _signals; _signals.watch('stopping')\n"
        "import numpy as np, scipy.linalg\nprint('begun', flush=True)\n"
        "scipy.linalg.eigh_tridiagonal(np.random.rand(30000), np.random.rand(29999))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)
    sent = time.monotonic()
    assert "stopping" in _ends(process, signal.SIGTERM, times)
    assert times == 1 or time.monotonic() - sent < 1


def test_what_was_trained_is_saved_by_a_run_that_cannot_end_in_order(tmp_path):
    """The main thread is asleep after training: a thread beside it writes what the last callback saw."""
    code = (
        f"import sys, time; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        "import _signals; _signals.watch('stopping')\n"
        "import pathlib, qpinn, _training; from qpinn.drivers.settings import Settings\n"
        "from qpinn.runs.saves import Saver\n"
        "saver = Saver(pathlib.Path(sys.argv[1]), 1000.0)\n"
        "keep = _training.Keep(pathlib.Path(sys.argv[1]), Settings().units.units, saver)\n"
        "qpinn.solve(qpinn.potentials.infinite_well(), callbacks=[saver, keep], network={'width': 4})\n"
        "print('begun', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    errors = _ends(process, signal.SIGTERM)
    assert f"stopped by a signal after step 15; parameters.npz and history.csv are in {tmp_path}" in errors
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 16
    with np.load(tmp_path / "parameters.npz") as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays)


def test_a_signal_ends_a_training_with_its_results(tmp_path):
    words = ["experiment=paper/barrier", "optimizer.steps=10000000", "optimizer.chunk=100", f"output={tmp_path}"]
    process = start("train", *words)
    until(lambda: any("step 300" in log.read_text() for log in tmp_path.glob("*/train.log")), process)
    errors = _ends(process, signal.SIGTERM)
    assert "stopped by a signal after step" in errors
    (folder,) = tmp_path.iterdir()
    with np.load(folder / "parameters.npz") as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays)
    rows = len((folder / "history.csv").read_text().splitlines()) - 1
    assert rows >= 300
    assert rows % 100 == 0
    if (folder / "results.json").exists():  # not where measuring takes too long
        results = json.loads((folder / "results.json").read_text())
        assert (results["status"], results["steps"]) == ("stopped", rows)


def test_a_stopped_multirun_begins_no_other_job(tmp_path):
    words = ["-m", "seed=1,2,3", "experiment=paper/barrier", "optimizer.steps=10000000", "optimizer.chunk=100"]
    process = start("train", *words, f"output={tmp_path}")
    until(lambda: any("step 200" in log.read_text() for log in tmp_path.glob("*/0/train.log")), process)
    _ends(process, signal.SIGINT)
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"0"}
    assert (folder / "0" / "parameters.npz").exists()


@pytest.mark.parametrize("delay", [0.3, 2.5])
def test_a_sweep_ends_wherever_it_is(tmp_path, delay):
    process = start("sweep", *QUICK, "sweep.seeds=3000", f"output={tmp_path}")
    time.sleep(delay)
    assert "the same command goes on" in _ends(process, signal.SIGTERM)


def test_a_worker_ends_when_what_started_it_is_gone(tmp_path):
    """As those of `hydra/launcher=joblib` do, in the middle of a job."""
    worker = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r}); import _signals, time, pathlib\n"
        "_signals.follow()\nwhile True: pathlib.Path(sys.argv[1]).write_text(str(time.time())); time.sleep(0.02)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}, sys.argv[1]])"
    alive = tmp_path / "alive"
    process = subprocess.Popen([sys.executable, "-c", parent, str(alive)])
    until(alive.exists, process)
    process.kill()
    process.wait()
    time.sleep(1)
    last = alive.read_text()
    time.sleep(0.5)
    assert alive.read_text() == last
