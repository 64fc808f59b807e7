"""Derivatives of levels with respect to the numbers of a potential: Hellmann and Feynman, on a mesh that moves.

Walls, jumps of V and deltas lie at positions a_0 < a_1 < ... that depend on a number theta. Between two of them x moves
in proportion, and psi with it: psi is a fixed function of the share s of the way from a_j to a_j+1. Then

    R(theta) = (sum_j integral psi_s^2 / (m h_j) + h_j V psi^2 ds + sum_c alpha_c psi(c)^2) / N,
    N = sum_j h_j integral psi^2 ds,   h_j = a_j+1 - a_j,

has no jump that moves over a point, and since E is stationary at an eigenfunction, among all
functions that are continuous and have a square-integrable slope, dE/dtheta = dR/dtheta at fixed psi(s)
(Hellmann, Einfuehrung in die Quantenchemie (1937); Feynman, Phys. Rev. 56 (1939) 340). Written in x, with u the
velocity dx/dtheta, linear between the a_j, and integral psi^2 = 1,

    dE/dtheta = integral u' ((V - E) psi^2 - psi'^2 / m) - (dm/dtheta) psi'^2 / m^2 + (dV/dtheta + u V') psi^2 dx
                + sum_c (dalpha_c/dtheta) psi(c)^2.

The error is linear in that of psi, not quadratic as that of E is. Of levels that are so close that psi is a mixture of
theirs there is no derivative each: the matrix of all pairs of them stands in its place.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qpinn.geometry.mesh import Mesh
from qpinn.physics.potentials.base import deltas_of, mass_at
from qpinn.physics.units import DIMENSIONLESS, Units, dimensionless
from qpinn.typing import Array

FORWARD = 256
"""Numbers of a potential up to which derivatives are carried forwards, at a cost that grows with them."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Densities:
    """P products of two functions each, or squares of one, on a quadrature of n points; everything dimensionless.

    x, weight  (n,) of the quadrature, no panel of which holds a breakpoint
    density    (P, n) psi_i psi_j
    kinetic    (P, n) psi_i' psi_j'
    contact    (P, D) psi_i psi_j at the deltas, in the order of the potential
    energy     (P,) the level, or the mean of the two
    """

    x: Array
    weight: Array
    density: Array
    kinetic: Array
    contact: Array
    energy: Array


def slopes(potential: Any, walls: tuple[float, float], densities: Densities, units: Units = DIMENSIONLESS) -> Any:
    """dE/dtheta of P densities for every number theta of `potential`: its pytree with leaves (P, *shape) of the number.

    potential  in `units`, with walls or without
    walls      where the box of the densities ends; one that the potential has follows its numbers, the others stay

    Energies of the result are in `units`. densities must be normalised, and psi those of eigenfunctions: for a pair
    i, j it is the matrix element <i|dH/dtheta|j> of nearly degenerate perturbation theory, E the mean of the two.
    Float64 whatever JAX's own setting is. NaN for a number that takes a delta off a jump, or off another delta, in
    whose place it is: there the level has no derivative, or one that the mesh, with one edge for both, does not give.
    """
    if hasattr(potential, "settled"):
        potential = potential.settled()
        potential.check_derivatives()
    bare = dimensionless(potential, units)
    x = np.asarray(densities.x, np.float64)
    inner = np.array([float(place) for place in bare.breakpoints], np.float64)
    order = np.argsort(inner, kind="stable")
    order = order[(inner[order] > walls[0]) & (inner[order] < walls[1])]
    piece = np.searchsorted(inner[order], x, side="right")
    count = sum(np.size(leaf) for leaf in jax.tree.leaves(potential))
    with jax.enable_x64(True):
        numbers = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), potential)
        arrays = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), densities)
        ends = jnp.asarray(walls, jnp.float64)
        by_number = _slopes(numbers, ends, order, piece, arrays, units, count <= FORWARD)
        by_number = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), by_number)
        return _known(by_number, numbers)


def _known(by_number: Any, potential: Any) -> Any:
    """Derivatives, NaN for the numbers that take apart what is at one place."""
    pairs = potential.meeting() if hasattr(potential, "meeting") else ()
    if not pairs:
        return by_number

    def distances(numbers: Any) -> Array:
        jumps = numbers.jumps()
        return jnp.stack([jnp.asarray(jumps[one] - jumps[other], jnp.float64) for one, other in pairs])

    def known(slope: np.ndarray, apart: Any) -> np.ndarray:
        return np.where(np.any(np.abs(apart) > 1e-9, axis=0), np.nan, slope)

    return jax.tree.map(known, by_number, jax.jacrev(distances)(potential))


@functools.partial(jax.jit, static_argnames=("units", "forward"))
def _slopes(
    potential: Any, walls: Array, order: Array, piece: Array, densities: Densities, units: Units, forward: bool
) -> Any:
    differentiate = jax.jacfwd if forward else jax.jacrev  # forwards no branch that is not taken makes a NaN
    return differentiate(_quotients)(potential, walls, order, piece, densities, units)


def _quotients(potential: Any, walls: Array, order: Array, piece: Array, densities: Densities, units: Units) -> Array:
    """<psi_i|H - E|psi_j> (P,) on the mesh of these numbers, of psi fixed in s.

    order  of the breakpoints between the walls, from left to right; piece  (n,) in which a point lies: it stays there
    """
    bare, fixed = dimensionless(potential, units), jax.lax.stop_gradient
    left, right = (fixed(walls[end]) if wall is None else wall for end, wall in enumerate(bare.domain))
    places = [left, *bare.breakpoints, right]
    every = jnp.stack([jnp.asarray(place, jnp.float64) for place in places])
    mesh = Mesh(jnp.concatenate([every[:1], every[1:-1][order], every[-1:]]))
    size, moved = mesh.lengths[piece], mesh.position(piece, fixed(mesh.share(piece, densities.x)))
    x = (densities.x + moved - fixed(moved))[:, None]  # to the last digit where it was: on its side of every jump
    stretch = densities.weight * size / fixed(size)
    offset = densities.energy.mean()
    v, inverse_mass = bare.at(x) - offset, fixed(size) / size * densities.weight / mass_at(bare, x)
    strength = jnp.stack([jnp.asarray(alpha, jnp.float64) for alpha in (0.0, *deltas_of(bare)[1])])[1:]
    form = densities.kinetic @ inverse_mass + densities.density @ (stretch * v) + densities.contact @ strength
    return units.scale * (form - (densities.energy - offset) * (densities.density @ stretch))
