"""A finished run, read back from its folder as the solution that it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from qpinn.drivers.eigenstates import run
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings, build_potential
from qpinn.drivers.solution import Solution
from qpinn.runs import saves, status

ENDED = ("finished", "non-finite")


def load(folder: str | Path) -> Solution:
    """The solution of a finished run: psi, bounds and all that follows are computed again, nothing is trained again.

    folder  of `scripts/train.py`, with its config.yaml, its saves and, where the potential is one of a file, that file

    On the machine that trained it, it is the same bit for bit. Raises ValueError, naming the folder, if it holds no
    run, one that has not ended, or no good save of it.
    """
    place = Path(folder)
    facts = status.read(place)
    if facts is None:
        raise ValueError(f"{place}: is not the folder of a run")
    if facts["status"] not in ENDED:
        raise ValueError(f"{place}: the run is {facts['status']}; the command that began it goes on with it")
    potential, settings = _asked(place)
    snapshots, damaged = saves.read(place)
    if not (snapshots or settings.shared):
        raise ValueError(f"{place}: has no good save{'; ' if damaged else ''}{'; '.join(damaged)}")
    if snapshots:  # no step is taken, whatever was asked for
        done = max(snapshot.done for snapshot in snapshots)
        settings = dataclasses.replace(settings, optimizer=dataclasses.replace(settings.optimizer, steps=done))
    return run(potential, settings, snapshots=snapshots)


def _asked(folder: Path) -> tuple[Any, Settings]:
    """Potential and settings of the config.yaml of a run."""
    try:
        values = yaml.safe_load((folder / "config.yaml").read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise ValueError(f"{folder / 'config.yaml'}: cannot be read ({reason})") from None
    keys = {field.name for field in dataclasses.fields(Settings)}
    if not (isinstance(values, dict) and isinstance(values.get("potential"), dict)):
        raise ValueError(f"{folder / 'config.yaml'}: is not the config of a run")
    chosen = from_mapping(Settings, {key: value for key, value in values.items() if key in keys})
    return build_potential(values["potential"]), chosen
