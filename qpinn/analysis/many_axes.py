"""The lowest levels of a box of many axes, with bounds: from the functions of its axes to energies and sigma."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from qpinn.analysis.chains import blurred, forms
from qpinn.analysis.tensor import Forms
from qpinn.bounds import certify, intermediate
from qpinn.physics.mean_field import mean_field
from qpinn.physics.separable import by_terms
from qpinn.training import index_products as products
from qpinn.wavefunctions.axis import OnGrid

FUNCTIONS = (16, 24, 32)
"""Functions of an axis that products are made of, until they are not what limits the residual."""

WIDE = 0.2
"""A gap is wide if it is more than this share of the widest one among them."""

LOOSE = 1e-4
"""Tolerance, relative to the first gap, at which a gap is looked for."""

CROSSED = 0.05
"""By how much a comparison potential may cross V before that is taken off, as a share of the gap above the levels."""

LOWEST = 3
"""Functions of every axis whose densities a comparison potential is to be high for."""


CURVES = "V jumps or bends across curves that no axis follows: the quadrature does not see it"
UNLOCATED = "V jumps or bends at places that interval arithmetic does not tell apart: the quadrature may not see it"
NARROW = "V is not smooth, or has details that are narrower than the segments: the quadrature does not see it"


class ManyAxes(NamedTuple):
    """What came out for the levels 0..K-1, of which a gap follows.

    mixes     (P, n_i) of every axis: the functions that products are made of, from all there are
    tuples    (N, d) and vectors (N, K): the products, and their coefficients
    forms     energies, <r_i|r_j>, moments
    missing   (K,) by how much products one step away would lower each level, to second order
    sigma     lower bound of level K, -inf where none was found
    lower     (K,) lower bounds of the levels, -inf where there are none
    beyond    energy of level K
    unseen    why the quadrature does not see V, where it does not
    """

    mixes: list[np.ndarray]
    tuples: Int[np.ndarray, "N d"]
    vectors: Float[np.ndarray, "N K"]
    forms: Forms
    missing: Float[np.ndarray, "K"]
    sigma: float
    lower: Float[np.ndarray, "K"]
    beyond: float
    unseen: str

    @property
    def reason(self) -> str | None:
        """Why there are no bounds from below, or None."""
        if not np.isfinite(self.forms.unseen).all():
            return self.unseen
        return None if np.isfinite(self.lower).all() else "the comparison potential is too far below V"


def levels(
    potential: Any, fine: Sequence[OnGrid], check: Sequence[OnGrid], edges: Sequence[Float[np.ndarray, "S+1"]],
    asked: int, tol: float, most: int = 100_000, more: int = 4,
) -> ManyAxes:  # fmt: skip
    """The lowest `asked` levels, and those up to the next gap, of a box of many axes.

    fine, check  all functions of every axis on two quadratures
    edges        of the segments of every axis
    tol          of each energy, as far as `most` products allow
    more         levels beyond those asked for that are looked at, to end at a gap of the spectrum
    """
    field = mean_field(potential, fine)
    densities = [grid.weight * own[0] ** 2 for grid, own in zip(fine, field.functions, strict=True)]
    parts = products.split(potential, fine, densities)
    solved = [grid.ritz(v) for grid, v in zip(fine, parts.v, strict=True)]
    first = min(float(e[1] - e[0]) for e, _ in solved)
    count, blur = 0, blurred(potential, fine, edges)
    for number in FUNCTIONS:
        counts = products.functions(potential, number)
        mixes = [mix[:, :n] for (_, mix), n in zip(solved, counts, strict=True)]
        own = [grid.mixed(mix) for grid, mix in zip(fine, mixes, strict=True)]
        coupled = products.couple(parts, own)
        if not count:
            rough = products.ritz(coupled, asked + more, LOOSE * first, most).energies
            count = ends_at(rough, asked)
        ritz = products.ritz(coupled, count, tol, most, more=1)
        vectors = ritz.vectors[:, :count]
        other = products.split(potential, fine, densities, [grid.x for grid in check])
        checked = products.couple(other, [grid.mixed(mix) for grid, mix in zip(check, mixes, strict=True)])
        found, outside = forms(coupled, own, ritz.tuples, vectors, checked, blur)
        gap = float(ritz.energies[count] - ritz.energies[count - 1])
        if (outside <= np.maximum(np.diag(found.residual) / 2, tol * gap)).all():
            break
    sigma = -np.inf
    if np.isfinite(found.unseen).all():
        near = [(grid.x, grid.weight * (u[:LOWEST] ** 2).sum(axis=0))
                for grid, u in zip(fine, field.functions, strict=True)]  # fmt: skip
        compared = by_terms(potential, edges, near, CROSSED * gap)
        sigma = intermediate.sigma(potential, compared, fine, ritz.energies[: count + 1])
    return ManyAxes(
        mixes=mixes, tuples=ritz.tuples, vectors=vectors, forms=found, missing=ritz.missing[:count], sigma=sigma,
        lower=lower_bounds(found, sigma), beyond=float(ritz.energies[count]), unseen=unseen(potential),
    )  # fmt: skip


def unseen(potential: Any) -> str:
    """Why a quadrature between edges on the axes does not see V, if it does not."""
    if potential.unlocated:
        return UNLOCATED
    return CURVES if potential.curves else NARROW


def ends_at(energies: Float[np.ndarray, "n"], asked: int) -> int:
    """How many of the levels are bounded together: `asked`, or as many as it takes to end at a wide gap."""
    gaps = np.diff(energies[asked - 1 :])
    return asked + int(np.argmax(gaps > WIDE * gaps.max()))


def lower_bounds(found: Forms, sigma: float) -> Float[np.ndarray, "K"]:
    """Lower bounds of the levels by Lehmann and Maehly; -inf where sigma is not above them."""
    if not ((found.energies < sigma).all() and np.isfinite(found.unseen).all()):
        return np.full(len(found.energies), -np.inf)
    return certify.lehmann_maehly(found.energies, found.residual, found.strayed, sigma) - found.unseen
