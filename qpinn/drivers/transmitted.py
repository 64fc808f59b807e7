"""What of a packet gets through in the end: the average of T(E) over its waves, by `qpinn.scatter`.

P = integral |phi(k)|^2 T(E(k)) dk, with phi the Fourier transform of psi0, which lies in a lead and moves towards the
structure: where the probability behind it levels off, if the ends are far enough.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from qpinn.drivers import scatter
from qpinn.drivers.moving import Problem
from qpinn.drivers.scatter_settings import ScatterSettings
from qpinn.physics.potentials.base import mass_at

POINTS, PADDED = 2**14, 4
"""Positions that psi0 is sampled at, and boxes in the length over which it is transformed."""

OVERLAP = 1e-4
"""Largest probability of psi0 where V is not that of the lead."""

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


def checked(problem: Problem) -> tuple[np.ndarray, np.ndarray, float, str]:
    """k and its probability for the waves of psi0 that move towards V, what all others have, and the side they go to.

    Raises ValueError for a packet that has none, or does not lie in a lead.
    """
    if problem.force is not None:
        raise ValueError("transmission=true: T(E) is of a V that does not change; leave out the drive")
    packet, (left, right) = problem.packet, (float(wall) for wall in problem.potential.domain)
    if not hasattr(packet, "at"):
        raise ValueError(f"transmission=true: packet.name={packet.name} is of levels, which do not come from a lead; "
                         "allowed: gaussian, formula, sampled")  # fmt: skip
    length = right - left
    x = left + length * (np.arange(POINTS) + 0.5) / POINTS
    psi0 = np.asarray(packet.at(x))
    psi0 = psi0 / np.linalg.norm(psi0)
    v = np.asarray(problem.potential.at(x[:, None]), np.float64) + 0 * x
    ends = v[[0, -1]]
    slack = 1e-9 * max(float(np.ptp(v)), 1e-300)
    from_left = bool(float(np.abs(psi0) ** 2 @ x) < (left + right) / 2)
    off = np.abs(v - ends[0 if from_left else 1]) > slack
    overlap = float(np.sum(np.abs(psi0[off]) ** 2))
    if overlap > OVERLAP:
        raise ValueError(f"transmission=true: {overlap:.2g} of psi0 lies where V is not what it is at that end; at "
                         f"most {OVERLAP:g}")  # fmt: skip
    density = np.abs(np.fft.fft(psi0, PADDED * POINTS)) ** 2
    density /= density.sum()
    k = 2 * np.pi * np.fft.fftfreq(PADDED * POINTS, length / POINTS) * (1.0 if from_left else -1.0)
    order = np.argsort(k)
    k, density = k[order], density[order]
    away = float(density[k <= 0].sum())
    if away > AWAY:
        raise ValueError(f"transmission=true: {away:.2g} of psi0 moves away from V; at most {AWAY:g}")
    rising = np.sort(density)
    kept = (k > 0) & (density >= rising[np.searchsorted(np.cumsum(rising), LEFT_OUT)])
    if kept.sum() > MOST:
        raise ValueError(f"transmission=true: psi0 has {int(kept.sum())} waves in this box, more than {MOST}")
    missing = 1.0 - float(density[kept].sum()) + 2 * math.sqrt(overlap) + overlap
    return k[kept], density[kept], missing, "right" if from_left else "left"


def transmitted(problem: Problem) -> Transmitted:
    """The average of T over the waves of the packet. Raises ValueError as `checked`."""
    k, density, missing, side = checked(problem)
    bare = problem.potential
    end = float(bare.domain[0 if side == "right" else 1])
    inside = end + (1e-9 if side == "right" else -1e-9) * float(np.ptp(np.array([float(wall) for wall in bare.domain])))
    level, mass = (float(np.ravel(np.asarray(at, np.float64))[0])
                   for at in (bare.at(np.array([[inside]])), mass_at(bare, np.array([[inside]]))))  # fmt: skip
    found = scatter.run(bare, level + k**2 / mass, dataclasses.replace(ScatterSettings(), tol=TOLERANCE))
    value = float(density @ found.T)
    every_second = float(density[::2] @ found.T[::2] / max(density[::2].sum(), 1e-300) * density.sum())
    doubt = float(density @ np.minimum(found.bound, 1.0)) + missing + abs(value - every_second)
    return Transmitted(value, doubt, side)
