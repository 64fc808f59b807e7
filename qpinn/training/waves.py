"""Waves that come from either side, at many energies, by linear least squares on hidden units that stay as they are.

At each E psi minimises the integral of |(H - E) psi|^2 among all piecewise psi with open ends whose outgoing waves are
exact in the nodal values. It is a chain of segments (`qpinn.linalg.chain`) with one matrix A - E B each, real and the
same for waves from both sides.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact

from qpinn.equations.scattering import Columns, Scattering
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.linalg import chain
from qpinn.physics.enclosure import stray, stray_mass
from qpinn.physics.interval import EPS
from qpinn.physics.leads import Structure
from qpinn.typing import Params
from qpinn.wavefunctions import features
from qpinn.wavefunctions.features import NODAL
from qpinn.wavefunctions.networks import is_resolved

CUTOFF = 1e-10
"""Of the largest bubble of a segment, below which bubbles are left out: noise of rounding in psi'' grows as they are
smaller, and the residual as fewer are left."""

MORE = 16
"""Points of a segment on which waves are measured, beyond those of the least squares."""

ROUNDING = 8 * EPS
"""Of every term of a residual, what evaluating it may be off by."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Discretization:
    """The functions that psi is a combination of, on the points of the least squares and on those of a measurement.

    equation, params  the network; its hidden units are in `params`
    fit      for each of S segments the columns of A and of B (n, r + 4): orthonormal bubbles, then u, f, u, f
    bubbles  for each, the weights (P, r) of the readout
    ends     (S, 4, 4) value and slope at both ends from u and f
    columns  (S, m, P + 4) times roots of weights; v (S, m)
    blur     (S,) bound on the distance of V from what the points see of it; inf where 1 / m or psi is not seen
    """

    structure: Structure
    equation: Scattering
    params: Params
    mesh: Mesh
    fit: list[tuple[np.ndarray, np.ndarray]]
    bubbles: list[np.ndarray]
    ends: Float[np.ndarray, "S 4 4"]
    columns: Columns
    v: Float[np.ndarray, "S m"]
    x: Float[np.ndarray, "S m"]
    weight: Float[np.ndarray, "S m"]
    blur: Float[np.ndarray, "S"]


def discretized(structure: Structure, equation: Scattering, params: Params, points: int) -> Discretization:
    """The functions on Gauss-Legendre points, `points` in a segment; works in float64."""
    mesh = Mesh(np.asarray(equation.ansatz.edges))
    fit, check = gauss_legendre(mesh, points), gauss_legendre(mesh, points + MORE)
    x = np.concatenate([fit.x, check.x], axis=1)
    columns = equation.columns(params, x)
    v = np.asarray(structure.potential.at(x), np.float64)
    root = np.sqrt(np.concatenate([fit.weight, check.weight], axis=1))[..., None]
    value, kinetic = root * columns.value, root * columns.kinetic
    ends = _ends(np.asarray(equation.ansatz.continuity))
    pairs, bubbles = [], []
    for j in range(len(mesh)):
        b, h = value[j, :points], kinetic[j, :points] + v[j, :points, None] * value[j, :points]
        bubbles.append(features.bubbles(b[:, :-NODAL], CUTOFF, points - NODAL))
        wide = np.zeros((b.shape[1], bubbles[-1].shape[1] + NODAL))
        wide[:-NODAL, :-NODAL], wide[-NODAL:, -NODAL:] = bubbles[-1], ends[j]
        pairs.append((h @ wide, b @ wide))
    potential, degree = structure.potential, (points + MORE) // 2
    blur = stray(potential, mesh.edges[:-1], mesh.edges[1:], degree)
    blur = np.where(blur <= 4 * EPS * np.abs(v).max(axis=1), 0.0, blur)  # it is in what rounding is allowed
    bent = stray_mass(potential, mesh.edges[:-1], mesh.edges[1:], degree) > 256 * EPS
    activation = equation.ansatz.wavefunction.mlp.activation
    bent |= not is_resolved(activation, params["network"], points + MORE)
    return Discretization(
        structure=structure, equation=equation, params=params, mesh=mesh, fit=pairs, bubbles=bubbles, ends=ends,
        columns=Columns(value[:, points:], kinetic[:, points:]), v=v[:, points:], x=np.asarray(check.x[..., 0]),
        weight=np.asarray(check.weight), blur=np.where(bent, np.inf, blur),
    )  # fmt: skip


def _ends(continuity: np.ndarray) -> np.ndarray:
    """What a segment sees of u and f at its two nodes, from the map of all nodal parameters (S, 4, 2 (S + 1))."""
    segments = len(continuity)
    j = np.arange(segments)
    nodes = np.stack([j, segments + 1 + j, j + 1, segments + 2 + j], axis=1)
    return np.take_along_axis(continuity, nodes[:, None, :], axis=2)


class Waves(NamedTuple):
    """Waves of amplitude 1 from the left and from the right, at N energies.

    velocity   (N, 2) in both leads
    nodes      (N, S + 1, 2, 2) u and f at every node, of both waves
    weights    (S, P + 4, N, 2) readout of every segment, and value, slope, value, slope at its ends
    """

    energies: Inexact[np.ndarray, "N"]
    velocity: Complex[np.ndarray, "N 2"]
    nodes: Complex[np.ndarray, "N S+1 2 2"]
    weights: Complex[np.ndarray, "S P+4 N 2"]


def waves(system: Discretization, energies: Float[np.ndarray, "N"]) -> Waves:
    """The waves at N energies, by least squares."""
    velocity = system.structure.velocity(energies)
    links = [chain.condensed(h - energies[:, None, None] * b) for h, b in system.fit]
    whole = chain.merged(np.stack([link.block for link in links], axis=1))
    nodes = chain.nodes(whole, _closed(whole.block, velocity))
    weights = []
    for j, link in enumerate(links):
        ends = nodes[:, j : j + 2].reshape(len(energies), NODAL, 2)
        own = np.concatenate([_real(chain.own, link, ends), system.ends[j] @ ends], axis=1)
        weights.append(np.concatenate([system.bubbles[j] @ own[:, :-NODAL], own[:, -NODAL:]], axis=1))
    return Waves(energies, velocity, nodes, np.stack(weights).transpose(0, 2, 1, 3))


def _real(function: Any, link: chain.Link, ends: np.ndarray) -> np.ndarray:
    """A real linear function of complex right-hand sides."""
    both = function(link, np.concatenate([ends.real, ends.imag], axis=-1))
    real, imaginary = np.split(both, 2, axis=-1)
    return real + 1j * imaginary


def _closed(block: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """u and f at both ends (N, 4, 2) of waves from the left and from the right, f tied to u by the waves in the leads.

    A wave from a lead in which v = 0 has another amplitude: f = 1 there.
    """
    left, right = (1j * velocity[:, side, None] for side in (0, 1))
    matrix = np.stack([block[..., 0] - left * block[..., 1], block[..., 2] + right * block[..., 3]], axis=-1)
    push = np.where(velocity == 0, 1.0, 2j * velocity)
    sources = np.stack([push[:, :1] * block[..., 1], -push[:, 1:] * block[..., 3]], axis=-1)
    q, r = np.linalg.qr(matrix)
    u = np.linalg.solve(r, -q.conj().swapaxes(-1, -2) @ sources)
    f_left = -left * u[:, 0] + push[:, :1] * np.array([1.0, 0.0])
    f_right = right * u[:, 1] - push[:, 1:] * np.array([0.0, 1.0])
    return np.stack([u[:, 0], f_left, u[:, 1], f_right], axis=1)


def from_right(velocity: Complex[np.ndarray, "N 2"]) -> Bool[np.ndarray, "N"]:
    """At which energies only a wave from the right can come: the left lead is closed."""
    return np.asarray(velocity[:, 0].real <= 0)


class Measured(NamedTuple):
    """What is known of N waves from both sides (.., 2), on points that the least squares does not know; J segments.

    residual, size  (N, J, 2) norms of (H - E) psi and of psi in every segment
    unseen          (N, J, 2) what rounding and a V between the points may add to the residual
    products        (N, 2, 2) integral psi_j (H - E) psi_i, for i the first index
    overlap         (N,) integral psi_L psi_R
    rounding        (N, 2) of u and f at the nodes, in the flux between the wave from the left and both, last first
    """

    residual: Float[np.ndarray, "N J 2"]
    size: Float[np.ndarray, "N J 2"]
    unseen: Float[np.ndarray, "N J 2"]
    products: Complex[np.ndarray, "N 2 2"]
    overlap: Complex[np.ndarray, "N"]
    rounding: Float[np.ndarray, "N 2"]


def fields(system: Discretization, found: Waves) -> tuple[np.ndarray, np.ndarray]:
    """psi and (H - E) psi (S, m, N, 2) times roots of weights, on the points of a measurement."""
    segments, width, count, _ = found.weights.shape
    flat = found.weights.reshape(segments, width, -1).view(np.float64)
    value, kinetic = (part @ flat for part in system.columns)
    psi, bent = (part.view(np.complex128).reshape(segments, -1, count, 2) for part in (value, kinetic))
    return psi, bent + (system.v[..., None, None] - found.energies[:, None]) * psi


def measured(system: Discretization, found: Waves) -> Measured:
    """Norms and products of waves and their residuals."""
    psi, residual = fields(system, found)
    value, kinetic = system.columns
    sizes = np.abs(found.weights)
    steep = np.linalg.norm(kinetic, axis=1) + np.linalg.norm(system.v[..., None] * value, axis=1)
    flat = np.linalg.norm(value, axis=1)
    terms = np.einsum("sp,spnk->nsk", steep, sizes)
    terms += np.abs(found.energies)[:, None, None] * np.einsum("sp,spnk->nsk", flat, sizes)
    size = _norm(psi)
    u, f = (np.abs(found.nodes[:, :, k, :]) for k in (0, 1))
    return Measured(
        residual=_norm(residual), size=size, unseen=ROUNDING * terms + 2 * system.blur[:, None] * size,
        products=np.einsum("smni,smnj->nij", residual, psi, optimize=True),
        overlap=np.einsum("smn,smn->n", psi[..., 0], psi[..., 1]),
        rounding=ROUNDING * np.sum(u[..., :1] * f[..., ::-1] + u[..., ::-1] * f[..., :1], axis=1),
    )  # fmt: skip


def _norm(functions: np.ndarray) -> np.ndarray:
    """Norms (N, S, 2) of functions (S, m, N, 2)."""
    return np.sqrt(np.sum(functions.real**2 + functions.imag**2, axis=1)).transpose(1, 0, 2)
