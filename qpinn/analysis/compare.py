"""The same level by classical methods, each with its error and its seconds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from qpinn.analysis import errors
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.physics import reference
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.resolution import segment_edges

GRIDS = (200, 2000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One method: E, relative errors of E and psi against the level `index`, and seconds for all up to it.

    An error is None where no reference vouches for it.
    """

    method: str
    index: int
    energy: float
    relative_error_energy: float | None
    relative_l2_psi: float | None
    seconds: float


def classical(potential: Any, exact: reference.Eigenstates | None, index: int = 0, scale: float = 1.0) -> list[Row]:
    """Finite differences on two grids, and spectral elements, for level `index`; E in units of 1 / `scale`.

    Spectral elements are left out where they would be too large a problem, and all of them without walls at both ends.
    """
    if not ends_of(potential).walls:
        return []
    points = gauss_legendre(Mesh(segment_edges(potential, index + 1, phase=0.5)), 20)
    x, weight = np.asarray(points.x).ravel(), np.asarray(points.weight).ravel()
    psi = None if exact is None else exact.psi(x)[index]
    methods: dict[str, Callable[[], reference.Eigenstates]] = {
        f"finite differences, {n} points": partial(reference.finite_differences, potential, index + 1, n) for n in GRIDS
    }
    smooth, degree = reference.fitted(potential)
    methods["spectral elements"] = partial(reference.spectral_elements, smooth, index + 1, degree)
    reference.finite_differences(potential, 1, 10)  # imports are not part of a method's seconds
    rows = []
    for name, method in methods.items():
        begun = time.perf_counter()
        try:
            states = method()
        except reference.SizeError:
            continue
        approximate = states.psi(x)[index]
        seconds = time.perf_counter() - begun
        energy, off, off_psi = float(states.energies[index]), np.nan, np.nan
        if exact is not None and psi is not None:
            off = float(errors.of_energy(energy, exact, index))
            off_psi = errors.of_psi(approximate, weight, exact, index, psi)
        rows.append(Row(
            method=name, index=index, energy=scale * energy, relative_error_energy=errors.stated(off),
            relative_l2_psi=errors.stated(off_psi), seconds=seconds,
        ))  # fmt: skip
    return rows
