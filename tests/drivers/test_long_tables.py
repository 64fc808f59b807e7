"""Tables beyond their ends and between their rows: tails, quintic splines, what the interpolation does, many rows."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import linalg

import qpinn
from qpinn.physics import enclosure, potentials, reference, walls
from qpinn.physics.potentials import splines

DEPTH = 40.0
X = np.linspace(-1.5, 4.0, 221)  # of a Morse curve of width 1/a = 1, cut where 4 % of its depth are left
MORSE = DEPTH * (1 - np.exp(-X)) ** 2
N = np.arange(6) + 0.5
EXACT = 2 * np.sqrt(DEPTH) * N - N**2


def _differences(v, left, right, count):
    """The lowest levels between walls by finite differences on two grids, extrapolated to none."""
    levels = []
    for points in (8000, 16000):
        x = np.linspace(left, right, points + 2)[1:-1]
        h = x[1] - x[0]
        bounds = (0, count - 1)
        levels.append(linalg.eigh_tridiagonal(v(x) + 2 / h**2, np.full(points - 1, -1 / h**2), select="i",
                                              select_range=bounds)[0])  # fmt: skip
    return levels[1] + (levels[1] - levels[0]) / 3


@pytest.mark.parametrize(
    ("interpolation", "close"), [("cubic", 3e-5), pytest.param("quintic", 3e-8, marks=pytest.mark.long)]
)
def test_levels_of_a_morse_curve_that_is_cut(interpolation, close):
    """With exponential tails E_n = 2 sqrt(D) (n + 1/2) - (n + 1/2)^2, within what the spline does to deep levels."""
    table = potentials.sampled(x=X, V=MORSE, interpolation=interpolation, tails=["exponential", "exponential"])
    assert table.domain == (None, None)
    assert table.threshold == pytest.approx(DEPTH, abs=0.03)
    solution = qpinn.solve(table, states=4)
    np.testing.assert_allclose(solution.energies[:2], EXACT[:2], rtol=close)
    assert (np.diff(solution.bounds, axis=1) < 1e-7).all()
    classical = reference.best(solution.plan.potential, 4).energies
    np.testing.assert_allclose(solution.energies, classical, rtol=1e-10)
    cut = reference.best(potentials.sampled(x=X, V=MORSE, interpolation=interpolation), 4).energies
    assert abs(solution.energies[3] - EXACT[3]) < 0.01 * abs(cut[3] - EXACT[3])


def test_all_levels_of_a_well_that_decays():
    """sech^2 cut at both ends, its tails exponential to 0: as many levels below 0 as are known, -(l - n)^2."""
    x = np.linspace(-3, 3, 201)
    table = potentials.sampled(x=x, V=-12 / np.cosh(x) ** 2, interpolation="quintic", limit=0.0,
                               tails=("exponential", "exponential"))  # fmt: skip
    assert table.threshold == 0.0
    assert walls.bound_states(table) == 3
    energies = reference.best(walls.on_box(table, 3), 3).energies
    np.testing.assert_allclose(energies, [-9, -4, -1], atol=2e-3)


R = np.linspace(0.8, 2.5, 120)
LENNARD_JONES = 60 * (R**-12 - 2 * R**-6)


@pytest.mark.parametrize("known", [{}, {"limit": 0.0}, {"c6": 120.0}])
def test_levels_with_a_tail_of_dispersion(known):
    """Lennard-Jones cut at 2.5 r_e: its tail is -c6 / r^6, c6 = 120. Against differences with the whole curve."""
    table = potentials.sampled(x=R, V=LENNARD_JONES, interpolation="quintic", tails=["wall", "C6"], **known)
    boxed = walls.on_box(table, 2)
    levels = reference.best(boxed, 2)
    exact = _differences(lambda r: 60 * (r**-12 - 2 * r**-6), 0.8, float(boxed.domain[1]), 2)
    np.testing.assert_allclose(levels.energies, exact, atol=2e-3)
    assert abs(table.threshold) < 1e-2
    same = _differences(boxed, 0.8, float(boxed.domain[1]), 2)
    np.testing.assert_allclose(levels.energies, same, atol=2e-6)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "quintic"])
@pytest.mark.parametrize(
    ("tail", "known", "smooth"),
    [("constant", {}, 0), ("exponential", {"limit": 45.0}, 1), ("exponential", {}, 2), ("C6", {}, 1),
     ("C6", {"limit": 45.0}, 0), ("C6", {"c6": 200.0}, 0), ("parabola", {}, 2)],
)  # fmt: skip
def test_tails_are_continuous_and_enclosed(side, interpolation, tail, known, smooth):
    r = np.linspace(1.0, 4.0, 31)
    v = 40 * (1 - np.exp(-(r - 2))) ** 2
    if tail == "parabola":
        r, v = r[:17], v[:17]  # where V'' > 0
    if interpolation == "linear" and (smooth == 2 or len(r) > 20):
        r, v = (r[::8], v[::8]) if smooth < 2 else (r, v)
    tails, x = ["wall", tail], r
    if side == 0:
        tails, x, v = [tail, "wall"], -r[::-1], v[::-1]
    if interpolation == "linear" and smooth == 2:
        with pytest.raises(ValueError, match=r"potential\.tails=.* V'' "):
            potentials.sampled(x=x, V=v, interpolation=interpolation, tails=tails, **known)
        return
    table = potentials.sampled(x=x, V=v, interpolation=interpolation, tails=tails, **known)
    end, out = (x[-1], 1) if side else (x[0], -1)
    h = 1e-5
    near = table(end + out * h * np.array([-3.0, -2, -1, 0, 1, 2, 3]))
    np.testing.assert_allclose(np.diff(near), 0, atol=2e-2)
    if smooth:
        np.testing.assert_allclose(near[4] - near[3], near[3] - near[2], rtol=3e-3, atol=1e-7)
    assert (end in table.breakpoints, end in table.domain) == (True, False)
    assert None in table.domain
    assert f"beyond {end:g} V = " in table.read
    rng = np.random.default_rng(3)
    left = end + out * rng.uniform(0, 4, 60) - (0 if side else 0.3)
    left = np.maximum(left, end) if side else np.minimum(left, end - 0.3)
    right = left + rng.uniform(1e-6, 0.3, 60)
    lo, hi = enclosure.enclose(table, left, right)
    v = table(left[:, None] + (right - left)[:, None] * np.linspace(0, 1, 301))
    assert (lo[:, None] <= v).all()
    assert (v <= hi[:, None]).all()
    assert ((hi - lo) - np.ptp(v, axis=1)).max() < 1e-10 * max(np.abs(v).max(), 100)
    t = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    for degree in (3, 8):
        stated = enclosure.stray(table, left, right, degree)
        for a, b, most in zip(left, right, stated, strict=True):
            values = table((a + b) / 2 + (b - a) / 2 * t)
            fit = np.polynomial.chebyshev.Chebyshev.fit(t, values, degree)
            assert np.sqrt(np.mean((fit(t) - values) ** 2)) <= most + 1e-13 * np.abs(values).max()
    assert enclosure.stray(table, left, right, 12).max() < 1e-3 * max(np.ptp(v), 1)


def test_a_parabola_beyond_both_ends_is_the_oscillator_again():
    x = np.linspace(-1, 1, 21)
    table = potentials.sampled(x=x, V=x**2, interpolation="cubic", tails=["parabola", "parabola"])
    assert table.threshold == np.inf
    np.testing.assert_allclose(reference.best(walls.on_box(table, 3), 3).energies, [1, 3, 5], rtol=1e-10)


def test_tails_in_other_units_and_derivatives(tmp_path):
    table = potentials.sampled(x=R, V=LENNARD_JONES, interpolation="quintic", tails=["wall", "C6"], c6=120.0)
    moved = table.times(length=2.0, energy=3.0)
    r = np.array([0.9, 1.5, 2.6, 7.0])
    np.testing.assert_allclose(moved(2 * r), 3 * table(r), rtol=1e-10)
    solution = qpinn.solve(table, states=1)
    slope = qpinn.gradients(solution)
    up, down = (
        reference.best(potentials.sampled(x=R, V=LENNARD_JONES, interpolation="quintic", tails=["wall", "C6"],
                                          c6=120.0 + step).on(None, solution.plan.potential.domain[1]), 1).energies
        for step in (0.1, -0.1)
    )  # fmt: skip
    np.testing.assert_allclose(slope["c6"], (up - down) / 0.2, rtol=1e-4)
    assert slope["V"].shape == (1, len(R))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"tails": "wall"}, "potential.tails=wall: must be two of wall, constant, exponential, C6, parabola"),
        ({"tails": ["wall", "exp"]}, "potential.tails=exp: unknown"),
        ({"tails": ["wall", "constant"], "limit": 3.0}, "potential.limit=3: has an effect only with exponential or C6"),
        ({"tails": ["wall", "exponential"], "c6": 3.0}, "potential.c6=3: has an effect only with C6"),
        ({"tails": ["wall", "C6"], "c6": 3.0, "limit": 4.0}, "potential.c6=3: and potential.limit=4; V would jump"),
        ({"tails": ["C6", "wall"]}, "at the left end, 0.8, x is a distance from 0 on the other side"),
        ({"tails": ["wall", "parabola"]}, "V'' is"),
        ({"tails": ["wall", "exponential"], "limit": -50.0}, "V goes away from potential.limit=-50"),
        ({"interpolation": "septic"}, "potential.interpolation=septic: unknown; allowed: linear, cubic, quintic"),
        ({"limit": "a", "tails": ["wall", "C6"]}, "potential.limit='a': must be a number"),
    ],
)
def test_tails_that_cannot_be(keys, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        potentials.sampled(x=R, V=LENNARD_JONES, **{"interpolation": "cubic", **keys})


def test_quintic_splines_are_polynomials_of_fifth_degree_and_know_their_extremes():
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-1, 2, 14))
    curve = np.polynomial.Polynomial([0.3, -1, 2, 0.7, -1.1, 0.4])
    table = potentials.sampled(x=x, V=curve(x), interpolation="quintic")
    inner = np.linspace(x[0], x[-1], 500)
    np.testing.assert_allclose(table(inner), curve(inner), atol=1e-10)  # not-a-knot: it is one itself
    rough = potentials.sampled(x=x, V=rng.normal(size=14), interpolation="quintic")
    for power in range(1, 5):  # continuous up to the fourth derivative
        jumps = [np.polyder(np.poly1d(rough.coefficients[:, j]), power)(x[j + 1] - x[j]) for j in range(12)]
        after = [np.polyder(np.poly1d(rough.coefficients[:, j + 1]), power)(0.0) for j in range(12)]
        np.testing.assert_allclose(jumps, after, rtol=1e-6, atol=1e-6 * np.abs(after).max())
    left = rng.uniform(x[0], x[-1] - 0.1, 60)
    right = left + (x[-1] - left) * rng.uniform(1e-6, 1, 60)
    lo, hi = rough.enclose(left, right)
    v = rough(left[:, None] + (right - left)[:, None] * np.linspace(0, 1, 4001))
    assert (lo[:, None] <= v).all()
    assert (v <= hi[:, None]).all()
    narrow = rough.enclose(left, left + 1e-4)
    assert (narrow[1] - narrow[0]).max() < 1e-4 * 2 * np.abs(np.diff(v) / (right - left)[:, None] * 4000).max()


def test_quintic_splines_end_at_jumps():
    x = np.concatenate([np.linspace(-3, 0, 20), np.linspace(0, 3, 20)])
    table = potentials.sampled(x=x, V=np.where(np.arange(40) < 20, x**4, 10 + np.cos(x)), interpolation="quintic")
    assert table.breakpoints == (0.0,)
    inner = np.array([-2.9, -1.01, -1e-6, 1e-6, 1.7])
    np.testing.assert_allclose(table(inner), np.where(inner < 0, inner**4, 10 + np.cos(inner)), atol=1e-6)
    slope = qpinn.gradients(qpinn.solve(table))["V"]
    np.testing.assert_allclose(slope.sum(), 1.0, rtol=1e-9)  # V + c has the level E + c


@pytest.mark.parametrize("interpolation", ["cubic", pytest.param("quintic", marks=pytest.mark.long)])
def test_what_leaving_out_every_second_row_does_is_said_for_each_level(interpolation):
    """Against the solved table of half the rows: the estimate is close to what it estimates."""
    x = np.linspace(-1.5, 5.5, 37)
    v = DEPTH * (1 - np.exp(-x)) ** 2
    solution = qpinn.solve(potentials.sampled(x=x, V=v, interpolation=interpolation), states=3)
    half = potentials.sampled(x=x[::2], V=v[::2], interpolation=interpolation)
    moved = reference.best(half, 3).energies - reference.best(solution.given, 3).energies
    np.testing.assert_allclose(solution.interpolation_shift, moved, rtol=0.02)
    exact = reference.best(potentials.expression((-1.5, 5.5), "40*(1-exp(-x))**2"), 3).energies
    assert (np.abs(solution.energies - exact) < np.abs(solution.interpolation_shift)).all()
    assert qpinn.solve(potentials.barrier(), network={"width": 4}).interpolation_shift is None


@pytest.mark.parametrize("interpolation", ["cubic", "quintic"])
def test_a_hundred_thousand_rows(tmp_path, interpolation):
    """Thinned where the spline through fewer of them is as good: the same V, and the same levels."""
    x = np.linspace(-1.5, 5.5, 100_001)
    v = DEPTH * (1 - np.exp(-x)) ** 2
    np.save(tmp_path / "rows.npy", np.stack([x, v], axis=1))
    table = potentials.sampled(tmp_path / "rows.npy", interpolation=interpolation)
    assert len(table.knots) < 5000
    assert re.search(r"100001 rows .* thinned to \d+ of them", table.read)
    low = v < DEPTH
    assert np.abs(table(x) - v)[low].max() <= splines.LOW * DEPTH * 1.001
    exact = reference.best(potentials.expression((-1.5, 5.5), "40*(1-exp(-x))**2"), 3).energies
    np.testing.assert_allclose(reference.best(table, 3).energies, exact, rtol=1e-9)


def test_rows_that_were_rounded_are_thinned_as_far_as_they_allow():
    """Six digits: no spline through fewer rows is closer than that, and what it is off by is said."""
    x = np.linspace(-1.5, 5.5, 30_001)
    v = np.array([float(f"{value:.6g}") for value in DEPTH * (1 - np.exp(-x)) ** 2])
    table = potentials.sampled(x=x, V=v, interpolation="cubic")
    stated = float(re.search(r"at most (\S+) of the depth", table.read)[1])
    assert 1e-7 < stated < 1e-4
    height = np.maximum(v - v.min(), min(v[0], v[-1]) - v.min())
    np.testing.assert_allclose((np.abs(table(x) - v) / height).max(), stated, rtol=0.05)
