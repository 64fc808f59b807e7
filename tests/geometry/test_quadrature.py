"""Quadrature and meshes."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre, random_uniform, uniform
from qpinn.physics import survey
from qpinn.physics.potentials import barrier, finite_well
from qpinn.physics.resolution import energy_unit, segment_edges


def test_gauss_legendre_is_exact_for_polynomials_in_every_segment():
    points = gauss_legendre(Mesh(np.array([-1.0, 0.5, 2.0])), 4)
    x = np.asarray(points.x)[..., 0]
    for power in range(8):
        exact = np.diff(np.array([-1.0, 0.5, 2.0]) ** (power + 1)) / (power + 1)
        np.testing.assert_allclose(np.sum(points.weight * x**power, axis=1), exact, rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 7, 100, 101])
def test_every_rule_covers_the_domain_and_stays_in_its_segment(n):
    edges = np.array([-4.0, -1.0, 1.0, 1.1, 4.0])
    rules = [uniform(edges, n), random_uniform(jax.random.key(1), np.asarray(edges), n)]
    for points in [*rules, gauss_legendre(Mesh(edges), n)]:
        x, weight = np.asarray(points.x)[..., 0], np.asarray(points.weight)
        np.testing.assert_allclose(weight.sum(), 8.0, rtol=1e-12)
        assert ((x >= edges[:-1, None]) & (x <= edges[1:, None])).all()
        assert (weight >= 0).all()
    assert (rules[0].weight > 0).sum() == n


def test_no_segment_crosses_a_breakpoint(well):
    for states in (1, 6):
        edges = segment_edges(well, states, 1.5)
        assert (np.diff(edges) > 0).all()
        assert set(survey.pieces(well)) <= set(edges)


def test_high_states_and_deep_wells_get_more_segments():
    count = [len(segment_edges(finite_well(), states, 1.5)) for states in (1, 5, 9)]
    assert count[0] < count[1] < count[2]
    assert len(segment_edges(finite_well(depth=2000.0), 1, 1.5)) > count[0]


def test_meshes_stay_small_however_extreme_the_potential():
    for potential in (finite_well((-1e6, 1e6), depth=1e6), barrier(height=1e12), barrier(width=1e-5, height=1e9)):
        assert len(segment_edges(potential, 1, 1.5)) < 60


def test_the_unit_of_energy_scales_with_the_box():
    small, large = barrier(), barrier((0.0, 10.0), center=5.0, width=2.0, height=0.5)
    np.testing.assert_allclose(energy_unit(small), 100 * energy_unit(large), rtol=1e-12)
