"""Rayleigh-Ritz on the parameters in which psi is linear: a start in the wanted state, and a cross-check."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.quadrature import Points
from qpinn.physics.potentials.base import mass_at
from qpinn.typing import Array, Params, Scalar
from qpinn.wavefunctions.basis import Basis, basis, eigh


def solve(
    stiffness: Float[Array, "p p"], kept: Bool[Array, "p"], states: Int[Array, "K"]
) -> tuple[Float[Array, "K"], Float[Array, "p K"]]:
    """Numbers `states` (K,) of the eigenpairs S c = E c of the functions that are `kept`, which are orthonormal.

    The others move to energies above all, so that shapes stay static.
    """
    above = 1 + 2 * jnp.max(jnp.sum(jnp.abs(stiffness), axis=1))
    both = kept[:, None] & kept
    energies, coefficients = eigh(jnp.where(both, stiffness, 0) + jnp.diag(jnp.where(kept, 0, above)))
    return energies[states], coefficients[:, states]


def start(equation: Eigenvalue, params: Params, points: Points, level: Any = 0) -> tuple[Params, dict[str, Scalar]]:
    """`params` with its linear part replaced by `level` () of the Ritz problem, and the Ritz energy."""
    many, energies = levels(equation, params, points, jnp.asarray(level)[None])
    return jax.tree.map(lambda leaf: leaf[0], many), {"energy": energies[0]}


def levels(
    equation: Eigenvalue, params: Params, points: Points, states: Int[Array, "K"]
) -> tuple[Params, Float[Array, "K"]]:
    """For each of the levels `states` (K,) `params` with the linear part replaced, (K, ...), and the energies (K,).

    psi = sum_p c_p phi_p with phi_p the orthonormal functions of the basis, fixed by the random inner weights, and

        S_pq = integral phi_p' phi_q' / m + V phi_p phi_q dx + sum_j alpha_j phi_p phi_q (c_j) over the deltas.
    """
    functions = basis(equation.ansatz, params["psi"], points)
    v, mass = equation.potential(points.x), mass_at(equation.potential, points.x)
    lowest = jnp.min(v)  # a constant in V only adds rounding
    inverse_mass = jnp.broadcast_to(1 / mass, v.shape)
    blocks = jnp.einsum("snp,sn,snq->spq", functions.slope, inverse_mass, functions.slope)
    blocks += jnp.einsum("snp,sn,snq->spq", functions.value, v - lowest, functions.value)
    stiffness = functions.form(blocks) + _contacts(equation, params["psi"], functions)
    above, solutions = solve(stiffness, functions.kept, states)

    def trained(energy: Scalar, solution: Array) -> Params:
        return equation.with_psi(params, functions.psi(params["psi"], solution), energy)

    return jax.vmap(trained)(above + lowest, solutions.T), above + lowest


def _contacts(equation: Eigenvalue, psi: Params, functions: Basis) -> Float[Array, "p p"]:
    """sum_j alpha_j phi_p phi_q at the deltas, which lie at edges of segments: bubbles are zero there."""
    strength, count = equation.strengths(), len(functions.kept)
    if not strength.size:
        return jnp.zeros((count, count), functions.value.dtype)
    at_deltas = jax.jacfwd(lambda nodal: equation.at_deltas({**psi, "nodal": nodal}))(psi["nodal"]) @ functions.nodal
    at_deltas = jnp.pad(at_deltas, ((0, 0), (count - at_deltas.shape[1], 0)))
    return at_deltas.T @ (strength[:, None] * at_deltas)
