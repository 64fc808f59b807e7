"""Units as people have them: a rotor constant, two masses, joules, a row of units below a header. CODATA by SciPy."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import constants, special

import qpinn
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import UnitsChoice
from qpinn.geometry.domain import Ends
from qpinn.physics import potentials, reference, units
from qpinn.physics.hamiltonian import hamiltonian

RING = {"left": "periodic", "right": "periodic"}
TORSION = "D*((1 - sin(3*x)^4)*cos(3*x)^2 + (cos(6*x) + 1)*sin(3*x)^2/2)"
"""Of a methyl group in a solid, B = 0.665 meV and D = 13.17 meV; its levels are published."""
LEVELS = [6.3946, 6.9478, 6.9478, 8.4283, 8.4283]


def test_a_methyl_rotor_in_its_own_units():
    settings = {"name": "rotor", "constant": 0.665}
    solution = qpinn.solve(TORSION, domain=(0, 2 * np.pi), parameters={"D": 13.17}, states=5, ends=RING, units=settings)
    np.testing.assert_allclose(solution.energies, LEVELS, atol=6e-4)
    assert (solution.units.length, solution.units.energy) == ("rad", "meV")


def test_levels_of_a_rotor_are_those_of_mathieu():
    """H = -B d^2/dphi^2 + V3 cos(3 phi) / 2 over one barrier: 9 B a / 4 with q = V3 / (9 B), u = 3 phi / 2."""
    constant, v3 = 5.27, 373.0  # cm^-1, about those of a methyl group in a gas
    chosen = units.of("rotor", constant=constant, energy="cm-1")
    barrier = potentials.expression((0.0, 2 * np.pi / 3), "V3*cos(3*x)/2", parameters={"V3": v3})
    bare = units.dimensionless(barrier, chosen)
    levels = reference.best(hamiltonian(bare, Ends("periodic", "periodic")), 3).energies * chosen.scale
    q = v3 / (9 * constant)
    exact = [special.mathieu_a(0, q), special.mathieu_b(2, q), special.mathieu_a(2, q)]
    np.testing.assert_allclose(levels, np.sort(exact) * 9 * constant / 4, rtol=1e-11)


def test_angles_in_a_file_are_converted_and_are_no_lengths(tmp_path):
    path = tmp_path / "torsion.csv"
    phi = np.linspace(0, 360, 73)
    np.savetxt(path, np.stack([phi, 10 * (1 - np.cos(np.radians(3 * phi)))], axis=1), header="phi (deg), V (kJ/mol)",
               delimiter=",", comments="")  # fmt: skip
    table = potentials.sampled(path, interpolation="cubic")
    given = units.converted(table, units.of("rotor", energy="kJ/mol"))
    np.testing.assert_allclose(given.domain, (0, 2 * np.pi), rtol=1e-15)
    assert given(np.pi / 3) == pytest.approx(20.0)
    with pytest.raises(ValueError, match=r"^units\.length=nm: .* is in deg, kJ/mol; allowed: rotor$"):
        units.converted(table, units.of("semiconductor"))
    with pytest.raises(ValueError, match=r"^units=dimensionless: .* is in deg, kJ/mol; allowed: rotor$"):
        units.converted(table, units.DIMENSIONLESS)
    path.write_text("R (A),V (eV)\n0,1\n1,0\n2,1\n")
    with pytest.raises(ValueError, match=r"^units\.length=rad: .* is in angstrom, eV; allowed: semiconductor, atomic"):
        units.converted(potentials.sampled(path), units.of("rotor"))


def test_a_reduced_mass_of_two():
    """H2 in a parabola of 5.75e5 dyn/cm: hbar omega (n + 1/2), omega = sqrt(k / m), m half of that of hydrogen."""
    hydrogen, k = 1.00782503207, 575.0  # amu, N/m
    curve = f"{0.5 * k * 1e-20 / (100 * constants.h * constants.c)}*x^2"  # cm^-1, x in angstrom
    solution = qpinn.solve(curve, domain=(-0.9, 0.9), states=2,
                           units={"name": "spectroscopic", "masses": [hydrogen, hydrogen]})  # fmt: skip
    omega = np.sqrt(k / (hydrogen / 2 * constants.atomic_mass)) / (2 * np.pi * constants.c * 100)
    np.testing.assert_allclose(solution.energies, omega * np.array([0.5, 1.5]), rtol=1e-9)
    assert units.of("spectroscopic", 3 * 2 / (3 + 2)).scale == pytest.approx(
        _chosen(masses=[3, 2]).units.scale, rel=1e-15
    )


def _chosen(**keys):
    return from_mapping(UnitsChoice, {"name": "spectroscopic", **keys}, "units.")


def test_energies_in_joule():
    """An infinite well of 10 nm: h^2 / (8 m L^2), in J and in eV."""
    well = qpinn.potentials.infinite_well((0.0, 10.0))
    exact = constants.h**2 / (8 * constants.m_e * 1e-16)
    in_joule = units.of("semiconductor", energy="J")
    np.testing.assert_allclose(np.pi**2 / 100 * in_joule.scale, exact, rtol=1e-12)
    solution = qpinn.solve(well, units={"name": "semiconductor", "energy": "J"})
    np.testing.assert_allclose(solution.energy, exact, rtol=1e-11)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("# R V\n# angstrom cm-1\n", ("angstrom", "cm^-1")), ("R,V\nangstrom,cm-1\n", ("angstrom", "cm^-1")),
        ("# x V\n# (m) (J)\n", ("m", "J")), ("x_m,V_J\n", ("m", "J")), ("x (m) V [J]\n", ("m", "J")),
        ("# mine\n# r energy\n# [bohr] [hartree]\n# ---\n", ("bohr", "hartree")),
        ("# r V\n# made in 2024\n", ()), ("# phi V\n# deg -\n", ("deg",)),
    ],
)  # fmt: skip
def test_units_of_a_header_or_of_a_row_below_it(tmp_path, text, given):
    path = tmp_path / "table.dat"
    separator = "," if "," in text else " "
    path.write_text(text + "".join(f"{k}{separator}{k * k}\n" for k in range(1, 6)))
    table = potentials.sampled(path)
    assert tuple(unit for _, unit in table.given) == given
    np.testing.assert_array_equal(table.knots, [1, 2, 3, 4, 5])


def test_a_table_in_metres_and_joules_is_the_one_in_nm_and_ev(tmp_path):
    x = np.linspace(-5, 5, 41)
    tables = {"m": "x (m),V (J)", "nm": "x (nm),V (eV)"}
    for unit, header in tables.items():
        length, energy = (1e-9, constants.e) if unit == "m" else (1.0, 1.0)
        np.savetxt(tmp_path / unit, np.stack([x * length, x**2 / 50 * energy], axis=1), delimiter=",", header=header)
    in_m, in_nm = (
        units.converted(potentials.sampled(tmp_path / unit, "cubic"), units.of("semiconductor")) for unit in tables
    )
    np.testing.assert_allclose(in_m.knots, in_nm.knots, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(in_m(x), in_nm(x), rtol=1e-9, atol=1e-12)


def test_names_of_units_are_those_of_codata():
    for name, value in {"J": 1.0, "eV": constants.e, "hartree": constants.value("Hartree energy"), "K": constants.k,
                        "cm^-1": 100 * constants.h * constants.c, "THz": 1e12 * constants.h}.items():  # fmt: skip
        chosen = units.of("atomic", energy=name)
        exact = constants.hbar**2 / (2 * constants.m_e * constants.value("Bohr radius") ** 2) / value
        np.testing.assert_allclose(chosen.scale, exact, rtol=1e-12)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name": "rotor"}, "units.constant=null: a rotor needs its constant B"),
        ({"name": "rotor", "constant": -1}, "units.constant=-1.0: must be positive"),
        ({"name": "rotor", "constant": 1, "mass": 2}, "units.mass=2.0: has an effect only with units=semiconductor"),
        ({"name": "rotor", "constant": 1, "length": "nm"}, "units.length=nm: has an effect only with"),
        ({"name": "rotor", "constant": 1, "energy": "nm"}, "units.energy=nm: unknown; allowed: eV, meV"),
        ({"constant": 1}, "units.constant=1.0: has an effect only with units=rotor"),
        ({"masses": [1, 2], "mass": 1}, "units.mass=1: and units.masses=[1.0, 2.0]; give one of the two"),
        ({"masses": [1, -2]}, "units.masses=-2: must lie from 1e-06 to 1e+06"),
        ({"masses": [1, 2, 3]}, "units.masses=[1, 2, 3]: must be two numbers"),
        ({"name": "dimensionless", "masses": [1, 2]}, "units.masses=[1.0, 2.0]: has an effect only with"),
    ],
)
def test_units_that_do_not_go_together(keys, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        _chosen(**keys)
