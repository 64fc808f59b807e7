"""Characters of two functions that turn into each other, as two levels do at an avoided crossing."""

from __future__ import annotations

import numpy as np
import pytest

from qpinn.analysis import following
from qpinn.bounds.certify import Values

X = np.linspace(0, 1, 2001)


def functions(angle, sign=1.0):
    """Two orthonormal functions, each a mixture by an angle in degrees of sin(pi x) and sin(2 pi x)."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    first, second = np.sqrt(2) * np.sin(np.pi * X), np.sqrt(2) * np.sin(2 * np.pi * X)
    psi, one = np.array([c * first + s * second, sign * (c * second - s * first)]), np.ones_like(X)
    return Values(x=X, psi=psi, slope=psi, h_psi=psi, v=one, mass=one, mass_slope=0 * one, weight=one / 2000,
                  blur=0 * one, at_deltas=np.zeros((2, 0)), strength=np.zeros(0))  # fmt: skip


def followed(*angles):
    """The trail at each of these angles."""
    trails = [following.begun(functions(angles[0]))]
    for k, angle in enumerate(angles[1:]):
        here = functions(angle, (-1) ** k)
        trails.append(following.continued(trails[-1], here, here))
    return trails


@pytest.mark.parametrize("inside", [[], [45], [44, 46], [30, 60], [20, 45, 70]])
def test_a_sharp_exchange_is_followed_across_wherever_its_points_lie(inside):
    trails = followed(0, 3, *inside, 87, 90)
    np.testing.assert_array_equal(trails[-1].character, [1, 0])
    assert (trails[-1].overlap > 0.99).all()


def test_an_exchange_that_is_resolved_is_followed_along_the_level():
    for trail in followed(*range(0, 91, 10)):
        np.testing.assert_array_equal(trail.character, [0, 1])
        assert (trail.overlap > 0.9).all()


def test_it_may_begin_in_the_middle():
    """What two levels of even V become in a field is half of each; from then on that is what they are."""
    trails = followed(0, 45, 46, 47, 48, 49, 60, 75, 90)
    assert (trails[1].overlap < 0.6).all()
    for trail in trails[2:]:
        np.testing.assert_array_equal(trail.character, trails[1].character)
        assert (trail.overlap > 0.9).all()


def test_signs_go_on():
    for before, after in zip(followed(0, 5, 10), followed(0, 5, 10)[1:], strict=False):
        for old, new in zip(before.last, after.last, strict=True):
            assert np.sum(old.psi * new.psi) > 0
