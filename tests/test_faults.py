"""What a cluster does to a process: it goes on, or ends with one clear line. Each done for real, to a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tests_support import ROOT, call, script, start, until

from qpinn.runs import status

QUICK = ["experiment=paper/barrier", "network.width=4", "network.depth=1", "optimizer.steps=300", "optimizer.chunk=100"]
LONG = [*QUICK[:3], "optimizer.steps=60000", "optimizer.chunk=300", "save_every=0.2"]


@pytest.mark.parametrize("home", ["/proc/nobody", "/etc/hostname", None], ids=["missing", "a file", "not given"])
def test_a_home_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, home):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    if home is None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    finished = script("train", *QUICK, f"output={tmp_path / 'out'}")
    assert finished.returncode == 0, finished.stderr
    reason = {"/proc/nobody": "No such file or directory", "/etc/hostname": "Not a directory"}.get(home)
    wanted = f"compiled programmes are not kept: {home}/.cache/qpinn/xla: {reason}\n" if reason else ""
    assert finished.stderr == wanted


@pytest.mark.parametrize("kib", [300_000, 1_500_000])
def test_too_little_memory_is_said_before(tmp_path, kib):
    """OpenBLAS would wait for ever for memory that it cannot have."""
    words = [sys.executable, "scripts/train.py", *QUICK, f"output={tmp_path / 'out'}"]
    limited = ["bash", "-c", f'ulimit -v {kib}; exec "$@"', "limited", *words]
    refused = subprocess.run(limited, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: ulimit -v {kib}: too little for JAX on this machine; must be at least ")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_block_that_does_not_fit_is_said_before(tmp_path):
    words = [sys.executable, "scripts/sweep.py", *QUICK[:1], "network.width=2000", "network.depth=4", "sweep.seeds=99",
             "sweep.block=99", "sweep.devices=1", f"output={tmp_path / 'out'}"]  # fmt: skip
    limited = ["bash", "-c", 'ulimit -v 4000000; exec "$@"', "limited", *words]
    refused = subprocess.run(limited, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert refused.returncode == 2
    assert "99 starts at once in " in refused.stderr
    assert refused.stderr.endswith("that there are; a smaller sweep.block, or fewer sweep.devices, need less\n")
    assert refused.stderr.count("\n") == 1


def test_a_folder_that_vanishes_is_one_line(tmp_path):
    out = tmp_path / "out"
    process = start("train", *LONG, f"output={out}")
    until(lambda: list(out.glob("*/saves/*.npz")), process)
    (folder,) = out.iterdir()
    while out.exists():  # it may be written to meanwhile
        shutil.rmtree(out, ignore_errors=True)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith(f"error: {folder}: No such file or directory; the run has stopped")
    assert errors.count("\n") == 1
    assert not out.exists()


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, monkeypatch):
    """An hour back while it runs, and again when the same command goes on: no other run, no negative seconds."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, time\nreal, begun = time.time, time.monotonic()\n"
        "time.time = lambda: real() - 3600 * (time.monotonic() - begun > 1) - float(os.environ['BACK'])\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("BACK", "0")
    out = tmp_path / "out"
    process = start("train", *LONG, f"output={out}")
    until(lambda: any('"seconds"' in path.read_text() for path in out.glob("*/status.json")), process)
    process.kill()
    process.communicate()
    monkeypatch.setenv("BACK", "7200")
    finished = script("train", *LONG, f"output={out}")
    assert finished.returncode == 0, finished.stderr
    assert "goes on after step" in finished.stdout
    (folder,) = out.iterdir()
    seconds = json.loads((folder / "results.json").read_text())["seconds"]
    assert min(seconds.values()) >= 0
    assert seconds["total"] == pytest.approx(sum(seconds.values()) - seconds["total"], rel=0.05)
    assert 0 < seconds["earlier"] < 60
    again = script("train", *QUICK, f"output={out}")  # another run; and that of before is not taken up again
    assert "goes on" not in again.stdout


FLOAT32 = [*QUICK, "precision=float32"]


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize(
    ("words", "ended", "steps", "message"),
    [
        (
            ["precision=float32", "potential.height=1e12", "loss.unit=1e-12"],
            "non-finite",
            0,
            "not finite at step 1 (level 0)",
        ),
        (["precision=float32", "optimizer.learning_rate=1e10"], "non-finite", 1, "not finite at step 2 (level 0)"),
        (["optimizer.learning_rate=1e6"], "finished", 300, "level 0 has diverged"),
    ],
    ids=["at once", "after a step", "diverges"],
)
def test_a_loss_that_is_not_finite_or_diverges_is_status_3(tmp_path, words, ended, steps, message):
    finished = call("train", *QUICK, *words, f"output={tmp_path}")
    assert finished.returncode == 3
    assert finished.stderr.startswith(f"error: {message}")
    assert finished.stderr.count("\n") == 1
    (folder,) = tmp_path.iterdir()
    facts = status.read(folder)
    assert (facts["status"], facts["step"], facts["exit"]) == (ended, steps, 3)
    with np.load(folder / "parameters.npz") as saved:
        assert all(np.isfinite(saved[name]).all() for name in saved.files)


def test_a_lane_that_is_not_finite_leaves_the_others_as_they_are(tmp_path):
    """A sweep of rates of which the last ones are too large, beside a sweep of the first one alone."""
    varied = [*FLOAT32, "sweep.devices=1", "sweep.vary=optimizer.learning_rate"]
    for name, rates, starts in (("four", "[1e-3,1e10]", 4), ("one", "[1e-3,1e-3]", 1)):
        swept = script("sweep", *varied, f"sweep.range={rates}", f"sweep.seeds={starts}", "sweep.block=4",
                       f"hydra.run.dir={tmp_path / name}")  # fmt: skip
        assert swept.returncode == 0, swept.stderr
    four, one = ((tmp_path / name / "seeds.csv").read_text().splitlines() for name in ("four", "one"))
    column = four[0].split(",").index("energy")
    assert four[1].split(",")[column] == one[1].split(",")[column]
    assert "non-finite" in four[4] or "not finite" in four[4] or "nan" in four[4]


def test_no_script_uses_the_network(tmp_path, monkeypatch):
    """Every socket that is connected or looked up ends the process."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, socket\n"
        "def refused(*_, **__): os.write(2, b'network'); os._exit(9)\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    for name, words in (("train", QUICK), ("sweep", [*QUICK, "sweep.seeds=2", "sweep.devices=1"])):
        finished = script(name, *words, f"output={tmp_path / 'out'}")
        assert finished.returncode == 0, finished.stderr
    assert script("plot", tmp_path / "out").returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_terminal_that_is_full_does_not_end_a_run_without_words(tmp_path):
    command = [sys.executable, "scripts/train.py", *QUICK, f"output={tmp_path / 'out'}"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
