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

from qpinn.training.lanes import Lanes, System, alike
from qpinn.training.optimizers import Record
from qpinn.training.starts import Start
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
    """The two keys of a run, for its first parameters and for its points: (2,)."""
    return jax.random.split(jax.random.key(seed))


def compiler_options(quick: bool) -> dict[str, Any]:
    """Options of XLA that shorten compiling on a CPU; with `quick` compiled programmes run slower.

    One run of the default route takes 0.05 s more and compiles in two thirds of the time. Other devices have none.
    """
    if jax.default_backend() != "cpu":
        return {}
    options: dict[str, Any] = {"xla_backend_optimization_level": 0} if quick else {}
    if jax.__version_info__ < (0, 11):  # later versions have no such option
        options["xla_cpu_use_fusion_emitters"] = False
    return options


def begin(
    system: System, seed: Scalar, start: Start, place: Any = 0, inherited: Params | None = None
) -> tuple[Carry, Scalar]:
    """What training starts from, and its E: what `start` makes of random parameters, or of `inherited` ones of psi."""
    equation, optimizer, sampling = system
    init_key, points_key = keys(seed)
    points = sampling.draw(jax.random.fold_in(points_key, 0))
    params = equation.init(init_key)
    if inherited is not None:
        params = {**params, "psi": inherited}
    params, energy = start(equation, params, points, place)
    carry = Carry(optimizer.init(equation, params, points), jnp.zeros((), int), jnp.ones((), bool))
    return carry, energy


def run_chunk(system: System, carry: Carry, seed: Scalar, active: Scalar, length: int) -> tuple[Carry, Record]:
    """`length` steps on one drawing of points, of which the first `active` count: (carry, records of all steps).

    The points come from the seed and the number of the step, so that a run that goes on draws the same.

    A step whose loss, energy or size is not finite is not taken, and nor is any after it.
    """
    equation, optimizer, sampling = system
    points = sampling.draw(jax.random.fold_in(keys(seed)[1], carry.good))

    def body(carry: Carry, i: Scalar) -> tuple[Carry, Record]:
        state, record = optimizer.step(equation, carry.state, points)
        finite = jnp.all(jnp.isfinite(jnp.stack([jnp.asarray(value) for value in jax.tree.leaves(record)])))
        wanted = i < active
        taken = carry.alive & finite & wanted
        state = jax.tree.map(lambda new, old: jnp.where(taken, new, old), state, carry.state)
        return Carry(state, carry.good + taken.astype(int), carry.alive & (finite | ~wanted)), record

    return jax.lax.scan(body, carry, jnp.arange(length))


Chunk = Callable[[Carry, Scalar, Scalar], tuple[Carry, Record]]


def begin_lanes(
    lanes: Lanes, seed: Scalar, places: Array, start: Start, inherited: Params | None = None
) -> tuple[Carry, Scalar]:
    """`begin` for every lane, that of number k at place `places` (lanes,) of its Ritz problem."""
    return lanes.over(lambda system, place, psi: begin(system, seed, start, place, psi), places, inherited)


def run_lanes(lanes: Lanes, carry: Carry, seed: Scalar, active: Scalar, length: int) -> tuple[Carry, Record]:
    """`run_chunk` for every lane of `carry`; records are (lanes, length).

    On a CPU one lane after the other: a batch of them is no faster (docs/sweeps.md has the same of starts).
    """
    one_by_one = jax.default_backend() == "cpu"
    return lanes.over(lambda system, own: run_chunk(system, own, seed, active, length), carry, one_by_one=one_by_one)


@dataclasses.dataclass(frozen=True)
class Course:
    """How to start, how many steps to take, and how many at most between two callbacks."""

    start: Start
    steps: int
    chunk: int

    @property
    def length(self) -> int:
        """Steps of a compiled chunk."""
        return min(self.chunk, self.steps)


@dataclasses.dataclass(frozen=True)
class Programme:
    """Compiled `begin_lanes` (lanes, seed, places) and `run_lanes` (lanes, carry, seed, active), and the seconds."""

    begin: Callable[..., Any]
    chunk: Callable[..., Any]
    seconds: float


QUICK = 2e6
"""Steps x residuals x parameters below which less compiling is worth more than faster steps."""


def compile_lanes(
    lanes: Lanes, seed: Scalar, places: Array, course: Course, inherited: Params | None = None
) -> Programme:
    """Programmes for these shapes."""
    begun = time.perf_counter()
    quick = compiler_options(quick=True)
    jitted = jax.jit(begin_lanes, static_argnames=("start",), compiler_options=quick)
    lowered = jitted.lower(lanes, seed, places, course.start, inherited=inherited)
    carry, _ = lowered.out_info
    work = float(course.steps) * _size(carry.state.params) * _size(lanes.system.sampling)
    options = compiler_options(quick=work < QUICK)
    run = jax.jit(partial(run_lanes, length=course.length), donate_argnums=1, compiler_options=options)
    chunk = run.lower(lanes, carry, seed, jnp.asarray(course.length)).compile()
    return Programme(lowered.compile(), chunk, time.perf_counter() - begun)


def _size(tree: Any) -> int:
    """Number of numbers in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def together(
    lanes: Lanes, seed: Scalar, places: Array, course: Course, callbacks: Sequence[Callback] = (),
    inherited: Params | None = None,
) -> Fit:  # fmt: skip
    """Train all lanes side by side; lane k starts at place `places` (lanes,) of its Ritz problem, if it has one."""
    programme = compile_lanes(lanes, seed, places, course, inherited)
    carry, energy = programme.begin(lanes, seed, places, inherited=inherited)
    trained = fit(partial(programme.chunk, lanes), carry, seed, course, callbacks)
    seconds = {**trained.seconds, "compile": programme.seconds}
    return dataclasses.replace(trained, energy_start=np.asarray(energy), seconds=seconds)


def in_turn(
    systems: Sequence[System], seed: int, course: Course, weight: float, callbacks: Sequence[Callback] = ()
) -> Fit:
    """Train one function after the other, each from a seed of its own, which follows from `seed`.

    To the loss of each is added weight sum_j <psi_j|psi>^2 over those that were trained before it. Where one is stopped
    or not finite, those after it stay what they start from.
    """
    count, ansatz = len(systems), systems[0].equation.ansatz
    shapes = jax.eval_shape(ansatz.init, jax.random.key(0))
    below = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), shapes)
    place = jnp.zeros(1, int)

    def turn(k: int) -> Lanes:
        weights = jnp.asarray(np.where(np.arange(count) < k, weight, 0.0), ansatz.dtype)
        equation = dataclasses.replace(systems[k].equation, below=below, weight_below=weights)
        return alike(systems[k]._replace(equation=equation))

    programme = compile_lanes(turn(0), jnp.asarray(seed), place, course)
    fits: list[Fit] = []
    for k in range(count):
        system, turn_seed = turn(k), jnp.asarray(_seed_of_turn(seed, k))
        carry, energy = programme.begin(system, turn_seed, place, inherited=None)
        if fits and fits[-1].status != "finished":
            left = dataclasses.replace(fits[-1], params=carry.state.params, history={}, losses=np.full(1, np.nan))
        else:
            left = fit(partial(programme.chunk, system), carry, turn_seed, course, callbacks, (k, count))
            below = jax.tree.map(lambda every, new, k=k: every.at[k].set(new[0]), below, left.params["psi"])
        fits.append(dataclasses.replace(left, energy_start=np.asarray(energy)))
    trained = [one for one in fits if one.history]
    history = {name: np.concatenate([one.history[name] for one in trained]) for name in fits[0].history}
    history["state"] = np.repeat(np.arange(len(trained)), [len(one.history["step"]) for one in trained])
    return dataclasses.replace(
        fits[-1],
        params=jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(one.params for one in fits)),
        history=history,
        losses=np.concatenate([one.losses for one in fits]),
        energy_start=np.concatenate([one.energy_start for one in fits]),
        seconds={"train": sum(one.seconds["train"] for one in trained), "compile": programme.seconds},
    )


def _seed_of_turn(seed: int, turn: int) -> int:
    """The seed of a turn, such that no two turns of any seeds share one."""
    return int(jax.random.bits(jax.random.fold_in(jax.random.key(seed), turn)) >> 1) if turn else seed


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
        columns.append(history(records, done, counted, time.perf_counter() - begun))
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
    return Fit(
        params=carry.state.params, history=_joined(columns), losses=losses, energy_start=unknown, steps=done,
        seconds=seconds, status=status, asked=any(asked),
    )  # fmt: skip


def _joined(columns: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The history of all chunks, one entry for each step and lane."""
    return {name: np.concatenate([column[name] for column in columns]).ravel() for name in columns[0]}


def history(records: Record, done: int, counted: int, seconds: float) -> dict[str, np.ndarray]:
    """Columns (steps, lanes) of the history: step, state, terms of the loss, their total, E, step_size, seconds."""

    def column(values: Any) -> np.ndarray:
        return np.asarray(values, np.float64).T[:counted]

    total = column(records.loss)
    return {
        "step": np.broadcast_to(done + np.arange(counted)[:, None], total.shape),
        "state": np.broadcast_to(np.arange(total.shape[1]), total.shape),
        **{name: column(values) for name, values in records.losses.items()},
        "total": total,
        **{name: column(values) for name, values in records.report.items()},
        "step_size": column(records.step_size),
        "seconds": np.full(total.shape, seconds),
    }
