"""Rayleigh-Ritz on the parameters in which psi is linear: a start in the wanted state, and a cross-check."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int

from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.quadrature import Points
from qpinn.linalg.lapack import one_by_one
from qpinn.typing import Array, Params, Scalar
from qpinn.wavefunctions.ansatz import is_linear


def solve(
    gram: Float[Array, "p p"], stiffness: Float[Array, "p p"], states: Int[Array, "K"], cutoff: float
) -> tuple[Float[Array, "K"], Float[Array, "p K"]]:
    """Numbers `states` (K,) of S c = E M c, and c (p, K) with c^T M c = 1, on the well-conditioned part of M (p, p).

    Random features are nearly dependent: directions in which M, scaled to a unit diagonal, is smaller than `cutoff`
    times its largest are left out. They move to energies above all others, so that shapes stay static.
    """
    diagonal = jnp.diagonal(gram)
    norm = jnp.where(diagonal > 0, 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1)), 0)
    gram, stiffness = (norm[:, None] * matrix * norm for matrix in (gram, stiffness))
    size, vectors = _eigh(gram)
    kept = size > cutoff * size[-1]
    basis = vectors * jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, size, 1)), 0)
    reduced = basis.T @ stiffness @ basis
    above = 1 + 2 * jnp.max(jnp.sum(jnp.abs(reduced), axis=1))
    energies, coefficients = _eigh(reduced + jnp.diag(jnp.where(kept, 0, above)))
    return energies[states], norm[:, None] * (basis @ coefficients[:, states])


@one_by_one
def _eigh(matrix: Array) -> tuple[Array, Array]:
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


def start(equation: Eigenvalue, params: Params, points: Points, level: Any = 0) -> tuple[Params, dict[str, Scalar]]:
    """`params` with its linear part replaced by `level` () of the Ritz problem, and the Ritz energy."""
    many, energies = levels(equation, params, points, jnp.asarray(level)[None])
    return jax.tree.map(lambda leaf: leaf[0], many), {"energy": energies[0]}


def levels(
    equation: Eigenvalue, params: Params, points: Points, states: Int[Array, "K"]
) -> tuple[Params, Float[Array, "K"]]:
    """For each of the levels `states` (K,) `params` with the linear part replaced, (K, ...), and the energies (K,).

    psi = sum_p c_p phi_p with c the readouts, nodal values and slopes, and phi_p fixed by the random inner weights.
    K_pq = integral phi_p' phi_q' / m + V phi_p phi_q dx + sum_j alpha_j phi_p phi_q (c_j) over the deltas,
    M_pq = integral phi_p phi_q dx. psi is normalised and starts upwards from the left wall.
    """
    linear = is_linear(params["psi"])
    leaves, treedef = jax.tree.flatten(params["psi"])
    flags = jax.tree.leaves(linear)
    coefficients, unravel = ravel_pytree([leaf for leaf, flag in zip(leaves, flags, strict=True) if flag])

    def with_linear(flat: Array) -> Params:
        replaced = iter(unravel(flat))
        return jax.tree.unflatten(
            treedef, [next(replaced) if flag else leaf for leaf, flag in zip(leaves, flags, strict=True)]
        )

    def values(flat: Array) -> tuple[Array, Array, Array]:
        fields = equation.fields({"psi": with_linear(flat)}, points)
        root, slope = jnp.sqrt(points.weight), jnp.sqrt(points.weight / fields.mass)
        return (root * fields.psi.value).ravel(), (slope[..., None] * fields.psi.gradient).ravel(), fields.at_deltas

    value, gradient, at_deltas = jax.jacfwd(values)(jnp.zeros_like(coefficients))
    v = equation.potential(points.x).ravel()
    lowest = jnp.min(v)  # nearly dependent functions multiply the rounding of a constant in V, so it is taken out
    gram = value.T @ value
    stiffness = gradient.T @ gradient + value.T @ ((v - lowest)[:, None] * value)
    stiffness = stiffness + at_deltas.T @ (equation.strengths()[:, None] * at_deltas)
    above, solutions = solve(gram, stiffness, states, 1e3 * float(jnp.finfo(value.dtype).eps))

    def trained(energy: Scalar, solution: Array) -> Params:
        first_slope = gradient[0] @ solution
        return equation.with_psi(params, with_linear(jnp.where(first_slope < 0, -1, 1) * solution), energy)

    return jax.vmap(trained)(above + lowest, solutions.T), above + lowest
