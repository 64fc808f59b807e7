"""A driven packet in a space of states: Gauss collocation in time, in the interaction picture.

psi = sum_n exp(-i e_n t) p_n(t) u_n turns i psi_t = (H + f(t) W) psi, projected on the states, into

    i p' = f(t) U(t)* W U(t) p,   U(t) = diag(exp(-i e_n t)),

which varies with the differences of energies that W couples, and not with the energies. On every interval of time p is
a polynomial that obeys this in the Gauss points (Hairer, Lubich & Wanner, Geometric Numerical Integration (2006),
section II.1.3), found by fixed-point iteration.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable

import numpy as np
from jaxtyping import Complex, Float

from qpinn.geometry.quadrature import legendre

DEGREE = 12
"""Gauss points in an interval."""

ITERATIONS = 60

MET = 1e-15
"""Change of p from one iteration to the next that ends them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Path:
    """p (K, N, DEGREE + 1) on K intervals of time between `edges`: at the beginning and in the Gauss points of each.

    energies  (N,) e_n
    slopes    (K, N, DEGREE) p' in the Gauss points, which are of a polynomial of degree DEGREE - 1
    """

    edges: Float[np.ndarray, "K+1"]
    energies: Float[np.ndarray, "N"]
    start: Complex[np.ndarray, "K N"]
    slopes: Complex[np.ndarray, "K N D"]

    def at(self, times: Float[np.ndarray, "T"]) -> Complex[np.ndarray, "T N"]:
        """c_n(t) = exp(-i e_n t) p_n(t), t from the first of `edges`."""
        place = np.clip(np.searchsorted(self.edges, times, side="right") - 1, 0, len(self.start) - 1)
        width = np.diff(self.edges)[place]
        weights = width[:, None] * _antiderivatives(2 * (times - self.edges[place]) / width - 1)
        p = self.start[place] + np.einsum("tnd,td->tn", self.slopes[place], weights)
        return p * np.exp(-1j * np.outer(times - self.edges[0], self.energies))


def solve(
    start: Complex[np.ndarray, "N"], energies: Float[np.ndarray, "N"], coupling: Float[np.ndarray, "N N"],
    drive: Callable[[np.ndarray], np.ndarray], edges: Float[np.ndarray, "K+1"],
) -> Path:  # fmt: skip
    """The path of a packet from its coefficients c_n at the first of `edges`.

    coupling  <u_m|W u_n>
    drive     f, of times

    Raises ArithmeticError where the iteration does not converge: the intervals are too long.
    """
    nodes, _ = legendre(DEGREE)
    integrate = _antiderivatives(nodes)  # (D, D): from the beginning to each node, for an interval of length 1
    begins, slopes = [], []
    p = np.asarray(start, complex)
    total = _antiderivatives(np.ones(1))[0]
    for first, last in itertools.pairwise(edges):
        width = last - first
        times = first + width * (nodes + 1) / 2
        f = drive(times)
        turn = np.exp(-1j * np.outer(energies, times - edges[0]))
        guess = np.repeat(p[:, None], DEGREE, axis=1)
        for _ in range(ITERATIONS):
            slope = -1j * f * turn.conj() * _real_times(coupling, turn * guess)
            new = p[:, None] + width * slope @ integrate.T
            change = np.abs(new - guess).max()
            guess = new
            if change <= MET * max(1.0, np.abs(guess).max()):
                break
            if not np.isfinite(change):
                raise ArithmeticError("the intervals of time are too long")
        else:
            if change > 1e-12:
                raise ArithmeticError("the intervals of time are too long")
        slope = -1j * f * turn.conj() * _real_times(coupling, turn * guess)
        begins.append(p)
        slopes.append(slope)
        p = p + width * slope @ total
    return Path(edges=np.asarray(edges), energies=energies, start=np.array(begins), slopes=np.array(slopes))


def defects(
    path: Path, coupling: Float[np.ndarray, "N N"], grams: tuple[np.ndarray, np.ndarray, np.ndarray],
    drive: Callable[[np.ndarray], np.ndarray],
) -> tuple[Float[np.ndarray, "K"], Float[np.ndarray, "K"], Float[np.ndarray, "K"]]:  # fmt: skip
    """Upper bounds (K,) of the integral of |i psi_t - H psi - f W psi| on each interval, and its parts by themselves:
    the error of collocation in time, and what of f W psi is outside of the space.

    grams  <r_m|r_n>, <r_m|q_n> and <q_m|q_n>, with r_n = H u_n - e_n u_n and q_n what of W u_n is outside of the space

    integral |r| <= sqrt(h integral |r|^2) on each.
    """
    nodes, weights = legendre(2 * DEGREE)
    differentiate, interpolate = _lagrange(nodes), _antiderivatives(nodes)
    every, inside, outside = [], [], []
    for k, (first, last) in enumerate(zip(path.edges[:-1], path.edges[1:], strict=True)):
        width = last - first
        times = first + width * (nodes + 1) / 2
        f, turn = drive(times), np.exp(-1j * np.outer(path.energies, times - path.edges[0]))
        p = path.start[k][:, None] + width * path.slopes[k] @ interpolate.T
        c = turn * p
        defect = 1j * path.slopes[k] @ differentiate.T - f * turn.conj() * _real_times(coupling, c)
        rr, rq, qq = (np.einsum("nt,nt->t", c.conj(), _real_times(gram, c)).real for gram in grams)
        parts = [np.sum(np.abs(defect) ** 2, axis=0), rr + 2 * f * rq + f**2 * qq, f**2 * qq]
        time, space, drive_part = (width * np.sqrt(np.maximum(part, 0.0) @ weights / 2) for part in parts)
        every.append(time + space)
        inside.append(time)
        outside.append(drive_part)
    return np.array(every), np.array(inside), np.array(outside)


def _real_times(matrix: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A real matrix times complex columns, in one product."""
    both = matrix @ np.concatenate([columns.real, columns.imag], axis=1)
    half = columns.shape[1]
    return both[:, :half] + 1j * both[:, half:]


def _lagrange(at: np.ndarray) -> Float[np.ndarray, "T D"]:
    """Lagrange's polynomials of the Gauss points, at places on (-1, 1)."""
    return np.polynomial.legendre.legvander(np.atleast_1d(at), DEGREE - 1) @ _in_legendre()


def _antiderivatives(at: np.ndarray) -> Float[np.ndarray, "T D"]:
    """Integrals of Lagrange's polynomials from -1 to places on (-1, 1), of an interval of length 1."""
    integrals = np.polynomial.legendre.legint(_in_legendre(), lbnd=-1, axis=0) / 2
    return np.polynomial.legendre.legvander(np.atleast_1d(at), DEGREE) @ integrals


@functools.lru_cache(maxsize=1)
def _in_legendre() -> Float[np.ndarray, "D D"]:
    """Lagrange's polynomials of the Gauss points, one a column, in Legendre polynomials."""
    nodes, weights = legendre(DEGREE)
    values = np.polynomial.legendre.legvander(nodes, DEGREE - 1) * weights[:, None]
    return (2 * np.arange(DEGREE)[:, None] + 1) / 2 * values.T
