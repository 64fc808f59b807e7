"""Names of the shapes that every module shares.

All quantities are dimensionless: lengths in units of some L, energies in units of hbar^2 / (2 m L^2).

    Point    (d,)      one position; d = 1 for every problem that ships
    Scalar   ()        one number
    Params   pytree    whatever is in it is trained
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax

Array: TypeAlias = jax.Array
Point: TypeAlias = jax.Array
Scalar: TypeAlias = jax.Array
Params: TypeAlias = Any
Psi: TypeAlias = Callable[[Point], Scalar]
"""An unbatched wavefunction of position alone: (d,) -> ()."""
