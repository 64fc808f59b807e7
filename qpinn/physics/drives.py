"""What drives a packet: V(x) + f(t) W(x), f an amplitude in time and W an energy in space."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.checks import finite, shown
from qpinn.physics.packets import function_of
from qpinn.physics.potentials import expression


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drive:
    """f(t) W(x).

    time    f, of times (T,), in the unit of time
    space   W as a formula in x, with f an energy
    label   f(t) W(x) for people
    """

    time: Callable[[np.ndarray], np.ndarray]
    space: str
    label: str
    name: str

    def on(self, left: float, right: float) -> Any:
        """W between walls, as a potential: its values and the places where it jumps. Raises ValueError as that does."""
        try:
            return expression((left, right), self.space)
        except ValueError as error:
            raise ValueError(str(error).replace("potential.formula", "drive.space")) from None

    def checked(self, times: Float[np.ndarray, "T"]) -> Drive:
        """Itself. Raises ValueError where f is not finite between the first and the last of `times`."""
        samples = np.linspace(times[0], times[-1], 4001)
        with np.errstate(all="ignore"):
            f = self.time(samples)
        if not np.isfinite(f).all():
            place = samples[np.flatnonzero(~np.isfinite(f))[0]]
            raise ValueError(f"drive.time: f(t) is {f[~np.isfinite(f)][0]:g} at t = {place:g}; must be finite and real")
        return self


def none() -> None:
    """No drive."""
    return None


def dipole(amplitude: float = 1.0, frequency: float = 1.0, phase: float = 0.0) -> Drive:
    """A field that oscillates: amplitude cos(frequency t + phase) x; energy over length, and rad over time.

    Raises ValueError for numbers that are not finite and real.
    """
    a, w, p = (finite(f"drive.{key}", value) for key, value in
               (("amplitude", amplitude), ("frequency", frequency), ("phase", phase)))  # fmt: skip
    plus = f" + {p:g}" if p else ""
    label = f"{a:g} cos({w:g} t{plus}) x"
    return Drive(time=lambda t: a * np.cos(w * t + p), space="x", label=label, name="dipole")


def formula(time: str = "cos(t)", space: str = "x") -> Drive:
    """f(t) W(x) by formulas in t and in x. Raises ValueError for what is no formula."""
    if not isinstance(space, str):
        raise ValueError(f"drive.space={shown(space)}: must be a formula in x")
    function_of(space, "drive.space")
    return Drive(time=function_of(time, "drive.time", "t"), space=space, label=f"({time}) ({space})", name="formula")


DRIVES: Mapping[str, Callable[..., Drive | None]] = {"none": none, "dipole": dipole, "formula": formula}
"""What `drive.name` in a config may say."""
