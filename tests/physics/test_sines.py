"""Products of sin functions give levels that are known by other means."""

from __future__ import annotations

import numpy as np
import pytest

from qpinn.physics.potentials.several import several
from qpinn.physics.reference import SizeError
from qpinn.physics.reference.sines import sine_products


def test_coupled_oscillators_have_the_levels_of_their_normal_modes():
    """x^2 + y^2 + (x - y)^2: modes of stiffness 1 and 3, so E = (2 n + 1) + sqrt(3) (2 k + 1)."""
    levels = sine_products(several([[-8, 8], [-8, 8]], "x**2 + y**2 + (x - y)**2"), 6)
    modes = np.sort([(2 * n + 1) + np.sqrt(3) * (2 * k + 1) for n in range(6) for k in range(6)])[:6]
    np.testing.assert_allclose(levels.energies, modes, rtol=1e-11)
    assert np.all(np.abs(levels.energies - modes) <= levels.errors)
    x = np.random.default_rng(0).uniform(-2, 2, (50, 2))
    together, apart = (x[:, 0] + x[:, 1]) / np.sqrt(2), (x[:, 0] - x[:, 1]) / np.sqrt(2)
    ground = (np.sqrt(3) / np.pi**2) ** 0.25 * np.exp(-(together**2) / 2 - np.sqrt(3) * apart**2 / 2)
    np.testing.assert_allclose(levels.psi(x)[0], ground, atol=1e-9)


def test_three_axes_with_masses_and_degenerate_levels():
    """A cube with masses 1, 1 and 2: E = pi^2 (n^2 + k^2 + l^2 / 2)."""
    levels = sine_products(several([[0, 1]] * 3, "0*x + 0*y + 0*z", masses=[1, 1, 2]), 8)
    every = np.sort([n**2 + k**2 + m**2 / 2 for n in range(1, 5) for k in range(1, 5) for m in range(1, 5)])[:8]
    np.testing.assert_allclose(levels.energies, np.pi**2 * every, rtol=1e-11)


def test_a_jump_is_not_vouched_for_to_many_digits():
    """A well with a step: fewer points against more say how little is known, and the truth lies within about that."""
    levels = sine_products(several([[0, 1], [0, 1]], "where(x < 0.37, 30, 0) + 0*y"), 1)
    from qpinn.physics import reference
    from qpinn.physics.potentials import expression

    line = reference.best(expression([0, 1], "where(x < 0.37, 30, 0)"), 1).energies[0]
    off = abs(levels.energies[0] - line - np.pi**2)
    assert 1e-5 < off < 20 * levels.errors[0]


def test_other_numbers_of_axes_are_refused():
    with pytest.raises(SizeError, match="4 axes"):
        sine_products(several([[0, 1]] * 4, "x1 + x2 + x3 + x4"), 1)
