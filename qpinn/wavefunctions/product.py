"""Wavefunctions of several coordinates: sums of products of axis functions, a pure Flax module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from qpinn.typing import Array, Params, Point, Scalar
from qpinn.wavefunctions.axis import Axis
from qpinn.wavefunctions.piecewise import Piecewise


class Product(nn.Module):
    """psi_k(x_1, ..., x_d) = sum_t c_kt phi_1,a(t)(x_1) phi_2,b(t)(x_2) ...: (K,) at x (d,), () for c of one level.

    axes    the piecewise functions of every axis (`qpinn.wavefunctions.piecewise`)
    params  {"axis_i": parameters of the n_i functions of axis i, with a leading axis; "coefficients": (..., T)}
    mesh    {"axis_i": the mesh of axis i; "indices": (T, d), which function of each axis is in each product}
    """

    axes: tuple[Piecewise, ...]

    @nn.compact
    def __call__(self, x: Point) -> Array:
        params, mesh = self.variables["params"], self.variables["mesh"]
        product = jnp.ones((), x.dtype)
        for axis, piecewise in enumerate(self.axes):
            name = f"axis_{axis}"

            def value(own: Params, axis: int = axis, piecewise: Any = piecewise, name: str = name) -> Scalar:
                return piecewise.apply({"params": own, "mesh": mesh[name]}, x[axis : axis + 1])

            product = product * jax.vmap(value)(params[name])[mesh["indices"][:, axis]]
        return params["coefficients"] @ product


def variables(axes: Sequence[Axis], indices: np.ndarray, coefficients: np.ndarray) -> dict[str, Any]:
    """Parameters and mesh of products: the functions of every axis, terms (T, d) and coefficients (..., T)."""
    names = [f"axis_{axis}" for axis in range(len(axes))]
    params = {name: axis.function_params() for name, axis in zip(names, axes, strict=True)}
    mesh: dict[str, Any] = {
        name: jax.tree.map(jnp.asarray, axis.ansatz.mesh) for name, axis in zip(names, axes, strict=True)
    }
    return {
        "params": {**params, "coefficients": jnp.asarray(coefficients)},
        "mesh": {**mesh, "indices": jnp.asarray(indices)},
    }


def product_of(axes: Sequence[Axis]) -> Product:
    """The module of products of the functions of these axes."""
    return Product(tuple(axis.ansatz.wavefunction for axis in axes))
