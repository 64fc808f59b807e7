"""Amplitudes of transmission and reflection over energies, with their bounds, and where more energies are needed."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Complex, Float

from qpinn.bounds import scattering as bounds
from qpinn.training import waves
from qpinn.training.waves import Discretization

TOGETHER = 4_000_000
"""Numbers of all segments at the energies that are solved at once."""

MOVED = 0.05
"""Change of T between neighbouring energies beyond which one is put between them."""

TURNED = 0.3
"""Distance in radians of the phase of t from what its slopes at both energies say, likewise: a resonance between."""

PEAK = 1e-8
"""Share of T by which a maximum between two energies exceeds both, beyond which it is looked at."""

EPS = float(np.finfo(np.float64).eps)

FINEST = 1e-12
"""Smallest distance of two energies, of the range of all."""

Progress = Callable[[int, int], object]
"""Called with how many energies are solved, and of how many."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Amplitudes at N dimensionless energies of waves of amplitude 1 from the left, and what is known of them.

    t, r          (N,) corrected; r of a wave from the right where the left lead is closed
    t_plain, r_plain   (N,) as they stand in psi, which need not conserve anything
    t_back        (N,) of waves from the right
    t_bound, r_bound   (N,) bounds on the distance of t and r from the exact ones
    flux_rounding (N,) of v_R / v_L, relative to it
    t_slope       (N,) dt/dE; flux_slope (N,) d log(v_R / v_L) / dE
    residual      (N,) norms of (H - E) psi of the wave from the left, psi about 1
    curable       (N,) the larger bound of t and r as it would be without rounding and what was cut off
    """

    energies: Float[np.ndarray, "N"]
    velocity: Complex[np.ndarray, "N 2"]
    t: Complex[np.ndarray, "N"]
    r: Complex[np.ndarray, "N"]
    t_plain: Complex[np.ndarray, "N"]
    r_plain: Complex[np.ndarray, "N"]
    t_back: Complex[np.ndarray, "N"]
    t_bound: Float[np.ndarray, "N"]
    r_bound: Float[np.ndarray, "N"]
    flux_rounding: Float[np.ndarray, "N"]
    t_slope: Complex[np.ndarray, "N"]
    flux_slope: Float[np.ndarray, "N"]
    residual: Float[np.ndarray, "N"]
    curable: Float[np.ndarray, "N"]

    @property
    def open(self) -> Bool[np.ndarray, "N"]:
        """Whether waves leave on both sides."""
        return np.asarray((self.velocity.real > 0).all(axis=1))

    @property
    def transmission(self) -> Float[np.ndarray, "N"]:
        """T (N,): 0 where one of the leads is closed."""
        return self.probabilities[0]

    @property
    def reflection(self) -> Float[np.ndarray, "N"]:
        """R (N,): 1 where one of the leads is closed."""
        return self.probabilities[1]

    @property
    def transmission_bound(self) -> Float[np.ndarray, "N"]:
        """Bound (N,) on the error of T."""
        return self.probabilities[2]

    @property
    def reflection_bound(self) -> Float[np.ndarray, "N"]:
        """Bound (N,) on the error of R."""
        return self.probabilities[3]

    @functools.cached_property
    def probabilities(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """T, R and their bounds (N,). The one that is known better gives the other, since T + R = 1."""
        t, r = self._flux * np.abs(self.t) ** 2, np.abs(self.r) ** 2
        with np.errstate(invalid="ignore"):
            t_bound = self._flux * bounds.probability(self.t, self.t_bound) + t * self.flux_rounding
            r_bound = bounds.probability(self.r, self.r_bound)
        t_bound, r_bound = (np.where(np.isnan(bound), np.inf, bound) for bound in (t_bound, r_bound))
        sharper = r_bound < t_bound
        t, r = np.where(sharper, 1 - r, t), np.where(sharper, r, 1 - t)
        t_bound, r_bound = np.where(sharper, r_bound + EPS, t_bound), np.where(sharper, r_bound, t_bound + EPS)
        return tuple(np.where(self.open, found, shut) for found, shut in zip(
            (t, r, t_bound, r_bound), (0.0, 1.0, 0.0, 0.0), strict=True))  # type: ignore[return-value] # fmt: skip

    @property
    def _flux(self) -> np.ndarray:
        ratio = np.zeros(len(self.energies))
        np.divide(self.velocity[:, 1].real, self.velocity[:, 0].real, out=ratio, where=self.open)
        return ratio

    @property
    def transmission_slope(self) -> Float[np.ndarray, "N"]:
        """dT/dE (N,), 0 where one of the leads is closed."""
        with np.errstate(invalid="ignore"):
            slope = self._flux * (2 * (np.conj(self.t) * self.t_slope).real + self.flux_slope * np.abs(self.t) ** 2)
        return np.where(self.open, slope, 0.0)


def spectrum(system: Discretization, energies: Float[np.ndarray, "N"], progress: Progress | None = None) -> Spectrum:
    """The amplitudes at N dimensionless energies, some of them at once."""
    size = sum(b.shape[1] ** 2 + 4 * b.shape[0] for _, b in system.fit)
    step = max(8, min(len(energies), TOGETHER // size))
    parts = []
    for first in range(0, len(energies), step):
        some = energies[first : first + step]
        parts.append(_spectrum(system, some))
        if progress:
            progress(first + len(some), len(energies))
    names = [field.name for field in dataclasses.fields(Spectrum)]
    return Spectrum(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _spectrum(system: Discretization, energies: np.ndarray) -> Spectrum:
    solved = waves.waves(system, energies)
    measured = waves.measured(system, solved)
    velocity, ends = solved.velocity, solved.nodes[:, [0, -1]]  # (N, 2 ends, u and f, 2 waves)
    (left, right), slope = velocity.T, system.structure.velocity_slope(energies).T
    u = ends[:, :, 0, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        half_left, half_right = (np.where(v == 0, 0.0, 0.5j / np.where(v == 0, 1.0, v)) for v in (left, right))
        t_plain, r_plain, back = u[:, 1, 0], u[:, 0, 0] - 1, u[:, 0, 1]
        t, r = t_plain - half_right * measured.products[:, 0, 1], r_plain - half_left * measured.products[:, 0, 0]
        r = np.where(waves.from_right(velocity), u[:, 1, 1] - 1 - half_right * measured.products[:, 1, 1], r)
        t_back = back - half_left * measured.products[:, 1, 0]
        t_slope = half_right * (measured.overlap + 1j * slope[1] * u[:, 1, 0] * u[:, 1, 1]
                                - 1j * slope[0] * (2 - u[:, 0, 0]) * u[:, 0, 1])  # fmt: skip
        wronskian = np.abs(ends[:, :, 0, 0] * ends[:, :, 1, 1] - ends[:, :, 1, 0] * ends[:, :, 0, 1]).min(axis=1)
        moved = np.abs(velocity) * system.structure.velocity_rounding(energies)
        first, last = np.abs(2 - u[:, 0, 0]) * moved[:, 0], np.abs(u[:, 1, 0]) * moved[:, 1]
        at_ends = first[:, None] * np.abs(u[:, 0, ::-1]) + last[:, None] * np.abs(u[:, 1, ::-1])
        pair = bounds.Pair(
            residual=measured.residual + measured.unseen, unseen=measured.unseen, size=measured.size,
            wronskian=wronskian, velocity=velocity, rounding=measured.rounding + at_ends,
        )  # fmt: skip
        t_bound, r_bound = bounds.amplitude_bounds(pair)
        seen = bounds.amplitude_bounds(
            dataclasses.replace(
                pair, residual=measured.residual, unseen=0 * measured.unseen, rounding=0 * measured.rounding
            )
        )
        crossed, back_too = bounds.cut_off(system.structure.tails / np.abs(velocity))
        t_bound = t_bound + crossed * (np.abs(t) + t_bound)
    return Spectrum(
        energies=energies, velocity=velocity, t=t, r=r, t_plain=t_plain, r_plain=r_plain, t_back=t_back,
        t_bound=t_bound, r_bound=r_bound + back_too, t_slope=t_slope,
        flux_rounding=system.structure.velocity_rounding(energies).sum(axis=1),
        flux_slope=(slope[1] / right - slope[0] / left).real,
        residual=np.linalg.norm(measured.residual[..., 0], axis=1), curable=np.maximum(*seen),
    )  # fmt: skip


def joined(first: Spectrum, second: Spectrum) -> Spectrum:
    """The energies of both, ascending."""
    order = np.argsort(np.concatenate([first.energies, second.energies]), kind="stable")
    names = [field.name for field in dataclasses.fields(Spectrum)]
    return Spectrum(**{name: np.concatenate([getattr(first, name), getattr(second, name)])[order] for name in names})


def gaps(spectrum: Spectrum) -> Float[np.ndarray, "M"]:
    """Energies half-way where T moves, or the phase of t turns by what its slopes do not say; and maxima of T.

    A resonance that is narrower than the distance of two energies leaves T as it was and turns the phase by pi.
    """
    energies, t, both = spectrum.energies, spectrum.t, spectrum.open[:-1] & spectrum.open[1:]
    step = np.diff(energies)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (spectrum.t_slope / t).imag
        turn = np.angle(t[1:] / t[:-1] * np.exp(-0.5j * (slope[1:] + slope[:-1]) * step))
    moved = np.abs(np.diff(spectrum.transmission)) > MOVED
    wide = step > FINEST * np.ptp(energies)
    wanted = both & (moved | (np.abs(turn) > TURNED)) & wide
    return np.union1d(energies[:-1][wanted] + step[wanted] / 2, _peaks(spectrum, both & wide & ~wanted))


def _peaks(spectrum: Spectrum, where: np.ndarray) -> np.ndarray:
    """Where T has its maxima between neighbours, by cubics through T and dT/dE, if it rises above both by PEAK."""
    value, slope, step = spectrum.transmission, spectrum.transmission_slope, np.diff(spectrum.energies)
    kept = np.flatnonzero(where & (slope[:-1] > 0) & (slope[1:] < 0))
    first, last = slope[kept] * step[kept], slope[kept + 1] * step[kept]
    rise = value[kept + 1] - value[kept]
    cubic, square = first + last - 2 * rise, 3 * rise - 2 * first - last
    share = -first / (square - np.sqrt(np.maximum(square**2 - 3 * cubic * first, 0.0)))
    top = value[kept] + share * (first + share * (square + share * cubic))
    higher = top - np.maximum(value[kept], value[kept + 1]) > PEAK * top
    return (spectrum.energies[kept] + share * step[kept])[higher & (share > 1e-3) & (share < 1 - 1e-3)]


def refined(system: Discretization, begun: Spectrum, most: int, progress: Progress | None = None) -> Spectrum:
    """More energies, `most` in all, until T and the phase of t are followed from each to the next."""
    while True:
        more = gaps(begun)[: most - len(begun.energies)]
        if not len(more):
            return begun
        begun = joined(begun, spectrum(system, more))
        if progress:
            progress(len(begun.energies), len(begun.energies))
