"""A mapping, as a config or a keyword argument has it, as a dataclass of settings."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from qpinn.checks import one_of, plain, shown, suggestion

T = TypeVar("T")


NONE: Mapping[str, Collection[str]] = types.MappingProxyType({})


def from_mapping(
    cls: type[T], values: Mapping[str, Any], prefix: str = "", beside: Mapping[str, Collection[str]] = NONE
) -> T:
    """`values` as the dataclass `cls`, nested ones included, with unknown keys and wrong types refused by name.

    beside  other names that can be given here, and keys in them, for what is said of one that is unknown
    """
    hints = get_type_hints(cls)
    keys = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if "numbers" in keys:  # those of an optimiser stand beside its name
        numbers = dict(converted(f"{prefix}numbers", values.get("numbers", {}), Mapping[str, Any]))
        numbers.update({key: value for key, value in values.items() if key not in keys})
        values = {**{key: value for key, value in values.items() if key in keys}, "numbers": numbers}
    fields = {}
    for key, value in values.items():
        if key not in keys:
            names = sorted({*keys, *beside})
            hint = _meant(str(key), names, hints, beside)
            given = value if isinstance(value, str) else shown(value)
            raise ValueError(f"{prefix}{key}={given}: unknown key; {hint}allowed: {', '.join(names)}")
        fields[key] = converted(f"{prefix}{key}", value, hints[key])
    return cls(**fields)


def _meant(key: str, names: list[str], hints: Mapping[str, Any], beside: Mapping[str, Collection[str]]) -> str:
    """A suggestion: the groups that have such a key, a name like it, or a group with a key like it."""
    groups: dict[str, set[str]] = {name: set(keys) for name, keys in beside.items()}
    for name, hint in hints.items():
        if dataclasses.is_dataclass(hint):
            groups.setdefault(name, set()).update({field.name for field in dataclasses.fields(hint)} - {"name"})

    def inside(wanted: str) -> str:
        homes = [f'{name}={{"{wanted}": ...}}' for name, keys in sorted(groups.items()) if wanted in keys]
        return f"did you mean {' or '.join(homes)}? " if homes else ""

    like = difflib.get_close_matches(key, {inner for keys in groups.values() for inner in keys}, 1, 0.8)
    return inside(key) or suggestion(key, names) or (inside(like[0]) if like else "")


def converted(key: str, value: Any, wanted: Any) -> Any:
    """`value` as the type `wanted`, or a ValueError that names `key`."""
    if wanted is Any:  # of several kinds, which the class itself looks at
        return value
    value = plain(value)
    if get_origin(wanted) is Mapping:
        if not isinstance(value, Mapping):
            raise ValueError(f"{key}={shown(value)}: must be a group of keys")
        return dict(value)
    if dataclasses.is_dataclass(wanted):
        if isinstance(value, wanted):  # type: ignore[arg-type]
            return value
        if isinstance(value, str) and "name" in get_type_hints(wanted):
            value = {"name": value}
        if isinstance(value, str) and hasattr(wanted, "NAMED"):  # choices that are the same keys with other values
            one_of(key, value, wanted.NAMED)
            value = wanted.NAMED[value]
        if isinstance(value, (list, tuple)) and hasattr(wanted, "LISTED"):  # a list alone is that of one key
            value = {wanted.LISTED: value}
        if not isinstance(value, Mapping):
            raise ValueError(f"{key}={shown(value)}: must be a group of keys")
        return from_mapping(wanted, value, prefix=f"{key}.")  # type: ignore[arg-type]
    if get_origin(wanted) is types.UnionType:
        if value is None:
            return None
        wanted = str if isinstance(value, str) and str in get_args(wanted) else get_args(wanted)[0]
    if get_origin(wanted) is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
            raise ValueError(f"{key}={value}: must be two numbers, as [1, 2]")
        return tuple(converted(key, entry, float) for entry in value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted is float and number:
        return float(value)
    if wanted is int and number and value == value // 1 and abs(value) < 2**53:  # 1e3 is a float
        return int(value)
    if wanted in (str, bool) and isinstance(value, wanted):
        return value
    names = {float: "a number", int: "a whole number", str: "a word", bool: "true or false"}
    raise ValueError(f"{key}={shown(value)}: must be {names[wanted]}")
