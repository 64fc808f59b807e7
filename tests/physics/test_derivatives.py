"""Hellmann and Feynman on functions that are known, without a network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import interpolate

from qpinn.physics import derivatives, potentials
from qpinn.physics.potentials.samples import Sampled


def box(right, levels):
    """Densities of the sines of a box from 0 to `right`, of pairs of equal levels."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    x, k = right * (1 + nodes) / 2, np.pi * (1 + np.arange(levels))[:, None] / right
    psi, slope = np.sqrt(2 / right) * np.sin(k * x), np.sqrt(2 / right) * k * np.cos(k * x)
    return derivatives.Densities(
        x=x, weight=weights * right / 2, density=psi**2, kinetic=slope**2, contact=np.zeros((levels, 0)),
        energy=k[:, 0] ** 2,
    )  # fmt: skip


def test_walls_of_an_empty_box():
    """E = (n pi / L)^2, and so dE/dL = -2 E / L."""
    densities = box(2.5, 4)
    by_number = derivatives.slopes(potentials.infinite_well((0.0, 2.5)), (0.0, 2.5), densities)
    np.testing.assert_allclose(by_number.right, -2 * densities.energy / 2.5, rtol=1e-12)
    np.testing.assert_allclose(by_number.left, 2 * densities.energy / 2.5, rtol=1e-12)


def test_a_barrier_of_no_height_changes_levels_by_the_share_of_psi_in_it():
    """First-order perturbation theory; of no height it has no width that could matter."""
    domain, nodes = (0.0, 1.0), np.polynomial.legendre.leggauss(60)
    ends = np.array([0.0, 0.4, 0.6, 1.0])
    x = np.concatenate([(a + b) / 2 + (b - a) / 2 * nodes[0] for a, b in itertools.pairwise(ends)])
    weight = np.concatenate([(b - a) / 2 * nodes[1] for a, b in itertools.pairwise(ends)])
    psi, slope = np.sqrt(2) * np.sin(np.pi * x)[None], np.sqrt(2) * np.pi * np.cos(np.pi * x)[None]
    flat = potentials.wells.Barrier(left=0.0, right=1.0, center=0.5, width=0.2, height=0.0)
    densities = derivatives.Densities(
        x=x, weight=weight, density=psi**2, kinetic=slope**2, contact=np.zeros((1, 0)), energy=np.array([np.pi**2])
    )  # fmt: skip
    by_number = derivatives.slopes(flat, domain, densities)
    assert by_number.height[0] == pytest.approx(0.2 + np.sin(0.2 * np.pi) / np.pi, rel=1e-12)
    np.testing.assert_allclose([by_number.width[0], by_number.center[0]], 0.0, atol=1e-12)


def test_walls_that_a_potential_does_not_have_stay():
    densities = box(2.5, 1)
    by_number = derivatives.slopes(potentials.linear(slope=3.0), (0.0, 2.5), densities)
    assert by_number.right is None
    assert by_number.slope[0] == pytest.approx(1.25, rel=1e-12)


def test_many_numbers_are_carried_backwards():
    x = np.linspace(0.0, 2.5, 100)
    table = Sampled(
        knots=x,
        coefficients=np.asarray(interpolate.CubicSpline(x, np.sin(x)).c),
        file="",
        interpolation="cubic",
        bends=(),
    )
    assert table.coefficients.size > derivatives.FORWARD
    densities = box(2.5, 2)
    by_number = derivatives.slopes(table, (0.0, 2.5), densities)
    piece = np.clip(np.searchsorted(x, densities.x, side="right") - 1, 0, 98)
    share = np.stack([np.bincount(piece, row, 99) for row in densities.weight * densities.density])
    np.testing.assert_allclose(by_number.coefficients[:, -1], share, rtol=1e-12)
