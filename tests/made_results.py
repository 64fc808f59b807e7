"""Results by hand: the dictionary of a results.json and the files of its folder, for what is said and drawn of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

PI2 = np.pi**2


def state(index: int = 0, **changes: Any) -> dict[str, Any]:
    """Level `index` of the infinite well on [0, 1], right to ten digits and bounded."""
    energy = (index + 1) ** 2 * PI2
    overlaps = [1.0 if k == index else 0.0 for k in range(8)]
    expectation = {"x": 0.5, "x2": 0.28, "p2": energy, "dx_dp": 0.57, "kinetic": energy, "potential": 0.0,
                   "parity": 1.0 - 2.0 * (index % 2), "virial": 1.0 + 1e-9}  # fmt: skip
    return {
        "index": index, "energy": energy, "lower": energy * (1 - 1e-11), "upper": energy * (1 + 1e-11),
        "converged": True, "energy_start": energy * 1.001, "energy_rayleigh": energy, "energy_reference": energy,
        "relative_error_energy": 1e-15, "relative_error_energy_start": 1e-3, "relative_error_energy_rayleigh": 1e-15,
        "relative_l2_psi": 2e-10, "norm": 1.0, "node_count": index, "loss": 1e-14, "outcome": "right state",
        "residual": 1e-6, "rounding": 1e-14, "truncation": 0.0, "expectation": expectation, "overlaps": overlaps,
        "wall_shift": None, "free_at_wall": False, "note": None,
    } | changes  # fmt: skip


def lost(index: int = 0) -> dict[str, Any]:
    """A level that has ended in psi = 0, with E given."""
    nothing = dict.fromkeys(state()["expectation"], 0.0)
    return state(index, outcome="psi = 0", norm=1e-9, relative_error_energy=0.0, relative_l2_psi=1.0,
                 node_count=2, converged=False, expectation=nothing, overlaps=[0.1] * 8)  # fmt: skip


def wrong(index: int = 1, nearest: int = 0) -> dict[str, Any]:
    """A level for which another one was found."""
    other = state(nearest)
    names = ("energy", "energy_rayleigh", "overlaps", "expectation", "node_count")
    return state(index, outcome="wrong state", relative_error_energy=0.75, relative_l2_psi=1.4, lower=None, upper=None,
                 converged=False, **{name: other[name] for name in names})  # fmt: skip


def row(method: str = "spectral elements", error: float | None = 1e-15, seconds: float = 0.004) -> dict[str, Any]:
    """A classical method."""
    return {"method": method, "index": 0, "energy": PI2, "relative_error_energy": error, "relative_l2_psi": error,
            "seconds": seconds}  # fmt: skip


def results(*states: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A results.json of these states."""
    states = states or (state(),)
    count = len(states)
    levels = [(k + 1) ** 2 * PI2 for k in range(8)]
    return {
        "status": "finished", "potential": {"name": "infinite_well", "left": 0.0, "right": 1.0},
        "units": {"length": "L", "energy": "ħ²/2mL²", "scale": 1.0}, "walls": [0.0, 1.0], "breakpoints": [],
        "route": {"label": "", "energy": "trainable", "projected_start": True, "start": "ritz"},
        "settings": {"seed": 0}, "states": list(states), "dipoles": np.full((count, count), 0.18).tolist(),
        "oscillator_strengths": np.full((count, count), 0.96).tolist(),
        "reference": {"method": "closed form", "exact": True, "energies": levels, "errors": [1e-14] * 8},
        "certificate": {"tol": None, "sigma": 100.0, "assumed": ["rounding"], "unresolved": []}, "rounds": 1,
        "comparison": [row()], "steps": 15, "parameters": 100,
        "seconds": {"import": 0.6, "planning": 0.01, "compile": 1.5, "train": 0.5, "write": 0.2, "total": 3.0},
        "seed": 0,
    } | changes  # fmt: skip


PAPER = {"label": "", "energy": "trainable", "projected_start": False, "start": "random"}
FIXED = PAPER | {"energy": "fixed"}


def write(folder: Path, made: dict[str, Any], reference: bool = True, v: float = 0.0) -> Path:
    """The files of a run that its figures are drawn from; psi of a state is that of the level it is nearest to."""
    x = np.linspace(0, 1, 201)
    levels = np.sqrt(2) * np.sin(np.arange(1, 9)[:, None] * np.pi * x)
    states = made["states"]
    psi = np.array([
        0 * x if one["outcome"] == "psi = 0" else levels[int(np.argmax(one["overlaps"] or [1]))] for one in states
    ])  # fmt: skip
    arrays = {"x": x, "psi": psi, "v": np.full_like(x, v), "residual": 1e-6 * np.sin(40 * x) * psi + 1e-9,
              "edges": np.linspace(0, 1, 5)}  # fmt: skip
    if reference:
        arrays["psi_reference"] = levels[[one["index"] for one in states]]
    np.savez(folder / "wavefunction.npz", **arrays)
    lines = ["step,state,pde,norm,orthogonality,total,energy,relative_error_energy,step_size,seconds"]
    for step in range(3):
        for one in states:
            error = "" if one["relative_error_energy"] is None else f"{10.0 ** -(step + 3)}"
            lines.append(f"{step},{one['index']},1e-3,1e-4,0,1.1e-3,{one['energy'] or 'nan'},{error},1,0.1")
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    (folder / "results.json").write_text(json.dumps(made))
    return folder
