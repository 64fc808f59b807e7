"""`qpinn.solve` of what people have: formulas, functions of every kind, arrays; and what is none of them."""

from __future__ import annotations

import math
import re

import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn.physics import reference

WALLS = (-4.0, 4.0)
FUNCTIONS = {
    "formula": "x**2 + sin(3*x)", "of jax.numpy": lambda x: x**2 + jnp.sin(3 * x),
    "of numpy": lambda x: x**2 + np.sin(3 * x), "of numbers": lambda x: x * x + math.sin(3 * x),
    "of polynomials": np.vectorize(lambda x: x * x + math.sin(3 * x)),
}  # fmt: skip


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_is_the_potential_that_it_computes(kind):
    exact = reference.best(qpinn.potentials.expression(WALLS, FUNCTIONS["formula"]), 3).energies
    solution = qpinn.solve(FUNCTIONS[kind], domain=WALLS, states=3)
    np.testing.assert_allclose(solution.energies, exact, rtol=2e-11)
    read = getattr(solution.potential, "read", "")
    assert ("sampled at" in read) == (kind not in ("formula", "of jax.numpy"))


def test_a_function_on_a_large_offset():
    """Total energies as quantum chemistry has them: rounding is all that is left of the last digits."""
    well = qpinn.solve(lambda x: math.cos(x), domain=WALLS).energy
    np.testing.assert_allclose(qpinn.solve(lambda x: 1e4 + math.cos(x), domain=WALLS).energy - 1e4, well, atol=1e-8)


@pytest.mark.parametrize("jump", [lambda x: 0.0 if abs(x) < 1 else 20.0, lambda x: jnp.where(abs(x) < 1, 0.0, 20.0)])
def test_a_function_with_jumps(jump):
    exact = reference.exact(qpinn.potentials.finite_well(), 3).energies
    solution = qpinn.solve(jump, domain=WALLS, breakpoints=[-1, 1], states=3)
    np.testing.assert_allclose(solution.energies, exact, rtol=1e-11)


def test_functions_have_units():
    """The levels of a well of 8 nm and 0.3 eV, whichever way it is given."""
    settings = {"units": {"name": "semiconductor", "mass": 0.067}, "states": 2}
    well = qpinn.solve(qpinn.potentials.finite_well((-14.0, 14.0), 0.0, 8.0, 0.3), **settings).energies
    given = qpinn.solve(lambda x: jnp.where(abs(x) < 4, 0.0, 0.3), domain=(-14, 14), breakpoints=[-4, 4], **settings)
    np.testing.assert_allclose(given.energies, well, rtol=1e-11)


@pytest.mark.parametrize(
    ("given", "more", "message"),
    [
        (3, {}, "potential=3: must be one of qpinn.potentials, a pair of arrays (x, V), a formula or a function"),
        (None, {}, "potential=None: must be one of"),
        ([1, 2, 3], {}, "potential=[1, 2, 3]: must be one of"),
        (lambda x: x, {}, "domain=None: a function needs walls"),
        ("x**2", {}, "potential.domain=null: a formula needs walls"),
        (lambda x: x, {"domain": (1, 0)}, "potential.domain=[1, 0]: the left wall must be smaller"),
        (lambda x: x, {"domain": "ab"}, "potential.domain='ab': must be two numbers"),
        (lambda x: "a", {"domain": (0, 1)}, "potential: the function fails at a position (ValueError"),
        (lambda x: 1 / 0, {"domain": (0, 1)}, "potential: the function fails at a position (ZeroDivisionError"),
        (lambda x: np.exp(1j * x), {"domain": (0, 1)}, "ValueError: V must be real"),
        (lambda x: x, {"domain": (0, 1), "breakpoints": 0.5}, "potential.breakpoints=0.5: must be numbers"),
        (lambda x: float("nan"), {"domain": (0, 1)}, "potential: the function is nan at x = "),
        (lambda x: jnp.log(x), {"domain": (-1, 1)}, "potential: the function is nan at x = -1"),
        (lambda x: float(x > 0.3), {"domain": (0, 1)}, "breakpoints says where V or its slope jumps"),
        (lambda x: x, {"domain": (0, 1), "breakpoints": [2]}, "potential.breakpoints=[2.0]: must lie inside"),
        (([0, 1], [0, 1]), {"domain": (0, 1)}, "domain=(0, 1): has an effect only with a formula or a function"),
    ],
)
def test_what_is_no_potential_is_one_line(given, more, message):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=re.escape(message)):
        qpinn.solve(given, **more)


def test_completion_shows_what_is_public():
    """Names that are meant for who uses the package, all of which are there."""
    assert dir(qpinn) == sorted(qpinn.__all__)
    shown = dir(qpinn.potentials)
    assert {"barrier", "expression", "function", "sampled"} <= set(shown)
    assert not {"importlib", "pkgutil", "Any", "base", "smooth", "discover"} & set(shown)
    assert all(hasattr(qpinn.potentials, name) for name in shown)
    solution = qpinn.solve(qpinn.potentials.infinite_well(), optimizer={"steps": 1}, network={"width": 4})
    assert {"energies", "psi", "bounds"} <= set(dir(solution))
    assert not [name for name in dir(solution) if name.startswith("_") or not hasattr(solution, name)]
