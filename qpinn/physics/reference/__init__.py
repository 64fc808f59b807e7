"""Reference levels of -psi'' + V psi = E psi, with whatever ends it has: three routes that share no equation.

`exact` solves the transcendental equation of piecewise-constant potentials, `spectral_elements` takes any potential
that is smooth between its breakpoints, `finite_differences` is the usual second-order grid.

Units: lengths in L, energies in hbar^2 / (2 m L^2). SciPy is imported where it is needed: it costs start-up time.
"""

from typing import Any

from qpinn.physics.enclosure import constant_in_pieces
from qpinn.physics.hamiltonian import changed, ends_of
from qpinn.physics.reference.box import Eigenstates, SizeError
from qpinn.physics.reference.grid import finite_differences
from qpinn.physics.reference.layers import exact
from qpinn.physics.reference.spectral import spectral_elements
from qpinn.physics.symmetry import reflects

__all__ = [
    "Eigenstates",
    "SizeError",
    "best",
    "exact",
    "finite_differences",
    "fitted",
    "spectral_elements",
]


def fitted(potential: Any) -> tuple[Any, int]:
    """The potential with every place where V is not smooth among its breakpoints, and a degree for its elements."""
    if hasattr(potential, "knots"):  # a polynomial between each two of them
        cut = changed(potential, bends=tuple(range(1, len(potential.knots) - 1)))
        knots = len(potential.knots)
        return cut, max(2, min(8, 45_000 // knots), min(30, 1500 // knots))  # so that they can be halved
    return potential, 30


def best(potential: Any, states: int) -> Eigenstates:
    """The lowest `states` levels in the box of a potential, with their errors: exact where V is constant in pieces.

    Else, and on a ring where psi is not even or odd, spectral elements on two meshes. Raises SizeError if these are too
    many.
    """
    solvable = not ends_of(potential).ring or reflects(potential) or not potential.breakpoints
    if solvable and constant_in_pieces(potential):
        return exact(potential, states)
    smooth, degree = fitted(potential)
    return spectral_elements(smooth, states, degree, checked=True)
