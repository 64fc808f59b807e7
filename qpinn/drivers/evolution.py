"""What an evolved packet is: what was asked, the states it moves among, and all that follows from the two."""

from __future__ import annotations

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
from qpinn.training import eigenbasis
from qpinn.training.collocation import Path
from qpinn.training.eigenbasis import Eigenbasis

SAMPLED = 256
"""Times at once that psi is put on the quadrature at."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """A packet's problem, dimensionless.

    potential  between its ends
    margins    lengths (left, right) over which psi is made to end where the domain goes on; 0 at an end of the domain
    times      (T,) ascending
    force      f of times, None without a drive; space: W, a potential
    tol        of the error at the last time
    """

    potential: Any
    margins: tuple[float, float]
    packet: Any
    times: Float[np.ndarray, "T"]
    force: Callable[[np.ndarray], np.ndarray] | None
    space: Any
    tol: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """The packet in one basis.

    start      (N,) coefficients of psi0, and left_out a bound on what they lack of it
    tail       what of that states of higher energies have
    path       of a driven packet; None without a drive
    edges      (K + 1,) of intervals of time, and integrals (K,) bounds on the integral of |residual| on each
    outside    what of these is of states that the drive reaches and the basis lacks
    energy     up to which the basis has states, and phase, radians of psi of that energy in a segment
    """

    basis: Eigenbasis
    start: Complex[np.ndarray, "N"]
    left_out: float
    tail: float
    path: Path | None
    edges: Float[np.ndarray, "K+1"]
    integrals: Float[np.ndarray, "K"]
    outside: float
    energy: float
    phase: float

    @property
    def final(self) -> float:
        """The bound at the last time."""
        return float(self.left_out + self.integrals.sum())

    @property
    def wanting(self) -> float:
        """The part of the bound that states of higher energies would make less."""
        return max(self.tail, self.outside)

    @property
    def inside(self) -> float:
        """The part of it that better states would make less."""
        return self.final - self.tail - self.outside

    def coefficients(self, times: Float[np.ndarray, "T"]) -> Complex[np.ndarray, "T N"]:
        """c_n(t) of psi = sum_n c_n(t) u_n."""
        if self.path is not None:
            return self.path.at(times)
        return self.start * np.exp(-1j * np.outer(times - self.edges[0], self.basis.energies))

    def decay(self) -> float:
        """p of c_n ~ n^-p where the basis ends; 3 of what a drive reaches beyond it, as x does in a box."""
        if self.outside > self.tail:
            return 3.0
        half = len(self.start) // 2
        beyond = max(self.tail, 1e-300)
        return float(np.clip(np.log2(np.hypot(np.linalg.norm(self.start[half:]), beyond) / beyond), 1.0, 40.0))

    def higher(self, tol: float) -> float:
        """By how much higher energies the basis should reach for what it lacks to be a quarter of `tol`: as n^2."""
        return float((4 * self.wanting / tol) ** (2 / self.decay()))

    def hopeless(self, tol: float) -> bool:
        """Whether psi0 has a tail of energies, as from a cut at a wall, of which no basis has enough."""
        return self.wanting >= self.inside and len(self.start) > MANY and self.higher(tol) > HOPELESS


MANY, HOPELESS = 100, 400.0
"""States from which on the decay of their coefficients is believed, and what is no more tried."""


class Known(NamedTuple):
    """A number at each time (T,), and a bound on how far it is from the exact one; NaN where there is none."""

    value: Float[np.ndarray, "T"]
    bound: Float[np.ndarray, "T"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evolution:
    """A packet in time. Lengths, energies and times are in the units of the settings (dimensionless: L, hbar^2/2mL^2
    and 2mL^2/hbar; else the times are in fs, or hbar / hartree).

    given, packet, drive  what was asked; settings: how it was solved
    problem               the same without units, between walls
    fine, coarse          the packet in a basis, and in a poorer one

    psi(t, x)         complex, (*t.shape, *x.shape); zero beyond the walls
    bound(t)          |psi - exact| is at most this, at every t (norms in L2)
    estimate(t)       |psi - psi of the smaller basis|: what the error may be; no bound
    norm(t), energy(t), position(t), probability(region, t)   each with how far it is known (`Known`)
    converged         whether the bound at the last time meets the tolerance
    """

    given: Any
    packet: Any
    drive: Drive | None
    settings: Settings
    problem: Problem
    fine: Round
    coarse: Round | None
    stats: Stats

    def __repr__(self) -> str:
        end = self.times[-1]
        kind = "packet" if self.drive is None else f"packet driven by {self.drive.label}"
        met = "converged" if self.converged else "not converged"
        return (f"Evolution of a {self.packet.name} {kind} in {self.given.name} from t = {self.times[0]:g} to {end:g} "
                f"{self.unit_of_time}: |psi - exact| <= {self.fine.final:.2g} ({met} to {self.problem.tol:g}), "
                f"{len(self.fine.start)} states")  # fmt: skip

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
        return self.fine.basis.domain

    @property
    def seconds(self) -> dict[str, float]:
        return self.stats.seconds

    @property
    def converged(self) -> bool:
        return self.fine.final <= self.problem.tol

    @property
    def status(self) -> str:
        return "converged" if self.converged else "not converged"

    @property
    def held(self) -> float:
        """The last time until which the bound meets the tolerance; NaN if it never does."""
        ends = self.fine.left_out + np.concatenate([[0.0], np.cumsum(self.fine.integrals)])
        met = int(np.sum(ends <= self.problem.tol))
        return float(self.fine.edges[met - 1] / self.per_time) if met else float(np.nan)

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

    def coefficients(self, t: Any) -> Complex[np.ndarray, "T N"]:
        """c_n(t) of psi = sum_n c_n(t) u_n, the states of the basis."""
        return self.fine.coefficients(self._times(t))

    def psi(self, t: Any, x: Any) -> Complex[np.ndarray, "*T *X"]:
        """psi at times and positions of any shapes."""
        x = np.asarray(x, np.float64)
        left, right = self.domain
        flat = np.clip(x.ravel(), left, right)
        u = eigenbasis.values(self.fine.basis, flat) * ((x.ravel() >= left) & (x.ravel() <= right))
        return (self.coefficients(t) @ u).reshape(*np.shape(t), *x.shape)

    def bound(self, t: Any) -> Float[np.ndarray, "*T"]:
        """A bound on |psi - exact| at t."""
        times = self._times(t)
        return bounds.at_times(self.fine.left_out, self.fine.integrals, self.fine.edges, times).reshape(np.shape(t))

    def estimate(self, t: Any) -> Float[np.ndarray, "*T"]:
        """What |psi - exact| may be: what the basis lacks of psi0, and |psi - psi of poorer states| at t, but no more
        than the bound. NaN where there are none."""
        times = self._times(t)
        if self.coarse is None:
            return np.full(np.shape(t), np.nan)
        fine, coarse = self.fine.basis, self.coarse.basis
        there = eigenbasis.values(coarse, np.clip(fine.x, *coarse.domain))
        out = []
        for begin in range(0, len(times), SAMPLED):
            some = times[begin : begin + SAMPLED]
            apart = self.fine.coefficients(some) @ fine.u - self.coarse.coefficients(some) @ there
            out.append(np.sqrt(np.abs(apart) ** 2 @ fine.weight))
        about = np.hypot(np.concatenate(out), self.fine.left_out).reshape(np.shape(t))
        return np.minimum(about, self.bound(t))

    def norm(self, t: Any) -> Known:
        """|psi|, which is 1 of the exact packet."""
        c = self.coefficients(t)
        return Known(np.linalg.norm(c, axis=1).reshape(np.shape(t)), self.bound(t))

    def energy(self, t: Any) -> Known:
        """<psi|H + f W|psi> / <psi|psi>. Without a drive it does not change; a bound in norm says nothing of it."""
        c, basis = self.coefficients(t), self.fine.basis
        square = np.abs(c) ** 2
        energies = square @ basis.energies
        if self.problem.force is not None:
            w = np.asarray(self.problem.space.at(basis.x[:, None]), np.float64)
            f = self.problem.force(self._times(t))
            energies = energies + f * np.einsum("tn,tn->t", c.conj(), c @ basis.gram(basis.u, w * basis.u).T).real
        value = energies / square.sum(axis=1) * self.units.scale
        return Known(value.reshape(np.shape(t)), np.full(np.shape(t), np.nan))

    def position(self, t: Any) -> Known:
        """<x>: for |x - m| <= a in the box it is known to a (2 b + b^2); no bound where psi may be beyond it."""
        left, right = self.domain
        middle, half = (left + right) / 2, (right - left) / 2
        value = middle * self._norms(t) + self._expectation(t, self.fine.basis.x - middle)
        b = self.bound(t)
        known = half * (2 * b + b**2) if not any(self.problem.margins) else np.full(np.shape(t), np.nan)
        return Known(value.reshape(np.shape(t)), known + 0 * b)

    def _norms(self, t: Any) -> np.ndarray:
        return np.sum(np.abs(self.coefficients(t)) ** 2, axis=1)

    def _expectation(self, t: Any, factor: Float[np.ndarray, "Q"]) -> Float[np.ndarray, "T"]:
        c, basis = self.coefficients(t), self.fine.basis
        matrix = basis.gram(basis.u, factor * basis.u)
        return np.einsum("tn,tn->t", c.conj(), c @ matrix.T).real  # type: ignore[no-any-return]

    def probability(self, region: Sequence[float], t: Any) -> Known:
        """The integral of |psi|^2 over an interval [a, b] of x, which may end at -inf or inf.

        Raises ValueError unless a < b.
        """
        low, high = (float(place) for place in region)
        if not low < high:
            raise ValueError(f"region=[{low:g}, {high:g}]: must ascend")
        left, right = self.domain
        low, high = max(low, left), min(high, right)
        if low >= high:
            value = np.zeros(np.shape(t)).ravel()
        else:
            inside = self._overlap(low, high)
            c = self.coefficients(t)
            value = np.einsum("tn,tn->t", c.conj(), c @ inside.T).real
        value = np.clip(value.reshape(np.shape(t)), 0.0, None)
        return Known(value, bounds.of_probability(value, self.bound(t)))

    def _overlap(self, low: float, high: float) -> Float[np.ndarray, "N N"]:
        """integral_low^high u_m u_n dx, on Gauss-Legendre points of the segments and parts of segments between."""
        from qpinn.geometry.quadrature import legendre

        basis = self.fine.basis
        edges = basis.axis.mesh.edges
        ends = np.concatenate([[low], edges[(edges > low) & (edges < high)], [high]])
        nodes, weights = legendre(len(basis.x) // len(basis.axis.mesh))
        half = np.diff(ends)[:, None] / 2
        x, weight = ((ends[:-1] + ends[1:])[:, None] / 2 + half * nodes).ravel(), (half * weights).ravel()
        u = eigenbasis.values(basis, x)
        return (u * weight) @ u.T

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
