"""Curves on which V jumps: cells cut along them, and integrals on either side."""

import jax
import numpy as np
import pytest

from qpinn.geometry.quadrature import legendre
from qpinn.physics import curves
from qpinn.physics.curves import Curve
from qpinn.physics.potentials import branches
from qpinn.physics.potentials.several import OneSided, several
from qpinn.physics.potentials.terms import at_places, read

BOX = ((-2.0, 2.0), (-2.0, 2.0))


def integrals(formula, segments=7, count=20, box=BOX):
    """x, y and weights of the quadrature that is split at the curves of a formula."""
    potential = several(box, formula)
    every = [Curve(tree, box) for tree in potential.curves]
    pieces = curves.pieces(every, [np.linspace(*side, segments + 1) for side in box])
    return (
        np.concatenate(parts)
        for parts in zip(*(curves.points(piece, legendre(count)) for piece in pieces), strict=True)
    )


@pytest.mark.parametrize("segments", [4, 7])
def test_the_area_and_the_moments_of_a_disc(segments):
    x, y, weight = integrals("where((x-0.1)**2 + (y+0.2)**2 < 1, 0, 50)", segments)
    inside = weight * ((x - 0.1) ** 2 + (y + 0.2) ** 2 < 1)
    np.testing.assert_allclose(weight.sum(), 16, rtol=1e-14)
    np.testing.assert_allclose(inside.sum(), np.pi, rtol=1e-13)
    np.testing.assert_allclose(inside @ x, 0.1 * np.pi, rtol=1e-13)
    np.testing.assert_allclose(inside @ (y + 0.2) ** 2, np.pi / 4, rtol=1e-13)
    np.testing.assert_allclose(inside @ np.exp(0 * x + x - 0.1), 2 * np.pi * 0.5651591039924850, rtol=1e-13)  # I_1(1)


def test_the_area_and_the_moments_of_a_turned_ellipse():
    form = np.array([[0.5, 0.3], [0.3, 1.0]])
    x, y, weight = integrals("where(0.5*x**2 + 0.6*x*y + y**2 < 1, 0, 50)", 6, 24)
    inside = weight * (0.5 * x**2 + 0.6 * x * y + y**2 < 1)
    area = np.pi / np.sqrt(np.linalg.det(form))
    np.testing.assert_allclose(inside.sum(), area, rtol=1e-13)
    np.testing.assert_allclose(inside @ (x * y), area / 4 * np.linalg.inv(form)[0, 1], rtol=1e-12)


@pytest.mark.parametrize(
    ("formula", "inside", "area"),
    [
        ("where(x < y, 0, 1)", lambda x, y: x < y, 8),  # through the corners of cells
        ("where(x + 2*y < 0.3, 0, 1)", lambda x, y: x + 2 * y < 0.3, 8.6),
        ("where(x + 2*y < 1, where(y - x < 0.45, 0, 1), 1)",  # two that cross within a cell
         lambda x, y: (x + 2 * y < 1) & (y - x < 0.45), 6.89916666666666667),
        ("where(x**2/4 + y**2/0.04 < 1, 0, 1)", lambda x, y: x**2 / 4 + y**2 / 0.04 < 1, 0.4 * np.pi),  # thin
        ("where(x**2 + y**2 < 4, 0, 1)", lambda x, y: x**2 + y**2 < 4, 4 * np.pi),  # touches the walls
    ],
)  # fmt: skip
def test_areas(formula, inside, area):
    x, y, weight = integrals(formula)
    np.testing.assert_allclose(weight @ inside(x, y), area, rtol=1e-11)


def test_no_curve_between_the_places_of_a_grid_is_missed():
    x, y, weight = integrals("where((x-0.13)**2 + (y-0.41)**2 < 0.0001, 0, 1)", 4)
    np.testing.assert_allclose(weight @ ((x - 0.13) ** 2 + (y - 0.41) ** 2 < 1e-4), 1e-4 * np.pi, rtol=1e-10)


def test_a_curve_with_a_cusp_is_refused():
    with pytest.raises(ValueError, match="none that can be followed"):
        list(integrals("where(x**2 < (y-0.1)**3, 0, 1)"))


EVERYTHING = [
    "x**3 * y - 2/(3 + x*y) + (x + 2)**1.5", "sin(x*y) + cos(x - y) + tan(x/3)",
    "exp(x*y) - log(3 + x) + sqrt(4 + x*y)",
    "tanh(x + y) + sinh(x) * cosh(y)", "arctan(x*y) + arcsinh(x - 2*y) + erf(x + y)", "abs(x + y) - minimum(x, y**2)",
    "where(x < y, x**2, y**3) + maximum(x, 2*y) + hypot(x, y)",
]  # fmt: skip


@pytest.mark.parametrize("text", EVERYTHING)
def test_slopes_of_trees_are_their_derivatives(text):
    tree = read(text, (), 2)
    places = np.random.default_rng(1).uniform(-1, 1, (20, 2))

    def value(place):
        return at_places(tree, {0: place[0], 1: place[1]})

    wanted = jax.vmap(jax.grad(value))(places)
    for axis, name in enumerate(("x", "y")):
        found = at_places(branches.slope(tree, name), {0: places[:, 0], 1: places[:, 1]})
        np.testing.assert_allclose(found + 0 * places[:, 0], wanted[:, axis], rtol=1e-12, atol=1e-13)


def test_a_potential_on_one_side_of_its_switches():
    potential = several(BOX, "where(abs(x) + y**2 < 1, 3*x, sign(x) + 50) + minimum(x - y, 2*y)")
    x = np.random.default_rng(2).uniform(-2, 2, (200, 2))
    trees = [switch.tree for switch in potential.switches]
    for place in x:
        sides = tuple((tree, bool(at_places(tree, dict(enumerate(place[:, None]))) > 0)) for tree in trees)
        one = OneSided(potential, sides)
        np.testing.assert_allclose(one.at(place), potential.at(place), rtol=1e-15)
        assert not {"where", "abs", "sign", "minimum"} & set(str(one.terms).replace("'", " ").split())
