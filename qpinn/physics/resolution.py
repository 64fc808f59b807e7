"""How fine a mesh must be for the levels of a potential: edges that follow V, and the unit of a residual."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.physics.enclosure import enclose, enclose_mass, stray, stray_mass
from qpinn.physics.survey import DEEP, Survey, first_ends, pieces, survey

POLYNOMIAL = 12
"""Degree of the polynomial that V is compared with in a segment."""

FELT = 1e-5
"""Norm of the difference times psi, in units of the kinetic energy, above which a segment is halved."""

NARROWEST = 1e-7
"""Of the box, that a segment is halved down to."""

STEEPEST = 1e6
"""Segments in a box of length 1 or less, or in a length of 1, for the Airy functions where V is steep."""

MOST_FEATURES = 200
"""Segments up to which they are halved for features of V."""


def segment_edges(potential: Any, states: int = 1, phase: float = 4.5) -> Float[np.ndarray, "segments+1"]:
    """Edges (segments + 1,) of a mesh on which the lowest `states` levels vary slowly in every segment.

    Cuts at every breakpoint, and then so that no level has more than `phase` radians in a segment where it oscillates,
    or about `phase` decay lengths where it decays, and more of them further from the allowed region, where psi is
    smaller. Where V is steep psi varies over |V'|^(-1/3), the length of an Airy function. Last, segments are halved
    until V is close to a polynomial in each or psi is negligible there, and 1 / m is close to one.
    """
    return _edges(potential, survey(potential, states), phase, energy_unit(potential, states))


def edges_up_to(potential: Any, energy: float, phase: float) -> Float[np.ndarray, "segments+1"]:
    """The same for a packet of all energies up to `energy`: cuts by psi of that one."""
    surveyed = survey(potential, 1)
    least = float(surveyed.high[0])
    top = np.array([max(energy, least)])
    return _edges(
        potential, dataclasses.replace(surveyed, low=top, high=top), phase, max(energy - least, least, 1e-300)
    )


def _edges(potential: Any, surveyed: Survey, phase: float, unit: float) -> np.ndarray:
    """Edges for the energies of `surveyed`, and for V known to a share of `unit`."""
    cells = surveyed.middle
    bounds, length = cells.edges, cells.sizes
    slope = (surveyed.upper.values - surveyed.lower.values) / length
    steep = np.minimum(np.cbrt(cells.mass * slope), STEEPEST * max(1.0, 1 / (bounds[-1] - bounds[0])))
    rate = np.zeros(len(length))
    for energy in surveyed.energies:
        below = cells.wave_number(energy)
        decay, depth = cells.decay(energy)
        # n cells of which each is 1.3 times as wide as the last reach phase (1.3^n - 1) / 0.3 decay lengths deep
        graded = np.where(depth < DEEP, 0.3 / np.log(1.3) / (1 + 0.3 * (depth + decay / 2) / phase), 0.0)
        rate = np.maximum(rate, np.maximum(np.sqrt(np.abs(below)), steep) * np.where(below > 0, 1.0, graded))
    count = np.concatenate([[0.0], np.cumsum(rate * length)]) / phase
    edges = pieces(potential)
    cuts = [edges]
    for start, stop in itertools.pairwise(edges):
        first, last = np.interp((start, stop), bounds, count)
        segments = max(1, int(np.ceil(last - first - 1e-9)))
        cuts.append(np.interp(first + (last - first) * np.arange(1, segments) / segments, count, bounds))
    return _halved(potential, np.unique(np.concatenate(cuts)), surveyed, unit)


def _halved(potential: Any, edges: np.ndarray, surveyed: Survey, unit: float) -> np.ndarray:
    """`edges`, halved while the distance of V, times |psi|, or of 1 / m from a polynomial exceeds FELT in a segment."""
    least = NARROWEST * (edges[-1] - edges[0])
    for _ in range(MOST_FEATURES):
        felt = stray(potential, edges[:-1], edges[1:], POLYNOMIAL) / unit
        felt *= np.sqrt(share_of_norm(surveyed, edges))
        felt[np.diff(edges) < 2 * least] = 0.0
        worst = felt > max(FELT, 0.1 * felt.max())
        worst |= stray_mass(potential, edges[:-1], edges[1:], POLYNOMIAL) > FELT
        if not worst.any():
            break
        edges = np.sort(np.concatenate([edges, ((edges[:-1] + edges[1:]) / 2)[worst]]))
        if len(edges) > MOST_FEATURES:
            break
    return edges


def share_of_norm(surveyed: Survey, edges: Float[np.ndarray, "segments+1"]) -> Float[np.ndarray, "segments"]:
    """Estimate (n,) of the integral of psi^2 between neighbouring `edges` (n + 1,), the largest over the levels.

    From a psi of constant amplitude where it oscillates, and of its decay length elsewhere.
    """
    cells = surveyed.middle
    share = np.zeros(len(edges) - 1)
    for energy in surveyed.energies:
        density = cells.density(energy)
        total = np.concatenate([[0.0], np.cumsum(density * cells.sizes)])
        share = np.maximum(share, np.diff(np.interp(edges, cells.edges, total)))
    return share


def energy_unit(potential: Any, states: int = 1) -> float:
    """Kinetic energy (states pi / W)^2, W the integral of sqrt(m) over the region where V is below level states - 1.

    Where there is no such region (levels of deltas), min V less the energy of the level.
    """
    surveyed = survey(potential, states)
    cells, energy = surveyed.middle, surveyed.energies[-1]
    width = float((np.sqrt(cells.mass) * cells.sizes)[cells.values < energy].sum())
    return (states * np.pi / width) ** 2 if width else float(cells.values.min() - energy)


CELLS = 400
"""Cells in which V is enclosed, to see how fast waves vary in them."""

UNSEEN = 16 * float(np.finfo(np.float64).eps)
"""Distance of V from a polynomial of the degree that is resolved, relative to the largest energy, that is rounding."""

MOST_WAVES = 4000
"""Segments of a structure, at most."""

MOST_WAVE = 1000
"""Segments up to which they are halved for features of V."""


def wave_edges(potential: Any, low: float, high: float, phase: float, degree: int) -> Float[np.ndarray, "segments+1"]:
    """Edges (segments + 1,) of a mesh on which waves of any energy from `low` to `high` vary slowly in every segment.

    Cuts at every breakpoint, and then so that none has more than `phase` radians or decay lengths in a segment, or
    lengths of an Airy function where V is steep; halved until V is a polynomial of `degree` to rounding in each, and so
    is 1 / m. Raises ValueError if there would be too many.
    """
    cells = first_ends(potential, CELLS)
    length = np.diff(cells)
    lo, hi = enclose(potential, cells[:-1], cells[1:])
    _, mass = enclose_mass(potential, cells[:-1], cells[1:])
    kinetic = np.maximum(np.abs(high - lo), np.abs(hi - low))
    rate = np.maximum(np.sqrt(mass * np.minimum(kinetic, 1e300)), np.cbrt(mass * (hi - lo) / length))
    count = np.concatenate([[0.0], np.cumsum(rate * length)]) / phase
    edges = pieces(potential)
    if count[-1] > MOST_WAVES:
        raise ValueError(f"potential={potential.name}: {count[-1]:.3g} segments are needed for these energies, more "
                         f"than {MOST_WAVES}; a larger phase (now {phase:g}) makes them wider")  # fmt: skip
    cuts = [edges]
    for start, stop in itertools.pairwise(edges):
        first, last = np.interp((start, stop), cells, count)
        segments = max(1, int(np.ceil(last - first - 1e-9)))
        cuts.append(np.interp(first + (last - first) * np.arange(1, segments) / segments, count, cells))
    edges, least = np.unique(np.concatenate(cuts)), NARROWEST * (edges[-1] - edges[0])
    scale = max(abs(high), abs(low), float(np.abs([lo, hi]).max(initial=0.0)))
    for _ in range(MOST_FEATURES):
        wide = np.diff(edges) > 2 * least
        worst = stray(potential, edges[:-1], edges[1:], degree) > UNSEEN * scale
        worst |= stray_mass(potential, edges[:-1], edges[1:], degree) > UNSEEN
        if not (worst & wide).any() or len(edges) > MOST_WAVE:
            break
        edges = np.sort(np.concatenate([edges, ((edges[:-1] + edges[1:]) / 2)[worst & wide]]))
    return edges
