"""psi(0, x) of a packet: what an evolution in time starts from, as complex functions of x.

`psi0` need not be normalised: it is, on the domain, when it is used. A packet that is a level, or a combination of
levels, has `levels` and no function of x: it is known by its coefficients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from qpinn.checks import finite, positive, shown, whole
from qpinn.physics import tables
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.tables import Column

MOST_LEVELS = 256

COLUMNS = {
    "x": Column("length", ("r", "z", "q", "position")), "re": Column("psi", ("re psi", "real", "psi")),
    "im": Column("psi", ("im psi", "imag", "imaginary"), optional=True),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian:
    """psi0 = exp(-(x - c)^2 / (4 s^2) + i k x): |psi0|^2 has the standard deviation s, <p> = hbar k.

    center c and width s are lengths, momentum k is an inverse length; None: as suits the potential.
    """

    center: float | None = None
    width: float | None = None
    momentum: float = 0.0
    name = "gaussian"

    def __post_init__(self) -> None:
        if self.center is not None:
            finite("packet.center", self.center)
        if self.width is not None:
            positive("packet.width", self.width)
        finite("packet.momentum", self.momentum)

    @property
    def place(self) -> tuple[float, float]:
        """Centre and width, of a packet that has both."""
        assert self.center is not None, "see qpinn.drivers.evolve_places.placed"
        assert self.width is not None, "see qpinn.drivers.evolve_places.placed"
        return self.center, self.width

    def at(self, x: Float[np.ndarray, "Q"]) -> Complex[np.ndarray, "Q"]:
        """psi0 (Q,)."""
        center, width = self.place
        return np.exp(-(((x - center) / width) ** 2) / 4 + 1j * self.momentum * (x - center))

    @property
    def scale(self) -> float:
        """A length over which psi0 varies little."""
        return min(self.place[1], 1 / max(abs(self.momentum), 1e-300))

    def outside(self, left: float, right: float) -> float:
        """Probability beyond two places, of the packet of the whole line."""
        from scipy.special import erfc

        center, width = self.place
        sides = (center - left, right - center)
        return float(sum(erfc(side / (np.sqrt(2) * width)) for side in sides) / 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Superposition:
    """psi0 = sum_j a_j psi_j over levels j of the potential, with amplitudes a_j, real or complex (real, imaginary)."""

    levels: tuple[int, ...]
    amplitudes: tuple[complex, ...]
    name: str = "superposition"

    def coefficients(self, count: int) -> Complex[np.ndarray, "count"]:
        """a_j of the lowest levels, of unit norm."""
        every = np.zeros(count, complex)
        np.add.at(every, np.asarray(self.levels), np.asarray(self.amplitudes))
        return every / np.linalg.norm(every)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Formula:
    """psi0 = (f(x) + i g(x)) from formulas of x, in the grammar of potential=expression."""

    real: Callable[[np.ndarray], np.ndarray]
    imaginary: Callable[[np.ndarray], np.ndarray] | None
    text: tuple[str, str | None]
    name = "formula"
    scale = np.inf

    def at(self, x: Float[np.ndarray, "Q"]) -> Complex[np.ndarray, "Q"]:
        """psi0 (Q,)."""
        value = np.asarray(self.real(x), complex) + np.zeros(len(x))
        return value if self.imaginary is None else value + 1j * np.asarray(self.imaginary(x))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampled:
    """psi0 through samples at ascending x, a cubic spline between them, and zero beyond them."""

    spline: Any
    first: float
    last: float
    scale: float
    name = "sampled"

    def at(self, x: Float[np.ndarray, "Q"]) -> Complex[np.ndarray, "Q"]:
        """psi0 (Q,)."""
        inside = (x >= self.first) & (x <= self.last)
        return np.where(inside, self.spline(np.clip(x, self.first, self.last)), 0.0)


def gaussian(center: float | None = None, width: float | None = None, momentum: float = 0.0) -> Gaussian:
    """A Gaussian packet, see `Gaussian`; at the middle of the potential where no center is given, and as wide as half
    the length over which V changes, or less between walls, where no width is.

    Raises ValueError for numbers that are none.
    """
    return Gaussian(center=center, width=width, momentum=momentum)


def eigenstate(level: int = 0) -> Superposition:
    """A level of the potential. Raises ValueError unless 0 <= level < 256."""
    index = whole("packet.level", level, 0, MOST_LEVELS - 1)
    return Superposition(levels=(index,), amplitudes=(1.0,), name="eigenstate")


def superposition(levels: Sequence[int] = (0, 1), amplitudes: Sequence[Any] | None = None) -> Superposition:
    """A combination of levels; equal amplitudes if there are none, each a number or a pair [real, imaginary].

    Raises ValueError for lists of different lengths, levels that are named twice, or amplitudes that are all zero.
    """
    if not isinstance(levels, Sequence) or isinstance(levels, str) or not levels:
        raise ValueError(f"packet.levels={shown(levels)}: must be indices in brackets, as [0,1]")
    indices = tuple(whole("packet.levels", level, 0, MOST_LEVELS - 1) for level in levels)
    if len(set(indices)) < len(indices):
        raise ValueError(f"packet.levels={list(indices)}: names a level twice")
    given = [1.0] * len(indices) if amplitudes is None else list(amplitudes)
    if len(given) != len(indices):
        raise ValueError(f"packet.amplitudes={shown(given)}: must be {len(indices)} numbers, one for each of "
                         f"packet.levels={list(indices)}")  # fmt: skip
    values = tuple(_complex("packet.amplitudes", value) for value in given)
    if not any(values):
        raise ValueError(f"packet.amplitudes={shown(given)}: must not all be zero")
    return Superposition(levels=indices, amplitudes=values)


def formula(real: str = "exp(-x**2)", imaginary: str | None = None) -> Formula:
    """psi0 by formulas of its real and its imaginary part. Raises ValueError for what is no formula."""
    parts = {"real": real, "imaginary": imaginary}
    functions = {key: None if text is None else function_of(text, f"packet.{key}") for key, text in parts.items()}
    assert functions["real"] is not None
    return Formula(real=functions["real"], imaginary=functions["imaginary"], text=(real, imaginary))


def sampled(file: str | None = None, x: Any = None, psi: Any = None) -> Sampled:
    """psi0 from a CSV file with the columns x, Re psi and, where it is not zero, Im psi; or from arrays.

    Raises ValueError for a file that cannot be read or positions that do not ascend.
    """
    from scipy.interpolate import CubicSpline

    if file is not None:
        x, psi = _read(file)
    if x is None or psi is None:
        raise ValueError("packet.file=null: must be a file with the columns x, Re psi, Im psi")
    x, psi = np.asarray(x, np.float64), np.asarray(psi, complex)
    if x.ndim != 1 or x.shape != psi.shape or len(x) < 4:
        raise ValueError(
            f"packet.x, packet.psi: {x.shape} and {psi.shape}; must be rows of as many numbers, 4 at least"
        )
    if not (np.isfinite(x).all() and np.isfinite(psi).all()) or (np.diff(x) <= 0).any():
        raise ValueError("packet.x: must be finite and ascend, and psi finite")
    return Sampled(spline=CubicSpline(x, psi), first=float(x[0]), last=float(x[-1]), scale=float(np.diff(x).min()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Function:
    """psi0 by a Python function of x, an array."""

    psi: Callable[[np.ndarray], Any]
    name = "function"
    scale = np.inf

    def at(self, x: Float[np.ndarray, "Q"]) -> Complex[np.ndarray, "Q"]:
        """psi0 (Q,)."""
        return np.asarray(self.psi(x), complex) + np.zeros(np.shape(x))


def function(psi: Callable[[np.ndarray], Any]) -> Function:
    """psi0 by a function of arrays of x."""
    return Function(psi=psi)


def function_of(text: Any, key: str, variable: str = "x") -> Callable[[np.ndarray], np.ndarray]:
    """A formula of one variable as a function of arrays. Raises ValueError, naming `key`, for what is no formula."""
    names = () if variable == "x" else (variable,)
    try:
        tree = formulas.parse(text, names)
    except ValueError as error:
        told = str(error).replace("potential.formula", key)
        raise ValueError(told.partition(", and names in potential.parameters")[0]) from None
    if names and formulas.has_x(tree):
        raise ValueError(f"{key}={text}: must be a formula in {variable}, not in x")

    def value(at: np.ndarray) -> np.ndarray:
        at = np.asarray(at, np.float64)
        return np.asarray(formulas.compute(formulas.bound(tree, dict.fromkeys(names, at)), at), np.float64) + 0 * at

    return value


def _complex(key: str, value: Any) -> complex:
    if isinstance(value, complex) and np.isfinite(value):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        return complex(finite(key, value[0]), finite(key, value[1]))
    return complex(finite(key, value))


def _read(file: str) -> tuple[np.ndarray, np.ndarray]:
    """Columns of a file: x, Re psi and, where it has one, Im psi. Raises ValueError for what cannot be read."""
    try:
        table = tables.read(tables.path_of(file, "with the columns x, Re psi, Im psi"), COLUMNS)
    except ValueError as error:
        raise ValueError(str(error).replace("potential.file", "packet.file")) from None
    real, imaginary = table.values["re"], table.values.get("im")
    return table.values["x"], real + (0.0 if imaginary is None else 1j * imaginary)


PACKETS: Mapping[str, Callable[..., Any]] = {
    "gaussian": gaussian, "eigenstate": eigenstate, "superposition": superposition, "formula": formula,
    "sampled": sampled,
}  # fmt: skip
"""What `packet.name` in a config may say."""
