"""Files that were damaged, or come from a stranger: an answer or one line, whatever reads them."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from itertools import pairwise

import _cli
import _overrides
import numpy as np
import pytest
import sweep as sweep_script
from tests_support import call, script

import qpinn
from qpinn.runs import saves

QUICK = ["experiment=paper/barrier", "network.width=4", "network.depth=1", "optimizer.steps=20"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A finished run and a finished sweep."""
    place = tmp_path_factory.mktemp("whole")
    run, sweep = place / "run", place / "sweep"
    sweeping = ["sweep.seeds=3", "sweep.block=2", "sweep.devices=1"]
    for name, words in (("train", [f"hydra.run.dir={run}"]), ("sweep", [*sweeping, f"hydra.run.dir={sweep}"])):
        done = script(name, *QUICK, *words)
        assert done.returncode == 0, done.stderr
    return {"run": run, "sweep": sweep}


def _npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _pickled():
    stream = io.BytesIO()
    np.savez(stream, psi=np.array([{"a": 1}], object), allow_pickle=True)
    return stream.getvalue()


DAMAGES = {
    "empty": lambda data: b"", "half": lambda data: data[: len(data) // 2], "noise": lambda data: bytes(range(256)) * 4,
    "one byte": lambda data: data[: len(data) // 3] + bytes([data[len(data) // 3] ^ 8]) + data[len(data) // 3 + 1 :],
    "a list": lambda data: b"[]", "a number": lambda data: b"7",
    "other keys": lambda data: b'{"states": [], "a": null}',
    "deep": lambda data: b"[" * 100_000, "NaN": lambda data: b'{"status": NaN, "states": [{}]}',
    "other arrays": lambda data: _npz(x=np.zeros((2, 2)), psi=np.ones(3)), "pickled": lambda data: _pickled(),
    "a zip bomb's head": lambda data: b"PK\x03\x04" + b"\xff" * 60,
}  # fmt: skip
FILES = {
    "run": ["results.json", "config.yaml", "status.json", "wavefunction.npz", "history.csv", "saves/*.npz",
            "saves/*.json"],
    "sweep": ["summary.json", "config.yaml", "seeds.csv", "blocks/*.npz"],
}  # fmt: skip
READERS = {"run": ["plot", "compare", "status", "train"], "sweep": ["plot", "compare", "status", "sweep"]}


OFTEN = ("empty", "half", "deep", "other keys", "pickled", "a folder", "missing")
"""Damages that are tried each time; the rest takes another minute."""


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize(
    "damage",
    [
        name if name in OFTEN else pytest.param(name, marks=pytest.mark.long)
        for name in (*DAMAGES, "a folder", "missing")
    ],
)
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in FILES.items() for name in names])
def test_a_damaged_file_is_an_answer_or_one_line(folders, tmp_path, monkeypatch, kind, name, damage):
    """To everything that reads the folder; results that are there are left alone where they cannot be read."""
    monkeypatch.setattr(sweep_script, "prepare", lambda config: None)  # this process has its devices
    for reader in READERS[kind]:
        folder = tmp_path / reader
        shutil.copytree(folders[kind], folder)
        (path,) = sorted(folder.glob(name))[:1]
        data = path.read_bytes()
        path.unlink()
        if damage == "a folder":
            path.mkdir()
        elif damage != "missing":
            path.write_bytes(DAMAGES[damage](data))
        goes_on = {
            "train": [*QUICK, f"resume={folder}"],
            "sweep": [*QUICK, "sweep.seeds=3", "sweep.block=2", "sweep.devices=1", f"hydra.run.dir={folder}"],
        }
        ended = call(reader, *goes_on.get(reader, [folder]))
        assert ended.returncode in ((0, 1, 2) if damage == "a folder" else (0, 2)), (reader, ended.stderr)
        assert "this should not happen" not in ended.stderr
        warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
        assert len(ended.stderr.splitlines()) == len(warnings) + (ended.returncode != 0), (reader, ended.stderr)
        if ended.returncode:
            assert ended.stderr.splitlines()[-1].startswith("error: ")
    if kind == "run":
        reason = _reason(lambda: qpinn.load(tmp_path / "status"))
        assert reason is None or reason.startswith(str(tmp_path / "status"))


def _reason(attempt):
    """Why it is refused, None if it is not."""
    try:
        attempt()
    except ValueError as error:
        return str(error)
    return None


TABLES = {
    "empty": b"", "a header": b"x,V\n", "one row": b"x,V\n0,0\n",
    "noise": bytes(range(256)), "zeros": b"\0" * 1000,
    "a word": b"x,V\n0,0\n1,high\n", "a hole": b"x,V\n0,0\n1,\n2,0\n", "nan": b"x,V\n0,0\n1,nan\n",
    "inf": b"x,V\n0,0\n1,inf\n",
    "too large": b"x,V\n0,0\n1,1e300\n", "twice": b"x,V\n0,0\n0,1\n1,0\n", "thrice": b"x,V\n0,0\n1,1\n1,2\n1,3\n2,0\n",
    "other names": b"a,b\n0,0\n1,0\n", "three columns": b"0,0,0\n1,0,0\n", "one column": b"x\n0\n1\n",
    "short row": b"x,V\n0,0\n1\n",
    "two names of V": b"x,V,E\n0,0,0\n1,1,1\n", "an unknown unit": b"x (furlong),V\n0,0\n1,1\n",
    "long row": b"x,V\n0,0\n1,2,3\n", "a quote": b'x,V\n0,0\n1,"2\n', "a formula": b"x,V\n0,0\n1,__import__('os')\n",
    "html": b"<html><body>x,V</body></html>",
    "half of utf-16": "x,V\n0,0\n1,1\n".encode("utf-16")[:-1], "pickle": b"\x80\x04K\x07.",
    "a long line": b"x,V\n" + b"1" * 3_000_000 + b",0\n", "hex": b"x,V\n0,0\n0x10,0\n", "spaces": b"   \n\n  \n",
}  # fmt: skip


@pytest.mark.parametrize("potential", ["sampled", "layers"])
@pytest.mark.parametrize("table", TABLES)
def test_a_damaged_table_is_one_line_that_names_it(tmp_path, capsys, table, potential):
    path = tmp_path / "table.csv"
    data = TABLES[table]
    if potential == "layers":
        data = data.replace(b"x,V", b"thickness_nm,offset_eV,mass_me").replace(b",", b",0.1,", 1)
    path.write_bytes(data)
    words = [f"potential={potential}", f"potential.file={path}"]
    if potential == "layers":
        words.append("units=semiconductor")
    with pytest.raises(_cli.Failed) as refused:
        _overrides.check(words, multirun=False)
    assert refused.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: potential.file={path}: "), shown
    assert shown.count("\n") == 1
    assert len(shown) < 1000


ATTACKS = [
    "__import__('os').system('touch owned')", "().__class__.__bases__[0].__subclasses__()",
    "open('/etc/passwd').read()",
    "exec('1')", "eval('1')", "x.__class__", "[x for x in (1,)]", "lambda: 1", "f'{x}'", "'a'*9", "x if x else 1",
    "(y := 1)", "x[0]", "x and 1", "not x", "~x", "x @ x", "x // 1", "x % 2", "1j", "True", "None", "...", "x**x",
    "2**2**2**2**2**99",
    "9**9**9", "(" * 300 + "x" + ")" * 300, "-" * 400 + "x", "x+" * 240 + "x", "1e999", "globals()",
    "print(x)", "sin.__call__(x)", "sin(x, x)", "sin()", "sin(*[x])", "sin(x=1)", "where(x, 1, 2)", "import os", "x; x",
    "x\n+1", "\\x78", "ſin(x)", "ｘ", "1_0*x", "0o7*x", "b'x'", "await x", "yield", "x == 1", "x != 1", "0 < x < 1",
]  # fmt: skip


@pytest.mark.parametrize("text", ATTACKS)
def test_a_formula_is_numbers_or_is_refused(tmp_path, monkeypatch, text):
    """It reads, writes and runs nothing, and costs nothing."""
    monkeypatch.chdir(tmp_path)
    reason = _reason(lambda: qpinn.potentials.expression((0.5, 2.0), text))
    if reason is None:
        potential = qpinn.potentials.expression((0.5, 2.0), text)
        assert np.isfinite(potential(np.linspace(0.5, 2.0, 9))).all()
    else:
        assert reason.startswith("potential.")
        assert reason.count("\n") <= text.count("\n")
    assert not list(tmp_path.iterdir())


def test_a_config_of_a_stranger_runs_and_reads_nothing(folders, tmp_path, monkeypatch):
    """Names of classes, calls, interpolations of the environment and tags of Python in the config.yaml of a run."""
    monkeypatch.setenv("SECRET", "not to be seen")
    evil = [
        "!!python/object/apply:os.system ['touch owned']\n", "a: !!python/name:os.system\n",
        "potential: {_target_: os.system, command: touch owned}\n", "seed: ${oc.env:SECRET}\n",
        "potential: {name: sampled, file: /etc/passwd}\n", "a: &a [*a]\n", "&a {<<: *a}\n",
        "a: &a [x,x,x]\n" + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij")),
    ]  # fmt: skip
    for number, text in enumerate(evil):
        folder = tmp_path / str(number)
        shutil.copytree(folders["run"], folder)
        (folder / "config.yaml").write_text(text)
        refused = call("train", *QUICK, f"resume={folder}")
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: resume={folder}")
        assert refused.stderr.count("\n") == 1
        assert "not to be seen" not in refused.stderr
        assert "root:" not in refused.stderr
        assert len(refused.stderr) < 5000
        with pytest.raises(ValueError, match=str(folder)):
            qpinn.load(folder)
    assert not list(tmp_path.rglob("owned"))


def test_names_in_an_archive_lead_nowhere(folders, tmp_path):
    """An archive whose entries are called ../owned, or larger than they say, writes nothing and is refused."""
    folder = tmp_path / "run"
    shutil.copytree(folders["run"], folder)
    (newest,) = (folder / "saves").glob("*.npz")
    for path in (newest, folder / "parameters.npz"):
        about = json.loads(path.with_suffix(".json").read_text())
        for name in ("../../owned", "/tmp/owned", "0/carry/../../owned"):
            data = _npz(**{name: np.zeros(3)})
            path.write_bytes(data)
            arrays = {name: {"shape": [3], "dtype": "float64"}}
            said = {**about, "sha256": hashlib.sha256(data).hexdigest(), "arrays": arrays}
            path.with_suffix(".json").write_text(json.dumps(said))
            snapshots, damaged = saves.read(folder)
            assert snapshots == []
            assert len(damaged) == 1
            assert path == newest or _reason(lambda: qpinn.load(folder)).startswith(str(folder))
    assert not list(tmp_path.rglob("owned*"))


@pytest.mark.parametrize("name", ["parameters.npz", "parameters.json", "potential.json"])
def test_what_a_solution_is_loaded_from_is_read_without_trust(folders, tmp_path, name):
    """It is loaded, or refused in one line that names the folder."""
    folder = tmp_path / "run"
    shutil.copytree(folders["run"], folder)
    whole = (folder / name).read_bytes()
    for damage in DAMAGES.values():
        (folder / name).write_bytes(damage(whole))
        reason = _reason(lambda: qpinn.load(folder))
        assert reason is None or (reason.startswith(str(folder)) and "\n" not in reason)
    (folder / name).unlink()
    assert _reason(lambda: qpinn.load(folder)).startswith(str(folder / name))
    content = json.loads(whole) if name == "potential.json" else {}
    for key in content.get("fields", ()):  # what is no number there
        for value in (None, "a", [], [1.0], [[1.0]], {}, True, 1e400):
            (folder / name).write_text(json.dumps({**content, "fields": {**content["fields"], key: value}}))
            reason = _reason(lambda: qpinn.load(folder))
            assert reason is None or "\n" not in reason, (key, value)
