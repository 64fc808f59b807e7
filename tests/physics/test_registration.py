"""A potential is one file and one YAML."""

from __future__ import annotations

import shutil
import sys

import _cli
import _overrides
import numpy as np
import pytest

import qpinn
from qpinn.drivers import eigenstates
from qpinn.drivers.solution import reference_of
from qpinn.physics import potentials
from qpinn.physics.potentials import Potential
from qpinn.physics.potentials.base import pytree

FILE = """
from typing import ClassVar
from qpinn.checks import positive
from qpinn.physics.potentials.base import Between, Number, builder, pytree, walls

@pytree
class Slanted(Between):
    slope: Number
    name: ClassVar[str] = "slanted"
    hard_walls: ClassVar[tuple[bool, bool]] = (True, True)

    def at(self, x):
        return self.slope * x[..., 0]

@builder
def slanted(domain=(0.0, 1.0), slope: float = 30.0) -> Slanted:
    return Slanted(*walls(domain), slope=positive("potential.slope", slope))
"""


@pytest.fixture
def slanted(tmp_path, monkeypatch):
    """A file in the folder of potentials and one in that of their configs."""
    (tmp_path / "slanted.py").write_text(FILE)
    configs = tmp_path / "configs"
    shutil.copytree(_cli.CONFIGS, configs)
    (configs / "potential" / "slanted.yaml").write_text("name: slanted\ndomain: [0, 1]\nslope: 20.0\n")
    monkeypatch.setattr(_cli, "CONFIGS", configs)
    monkeypatch.setattr(potentials, "__path__", [*potentials.__path__, str(tmp_path)])
    potentials.discover()
    yield
    del potentials.BUILDERS["slanted"], potentials.slanted, sys.modules["qpinn.physics.potentials.slanted"]


@pytest.mark.usefixtures("slanted")
def test_a_new_file_and_its_yaml_are_trained_by_name():
    potential, settings = _cli.read(_overrides.composed(["potential=slanted", "potential.slope=30", "network.width=8"]))
    assert potential == qpinn.potentials.slanted(slope=30.0)
    assert "slanted" in dir(qpinn.potentials)
    solution = eigenstates.run(potential, settings)
    assert solution.state.wall_shift is None  # the walls are its own
    np.testing.assert_allclose(solution.state.energy, reference_of(solution.plan).energies[0], rtol=1e-8)


def test_a_mass_of_ones_own_needs_no_units():
    """k tan(k a) = kappa coth(kappa (b - a)) / m: a well of mass 1 between barriers of mass m (BenDaniel and Duke)."""

    @pytree
    class Heavy(Potential):
        name = "heavy"
        domain = (-3.0, 3.0)
        breakpoints = (-1.0, 1.0)

        def at(self, x):
            return x.__array_namespace__().where(abs(x[..., 0]) < 1.0, 0.0, 20.0)

        def mass_at(self, x):
            return x.__array_namespace__().where(abs(x[..., 0]) < 1.0, 1.0, 2.0)

    energy = qpinn.solve(Heavy(), network={"width": 8}).energy
    k, kappa = np.sqrt(energy), np.sqrt(2.0 * (20.0 - energy))
    np.testing.assert_allclose(k * np.tan(k), kappa / np.tanh(2 * kappa) / 2.0, rtol=1e-8)


@pytest.mark.usefixtures("slanted")
def test_its_numbers_are_checked():
    with pytest.raises(ValueError, match=r"potential\.slope=-1"):
        _cli.read(_overrides.composed(["potential=slanted", "potential.slope=-1"]))


def test_a_name_that_is_taken_and_one_that_is_unknown():
    def barrier():
        """Not that of the library."""

    with pytest.raises(ValueError, match=r"potential\.name=barrier: .* must be unique"):
        potentials.builder(barrier)
    with pytest.raises(AttributeError, match="barier"):
        potentials.barier  # noqa: B018
    assert potentials.BUILDERS["barrier"] is potentials.barrier
