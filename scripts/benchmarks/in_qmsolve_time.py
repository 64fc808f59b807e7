"""A packet in time by qmsolve: run by packets.py with the Python of an environment that has qmsolve.

Its H is -1/2 psi'' + U in hartree and bohr, half of -psi'' + V where U = V / 2; a time of ours is half of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

PROBLEMS: dict[str, tuple[float, Callable[[Any], Any], tuple[float, float, float], float]] = {
    "free": (10.0, lambda x: 0 * x, (0.0, 0.4, 4.0), 0.5),
    "coherent": (18.0, lambda x: x**2, (2.0, 0.5**0.5, 0.0), np.pi / 2),
    "double well": (7.0, lambda x: 10 * (x**2 - 1) ** 2, (-1.0, 0.3, 0.0), 4.23),
    "barrier": (32.0, lambda x: 20.0 * (np.abs(x) < 0.25), (-6.0, 1.0, 4.0), 1.6),
}  # fmt: skip
"""Length of the box, V, centre, width and wave number of the packet, and the time."""


def main() -> None:
    """Arguments: problem, points, steps, method."""
    import qmsolve

    name, points, steps, method = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    length, v, (center, width, momentum), end = PROBLEMS[name]

    def psi0(particle: Any) -> Any:
        x = particle.x
        psi = np.exp(-(((x - center) / width) ** 2) / 4 + 1j * momentum * (x - center))
        return psi / np.sqrt(np.sum(np.abs(psi) ** 2) * (x[1] - x[0]))

    h = qmsolve.Hamiltonian(qmsolve.SingleParticle(), lambda at: v(at.x) / 2, N=points, extent=length, spatial_ndim=1)
    simulation = qmsolve.TimeSimulation(h, method=method)
    begun = time.perf_counter()
    simulation.run(psi0, total_time=2 * end, dt=2 * end / steps, store_steps=1)
    seconds = time.perf_counter() - begun
    psi = simulation.Ψ[-1]
    print(json.dumps({"x": h.particle_system.x.tolist(), "real": psi.real.tolist(), "imaginary": psi.imag.tolist(),
                      "solve_seconds": seconds}))  # fmt: skip


if __name__ == "__main__":
    main()
