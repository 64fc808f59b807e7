"""nm and eV: the factor, what it is applied to, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

import qpinn
from qpinn.physics import potentials, reference, units, walls

SEMICONDUCTOR = units.of("semiconductor")
LAYER = potentials.layers(thickness=[1], offset=[0], mass=[1])


def test_the_unit_of_energy_is_that_of_an_electron_in_a_nanometre():
    """An infinite well of 1 nm: h^2 / (8 m_e nm^2) = 0.376 eV, from h, m_e and e of the SI (2019) and CODATA."""
    level = 6.62607015e-34**2 / (8 * 9.1093837e-31 * 1e-18) / 1.602176634e-19
    np.testing.assert_allclose(np.pi**2 * SEMICONDUCTOR.scale, level, rtol=1e-7)
    np.testing.assert_allclose(units.of("semiconductor", 0.067).scale, SEMICONDUCTOR.scale / 0.067, rtol=1e-14)


@pytest.mark.parametrize("name", [name for name in potentials.BUILDERS if name not in ("sampled", "layers")])
def test_every_potential_is_v_over_the_unit(name):
    """V in eV at x in nm, over the unit of energy, is V of the dimensionless one."""
    build = potentials.BUILDERS[name]
    given = build((-3.0, 3.0)) if name == "expression" else build()
    if given.energies is None:
        with pytest.raises(ValueError, match=f"{name} has numbers without units"):
            units.dimensionless(given, SEMICONDUCTOR)
        return
    bare = units.dimensionless(given, SEMICONDUCTOR)
    x = np.array([-1.3, 0.2, 0.45, 1.7])
    if name != "poeschl_teller":  # its depth is l (l + 1) hbar^2 a^2 / 2m whatever the unit
        np.testing.assert_allclose(bare(x) * SEMICONDUCTOR.scale, given(x), rtol=1e-13)
    if hasattr(given, "deltas"):
        np.testing.assert_allclose(np.array(bare.deltas[1]) * SEMICONDUCTOR.scale, given.deltas[1], rtol=1e-13)


def test_layers_of_one_mass_are_the_finite_well_of_that_mass():
    mass = 0.067
    layers = potentials.layers(thickness=[10, 8, 10], offset=[0.3, 0, 0.3], mass=[mass] * 3)
    one = reference.exact(units.dimensionless(layers, SEMICONDUCTOR), 3).energies * SEMICONDUCTOR.scale
    heavy = units.of("semiconductor", mass)
    well = units.dimensionless(potentials.finite_well((-14.0, 14.0), 0.0, 8.0, 0.3), heavy)
    np.testing.assert_allclose(one, reference.exact(well, 3).energies * heavy.scale, rtol=1e-13)


def test_a_deep_well_between_heavy_barriers_solves_the_equation_of_bastard():
    """k tan(k a) / m_w = kappa coth(kappa d) / m_b with walls at distance d (BenDaniel and Duke's matching)."""
    well, barrier, depth, a, d = 0.067, 0.15, 0.3, 4.0, 12.0
    layers = potentials.layers(thickness=[d, 2 * a, d], offset=[depth, 0, depth], mass=[barrier, well, barrier])
    energy = reference.exact(units.dimensionless(layers, SEMICONDUCTOR), 1).energies[0]
    top = depth / SEMICONDUCTOR.scale
    k, kappa = np.sqrt(well * energy), np.sqrt(barrier * (top - energy))
    np.testing.assert_allclose(k * np.tan(k * a) / well, kappa / np.tanh(kappa * d) / barrier, rtol=1e-11)


@pytest.mark.parametrize(
    ("potential", "settings", "message"),
    [
        (potentials.anharmonic(), {"units": "semiconductor"}, "anharmonic has numbers without units"),
        (LAYER, {}, "potential=layers: is in nm, eV and m_e; needs units=semiconductor"),
        (LAYER, {"units": {"name": "semiconductor", "mass": 0.1}},
         "units.mass=0.1: layers brings its own masses"),
        (potentials.barrier(), {"units": {"mass": 0.1}}, "units.mass=0.1: has an effect only with units=semiconductor"),
        (potentials.barrier(), {"units": {"name": "semiconductor", "mass": -0.1}}, "units.mass=-0.1: must lie from"),
        (potentials.barrier(), {"units": "imperial"}, "units.name=imperial: unknown; allowed: dimensionless, "),
        (LAYER, {"units": "semiconductor", "ansatz": "envelope", "start": "random"},
         "ansatz.name=envelope: has no kinks, and psi of potential=layers has some; allowed: piecewise"),
        (potentials.delta(), {"ansatz": "envelope", "start": "random"}, "ansatz.name=envelope: has no kinks"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(potential, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        qpinn.solve(potential, **settings)


def test_a_well_that_binds_in_its_units_is_not_refused():
    """Depth 3.7195 eV, a = 20 / nm, 0.5 amu: E_n = -(sqrt(depth) - a (n + 1/2))^2 without units has 15 levels."""
    morse = potentials.morse(depth=3.7195, a=20.0)
    bare = units.dimensionless(morse, units.of("semiconductor", 911.444), 911.444)
    assert walls.bound_states(bare) == int(np.ceil(np.sqrt(bare.depth) / 20 - 0.5)) == 15
    assert walls.bound_states(morse) == 0
