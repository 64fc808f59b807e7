"""Scattering by layers from transfer matrices at 100 digits (mpmath), which share nothing with qpinn."""

from __future__ import annotations

import mpmath

DIGITS = 100


class Layered:
    """Layers of given lengths, V from `start` to `end` linearly, mass, and a delta before each and after the last.

    V and masses (levels, masses) of both leads. H = -d/dx (1 / m) d/dx + V.
    """

    def __init__(self, lengths, start, end, masses, levels, lead_masses=(1, 1), deltas=None):
        exact = [[mpmath.mpf(value) for value in row] for row in (lengths, start, end, masses, levels, lead_masses)]
        self.lengths, self.start, self.end, self.masses, self.levels, self.lead_masses = exact
        self.deltas = [mpmath.mpf(value) for value in (deltas if deltas is not None else [0] * (len(lengths) + 1))]

    def matrix(self, energy):
        """(u, f) at the right end from (u, f) at the left end, f = psi' / m."""
        total = mpmath.matrix([[1, 0], [self.deltas[0], 1]])
        rows = zip(self.lengths, self.start, self.end, self.masses, self.deltas[1:], strict=True)
        for length, start, end, mass, delta in rows:
            inside = _flat(energy, length, start, mass) if start == end else _tilted(energy, length, start, end, mass)
            total = mpmath.matrix([[1, 0], [delta, 1]]) * inside * total
        return total

    def velocities(self, energy):
        """k / m in both leads: of waves that leave."""
        pairs = zip(self.levels, self.lead_masses, strict=True)
        return [mpmath.sqrt(mpmath.mpc(energy - level) / mass) for level, mass in pairs]

    def amplitudes(self, energy):
        """t, r from the left, t, r from the right."""
        with mpmath.workdps(DIGITS):
            energy = mpmath.mpmathify(energy)
            m = self.matrix(energy)
            left, right = (1j * v for v in self.velocities(energy))
            # left: u_0 = 1 + r, f_0 = left (1 - r); u_S = t, f_S = right t
            a = m[1, 0] - right * m[0, 0]
            b = m[1, 1] - right * m[0, 1]
            r = -(a + left * b) / (a - left * b)
            t = m[0, 0] * (1 + r) + m[0, 1] * left * (1 - r)
            # right: u_0 = t', f_0 = -left t'; u_S = 1 + r', f_S = -right (1 - r')
            u, f = m[0, 0] - left * m[0, 1], m[1, 0] - left * m[1, 1]
            back = -2 * right / (f - right * u)
            return t, r, back, u * back - 1

    def probabilities(self, energy):
        """T and R of waves from the left."""
        with mpmath.workdps(DIGITS):
            t, r, _, _ = self.amplitudes(energy)
            left, right = self.velocities(mpmath.mpf(energy))
            return mpmath.re(right) / mpmath.re(left) * abs(t) ** 2, abs(r) ** 2

    def resonance(self, guess):
        """E - i Gamma / 2 with outgoing waves on both sides, near `guess`."""
        with mpmath.workdps(DIGITS):

            def outgoing(energy):
                m = self.matrix(energy)
                left, right = (1j * v for v in self.velocities(energy))
                u, f = m[0, 0] - left * m[0, 1], m[1, 0] - left * m[1, 1]
                return f - right * u

            return mpmath.findroot(outgoing, mpmath.mpmathify(guess), tol=1e-60, verify=False)


def _flat(energy, length, level, mass):
    q = mpmath.sqrt(mpmath.mpc(mass * (energy - level)))
    if q == 0:
        return mpmath.matrix([[1, mass * length], [0, 1]])
    cosine, sine = mpmath.cos(q * length), mpmath.sin(q * length)
    return mpmath.matrix([[cosine, mass * sine / q], [-q * sine / mass, cosine]])


def _tilted(energy, length, start, end, mass):
    """psi'' = m (V - E) psi with V = start + slope x: Airy functions of s (x - x_0), s^3 = m slope."""
    slope = (end - start) / length
    scale = mpmath.cbrt(mass * abs(slope)) * (1 if slope > 0 else -1)

    def columns(x):
        z = scale * (x + (start - energy) / slope)
        return mpmath.matrix(
            [
                [mpmath.airyai(z), mpmath.airybi(z)],
                [scale * mpmath.airyai(z, derivative=1) / mass, scale * mpmath.airybi(z, derivative=1) / mass],
            ]
        )

    first = columns(mpmath.mpf(0))
    determinant = scale / (mass * mpmath.pi)  # of Ai and Bi
    inverse = mpmath.matrix([[first[1, 1], -first[0, 1]], [-first[1, 0], first[0, 0]]]) / determinant
    return columns(length) * inverse
