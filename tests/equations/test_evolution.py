"""The residual of a wave against finite differences, and the weights of its loss."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.equations.evolution import SLABS, Evolving
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre, tensor
from qpinn.physics import potentials
from qpinn.wavefunctions import spline
from qpinn.wavefunctions.networks import MLP
from qpinn.wavefunctions.wave import Wave

SPAN, WALLS = np.array([0.2, 0.7]), np.array([0.0, 2.0])
TIMES = np.linspace(*SPAN, 200)


def v(x):
    return 3 * np.cos(2 * x)


def w(x):
    return x**2


@pytest.fixture
def equation():
    x = np.linspace(*WALLS, 400)
    start = spline.through(x, np.stack([np.sin(np.pi * x / 2), np.sin(np.pi * x)], axis=1))
    made = Evolving(
        wave=Wave(MLP(width=9, depth=2, outputs=2)), constants={"span": SPAN, "edges": WALLS, "start": start},
        potential=potentials.expression((0, 2), "3*cos(2*x)"), mass=1.7,
        force=spline.through(TIMES, np.sin(5 * TIMES)[:, None]), space=potentials.expression((0, 2), "x**2"),
        weight_pde=1.0, unit=2.0, causal=0.0,
    )  # fmt: skip
    return jax.tree.map(jnp.asarray, made)


def points(n=24):
    product = tensor([gauss_legendre(Mesh(SPAN), n), gauss_legendre(Mesh(WALLS), n)])
    return jax.tree.map(jnp.asarray, product)


def test_the_residual_is_that_of_finite_differences(equation):
    params = equation.init(jax.random.key(1))

    def psi(t, x):
        re, im = np.asarray(equation.psi(params, jnp.array([t, x])))
        return re + 1j * im

    for t, x in ((0.3, 0.4), (0.5, 1.1), (0.65, 1.8)):
        h = 1e-4
        rate = (psi(t + h, x) - psi(t - h, x)) / (2 * h)
        bend = (psi(t, x + h) - 2 * psi(t, x) + psi(t, x - h)) / h**2
        exact = 1j * rate + bend / 1.7 - (v(x) + np.sin(5 * t) * w(x)) * psi(t, x)
        re, im = map(float, equation.fields(params, jnp.array([t, x])).residual(np.sin(5 * t)))
        assert re + 1j * im == pytest.approx(exact, rel=1e-5, abs=1e-5)


def test_the_loss_is_the_mean_over_time_of_the_residual_in_its_unit(equation):
    params = equation.init(jax.random.key(2))
    losses = [float(jnp.sum(equation.residuals(params, points(n))["pde"] ** 2)) for n in (20, 30)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-8)  # an integral, whatever the points are
    other = dataclasses.replace(equation, unit=jnp.asarray(4.0))
    assert float(jnp.sum(other.residuals(params, points(20))["pde"] ** 2)) == pytest.approx(losses[0] / 4, rel=1e-12)


def test_causal_weights_fall_with_what_is_left_before(equation):
    params, at = equation.init(jax.random.key(3)), points(40)
    plain = equation.residuals(params, at)["pde"]
    causal = dataclasses.replace(equation, causal=jnp.asarray(0.5)).residuals(params, at)["pde"]
    ratio = np.asarray(causal / plain).reshape(-1, 2)[:, 0] ** 2
    t = np.asarray(at.x[0, :, 0])
    order = np.argsort(t)
    assert ratio.max() == pytest.approx(1)  # the first slab counts in full
    assert (np.diff(ratio[order]) < 1e-12).all()
    assert ratio.min() < 0.99
    # the mean of |residual|^2 up to the slab of each point
    squares = np.asarray(plain).reshape(-1, 2).__pow__(2).sum(axis=1)
    slab = np.floor(SLABS * (t - SPAN[0]) / np.ptp(SPAN)).astype(int)
    share = np.bincount(slab, np.asarray(at.weight[0]) / (np.ptp(SPAN) * np.ptp(WALLS)), SLABS)
    mean = np.bincount(slab, squares, SLABS) / share / SLABS
    expected = np.exp(-0.5 * (np.cumsum(mean) - mean))[slab]
    np.testing.assert_allclose(ratio, expected, rtol=1e-9)


def test_weights_are_no_part_of_the_gradient(equation):
    params, at = equation.init(jax.random.key(4)), points(12)
    causal = dataclasses.replace(equation, causal=jnp.asarray(0.5))
    fixed = causal.residuals(params, at)["pde"] / equation.residuals(params, at)["pde"]

    def loss(params):
        return jnp.sum(causal.residuals(params, at)["pde"] ** 2)

    def weighted(params):
        return jnp.sum((fixed * equation.residuals(params, at)["pde"]) ** 2)

    for ours, given in zip(*(jax.tree.leaves(jax.grad(f)(params)) for f in (loss, weighted)), strict=True):
        np.testing.assert_allclose(ours, given, rtol=1e-8, atol=1e-10)
