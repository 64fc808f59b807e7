"""Bounds on the levels of one axis of a comparison potential that separates, from the functions of that axis."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.bounds import certify
from qpinn.bounds.certify import Certificate, Values
from qpinn.geometry.domain import WALLS, Ends
from qpinn.physics.hamiltonian import hamiltonian
from qpinn.physics.survey import survey
from qpinn.wavefunctions.axis import OnGrid


class AxisLevels(NamedTuple):
    """The lowest n levels of an axis: their functions as a mix (P, n) of those of the axis, and what is known of them.

    energies  (n,) Rayleigh quotients
    lower     (n + 1,) lower bounds of the levels, the next one included
    residual  (n, n) <r_i|r_j>
    """

    mix: Float[np.ndarray, "P n"]
    energies: Float[np.ndarray, "n"]
    lower: Float[np.ndarray, "n+1"]
    residual: Float[np.ndarray, "n n"]


def axis_levels(v: Any, fine: OnGrid, check: OnGrid, count: int, ends: Ends = WALLS) -> AxisLevels:
    """The lowest `count` levels of -u'' / m + v u = e u on an axis with these ends; on a ring one more where `count` is
    even: above the lowest level they come in pairs, and a gap follows each pair (Hill)."""
    count += ends.ring and count % 2 == 0
    _, mix = fine.ritz(np.asarray(v.at(fine.x[:, None]), np.float64))
    mix = mix[:, :count]
    heavy = hamiltonian(v.times(energy=fine.mass), ends)  # -u'' + m v u = m e u
    above = survey(heavy, count + 1).low / fine.mass
    values = _values(v, fine.mixed(mix))
    bound: Certificate = certify.certify(values, _values(v, check.mixed(mix)), float(above[count]), np.finfo(float).eps)
    lower = np.append(np.maximum(bound.lower, above[:count]), above[count])
    r = values.h_psi - bound.energies[:, None] * values.psi
    return AxisLevels(mix, bound.energies, lower, (values.weight * r) @ r.T)


def _values(v: Any, grid: OnGrid) -> Values:
    """The functions of an axis on its points, with H of the potential `v`."""
    at, (psi, slope, curvature) = np.asarray(v.at(grid.x[:, None]), np.float64), grid.jets
    none, mass = np.zeros(len(grid.x)), np.full(len(grid.x), grid.mass)
    return Values(
        x=grid.x, psi=psi, slope=slope, h_psi=at * psi - curvature / grid.mass, v=at, mass=mass, mass_slope=none,
        weight=grid.weight, blur=none, at_deltas=np.zeros((len(psi), 0)), strength=np.zeros(0),
    )  # fmt: skip
