"""Functions through samples, smooth, and cheap to evaluate and to differentiate inside a compiled programme."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.typing import Array, Scalar

DEGREE = 5


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Spline:
    """A spline of degree 5, four times continuously differentiable, on n even cells; its values are (c,).

    first   () where the first cell begins; step: () the length of a cell
    powers  (n, 6, c) in cell i the function is sum_k powers[i, k] s^k, with s in [0, 1] the position in it
    """

    first: Any
    step: Any
    powers: Any

    def __call__(self, x: Scalar) -> Float[Array, "c"]:
        """The function at x (); beyond its samples it goes on as in the nearest cell."""
        place = (x - self.first) / self.step
        cell = jnp.clip(jnp.floor(jax.lax.stop_gradient(place)), 0, len(self.powers) - 1)
        powers, s = jnp.asarray(self.powers)[cell.astype(int)], place - cell
        value = powers[DEGREE]
        for k in range(DEGREE - 1, -1, -1):
            value = value * s + powers[k]
        return value


def through(x: Float[np.ndarray, "n+1"], values: Float[np.ndarray, "n+1 c"]) -> Spline:
    """The spline through values at even positions, six of them at least."""
    from scipy.interpolate import make_interp_spline

    step = (x[-1] - x[0]) / (len(x) - 1)
    spline = make_interp_spline(x, values, k=DEGREE)
    powers = [
        spline.derivative(k)(x[:-1]) * step**k / math.factorial(k) if k else values[:-1] for k in range(DEGREE + 1)
    ]
    return Spline(first=np.float64(x[0]), step=np.float64(step), powers=np.stack(powers, axis=1))
