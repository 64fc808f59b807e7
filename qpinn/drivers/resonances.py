"""The lowest resonances of a structure between two leads, in the units of its settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from qpinn.drivers import scatter
from qpinn.drivers.scatter_settings import ScatterSettings
from qpinn.physics import units
from qpinn.physics.leads import between_jumps, structure
from qpinn.training import resonances as outgoing

OCTAVES = 4
"""Of energies in which resonances are looked for."""

MOST_OUTGOING = 100
"""Segments of a structure whose resonances are looked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resonance:
    """E_r and Gamma of E = E_r - i Gamma / 2, and an estimate of the error of both, in the units of the settings."""

    energy: float
    width: float
    error: float


def of(
    potential: Any, count: int, settings: ScatterSettings, progress: outgoing.Progress | None = None
) -> list[Resonance]:
    """The lowest `count` resonances that are found, or fewer: the range of energies grows until there are so many.

    progress  called with how many starts were followed in a range, and of how many
    """
    scales = settings.units.units
    bare = units.dimensionless(potential, scales, settings.units.particle)
    given = between_jumps(structure(bare, settings.leads.over(scales.scale)))
    low, (left, right) = float(given.levels.min()), given.domain
    across = np.abs(np.asarray(given.potential.at(np.linspace(left, right, 513)[1:-1, None])) - low).max()
    high = low + max((np.pi * (count + 1) / (right - left)) ** 2 / given.masses.max(), across)
    found: list[outgoing.Resonance] = []
    with jax.enable_x64(True):
        for _ in range(1 if given.tails.any() else OCTAVES):
            above = low + (high - low) * np.linspace(1e-3, 2.0, 8)
            system = scatter.discretized(given, above, settings)
            if len(system.mesh) > MOST_OUTGOING:
                break
            found = outgoing.resonances(system, low, high, 4 + 2 * count, progress)
            if len(found) >= count:
                break
            high = low + 2 * (high - low)
    return [
        Resonance(energy=float(one.energy.real) * scales.scale, width=-2 * float(one.energy.imag) * scales.scale,
                  error=float(one.error) * scales.scale)
        for one in found[:count]
    ]  # fmt: skip


def about(resonances: Sequence[Resonance], potential: Any, settings: ScatterSettings) -> np.ndarray:
    """Energies that show the resonances, where nothing else was asked for: from near the lower lead to beyond the last.

    Raises ValueError where there is none.
    """
    if not resonances:
        raise ValueError("energies=null: no resonance was found that says where to look; must be [first,last,count]")
    scales = settings.units.units
    bare = units.dimensionless(potential, scales, settings.units.particle)
    low = float(structure(bare, settings.leads.over(scales.scale)).levels.min()) * scales.scale
    high = max(one.energy + min(one.width, one.energy - low) for one in resonances)
    return low + (high - low) * np.linspace(0.01, 1.0, 400)
