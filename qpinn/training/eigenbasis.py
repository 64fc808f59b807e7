"""The states of H below an energy among the functions of one piecewise network: a space for packets to move in.

Its hidden units are shared by all functions and stay as they were drawn; the states are Ritz's, each with what H leaves
of it, r_n = H u_n - e_n u_n.

Where the domain is longer than the box, psi is made to end within it: phi_n = chi u_n, with chi = 1 but for a margin at
the end, over which it goes to 0. Then phi_n, continued by zero, is in the domain of H on the whole line, and

    H phi_n - e_n phi_n = chi r_n - (2 chi' u_n' + chi'' u_n) / m,

small where psi has decayed or has not come to. What is said of such a psi is said of the line.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from qpinn.physics.enclosure import stray
from qpinn.physics.potentials.base import deltas_of, mass_at, mass_slope_at
from qpinn.typing import Params
from qpinn.wavefunctions.ansatz import Ansatz
from qpinn.wavefunctions.axis import Axis, axis_of

CUTOFF = 1e-11
"""Bubbles smaller than this share of the largest in their segment are left out, and felt in the residual as
CUTOFF |psi''|: with 1e-9 it is 100 times as large. A single function is known to eps / CUTOFF; the states are free of
that, since they are evaluated by readouts of their own and corrected by their residuals."""

SWEEPS = 1
"""Corrections of the states by their own residuals."""


class Check(NamedTuple):
    """States and their residuals (N, P) on P points, with weights."""

    u: Float[np.ndarray, "N P"]
    residual: Float[np.ndarray, "N P"]
    x: Float[np.ndarray, "P"]
    weight: Float[np.ndarray, "P"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Eigenbasis:
    """N states u_n with energies e_n on the Q points of a quadrature.

    axis      the functions; `values` gives them anywhere
    margins   lengths (left, right) over which chi goes to 0; 0 at an end of the domain
    energies  (N,) Rayleigh quotients, ascending
    x, weight (Q,) of the quadrature; v (Q,) V on it
    u, slope  (N, Q) u_n and u_n' on it
    residual  (N, Q) H u_n - e_n u_n; u_n with chi in it
    blur      (Q,) bound on the distance of V from the polynomials that the quadrature integrates
    check     u_n and residual (N, P) on a second quadrature with P points, and its x and weights (P,)
    """

    axis: Axis
    margins: tuple[float, float]
    energies: Float[np.ndarray, "N"]
    x: Float[np.ndarray, "Q"]
    weight: Float[np.ndarray, "Q"]
    v: Float[np.ndarray, "Q"]
    u: Float[np.ndarray, "N Q"]
    slope: Float[np.ndarray, "N Q"]
    residual: Float[np.ndarray, "N Q"]
    blur: Float[np.ndarray, "Q"]
    check: Check

    @property
    def domain(self) -> tuple[float, float]:
        edges = self.axis.mesh.edges
        return float(edges[0]), float(edges[-1])

    def gram(self, first: Float[np.ndarray, "N Q"], second: Float[np.ndarray, "N Q"]) -> Float[np.ndarray, "N N"]:
        """<f_m|g_n>."""
        return (first * self.weight) @ second.T

    def residual_gram(self) -> Float[np.ndarray, "N N"]:
        """A Gram matrix of the residuals that is larger by what the quadrature may not see of them.

        Rows and columns by twice the difference of the two quadratures; and by what `blur` may hide, as
        |a + b|^2 <= (1 + s) |a|^2 + (1 + 1 / s) |b|^2 with s = |b| / |a|.
        """
        seen = self.gram(self.residual, self.residual)
        size = np.diag(seen)
        differ = np.abs(size - self.check.residual**2 @ self.check.weight)
        larger = np.sqrt(1 + 2 * differ / np.maximum(size, 1e-300))
        seen = larger[:, None] * seen * larger
        hidden = self.gram(self.blur * self.u, self.blur * self.u)
        share = np.sqrt(np.trace(hidden) / max(np.trace(seen), 1e-300))
        return seen * (1 + share) + hidden * (1 + 1 / max(share, 1e-300))

    def projected(self, psi0: Any) -> tuple[Complex[np.ndarray, "N"], float]:
        """<u_n|psi0> (N,) of psi0, normalised on the domain, and the norm of what is left out.

        The integrals are taken on both quadratures, and twice their difference is added to that norm.
        """
        value, other = psi0(self.x), psi0(self.check.x)
        norm = np.sqrt(np.sum(self.weight * np.abs(value) ** 2))
        coefficients = self.u @ (self.weight * value) / norm
        left = value / norm - coefficients @ self.u
        other_norm = np.sqrt(np.sum(self.check.weight * np.abs(other) ** 2))
        differ = np.linalg.norm(self.check.u @ (self.check.weight * other) / other_norm - coefficients)
        return coefficients, float(np.sqrt(np.sum(self.weight * np.abs(left) ** 2)) + 2 * differ)


def eigenbasis(
    potential: Any, ansatz: Ansatz, params: Params, points: tuple[int, int], energy: float, margins: tuple[float, float]
) -> Eigenbasis:
    """The states below `energy` of a potential between its ends.

    points   Gauss-Legendre points in a segment of the two quadratures
    margins  lengths (left, right) over which psi is made to end, of segments of the mesh; 0 for an end of the domain
    """
    axis, (fine, check) = axis_of(ansatz, params, 1.0, points, CUTOFF)
    v, mass = np.asarray(potential.at(fine.x[:, None]), np.float64) + 0 * fine.x, _mass(potential, fine.x)
    places, strengths = deltas_of(potential)
    at_deltas = _at(axis, np.asarray(places, np.float64))
    value, slope, _ = fine.jets
    overlap = (value * fine.weight) @ value.T
    form = (slope * (fine.weight / mass)) @ slope.T + (value * (fine.weight * v)) @ value.T
    form += (at_deltas * np.asarray(strengths, np.float64)) @ at_deltas.T
    from scipy import linalg

    every, mix = linalg.eigh(form, overlap)
    count = max(int(np.searchsorted(every, energy)), 2)
    energies, wanted = every[:count], mix[:, :count]
    on_fine, on_check = axis.features(fine.x), axis.features(check.x)
    for _ in range(SWEEPS):
        rough = axis.mixed(wanted)
        residual = _states(potential, rough, rough.of(on_fine, fine.x), energies, fine.x, (0.0, 0.0))[2]
        wanted = wanted - mix @ _corrections(mix.T @ (value * fine.weight @ residual.T), every, energies)
    states = axis.mixed(wanted)
    u, slope, residual = _states(potential, states, states.of(on_fine, fine.x), energies, fine.x, margins)
    other, _, rest = _states(potential, states, states.of(on_check, check.x), energies, check.x, margins)
    lengths, edges = axis.mesh.lengths, axis.mesh.edges
    blur = np.repeat(stray(potential, edges[:-1], edges[1:], np.full(len(lengths), points[0] // 2)), points[0])
    return Eigenbasis(
        axis=states, margins=margins, energies=energies, x=fine.x, weight=fine.weight, v=v, u=u, slope=slope,
        residual=residual, blur=blur, check=Check(other, rest, check.x, check.weight),
    )  # fmt: skip


def _states(
    potential: Any, states: Axis, jets: Float[np.ndarray, "3 N Q"], energies: Float[np.ndarray, "N"],
    x: Float[np.ndarray, "Q"], margins: tuple[float, float],
) -> Float[np.ndarray, "3 N Q"]:  # fmt: skip
    """chi u_n, its slope and (H - e_n) chi u_n.

    jets  u_n, u_n' and u_n'' from the states' own readouts, which are small: those of single functions are large, and
          their rounding with them
    """
    u, slope, curvature = jets
    v, mass = np.asarray(potential.at(x[:, None]), np.float64), _mass(potential, x)
    slope_of_mass = np.asarray(mass_slope_at(potential, x[:, None]), np.float64)  # type: ignore[arg-type]
    residual = v * u - (curvature - slope * slope_of_mass / mass) / mass - energies[:, None] * u
    chi, rise, bend = ending(x, states.mesh.edges, margins)
    ended = chi * residual - (2 * rise * slope + (bend - rise * slope_of_mass / mass) * u) / mass
    return np.stack([chi * u, chi * slope + rise * u, ended])


def _corrections(
    overlaps: Float[np.ndarray, "p N"], every: Float[np.ndarray, "p"], energies: Float[np.ndarray, "N"]
) -> Float[np.ndarray, "p N"]:
    """<u_m|r_n> / (e_m - e_n): what rounding in the single functions has left of r_n within their space."""
    apart = every[:, None] - energies
    near = np.abs(apart) <= 1e-3 * (energies - every[0] + every[1] - every[0])
    return np.where(near, 0.0, overlaps / np.where(near, 1.0, apart))


def ending(
    x: Float[np.ndarray, "Q"], edges: Float[np.ndarray, "S+1"], margins: tuple[float, float]
) -> Float[np.ndarray, "3 Q"]:
    """chi, chi' and chi'': 10 s^3 - 15 s^4 + 6 s^5 over each of the margins, with s = 0 at its end."""
    chi, rise, bend = np.ones(len(x)), np.zeros(len(x)), np.zeros(len(x))
    for end, inwards, length in zip(edges[[0, -1]], (1.0, -1.0), margins, strict=True):
        if length:
            s = np.clip(inwards * (x - end) / length, 0.0, 1.0)
            chi = chi * s**3 * (10 - 15 * s + 6 * s**2)
            rise += inwards * 30 * s**2 * (1 - s) ** 2 / length
            bend += 60 * s * (1 - s) * (1 - 2 * s) / length**2
    return np.stack([chi, rise, bend])


def _at(axis: Axis, x: np.ndarray) -> np.ndarray:
    return axis.on(x).jets[0] if len(x) else np.zeros((axis.count, 0))


def _mass(potential: Any, x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.asarray(mass_at(potential, x[:, None]), np.float64), x.shape)


def values(basis: Eigenbasis, x: Float[np.ndarray, "P"]) -> Float[np.ndarray, "N P"]:
    """u_n at any positions of the domain."""
    return basis.axis.of(basis.axis.features(x), x)[0] * ending(x, basis.axis.mesh.edges, basis.margins)[0]
