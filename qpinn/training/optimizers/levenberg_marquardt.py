"""Damped Gauss-Newton on the residual vectors (Levenberg 1944; Marquardt 1963)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from qpinn.equations.base import Equation
from qpinn.geometry.quadrature import Points
from qpinn.linalg.jacobian import Jacobian, Residuals, losses
from qpinn.training.optimizers.base import Record, optimizer, record
from qpinn.typing import Params, Scalar


class Damped(NamedTuple):
    """Best parameters so far with the linearisation there, and the next trial with its damping."""

    params: Params
    trial: Params
    residuals: Residuals
    jacobian: Jacobian
    loss: Scalar
    damping: Scalar


@jax.jit
def _linearize(equation: Equation, params: Params, points: Points) -> tuple[Residuals, Jacobian]:
    """`equation.linearize`, traced once for both `init` and `step`."""
    return equation.linearize(params, points)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt:
    """A step minimises |J dp + r|^2 + mu |D dp|^2, D the lengths of the columns of J.

    One that lowers the loss is kept and mu divided by `decrease`; another is taken back and mu multiplied by
    `increase`. A trial is confined to parameters that the points resolve (`Equation.moved`). Linearisation and loss
    come from one pass at the trial point, so one copy of it is compiled.
    """

    damping: float = 1e-6
    decrease: float = 10.0
    increase: float = 5.0

    def init(self, equation: Equation, params: Params, points: Points) -> Damped:
        shapes = jax.eval_shape(_linearize, equation, params, points)
        residuals, jacobian = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        loss, damping = (jnp.asarray(number, points.weight.dtype) for number in (jnp.inf, self.damping))
        return Damped(
            params=params, trial=params, residuals=residuals, jacobian=jacobian, loss=loss, damping=damping
        )  # fmt: skip

    def step(self, equation: Equation, carry: Damped, points: Points) -> tuple[Damped, Record]:
        trial = _linearize(equation, carry.trial, points)
        loss = jnp.sum(jnp.stack([*losses(trial[0]).values()]))
        better, first = loss < carry.loss, jnp.isinf(carry.loss)

        def keep(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)

        moved = jax.tree.map(jnp.subtract, carry.trial, carry.params)
        size = jnp.where(better, jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(moved))), 0.0)
        eps = float(jnp.finfo(loss.dtype).eps)
        factor = jnp.where(first, 1.0, jnp.where(better, 1 / self.decrease, self.increase))
        damping = jnp.clip(carry.damping * factor, eps, 1e8)
        params, (residuals, jacobian), loss = keep(
            (carry.trial, trial, loss), (carry.params, (carry.residuals, carry.jacobian), carry.loss)
        )
        new = equation.moved(params, jacobian.damped_step(residuals, damping))
        finite = jnp.where(jnp.isfinite(loss), 1.0, jnp.nan)  # not even the first point has a finite loss
        taken = record(equation, params, points, residuals, size)
        taken = taken._replace(losses={name: finite * term for name, term in taken.losses.items()})
        carry = Damped(params=params, trial=new, residuals=residuals, jacobian=jacobian, loss=loss, damping=damping)
        return carry, taken


@optimizer("levenberg_marquardt", label="Levenberg-Marquardt", steps=15, chunk=3, block=1, damping=1e-6)
def build(numbers: Mapping[str, Any], steps: int) -> LevenbergMarquardt:
    return LevenbergMarquardt(**numbers)
