"""Lengths, energies and masses with units, in place of L and hbar^2 / (2 m L^2).

With L = 1 of the unit of length and m = mass of the unit of mass, the dimensionless unit of energy is
hbar^2 / (2 m L^2): 38.1 meV / mass for nm and m_e. So the numbers of a length are the same with and without units, and
those of an energy differ by one factor. Constants from scipy.constants (CODATA).

On a ring of angles in rad the rotor constant B = hbar^2 / (2 I) stands in its place: H = -B d^2/dphi^2 + V.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Collection
from typing import Any

import jax

from qpinn.checks import one_of
from qpinn.physics.hamiltonian import changed

NAMES = {
    "length": ("nm", "angstrom", "bohr", "pm", "um", "m"),
    "energy": ("eV", "meV", "cm^-1", "hartree", "kJ/mol", "kcal/mol", "K", "THz", "J"),
    "mass": ("m_e", "amu", "kg"),
}
"""What units of each kind are called here."""

MASSES_IN_KG = 9.1e-37, 1.7e-21
"""Allowed for a particle: from 1e-6 m_e to 1e6 amu."""

ANGLES = {"rad": 1.0, "deg": math.pi / 180}
"""Units of what stands in the place of a length on a ring, in rad."""

OTHER_NAMES = {
    "a": "angstrom", "å": "angstrom", "ang": "angstrom", "angstroms": "angstrom", "a0": "bohr", "a_0": "bohr",
    "au": "bohr", "µm": "um", "micron": "um",
    "cm-1": "cm^-1", "1/cm": "cm^-1", "cm**-1": "cm^-1", "wavenumber": "cm^-1",
    "cm^{-1}": "cm^-1", "cm⁻¹": "cm^-1", "ha": "hartree", "eh": "hartree", "e_h": "hartree", "me": "m_e", "m0": "m_e",
    "u": "amu", "da": "amu", "kelvin": "K", "joule": "J", "metre": "m", "meter": "m", "radian": "rad",
    "radians": "rad", "degree": "deg", "degrees": "deg", "°": "deg",
}  # fmt: skip

SYSTEMS = {
    "dimensionless": None, "semiconductor": ("nm", "eV", "m_e"), "atomic": ("bohr", "hartree", "m_e"),
    "spectroscopic": ("angstrom", "cm^-1", "amu"), "rotor": ("rad", "meV", ""),
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


def time(units: Units) -> tuple[str, float]:
    """The unit of time, and how many dimensionless ones, hbar / (hbar^2 / 2mL^2), it has: fs, or hbar / hartree."""
    if units.none:
        return "2mL^2/hbar", 1.0
    from scipy.constants import hbar

    seconds = hbar / si("energy")[units.energy]
    if units.energy == "hartree":
        return "hbar/hartree", units.scale
    return "fs", 1e-15 / seconds * units.scale


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


def of_header(kind: str) -> tuple[str, ...]:
    """Units that the header of a file may say of a kind."""
    return (*NAMES[kind], *(ANGLES if kind == "length" else ()))


def known(text: str) -> bool:
    """Whether this is the name of a unit, of whatever kind."""
    try:
        return bool(named("", text, [name for kind in NAMES for name in of_header(kind)]))
    except ValueError:
        return False


def named(key: str, value: Any, allowed: Collection[str]) -> str:
    """The name of a unit, by which it is known here. Raises ValueError, naming `key`, for one that is not allowed."""
    text = str(value).strip()
    by_case = {name.lower(): name for name in allowed if len(name) > 3 or name[0] == text[:1]}  # MeV is not meV
    name = text if text in allowed else by_case.get(text.lower(), OTHER_NAMES.get(text.lower(), text))
    one_of(key, name if name in allowed else text, allowed)
    return name


def of(
    name: str, mass: float = 1.0, length: str | None = None, energy: str | None = None, mass_unit: str | None = None,
    constant: float | None = None,
) -> Units:  # fmt: skip
    """Units by the name of a system, with single ones in their place.

    mass      of the particle, m
    constant  B of a rotor, in the unit of energy

    Raises ValueError for a unit that is not known.
    """
    system = SYSTEMS[name]
    if system is None:
        return DIMENSIONLESS
    if name == "rotor":
        energy = system[1] if energy is None else named("units.energy", energy, NAMES["energy"])
        return Units(length="rad", energy=energy, scale=constant or 1.0, mass="")
    chosen: dict[str, str] = {}
    for (key, unit), usual, kind in zip(
        (("length", length), ("energy", energy), ("mass_unit", mass_unit)), system, NAMES, strict=True
    ):
        chosen[kind] = usual if unit is None else named(f"units.{key}", unit, NAMES[kind])
    from scipy.constants import hbar

    metre, joule, kilogram = (si(kind)[chosen[kind]] for kind in NAMES)
    return Units(**chosen, scale=hbar**2 / (2 * mass * kilogram * metre**2) / joule)


def converted(potential: Any, units: Units) -> Any:
    """A potential whose file says its units, with its numbers in `units`, as is an electric field; any other as it is.

    Raises ValueError if the numbers of `units` are dimensionless, or angles where those of the file are lengths.
    """
    if hasattr(potential, "field_unit") and units.length in si("length"):  # kV / cm
        volt, metre = si("energy")["eV"] / si("energy")[units.energy], si("length")[units.length]
        potential = changed(potential, field_unit=1e5 * volt * metre)
    given = dict(getattr(potential, "given", ()))
    if not given:
        return potential
    angle = given.get("length") in ANGLES
    if units.none or ("length" in given and angle != (units.length in ANGLES)):
        system = "units=dimensionless" if units.none else f"units.length={units.length}"
        fitting = [name for name, of_it in SYSTEMS.items() if of_it and (of_it[0] in ANGLES) == angle]
        raise ValueError(f"{system}: potential.file={potential.file} is in {', '.join(given.values())}; "
                         f"allowed: {', '.join(fitting)}")  # fmt: skip
    tables = {kind: ANGLES if kind == "length" and angle else si(kind) for kind in given}
    factors = {kind: tables[kind][unit] / tables[kind][getattr(units, kind)] for kind, unit in given.items()}
    return potential.times(**factors)


def dimensionless(potential: Any, units: Units, mass: float | None = None) -> Any:
    """A potential with its numbers in `units` made dimensionless.

    Raises ValueError if its numbers have no units, or if both it and `mass` give an effective mass.
    """
    potential = converted(potential, units)
    layered = hasattr(potential, "mass_at")
    if units.none:
        if getattr(potential, "in_units", False):
            raise ValueError(f"potential={potential.name}: is in nm, eV and m_e; needs units=semiconductor")
        return potential
    if potential.energies is None:
        raise ValueError(
            f"units={units.length}, {units.energy}: {potential.name} has numbers without units; leave it out"
        )
    if layered and units.length in ANGLES:
        raise ValueError(f"units=rotor: potential={potential.name} has masses and lengths; needs units=semiconductor")
    if layered and units.mass == "kg":
        raise ValueError(f"units.mass_unit=kg: {potential.name} has masses of its own; allowed: m_e, amu")
    if layered and mass is not None:
        raise ValueError(f"units.mass={mass:g}: {potential.name} brings its own masses; leave it out")
    powers = potential.energies
    numbers = {key: jax.tree.map(lambda number, power=powers[key]: number * units.scale**-power, value)
               for key in powers if (value := getattr(potential, key)) is not None}  # fmt: skip
    return changed(potential, **numbers)
