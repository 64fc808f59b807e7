"""Rayleigh-Ritz on the parameters in which psi is linear: a start in the wanted state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Bool, Float, Int

from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.quadrature import Points
from qpinn.linalg import pencil
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
    blocks, lowest = _blocks(equation, functions, points)
    form = functions.form(blocks) + _contacts(equation, params["psi"], functions)
    above, solutions = solve(form, functions.kept, states)

    def trained(energy: Scalar, solution: Array) -> Params:
        return equation.with_psi(params, functions.psi(params["psi"], solution), energy)

    return jax.vmap(trained)(above + lowest, solutions.T), above + lowest


def levels_of_many(
    equation: Eigenvalue, params: Params, points: Points, count: int
) -> tuple[Params, Float[Array, "K"]]:
    """The lowest `count` levels as `levels` has them, on so many segments that S is not kept as a dense matrix.

    On the host, by inverse iteration (`qpinn.linalg.pencil`); not to be jitted.
    """
    from scipy import sparse

    functions, blocks, lowest, at_deltas = jax.device_get(_pieces(equation, params, points))
    r, (segments, k, nodes) = functions.bubbles, functions.ties.shape
    ties = sparse.csr_array(functions.ties.reshape(segments * k, nodes))
    indices, pointers = np.arange(segments), np.arange(segments + 1)

    def form(blocks: np.ndarray) -> Any:
        inner, cross, outer = (sparse.bsr_array((np.ascontiguousarray(part), indices, pointers))
                               for part in (blocks[:, :r, :r], blocks[:, :r, r:], blocks[:, r:, r:]))  # fmt: skip
        cross = cross @ ties
        return sparse.block_array([[inner, cross], [cross.T, ties.T @ outer @ ties]]).tocsr()

    contacts = sparse.csr_array(at_deltas.T) @ sparse.diags_array(np.asarray(equation.strengths())) @ at_deltas
    kept = np.flatnonzero(functions.kept)
    overlap = form(np.einsum("snp,snq->spq", functions.value, functions.value))
    stiffness = form(blocks) + sparse.block_diag([sparse.csr_array((segments * r,) * 2), sparse.csr_array(contacts)])
    stiffness, overlap = (matrix.tocsr()[kept][:, kept] for matrix in (stiffness, overlap))
    above, found = pencil.lowest(stiffness, overlap, count)
    solutions = np.zeros((len(functions.kept), count))
    solutions[kept] = found
    each = [equation.with_psi(params, functions.psi(params["psi"], column), energy)
            for column, energy in zip(solutions.T, above + lowest, strict=True)]  # fmt: skip
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each), jnp.asarray(above + lowest)


@jax.jit
def _pieces(equation: Eigenvalue, params: Params, points: Points) -> Any:
    """Basis, blocks of S, V_0, and the values (D, q) of nodal functions at the deltas."""
    functions = basis(equation.ansatz, params["psi"], points, nodal_too=False)
    return functions, *_blocks(equation, functions, points), _at_deltas(equation, params["psi"], functions)


def _blocks(equation: Eigenvalue, functions: Basis, points: Points) -> tuple[Float[Array, "S r+k r+k"], Scalar]:
    """S in each segment, but for deltas, and V_0."""
    v, mass = equation.potential.at(points.x), mass_at(equation.potential, points.x)
    inverse_mass = jnp.broadcast_to(1 / mass, v.shape)
    lowest = jnp.min(v) - _below(equation, jnp.sum(points.weight), jnp.max(1 / inverse_mass))
    blocks = jnp.einsum("snp,sn,snq->spq", functions.slope, inverse_mass, functions.slope)
    blocks += jnp.einsum("snp,sn,snq->spq", functions.value, v - lowest, functions.value)
    return blocks, lowest


def _below(equation: Eigenvalue, length: Scalar, mass: Scalar) -> Scalar:
    """How far V_0 is below the least V: m A^2 + A / L, more than deltas of strengths that add up to -A can bind (see
    `qpinn.physics.potentials.base.attraction`), and the kinetic energy of the box, since a constant psi has none."""
    attraction = -jnp.sum(jnp.minimum(equation.strengths(), 0))
    return mass * attraction**2 + attraction / length + (jnp.pi / length) ** 2 / mass


def _at_deltas(equation: Eigenvalue, psi: Params, functions: Basis) -> Float[Array, "D q"]:
    """Nodal functions at the deltas, which lie at edges of segments: bubbles are zero there."""
    if not equation.strengths().size:
        return jnp.zeros((0, len(functions.nodal)), functions.value.dtype)
    return jax.jacfwd(lambda nodal: equation.at_deltas({**psi, "nodal": nodal}))(psi["nodal"]) @ functions.nodal


def _contacts(equation: Eigenvalue, psi: Params, functions: Basis) -> Float[Array, "p p"]:
    """sum_j alpha_j phi_p phi_q at the deltas."""
    at_deltas = _at_deltas(equation, psi, functions)
    at_deltas = jnp.pad(at_deltas, ((0, 0), (len(functions.kept) - at_deltas.shape[1], 0)))
    return at_deltas.T @ (equation.strengths()[:, None] * at_deltas)
