"""psi(t, x) of a packet by one network, with psi(0, x) and the walls exact: what is trained, a pure Flax module."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from qpinn.typing import Array, Params
from qpinn.wavefunctions.networks import MLP, from_uniform, parameter_count, uniform_draws


class Wave(nn.Module):
    """psi(t, x) = psi0(x) + s e(xi) (N_1 + i N_2)(2 s - 1, xi), with s in [0, 1] the time, xi in [-1, 1] the position.

    The envelope e = (1 + xi)^p (1 - xi)^q is zero at the walls, as psi0 is, with its slope where p or q is 2: psi then
    goes on as zero. A real function of (t, x) with two values: Re psi and Im psi.

    params     {"network": parameters of N}
    constants  {"span": (2,) first and last time, "edges": (2,) the walls, "start": psi0, a `Spline`}, a collection
    ends       p and q
    """

    mlp: MLP
    ends: tuple[int, int] = (1, 1)

    @nn.compact
    def __call__(self, tx: Float[Array, "2"]) -> Float[Array, "2"]:
        constants = self.variables["constants"]
        params = self.variables["params"] if self.has_variable("params", "network") else self._initialized()
        (begin, end), (left, right) = constants["span"], constants["edges"]
        s, before, after = (
            (tx[0] - begin) / (end - begin),
            (tx[1] - left) / (right - left),
            (right - tx[1]) / (right - left),
        )
        envelope = (2 * before) ** self.ends[0] * (2 * after) ** self.ends[1]
        network = self.mlp.apply({"params": params["network"]}, jnp.stack([2 * s - 1, before - after]))
        return constants["start"](tx[1]) + s * envelope * network

    def _initialized(self) -> Params:
        draws = uniform_draws(self.make_rng("params"), parameter_count(self.mlp, 2), self.mlp.dtype)
        return {"network": self.param("network", lambda _: from_uniform(self.mlp, draws, 2))}


def initial(wave: Wave, constants: Params, key: jax.Array) -> Params:
    """Random parameters."""
    _, created = wave.apply({"constants": constants}, jnp.zeros(2, wave.mlp.dtype), rngs={"params": key},
                            mutable=["params"])  # fmt: skip
    return created["params"]
