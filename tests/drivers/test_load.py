"""A run that is read back is the solution that it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests_support import call

import qpinn

FAST = ["network.width=6", "optimizer.steps=8"]
CASES = {
    "several levels": ["potential=finite_well", "states=3", *FAST],
    "meshes": ["potential=barrier", "tol=1e-10", "ansatz.phase=2.5", "network.width=5", "optimizer.steps=6"],
    "shared": ["potential=infinite_well", "states=4", "network=shared", "network.width=8"],
    "formula in units": ["potential=expression", "potential.formula=0.2*x^2", "potential.domain=[-2,2]",
                         "units=semiconductor", *FAST],
    "paper": ["experiment=paper/barrier", "network.width=4", "optimizer.steps=20"],
}  # fmt: skip


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_solution_that_it_was(tmp_path, case):
    words = [word.replace("formula=0.2*x^2", "formula='0.2*x^2'") for word in CASES[case]]
    finished = call("train", *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert finished.returncode == 0, finished.stderr
    solution = qpinn.load(tmp_path / "run")
    states = json.loads((tmp_path / "run" / "results.json").read_text())["states"]
    assert [state["energy"] for state in states] == solution.energies.tolist()
    assert [state["lower"] for state in states] == [state.lower for state in solution.measured]
    with np.load(tmp_path / "run" / "wavefunction.npz") as stored:
        np.testing.assert_array_equal(stored["psi"], solution.samples.psi)
        x, psi = stored["x"], stored["psi"]
    found = np.atleast_2d(solution.psi(x))
    np.testing.assert_allclose(found, psi, atol=1e-9 * np.abs(psi).max())


@pytest.mark.usefixtures("optax_promotion")
def test_what_is_no_finished_run_is_named(tmp_path):
    with pytest.raises(ValueError, match="is not the folder of a run"):
        qpinn.load(tmp_path)
    folder = tmp_path / "run"
    assert call("train", *CASES["paper"], f"hydra.run.dir={folder}").returncode == 0
    for name in ("parameters.npz", "potential.json", "results.json", "history.csv"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=rf"{name}"):
            qpinn.load(folder)
        (folder / name).write_bytes(content)
    description = json.loads((folder / "potential.json").read_text())
    for wrong in ({"class": "Path"}, {"fields": {"left": "0"}}, {"fields": {}}, {"fields": [1]}):
        (folder / "potential.json").write_text(json.dumps({**description, **wrong}))
        with pytest.raises(ValueError, match=r"potential.json: is damaged"):
            qpinn.load(folder)
    (folder / "potential.json").write_text(json.dumps(description))
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text("- a list")
    with pytest.raises(ValueError, match=r"cannot be read \(it holds no keys\)"):
        qpinn.load(folder)
    (folder / "config.yaml").write_text(config)
    facts = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**facts, "status": "stopped"}))
    with pytest.raises(ValueError, match="the run is stopped; the command that began it goes on with it"):
        qpinn.load(folder)


X = np.linspace(-3, 3, 41)
QUICK = {"network": {"width": 5}, "optimizer": {"name": "levenberg_marquardt", "steps": 6}}
KEPT = {
    "single precision and a delta": (lambda: qpinn.potentials.delta(), {"precision": "float32"}),
    "masses": (lambda: qpinn.potentials.layers(thickness=[8, 4, 8], offset=[0.2, 0.0, 0.2], mass=[0.09, 0.07, 0.09]),
               {"units": "semiconductor"}),
    "a ring and one network": (lambda: qpinn.potentials.infinite_well(),
                               {"states": 3, "ends": "periodic", "network": {"shared": True, "width": 6}}),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_what_is_kept_is_the_same_again(tmp_path, case):
    potential, settings = KEPT[case]
    solution = qpinn.solve(potential(), **{**QUICK, **settings})
    assert solution.save(tmp_path / "kept") == tmp_path / "kept"
    loaded = qpinn.load(tmp_path / "kept")
    x = np.linspace(*solution.plan.potential.domain, 5)
    np.testing.assert_array_equal(loaded.energies, solution.energies)
    np.testing.assert_array_equal(loaded.bounds, solution.bounds)
    np.testing.assert_array_equal(loaded.psi(x), solution.psi(x))
    for name, column in solution.history.items():
        np.testing.assert_allclose(loaded.history[name], column, rtol=1e-15, err_msg=name)
    assert (loaded.given, loaded.settings) == (solution.given, solution.settings)
    assert loaded.stats.seconds == solution.stats.seconds


def test_a_kept_solution_is_a_run_to_the_scripts(tmp_path, solved):
    folder = solved.save(tmp_path / "kept")
    run = tmp_path / "run"
    finished = call("train", "potential=barrier", "optimizer.steps=2", "network.width=5", f"hydra.run.dir={run}")
    assert finished.returncode == 0
    only_in_runs = {"saves", "train.log"}
    assert {path.name for path in run.iterdir()} - {path.name for path in folder.iterdir()} == only_in_runs
    for name in ("compare", "plot", "status"):
        finished = call(name, folder)
        assert finished.returncode == 0, finished.stderr
    assert "finished" in finished.stdout
    with pytest.raises(ValueError, match="is not empty; a solution is saved into a folder of its own"):
        solved.save(folder)
    (tmp_path / "file").write_text("something")
    with pytest.raises(ValueError, match="is not empty"):
        solved.save(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "kept", "run"]  # and no drafts


def test_a_run_needs_no_file_outside_its_folder(tmp_path):
    table = tmp_path / "curve.csv"
    np.savetxt(table, np.stack([X, X**2], axis=1), delimiter=",", header="x,V")
    words = [f"potential.file={table}", "potential.interpolation=cubic", "network.width=5", "optimizer.steps=4"]
    assert call("train", "potential=sampled", *words, f"hydra.run.dir={tmp_path / 'run'}").returncode == 0
    before = qpinn.load(tmp_path / "run")
    table.write_text("x,V\n0,1\n1,0\n")
    (tmp_path / "run").rename(tmp_path / "moved")
    after = qpinn.load(tmp_path / "moved")
    table.unlink()
    again = qpinn.load(tmp_path / "moved")
    for solution in (after, again):
        np.testing.assert_array_equal(solution.bounds, before.bounds)
        np.testing.assert_array_equal(solution.psi(X), before.psi(X))


def test_a_function_is_given_again(tmp_path):
    def quartic(x):
        return x**4

    solution = qpinn.solve(quartic, domain=(-3, 3), **QUICK)
    folder = solution.save(tmp_path / "kept")
    with pytest.raises(
        ValueError, match=r"a Python function, which is in no file; qpinn.load\(folder, potential=...\)"
    ):
        qpinn.load(folder)
    with pytest.raises(ValueError, match="is another than that of the run"):
        qpinn.load(folder, potential=lambda x: x**4 + 1e-3)
    np.testing.assert_array_equal(qpinn.load(folder, potential=quartic).bounds, solution.bounds)


@pytest.mark.usefixtures("optax_promotion")
def test_what_a_callback_stopped_is_kept_too(tmp_path):
    seen = []
    solution = qpinn.solve(
        qpinn.potentials.barrier(), ansatz="envelope", start="random", states=2, network={"width": 4},
        optimizer={"name": "adam", "steps": 40, "chunk": 10},
        callbacks=[lambda progress: seen.append(progress.step) or len(seen) > 1],
    )  # fmt: skip
    loaded = qpinn.load(solution.save(tmp_path / "kept"))
    assert (loaded.status, loaded.steps) == (solution.status, solution.steps) == ("stopped", 20)
    np.testing.assert_array_equal(loaded.psi(X), solution.psi(X))
