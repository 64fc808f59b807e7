"""The training loop: lanes side by side, in chunks of steps, each one compiled scan, with callbacks between them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.geometry.quadrature import Points
from qpinn.training.fit import Callback, Fit, History, Progress, Snapshot, concatenated, history, joined, rows
from qpinn.training.lanes import Lanes, System
from qpinn.training.optimizers import Record
from qpinn.training.starts import Start
from qpinn.typing import Array, Params, Scalar


class Carry(NamedTuple):
    """The memory of the optimiser, the number of good steps so far, and whether the next one may be taken."""

    state: Any
    good: Scalar
    alive: Scalar


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


def drawn(system: System) -> tuple[Params, Points]:
    """Random parameters and the first points of a training, both from its seed."""
    init_key, points_key = keys(system.seed)
    return system.equation.init(init_key), system.sampling.draw(jax.random.fold_in(points_key, 0))


def begin(system: System, start: Start, inherited: Params | None = None) -> tuple[Carry, dict[str, Scalar]]:
    """What training starts from, and numbers of the equation there.

    `start` is given random parameters, those of psi replaced by `inherited` ones where there are any.
    """
    params, points = drawn(system)
    if inherited is not None:
        params = {**params, "psi": inherited}
    params, report = start(system.equation, params, points, system.level)
    state = system.optimizer.init(system.equation, params, points)
    return Carry(state, jnp.zeros((), int), jnp.ones((), bool)), report


def parameter_shapes(lanes: Lanes) -> Params:
    """Shapes of the parameters of all lanes."""

    def init(system: System) -> Params:
        return system.equation.init(jax.random.key(0))

    return lanes.shapes(jax.eval_shape(lambda lanes: lanes.over(init), lanes))


def run_chunk(system: System, carry: Carry, active: Scalar, length: int) -> tuple[Carry, Record]:
    """`length` steps on one drawing of points, of which only the first `active` count; and the records of all.

    The points come from the seed and the number of the step, so that a run that goes on draws the same. A step whose
    loss, numbers or size are not finite is not taken, and nor is any after it.
    """
    equation, optimizer, sampling, seed, _ = system
    points = sampling.draw(jax.random.fold_in(keys(seed)[1], carry.good))

    def body(carry: Carry, i: Scalar) -> tuple[Carry, Record]:
        state, record = optimizer.step(equation, carry.state, points)
        finite = jnp.all(jnp.isfinite(jnp.stack([jnp.asarray(value) for value in jax.tree.leaves(record)])))
        wanted = i < active
        taken = carry.alive & finite & wanted
        state = jax.tree.map(lambda new, old: jnp.where(taken, new, old), state, carry.state)
        return Carry(state, carry.good + taken.astype(int), carry.alive & (finite | ~wanted)), record

    return jax.lax.scan(body, carry, jnp.arange(length))


def begin_lanes(
    lanes: Lanes, start: Start, inherited: Params | None = None
) -> tuple[Carry, dict[str, Float[Array, "lanes"]]]:
    """`begin` of every lane."""
    return lanes.over(lambda system, psi: begin(system, start, psi), inherited)


def run_lanes(lanes: Lanes, carry: Carry, active: Scalar, length: int, one_by_one: bool) -> tuple[Carry, Record]:
    """`run_chunk` of every lane of `carry`; records are (lanes, length)."""
    return lanes.over(lambda system, carry: run_chunk(system, carry, active, length), carry, one_by_one=one_by_one)


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


class Compiled(NamedTuple):
    """`begin` (lanes, inherited) and `chunk` (lanes, carry, active), compiled for lanes of these shapes; seconds.

    carry  the shapes of the carry of all lanes
    """

    begin: Callable[..., Any]
    chunk: Callable[..., Any]
    carry: Carry
    seconds: float


QUICK = 2e6
"""Steps x residuals x parameters below which less compiling is worth more than faster steps."""


def compiled(lanes: Lanes, course: Course, inherited: Params | None = None, runs: int = 1) -> Compiled:
    """Programmes that will be run `runs` times.

    On a CPU the lanes of one device are trained one after the other: a batch of them is no faster, but for many starts,
    whose number on a core was chosen for that (docs/sweeps.md).
    """
    begun = time.perf_counter()
    lowered = jax.jit(begin_lanes, static_argnames="start").lower(lanes, course.start, inherited=inherited)
    carry, _ = lanes.shapes(lowered.out_info)
    work_of_step = float(runs) * _size(carry.state.params) * _size(lanes.system.sampling)

    def options(steps: int) -> dict[str, Any]:
        return compiler_options(quick=steps * work_of_step < QUICK)

    one_by_one = jax.default_backend() == "cpu" and lanes.devices is None
    run = jax.jit(partial(run_lanes, length=course.length, one_by_one=one_by_one), donate_argnums=1)
    chunk = run.lower(lanes, carry, jnp.asarray(course.length)).compile(compiler_options=options(course.steps))
    start = lowered.compile(compiler_options=options(getattr(course.start, "steps", 1)))
    return Compiled(start, chunk, carry, time.perf_counter() - begun)


def _size(tree: Any) -> int:
    """Number of numbers in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def together(
    lanes: Lanes, course: Course, callbacks: Sequence[Callback] = (), inherited: Params | None = None, *,
    number: int = 0, snapshots: Sequence[Snapshot] = (),
) -> Fit:  # fmt: skip
    """Train all lanes side by side; see `fit`."""
    programmes = compiled(lanes, course, inherited)
    trained = fit(programmes, lanes, course, callbacks, inherited, number=number, snapshots=snapshots)
    return dataclasses.replace(trained, seconds={**trained.seconds, "compile": programmes.seconds})


def fit(
    programmes: Compiled, lanes: Lanes, course: Course, callbacks: Sequence[Callback] = (),
    inherited: Params | None = None, *, turn: tuple[int, int] = (0, 1), kept: Sequence[str] | None = None,
    number: int = 0, snapshots: Sequence[Snapshot] = (),
) -> Fit:  # fmt: skip
    """Train lanes with compiled programmes. A lane that meets a NaN is frozen; the others go on.

    turn       how many such trainings went before on this mesh, and how many there are: for callbacks
    kept       columns of the history that are kept; by default all
    number     of this training in the run
    snapshots  of the trainings of the run, in their order: where there is one of this number it goes on from there
    """
    begun = time.perf_counter()
    steps, asked = course.steps, [False]
    chunks: list[History] = []
    if number < len(snapshots):
        carry, start = _restored(programmes.carry, snapshots[number]), snapshots[number].start
        chunks, done = list(snapshots[number].chunks), snapshots[number].done
        begun -= max((float(np.max(chunk["seconds"])) for chunk in chunks if "seconds" in chunk), default=0.0)
    else:
        carry, start = programmes.begin(lanes, inherited=inherited)
        done = 0
    good, alive = np.array(carry.good), np.array(carry.alive)
    status = "finished" if alive.any() else "non-finite"
    while done < steps and status == "finished":
        active = min(course.length, steps - done)
        carry, records = programmes.chunk(lanes, carry, jnp.asarray(active))
        good, alive = np.array(carry.good), np.array(carry.alive)
        chunks.append(history(records, active, time.perf_counter() - begun, kept))
        done += active
        if not alive.any():
            status = "non-finite"
        if callbacks:
            first, totals = int(np.argmax(alive)), np.asarray(records.loss)[:, active - 1]
            progress = Progress(
                step=turn[0] * steps + (done if alive.any() else int(good.max())),
                steps=turn[1] * steps,
                loss=float(np.max(totals[alive])) if alive.any() else np.nan,
                report={name: float(values[first, active - 1]) for name, values in records.report.items()},
                params=jax.tree.map(np.array, carry.state.params),  # copies: the next chunk takes the arrays
                rows=partial(rows, tuple(chunks), good, alive),
                training=number,
                ended=done == steps or not alive.any(),
                snapshot=partial(_snapshot, carry, start, tuple(chunks), done),
            )
            asked = [bool(callback(progress)) for callback in callbacks]  # every one of them sees the progress
            whole = done == steps and turn[0] + 1 == turn[1]
            if any(asked) and status == "finished" and not whole:
                status = "stopped"
    if not alive.all():
        status = "non-finite"
    return Fit(
        params=carry.state.params, start={name: np.asarray(value, np.float64) for name, value in start.items()},
        history=joined(chunks), steps=good, alive=alive, status=status, asked=any(asked),
        seconds={"compile": 0.0, "train": time.perf_counter() - begun},
    )  # fmt: skip


def _snapshot(carry: Carry, start: Mapping[str, Any], chunks: Sequence[History], done: int) -> Snapshot:
    """Copies, since the next chunk takes the arrays of the carry."""
    numbers = {name: np.array(value, np.float64) for name, value in start.items()}
    return Snapshot([np.array(leaf) for leaf in jax.tree.leaves(carry)], numbers, chunks, done)


def _restored(shapes: Carry, snapshot: Snapshot) -> Carry:
    """The carry of a snapshot. Raises ValueError if its leaves are not those of this training."""
    leaves, treedef = jax.tree.flatten(shapes)
    wanted = [(leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves]
    if wanted != [(leaf.shape, leaf.dtype) for leaf in snapshot.carry]:
        raise ValueError("the save is of another training, or of another version of qpinn or JAX")
    placed = [jax.device_put(saved, leaf.sharding) for saved, leaf in zip(snapshot.carry, leaves, strict=True)]
    return jax.tree.unflatten(treedef, placed)


def in_turn(
    programmes: Compiled, lanes_after: Callable[[Sequence[Params]], Lanes], count: int, course: Course,
    callbacks: Sequence[Callback] = (), kept: Sequence[str] | None = None, *, number: int = 0,
    snapshots: Sequence[Snapshot] = (),
) -> Fit:  # fmt: skip
    """Train `count` blocks of lanes one after the other, each with what those before it ended with.

    programmes   for each of the blocks, all of the same shapes
    lanes_after  the block whose turn it is, from the parameters of those that were trained before it

    The lanes of the result are those of the first block, then those of the second, and so on. Where one is stopped,
    those after it stay what they start from.
    """
    fits: list[Fit] = []
    for k in range(count):
        lanes = lanes_after([trained.params for trained in fits])
        if not fits or not fits[-1].asked:
            fits.append(fit(programmes, lanes, course, callbacks, turn=(k, count), kept=kept, number=number + k,
                            snapshots=snapshots))  # fmt: skip
            continue
        carry, start = programmes.begin(lanes, inherited=None)
        fits.append(dataclasses.replace(
            fits[-1], params=carry.state.params, steps=np.zeros(lanes.count, int), alive=np.ones(lanes.count, bool),
            history={name: column[:0] for name, column in fits[-1].history.items()},
            seconds=dict.fromkeys(fits[-1].seconds, 0.0),
            start={name: np.asarray(value, np.float64) for name, value in start.items()},
        ))  # fmt: skip
    whole = concatenated(fits)
    return dataclasses.replace(whole, seconds={**whole.seconds, "compile": programmes.seconds})


def seeds_of_turn(seeds: Any, turn: int) -> np.ndarray:
    """Seeds (...) of a turn, such that no two turns of any seeds share one."""
    if turn == 0:
        return np.asarray(seeds)

    def of_turn(seed: Scalar) -> Array:
        return jax.random.bits(jax.random.fold_in(jax.random.key(seed), turn)) >> 1

    return np.asarray(jax.vmap(of_turn)(jnp.ravel(jnp.asarray(seeds)))).astype(int).reshape(np.shape(seeds))
