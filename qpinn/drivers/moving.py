"""What every packet in time has, whichever way psi was found: times and units, its bound, and the files it makes."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from qpinn.bounds import evolution as bounds
from qpinn.drivers import evolve_places
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Stats
from qpinn.physics import units as unit_module
from qpinn.physics.drives import Drive
from qpinn.physics.units import Units
from qpinn.report import evolution_data
from qpinn.runs import evolution as files


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """A packet's problem, dimensionless.

    potential  between its ends; bare: as it was given, where an end may be at infinity
    margins    lengths (left, right) over which psi is made to end where the domain goes on; 0 at an end of the domain
    times      (T,) ascending
    force      f of times, None without a drive; space: W, a potential
    tol        of the error at the last time
    """

    potential: Any
    bare: Any
    margins: tuple[float, float]
    packet: Any
    times: Float[np.ndarray, "T"]
    force: Callable[[np.ndarray], np.ndarray] | None
    space: Any
    tol: float

    @property
    def walls(self) -> Float[np.ndarray, "2"]:
        """The ends of the box."""
        return np.array([float(wall) for wall in self.potential.domain])

    def even(self, count: int) -> Float[np.ndarray, "count"]:
        """Positions from end to end of the box."""
        left, right = self.walls
        return np.linspace(left, right, count)

    @property
    def lowest(self) -> float:
        """The least of V, on samples."""
        return float(np.min(np.asarray(self.potential.at(self.even(801)[:, None]))))

    def forces(self, times: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
        """f (T,), zero without a drive."""
        return np.zeros(len(times)) if self.force is None else np.asarray(self.force(times), np.float64)


class Known(NamedTuple):
    """A number at each time (T,), and a bound on how far it is from the exact one; NaN where there is none."""

    value: Float[np.ndarray, "T"]
    bound: Float[np.ndarray, "T"]


class Series(NamedTuple):
    """What a bound is made of: the `initial` error, and bounds (K,) on the integral of |i psi_t - H psi| between
    neighbours of `edges` (K + 1,), times."""

    initial: float
    integrals: Float[np.ndarray, "K"]
    edges: Float[np.ndarray, "K+1"]

    @property
    def final(self) -> float:
        """The bound at the last time."""
        return float(self.initial + self.integrals.sum())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moving(abc.ABC):
    """A packet in time. Lengths, energies and times are in the units of the settings (dimensionless: L, hbar^2/2mL^2
    and 2mL^2/hbar; else the times are in fs, or hbar / hartree).

    given, packet, drive  what was asked; settings: how it was solved
    problem               the same without units, between walls
    stats                 seconds, and the device

    psi(t, x)         complex, (*t.shape, *x.shape); zero beyond the walls
    bound(t)          |psi - exact| is at most this, at every t (norms in L2)
    estimate(t)       what |psi - exact| may be; no bound
    norm(t), energy(t), position(t), probability(region, t)   each with how far it is known (`Known`)
    converged         whether the bound at the last time meets the tolerance
    """

    given: Any
    packet: Any
    drive: Drive | None
    settings: Settings
    problem: Problem
    stats: Stats

    # ------------------------------------------- what each way to find psi has of its own; times are dimensionless (T,)

    @property
    @abc.abstractmethod
    def series(self) -> Series:
        """What the bound is made of; dimensionless."""

    @property
    @abc.abstractmethod
    def work(self) -> dict[str, Any]:
        """How large the solution is, for its files."""

    def more(self, times: Float[np.ndarray, "T"]) -> dict[str, Any]:
        """What its files have beside psi, at times in their unit."""
        return {}

    @abc.abstractmethod
    def fastest(self, times: Float[np.ndarray, "T"]) -> float:
        """An energy above which psi has next to nothing; dimensionless."""

    @abc.abstractmethod
    def estimate(self, t: Any) -> Float[np.ndarray, "*T"]:
        """What |psi - exact| may be; NaN where that is not known."""

    @abc.abstractmethod
    def on(self, times: Float[np.ndarray, "T"], x: Float[np.ndarray, "X"]) -> Complex[np.ndarray, "T X"]:
        """psi on a grid of positions between the walls."""

    @abc.abstractmethod
    def squares(self, times: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
        """<psi|psi>."""

    @abc.abstractmethod
    def _energies(self, times: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
        """<psi|H + f W|psi>."""

    @abc.abstractmethod
    def _offsets(self, times: Float[np.ndarray, "T"], middle: float) -> Float[np.ndarray, "T"]:
        """<psi|x - middle|psi>."""

    @abc.abstractmethod
    def _inside(self, times: Float[np.ndarray, "T"], low: float, high: float) -> Float[np.ndarray, "T"]:
        """The integral of |psi|^2 between two places of the box."""

    @property
    @abc.abstractmethod
    def _size(self) -> str:
        """How large the solution is, in words."""

    # -------------------------------------------------------------------------------------------- what follows from it

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]

    def __repr__(self) -> str:
        kind = "packet" if self.drive is None else f"packet driven by {self.drive.label}"
        return (f"{type(self).__name__} of a {self.packet.name} {kind} in {self.given.name} from t = {self.times[0]:g} "
                f"to {self.times[-1]:g} {self.unit_of_time}: |psi - exact| <= {self.series.final:.2g} "
                f"({self._met}), {self._size}")  # fmt: skip

    @property
    def _met(self) -> str:
        return f"{self.status} to {self.problem.tol:g}"

    @property
    def units(self) -> Units:
        return self.settings.units.units

    @property
    def unit_of_time(self) -> str:
        return unit_module.time(self.units)[0]

    @property
    def times(self) -> Float[np.ndarray, "T"]:
        """The times that were asked for."""
        return self.problem.times / self.per_time

    @property
    def per_time(self) -> float:
        """Dimensionless times in the unit of time."""
        return unit_module.time(self.units)[1]

    @property
    def domain(self) -> tuple[float, float]:
        """The walls."""
        left, right = self.problem.walls
        return float(left), float(right)

    @property
    def seconds(self) -> dict[str, float]:
        return self.stats.seconds

    @property
    def converged(self) -> bool:
        return self.series.final <= self.problem.tol

    @property
    def status(self) -> str:
        return "converged" if self.converged else "not converged"

    @property
    def held(self) -> float:
        """The last time until which the bound meets the tolerance; NaN if it never does."""
        initial, integrals, edges = self.series
        met = int(np.sum(initial + np.concatenate([[0.0], np.cumsum(integrals)]) <= self.problem.tol))
        return float(edges[met - 1] / self.per_time) if met else float(np.nan)

    def division(self, place: float | None = None) -> float:
        """Where left and right part: `place`, or the middle of V. Raises ValueError for one that is not in the box."""
        return evolve_places.division_of(self.problem, place)

    def frames(self, count: int = 101) -> Float[np.ndarray, "T"]:
        """The times that were asked for, or `count` of them if those are only the first and the last."""
        return self.times if len(self.times) > 2 else np.linspace(self.times[0], self.times[-1], count)

    def _times(self, t: Any) -> Float[np.ndarray, "T"]:
        """Dimensionless times (T,). Raises ValueError for those that are not between the first and the last."""
        times = np.atleast_1d(np.asarray(t, np.float64)).ravel()
        first, last = self.times[[0, -1]]
        slack = 1e-9 * (last - first)
        if not ((times >= first - slack) & (times <= last + slack)).all():
            raise ValueError(f"t={times[~((times >= first - slack) & (times <= last + slack))][0]:g}: must lie from "
                             f"{first:g} to {last:g}")  # fmt: skip
        return np.clip(times * self.per_time, *self.problem.times[[0, -1]])

    def psi(self, t: Any, x: Any) -> Complex[np.ndarray, "*T *X"]:
        """psi at times and positions of any shapes."""
        x = np.asarray(x, np.float64)
        left, right = self.domain
        flat = x.ravel()
        inside = (flat >= left) & (flat <= right)
        values = self.on(self._times(t), np.clip(flat, left, right)) * inside
        return values.reshape(*np.shape(t), *x.shape)

    def bound(self, t: Any) -> Float[np.ndarray, "*T"]:
        """A bound on |psi - exact| at t."""
        initial, integrals, edges = self.series
        return bounds.at_times(initial, integrals, edges, self._times(t)).reshape(np.shape(t))

    def norm(self, t: Any) -> Known:
        """|psi|, which is 1 of the exact packet."""
        return Known(np.sqrt(self.squares(self._times(t))).reshape(np.shape(t)), self.bound(t))

    def energy(self, t: Any) -> Known:
        """<psi|H + f W|psi> / <psi|psi>. Without a drive it does not change; a bound in norm says nothing of it."""
        times = self._times(t)
        value = self._energies(times) / self.squares(times) * self.units.scale
        return Known(value.reshape(np.shape(t)), np.full(np.shape(t), np.nan))

    def position(self, t: Any) -> Known:
        """<x>: for |x - m| <= a in the box it is known to a (2 b + b^2); no bound where psi may be beyond it."""
        left, right = self.domain
        middle, half = (left + right) / 2, (right - left) / 2
        value = (middle + self._offsets(self._times(t), middle)).reshape(np.shape(t))
        b = self.bound(t)
        known = half * (2 * b + b**2) if not any(self.problem.margins) else np.full(np.shape(t), np.nan)
        return Known(value, known + 0 * b)

    def probability(self, region: Sequence[float], t: Any) -> Known:
        """The integral of |psi|^2 over an interval [a, b] of x, which may end at -inf or inf.

        Raises ValueError unless a < b.
        """
        low, high = (float(place) for place in region)
        if not low < high:
            raise ValueError(f"region=[{low:g}, {high:g}]: must ascend")
        left, right = self.domain
        low, high, times = max(low, left), min(high, right), self._times(t)
        value = np.zeros(len(times)) if low >= high else self._inside(times, low, high)
        value = np.clip(value.reshape(np.shape(t)), 0.0, None)
        return Known(value, bounds.of_probability(value, self.bound(t)))

    def transmitted(self) -> Any:
        """What gets through in the end: the average of T(E) over the waves of the packet, see
        `qpinn.drivers.transmitted`. Raises ValueError for a packet that does not come from a lead."""
        from qpinn.drivers import transmitted

        return transmitted.transmitted(self.problem)

    def plot(self, ax: Any = None) -> Any:
        """|psi|^2 over x and t. Returns Axes of Matplotlib: `ax`, or those of a new figure."""
        from qpinn.report import evolution_figures, style  # not before: Matplotlib takes long to import

        return style.on_axes(evolution_figures.draw_density, ax, evolution_data.EvolutionData(*self._files()))

    def _files(self, divide: float | None = None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return files.summary(self, divide), files.arrays(self)

    def save(self, folder: Any, divide: float | None = None) -> FilePath:
        """Write evolve.json, evolve.csv and evolve.npz into a folder, which is made; scripts/plot.py draws it.

        divide  where left and right part; None: the middle of V

        Raises ValueError for a place that is not in the box, OSError for a folder that cannot be written.
        """
        content, grid = self._files(divide)
        place = FilePath(folder)
        place.mkdir(parents=True, exist_ok=True)
        files.write(place, content, grid)
        return place
