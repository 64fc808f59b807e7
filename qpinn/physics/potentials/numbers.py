"""The numbers that a potential is built from, by their keys: what may vary, and the same potential with another value.

A number is named by the key of its builder, one of several with its place in brackets, from 0, or with its name: width,
thickness[2], domain[1], parameters.a.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from qpinn.checks import one_of
from qpinn.physics.potentials.base import BUILDERS
from qpinn.physics.potentials.combined import Combined

LENGTHS = ("width", "thickness", "center", "domain", "radius", "distance", "period")
ENERGIES = ("height", "depth", "depth_left", "depth_right", "offset", "offset_end")
UNITS = {**dict.fromkeys(LENGTHS, "length"), **dict.fromkeys(ENERGIES, "energy"), "mass": "mass", "mass_end": "mass"}
"""The kinds of those numbers that mean the same in every potential; others are dimensionless or combinations."""


def arguments(potential: Any) -> dict[str, Any]:
    """The numbers (a list for several) that the builder of a potential makes it from, by key; walls that it has none of
    are left out. Of a potential without a builder its fields."""
    if isinstance(potential, Combined):
        return arguments(potential.potential)
    own = getattr(potential, "arguments", None)
    if own is not None:
        return dict(own())
    fields = {field.name: getattr(potential, field.name) for field in dataclasses.fields(potential)}
    if potential.name not in BUILDERS:
        return fields
    keys = inspect.signature(BUILDERS[potential.name]).parameters
    by_key = {key: getattr(potential, key) for key in keys if key in fields or key == "parameters"}
    if "domain" in keys and (fields.get("left"), fields.get("right")) != (None, None):
        by_key["domain"] = [fields["left"], fields["right"]]
    return by_key


def names(potential: Any) -> list[str]:
    """The numbers of a potential that may vary: fractional ones, not counts."""
    if isinstance(potential, Combined):
        return names(potential.potential)
    fixed = {field.name for field in dataclasses.fields(potential)
             if field.metadata.get("static") or field.metadata.get("hidden")}  # fmt: skip
    found = []
    for key, value in arguments(potential).items():
        if key in fixed:
            continue
        if isinstance(value, float):
            found.append(key)
        elif isinstance(value, dict):
            found += [f"{key}.{entry}" for entry in value]
        elif isinstance(value, (list, tuple, np.ndarray)):
            found += [f"{key}[{place}]" for place, entry in enumerate(value) if isinstance(entry, float)]
    return found


def family(potential: Any, name: str) -> Callable[[float], Any]:
    """The potential as a function of one of its numbers, checked by its builder.

    "potential." may stand before the name.

    Raises ValueError for a name that is none of `names`.
    """
    if isinstance(potential, Combined):
        inner = family(potential.potential, name)
        return lambda value: potential.of(inner(value))
    if not dataclasses.is_dataclass(potential):
        raise ValueError(f"vary={name}: {type(potential).__name__} has no numbers by name; must be a dataclass, or a "
                         "function that builds one")  # fmt: skip
    allowed = [f"{PREFIX}{number}" for number in names(potential)]
    if not allowed:
        raise ValueError(f"vary={name}: potential={getattr(potential, 'name', '')} has no numbers that can be varied")
    whole = f"{PREFIX}{name}"
    if whole not in allowed and name in ("k", "theta", "potential.k", "potential.theta", "ends.theta"):
        raise ValueError(f"vary={name}: levels over the Bloch phase are bands; allowed: scripts/bands.py, or one of "
                         f"{', '.join(allowed)}")  # fmt: skip
    one_of("vary", whole if whole in allowed or "." not in name else name, allowed)
    key, place = _parts(name)
    given: Any = potential
    by_key = arguments(given)

    def with_value(value: float) -> Any:
        new: Any = value
        if isinstance(place, int):
            new = list(by_key[key])
            new[place] = value
        elif place is not None:
            new = {**by_key[key], place: value}
        if given.name in BUILDERS:
            return BUILDERS[given.name](**{**by_key, key: new})
        return dataclasses.replace(given, **{key: new})

    return with_value


PREFIX = "potential."


def _parts(name: str) -> tuple[str, int | str | None]:
    """The key of a number, and its place or its name where there are several."""
    bare = name.removeprefix(PREFIX)
    if "." in bare:
        key, _, entry = bare.partition(".")
        return key, entry
    key, bracket, place = bare.partition("[")
    return key, int(place.rstrip("]")) if bracket else None


def derivative(by_name: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    """The derivatives (K,) by a number, from those that `qpinn.gradients` gives by name; None where it has none."""
    key, place = _parts(name)
    if key == "domain":
        key, place = ("left", "right")[int(place or 0)], None
    if isinstance(place, str):
        key, place = place, None
    found = by_name.get(key)
    return found if found is None or place is None else found[:, place]


def unit_of(name: str, units: Any) -> str:
    """The unit of a number, in words; nothing where it has none, or a combination."""
    key, _ = _parts(name)
    if key == "field":
        return "kV/cm"
    kind = UNITS.get(key)
    return str(getattr(units, kind)) if kind and not units.none else ""
