"""Where training starts: a choice of parameters, made once under jit. A start is hashable and has no arrays."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from qpinn.geometry.quadrature import Points
from qpinn.training import ritz, variational
from qpinn.typing import Params, Scalar

Report = dict[str, Scalar]


class Start(Protocol):
    """From random parameters to those that training starts from, and numbers of the equation there.

    level  () number of the level, for a start that can choose it
    """

    def __call__(self, equation: Any, params: Params, points: Points, level: Any) -> tuple[Params, Report]: ...


@dataclasses.dataclass(frozen=True)
class Random:
    """Random parameters as they are."""

    def __call__(self, equation: Any, params: Params, points: Points, level: Any) -> tuple[Params, Report]:
        return params, equation.report(params, points)


@dataclasses.dataclass(frozen=True)
class Ritz:
    """A Rayleigh-Ritz solve on the parameters in which psi is linear, see `qpinn.training.ritz`."""

    def __call__(self, equation: Any, params: Params, points: Points, level: Any) -> tuple[Params, Report]:
        return ritz.start(equation, params, points, level)


@dataclasses.dataclass(frozen=True)
class Variational:
    """The Rayleigh quotient is minimised first, by Adam; no linear solve, see `qpinn.training.variational`."""

    steps: int = 5000
    learning_rate: float = 1e-2

    def __call__(self, equation: Any, params: Params, points: Points, level: Any) -> tuple[Params, Report]:
        return variational.start(equation, params, points, self.steps, self.learning_rate)
