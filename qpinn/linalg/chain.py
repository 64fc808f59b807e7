"""Least squares on a chain: unknowns of each link, and two numbers at each node that neighbours share.

A link contributes |M (c, y)|^2, with c its own unknowns and y = (u, f, u', f') those of the nodes at its two ends. Own
unknowns are eliminated by an orthogonal factorisation, which leaves |B y|^2 with a B of 4 x 4. Two neighbours make one
link of twice the length in the same way, and so on up to the whole chain. Nothing is squared, so that a residual of
1e-9 is as exact as rounding lets it be; each step is done at once for many chains (leading axes).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Inexact

END = 4
"""Numbers at the two ends of a link."""


class Link(NamedTuple):
    """What is left of links: c = -solve(inner, outer @ y), and the residual |block y|^2."""

    inner: Float[np.ndarray, "... r r"]
    outer: Float[np.ndarray, "... r 4"]
    block: Float[np.ndarray, "... 4 4"]


class Chain(NamedTuple):
    """The whole of a chain as one link, |block y|^2, and how its nodes follow from y, from the last merge to the first.

    merges  of each level: inner (..., pairs, 2, 2) and outer (..., pairs, 2, 4), and whether a link was left over
    """

    block: Float[np.ndarray, "... 4 4"]
    merges: list[tuple[np.ndarray, np.ndarray, bool]]


def condensed(matrix: Inexact[np.ndarray, "... n r+4"]) -> Link:
    """Links without their own unknowns, the first r columns."""
    upper: Any = np.linalg.qr(matrix, mode="r")
    r = matrix.shape[-1] - END
    return Link(upper[..., :r, :r], upper[..., :r, r:], upper[..., r : r + END, r:])


def own(link: Link, ends: Inexact[np.ndarray, "... 4 k"]) -> Inexact[np.ndarray, "... r k"]:
    """The links' own unknowns, for k right-hand sides at their ends."""
    return -np.linalg.solve(link.inner, link.outer @ ends)


def merged(blocks: Inexact[np.ndarray, "... S 4 4"]) -> Chain:
    """A chain of S links as one."""
    merges: list[tuple[np.ndarray, np.ndarray, bool]] = []
    rest: Any = blocks
    while rest.shape[-3] > 1:
        left, right = rest[..., 0:-1:2, :, :], rest[..., 1::2, :, :]
        zero = np.zeros_like(left[..., :2])
        top = np.concatenate([left[..., 2:], left[..., :2], zero], axis=-1)
        bottom = np.concatenate([right[..., :2], zero, right[..., 2:]], axis=-1)
        upper: Any = np.linalg.qr(np.concatenate([top, bottom], axis=-2), mode="r")
        over = rest.shape[-3] % 2 == 1
        merges.append((upper[..., :2, :2], upper[..., :2, 2:], over))
        both = upper[..., 2:, 2:]
        rest = np.concatenate([both, rest[..., -1:, :, :]], axis=-3) if over else both
    return Chain(rest[..., 0, :, :], merges)


def nodes(chain: Chain, ends: Inexact[np.ndarray, "... 4 k"]) -> Inexact[np.ndarray, "... S+1 2 k"]:
    """The numbers at all nodes, from those at both ends of the chain."""
    found: Any = np.stack([ends[..., :2, :], ends[..., 2:, :]], axis=-3)
    for inner, outer, over in reversed(chain.merges):
        pairs = inner.shape[-3]
        sides = np.concatenate([found[..., :pairs, :, :], found[..., 1 : pairs + 1, :, :]], axis=-2)
        middle = -np.linalg.solve(inner, outer @ sides)
        count = found.shape[-3] + pairs
        wider = np.empty((*found.shape[:-3], count, *found.shape[-2:]), np.result_type(found, middle))
        wider[..., 0 : 2 * pairs + 1 : 2, :, :] = found[..., : pairs + 1, :, :]
        wider[..., 1 : 2 * pairs : 2, :, :] = middle
        if over:
            wider[..., -1:, :, :] = found[..., -1:, :, :]
        found = wider
    return found
