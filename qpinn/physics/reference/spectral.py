"""Levels by symmetric Legendre-Galerkin spectral elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qpinn.physics.enclosure import is_enclosed, stray
from qpinn.physics.interval import EPS
from qpinn.physics.potentials import Potential
from qpinn.physics.reference.box import (
    Box,
    Eigenstates,
    Solution,
    Wave,
    box_of,
    cut,
    eigenstates,
    first_sign,
    gauss,
    sample,
    whole,
)
from qpinn.physics.survey import survey


def spectral_elements(potential: Potential, states: int, degree: int = 24, elements: int | None = None) -> Eigenstates:
    """The lowest `states` levels by a symmetric Legendre-Galerkin method with hp elements, to about 1e-13.

    psi is a polynomial of `degree` in each element; elements end at the breakpoints. Basis: hats and integrated
    Legendre polynomials (Szabo & Babuska, Finite Element Analysis (1991)); V by Gauss quadrature with degree + 8
    points. Minimises integral psi'^2 / m + V psi^2 (and alpha psi^2 at Dirac deltas) over integral psi^2, hence bounds
    every level from above.

    elements: equal elements in each piece between breakpoints (of the half box, where V is even); None lets the phase
    of psi and its decay into barriers choose them.

    Raises ValueError if `states`, `degree` (>= 2) or `elements` is not a positive integer, or they are too few.
    """
    states, degree = whole("states", states, 1), whole("degree", degree, 2)
    fixed = None if elements is None else whole("elements", elements, 1)
    box = box_of(potential)

    def solve(part: Box, natural: bool, count: int) -> Solution:
        if fixed is None:
            mesh = _mesh(potential, part, natural, states, degree)
        else:
            mesh = np.append(cut(part.edges, fixed), part.edges[-1])
        if (len(mesh) - 1) * degree - 1 < count:
            raise ValueError(f"degree={degree} and elements={elements}: too few for states={states}")
        return _galerkin(potential, part, mesh, natural, count, degree)

    return eigenstates("spectral elements", box, states, solve)


MOST_ELEMENTS = 4000
"""Elements up to which they are halved."""


def _mesh(potential: Any, box: Box, natural: bool, states: int, degree: int) -> np.ndarray:
    """Elements, halved until a polynomial of `degree` resolves psi of the lowest `states` levels in each of them.

    exp(+-i q x) needs a phase of at most degree / 3 for 1e-16, and V is to be a polynomial to what levels can notice or
    rounding allows. In a barrier psi has decayed by exp(-depth) from the nearest allowed region, so that elements there
    may grow with it (hp grading).
    """
    surveyed = survey(potential, states)
    cells, bound = surveyed.middle, float(surveyed.high[-1])
    floor = min(cells.floor, float(surveyed.low[0]))
    q2 = cells.wave_number(bound)
    rate = np.sqrt(np.maximum(np.abs(q2), q2 - cells.wave_number(floor)))  # at least |q| for every level in question
    phase = np.concatenate([[0.0], np.cumsum(rate * cells.sizes)])
    depth = np.concatenate([[0.0], np.cumsum(cells.decay(bound)[0])])
    allowed = cells.allowed(bound)
    open_to = np.unique(np.concatenate([depth[allowed], depth[allowed + 1]]))
    nodes = cells.edges - box.left
    seams = np.asarray(getattr(potential, "seams", ()), np.float64) - box.left
    mesh = np.union1d(box.edges, seams[(seams > 0) & (seams < box.edges[-1])])
    shortest = (1e-12 if is_enclosed(potential) else 1e-4) * box.edges[-1]
    while len(mesh) <= MOST_ELEMENTS:
        turn = np.diff(np.interp(mesh, nodes, phase))
        at = np.interp(mesh, nodes, depth)
        inside = np.searchsorted(open_to, at[:-1]) < np.searchsorted(open_to, at[1:], side="right")
        place = np.searchsorted(open_to, at[1:])
        right, left = open_to[np.minimum(place, len(open_to) - 1)], open_to[np.maximum(place - 1, 0)]
        gaps = np.where(place < len(open_to), right - at[1:], np.inf), np.where(place > 0, at[:-1] - left, np.inf)
        away = np.where(inside, 0.0, np.maximum(np.minimum(*gaps), 0.0))
        ends = box.left + mesh
        middle = np.asarray(potential(((ends[:-1] + ends[1:]) / 2)[:, None]), np.float64)
        allowance = 1e-13 * (bound - floor) * np.exp(2 * np.minimum(away, 300.0)) + 8 * EPS * np.abs(middle)
        rough = stray(potential, ends[:-1], ends[1:], degree) > allowance
        cut = (away <= 45.0) & ((turn > np.maximum(degree / 3, away)) | rough) & (np.diff(mesh) > 2 * shortest)
        if not cut.any():
            break
        mesh = np.sort(np.concatenate([mesh, ((mesh[:-1] + mesh[1:]) / 2)[cut]]))
    return mesh


def _basis(degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gauss nodes and weights, the basis and its slope there (degree + 1, points), its Legendre coefficients."""
    nodes, weights = gauss(degree + 8)
    legendre = np.polynomial.legendre.legvander(nodes, degree).T
    coefficients = np.zeros((degree + 1, degree + 1))
    slopes = np.empty_like(legendre)
    coefficients[0, :2], coefficients[degree, :2] = (0.5, -0.5), (0.5, 0.5)
    slopes[0], slopes[degree] = -0.5, 0.5
    for j in range(2, degree + 1):
        coefficients[j - 1, j], coefficients[j - 1, j - 2] = np.array([1.0, -1.0]) / math.sqrt(4 * j - 2)
        slopes[j - 1] = math.sqrt(j - 0.5) * legendre[j - 1]
    return nodes, weights, coefficients @ legendre, slopes, coefficients


def _galerkin(potential: Potential, box: Box, mesh: np.ndarray, natural: bool, count: int, degree: int) -> Solution:
    from scipy import linalg

    nodes, weights, basis, slopes, coefficients = _basis(degree)
    sizes = np.diff(mesh)
    v = sample(potential, box.left, mesh[:-1, None] + sizes[:, None] * (nodes + 1) / 2)
    floor = box.floor(float(v.min()), natural)
    heavy = box.mass[np.clip(np.searchsorted(box.edges, (mesh[:-1] + mesh[1:]) / 2) - 1, 0, len(box.mass) - 1)]
    at_edges = np.abs(mesh[:, None] - box.edges).argmin(axis=0) * degree
    h, mass = np.zeros((2, len(sizes) * degree + 1, len(sizes) * degree + 1))
    for e, size in enumerate(sizes):
        block = slice(e * degree, (e + 1) * degree + 1)
        local = basis * (weights * size / 2)
        mass[block, block] += local @ basis.T
        h[block, block] += (slopes * (weights * 2 / size / heavy[e])) @ slopes.T + (local * (v[e] - floor)) @ basis.T
    h[at_edges, at_edges] += box.strength
    free = slice(1, len(h) if natural else -1)
    h, mass = h[free, free], mass[free, free]
    # h is nearly diagonal in this basis, the mass is not: M c = c h / E keeps the digits that h c = E M c would lose.
    levels, vectors = linalg.eigh(mass, h, subset_by_index=[len(h) - count, len(h) - 1])
    energies, vectors = 1 / levels[::-1], vectors[:, ::-1]
    polished = np.zeros((len(sizes) * degree + 1, count))
    for j, energy in enumerate(energies):
        # Slightly beside the level: a singular matrix is avoided and a nearly degenerate pair stays two states.
        factors = linalg.lu_factor(h - energy * (1 - 1e-9) * mass, check_finite=False)
        vector = vectors[:, j]
        for _ in range(2):
            vector = linalg.lu_solve(factors, mass @ vector, check_finite=False)
            vector = vector / np.abs(vector).max()
        polished[free, j] = vector
    local = polished[np.arange(len(sizes))[:, None] * degree + np.arange(degree + 1)]  # (elements, degree + 1, k)
    scale = np.sqrt(weights * sizes[:, None] / 2)[..., None]
    psi = (scale * np.einsum("ip,eik->epk", basis, local)).reshape(-1, count)
    steepness = scale * 2 / (sizes * np.sqrt(heavy))[:, None, None]
    slope = (steepness * np.einsum("ip,eik->epk", slopes, local)).reshape(-1, count)
    contact = polished[at_edges]
    # Rayleigh-Ritz by sums of squares: rounding relative to the level, not to the largest eigenvalue of the matrices.
    stiffness = slope.T @ slope + psi.T @ ((v.ravel() - floor)[:, None] * psi)
    stiffness += contact.T @ (box.strength[:, None] * contact)
    energies, mix = linalg.eigh(stiffness, psi.T @ psi)
    mix = mix * first_sign((psi @ mix / np.sqrt(np.repeat(sizes, len(nodes)))[:, None]).T)
    return floor + energies, _legendre_wave(mesh, np.einsum("ij,eik->ejk", coefficients, local @ mix))


def _legendre_wave(mesh: np.ndarray, coefficients: np.ndarray) -> Wave:
    """psi from Legendre coefficients of shape (elements, degree + 1, k)."""

    def wave(t: np.ndarray) -> np.ndarray:
        values = np.zeros((len(t), coefficients.shape[2]))
        element = np.clip(np.searchsorted(mesh, t, side="right") - 1, 0, len(mesh) - 2)
        for e in np.unique(element):
            here = element == e
            xi = np.clip(2 * (t[here] - mesh[e]) / (mesh[e + 1] - mesh[e]) - 1, -1.0, 1.0)
            values[here] = np.polynomial.legendre.legvander(xi, coefficients.shape[1] - 1) @ coefficients[e]
        return values.T

    return wave
