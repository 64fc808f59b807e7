"""A run that has ended, loaded from its folder as a Solution."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qpinn.drivers import discretize
from qpinn.drivers.eigenstates import run
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings, build_potential
from qpinn.drivers.solution import Solution
from qpinn.runs import saves, status
from qpinn.runs.files import read_yaml


def load(folder: str | Path) -> Solution:
    """The solution of a run that has ended: measured and bounded again, from the parameters that were trained.

    folder  of `scripts/train.py`, with its config.yaml, its saves and, if the potential is read from a file, that file

    On the machine that trained it, it is the same bit for bit. A network that levels share, which has no training, is
    solved again. Raises ValueError, naming the folder, if it holds no run, one that has not ended, no good save, or if
    the file of its potential has changed.
    """
    place = Path(folder)
    facts = status.read(place)
    if facts is None:
        raise ValueError(f"{place}: is not the folder of a run")
    if facts["status"] == "running":
        raise ValueError(f"{place}: the run is at work; wait for it")
    if facts["status"] not in status.ENDED:
        raise ValueError(f"{place}: the run is {facts['status']}; the command that began it goes on with it")
    potential, settings = _asked(place, facts.get("file"))
    settings = discretize.settled(potential, settings)
    snapshots, damaged = saves.read(place)
    if damaged or not (snapshots or settings.shared):
        raise ValueError(f"{place}: has no good save{'; ' if damaged else ''}{'; '.join(damaged)}")
    if settings.shared:
        return run(potential, settings)
    done = max(snapshot.done for snapshot in snapshots)  # as many steps as were taken, so that none is
    taken = dataclasses.replace(settings, optimizer=dataclasses.replace(settings.optimizer, steps=done))
    try:
        solution = run(potential, taken, snapshots=snapshots, rounds=1 if settings.in_turn else len(snapshots))
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return dataclasses.replace(solution, settings=settings)


def _asked(folder: Path, content: str | None) -> tuple[Any, Settings]:
    """Potential and settings of the config.yaml of a run; `content`: hash of the file of the potential."""
    values = read_yaml(folder / "config.yaml")
    keys = {field.name for field in dataclasses.fields(Settings)}
    if not isinstance(values.get("potential"), dict):
        raise ValueError(f"{folder / 'config.yaml'}: is not the config of a run")
    if content is not None and status.content(values["potential"].get("file")) != content:
        raise ValueError(f"{folder}: potential.file={values['potential'].get('file')}: is not what it was in the run")
    try:
        chosen = from_mapping(Settings, {key: value for key, value in values.items() if key in keys})
        return build_potential(values["potential"]), chosen
    except ValueError as error:
        raise ValueError(f"{folder / 'config.yaml'}: {error}") from None
