"""What of a packet gets through in the end: the average of T(E) over its waves, by `qpinn.scatter`.

P = integral |phi(k)|^2 T(E(k)) dk, with phi the Fourier transform of psi0, which lies in a lead and moves towards the
structure: where the probability behind it levels off, if the ends are far enough. T is of the potential as it was
given, not of the box that was put around a packet.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.drivers import scatter
from qpinn.drivers.moving import Problem
from qpinn.drivers.scatter_settings import ScatterSettings
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.leads import Structure, structure

POINTS, PADDED = 2**14, 4
"""Positions that psi0 is sampled at, and boxes in the length over which it is transformed."""

OVERLAP = 1e-4
"""Largest probability of psi0 from where V is not that of the lead on."""

FLAT = 1e-3
"""Of the kinetic energy: how far V may be from that of the lead where psi0 is."""

LEFT_OUT = 1e-13
"""Probability of all waves that are left out because each has next to nothing."""

AWAY = 0.05
"""Largest probability of the waves that move the other way."""

MOST = 20_000
"""Energies."""

TOLERANCE = 1e-8
"""Of T."""


class Transmitted(NamedTuple):
    """The probability that gets through, how far it is known, and to which side."""

    value: float
    bound: float
    side: str


class Coming(NamedTuple):
    """Waves of psi0 that move towards V.

    k, density  (N,) their wave numbers, ascending, and probabilities
    missing     what is not known of P for what psi0 has else
    shift       <V - level> of psi0: an energy by which E may be off
    side        where they go to
    """

    k: Float[np.ndarray, "N"]
    density: Float[np.ndarray, "N"]
    missing: float
    shift: float
    side: str


def checked(problem: Problem) -> tuple[Coming, Structure]:
    """The waves, and V between leads. Raises ValueError for a packet that does not come from a lead."""
    if problem.force is not None:
        raise ValueError("transmission=true: T(E) is of a V that does not change; leave out the drive")
    if not ends_of(problem.bare).walls:
        raise ValueError("transmission=true: leads are in the place of walls; leave out ends")
    packet, (left, right) = problem.packet, map(float, problem.walls)
    if not hasattr(packet, "at"):
        raise ValueError(f"transmission=true: packet.name={packet.name} is of levels, which do not come from a lead; "
                         "allowed: gaussian, formula, sampled")  # fmt: skip
    try:
        opened = structure(problem.bare)
    except ValueError as error:
        raise ValueError(f"transmission=true: {error}") from None
    x = left + (right - left) * (np.arange(POINTS) + 0.5) / POINTS
    psi0 = np.asarray(packet.at(x))
    psi0 = psi0 / np.linalg.norm(psi0)
    density = np.abs(np.fft.fft(psi0, PADDED * POINTS)) ** 2
    density /= density.sum()
    k = 2 * np.pi * np.fft.fftfreq(PADDED * POINTS, (right - left) / POINTS)
    forwards = bool(density @ k > 0)
    lead = 0 if forwards else 1
    order = np.argsort(k if forwards else -k)
    k, density = (k if forwards else -k)[order], density[order]
    away = float(density[k <= 0].sum())
    if away > AWAY:
        raise ValueError(f"transmission=true: {away:.2g} of psi0 moves the other way; at most {AWAY:g}")
    rising = np.sort(density)
    kept = (k > 0) & (density >= rising[np.searchsorted(np.cumsum(rising), LEFT_OUT)])
    if kept.sum() > MOST:
        raise ValueError(f"transmission=true: psi0 has {int(kept.sum())} waves in this box, more than {MOST}; as where "
                         "it is cut at a wall")  # fmt: skip
    begins = _begins(opened, lead, float(density @ k**2) / float(opened.masses[lead]), (left, right))
    beyond = x >= begins if forwards else x <= begins
    overlap = float(np.sum(np.abs(psi0[beyond]) ** 2))
    if overlap > OVERLAP:
        raise ValueError(f"transmission=true: {overlap:.2g} of psi0 lies at or behind x = {begins:.4g}, where V begins "
                         f"for waves from the {'left' if forwards else 'right'}; at most {OVERLAP:g}")  # fmt: skip
    before = ~beyond & (x >= opened.domain[0]) & (x <= opened.domain[1])
    v = np.asarray(opened.potential.at(x[before][:, None]), np.float64) + 0 * x[before]
    shift = float(np.abs(v - opened.levels[lead]) @ np.abs(psi0[before]) ** 2)
    missing = 1.0 - float(density[kept].sum()) + 2 * math.sqrt(overlap) + overlap
    coming = Coming(
        k=k[kept], density=density[kept], missing=missing, shift=shift, side="right" if forwards else "left"
    )  # fmt: skip
    return coming, opened


def _begins(opened: Structure, lead: int, kinetic: float, box: tuple[float, float]) -> float:
    """Where V is no more that of the lead, by `FLAT` of a kinetic energy; its far end where it always is."""
    x = np.union1d(np.linspace(*opened.domain, 20_001), np.clip(np.linspace(*box, 20_001), *opened.domain))
    v = np.asarray(opened.potential.at(x[:, None]), np.float64) + 0 * x
    off = x[np.abs(v - opened.levels[lead]) > FLAT * kinetic]
    if not len(off):
        return opened.domain[1 - lead]
    return float(off[0] if lead == 0 else off[-1])


def transmitted(problem: Problem) -> Transmitted:
    """The average of T over the waves of the packet. Raises ValueError as `checked`."""
    coming, opened = checked(problem)
    lead = 0 if coming.side == "right" else 1
    energies = float(opened.levels[lead]) + coming.k**2 / float(opened.masses[lead])
    found = scatter.run(problem.bare, energies, ScatterSettings(tol=TOLERANCE))
    value = float(coming.density @ found.T)
    share = float(coming.density[::2].sum() / coming.density.sum())
    coarse = float(coming.density[::2] @ found.T[::2]) / max(share, 1e-300)
    slope = np.gradient(found.T, energies) if len(energies) > 1 else np.zeros(1)
    doubt = float(coming.density @ np.minimum(found.bound + np.abs(slope) * coming.shift, 1.0))
    return Transmitted(value, doubt + coming.missing + abs(value - coarse), coming.side)
