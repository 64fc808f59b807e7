"""Lengths, energies and masses with units, in place of L and hbar^2 / (2 m L^2).

With L = 1 of the unit of length and m = mass of the unit of mass, the dimensionless unit of energy is
hbar^2 / (2 m L^2): 38.1 meV / mass for nm and m_e. So the numbers of a length are the same with and without units, and
those of an energy differ by one factor. Constants from scipy.constants (CODATA).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection
from typing import Any

from qpinn.checks import one_of
from qpinn.physics.hamiltonian import changed

NAMES = {
    "length": ("nm", "angstrom", "bohr", "pm", "um", "m"),
    "energy": ("eV", "meV", "cm^-1", "hartree", "kJ/mol", "kcal/mol", "K", "THz", "J"),
    "mass": ("m_e", "amu", "kg"),
}
"""What units of each kind are called here."""

OF_FILES = ("m", "J", "kg")
"""Units of files alone: numbers of the others are of a usable size."""

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


@functools.cache
def si(kind: str) -> dict[str, float]:
    """The units of a kind in those of the SI."""
    from scipy import constants  # takes a tenth of a second

    bohr, hartree = (constants.physical_constants[name][0] for name in ("Bohr radius", "Hartree energy"))
    values = {
        "nm": 1e-9, "angstrom": 1e-10, "bohr": bohr, "pm": 1e-12, "um": 1e-6, "m": 1.0,
        "eV": constants.eV, "meV": 1e-3 * constants.eV, "cm^-1": 100 * constants.h * constants.c, "hartree": hartree,
        "kJ/mol": 1e3 / constants.N_A, "kcal/mol": 4184 / constants.N_A, "K": constants.k, "THz": 1e12 * constants.h,
        "J": 1.0, "m_e": constants.m_e, "amu": constants.atomic_mass, "kg": 1.0,
    }  # fmt: skip
    return {name: values[name] for name in NAMES[kind]}


def named(key: str, value: Any, allowed: Collection[str]) -> str:
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
    chosen = {}
    for (key, unit), usual, kind in zip(
        (("length", length), ("energy", energy), ("mass_unit", mass_unit)), system, NAMES, strict=True
    ):
        allowed = [name for name in NAMES[kind] if name not in OF_FILES]
        chosen[kind] = usual if unit is None else named(f"units.{key}", unit, allowed)
    from scipy.constants import hbar

    metre, joule, kilogram = (si(kind)[chosen[kind]] for kind in NAMES)
    return Units(**chosen, scale=hbar**2 / (2 * mass * kilogram * metre**2) / joule)


def converted(potential: Any, units: Units) -> Any:
    """A potential whose file says its units, with its numbers in `units`; any other as it is.

    Raises ValueError if the numbers of `units` are dimensionless.
    """
    given = dict(getattr(potential, "given", ()))
    if not given:
        return potential
    if units.none:
        shown = ", ".join(given.values())
        others = ", ".join(name for name, system in SYSTEMS.items() if system)
        raise ValueError(f"units=dimensionless: potential.file={potential.file} is in {shown}; allowed: {others}")
    factors = {kind: si(kind)[unit] / si(kind)[getattr(units, kind)] for kind, unit in given.items()}
    return potential.times(**factors)


def dimensionless(potential: Any, units: Units, mass: float | None = None) -> Any:
    """A potential with its numbers in `units` made dimensionless.

    Raises ValueError if its numbers have no units, or if both it and `mass` give an effective mass.
    """
    potential = converted(potential, units)
    if units.none:
        if getattr(potential, "in_units", False):
            raise ValueError(f"potential={potential.name}: is in nm, eV and m_e; needs units=semiconductor")
        return potential
    if potential.energies is None:
        raise ValueError(
            f"units={units.length}, {units.energy}: {potential.name} has numbers without units; leave it out"
        )
    if hasattr(potential, "mass") and mass is not None:
        raise ValueError(f"units.mass={mass:g}: {potential.name} brings its own masses; leave it out")
    powers = potential.energies
    numbers = {key: getattr(potential, key) * units.scale ** -powers[key] for key in powers}
    return changed(potential, **numbers)
