"""Reference levels of -psi'' + V psi = E psi with psi = 0 at both walls: three routes that share no equation.

`exact` solves the transcendental equation of piecewise-constant potentials, `spectral_elements` takes any potential
that is smooth between its breakpoints, `finite_differences` is the usual second-order grid.

Where V is even about the centre of the box, the first two solve both parities on half the box (psi' = 0 or psi = 0 at
the centre) and interleave them, so that the nearly degenerate pairs of a high barrier keep their symmetry.

Positions inside this module are measured from the left wall (`t`), so that a box far from the origin loses no digits.
Units: lengths in L, energies in hbar^2 / (2 m L^2). SciPy is imported where it is needed: it costs start-up time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from qpinn.physics.potentials import Potential

Wave = Callable[[np.ndarray], np.ndarray]
Solution = tuple[np.ndarray, Wave]  # energies (k,) and psi: t (n,) -> (k, n), normalised on the stretch it solves
Solve = Callable[[np.ndarray, bool, int], Solution]  # edges, psi' = 0 at the last of them?, number of states

__all__ = ["Eigenstates", "exact", "finite_differences", "spectral_elements"]

VISIBLE = 1e-8  # a lobe smaller than this part of max|psi| is rounding noise and cannot carry the sign


@dataclass(frozen=True)
class Eigenstates:
    """The lowest k levels of a potential.

    method: how they were computed. energies: shape (k,), ascending. psi: maps positions of shape (n,) to values of
    shape (k, n), with integral psi_i psi_j = delta_ij over the box, psi' > 0 at the left wall, and 0 at the walls and
    beyond.
    """

    method: str
    energies: np.ndarray
    psi: Wave


# ------------------------------------------------------------------------------------------------------------ the box


@dataclass(frozen=True)
class _Box:
    """The walls, the edges of the pieces as seen from the left wall (0 and the length included), the symmetry."""

    left: float
    right: float
    edges: np.ndarray
    even: bool


def _sample(potential: Potential, left: float, t: np.ndarray) -> np.ndarray:
    """V at left + t, same shape as t."""
    return np.asarray(potential((left + t)[..., None]), dtype=np.float64)


def _box(potential: Potential) -> _Box:
    left, right = (float(wall) for wall in potential.domain)
    inner = [float(edge) for edge in potential.breakpoints]
    walls = np.array([left, *inner, right])
    if not (np.isfinite(walls).all() and (np.diff(walls) > 0).all()):
        raise ValueError(f"walls and breakpoints {walls.tolist()}: must be finite and in ascending order")
    edges = walls - left
    # The edges are rounded where they lie, not where the box begins: that is all an uneven edge may be.
    slack = 8 * np.finfo(float).eps * max(abs(left), abs(right))
    mirrored = (edges[-1] - edges)[::-1]
    even = bool(np.abs(edges - mirrored).max() <= slack)
    if even:
        t = _inside(edges, 15)
        values = _sample(potential, left, t)
        # An odd remainder W of V acts on states of one parity in second order only, so that 1e-12 is invisible.
        uneven = np.abs(values - _sample(potential, left, edges[-1] - t)).max()
        even = bool(uneven <= 1e-12 * np.abs(values).max())
    return _Box(left, right, edges, even)


def _inside(edges: np.ndarray, count: int) -> np.ndarray:
    """`count` evenly spaced points within each piece, shape (pieces, count)."""
    return edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(count) + 0.5) / count


def _half(edges: np.ndarray) -> np.ndarray:
    """The left half of the edges, with the centre of the box for its last."""
    center = edges[-1] / 2
    return np.append(edges[edges < center * (1 - 1e-9)], center)


def _upper_bound(potential: Potential, left: float, edges: np.ndarray, states: int, cuts: Sequence[int]) -> float:
    """A bound above the `states` lowest levels, by Dirichlet bracketing (Reed & Simon IV, section XIII.15).

    More walls raise every level; between them max V + (j pi / l)^2 is above the j-th. The best of several partitions.
    """
    bounds = []
    for cut in cuts:
        cells = np.append(_cut(edges, cut), edges[-1])
        top = _sample(potential, left, _inside(cells, 9)).max(axis=1)
        levels = top[:, None] + (np.arange(1, states + 1) * np.pi / np.diff(cells)[:, None]) ** 2
        bounds.append(np.sort(levels, axis=None)[states - 1])
    return float(min(bounds))


def _cut(edges: np.ndarray, parts: int) -> np.ndarray:
    """The starts of `parts` equal cells in each piece."""
    return (edges[:-1, None] + np.diff(edges)[:, None] * np.arange(parts) / parts).ravel()


@functools.cache
def _gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on (-1, 1)."""
    return np.polynomial.legendre.leggauss(count)


def _whole(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}={value!r}: must be an integer, at least {least}")
    return int(value)


def _eigenstates(method: str, box: _Box, states: int, solve: Solve) -> Eigenstates:
    """Solve on the whole box, or both parities on half of it, and put the states together."""
    if not box.even:
        energies, wave = solve(box.edges, False, states)
        return Eigenstates(method, energies, lambda x: _walled(box, x, wave(np.asarray(x) - box.left)))

    half = _half(box.edges)
    parities = [solve(half, True, (states + 1) // 2)] + ([solve(half, False, states // 2)] if states > 1 else [])
    energies = np.empty(states)
    for parity, (levels, _) in enumerate(parities):
        energies[parity::2] = levels

    def psi(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        to_left, to_right = x - box.left, box.right - x
        folded = np.minimum(to_left, to_right)
        values = np.empty((states, x.size))
        for parity, (_, wave) in enumerate(parities):
            values[parity::2] = wave(folded) * math.sqrt(0.5)
        values[1::2] *= np.where(to_left > to_right, -1.0, 1.0)
        return _walled(box, x, values)

    return Eigenstates(method, energies, psi)


def _walled(box: _Box, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`values` within the box, exactly zero at its walls and beyond."""
    return np.where((x > box.left) & (x < box.right), values, 0.0)


# -------------------------------------------------------------------------------------------------------------- exact


def exact(potential: Potential, states: int) -> Eigenstates:
    """The lowest `states` levels of a piecewise-constant potential, to rounding.

    In a layer of length l with E - V = q^2, psi = (u_j s(x_{j+1} - x) + u_{j+1} s(x - x_j)) / s(l), s = sin(q .), or
    sinh for q^2 < 0. Continuity of psi' at the nodes is D(E) u = 0 with a tridiagonal D, the transcendental equation of
    the box. As long as q l < pi in every layer, the number of levels below E is the number of negative pivots of D(E)
    (Wittrick & Williams, Q. J. Mech. Appl. Math. 24 (1971) 263), which brackets every level. A potential with a single
    value has V + ((n + 1) pi / L)^2 and sines.

    Raises ValueError if V is not constant between the breakpoints, or `states` is not a positive integer.
    """
    states = _whole("states", states, 1)
    box = _box(potential)
    values = _sample(potential, box.left, _inside(box.edges, 7))
    layers = values[:, 3]
    if np.abs(values - layers[:, None]).max() > 1e-12 * np.abs(layers).max():
        raise ValueError("exact levels need a potential that is constant between its breakpoints")
    if np.ptp(layers) == 0.0:
        return _constant(box, float(layers[0]), states)

    def solve(edges: np.ndarray, natural: bool, count: int) -> Solution:
        bound = _upper_bound(potential, box.left, edges, count, cuts=(1,))
        return _solve_layers(np.diff(edges), layers[: len(edges) - 1], natural, count, bound)

    return _eigenstates("exact", box, states, solve)


def _constant(box: _Box, value: float, states: int) -> Eigenstates:
    length = box.edges[-1]
    k = np.arange(1, states + 1) * (np.pi / length)

    def psi(x: np.ndarray) -> np.ndarray:
        to_left, to_right = np.asarray(x) - box.left, box.right - np.asarray(x)
        signs = np.where(to_left > to_right, (-1.0) ** np.arange(states)[:, None], 1.0)
        waves = math.sqrt(2.0 / length) * np.sin(k[:, None] * np.minimum(to_left, to_right))
        return _walled(box, x, signs * waves)

    return Eigenstates("exact", value + k**2, psi)


@dataclass(frozen=True)
class _Stiffness:
    """D(E) by its diagonal and its off-diagonal, and the pieces it was made of: lengths and q^2 = E - V."""

    diagonal: list[float]
    off: list[float]
    lengths: list[float]
    q2: list[float]


def _layer(length: float, q2: float) -> tuple[float, float]:
    """q cot(q l) and -q / sin(q l), with sinh and its kin for q^2 < 0."""
    z = q2 * length**2
    root = math.sqrt(abs(z))
    if root < 1e-3:
        return (1.0 - z / 3 - z * z / 45) / length, -(1.0 + z / 6 + 7 * z * z / 360) / length
    if z > 0.0:
        return root / math.tan(root) / length, -root / math.sin(root) / length
    return root / math.tanh(root) / length, 2 * root * math.exp(-root) / math.expm1(-2 * root) / length


def _stiffness(lengths: np.ndarray, values: np.ndarray, natural: bool, energy: float) -> _Stiffness:
    diagonal, off = [0.0], []
    pieces: list[float] = []
    q2s: list[float] = []
    for length, value in zip(lengths.tolist(), values.tolist(), strict=True):
        q2 = energy - value
        # Pieces with q l <= 2 stay clear of the pole at pi, where D overflows and the count needs a correction.
        parts = int(math.sqrt(max(q2, 0.0)) * length / 2) + 1
        own, cross = _layer(length / parts, q2)
        for _ in range(parts):
            diagonal[-1] += own
            diagonal.append(own)
            off.append(cross)
        pieces += [length / parts] * parts
        q2s += [q2] * parts
    last = len(diagonal) if natural else -1
    return _Stiffness(diagonal[1:last], off[1 : len(off) if natural else -1], pieces, q2s)


def _pivots(diagonal: list[float], off: list[float]) -> list[float]:
    """The pivots of Gaussian elimination of a tridiagonal matrix, from its first row on."""
    pivots = [diagonal[0]]
    for own, cross in zip(diagonal[1:], off, strict=True):
        pivots.append(own - cross * cross / (pivots[-1] or 1e-300))
    return pivots


def _solve_layers(lengths: np.ndarray, values: np.ndarray, natural: bool, count: int, bound: float) -> Solution:
    floor = float(values.min())
    energies, waves = np.empty(count), []
    for state in range(count):
        low, high = floor, bound + 0.01 * (bound - floor)
        while low < (middle := 0.5 * (low + high)) < high:
            matrix = _stiffness(lengths, values, natural, middle)
            below = sum(pivot < 0.0 for pivot in _pivots(matrix.diagonal, matrix.off))
            low, high = (low, middle) if below > state else (middle, high)
        energies[state] = middle
        waves.append(_layer_wave(_stiffness(lengths, values, natural, middle), natural))
    return energies, lambda t: np.array([wave(t) for wave in waves])


def _null_vector(matrix: _Stiffness) -> np.ndarray:
    """u with D u = 0, to rounding in every component: twisted factorisation (Parlett & Dhillon, LAA 267 (1997) 247)."""
    diagonal, off = matrix.diagonal, matrix.off
    down = _pivots(diagonal, off)
    up = _pivots(diagonal[::-1], off[::-1])[::-1]
    twist = min(range(len(diagonal)), key=lambda j: abs(down[j] + up[j] - diagonal[j]))
    u = np.zeros(len(diagonal))
    # Every off-diagonal is negative: the signs of the pivots give that of psi at the left wall even where u underflows.
    u[twist] = (-1.0) ** sum(pivot < 0.0 for pivot in down[:twist])
    for j in range(twist, 0, -1):
        u[j - 1] = -off[j - 1] * u[j] / (down[j - 1] or 1e-300)
    for j in range(twist, len(u) - 1):
        u[j + 1] = -off[j] * u[j] / (up[j + 1] or 1e-300)
    return u


def _ratio(t: np.ndarray, length: np.ndarray, q2: np.ndarray) -> np.ndarray:
    """s(t) / s(length), with no overflow however wide the barrier, and t / length for q^2 -> 0."""
    q = np.sqrt(np.maximum(q2, 0.0)) / np.pi
    kappa = np.maximum(np.sqrt(np.maximum(-q2, 0.0)), 1e-9 / length)
    sine = t / length * np.sinc(q * t) / np.sinc(q * length)
    sinh = np.exp(-kappa * (length - t)) * np.expm1(-2 * kappa * t) / np.expm1(-2 * kappa * length)
    return np.where(q2 > 0.0, sine, sinh)


def _layer_wave(matrix: _Stiffness, natural: bool) -> Wave:
    """psi between the nodes from the null vector, normalised to 1."""
    lengths, q2 = np.array(matrix.lengths), np.array(matrix.q2)
    u = np.concatenate([[0.0], _null_vector(matrix), [] if natural else [0.0]])
    u = u / math.sqrt(_norm2(lengths, q2, u))
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])

    def wave(t: np.ndarray) -> np.ndarray:
        piece = np.clip(np.searchsorted(starts, t, side="right") - 1, 0, len(starts) - 1)
        size, square = lengths[piece], q2[piece]
        here = np.clip(t - starts[piece], 0.0, size)
        return u[piece] * _ratio(size - here, size, square) + u[piece + 1] * _ratio(here, size, square)

    return wave


def _norm2(lengths: np.ndarray, q2: np.ndarray, u: np.ndarray) -> float:
    """The integral of psi^2: Gauss-Legendre where |q| l is small, closed form where psi falls off steeply."""
    nodes, weights = _gauss(32)
    left, right, size, square = u[:-1], u[1:], lengths[:, None], q2[:, None]
    t = size * (nodes + 1) / 2
    psi = left[:, None] * _ratio(size - t, size, square) + right[:, None] * _ratio(t, size, square)
    smooth = lengths / 2 * (psi**2 @ weights)
    kappa = np.sqrt(np.abs(q2))
    reach = np.clip(kappa * lengths, 4.0, 300.0)  # beyond 300 both remainders are zero
    coth, csch = 1 / np.tanh(reach), 1 / np.sinh(reach)
    own, cross = coth - reach * csch**2, (reach * coth - 1) * csch
    steep = ((left**2 + right**2) * own + 2 * left * right * cross) / (2 * np.maximum(kappa, 1e-300))
    return float(np.where((q2 < 0.0) & (kappa * lengths > 4.0), steep, smooth).sum())


# -------------------------------------------------------------------------------------------------- spectral elements


def spectral_elements(potential: Potential, states: int, degree: int = 24, elements: int | None = None) -> Eigenstates:
    """The lowest `states` levels by a symmetric Legendre-Galerkin method with hp elements, to about 1e-13.

    psi is a polynomial of `degree` in each element; elements end at the breakpoints. Basis: hats and integrated
    Legendre polynomials (Szabo & Babuska, Finite Element Analysis (1991)); V by Gauss quadrature with degree + 8 points.
    Minimises integral psi'^2 + V psi^2 over integral psi^2, hence bounds every level from above.

    elements: equal elements in each piece between breakpoints (of the half box, where V is even); None lets the phase
    of psi and its decay into barriers choose them.

    Raises ValueError if `states`, `degree` (>= 2) or `elements` is not a positive integer, or they are too few.
    """
    states, degree = _whole("states", states, 1), _whole("degree", degree, 2)
    fixed = None if elements is None else _whole("elements", elements, 1)
    box = _box(potential)

    def solve(edges: np.ndarray, natural: bool, count: int) -> Solution:
        if fixed is None:
            mesh = _mesh(potential, box.left, edges, count, degree)
        else:
            mesh = np.append(_cut(edges, fixed), edges[-1])
        if (len(mesh) - 1) * degree - 1 < count:
            raise ValueError(f"degree={degree} and elements={elements}: too few for states={states}")
        return _galerkin(potential, box.left, mesh, natural, count, degree)

    return _eigenstates("spectral elements", box, states, solve)


def _mesh(potential: Potential, left: float, edges: np.ndarray, states: int, degree: int) -> np.ndarray:
    """Elements, halved until a polynomial of `degree` resolves psi in each of them.

    exp(+-i q x) needs a phase of at most degree / 3 for 1e-16. In a barrier psi has decayed by exp(-agmon), agmon the
    integral of sqrt(V - E) from the nearest allowed region, so that elements there may grow with it (hp grading).
    """
    t = _inside(edges, 128)
    v = _sample(potential, left, t)
    floor = float(v.min())
    bound = _upper_bound(potential, left, edges, states, cuts=(1, 2, 3, 5, 9, 17, 33))
    step = np.repeat(np.diff(edges) / t.shape[1], t.shape[1])
    rate = np.sqrt(np.maximum(bound - v, v - floor)).ravel()  # at least |q| for every level in question
    decay = np.sqrt(np.maximum(v - bound, 0.0)).ravel()  # at most kappa
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
    nodes, weights = _gauss(degree + 8)
    v = _sample(potential, left, a + (b - a) * (nodes + 1) / 2)
    top = np.arange(degree - 2, degree + 1)
    tail = (weights * v) @ np.polynomial.legendre.legvander(nodes, degree)[:, top] * (top + 0.5)
    blur = 100 * np.finfo(float).eps * (np.abs(v).max() + np.ptp(v) * (abs(left) + b) / (b - a))
    return bool(np.abs(tail).max() <= 1e-12 * (scale + np.ptp(v)) + blur)


def _basis(degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gauss nodes and weights, the basis and its slope there (degree + 1, points), its Legendre coefficients."""
    nodes, weights = _gauss(degree + 8)
    legendre = np.polynomial.legendre.legvander(nodes, degree).T
    coefficients = np.zeros((degree + 1, degree + 1))
    slopes = np.empty_like(legendre)
    coefficients[0, :2], coefficients[degree, :2] = (0.5, -0.5), (0.5, 0.5)
    slopes[0], slopes[degree] = -0.5, 0.5
    for j in range(2, degree + 1):
        coefficients[j - 1, j], coefficients[j - 1, j - 2] = np.array([1.0, -1.0]) / math.sqrt(4 * j - 2)
        slopes[j - 1] = math.sqrt(j - 0.5) * legendre[j - 1]
    return nodes, weights, coefficients @ legendre, slopes, coefficients


def _galerkin(potential: Potential, left: float, mesh: np.ndarray, natural: bool, count: int, degree: int) -> Solution:
    from scipy import linalg

    nodes, weights, basis, slopes, coefficients = _basis(degree)
    sizes = np.diff(mesh)
    v = _sample(potential, left, mesh[:-1, None] + sizes[:, None] * (nodes + 1) / 2)
    floor = float(v.min())
    h, mass = np.zeros((2, len(sizes) * degree + 1, len(sizes) * degree + 1))
    for e, size in enumerate(sizes):
        block = slice(e * degree, (e + 1) * degree + 1)
        local = basis * (weights * size / 2)
        mass[block, block] += local @ basis.T
        h[block, block] += (slopes * (weights * 2 / size)) @ slopes.T + (local * (v[e] - floor)) @ basis.T
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
    slope = (scale * 2 / sizes[:, None, None] * np.einsum("ip,eik->epk", slopes, local)).reshape(-1, count)
    # Rayleigh-Ritz by sums of squares: rounding relative to the level, not to the largest eigenvalue of the matrices.
    energies, mix = linalg.eigh(slope.T @ slope + psi.T @ ((v.ravel() - floor)[:, None] * psi), psi.T @ psi)
    mix = mix * _first_sign((psi @ mix / np.sqrt(np.repeat(sizes, len(nodes)))[:, None]).T)
    return floor + energies, _legendre_wave(mesh, np.einsum("ij,eik->ejk", coefficients, local @ mix))


def _first_sign(values: np.ndarray) -> np.ndarray:
    """The sign of the first visible lobe, for values of shape (k, n): (k,)."""
    seen = np.abs(values) > VISIBLE * np.abs(values).max(axis=1, keepdims=True)
    return np.sign(values[np.arange(len(values)), seen.argmax(axis=1)])


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


# ------------------------------------------------------------------------------------------------- finite differences


def finite_differences(potential: Potential, states: int, points: int) -> Eigenstates:
    """The lowest `states` levels by (-psi_{i-1} + 2 psi_i - psi_{i+1}) / h^2 + V_i psi_i = E psi_i.

    `points` interior points of a uniform grid, h = L / (points + 1); psi is the linear interpolant, zero at the walls,
    normalised as such. The error is O(h^2) if every jump of V meets a grid point, which then takes the mean of both
    sides, and O(h) otherwise.

    Raises ValueError if `states` or `points` is not a positive integer, or there are fewer points than states.
    """
    from scipy import linalg

    states = _whole("states", states, 1)
    points = _whole("points", points, states)
    box = _box(potential)
    h = box.edges[-1] / (points + 1)
    t = h * np.arange(1, points + 1)
    v = _sample(potential, box.left, t)
    for edge in box.edges[1:-1]:
        i = int(round(edge / h)) - 1
        if 0 <= i < points and abs(t[i] - edge) < 1e-6 * h:
            v[i] = _sample(potential, box.left, np.array([edge - h / 2, edge + h / 2])).mean()
    energies, vectors = linalg.eigh_tridiagonal(
        2 / h**2 + v, np.full(points - 1, -1 / h**2), select="i", select_range=(0, states - 1)
    )
    u = np.pad(vectors.T, ((0, 0), (1, 1)))
    norm2 = h / 3 * (u[:, :-1] ** 2 + u[:, :-1] * u[:, 1:] + u[:, 1:] ** 2).sum(axis=1)
    u = u * (_first_sign(u) / np.sqrt(norm2))[:, None]
    grid = np.concatenate([[0.0], t, box.edges[-1:]])

    def psi(x: np.ndarray) -> np.ndarray:
        return _walled(box, x, np.array([np.interp(np.asarray(x) - box.left, grid, row) for row in u]))

    return Eigenstates("finite differences", energies, psi)
