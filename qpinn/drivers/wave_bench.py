"""What a wave of one network is trained and measured with: the problem, psi0 as a spline, points, quadratures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
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
from qpinn.drivers.wave_measure import FINE, PHASE, POINTS, Measure, in_blocks, rules_of
from qpinn.equations.evolution import Evolving
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import FixedPoints, RandomPoints, Sampling, gauss_legendre, tensor, uniform
from qpinn.physics.enclosure import enclose_mass
from qpinn.physics.packets import Superposition
from qpinn.physics.potentials.base import deltas_of, mass_at
from qpinn.physics.survey import pieces
from qpinn.training.eigenbasis import ending
from qpinn.training.lanes import System
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.wavefunctions import spline
from qpinn.wavefunctions.networks import ROUGH
from qpinn.wavefunctions.wave import Wave

PER_RADIAN, LEAST_CELLS, MOST_CELLS = 12, 1024, 2**16
"""Cells of the splines of psi0 and f."""

SEEN, ROOM = 1e-3, 0.15
"""Of the largest |psi|, below which nothing is seen; and the room of psi at a wall that is put, in its own lengths."""

TOLERANCE = 1e-5
"""Of the default route, which a network is compared with: far below what it comes to."""

NORMED = 1e-12
"""How far from 1 a quadrature may find the square of a norm."""


# --------------------------------------------------------------------------------------------------------- the problem


def check(settings: Settings) -> None:
    """Raise ValueError for keys that mean nothing where a network of (t, x) is trained."""
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
        raise ValueError(f"potential={bare.name}: has deltas, at which psi' jumps, and that of one network does not; "
                         "leave out ansatz=envelope")  # fmt: skip
    edges = np.unique(np.concatenate([pieces(bare), problem.even(257)]))
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
    walls = problem.walls
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
    budget.check_points(settings, count, "of (t, x)", size, starts)


def describe_route(settings: Settings) -> dict[str, Any]:
    """How the network is trained."""
    optimizer = OPTIMIZERS[settings.optimizer.name].label
    label = f"one complex network of (t, x), psi0 and walls exact, random start, {optimizer}"
    return {"label": label, "ansatz": "envelope", "start": "random", "optimizer": settings.optimizer.name,
            "sampling": settings.sampling.name, "precision": settings.precision}  # fmt: skip


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
    rules = rules_of(problem, energy)
    start, apart = _start(problem, energy, rules, at)
    wave = Wave(_network(settings, "float64"), ends=(2 if problem.margins[0] else 1, 2 if problem.margins[1] else 1))
    constants = {"span": problem.times[[0, -1]], "edges": problem.walls, "start": start}
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


def nearer(problem: Problem, known: Evolution) -> Problem:
    """The same with walls, where they were put, no farther than the packet gets to by the default route: there a
    network learns that nothing is there, and its points are wanted where something is."""
    if not any(problem.margins):
        return problem
    (left, right), x = problem.walls, problem.even(2001)
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
    walls = problem.walls
    x = np.linspace(walls[0], walls[1], 1 + _cells(float(np.ptp(walls)) * math.sqrt(max(energy - problem.lowest, 0.0))))
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


def _cells(radians: float) -> int:
    return int(np.clip(math.ceil(PER_RADIAN * radians), LEAST_CELLS, MOST_CELLS))


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
    ((fields, _),) = in_blocks(build.cast("float64", equation), nothing, times, rule.x, np.zeros(1))
    return math.sqrt(float(np.sum(fields.h_psi[0] ** 2, axis=-1) @ rule.weight))


def _sampling(problem: Problem, settings: Settings) -> Sampling:
    choice = settings.sampling
    span, walls = problem.times[[0, -1]], problem.walls
    if choice.name == "random":
        return RandomPoints(np.stack([span, walls], axis=1), choice.points)  # type: ignore[arg-type]
    if choice.name == "uniform":
        return FixedPoints(tensor([uniform(span, choice.points), uniform(walls, choice.points)]))
    return FixedPoints(tensor([gauss_legendre(Mesh(ends), choice.points) for ends in (span, _jumps(problem))]))
