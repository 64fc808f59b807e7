"""Everything in float64, with strict dtype promotion; compiled programmes are kept between tests and processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: threads of several processes wait for each other

import jax
import pytest

import qpinn

ROOT = Path(__file__).resolve().parent.parent
CACHE = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "xla"))
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "scripts" / "benchmarks")]

import _cache  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_disable_most_optimizations", True)  # much is compiled here, and little of it runs for long
_cache.use(CACHE)

WELLS = {
    "infinite_well": qpinn.potentials.infinite_well(),
    "finite_well": qpinn.potentials.finite_well(),
    "barrier": qpinn.potentials.barrier(),
}


@pytest.fixture(params=WELLS)
def well(request: pytest.FixtureRequest) -> qpinn.potentials.Potential:
    """Each of the three wells with its own numbers."""
    return WELLS[request.param]


@pytest.fixture
def optax_promotion() -> Iterator[None]:
    """optax's Adam mixes integers and floats, which strict promotion refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def solved() -> qpinn.Solution:
    """The barrier, solved by the default route."""
    return qpinn.solve(WELLS["barrier"])
