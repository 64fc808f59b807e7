"""Levels by symmetric Legendre-Galerkin spectral elements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qpinn.checks import whole
from qpinn.geometry.domain import Ends
from qpinn.physics.counting import GOLDEN, negative
from qpinn.physics.enclosure import is_enclosed, stray, stray_mass
from qpinn.physics.interval import EPS
from qpinn.physics.potentials import Potential
from qpinn.physics.potentials.base import mass_at
from qpinn.physics.reference.box import (
    Box,
    Eigenstates,
    SizeError,
    Solution,
    Wave,
    box_of,
    cut,
    eigenstates,
    first_sign,
    gauss,
    sample,
)
from qpinn.physics.reference.vouched import compared, rounding
from qpinn.physics.survey import survey

MOST_UNKNOWNS = 100_000
"""Elements times degree beyond which no reference is computed: memory (about 2 kB each) and time grow in proportion."""


def spectral_elements(
    potential: Potential, states: int, degree: int = 24, elements: int | None = None, checked: bool = False
) -> Eigenstates:
    """The lowest `states` levels by a symmetric Legendre-Galerkin method with hp elements, to about 1e-13.

    psi is a polynomial of `degree` in each element; elements end at the breakpoints. Basis: hats and integrated
    Legendre polynomials (Szabo & Babuska, Finite Element Analysis (1991)); V by Gauss quadrature with degree + 8
    points. Minimises integral psi'^2 / m + V psi^2 (and alpha psi^2 at Dirac deltas) over integral psi^2, hence bounds
    every level from above. A free end is what this form has of itself; on a ring the function of its last edge is that
    of its first, times exp(i theta).

    elements: equal elements in each piece between breakpoints (of the half box, where V is even); None lets the phase
    of psi and its decay into barriers choose them.
    checked: solve with every element halved too, return that, and what changed as the errors; else they are NaN.

    Raises ValueError if `states`, `degree` (>= 2) or `elements` is not a positive integer, or they are too few;
    SizeError, which is one, if more than `MOST_UNKNOWNS` are needed.
    """
    states, degree = whole("states", states, 1), whole("degree", degree, 2)
    fixed = None if elements is None else whole("elements", elements, 1)
    box = box_of(potential)

    def solve(box: Box, count: int) -> Solution:
        if fixed is None:
            mesh = _mesh(potential, box, states, degree)
        else:
            mesh = np.append(cut(box.edges, fixed), box.edges[-1])
        if box.ends.ring and len(mesh) == 2:  # a seam, and one more edge
            mesh = _halved(mesh)
        if (len(mesh) - 1) * degree - 1 < count:
            raise ValueError(f"degree={degree} and elements={elements}: too few for states={states}")
        if not checked:
            return _galerkin(potential, box, mesh, count, degree)
        coarse_mesh, mesh = mesh, _halved(mesh)
        fine = _galerkin(potential, box, mesh, count, degree)
        coarse = _galerkin(potential, box, coarse_mesh, count, degree)
        nodes, weights = gauss(degree + 8)
        t = (mesh[:-1, None] + np.diff(mesh)[:, None] * (nodes + 1) / 2).ravel()
        weight = (np.diff(mesh)[:, None] * weights / 2).ravel()
        size = (weight * np.abs(sample(potential, box.left, t))) @ np.abs(fine.wave(t).T) ** 2
        size = size + np.abs(box.strength) @ np.abs(fine.wave(box.edges).T) ** 2
        return compared(fine, coarse, t, weight, rounding(box, fine.energies, size))

    return eigenstates("spectral elements", box, states, solve)


MOST_ELEMENTS = 4000
"""Elements up to which they are halved."""


def _mesh(potential: Any, box: Box, states: int, degree: int) -> np.ndarray:
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
    if cells.ends.ring:  # the next allowed region may lie beyond the seam
        open_to = np.unique(np.concatenate([open_to - depth[-1], open_to, open_to + depth[-1]]))
    nodes = cells.edges - box.left
    seams = np.asarray(getattr(potential, "seams", ()), np.float64) - box.left
    mesh = np.union1d(box.edges, seams[(seams > 0) & (seams < box.edges[-1])])
    blur = 4 * EPS * max(abs(box.left), abs(box.right))  # an edge as rounded may lie beyond the jump of V that it is at
    shortest = max((1e-12 if is_enclosed(potential) else 1e-4) * box.edges[-1], 2 * blur)
    while len(mesh) <= MOST_ELEMENTS:
        turn = np.diff(np.interp(mesh, nodes, phase))
        at = np.interp(mesh, nodes, depth)
        inside = np.searchsorted(open_to, at[:-1]) < np.searchsorted(open_to, at[1:], side="right")
        place = np.searchsorted(open_to, at[1:])
        right, left = open_to[np.minimum(place, len(open_to) - 1)], open_to[np.maximum(place - 1, 0)]
        gaps = np.where(place < len(open_to), right - at[1:], np.inf), np.where(place > 0, at[:-1] - left, np.inf)
        away = np.where(inside, 0.0, np.maximum(np.minimum(*gaps), 0.0))
        ends = box.left + mesh
        middle = np.asarray(potential.at(((ends[:-1] + ends[1:]) / 2)[:, None]), np.float64)
        allowance = 1e-13 * (bound - floor) * np.exp(2 * np.minimum(away, 300.0)) + 8 * EPS * np.abs(middle)
        rough = stray(potential, ends[:-1] + blur, ends[1:] - blur, degree) > allowance
        rough |= stray_mass(potential, ends[:-1], ends[1:], degree) > 64 * EPS
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


def _halved(mesh: np.ndarray) -> np.ndarray:
    """Every element as two."""
    return np.sort(np.concatenate([mesh, (mesh[:-1] + mesh[1:]) / 2]))


@dataclass(frozen=True)
class _Elements:
    """S elements of degree p with m and V at their Gauss points, and what each contributes to the form H - floor.

    mesh (S + 1,); mass, v (S, points); strength (S + 1,) of the delta at each edge. stiffness, overlap
    (S, p + 1, p + 1): integral psi_i' psi_j' / m + (V - floor) psi_i psi_j, psi_i psi_j.
    """

    mesh: np.ndarray
    mass: np.ndarray
    v: np.ndarray
    strength: np.ndarray
    ends: Ends
    floor: float
    degree: int
    stiffness: np.ndarray
    overlap: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.mesh)

    @property
    def walls(self) -> np.ndarray:
        """Numbers of the coefficients that are 0, those of psi at walls."""
        last = (len(self.mesh) - 1) * self.degree
        return np.array([0] * (self.ends.left == "wall") + [last] * (self.ends.right == "wall"), int)

    @property
    def places(self) -> np.ndarray:
        """Numbers (S, p + 1) of the coefficients of each element: neighbours share the one of their common edge."""
        return np.arange(len(self.mesh) - 1)[:, None] * self.degree + np.arange(self.degree + 1)


def _assembled(potential: Potential, box: Box, mesh: np.ndarray, degree: int) -> _Elements:
    """Raises SizeError, before anything is allocated, if there are more than `MOST_UNKNOWNS`."""
    unknowns = (len(mesh) - 1) * degree
    if unknowns > MOST_UNKNOWNS:
        raise SizeError(f"spectral elements need {unknowns} unknowns, more than {MOST_UNKNOWNS}")
    nodes, weights, basis, slopes, _ = _basis(degree)
    sizes = np.diff(mesh)
    x = box.left + (mesh[:-1, None] + sizes[:, None] * (nodes + 1) / 2)
    v = np.asarray(potential.at(x[..., None]), np.float64)
    floor = box.floor(float(v.min()))
    mass = np.broadcast_to(np.asarray(mass_at(potential, x[..., None]), np.float64), x.shape)
    strength = np.zeros(len(mesh))
    deltas = np.flatnonzero(box.strength)
    strength[np.abs(mesh[:, None] - box.edges[deltas]).argmin(axis=0)] += box.strength[deltas]
    kinetic = (slopes * (weights * (2 / sizes[:, None]) / mass)[:, None, :]) @ slopes.T
    stiffness = kinetic + (basis * (weights * (v - floor) * sizes[:, None] / 2)[:, None, :]) @ basis.T
    overlap = (sizes / 2)[:, None, None] * ((basis * weights) @ basis.T)
    return _Elements(mesh=mesh, mass=mass, v=v, strength=strength, ends=box.ends, floor=floor, degree=degree,
                     stiffness=stiffness, overlap=overlap)  # fmt: skip


def _levels(elements: _Elements, count: int) -> np.ndarray:
    """The lowest `count` levels (count,) above the floor, to about 1e-12, at a cost linear in the elements.

    With psi clamped at its ends an element has levels of its own; expanded in them, what is inside it is eliminated,
    and the balance of fluxes at the edges is D(E) u = 0 with a tridiagonal D. Below E lie as many levels as clamped
    ones and negative pivots of D (Wittrick & Williams, Q. J. Mech. Appl. Math. 24 (1971) 263), which brackets each. On
    a ring D has corners; all of psi but that at the seam and at one more edge is eliminated first.
    """
    inside, ends = slice(1, elements.degree), [0, elements.degree]
    root = np.linalg.inv(np.linalg.cholesky(elements.overlap[:, inside, inside]))
    clamped, modes = np.linalg.eigh(root @ elements.stiffness[:, inside, inside] @ root.transpose(0, 2, 1))
    modes = root.transpose(0, 2, 1) @ modes
    to_ends, over_ends = (
        modes.transpose(0, 2, 1) @ matrix[:, inside][:, :, ends] for matrix in (elements.stiffness, elements.overlap)
    )
    tiny = 1e-15 * np.abs(clamped)
    at_ends, overlap = (matrix[:, ends][:, :, ends] for matrix in (elements.stiffness, elements.overlap))

    def below(energies: np.ndarray) -> np.ndarray:
        """How many levels lie below each of the energies (k,)."""
        e = energies[:, None, None]
        left, right = (to_ends[..., end] - e * over_ends[..., end] for end in (0, 1))
        gap = clamped - e
        gap = np.where(np.abs(gap) < tiny, tiny, gap)  # a pole of D
        first, last, cross = (
            at_ends[:, i, j] - energies[:, None] * overlap[:, i, j] - np.sum(a * b / gap, axis=2)
            for i, j, a, b in ((0, 0, left, left), (1, 1, right, right), (0, 1, left, right))
        )
        diagonal = np.tile(elements.strength, (len(energies), 1))
        diagonal[:, :-1] += first
        diagonal[:, 1:] += last
        clamped_below = np.sum(gap < 0, axis=(1, 2))
        if elements.ends.ring:
            return clamped_below + _negative_on_ring(diagonal, cross, elements.ends)
        first_edge, last_edge = int(elements.ends.left == "wall"), -1 if elements.ends.right == "wall" else None
        inner = (diagonal[:, first_edge:last_edge].tolist(), (cross[:, first_edge:last_edge] ** 2).tolist())
        return clamped_below + [_negative_pivots(*row) for row in zip(*inner, strict=True)]

    top = np.array([(count * np.pi / elements.mesh[-1]) ** 2])
    while below(top)[0] < count:
        top = 2 * top
    low, high = np.zeros(count), np.full(count, top[0])
    wanted = np.arange(1, count + 1)
    while (high - low > 1e-12 * high).any():
        middle = (low + high) / 2
        above = below(middle) >= wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _negative_pivots(diagonal: list[float], cross2: list[float]) -> int:
    """Negative pivots of a tridiagonal matrix: diagonal (n,), squares of what stands beside it (n - 1,)."""
    pivot, negative = diagonal[0] if diagonal else 1.0, 0
    for entry, square in zip(diagonal[1:], cross2, strict=True):
        negative += pivot < 0
        pivot = entry - square / (pivot or 1e-100)
    return negative + (pivot < 0)


def _negative_on_ring(diagonal: np.ndarray, cross: np.ndarray, ends: Ends) -> np.ndarray:
    """Negative eigenvalues (k,) of tridiagonal matrices with corners: diagonal (k, n + 1), cross (k, n).

    Its first and last rows are one, with a factor exp(i theta) in the last column.
    """
    count = cross.shape[1]
    clamp = min(max(int(GOLDEN * count), 1), count - 1)
    below, edges, links = np.zeros(len(cross), int), [], []
    for start, stop in ((0, clamp), (clamp, count)):
        first, last, link = diagonal[:, start] * 0.0, diagonal[:, start + 1], cross[:, start]
        for j in range(start + 1, stop):
            pivot = np.where(last == 0, 1e-100, last)
            below += pivot < 0
            first, last = first - link**2 / pivot, diagonal[:, j + 1] - cross[:, j] ** 2 / pivot
            link = -link * cross[:, j] / pivot
        edges.append((first, last))
        links.append(link)
    seam = diagonal[:, 0] + edges[0][0] + edges[1][1]
    across2 = (links[0] + ends.cosine * links[1]) ** 2 + (ends.sine * links[1]) ** 2
    return below + negative(seam, edges[0][1] + edges[1][0], across2)


def _vectors_on_ring(elements: _Elements, energies: np.ndarray) -> np.ndarray:
    """Coefficients (n, k), all of them and complex where psi is, as `_vectors`: inverse iteration, sparse."""
    from scipy import sparse
    from scipy.sparse import linalg

    degree, places, phase = elements.degree, elements.places, elements.ends.phase
    total, count = int(places[-1, -1]), len(energies)
    rows, columns = np.repeat(places, degree + 1, axis=1).ravel(), np.tile(places, degree + 1).ravel()
    every = np.arange(total + 1)  # the last is the first, times the phase
    joined = sparse.csc_array((np.append(np.ones(total), phase), (every, every % total)), shape=(total + 1, total))

    def assembled(blocks: np.ndarray) -> Any:
        return sparse.csc_array((blocks.ravel(), (rows, columns)), shape=(total + 1, total + 1))

    contacts = np.zeros(total + 1)
    contacts[::degree] = elements.strength
    stiffness, overlap = (
        joined.conj().T @ matrix @ joined
        for matrix in (assembled(elements.stiffness) + sparse.diags_array(contacts), assembled(elements.overlap))
    )
    start = np.random.default_rng(0).standard_normal((total, count)).astype(type(phase))
    for j, energy in enumerate(energies):
        solver = linalg.splu(sparse.csc_array(stiffness - energy * (1 - 1e-9) * overlap))
        vector = start[:, j]
        for _ in range(3):
            vector = solver.solve(overlap @ vector)
            vector = vector / np.abs(vector).max()
        start[:, j] = vector
    return np.asarray(joined @ start)


def _vectors(elements: _Elements, energies: np.ndarray) -> np.ndarray:
    """Coefficients (n, k) of functions that span those of the levels `energies` (k,): inverse iteration, banded."""
    from scipy import linalg

    if elements.ends.ring:
        return _vectors_on_ring(elements, energies)
    degree, places = elements.degree, elements.places
    total, count = int(places[-1, -1]) + 1, len(energies)
    row, column = places[:, :, None], places[:, None, :]
    index = ((degree + row - column) * total + column).ravel()

    def banded(blocks: np.ndarray) -> np.ndarray:
        return np.bincount(index, blocks.ravel(), (2 * degree + 1) * total).reshape(2 * degree + 1, total)

    stiffness, overlap = banded(elements.stiffness), banded(elements.overlap)
    stiffness[degree, ::degree] += elements.strength
    walls = elements.walls
    for matrix in (stiffness, overlap):  # psi = 0 at the walls
        for wall in walls:
            matrix[:, wall] = 0.0
            near = np.arange(max(wall - degree, 0), min(wall + degree + 1, total))
            matrix[degree + wall - near, near] = 0.0
    start = np.random.default_rng(0).standard_normal((total, count))  # of one pair two vectors, as any two starts give
    start[walls] = 0.0
    for j, energy in enumerate(energies):
        # Slightly beside the level: a singular matrix is avoided and a nearly degenerate pair stays two states.
        shifted = stiffness - energy * (1 - 1e-9) * overlap
        shifted[degree, walls] = 1.0
        vector = start[:, j]
        for _ in range(3):
            product = np.einsum("eij,ej->ei", elements.overlap, vector[places])
            right = np.bincount(places.ravel(), product.ravel(), total)
            right[walls] = 0.0
            vector = linalg.solve_banded((degree, degree), shifted, right, check_finite=False)
            vector = vector / np.abs(vector).max()
        start[:, j] = vector
    return start


def _galerkin(potential: Potential, box: Box, mesh: np.ndarray, count: int, degree: int) -> Solution:
    from scipy import linalg

    nodes, weights, basis, slopes, coefficients = _basis(degree)
    elements = _assembled(potential, box, mesh, degree)
    sizes, v = elements.sizes, elements.v
    solved = count + elements.ends.ring  # the last of them may be one of a pair, which are told apart by both
    levels = _levels(elements, solved)
    polished = _vectors(elements, levels)
    local = polished[elements.places]  # (elements, degree + 1, k)
    scale = np.sqrt(weights * sizes[:, None] / 2)[..., None]
    psi = (scale * (basis.T @ local)).reshape(-1, solved)
    steepness = scale * 2 / (sizes[:, None] * np.sqrt(elements.mass))[..., None]
    slope = (steepness * (slopes.T @ local)).reshape(-1, solved)
    contact = polished[:: elements.degree]
    # Rayleigh-Ritz by sums over points, about the lowest level: rounding relative to what psi has of V and of slope,
    # not to the largest eigenvalue of the matrices, nor to the depth of a notch.
    lowest = elements.floor + float(levels[0])
    across, over = psi.conj().T, contact.conj().T
    stiffness = slope.conj().T @ slope + across @ ((v.ravel() - lowest)[:, None] * psi)
    stiffness += over @ (elements.strength[:, None] * contact)
    energies, mix = (array[..., :count] for array in linalg.eigh(stiffness, across @ psi))
    mix = mix * first_sign((psi @ mix / np.sqrt(np.repeat(sizes, len(nodes)))[:, None]).T).conj()
    unknown = np.full(count, np.nan)
    return Solution(
        energies=lowest + energies, wave=_legendre_wave(mesh, coefficients.T @ (local @ mix)),
        errors=unknown, psi_errors=unknown,
    )  # fmt: skip


def _legendre_wave(mesh: np.ndarray, coefficients: np.ndarray) -> Wave:
    """psi from Legendre coefficients of shape (elements, degree + 1, k)."""

    sizes = np.diff(mesh)

    def wave(t: np.ndarray) -> np.ndarray:
        element = np.clip(np.searchsorted(mesh, t, side="right") - 1, 0, len(sizes) - 1)
        xi = np.clip(2 * (t - mesh[element]) / sizes[element] - 1, -1.0, 1.0)
        before, here = np.zeros_like(xi), np.ones_like(xi)
        values = np.zeros((len(t), coefficients.shape[2]), coefficients.dtype)
        for j in range(coefficients.shape[1]):
            values += here[:, None] * coefficients[element, j]
            before, here = here, ((2 * j + 1) * xi * here - j * before) / (j + 1)
        return values.T

    return wave
