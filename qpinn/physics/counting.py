"""How many levels of a potential of steps lie below an energy, and between which energies each of them lies.

Let psi solve the equation for the energy E and do at the left end what it is to do there; in a cell of one V and one
mass it is a sum of sines and cosines, or of hyperbolic ones. With psi = r sin(phi) and psi' / m = r cos(phi) the angle
phi grows with E at every place, and it passes each multiple of pi upwards (Sturm; Pruefer, Math. Ann. 95 (1926) 499).
There is a level with each E at which phi at the right end is j pi, j = 1, 2, ..., with a wall there, or (j - 1/2) pi
with a free end. So the levels below E are

    Z        with a wall at the right end, Z the zeros of psi between the ends
    Z + 1    with a free one, if psi and psi' / m have different signs there, else Z

On a ring psi is clamped at two places, its seam and one more. Of psi that are 0 at both Z levels lie below E, and as
many more as the balance of fluxes at the two, a Hermitian matrix S(E) of two rows, has negative eigenvalues (Wittrick &
Williams, Q. J. Mech. Appl. Math. 24 (1971) 263). Clamped at the seam alone, with D the trace of the transfer matrix,
one finds from it that there is one more level than Z if (-1)^Z (D - 2 cos(theta)) < 0 (Hill's discriminant; Magnus &
Winkler, Hill's Equation, chapter II); but D touches 2 and -2 at double levels, where it tells E to half the digits, and
eigenvalues of S cross 0.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from qpinn.geometry.domain import WALLS, Ends
from qpinn.physics.potentials.base import attraction


@dataclasses.dataclass(frozen=True)
class Steps:
    """V and the effective mass as constants in cells, with deltas between them.

    edges (m + 1,); values, mass (m,); strength (m + 1,) of the delta at each edge, 0 where there is none. One at a free
    end gives it psi' / m = alpha psi there, outwards -alpha psi.
    """

    edges: Float[np.ndarray, "m+1"]
    values: Float[np.ndarray, "m"]
    mass: Float[np.ndarray, "m"]
    strength: Float[np.ndarray, "m+1"]
    ends: Ends = WALLS

    def joined(self) -> Steps:
        """The same, neighbours with nothing between them as one."""
        new = (np.diff(self.values) != 0) | (np.diff(self.mass) != 0) | (self.strength[1:-1] != 0)
        first = np.concatenate([[0], np.flatnonzero(new) + 1])
        last = np.append(first, len(self.values))
        return dataclasses.replace(
            self, edges=self.edges[last], values=self.values[first], mass=self.mass[first], strength=self.strength[last]
        )

    def reversed(self) -> Steps:
        """The mirror image, between walls."""
        return Steps(
            edges=-self.edges[::-1], values=self.values[::-1], mass=self.mass[::-1], strength=self.strength[::-1]
        )

    @property
    def sizes(self) -> Float[np.ndarray, "m"]:
        """Lengths (m,) of the cells."""
        return np.diff(self.edges)

    @property
    def floor(self) -> float:
        """An energy that no level lies below."""
        return float(self.values.min()) - attraction(self.edges, self.strength, float(self.mass.max()), self.ends)

    def wave_number(self, energy: float) -> Float[np.ndarray, "m"]:
        """q^2 = m (E - V) (m,) in each cell."""
        return self.mass * (energy - self.values)

    def allowed(self, energy: float) -> Int[np.ndarray, "cells"]:
        """Cells (m,) where psi of this energy oscillates, and those beside an attractive delta."""
        beside = (self.strength[:-1] < 0) | (self.strength[1:] < 0)
        return np.flatnonzero((self.values < energy) | beside)

    def decay(self, energy: float) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m"]]:
        """Decay lengths of psi in each cell (m,), and from its nearer end to where psi oscillates or has a delta."""
        decay = np.sqrt(np.maximum(-self.wave_number(energy), 0.0)) * self.sizes
        ends = np.concatenate([[0.0], np.cumsum(decay)])
        allowed = self.allowed(energy)
        if not allowed.size:
            return decay, np.zeros(len(decay))
        places = np.unique(np.concatenate([ends[allowed], ends[allowed + 1]]))
        if self.ends.ring:  # the next one may lie beyond the seam
            places = np.concatenate([places[-1:] - ends[-1], places, places[:1] + ends[-1]])
        after = np.clip(np.searchsorted(places, ends), 0, len(places) - 1)
        near = np.minimum(np.abs(places[after] - ends), np.abs(places[np.maximum(after - 1, 0)] - ends))
        return decay, np.minimum(near[:-1], near[1:])

    def density(self, energy: float) -> Float[np.ndarray, "m"]:
        """About how large psi^2 of this energy is in each cell (m,), at its nearer end, for unit norm.

        An even psi where it oscillates, and one that decays by its decay length elsewhere.
        """
        decay, depth = self.decay(energy)
        near = np.exp(-2 * np.minimum(depth, 300.0))
        tail = np.where(decay > 1e-6, -np.expm1(-2 * decay) / np.maximum(2 * decay, 1e-300), 1.0)
        return near / float((near * tail * self.sizes).sum())


def count_below(steps: Steps, energies: Float[np.ndarray, "k"]) -> Int[np.ndarray, "k"]:
    """How many levels of `steps` lie below each of `energies` (k,)."""
    if steps.ends.ring:
        return _count_on_ring(steps, energies)
    shot = _shoot(steps, energies)
    beyond = (steps.ends.right == "free") & (np.sign(shot.psi) * np.sign(shot.flux) < 0)
    return (shot.zeros + beyond).astype(int)


class _Shot(NamedTuple):
    """Solutions from the left end: their zeros, and exp(-size) psi, exp(-size) psi' / m at the right end; (k,) each."""

    zeros: np.ndarray
    psi: np.ndarray
    flux: np.ndarray
    size: np.ndarray


def _shoot(steps: Steps, energies: np.ndarray) -> _Shot:
    """From psi = 0 and psi' / m = 1, or from psi = 1 and what the delta there makes of psi' / m = 0 if it is free."""
    length, mass = steps.sizes[:, None], steps.mass[:, None]
    q2 = mass * (energies - steps.values[:, None])
    q = np.sqrt(np.abs(q2))
    phase, open_ = q * length, q2 > 0
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # psi is divided by cosh where it decays, which is kept in `size`
        same = np.where(open_, np.cos(phase), 1.0)
        wave = np.where(open_, np.sin(phase), np.tanh(phase))
        from_flux = np.where(phase < 1e-8, length, wave / q) * mass
        to_flux = np.where(open_, -1.0, 1.0) * wave * q / mass
        # in a cell in which all but a rest of psi cancels, this grows and that decays: the rest has one psi' / psi
        deep, rest, rise = ~open_ & (phase > 1), np.exp(-2 * phase), q / mass
    decays = deep.any(axis=1)
    size = np.where(open_, 0.0, phase + np.log1p(rest) - np.log(2)).sum(axis=0)
    turns = np.where(open_, np.floor(phase / np.pi), 0.0)
    # where a cell holds a whole number of half-waves to rounding, the sign of its sine says whether it holds the last
    strays = open_ & (wave * (1 - 2 * (turns % 2)) < 0)
    turns = np.where(strays, 2 * np.round(phase / np.pi) - 1 - turns, turns)
    odd = np.where(turns % 2 == 1, -1.0, 1.0)
    psi, flux = np.zeros(len(energies)), np.ones(len(energies))
    if steps.ends.left == "free":
        psi, flux = np.ones(len(energies)), np.full(len(energies), steps.strength[0])
    after = np.empty((2, *q.shape))  # psi and flux at the right end of each cell
    for j in range(len(length)):
        before, flow = psi, flux
        psi, flux = same[j] * before + from_flux[j] * flow, to_flux[j] * before + same[j] * flow
        if decays[j]:
            with np.errstate(divide="ignore", invalid="ignore"):
                grows, falls = before + flow / rise[j], (before - flow / rise[j]) * rest[j]
            psi = np.where(deep[j], (grows + falls) / (1 + rest[j]), psi)
            flux = np.where(deep[j], (grows - falls) * rise[j] / (1 + rest[j]), flux)
        if steps.strength[j + 1]:
            flux = flux + steps.strength[j + 1] * psi
        after[:, j] = psi, flux
        if j % 32 == 0:
            scale = np.abs(psi) + np.abs(flux)
            psi, flux, size = psi / scale, flux / scale, size + np.log(scale)
    sign = np.where(after[0] == 0, np.sign(after[1]), np.sign(after[0]))
    sign_before = np.concatenate([np.ones((1, len(energies))), sign[:-1]])
    zeros = (turns + (sign != sign_before * odd)).sum(axis=0)
    return _Shot(zeros, psi, flux, size)


GOLDEN = (np.sqrt(5) - 1) / 2
"""Where a ring is clamped, of its length and of the cell there: at no place that symmetry singles out."""


def _count_on_ring(steps: Steps, energies: np.ndarray) -> np.ndarray:
    place = steps.edges[0] + GOLDEN * (steps.edges[-1] - steps.edges[0])
    cell = int(np.clip(np.searchsorted(steps.edges, place) - 1, 0, len(steps.values) - 1))
    clamp = steps.edges[cell] + GOLDEN * steps.sizes[cell]
    before = Steps(
        edges=np.append(steps.edges[: cell + 1], clamp), values=steps.values[: cell + 1], mass=steps.mass[: cell + 1],
        strength=np.append(steps.strength[: cell + 1], 0.0),
    )  # fmt: skip
    after = Steps(
        edges=np.append(clamp, steps.edges[cell + 1 :]), values=steps.values[cell:], mass=steps.mass[cell:],
        strength=np.append(0.0, steps.strength[cell + 1 :]),
    )  # fmt: skip
    (zeros, seam_before, clamp_before, across), (more, clamp_after, seam_after, around) = (
        _fluxes(side, energies) for side in (before, after)
    )
    across2 = (across + steps.ends.cosine * around) ** 2 + (steps.ends.sine * around) ** 2
    return (zeros + more + negative(seam_before + seam_after, clamp_before + clamp_after, across2)).astype(int)


def _fluxes(steps: Steps, energies: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Levels below E between walls at both ends, and what flows out of them, S (psi_left, psi_right), without walls.

    S = [[t11, -1], [-1, t22]] / t12 of the transfer matrix t: psi' / m over psi at the right end of a solution that is
    0 at the left one, and the mirror image. Near a pole of S it is the solution from the left that says on which side.
    """
    shot, back = _shoot(steps, energies), _shoot(steps.reversed(), energies)
    psi = np.where(shot.psi == 0, 1e-60 * np.sign(shot.flux), shot.psi)
    mirrored = np.copysign(np.maximum(np.abs(back.psi), 1e-60), psi)
    return shot.zeros, back.flux / mirrored, shot.flux / psi, -np.exp(-np.clip(shot.size, -300, 600)) / psi


def negative(
    first: Float[np.ndarray, "k"], last: Float[np.ndarray, "k"], across2: Float[np.ndarray, "k"]
) -> Int[np.ndarray, "k"]:
    """How many eigenvalues of [[first, c], [c*, last]], across2 = |c|^2, are negative; all (k,)."""
    larger = np.abs(first) >= np.abs(last)
    pivot, other = np.where(larger, first, last), np.where(larger, last, first)
    pivot = np.where(pivot == 0, 1e-300, pivot)
    with np.errstate(over="ignore"):
        return (pivot < 0).astype(int) + (other - across2 / pivot < 0)


NEAR = np.array([-0.25, -0.016, 0.016, 0.25])
"""Distances from a guess at which levels are counted first, in spacings of the levels."""


def levels_of(
    steps: Steps, wanted: Int[np.ndarray, "n"], digits: int = 30, guess: Float[np.ndarray, "n"] | None = None
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Energies (n,) below and above the levels with the indices `wanted` (n,), ascending.

    They are 2^-digits of the spacing of the levels apart, or as near as rounding allows. A `guess` of the levels (n,)
    saves counts, whatever it is worth.
    """
    low = np.full(len(wanted), steps.floor)
    high = _above(steps, wanted)
    least = (np.pi / (steps.edges[-1] - steps.edges[0])) ** 2 / steps.mass.max()
    parts = 16 if len(wanted) < 8 else 4  # a count for a few energies costs little more than for one
    share = np.arange(1, parts)[:, None] / parts
    for _ in range(60):
        spacing = max(float(np.ptp((low + high) / 2)) / max(np.ptp(wanted), 1), least)
        if (high - low).max() <= 2.0**-digits * spacing:
            break
        if guess is not None:
            spacing = max(float(np.ptp(guess)) / max(np.ptp(wanted), 1), least)
            between, guess = np.unique(guess + spacing * NEAR[:, None]), None
        else:
            between = np.unique(low + (high - low) * share)
        below = count_below(steps, between)  # ascending, up to rounding; what is found of one level serves all
        first = np.searchsorted(np.maximum.accumulate(below), wanted, side="right")
        ends = np.concatenate([[-np.inf], between, [np.inf]])
        low, high = np.maximum(low, ends[first]), np.minimum(high, ends[first + 1])
    return low, high


def _above(steps: Steps, wanted: np.ndarray) -> np.ndarray:
    """Energies (n,) above these levels: with walls around 1, 2, 4, ... neighbouring cells every level goes up.

    Between them max V + (j pi / l)^2 / m, and what deltas push sines up by, is above the j-th.
    """
    count, most = len(steps.values), int(wanted[-1]) + 1
    candidates, size = [], 1
    order = np.arange(1, most + 1)
    while True:
        starts = np.arange(0, count, size)
        top = np.maximum.reduceat(steps.values, starts)
        mass = np.minimum.reduceat(steps.mass, starts)
        pushed = np.add.reduceat(np.maximum(steps.strength[1:], 0), starts)
        ends = np.append(starts, count)
        length = np.diff(steps.edges[ends])
        levels = top[:, None] + ((order * np.pi / length[:, None]) ** 2 + 0.0) / mass[:, None]
        levels = levels + 2 * order * (pushed / length)[:, None]
        candidates.append(np.sort(levels, axis=None)[:most])
        if size >= count:
            break
        size *= 2
    best = np.minimum.reduce([np.pad(one, (0, most - len(one)), constant_values=np.inf) for one in candidates])
    return best[wanted]
