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
    (save,) = (folder / "saves").glob("*.npz")
    content = save.read_bytes()
    save.write_bytes(content[:100])
    with pytest.raises(ValueError, match=r"has no good save; .*the file is damaged"):
        qpinn.load(folder)
    save.write_bytes(content)
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text("- a list")
    with pytest.raises(ValueError, match=r"cannot be read \(it holds no keys\)"):
        qpinn.load(folder)
    (folder / "config.yaml").write_text(config)
    facts = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**facts, "status": "stopped"}))
    with pytest.raises(ValueError, match="the run is stopped; the command that began it goes on with it"):
        qpinn.load(folder)
