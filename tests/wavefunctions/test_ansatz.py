"""Boundary conditions and smoothness hold by construction, for any parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.geometry.domain import WALLS, Ends
from qpinn.wavefunctions.ansatz import Ansatz, is_linear
from qpinn.wavefunctions.continuity import continuity
from qpinn.wavefunctions.envelope import Envelope
from qpinn.wavefunctions.networks import ACTIVATIONS, INITIALIZATIONS, MLP
from qpinn.wavefunctions.piecewise import Piecewise

EDGES = np.array([-4.0, -1.0, 0.2, 1.0, 4.0])


def _on(edges, network, ends=WALLS, **conditions):
    """A piecewise ansatz with these ends, masses, deltas and symmetry."""
    ties, unit = continuity(edges, ends, **conditions)
    mesh = {"edges": jnp.asarray(edges), "continuity": jnp.asarray(ties), "unit": jnp.asarray(unit)}
    symmetry = {"parity": jnp.asarray(conditions["parity"])} if "parity" in conditions else {}
    symmetry |= {"theta": jnp.asarray(ends.theta)} if ends.ring else {}
    return Ansatz(Piecewise(network), {**mesh, **symmetry})


def _piecewise(**options):
    return _on(EDGES, MLP(**{"width": 5, "depth": 2, **options}))


def _psi(ansatz, params):
    return jax.jit(jax.vmap(lambda y: ansatz.psi(params, y[None])))


def _perturbed(params, seed=7):
    """Any parameters, not only those of an initialisation."""
    leaves, treedef = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    return treedef.unflatten([leaf + jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_psi_vanishes_at_both_walls(activation):
    network = MLP(5, 2, activation)
    for ansatz in (
        _piecewise(activation=activation),
        Ansatz(Envelope(network), {"edges": jnp.asarray(EDGES[[0, -1]])}),
    ):
        params = _perturbed(jax.jit(ansatz.init)(jax.random.key(3)))
        values = _psi(ansatz, params)(jnp.array([-4.0, 0.1, 4.0]))
        assert values[0] == 0
        assert values[2] == 0
        assert abs(values[1]) > 0


def test_piecewise_is_c1_at_breakpoints_and_its_second_derivative_is_free_to_jump():
    ansatz = _piecewise()
    params = _perturbed(jax.jit(ansatz.init)(jax.random.key(3)))
    segments = jax.jit(ansatz.segments)(params)
    for j, edge in enumerate(EDGES[1:-1]):
        sides = [jax.tree.map(lambda leaf, s=s: leaf[s], segments) for s in (j, j + 1)]

        def derivative(order, own, x=edge):
            f = lambda y: ansatz.in_segment(own, y[None])  # noqa: E731
            for _ in range(order):
                f = jax.grad(f)
            return float(jax.jit(f)(jnp.asarray(x)))

        scale = 1 + abs(derivative(2, sides[0]))
        for order in (0, 1):
            assert abs(derivative(order, sides[0]) - derivative(order, sides[1])) < 1e-13 * scale
        assert abs(derivative(2, sides[0]) - derivative(2, sides[1])) > 1e-3
        np.testing.assert_allclose(derivative(1, sides[0]), params["nodal"][len(EDGES) - 2 + j + 1], rtol=1e-11)


def test_fluxes_are_continuous_and_jump_at_deltas():
    """(psi' / m) right minus left = alpha psi, for any parameters."""
    mass, strength = np.array([0.1, 2.0, 0.5, 1.0]), np.array([0.0, 3.0, 0.0, -7.0, 0.0])
    ansatz = _on(EDGES, MLP(5, 2), mass=mass, strength=strength)
    params = _perturbed(jax.jit(ansatz.init)(jax.random.key(3)))
    segments = jax.jit(ansatz.segments)(params)
    for j, edge in enumerate(EDGES[1:-1]):
        (left, left_slope), (right, right_slope) = (
            jax.jit(
                jax.value_and_grad(
                    lambda y, s=s: ansatz.in_segment(jax.tree.map(lambda leaf: leaf[s], segments), y[None])
                )
            )(jnp.asarray(edge))
            for s in (j, j + 1)
        )
        np.testing.assert_allclose(left, right, atol=1e-13)
        np.testing.assert_allclose(
            right_slope / mass[j + 1] - left_slope / mass[j], strength[j + 1] * left, rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("parity", [1.0, -1.0])
def test_a_parity_holds_for_any_parameters(parity):
    """Even or odd about the last edge, C1 there, zero at both walls; and a delta at the centre bends an even one."""
    for bent in (None, np.array([0.0, 0.0, 0.0, 0.0, 5.0])):
        ansatz = _on(EDGES, MLP(5, 2), strength=bent, parity=parity)
        params = _perturbed(jax.jit(ansatz.init)(jax.random.key(3)))
        psi = _psi(ansatz, params)
        x = jnp.array([0.0, 0.3, 1.7, 3.99, 8.0])
        np.testing.assert_allclose(psi(4.0 + x), parity * psi(4.0 - x), rtol=1e-12, atol=1e-13)
        assert psi(jnp.array([-4.0, 12.0])).tolist() == [0.0, 0.0]
        slope = jax.jit(jax.vmap(jax.grad(lambda y: psi(y[None])[0])))(jnp.array([4 - 1e-9, 4 + 1e-9]))
        jump = 0.0 if bent is None else 5.0 * float(psi(jnp.array([4.0]))[0])
        np.testing.assert_allclose(slope[1] - slope[0], jump, atol=1e-6 * float(jnp.abs(slope).max() + 1))


def test_a_part_of_a_segment_inherits_the_network_of_the_whole():
    """The same function of x, for lanes of parameters, whatever the depth."""
    coarse = _piecewise()
    lanes = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *(jax.jit(coarse.init)(jax.random.key(k)) for k in range(3))
    )
    network = coarse.wavefunction.mlp
    fine = _on(np.sort([*EDGES, -2.5, 0.6]), network)
    found = fine.wavefunction.inherited(lanes, coarse.edges, fine.mesh)
    assert jax.tree.structure(found) == jax.tree.structure(jax.vmap(fine.init)(jax.random.split(jax.random.key(1), 3)))
    for x in (-3.7, -1.2, 0.0, 0.3, 0.9, 2.0):
        values = []
        for ansatz, params in ((coarse, lanes), (fine, found)):
            edges = np.asarray(ansatz.edges)
            s = int(np.searchsorted(edges, x)) - 1
            xi = (2 * x - edges[s] - edges[s + 1]) / (edges[s + 1] - edges[s])
            weights = jax.tree.map(lambda leaf, s=s: leaf[1, s], params["network"])
            values.append(float(network.apply({"params": weights}, jnp.array([xi]))))
        np.testing.assert_allclose(*values, rtol=1e-12)


def test_the_envelope_is_one_minus_xi_squared_times_the_network():
    ansatz = Ansatz(Envelope(MLP(4, 1)), {"edges": jnp.array([1.0, 3.0])})
    params = jax.jit(ansatz.init)(jax.random.key(0))
    x = jnp.array([2.5])
    network = MLP(4, 1).apply({"params": jax.tree.map(lambda leaf: leaf[0], params["network"])}, jnp.array([0.5]))
    psi = ansatz.wavefunction.apply({"params": params, "mesh": ansatz.mesh}, x)
    np.testing.assert_allclose(psi, (1 - 0.25) * network, rtol=1e-14)


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_the_seed_moves_the_parameters_and_nothing_else_does(name):
    ansatz = _piecewise(initialization=name)
    a, b, again = (jax.jit(ansatz.init)(jax.random.key(seed)) for seed in (1, 2, 1))
    kernels = [np.asarray(p["network"]["hidden_0"]["kernel"]) for p in (a, b, again)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    np.testing.assert_array_equal(kernels[0], kernels[2])
    assert np.ptp(kernels[0][:, 0, 0]) > 1e-3  # the networks of the segments differ


def test_psi_is_linear_in_what_is_linear():
    ansatz = _piecewise()
    params = jax.jit(ansatz.init)(jax.random.key(1))
    flags = is_linear(params)
    doubled = jax.tree.map(lambda leaf, linear: 2 * leaf if linear else leaf, params, flags)
    x = jnp.linspace(-3.9, 3.9, 31)
    np.testing.assert_allclose(_psi(ansatz, doubled)(x), 2 * _psi(ansatz, params)(x), rtol=1e-13)
    assert sum(jax.tree.leaves(flags)) == 3  # readout kernel and bias, nodal parameters


def _ends_of(ansatz, params, place):
    """Value and slope of the lone segment at `place`, from inside it."""
    segments = jax.jit(ansatz.segments)(params)
    segment = 0 if place == float(ansatz.edges[0]) else len(ansatz.edges) - 2
    inside = jax.tree.map(lambda leaf: leaf[segment], segments)
    return jax.jit(jax.value_and_grad(lambda y: ansatz.in_segment(inside, y[None])))(jnp.asarray(place))


@pytest.mark.parametrize("ends", [("free", "free"), ("wall", "free"), ("free", "wall")])
def test_a_free_end_has_no_slope_and_a_wall_no_value(ends):
    ansatz = _on(EDGES, MLP(5, 2), Ends(*ends))
    params = _perturbed(jax.jit(ansatz.init)(jax.random.key(3)))
    for end, place in zip(ends, EDGES[[0, -1]], strict=True):
        value, slope = _ends_of(ansatz, params, float(place))
        assert abs(slope if end == "free" else value) < 1e-12
        assert abs(value if end == "free" else slope) > 1e-3


@pytest.mark.parametrize("theta", [0.0, np.pi, 0.7, -2.0])
def test_a_bloch_function_takes_its_phase_over_a_period(theta):
    """psi and psi' / m at the right end are exp(i theta) times those at the left end, and psi goes on beyond both."""
    mass = np.array([0.5, 1.0, 3.0, 0.5])
    ansatz = _on(EDGES, MLP(5, 2), Ends("periodic", "periodic", theta), mass=mass, strength=np.array([0, 3.0, 0, 0, 0]))
    params = _perturbed(jax.jit(ansatz.init)(jax.random.key(3)))
    compiled, period = _psi(ansatz, params), EDGES[-1] - EDGES[0]

    def psi(x):
        return np.asarray(compiled(jnp.asarray(x)))

    x = np.array([-4.0 + 1e-7, -3.1, 0.5, 3.9])
    np.testing.assert_allclose(psi(x + period), np.exp(1j * theta) * psi(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(psi(x - 2 * period), np.exp(-2j * theta) * psi(x), rtol=1e-9, atol=1e-12)
    near = psi(EDGES[-1] + np.array([-1e-6, 0, 1e-6]))
    assert abs(near[2] - 2 * near[1] + near[0]) < 1e-10 * (1 + np.abs(psi(x)).max())  # no kink: equal masses
    assert np.iscomplexobj(near) == (theta not in (0.0, np.pi))
