"""A run that has ended, loaded from its folder as a solution, and a solution kept as such a folder."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.analysis import compare
from qpinn.drivers import box, box_folder, discretize
from qpinn.drivers.box_solution import BoxSolution
from qpinn.drivers.eigenstates import describe_route, potential_of, restored
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Solution, Stats
from qpinn.geometry.mesh import Mesh
from qpinn.physics.potentials import describe
from qpinn.runs import box_arrays, checkpoint, potential_file, run_folder, status
from qpinn.runs.files import read_npz, read_yaml
from qpinn.training import loop
from qpinn.training.fit import Fit
from qpinn.training.lanes import Lanes

DAMAGED = (LookupError, TypeError, AttributeError)
"""What files of another content than they should have raise."""

ON_EDGES = 0.05
"""Share of the points of a box on which V may be another one: where it jumps it is kept from one side."""


def load(folder: str | Path, potential: Any = None) -> Solution | BoxSolution:
    """The solution of a run that has ended: measured and bounded again, from the parameters that were trained; of
    several coordinates as it was measured and bounded.

    folder     of `scripts/train.py`, `Solution.save` or `BoxSolution.save`; no file outside it is needed
    potential  the Python function that was solved, which is in no file; or a potential that is not of this package

    Nothing is trained or solved. On the machine that trained it, it is the same bit for bit. Raises ValueError, naming
    the folder or the file, if it holds no run, one that has not ended, or what is missing or damaged.
    """
    place = Path(folder)
    facts = status.read(place)
    if facts is None:
        raise ValueError(f"{place}: is not the folder of a run")
    if facts["status"] == "running":
        raise ValueError(f"{place}: the run is at work; wait for it")
    if facts["status"] not in status.ENDED:
        raise ValueError(f"{place}: the run is {facts['status']}; the command that began it goes on with it")
    values, results = read_yaml(place / "config.yaml"), run_folder.read_summary(place)
    keys = {field.name for field in dataclasses.fields(Settings)}
    try:
        settings = from_mapping(Settings, {key: value for key, value in values.items() if key in keys})
    except ValueError as error:
        raise ValueError(f"{place / 'config.yaml'}: {error}") from None
    try:
        given = _potential(place, results, potential)
        seconds = {name: float(value) for name, value in results["seconds"].items() if name != "total"}
        stats = Stats(seconds=seconds, device=results["device"], rounds=results["rounds"])
        if results.get("task") == run_folder.BOX:
            if settings.ansatz.name == "envelope":
                raise ValueError(f"{place}: its functions were trained in a box, and these are not read back; allowed: "
                                 "a box of ansatz=piecewise")  # fmt: skip
            return box_folder.read(place, given, settings, stats)
        settings = discretize.settled(given, settings)
        stored = checkpoint.arrays(place / "parameters.npz")
        mesh = Mesh(stored["edges"], bool(stored["half"]))
        first = discretize.of(given, settings).first

        def fit(lanes: Lanes) -> Fit:
            return run_folder.read_fit(place, results, loop.parameter_shapes(lanes), first)

        return restored(given, settings, mesh, fit, stats)
    except DAMAGED as error:
        raise ValueError(
            f"{place}: is damaged, or of another version of qpinn ({type(error).__name__}: {error})"
        ) from None


def _potential(folder: Path, results: Mapping[str, Any], given: Any) -> Any:
    """The potential of a run, or the one that is given in its place. Raises ValueError if that is another."""
    found = potential_file.read(folder)
    if given is None:
        if found is None:
            raise ValueError(f"{folder}: its potential is a Python function, which is in no file; "
                             "qpinn.load(folder, potential=...) takes it")  # fmt: skip
        return found
    if found is None and not hasattr(given, "domain"):
        numbers = results["potential"]
        given = potential_of(given, (numbers["left"], numbers["right"]), results["breakpoints"], None)
    path = folder / "wavefunction.npz"
    grid = read_npz(path.read_bytes(), path)
    if "v" not in grid:  # of many coordinates
        return given
    box = results.get("task") == run_folder.BOX
    v = np.asarray(given(box_arrays.places(grid) if box else grid["x"]))
    same = np.isclose(v, grid["v"], rtol=1e-9, atol=1e-9 * max(np.abs(grid["v"]).max(), 1e-300))
    if same.mean() < (1 - ON_EDGES if box else 1):
        raise ValueError(f"potential={getattr(given, 'name', given)}: is another than that of the run in {folder}")
    return given


def save(solution: Solution | BoxSolution, folder: str | Path) -> Path:
    """See `Solution.save` and `BoxSolution.save`."""
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ValueError(f"{place}: is not empty; a solution is saved into a folder of its own")
    draft = place.with_name(f".{place.name}.{socket.gethostname()}.{os.getpid()}")  # becomes the folder as a whole
    try:
        draft.mkdir(parents=True)
        _write(solution, draft)
        draft.rename(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return place


def _write(solution: Solution | BoxSolution, folder: Path) -> None:
    """All files of a run."""
    config = _config(solution)
    run_folder.write_config(folder, config)
    if isinstance(solution, BoxSolution):
        box_folder.write(
            folder, solution, box.describe_route(solution.settings, bool(solution.bends)), solution.seconds
        )
    else:
        _write_results(solution, folder)
    ended = "non-finite" if solution.status == "non-finite" else "finished"  # the folder is, also of what was stopped
    claim = status.Claim(folder)
    claim.write(ended, config=status.identity(config), versions=run_folder.versions(), git=run_folder.git_commit())
    claim.release()


def _write_results(solution: Solution, folder: Path) -> None:
    """Parameters, results and figures of a run on a line."""
    from qpinn.report import page, run_figures  # matplotlib takes its time

    units = solution.units
    levels = solution.reference
    missing = None if levels is not None else "too large a problem"
    rows = compare.classical(solution.plan.potential, levels, solution.measured[-1].index, units.scale)
    seconds = {**solution.seconds, "total": sum(solution.seconds.values())}
    results = run_folder.summary(solution, describe_route(solution.settings), seconds, levels, rows, missing)
    run_folder.write_arrays(folder, solution, levels)
    run_folder.write_summary(folder, results)
    page.save(folder, run_figures.save_all(folder).shown)


def _config(solution: Solution | BoxSolution) -> dict[str, Any]:
    """The settings of a solution and the numbers of its potential as a config has them."""
    values = dataclasses.asdict(solution.settings)
    values["optimizer"].update(values["optimizer"].pop("numbers"))  # they stand beside its name
    return {"potential": describe(solution.given), **values}
