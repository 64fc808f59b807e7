"""Levels of layers in an electric field to 40 digits: Airy functions and transfer matrices, which qpinn has none of.

In a layer with V = v + F x and mass m, H = -d/dx (1 / m) d/dx + V, psi is a combination of Ai and Bi of
z = (m F)^(1/3) (x + (v - E) / F); psi and psi' / m go over an interface.
"""

import mpmath as mp

DIGITS = 40


def mismatch(energy, edges, left, slope, masses):
    """psi at the right wall of the solution with psi = 0 and psi' / m = 1 at the left one.

    edges (n + 1,); left, slope, masses (n,): V at the left end of each layer and its slope there.
    """
    psi, flux = mp.mpf(0), mp.mpf(1)
    for a, b, v, f, m in zip(edges[:-1], edges[1:], left, slope, masses, strict=True):
        size = b - a
        if f == 0:
            q = mp.sqrt(m * (energy - v))
            wave = size if q == 0 else mp.sin(q * size) / q
            psi, flux = mp.cos(q * size) * psi + wave * m * flux, -q * q * wave / m * psi + mp.cos(q * size) * flux
            continue
        k = mp.sign(f) * (m * abs(f)) ** (mp.mpf(1) / 3)
        first, last = (k * (x + (v - energy) / f) for x in (mp.mpf(0), size))
        u, s = psi, m * flux / k
        ends = [(mp.airyai(z), mp.airybi(z), mp.airyai(z, derivative=1), mp.airybi(z, derivative=1))
                for z in (first, last)]  # fmt: skip
        (ai, bi, dai, dbi), (ai2, bi2, dai2, dbi2) = ends
        alpha, beta = mp.pi * (u * dbi - s * bi), mp.pi * (s * ai - u * dai)  # the Wronskian is 1 / pi
        psi, flux = alpha * ai2 + beta * bi2, k * (alpha * dai2 + beta * dbi2) / m
    return psi


def level(near, edges, left, slope, masses):
    """The level next to `near`, by the secant method at 40 digits."""
    with mp.workdps(DIGITS + 15):
        numbers = [[mp.mpf(float(x)) for x in values] for values in (edges, left, slope, masses)]
        near = mp.mpf(float(near))
        return mp.findroot(lambda energy: mismatch(energy, *numbers), (near, near * (1 + mp.mpf(10) ** -13)),
                           tol=mp.mpf(10) ** -(2 * DIGITS), maxsteps=60, verify=False)  # fmt: skip


def graded_mass_level(near, length, first, last):
    """The level next to `near` of V = 0 between walls at 0 and `length`, m linear from `first` to `last`.

    The flux f = psi' / m obeys f'' + E m(x) f = 0, and f' = -E psi = 0 at the walls.
    """
    with mp.workdps(DIGITS + 15):
        length, first, last = (mp.mpf(float(x)) for x in (length, first, last))
        steep = (last - first) / length

        def wronskian(energy):
            k = -mp.sign(steep) * (energy * abs(steep)) ** (mp.mpf(1) / 3)
            ends = (k * first / steep, k * last / steep)
            (dai, dbi), (dai2, dbi2) = ((mp.airyai(z, derivative=1), mp.airybi(z, derivative=1)) for z in ends)
            return dai * dbi2 - dbi * dai2

        near = mp.mpf(float(near))
        return mp.findroot(wronskian, (near, near * (1 + mp.mpf(10) ** -13)), tol=mp.mpf(10) ** -(2 * DIGITS),
                           maxsteps=60, verify=False)  # fmt: skip
