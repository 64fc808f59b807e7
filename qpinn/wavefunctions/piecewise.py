"""A trial function on segments, in the domain of H by construction."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.typing import Array, Params, Point, Scalar
from qpinn.wavefunctions.networks import MLP, from_uniform, parameter_count, uniform_draws

STEEPEST = 8.0
"""Largest hidden weight of a segment, in units of its half-length: tanh(8 xi) is resolved to 1e-7 by the 40 points of a
training and to rounding by those of a measurement. A minimum of the loss on points may have units that jump between two
of them, which no measurement sees."""


class Piecewise(nn.Module):
    """psi with psi'' free to jump between segments, C1 where there are no masses and no deltas; a pure Flax module.

    In a segment of half-length h, with xi in [-1, 1] the position in it, u and u' the values and slopes at its ends,

        psi = Hermite(u_j, u'_j, u_{j+1}, u'_{j+1})(xi) + (1 - xi^2)^2 N_j(xi),

    where the cubic Hermite part carries all of psi and psi' at the ends, and N_j, the network of that segment, none of
    it. The ends of all segments follow from the nodal parameters by one linear map, which has walls, other ends,
    masses, deltas and symmetries in it (`qpinn.wavefunctions.continuity`).

    params  {"network": parameters of all N_j, with a leading axis of segments; "nodal": (q,)}
    mesh    a collection of constants: {"edges": (segments + 1,), "continuity": (segments, 4, q), "unit": (q,)}, and
            "parity": () for a psi that is even or odd about the last edge, or "theta": () for a periodic one. The map
            of a Bloch function has its two sheets one after the other, and psi is complex.
    """

    mlp: MLP

    @nn.compact
    def __call__(self, x: Point) -> Scalar:
        mesh = self.variables["mesh"]
        params = self.variables["params"] if self.has_variable("params", "nodal") else self._initialized(mesh)
        edges, at = mesh["edges"], x
        sign: Any = 1.0
        bloch = len(mesh["continuity"]) > len(edges) - 1
        if "parity" in mesh:
            at = edges[-1] - jnp.abs(x - edges[-1])
            sign = jnp.where(x[0] > edges[-1], mesh["parity"], 1.0)
        elif "theta" in mesh:
            turns = jnp.floor((x - edges[0]) / (edges[-1] - edges[0]))
            at, phase = x - turns * (edges[-1] - edges[0]), mesh["theta"] * turns[0]
            sign = jax.lax.complex(jnp.cos(phase), jnp.sin(phase)) if bloch else jnp.cos(phase)
        place = jnp.searchsorted(edges[1:-1], at[0], side="right")
        segments, count = self.segments(params, mesh), len(edges) - 1

        def sheet(first: int) -> Scalar:
            return self.in_segment(jax.tree.map(lambda leaf: leaf[first + place], segments), at)

        return sign * (jax.lax.complex(sheet(0), sheet(count)) if bloch else sheet(0))

    def _initialized(self, mesh: Params) -> Params:
        segments, nodal = mesh["continuity"].shape[0], mesh["continuity"].shape[2]
        size = parameter_count(self.mlp)
        draws = uniform_draws(self.make_rng("params"), segments * size + nodal, self.mlp.dtype)
        networks = draws[: segments * size].reshape(segments, size)
        return {
            "network": self.param("network", lambda _: jax.vmap(partial(from_uniform, self.mlp))(networks)),
            "nodal": self.param("nodal", lambda _: draws[segments * size :] * mesh["unit"]),
        }

    @nn.nowrap
    def segments(self, params: Params, mesh: Params) -> Params:
        """What every segment knows of the parameters, with a leading axis of segments (of both sheets)."""
        left, right = mesh["edges"][:-1], mesh["edges"][1:]
        if len(mesh["continuity"]) > len(left):
            left, right = jnp.tile(left, 2), jnp.tile(right, 2)
        nodal = mesh["continuity"] @ params["nodal"]
        return {"network": params["network"], "nodal": nodal, "left": left, "right": right}

    @nn.nowrap
    def in_segment(self, segment: Params, x: Point) -> Scalar:
        """psi at x (d,) from what its segment knows: its network, and value, slope, value, slope at its ends."""
        half = (segment["right"] - segment["left"]) / 2
        plus = (x - segment["left"]) / half  # 1 + xi
        minus = (segment["right"] - x) / half  # 1 - xi
        inner = self.mlp.apply({"params": segment["network"]}, (plus - minus) / 2)
        plus, minus = plus[0], minus[0]
        nodal = segment["nodal"] / 4
        slope = nodal[1::2] * half
        from_left = nodal[0] + plus * (nodal[0] + slope[0])
        from_right = nodal[2] + minus * (nodal[2] - slope[1])
        product = plus * minus
        return minus * minus * from_left + plus * plus * from_right + product * product * inner

    @nn.nowrap
    def confined(self, params: Params, steepest: Any = STEEPEST) -> Params:
        """`params` with the hidden weights and biases of every network within +-`steepest`."""
        hidden = {
            name: jax.tree.map(lambda leaf: jnp.clip(leaf, -steepest, steepest), layer) if name != "readout" else layer
            for name, layer in params["network"].items()
        }
        return {**params, "network": hidden}

    @nn.nowrap
    def inherited(self, params: Params, coarse: Float[Array, "edges"], fine: Params) -> Params:
        """Parameters on the mesh `fine` from `params` (lanes first) on one with edges `coarse`, all of them in it.

        The network of a part of a segment is that of the whole, as a function of x; nodal parameters are zero, for a
        linear solve to find.
        """
        old, new = np.asarray(coarse), np.asarray(fine["edges"])
        middle, half = (new[:-1] + new[1:]) / 2, np.diff(new) / 2
        whole = np.clip(np.searchsorted(old, middle) - 1, 0, len(old) - 2)
        size = np.diff(old)[whole] / 2
        ratio, shift = half / size, (middle - (old[whole] + old[whole + 1]) / 2) / size  # xi of whole: shift + ratio xi
        sheets = fine["continuity"].shape[-3] // len(middle)
        whole = np.concatenate([whole + sheet * (len(old) - 1) for sheet in range(sheets)])
        ratio, shift = np.tile(ratio, sheets), np.tile(shift, sheets)
        first = params["network"]["hidden_0"]
        kernel, bias = first["kernel"][..., whole, :, :], first["bias"][..., whole, :]
        moved = {
            "kernel": kernel * ratio[:, None, None].astype(kernel.dtype),
            "bias": bias + (kernel * shift[:, None, None].astype(kernel.dtype))[..., 0, :],
        }
        rest = jax.tree.map(lambda leaf: jnp.take(leaf, whole, axis=bias.ndim - 2), params["network"])
        nodal = jnp.zeros((*bias.shape[:-2], fine["continuity"].shape[-1]), bias.dtype)
        return {"network": {**rest, "hidden_0": moved}, "nodal": nodal}
