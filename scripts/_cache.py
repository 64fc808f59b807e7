"""Compiled programmes on disk, shared by processes: an entry is there as a whole or not at all.

JAX writes an entry in place, so that another process can read half of it, and warns. Here it is written beside its
place and renamed.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import jax


def use(folder: str) -> None:
    """Keep compiled programmes in `folder`; none, where this version of JAX has no place to say how."""
    if not _renames():
        return
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def _renames() -> bool:
    """Give JAX a cache that renames. Returns whether the parts of JAX that this needs are there."""
    try:
        from jax._src import compilation_cache
        from jax._src.lru_cache import LRUCache

        made: Any = compilation_cache.get_file_cache
    except (ImportError, AttributeError):
        return False

    class Renaming(LRUCache):
        """Entries are files <key>-cache, as `LRUCache` reads them. One that is there is replaced: it was damaged."""

        def put(self, key: str, value: bytes) -> None:
            temporary = self.path / f".{key[-40:]}.{os.getpid()}.{threading.get_ident()}"
            try:
                temporary.write_bytes(value)
                os.replace(temporary, self.path / f"{key}-cache")
            finally:
                temporary.unlink(missing_ok=True)

    def renaming(path: str) -> Any:
        config: Any = jax.config
        bounded = config.jax_compilation_cache_max_size != -1  # then JAX locks the folder
        if bounded or config.jax_compilation_cache_check_contents or "://" in path:
            return made(path)
        return Renaming(path, max_size=-1), path

    if made.__module__ == compilation_cache.__name__:  # once in a process
        compilation_cache.get_file_cache = renaming
    return True
