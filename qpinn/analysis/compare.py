"""The same level by classical methods, each with its error and its seconds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from qpinn.analysis import certify
from qpinn.analysis.evaluate import l2_error
from qpinn.physics import domain, reference

GRIDS = (200, 2000)


@dataclasses.dataclass(frozen=True)
class Row:
    """One method: E, relative errors of E and psi against the exact level `index`, and seconds for all up to it."""

    method: str
    index: int
    energy: float
    relative_error_energy: float | None
    relative_l2_psi: float | None
    seconds: float


def classical(potential: Any, exact: reference.Eigenstates, index: int = 0, scale: float = 1.0) -> list[Row]:
    """Finite differences on two grids, and spectral elements, for level `index`; E in units of 1 / `scale`."""
    points = domain.gauss_legendre(domain.segment_edges(potential, index + 1, phase=0.5), 20)
    x, weight = np.asarray(points.x).ravel(), np.asarray(points.weight).ravel()
    psi = exact.psi(x)[index]
    methods: dict[str, Callable[[], reference.Eigenstates]] = {
        f"finite differences, {n} points": partial(reference.finite_differences, potential, index + 1, n) for n in GRIDS
    }
    methods["spectral elements"] = partial(reference.spectral_elements, potential, index + 1)
    reference.finite_differences(potential, 1, 10)  # imports are not part of a method's seconds
    rows = []
    for name, method in methods.items():
        begun = time.perf_counter()
        states = method()
        found = states.psi(x)[index]
        seconds = time.perf_counter() - begun
        energy = float(states.energies[index])
        error = abs(energy - exact.energies[index]) / certify.scale(np.asarray(exact.energies))[index]
        rows.append(Row(name, index, scale * energy, float(error), float(l2_error(found, psi, weight)), seconds))
    return rows
