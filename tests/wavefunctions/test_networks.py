"""The network, its activations and its initialisations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.wavefunctions.networks import (
    ACTIVATIONS,
    INITIALIZATIONS,
    MLP,
    NOT_SMOOTH,
    activation,
    from_uniform,
    parameter_count,
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_a_continuous_second_derivative(name):
    second = jax.vmap(jax.grad(jax.grad(activation(name))))
    x = jnp.linspace(-8, 8, 16001)
    assert np.abs(np.diff(second(x))).max() < 0.01
    assert np.abs(second(x)).max() > 0.05


@pytest.mark.parametrize("name", NOT_SMOOTH)
def test_others_are_refused_with_the_reason(name):
    with pytest.raises(ValueError, match=f"network.activation={name}: its (first|second) derivative"):
        activation(name)


def test_an_unknown_activation_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"did you mean swish\?"):
        activation("swich")


@pytest.mark.parametrize(("width", "depth"), [(1, 1), (7, 1), (4, 3)])
def test_parameter_count_is_that_of_the_formula(width, depth):
    count = 2 * width + (depth - 1) * (width + 1) * width + width + 1
    assert parameter_count(MLP(width, depth)) == count


@pytest.mark.parametrize(
    ("name", "variance"),
    [("lecun", 1 / 64), ("glorot", 2 / 128), ("he", 2 / 64), ("orthogonal", 1 / 64), ("spread", 1.5**2 / 3 / 64)],
)
def test_initialisations_have_the_variance_that_they_promise(name, variance):
    network = MLP(64, 2, initialization=name)
    draws = jax.random.uniform(jax.random.key(0), (parameter_count(network),), minval=-1, maxval=1)
    kernel = np.asarray(from_uniform(network, draws)["hidden_1"]["kernel"])
    np.testing.assert_allclose(kernel.var(), variance, rtol=0.05)
    if name == "orthogonal":
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(64), atol=1e-12)
    assert name in INITIALIZATIONS


def test_the_network_is_the_formula():
    network = MLP(3, 2, "sin")
    draws = jax.random.uniform(jax.random.key(0), (parameter_count(network),), minval=-1, maxval=1)
    p = jax.tree.map(np.asarray, from_uniform(network, draws))
    x = np.array([0.3])
    h = np.sin(x @ p["hidden_0"]["kernel"] + p["hidden_0"]["bias"])
    h = np.sin(h @ p["hidden_1"]["kernel"] + p["hidden_1"]["bias"])
    expected = (h @ p["readout"]["kernel"] + p["readout"]["bias"])[0]
    np.testing.assert_allclose(network.apply({"params": p}, jnp.asarray(x)), expected, rtol=1e-14)
