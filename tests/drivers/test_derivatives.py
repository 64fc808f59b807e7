"""Derivatives of levels with respect to the numbers of a potential."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests_support import ROOT

import qpinn
from qpinn.physics import reference
from qpinn.physics.enclosure import constant_in_pieces
from qpinn.physics.units import dimensionless

WELL = qpinn.potentials.finite_well((-4.0, 4.0), 0.0, 2.0, 20.0)
BY_WIDTH = -1.32926148
"""dE_0/dwidth of this well, from k tan(k a) = kappa coth(kappa (b - a))."""


@pytest.fixture(scope="module")
def well() -> qpinn.Solution:
    return qpinn.solve(WELL)


def test_a_jump_of_v_that_moves_is_seen(well):
    """What a sum over fixed points does not see: its derivative is 0."""
    fine = well.fine

    def level(width):
        v = dataclasses.replace(WELL, width=width)(jnp.asarray(fine.x)[:, None])
        return jnp.sum(fine.weight * (fine.slope[0] ** 2 + v * fine.psi[0] ** 2))

    assert jax.grad(level)(2.0) == 0.0
    assert qpinn.gradients(well)["width"][0] == pytest.approx(BY_WIDTH, rel=1e-8)


STENCIL = np.array([3 / 4, -3 / 20, 1 / 60])
"""Of the central difference of sixth order: at 1, 2 and 3 steps."""

STATES = {"delta": 1, "two_deltas": 2}
"""Levels that are asked for where there are not three."""


def built(name, folder):
    """A potential of every name, as a function of its samples where it has some."""
    if name == "layers":
        return qpinn.potentials.layers(thickness=[10, 8, 2, 6, 10], offset=[0.228, 0, 0.2, 0.01, 0.25],
                                       mass=[0.0919, 0.0665, 0.09, 0.07, 0.095])  # fmt: skip
    if name == "sampled":
        return from_samples(np.array([40.0, 0.0, 8.0, 1.0, 38.0]), folder)
    if name == "expression":
        return qpinn.potentials.expression((-1.8, 1.9), "where(x < 0.3, 10*(x**2-1)**2, 4*sqrt(abs(x)))")
    return qpinn.potentials.BUILDERS[name]()


def from_samples(v, folder, interpolation="linear"):
    x = np.linspace(-3.0, 3.0, len(v)) + 0.1 * np.sin(np.arange(len(v)))
    path = folder / "v.csv"
    path.write_text("x,V\n" + "".join(f"{a!r},{b!r}\n" for a, b in zip(x.tolist(), v.tolist(), strict=True)))
    return qpinn.potentials.sampled(file=str(path), interpolation=interpolation)


def difference(level, at, step):
    """Derivative (K,) of level(theta) at `at` from levels of an independent method."""
    pairs = [level(at + j * step) - level(at - j * step) for j in range(1, 4)]
    return STENCIL @ np.array(pairs) / step


def levels(potential, units, count, walls_move):
    """By a closed form, a transcendental equation or spectral elements."""
    bare = dimensionless(potential, units)
    closed = getattr(bare, "levels", lambda count: None)(count)
    if closed is not None and not walls_move:
        return closed
    if constant_in_pieces(bare):
        return units.scale * reference.exact(bare, count).energies
    return units.scale * reference.spectral_elements(reference.fitted(bare)[0], count, 30).energies


def changed(potential, name, index, value):
    """The potential with one number of a field changed; a key of the builder of layers moves their edges."""
    if index is None:
        return dataclasses.replace(potential, **{name: value})
    field = {"mass": "masses", "thickness": "edges"}.get(name, name)
    old = getattr(potential, field)
    new = np.diff(old) if name == "thickness" else np.array(old)
    new[index] = value
    new = np.concatenate([[0.0], np.cumsum(new)]) if name == "thickness" else new
    return dataclasses.replace(potential, **{field: new})


def value_of(potential, name, index):
    if name == "thickness" and index is not None:
        return float(np.diff(potential.edges)[index])
    value = getattr(potential, {"mass": "masses"}.get(name, name))
    return float(value) if index is None else float(value[index])


PARTS = {"thickness", "offset", "mass", "edges", "field"}


QUICK = ("infinite_well", "finite_well", "barrier", "harmonic", "delta", "layers")
"""Those that closed forms and transcendental equations are independent levels of; all others with -m long."""


@pytest.mark.parametrize("name", [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.long)
    for name in qpinn.potentials.BUILDERS if name != "sampled"
])  # fmt: skip
def test_derivatives_are_those_of_independent_levels(name, tmp_path):
    given, count = built(name, tmp_path), STATES.get(name, 3)
    solution = qpinn.solve(given, states=count, units="semiconductor" if name == "layers" else "dimensionless")
    slopes, potential = qpinn.gradients(solution), solution.potential
    walls = {key for key, wall in zip(("left", "right"), given.domain, strict=True) if wall is None}
    fields = {field.name for field in dataclasses.fields(given) if not field.metadata}
    assert set(slopes) == (PARTS if name == "layers" else fields - walls)
    for key, value in slopes.items():
        for index in [None] if value.ndim == 1 else range(value.shape[1]):
            theta = value_of(potential, key, index)
            step = 0.02 if key == "edges" else 0.004 * (abs(theta) or 0.1)
            expected = difference(
                lambda at: levels(changed(potential, key, index, at), solution.units, count, key in ("left", "right")),
                theta, step,
            )  # fmt: skip
            derivative = value if index is None else value[:, index]
            error = np.abs(derivative - expected) / np.maximum(np.abs(expected), np.abs(solution.energies))
            assert error.max() < 1e-8, f"{key} {index}: {derivative} and {expected}"


@pytest.mark.parametrize("interpolation", ["linear", pytest.param("cubic", marks=pytest.mark.long)])
def test_samples_have_derivatives(interpolation, tmp_path):
    v = np.array([40.0, 0.0, 8.0, 1.0, 3.0, 38.0])
    slopes = qpinn.gradients(qpinn.solve(from_samples(v, tmp_path, interpolation), states=2))["V"]
    assert slopes.shape == (2, 6)
    for index in (0, 2, 4):

        def level(at):
            changed = np.where(np.arange(6) == index, at, v)
            smooth, degree = reference.fitted(from_samples(changed, tmp_path, interpolation))
            return reference.spectral_elements(smooth, 2, degree).energies

        np.testing.assert_allclose(slopes[:, index], difference(level, v[index], 0.05), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(slopes.sum(axis=1), 1.0, rtol=1e-12)  # all of them raised raise every level


def test_units_are_those_of_the_solution(well):
    """In nm and eV the same well, and derivatives that are those without units times energy units."""
    with_units = qpinn.solve(dataclasses.replace(WELL, depth=0.3), units={"name": "semiconductor", "mass": 0.067})
    scale = with_units.units.scale
    bare = qpinn.gradients(qpinn.solve(dataclasses.replace(WELL, depth=0.3 / scale)))
    slopes = qpinn.gradients(with_units)
    np.testing.assert_allclose(slopes["width"], scale * bare["width"], rtol=1e-9)
    np.testing.assert_allclose(slopes["depth"], bare["depth"], rtol=1e-9)


@pytest.mark.long
def test_levels_that_are_not_separated_have_a_matrix():
    """Two wells that hardly feel each other: psi is any mixture, and what adds up is the sum of both levels."""
    keys = {"thickness": [5, 8, 12, 8, 6], "offset": [2.0, 0, 2.0, 0, 2.0], "mass": [1.0] * 5}
    solution = qpinn.solve(qpinn.potentials.layers(**keys), states=2, units="semiconductor")
    assert np.isnan(qpinn.gradients(solution)["thickness"]).all()
    matrix = qpinn.gradients(solution, matrices=True)["thickness"]
    assert matrix.shape == (2, 2, 5)
    np.testing.assert_allclose(matrix, matrix.transpose(1, 0, 2), rtol=0)
    one = {"thickness": [5, 8, 26], "offset": [2.0, 0, 2.0], "mass": [1.0] * 3}
    alone = qpinn.gradients(qpinn.solve(qpinn.potentials.layers(**one), units="semiconductor"))["thickness"][0]
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix[..., 1]), [alone[1], 0.0], atol=1e-9)
    np.testing.assert_allclose(matrix[0, 0] + matrix[1, 1], alone[[0, 1, 0, 1, 0]], atol=1e-9)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Polynomial:
    """V = sum_p terms[p] x^(p + 1) on (-1, 1): a potential of a tuple of numbers."""

    terms: tuple
    name = "polynomial"
    domain, breakpoints = (-1.0, 1.0), ()

    def at(self, x):
        return sum(term * x[..., 0] ** (power + 1) for power, term in enumerate(self.terms))


def test_a_field_of_several_numbers_has_an_array():
    terms = (1.0, 20.0, -3.0)
    slopes = qpinn.gradients(qpinn.solve(Polynomial(terms), states=2))["terms"]
    assert slopes.shape == (2, 3)
    for index in range(3):

        def level(at):
            return reference.spectral_elements(Polynomial((*terms[:index], at, *terms[index + 1 :])), 2, 30).energies

        np.testing.assert_allclose(slopes[:, index], difference(level, terms[index], 0.02), rtol=1e-8, atol=1e-9)


def test_a_potential_without_numbers_is_refused():
    @jax.tree_util.register_static
    class Flat:
        name, domain, breakpoints = "flat", (0.0, 1.0), ()

        def at(self, x):
            return 0.0 * x[..., 0]

    with pytest.raises(ValueError, match="potential=flat: has no numbers to differentiate by"):
        qpinn.gradients(qpinn.solve(Flat()))


def both(width):
    return qpinn.energies(dataclasses.replace(WELL, width=width), states=2)


BOTH_BY_WIDTH = [BY_WIDTH, -5.06603761]


def test_levels_are_differentiated_in_both_modes():
    value, slope = jax.value_and_grad(lambda width: both(width)[0])(2.0)
    assert slope == pytest.approx(BY_WIDTH, rel=1e-8)
    assert value == pytest.approx(reference.exact(WELL, 1).energies[0], rel=1e-13)
    np.testing.assert_allclose(jax.jacrev(both)(2.0), BOTH_BY_WIDTH, rtol=1e-8)
    np.testing.assert_allclose(jax.jacfwd(both)(2.0), BOTH_BY_WIDTH, rtol=1e-8)
    by_each = jax.grad(lambda well: qpinn.energies(well)[0])(WELL)
    assert by_each.width == pytest.approx(BY_WIDTH, rel=1e-8)
    assert by_each.depth == pytest.approx(0.01551093, rel=1e-6)


def test_levels_go_through_jit_and_vmap():
    widths = jnp.array([1.9, 2.0])
    values, slopes = jax.jit(jax.vmap(lambda width: (both(width), jax.jacfwd(both)(width))))(widths)
    expected = [reference.exact(dataclasses.replace(WELL, width=width), 2).energies for width in (1.9, 2.0)]
    np.testing.assert_allclose(values, expected, rtol=1e-13)
    np.testing.assert_allclose(slopes[1], BOTH_BY_WIDTH, rtol=1e-8)
    np.testing.assert_allclose(jax.jit(lambda factor: factor * both(2.0))(2.0), 2 * values[1], rtol=1e-13)


def test_a_second_derivative_is_refused():
    for second in (jax.grad(jax.grad(lambda width: both(width)[0])), jax.hessian(both)):
        with pytest.raises(NotImplementedError, match="has first derivatives, and this asks for a second one"):
            second(2.0)


def test_what_solve_refuses_is_refused():
    with pytest.raises(ValueError, match="states=all: the number of levels must be known"):
        qpinn.energies(WELL, states="all")
    with pytest.raises(ValueError, match="stats=2: unknown key"):
        qpinn.energies(WELL, stats=2)
    with pytest.raises(ValueError, match="holds 5 bound states, asked for 20"):
        qpinn.energies(qpinn.potentials.gaussian_well(), states=20)


def test_without_x64_the_results_are_float32():
    with jax.enable_x64(False):
        value, slope = both(2.0), jax.jit(jax.jacrev(both))(2.0)
    assert value.dtype == slope.dtype == jnp.float32
    np.testing.assert_allclose(value, reference.exact(WELL, 2).energies, rtol=1e-7)
    np.testing.assert_allclose(slope, BOTH_BY_WIDTH, rtol=1e-6)
    assert both(2.0).dtype == jnp.float64


WAITING = """
import dataclasses, os, sys
if sys.argv[1] == "1" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, jax.numpy as jnp, numpy as np, qpinn
import _cache

jax.config.update("jax_enable_x64", True)
_cache.use(os.environ["JAX_COMPILATION_CACHE_DIR"])
well = qpinn.potentials.finite_well()
slow = jax.jit(lambda matrix, width: width + 0 * jnp.sin(matrix @ matrix).sum())
level = jax.jit(lambda width: qpinn.energies(dataclasses.replace(well, width=width))[0])
large = jnp.ones((1200, 1200))
slow(large, 1.0).block_until_ready()
print([float(value) for value in [level(slow(large, width)) for width in (1.9, 2.0)]])
table = qpinn.potentials.sampled(file=sys.argv[2], interpolation="cubic")
print(float(jax.jit(lambda potential: qpinn.energies(potential)[0])(table)))
"""


@pytest.mark.parametrize("cores", [1, pytest.param(2, marks=pytest.mark.long)])
def test_compiled_code_that_waits_for_a_level_does_not_wait_for_ever(cores, tmp_path):
    """JAX's threads are as many as cores, and one of them waits: for numbers that are late, and for many of them."""
    x = np.linspace(-3.0, 3.0, 5000)
    rows = zip(x.tolist(), (10 * (x**2 - 1) ** 2).tolist(), strict=True)
    (tmp_path / "v.csv").write_text("x,V\n" + "".join(f"{a!r},{b!r}\n" for a, b in rows))
    command = [sys.executable, "-c", WAITING, str(cores), str(tmp_path / "v.csv")]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    environment = {**os.environ, "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert finished.returncode == 0, finished.stderr
    first, last = (np.array(json.loads(line)) for line in finished.stdout.splitlines())
    expected = [reference.exact(dataclasses.replace(WELL, width=width), 1).energies[0] for width in (1.9, 2.0)]
    np.testing.assert_allclose(first, expected, rtol=1e-12)
    assert last == pytest.approx(5.33182, abs=1e-4)


def test_the_example_of_the_readme():
    block = (ROOT / "README.md").read_text().split("Derivatives of levels")[1].split("\n\n")[1]
    lines = [line.strip() for line in block.splitlines() if line.strip()]
    space = {}
    exec("\n".join(line for line in lines if not line.startswith("#")), space)
    assert space["slopes"]["width"] == pytest.approx(BOTH_BY_WIDTH, rel=1e-8)
    assert space["slope"] == pytest.approx(BY_WIDTH, rel=1e-8)
    stated = [float(number) for line in lines for number in re.findall(r"-\d+\.\d+", line.partition("#")[2])]
    np.testing.assert_allclose(stated, [*space["slopes"]["width"], space["slope"]], atol=5e-7)
