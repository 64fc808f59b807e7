"""Many trainings side by side: levels of one equation, starts of one level, or both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from qpinn.geometry.quadrature import Sampling

AXIS = "lanes"


class System(NamedTuple):
    """One training: an `Equation`, an `Optimizer`, where the residual is taken, and what it starts from.

    seed   () of parameters and points
    level  () number of the level of the Ritz problem that it starts from; (K,) for those of one network
    """

    equation: Any
    optimizer: Any
    sampling: Sampling
    seed: Any = 0
    level: Any = 0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Lanes:
    """Systems that differ in some of their numbers.

    system   those leaves that differ have a leading axis of lanes, all others serve all lanes
    differs  for each leaf of the system, in the order of `jax.tree.leaves`
    count    number of lanes
    devices  that have an equal share of the lanes each; None for the default device
    """

    system: Any
    differs: tuple[bool, ...] = dataclasses.field(metadata={"static": True})
    count: int = dataclasses.field(metadata={"static": True})
    devices: Mesh | None = dataclasses.field(default=None, metadata={"static": True})

    def over(self, function: Callable[..., Any], *arguments: Any, one_by_one: bool = False) -> Any:
        """function(system, *arguments) of every lane; `arguments` have leading axes of lanes, as has the result.

        one_by_one  on each device one lane after the other instead of all at once

        Several devices are not left to the partitioner: it gathers all lanes on every device for a LAPACK call
        (measured: two devices no faster than one). `check_vma` adds sums over devices to derivatives, which are wrong
        here (jax issue 36886).
        """
        leaves, treedef = jax.tree.flatten(self.system)
        lane_leaves = [leaf for leaf, differs in zip(leaves, self.differs, strict=True) if differs]

        def lane(values: tuple[Any, ...]) -> Any:
            of_lane = iter(values[0])
            chosen = [next(of_lane) if differs else leaf for leaf, differs in zip(leaves, self.differs, strict=True)]
            return function(jax.tree.unflatten(treedef, chosen), *values[1:])

        def every(inputs: tuple[Any, ...]) -> Any:
            if one_by_one:
                return jax.lax.map(lane, inputs)
            return jax.vmap(lane, axis_size=self.count // (self.devices.size if self.devices else 1))(inputs)

        if self.devices is not None:
            spec = PartitionSpec(AXIS)
            every = jax.shard_map(every, mesh=self.devices, in_specs=(spec,), out_specs=spec, check_vma=False)
        return every((lane_leaves, *arguments))

    def lane(self, index: int) -> Any:
        """The system of one lane."""
        leaves, treedef = jax.tree.flatten(self.system)
        return jax.tree.unflatten(
            treedef, [leaf[index] if differs else leaf for leaf, differs in zip(leaves, self.differs, strict=True)]
        )

    def shapes(self, tree: Any) -> Any:
        """Shapes of what `over` gives, `tree`, with the devices on which it lies."""
        if self.devices is None:
            return tree
        sharding = NamedSharding(self.devices, PartitionSpec(AXIS))
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)


def side_by_side(systems: Sequence[Any]) -> Lanes:
    """Lanes from one system for each, all of the same structure; numbers that are the same in all of them stay one."""
    first, *others = ([np.asarray(leaf) for leaf in jax.tree.leaves(system)] for system in systems)
    columns = [[leaf, *more] for leaf, *more in zip(first, *others, strict=True)]
    differs = tuple(any(not np.array_equal(leaf, column[0]) for leaf in column[1:]) for column in columns)
    leaves = [np.stack(column) if flag else column[0] for column, flag in zip(columns, differs, strict=True)]
    return Lanes(system=jax.tree.unflatten(jax.tree.structure(systems[0]), leaves), differs=differs, count=len(systems))


def varied(system: Any, many: Any, count: int, devices: Sequence[jax.Device] = ()) -> Lanes:
    """`count` lanes of a system on `devices`, from the same system, some of whose leaves have an axis of lanes."""
    differs = tuple(np.ndim(b) > np.ndim(a) for a, b in zip(*map(jax.tree.leaves, (system, many)), strict=True))
    mesh = Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,)) if devices else None
    return Lanes(system=many, differs=differs, count=count, devices=mesh)
