"""Rayleigh-Ritz on the parameters in which psi is linear: a start in the wanted state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Bool, Float, Int

from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.quadrature import Points
from qpinn.linalg.lapack import one_by_one
from qpinn.physics.potentials.base import mass_at
from qpinn.typing import Array, Params, Scalar
from qpinn.wavefunctions.basis import Basis, basis, eigh


def solve(
    form: Float[Array, "p p"], kept: Bool[Array, "p"], states: Int[Array, "K"]
) -> tuple[Float[Array, "K"], Float[Array, "p K"]]:
    """The eigenpairs S c = E c with indices `states` (K,) of a positive form S, on the functions that are `kept`.

    They are found as the largest eigenvalues of S^-1, by a Cholesky decomposition of S scaled to a unit diagonal. Where
    segments are short, S has numbers of 1e10 times its lowest levels, and an eigenproblem of S itself would give these
    with an error of eps times its largest. Functions that are not kept have the eigenvalue 0 of S^-1.
    """
    inverse = jnp.where(kept, 1 / jnp.sqrt(jnp.where(kept, jnp.diagonal(form), 1)), 0)
    unit = jnp.diag(jnp.where(kept, 0, 1)).astype(form.dtype)
    corner = _cholesky(inverse[:, None] * form * inverse + unit)
    half = solve_triangular(corner, jnp.diag(inverse), lower=True)
    reciprocal, coefficients = eigh(half.T @ half)
    return 1 / reciprocal[::-1][states], coefficients[:, ::-1][:, states]


@one_by_one
def _cholesky(matrix: Array) -> Array:
    return jnp.linalg.cholesky(matrix)


def start(equation: Eigenvalue, params: Params, points: Points, level: Any = 0) -> tuple[Params, dict[str, Scalar]]:
    """`params` with its linear parameters set to those of `level` () of the Ritz problem, and the Ritz energy."""
    many, energies = levels(equation, params, points, jnp.asarray(level)[None])
    return jax.tree.map(lambda leaf: leaf[0], many), {"energy": energies[0]}


def levels(
    equation: Eigenvalue, params: Params, points: Points, states: Int[Array, "K"]
) -> tuple[Params, Float[Array, "K"]]:
    """For each of the levels `states` (K,) `params` with the linear part replaced, (K, ...), and the energies (K,).

    psi = sum_p c_p phi_p with phi_p the orthonormal functions of the basis, fixed by the hidden weights, and

        S_pq = integral phi_p' phi_q' / m + (V - V_0) phi_p phi_q dx + sum_j alpha_j phi_p phi_q (c_j) over the deltas,

    V_0 so low that S is positive; it is added to the energies again.
    """
    functions = basis(equation.ansatz, params["psi"], points)
    v, mass = equation.potential.at(points.x), mass_at(equation.potential, points.x)
    inverse_mass = jnp.broadcast_to(1 / mass, v.shape)
    lowest = jnp.min(v) - _below(equation, jnp.sum(points.weight), jnp.max(1 / inverse_mass))
    blocks = jnp.einsum("snp,sn,snq->spq", functions.slope, inverse_mass, functions.slope)
    blocks += jnp.einsum("snp,sn,snq->spq", functions.value, v - lowest, functions.value)
    form = functions.form(blocks) + _contacts(equation, params["psi"], functions)
    above, solutions = solve(form, functions.kept, states)

    def trained(energy: Scalar, solution: Array) -> Params:
        return equation.with_psi(params, functions.psi(params["psi"], solution), energy)

    return jax.vmap(trained)(above + lowest, solutions.T), above + lowest


def _below(equation: Eigenvalue, length: Scalar, mass: Scalar) -> Scalar:
    """How far V_0 is below the least V: m A^2 + A / L, more than deltas of strengths that add up to -A can bind (see
    `qpinn.physics.potentials.base.attraction`), and the kinetic energy of the box, since a constant psi has none."""
    attraction = -jnp.sum(jnp.minimum(equation.strengths(), 0))
    return mass * attraction**2 + attraction / length + (jnp.pi / length) ** 2 / mass


def _contacts(equation: Eigenvalue, psi: Params, functions: Basis) -> Float[Array, "p p"]:
    """sum_j alpha_j phi_p phi_q at the deltas, which lie at edges of segments: bubbles are zero there."""
    strength, count = equation.strengths(), len(functions.kept)
    if not strength.size:
        return jnp.zeros((count, count), functions.value.dtype)
    at_deltas = jax.jacfwd(lambda nodal: equation.at_deltas({**psi, "nodal": nodal}))(psi["nodal"]) @ functions.nodal
    at_deltas = jnp.pad(at_deltas, ((0, 0), (count - at_deltas.shape[1], 0)))
    return at_deltas.T @ (strength[:, None] * at_deltas)
