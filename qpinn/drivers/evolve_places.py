"""Where things of a packet are: the packet itself where nothing is said, its box on a line without walls, and where
left and right part."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.checks import finite
from qpinn.physics import walls
from qpinn.physics.packets import Gaussian, Superposition

FROM_WALL = 0.1
"""Largest width of a packet of which none is given, in distances from the nearest wall."""

MARGIN = 0.06
"""Of a box that was put about a packet, at each end, over which psi is made to end."""

DEEP = 36.0
"""Decay lengths to the walls of a packet of levels, which is made to end before them."""

TAIL = 1e-9
"""Amplitude of a packet that is nothing, where a box is put about it."""

SAMPLES = 4001
"""Of f(t) and of W(x), where the work of a drive is estimated."""

Kick = Callable[[float, float], tuple[float, float]]
"""Of two places: what a drive may add between them to the square root of a kinetic
energy, and to an energy at jumps."""


def middle_of(potential: Any) -> float:
    """Where V has its middle: as it says itself, or that of its walls; its wall where it has but one."""
    left, right = potential.domain
    own = next((float(getattr(potential, name)) for name in ("middle", "center") if hasattr(potential, name)), None)
    if own is not None and (left is None or left < own) and (right is None or own < right):
        return own
    return (left + right) / 2 if None not in (left, right) else float(left if right is None else right)


def placed(packet: Any, potential: Any) -> Any:
    """A Gaussian packet with the centre and the width that it has where none was given; any other as it is."""
    if not isinstance(packet, Gaussian):
        return packet
    center = middle_of(potential) if packet.center is None else packet.center
    width = packet.width
    if width is None:
        room = min((abs(center - float(wall)) for wall in potential.domain if wall is not None), default=np.inf)
        width = min(getattr(potential, "length", np.inf) / 2, FROM_WALL * room)
        if not 0 < width < np.inf:
            raise ValueError("packet.width=null: no width suits this place; give one")
    return dataclasses.replace(packet, center=center, width=width)


def division_of(problem: Any, place: Any) -> float:
    """Where left and right part. Raises ValueError unless it is a number between the ends of the box."""
    left, right = map(float, problem.walls)
    if place is None:
        return middle_of(problem.potential)
    place = finite("divide", place)
    if not left < place < right:
        raise ValueError(f"divide={place:g}: must lie between the walls {left:g} and {right:g}")
    return place


def kick_of(force: Callable[[np.ndarray], np.ndarray], drive: Any, times: Float[np.ndarray, "T"]) -> Kick:
    """How much more a particle may have after a drive f W: sqrt(E - min V) grows by |f W'| dt at most, E at a jump of
    W by |f| times its height."""
    t = np.linspace(times[0], times[-1], SAMPLES)
    size = np.abs(force(t))
    impulse, most = float(np.trapezoid(size, t)), float(size.max())

    def kick(left: float, right: float) -> tuple[float, float]:
        x = np.linspace(left, right, SAMPLES)
        w = np.asarray(drive.on(left, right).at(x[:, None]), np.float64) + 0 * x
        slopes = np.sort(np.abs(np.diff(w) / np.diff(x)))
        smooth = slopes[: -max(SAMPLES // 100, 1)]  # without its jumps, if there are few
        jumps = slopes[len(smooth) :].max() > 10 * smooth[-1] + 1e-300
        return impulse * float(smooth[-1] if jumps else slopes[-1]), most * float(np.ptp(w)) * jumps

    return kick


def boxed(potential: Any, packet: Any, kick: Kick | None, duration: float) -> Any:
    """`potential` with walls beyond what a packet reaches in `duration`, where the domain has none."""
    if isinstance(packet, Superposition):
        top = max(packet.levels)
        box = walls.on_box(potential, top + 1, DEEP, key="packet.levels")
        if kick is None:
            return box
        from qpinn.physics.survey import survey

        left, right = (float(wall) for wall in box.domain)
        energy = float(survey(box, top + 1).high[-1])
        return _wider(potential, (left, right), energy, kick, duration)
    left, right, k = _extent(potential, packet)
    x = np.linspace(left, right, 513)
    inside = np.abs(packet.at(x)) > TAIL * np.abs(packet.at(x)).max()
    v = np.asarray(potential.at(x[:, None]))
    return _wider(potential, (left, right), float(k**2 + np.max(v[inside])), kick, duration)


def _wider(potential: Any, place: tuple[float, float], energy: float, kick: Kick | None, duration: float) -> Any:
    """Walls about what a packet of at most this energy reaches from a place."""
    left, right = place
    x = np.linspace(left, right, 513)
    low = float(np.min(np.asarray(potential.at(x[:, None]))))
    box = _reached(potential, place, energy, low, duration)
    if kick is not None:
        for _ in range(2):  # W may rise more steeply in the larger box
            more, jump = kick(*(float(wall) for wall in box.domain))
            driven = (np.sqrt(max(energy - low, 0.0)) + more) ** 2 + low + jump
            box = _reached(potential, place, driven, low, duration)
    return box


def _reached(potential: Any, place: tuple[float, float], energy: float, low: float, duration: float) -> Any:
    """Walls where a packet of this energy does not get to; it may run away where nothing holds it, by 2 k t."""
    left, right = place
    if np.isfinite(potential.threshold):
        way = 2 * np.sqrt(max(energy - low, 0.0)) * duration
        margin = MARGIN * (right - left + 2 * way)
        left, right = left - way - margin, right + way + margin
    return walls.at_energy(potential, energy, left, right)


def _extent(potential: Any, packet: Any) -> tuple[float, float, float]:
    """Where a packet is, and the largest wave number that it has, on the whole line."""
    reach = np.array([12.0, 12.0]) * packet.width if hasattr(packet, "width") else np.full(2, 60 * potential.length)
    middle = packet.center if hasattr(packet, "center") else potential.middle
    x = np.linspace(middle - reach[0], middle + reach[1], 2**16)
    psi0 = packet.at(x)
    there = np.flatnonzero(np.abs(psi0) > TAIL * np.abs(psi0).max())
    if there[0] == 0 or there[-1] == len(x) - 1:
        raise ValueError(f"packet.name={packet.name}: psi0 has not decayed within {reach[0]:g} of x = {middle:g}; give "
                         "potential.domain")  # fmt: skip
    spectrum = np.abs(np.fft.fft(psi0)) ** 2
    k = 2 * np.pi * np.abs(np.fft.fftfreq(len(x), x[1] - x[0]))
    return float(x[there[0]]), float(x[there[-1]]), float(k[spectrum > TAIL**2 * spectrum.max()].max())
