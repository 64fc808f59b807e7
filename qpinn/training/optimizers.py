"""How parameters move. One protocol: `init` makes a carry, `step` moves it; both pure, both under jit and vmap.

An optimiser is a pytree of its numbers, so that another learning rate compiles nothing. It sees residuals and a
Jacobian, and knows no physics. A carry has `params`.
"""

from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple, Protocol

from qpinn.equations.base import Equation
from qpinn.geometry.quadrature import Points
from qpinn.linalg.jacobian import Residuals, losses
from qpinn.typing import Params, Scalar


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


class Optimizer(Protocol):
    """What the loop asks of an optimiser."""

    def init(self, equation: Equation, params: Params, points: Points) -> Any: ...

    def step(self, equation: Equation, carry: Any, points: Points) -> tuple[Any, Record]: ...
