"""Checks of what a user gives: a ValueError of one line that names the key, the value, and what is allowed."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterable
from typing import Any

LIMIT = 1e12
"""Largest size of a number that is allowed; of V see `qpinn.physics.enclosure.largest`."""

SMALLEST = 1e-30
"""Smallest positive number that is allowed: energies in J are as small as 1e-24."""


OTHER_WORDS = {
    "xavier": "glorot", "kaiming": "he", "silu": "swish", "logistic": "sigmoid", "lm": "levenberg_marquardt",
    "lbfgs": "adam_lbfgs", "l_bfgs": "adam_lbfgs", "square_well": "finite_well",
    "oscillator": "harmonic", "quartic": "anharmonic", "dirac": "delta", "dirichlet": "walls", "neumann": "free",
    "bloch": "periodic", "ring": "periodic", "formula": "expression", "table": "sampled", "csv": "sampled",
    "semiconductors": "semiconductor", "rayleigh_ritz": "ritz", "pinn": "envelope", "spline": "cubic",
}  # fmt: skip
"""What people call some of the names."""


def one_of(key: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise a ValueError, with a suggestion, unless `value` is one of `allowed`."""
    names = list(allowed)
    if value not in names:
        raise ValueError(f"{key}={value}: unknown; {suggestion(str(value), names)}allowed: {', '.join(names)}")


def suggestion(word: str, names: Iterable[str]) -> str:
    """ "did you mean X? ", or nothing where no name is close."""
    known = list(names)
    other = OTHER_WORDS.get(word.lower().replace("-", "_"))
    close = [other] if other in known else difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}? " if close else ""


def plain(value: Any) -> Any:
    """A number of NumPy or JAX as Python's, their rows of numbers as lists; anything else, a tracer too, as it is."""
    if getattr(value, "ndim", None) not in (0, 1) or not hasattr(value, "tolist"):
        return value
    try:
        return value.tolist()
    except Exception:  # of what has no numbers yet, or never: a tracer, a key of jax.random
        return value


def shown(value: Any) -> str:
    """A value as an error shows it: in one line, and not too long."""
    return " ".join(reprlib.repr(value).split())


def whole(key: str, value: Any, least: int, most: int | None = None) -> int:
    """`value` as an int, or a ValueError unless it is one with least <= value <= most."""
    value = plain(value)
    number = isinstance(value, int) and not isinstance(value, bool)
    if not number or value < least or (most is not None and value > most):
        raise ValueError(f"{key}={value}: must be a whole number from {least}{'' if most is None else f' to {most}'}")
    return int(value)


def finite(key: str, value: Any) -> float:
    """`value` as a float, or a ValueError if it is not a finite number of a usable size."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key}={shown(value)}: must be a number")
    if not math.isfinite(value):
        raise ValueError(f"{key}={value}: must be finite")
    if abs(value) > LIMIT:
        raise ValueError(f"{key}={value}: must lie within +-{LIMIT:g}")
    return float(value)


def positive(key: str, value: Any) -> float:
    """`value` as a float, or a ValueError if it is not a positive number of a usable size."""
    number = finite(key, value)
    if number < SMALLEST:
        raise ValueError(f"{key}={value}: must be positive, at least {SMALLEST:g}")
    return number
