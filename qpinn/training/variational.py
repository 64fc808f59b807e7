"""A start that is neither random nor projected: the Rayleigh quotient is minimised, the residual trained afterwards.

From random parameters the residual alone has every eigenstate, and psi = 0, as a minimum. The Rayleigh quotient

    E[psi] = (integral psi'^2 / m + V psi^2 dx + sum_j alpha_j psi(c_j)^2) / integral psi^2 dx

has the ground state as its only one, and among functions that are orthogonal to those below, the level above them.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.quadrature import Points
from qpinn.training.optimizers.adam import Adam
from qpinn.typing import Params, Scalar

NORM = 0.1
"""Weight of log(integral psi^2 dx)^2, which only keeps the length of psi, as E[psi] does not depend on it."""

BELOW = 10.0
"""Weight of the squared overlaps with the functions below, in units of the kinetic energy: above the gaps."""

FINAL = 1e-2
"""Last learning rate over the first, along half a cosine."""


def objective(equation: Eigenvalue, params: Params, points: Points) -> tuple[Scalar, Scalar]:
    """E[psi] / unit + NORM log(|psi|^2)^2 + BELOW sum_j <psi_j|psi>^2 / |psi|^2, and E[psi]."""
    fields = equation.fields(params, points)
    norm = jnp.sum(points.weight * fields.psi.value**2)
    energy = equation.rayleigh_quotient(fields, points.weight)
    total = energy / equation.unit + NORM * jnp.log(norm) ** 2
    if equation.below is not None:
        overlaps = equation.overlaps_below(fields.psi.value, points)
        total = total + BELOW * jnp.sum(jnp.where(equation.weight_below > 0, overlaps**2, 0)) / norm
    return total, energy


def start(
    equation: Eigenvalue, params: Params, points: Points, steps: int, learning_rate: float
) -> tuple[Params, Scalar]:
    """`params` after `steps` of Adam on `objective`: psi of unit norm, E its Rayleigh quotient where it is trained."""
    import optax

    adam = Adam(learning_rate, FINAL, steps, schedule="cosine")

    def step(carry: tuple[Params, Any], count: Scalar) -> tuple[tuple[Params, Any], None]:
        psi, memory = carry
        gradient = jax.grad(lambda psi: objective(equation, {**params, "psi": psi}, points)[0])(psi)
        updates, memory = optax.scale_by_adam().update(gradient, memory)
        moved = jax.tree.map(lambda p, u: p - (adam.rate(count) * u).astype(p.dtype), psi, updates)
        return (moved, memory), None

    carry = params["psi"], optax.scale_by_adam().init(params["psi"])
    (psi, _), _ = jax.lax.scan(step, carry, jnp.arange(steps))
    fields = equation.fields({**params, "psi": psi}, points)
    size = jnp.sqrt(jnp.sum(points.weight * fields.psi.value**2))
    energy = equation.rayleigh_quotient(fields, points.weight)
    trained = {**params, "psi": equation.ansatz.scaled(psi, 1 / size)}
    if equation.energy_mode == "trainable":
        trained["energy"] = energy
    return trained, energy
