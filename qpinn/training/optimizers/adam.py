"""Descent along gradients of the loss: Adam, and L-BFGS after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from qpinn.equations.base import Equation
from qpinn.geometry.quadrature import Points
from qpinn.training.optimizers.base import Record, optimizer, record
from qpinn.typing import Params, Scalar

SCHEDULES = ("constant", "cosine", "exponential")

_static = partial(dataclasses.field, metadata={"static": True})


class Descent(NamedTuple):
    """Parameters, number of steps taken, and what optax keeps."""

    params: Params
    done: Scalar
    adam: Any
    lbfgs: Any = None


def _loss(equation: Equation, points: Points, params: Params) -> tuple[Scalar, Record]:
    at = record(equation, params, points, equation.residuals(params, points))
    return at.loss, at


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) with a schedule of the learning rate over `steps`.

    schedule   "constant"; "cosine": from learning_rate down to final * learning_rate along half a cosine;
               "exponential": the same ends, geometrically
    """

    learning_rate: float = 1e-3
    final: float = 1e-2
    steps: int = 5000
    schedule: str = _static(default="constant")

    def rate(self, count: Scalar) -> Scalar:
        """The learning rate of step `count`. Not by optax, whose schedules want numbers that are known to Python."""
        share = jnp.clip(jnp.asarray(count, float) / self.steps, 0.0, 1.0)
        if self.schedule == "cosine":
            return self.learning_rate * (self.final + (1 - self.final) * (1 + jnp.cos(jnp.pi * share)) / 2)
        if self.schedule == "exponential":
            return self.learning_rate * self.final**share
        return self.learning_rate * jnp.ones_like(share)

    def begin(self, params: Params) -> Descent:
        """Before the first step, whatever the gradients are of."""
        import optax

        return Descent(params, jnp.zeros((), int), optax.scale_by_adam().init(params))

    def moved(self, carry: Descent, gradient: Params) -> tuple[Descent, Scalar]:
        """After a step against `gradient`, and the length of the step."""
        import optax

        updates, adam = optax.scale_by_adam().update(gradient, carry.adam)
        rate = self.rate(carry.done)
        params = jax.tree.map(lambda p, u: p - (rate * u).astype(p.dtype), carry.params, updates)
        return carry._replace(params=params, done=carry.done + 1, adam=adam), rate * optax.tree.norm(updates)

    def init(self, equation: Equation, params: Params, points: Points) -> Descent:
        return self.begin(params)

    def step(self, equation: Equation, carry: Descent, points: Points) -> tuple[Descent, Record]:
        gradient, at = jax.grad(partial(_loss, equation, points), has_aux=True)(carry.params)
        carry, size = self.moved(carry, gradient)
        return carry, at._replace(step_size=size)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AdamLBFGS:
    """Adam for `adam.steps`, then L-BFGS with a zoom line search (Nocedal and Wright 2006, algorithms 7.4 and 3.5)."""

    adam: Adam
    memory: int = _static(default=20)

    def _lbfgs(self) -> Any:
        import optax

        return optax.lbfgs(memory_size=self.memory)

    def init(self, equation: Equation, params: Params, points: Points) -> Descent:
        return self.adam.begin(params)._replace(lbfgs=self._lbfgs().init(params))

    def step(self, equation: Equation, carry: Descent, points: Points) -> tuple[Descent, Record]:
        return jax.lax.cond(
            jnp.asarray(carry.done, float) < self.adam.steps,
            lambda carry: self.adam.step(equation, carry, points),
            lambda carry: self._quasi_newton_step(equation, carry, points),
            carry,
        )

    def _quasi_newton_step(self, equation: Equation, carry: Descent, points: Points) -> tuple[Descent, Record]:
        import optax

        def value(params: Params) -> Scalar:
            return _loss(equation, points, params)[0]

        (loss, at), gradient = jax.value_and_grad(partial(_loss, equation, points), has_aux=True)(carry.params)
        updates, lbfgs = self._lbfgs().update(
            gradient, carry.lbfgs, carry.params, value=loss, grad=gradient, value_fn=value
        )
        params = optax.apply_updates(carry.params, updates)
        size = optax.tree.norm(updates)
        return carry._replace(params=params, done=carry.done + 1, lbfgs=lbfgs), at._replace(step_size=size)


_NUMBERS: dict[str, Any] = {"learning_rate": 1e-3, "schedule": "constant", "final": 1e-2}


def _adam(numbers: Mapping[str, Any], steps: int) -> Adam:
    if numbers["schedule"] not in SCHEDULES:
        raise ValueError(f"optimizer.schedule={numbers['schedule']}: unknown; allowed: {', '.join(SCHEDULES)}")
    return Adam(**{key: numbers[key] for key in _NUMBERS}, steps=steps)


@optimizer("adam", label="Adam", steps=5000, **_NUMBERS)
def build(numbers: Mapping[str, Any], steps: int) -> Adam:
    return _adam(numbers, steps)


@optimizer("adam_lbfgs", label="Adam, then L-BFGS", steps=3000, **_NUMBERS, adam_steps=2000, memory=20)
def build_both(numbers: Mapping[str, Any], steps: int) -> AdamLBFGS:
    adam = dataclasses.replace(_adam(numbers, max(numbers["adam_steps"], 1)), steps=numbers["adam_steps"])
    return AdamLBFGS(adam, numbers["memory"])
