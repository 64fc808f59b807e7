"""Formulas with named numbers: levels, derivatives with respect to them, and what is refused."""

from __future__ import annotations

import re

import _cli
import _overrides
import jax
import numpy as np
import pytest

import qpinn
from qpinn.physics import enclosure, potentials, reference, units

MORSE = "D*(1-exp(-a*x))^2"
WELL = "where(abs(x) < a, 0, depth)"


def test_a_formula_with_parameters_is_the_one_with_numbers():
    solution = qpinn.solve(MORSE, domain=(-2.5, 10.0), parameters={"D": 40, "a": 1}, states=3)
    numbers = qpinn.solve("40*(1-exp(-x))^2", domain=(-2.5, 10.0), states=3)
    np.testing.assert_allclose(solution.energies, numbers.energies, rtol=1e-12)
    n, root = np.arange(3) + 0.5, np.sqrt(40)
    np.testing.assert_allclose(solution.energies, 2 * root * n - n**2, rtol=1e-8)  # Morse (1929)
    slopes = qpinn.gradients(solution)
    np.testing.assert_allclose(slopes["D"], n / root, rtol=1e-6)
    np.testing.assert_allclose(slopes["a"], 2 * root * n - 2 * n**2, rtol=1e-6)
    assert solution.potential.parameters == {"D": 40.0, "a": 1.0}
    assert potentials.describe(solution.potential)["parameters"] == {"D": 40.0, "a": 1.0}


def test_a_parameter_that_says_where_v_jumps():
    """The finite well: its ends at +-a move, so that dE/da is twice dE/dwidth, which is -1.329261."""
    solution = qpinn.solve(WELL, domain=(-4.0, 4.0), parameters={"a": 1.0, "depth": 20.0}, states=2)
    same = qpinn.solve(qpinn.potentials.finite_well(), states=2)
    np.testing.assert_allclose(solution.energies, same.energies, rtol=1e-11)
    slopes, exact = qpinn.gradients(solution), qpinn.gradients(same)
    np.testing.assert_allclose(slopes["a"], 2 * exact["width"], rtol=1e-7)
    np.testing.assert_allclose(slopes["depth"], exact["depth"], rtol=1e-7)
    np.testing.assert_allclose(slopes["a"][0] / 2, -1.329261, rtol=1e-6)


@pytest.mark.parametrize(
    ("formula", "numbers", "name"),
    [
        ("where(x < a, 0, 5) + x^2", {"a": 0.3}, "a"), ("maximum(b*x, 1 - x)", {"b": 3.0}, "b"),
        ("c*floor(x/p)", {"c": 4.0, "p": 0.37}, "p"), ("heaviside(x^2 - r)*9", {"r": 0.25}, "r"),
        ("where(-w < x < w, 0, 9) + where(x < 2*w, 0, 4)", {"w": 0.3}, "w"),
    ],
)  # fmt: skip
def test_derivatives_are_those_of_solved_problems(formula, numbers, name):
    """Against differences of levels of problems that are built anew, by another method."""

    def build(value):
        return potentials.expression((-1.0, 1.0), formula, parameters={**numbers, name: value})

    at, step = numbers[name], 1e-4
    up, down = (reference.best(build(at + sign * step), 1).energies for sign in (1, -1))
    slope = qpinn.gradients(qpinn.solve(build(at)))[name]
    np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-6)


def test_energies_are_a_function_of_parameters():
    """Of a potential that was built with others: the places where V jumps follow."""
    well = potentials.expression((-4.0, 4.0), WELL, parameters={"a": 0.7, "depth": 20.0})
    with jax.enable_x64(True):
        slope = jax.grad(lambda a: qpinn.energies(well.with_parameters(a=a))[0])(1.0)
    np.testing.assert_allclose(slope, 2 * -1.32926148, rtol=1e-7)


def test_places_follow_parameters_and_intervals_enclose():
    well = potentials.expression((-4.0, 4.0), WELL, parameters={"a": 1.0, "depth": 20.0})
    assert well.breakpoints == (-1.0, 0.0, 1.0)
    assert well.with_parameters(a=1.5).breakpoints == (-1.5, 0.0, 1.5)
    assert enclosure.is_enclosed(well)
    lo, hi = enclosure.enclose(well, np.array([-2.0, -0.5]), np.array([-1.0, 0.5]))
    assert (lo, hi) == (pytest.approx([20, 0]), pytest.approx([20, 0]))
    np.testing.assert_allclose(jax.grad(lambda p: p(2.0))(well).values, [0.0, 1.0])


def test_parameters_are_numbers_of_the_formula_whatever_the_units():
    """x in nm and V in eV: a well of 8 nm and 0.3 eV; derivatives in eV for each unit of the number."""
    settings = {"units": {"name": "semiconductor", "mass": 0.067}}
    solution = qpinn.solve(WELL, domain=(-14, 14), parameters={"a": 4.0, "depth": 0.3}, **settings)
    same = qpinn.solve(qpinn.potentials.finite_well((-14.0, 14.0), 0.0, 8.0, 0.3), **settings)
    np.testing.assert_allclose(solution.energy, same.energy, rtol=1e-11)
    np.testing.assert_allclose(qpinn.gradients(solution)["a"], 2 * qpinn.gradients(same)["width"], rtol=1e-7)
    np.testing.assert_allclose(qpinn.gradients(solution)["depth"], qpinn.gradients(same)["depth"], rtol=1e-7)
    assert units.dimensionless(solution.given, solution.units).parameters == {"a": 4.0, "depth": 0.3}


@pytest.mark.parametrize(
    ("formula", "numbers", "message"),
    [
        ("D*x^2", {}, "potential.formula=D*x^2: D is unknown; "),
        ("D*x^2", None, "and names in potential.parameters"),
        ("D*x^2", {"D": 1, "b": 2}, "potential.parameters.b=2: is not in potential.formula=D*x^2; leave it out"),
        ("depht*x^2", {"depth": 1}, "depht is unknown; did you mean depth?"),
        ("x^2", {"x": 1}, "potential.parameters.x=1: x has a meaning of its own"),
        ("x^2", {"pi": 1}, "potential.parameters.pi=1: pi has a meaning of its own"),
        ("x^2", {"exp": 1}, "potential.parameters.exp=1: exp has a meaning of its own"),
        ("x^2", {"min": 1}, "potential.parameters.min=1: min has a meaning of its own"),
        ("x^2", {"left": 1}, "potential.parameters.left=1: left has a meaning of its own"),
        ("x^2", {"a b": 1}, "potential.parameters.a b=1: must have a name of letters"),
        ("x^2", {"lambda": 1}, "potential.parameters.lambda=1: must have a name of letters"),
        ("D*x^2", {"D": "3"}, "potential.parameters.D='3': must be a number"),
        ("D*x^2", {"D": np.nan}, "potential.parameters.D=nan: must be finite"),
        ("D*x^2", [3], "potential.parameters=[3]: must be numbers by name"),
        ("x^n", {"n": 2}, "an exponent must be a number"),
        ("D(x)", {"D": 2}, "D(...) is not a function here"),
        ("1/(x - a)", {"a": 0.5}, "division by zero at x = 0.5"),
    ],
)
def test_what_are_no_parameters_is_one_line(formula, numbers, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        potentials.expression((-1.0, 1.0), formula, parameters=numbers)


def test_parameters_without_a_formula_and_derivatives_that_do_not_exist():
    with pytest.raises(ValueError, match=r"parameters=.*: has an effect only with a formula"):
        qpinn.solve(qpinn.potentials.barrier(), parameters={"D": 1})
    well = potentials.expression(
        (-1.0, 1.0), "where(x < a, 0, 5) + where(x < b, 3, 0)", parameters={"a": 0.2, "b": 0.2}
    )
    with pytest.raises(ValueError, match=r"at x = 0\.2 several switches meet, so that levels have no derivative"):
        qpinn.gradients(qpinn.solve(well))
    touches = potentials.expression((-1.0, 1.0), "9*sqrt(abs((x - a)^2))", parameters={"a": 0.2})
    with pytest.raises(ValueError, match=r"at x = 0\.2 a switch only touches zero"):
        qpinn.gradients(qpinn.solve(touches))
    with pytest.raises(ValueError, match=r"potential\.parameters\.c=1: is not in .*allowed: a, b"):
        well.with_parameters(c=1)


def test_parameters_on_a_command_line():
    """A group whose keys are the user's own: together, one at a time, and several values in a multirun."""
    words = ["potential=expression", "potential.formula='D*x^2 + b*x'", "potential.domain=[-4,4]"]
    for more in (["potential.parameters={D: 10, b: 1}"], ["potential.parameters.D=10", "potential.parameters.b=1"]):
        config = _overrides.check([*words, *more], multirun=False)
        assert _cli.read(config)[0].parameters == {"D": 10.0, "b": 1.0}
    swept = ["++potential.parameters.D=5,10", "potential.parameters.b=1"]  # as `command_line` hands them on
    assert _cli.read(_overrides.check([*words, *swept], multirun=True))[0].parameters == {"D": 5.0, "b": 1.0}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("potential.parameters.c=1", "error: potential.formula=D*x^2: D is unknown"),
        ("potential.parameters=5", "error: potential.parameters=5: must be numbers by name"),
        ("potential.parameters.D=abc", "error: potential.parameters.D=abc: must be a number"),
        ("potential.parameters={D: 1, a: 2}", "error: potential.parameters.a=2: is not in potential.formula=D*x^2"),
    ],
)
def test_wrong_parameters_on_a_command_line_are_one_line(word, message, capsys):
    words = ["potential=expression", "potential.formula='D*x^2'", "potential.domain=[-4,4]"]
    with pytest.raises(SystemExit):
        _overrides.check([*words, word], multirun=False)
    printed = capsys.readouterr().err
    assert printed.startswith(message)
    assert printed.count("\n") == 1
