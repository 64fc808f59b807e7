"""Rayleigh-Ritz: variational, and the exact answer where the basis holds it."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, sparse
from tests_support import system_of

from qpinn.drivers import build, discretize
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.linalg import pencil
from qpinn.physics import potentials, reference
from qpinn.training import loop, ritz


@pytest.mark.parametrize("level", [0, 2])
def test_functions_that_are_left_out_are_in_no_level(level):
    half = np.random.default_rng(level).normal(size=(6, 6))
    form, kept = half @ half.T, np.array([True, False, True, True, False, True])
    energy, c = ritz.solve(jnp.asarray(form), jnp.asarray(kept), jnp.array([level]))
    np.testing.assert_allclose(energy[0], linalg.eigvalsh(form[np.ix_(kept, kept)])[level], rtol=1e-12)
    np.testing.assert_allclose(c[kept, 0] @ c[kept, 0], 1, rtol=1e-12)
    np.testing.assert_allclose(c[~kept], 0, atol=1e-14)


def _below(form, energy):
    """Eigenvalues below an energy by Sylvester's law of inertia, in rational numbers: exact."""
    rest = [[Fraction(float(entry)) for entry in row] for row in form]
    for j in range(len(rest)):
        rest[j][j] -= Fraction(float(energy))
    negative = 0
    while rest:
        (pivot, *row), *others = rest
        negative += pivot < 0
        rest = [[entry - line[0] * right / pivot for entry, right in zip(line[1:], row, strict=True)]
                for line in others]  # fmt: skip
    return negative


def test_low_levels_are_not_drowned_by_the_largest_numbers_of_the_form():
    """Levels of order 1 beside functions of up to 1e12 that are coupled to them."""
    scale = 10.0 ** np.array([0, 0, 3, 6, 9, 12])
    half = np.random.default_rng(1).normal(size=(6, 6))
    form = np.sqrt(scale)[:, None] * (np.eye(6) + (half + half.T) / 20) * np.sqrt(scale)
    energies, _ = ritz.solve(jnp.asarray(form), jnp.ones(6, bool), jnp.arange(3))
    for level, energy in enumerate(np.asarray(energies)):
        assert (_below(form, energy * (1 - 1e-13)), _below(form, energy * (1 + 1e-13))) == (level, level + 1)


@pytest.mark.parametrize(("state", "parity"), [(0, "auto"), (1, "auto"), (3, "auto"), (3, "none")])
def test_the_start_is_the_wanted_state_from_above(well, state, parity):
    settings = from_mapping(Settings, {"ansatz": {"parity": parity}, "state": state})
    system = system_of(well, settings)
    problem, sampling = system.equation, system.sampling
    points = sampling.draw(jax.random.key(0))
    place = state // 2 if "parity" in problem.ansatz.mesh else state
    init = jax.jit(problem.init)(jax.random.key(1))
    params, start = jax.jit(ritz.start)(problem, init, points, place)
    energy = start["energy"]
    level = reference.exact(well, state + 1).energies[state]
    assert -1e-10 * level < float(energy) - level < 1e-4 * level
    psi = jax.jit(problem.fields)(params, points).psi.value
    np.testing.assert_allclose(jnp.sum(points.weight * psi**2), 1, rtol=1e-6)
    assert psi[0, 0] > 0


@pytest.mark.parametrize(
    ("potential", "ends"),
    [
        (potentials.delta_comb(count=4, period=1.0, strength=-3.0), "walls"),
        (potentials.double_well(height=60.0), "walls"),  # pairs that are close
        (potentials.infinite_well(), "periodic"),  # double levels
    ],
    ids=["deltas", "pairs", "ring"],
)
def test_the_sparse_problem_has_the_levels_of_the_dense_one(potential, ends):
    choice = {"ends": ends, "ansatz": {"parity": "none"}, "network": {"shared": True, "width": 16}, "states": 4}
    settings = from_mapping(Settings, choice)
    plan = discretize.of(potential, settings)
    system = build.build_on(plan.potential, settings, plan.mesh, 1.0)
    equation, (params, points) = system.equation, loop.drawn(system)
    many, energies = ritz.levels_of_many(equation, params, points, 5)
    dense, exact = ritz.levels(equation, params, points, jnp.arange(5))
    np.testing.assert_allclose(energies, exact, rtol=1e-11, atol=1e-9)
    psi, other = (
        jax.vmap(lambda one: equation.fields(one, points).psi.value)(trained).reshape(5, -1)
        for trained in (many, dense)
    )
    weight = points.weight.ravel()
    np.testing.assert_allclose((weight * psi) @ psi.T, np.eye(5), atol=1e-8)
    spanned = ((weight * psi) @ other.T)[:4, :4] if ends == "walls" else ((weight * psi) @ other.T)  # 1 + 2 + 2
    np.testing.assert_allclose(np.linalg.svd(spanned, compute_uv=False), 1.0, atol=1e-7)


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_inverse_iteration_finds_every_copy_of_a_level(copies):
    levels = np.repeat([1.0, 1.5, 1.5 + 1e-9, 40.0, 41.0, 1e3], copies)
    rotation = np.linalg.qr(np.random.default_rng(copies).normal(size=(len(levels),) * 2))[0]
    overlap = np.diag(np.linspace(1, 3, len(levels)))
    root = np.sqrt(overlap)
    form = root @ (rotation * levels) @ rotation.T @ root
    energies, vectors = pencil.lowest(sparse.csr_array(form), sparse.csr_array(overlap), 3 * copies)
    np.testing.assert_allclose(energies, levels[: 3 * copies], rtol=1e-11)
    np.testing.assert_allclose(vectors.T @ overlap @ vectors, np.eye(3 * copies), atol=1e-9)
