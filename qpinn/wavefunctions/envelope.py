"""The paper's trial function: an envelope that vanishes at the walls of a box times one network."""

from __future__ import annotations

import functools
import operator

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from qpinn.typing import Array, Params, Point, Scalar
from qpinn.wavefunctions.networks import MLP, from_uniform, parameter_count, uniform_draws


class Envelope(nn.Module):
    """psi(x) = (1 - xi_1^2) ... (1 - xi_d^2) N(xi), with xi in [-1, 1]^d the position in the box and N one network.

    A pure Flax module. The envelope is exactly zero at the walls. psi is as smooth as the network everywhere, also
    where V jumps and psi'' of the solution jumps with it.

    params  {"network": parameters of N, with an axis of one segment}
    mesh    {"edges": (2,) the walls, or (2, d) those of each of d axes}, a collection of constants
    """

    mlp: MLP

    @nn.compact
    def __call__(self, x: Point) -> Scalar:
        mesh = self.variables["mesh"]
        params = self.variables["params"] if self.has_variable("params", "network") else self._initialized(len(x))
        segment = jax.tree.map(lambda leaf: leaf[0], self.segments(params, mesh))
        return self.in_segment(segment, x)

    def _initialized(self, d: int) -> Params:
        draws = uniform_draws(self.make_rng("params"), parameter_count(self.mlp, d), self.mlp.dtype)
        network = jax.tree.map(lambda leaf: leaf[None], from_uniform(self.mlp, draws, d))
        return {"network": self.param("network", lambda _: network)}

    @nn.nowrap
    def segments(self, params: Params, mesh: Params) -> Params:
        """What every segment knows of the parameters, with a leading axis of segments: here one."""
        nothing = jnp.zeros((1, 0), self.mlp.dtype)
        return {**params, "nodal": nothing, "left": mesh["edges"][:1], "right": mesh["edges"][1:]}

    @nn.nowrap
    def in_segment(self, segment: Params, x: Point) -> Scalar:
        """psi at x (d,) from what its segment knows."""
        from_left, from_right, size = x - segment["left"], segment["right"] - x, segment["right"] - segment["left"]
        xi = (from_left - from_right) / size
        factors = list(4 * (from_left / size) * (from_right / size))  # 1 - xi^2 without rounding at the walls
        return functools.reduce(operator.mul, factors) * self.mlp.apply({"params": segment["network"]}, xi)

    @nn.nowrap
    def confined(self, params: Params) -> Params:
        """`params` as they are: a network of the whole box may need any slope."""
        return params

    @nn.nowrap
    def inherited(self, params: Params, coarse: Float[Array, "edges"], fine: Params) -> Params:
        """`params` as they are: there is one segment, whatever the mesh."""
        return params
