"""Derivatives by two routes, and what follows from them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.physics import operators
from qpinn.physics.potentials import infinite_well


@pytest.mark.parametrize("d", [1, 2, 3])
def test_jet_by_jax_grad_is_that_of_forward_mode(d):
    """Two routes: reverse over reverse in the package, forward over forward here."""

    def psi(x):
        return jnp.exp(-jnp.sum(x**2)) * jnp.sin(3 * x[0] + 0.5) + jnp.prod(x)

    for x in np.random.default_rng(d).normal(size=(5, d)):
        jet = operators.jet(psi, jnp.asarray(x))
        np.testing.assert_allclose(jet.value, psi(x), rtol=1e-14)
        np.testing.assert_allclose(jet.gradient, jax.jacfwd(psi)(jnp.asarray(x)), rtol=1e-12, atol=1e-14)
        hessian = jax.jacfwd(jax.jacfwd(psi))(jnp.asarray(x))
        np.testing.assert_allclose(jet.laplacian, jnp.trace(hessian), rtol=1e-12, atol=1e-13)


def test_h_psi_of_an_eigenfunction():
    def psi(x):
        return jnp.sqrt(2.0) * jnp.sin(2 * jnp.pi * x[0])

    x = jnp.array([0.3])
    np.testing.assert_allclose(operators.h_psi(psi, infinite_well(), x), (2 * np.pi) ** 2 * psi(x), rtol=1e-13)


def test_rayleigh_quotient_is_the_strong_form_for_a_function_that_vanishes_at_the_walls():
    def psi(x):
        return x[0] ** 2 * (1 - x[0]) * jnp.exp(x[0])

    points = gauss_legendre(Mesh(np.array([0.0, 1.0])), 30)
    x = jnp.asarray(points.x[0])
    jets = jax.vmap(lambda y: operators.jet(psi, y))(x)
    weight = jnp.asarray(points.weight[0])
    v = 3 * x[:, 0]
    weak = operators.rayleigh_quotient(jets, v, weight)
    strong = jnp.sum(weight * jets.value * (-jets.laplacian + v * jets.value)) / jnp.sum(weight * jets.value**2)
    np.testing.assert_allclose(weak, strong, rtol=1e-13)


def test_node_count_ignores_noise_in_the_tails():
    x = np.linspace(0, 1, 1001)
    psi = np.sin(4 * np.pi * x)
    psi[:3] = [1e-9, -1e-9, 1e-9]
    assert operators.node_count(psi) == 3
    assert operators.node_count(np.zeros(5)) == 0
