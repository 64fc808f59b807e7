"""qpinn: Schroedinger eigenproblems with neural wavefunctions, in JAX."""

from qpinn.drivers.bands import Bands, bands
from qpinn.drivers.derivatives import energies, gradients
from qpinn.drivers.eigenstates import solve
from qpinn.drivers.evolution import Evolution
from qpinn.drivers.evolve import evolve
from qpinn.drivers.load import load
from qpinn.drivers.scatter import Scattering, scatter
from qpinn.drivers.solution import Solution
from qpinn.drivers.vary import Variation, vary
from qpinn.physics import drives, packets, potentials

__version__ = "0.1.0"
__all__ = [
    "Bands", "Evolution", "Scattering", "Solution", "Variation", "__version__", "bands", "drives", "energies", "evolve",
    "gradients", "load", "packets", "potentials", "scatter", "solve", "vary",
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted(__all__)
