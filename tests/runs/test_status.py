"""What a folder says it is, and who may work in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from qpinn.runs import status


def test_a_folder_says_what_it_is(tmp_path):
    assert status.read(tmp_path) is None
    claim = status.Claim(tmp_path)
    claim.write("running", config="abc", step=3)
    facts = status.read(tmp_path)
    assert (facts["status"], facts["config"], facts["step"]) == ("running", "abc", 3)
    claim.write("finished", step=5)
    claim.release()
    facts = status.read(tmp_path)
    assert (facts["status"], facts["config"], facts["step"]) == ("finished", "abc", 5)
    assert [path.name for path in tmp_path.iterdir()] == [status.NAME]


def test_a_folder_is_one_process_at_a_time(tmp_path):
    claim = status.Claim(tmp_path)
    with pytest.raises(ValueError, match="another process works in this folder"):
        status.Claim(tmp_path)
    claim.release()
    status.Claim(tmp_path).release()


def test_one_that_was_killed_is_marked_so_by_the_next_that_looks(tmp_path):
    code = "import sys, os, pathlib; from qpinn.runs import status\n" \
        "status.Claim(pathlib.Path(sys.argv[1])).write('running'); os.kill(os.getpid(), 9)"  # fmt: skip
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert json.loads((tmp_path / status.NAME).read_text())["status"] == "running"
    assert status.read(tmp_path)["status"] == "killed"
    assert json.loads((tmp_path / status.NAME).read_text())["status"] == "killed"


def test_many_that_look_do_not_disturb_the_one_that_works(tmp_path):
    """Readers take the lock for a moment where a run seems to be killed: none of them marks one that has ended."""
    stop = threading.Event()
    seen = set()

    def look():
        while not stop.is_set():
            seen.add((status.read(tmp_path) or {"status": None})["status"])

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        claim = status.Claim(tmp_path)
        claim.write("running")
        claim.write("finished")
        claim.release()
        assert status.read(tmp_path)["status"] == "finished"
    stop.set()
    for thread in threads:
        thread.join()
    assert "killed" not in seen


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"status": 3}', "\x00"])
def test_what_says_nothing_is_nothing(tmp_path, text):
    (tmp_path / status.NAME).write_text(text)
    assert status.read(tmp_path) is None


def test_drafts_of_dead_processes_are_swept_away_and_not_those_of_others(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left, kept = tmp_path / f".a.json.{int(dead.stdout)}.1", tmp_path / f".a.json.{os.getppid()}.1"
    for draft in (left, kept):
        draft.write_text("half of it")
    status.Claim(tmp_path).release()
    assert not left.exists()
    assert kept.exists()
