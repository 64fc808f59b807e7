"""The residual of the equation, weighted by a quadrature. The sum of squares of residual vectors is the loss."""

from __future__ import annotations

import jax.numpy as jnp

from qpinn.types import Array, Scalar


def pde(h_psi: Array, psi: Array, energy: Scalar, weight: Array, unit: Scalar) -> Array:
    """sqrt(w_i) (H psi - E psi)(x_i) / unit (n,), whose squares add up to integral (H psi - E psi)^2 dx / unit^2."""
    return jnp.sqrt(weight) * (h_psi - energy * psi) / unit
