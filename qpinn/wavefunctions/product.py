"""Wavefunctions of several coordinates: sums of products of axis functions, a pure Flax module."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from qpinn.physics.potentials.formula import Node
from qpinn.physics.potentials.terms import at_places
from qpinn.typing import Array, Params, Point, Scalar
from qpinn.wavefunctions.axis import Axis
from qpinn.wavefunctions.piecewise import Piecewise


@dataclasses.dataclass(frozen=True)
class Terms:
    """K functions as sums of chosen products of the functions of the axes: indices (T, d), coefficients (K, T)."""

    indices: Int[np.ndarray, "T d"]
    coefficients: Float[np.ndarray, "K T"]

    def __len__(self) -> int:
        return len(self.coefficients)

    def __getitem__(self, which: slice) -> Terms:
        """Some of the functions."""
        return Terms(self.indices, self.coefficients[which])


Core = np.ndarray | Terms
"""What K functions are made of: an array (K, n_1, ..., n_d) of all products, or some of them."""


def unfolded(core: Core, axis: int) -> Float[np.ndarray, "K n G"]:
    """Coefficients of K functions in the n functions of an axis, for each product G of those of all others."""
    if not isinstance(core, Terms):
        return np.moveaxis(core, axis + 1, 1).reshape(len(core), core.shape[axis + 1], -1)
    own = core.indices[:, axis]
    _, others = np.unique(np.delete(core.indices, axis, axis=1), axis=0, return_inverse=True)
    table = np.zeros((len(core), int(own.max()) + 1, int(others.max()) + 1))
    table[:, own, others.ravel()] = core.coefficients
    return table


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


class Bent(nn.Module):
    """psi = psi_0 + sum over curves g = 0 of max(s g, 0)^2 psi_g: products, and what bends on curves.

    product  the module of all of them
    curves   tree g and sign s of each
    params, mesh  {"part_0": those of psi_0, "part_1": those of the psi_g, ...}
    """

    product: Product
    curves: tuple[tuple[Node, float], ...]

    @nn.compact
    def __call__(self, x: Point) -> Array:
        params, mesh = self.variables["params"], self.variables["mesh"]

        def part(place: int) -> Array:
            name = f"part_{place}"
            return self.product.apply({"params": params[name], "mesh": mesh[name]}, x)  # type: ignore[return-value]

        total = part(0)
        for place, (tree, sign) in enumerate(self.curves):
            g = sign * at_places(tree, {axis: x[axis] for axis in range(len(x))})
            total = total + jnp.maximum(g, 0) ** 2 * part(place + 1)
        return total


def together(smooth: dict[str, Any], bends: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Variables of `Bent` from those of its products."""
    parts = {f"part_{place}": part for place, part in enumerate([smooth, *bends])}
    return {kind: {name: part[kind] for name, part in parts.items()} for kind in ("params", "mesh")}


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
