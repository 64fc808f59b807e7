"""potential.json: the numbers of a potential, so that a run folder needs no other file to be read back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.physics.potentials import Potential
from qpinn.physics.potentials.expressions import Expression
from qpinn.runs.files import read_json, write_atomically

NAME = "potential.json"


def write(folder: Path, potential: Any) -> None:
    """The class of a potential and its fields; without these where one of them is a function."""
    try:
        content = _content(potential)
    except TypeError:
        content = {"class": type(potential).__name__, "fields": None}
    write_atomically(folder / NAME, (json.dumps(content) + "\n").encode())


def _content(potential: Any) -> dict[str, Any]:
    """Raises TypeError for a class that is none of this package, or a field that is a function."""
    if type(potential) is not _classes().get(type(potential).__name__):
        raise TypeError("a class of a user")
    fields = {field.name: _plain(getattr(potential, field.name)) for field in dataclasses.fields(potential)
              if not field.metadata.get("derived")}  # fmt: skip
    return {"class": type(potential).__name__, "fields": fields}


def read(folder: Path) -> Any:
    """The potential that was written, or None where its fields could not be.

    Raises ValueError, naming the file, if it is missing or damaged.
    """
    path = folder / NAME
    content = read_json(path)
    if isinstance(content, dict) and content.get("fields", 0) is None:
        return None
    try:
        return _potential(content)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: is damaged ({type(error).__name__}: {error})") from None


def _potential(content: Any) -> Any:
    cls = _classes()[content["class"]]
    fields = {field.name: field for field in dataclasses.fields(cls)}
    potential = cls(**{name: _value(value, fields[name]) for name, value in content["fields"].items()})
    return potential.settled() if isinstance(potential, Expression) else potential


def _classes() -> dict[str, Any]:
    """The potentials of this package, by the names of their classes."""

    def below(cls: Any) -> Iterator[Any]:
        for child in cls.__subclasses__():
            yield child
            yield from below(child)

    package = Potential.__module__.rpartition(".")[0]
    return {cls.__name__: cls for cls in below(Potential) if cls.__module__.startswith(f"{package}.")}


def _plain(value: Any) -> Any:
    """A field as JSON has it. Raises TypeError for what it has no words for."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Potential):  # inside of another
        return _content(value)
    if callable(value):
        raise TypeError("a function")
    numbers = np.asarray(value, np.float64)
    return numbers.tolist()


def _value(value: Any, field: Any) -> Any:
    """A field as a potential has it: numbers and arrays, and what is static as it is, lists as tuples.

    Raises TypeError or ValueError for what is neither, and for numbers that are not finite.
    """
    if isinstance(value, dict):
        return _potential(value)
    static = bool(field.metadata.get("static"))
    if value is None or (static and isinstance(value, str)):
        return value
    if isinstance(value, list) and (static or str(field.type).startswith("tuple")):
        return tuple(_value(entry, field) for entry in value)
    numbers = np.array(value, np.float64)
    if isinstance(value, (bool, str)) or not np.isfinite(numbers).all():
        raise TypeError(f"{value!r} is no number")
    return numbers if isinstance(value, list) else value
