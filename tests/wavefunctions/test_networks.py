"""The network, its activations and its initialisations."""

from __future__ import annotations

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn.physics import reference
from qpinn.wavefunctions.networks import (
    ACTIVATIONS,
    INITIALIZATIONS,
    MLP,
    NOT_SMOOTH,
    ROUGH,
    UNCRITICAL,
    activation,
    check_initialization,
    criticality,
    from_uniform,
    parameter_count,
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_a_continuous_second_derivative(name):
    second = jax.vmap(jax.grad(jax.grad(activation(name))))
    x = jnp.linspace(-8, 8, 16001)
    assert np.abs(np.diff(second(x))).max() < 0.01
    assert np.abs(second(x)).max() > 0.05


def test_a_new_activation_is_one_line(monkeypatch):
    with pytest.raises(ValueError, match=r"network\.activation=sech"):
        qpinn.solve(qpinn.potentials.barrier(), network={"activation": "sech"})
    monkeypatch.setitem(ACTIVATIONS, "sech", lambda x: 1 / jnp.cosh(x))
    chosen = {"activation": "sech", "width": 8}
    solution = qpinn.solve(qpinn.potentials.barrier(), network=chosen, optimizer={"steps": 20})
    assert solution.settings.network.activation == "sech"
    exact = reference.best(solution.plan.potential, 1).energies[0]
    np.testing.assert_allclose(solution.state.energy, exact, rtol=1e-6)


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


@pytest.mark.parametrize("name", ["lecun", "glorot", "he", "orthogonal", "spread"])
def test_biases_are_drawn_so_that_a_tanh_network_is_not_odd(name):
    network = MLP(16, 2, "tanh", name)
    draws = jax.random.uniform(jax.random.key(1), (parameter_count(network),), minval=-1, maxval=1)
    params = from_uniform(network, draws)
    assert all(np.ptp(np.asarray(params[layer]["bias"])) > 0 for layer in ("hidden_0", "hidden_1"))
    value = [float(network.apply({"params": params}, jnp.array([x]))) for x in (-0.7, 0.7)]
    assert abs(value[0] + value[1]) > 1e-3


@pytest.mark.parametrize(
    ("name", "bias", "slope"), [("gelu", 0.17292239, 1.98305826), ("swish", 0.55514317, 1.98800468)]
)
def test_critical_points_are_those_of_the_book(name, bias, slope):
    """Roberts, Yaida and Hanin, The Principles of Deep Learning Theory (2022), section 5.3.4."""
    np.testing.assert_allclose(criticality(name), (bias, slope), rtol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "sin"])
def test_odd_activations_are_critical_without_biases(name):
    np.testing.assert_allclose(criticality(name), (0, 1), atol=1e-6)


@pytest.mark.parametrize("name", {**ACTIVATIONS, **ROUGH})
def test_an_activation_without_a_critical_point_is_refused(name):
    for check in (lambda: criticality(name), lambda: check_initialization("critical", name)):
        if name in UNCRITICAL:
            with pytest.raises(ValueError, match=rf"network\.activation={name} has no critical point"):
                check()
        else:
            check()


def test_checking_settings_wakes_no_device():
    """Or a sweep could choose neither its devices nor its processes afterwards."""
    code = (
        "import jax; from qpinn.drivers import settings; from qpinn.wavefunctions import networks\n"
        "for name in networks.INITIALIZATIONS: settings.Network(init=name)\n"
        "for name in {**networks.ACTIVATIONS, **networks.ROUGH}: settings.Network(activation=name)\n"
        "jax.config.update('jax_num_cpu_devices', 3); assert len(jax.devices('cpu')) == 3"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("name", ["gelu", "swish", "tanh"])
def test_a_critical_network_keeps_its_signal_where_another_loses_it(name):
    """Variance of the preactivations layer by layer, from a wide network itself: not the integrals of `criticality`."""
    sizes = {}
    for init in ("critical", "lecun"):
        network = MLP(256, 13, name, init)
        draws = jax.random.uniform(jax.random.key(0), (parameter_count(network),), minval=-1, maxval=1)
        _, state = network.apply(
            {"params": from_uniform(network, draws)},
            jnp.array([0.8]),
            capture_intermediates=True,
            mutable="intermediates",
        )
        layers = state["intermediates"]
        sizes[init] = [float(jnp.var(layers[f"hidden_{layer}"]["__call__"][0])) for layer in range(13)]
    if name == "tanh":  # C_b = 0: falls off as 1 / (2 depth), Principles, section 5.3.3
        assert 0.3 / 13 < sizes["critical"][-1] < 1 / 13
    else:
        np.testing.assert_allclose(sizes["critical"][-1], sizes["critical"][3], rtol=0.5)
        assert sizes["lecun"][-1] < 0.5 * sizes["critical"][-1]


def test_siren_has_first_frequencies_up_to_30_and_unit_preactivations_after():
    network = MLP(512, 3, "sin", "siren")
    draws = jax.random.uniform(jax.random.key(0), (parameter_count(network),), minval=-1, maxval=1)
    params = from_uniform(network, draws)
    assert 28 < float(jnp.max(jnp.abs(params["hidden_0"]["kernel"]))) <= 30
    x = jnp.linspace(-1, 1, 401)[:, None]
    _, state = jax.vmap(
        lambda point: network.apply({"params": params}, point, capture_intermediates=True, mutable="intermediates")
    )(x)
    for layer in (1, 2):  # Sitzmann et al. 2020, theorem 1.8: standard normal
        z = state["intermediates"][f"hidden_{layer}"]["__call__"][0]
        np.testing.assert_allclose(float(jnp.var(z)), 1, rtol=0.2)


@pytest.mark.parametrize("name", ROUGH)
def test_a_rough_activation_has_a_jump_in_its_second_derivative_and_no_other(name):
    first, second = jax.grad(activation(name)), jax.grad(jax.grad(activation(name)))
    sides = [float(second(jnp.asarray(x))) for x in (-1e-9, 1e-9)]
    assert abs(sides[0] - sides[1]) > 1
    x = jnp.linspace(1e-9, 8, 1601)
    for half in (x, -x):
        assert np.abs(np.diff(jax.vmap(second)(half))).max() < 0.01
    assert np.isfinite(jax.vmap(first)(jnp.linspace(-8, 8, 1601))).all()
