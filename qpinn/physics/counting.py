"""How many levels of a potential of steps lie below an energy, and between which energies each of them lies.

With psi = 0 at the left wall, a solution of the equation for the energy E has as many zeros between the walls as there
are levels below E (Sturm's oscillation theorem). In a cell of one V and one mass it is a sine or a hyperbolic sine.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from qpinn.physics.potentials.base import attraction


@dataclasses.dataclass(frozen=True)
class Steps:
    """V and the effective mass as constants in cells, with deltas between them.

    edges (m + 1,); values, mass (m,); strength (m + 1,) of the delta at each edge, 0 where there is none
    """

    edges: np.ndarray
    values: np.ndarray
    mass: np.ndarray
    strength: np.ndarray

    def joined(self) -> Steps:
        """The same, neighbours with nothing between them as one."""
        new = (np.diff(self.values) != 0) | (np.diff(self.mass) != 0) | (self.strength[1:-1] != 0)
        first = np.concatenate([[0], np.flatnonzero(new) + 1])
        last = np.append(first, len(self.values))
        return Steps(
            edges=self.edges[last], values=self.values[first], mass=self.mass[first], strength=self.strength[last]
        )

    @property
    def sizes(self) -> np.ndarray:
        """Lengths (m,) of the cells."""
        return np.diff(self.edges)

    @property
    def floor(self) -> float:
        """An energy that no level lies below."""
        return float(self.values.min()) - attraction(self.edges, self.strength, float(self.mass.max()))

    def wave_number(self, energy: float) -> np.ndarray:
        """q^2 = m (E - V) (m,) in each cell."""
        return self.mass * (energy - self.values)

    def allowed(self, energy: float) -> np.ndarray:
        """Cells (m,) where psi of this energy oscillates, and those beside an attractive delta."""
        beside = (self.strength[:-1] < 0) | (self.strength[1:] < 0)
        return np.flatnonzero((self.values < energy) | beside)

    def decay(self, energy: float) -> tuple[np.ndarray, np.ndarray]:
        """Decay lengths of psi in each cell (m,), and from its nearer end to where psi oscillates or has a delta."""
        decay = np.sqrt(np.maximum(-self.wave_number(energy), 0.0)) * self.sizes
        ends = np.concatenate([[0.0], np.cumsum(decay)])
        allowed = self.allowed(energy)
        if not allowed.size:
            return decay, np.zeros(len(decay))
        places = np.unique(np.concatenate([ends[allowed], ends[allowed + 1]]))
        after = np.clip(np.searchsorted(places, ends), 0, len(places) - 1)
        near = np.minimum(np.abs(places[after] - ends), np.abs(places[np.maximum(after - 1, 0)] - ends))
        return decay, np.minimum(near[:-1], near[1:])

    def density(self, energy: float) -> np.ndarray:
        """About how large psi^2 of this energy is in each cell (m,), at its nearer end, for unit norm.

        An even psi where it oscillates, and one that decays by its decay length elsewhere.
        """
        decay, depth = self.decay(energy)
        near = np.exp(-2 * np.minimum(depth, 300.0))
        tail = np.where(decay > 1e-6, -np.expm1(-2 * decay) / np.maximum(2 * decay, 1e-300), 1.0)
        return near / float((near * tail * self.sizes).sum())


def count_below(steps: Steps, energies: np.ndarray) -> np.ndarray:
    """How many levels of `steps` lie below each of `energies` (k,)."""
    length, mass = steps.sizes[:, None], steps.mass[:, None]
    q2 = mass * (energies - steps.values[:, None])
    q = np.sqrt(np.abs(q2))
    phase, open_ = q * length, q2 > 0
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # psi is divided by cosh where it decays: only its sign is asked for
        same = np.where(open_, np.cos(phase), 1.0)
        wave = np.where(open_, np.sin(phase), np.tanh(phase))
        from_flux = np.where(phase < 1e-8, length, wave / q) * mass
        to_flux = np.where(open_, -1.0, 1.0) * wave * q / mass
    turns = np.where(open_, np.floor(phase / np.pi), 0.0)
    # where a cell holds a whole number of half-waves to rounding, the sign of its sine says whether it holds the last
    strays = open_ & (wave * (1 - 2 * (turns % 2)) < 0)
    turns = np.where(strays, 2 * np.round(phase / np.pi) - 1 - turns, turns)
    odd = np.where(turns % 2 == 1, -1.0, 1.0)
    psi, flux = np.zeros(len(energies)), np.ones(len(energies))
    sign, zeros = np.ones(len(energies)), turns.sum(axis=0)
    for j in range(len(length)):
        psi, flux = same[j] * psi + from_flux[j] * flux, to_flux[j] * psi + same[j] * flux
        if steps.strength[j + 1]:
            flux = flux + steps.strength[j + 1] * psi
        new = np.where(psi == 0, np.sign(flux), np.sign(psi))
        zeros = zeros + (new != sign * odd[j])
        sign = new
        if j % 32 == 0:
            size = np.abs(psi) + np.abs(flux)
            psi, flux = psi / size, flux / size
    return zeros.astype(int)


def levels_of(steps: Steps, wanted: np.ndarray, digits: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Energies (n,) below and above the levels with the indices `wanted` (n,), ascending.

    They are 2^-digits of the spacing of the levels apart, or as near as rounding allows.
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
