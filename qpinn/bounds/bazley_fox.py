"""Lower bounds on the levels of H = H0 + V', V' >= 0, from those of H0 (Bazley and Fox, Phys. Rev. 124 (1961) 483).

For any functions w_m the part of V' that they see is no more than V' itself, as a quadratic form (Schwarz):

    V' >= W = sum_mn V'|w_m> (B^-1)_mn <w_n|V',    B_mn = <w_m|V'|w_n>.

Let u_1, ..., u_k be the lowest functions of H0, A_ij = <u_i|V'|u_j>, w = u Y with Y the eigenvectors of A, a its
eigenvalues, and s_i what V' u_i has beyond the span of the u_j: T^T T = <s_i|s_j> = <u_i|V'^2|u_j> - A^2. Then H0 + W
acts among the u_i and the s_i alone, as

    [ E0 + Y a Y^T    Y Y^T T^T             ]
    [ T Y Y^T         tau + T Y a^-1 Y^T T^T ]

and elsewhere is at least tau, a lower bound of the first level of H0 beyond the k. So the eigenvalues below tau, then
tau itself, are lower bounds of the levels of H, in order: no level can have been missed.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

SEEN = 1e-4
"""Eigenvectors of A below this share of its largest eigenvalue are not among the w."""

EPS = float(np.finfo(float).eps)


def lower(
    energies: Float[np.ndarray, "k"], first: Float[np.ndarray, "k k"], second: Float[np.ndarray, "k k"], tau: float,
    residual: Float[np.ndarray, "k k"] | None = None, errors: tuple[float, float] = (0.0, 0.0),
) -> Float[np.ndarray, "k+1"]:  # fmt: skip
    """Lower bounds (k + 1,) of the lowest levels of H0 + V', ascending; none is above `tau`. -inf where there are none.

    energies  <u_i|H0|u_i> of u_i that are orthonormal and that H0 does not mix
    first     A_ij = <u_i|V'|u_j>
    second    <u_i|V'^2|u_j>
    tau       lower bound of level k of H0, that after the k
    residual  <r_i|r_j> of r_i = (H0 - E0_i) u_i; None: none
    errors    bounds on the norms of the errors of `first` and `second`

    The u_i are no eigenfunctions to the last digit. For q orthogonal to all of them <q|H0|q> >= tau - |S|, S the matrix
    of Lehmann and Maehly at tau, as H0 has no more than k levels below tau; and 2 |<u_i|H0|q>| = 2 |<r_i|q>| is at most
    |r|^2 / eta + eta |q|^2 for any eta > 0. Errors l of what W is squared of are taken off by |x + l|^2 >=
    (1 - e) |x|^2 - |l|^2 / e for an e > 0.
    """
    k = len(energies)
    residual = np.zeros((k, k)) if residual is None else residual
    if not (energies < tau).all():
        return np.full(k + 1, -np.inf)
    root = np.sqrt(tau - energies)
    tau = tau - float(np.linalg.norm(residual / np.outer(root, root)))
    size = float(np.linalg.norm(residual))
    eta = max(np.sqrt(size), 1e-3 * float(tau - energies.min())) if size else 0.0
    every, directions = np.linalg.eigh((first + first.T) / 2)
    top = max(float(every[-1]), 0.0)
    kept = every > max(SEEN * top, 4 * errors[0])
    a, y = every[kept], directions[:, kept]
    if not len(a):
        return np.sort(np.append(np.linalg.eigvalsh(np.diag(energies) - (residual / eta if eta else 0.0)), tau - eta))
    beyond, turned = np.linalg.eigh((second + second.T) / 2 - first @ first)
    t = turned * np.sqrt(np.maximum(beyond, 0.0)) @ turned.T
    off = errors[1] + 2 * top * errors[0] + max(-float(beyond[0]), 0.0) + 16 * k * EPS * top**2
    lost = max(np.sqrt(off), errors[0], 16 * k * EPS * top)
    e = float(np.clip(np.sqrt(2 * lost**2 / (a[0] * top)), 1e-9, 0.5))
    share = (1 - e) / (1 + errors[0] / a[0])
    taken = 2 * lost**2 / (e * a[0])
    upper_left = np.diag(energies) + share * (y * a) @ y.T
    cross = share * t @ (y @ y.T)
    corner = tau * np.eye(k) + share * (t @ y / a) @ (y.T @ t)
    if eta:
        upper_left = upper_left - residual / eta
    matrix = np.block([[upper_left, cross.T], [cross, corner]])
    scale = 16 * k * EPS * float(np.abs(energies).max() + top)
    off_q = tau - eta - taken - scale
    values = np.linalg.eigvalsh(matrix - np.diag(np.repeat([taken, taken + eta], k)))
    # an eigenvalue is known to the rounding of the largest; those that are wanted are low, and graded as the corner is
    values = values - 4 * EPS * np.sqrt(2 * k) * float(np.abs(values).max()) - scale
    return np.minimum(np.append(values[:k], off_q), off_q)
