"""Potentials of several coordinates: terms, switches, refusals, enclosures and comparison potentials."""

import numpy as np
import pytest

from qpinn import potentials
from qpinn.physics import box_walls, cells
from qpinn.physics.interval import Interval
from qpinn.physics.mean_field import Sinc, mean_field, sums
from qpinn.physics.potentials.several import several, tabulated
from qpinn.physics.separable import comparison

SQUARE = [[-2.0, 2.0], [-3.0, 1.0]]
FORMULAS = {
    "x**2 + y**2 + 0.1*x**2*y**2": lambda x, y: x**2 + y**2 + 0.1 * x**2 * y**2,
    "exp(-x**2 - 2*y**2)*5 - cos(x*y)": lambda x, y: 5 * np.exp(-(x**2) - 2 * y**2) - np.cos(x * y),
    "where(-1 < x < 1, where(y < 0, 1, 2), 5)": lambda x, y: np.where(np.abs(x) < 1, np.where(y < 0, 1, 2), 5),
    "a*(x - y)**2 + 2*(x1 + sin(x2))": lambda x, y: 0.7 * (x - y) ** 2 + 2 * (x + np.sin(y)),
    "abs(x) + heaviside(y + 1)*x**2": lambda x, y: np.abs(x) + (y > -1) * x**2,
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_terms_add_up_to_the_formula(formula):
    potential = several(SQUARE, formula, {"a": 0.7} if "a*" in formula else {})
    x, y = np.random.default_rng(1).uniform(-2, 1, (2, 50))
    wanted = FORMULAS[formula](x, y)
    assert np.allclose(potential(np.stack([x, y], axis=-1)), wanted, rtol=1e-13, atol=1e-13)
    shapes = {(0, 1): (50, 50), (0,): (50, 1), (1,): (1, 50), (): ()}
    total = sum(table.reshape(shapes[axes]) for axes, table in tabulated(potential, [x, y]))
    assert np.allclose(np.diagonal(np.broadcast_to(total, (50, 50))), wanted, rtol=1e-13, atol=1e-13)


def test_a_sum_is_cut_into_terms_on_few_axes():
    potential = several([[-1, 1]] * 5, "2*(x1**2 + x2*x3 - (x4 - x5)**2/3) + 4")
    assert [term.axes for term in potential.terms] == [(), (0,), (1, 2), (3, 4)]


def test_planes_are_breakpoints_and_circles_are_curves():
    dot = several(SQUARE, "where(-1 < x < 0.5, where(x**2 + y**2 < 1, 0, 1), 5) + abs(y + 0.25)")
    assert np.allclose(dot.breakpoints[0], [-1, 0.5])
    assert np.allclose(dot.breakpoints[1], [-0.25])
    assert len(dot.curves) == 1


@pytest.mark.parametrize(("domain", "formula", "words"), [
    (SQUARE, "x + z", ("names z", "2 axes", "x, y")),
    ([[-1, 1]] * 3, "x + y", None),
    ([[-1, 1]] * 11, "x1", ("11 axes", "from 2 to 10")),
    ([[-1, 1]] * 4, "x1*x2*x3*x4", ("4 coordinates", "at most 3")),
    ([[-1, 1]] * 4, "x + x2", ("names x", "x1, x2, x3, x4")),
    ([[-1, 1], [1, -1]], "x*y", ("left wall",)),
    ([[-1, 1], [1]], "x*y", ("[left, right] of every axis",)),
    (SQUARE, "1/x + y", ("about x = 0",)),
    (SQUARE, "y/(x - 0.0137)**2", ("about x = 0.0137",)),
    (SQUARE, "sqrt(x) + y", ("no real number",)),
    (SQUARE, "1e13*x*y", ("1e+12",)),
    (SQUARE, "x +", ("cannot be read",)),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_a_line(domain, formula, words):
    if words is None:
        assert several(domain, formula).dimension == 3
        return
    with pytest.raises(ValueError, match=r"^potential\.") as error:
        several(domain, formula)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("formula", FORMULAS)
def test_v_in_a_cell_is_in_its_interval(formula):
    potential = several(SQUARE, formula, {"a": 0.7} if "a*" in formula else {})
    draw = np.random.default_rng(2)
    low = draw.uniform([-2, -3], [1, 0], (200, 2))
    high = low + draw.uniform(0.01, 1, (200, 2))
    enclosed = potential.enclosed([Interval(low[:, axis], high[:, axis]) for axis in range(2)])
    for _ in range(20):
        v = potential(low + draw.uniform(0, 1, (200, 2)) * (high - low))
        assert ((enclosed.lo <= v) & (v <= enclosed.hi)).all()


@pytest.mark.parametrize("formula", ["x**2 + y**2 + 0.1*x**2*y**2", "exp(-x**2 - 2*y**2)*5 - cos(x*y)", "tanh(3*x)*y"])
def test_v_is_no_farther_from_its_interpolant_than_its_bound(formula):
    potential, m = several(SQUARE, formula), 6
    draw = np.random.default_rng(4)
    low = draw.uniform([-2, -3], [1, 0], (40, 2))
    high = low + draw.uniform(0.05, 0.8, (40, 2))
    bound = cells.stray(potential, low, high, m)
    s, _ = cells._bernstein(m)
    for cell in range(40):
        x, y = (low[cell, axis] + (high[cell, axis] - low[cell, axis]) * s for axis in range(2))
        v = potential(np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1))
        at = draw.uniform(0, 1, (30, 2))
        weights = 1 / np.prod(s[:, None] - s + np.eye(m + 1), axis=1)  # of the barycentric formula
        shares = weights / (at[..., None] - s)
        shares /= shares.sum(axis=-1, keepdims=True)
        exact = potential(low[cell] + at * (high[cell] - low[cell]))
        off = np.abs(np.einsum("ni,ij,nj->n", shares[:, 0], v, shares[:, 1]) - exact)
        assert off.max() <= bound[cell] + 1e-12


@pytest.mark.parametrize("formula", [
    "x**2 + y**2 + 0.3*x**2*y**2 + x*y", "10*exp(-x**2 - y**2) + x**2 + y**2 + cos(x + y)",
    "where(-1 < x < 1, where(-2 < y < 0, 0, 20), 20)", "where(x**2 + y**2 < 1, 0, 20)", "30*(x - y)**2 - x",
])  # fmt: skip
def test_the_comparison_potential_is_nowhere_above_v(formula):
    potential = several(SQUARE, formula)
    axes = [Sinc(*side, 1.0) for side in potential.domain]
    field = mean_field(potential, axes)
    edges = [np.union1d(np.linspace(*side, 7), kinks)
             for side, kinks in zip(potential.domain, potential.breakpoints, strict=True)]  # fmt: skip
    densities = [(axis.x, axis.weight * u[0] ** 2) for axis, u in zip(axes, field.functions, strict=True)]
    found = comparison(potential, edges, densities, box_walls.highest(field, 6))
    x = np.random.default_rng(0).uniform([-2, -3], [2, 1], (200_000, 2))
    v = sum(piece(x[:, axis]) for axis, piece in enumerate(found.pieces))
    assert (v <= potential(x) + found.excess + 1e-10).all()


def test_walls_are_put_where_psi_has_decayed():
    chain = potentials.oscillator_chain(dimension=4, coupling=0.5)
    boxed, chosen = box_walls.in_box(chain, 6)
    assert chosen == (True,) * 4
    assert all(5 < right < 12 and left == -right for left, right in boxed.domain)
    with pytest.raises(ValueError, match="not known to rise"):
        box_walls.in_box(several([[None, None]] * 2, "x**2 + y**3"), 2)


def test_sums_are_the_lowest_in_order():
    energies = [np.array([0.0, 1.0, 2.5]), np.array([1.0, 1.5, 4.0, 4.1]), np.array([0.0, 3.0])]
    every = sorted(float(a + b + c) for a in energies[0] for b in energies[1] for c in energies[2])
    found = [float(sum(e[place] for e, place in zip(energies, index, strict=True))) for index in sums(energies, 30)]
    assert found == pytest.approx(every)


def test_the_mean_field_of_what_separates_is_exact():
    potential = several([[-8, 8]] * 3, "x**2 + 4*y**2 + 9*z**2")
    field = mean_field(potential, [Sinc(-8, 8, 1.0, 96) for _ in range(3)])
    assert sum(e[0] for e in field.energies) - field.excess == pytest.approx(1 + 2 + 3, abs=1e-9)


def test_walls_of_an_axis_that_a_formula_does_not_name_are_refused():
    with pytest.raises(ValueError, match=r"does not name z, and potential.domain has 3 axes; .*0\*z"):
        potentials.expression([[-1, 1]] * 3, "x**2 + y")
    assert potentials.expression([[-1, 1]] * 3, "x**2 + y + 0*z").dimension == 3
