"""What a wave of one network is trained and measured with: the problem, psi0 as a spline, points, quadratures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from qpinn.checks import shown
from qpinn.drivers import among_states, budget, build, packet_problem
from qpinn.drivers.evolution import Evolution
from qpinn.drivers.moving import Problem
from qpinn.drivers.packet_problem import Asked
from qpinn.drivers.settings import Energy, Loss, Network, Settings
from qpinn.equations.evolution import Evolving, Fields
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import FixedPoints, RandomPoints, Sampling, gauss_legendre, tensor, uniform
from qpinn.physics.enclosure import enclose_mass, stray
from qpinn.physics.packets import Superposition
from qpinn.physics.potentials.base import deltas_of, mass_at
from qpinn.physics.survey import pieces
from qpinn.training.eigenbasis import ending
from qpinn.training.lanes import System
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.typing import Params
from qpinn.wavefunctions import spline
from qpinn.wavefunctions.networks import ROUGH
from qpinn.wavefunctions.wave import Wave

PHASE, POINTS = 6.0, (16, 12)
"""Radians of psi of the highest energy in a segment of the quadrature in x, and points of two rules in it."""

TURN, STEPS, LEAST, MOST = 6.0, (8, 6), 20, 400
"""Radians that the highest energy turns in an interval of time, points of two rules in it, and how many there are."""

PARTS, FINE = 3.0, 20_001
"""Intervals while a drive rises to its largest value, and times at which it is looked at."""

PER_RADIAN, LEAST_CELLS, MOST_CELLS = 12, 1024, 2**16
"""Cells of the splines of psi0 and f."""

SEEN, ROOM = 1e-3, 0.15
"""Of the largest |psi|, below which nothing is seen; and the room of psi at a wall that is put, in its own lengths."""

TOLERANCE = 1e-5
"""Of the default route, which a network is compared with: far below what it comes to."""

NORMED = 1e-12
"""How far from 1 a quadrature may find the square of a norm."""

AT_ONCE = 8192
"""Times and positions that psi is evaluated at."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A quadrature on which waves are measured, and the same with fewer points.

    edges    (K + 1,) of intervals of time
    t, x     of Gauss-Legendre points: (K, n) in the intervals, and (Q,)
    share    (n,) weights in an interval of length 1; weight (Q,)
    blur     (Q,) bound on the distance of V from the polynomials that the quadrature integrates, and kick: of W
    """

    edges: Float[np.ndarray, "K+1"]
    t: Float[np.ndarray, "K n"]
    share: Float[np.ndarray, "n"]
    x: Float[np.ndarray, "Q"]
    weight: Float[np.ndarray, "Q"]
    blur: Float[np.ndarray, "Q"]
    kick: Float[np.ndarray, "Q"]


# --------------------------------------------------------------------------------------------------------- the problem


def check(settings: Settings) -> None:
    """Raise ValueError for keys that mean nothing where a network of (t, x) is trained."""
    for key in ("states", "state"):
        if getattr(settings, key) is not None:
            raise ValueError(f"{key}={getattr(settings, key)}: means nothing for a packet; packet=superposition names "
                             "levels")  # fmt: skip
    if settings.start.name != "random":
        raise ValueError(f"start.name={settings.start.name}: a network of (t, x) is trained from random parameters; "
                         "allowed with ansatz=envelope: random")  # fmt: skip
    for group, own, kept in (("energy", Energy(), ()), ("loss", Loss(), ("residual", "unit"))):
        for field in dataclasses.fields(own):  # type: ignore[arg-type]
            value = getattr(getattr(settings, group), field.name)
            if field.name not in kept and value != getattr(own, field.name):
                raise ValueError(f"{group}.{field.name}={shown(value)}: means nothing for a packet; leave it out")
    if settings.network.shared:
        raise ValueError("network.shared=true: means nothing for a packet; leave it out")
    if settings.network.activation in ROUGH:
        raise ValueError(f"network.activation={settings.network.activation}: psi has kinks, and nothing could be "
                         "bounded; allowed: a smooth activation")  # fmt: skip


def problem_of(potential: Any, asked: Asked, settings: Settings) -> Problem:
    """The problem, without units. Raises ValueError for what this route does not do."""
    check(settings)
    problem = packet_problem.problem_of(potential, asked, settings)
    bare = problem.potential
    if len(deltas_of(bare)[0]):
        raise ValueError("hamiltonian.deltas: psi' jumps at a delta, and that of one network does not; leave out "
                         "ansatz=envelope")  # fmt: skip
    edges = np.unique(np.concatenate([pieces(bare), _even(problem, 257)]))
    low, high = enclose_mass(bare, edges[:-1], edges[1:])
    if np.max(high) - np.min(low) > 1e-9 * np.max(high):
        raise ValueError(f"potential={bare.name}: its mass depends on x; the wave of one network takes one mass; leave "
                         "out ansatz=envelope")  # fmt: skip
    check_size(settings, panels_of(problem))
    return problem


def panels_of(problem: Problem) -> int:
    """Panels between jumps of V, and of W."""
    return len(_jumps(problem)) - 1


def _jumps(problem: Problem) -> Float[np.ndarray, "P+1"]:
    jumps = [*problem.potential.breakpoints, *(() if problem.space is None else problem.space.breakpoints)]
    walls = _walls(problem)
    return np.unique(np.clip([*walls, *map(float, jumps)], *walls))


def points_of(settings: Settings, panels: int) -> int:
    """Points that the residual is taken at, in so many panels between jumps of V."""
    sampling = settings.sampling
    return sampling.points if sampling.name == "random" else sampling.points**2 * panels


def check_size(settings: Settings, panels: int, starts: int = 1) -> None:
    """Raise ValueError where training needs more memory than there is; starts of a sweep that are trained at once."""
    count = points_of(settings, panels if settings.sampling.name == "gauss_legendre" else 1)
    size = budget.needed(settings, 1, 1, points=4 * count)
    if settings.optimizer.name == "levenberg_marquardt":
        width, depth = settings.width, settings.network.depth
        parameters = (depth - 1) * width * (width + 1) + 5 * width + 2
        size += 2 * count * parameters * (3 + 4 * depth) * (8 if settings.precision == "float64" else 4)
    size, most = starts * size, budget.room()
    if size > most:
        raise ValueError(
            f"sampling.points={settings.sampling.points}: {count} points of (t, x) need {size / 2**30:.3g} GiB, more "
            f"than the {most / 2**30:.3g} that there are; fewer points or units"
            f"{' or a smaller sweep.block' if starts > 1 else ''} need less"
        )


def describe_route(settings: Settings) -> dict[str, Any]:
    """How the network is trained."""
    optimizer = OPTIMIZERS[settings.optimizer.name].label
    label = f"one complex network of (t, x), psi0 and walls exact, random start, {optimizer}"
    return {"label": label, "ansatz": "envelope", "start": "random", "optimizer": settings.optimizer.name,
            "sampling": settings.sampling.name, "precision": settings.precision}  # fmt: skip


# ------------------------------------------------------------------------------------------------------ psi on a grid


@jax.jit
def _psi(equation: Evolving, params: Params, tx: jax.Array) -> jax.Array:
    return jax.vmap(equation.psi, (None, 0))(params, tx)


@jax.jit
def _fields(equation: Evolving, params: Params, tx: jax.Array) -> Fields:
    return jax.vmap(equation.fields, (None, 0))(params, tx)


def _batches(
    function: Callable[..., Any], equation: Evolving, params: Params, times: Float[np.ndarray, "T"],
    x: Float[np.ndarray, "X"],
) -> Iterator[Any]:  # fmt: skip
    """Values of a compiled function of (t, x) on a grid, batch by batch, all of them of one length."""
    count = len(times) * len(x)
    for begin in range(0, count, AT_ONCE):
        at = np.minimum(np.arange(begin, begin + AT_ONCE), count - 1)
        tx = np.stack([times[at // len(x)], x[at % len(x)]], axis=1)
        with jax.enable_x64(True):
            values = jax.device_get(function(equation, params, tx))
        yield jax.tree.map(lambda leaf: np.asarray(leaf[: count - begin]), values)


def psi_on(
    equation: Evolving, params: Params, times: Float[np.ndarray, "T"], x: Float[np.ndarray, "X"]
) -> Complex[np.ndarray, "T X"]:
    """psi at each of the times and positions."""
    values = np.concatenate(list(_batches(_psi, equation, params, times, x)))
    return (values[:, 0] + 1j * values[:, 1]).reshape(len(times), len(x))


def in_blocks(
    equation: Evolving, params: Params, times: Float[np.ndarray, "T"], x: Float[np.ndarray, "X"], force: np.ndarray
) -> Iterator[tuple[Fields, np.ndarray]]:
    """Fields (T', X, 2) and f (T', 1) of some of the times after the other."""
    rows = max(1, AT_ONCE // len(x))
    for begin in range(0, len(times), rows):
        some = times[begin : begin + rows]
        parts = list(_batches(_fields, equation, params, some, x))
        whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        yield jax.tree.map(lambda leaf: leaf.reshape(-1, len(x), 2), whole), force[begin : begin + rows]


# ------------------------------------------------------------------------------------------------- what is trained, how


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """What is trained, and what it is measured by.

    problem   between walls that are near
    system    in the precision of the settings
    equation  in float64
    rules     two quadratures, the finer first
    initial   bound on |psi - exact| at the first time
    exact     by the default route, or why that does not get there
    """

    problem: Problem
    system: System
    equation: Evolving
    rules: tuple[Measure, Measure]
    initial: float
    exact: Evolution | str


def bench(potential: Any, asked: Asked, problem: Problem, settings: Settings) -> Bench:
    """`potential` and what is asked in their units, and their problem without."""
    with jax.enable_x64(True):
        return _bench(potential, asked, problem, settings)


def _bench(potential: Any, asked: Asked, problem: Problem, settings: Settings) -> Bench:
    known = exact(potential, asked, settings)
    if isinstance(known, str) and isinstance(problem.packet, Superposition):
        raise ValueError(known)
    energy = packet_problem.first_energy(problem)
    at, short = _psi0(problem, energy, known)
    problem = problem if isinstance(known, str) else nearer(problem, known)
    rules = _rules(problem, energy)
    start, apart = _start(problem, energy, rules, at)
    wave = Wave(_network(settings, "float64"), ends=(2 if problem.margins[0] else 1, 2 if problem.margins[1] else 1))
    constants = {"span": problem.times[[0, -1]], "edges": _walls(problem), "start": start}
    equation = Evolving(
        wave=wave, constants=constants, potential=problem.potential,
        mass=float(np.max(mass_at(problem.potential, rules[0].x[:, None]))),
        force=None if problem.force is None else _force(problem, energy), space=problem.space,
        weight_pde=settings.loss.residual, unit=1.0, causal=asked.causal,
    )  # fmt: skip
    unit = settings.loss.unit and settings.loss.unit / settings.units.units.scale
    equation = dataclasses.replace(equation, unit=unit or _size_of(equation, rules[0]))
    rough = dataclasses.replace(equation, wave=wave.clone(mlp=_network(settings, settings.precision)))
    optimizer = settings.optimizer.build(build.course(settings).steps)
    system = System(*build.cast(settings.precision, (rough, optimizer, _sampling(problem, settings))))
    return Bench(
        problem=problem, system=system._replace(seed=np.asarray(settings.seed), level=np.asarray(0)),
        equation=build.cast("float64", equation), rules=rules, initial=short + apart, exact=known,
    )  # fmt: skip


def exact(potential: Any, asked: Asked, settings: Settings) -> Evolution | str:
    """The same packet by the default route, which neither precision nor network of the settings touch; or why not."""
    own = Settings(network=Network(activation="sin"), units=settings.units, ends=settings.ends, tol=TOLERANCE)
    try:
        return among_states.run(potential, asked._replace(causal=0.0), own)
    except ValueError as error:
        return str(error)


def _network(settings: Settings, precision: str) -> Any:
    return build.network_of(settings.network, settings.width, precision).clone(outputs=2)


def _rules(problem: Problem, energy: float) -> tuple[Measure, Measure]:
    """Two quadratures for a wave of energies up to this."""
    edges = packet_problem.mesh_of(problem, energy, PHASE)
    marks = _marks(problem, energy)

    def rule(points: int, steps: int) -> Measure:
        on_x, on_t = gauss_legendre(Mesh(edges), points), gauss_legendre(Mesh(marks), steps)
        blur, kick = (np.zeros(len(edges) - 1) if v is None else
                      stray(v, edges[:-1], edges[1:], np.full(len(edges) - 1, points // 2))
                      for v in (problem.potential, problem.space))  # fmt: skip
        return Measure(
            edges=marks, t=np.asarray(on_t.x)[..., 0], share=np.asarray(on_t.weight[0]) / np.diff(marks)[0],
            x=np.asarray(on_x.x).ravel(), weight=np.asarray(on_x.weight).ravel(), blur=np.repeat(blur, points),
            kick=np.repeat(kick, points),
        )  # fmt: skip

    fine, coarse = (rule(*sizes) for sizes in zip(POINTS, STEPS, strict=True))
    return fine, coarse


def _marks(problem: Problem, energy: float) -> Float[np.ndarray, "K+1"]:
    """Ends of intervals of time: in each the phase of this energy and of the drive turns by `TURN` at most, and the
    drive changes by a part of all that it changes by."""
    begin, end = problem.times[[0, -1]]
    t = np.linspace(begin, end, FINE)
    turns = np.full(FINE - 1, (end - begin) * (energy - _lowest(problem)) / TURN / (FINE - 1))
    if problem.force is not None:
        f, w = np.asarray(problem.force(t), np.float64), np.asarray(problem.space.at(_even(problem, 801)[:, None]))
        turns += np.abs(f[:-1]) * float(np.max(np.abs(w))) * np.diff(t) / TURN
        turns += PARTS * np.abs(np.diff(f)) / max(float(np.abs(f).max()), 1e-300)
    done = np.concatenate([[0.0], np.cumsum(turns)])
    done += np.linspace(0.0, max(LEAST - done[-1], 0.05 * done[-1]), FINE)
    return np.interp(np.linspace(0.0, done[-1], 1 + int(np.clip(np.ceil(done[-1]), LEAST, MOST))), done, t)


def nearer(problem: Problem, known: Evolution) -> Problem:
    """The same with walls, where they were put, no farther than the packet gets to by the default route: there a
    network learns that nothing is there, and its points are wanted where something is."""
    if not any(problem.margins):
        return problem
    (left, right), x = _walls(problem), _even(problem, 2001)
    psi = np.abs(known.on(np.linspace(problem.times[0], problem.times[-1], 101), x)).max(axis=0)
    seen = x[psi > SEEN * psi.max()]
    room = ROOM * (seen[-1] - seen[0])
    places = (max(left, seen[0] - room), min(right, seen[-1] + room))
    left, right = (
        new if margin else old for new, old, margin in zip(places, (left, right), problem.margins, strict=True)
    )
    first, last = (ROOM / 2 * (right - left) if margin else 0.0 for margin in problem.margins)
    return dataclasses.replace(problem, potential=problem.potential.on(left, right), margins=(first, last))


Function = Callable[[Float[np.ndarray, "X"]], Complex[np.ndarray, "X"]]


def _psi0(problem: Problem, energy: float, known: Evolution | str) -> tuple[Function, float]:
    """psi0, normalised, and a bound on how far it is from the packet."""
    packet = problem.packet
    if isinstance(packet, Superposition):
        assert not isinstance(known, str)
        return lambda x: known.on(problem.times[:1], x)[0], known.series.initial
    rule = gauss_legendre(Mesh(packet_problem.mesh_of(problem, energy, PHASE)), POINTS[0])
    norm = math.sqrt(float(np.abs(packet.at(np.asarray(rule.x).ravel())) ** 2 @ np.asarray(rule.weight).ravel()))
    return lambda x: packet.at(x) / norm, 0.0


def _start(
    problem: Problem, energy: float, rules: tuple[Measure, Measure], at: Function
) -> tuple[spline.Spline, float]:
    """psi0 as a spline that ends at the walls, and its distance from psi0 on the whole domain."""
    walls = _walls(problem)
    x = np.linspace(
        walls[0], walls[1], 1 + _cells(float(np.ptp(walls)) * math.sqrt(max(energy - _lowest(problem), 0.0)))
    )
    values = at(x) * ending(x, walls, problem.margins)[0]
    values = values - np.interp(x, walls, values[[0, -1]])
    whole = spline.through(x, np.stack([values.real, values.imag], axis=1))
    squares = []
    for rule in rules:
        psi0, given = np.asarray(jax.vmap(whole)(jnp.asarray(rule.x))), at(rule.x)
        square = float(np.abs(psi0[:, 0] + 1j * psi0[:, 1] - given) ** 2 @ rule.weight)
        if any(problem.margins):  # there is something beyond the walls
            square += max(1.0 - float(np.abs(given) ** 2 @ rule.weight), 0.0) + NORMED
        squares.append(square)
    return whole, math.sqrt(squares[0]) + 2 * abs(math.sqrt(squares[0]) - math.sqrt(squares[1]))


def _even(problem: Problem, count: int) -> Float[np.ndarray, "count"]:
    left, right = _walls(problem)
    return np.linspace(left, right, count)


def apart(
    psi: Complex[np.ndarray, "T Q"], known: Evolution, times: Float[np.ndarray, "T"], rule: Measure, problem: Problem
) -> Float[np.ndarray, "T"]:
    """|psi - psi of the default route|, on the whole domain, of psi on a quadrature that is zero beyond its walls."""
    exact = known.on(times, rule.x)
    squares = np.abs(psi - exact) ** 2 @ rule.weight
    if any(problem.margins):
        squares = squares + np.maximum(known.squares(times) - np.abs(exact) ** 2 @ rule.weight, 0.0)
    return np.sqrt(squares)  # type: ignore[no-any-return]


def _walls(problem: Problem) -> Float[np.ndarray, "2"]:
    return np.array([float(wall) for wall in problem.potential.domain])


def _cells(radians: float) -> int:
    return int(np.clip(math.ceil(PER_RADIAN * radians), LEAST_CELLS, MOST_CELLS))


def _lowest(problem: Problem) -> float:
    """The least of V, on samples."""
    return float(np.min(problem.potential.at(_even(problem, 801)[:, None])))


def _force(problem: Problem, energy: float) -> spline.Spline:
    """f(t) as a spline."""
    assert problem.force is not None
    span = float(np.ptp(problem.times))
    t = np.linspace(problem.times[0], problem.times[-1], 1 + max(_cells(span * energy), FINE - 1))
    return spline.through(t, np.asarray(problem.force(t), np.float64)[:, None])


def _size_of(equation: Evolving, rule: Measure) -> float:
    """|H psi0|: the residual of psi = psi0, as a wave begins with; another unit of energy makes another loss."""
    times, nothing = np.asarray(equation.constants["span"])[:1], jax.tree.map(
        lambda leaf: np.zeros(leaf.shape), jax.eval_shape(equation.init, jax.random.key(0))
    )  # fmt: skip
    ((fields, _),) = in_blocks(build.cast("float64", equation), nothing, times, rule.x, np.zeros((1, 1)))
    return math.sqrt(float(np.sum(fields.h_psi[0] ** 2, axis=-1) @ rule.weight))


def _sampling(problem: Problem, settings: Settings) -> Sampling:
    choice = settings.sampling
    span, walls = problem.times[[0, -1]], _walls(problem)
    if choice.name == "random":
        return RandomPoints(np.stack([span, walls], axis=1), choice.points)  # type: ignore[arg-type]
    if choice.name == "uniform":
        return FixedPoints(tensor([uniform(span, choice.points), uniform(walls, choice.points)]))
    return FixedPoints(tensor([gauss_legendre(Mesh(ends), choice.points) for ends in (span, _jumps(problem))]))


def integrals(equation: Evolving, params: Params, problem: Problem, rule: Measure) -> Float[np.ndarray, "K"]:
    """sqrt(h integral |r|^2) on each interval of time (K,) of length h, r = i psi_t - H psi with what V and W may hide
    of it: at least the integral of |r|, see `qpinn.bounds.evolution`."""
    times = rule.t.ravel()
    force = np.zeros((len(times), 1)) if problem.force is None else np.asarray(problem.force(times))[:, None]
    sizes = []
    for fields, f in in_blocks(equation, params, times, rule.x, force):
        residual = np.asarray(fields.residual(f + 0 * rule.x))
        hidden = np.sum(fields.psi**2, axis=-1) * (rule.blur + np.abs(f) * rule.kick) ** 2 @ rule.weight
        sizes.append(np.sqrt(np.sum(residual**2, axis=-1) @ rule.weight) + np.sqrt(hidden))
    squares = np.concatenate(sizes).reshape(rule.t.shape) ** 2 @ rule.share
    return np.sqrt(squares) * np.diff(rule.edges)  # type: ignore[no-any-return]


def bounded(on: Bench, params: Params) -> Float[np.ndarray, "K"]:
    """Bounds on these integrals: of the finer quadrature, and twice its distance from the coarser one."""
    with jax.enable_x64(True):
        fine, coarse = (integrals(on.equation, params, on.problem, rule) for rule in on.rules)
    return fine + 2 * np.abs(fine - coarse)
