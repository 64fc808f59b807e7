"""Residuals of the exact eigenfunction are zero, and the fast Jacobian is the plain one."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests_support import system_of

from qpinn.drivers import eigenstates
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.equations import eigenvalue
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.linalg.jacobian import dense, losses
from qpinn.physics import operators, reference

SMALL = {"network": {"width": 4}, "sampling": {"points": 6}, "ansatz": {"parity": "none"}}


def build(potential, **settings):
    chosen = from_mapping(Settings, {**SMALL, **settings})
    system = system_of(potential, chosen)
    return system.equation, system.optimizer, system.sampling.draw(jax.random.key(0))


@pytest.mark.parametrize("state", [0, 1, 4])
def test_an_exact_eigenfunction_has_no_residual(state):
    k = (state + 1) * jnp.pi

    def psi(x):
        return jnp.sqrt(2.0) * jnp.sin(k * x[0])

    points = jax.tree.map(jnp.asarray, gauss_legendre(Mesh(np.linspace(0, 1, 4)), 20))
    jets = jax.vmap(jax.vmap(lambda x: operators.jet(psi, x)))(points.x)
    rows = eigenvalue.pde(-jets.laplacian, jets.value, k**2, points.weight, jnp.asarray(10.0))
    assert float(jnp.sum(rows**2)) < 1e-22
    assert abs(float(jnp.sum(points.weight * jets.value**2)) - 1) < 1e-13
    wrong = eigenvalue.pde(-jets.laplacian, jets.value, k**2 + 1.0, points.weight, jnp.asarray(10.0))
    np.testing.assert_allclose(jnp.sum(wrong**2), 0.01, rtol=1e-12)  # |delta E|^2 / unit^2


def test_exact_psi_of_a_jump_has_no_residual_when_fitted_piecewise(well):
    """The trained network is the exact psi to 1e-7: on points it never saw, so is its residual."""
    problem, _, _ = build(well, network={"width": 12}, sampling={"points": 24})
    solution = eigenstates.solve(well, ansatz={"parity": "none"})
    edges = np.asarray(problem.ansatz.edges)
    points = jax.tree.map(jnp.asarray, gauss_legendre(Mesh(edges), 31))
    terms = losses(jax.jit(problem.residuals)(jax.tree.map(lambda leaf: leaf[0], solution.params["lanes"]), points))
    assert float(terms["pde"]) < 1e-9
    assert float(terms["norm"]) < 1e-12


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize(
    ("energy_mode", "ansatz", "width"),
    [
        *((mode, "by parity", 9) for mode in ("trainable", "fixed", "rayleigh")),
        ("trainable", "piecewise", 2), ("rayleigh", "piecewise", 2), ("trainable", "envelope", 9),
    ],
)  # fmt: skip
def test_linearize_is_the_jacobian(energy_mode, ansatz, width, below):
    potential = reference_potential()
    problem, _, points = build(
        potential, energy=energy_mode, ansatz=ansatz_of(ansatz), network={"width": width, "depth": 2}
    )
    params = jax.jit(problem.init)(jax.random.key(5))
    if below:
        others = [jax.jit(problem.ansatz.init)(jax.random.key(k)) for k in (7, 8)]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *others)
        problem = dataclasses.replace(problem, below=stacked, weight_below=jnp.array([2.0, 0.5]))
    frozen = problem
    if energy_mode == "rayleigh":  # the derivative of a Rayleigh quotient is left out
        quotient = jax.jit(problem.energy)(params, points)
        frozen = dataclasses.replace(problem, energy_mode="fixed", energy_value=quotient)
    values, plain = jax.jit(lambda p: dense(lambda moved: frozen.residuals(moved, points), p))(params)
    residuals, blocks = jax.jit(problem.linearize)(params, points)
    for name, vector in values.items():
        np.testing.assert_allclose(residuals[name], vector, rtol=1e-12, atol=1e-12)
    # a step along any direction, as blocks see it and as the dense matrix does
    rng = np.random.default_rng(1)
    step = tuple(
        jnp.asarray(rng.normal(size=shape)) for shape in (blocks.inner[:, 0].shape, blocks.continuity.shape[2:])
    )
    change = jax.tree.map(jnp.subtract, problem.moved(params, step), params)
    confined = jax.tree.map(jnp.subtract, problem.moved(params, jax.tree.map(jnp.zeros_like, step)), params)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(confined)) == 0
    flat, _ = jax.flatten_util.ravel_pytree(change)
    by_rows = jnp.einsum("snp,sp->sn", blocks.inner, step[0])
    by_rows += jnp.einsum("snk,skq,q->sn", blocks.shared, blocks.continuity, step[1])
    count = by_rows.shape[1] - 1 - (2 if below else 0)
    fast = {"pde": by_rows[:, :count].ravel(), "norm": by_rows[:, count : count + 1].sum(axis=0)}
    if below:
        fast["orthogonality"] = by_rows[:, count + 1 :].sum(axis=0)
    along = jnp.concatenate([fast[name] for name in sorted(fast)])
    expected = plain.matrix @ flat
    np.testing.assert_allclose(along, expected, rtol=1e-9, atol=1e-9 * float(jnp.abs(expected).max()))


def ansatz_of(name):
    return {"name": "piecewise", "parity": "auto"} if name == "by parity" else {"name": name, "parity": "none"}


def test_the_derivative_of_a_rayleigh_quotient_does_not_change_the_gradient():
    problem, _, points = build(reference_potential(), energy="rayleigh", sampling={"points": 30})
    params = jax.jit(problem.init)(jax.random.key(5))
    frozen = dataclasses.replace(problem, energy_mode="fixed", energy_value=jax.jit(problem.energy)(params, points))
    gradients = [
        jax.flatten_util.ravel_pytree(
            jax.jit(jax.grad(lambda p, own=own: sum(losses(own.residuals(p, points)).values())))(params)
        )[0]
        for own in (problem, frozen)
    ]
    np.testing.assert_allclose(*gradients, atol=1e-9 * float(jnp.abs(gradients[0]).max()))


def reference_potential():
    from qpinn.physics.potentials import barrier

    return barrier()


def test_weights_of_the_loss_are_weights(well):
    problem, _, points = build(well, loss={"norm": 1.0})
    params = jax.jit(problem.init)(jax.random.key(1))
    heavy = dataclasses.replace(problem, weight_pde=jnp.asarray(4.0), weight_norm=jnp.asarray(9.0))
    one = losses(jax.jit(problem.residuals)(params, points))
    other = losses(jax.jit(heavy.residuals)(params, points))
    np.testing.assert_allclose(other["pde"], 4 * one["pde"], rtol=1e-12)
    np.testing.assert_allclose(other["norm"], 9 * one["norm"], rtol=1e-12)


def test_energy_modes(well):
    level = reference.exact(well, 1).energies[0]
    fixed, _, points = build(well, energy="fixed")
    params = jax.jit(fixed.init)(jax.random.key(0))
    assert "energy" not in params
    assert float(jax.jit(fixed.energy)(params, points)) == level
    chosen, _, _ = build(well, energy={"name": "fixed", "value": 2.5})
    assert float(jax.jit(chosen.energy)(params, points)) == 2.5
    trained, _, _ = build(well, energy={"name": "trainable", "initial": 7.0})
    assert float(jax.jit(trained.init)(jax.random.key(0))["energy"]) == 7.0
    quotient, _, points = build(well, energy="rayleigh")
    assert float(jax.jit(quotient.energy)(params, points)) > level  # the variational principle, for any trial function
