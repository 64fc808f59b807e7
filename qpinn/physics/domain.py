"""The interval: its segments, and the points and weights at which a residual is taken.

A quadrature never crosses a breakpoint. A rule that does solves, to a very small loss, for a well of another width.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from qpinn.physics.enclosure import stray
from qpinn.physics.survey import DEEP, Survey, pieces, survey
from qpinn.types import Array

POLYNOMIAL = 12
"""Degree of the polynomial that V is compared with in a segment."""

FELT = 1e-5
"""Norm of the difference times psi, in units of the kinetic energy, above which a segment is halved."""

NARROWEST = 1e-7
"""Of the box, that a segment is halved down to."""

MOST_FEATURES = 200
"""Segments up to which they are halved for features of V."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Points:
    """Collocation points in groups, one group for each segment of an ansatz.

    x        (segments, n, d)   positions, inside their segment
    weight   (segments, n)      quadrature weights; they add up to the length of the domain
    """

    x: Array
    weight: Array

    def for_both_halves(self) -> Points:
        """Points of the left half of a box that stand for their mirror images too."""
        return dataclasses.replace(self, weight=2 * self.weight)


def segment_edges(potential: Any, states: int = 1, phase: float = 4.5) -> np.ndarray:
    """Edges (segments + 1,) of a mesh on which the lowest `states` levels vary slowly in every segment.

    Cuts at every breakpoint, and then so that no level has more than `phase` radians in a segment where it oscillates,
    or about `phase` decay lengths where it decays: more and more of them away from the allowed region, because what is
    left of psi there matters less. Where V is steep psi varies over |V'|^(-1/3), the length of an Airy function. Last,
    segments in which V is far from a polynomial are halved, until it is near one or nothing of it is felt.
    """
    surveyed = survey(potential, states)
    cells = surveyed.middle
    bounds, length = cells.edges, cells.sizes
    slope = (surveyed.upper.values - surveyed.lower.values) / length
    steep = np.minimum(cells.mass * slope, 1e18) ** (1 / 3)
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
    return _halved(potential, np.unique(np.concatenate(cuts)), surveyed)


def _halved(potential: Any, edges: np.ndarray, surveyed: Survey) -> np.ndarray:
    """Edges, and more of them where V is far from a polynomial and psi is there to feel it."""
    least = NARROWEST * (edges[-1] - edges[0])
    unit = energy_unit(potential, len(surveyed.energies))
    for _ in range(MOST_FEATURES):
        felt = stray(potential, edges[:-1], edges[1:], POLYNOMIAL) / unit
        felt *= np.sqrt(share_of_norm(surveyed, edges))
        felt[np.diff(edges) < 2 * least] = 0.0
        worst = felt > max(FELT, 0.1 * felt.max())
        if not worst.any():
            break
        edges = np.sort(np.concatenate([edges, ((edges[:-1] + edges[1:]) / 2)[worst]]))
        if len(edges) > MOST_FEATURES:
            break
    return edges


def share_of_norm(surveyed: Survey, edges: np.ndarray) -> np.ndarray:
    """About how much of the integral of psi^2 lies between each two of `edges` (n + 1,), at most, for any level: (n,).

    A psi that is even where it oscillates, and decays by its decay length elsewhere.
    """
    cells = surveyed.middle
    share = np.zeros(len(edges) - 1)
    for energy in surveyed.energies:
        density = cells.density(energy)
        total = np.concatenate([[0.0], np.cumsum(density * cells.sizes)])
        share = np.maximum(share, np.diff(np.interp(edges, cells.edges, total)))
    return share


def left_half(edges: np.ndarray) -> np.ndarray:
    """The edges left of the centre of the box, and the centre."""
    center = (edges[0] + edges[-1]) / 2
    return np.append(edges[edges < center - 1e-9 * (edges[-1] - edges[0])], center)


def mirrored(half: np.ndarray) -> np.ndarray:
    """The edges of the whole box, from those of its left half."""
    return np.concatenate([half, 2 * half[-1] - half[-2::-1]])


def reflected(values: np.ndarray, parity: Any = 1.0) -> np.ndarray:
    """Values (..., 2 n) on the whole box, from those on ascending points (..., n) of its left half."""
    return np.concatenate([values, parity * values[..., ::-1]], axis=-1)


def energy_unit(potential: Any, states: int = 1) -> float:
    """(states pi / W)^2, W the integral of sqrt(m) where V lies below level states - 1: the size of its kinetic energy.

    Where V lies nowhere below it, between deltas, the energy by which it does not.
    """
    surveyed = survey(potential, states)
    cells, energy = surveyed.middle, surveyed.energies[-1]
    width = float((np.sqrt(cells.mass) * cells.sizes)[cells.values < energy].sum())
    return (states * np.pi / width) ** 2 if width else float(cells.values.min() - energy)


def gauss_legendre(edges: np.ndarray, n: int) -> Points:
    """`n` Gauss-Legendre points in each segment, exact there for polynomials of degree 2 n - 1."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    left, right = edges[:-1, None], edges[1:, None]
    half = (right - left) / 2
    return Points(x=((left + right) / 2 + half * nodes)[..., None], weight=half * weights)  # type: ignore[arg-type]


def uniform(edges: np.ndarray, n: int) -> Points:
    """A uniform grid of `n` midpoints over the whole domain, blind to the breakpoints, as many programmes use it.

    Grouped by segment; a group with fewer points than the largest is filled up with points of weight zero.
    """
    left, right = edges[0], edges[-1]
    x = left + (right - left) * (np.arange(n) + 0.5) / n
    owner = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(owner, minlength=len(edges) - 1)
    points = np.repeat((edges[:-1] + edges[1:])[:, None] / 2, max(counts.max(), 1), axis=1)
    weight = np.zeros_like(points)
    for j, count in enumerate(counts):
        points[j, :count] = x[owner == j]
        weight[j, :count] = (right - left) / n
    return Points(x=points[..., None], weight=weight)  # type: ignore[arg-type]


def random_uniform(key: Array, edges: Array, n: int) -> Points:
    """`n` independent uniform points in each segment, each with weight length / n (Monte Carlo)."""
    left, right = edges[:-1, None], edges[1:, None]
    x = left + (right - left) * jax.random.uniform(key, (edges.shape[0] - 1, n), dtype=edges.dtype)
    weight = jnp.broadcast_to((right - left) / n, x.shape)
    return Points(x=x[..., None], weight=weight)


def merge(points: Points) -> Points:
    """All groups as one, for an ansatz of a single segment."""
    return Points(x=points.x.reshape(1, -1, points.x.shape[-1]), weight=points.weight.reshape(1, -1))


class Sampling(Protocol):
    """Where the residual is taken: drawn once for each chunk of steps."""

    def draw(self, key: Array) -> Points: ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FixedPoints:
    """The same points in every chunk."""

    points: Points

    def draw(self, key: Array) -> Points:
        return self.points


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RandomPoints:
    """`n` uniform points in every segment of `edges`, drawn anew for each chunk."""

    edges: Array
    n: int = dataclasses.field(metadata={"static": True})

    def draw(self, key: Array) -> Points:
        return random_uniform(key, self.edges, self.n)
