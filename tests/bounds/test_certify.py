"""Bounds hold for functions whose levels are known, and are what the textbook says."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from qpinn.bounds import certify
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre


def _values(functions, count=200, v=0.0):
    """(psi, psi', psi'') of x on Gauss-Legendre points of [0, 1]."""
    points = gauss_legendre(Mesh(np.linspace(0, 1, 9)), count // 8)
    x, weight = np.asarray(points.x).ravel(), np.asarray(points.weight).ravel()
    psi, slope, curvature = (np.array(values) for values in zip(*[f(x) for f in functions], strict=True))
    one, none = np.ones_like(x), np.zeros((len(psi), 0))
    return certify.Values(x=x, psi=psi, slope=slope, h_psi=v * psi - curvature, v=v * one, mass=one, mass_slope=0 * x,
                          weight=weight, blur=0 * x, at_deltas=none, strength=np.zeros(0))  # fmt: skip


def _wave(*amplitudes):
    """sum_n a_n sin((n + 1) pi x), the levels of the infinite well."""

    def function(x):
        k = np.pi * np.arange(1, len(amplitudes) + 1)[:, None]
        a = np.array(amplitudes)[:, None]
        return (
            np.sum(a * np.sin(k * x), 0), np.sum(a * k * np.cos(k * x), 0), -np.sum(a * k**2 * np.sin(k * x), 0)
        )  # fmt: skip

    return function


EXACT = np.pi**2 * np.arange(1, 9) ** 2


@pytest.mark.parametrize("seed", range(30))
def test_the_levels_lie_within_the_bounds(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 5))
    noise = 10 ** rng.uniform(-6, -0.7)
    functions = [_wave(*(np.eye(8)[k] + noise * rng.normal(size=8) / np.arange(1, 9) ** 2)) for k in range(count)]
    fine, check = _values(functions), _values(functions, 160)
    mix = certify.ritz(fine)
    bound = certify.certify(fine.mixed(mix), check.mixed(mix), 0.99 * EXACT[count], 2e-16)
    assert (bound.lower <= EXACT[:count]).all()
    assert (EXACT[:count] <= bound.upper).all()
    for energy, residual in zip(bound.energies, bound.residual, strict=True):
        assert np.abs(EXACT - energy).min() <= residual  # Weinstein


def test_one_function_has_the_bound_of_temple():
    fine, check = _values([_wave(1.0, 0.01)]), _values([_wave(1.0, 0.01)], 160)
    bound = certify.certify(fine, check, EXACT[1], 2e-16)
    energy = (EXACT[0] + 1e-4 * EXACT[1]) / (1 + 1e-4)
    variance = (EXACT[0] ** 2 + 1e-4 * EXACT[1] ** 2) / (1 + 1e-4) - energy**2
    np.testing.assert_allclose(bound.energies, [energy], rtol=1e-12)
    np.testing.assert_allclose(bound.residual, [np.sqrt(variance)], rtol=1e-10)
    np.testing.assert_allclose(bound.lower, [energy - variance / (EXACT[1] - energy)], rtol=1e-11)
    np.testing.assert_allclose(bound.lower, EXACT[:1], rtol=1e-11)  # Temple's bound is sharp for two components


def test_ritz_separates_a_mixed_pair():
    functions = [_wave(1.0, 1.0), _wave(1.0, -1.0)]
    fine = _values(functions)
    mixed = fine.mixed(certify.ritz(fine))
    np.testing.assert_allclose((mixed.weight * mixed.psi) @ mixed.psi.T, np.eye(2), atol=1e-13)
    bound = certify.certify(mixed, _values(functions, 160).mixed(certify.ritz(fine)), EXACT[2], 2e-16)
    np.testing.assert_allclose(bound.energies, EXACT[:2], rtol=1e-13)
    assert (bound.half_width < 1e-11).all()
    assert (mixed.slope[:, 0] > 0).all()


def test_what_cannot_be_bounded_is_said_to_be_so():
    wrong = _values([_wave(0.0, 1.0)])
    bound = certify.certify(wrong, wrong, 0.9 * EXACT[1], 2e-16)  # the first excited state in place of the ground state
    assert bound.lower[0] == -np.inf
    assert bound.upper[0] >= EXACT[0]
    for bad in (0.0, np.nan):
        nothing = _values([_wave(bad)])
        bound = certify.certify(nothing, nothing, 30.0, 2e-16)
        assert bound.lower[0] == -np.inf
        assert bound.upper[0] == np.inf


def _spiky(x):
    spike = 0.02 * np.exp(-(((x - 0.37) / 0.02) ** 2))
    z = (x - 0.37) / 0.02
    psi, slope, curvature = _wave(1.0)(x)
    return psi + spike, slope - 2 * z / 0.02 * spike, curvature + (4 * z**2 - 2) / 0.02**2 * spike


def test_a_quadrature_that_misses_something_widens_the_bounds():
    fine, coarse, good = (_values([_spiky], count) for count in (800, 16, 640))
    wide, narrow = (certify.certify(fine, check, EXACT[1], 2e-16) for check in (coarse, good))
    assert wide.upper[0] - narrow.upper[0] > 0.01
    assert narrow.rounding[0] < 1e-10


@pytest.mark.parametrize(
    ("energy", "half", "text"),
    [
        (20.6174522239, 4e-7, "20.6174522(5)"),
        (1.0, 0.0005, "1.0000(5)"),
        (-12.34, 0.96, "-12(2)"),
        (123.4, 30.0, "120(40)"),
        (2.5, np.inf, "2.5(?)"),
        (np.nan, 1.0, "nan(?)"),
    ],
)
def test_an_energy_is_written_with_its_bound(energy, half, text):
    assert certify.digits(energy, half) == text


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_contains_the_interval(seed):
    rng = np.random.default_rng(seed)
    energy, half = rng.normal() * 10 ** rng.uniform(-2, 3), 10 ** rng.uniform(-12, 0)
    head, error = certify.digits(energy, half)[:-1].split("(")
    unit = 10.0 ** -(len(head.partition(".")[2]))
    assert abs(float(head) - energy) + half <= int(error) * unit * (1 + 1e-9) + 1e-15


def test_an_error_is_relative_to_the_level_or_to_the_spacing_around_it():
    np.testing.assert_allclose(certify.scale(np.array([-4.0, 0.0, 4.0])), [4.0, 0.4, 4.0])
    np.testing.assert_allclose(certify.scale(np.array([2.0])), [2.0])


def test_a_low_level_beside_high_ones_keeps_its_digits():
    """The eigenvalues of diag(E) - S, S of rank one and graded, against those of 60 digits."""
    energies, residual = 10.0 ** np.arange(-18.0, 6.0, 3.0), 10.0 ** np.arange(-11.0, 5.0, 2.0) * 1e-6
    shift = np.outer(residual, residual)
    lower = certify._lehmann(energies, shift, 0 * shift)
    with localcontext() as digits:
        digits.prec = 60
        squares = [Decimal(r) ** 2 for r in residual]

        def below(at):
            """Eigenvalues below `at`: by the signs of E - at and of the secular equation."""
            secular = 1 - sum(s / (Decimal(e) - at) for s, e in zip(squares, energies, strict=True))
            return int(np.sum(energies < float(at))) + (secular < 0)

        for k, bound in enumerate(lower):
            assert below(Decimal(float(bound))) <= k  # no more than k levels below: number k is not
    assert (energies - lower <= 8 * np.cumsum(residual**2) + 1e-9 * energies).all()
