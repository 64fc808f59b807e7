"""The problem of a packet in time: what is asked, in any form, as one without units, between walls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.checks import finite, shown
from qpinn.drivers import evolve_places as places
from qpinn.drivers.moving import Problem
from qpinn.drivers.settings import Settings, built
from qpinn.physics import packets, units
from qpinn.physics.drives import DRIVES, Drive
from qpinn.physics.hamiltonian import hamiltonian
from qpinn.physics.packets import PACKETS, Superposition
from qpinn.physics.potentials.base import dimension, mass_at
from qpinn.physics.resolution import edges_up_to
from qpinn.physics.survey import survey

TOLERANCE = 1e-6
"""Of |psi - exact| at the last time, where none was given."""


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


class Asked(NamedTuple):
    """What is asked beside a potential: a packet, what drives it, the times, and how causal a training is, see
    `qpinn.equations.evolution.Evolving`."""

    packet: Any
    drive: Drive | None
    times: Any
    causal: float = 0.0


def asked(packet: Any, drive: Any, times: Any, causal: Any = 0.0) -> Asked:
    """What people hand over, checked but for what depends on the potential. Raises ValueError for what is not
    allowed."""
    if finite("causal", causal) < 0:
        raise ValueError(f"causal={causal:g}: must not be negative")
    return Asked(packet_of(packet), drive_of(drive), times, float(causal))


def problem_of(potential: Any, asked: Asked, settings: Settings) -> Problem:
    """The problem without units, between walls. Raises ValueError for what is not allowed."""
    for key in ("states", "state"):
        if getattr(settings, key) is not None:
            raise ValueError(f"{key}={getattr(settings, key)}: means nothing for a packet; packet=superposition names "
                             "levels")  # fmt: skip
    packet, drive, times, _ = asked
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
        potential=boxed, bare=bare, margins=(left, right), packet=packet, times=dimensionless, force=force, space=space,
        tol=settings.tol or TOLERANCE,
    )  # fmt: skip


def mesh_of(problem: Problem, energy: float, phase: float) -> Float[np.ndarray, "S+1"]:
    """Edges of segments for energies up to `energy`, cut at the margins, and where the drive jumps too."""
    edges = edges_up_to(problem.potential, energy, phase)
    left, right = edges[[0, -1]]
    cuts = [left + problem.margins[0], right - problem.margins[1]]
    cuts += [] if problem.space is None else problem.space.breakpoints
    apart = 1e-6 * (right - left)
    return np.union1d(edges, [cut for cut in cuts if np.abs(edges - cut).min() > apart and left < cut < right])


def first_energy(problem: Problem) -> float:
    """The energy that a packet's states reach to begin with: from its Fourier transform, and V where it is."""
    left, right = map(float, problem.walls)
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
