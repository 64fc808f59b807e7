"""A save survives the disk, and of several the newest good one is used."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qpinn.runs import saves
from qpinn.training.fit import Snapshot


def _snapshots(number):
    history = {"total": np.linspace(1, 0, 6).reshape(3, 2) + number, "seconds": np.ones((3, 2))}
    one = Snapshot([np.arange(6.0).reshape(2, 3) + number, np.asarray(number)], {"energy": np.ones(2)}, [history], 3)
    return [one, one._replace(start={}, chunks=[history, history], done=6)]


def _same(ours, others):
    assert len(ours) == len(others)
    for one, other in zip(ours, others, strict=True):
        for a, b in zip(one.carry, other.carry, strict=True):
            np.testing.assert_array_equal(a, b)
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert one.done == other.done
        assert set(one.start) == set(other.start)
        for name in one.chunks[0]:
            np.testing.assert_array_equal(
                np.concatenate([chunk[name] for chunk in one.chunks]),
                np.concatenate([chunk[name] for chunk in other.chunks]),
            )


@pytest.fixture
def folder(tmp_path):
    """Five saves, of which the last three are kept."""
    for number in range(5):
        saves.write(tmp_path, _snapshots(number), versions={"jax": "0"})
    return tmp_path


def test_a_round_trip_is_exact_and_the_last_few_are_kept(folder):
    names = [f"{number:08d}.{kind}" for number in (2, 3, 4) for kind in ("json", "npz")]
    assert sorted(path.name for path in (folder / "saves").iterdir()) == names
    found, damaged = saves.read(folder)
    assert damaged == []
    _same(found, _snapshots(4))
    about = json.loads((folder / "saves" / "00000004.json").read_text())
    assert about["versions"] == {"jax": "0"}
    assert about["arrays"]["0/carry/0"] == {"shape": [2, 3], "dtype": "float64"}


def _damages():
    for tenth in range(10):
        yield f"cut at {tenth} tenths", lambda data, tenth=tenth: data[: len(data) * tenth // 10]
    for place in np.random.default_rng(0).uniform(0, 1, 20):
        yield f"flipped at {place:.3f}", lambda data, place=place: _flipped(data, int(place * len(data)))


def _flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("kind", ["npz", "json"])
@pytest.mark.parametrize(
    ("name", "damage"), list(_damages()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_damaged_save_is_named_and_the_one_before_it_is_used(folder, name, damage, kind):
    path = folder / "saves" / f"00000004.{kind}"
    path.write_bytes(damage(path.read_bytes()))
    found, damaged = saves.read(folder)
    if not damaged:  # a byte of a description that says nothing of the arrays
        assert kind == "json"
        _same(found, _snapshots(4))
        return
    assert len(damaged) == 1
    assert str(folder / "saves" / "00000004.npz") in damaged[0]
    _same(found, _snapshots(3))


def test_what_is_in_place_of_a_save_is_passed_over(folder):
    for number in (3, 4):
        (folder / "saves" / f"{number:08d}.npz").unlink()
    (folder / "saves" / "00000004.npz").mkdir()
    (folder / "saves" / "00000003.npz").write_bytes(b"")
    (folder / "saves" / "notes.npz").write_text("somebody else's")
    found, damaged = saves.read(folder)
    _same(found, _snapshots(2))
    assert len(damaged) == 2
    saves.write(folder, _snapshots(7))
    _same(saves.read(folder)[0], _snapshots(7))


def test_no_save_is_no_error(tmp_path):
    assert saves.read(tmp_path) == ([], [])


def test_a_save_that_cannot_be_written_leaves_those_before_it(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = {path: path.read_bytes() for path in (folder / "saves").iterdir()}
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        saves.write(folder, _snapshots(5))
    assert {path: path.read_bytes() for path in (folder / "saves").iterdir()} == before
