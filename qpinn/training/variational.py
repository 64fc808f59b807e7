"""A start that is neither random nor projected: the Rayleigh quotient is minimised, the residual trained afterwards.

Every eigenstate, and psi = 0, is a minimum of the residual. The Rayleigh quotient

    E[psi] = (integral psi'^2 / m + V psi^2 dx + sum_j alpha_j psi(c_j)^2) / integral psi^2 dx

has one minimum, the ground state; among functions that are orthogonal to the levels below, it is the next level.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.quadrature import Points
from qpinn.training.optimizers.adam import Adam, Descent
from qpinn.typing import Params, Scalar

NORM = 0.1
"""Weight of log(integral psi^2 dx)^2, which only keeps the length of psi, as E[psi] does not depend on it."""

BELOW = 10.0
"""Weight of the squared overlaps with the functions below, in units of the kinetic energy: above the gaps."""

FINAL = 1e-2
"""Last learning rate over the first, along half a cosine."""


def objective(equation: Eigenvalue, psi: Params, points: Points) -> tuple[Scalar, tuple[Scalar, Scalar]]:
    """E[psi] / unit + NORM log(|psi|^2)^2 + BELOW sum_j <psi_j|psi>^2 / |psi|^2; and E[psi], |psi|^2.

    psi  parameters of the ansatz
    """
    fields = equation.fields({"psi": psi}, points)
    norm = jnp.sum(points.weight * fields.psi.value**2)
    energy = equation.rayleigh_quotient(fields, points.weight)
    total = energy / equation.unit + NORM * jnp.log(norm) ** 2
    if equation.below is not None:
        overlaps = equation.overlaps_below(fields.psi.value, points)
        total = total + BELOW * jnp.sum(jnp.where(equation.weight_below > 0, overlaps**2, 0)) / norm
    return total, (energy, norm)


def start(
    equation: Eigenvalue, params: Params, points: Points, steps: int, learning_rate: float
) -> tuple[Params, dict[str, Scalar]]:
    """`params` after `steps` of Adam on `objective`: psi of unit norm, E its Rayleigh quotient where it is trained."""
    adam = Adam(learning_rate, FINAL, steps, schedule="cosine")

    def step(carry: Descent, _: Any) -> tuple[Descent, None]:
        gradient = jax.grad(lambda psi: objective(equation, psi, points)[0])(carry.params)
        return adam.moved(carry, gradient)[0], None

    carry, _ = jax.lax.scan(step, adam.begin(params["psi"]), length=steps)
    _, (energy, norm) = objective(equation, carry.params, points)
    psi = equation.ansatz.scaled(carry.params, 1 / jnp.sqrt(norm))
    return equation.with_psi(params, psi, energy), {"energy": energy}
