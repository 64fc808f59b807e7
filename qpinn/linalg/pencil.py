"""The lowest levels of a large sparse problem S c = E M c."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

GUARDS = 4
"""Vectors beyond those wanted: levels that are as close as that many of them are still told apart."""

KRYLOV = 5
"""Inverse powers of the matrix that a round takes of every vector."""

ROUNDS = 12

MET = 1e-13
"""Change of a level from round to round, relative to it, that ends them."""


def lowest(stiffness: Any, overlap: Any, count: int) -> tuple[Float[np.ndarray, "count"], Float[np.ndarray, "p count"]]:
    """The lowest `count` eigenpairs of SciPy's sparse S (positive) and M (positive), with c^T M c = 1.

    Block inverse iteration: a sparse factorisation of S - sigma M, a few of its inverse powers of a block of vectors,
    and Rayleigh and Ritz in the space that they span; then again, with sigma just below the lowest level that was
    found. A block, since a single vector would see one level of each degenerate pair. S and M are scaled to a unit
    diagonal of S before.
    """
    from scipy import linalg, sparse
    from scipy.sparse.linalg import splu

    unit = sparse.diags_array(1 / np.sqrt(stiffness.diagonal()))
    stiffness, overlap = (sparse.csc_array(unit @ matrix @ unit) for matrix in (stiffness, overlap))
    size = min(count + GUARDS, stiffness.shape[0])
    block = np.random.default_rng(0).standard_normal((stiffness.shape[0], size))
    sigma, before = 0.0, np.full(count, np.inf)
    for _ in range(ROUNDS):
        solve = splu(sparse.csc_array(stiffness - sigma * overlap)).solve
        powers = [block]
        for _ in range(KRYLOV):
            powers.append(np.linalg.qr(solve(overlap @ powers[-1]))[0])
        space = np.linalg.qr(np.concatenate(powers[1:], axis=1))[0]
        energies, mix = linalg.eigh(space.T @ (stiffness @ space), space.T @ (overlap @ space))
        block, energies = space @ mix[:, :size], energies[:size]
        if (np.abs(energies[:count] - before) <= MET * energies[:count]).all():
            break
        before = energies[:count]
        sigma = energies[0] - 0.1 * (energies[-1] - energies[0])
    return energies[:count], unit @ block[:, :count]
