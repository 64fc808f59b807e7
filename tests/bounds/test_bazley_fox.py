"""Lower bounds from a comparison operator, on matrices whose levels are known."""

import numpy as np
import pytest

from qpinn.bounds import bazley_fox


def _problem(seed, tilt, error):
    """H0, V' >= 0, the lowest k functions of H0 turned by `tilt`, and what `lower` is told of them."""
    draw = np.random.default_rng(seed)
    n, k = draw.integers(20, 60), draw.integers(2, 12)
    levels = np.sort(draw.uniform(0, 30, n))
    q, _ = np.linalg.qr(draw.normal(size=(n, n)))
    h0 = (q * levels) @ q.T
    part = draw.normal(size=(n, draw.integers(1, n))) * draw.uniform(0.01, 2)
    above = part @ part.T
    u, _ = np.linalg.qr(q[:, :k] + tilt * draw.normal(size=(n, k)))
    energies, mix = np.linalg.eigh(u.T @ h0 @ u)
    u = u @ mix
    r = h0 @ u - u * energies

    def off():
        noise = draw.normal(size=(k, k))
        return error * (noise + noise.T) / np.linalg.norm(noise + noise.T, 2)

    first, second = u.T @ above @ u + off(), u.T @ above @ above @ u + off()
    return np.linalg.eigvalsh(h0 + above), (energies, first, second, float(levels[k]), r.T @ r, (error, error))


@pytest.mark.parametrize("tilt", [0.0, 1e-6, 1e-3, 1e-2])
@pytest.mark.parametrize("error", [0.0, 1e-9, 1e-5])
def test_no_level_is_below_its_bound(tilt, error):
    for seed in range(40):
        exact, told = _problem(seed, tilt, error)
        lower = bazley_fox.lower(*told)
        assert len(lower) == len(told[0]) + 1
        assert (lower <= exact[: len(lower)] + 1e-10).all(), seed
        assert (lower[1:] >= lower[:-1]).all()


def test_bounds_close_where_few_functions_see_all_of_the_rest():
    """V' that acts within the span of the u_i alone: the bounds are the levels."""
    draw = np.random.default_rng(3)
    levels = np.sort(draw.uniform(0, 30, 40))
    part = draw.normal(size=(6, 6))
    above = np.zeros((40, 40))
    above[:6, :6] = 0.1 * part @ part.T
    lower = bazley_fox.lower(levels[:6], above[:6, :6], (above @ above)[:6, :6], float(levels[6]))
    exact = np.linalg.eigvalsh(np.diag(levels) + above)
    assert np.abs(lower[:3] - exact[:3]).max() < 1e-3


def test_bounds_grow_with_the_functions_that_they_come_from():
    draw = np.random.default_rng(5)
    levels = np.sort(draw.uniform(0, 60, 80))
    part = draw.normal(size=(80, 80)) / 20
    above = part @ part.T
    exact = np.linalg.eigvalsh(np.diag(levels) + above)[0]
    gaps = [exact - bazley_fox.lower(levels[:k], above[:k, :k], (above @ above)[:k, :k], float(levels[k]))[0]
            for k in (4, 16, 64)]  # fmt: skip
    assert gaps[0] > gaps[1] > gaps[2] > -1e-10


def test_functions_above_tau_bound_nothing():
    lower = bazley_fox.lower(np.array([1.0, 3.0]), np.eye(2), np.eye(2), 2.0)
    assert np.isneginf(lower).all()
