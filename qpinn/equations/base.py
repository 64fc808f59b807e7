"""What every equation offers to training: residuals, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qpinn.geometry.quadrature import Points
from qpinn.linalg.jacobian import Dense, Jacobian, Residuals, dense
from qpinn.typing import Array, Params, Scalar


class Equation(Protocol):
    """A least-squares problem in `params`, whatever is in them. Equations are pytrees: their numbers are data."""

    def init(self, key: Array) -> Params:
        """Random parameters."""
        ...

    def residuals(self, params: Params, points: Points) -> Residuals:
        """The named residual vectors, whose sum of squares is the loss."""
        ...

    def linearize(self, params: Params, points: Points) -> tuple[Residuals, Jacobian]:
        """The residuals and their Jacobian."""
        ...

    def moved(self, params: Params, step: Any) -> Params:
        """`params` after a step of that Jacobian, confined to those that the points resolve."""
        ...

    def report(self, params: Params, points: Points) -> dict[str, Scalar]:
        """Numbers for the history of a training, such as an energy."""
        ...


def linearize_densely(
    residuals: Callable[[Params, Points], Residuals], params: Params, points: Points
) -> tuple[Residuals, Dense]:
    """`Equation.linearize` for any equation; its steps are flat vectors, see `qpinn.linalg.jacobian.dense`."""
    return dense(lambda moved: residuals(moved, points), params)
