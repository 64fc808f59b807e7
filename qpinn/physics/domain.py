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

from qpinn.physics import estimates
from qpinn.types import Array


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
    left of psi there matters less. Where V is steep psi varies over |V'|^(-1/3), the length of an Airy function. The
    levels are those of `estimates.levels`, from the potential alone.
    """
    edges = estimates.pieces(potential)
    cells = estimates.steps(potential)
    bounds, length = cells.edges, np.diff(cells.edges)
    steep = _steepness(potential, cells)
    rate = np.zeros(len(length))
    for energy in estimates.levels(potential, states):
        below = cells.wave_number(energy)
        depth = _depth(cells, energy)
        # n cells of which each is 1.3 times as wide as the last reach phase (1.3^n - 1) / 0.3 decay lengths deep
        graded = np.where(depth < 40, 0.3 / np.log(1.3) / (1 + 0.3 * depth / phase), 0.0)
        rate = np.maximum(rate, np.maximum(np.sqrt(np.abs(below)), steep) * np.where(below > 0, 1.0, graded))
    count = np.concatenate([[0.0], np.cumsum(rate * length)]) / phase
    cuts = [edges]
    for start, stop in itertools.pairwise(edges):
        first, last = np.interp((start, stop), bounds, count)
        segments = max(1, int(np.ceil(last - first - 1e-9)))
        cuts.append(np.interp(first + (last - first) * np.arange(1, segments) / segments, count, bounds))
    return np.unique(np.concatenate(cuts))


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


def _depth(cells: estimates.Steps, energy: float) -> np.ndarray:
    """Decay lengths of psi from each cell to the nearest one where it oscillates or has a delta at hand."""
    decay = np.sqrt(np.maximum(-cells.wave_number(energy), 0.0)) * np.diff(cells.edges)
    total = np.cumsum(decay) - decay / 2
    inside = np.unique(total[cells.allowed(energy)])
    return np.min(np.abs(total[:, None] - inside), axis=1) if inside.size else np.zeros(len(total))


def _steepness(potential: Any, cells: estimates.Steps) -> np.ndarray:
    """|m V'|^(1/3) in each cell: the inverse of the length over which psi changes at a turning point."""
    left, right = cells.edges[:-1], cells.edges[1:]
    share = 1e-6 * (right - left)
    with np.errstate(over="ignore"):
        jump = potential((right - share)[:, None]) - potential((left + share)[:, None])
    return np.minimum(cells.mass * np.abs(jump) / (right - left), 1e18) ** (1 / 3)


def energy_unit(potential: Any, states: int = 1) -> float:
    """(states pi / W)^2, W the integral of sqrt(m) where V lies below level states - 1: the size of its kinetic energy.

    Where V lies nowhere below it, between deltas, the energy by which it does not.
    """
    cells = estimates.steps(potential)
    energy = estimates.levels(potential, states)[-1]
    width = float((np.sqrt(cells.mass) * np.diff(cells.edges))[cells.values < energy].sum())
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
