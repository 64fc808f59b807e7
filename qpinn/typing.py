"""Names of the shapes that every module shares; other arrays say theirs where they stand, by jaxtyping.

All quantities are dimensionless: lengths in units of some L, energies in units of hbar^2 / (2 m L^2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
from jaxtyping import Float

Array: TypeAlias = jax.Array

Key: TypeAlias = jax.Array
"""A key of random numbers."""

Point: TypeAlias = Float[Array, "d"]
"""One position; d = 1 on a line."""

Scalar: TypeAlias = Float[Array, ""]
"""One number."""

Params: TypeAlias = Any
"""A pytree; whatever is in it is trained."""

Psi: TypeAlias = Callable[[Point], Scalar]
"""An unbatched wavefunction of position alone: (d,) -> ()."""
