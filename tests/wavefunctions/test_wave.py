"""The wave of a packet: what is exact in it whatever its network is, and the spline that it begins with."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.wavefunctions import spline
from qpinn.wavefunctions.networks import MLP
from qpinn.wavefunctions.wave import Wave, initial

X = np.linspace(-1.0, 2.0, 301)


def psi0(x):
    return np.stack([np.sin(np.pi * (x + 1) / 3) ** 3, x * np.sin(np.pi * (x + 1) / 3) ** 3], axis=-1)


@pytest.fixture
def through():
    return spline.through(X, psi0(X))


def test_a_spline_and_its_derivatives_are_those_of_the_function(through):
    def function(x):
        return jnp.sin(jnp.pi * (x + 1) / 3) ** 3

    at = np.random.default_rng(0).uniform(-1, 2, 50)
    ours, given = lambda x: through(x)[0], function
    for tolerance in (1e-10, 1e-8, 1e-6, 1e-4):
        np.testing.assert_allclose(jax.vmap(ours)(at), jax.vmap(given)(at), atol=tolerance)
        ours, given = jax.grad(ours), jax.grad(given)


def test_four_derivatives_of_a_spline_are_continuous(through):
    function = lambda x: through(x)[1]  # noqa: E731
    for _ in range(4):
        left, right = jax.vmap(function)(X[5:-5] - 1e-9), jax.vmap(function)(X[5:-5] + 1e-9)
        np.testing.assert_allclose(left, right, atol=1e-4 * np.abs(right).max())
        function = jax.grad(function)


@pytest.mark.parametrize("ends", [(1, 1), (2, 2), (2, 1)])
def test_the_beginning_and_the_walls_are_exact(through, ends):
    wave = Wave(MLP(width=7, depth=2, outputs=2), ends=ends)
    constants = {"span": np.array([0.5, 2.5]), "edges": X[[0, -1]], "start": jax.tree.map(jnp.asarray, through)}
    params = initial(wave, constants, jax.random.key(3))

    def psi(t, x):
        return wave.apply({"params": params, "constants": constants}, jnp.stack([t, x]))

    for x in (-0.7, 0.1, 1.9):
        np.testing.assert_array_equal(psi(0.5, x), through(x))
        assert np.abs(psi(2.5, x) - through(x)).max() > 1e-3  # and then it moves
    for x, power in zip(X[[0, -1]], ends, strict=True):
        at_wall = through(x)  # zero but for rounding
        np.testing.assert_array_equal(psi(1.7, x), at_wall)
        slope = jax.jacfwd(lambda x: psi(1.7, x))(x) - jax.jacfwd(through)(x)
        assert (np.abs(slope).max() < 1e-14) == (power == 2)


def test_networks_of_two_outputs_are_drawn_like_any_other():
    two, one = MLP(width=5, depth=2, outputs=2), MLP(width=5, depth=2)
    assert two.apply(two.init(jax.random.key(0), jnp.zeros(2)), jnp.ones(2)).shape == (2,)
    assert one.apply(one.init(jax.random.key(0), jnp.zeros(2)), jnp.ones(2)).shape == ()
