"""The basis of a wavefunction: orthonormal, and psi of every readout and every nodal parameter is in it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests_support import system_of

import qpinn
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.training import loop
from qpinn.wavefunctions.basis import basis

CASES = {
    "walls": ("barrier", {"ansatz": {"parity": "none"}}),
    "even": ("finite_well", {}),
    "deltas": ("delta_comb", {"ansatz": {"parity": "none"}}),
    "masses": ("layers", {"ansatz": {"parity": "none"}}),
    "envelope": ("expression", {"ansatz": "envelope", "network": {"width": 12}}),
    "wide": ("barrier", {"network": {"width": 48, "depth": 2}}),
    "few points": ("barrier", {"sampling": {"points": 12}}),
}

GIVEN = {
    "layers": {"thickness": [1.0, 0.5, 1.5], "offset": [0.0, 30.0, 5.0], "mass": [1.0, 3.0, 0.5]},
    "expression": {"formula": "20*x**2", "domain": [-1, 2]},
}


def drawn(case):
    name, settings = CASES[case]
    potential = getattr(qpinn.potentials, name)(**GIVEN.get(name, {}))
    system = system_of(potential, from_mapping(Settings, settings))
    params, points = loop.drawn(system)
    return system.equation, params["psi"], points


def samples(equation, psi, points):
    """psi and psi' on the points, times the roots of their weights."""
    fields = jax.jit(equation.fields)({"psi": psi}, points)
    root = np.sqrt(points.weight)
    return root * fields.psi.value, root * fields.psi.gradient[..., 0]


@pytest.mark.parametrize("case", CASES)
def test_it_is_orthonormal_on_the_points(case):
    equation, psi, points = drawn(case)
    functions = jax.jit(basis)(equation.ansatz, psi, points)
    gram = jax.jit(lambda f: f.form(jnp.einsum("snp,snq->spq", f.value, f.value)))(functions)
    np.testing.assert_allclose(gram, np.diag(functions.kept.astype(float)), atol=1e-9)
    assert np.mean(functions.kept) > 0.3


@pytest.mark.parametrize("case", CASES)
def test_each_function_is_what_its_parameters_say(case):
    equation, psi, points = drawn(case)
    functions = jax.jit(basis)(equation.ansatz, psi, points)
    r, segments = functions.bubbles, len(functions.ties)
    for index in np.flatnonzero(functions.kept)[[0, 3, -3, -1]]:
        unit = jnp.asarray(np.eye(len(functions.kept))[index])
        local = jnp.concatenate([unit[: segments * r].reshape(segments, r), functions.ties @ unit[segments * r :]], 1)
        value, slope = samples(equation, functions.psi(psi, unit), points)
        sign = np.sign(np.sum(value * np.einsum("snp,sp->sn", functions.value, local)))
        for of_params, of_basis in ((value, functions.value), (slope, functions.slope)):
            expected = np.einsum("snp,sp->sn", of_basis, local)
            np.testing.assert_allclose(sign * of_params, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("case", ["walls", "even", "deltas", "masses", "envelope", "wide"])
def test_psi_of_any_readout_and_nodes_is_in_it(case):
    equation, psi, points = drawn(case)
    functions = jax.jit(basis)(equation.ansatz, psi, points)
    value, slope = samples(equation, psi, points)
    r = functions.bubbles
    inner = np.einsum("snp,sn->sp", functions.value[..., :r], value)
    nodes = np.einsum("snk,skq,sn->q", functions.value[..., r:], functions.ties, value)
    local = np.concatenate([inner, functions.ties @ nodes], axis=1)
    np.testing.assert_allclose(np.einsum("snp,sp->sn", functions.value, local), value, atol=1e-7 * np.abs(value).max())
    np.testing.assert_allclose(np.einsum("snp,sp->sn", functions.slope, local), slope, atol=1e-5 * np.abs(slope).max())
