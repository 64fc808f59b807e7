"""Compiled programmes on disk, shared by processes: an entry is there as a whole or not at all.

JAX writes an entry in place, so that another process can read half of it, and runs whatever a damaged disk gives it.
Here an entry is written beside its place and renamed, has a checksum, and of several processes that need it at the same
time one compiles it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import jax


def use(folder: str) -> None:
    """Keep compiled programmes in `folder`; none, where this version of JAX has no place to say how.

    Where the folder cannot be written a line says so, and nothing is kept.
    """
    if not _replaced():
        return
    if not _writable(folder):
        jax.config.update("jax_compilation_cache_dir", None)  # which may be there by JAX_COMPILATION_CACHE_DIR
        return
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def _writable(folder: str) -> bool:
    """Whether files can be written into a folder, which is made. Says so if not."""
    try:
        if "://" not in folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        return True
    except OSError as error:
        print(f"compiled programmes are not kept: {folder}: {error.strerror}", file=sys.stderr)
        return False


WAIT = 60.0
"""Seconds after which a process compiles what another one has not finished."""


class Turn:
    """The right to compile a programme, which one process of those that need it has; the others wait for it.

    Held until the object is let go, or its process ends, however it ends.
    """

    def __init__(self, path: Path) -> None:
        import fcntl

        limit = time.monotonic() + WAIT
        self._path, self._descriptor = path, -1
        with contextlib.suppress(OSError):  # a disk without locks: then each compiles for itself
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            while time.monotonic() < limit:
                try:
                    return fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.02)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            os.close(self._descriptor)


def _replaced() -> bool:
    """Give JAX such a cache. Returns whether the parts of JAX that this needs are there."""
    try:
        from jax._src import compilation_cache
        from jax._src.lru_cache import LRUCache

        made: Any = compilation_cache.get_file_cache
    except (ImportError, AttributeError):
        return False

    class Checked(LRUCache):
        """Entries are files <key>-checked: the SHA-256 of a programme, and the programme. A damaged one is none."""

        turn = None

        def get(self, key: str) -> bytes | None:
            self.turn = None  # what was looked up before has been compiled
            value = self._read(key)
            if value is None and jax.process_count() == 1:  # else one of them writes for all
                self.turn = Turn(self.path / f".{key[-40:]}.lock")
                value = self._read(key)  # by another process, while this one waited
                self.turn = None if value is not None else self.turn
            return value

        def _read(self, key: str) -> bytes | None:
            try:
                entry = (self.path / f"{key}-checked").read_bytes()
            except OSError:
                return None
            return entry[32:] if hashlib.sha256(entry[32:]).digest() == entry[:32] else None

        def put(self, key: str, value: bytes) -> None:
            temporary = self.path / f".{key[-40:]}.{os.getpid()}.{threading.get_ident()}"
            with contextlib.suppress(OSError):  # a disk that is full, or gone: then it is not kept
                try:
                    temporary.write_bytes(hashlib.sha256(value).digest() + value)
                    os.replace(temporary, self.path / f"{key}-checked")
                finally:
                    temporary.unlink(missing_ok=True)
            self.turn = None

    def checked(path: str) -> Any:
        config: Any = jax.config
        bounded = config.jax_compilation_cache_max_size != -1  # then JAX locks the folder
        if bounded or config.jax_compilation_cache_check_contents or "://" in path:
            return made(path)
        return Checked(path, max_size=-1), path

    if made.__module__ == compilation_cache.__name__:  # once in a process
        compilation_cache.get_file_cache = checked
    return True
