"""Formulas and files: what they mean, and what is refused."""

from __future__ import annotations

import math
import random
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn.drivers import discretize
from qpinn.physics import potentials, reference
from qpinn.physics.potentials import formula

X = np.linspace(-1.9, 2.1, 41)


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("10*(x**2-1)**2 + 0.3*x", lambda x: 10 * (x**2 - 1) ** 2 + 0.3 * x),
        ("-x**2", lambda x: -(x**2)),
        ("-3*x^2 + 2^3", lambda x: -3 * x**2 + 8),
        ("2 - -x/4", lambda x: 2 + x / 4),
        ("sech(x) + csch(x+4) + coth(x+4) + sec(x/3) + csc((x+4)/3) + cot((x+4)/3)",
         lambda x: 1 / np.cosh(x) + 1 / np.sinh(x + 4) + 1 / np.tanh(x + 4) + 1 / np.cos(x / 3)
         + 1 / np.sin((x + 4) / 3) + 1 / np.tan((x + 4) / 3)),
        ("erf(x) + asinh(x) + hypot(x, 2) + atan(x) + ln(x+3)",
         lambda x: np.array([math.erf(t) for t in x]) + np.arcsinh(x) + np.hypot(x, 2) + np.arctan(x) + np.log(x + 3)),
        ("where(floor(x) >= 1, 1, 0) + where(maximum(x-1, 0) <= 0, 1, 2) + where(abs(x) >= x, 4, 0)",
         lambda x: np.where(x >= 1, 1.0, 0.0) + np.where(x <= 1, 1.0, 2.0) + 4.0),
        ("mod(x, 0.75) + floor(x) + min(x, 0) + max(x, 1)",
         lambda x: np.mod(x, 0.75) + np.floor(x) + np.minimum(x, 0) + np.maximum(x, 1)),
        ("where(-1 < x <= 0.55, 3, x) + where(2 > x > 1 >= 0, 1, 0)",
         lambda x: np.where((x > -1) & (x <= 0.55), 3.0, x) + np.where((x < 2) & (x > 1), 1.0, 0.0)),
        ("exp(-x**2)*cos(2*pi*x) - e", lambda x: np.exp(-(x**2)) * np.cos(2 * np.pi * x) - math.e),
        ("where(abs(x) < 1, 0, 20)", lambda x: np.where(abs(x) < 1, 0.0, 20.0)),
        ("where(x >= 0.5, x, 2)", lambda x: np.where(x >= 0.5, x, 2.0)),
        ("heaviside(x-0.3)*5 + sign(x+1)", lambda x: np.heaviside(x - 0.3, 0.5) * 5 + np.sign(x + 1)),
        ("minimum(x**2, 1) + maximum(x, 0)", lambda x: np.minimum(x**2, 1) + np.maximum(x, 0)),
        ("(x+3)**-2 + (x+3)**0.5", lambda x: (x + 3.0) ** -2 + np.sqrt(x + 3)),
        ("sqrt(4+x) + log(3+x) + arctan(sinh(x)) + tanh(x)*cosh(x)",
         lambda x: np.sqrt(4 + x) + np.log(3 + x) + np.arctan(np.sinh(x)) + np.tanh(x) * np.cosh(x)),
    ],
)  # fmt: skip
def test_a_formula_means_what_it_says(text, function):
    potential = potentials.expression((-2.0, 2.2), text)
    np.testing.assert_allclose(potential(X), function(X), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(jax.jit(lambda p, x: p(x))(potential, jnp.asarray(X)), function(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "kinks"),
    [
        ("where(abs(x) < 1, 0, 20)", (-1, 0, 1)),  # abs itself bends at 0
        ("abs(x - 0.25)", (0.25,)),
        ("heaviside(x**2 - 2)", (-math.sqrt(2), math.sqrt(2))),
        ("sign(sin(pi*x))", (-1, 0, 1)),
        ("maximum(x, 1)", (1,)),
        ("abs((x-0.5)**2)", (0.5,)),
        ("x**2", ()),
        ("where(abs(x-0.30071) < 1e-4, -1000, 0)", (0.30061, 0.30071, 0.30081)),
        ("minimum(0, where(abs(x) < 1, -20, 0))", (-1, 0, 1)),
        ("heaviside(x*1e-200)", (0,)),
        ("mod(x, 0.75)", (-1.5, -0.75, 0, 0.75, 1.5)),
        ("where(-0.5 < x < 0.25, 1, 0)", (-0.5, 0.25)),
    ],
)
def test_breakpoints_are_found(text, kinks):
    kinks_of_formula = potentials.expression((-1.9, 1.9), text).breakpoints
    np.testing.assert_allclose(kinks_of_formula, kinks, atol=1e-6 if "**2)" in text else 1e-12)


def test_nested_conditions_stay_small():
    text = "0"
    for k in range(20):
        text = f"where({k}<x<{k + 1},{k},{text})"
    assert len(text) < formula.LONGEST
    assert len(list(formula._below(formula.parse(text)))) < 1000


def test_a_formula_of_a_well_is_the_well():
    written = potentials.expression((-4.0, 4.0), "where(x*x < 1, 0, 20)")
    np.testing.assert_allclose(written.breakpoints, (-1, 1), atol=1e-15)
    np.testing.assert_allclose(
        reference.best(written, 4).energies, reference.exact(potentials.finite_well(), 4).energies, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y + 1", "y is unknown"),
        ("sine(x)", "did you mean sin"),
        ("x.real", "x.real is not allowed"),
        ("__import__('os').system('ls')", "is not a function here"),
        ("(lambda: 1)()", "is not a function here"),
        ("[x for x in x]", "is not allowed"),
        ("'a'*9", "'a' is not allowed"),
        ("True*x", "True is not allowed"),
        ("1j*x", "1j is not allowed"),
        ("x if x else 2", "is not allowed"),
        ("x < 1", "is not allowed"),
        ("2**x", "an exponent must be a number"),
        ("2**2**2**2", "an exponent must be a number"),
        ("x**1000", "the exponent 1000 must lie within"),
        ("9**999999999", "the exponent"),
        ("1e999", "too large"),
        ("1" + "0" * 400, "too large"),
        ("sin(x, x)", "sin takes 1 argument"),
        ("sin(x=1)", "sin takes 1 argument"),
        ("where(x, 1, 2)", "where needs a comparison"),
        ("where(0 < x == 1, 1, 2)", "where needs a comparison"),
        ("x +", "cannot be read"),
        ("", "must be a formula"),
        ("x" * 1001, "has 1001 characters"),
        ("-" * 300 + "x", "is nested deeper"),
        ("1/x", "division by zero at x = 0"),
        ("1/(x-0.123456)**2", "division by zero at x = 0.123456"),
        ("(x**2-0.5)**-1", "division by zero at x = -0.707107"),
        ("1/(x+2)", "division by zero at x = -2"),
        ("tan(x)", "division by zero at x = -1.5708"),
        ("abs(sin(2000*x))", "at most 48"),
        ("log(x)", "must be real"),
        ("sqrt(x)", "must be real"),
        ("x**0.5", "must be real"),
        ("exp(exp(9*x))", "must be real and within"),
        ("sign(sin(400*x))", "at most 48"),
    ],
)
def test_what_a_formula_may_not_hold_is_refused(text, message):
    with pytest.raises(ValueError, match=r"potential\.formula") as caught:
        potentials.expression((-2.0, 2.0), text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_parser_lets_nothing_through_and_never_breaks():
    """Random words and damaged formulas: a tree, or a ValueError of one line."""
    rng = random.Random(0)
    words = [
        *(
            "x",
            "1",
            "2.5",
            "1e308",
            "+",
            "-",
            "*",
            "/",
            "**",
            "(",
            ")",
            ",",
            "sin",
            "where",
            "<",
            "abs",
            "pi",
            " ",
            ".",
        ),
        *("__class__", "lambda", "[", "]", "'", "\\", "0x", "\x00", "é", "if", ":", "=", ";", "\n", "{", "}", "@"),
    ]
    seeds = ["10*(x**2-1)**2 + 0.3*x", "where(abs(x) < 1, 0, 20)", "minimum(x**2, 1)/(x+9)"]
    trees = 0
    for _ in range(4000):
        if rng.random() < 0.5:
            text = "".join(rng.choice(words) for _ in range(rng.randint(1, 12)))
        else:
            text = list(rng.choice(seeds))
            for _ in range(rng.randint(1, 3)):
                text[rng.randrange(len(text))] = rng.choice(words)
            text = "".join(text)
        try:
            tree = formula.parse(text)
        except ValueError as error:
            if not str(error).startswith("potential.formula"):
                raise
            continue
        trees += 1
        assert {part.operation for part in formula._below(tree)} <= {
            "number", "x", "+", "-", "*", "/", "**", *formula.ARGUMENTS, *formula.COMPARED
        }  # fmt: skip
        with np.errstate(all="ignore"):
            assert np.shape(formula.compute(tree, X)) == (41,)
    assert trees > 50


@pytest.mark.parametrize(
    ("numbers", "key"),
    [({"breakpoints": 0.5}, "breakpoints"), ({"breakpoints": None}, "breakpoints"), ({"formula": ["x"]}, "formula"),
     ({"breakpoints": [7]}, "breakpoints"), ({"formula": None}, "formula")],
)  # fmt: skip
def test_what_is_no_formula_is_refused(numbers, key):
    with pytest.raises(ValueError, match=rf"potential\.{key}="):
        potentials.expression(**{"domain": (-1.0, 1.0), **numbers})


@pytest.mark.parametrize("domain", [None, (1.0, -1.0), (0.0, math.inf)])
def test_a_formula_needs_walls(domain):
    with pytest.raises(ValueError, match=r"potential\.domain"):
        potentials.expression(domain, "x**2")


# ----------------------------------------------------------------------------------------------------------- samples


def _file(path, rows, header="x,V"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(path)


def test_straight_lines_through_samples(tmp_path):
    file = _file(tmp_path / "v.csv", [(-3, 40), (-1, 0), (0, 0), (1, 0), (3, 40)])
    potential = potentials.sampled(file)
    x = np.array([-3.0, -2, -0.5, 0.7, 2, 3])
    np.testing.assert_allclose(potential(x), [40, 20, 0, 0, 20, 40])
    np.testing.assert_allclose(jax.jit(lambda p, x: p(x))(potential, jnp.asarray(x)), [40, 20, 0, 0, 20, 40])
    assert potential.breakpoints == (-1.0, 1.0)  # not at 0, where it goes straight on
    formula_of_it = potentials.expression((-3.0, 3.0), "maximum(20*(abs(x)-1), 0)")
    levels = [reference.best(p, 3).energies for p in (potential, formula_of_it)]
    np.testing.assert_allclose(*levels, rtol=1e-12)


def test_a_spline_through_samples_converges_to_the_smooth_potential(tmp_path):
    exact = reference.best(potentials.harmonic((-5.0, 5.0)), 3).energies
    errors = []
    for count in (21, 41):
        x = np.linspace(-5, 5, count)
        file = _file(tmp_path / f"{count}.csv", zip(x, 1.2 * np.cosh(x / 2), strict=True), header="x, V")
        smooth = potentials.expression((-5.0, 5.0), "1.2*cosh(x/2)")
        got = reference.best(potentials.sampled(file, "cubic"), 3).energies
        errors.append(np.abs(got - reference.best(smooth, 3).energies).max())
    assert errors[1] < errors[0] / 8
    assert exact.shape == (3,)


def test_samples_are_solved(tmp_path):
    file = _file(tmp_path / "v.csv", [(0, 0), (1, 30), (2, 0), (3.5, 50)])
    solution = qpinn.solve(potentials.sampled(file), states=2, ansatz={"phase": 2.0})
    exact = reference.best(solution.potential, 2).energies
    assert (solution.bounds[:, 0] <= exact * (1 + 1e-13)).all()
    assert (exact * (1 - 1e-13) <= solution.bounds[:, 1]).all()
    assert all(solution.converged)


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([(0, 1), (1, 2)], "x,W", "has no column V"),
        ([(0, 1), (1, 2)], "a,V", "has no column x"),
        ([(0, 1), (1, "nan")], "x,V", "row 3, V=nan: must be a number within"),
        ([(0, 1), (1, "")], "x,V", "row 3, V=nothing"),
        ([(0, 1), (1,)], "x,V", "row 3 has 1 cells, the header 2"),
        ([(0, 1), (1, 2), (1, 3), (1, 4), (2, 0)], "x,V", "row 5, position 1: has more than two values of V"),
        ([(0, 1), (1, 2), (1, 3)], "x,V", "row 4, position 1: has two values of V at a wall"),
        ([(0, 1)], "x,V", "has 1 row; linear needs at least 2"),
        ([], "x,V", "has a header and no rows"),
        ([(k, k % 2) for k in range(100)], "x,V", "have 98 corners and jumps, at most 48"),
    ],
)
def test_samples_that_cannot_be_are_refused(tmp_path, rows, header, message):
    with pytest.raises(ValueError, match=r"potential\.file=") as caught:
        potentials.sampled(_file(tmp_path / "v.csv", rows, header))
    assert message in str(caught.value)


def test_a_million_rows_and_other_files_are_refused(tmp_path):
    big = tmp_path / "big.csv"
    big.write_text("x,V\n" + "".join(f"{k},0\n" for k in range(1_000_000)))
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\x00\x01" * 50)
    for file, message in ((big, "has more than 500000 rows"), (binary, "cannot be read"), (tmp_path, "is no file"),
                          (tmp_path / "none", "cannot be read")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            potentials.sampled(str(file))
    with pytest.raises(ValueError, match="interpolation=septic: unknown"):
        potentials.sampled(str(big), "septic")


# ------------------------------------------------------------------------------------------------------------- layers

HEADER = "thickness_nm,offset_eV,mass_me"


def test_tables_of_the_same_numbers_are_one_potential():
    """So that their plan is not made twice."""
    one, same, other = (potentials.layers(thickness=[3, t], offset=[0.3, 0], mass=[0.1, 0.2]) for t in (2, 2, 2.5))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    settings = qpinn.drivers.mapping.from_mapping(qpinn.drivers.settings.Settings, {"units": "semiconductor"})
    assert discretize.of(one, settings) is discretize.of(same, settings)


def test_layers_from_a_file_and_from_lists_are_the_same(tmp_path):
    rows = [(3, 0.3, 0.1), (2.5, 0, 0.067), (4, 0.2, 0.09)]
    from_file = potentials.layers(_file(tmp_path / "layers.csv", rows, HEADER))
    from_lists = potentials.layers(thickness=[3, 2.5, 4], offset=[0.3, 0, 0.2], mass=[0.1, 0.067, 0.09])
    x = np.array([0.1, 2.99, 3.01, 5.4, 5.6, 9.4])
    for built in (from_file, from_lists):
        assert built.domain == (0.0, 9.5)
        assert built.breakpoints == (3.0, 5.5)
        np.testing.assert_array_equal(built(x), [0.3, 0.3, 0, 0, 0.2, 0.2])
        np.testing.assert_array_equal(built.mass(x), [0.1, 0.1, 0.067, 0.067, 0.09, 0.09])
        np.testing.assert_array_equal(jax.jit(lambda p, y: p.mass(y))(built, jnp.asarray(x)), built.mass(x))


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([(1, 0, 1), (-2, 0, 1)], HEADER, "row 3, thickness_nm=-2: must be positive"),
        ([(1, 0, 1), (2, 0, -0.1)], HEADER, "row 3, mass_me=-0.1: must be positive"),
        ([(1, 0, 0)], HEADER, "row 2, mass_me=0: must be positive"),
        ([(0, 0, 1)], HEADER, "row 2, thickness_nm=0: must be positive"),
        ([(1e9, 0, 1), (1e-3, 0, 1)], HEADER, "row 3, thickness_nm=0.001: must be at least"),
        ([(1, "nan", 1)], HEADER, "row 2, offset_eV=nan: must be a number within +-1e+12"),
        ([(1, 0)], HEADER, "row 2 has 2 cells, the header 3"),
        (
            [(1, 0, 1)],
            "thick,offset,mass",
            "has no column thickness; did you mean thick? needs thickness, offset, mass",
        ),
        ([], HEADER, "has a header and no rows"),
        ([(1, 0, 1)] * 1001, HEADER, "has 1001 layers; must be from 1 to 1000"),
    ],
)
def test_layers_that_cannot_be_are_refused(tmp_path, rows, header, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        potentials.layers(_file(tmp_path / "layers.csv", rows, header))


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"thickness": [1, 2], "offset": [0], "mass": [1, 1]}, "must have one number for each layer"),
        (
            {"thickness": [1, -2], "offset": [0, 0], "mass": [1, 1]},
            "potential.thickness: number 2=-2: must be positive",
        ),
        (
            {"thickness": [1, "x"], "offset": [0, 0], "mass": [1, 1]},
            "potential.thickness: number 2='x': must be a number",
        ),
        ({}, "potential.file=null: must be the path of a file"),
        ({"thickness": 5, "offset": [0], "mass": [1]}, "potential.thickness=5: must be numbers in brackets"),
        ({"thickness": [5], "offset": None, "mass": None}, "potential.offset=None: must be numbers in brackets"),
        ({"thickness": "abc", "offset": [0], "mass": [1]}, "potential.thickness='abc': must be numbers in brackets"),
        ({"file": "a.csv", "thickness": [5], "offset": [0], "mass": [1]}, "give one of the two"),
        ({"thickness": [5], "offset": [0], "mass": [0]}, "potential.mass: number 1=0: must be positive"),
        ({"file": 7}, "potential.file=7: must be the path"),
    ],
)
def test_lists_that_cannot_be_are_refused(lists, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        potentials.layers(**lists)
