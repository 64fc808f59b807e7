"""Which level continues which where a number of the potential varies, by the overlaps of wavefunctions.

Levels in the order of their energies do not cross: where two come close they exchange their characters, within a range
of the number that their splitting decides. There each is a mixture of both, and overlaps with the points beside it do
not say what it will be. So a function is compared with the last one of each character that was not mixed, and with the
one at the point before. An exchange that several points resolve, with psi hardly changed from each to the next, is
followed along the level; one that is sharper is followed across. A mixture that stays one is a character of its own.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from qpinn.bounds.certify import Values

SURE = 0.5
"""Of <psi|psi'>^2, above which psi has it with no other of orthonormal functions."""

SAME = 0.9
"""Of <psi|psi'>^2, above which two functions are of one character and not a mixture."""


STAYS = 3
"""Points in a row at which a mixture hardly changes, until it is one that stays."""


class Function(NamedTuple):
    """psi (n,) on ascending positions x (n,); zero outside them."""

    x: Float[np.ndarray, "n"]
    psi: Float[np.ndarray, "n"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trail:
    """The characters of K levels at a point; numbers of characters are those of the levels of the first point.

    character  (K,) of each level
    overlap    (K,) <psi|psi'>^2 with the function that says so
    sign       (K,) that makes psi go on from that function
    still      (K,) points in a row at which each character has hardly changed
    last       of each character, at this point
    unmixed    of each character, where it was last not a mixture
    """

    character: Int[np.ndarray, "K"]
    overlap: Float[np.ndarray, "K"]
    sign: Float[np.ndarray, "K"]
    still: Int[np.ndarray, "K"]
    last: tuple[Function, ...]
    unmixed: tuple[Function, ...]


def begun(grid: Values) -> Trail:
    """The characters at a first point, from its functions on a grid."""
    functions = tuple(Function(grid.x, psi) for psi in grid.psi)
    count = len(functions)
    return Trail(character=np.arange(count), overlap=np.ones(count), sign=np.ones(count),
                 still=np.zeros(count, int), last=functions, unmixed=functions)  # fmt: skip


def continued(before: Trail, fine: Values, grid: Values) -> Trail:
    """The characters at the next point, from its functions on a quadrature and on a grid."""
    from scipy.optimize import linear_sum_assignment

    unmixed, last = (_overlaps(fine, functions) for functions in (before.unmixed, before.last))
    product = np.where((last**2 > SAME) & (np.abs(last) > np.abs(unmixed)), last, unmixed)
    level, character = linear_sum_assignment(product**2, maximize=True)
    chosen = product[level, character]
    overlap, sign = np.minimum(chosen**2, 1.0), np.where(chosen < 0, -1.0, 1.0)
    order = np.argsort(character)  # levels by character
    by_character = (order, np.arange(len(order)))
    still = np.where(last[by_character] ** 2 > SAME, before.still + 1, 0)
    pure = (unmixed[by_character] ** 2 > SAME) | (still >= STAYS)
    now = tuple(Function(grid.x, sign[k] * grid.psi[k]) for k in order)
    kept = tuple(new if same else old for same, new, old in zip(pure, now, before.unmixed, strict=True))
    return Trail(character=character, overlap=overlap, sign=sign, still=still, last=now, unmixed=kept)


def _overlaps(fine: Values, functions: tuple[Function, ...]) -> Float[np.ndarray, "K J"]:
    """<psi_k|psi_j> (K, J) of normalised functions on a quadrature and others, at the positions of the first."""
    there = np.array([np.interp(fine.x, one.x, one.psi, left=0.0, right=0.0) for one in functions])
    return (fine.weight * fine.psi) @ there.T / np.sqrt(fine.norms())[:, None]
