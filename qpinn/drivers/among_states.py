"""A packet that moves among states: the default route of `qpinn.evolve`.

psi0 is projected on the states of one piecewise network (`qpinn.training.eigenbasis`), in which it evolves exactly, or,
driven, by collocation in time. By unitarity the residual bounds the error (`qpinn.bounds.evolution`). The basis is
widened, to higher energies and to shorter segments, until the bound meets the tolerance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Complex, Float

from qpinn.bounds import evolution as bounds
from qpinn.checks import shown
from qpinn.drivers import budget
from qpinn.drivers.build import cast, network_of
from qpinn.drivers.clock import Clock
from qpinn.drivers.eigenstates import check_device
from qpinn.drivers.evolution import Evolution, Round
from qpinn.drivers.moving import Problem
from qpinn.drivers.packet_problem import Asked, first_energy, mesh_of, problem_of
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Stats
from qpinn.physics import units
from qpinn.physics.packets import Superposition
from qpinn.physics.survey import survey
from qpinn.training import collocation
from qpinn.training.eigenbasis import Eigenbasis, eigenbasis
from qpinn.wavefunctions import features
from qpinn.wavefunctions.ansatz import Ansatz, ansatz_of
from qpinn.wavefunctions.networks import is_resolved

PHASE, WIDTH = 24.0, 44
"""Radians of psi of the highest energy in a segment to begin with, and units of a segment."""

FASTER = 0.42
"""Largest frequency of a sine unit, relative to the start's of 1.5 in a half segment, for each radian of psi in it."""

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


DEFAULTS = Settings()


def check(asked: Asked, settings: Settings) -> None:
    """Raise ValueError for keys that mean nothing where a packet evolves among states."""
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
    if asked.causal:
        raise ValueError(f"causal={asked.causal:g}: means nothing for a packet among Ritz states, which are not "
                         "trained; leave it out")  # fmt: skip


def run(potential: Any, asked: Asked, settings: Settings, callbacks: Sequence[Callable[..., Any]] = ()) -> Evolution:
    """`evolve` for settings that are already checked.

    callbacks  called before each basis with how many have been tried, and what is `said` of the last
    """
    clock, device = Clock(), check_device("float64")
    budget.forget_programmes()
    given, potential = potential, units.converted(potential, settings.units.units)
    check(asked, settings)
    problem = problem_of(potential, asked, settings)
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
            _check_rounding(problem, now)
            if now.final <= problem.tol or now.hopeless(problem.tol) or (len(tried) > 1 and _stalls(tried[-2], now)):
                break
            energy, phase = _next(now, problem.tol)
        best = min(tried, key=lambda one: one.final)
        clock.lap("evolve")
        coarse = _coarser(problem, settings, best)
        clock.lap("estimate")
    return Evolution(
        given=given, packet=problem.packet, drive=asked.drive, settings=settings, problem=problem, fine=best,
        coarse=coarse, stats=Stats(seconds=clock.seconds, device=device, rounds=len(tried)),
    )  # fmt: skip


class TooLargeError(ValueError):
    """A basis with more functions, or a time with more intervals, than can be had."""


def _check_rounding(problem: Problem, now: Round) -> None:
    """Raise ValueError where no basis meets the tolerance, since phases e_n t are rounded."""
    least = float(bounds.rounding(now.start, now.basis.energies, now.edges).sum())
    if least > problem.tol:
        raise ValueError(f"times: rounding of the phases E t alone may move psi by {least:.1g} until the last of them, "
                         f"more than tol={problem.tol:g}; shorter times, or tol={2 * least:.0e} at least")  # fmt: skip


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


def _ansatz(potential: Any, settings: Settings, edges: Float[np.ndarray, "S+1"], phase: float) -> Ansatz:
    choice = settings.network
    network = network_of(choice, choice.width or WIDTH, faster=FASTER * phase if choice.activation == "sin" else 1.0)
    return cast("float64", ansatz_of("piecewise", network, edges, potential))  # type: ignore[no-any-return]
