"""Hidden units trained on a band of energies, by what waves of all of them in a segment leave of the equation.

What is left of (H - E) psi in a segment, when the weights of the readout are those of least squares for given values
and slopes at its ends, depends on these and on the hidden units alone (variable projection, Golub and Pereyra, SIAM J.
Numer. Anal. 10 (1973) 413). The two smallest of it are those of the two solutions that there are at each E. So every
segment is a small problem of its own, and all of them take steps of Levenberg-Marquardt side by side. The Jacobian is
Kaufman's (BIT 15 (1975) 49): the part of the change of the columns that the readout cannot undo.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from qpinn.geometry.quadrature import gauss_legendre
from qpinn.linalg.lapack import one_by_one
from qpinn.physics.potentials.base import mass_at, mass_slope_at
from qpinn.training.waves import CUTOFF, Discretization
from qpinn.typing import Array, Params
from qpinn.wavefunctions.features import BLOCK, NODAL, jets_at

ENERGIES = 24
"""Of the band, at most."""

STEEPEST = 6.0
"""Largest hidden weight, so that the points of a measurement resolve psi."""

DAMPING, LESS, MORE = 1e-2, 0.3, 4.0
"""First damping, and what it is multiplied by after a step that lowers the residual, and after one that does not."""


def trained(system: Discretization, energies: Float[np.ndarray, "N"], steps: int, points: int) -> Params:
    """Parameters with hidden units trained in `steps` on the band of `energies`, a few segments at a time."""
    some = energies[np.unique(np.linspace(0, len(energies) - 1, ENERGIES).round().astype(int))]
    rule = gauss_legendre(system.mesh, points)
    equation, segments = system.equation, len(system.mesh)
    x, root = np.asarray(rule.x), np.sqrt(np.asarray(rule.weight))
    flat = x.shape[:2]
    potential = equation.potential
    at_points = potential.at(x), mass_at(potential, x), mass_slope_at(potential, jnp.asarray(x))
    terms = [np.asarray(part) + np.zeros(flat) for part in at_points]
    local = jax.tree.map(np.asarray, equation.ansatz.segments(system.params))
    wavefunction, parts = equation.ansatz.wavefunction, []
    for first in range(0, segments, BLOCK):
        which = np.minimum(np.arange(first, first + BLOCK), segments - 1)
        numbers = [array[which] for array in (x, root, *terms)]
        segment = jax.tree.map(lambda leaf: leaf[which], local)
        parts.append(_trained(wavefunction, steps, segment, some, *numbers))
    network = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:segments], *parts)
    return {**system.params, "network": network}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _trained(wavefunction: Any, steps: int, segments: Params, energies: Array, *numbers: Array) -> Params:
    """The networks of some segments, each trained by itself."""

    def one(segment: Params, *numbers: Array) -> Params:
        hidden = {name: layer for name, layer in segment["network"].items() if name != "readout"}
        start, unravel = ravel_pytree(hidden)

        def network(values: Array) -> Params:
            return {**segment["network"], **unravel(values)}

        def columns(values: Array) -> tuple[Array, Array]:
            """H and 1 on the functions of the segment, (n, P + 4), times roots of weights."""
            x, root, v, mass, mass_slope = numbers
            value, slope, second = jax.vmap(
                lambda y: jets_at(wavefunction, {**segment, "network": network(values)}, y)
            )(x)
            bent = -(second - slope * (mass_slope / mass)[:, None]) / mass[:, None]
            return root[:, None] * (bent + v[:, None] * value), root[:, None] * value

        size = segment["right"] - segment["left"]
        ends = jnp.diag(jnp.stack([jnp.ones_like(size), 1 / size, jnp.ones_like(size), 1 / size]))

        def left(values: Array) -> tuple[Array, Array]:
            """Residuals (N, n, 2), and their Jacobian (N n 2, parameters)."""
            h, b = columns(values)
            dh, db = jax.jacfwd(columns)(values)
            kept = slice(0, h.shape[1] - NODAL)
            bubbles, dropped = _bubbles(b[:, kept])

            def at(energy: Array) -> tuple[Array, Array]:
                matrix, known = (h - energy * b)[:, kept] @ bubbles, (h - energy * b)[:, kept.stop :] @ ends
                q, shares, y = _least(matrix, known, dropped)
                rest, weights = known @ y + matrix @ shares, bubbles @ shares
                change = jnp.einsum("npt,pk->nkt", (dh - energy * db)[:, kept], weights)
                change = change - jnp.einsum("nr,mr,mkt->nkt", q, q, change)
                return rest, change

            rest, change = jax.vmap(at)(energies)
            return rest, change.reshape(-1, values.size)

        def step(carry: tuple[Array, Array, Array, Array, Array], _: None) -> tuple[Any, None]:
            values, rest, jacobian, loss, damping = carry
            normal = jacobian.T @ jacobian
            scaled = normal + damping * jnp.diag(jnp.diagonal(normal) + 1e-12 * jnp.trace(normal))
            new = values - jnp.linalg.solve(scaled, jacobian.T @ rest.reshape(-1))
            new = jnp.clip(new, -STEEPEST, STEEPEST)
            rest_new, jacobian_new = left(new)
            loss_new = jnp.sum(rest_new**2)
            better = loss_new < loss
            kept = [jnp.where(better, a, b) for a, b in (
                (new, values), (rest_new, rest), (jacobian_new, jacobian), (loss_new, loss))]  # fmt: skip
            return (*kept, damping * jnp.where(better, LESS, MORE)), None

        rest, jacobian = left(start)
        begun = (start, rest, jacobian, jnp.sum(rest**2), jnp.asarray(DAMPING, start.dtype))
        (values, *_), _ = jax.lax.scan(step, begun, None, steps)
        return network(values)

    return jax.vmap(one)(segments, *numbers)


@one_by_one
def _bubbles(value: Array) -> tuple[Array, Array]:
    """Weights (P, P) of orthonormal bubbles from bubbles (n, P), zero for those too small; and which these are."""
    _, size, right = jnp.linalg.svd(value, full_matrices=False)
    keep = size > CUTOFF * size[0]
    return right.T * jnp.where(keep, 1 / jnp.where(keep, size, 1.0), 0.0), ~keep


@one_by_one
def _least(matrix: Array, known: Array, dropped: Array) -> tuple[Array, Array, Array]:
    """Columns y (4, 2) of norm 1 that make min |matrix c + known y| smallest, their c, and a basis of the matrix."""
    q, r = jnp.linalg.qr(matrix)
    q = jnp.where(dropped, 0.0, q)
    r = jnp.where(dropped, 0.0, r) + jnp.diag(dropped.astype(r.dtype))
    shares = q.T @ known
    _, _, directions = jnp.linalg.svd(known - q @ shares, full_matrices=False)
    y = directions[2:].T
    return q, -jnp.linalg.solve(r, shares @ y), y
