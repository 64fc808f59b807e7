"""One network for all levels: its hidden units are shared, each level has its own linear parameters.

The basis is what psi can be for fixed hidden units; Rayleigh and Ritz give the best levels in it, all at once, where
one trained network for each level starts from a solve of its own. Hidden units stay as they were drawn.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.training import loop, ritz
from qpinn.training.fit import Fit, history
from qpinn.training.lanes import Lanes, System
from qpinn.training.optimizers import Record, record
from qpinn.typing import Array, Params


def levels(system: System) -> tuple[Params, Float[Array, "K"], Record]:
    """Parameters (K, ...), energies (K,) and records (K,) of the levels `system.level` (K,) of the Ritz problem."""
    equation, (params, points) = system.equation, loop.drawn(system)
    params, energies = ritz.levels(equation, params, points, system.level)

    def report(params: Params) -> Any:
        return record(equation, params, points, equation.residuals(params, points))

    return params, energies, jax.vmap(report)(params)


def ordered(networks: Lanes, count: int) -> tuple[Params, Float[Array, "count"], Record]:
    """`levels` of lanes that have them in turn (even, odd, even, ...), the lowest `count` in one row. To be jitted."""
    return jax.tree.map(
        lambda leaf: jnp.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:])[:count], networks.over(levels)
    )


def fit(networks: Lanes, count: int) -> Fit:
    """The lowest `count` levels of lanes that have the levels in turn (even, odd, even, ...): no steps, one record."""
    begun = time.perf_counter()
    options = loop.compiler_options(quick=False)
    solve = jax.jit(ordered, static_argnums=1, compiler_options=options).lower(networks, count).compile()
    compiled = time.perf_counter()
    params, energies, records = solve(networks)
    jax.block_until_ready(energies)
    return untrained(params, energies, records, compiled - begun, time.perf_counter() - compiled)


def untrained(params: Params, energies: Array, records: Record, compiling: float, solving: float) -> Fit:
    """What `ordered` gives, and the seconds that it took, as the end of a training without steps."""
    count = len(energies)
    return Fit(
        params=params, start={"energy": np.asarray(energies, np.float64)},
        history=history(jax.tree.map(lambda leaf: leaf[:, None], records), 1, solving), steps=np.ones(count, int),
        alive=np.ones(count, bool), seconds={"compile": compiling, "train": solving}, status="finished", asked=False,
    )  # fmt: skip
