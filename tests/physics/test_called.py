"""V of a potential, as who has one asks for it: on positions of any shape, in that shape."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.geometry.domain import Ends
from qpinn.physics import potentials
from qpinn.physics.hamiltonian import hamiltonian

KEYS = {
    "expression": {"domain": (-3.0, 3.0)},
    "sampled": {"x": [-1.0, 0.0, 2.0], "V": [5.0, 0.0, 1.0]},
    "layers": {"thickness": [1.0, 2.0], "offset": [0.0, 3.0], "mass": [1.0, 0.5]},
}


def _built(name):
    return potentials.BUILDERS[name](**KEYS.get(name, {}))


@pytest.mark.parametrize("name", potentials.BUILDERS)
def test_every_potential_is_called_on_positions_of_any_shape(name):
    potential = _built(name)
    x = np.array([[-0.9, 0.0, 0.3], [0.45, 0.7, 0.95]])
    v, mass = potential(x), potential.mass(x)
    assert v.shape == mass.shape == x.shape
    assert v.dtype == mass.dtype == np.float64
    np.testing.assert_array_equal(v, [[potential(place) for place in row] for row in x.tolist()])
    np.testing.assert_array_equal(v, potential(x.tolist()))
    np.testing.assert_array_equal(v.ravel(), potential.at(x.reshape(-1, 1)))
    np.testing.assert_array_equal(potential(np.array([0, 1])), potential([0.0, 1.0]))
    assert np.ndim(potential(0.3)) == np.ndim(potential.mass(0)) == 0
    assert potential(np.zeros((0, 2))).shape == (0, 2)
    assert isinstance(potential(jnp.asarray(x)), jax.Array)
    np.testing.assert_allclose(potential(jnp.asarray(x)), v, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda p, y: p(y))(potential, x), v, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(jax.vmap(potential)(jnp.asarray(x)), v, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(jax.jit(lambda p, y: p.mass(y))(potential, x), mass)


def test_v_is_what_its_formula_says():
    well = potentials.double_well(height=20.0)
    np.testing.assert_array_equal(well(np.linspace(-1, 1, 3)), [0, 20, 0])
    assert well(0) == 20.0
    layers = _built("layers")
    np.testing.assert_array_equal(layers.mass([0.5, 1.5]), [1.0, 0.5])
    np.testing.assert_array_equal(well.mass([0.5, 1.5]), [1.0, 1.0])
    ring = hamiltonian(potentials.infinite_well(), Ends("periodic", "periodic"))
    np.testing.assert_array_equal(ring([0.5, 0.7]), [0.0, 0.0])
    np.testing.assert_array_equal(ring.mass([0.5, 0.7]), [1.0, 1.0])


def test_slopes_of_v_and_derivatives_with_respect_to_its_numbers():
    well = potentials.harmonic(omega=3.0)
    np.testing.assert_allclose(jax.grad(well)(0.5), 9.0)  # 2 omega^2 x
    np.testing.assert_allclose(jax.grad(lambda p: p(0.5))(well).omega, 1.5)  # 2 omega x^2
    np.testing.assert_allclose(jax.jacfwd(lambda p: p([0.5, 1.0]))(well).omega, [1.5, 6.0])


@pytest.mark.parametrize("x", ["0.3", None, 1j, [0.1, "a"], [[1.0], [1.0, 2.0]], True, {"x": 1}])
def test_what_are_no_positions(x):
    potential = potentials.harmonic()
    for asked in (potential, potential.mass):
        with pytest.raises(TypeError, match=r"^x=.*: must be real numbers, positions in an array of any shape$"):
            asked(x)
    with pytest.raises(TypeError, match="x: has the type complex"):
        potential(jnp.asarray(1j))


def test_each_builder_says_what_it_takes():
    for name, build in potentials.BUILDERS.items():
        with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
            build(nonsense=1)
        assert inspect.signature(build).parameters, name
