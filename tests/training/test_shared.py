"""One network for all levels: exact levels inside their bounds, more of them than lanes could serve."""

from __future__ import annotations

import numpy as np
import pytest

import qpinn
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings


@pytest.mark.parametrize(
    ("name", "states", "exact"),
    [
        ("infinite_well", 48, lambda n: ((n + 1) * np.pi) ** 2),
        pytest.param("harmonic", 65, lambda n: 2 * n + 1.0, marks=pytest.mark.long),
    ],
)
def test_many_levels_in_one_basis(name, states, exact):
    solution = qpinn.solve(getattr(qpinn.potentials, name)(), states=states, seed=3)
    levels = exact(np.arange(states))
    assert all(solution.converged)
    assert (solution.bounds[:, 0] <= levels).all()
    assert (levels <= solution.bounds[:, 1]).all()
    np.testing.assert_allclose(solution.energies, levels, rtol=1e-10)
    assert solution.steps == 0
    x = np.linspace(*solution.potential.domain, 4001)
    psi = solution.psi(x)
    np.testing.assert_allclose(psi @ psi.T * (x[1] - x[0]), np.eye(states), atol=1e-5)
    hidden = solution.params["lanes"]["psi"]["network"]["hidden_0"]["kernel"]
    np.testing.assert_array_equal(hidden[0], hidden[2])  # even levels share a network, odd ones another


def test_a_few_levels_share_one_where_it_is_asked_for():
    settings = {"states": 4, "network": {"shared": True}, "ansatz": {"parity": "none"}}
    solution = qpinn.solve(qpinn.potentials.barrier(), **settings)
    assert [state.outcome for state in solution.states] == ["right state"] * 4
    assert max(state.relative_error_energy for state in solution.states) < 1e-9


def test_sharing_is_the_default_for_many_levels_alone():
    assert not from_mapping(Settings, {"states": 16}).shared
    assert from_mapping(Settings, {"states": 17}).shared
    assert not from_mapping(Settings, {"states": 17, "network": {"shared": False}}).shared
    assert not from_mapping(Settings, {"states": 17, "start": "variational"}).shared
    with pytest.raises(ValueError, match=r"network\.shared=true"):
        from_mapping(Settings, {"start": "random", "network": {"shared": True}})
