"""Reference levels of -psi'' + V psi = E psi with psi = 0 at both walls: three routes that share no equation.

`exact` solves the transcendental equation of piecewise-constant potentials, `spectral_elements` takes any potential
that is smooth between its breakpoints, `finite_differences` is the usual second-order grid.

Units: lengths in L, energies in hbar^2 / (2 m L^2). SciPy is imported where it is needed: it costs start-up time.
"""

import dataclasses
from typing import Any

from qpinn.physics.enclosure import constant_in_pieces
from qpinn.physics.reference.box import Eigenstates
from qpinn.physics.reference.grid import finite_differences
from qpinn.physics.reference.layers import exact
from qpinn.physics.reference.spectral import spectral_elements

__all__ = ["Eigenstates", "best", "exact", "finite_differences", "spectral_elements"]


def best(potential: Any, states: int) -> Eigenstates:
    """The lowest `states` levels in the box of a potential: exact where V is constant in pieces, else spectral."""
    if constant_in_pieces(potential):
        return exact(potential, states)
    if hasattr(potential, "knots"):  # a polynomial between each two of them
        cut = dataclasses.replace(potential, breakpoints=tuple(map(float, potential.knots[1:-1])))
        return spectral_elements(cut, states, degree=max(6, min(30, 1500 // len(potential.knots))))
    return spectral_elements(potential, states, degree=30)
