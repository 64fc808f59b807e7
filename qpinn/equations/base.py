"""What every equation offers to training: residuals, and their derivatives."""

from __future__ import annotations

from typing import Any, Protocol

from qpinn.geometry.quadrature import Points
from qpinn.linalg.jacobian import Jacobian, Residuals
from qpinn.typing import Key, Params, Scalar


class Equation(Protocol):
    """A least-squares problem in `params`, whatever is in them. Equations are pytrees: their numbers are data."""

    def init(self, key: Key) -> Params:
        """Random parameters."""
        ...

    def residuals(self, params: Params, points: Points) -> Residuals:
        """The named residual vectors, whose sum of squares is the loss."""
        ...

    def linearize(self, params: Params, points: Points) -> tuple[Residuals, Jacobian]:
        """The residuals and their Jacobian, which `qpinn.linalg.jacobian.dense` gives for any equation."""
        ...

    def moved(self, params: Params, step: Any) -> Params:
        """params + step, for a step of that Jacobian; an equation may clip what its points cannot resolve."""
        ...

    def report(self, params: Params, points: Points) -> dict[str, Scalar]:
        """Numbers for the history of a training, such as an energy."""
        ...
