"""How parameters move. One protocol: `init` makes a state, `step` moves it; both pure, both under jit and vmap.

An optimiser is a pytree of its numbers, so that another learning rate compiles nothing. A state has `params`.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from qpinn.equations.eigenvalue import Linear, Problem, losses
from qpinn.geometry.quadrature import Points
from qpinn.training.linalg import one_by_one
from qpinn.typing import Array, Params, Scalar

_static = partial(dataclasses.field, metadata={"static": True})


class Record(NamedTuple):
    """What one step reports: the terms of the loss and E where the step was taken, and the length of the step."""

    pde: Scalar
    norm: Scalar
    orthogonality: Scalar
    energy: Scalar
    step_size: Scalar

    @property
    def loss(self) -> Scalar:
        """The sum of its terms."""
        return self.pde + self.norm + self.orthogonality


class Optimizer(Protocol):
    """What the loop asks of an optimiser."""

    def init(self, problem: Problem, params: Params, points: Points) -> Any: ...

    def step(self, problem: Problem, state: Any, points: Points) -> tuple[Any, Record]: ...


# --------------------------------------------------------------------------------------------- Levenberg-Marquardt


class DampedState(NamedTuple):
    """Best parameters so far, what is known there, and the next trial with its damping."""

    params: Params
    trial: Params
    known: Linear
    loss: Scalar
    damping: Scalar


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LevenbergMarquardt:
    """Damped Gauss-Newton on the residual vectors r(p) (Levenberg 1944; Marquardt 1963).

    With J = dr/dp and A = J D^-1, a step minimises |A y + r|^2 + mu |y|^2, y = D dp. D holds the lengths of the
    columns of J for the shared parameters, and for all those of a network the length of its longest: with a length for
    each, a hidden weight whose readout is small would take steps that no linearisation holds for. One that lowers the
    loss is kept and mu divided by `decrease`; another is taken back and mu multiplied by `increase`. A trial is
    confined to parameters that the points resolve (`Problem.confined`). Linearisation and loss come from one pass at
    the trial point, so one copy of it is compiled.
    """

    damping: float = 1e-6
    decrease: float = 10.0
    increase: float = 5.0

    def init(self, problem: Problem, params: Params, points: Points) -> DampedState:
        own, shared = problem.seen(params)
        rows, dtype = (len(own), points.weight.shape[1] + 1), own.dtype
        unknown = Linear(*(jnp.zeros((*rows, *part), dtype) for part in ((), own.shape[1:], shared.shape[1:])))
        return DampedState(params, params, unknown, jnp.asarray(jnp.inf, dtype), jnp.asarray(self.damping, dtype))

    def step(self, problem: Problem, state: DampedState, points: Points) -> tuple[DampedState, Record]:
        trial = problem.linearize(state.trial, points)
        loss = jnp.sum(jnp.stack([*losses(problem.vectors(trial.rows)).values()]))
        better, first = loss < state.loss, jnp.isinf(state.loss)

        def keep(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)

        moved = jax.tree.map(jnp.subtract, state.trial, state.params)
        size = jnp.where(better, jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(moved))), 0.0)
        eps = float(jnp.finfo(loss.dtype).eps)
        factor = jnp.where(first, 1.0, jnp.where(better, 1 / self.decrease, self.increase))
        damping = jnp.clip(state.damping * factor, eps, 1e8)
        params, known, loss = keep((state.trial, trial, loss), (state.params, state.known, state.loss))
        own, shared, join = problem.split(params)
        vectors = problem.vectors(known.rows)
        by_own, by_shared = damped_step(known, vectors["norm"][0], problem.ties(params), damping)
        terms = losses(vectors)
        finite = jnp.where(jnp.isfinite(loss), 1.0, jnp.nan)  # not even the first point has a finite loss
        none = jnp.zeros_like(loss)
        record = Record(finite * terms["pde"], finite * terms["norm"], none, problem.energy(params, points), size)
        new = problem.confined(join(own + by_own, shared + by_shared))
        return DampedState(params, new, known, loss, damping), record


def damped_step(linear: Linear, norm: Scalar, ties: Array, damping: Scalar) -> tuple[Array, Array]:
    """The step dp, as (S, P) of the networks and (q,) of what segments share, of `LevenbergMarquardt`.

    norm  residual of the norm, whose derivative is the sum of those of the shares of all segments

    Each network is eliminated from the rows of its segment by a QR decomposition, which leaves k rows for the shared
    parameters; those of all segments are one small dense problem. The norm is one more row, in which everything takes
    part: with H = A^T A + mu without it, g its derivative, and H v = g, the step is y - v (g y + norm) / (1 + g v). No
    A^T A is formed, which would lose half of the digits.
    """
    root = jnp.sqrt(damping)
    gradient_own, gradient = linear.own[:, -1], jnp.einsum("sk,skq->q", linear.shared[:, -1], ties)
    squares = jnp.einsum("snk,snl->skl", linear.shared[:, :-1], linear.shared[:, :-1])
    longest = jnp.max(jnp.sum(linear.own**2, axis=1), axis=1, keepdims=True)
    length_own = jnp.sqrt(jnp.broadcast_to(longest, linear.own[:, 0].shape))
    length = jnp.sqrt(jnp.einsum("skq,skl,slq->q", ties, squares, ties) + gradient**2)
    inverse_own, inverse = (jnp.where(part > 0, 1 / jnp.where(part > 0, part, 1), 0) for part in (length_own, length))
    gradient_own, gradient, ties = gradient_own * inverse_own, gradient * inverse, ties * inverse

    rows = linear.own[:, :-1] * inverse_own[:, None], linear.shared[:, :-1], linear.rows[:, :-1]
    solved, pulled, left = jax.vmap(_eliminate, (0, 0, 0, 0, None))(*rows, gradient_own, root)
    k = linear.shared.shape[2]
    forced = gradient - jnp.einsum("sk,skq->q", pulled, ties)
    reduced = jnp.einsum("skl,slq->skq", left[:, :, :k], ties).reshape(len(left) * k, gradient.size)
    shared, along = _solve(reduced, left[:, :, k].ravel(), forced, root)
    coupling = jnp.einsum("spk,skq->spq", solved[:, :, :k], ties)
    own, along_own = -solved[:, :, k] - coupling @ shared, solved[:, :, k + 1] - coupling @ along
    ahead = jnp.sum(gradient_own * own) + gradient @ shared + norm
    share = ahead / (1 + jnp.sum(gradient_own * along_own) + gradient @ along)
    return inverse_own * (own - share * along_own), inverse * (shared - share * along)


@one_by_one
def _eliminate(own: Array, shared: Array, right: Array, gradient: Array, root: Scalar) -> tuple[Array, Array, Array]:
    """What one segment with own (n, P), shared (n, k), right (n,) and gradient (P,) leaves to the others.

    With R from the QR decomposition of (own, shared, right) above root I in the first P columns: R11^-1 (R12, R13,
    R11^-T gradient) (P, k + 2), R12^T R11^-T gradient (k,), and the rows R22, R23 (k, k + 1) that are left.
    """
    basis = None
    if own.shape[1] > own.shape[0] + 1:  # a step lies in the span of the rows and the gradient
        basis, triangle = jnp.linalg.qr(jnp.concatenate([own.T, gradient[:, None]], axis=1))
        own, gradient = triangle[:, :-1].T, triangle[:, -1]
    size, k = own.shape[1], shared.shape[1]
    top = jnp.concatenate([own, shared, right[:, None]], axis=1)
    top = jnp.pad(top, ((0, max(k - len(top), 0)), (0, 0)))  # fewer rows than shared parameters leave k rows too
    below = jnp.concatenate([root * jnp.eye(size, dtype=own.dtype), jnp.zeros((size, k + 1), own.dtype)], axis=1)
    triangle = jnp.linalg.qr(jnp.concatenate([top, below]), mode="r")
    corner, beside = triangle[:size, :size], triangle[:size, size:]
    force = solve_triangular(corner, gradient, trans=1)
    solved = solve_triangular(corner, jnp.concatenate([beside, force[:, None]], axis=1))
    return solved if basis is None else basis @ solved, beside[:, :k].T @ force, triangle[size : size + k, size:]


@one_by_one
def _solve(rows: Array, right: Array, force: Array, root: Scalar) -> tuple[Array, Array]:
    """y that minimises |rows y + right|^2 + |root y|^2, and v with (rows^T rows + root^2) v = force."""
    size = force.size
    if not size:
        return force, force
    matrix = jnp.concatenate([rows, root * jnp.eye(size, dtype=rows.dtype)])
    right = jnp.concatenate([right, jnp.zeros(size, rows.dtype)])
    triangle = jnp.linalg.qr(jnp.concatenate([matrix, right[:, None]], axis=1), mode="r")
    corner = triangle[:size, :size]
    return -solve_triangular(corner, triangle[:size, size]), solve_triangular(
        corner, solve_triangular(corner, force, trans=1)
    )


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
    none = jnp.zeros_like(energy)
    record = Record(terms["pde"], terms["norm"], terms.get("orthogonality", none), energy, none)
    return record.loss, record


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
