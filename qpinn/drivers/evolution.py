"""A packet that moves among the states of a basis."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from qpinn.drivers.moving import Moving, Series
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.training import eigenbasis
from qpinn.training.collocation import Path
from qpinn.training.eigenbasis import Eigenbasis

SAMPLED = 256
"""Times at once that psi is put on the quadrature at."""

SLOW = 1e-6
"""Probability of all states above the energy whose waves are resolved in files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """The packet in one basis.

    start      (N,) coefficients of psi0, and left_out a bound on what they lack of it
    tail       what of that states of higher energies have
    path       of a driven packet; None without a drive
    edges      (K + 1,) of intervals of time, and integrals (K,) bounds on the integral of |residual| on each
    outside    what of these is of states that the drive reaches and the basis lacks
    energy     up to which the basis has states, and phase, radians of psi of that energy in a segment
    """

    basis: Eigenbasis
    start: Complex[np.ndarray, "N"]
    left_out: float
    tail: float
    path: Path | None
    edges: Float[np.ndarray, "K+1"]
    integrals: Float[np.ndarray, "K"]
    outside: float
    energy: float
    phase: float

    @property
    def final(self) -> float:
        """The bound at the last time."""
        return float(self.left_out + self.integrals.sum())

    @property
    def wanting(self) -> float:
        """The part of the bound that states of higher energies would make less."""
        return max(self.tail, self.outside)

    @property
    def inside(self) -> float:
        """The part of it that better states would make less."""
        return self.final - self.tail - self.outside

    def coefficients(self, times: Float[np.ndarray, "T"]) -> Complex[np.ndarray, "T N"]:
        """c_n(t) of psi = sum_n c_n(t) u_n."""
        if self.path is not None:
            return self.path.at(times)
        return self.start * np.exp(-1j * np.outer(times - self.edges[0], self.basis.energies))

    def decay(self) -> float:
        """p of c_n ~ n^-p where the basis ends; 3 of what a drive reaches beyond it, as x does in a box."""
        if self.outside > self.tail:
            return 3.0
        half = len(self.start) // 2
        beyond = max(self.tail, 1e-300)
        return float(np.clip(np.log2(np.hypot(np.linalg.norm(self.start[half:]), beyond) / beyond), 1.0, 40.0))

    def higher(self, tol: float) -> float:
        """By how much higher energies the basis should reach for what it lacks to be a quarter of `tol`: as n^2."""
        return float((4 * self.wanting / tol) ** (2 / self.decay()))

    def hopeless(self, tol: float) -> bool:
        """Whether psi0 has a tail of energies, as from a cut at a wall, of which no basis has enough."""
        return self.wanting >= self.inside and len(self.start) > MANY and self.higher(tol) > HOPELESS


MANY, HOPELESS = 100, 400.0
"""States from which on the decay of their coefficients is believed, and what is no more tried."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Evolution(Moving):
    """A packet among the states of a basis, and in a poorer one, see `Moving`."""

    fine: Round
    coarse: Round | None

    @property
    def _size(self) -> str:
        return f"{len(self.fine.start)} states"

    @property
    def series(self) -> Series:
        return Series(self.fine.left_out, self.fine.integrals, self.fine.edges)

    @property
    def work(self) -> dict[str, Any]:
        basis = self.fine.basis
        return {
            "states": len(self.fine.start), "segments": len(basis.axis.mesh), "rounds": self.stats.rounds,
            "highest": float(basis.energies[-1] * self.units.scale),
        }  # fmt: skip

    def fastest(self, times: Float[np.ndarray, "T"]) -> float:
        """The energy of the highest state that psi has more than `SLOW` in and above."""
        weights = np.max(np.abs(self.fine.coefficients(times)) ** 2, axis=0)
        above = np.cumsum(weights[::-1])[::-1]
        return float(self.fine.basis.energies[max(int(np.sum(above > SLOW)) - 1, 0)])

    def coefficients(self, t: Any) -> Complex[np.ndarray, "T N"]:
        """c_n(t) of psi = sum_n c_n(t) u_n, the states of the basis."""
        return self.fine.coefficients(self._times(t))

    def estimate(self, t: Any) -> Float[np.ndarray, "*T"]:
        """What |psi - exact| may be: what the basis lacks of psi0, and |psi - psi of poorer states| at t, but no more
        than the bound. NaN where there are none."""
        times = self._times(t)
        if self.coarse is None:
            return np.full(np.shape(t), np.nan)
        fine, coarse = self.fine.basis, self.coarse.basis
        there = eigenbasis.values(coarse, np.clip(fine.x, *coarse.domain))
        out = []
        for begin in range(0, len(times), SAMPLED):
            some = times[begin : begin + SAMPLED]
            apart = self.fine.coefficients(some) @ fine.u - self.coarse.coefficients(some) @ there
            out.append(np.sqrt(np.abs(apart) ** 2 @ fine.weight))
        about = np.hypot(np.concatenate(out), self.fine.left_out).reshape(np.shape(t))
        return np.minimum(about, self.bound(t))

    def on(self, times: Float[np.ndarray, "T"], x: Float[np.ndarray, "X"]) -> Complex[np.ndarray, "T X"]:
        return self.fine.coefficients(times) @ eigenbasis.values(self.fine.basis, x)

    def squares(self, times: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
        return np.sum(np.abs(self.fine.coefficients(times)) ** 2, axis=1)

    def _energies(self, times: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
        c, basis = self.fine.coefficients(times), self.fine.basis
        energies = np.abs(c) ** 2 @ basis.energies
        if self.problem.force is not None:
            w = np.asarray(self.problem.space.at(basis.x[:, None]), np.float64)
            energies = energies + self.problem.force(times) * _expectation(c, basis.gram(basis.u, w * basis.u))
        return energies  # type: ignore[no-any-return]

    def _offsets(self, times: Float[np.ndarray, "T"], middle: float) -> Float[np.ndarray, "T"]:
        basis = self.fine.basis
        return _expectation(self.fine.coefficients(times), basis.gram(basis.u, (basis.x - middle) * basis.u))

    def _inside(self, times: Float[np.ndarray, "T"], low: float, high: float) -> Float[np.ndarray, "T"]:
        """By Gauss-Legendre points of the segments and parts of segments between the places."""
        basis = self.fine.basis
        edges = basis.axis.mesh.edges
        ends = np.concatenate([[low], edges[(edges > low) & (edges < high)], [high]])
        rule = gauss_legendre(Mesh(ends), len(basis.x) // len(basis.axis.mesh))
        u = eigenbasis.values(basis, np.asarray(rule.x).ravel())
        return _expectation(self.fine.coefficients(times), (u * rule.weight.ravel()) @ u.T)


def _expectation(c: Complex[np.ndarray, "T N"], matrix: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "T"]:
    return np.einsum("tn,tn->t", c.conj(), c @ matrix.T).real  # type: ignore[no-any-return]
