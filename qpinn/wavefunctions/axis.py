"""The functions of one axis of a box: all that one piecewise network can be while its hidden units stay as they are.

Products of them, one for each axis, are what psi of several coordinates is made of (`qpinn.wavefunctions.product`).
They share their hidden units; each has its own readouts and nodal values, in which it is linear.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import legendre
from qpinn.typing import Params
from qpinn.wavefunctions import features
from qpinn.wavefunctions.ansatz import Ansatz

CUTOFF = 4e-7
"""Bubbles smaller than this share of the largest in their segment are left out, and felt in residuals as
CUTOFF |psi''|. Single functions are known to eps / CUTOFF; a smaller one keeps more of them, which need more points."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axis:
    """n functions on the S segments of one axis.

    params   of the ansatz: its hidden units are those of all functions
    linear   (S, W + 4, n) in every segment the weights of the readout, then values and slopes at its two ends
    nodal    (q, n) the nodal parameters
    """

    ansatz: Ansatz
    params: Params
    linear: Float[np.ndarray, "S W+4 n"]
    nodal: Float[np.ndarray, "q n"]

    @property
    def mesh(self) -> Mesh:
        return Mesh(np.asarray(self.ansatz.edges, np.float64))

    @property
    def count(self) -> int:
        return self.linear.shape[-1]

    def mixed(self, mix: Float[np.ndarray, "n k"]) -> Axis:
        """The functions sum_n mix_nk phi_n."""
        return dataclasses.replace(self, linear=self.linear @ mix, nodal=self.nodal @ mix)

    def within(self, segment: int) -> Int[np.ndarray, "k"]:
        """Which of the functions are not zero in a segment."""
        return np.flatnonzero(np.abs(self.linear[segment]).max(axis=0) > 0)

    def jets(self, places: Sequence[Float[np.ndarray, "q"]]) -> list[Float[np.ndarray, "3 k q"]]:
        """Values, first and second derivatives at places in each segment, of its functions (`within`) alone."""
        unique = [np.unique(own, return_inverse=True) for own in places]  # on grids most are there many times
        sizes = [len(own) for own, _ in unique]
        x = np.concatenate([own for own, _ in unique])
        place = np.repeat(np.arange(len(sizes)), sizes)
        units = np.split(features.jets(self.ansatz, self.params, place, x), np.cumsum(sizes), axis=1)
        return [
            np.einsum("jqw,wn->jnq", units[segment], self.linear[segment][:, self.within(segment)], optimize=True)[
                ..., inverse
            ]
            for segment, (_, inverse) in enumerate(unique)
        ]

    def on(self, x: Float[np.ndarray, "Q"], mass: float = 1.0) -> OnGrid:
        """The functions at any positions of the axis, with the weights of the trapezoidal rule where they ascend; at an
        edge of two segments as seen from its right."""
        weight = np.diff(x, prepend=x[:1]) / 2 + np.diff(x, append=x[-1:]) / 2
        return OnGrid(x=x, weight=weight, jets=self.of(self.features(x), x), mass=mass)

    def features(self, x: Float[np.ndarray, "Q"]) -> Float[np.ndarray, "3 Q W+4"]:
        """What all functions are linear in, at any positions."""
        with jax.enable_x64(True):
            return features.jets(self.ansatz, self.params, self.mesh.segment(x), x)

    def of(self, units: Float[np.ndarray, "3 Q W+4"], x: Float[np.ndarray, "Q"]) -> Float[np.ndarray, "3 n Q"]:
        """The functions, their first and second derivatives from the `features` at positions x, segment by segment."""
        place, jets = self.mesh.segment(x), np.empty((3, self.count, len(x)))
        for segment in np.unique(place):
            here = place == segment
            jets[..., here] = (units[:, here] @ self.linear[segment]).swapaxes(1, 2)
        return jets

    def function_params(self) -> Params:
        """Parameters of each function as those of the ansatz, with a leading axis (n, ...)."""
        count = self.linear.shape[1] - 4
        _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], self.params["network"]["readout"]))
        readout = jax.vmap(jax.vmap(unravel))(jnp.asarray(np.moveaxis(self.linear[:, :count], -1, 0)))
        hidden = {name: leaf for name, leaf in self.params["network"].items() if name != "readout"}
        wide = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.count, *leaf.shape)), hidden)
        return {"network": {**wide, "readout": readout}, "nodal": jnp.asarray(self.nodal.T)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnGrid:
    """The functions of an axis on Q points.

    x, weight  (Q,) points and quadrature weights
    jets       (3, n, Q) values, first and second derivatives
    mass       of the axis
    """

    x: Float[np.ndarray, "Q"]
    weight: Float[np.ndarray, "Q"]
    jets: Float[np.ndarray, "3 n Q"]
    mass: float

    def mixed(self, mix: Float[np.ndarray, "n k"]) -> OnGrid:
        return dataclasses.replace(self, jets=np.einsum("jnq,nk->jkq", self.jets, mix, optimize=True))

    def part(self, where: slice) -> OnGrid:
        """Some of the points."""
        return dataclasses.replace(self, x=self.x[where], weight=self.weight[where], jets=self.jets[..., where])

    def ritz(self, v: Float[np.ndarray, "Q"]) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n n"]]:
        """Levels of -u'' / m + v u = e u among the functions (Rayleigh and Ritz), and the mix that each is."""
        from scipy import linalg

        value, slope, _ = self.jets
        overlap = (value * self.weight) @ value.T
        form = (slope * (self.weight / self.mass)) @ slope.T + (value * (self.weight * v)) @ value.T
        return linalg.eigh(form, overlap)  # type: ignore[no-any-return]

    def levels(self, v: Float[np.ndarray, "Q"]) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n Q"]]:
        """Levels and functions on the points, see `qpinn.physics.mean_field.AxisProblem`."""
        e, mix = self.ritz(v)
        return e, mix.T @ self.jets[0]


def axis_of(
    ansatz: Ansatz, params: Params, mass: float, points: Sequence[int], cutoff: float = CUTOFF
) -> tuple[Axis, list[OnGrid]]:
    """All functions of an ansatz with the hidden units of `params`, and their values on quadratures.

    points  Gauss-Legendre points in a segment of each quadrature; on the first the functions are made independent
    cutoff  bubbles smaller than this share of the largest in their segment are left out

    Bubbles of a segment are made orthonormal by a singular value decomposition, and those that are too small to survive
    rounding are dropped. Nodal functions stay as they are: made orthogonal to the bubbles they would have readouts as
    large as those of the smallest of these, 1 / cutoff, and rounding with them in everything that psi' is not zero in.
    """
    mesh = Mesh(np.asarray(ansatz.edges, np.float64))
    rules = [legendre(n) for n in points]
    share = (np.concatenate([nodes for nodes, _ in rules]) + 1) / 2
    at = mesh.at(share)
    units = features.jets(ansatz, params, np.repeat(np.arange(len(mesh)), len(share)), at.ravel())
    units = units.reshape(3, *at.shape, -1)
    first = slice(0, points[0])
    linear = _independent(units[0][:, first], np.sqrt(rules[0][1] / 2 * mesh.lengths[:, None]),
                          np.asarray(ansatz.continuity, np.float64), cutoff)  # fmt: skip
    nodal = np.eye(ansatz.continuity.shape[2])
    width, nodes = linear.shape[-1] - len(nodal), len(nodal)
    # on the host: arrays of JAX are single precision once they have been pickled
    axis = Axis(ansatz=jax.device_get(ansatz), params=jax.device_get(params), linear=linear,
                nodal=np.concatenate([np.zeros((nodes, width)), nodal], axis=1))  # fmt: skip
    jets = np.einsum("jsqw,swn->jnsq", units, linear, optimize=True)
    grids, begin = [], 0
    for (nodes_, weights), n in zip(rules, points, strict=True):
        part = jets[..., begin : begin + n].reshape(3, axis.count, -1)
        x, weight = mesh.at((nodes_ + 1) / 2).ravel(), (mesh.lengths[:, None] * weights / 2).ravel()
        grids.append(OnGrid(x=x, weight=weight, jets=part, mass=mass))
        begin += n
    return axis, grids


def _independent(value: np.ndarray, root: np.ndarray, continuity: np.ndarray, cutoff: float) -> np.ndarray:
    """Weights (S, W + 4, n) of functions that depend on each other no more than rounding allows.

    value  (S, Q, W + 4) of the units, and root (S, Q) the square roots of the quadrature weights
    """
    segments, _, total = value.shape
    width, blocks, ties = total - 4, [], np.zeros((segments, total, continuity.shape[2]))
    for segment in range(segments):
        units = value[segment] * root[segment][:, None]
        bubbles = features.bubbles(units[:, :width], cutoff)
        ties[segment, width:] = continuity[segment]
        blocks.append(np.concatenate([bubbles, np.zeros((4, bubbles.shape[1]))]))
    count = sum(block.shape[1] for block in blocks)
    linear, begin = np.zeros((segments, total, count)), 0
    for segment, block in enumerate(blocks):
        linear[segment, :, begin : begin + block.shape[1]] = block
        begin += block.shape[1]
    return np.concatenate([linear, ties], axis=2)
