"""Dirac deltas against the equations of textbooks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import optimize

from qpinn.physics import potentials, reference, walls


@pytest.mark.parametrize("strength", [-0.3, -4.0, -70.0])
def test_one_delta_binds_one_level(strength):
    potential = potentials.delta(center=2.0, strength=strength)
    assert walls.bound_states(potential) == 1
    levels = reference.exact(walls.on_box(potential, 1), 1)
    np.testing.assert_allclose(levels.energies, [-(strength**2) / 4], rtol=1e-13)
    x = 2.0 + np.array([0.0, 0.7, -1.1]) / abs(strength)
    expected = np.sqrt(-strength / 2) * np.exp(strength / 2 * np.abs(x - 2.0))
    np.testing.assert_allclose(levels.psi(x)[0], expected, rtol=1e-12)
    with pytest.raises(ValueError, match="holds 1 bound state, asked for 2"):
        walls.on_box(potential, 2)


@pytest.mark.parametrize(
    ("a", "b", "distance"), [(-4.0, -4.0, 1.0), (-4.0, -4.0, 0.4), (-3.0, 2.0, 1.0), (-2.0, -7.0, 3.0)]
)
def test_two_deltas_solve_the_equation_of_the_textbook(a, b, distance):
    potential = potentials.two_deltas(distance=distance, strength_left=a, strength_right=b)
    count = walls.bound_states(potential)
    energies = reference.exact(walls.on_box(potential, count), count).energies

    def equation(kappa):
        return (2 * kappa + a) * (2 * kappa + b) - a * b * np.exp(-2 * kappa * distance)

    grid = np.linspace(1e-6, 8, 4001)
    signs = np.flatnonzero(np.diff(np.sign(equation(grid))))
    roots = [optimize.brentq(equation, grid[i], grid[i + 1], xtol=1e-14) for i in signs]
    np.testing.assert_allclose(energies, -(np.sort(roots)[::-1] ** 2), rtol=1e-11)


@pytest.mark.parametrize("strength", [20.0, -6.0, 0.01])
def test_the_comb_has_bands_of_kronig_and_penney(strength):
    count, period = 5, 0.8
    energies = reference.exact(potentials.delta_comb(count, period, strength), 6).energies
    for energy in energies[energies > 0]:
        k = np.sqrt(energy)
        bloch = np.arccos(np.cos(k * period) + strength * np.sin(k * period) / (2 * k)) * (count + 1) / np.pi
        on_edge = abs(np.sin(k * period)) < 1e-9
        assert on_edge or abs(bloch - round(bloch)) < 1e-6
    negative = energies[energies < 0]
    assert len(negative) == (5 if strength == -6.0 else 0)


def test_repulsive_deltas_bind_nothing_on_the_line():
    with pytest.raises(ValueError, match="strength=3: binds nothing; a positive one"):
        potentials.delta(strength=3.0)
    with pytest.raises(ValueError, match="holds 0 bound states, asked for 1"):
        walls.on_box(potentials.two_deltas(strength_left=-0.5, strength_right=3.0), 1)
    assert walls.on_box(potentials.delta((-1.0, 1.0), strength=3.0), 1).domain == (-1.0, 1.0)


def test_finite_differences_converge_to_the_delta():
    potential = potentials.delta((-1.0, 1.0), strength=7.0)
    exact = reference.exact(potential, 1).energies[0]
    coarse, fine = (reference.finite_differences(potential, 1, n).energies[0] - exact for n in (399, 799))
    assert 3.5 < coarse / fine < 4.5


@pytest.mark.parametrize(
    ("build", "numbers", "message"),
    [
        (potentials.delta, {"strength": 0.0}, "potential.strength=0: must not be zero"),
        (potentials.delta, {"strength": float("nan")}, "potential.strength=nan: must be finite"),
        (potentials.delta, {"domain": (-1.0, 1.0), "center": 1.0}, "the delta at 1 must lie inside, off its walls"),
        (potentials.two_deltas, {"distance": -1.0}, "potential.distance=-1.0: must be positive"),
        (potentials.two_deltas, {"domain": (-1.0, 0.4)}, "the delta at 0.5 must lie inside"),
        (potentials.delta_comb, {"count": 0}, "potential.count=0: must be a whole number from 1 to 48"),
        (potentials.delta_comb, {"period": 0.0}, "potential.period=0.0: must be positive"),
    ],
)
def test_bad_numbers_are_refused(build, numbers, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build(**numbers)
