"""Parameters on disk: npz without pickle and a JSON sidecar with their SHA-256, both replaced atomically."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from qpinn.runs.files import read_json, read_npz, write_atomically
from qpinn.typing import Params


def _names(params: Params) -> list[str]:
    paths, _ = jax.tree_util.tree_flatten_with_path(params)
    return ["/".join(str(getattr(entry, "key", entry)) for entry in path) for path, _ in paths]


def save(path: Path, params: Params, **facts: Any) -> None:
    """Write a pytree of arrays to `path` (.npz) and its description, `facts` in it, to the same name with .json."""
    by_name = dict(zip(_names(params), map(np.asarray, jax.tree.leaves(params)), strict=True))
    buffer = io.BytesIO()
    np.savez(buffer, **by_name)  # type: ignore[arg-type]
    data = buffer.getvalue()
    described = {name: _about(array) for name, array in by_name.items()}
    about = {**facts, "sha256": hashlib.sha256(data).hexdigest(), "arrays": described}
    write_atomically(path, data)
    write_atomically(path.with_suffix(".json"), json.dumps(about, indent=2).encode())


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays saved at `path`, by name.

    Raises ValueError, naming the file, if it is missing, damaged, or not what its description says.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    about = read_json(path.with_suffix(".json"))
    if not isinstance(about, dict) or hashlib.sha256(data).hexdigest() != about.get("sha256"):
        raise ValueError(
            f"{path}: does not match the checksum in {path.with_suffix('.json').name}; the file is damaged"
        )
    by_name = read_npz(data, path)
    if {name: _about(array) for name, array in by_name.items()} != about.get("arrays"):
        raise ValueError(f"{path}: holds other arrays than {path.with_suffix('.json').name} says")
    return by_name


def _about(array: np.ndarray) -> dict[str, Any]:
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def load(path: Path, like: Params) -> Params:
    """The pytree saved at `path`, with the structure, shapes and dtypes of `like`.

    Raises ValueError, naming the file, if it is missing, damaged, or of another shape.
    """
    stored, leaves = arrays(path), []
    for name, leaf in zip(_names(like), jax.tree.leaves(like), strict=True):
        if name not in stored:
            raise ValueError(f"{path}: has no array {name}")
        array = stored[name]
        if array.shape != leaf.shape or array.dtype != leaf.dtype:
            raise ValueError(
                f"{path}: {name} is {array.dtype}{list(array.shape)}, expected {leaf.dtype}{list(leaf.shape)}"
            )
        leaves.append(array)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)
