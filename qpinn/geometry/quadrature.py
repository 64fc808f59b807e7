"""Points and weights at which a residual is taken.

A quadrature never crosses a breakpoint. A rule that does solves, to a very small loss, for a well of another width.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.geometry.mesh import Mesh
from qpinn.typing import Array, Key


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Points:
    """Collocation points in groups, one group for each segment of an ansatz.

    x        (segments, n, d)   positions, inside their segment
    weight   (segments, n)      quadrature weights; they add up to the length of the domain, also where the points are
                                those of its left half
    """

    x: Float[Array, "segments n d"]
    weight: Float[Array, "segments n"]


@functools.lru_cache(maxsize=256)
def legendre(n: int) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Gauss-Legendre points and weights (n,) on (-1, 1); they are kept, and cannot be written to."""
    rule = np.polynomial.legendre.leggauss(n)
    for array in rule:
        array.flags.writeable = False
    return rule


def gauss_legendre(mesh: Mesh, n: int) -> Points:
    """`n` Gauss-Legendre points in each segment, exact there for polynomials of degree 2 n - 1.

    Those of half a box stand for their mirror images too.
    """
    nodes, weights = legendre(n)
    half = mesh.lengths[:, None] / 2
    x = mesh.middles[:, None] + half * nodes
    return Points(x=x[..., None], weight=half * weights * (2 if mesh.half else 1))


def uniform(edges: Float[np.ndarray, "segments+1"], n: int) -> Points:
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


def random_uniform(key: Key, edges: Float[Array, "segments+1 *d"], n: int) -> Points:
    """`n` independent uniform points in each segment, each with weight length / n (Monte Carlo).

    In d dimensions edges are (2, d), the corners of the box, and its volume stands for the length.
    """
    corners = edges.reshape(len(edges), 1, -1)
    left, right = corners[:-1], corners[1:]
    x = left + (right - left) * jax.random.uniform(key, (len(left), n, left.shape[-1]), dtype=edges.dtype)
    return Points(x=x, weight=jnp.broadcast_to(jnp.prod(right - left, axis=-1) / n, x.shape[:2]))


def tensor(axes: Sequence[Points]) -> Points:
    """The product of points on each of d axes: one group of n_1 ... n_d points, the last axis running fastest."""
    lines = [merge(points) for points in axes]
    x = np.stack(np.meshgrid(*(line.x[0, :, 0] for line in lines), indexing="ij"), axis=-1)
    weight = functools.reduce(np.multiply.outer, [np.asarray(line.weight[0]) for line in lines])
    return Points(x=x.reshape(1, -1, len(lines)), weight=weight.reshape(1, -1))  # type: ignore[arg-type]


def merge(points: Points) -> Points:
    """All groups as one, for an ansatz of a single segment."""
    return Points(x=points.x.reshape(1, -1, points.x.shape[-1]), weight=points.weight.reshape(1, -1))


class Sampling(Protocol):
    """Where the residual is taken: drawn once for each chunk of steps."""

    def draw(self, key: Key) -> Points: ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FixedPoints:
    """The same points in every chunk."""

    points: Points

    def draw(self, key: Key) -> Points:
        return self.points


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RandomPoints:
    """`n` uniform points in every segment of `edges`, or in the box between corners (2, d), anew for each chunk."""

    edges: Array
    n: int = dataclasses.field(metadata={"static": True})

    def draw(self, key: Key) -> Points:
        return random_uniform(key, self.edges, self.n)
