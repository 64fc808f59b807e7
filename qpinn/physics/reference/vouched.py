"""What a reference can say of its own errors: rounding, and the difference of two meshes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from qpinn.physics.reference.box import Box, Solution

ROUNDING = 16 * np.finfo(float).eps
"""Relative error of a sum of kinetic and potential energy, by experience from above."""


def rounding(box: Box, energies: Float[np.ndarray, "K"], potential: Float[np.ndarray, "K"]) -> Float[np.ndarray, "K"]:
    """Error (k,) of levels from rounding; `potential` (k,) is <|V|>, deltas included.

    Energies are sums of terms, and positions are known to eps |x|, against which the box may be short.
    """
    kinetic = np.abs(energies) + potential
    return ROUNDING * (kinetic + potential + kinetic * max(abs(box.left), abs(box.right)) / box.edges[-1])


def mixing(energies: Float[np.ndarray, "K"], errors: Float[np.ndarray, "K"]) -> Float[np.ndarray, "K"]:
    """L2 error (k,) of psi where that of H is `errors`: first-order perturbation theory, at most sqrt(2)."""
    spacing = np.diff(energies, prepend=-np.inf, append=np.inf)
    gap = np.minimum(spacing[:-1], spacing[1:])
    gap = np.where(np.isfinite(gap), gap, np.abs(energies))
    return np.minimum(errors / np.maximum(gap, 1e-300), np.sqrt(2.0))


def compared(
    fine: Solution,
    coarse: Solution,
    t: Float[np.ndarray, "n"],
    weight: Float[np.ndarray, "n"],
    least: Float[np.ndarray, "K"],
) -> Solution:
    """`fine`, its errors those of `coarse` against it, on a quadrature (n,), and no less than `least` (k,)."""
    energies = np.abs(fine.energies - coarse.energies)
    psi, other = fine.wave(t), coarse.wave(t)
    turned = np.sign(np.sum(weight * psi * other.conj(), axis=1))  # 1 or -1, or the phase that complex ones differ by
    apart = np.sum(weight * np.abs(psi - turned[:, None] * other) ** 2, axis=1)
    return fine._replace(errors=energies + least, psi_errors=np.sqrt(apart) + mixing(fine.energies, least))
