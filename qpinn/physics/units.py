"""Lengths and energies with units: nm and eV in place of L and hbar^2 / (2 m L^2).

With L = 1 nm and m = mass m_e the dimensionless unit of energy is hbar^2 / (2 mass m_e nm^2), 38.1 meV / mass. So the
numbers of a length are the same with and without units, and those of an energy differ by one factor. Constants from
scipy.constants (CODATA).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from qpinn.physics.hamiltonian import changed


@dataclasses.dataclass(frozen=True)
class Units:
    """Names of the units of length and energy, and the dimensionless unit of energy in them (`scale`)."""

    length: str
    energy: str
    scale: float

    @property
    def none(self) -> bool:
        """Whether numbers are dimensionless."""
        return self == DIMENSIONLESS


DIMENSIONLESS = Units("L", "ħ²/2mL²", 1.0)

SYSTEMS = ("dimensionless", "semiconductor")


def of(name: str, mass: float = 1.0) -> Units:
    """Units by name; `mass` is the effective mass m in m_e, for a potential that brings none."""
    if name == "dimensionless":
        return DIMENSIONLESS
    from scipy import constants

    joule = constants.hbar**2 / (2 * mass * constants.m_e * constants.nano**2)
    return Units("nm", "eV", joule / constants.eV)


def dimensionless(potential: Any, units: Units, mass: float | None = None) -> Any:
    """A potential with its numbers in `units` made dimensionless.

    Raises ValueError if its numbers have no units, or if both it and `mass` give an effective mass.
    """
    layered = hasattr(potential, "mass")
    if units.none:
        if layered:
            raise ValueError(f"potential={potential.name}: is in nm, eV and m_e; needs units=semiconductor")
        return potential
    if potential.energies is None:
        raise ValueError(f"units=semiconductor: {potential.name} has numbers without units; leave it out")
    if layered and mass is not None:
        raise ValueError(f"units.mass={mass:g}: {potential.name} brings its own masses; leave it out")
    powers = potential.energies
    numbers = {key: getattr(potential, key) * units.scale ** -powers[key] for key in powers}
    return changed(potential, **numbers)
