"""How parameters move. One protocol: `init` makes a carry, `step` moves it; both pure, both under jit and vmap.

An optimiser is a pytree of its numbers, so that another learning rate compiles nothing. It sees residuals and a
Jacobian, and knows no physics. A carry has `params`.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from qpinn.equations.base import Equation
from qpinn.geometry.quadrature import Points
from qpinn.linalg.jacobian import Residuals, losses
from qpinn.typing import Params, Scalar

F = TypeVar("F", bound=Callable[..., Any])


class Record(NamedTuple):
    """What one step reports from where it was taken: terms of the loss, numbers of the equation; and its length."""

    losses: dict[str, Scalar]
    report: dict[str, Scalar]
    step_size: Scalar

    @property
    def loss(self) -> Scalar:
        """The sum of its terms."""
        return functools.reduce(operator.add, self.losses.values())


def record(
    equation: Equation, params: Params, points: Points, residuals: Residuals, step_size: Any = 0.0
) -> Record:  # fmt: skip
    """The record of a step from `params`, at which the residuals are these."""
    return Record(losses(residuals), equation.report(params, points), step_size)


@dataclasses.dataclass(frozen=True)
class Entry:
    """An optimiser as a config knows it.

    build    (numbers, steps) -> Optimizer, from its numbers and the length of the training
    label    its name in reports
    steps    of a training where a config gives none
    chunk    of steps between two looks at the progress, where a config gives none and somebody looks
    block    starts of a sweep that a core trains at once: one Jacobian fills its cache, one gradient does not
    numbers  its numbers with their defaults; a config must give a value of the same type (int, float or str)
    """

    build: Callable[[Mapping[str, Any], int], Any]
    label: str
    steps: int
    chunk: int
    block: int
    numbers: Mapping[str, Any]


OPTIMIZERS: dict[str, Entry] = {}
"""What `optimizer.name` in a config may say."""


LONG = 500
"""Steps of a chunk where nobody looks: what is done between two chunks then takes no time to speak of."""


def optimizer(
    name: str, *, label: str, steps: int, chunk: int = LONG, block: int = 8, **numbers: Any
) -> Callable[[F], F]:
    """A decorator that registers `build`, see `Entry`. Raises ValueError for a name that is taken."""

    def register(build: F) -> F:
        if name in OPTIMIZERS:
            raise ValueError(f"optimizer.name={name}: is taken")
        OPTIMIZERS[name] = Entry(build=build, label=label, steps=steps, chunk=chunk, block=block, numbers=numbers)
        return build

    return register


class Optimizer(Protocol):
    """What the loop asks of an optimiser."""

    def init(self, equation: Equation, params: Params, points: Points) -> Any: ...

    def step(self, equation: Equation, carry: Any, points: Points) -> tuple[Any, Record]: ...
