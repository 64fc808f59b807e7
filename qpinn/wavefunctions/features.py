"""What a piecewise psi is linear in while its hidden units stay: features, P of the readout of every segment and four
of its ends.

They are drawn, and their values and derivatives go through one compiled programme, whatever the number of segments and
of points is, and the scale of the network.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from qpinn.typing import Array, Key, Params, Point, Scalar
from qpinn.wavefunctions.ansatz import Ansatz
from qpinn.wavefunctions.networks import MLP, from_uniform, parameter_count, uniform_draws

NODAL = 4
"""Features of the ends of a segment: value and slope at its left and at its right."""

BATCH = 4096
"""Places at which features are evaluated at once."""

BLOCK = 16
"""Segments whose hidden units are drawn at once."""


def drawn(ansatz: Ansatz, key: Key) -> Params:
    """Random hidden units of a piecewise ansatz, and nodal parameters of zero."""
    mlp, segments = ansatz.wavefunction.mlp, len(ansatz.edges) - 1
    blocks = [_block(mlp.clone(scale=1.0), key, first) for first in range(0, segments, BLOCK)]
    network = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:segments], *blocks)
    network = {name: layer if name == "readout" else jax.tree.map(lambda leaf: mlp.scale * leaf, layer)
               for name, layer in network.items()}  # fmt: skip
    return {"network": network, "nodal": np.zeros(ansatz.continuity.shape[2], mlp.dtype)}


@functools.partial(jax.jit, static_argnums=0)
def _block(mlp: MLP, key: Key, first: int) -> Params:
    """Parameters of the networks of `BLOCK` segments."""
    size = parameter_count(mlp)
    draws = uniform_draws(jax.random.fold_in(key, first), BLOCK * size, mlp.dtype)
    return jax.vmap(lambda row: from_uniform(mlp, row))(draws.reshape(BLOCK, size))


def jets(
    ansatz: Ansatz, params: Params, place: Int[np.ndarray, "Q"], x: Float[np.ndarray, "Q"]
) -> Float[np.ndarray, "3 Q P+4"]:
    """The features, their first and their second derivatives at positions x in the segments `place`."""
    segments = jax.tree.map(np.asarray, ansatz.segments(params))
    wavefunction = ansatz.wavefunction.clone(mlp=ansatz.wavefunction.mlp.clone(scale=1.0))  # which is in `params` too
    parts = []
    for begin in range(0, len(x), BATCH):
        some = slice(begin, begin + BATCH)
        short = BATCH - len(x[some])
        segment, at = np.pad(place[some], (0, short), mode="edge"), np.pad(x[some], (0, short), mode="edge")
        batch = _batch(wavefunction, jax.tree.map(lambda leaf: leaf[segment], segments), at)
        parts.append(np.asarray(batch, np.float64)[:, : BATCH - short])
    return np.concatenate(parts, axis=1)


@functools.partial(jax.jit, static_argnums=0)
def _batch(wavefunction: Any, segments: Params, x: Float[Array, "Q"]) -> Float[Array, "3 Q P+4"]:
    """`jets_at` for every position, each with what its segment knows."""
    return jnp.stack(jax.vmap(functools.partial(jets_at, wavefunction))(segments, x[:, None]))


def jets_at(wavefunction: Any, segment: Params, x: Point) -> tuple[Array, Array, Array]:
    """The features, their first and their second derivatives, (P + 4,) each, at one position in a segment."""
    readout, unravel = ravel_pytree(segment["network"]["readout"])

    def psi(unit: Array, x: Scalar) -> Scalar:
        network = {**segment["network"], "readout": unravel(unit[: readout.size])}
        return wavefunction.in_segment({**segment, "network": network, "nodal": unit[readout.size :]}, x[None])

    def every(x: Scalar) -> Array:
        return jax.vmap(psi, (0, None))(jnp.eye(readout.size + NODAL, dtype=readout.dtype), x)

    # forwards: the hidden units are differentiated once, backwards once for each of the features
    slope = jax.jacfwd(every)
    return every(x[0]), slope(x[0]), jax.jacfwd(slope)(x[0])


def bubbles(values: Float[np.ndarray, "n P"], cutoff: float, most: int | None = None) -> Float[np.ndarray, "P r"]:
    """Weights of the readout that make orthonormal bubbles of features on n points, times roots of weights.

    Those smaller than `cutoff` times the largest do not survive rounding and are left out; `most` are kept.
    """
    _, sizes, right = np.linalg.svd(values, full_matrices=False)
    kept = (sizes > cutoff * sizes[0]) & (np.arange(len(sizes)) < (len(sizes) if most is None else most))
    return right[kept].T / sizes[kept]
