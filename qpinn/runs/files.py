"""Files of a run: written as a whole or not at all, and read without trust.

Whatever is in a file that is read here, nothing of it is run, and no more memory is taken than a small multiple of its
size.
"""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, flush it to the disk and rename it: a reader sees the old file or the new one.

    Raises OSError, and leaves nothing behind, where that fails.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ValueError, naming it, if it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None


class _Loader(yaml.SafeLoader):
    """Without aliases: a few lines of them stand for more than fits into memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias")
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys of a YAML file, without tags and aliases. Raises ValueError, naming it, if it is missing or damaged."""
    try:
        values = yaml.load(path.read_bytes(), _Loader)
    except (OSError, ValueError, RecursionError, TypeError, yaml.YAMLError) as error:
        raise _unreadable(path, error) from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ValueError(f"{path}: cannot be read (it holds no keys)")
    return values


def read_npz(data: bytes, path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file, by name, without pickles and what is compressed.

    Raises ValueError, naming the file, if it is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed")
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds more than arrays")
        return arrays
    except (
        OSError, ValueError, EOFError, MemoryError, OverflowError, RuntimeError, SyntaxError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> ValueError:
    """One line for a file and what was wrong with it."""
    reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0] or type(error).__name__
    return ValueError(f"{path}: cannot be read ({reason})")
