"""How parameters move. One protocol: `init` makes a state, `step` moves it; both pure, both under jit and vmap.

An optimiser is a pytree of its numbers, so that another learning rate compiles nothing. A state has `params`.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from qpinn.physics.domain import Points
from qpinn.training.lapack import one_by_one
from qpinn.training.problem import Problem, losses
from qpinn.types import Array, Params, Scalar

_static = partial(dataclasses.field, metadata={"static": True})


class Record(NamedTuple):
    """What one step reports: the terms of the loss and E where the step was taken, and the length of the step."""

    pde: Scalar
    norm: Scalar
    energy: Scalar
    step_size: Scalar


class Optimizer(Protocol):
    """What the loop asks of an optimiser."""

    def init(self, problem: Problem, params: Params, points: Points) -> Any: ...

    def step(self, problem: Problem, state: Any, points: Points) -> tuple[Any, Record]: ...


# --------------------------------------------------------------------------------------------- Levenberg-Marquardt


class DampedState(NamedTuple):
    """Best parameters so far, what is known there, and the next trial (raveled) with its damping."""

    params: Params
    trial: Array
    residual: Array
    jacobian: Array
    loss: Scalar
    damping: Scalar


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt:
    """Damped Gauss-Newton on the residual vectors r(p) (Levenberg 1944; Marquardt 1963).

    With J = dr/dp, D the lengths of its columns and A = J D^-1, a step solves (A^T A + mu) D dp = -A^T r, in the form
    D dp = -A^T (A A^T + mu)^-1 r, which is the same and whose matrix has the size of r however large the network is. A
    step that lowers the loss is kept and mu divided by `decrease`; another is taken back and mu multiplied by
    `increase`. A trial is confined to parameters that the points resolve (`Problem.confined`). Linearisation and loss
    come from one pass at the trial point, so one copy of it is compiled.
    """

    damping: float = 1e-6
    decrease: float = 10.0
    increase: float = 5.0

    def init(self, problem: Problem, params: Params, points: Points) -> DampedState:
        flat, _ = ravel_pytree(params)
        rows = points.weight.size + 1
        unknown = jnp.asarray(jnp.inf, flat.dtype)
        damping = jnp.asarray(self.damping, flat.dtype)
        return DampedState(params, flat, jnp.zeros(rows, flat.dtype), jnp.zeros((rows, flat.size), flat.dtype),
                           unknown, damping)  # fmt: skip

    def step(self, problem: Problem, state: DampedState, points: Points) -> tuple[DampedState, Record]:
        best, unravel = ravel_pytree(state.params)
        vectors, jacobian = problem.linearize(unravel(state.trial), points)
        residual = jnp.concatenate([vectors["norm"], vectors["pde"]])
        loss = jnp.sum(residual**2)
        better = loss < state.loss
        first = jnp.isinf(state.loss)

        def keep(new: Any, old: Any) -> Array:
            return jnp.where(better, new, old)

        size = jnp.linalg.norm(keep(state.trial - best, 0.0))
        eps = float(jnp.finfo(loss.dtype).eps)
        factor = jnp.where(first, 1.0, keep(1 / self.decrease, self.increase))
        damping = jnp.clip(state.damping * factor, eps, 1e8)
        best, residual, jacobian = (
            keep(state.trial, best),
            keep(residual, state.residual),
            keep(jacobian, state.jacobian),
        )
        columns = problem.columns(state.params, points.x.shape[0])
        trial, _ = ravel_pytree(problem.confined(unravel(best + _damped_step(jacobian, residual, damping, columns))))
        params = unravel(best)
        loss = keep(loss, state.loss)
        known = jnp.where(jnp.isfinite(loss), 1.0, jnp.nan)  # not even the first point has a finite loss
        record = Record(
            known * jnp.sum(residual[1:] ** 2), known * residual[0] ** 2, problem.energy(params, points), size
        )
        return DampedState(params, trial, residual, jacobian, loss, damping), record


def _damped_step(jacobian: Array, residual: Array, damping: Scalar, columns: tuple[np.ndarray, np.ndarray]) -> Array:
    """-D^-1 A^T (A A^T + mu)^-1 r with A = J D^-1, D the lengths of the columns of J.

    The first row of J is the normalisation, the others belong to segments in turn; `columns` (segments, k) are zero
    outside the rows of their segment, and the rest, see `Problem.columns`. A A^T is formed from these blocks: for S
    segments in 1 / S of the time.
    """
    length = jnp.sqrt(jnp.sum(jacobian**2, axis=0))
    inverse = jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 0)
    scaled = jacobian * inverse
    inside, others = columns
    rows = (residual.size - 1) // len(inside)
    blocks = jnp.stack([scaled[1 + s * rows : 1 + (s + 1) * rows, own] for s, own in enumerate(inside)])
    norm_row = scaled[0, inside]
    first = jnp.concatenate([jnp.sum(norm_row**2)[None], jnp.einsum("snk,sk->sn", blocks, norm_row).ravel()])
    normal = scaled[:, others] @ scaled[:, others].T + damping * jnp.eye(residual.size, dtype=residual.dtype)
    for s, block in enumerate(jnp.einsum("snk,smk->snm", blocks, blocks)):
        normal = normal.at[1 + s * rows : 1 + (s + 1) * rows, 1 + s * rows : 1 + (s + 1) * rows].add(block)
    normal = normal.at[0].add(first).at[1:, 0].add(first[1:])
    return -inverse * (scaled.T @ _solve(normal, residual))


@one_by_one
def _solve(matrix: Array, right: Array) -> Array:
    return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(matrix), right)


# -------------------------------------------------------------------------------------------------- gradient descent


class GradientState(NamedTuple):
    """Parameters, number of steps taken, and what optax keeps."""

    params: Params
    done: Scalar
    adam: Any
    lbfgs: Any = None


def _loss(problem: Problem, points: Points, params: Params) -> tuple[Scalar, Record]:
    terms = losses(problem.residuals(params, points))
    energy = problem.energy(params, points)
    return terms["pde"] + terms["norm"], Record(terms["pde"], terms["norm"], energy, jnp.zeros_like(energy))


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
        """The learning rate of step `count`."""
        share = jnp.clip(jnp.asarray(count, float) / self.steps, 0.0, 1.0)
        if self.schedule == "cosine":
            return self.learning_rate * (self.final + (1 - self.final) * (1 + jnp.cos(jnp.pi * share)) / 2)
        if self.schedule == "exponential":
            return self.learning_rate * self.final**share
        return self.learning_rate * jnp.ones_like(share)

    def init(self, problem: Problem, params: Params, points: Points) -> GradientState:
        import optax

        return GradientState(params, jnp.zeros((), int), optax.scale_by_adam().init(params))

    def step(self, problem: Problem, state: GradientState, points: Points) -> tuple[GradientState, Record]:
        import optax

        gradient, record = jax.grad(partial(_loss, problem, points), has_aux=True)(state.params)
        updates, adam = optax.scale_by_adam().update(gradient, state.adam)
        rate = self.rate(state.done)
        params = jax.tree.map(lambda p, u: p - (rate * u).astype(p.dtype), state.params, updates)
        size = rate * jnp.sqrt(sum(jnp.sum(u**2) for u in jax.tree.leaves(updates)))
        return state._replace(params=params, done=state.done + 1, adam=adam), record._replace(step_size=size)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AdamLBFGS:
    """Adam for `adam.steps`, then L-BFGS with a zoom line search (Nocedal and Wright 2006, algorithms 7.4 and 3.5)."""

    adam: Adam
    memory: int = _static(default=20)

    def _lbfgs(self) -> Any:
        import optax

        return optax.lbfgs(memory_size=self.memory)

    def init(self, problem: Problem, params: Params, points: Points) -> GradientState:
        return self.adam.init(problem, params, points)._replace(lbfgs=self._lbfgs().init(params))

    def step(self, problem: Problem, state: GradientState, points: Points) -> tuple[GradientState, Record]:
        return jax.lax.cond(
            jnp.asarray(state.done, float) < self.adam.steps,
            lambda s: self.adam.step(problem, s, points),
            lambda s: self._quasi_newton_step(problem, s, points),
            state,
        )

    def _quasi_newton_step(
        self, problem: Problem, state: GradientState, points: Points
    ) -> tuple[GradientState, Record]:
        import optax

        def value(params: Params) -> Scalar:
            return _loss(problem, points, params)[0]

        (loss, record), gradient = jax.value_and_grad(partial(_loss, problem, points), has_aux=True)(state.params)
        updates, lbfgs = self._lbfgs().update(
            gradient, state.lbfgs, state.params, value=loss, grad=gradient, value_fn=value
        )
        params = optax.apply_updates(state.params, updates)
        size = jnp.sqrt(sum(jnp.sum(u**2) for u in jax.tree.leaves(updates)))
        return state._replace(params=params, done=state.done + 1, lbfgs=lbfgs), record._replace(step_size=size)
