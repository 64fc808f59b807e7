"""Levels of a box by qmsolve: run by elsewhere.py with the Python of an environment that has qmsolve.

Its H is -1/2 Laplacian + U in hartree and bohr, half of -Laplacian + V where U = V / 2; its energies are in eV.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

PROBLEMS: dict[str, tuple[int, float, int, Callable[[Any], Any]]] = {
    "oscillator": (2, 12.0, 4, lambda at: at.x**2 + at.y**2),
    "x^2 + y^2 + 0.1 x^2 y^2": (2, 12.0, 8, lambda at: at.x**2 + at.y**2 + 0.1 * at.x**2 * at.y**2),
    "circular dot, depth 50": (2, 4.0, 8, lambda at: 50.0 * (at.x**2 + at.y**2 >= 1)),
    "x^2 + 2 y^2 + 3 z^2, coupled": (3, 10.0, 8, lambda at: (
        at.x**2 + 2 * at.y**2 + 3 * at.z**2 + 0.1 * (at.x**2 * at.y**2 + at.y**2 * at.z**2 + at.x**2 * at.z**2)
        + 0.1 * at.x * at.y * at.z)),
}  # fmt: skip
"""Coordinates, side of the square or cube, levels, V."""


def main() -> None:
    """Arguments: problem, points of an axis, method, and 1 where the step is mended through the mass."""
    import qmsolve

    name, points, method, mended = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "1"
    dimension, side, states, v = PROBLEMS[name]
    mass = (points / (points - 1)) ** 2 if mended else 1.0
    particle = qmsolve.SingleParticle(m=mass)
    h = qmsolve.Hamiltonian(particle, lambda at: v(at) / 2, N=points, extent=side, spatial_ndim=dimension)
    begun = time.perf_counter()
    found = h.solve(max_states=states, method=method)
    seconds = time.perf_counter() - begun
    print(json.dumps({"energies": sorted(2 * float(one) * qmsolve.eV for one in found.energies),
                      "unknowns": points**dimension, "solve_seconds": seconds}))  # fmt: skip


if __name__ == "__main__":
    main()
