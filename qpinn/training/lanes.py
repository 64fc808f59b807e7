"""Many trainings side by side: levels of one equation, or starts of one level."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from qpinn.geometry.quadrature import Sampling


class System(NamedTuple):
    """What is trained (an `Equation`), how (an `Optimizer`), and where the residual is taken."""

    equation: Any
    optimizer: Any
    sampling: Sampling


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Lanes:
    """Systems that differ in some of their numbers.

    system   those leaves that differ have a leading axis of lanes, all others serve all lanes
    differs  for each leaf of the system, in the order of `jax.tree.leaves`
    """

    system: Any
    differs: tuple[bool, ...] = dataclasses.field(metadata={"static": True})

    def over(self, function: Callable[..., Any], *arguments: Any, one_by_one: bool = False) -> Any:
        """function(system, *arguments) of every lane; `arguments` have leading axes of lanes, as has the result.

        one_by_one  one lane after the other instead of all at once
        """
        leaves, treedef = jax.tree.flatten(self.system)
        lane_leaves = [leaf for leaf, differs in zip(leaves, self.differs, strict=True) if differs]

        def lane(values: tuple[Any, ...]) -> Any:
            of_lane = iter(values[0])
            chosen = [next(of_lane) if differs else leaf for leaf, differs in zip(leaves, self.differs, strict=True)]
            return function(jax.tree.unflatten(treedef, chosen), *values[1:])

        inputs = (lane_leaves, *arguments)
        return jax.lax.map(lane, inputs) if one_by_one else jax.vmap(lane)(inputs)


def alike(system: Any) -> Lanes:
    """Lanes of one system: nothing differs between them."""
    return Lanes(system, (False,) * len(jax.tree.leaves(system)))


def side_by_side(systems: Sequence[Any]) -> Lanes:
    """Lanes from one system for each, all of the same structure; numbers that are the same in all of them stay one."""
    first, *others = ([np.asarray(leaf) for leaf in jax.tree.leaves(system)] for system in systems)
    columns = [[leaf, *more] for leaf, *more in zip(first, *others, strict=True)]
    differs = tuple(any(not np.array_equal(leaf, column[0]) for leaf in column[1:]) for column in columns)
    leaves = [np.stack(column) if flag else column[0] for column, flag in zip(columns, differs, strict=True)]
    return Lanes(jax.tree.unflatten(jax.tree.structure(systems[0]), leaves), differs)
