"""A chain of links against one dense least-squares problem."""

from __future__ import annotations

import numpy as np
import pytest

from qpinn.linalg import chain


@pytest.mark.parametrize("links", [1, 2, 5, 8])
def test_a_chain_is_solved_as_one_dense_problem(links):
    """u at the left end is 1 and f at the right end is 2; everything else is free."""
    draw, rows, own = np.random.default_rng(0), 9, 3
    matrices = draw.normal(size=(2, links, rows, own + 4))
    condensed = chain.condensed(matrices)
    whole = chain.merged(condensed.block)
    assert whole.block.shape == (2, 4, 4)

    def dense(matrix):
        total = np.zeros((links * rows, links * own + 2 * (links + 1)))
        for j, link in enumerate(matrix):
            total[j * rows : (j + 1) * rows, j * own : (j + 1) * own] = link[:, :own]
            place = links * own + 2 * j
            total[j * rows : (j + 1) * rows, place : place + 4] = link[:, own:]
        return total

    for lane in range(2):
        total = dense(matrices[lane])
        given = [links * own, total.shape[1] - 1]
        rest = np.setdiff1d(np.arange(total.shape[1]), given)
        known = total[:, given] @ [1.0, 2.0]
        exact = np.linalg.lstsq(total[:, rest], -known, rcond=None)[0]
        full = np.zeros(total.shape[1])
        full[given], full[rest] = [1.0, 2.0], exact

        block = whole.block[lane]
        ends = np.linalg.lstsq(block[:, 1:3], -block[:, [0, 3]] @ [1.0, 2.0], rcond=None)[0]
        y = np.array([1.0, *ends, 2.0])[None, :, None]
        nodes = chain.nodes(
            chain.Chain(whole.block[[lane]], [(a[[lane]], b[[lane]], c) for a, b, c in whole.merges]), y
        )
        np.testing.assert_allclose(nodes.ravel(), full[links * own :], atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(block @ y[0, :, 0]), np.linalg.norm(total @ full), atol=1e-12)
        places = nodes[0].reshape(-1)
        sides = np.stack([places[2 * j : 2 * j + 4] for j in range(links)])[..., None]
        inner = chain.own(chain.Link(*(part[lane] for part in condensed)), sides)
        np.testing.assert_allclose(inner.ravel(), full[: links * own], atol=1e-12)
