"""The interval: its segments, and the points and weights at which a residual is taken.

A quadrature never crosses a breakpoint. A rule that does solves, to a very small loss, for a well of another width.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

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


def pieces(potential: Any) -> np.ndarray:
    """Walls and breakpoints of a potential with concrete numbers, ascending: (pieces + 1,)."""
    left, right = potential.domain
    return np.array([left, *sorted(potential.breakpoints), right], dtype=np.float64)


def segment_edges(potential: Any, state: int = 0, phase: float = 4.5) -> np.ndarray:
    """Edges (segments + 1,) of a mesh on which level `state` is smooth and slowly varying in every segment.

    Cuts at every breakpoint, and then so that a segment holds at most `phase` radians of psi where it oscillates and
    about `phase` decay lengths where it decays. Both come from the potential alone (`_estimate`): the wavenumber is at
    most sqrt(E_high - V), and psi may decay as fast as sqrt(V - V_min) wherever E_low does not exceed V by far.
    """
    edges = pieces(potential)
    height, low, high = _estimate(potential, state)
    cuts = [edges]
    last = len(height) - 1
    for j, length in enumerate(np.diff(edges)):
        wavenumber = np.sqrt(max(high - height[j], 0.0))
        kappa = np.sqrt(height[j]) if height[j] > low / 4 else 0.0
        if kappa * length > phase:
            fractions = _graded(length * kappa, phase, wavenumber / kappa, j > 0, j < last)
        else:
            count = max(1, int(np.ceil(wavenumber * length / phase)))
            fractions = np.arange(1, count) / count
        cuts.append(edges[j] + length * fractions)
    return np.unique(np.concatenate(cuts))


def energy_unit(potential: Any, state: int = 0) -> float:
    """k^2 = ((state + 1) pi / W)^2, W the length where V <= E_low (`_estimate`): the size of its kinetic energy."""
    height, low, _ = _estimate(potential, state)
    return float(((state + 1) * np.pi / np.diff(pieces(potential))[height <= low].sum()) ** 2)


def _estimate(potential: Any, state: int) -> tuple[np.ndarray, float, float]:
    """V - V_min in each piece, and two energies above V_min near level `state`, from the potential alone.

    Bohr and Sommerfeld: the integral of sqrt(E - V) over the allowed region is (state + 1/2) pi for E_low, as between
    soft walls, and (state + 1) pi for E_high, as between hard ones.
    """
    edges = pieces(potential)
    lengths = np.diff(edges)
    levels = potential(((edges[:-1] + edges[1:]) / 2)[:, None])
    height = levels - levels.min()

    def energy(action: float) -> float:
        low, high = 0.0, float(height.max() + (action / lengths.sum()) ** 2)
        while low < (middle := (low + high) / 2) < high:
            enough = np.sum(np.sqrt(np.maximum(middle - height, 0.0)) * lengths) >= action
            low, high = (low, middle) if enough else (middle, high)
        return high

    return height, energy((state + 0.5) * np.pi), energy((state + 1) * np.pi)


def _graded(depth: float, phase: float, oscillation: float, from_left: bool, from_right: bool) -> np.ndarray:
    """Fractions in (0, 1) that cut a piece of `depth` decay lengths into cells, wider away from where psi comes in.

    A cell of `phase` decay lengths at the entrance is followed by wider ones, because what is left of psi there matters
    less; beyond 40 decay lengths psi is below the rounding error and one cell is enough. If E may be above V after all,
    `oscillation` radians for each decay length, no cell holds more than `phase` radians.
    """
    if from_left and from_right:
        half = _graded(depth / 2, phase, oscillation, True, False) / 2
        return np.concatenate([half, [0.5] if half.size else [], 1 - half[::-1]])
    cuts, growth = [0.0], phase
    widest = phase / oscillation if oscillation else np.inf
    while depth - cuts[-1] > 1.5 * min(growth, widest) and (cuts[-1] < 40 or oscillation):
        cuts.append(cuts[-1] + min(growth, widest))
        growth *= 1.3
    fractions = np.array(cuts[1:]) / depth
    return fractions if from_left else 1 - fractions[::-1]


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
