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

from qpinn.geometry.quadrature import Points
from qpinn.training import loop, ritz
from qpinn.training.fit import Fit, history
from qpinn.training.lanes import Lanes, System
from qpinn.training.optimizers import Record, record
from qpinn.typing import Array, Params

DENSE = 128
"""Segments up to which all functions of the basis are in one dense problem: with twice as many it takes eight times as
long."""


def levels(system: System) -> tuple[Params, Float[Array, "K"], Record]:
    """Parameters (K, ...), energies (K,) and records (K,) of the levels `system.level` (K,) of the Ritz problem."""
    params, points = loop.drawn(system)
    params, energies = ritz.levels(system.equation, params, points, system.level)
    return params, energies, _records(system, params, points)


def _levels_of_many(system: System) -> tuple[Params, Float[Array, "K"], Record]:
    """The same on the host, for many segments."""
    params, points = jax.jit(loop.drawn)(system)
    params, energies = ritz.levels_of_many(system.equation, params, points, len(system.level))
    return params, energies, jax.jit(_records)(system, params, points)


def _records(system: System, params: Params, points: Points) -> Record:
    def report(params: Params) -> Any:
        return record(system.equation, params, points, system.equation.residuals(params, points))

    return jax.vmap(report)(params)


def ordered(networks: Lanes, count: int) -> tuple[Params, Float[Array, "count"], Record]:
    """`levels` of lanes that have them in turn (even, odd, even, ...), the lowest `count` in one row. To be jitted."""
    return _in_turn(networks.over(levels), count)  # type: ignore[no-any-return]


def _in_turn(solved: Any, count: int) -> Any:
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:])[:count], solved)


def fit(networks: Lanes, count: int) -> Fit:
    """The lowest `count` levels of lanes that have the levels in turn (even, odd, even, ...): no steps, one record."""
    begun = compiled = time.perf_counter()
    if networks.system.equation.ansatz.mesh["edges"].shape[-1] - 1 > DENSE:
        every = [_levels_of_many(networks.lane(index)) for index in range(networks.count)]
        solved = _in_turn(jax.tree.map(lambda *leaves: jnp.stack(leaves), *every), count)
    else:
        options = loop.compiler_options(quick=False)
        solve = jax.jit(ordered, static_argnums=1, compiler_options=options).lower(networks, count).compile()
        compiled = time.perf_counter()
        solved = jax.block_until_ready(solve(networks))
    params, energies, records = solved
    return untrained(params, energies, records, compiled - begun, time.perf_counter() - compiled)


def untrained(params: Params, energies: Array, records: Record, compiling: float, solving: float) -> Fit:
    """What `ordered` gives, and the seconds that it took, as the end of a training without steps."""
    count = len(energies)
    return Fit(
        params=params, start={"energy": np.asarray(energies, np.float64)},
        history=history(jax.tree.map(lambda leaf: leaf[:, None], records), 1, solving), steps=np.ones(count, int),
        alive=np.ones(count, bool), seconds={"compile": compiling, "train": solving}, status="finished", asked=False,
    )  # fmt: skip
