"""What psi does at the two ends of its domain.

Each pair of ends makes H = -(psi' / m)' + V psi self-adjoint, with the same quadratic form, the integral of
|psi'|^2 / m + V |psi|^2, on functions with other values at the ends: 0 at a wall, any at a free end, the same but for
a phase at the ends of a period. Fewer functions mean higher levels (Reed & Simon IV, section XIII.15).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np

NAMES = ("wall", "free", "periodic")
"""What an end of a box may be."""

EPS = float(np.finfo(np.float64).eps)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Ends:
    """What psi does at the left and at the right end of its domain, of length a.

    wall      psi = 0 (Dirichlet)
    free      psi' / m = 0 (Neumann)
    periodic  psi(right) = exp(i theta) psi(left), and psi' / m likewise: a ring, or a period of a crystal with the
              wave number k = theta / a (Bloch). theta = 0 is periodic, theta = pi antiperiodic.
    open      nothing is given: waves come and go, and what is known of them ties psi' / m to psi (`OPEN`)

    theta is a leaf, so that one compiled programme serves every k.
    """

    left: str = dataclasses.field(default="wall", metadata={"static": True})
    right: str = dataclasses.field(default="wall", metadata={"static": True})
    theta: Any = 0.0

    @property
    def walls(self) -> bool:
        """Whether psi = 0 at both."""
        return self.left == self.right == "wall"

    @property
    def ring(self) -> bool:
        """Whether the two ends are joined."""
        return self.left == "periodic"

    @property
    def alike(self) -> bool:
        """Whether both do the same, not joined: a reflection about the middle of the domain changes nothing."""
        return self.left == self.right and not self.ring

    @property
    def cosine(self) -> float:
        """cos(theta), exactly 1 or -1 where psi may be chosen real."""
        cosine = math.cos(self.theta)
        return round(cosine) if self.real else cosine

    @property
    def sine(self) -> float:
        """sin(theta), exactly 0 where psi may be chosen real."""
        return 0.0 if self.real else math.sin(self.theta)

    @property
    def real(self) -> bool:
        """Whether psi may be chosen real: theta is a multiple of pi to rounding."""
        return abs(math.sin(self.theta)) <= 4 * EPS * max(1.0, abs(self.theta))

    @property
    def phase(self) -> complex | float:
        """exp(i theta), a real number where psi may be chosen real."""
        return float(self.cosine) if self.real else complex(self.cosine, self.sine)

    def described(self) -> dict[str, Any]:
        """For a results file."""
        names = {"left": self.left, "right": self.right}
        return {**names, "theta": float(self.theta)} if self.ring else names


WALLS = Ends()

OPEN = Ends("open", "open")
"""Of scattering (`qpinn.equations.scattering`)."""


def ends(left: str = "wall", right: str = "wall", theta: float = 0.0) -> Ends:
    """Ends by name. Raises ValueError for another name, a single periodic end, or a phase that none of them has."""
    for key, name in (("left", left), ("right", right)):
        if name not in NAMES:
            raise ValueError(f"ends.{key}={name!r}: must be one of {', '.join(NAMES)}")
    if (left == "periodic") != (right == "periodic"):
        raise ValueError(f"ends.left={left}, ends.right={right}: periodic ends are joined; name both so, or neither")
    if isinstance(theta, bool) or not isinstance(theta, (int, float)) or not math.isfinite(theta):
        raise ValueError(f"ends.theta={theta!r}: must be a finite number, the phase of psi over a period")
    if theta and left != "periodic":
        raise ValueError(f"ends.theta={theta:g}: is the phase of psi over a period; needs periodic ends")
    return Ends(left, right, float(theta))
