"""qpinn: Schroedinger eigenproblems with neural wavefunctions, in JAX."""

from qpinn.physics import potentials
from qpinn.solver import Solution, solve

__version__ = "0.1.0"
__all__ = ["Solution", "__version__", "potentials", "solve"]
