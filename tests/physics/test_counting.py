"""Counts of levels where a cell holds a whole number of half-waves, to rounding."""

from __future__ import annotations

import numpy as np
import pytest

from qpinn.physics import counting, potentials
from qpinn.physics.survey import survey


@pytest.mark.parametrize("length", [1.0, 2.0, 0.3, 7.7])
@pytest.mark.parametrize("cells", [1, 2, 3, 160])
def test_a_count_at_a_level_itself_is_off_by_no_more_than_that_level(length, cells):
    steps = counting.Steps(
        edges=np.linspace(0, length, cells + 1), values=np.zeros(cells), mass=np.ones(cells),
        strength=np.zeros(cells + 1),
    )  # fmt: skip
    index = np.repeat(np.arange(12), 5)
    near = np.tile(1 + np.array([-4e-16, -1e-16, 0, 2.3e-16, 5e-16]), 12)
    count = counting.count_below(steps, ((index + 1) * np.pi / length) ** 2 * near)
    assert ((count == index) | (count == index + 1)).all()


@pytest.mark.parametrize("length", [1.0, 2.0, 0.3, 7.7])
def test_levels_of_an_empty_box_lie_in_their_brackets(length):
    brackets, exact = survey(potentials.infinite_well((0.0, length)), 8), (np.arange(1, 9) * np.pi / length) ** 2
    assert (brackets.low <= exact).all()
    assert (exact <= brackets.high).all()


def test_the_density_of_a_state_is_that_of_its_tails_where_the_well_is_narrow():
    """A well of width 2e-4 that binds by kappa = 9: psi^2 is kappa exp(-2 kappa |x|)."""
    kappa, half = 9.0, 1e-4
    ends = np.unique(np.concatenate([np.linspace(-3, 3, 2001), [-half, half]]))
    middle = (ends[:-1] + ends[1:]) / 2
    values = np.where(np.abs(middle) < half, -kappa / half, 0.0)
    steps = counting.Steps(edges=ends, values=values, mass=np.ones_like(middle), strength=np.zeros(len(ends)))
    near = np.minimum(np.abs(ends[:-1]), np.abs(ends[1:]))
    np.testing.assert_allclose(steps.density(-(kappa**2)), kappa * np.exp(-2 * kappa * near), rtol=0.05)
