"""Bounds on levels, computed from trial functions alone.

For trial functions psi_i in the domain of H, Rayleigh-Ritz gives energies E_i from above (minimax principle). From
below, with r_i = H psi_i - E_i psi_i and sigma an energy that level number K does not lie below,

    E_k >= the k-th eigenvalue of  diag(E_i) - S,   S_ij = <r_i|r_j> / sqrt((sigma - E_i) (sigma - E_j)),   k < K,

which is the method of Lehmann (1949) and Maehly (1952) written for an orthonormal basis of Ritz functions; for one
function it is the bound of Temple (1928) and Kato (1949). It needs no gap between the K levels, so that clusters do not
hurt it. sigma comes from counting the levels of a potential of steps below V (`qpinn.physics.estimates.brackets`), so
that no level below it can have been missed.

Weinstein (1934): some level lies within |r_k| of E_k. It needs no sigma, and says nothing about which level.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from qpinn.physics import operators


@dataclasses.dataclass(frozen=True)
class Values:
    """K trial functions on the n points of a quadrature: psi, psi' and H psi (K, n), V and weights (n,)."""

    psi: np.ndarray
    slope: np.ndarray
    h_psi: np.ndarray
    v: np.ndarray
    weight: np.ndarray

    def mixed(self, mix: np.ndarray) -> Values:
        """The functions sum_j mix_jk psi_j."""
        return dataclasses.replace(self, psi=mix.T @ self.psi, slope=mix.T @ self.slope, h_psi=mix.T @ self.h_psi)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What is known of the lowest levels, each (K,).

    energies    Rayleigh-Ritz energies of the trial functions, ascending
    lower       no level number k lies below it
    upper       nor above it
    residual    |H psi_k - E_k psi_k|, the radius of Weinstein's bound
    rounding    part of the bounds that allows for rounding and for the quadrature
    sigma       the energy that level number K does not lie below
    """

    energies: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    residual: np.ndarray
    rounding: np.ndarray
    sigma: float


def ritz(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Energies (K,) of H among the K functions, and the mix (K, K) that makes them orthonormal."""
    from scipy import linalg

    gram = (values.weight * values.psi) @ values.psi.T
    stiffness = (values.weight * values.slope) @ values.slope.T
    stiffness += (values.weight * values.v * values.psi) @ values.psi.T
    energies, mix = linalg.eigh((stiffness + stiffness.T) / 2, (gram + gram.T) / 2)
    return energies, mix


def certify(fine: Values, check: Values, sigma: float, eps: float) -> Certificate:
    """Bounds from functions that `ritz` has mixed on `fine`; `check` has them on another quadrature.

    sigma  below it lie the K levels of the functions and no other
    eps    rounding error of the numbers, relative
    """
    energies, residuals = _forms(fine)
    other_energies, other_residuals = _forms(check)
    size = np.sum(fine.weight * (fine.slope**2 + np.abs(fine.v) * fine.psi**2), axis=1)
    rounding = 32 * eps * size + 2 * np.abs(energies - other_energies)
    gap = np.sqrt(np.maximum(sigma - energies, 1e-300))
    scaled, other = (matrix / np.outer(gap, gap) for matrix in (residuals, other_residuals))
    lower = np.linalg.eigvalsh(np.diag(energies) - scaled)
    strayed = np.linalg.norm(scaled - other, 2)  # Weyl: no eigenvalue moves by more
    lower = np.where(energies < sigma, lower - 2 * strayed, -np.inf)
    residual = np.sqrt(np.diag(residuals))
    return Certificate(energies, np.minimum(lower, energies) - rounding, energies + rounding, residual, rounding, sigma)


def _forms(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Rayleigh quotients (K,) and <r_i|r_j> (K, K)."""
    weight = values.weight
    norm = np.sum(weight * values.psi**2, axis=1)
    energies = np.sum(weight * (values.slope**2 + values.v * values.psi**2), axis=1) / norm
    residual = (values.h_psi - energies[:, None] * values.psi) / np.sqrt(norm)[:, None]
    return energies, (weight * residual) @ residual.T


def node_counts(values: Values) -> list[int]:
    """Nodes of each function; x must ascend."""
    return [operators.node_count(row) for row in values.psi]


def spacing(energies: np.ndarray) -> float:
    """The mean distance of neighbouring levels, what a level near zero is measured by."""
    return float(np.ptp(energies) / (len(energies) - 1)) if len(energies) > 1 else float(abs(energies[0]))


def digits(energy: float, half_width: float) -> str:
    """An energy with its bound in the last digit: 20.6174522(4), for |E - 20.6174522| <= 4e-7 or a little less."""
    if not np.isfinite(half_width) or not np.isfinite(energy):
        return f"{energy:.6g}(?)"
    if half_width <= 0:
        return f"{energy:.16g}"
    place = int(np.floor(np.log10(half_width)))
    rounded = round(energy, -place)
    error = int(np.ceil((half_width + abs(rounded - energy)) / 10.0**place))
    if error > 9:
        return digits_at(energy, half_width, place + 1)
    return f"{rounded:.{max(-place, 0)}f}({error * 10 ** max(place, 0)})"


def digits_at(energy: float, half_width: float, place: int) -> str:
    """`digits` with the last one at 10^place."""
    rounded = round(energy, -place)
    error = int(np.ceil((half_width + abs(rounded - energy)) / 10.0**place))
    return f"{rounded:.{max(-place, 0)}f}({error * 10 ** max(place, 0)})"
