"""Dense linear algebra under `vmap`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of arrays; under `vmap` on a CPU it is called for one start after another.

    XLA splits a batched LAPACK call over the threads that run its devices. With as many CPU devices as threads all of
    them wait for each other for ever (jax 0.10.2); one matrix at a time is no slower. On other devices nothing changes.
    """
    sequential = jax.custom_batching.sequential_vmap(function)

    @wraps(function)
    def chosen(*arrays: Any) -> Any:
        return (sequential if jax.default_backend() == "cpu" else function)(*arrays)

    return chosen
