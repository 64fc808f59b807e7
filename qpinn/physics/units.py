"""Lengths, energies and masses with units, in place of L and hbar^2 / (2 m L^2).

With L = 1 of the unit of length and m = mass of the unit of mass, the dimensionless unit of energy is
hbar^2 / (2 m L^2): 38.1 meV / mass for nm and m_e. So the numbers of a length are the same with and without units, and
those of an energy differ by one factor. Constants from scipy.constants (CODATA).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from scipy import constants

from qpinn.checks import one_of
from qpinn.physics.hamiltonian import changed

_codata = constants.physical_constants

LENGTHS = {"nm": 1e-9, "angstrom": 1e-10, "bohr": _codata["Bohr radius"][0], "pm": 1e-12, "um": 1e-6, "m": 1.0}
ENERGIES = {
    "eV": constants.eV, "meV": 1e-3 * constants.eV, "cm^-1": 100 * constants.h * constants.c,
    "hartree": _codata["Hartree energy"][0], "kJ/mol": 1e3 / constants.N_A, "kcal/mol": 4184 / constants.N_A,
    "K": constants.k, "THz": 1e12 * constants.h, "J": 1.0,
}  # fmt: skip
MASSES = {"m_e": constants.m_e, "amu": constants.atomic_mass, "kg": 1.0}
"""Units in those of the SI. m, J and kg are for files alone: numbers of other units are of a usable size."""

OTHER_NAMES = {
    "a": "angstrom", "å": "angstrom", "ang": "angstrom", "angstroms": "angstrom", "a0": "bohr", "a_0": "bohr",
    "au": "bohr", "µm": "um", "micron": "um",
    "cm-1": "cm^-1", "1/cm": "cm^-1", "cm**-1": "cm^-1", "wavenumber": "cm^-1",
    "cm^{-1}": "cm^-1", "cm⁻¹": "cm^-1", "ha": "hartree", "eh": "hartree", "e_h": "hartree", "me": "m_e", "m0": "m_e",
    "u": "amu", "da": "amu", "kelvin": "K",
}  # fmt: skip

SYSTEMS = {
    "dimensionless": None, "semiconductor": ("nm", "eV", "m_e"), "atomic": ("bohr", "hartree", "m_e"),
    "spectroscopic": ("angstrom", "cm^-1", "amu"),
}  # fmt: skip
"""Units of length, energy and mass by one name."""


@dataclasses.dataclass(frozen=True)
class Units:
    """Names of the units of length, energy and mass, and the dimensionless unit of energy in them (`scale`)."""

    length: str
    energy: str
    scale: float
    mass: str = "m"

    @property
    def none(self) -> bool:
        """Whether numbers are dimensionless."""
        return self == DIMENSIONLESS


DIMENSIONLESS = Units(length="L", energy="ħ²/2mL²", scale=1.0)


def named(key: str, value: Any, allowed: Mapping[str, float]) -> str:
    """The name of a unit, by which it is known here. Raises ValueError, naming `key`, for one that is not allowed."""
    text = str(value).strip()
    by_case = {name.lower(): name for name in allowed if len(name) > 3 or name[0] == text[:1]}  # MeV is not meV
    name = text if text in allowed else by_case.get(text.lower(), OTHER_NAMES.get(text.lower(), text))
    one_of(key, name if name in allowed else text, allowed)
    return name


def of(
    name: str, mass: float = 1.0, length: str | None = None, energy: str | None = None, mass_unit: str | None = None
) -> Units:
    """Units by the name of a system, with single ones in their place. `mass` is that of the particle, m.

    Raises ValueError for a unit that is not known.
    """
    system = SYSTEMS[name]
    if system is None:
        return DIMENSIONLESS
    usual = system[0] if length is None else named("units.length", length, without(LENGTHS, "m")), \
        system[1] if energy is None else named("units.energy", energy, without(ENERGIES, "J")), \
        system[2] if mass_unit is None else named("units.mass_unit", mass_unit, without(MASSES, "kg"))  # fmt: skip
    joule = constants.hbar**2 / (2 * mass * MASSES[usual[2]] * LENGTHS[usual[0]] ** 2)
    return Units(length=usual[0], energy=usual[1], scale=joule / ENERGIES[usual[1]], mass=usual[2])


def without(units: Mapping[str, float], name: str) -> dict[str, float]:
    """Units but for one of them."""
    return {key: value for key, value in units.items() if key != name}


def converted(potential: Any, units: Units) -> Any:
    """A potential whose file says its units, with its numbers in `units`; any other as it is.

    Raises ValueError if the numbers of `units` are dimensionless.
    """
    given = {key: name for key, name in getattr(potential, "given", {}) if name}
    if not given:
        return potential
    if units.none:
        shown = ", ".join(given.values())
        others = ", ".join(name for name, system in SYSTEMS.items() if system)
        raise ValueError(f"units=dimensionless: potential.file={potential.file} is in {shown}; allowed: {others}")
    tables = {"length": LENGTHS, "energy": ENERGIES, "mass": MASSES}
    factors = {key: table[given[key]] / table[getattr(units, key)] if key in given else 1.0
               for key, table in tables.items()}  # fmt: skip
    return potential.times(**factors)


def dimensionless(potential: Any, units: Units, mass: float | None = None) -> Any:
    """A potential with its numbers in `units` made dimensionless.

    Raises ValueError if its numbers have no units, or if both it and `mass` give an effective mass.
    """
    potential = converted(potential, units)
    layered = hasattr(potential, "mass")
    if units.none:
        if layered:
            raise ValueError(f"potential={potential.name}: is in nm, eV and m_e; needs units=semiconductor")
        return potential
    if potential.energies is None:
        raise ValueError(
            f"units={units.length}, {units.energy}: {potential.name} has numbers without units; leave it out"
        )
    if layered and mass is not None:
        raise ValueError(f"units.mass={mass:g}: {potential.name} brings its own masses; leave it out")
    powers = potential.energies
    numbers = {key: getattr(potential, key) * units.scale ** -powers[key] for key in powers}
    return changed(potential, **numbers)
