"""`evolve`: a packet in time, with a bound on its error at every moment.

psi0 is projected on the states of one piecewise network (`qpinn.training.eigenbasis`), in which it evolves exactly, or,
driven, by collocation in time. By unitarity the residual bounds the error (`qpinn.bounds.evolution`). The basis is
widened, to higher energies and to shorter segments, until the bound meets the tolerance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Complex, Float

from qpinn.bounds import evolution as bounds
from qpinn.checks import finite, shown
from qpinn.drivers import budget
from qpinn.drivers import evolve_places as places
from qpinn.drivers.build import cast, network_of
from qpinn.drivers.clock import Clock
from qpinn.drivers.eigenstates import check_device, potential_of
from qpinn.drivers.evolution import Evolution, Problem, Round
from qpinn.drivers.settings import Settings, built, of_keywords
from qpinn.drivers.solution import Stats
from qpinn.physics import packets, units
from qpinn.physics.drives import DRIVES, Drive
from qpinn.physics.hamiltonian import hamiltonian
from qpinn.physics.packets import PACKETS, Superposition
from qpinn.physics.potentials.base import dimension, mass_at
from qpinn.physics.resolution import edges_up_to
from qpinn.physics.survey import survey
from qpinn.training import collocation
from qpinn.training.eigenbasis import Eigenbasis, eigenbasis
from qpinn.wavefunctions import features
from qpinn.wavefunctions.ansatz import Ansatz, ansatz_of
from qpinn.wavefunctions.networks import is_resolved

TOLERANCE = 1e-6
"""Of |psi - exact| at the last time, where none was given."""

PHASE, WIDTH = 24.0, 44
"""Radians of psi of the highest energy in a segment to begin with, and units of a segment."""

FASTER = 0.42
"""Largest frequency of a sine unit, relative to the start's of 1.5 in a half segment, for each radian of psi in it."""

NETWORK = {"network": {"activation": "sin"}}
"""Sines of random frequencies: an oscillating psi takes 2 to 3 times fewer of them than of tanh."""

ROUNDS = 9
"""Bases that are tried to meet a tolerance."""

MOST_FUNCTIONS = 2200
"""Of a basis: its states are a dense eigenproblem of all of them, five seconds for so many."""

PER_SEGMENT = 28
"""Functions of a segment, about."""

PIECES = 400
"""Of the time, in each of which |residual|^2 is integrated exactly."""

MOST_INTERVALS = 20_000
"""Of the time of a driven packet."""


def evolve(
    potential: Any, packet: Any = "gaussian", times: Sequence[float] = (0.0, 1.0), drive: Any = None,
    tol: float = TOLERANCE, *, domain: Sequence[float] | None = None, breakpoints: Sequence[float] = (),
    parameters: Mapping[str, float] | None = None, **settings: Any,
) -> Evolution:  # fmt: skip
    """psi(t, x) of i hbar psi_t = H psi from a packet psi0, with a bound on |psi - exact| at every time.

    potential  as in `qpinn.solve`, with its ends; where it has none, walls are put beyond what the packet reaches and
               psi and psi' are zero there, so that the bound holds on the whole line
    packet     of `qpinn.packets`, as packets.gaussian(center=0.25, width=0.03, momentum=30), or a function psi0(x), or
               a pair of arrays (x, psi0)
    times      the first and the last, or more of them, ascending; dimensionless in 2 m L^2 / hbar, else fs
    drive      of `qpinn.drives`, as drives.dipole(amplitude=5, frequency=3); or a pair of formulas, of f(t) and W(x)
    tol        of |psi - exact| at the last time; `converged` tells whether the bound meets it

    Further keyword arguments are keys of the configuration, as in `qpinn.solve`: network, ends, units, seed.

    Raises ValueError, naming key, value and what is allowed.
    """
    chosen = of_keywords({"tol": tol, **NETWORK, **settings}, {"packet": PACKETS, "drive": DRIVES, "times": ()})
    given = potential_of(potential, domain, breakpoints, parameters)
    return run(given, packet_of(packet), drive_of(drive), times, chosen)


def packet_of(given: Any) -> Any:
    """What people hand over as a packet, as one. Raises ValueError for what is none."""
    if isinstance(given, str):
        given = {"name": given}
    if isinstance(given, Mapping):
        return built("packet", PACKETS, given)
    if isinstance(given, tuple | list) and len(given) == 2:
        return packets.sampled(x=given[0], psi=given[1])
    if hasattr(given, "at") or hasattr(given, "coefficients"):
        return given
    if callable(given):
        return packets.function(given)
    raise ValueError(f"packet={shown(given)}: must be one of qpinn.packets, a function of x, or a pair of arrays")


def drive_of(given: Any) -> Drive | None:
    """What people hand over as a drive, as one. Raises ValueError for what is none."""
    if given is None or isinstance(given, Drive):
        return given
    if isinstance(given, str):
        given = {"name": given}
    if isinstance(given, Mapping):
        return built("drive", DRIVES, given)  # type: ignore[no-any-return]
    if isinstance(given, tuple | list) and len(given) == 2:
        return DRIVES["formula"](*given)
    raise ValueError(f"drive={shown(given)}: must be one of qpinn.drives, or a pair of formulas, of f(t) and of W(x)")


def times_of(given: Any) -> Float[np.ndarray, "T"]:
    """Times as an array. Raises ValueError unless they are finite and ascend, two at least."""
    if isinstance(given, str) or not np.iterable(given) or not 2 <= len(list(given)) <= 100_000:
        raise ValueError(f"times={shown(given)}: must be the first and the last in brackets, as [0,1]")
    times = np.array([finite("times", time) for time in given])
    if (np.diff(times) <= 0).any():
        raise ValueError(f"times={shown(list(given))}: must ascend")
    return times


DEFAULTS = Settings()


def check(settings: Settings) -> None:
    """Raise ValueError for keys that mean nothing where a packet evolves among states."""
    for key in ("states", "state"):
        if getattr(settings, key) is not None:
            raise ValueError(f"{key}={getattr(settings, key)}: means nothing for a packet; packet=superposition names "
                             "levels")  # fmt: skip
    if settings.precision != "float64":
        raise ValueError(f"precision={settings.precision}: packets evolve in float64")
    if settings.start.name != "ritz":
        raise ValueError(f"start.name={settings.start.name}: packets evolve among Ritz states; allowed: ritz")
    for group in ("optimizer", "energy", "loss", "sampling"):
        given, own = getattr(settings, group), getattr(DEFAULTS, group)
        for field in dataclasses.fields(given):
            value = getattr(given, field.name)
            if value != getattr(own, field.name):
                raise ValueError(f"{group}.{field.name}={shown(value)}: means nothing for a packet among Ritz states, "
                                 "which are not trained; leave it out")  # fmt: skip


def problem_of(potential: Any, packet: Any, drive: Drive | None, times: Any, settings: Settings) -> Problem:
    """The problem without units, between walls. Raises ValueError for what is not allowed."""
    check(settings)
    if dimension(potential) > 1:
        raise ValueError(f"potential={potential.name}: has {potential.dimension} coordinates; packets evolve on a line")
    span = times_of(times)
    scale = settings.units.units.scale
    _, per_time = units.time(settings.units.units)
    bare = units.dimensionless(potential, settings.units.units, settings.units.particle)
    bare = hamiltonian(bare, settings.ends.of_axes(1)[0])
    packet, dimensionless = places.placed(packet, bare), span * per_time
    force, space, kick = None, None, None
    if drive is not None:
        f = drive.checked(span).time

        def force(t: np.ndarray) -> np.ndarray:
            return f(t / per_time) / scale

        kick = places.kick_of(force, drive, dimensionless)
    chosen = [place is None for place in bare.domain]
    boxed = places.boxed(bare, packet, kick, float(np.ptp(dimensionless))) if any(chosen) else bare
    _check_packet(packet, boxed)
    if drive is not None:
        space = drive.on(*(float(wall) for wall in boxed.domain))
    length = float(boxed.domain[1] - boxed.domain[0])
    left, right = (places.MARGIN * length if put else 0.0 for put in chosen)

    return Problem(
        potential=boxed, margins=(left, right), packet=packet, times=dimensionless, force=force, space=space,
        tol=settings.tol or TOLERANCE,
    )  # fmt: skip


def run(
    potential: Any, packet: Any, drive: Drive | None, times: Any, settings: Settings,
    callbacks: Sequence[Callable[..., Any]] = (),
) -> Evolution:  # fmt: skip
    """`evolve` for settings that are already checked.

    callbacks  called before each basis with how many have been tried, and what is `said` of the last
    """
    clock, device = Clock(), check_device("float64")
    budget.forget_programmes()
    given, potential = potential, units.converted(potential, settings.units.units)
    problem = problem_of(potential, packet, drive, times, settings)
    clock.lap("planning")
    with jax.enable_x64(True):
        energy, phase = first_energy(problem), settings.ansatz.phase or PHASE
        tried: list[Round] = []
        while len(tried) < ROUNDS:
            for call in callbacks:
                call(len(tried), said=f"bound {tried[-1].final:.1e}, {len(tried[-1].start)} states" if tried else "")
            try:
                now = _round(problem, settings, energy, phase)
            except TooLargeError as error:
                if not tried:
                    raise ValueError(str(error)) from None
                energy = (energy * tried[-1].energy) ** 0.5
                if energy < 1.2 * tried[-1].energy:
                    break
                continue
            tried.append(now)
            if now.final <= problem.tol or now.hopeless(problem.tol) or (len(tried) > 1 and _stalls(tried[-2], now)):
                break
            energy, phase = _next(now, problem.tol)
        best = min(tried, key=lambda one: one.final)
        clock.lap("evolve")
        coarse = _coarser(problem, settings, best)
        clock.lap("estimate")
    return Evolution(
        given=given, packet=problem.packet, drive=drive, settings=settings, problem=problem, fine=best, coarse=coarse,
        stats=Stats(seconds=clock.seconds, device=device, rounds=len(tried)),
    )  # fmt: skip


class TooLargeError(ValueError):
    """A basis with more functions, or a time with more intervals, than can be had."""


def _round(problem: Problem, settings: Settings, energy: float, phase: float) -> Round:
    """The packet among the states below `energy`, on segments of `phase`."""
    edges = mesh_of(problem, energy, phase)
    most = min(MOST_FUNCTIONS, int(np.sqrt(budget.room() / 64)))
    if (len(edges) - 1) * PER_SEGMENT > most:
        raise TooLargeError(f"potential={problem.potential.name}: {len(edges) - 1} segments are needed for a packet of "
                            f"energy {energy:.3g} in this box, more than {most // PER_SEGMENT}; a larger tol, a wider "
                            "packet or a smaller box needs fewer")  # fmt: skip
    ansatz = _ansatz(problem.potential, settings, edges, phase)
    params = features.drawn(ansatz, jax.random.key(settings.seed))
    points, activation = 2 * ansatz.wavefunction.mlp.width + 8, settings.network.activation
    if not is_resolved(activation, params["network"], points - 6):
        raise ValueError(f"network.activation={activation}, network.scale={settings.network.scale:g}: psi has kinks or "
                         "varies faster than a quadrature resolves, and nothing could be bounded; allowed: a smooth "
                         "activation and a smaller scale")  # fmt: skip
    basis = eigenbasis(problem.potential, ansatz, params, (points, points - 6), energy, problem.margins)
    return evolved(problem, basis, energy, phase)


def evolved(problem: Problem, basis: Eigenbasis, energy: float, phase: float) -> Round:
    """The packet in a basis, and what bounds its error."""
    start, left_out = _started(problem, basis)
    tail = 0.0 if isinstance(problem.packet, Superposition) else left_out
    if problem.force is None:
        edges = np.linspace(problem.times[0], problem.times[-1], PIECES + 1)
        integrals = bounds.residual_integrals(start, basis.energies, basis.residual_gram(), edges)
        integrals += bounds.rounding(start, basis.energies, edges)
        return Round(
            basis=basis, start=start, left_out=left_out, tail=tail, path=None, edges=edges, integrals=integrals,
            outside=0.0, energy=energy, phase=phase,
        )  # fmt: skip
    w = np.asarray(problem.space.at(basis.x[:, None]), np.float64) + 0 * basis.x
    kicked = w * basis.u
    coupling = basis.gram(basis.u, kicked)
    beyond = kicked - coupling.T @ basis.u
    grams = basis.residual_gram(), basis.gram(basis.residual, beyond), basis.gram(beyond, beyond)
    width = _interval(problem, basis.energies, coupling)
    for _ in range(4):
        edges = np.linspace(problem.times[0], problem.times[-1], 1 + int(np.ceil(np.ptp(problem.times) / width)))
        if len(edges) > MOST_INTERVALS:
            raise TooLargeError(f"times: {len(edges) - 1} intervals of time are needed for this drive, more than "
                           f"{MOST_INTERVALS}; a shorter time or a larger tol needs fewer")  # fmt: skip
        try:
            path = collocation.solve(start, basis.energies, coupling, problem.force, edges)
        except ArithmeticError:
            width /= 2
            continue
        integrals, in_time, outside = collocation.defects(path, coupling, grams, problem.force)
        integrals += bounds.rounding(start, basis.energies, edges)
        if in_time.sum() <= 0.05 * problem.tol or in_time.sum() <= 0.1 * integrals.sum():
            break
        width /= 2
    return Round(
        basis=basis, start=start, left_out=left_out, tail=tail, path=path, edges=edges, integrals=integrals,
        outside=float(outside.sum()), energy=energy, phase=phase,
    )  # fmt: skip


def _started(problem: Problem, basis: Eigenbasis) -> tuple[Complex[np.ndarray, "N"], float]:
    """Coefficients of psi0, and a bound on what they lack of it."""
    packet = problem.packet
    if not isinstance(packet, Superposition):
        return basis.projected(packet.at)
    start = packet.coefficients(len(basis.energies))
    surveyed = survey(problem.potential, max(packet.levels) + 2)
    sizes = np.sqrt(np.diag(basis.residual_gram()))
    lacking = 0.0
    for level in packet.levels:
        e, size = basis.energies[level], sizes[level]
        below = e - surveyed.high[level - 1] if level else np.inf
        gap = min(below, surveyed.low[level + 1] - e)
        if gap <= 0:
            raise ValueError(f"packet.levels={list(packet.levels)}: level {level} is degenerate, or too close to the "
                             "next to be told apart; a packet by formula is not")  # fmt: skip
        # Davis and Kahan: the sine of the angle is at most |r| / gap, and 2 sin(angle / 2) at most sqrt(2) of it
        lacking += abs(start[level]) * np.sqrt(2) * size / gap
    return start, float(lacking)


def _interval(problem: Problem, energies: np.ndarray, coupling: np.ndarray) -> float:
    """A length of time in which the coupled states turn by a few radians, and the iteration converges."""
    assert problem.force is not None
    f = problem.force(np.linspace(problem.times[0], problem.times[-1], 4001))
    size = float(np.abs(f).max()) * float(np.abs(np.linalg.eigvalsh((coupling + coupling.T) / 2)).max())
    turns = float(energies[-1] - energies[0])
    return float(min(14.0 / max(turns, 1e-300), 1.0 / max(size, 1e-300), np.ptp(problem.times)))


def _next(now: Round, tol: float) -> tuple[float, float]:
    """Energy and phase of the next basis: higher where states are wanting, finer where they are not good enough."""
    if now.wanting >= now.inside:
        return now.energy * float(np.clip(now.higher(tol), 1.3, 6.0)), now.phase
    return now.energy, 0.67 * now.phase


def _stalls(before: Round, now: Round) -> bool:
    """Whether what was wanting most has not become less: rounding is all that is left."""
    return now.wanting > 0.8 * before.wanting if before.wanting >= before.inside else now.inside > 0.8 * before.inside


def _coarser(problem: Problem, settings: Settings, best: Round) -> Round | None:
    """The packet among poorer states, whose distance estimates the error of the states; and fewer, where a drive may
    reach higher ones."""
    share = 1.0 if problem.force is None else 0.75
    try:
        return _round(problem, settings, share * best.energy, 1.5 * best.phase)
    except TooLargeError:
        return None


def mesh_of(problem: Problem, energy: float, phase: float) -> Float[np.ndarray, "S+1"]:
    """Edges of segments for energies up to `energy`, cut at the margins, and where the drive jumps too."""
    edges = edges_up_to(problem.potential, energy, phase)
    left, right = edges[[0, -1]]
    cuts = [left + problem.margins[0], right - problem.margins[1]]
    cuts += [] if problem.space is None else problem.space.breakpoints
    apart = 1e-6 * (right - left)
    return np.union1d(edges, [cut for cut in cuts if np.abs(edges - cut).min() > apart and left < cut < right])


def _ansatz(potential: Any, settings: Settings, edges: Float[np.ndarray, "S+1"], phase: float) -> Ansatz:
    choice = settings.network
    network = network_of(choice, choice.width or WIDTH, faster=FASTER * phase if choice.activation == "sin" else 1.0)
    return cast("float64", ansatz_of("piecewise", network, edges, potential))  # type: ignore[no-any-return]


def first_energy(problem: Problem) -> float:
    """The energy that a packet's states reach to begin with: from its Fourier transform, and V where it is."""
    left, right = (float(wall) for wall in problem.potential.domain)
    v_of = problem.potential.at
    lowest = float(survey(problem.potential, 1).high[0])
    if isinstance(problem.packet, Superposition):
        return 2 * float(survey(problem.potential, max(problem.packet.levels) + 4).high[-1]) - lowest
    count = int(2 ** np.clip(np.ceil(np.log2(1 + 16 * (right - left) / problem.packet.scale)), 13, 18))
    x = left + (right - left) * (np.arange(count) + 0.5) / count
    psi0 = problem.packet.at(x)
    density = np.abs(psi0) ** 2
    spectrum = np.abs(np.fft.fft(psi0)) ** 2
    k = 2 * np.pi * np.abs(np.fft.fftfreq(count, (right - left) / count))
    order = np.argsort(k)
    tail = 1 - np.cumsum(spectrum[order]) / spectrum.sum()
    cut = k[order][min(int(np.searchsorted(-tail, -max((problem.tol / 10) ** 2, 1e-13))), count - 1)]
    there = density > 1e-12 * density.max()
    v, mass = v_of(x[there][:, None]), mass_at(problem.potential, x[there][:, None])
    most = (150 * np.pi / (right - left)) ** 2  # what has more states to begin with is found round by round
    return max(float(np.max(v + min(cut**2, most) / mass)), 2 * abs(lowest) + lowest, lowest * 1.5)


def _check_packet(packet: Any, potential: Any) -> None:
    """Raise ValueError for a packet that is not in its box, or is not finite there."""
    left, right = (float(wall) for wall in potential.domain)
    if isinstance(packet, Superposition):
        return
    if hasattr(packet, "outside"):
        beyond = packet.outside(left, right)
        if beyond > MOST_OUTSIDE:
            raise ValueError(f"packet.center={packet.center:g}, packet.width={packet.width:g}: {beyond:.2g} of it lies "
                             f"beyond the walls {left:g} and {right:g}; at most {MOST_OUTSIDE:g}")  # fmt: skip
    x = np.linspace(left, right, 8193)
    with np.errstate(all="ignore"):
        psi0 = packet.at(x)
    if not np.isfinite(psi0).all():
        raise ValueError(f"packet.name={packet.name}: psi0 is not finite at x = {x[~np.isfinite(psi0)][0]:g}")
    if not np.abs(psi0).max():
        raise ValueError(f"packet.name={packet.name}: psi0 is zero between {left:g} and {right:g}")


MOST_OUTSIDE = 1e-3
"""Of a packet beyond the walls; what is within is normalised."""
