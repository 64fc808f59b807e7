"""The training loop: chunks of steps, each one compiled scan, with callbacks between them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qpinn.equations.eigenvalue import Problem
from qpinn.geometry.quadrature import Sampling
from qpinn.training import ritz
from qpinn.training.optimizers import Optimizer, Record
from qpinn.typing import Array, Params, Scalar


class Carry(NamedTuple):
    """State of the optimiser, and the number of good steps so far; a start that meets a NaN stops counting."""

    state: Any
    good: Scalar
    alive: Scalar


class Progress(NamedTuple):
    """What a callback sees between chunks. A true return value ends it.

    loss, energy      the largest loss, the lowest state's E
    params, history   as in `Fit`, on the host: of the mesh, or of the state whose turn it is, that is trained
    """

    step: int
    steps: int
    loss: float
    energy: float
    params: Params
    history: Callable[[], dict[str, np.ndarray]]


Callback = Callable[[Progress], bool | None]


@dataclasses.dataclass(frozen=True)
class Fit:
    """Result of a training of one or more lanes.

    params        with an axis of lanes
    history       columns with an entry for each step and lane
    losses        (lanes,) at the last step; NaN for a lane whose turn did not come
    energy_start  (lanes,)
    seconds       compile, train
    status        "finished", "stopped" (by a callback) or "non-finite" (then `params` is the last good state, after
                  `steps` good steps)
    asked         whether a callback wanted the end, even if it had come already
    """

    params: Params
    history: dict[str, np.ndarray]
    losses: np.ndarray
    energy_start: np.ndarray
    steps: int
    seconds: dict[str, float]
    status: str
    asked: bool


def keys(seed: Scalar) -> Array:
    """The two keys of a seed, or of a key in place of one, for first parameters and for points: (2,)."""
    key = seed if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key) else jax.random.key(seed)
    return jax.random.split(key)


def compiler_options(quick: bool) -> dict[str, Any]:
    """Options of XLA that shorten compiling on a CPU: `quick` gives up run time for it, the other only in name.

    One run of the default route takes 0.05 s more and compiles in two thirds of the time. Other devices have none.
    """
    if jax.default_backend() != "cpu":
        return {}
    options: dict[str, Any] = {"xla_backend_optimization_level": 0} if quick else {}
    if jax.__version_info__ < (0, 11):  # later versions have no such option
        options["xla_cpu_use_fusion_emitters"] = False
    return options


System = tuple[Problem, Optimizer, Sampling]
"""What is trained, how, and where the residual is taken."""


def begin(
    problem: Problem,
    optimizer: Optimizer,
    sampling: Sampling,
    seed: Scalar,
    start: str,
    state: Any = 0,
    inherited: Params | None = None,
) -> tuple[Carry, Scalar]:
    """What training starts from, and its E: random parameters, or level `state` of a Ritz problem on them.

    In place of random ones may stand `inherited` parameters of psi.
    """
    init_key, points_key = keys(seed)
    points = sampling.draw(jax.random.fold_in(points_key, 0))
    params = problem.init(init_key)
    if inherited is not None:
        params = {**params, "psi": inherited}
    energy = problem.energy(params, points)
    if start == "ritz":
        params, energy = ritz.start(problem, params, points, problem.ansatz.sector(state))
    carry = Carry(optimizer.init(problem, params, points), jnp.zeros((), int), jnp.ones((), bool))
    return carry, energy


def run_chunk(
    problem: Problem, optimizer: Optimizer, sampling: Sampling, carry: Carry, seed: Scalar, active: Scalar, length: int
) -> tuple[Carry, Record]:
    """`length` steps on one drawing of points, of which the first `active` count: (carry, records of all steps).

    The points come from the seed and the number of the step, so that a run that goes on draws the same.

    A step whose loss, energy or size is not finite is not taken, and nor is any after it.
    """
    points = sampling.draw(jax.random.fold_in(keys(seed)[1], carry.good))

    def body(carry: Carry, i: Scalar) -> tuple[Carry, Record]:
        state, record = optimizer.step(problem, carry.state, points)
        finite = jnp.all(jnp.isfinite(jnp.stack([jnp.asarray(value) for value in record])))
        wanted = i < active
        taken = carry.alive & finite & wanted
        state = jax.tree.map(lambda new, old: jnp.where(taken, new, old), state, carry.state)
        return Carry(state, carry.good + taken.astype(int), carry.alive & (finite | ~wanted)), record

    return jax.lax.scan(body, carry, jnp.arange(length))


Chunk = Callable[[Carry, Scalar, Scalar], tuple[Carry, Record]]


def begin_lanes(
    problem: Problem,
    optimizer: Optimizer,
    sampling: Sampling,
    seed: Scalar,
    start: str,
    states: int,
    inherited: Params | None = None,
) -> tuple[Carry, Scalar]:
    """`begin` for the states 0, 1, ..., each a lane with parameters of its own: every array with an axis (states,)."""
    values, of = problem.lanes(states)

    def own(lane: Any, k: Scalar, psi: Params | None) -> tuple[Carry, Scalar]:
        return begin(of(lane), optimizer, sampling, seed, start, k, psi)

    return jax.vmap(own)(values, jnp.arange(states), inherited)


def run_lanes(
    problem: Problem, optimizer: Optimizer, sampling: Sampling, carry: Carry, seed: Scalar, active: Scalar, length: int
) -> tuple[Carry, Record]:
    """`run_chunk` for every lane of `carry`; records are (states, length).

    On a CPU one lane after the other: a batch of them is no faster (docs/sweeps.md has the same of starts).
    """

    values, of = problem.lanes(carry.good.shape[0])

    def own(lane: tuple[Any, Carry]) -> tuple[Carry, Record]:
        return run_chunk(of(lane[0]), optimizer, sampling, lane[1], seed, active, length)

    return jax.lax.map(own, (values, carry)) if jax.default_backend() == "cpu" else jax.vmap(own)((values, carry))


@dataclasses.dataclass(frozen=True)
class Course:
    """How to start, "random" or "ritz", how many steps to take, and how many at most between two callbacks."""

    start: str
    steps: int
    chunk: int

    @property
    def length(self) -> int:
        """Steps of a compiled chunk."""
        return min(self.chunk, self.steps)


@dataclasses.dataclass(frozen=True)
class Programme:
    """Compiled `begin_lanes` (system, seed) and `run_lanes` (system, carry, seed, active), and the seconds it took."""

    begin: Callable[..., Any]
    chunk: Callable[..., Any]
    seconds: float


QUICK = 2e6
"""Steps x residuals x parameters below which less compiling is worth more than faster steps."""


def compile_lanes(
    system: System, seed: Scalar, course: Course, lanes: int, inherited: Params | None = None
) -> Programme:
    """Programmes for these shapes."""
    begun = time.perf_counter()
    quick = compiler_options(quick=True)
    jitted = jax.jit(begin_lanes, static_argnames=("start", "states"), compiler_options=quick)
    lowered = jitted.lower(*system, seed, course.start, lanes, inherited=inherited)
    carry, _ = lowered.out_info
    parameters, points = (sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (carry.state.params, system[2]))
    options = compiler_options(quick=float(course.steps) * parameters * points < QUICK)
    run = jax.jit(partial(run_lanes, length=course.length), donate_argnums=3, compiler_options=options)
    chunk = run.lower(*system, carry, seed, jnp.asarray(course.length)).compile()
    return Programme(lowered.compile(), chunk, time.perf_counter() - begun)


def together(
    system: System, seed: Scalar, course: Course, lanes: int, callbacks: Sequence[Callback] = (),
    inherited: Params | None = None,
) -> Fit:  # fmt: skip
    """Train `lanes` functions side by side, for levels 0, 1, ... where the start is Ritz's."""
    programme = compile_lanes(system, seed, course, lanes, inherited)
    carry, energy = programme.begin(*system, seed, inherited=inherited)
    found = fit(partial(programme.chunk, *system), carry, seed, course, callbacks)
    seconds = {**found.seconds, "compile": programme.seconds}
    return dataclasses.replace(found, energy_start=np.asarray(energy), seconds=seconds)


def in_turn(
    system: System, seed: Scalar, course: Course, lanes: int, weight: float, callbacks: Sequence[Callback] = ()
) -> Fit:
    """Train one function after the other, number k from the key that k makes of `seed`.

    To the loss of each is added weight sum_j <psi_j|psi>^2 over those that were trained before it. Where one is stopped
    or not finite, those after it stay what they start from.
    """
    problem, optimizer, sampling = system
    (values, _), _ = problem.lanes(lanes)
    shapes = jax.eval_shape(problem.ansatz.init, jax.random.key(0))
    below = jax.tree.map(lambda leaf: jnp.zeros((lanes, *leaf.shape), leaf.dtype), shapes)

    def turn(k: int) -> System:
        weights = jnp.asarray(np.where(np.arange(lanes) < k, weight, 0.0), values.dtype)
        own = dataclasses.replace(problem, energy_value=values[k : k + 1], below=below, weight_below=weights)
        return own, optimizer, sampling

    each = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(np.arange(lanes))
    programme = compile_lanes(turn(0), each[0], course, 1)
    fits: list[Fit] = []
    for k in range(lanes):
        own = turn(k)
        carry, energy = programme.begin(*own, each[k], inherited=None)
        if fits and fits[-1].status != "finished":
            left = dataclasses.replace(fits[-1], params=carry.state.params, history={}, losses=np.full(1, np.nan))
        else:
            left = fit(partial(programme.chunk, *own), carry, each[k], course, callbacks, (k, lanes))
            below = jax.tree.map(lambda every, new, k=k: every.at[k].set(new[0]), below, left.params["psi"])
        fits.append(dataclasses.replace(left, energy_start=np.asarray(energy)))
    trained = [own for own in fits if own.history]
    history = {name: np.concatenate([own.history[name] for own in trained]) for name in fits[0].history}
    history["state"] = np.repeat(np.arange(len(trained)), [len(own.history["step"]) for own in trained])
    return dataclasses.replace(
        fits[-1],
        params=jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(own.params for own in fits)),
        history=history,
        losses=np.concatenate([own.losses for own in fits]),
        energy_start=np.concatenate([own.energy_start for own in fits]),
        seconds={"train": sum(own.seconds["train"] for own in trained), "compile": programme.seconds},
    )


def fit(
    chunk: Chunk, carry: Carry, seed: Scalar, course: Course, callbacks: Sequence[Callback] = (),
    turn: tuple[int, int] = (0, 1),
) -> Fit:  # fmt: skip
    """Train all lanes with a compiled `chunk`. One NaN ends them all.

    turn  how many such trainings went before, and how many there are: for callbacks
    """
    begun = time.perf_counter()
    columns: list[dict[str, np.ndarray]] = []
    steps = course.steps
    done, status, asked = 0, "finished", [False]
    while done < steps and status == "finished":
        active = min(course.length, steps - done)
        carry, records = chunk(carry, seed, jnp.asarray(active))
        alive, good = bool(np.all(carry.alive)), int(np.min(carry.good))
        counted = active if alive else good - done + 1
        columns.append(_columns(records, done, counted, time.perf_counter() - begun))
        done = done + active if alive else good
        if not alive:
            status = "non-finite"
        last = columns[-1]
        progress = Progress(
            step=done + turn[0] * steps,
            steps=turn[1] * steps,
            loss=float(np.max(last["total"][-1])),
            energy=float(last["energy"][-1, 0]),
            params=jax.tree.map(np.array, carry.state.params),  # copies: the next chunk takes the arrays
            history=partial(_joined, tuple(columns)),
        )
        asked = [bool(callback(progress)) for callback in callbacks]  # every one of them sees the progress
        whole = done == steps and turn[0] + 1 == turn[1]
        if any(asked) and status == "finished" and not whole:
            status = "stopped"
    seconds = {"compile": 0.0, "train": time.perf_counter() - begun}
    losses, unknown = columns[-1]["total"][-1], np.full(len(carry.good), np.nan)
    return Fit(carry.state.params, _joined(columns), losses, unknown, done, seconds, status, any(asked))


def _joined(columns: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The history of all chunks, one entry for each step and lane."""
    return {name: np.concatenate([column[name] for column in columns]).ravel() for name in columns[0]}


def _columns(records: Record, done: int, counted: int, seconds: float) -> dict[str, np.ndarray]:
    values = {name: np.asarray(value, np.float64).T[:counted] for name, value in records._asdict().items()}
    shape = values["energy"].shape
    return {
        "step": np.broadcast_to(done + np.arange(counted)[:, None], shape),
        "state": np.broadcast_to(np.arange(shape[1]), shape),
        "pde": values["pde"],
        "norm": values["norm"],
        "orthogonality": values["orthogonality"],
        "total": np.asarray(records.loss, np.float64).T[:counted],
        "energy": values["energy"],
        "step_size": values["step_size"],
        "seconds": np.full(shape, seconds),
    }
