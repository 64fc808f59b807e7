"""Levels by symmetric Legendre-Galerkin spectral elements."""

from __future__ import annotations

import math

import numpy as np

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
    inside,
    sample,
    upper_bound,
    whole,
)


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
            mesh = _mesh(potential, part, natural, count, degree)
        else:
            mesh = np.append(cut(part.edges, fixed), part.edges[-1])
        if (len(mesh) - 1) * degree - 1 < count:
            raise ValueError(f"degree={degree} and elements={elements}: too few for states={states}")
        return _galerkin(potential, part, mesh, natural, count, degree)

    return eigenstates("spectral elements", box, states, solve)


def _mesh(potential: Potential, box: Box, natural: bool, states: int, degree: int) -> np.ndarray:
    """Elements, halved until a polynomial of `degree` resolves psi in each of them.

    exp(+-i q x) needs a phase of at most degree / 3 for 1e-16. In a barrier psi has decayed by exp(-agmon), agmon the
    integral of sqrt(V - E) from the nearest allowed region, so that elements there may grow with it (hp grading).
    """
    left, edges = box.left, box.edges
    t = inside(edges, 128)
    v = sample(potential, left, t)
    root = np.sqrt(box.mass)[:, None]
    floor = box.floor(float(v.min()), natural)
    bound = upper_bound(potential, box, states, cuts=(1, 2, 3, 5, 9, 17, 33))
    step = np.repeat(np.diff(edges) / t.shape[1], t.shape[1])
    rate = (root * np.sqrt(np.maximum(bound - v, v - floor))).ravel()  # at least |q| for every level in question
    decay = (root * np.sqrt(np.maximum(v - bound, 0.0))).ravel()  # at most kappa
    nodes, phase, agmon = (np.concatenate([[0.0], np.cumsum(part)]) for part in (step, step * rate, step * decay))
    open_to = agmon[1:][v.ravel() < bound]

    def fine(a: float, b: float, level: int) -> bool:
        turn = np.interp(b, nodes, phase) - np.interp(a, nodes, phase)
        start, stop = np.interp(a, nodes, agmon), np.interp(b, nodes, agmon)
        away = float(np.maximum(np.maximum(open_to - stop, start - open_to), 0.0).min())
        if away > 45.0:  # psi < 1e-19
            return True
        if turn > max(degree / 3, away):
            return False
        # A kink that is no breakpoint is never resolved: eight halvings, then it is left to its algebraic error.
        return level >= 8 or _smooth(potential, left, a, b, degree, bound - floor)

    mesh = [0.0]
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        todo = [(start, stop, 0)]
        while todo:
            a, b, level = todo.pop()
            if level >= 50 or fine(a, b, level):
                mesh.append(b)
            else:
                middle = 0.5 * (a + b)
                todo += [(middle, b, level + 1), (a, middle, level + 1)]
    return np.array(mesh)


def _smooth(potential: Potential, left: float, a: float, b: float, degree: int, scale: float) -> bool:
    """Whether V is a polynomial of `degree` in the element, to what the levels can notice or rounding allows."""
    nodes, weights = gauss(degree + 8)
    v = sample(potential, left, a + (b - a) * (nodes + 1) / 2)
    top = np.arange(degree - 2, degree + 1)
    tail = (weights * v) @ np.polynomial.legendre.legvander(nodes, degree)[:, top] * (top + 0.5)
    blur = 100 * np.finfo(float).eps * (np.abs(v).max() + np.ptp(v) * (abs(left) + b) / (b - a))
    return bool(np.abs(tail).max() <= 1e-12 * (scale + np.ptp(v)) + blur)


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
