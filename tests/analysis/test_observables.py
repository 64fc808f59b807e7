"""What is measured is right, on functions whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

import qpinn
from qpinn.analysis import compare, observables
from qpinn.bounds import certify
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.physics import reference, units
from qpinn.physics.potentials.base import deltas_of, mass_at
from qpinn.physics.resolution import segment_edges


def _levels():
    return reference.exact(qpinn.potentials.infinite_well(), 3)


@pytest.mark.parametrize(
    ("norm", "nearest", "overlap", "off", "expected"),
    [
        (1.0, 0, 0.99, 1e-3, "right state"),
        (1.0, 1, 0.99, -0.05, "wrong state"),
        (1.0, 0, 0.7, 0.0, "not converged"),
        (1.0, 0, 0.99, -0.4, "not converged"),
        (1.0, 0, 0.99, float("nan"), "not converged"),
        (1.0, None, 0.0, 0.0, "no reference"),
        (0.05, 0, 1.0, 0.0, "psi = 0"),
        (20.0, 0, 1.0, 0.0, "diverged"),
        (float("inf"), 0, 1.0, 0.0, "non-finite"),
        (float("nan"), 0, float("nan"), 0.0, "non-finite"),
    ],
)
def test_outcomes(norm, nearest, overlap, off, expected):
    assert observables.outcome(norm, nearest, overlap, off, 0) == expected


def test_the_sign_of_psi_does_not_count():
    level, weight = np.array([1.0, 2.0, -1.0]), np.array([0.1, 0.2, 0.1])
    np.testing.assert_array_equal(observables.l2_error(np.stack([level, -level]), level, weight), [0, 0])
    np.testing.assert_allclose(observables.overlaps_with(-3 * level, level[None], weight), [1.0])


def test_the_errors_of_a_solution_are_those_of_its_functions(solved):
    """The same numbers from psi as a function, on another quadrature."""
    x = np.linspace(0, 1, 20001)
    psi, exact = solved.psi(x), solved.reference.psi(x)[0]
    error = np.sqrt(min(np.trapezoid((sign * psi - exact) ** 2, x) for sign in (1, -1)))
    np.testing.assert_allclose(error, solved.state.relative_l2_psi, rtol=1e-3)
    np.testing.assert_allclose(np.trapezoid(psi**2, x), solved.state.norm, rtol=1e-6)
    assert solved.state.relative_error_energy == abs(solved.energy / solved.reference.energies[0] - 1) or np.isclose(
        solved.energy, solved.reference.energies[0], rtol=1e-14
    )


def test_classical_methods_stand_beside_with_their_errors():
    rows = {row.method: row for row in compare.classical(qpinn.potentials.infinite_well(), _levels())}
    # -4 sin^2(k h / 2) / h^2 in place of -k^2
    for n in compare.GRIDS:
        h = 1 / (n + 1)
        discrete = (2 / h * np.sin(np.pi * h / 2)) ** 2
        np.testing.assert_allclose(rows[f"finite differences, {n} points"].energy, discrete, rtol=1e-9)
    assert rows["spectral elements"].relative_error_energy < 1e-12
    assert rows["spectral elements"].relative_l2_psi < 1e-9


@pytest.mark.parametrize(
    "potential",
    [
        qpinn.potentials.infinite_well((-3.0, 7.0)),
        qpinn.potentials.barrier(center=0.4),
        qpinn.potentials.finite_well((-2.0, 9.0)),
        qpinn.potentials.delta_comb(3, 0.7, -5.0),
        qpinn.potentials.two_deltas((-2.0, 1.0), 1.0, -4.0, 3.0),
        units.dimensionless(
            qpinn.potentials.layers(thickness=[3, 2, 4], offset=[0.3, 0, 0.2], mass=[0.1, 0.067, 0.09]),
            units.of("semiconductor"),
        ),
    ],
    ids=lambda p: p.name,
)
def test_the_virial_ratio_of_an_exact_eigenfunction_is_one(potential):
    """psi and psi' of the reference; a psi of another width has another ratio."""
    exact = reference.exact(potential, 3)
    mesh = segment_edges(potential, 3)
    rule = gauss_legendre(Mesh(mesh), 100)
    edge = np.array([1e-9, *np.linspace(0, 1, 101)[1:-1], 1 - 1e-9])  # a hair inside every segment
    places, strength = (np.array(part, np.float64) for part in deltas_of(potential))

    def values(name, stretch=1.0):
        x = np.asarray(rule.x)[..., 0] if name == "fine" else mesh[:-1, None] + np.diff(mesh)[:, None] * edge
        weight = np.asarray(rule.weight) if name == "fine" else np.zeros_like(x)
        step = 1e-5 * np.diff(mesh)[:, None]
        inside = np.clip(x, mesh[:-1, None] + step, mesh[1:, None] - step)
        psi, above, below = (exact.psi(at.ravel()) for at in (x, inside + step, inside - step))
        slope = (above - below) / (2 * np.broadcast_to(step, x.shape).ravel()) * stretch
        x = x.ravel()
        return certify.Values(
            x=x, psi=psi, slope=slope, h_psi=psi, v=potential.at(x[:, None]),
            mass=np.broadcast_to(mass_at(potential, x[:, None]), x.shape), mass_slope=np.zeros_like(x),
            weight=weight.ravel(), blur=np.zeros_like(x), at_deltas=exact.psi(places), strength=strength,
        )  # fmt: skip

    fine, grid = values("fine"), values("grid")
    for k in range(3):
        assert abs(observables.virial(fine, grid, k) - 1) < 3e-4  # differences of psi are that good
    assert abs(observables.virial(values("fine", 1.3), grid, 0) - 1) > 1e-2


def test_oscillator_strengths_add_up_to_the_mean_of_one_over_the_mass():
    """Thomas, Reiche and Kuhn; for layers <0|1 / m|0>, in units of the mass of an electron."""
    layers = qpinn.potentials.layers(thickness=[3, 2, 4], offset=[0.3, 0, 0.2], mass=[0.1, 0.067, 0.09])
    for potential in (qpinn.potentials.barrier(), units.dimensionless(layers, units.of("semiconductor"))):
        exact = reference.exact(potential, 60)
        points = gauss_legendre(Mesh(segment_edges(potential, 60, 1.0)), 20)
        x, weight = np.asarray(points.x).ravel(), np.asarray(points.weight).ravel()
        psi = exact.psi(x)
        strengths = observables.oscillator_strengths(exact.energies, (weight * x * psi) @ psi.T)
        inverse = np.sum(weight * psi[0] ** 2 / mass_at(potential, x[:, None]))
        np.testing.assert_allclose(strengths[0].sum(), inverse, rtol=1e-3)
