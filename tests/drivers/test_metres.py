"""Numbers of any size: lengths in m, energies in J, masses in kg, against CODATA by SciPy and the same in nm and eV."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import constants

import qpinn
from qpinn.bounds.certify import digits
from qpinn.drivers import discretize
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings, UnitsChoice
from qpinn.physics import potentials, reference, units

NM, EV = 1e-9, constants.e
METRES = {"name": "semiconductor", "length": "m", "energy": "J"}
KILOGRAMS = {**METRES, "mass_unit": "kg", "mass": constants.m_e}
WELL = constants.h**2 / (8 * constants.m_e * NM**2)
"""E_0 in J of an electron between walls 1 nm apart."""


@pytest.mark.parametrize("chosen", [METRES, KILOGRAMS])
def test_an_infinite_well_of_a_nanometre_in_metres(chosen):
    solution = qpinn.solve(potentials.infinite_well((0.0, NM)), states=3, units=chosen)
    exact = WELL * np.array([1, 4, 9])
    np.testing.assert_allclose(solution.energies, exact, rtol=1e-12)
    assert (solution.bounds[:, 0] <= exact * (1 + 1e-13)).all()
    assert (exact * (1 - 1e-13) <= solution.bounds[:, 1]).all()
    assert (np.ptp(solution.bounds, axis=1) < 1e-11 * exact).all()
    assert all(solution.converged)
    x = np.linspace(0, NM, 7)
    n = np.arange(1, 4)[:, None]
    np.testing.assert_allclose(np.abs(solution.psi(x)), np.sqrt(2 / NM) * abs(np.sin(n * np.pi * x / NM)), atol=1e-2)
    states = solution.states
    np.testing.assert_allclose([state.relative_error_energy for state in states], 0, atol=1e-12)
    assert states[0].expectation["x"] == pytest.approx(NM / 2, rel=1e-10)
    assert abs(solution.dipoles[0, 1]) == pytest.approx(16 * NM / (9 * np.pi**2), rel=1e-9)


def _structures(length, energy):
    """Potentials of many kinds in a unit of length and of energy, given in nm and eV."""
    x = np.linspace(-3, 3, 41)
    return {
        "harmonic": potentials.harmonic(omega=0.1 * energy**0.5 / length),
        "morse": potentials.morse(depth=4 * energy, a=2 / length),
        "linear": potentials.linear(slope=0.1 * energy / length),
        "formula": potentials.expression(
            (-3 * length, 3 * length), f"D*((x/a)^2 - 1)^2 + where(x > {length!r}, 0.1*D, 0)",
            parameters={"D": 0.2 * energy, "a": length},
        ),
        "deltas": potentials.combined(
            potentials.finite_well((-4 * length, 4 * length), width=2 * length, depth=0.5 * energy),
            deltas=[[0.0, 0.1 * energy * length]],
        ),
        "sampled": potentials.sampled(x=x * length, V=0.1 * x**2 * energy, interpolation="cubic"),
        "layers": potentials.layers(
            thickness=np.array([5, 8, 2, 6, 5]) * length, offset=np.array([0.3, 0, 0.3, 0, 0.3]) * energy,
            mass=[0.09, 0.067, 0.09, 0.067, 0.09], field=30.0,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(_structures(1.0, 1.0)))
def test_metres_and_joules_give_what_nanometres_and_electronvolts_give(name):
    """The mesh that is trained on has the same edges, the reference and counting the same levels."""
    found = {}
    for length, energy, chosen in ((1.0, 1.0, units.of("semiconductor")), (NM, EV, UnitsChoice(**METRES).units)):
        potential = units.converted(_structures(length, energy)[name], chosen)
        choice = UnitsChoice(name="semiconductor", length=chosen.length, energy=chosen.energy)
        plan = discretize.of(potential, Settings(states=3, units=choice))
        levels = reference.best(plan.potential, 3).energies
        brackets, scale = np.array([plan.low, plan.high])[:, :3], chosen.scale / energy
        assert (brackets[0] <= levels).all()
        assert (levels <= brackets[1]).all()
        found[chosen.length] = plan.mesh.edges / length, levels * scale, np.ptp(brackets, axis=0) * scale
    edges, energies, widths = (np.array(pair) for pair in zip(*found.values(), strict=True))
    np.testing.assert_allclose(edges[1], edges[0], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(energies[1], energies[0], rtol=1e-11)
    np.testing.assert_allclose(widths[1], widths[0], rtol=0.1)


def test_a_well_with_walls_far_out_is_trained_in_metres():
    """Of a molecule of CO: Morse's levels, its reduced mass in kg."""
    depth, a, mass = 1.8e-18, 2.3e10, 1.14e-26  # J, 1/m, kg
    solution = qpinn.solve(potentials.morse(depth=depth, a=a), states=2, units={**KILOGRAMS, "mass": mass})
    omega = a * np.sqrt(2 * depth / mass)
    quanta = constants.hbar * omega * (np.arange(2) + 0.5)
    np.testing.assert_allclose(solution.energies, -depth + quanta - quanta**2 / (4 * depth), rtol=1e-10)
    assert all(solution.converged)


def test_single_precision_in_metres_is_that_in_nanometres():
    well = {}
    for unit, length in (("nm", 1.0), ("m", NM)):
        given = potentials.infinite_well((0.0, length))
        chosen = {"name": "semiconductor", "length": unit}
        well[unit] = qpinn.solve(given, precision="float32", units=chosen).bounds
    np.testing.assert_allclose(well["m"], well["nm"], rtol=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mass_unit": "kg"}, "units.mass=null: units.mass_unit=kg needs the mass of the particle"),
        ({"mass_unit": "kg", "mass": 1.0}, "units.mass=1: must lie from 9.1e-37 to 1.7e-21"),
        ({"mass_unit": "m_e", "mass": 1e-30}, "units.mass=1e-30: must lie from 1e-06 to 1e+06"),
        ({"length": "km"}, "units.length=km: unknown; "),
    ],
)
def test_masses_in_kilograms_that_cannot_be(keys, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        from_mapping(UnitsChoice, {"name": "semiconductor", **keys}, "units.")


def test_layers_in_kilograms_say_what_their_masses_are_in():
    with pytest.raises(ValueError, match=r"^potential\.mass: number 1=6e-32: must be at least 1e-06, in m_e or amu"):
        potentials.layers(thickness=[1e-9], offset=[0.0], mass=[6e-32])
    layers = potentials.layers(thickness=[1e-9], offset=[0.0], mass=[0.07])
    with pytest.raises(ValueError, match=r"^units\.mass_unit=kg: layers has masses of its own; allowed: m_e, amu"):
        qpinn.solve(layers, units=KILOGRAMS)


@pytest.mark.parametrize("route", [{"start": "random"}, {"start": "variational"}, {"optimizer": "adam"}])
def test_descents_from_numbers_of_order_one_are_refused_in_metres(route):
    with pytest.raises(ValueError, match=r"^units\.length=m: .*; allowed: .*units\.length=nm"):
        qpinn.solve(potentials.infinite_well((0.0, NM)), units=METRES, **route)


def test_steep_walls_are_refused_in_any_unit_of_length():
    """V of 1e12 and more in a box of length one, whatever one is."""
    for length, chosen in ((1.0, {}), (1e-9, METRES)):
        well = potentials.finite_well((-length, length), width=length, depth=1e12)
        with pytest.raises(ValueError, match=r"must lie within \+-"):
            qpinn.solve(well, units={**chosen} if chosen else "semiconductor")


def test_small_energies_are_shown_with_a_power_of_ten():
    assert digits(6.02466739403659e-20, 3.5e-34) == "6.02466739403659(4)e-20"
    assert digits(-1.25e-9, 1.5e-13) == "-1.2500(2)e-9"
    assert digits(0.00123456, 2e-8) == "0.00123456(2)"
    assert digits(1e-13, 2e-8) == "0.00000000(3)"


def test_what_is_written_in_metres_is_read_again(tmp_path):
    """Folder, page and history; <x^2> of the ground state is L^2 (1/3 - 1 / 2 pi^2)."""
    solution = qpinn.solve(potentials.infinite_well((0.0, NM)), units=METRES)
    folder = solution.save(tmp_path / "run")
    x = np.linspace(0, NM, 5)
    np.testing.assert_array_equal(qpinn.load(folder).psi(x), solution.psi(x))
    page = (folder / "report.html").read_text()
    assert f"{NM**2 * (1 / 3 - 1 / (2 * np.pi**2)):.6g}" in page
    assert digits(solution.energy, np.ptp(solution.bounds) / 2) in page
    header, *rows = (folder / "history.csv").read_text().splitlines()
    last = dict(zip(header.split(","), rows[-1].split(","), strict=True))
    assert float(last["energy_J"]) == pytest.approx(WELL, rel=1e-11)


def test_a_number_varied_in_metres():
    """E of an infinite well goes as 1 / L^2."""
    widths = np.array([0.8, 1.0, 1.2]) * NM
    varied = qpinn.vary(lambda width: potentials.infinite_well((0.0, width)), "width", widths, states=2, units=METRES)
    exact = WELL * (NM / widths)[:, None] ** 2 * np.array([1, 4])
    np.testing.assert_allclose(varied.energies, exact, rtol=1e-11)
