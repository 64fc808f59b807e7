"""Many starts at once: `loop.begin` and `loop.run_chunk` under `vmap`, the starts spread over the devices.

Every start keeps its own parameters, its own damping and its own mask, so that nothing of one reaches another: a start
that meets a NaN freezes alone. No collective is needed, so none is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from qpinn.training import loop
from qpinn.training.lanes import System
from qpinn.typing import Array


class Trained(NamedTuple):
    """What a batch of B starts ended with.

    measured      what `measure` gives, each with a leading axis (B,)
    energy        (steps, B) before each step; a start that has met a NaN keeps its last good one
    loss          (B,) at the last good step
    energy_start  (B,)
    steps         (B,) good steps; fewer than asked for where a step was not finite
    """

    measured: Any
    energy: np.ndarray
    loss: np.ndarray
    energy_start: np.ndarray
    steps: np.ndarray


@dataclasses.dataclass(frozen=True)
class Batch:
    """Compiled programmes for `size` starts of one system."""

    begin: Callable[..., Any]
    chunk: Callable[..., Any]
    measure: Callable[..., Any]
    place: Callable[[Any, bool], Any]
    system: System
    size: int
    course: loop.Course


def devices(count: int | None) -> list[jax.Device]:
    """The first `count` devices of this process, or all of them."""
    found = jax.local_devices()
    if count is not None and count > len(found):
        raise ValueError(f"sweep.devices={count}: there are {len(found)} here")
    return found[:count]


def compile_batch(
    system: System, vary: Callable[[System, Array], System], size: int, state: int, course: loop.Course,
    on: Sequence[jax.Device], measure: Callable[..., Any],
) -> Batch:  # fmt: skip
    """Programmes for `size` starts in level `state`, a multiple of the number of devices.

    vary(system, value) -> the system of one start, whose value it is
    measure(problem, params) -> arrays of one start, computed after training
    """
    mesh = Mesh(np.asarray(on), ("start",), axis_types=(AxisType.Auto,))

    def place(tree: Any, split: bool) -> Any:
        sharding = NamedSharding(mesh, PartitionSpec("start") if split else PartitionSpec())
        return jax.device_put(tree, sharding)

    one, many = PartitionSpec(), PartitionSpec("start")

    def spread(function: Callable[..., Any], inputs: tuple[Any, ...], axes: tuple[Any, ...], **options: Any) -> Any:
        """`function` of one start for all of them, each device with its own and none of the others'.

        Not left to the partitioner: it gathers all starts on every device for a LAPACK call (measured: two devices no
        faster than one). `check_vma` adds sums over devices to derivatives, which are wrong here (jax issue 36886).
        """
        local = jax.shard_map(jax.vmap(function, axes), mesh=mesh, in_specs=inputs, out_specs=many, check_vma=False)
        return jax.jit(local, compiler_options=loop.compiler_options(quick=False), **options)

    seeds = place(jnp.zeros(size, int), True)
    values = place(jnp.ones(size, system.equation.unit.dtype), True)
    placed = place(system, False)

    def begin(system: System, value: Array, seed: Array) -> Any:
        return loop.begin(vary(system, value), seed, course.start, state)

    def chunk(system: System, value: Array, carry: loop.Carry, seed: Array, active: Array) -> Any:
        carry, record = loop.run_chunk(vary(system, value), carry, seed, active, course.length)
        return carry, record.report["energy"], record.loss

    def measured(system: System, value: Array, params: Any) -> Any:
        return measure(vary(system, value).equation, params)

    begin_all = spread(begin, (one, many, many), (None, 0, 0)).lower(placed, values, seeds).compile()
    carry, _ = begin_all(placed, values, seeds)
    chunk_all = spread(chunk, (one, many, many, many, one), (None, 0, 0, 0, None), donate_argnums=2)
    active = place(jnp.asarray(course.length), False)
    compiled = chunk_all.lower(placed, values, carry, seeds, active).compile()
    measure_all = spread(measured, (one, many, many), (None, 0, 0)).lower(placed, values, carry.state.params).compile()
    return Batch(
        begin=begin_all, chunk=compiled, measure=measure_all, place=place, system=placed, size=size, course=course
    )


def train(batch: Batch, values: np.ndarray, seeds: np.ndarray) -> Trained:
    """Train one start for each of `values` (size,) and `seeds` (size,)."""
    placed, seed = batch.system, batch.place(jnp.asarray(seeds), True)
    value = batch.place(jnp.asarray(values, placed.equation.unit.dtype), True)
    carry, energy_start = batch.begin(placed, value, seed)
    energies: list[np.ndarray] = []
    losses, done = np.full(batch.size, np.nan), 0
    while done < batch.course.steps:
        active = min(batch.course.length, batch.course.steps - done)
        carry, energy, loss = batch.chunk(placed, value, carry, seed, batch.place(jnp.asarray(active), False))
        energy, loss, good = np.array(energy[:, :active]), np.asarray(loss[:, :active]), np.asarray(carry.good)
        own = np.clip(good - done, 0, active)  # good steps of this chunk
        losses = np.where(own > 0, loss[np.arange(batch.size), np.maximum(own - 1, 0)], losses)
        last = energies[-1][:, -1] if energies else np.asarray(energy_start, np.float64)
        for lane in np.flatnonzero(own < active):
            energy[lane, own[lane] :] = energy[lane, own[lane] - 1] if own[lane] else last[lane]
        energies.append(energy)
        done += active
    history = np.concatenate(energies, axis=1).astype(np.float64).T
    steps = np.asarray(carry.good)
    measured = jax.device_get(batch.measure(placed, value, carry.state.params))
    return Trained(measured, history, losses, np.asarray(energy_start, np.float64), steps)
