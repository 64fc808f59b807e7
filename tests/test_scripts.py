"""The scripts end to end: what a user types, and what comes out."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from tests_support import ROOT, call, script, start, train

from qpinn.physics.potentials import BUILDERS

FILES = {
    "config.yaml", "history.csv", "results.json", "wavefunction.npz", "parameters.npz", "parameters.json",
    "potential.json", "report.html", "train.log", "status.json",
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
    assert {path.name for path in folder.iterdir()} == FILES | figures | {"saves"}
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
    last = {key: float(value or 0) for key, value in rows[-1].items()}
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

    from qpinn.training.optimizers import OPTIMIZERS

    potential, settings = _cli.read(OmegaConf.load(folder / "config.yaml"))
    results = json.loads((folder / "results.json").read_text())
    assert potential.height == results["potential"]["height"]
    assert settings.optimizer.steps is None
    assert OPTIMIZERS[settings.optimizer.name].steps == results["steps"]


def test_figures_come_back_the_same_from_the_files_alone(run):
    folder, _ = run
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".svg")}
    for name in before:
        (folder / name).unlink()
    finished = script("plot", folder)
    assert finished.returncode == 0, finished.stderr
    assert {path.name for path in folder.iterdir()} == FILES | {"saves"} | set(before)
    for name, content in before.items():
        assert (folder / name).read_bytes() == content, name


def test_a_multirun_and_its_comparison(tmp_path):
    """Its jobs have numbers, whatever is written on the command line, and say what they are."""
    formulas = ["10*(x**2 - 1)**2 + 0.3*x", f"x**2 + 0.{'0' * 250}*sin(x)/(1 + x**2)"]  # longer than a file name
    swept = ",".join(f"'{formula}'" for formula in formulas)
    finished = train("-m", "potential=expression", f"potential.formula={swept}", f"output={tmp_path / 'a b'}", *QUICK)
    (folder,) = (tmp_path / "a b").iterdir()
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"0", "1"}
    assert finished.stdout.count("this network") == 2
    assert finished.stdout.index("job 1 of 2, in folder 0: ") < finished.stdout.index("job 2 of 2, in folder 1: ")
    ending = finished.stdout[finished.stdout.index(f"2 of 2 jobs finished in {folder}") :].splitlines()
    assert [ending[2].split()[k] for k in (0, 1, -1)] == ["folder", "potential.formula", "status"]
    assert sum("right state" in line and line.endswith("  finished") for line in ending) == 2
    for number, formula in enumerate(formulas):
        words = (folder / str(number) / "overrides.txt").read_text().splitlines()
        assert f"potential.formula='{formula}'" in words
        assert set(QUICK) <= set(words)
        assert json.loads((folder / str(number) / "results.json").read_text())["potential"]["formula"] == formula
    compared = call("compare", folder)
    assert compared.returncode == 0, compared.stderr
    lines = compared.stdout.splitlines()
    assert lines[0].split()[0] == "potential.formula"
    assert sum("right state" in line for line in lines) == 2
    assert sum("spectral elements" in line for line in lines) == 2
    drawn = call("plot", folder)
    assert drawn.returncode == 0, drawn.stderr
    assert str(folder / "1" / "energy.png") in drawn.stdout


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
        (["potential.domain=[1,0]"], "potential.domain=[1,0]: the left wall must be smaller"),
        (["potential=finite_well", "potential.width=20"], "potential.width=20: the well must be narrower than the box"),
        (["potential.center=0.95"], "potential.center=0.95: the barrier on (0.85, 1.05) must lie inside the box"),
        (["network.activation=tnah"], "network.activation=tnah: unknown; did you mean tanh?"),
        (["network.activation=relu"], "network.activation=relu: its second derivative is zero"),
        (["precision=float128"], "precision=float128: unknown; did you mean float32?"),
        (["seed=0,1"], "seed=0,1: several values need -m"),
        (["-m", "seed=0,x"], "seed=x: must be a whole number"),
        (["potential.height=1e400"], "potential.height=1e400: must be finite"),
        (["potential.domain=None"], "potential.domain=None: must be two numbers"),
        (["potential.domain=[0,inf]"], "potential.domain=[0,inf]: must be finite"),
        (
            ["experiment=paper/finite_well", "potential=barrier"],
            "potential=barrier: experiment=paper/finite_well is of "
            "potential=finite_well; allowed with potential=barrier: experiment=paper/barrier, paper/method",
        ),
        (["experiment=variational/envelope_barrier", "potential=morse"], "is of potential=barrier; allowed with"),
        (["debug=3"], "debug=3: must be true or false"),
        (["-m", "potential=barrier,bx"], "potential=bx: unknown"),
        (
            ["potential.name=delta"],
            "potential.name=delta: a potential is chosen with its numbers; allowed: potential=<name>",
        ),
        (["seed=1", "seed=2"], "seed=2: is given twice"),
        (
            ["potential=expression", "potential.formula=${nothing}*x"],
            "potential.formula=${nothing}*x: Interpolation key",
        ),
        (["network.init=xavier"], "network.init=xavier: unknown; did you mean glorot? allowed: "),
        (["optimizer=lm"], "optimizer=lm: unknown; did you mean levenberg_marquardt?"),
        (["--foo"], "--foo: unknown option; allowed: -h, --help"),
        (["-m", "--fooo=1", "seed=1,2"], "--fooo=1: unknown option"),
        (["network.width=12.5"], "network.width=12.5: must be a whole number"),
        (["potential=sampled", "potential.file=/dev/zero"], "potential.file=/dev/zero: is no file"),
        (["potential=layers", "units=semiconductor", "potential.file=/"], "potential.file=/: is no file"),
        (["potential={"], "potential={: cannot be read"),
        (["hydra.sweep.dir=here"], "hydra.sweep.dir=here: has no effect on a single run; allowed: hydra.run.dir"),
        (["-m", "seed=1,2", "hydra.run.dir=here"], "hydra.run.dir=here: has no effect on a multirun; allowed"),
    ],
)
def test_bad_input_is_one_line_status_2_and_no_folder(tmp_path, words, message):
    output = tmp_path / "out"
    finished = call("train", *words, f"output={output}")
    assert finished.returncode == 2
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not output.exists()


@pytest.mark.parametrize(("name", "device"), [("train", "cuda"), ("sweep", "nonsense")])
def test_a_device_that_is_not_there_is_one_line(tmp_path, monkeypatch, name, device):
    monkeypatch.setenv("JAX_PLATFORMS", device)
    finished = script(name, f"output={tmp_path / 'out'}")
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"error: JAX_PLATFORMS={device}: no such device on this machine")
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [[], ["-m", "seed=1,2"]])
def test_an_output_that_cannot_be_written_is_refused(tmp_path, words):
    (tmp_path / "file").write_text("")
    finished = call("train", *words, f"output={tmp_path / 'file' / 'sub'}")
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


@pytest.mark.usefixtures("optax_promotion")
def test_a_loss_that_diverges_is_said_with_status_3(tmp_path):
    words = ["experiment=paper/barrier", "network.width=4", "optimizer.steps=100", "optimizer.learning_rate=1e6"]
    finished = call("train", *words, f"output={tmp_path}")
    assert finished.returncode == 3
    assert finished.stderr == "error: level 0 has diverged. Try a smaller optimizer.learning_rate, " \
        "precision=float64, or start=ritz\n"  # fmt: skip
    assert "diverged: " in finished.stdout
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "results.json").read_text())["states"][0]["outcome"] == "diverged"


@pytest.mark.parametrize("name", ["plot", "compare"])
def test_what_is_not_a_run_is_named(tmp_path, name):
    for arguments, message in (([tmp_path], "holds no finished run"), ([], "python scripts")):
        finished = call(name, *arguments)
        assert finished.returncode == 2
        assert message in finished.stdout + finished.stderr
        assert "Traceback" not in finished.stderr
    (tmp_path / "results.json").write_text("{}")
    finished = call(name, tmp_path)
    assert finished.returncode == 2
    assert "results.json" in finished.stderr


@pytest.mark.parametrize("name", ["compare", "status"])
def test_where_nobody_reads_on_nothing_is_said(run, name):
    """As behind `head`, which has its lines and goes."""
    folder, _ = run
    unread, written = os.pipe()
    os.close(unread)
    command = [sys.executable, ROOT / "scripts" / f"{name}.py", folder]
    finished = subprocess.run(command, stdout=written, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(written)
    assert (finished.returncode, finished.stderr) == (141, "")


@pytest.mark.parametrize("name", ["bands", "vary"])
def test_what_has_no_multirun_says_so(name, tmp_path):
    finished = call(name, "-m", "potential=kronig_penney", "seed=1,2", f"output={tmp_path}")
    assert finished.returncode == 2
    assert finished.stderr == "error: -m: has no effect here; allowed for train.py and sweep.py, leave it out\n"


def test_the_points_of_a_variation_are_counted(tmp_path):
    words = ["potential=infinite_well", "vary=potential.domain[1]", "range=[1,2]", "points=3", "figures=none"]
    assert call("vary", *words, f"output={tmp_path}").returncode == 0
    assert "3 of 3 points" in call("status", tmp_path).stdout


def test_a_damaged_wavefunction_is_named(run, tmp_path):
    folder, _ = run
    for name in FILES:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "wavefunction.npz").write_bytes(b"PK")
    finished = call("plot", tmp_path)
    assert finished.returncode == 2
    assert "wavefunction.npz" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_two_runs_at_once_share_neither_a_folder_nor_half_of_a_programme(tmp_path, monkeypatch):
    """On an empty cache, with nothing to say about it, and whatever this desktop wants of matplotlib."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MPLBACKEND", "foo")
    both = [start("train", f"output={tmp_path / 'out'}", *QUICK) for _ in range(2)]
    ended = [process.communicate(timeout=120) for process in both]
    assert [errors for _, errors in ended] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert len(list(tmp_path.glob("out/*/energy.png"))) == 2


@pytest.mark.parametrize("name", ["a b", "a=b", "a,b", "it's", "[a]", "${a}"])
def test_a_path_may_have_any_name(tmp_path, name):
    """Up to the file: there Hydra has nothing more to say. What is in ${ } is the only thing that it still reads."""
    place = tmp_path / name
    refused = call("train", "potential=sampled", f"potential.file={place}", f"output={tmp_path / 'out'}")
    wanted = "Interpolation key 'a' not found" if name == "${a}" else "cannot be read (No such file or directory)"
    assert refused.stderr == f"error: potential.file={place}: {wanted}\n"


def test_debug_shows_the_traceback_above_the_line(tmp_path):
    refused = call("train", "seed=x", "debug=true", f"output={tmp_path / 'out'}")
    assert refused.returncode == 2
    assert refused.stderr.startswith("Traceback")
    assert refused.stderr.splitlines()[-1] == "error: seed=x: must be a whole number"


@pytest.mark.usefixtures("optax_promotion")
def test_the_method_of_the_paper_takes_any_potential(tmp_path):
    run = call("train", "experiment=paper/method", "potential=morse", *QUICK, f"output={tmp_path}")
    assert run.returncode == 0, run.stderr
    assert "envelope ansatz, random start, Adam" in run.stdout


@pytest.mark.parametrize("name", ["train", "sweep", "bands", "vary"])
def test_help_shows_every_group_and_every_key_with_its_meaning(name):
    finished = call(name, "--help")
    assert finished.returncode == 0
    for word in ("potential", "network", "ansatz", "energy", "optimizer", "start", "sampling", "experiment",
                 "kronig_penney", "seed: 0", "residual: 1.0         #", "height: 50.0", "python scripts/"):  # fmt: skip
        assert word in finished.stdout
    assert max(map(len, finished.stdout.splitlines())) < 260
    keys = re.findall(r"^  (\w+):", finished.stdout, re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert call(name, "--version").stdout.startswith("qpinn ")


@pytest.mark.parametrize("name", ["train", "sweep", "bands"])
def test_the_list_has_every_potential_with_its_formula_and_its_numbers(name):
    finished = call(name, "--list")
    assert finished.returncode == 0
    lines = finished.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    for potential in BUILDERS:
        (first,) = (k for k, line in enumerate(lines) if line.split()[:1] == [potential])
        block = [lines[first]]
        while lines[first + len(block)].startswith("   "):
            block.append(lines[first + len(block)])
        numbers = " ".join(line[62:].strip() for line in block)
        values = yaml.safe_load((ROOT / "configs" / "potential" / f"{potential}.yaml").read_text())
        assert all(f"{key}=" in numbers for key in values if key != "name")
    assert any("V = depth (1 - exp(-a (x - center)))^2" in line for line in lines)
    assert any(line.startswith("  paper/barrier ") for line in lines)
