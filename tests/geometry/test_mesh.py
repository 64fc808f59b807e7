"""The mesh: its map from places in segments to positions, there and back, and where its edges move."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.geometry.mesh import Mesh, reflected
from qpinn.geometry.quadrature import gauss_legendre

EDGES = np.array([-1.0, -0.3, 0.1, 2.0])


def test_positions_and_places_are_inverse():
    mesh = Mesh(EDGES)
    x = np.random.default_rng(0).uniform(-1, 2, 100)
    segment = mesh.segment(x)
    share = mesh.share(segment, x)
    assert ((share >= 0) & (share <= 1)).all()
    np.testing.assert_allclose(mesh.position(segment, share), x, rtol=1e-14)
    np.testing.assert_allclose(mesh.at(np.array([0.0, 1.0])), np.stack([EDGES[:-1], EDGES[1:]], axis=1))


def test_an_edge_belongs_to_the_segment_right_of_it_and_an_end_to_its_own():
    np.testing.assert_array_equal(Mesh(EDGES).segment(EDGES), [0, 1, 2, 2])


def test_what_is_fixed_in_a_segment_moves_with_its_edges():
    """dx / d edge is the share of the way from the other edge: 1 at the edge, 0 at its neighbours and beyond them."""
    x = np.array([-0.8, 0.0, 0.5, 1.9])
    mesh = Mesh(EDGES)
    segment = mesh.segment(x)
    share = jnp.asarray(mesh.share(segment, x))
    moved = jax.jacfwd(lambda edges: Mesh(edges).position(segment, share))(jnp.asarray(EDGES))
    hats = np.stack([np.interp(x, EDGES, row) for row in np.eye(len(EDGES))], axis=1)
    np.testing.assert_allclose(moved, hats, atol=1e-15)


@pytest.mark.parametrize("edges", [[-1.0, -0.2, 0.2, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0], [3.0, 4.0]])
def test_half_a_box_stands_for_the_whole(edges):
    half = Mesh(np.array(edges)).left_half()
    assert half.edges[-1] == np.mean([edges[0], edges[-1]])
    assert set(edges) <= set(half.whole.edges)
    whole = gauss_legendre(half.whole, 12)
    left = gauss_legendre(half, 12)
    center = half.edges[-1]

    def even(x):
        return np.cos(3 * (x - center)) + (x - center) ** 4

    integral = np.sum(np.asarray(left.weight) * even(np.asarray(left.x)[..., 0]))
    np.testing.assert_allclose(integral, np.sum(whole.weight * even(np.asarray(whole.x)[..., 0])), rtol=1e-13)
    x = np.asarray(left.x).ravel()
    np.testing.assert_allclose(reflected((x - center) ** 3, -1.0), (np.sort(np.asarray(whole.x).ravel()) - center) ** 3,
                               atol=1e-14)  # fmt: skip


def test_bisecting_keeps_every_edge_and_halves_what_was_named():
    mesh = Mesh(EDGES, half=True).bisected(np.array([True, False, True]))
    np.testing.assert_allclose(mesh.edges, [-1, -0.65, -0.3, 0.1, 1.05, 2])
    assert mesh.half
    assert len(mesh) == 5
