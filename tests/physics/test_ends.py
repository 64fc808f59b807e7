"""Levels with free ends, on rings and in crystals: textbook equations, and a dense method that shares nothing."""

from __future__ import annotations

import copy
import dataclasses

import jax
import numpy as np
import pytest
from numpy.polynomial import legendre
from scipy import linalg, optimize, special

from qpinn.geometry import domain
from qpinn.geometry.domain import Ends
from qpinn.physics import counting, enclosure, potentials, reference, resolution, survey, symmetry, units, walls
from qpinn.physics.hamiltonian import Hamiltonian, changed, ends_of, hamiltonian
from qpinn.physics.potentials.base import describe, pytree

FREE = Ends("free", "free")
WALL_FREE, FREE_WALL = Ends("wall", "free"), Ends("free", "wall")
PI = np.pi


def ring(theta=0.0):
    return domain.ends("periodic", "periodic", theta)


@pytree
class Formula:
    """V = scale f(x) between ends, f known by name."""

    left: float
    right: float
    scale: float
    kind: str = dataclasses.field(metadata={"static": True})
    breakpoints = ()
    name = "formula"

    @property
    def domain(self):
        return self.left, self.right

    def at(self, x):
        x, namespace = x[..., 0], x.__array_namespace__()
        if self.kind == "mathieu":
            return 2 * self.scale * namespace.cos(2.0 * x)
        sine, cosine = namespace.sin(3.0 * x) ** 2, namespace.cos(3.0 * x) ** 2
        return self.scale * ((1 - sine**2) * cosine + (namespace.cos(6.0 * x) + 1) * sine / 2)


class Steps:
    """Random steps, with masses and deltas."""

    name = "steps"

    def __init__(self, edges, values, masses, strengths):
        self.edges, self.values, self.masses = edges, values, masses
        self.domain, self.breakpoints = (edges[0], edges[-1]), tuple(edges[1:-1])
        self.deltas = self.breakpoints, tuple(strengths)

    @classmethod
    def random(cls, seed, pieces=6, depth=60.0):
        rng = np.random.default_rng(seed)
        edges = np.cumsum(np.concatenate([[rng.normal()], rng.uniform(0.1, 1.0, pieces)]))
        masses = rng.uniform(0.1, 2.0, pieces) if seed % 2 else np.ones(pieces)
        strengths = rng.normal(size=pieces - 1) * 20 * (seed % 3 == 0)
        return cls(edges, rng.uniform(-depth, depth, pieces), masses, strengths)

    def _at(self, numbers, x):
        return numbers[np.clip(np.searchsorted(self.edges, x[..., 0], side="right") - 1, 0, len(numbers) - 1)]

    def at(self, x):
        return self._at(self.values, x)

    def mass_at(self, x):
        return self._at(self.masses, x)

    def doubled(self):
        """Twice the same: a ring of it has double levels."""
        period = self.edges[-1] - self.edges[0]
        strengths = (*self.deltas[1], 0.0, *self.deltas[1])
        edges = np.concatenate([self.edges, self.edges[1:] + period])
        return Steps(edges, np.tile(self.values, 2), np.tile(self.masses, 2), strengths)


def dense(steps, ends, count, degree=14, parts=4):
    """Levels by dense finite elements, nodal at Gauss-Lobatto points: a matrix and its eigenvalues, nothing counted."""
    points = np.concatenate([[-1], np.sort(legendre.legroots(legendre.legder(np.eye(degree + 1)[degree]))), [1]])
    nodes, weights = legendre.leggauss(degree + 2)
    change = np.linalg.inv(legendre.legvander(points, degree))
    basis = legendre.legvander(nodes, degree) @ change
    slope = np.stack([legendre.legval(nodes, legendre.legder(row)) for row in np.eye(degree + 1)], axis=1) @ change
    size = len(steps.values) * parts * degree + 1
    stiffness, overlap = np.zeros((2, size, size), complex)
    for piece, (value, mass) in enumerate(zip(steps.values, steps.masses, strict=True)):
        for part in range(parts):
            first = (piece * parts + part) * degree
            here, h = slice(first, first + degree + 1), (steps.edges[piece + 1] - steps.edges[piece]) / parts
            stiffness[here, here] += (
                2 / h / mass * (slope.T * weights) @ slope + value * h / 2 * (basis.T * weights) @ basis
            )
            overlap[here, here] += h / 2 * (basis.T * weights) @ basis
    for piece, strength in enumerate(steps.deltas[1], start=1):
        stiffness[piece * parts * degree, piece * parts * degree] += strength
    chosen = np.eye(size, dtype=complex)
    if ends.ring:
        chosen[-1, 0] = np.exp(1j * ends.theta)
        chosen = chosen[:, :-1]
    else:
        chosen = chosen[:, int(ends.left == "wall") : size - (ends.right == "wall")]
    matrices = (chosen.conj().T @ matrix @ chosen for matrix in (stiffness, overlap))
    return linalg.eigvalsh(*matrices)[:count]


EVERY = [FREE, WALL_FREE, FREE_WALL, ring(), ring(PI), ring(0.7), ring(-2.9), ring(1e-3)]


def check(problem, energies, count=None, tol=1e-11, best=None):
    """What counts, surveys and references say of a problem of which these levels are known."""
    count = count or len(energies)
    energies, scale = np.asarray(energies)[:count], max(np.ptp(energies), np.abs(energies).max(), 1.0)
    surveyed = survey.survey(problem, count)
    assert surveyed.lower.floor <= energies[0] + 1e-12 * scale
    assert (surveyed.low <= energies + 1e-11 * scale).all()
    assert (energies <= surveyed.high + 1e-11 * scale).all()
    states = best or reference.best(problem, count)
    np.testing.assert_allclose(states.energies, energies, rtol=0, atol=tol * scale)
    assert (np.abs(states.energies - energies) <= 5 * states.errors + tol * scale).all()
    check_psi(problem, states, count)
    return states


def check_psi(problem, states, count):
    """Orthonormal, with the energies that it says, and with psi and psi' / m at the ends as it is to be."""
    ends, (left, right) = ends_of(problem), problem.domain
    edges = resolution.segment_edges(problem, count, 0.5)
    nodes, weights = legendre.leggauss(24)
    x = (edges[:-1, None] + np.diff(edges)[:, None] * (nodes + 1) / 2).ravel()
    weight = (np.diff(edges)[:, None] * weights / 2).ravel()
    psi = states.psi(x)
    np.testing.assert_allclose((weight * psi.conj()) @ psi.T, np.eye(count), atol=1e-9)
    at_left, at_right = states.psi(np.array([left]))[:, 0], states.psi(np.array([right]))[:, 0]
    size = np.abs(psi).max()
    if ends.ring:
        assert np.iscomplexobj(psi) != ends.real
        inside = states.psi(np.array([right - 1e-9 * (right - left)]))[:, 0]
        np.testing.assert_allclose(inside, ends.phase * at_left, atol=1e-5 * size)
        np.testing.assert_allclose(states.psi(x + (right - left)), ends.phase * psi, atol=1e-6 * size)
        return
    h = 1e-5 * (right - left)
    for name, value, beyond, near in (
        (ends.left, at_left, left - h, left + h * np.arange(3)),
        (ends.right, at_right, right + h, right - h * np.arange(3)),
    ):
        assert (states.psi(np.array([beyond])) == 0).all()
        if name == "wall":
            assert (value == 0).all()
        else:
            slope = states.psi(near) @ [-1.5, 2.0, -0.5] / h
            np.testing.assert_allclose(slope, 0, atol=1e-4 * size / (right - left) * (count + 10) ** 2)


@pytest.mark.parametrize("box", [(0.0, 2.0), (-3.0, 1.0)])
@pytest.mark.parametrize(("ends", "shift"), [(FREE, 0.0), (WALL_FREE, 0.5), (FREE_WALL, 0.5)])
def test_free_ends_of_an_empty_box(box, ends, shift):
    exact = ((np.arange(6) + shift) * PI / (box[1] - box[0])) ** 2
    problem = hamiltonian(potentials.infinite_well(box), ends)
    assert check(problem, exact).method == "closed form"
    check(problem, exact, best=reference.spectral_elements(problem, 6, checked=True))


@pytest.mark.parametrize("theta", [0.0, PI, -PI, 0.3, 2.0, -1.0, 3.1, 7.0, 2 * PI])
def test_a_free_particle_on_a_ring(theta):
    exact = np.sort(((theta + 2 * PI * np.arange(-9, 10)) / 1.5) ** 2)[:7]
    problem = hamiltonian(potentials.infinite_well((-0.5, 1.0)), ring(theta))
    assert check(problem, exact).method == "closed form"
    check(problem, exact, best=reference.spectral_elements(problem, 7, checked=True))


@pytest.mark.parametrize("ends", [FREE, ring(), ring(1e-9)], ids=str)
@pytest.mark.parametrize("offset", [0.0, -3.0, 1e6])
def test_a_level_that_is_v_itself(ends, offset):
    """psi is constant, and nowhere does it oscillate."""
    steps = Steps(np.array([0.0, 0.3, 1.0]), np.full(2, offset), np.ones(2), (0.0,))
    check(hamiltonian(steps, ends), [offset + ends.theta**2])


@pytest.mark.parametrize("ends", EVERY, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_random_steps(ends, seed):
    steps = Steps.random(seed)
    exact = dense(steps, ends, 8)
    check(hamiltonian(steps, ends), exact, tol=1e-10)


@pytest.mark.parametrize("ends", EVERY, ids=str)
@pytest.mark.parametrize("seed", range(12))
def test_counts_of_random_steps(ends, seed):
    """Also of two equal halves, of which rings have double levels, to rounding."""
    steps = Steps.random(seed, pieces=1 + seed % 4, depth=10.0 ** (seed % 4))
    steps = steps.doubled() if seed % 2 else steps
    exact = dense(steps, ends, 8)
    cells, _ = survey.steps_about(hamiltonian(steps, ends), steps.edges)
    low, high = counting.levels_of(cells, np.arange(8), digits=40)
    np.testing.assert_allclose((low + high) / 2, exact, rtol=0, atol=1e-10 * (np.abs(exact).max() + np.ptp(exact)))
    apart = np.flatnonzero(np.diff(exact) > 1e-6)
    between = (exact[apart] + exact[apart + 1]) / 2
    np.testing.assert_array_equal(counting.count_below(cells, between), apart + 1)


@pytest.mark.parametrize("ends", EVERY, ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_no_level_lies_below_the_floor(ends, seed):
    """Deltas up to 1e4, at the ends too, where each of them is half of one."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(np.concatenate([[0.0], 10 ** rng.uniform(-3, 0, 5)]))
    strength = -(10 ** rng.uniform(-1, 4, 6)) * (rng.uniform(size=6) < 0.6)
    if seed % 2:
        strength[0] = strength[-1] = -10.0
    cells = counting.Steps(edges=edges, values=np.zeros(5), mass=np.full(5, 0.3), strength=strength, ends=ends)
    assert counting.count_below(cells, np.array([cells.floor])) == 0
    box = reference.box.Box(
        left=0.0, right=edges[-1], edges=edges, mass=cells.mass[:, None], strength=strength, ends=ends, even=False
    )
    assert counting.count_below(cells, np.array([box.floor(0.0)])) == 0


def test_a_free_end_feels_a_delta_as_half_of_one():
    """psi' / m = alpha psi at 0, psi = 0 at 1: kappa coth(kappa) = -alpha."""
    strength = np.array([-5.0, 0.0])
    cells = counting.Steps(
        edges=np.array([0.0, 1.0]), values=np.zeros(1), mass=np.ones(1), strength=strength, ends=FREE_WALL
    )
    kappa = optimize.brentq(lambda k: k / np.tanh(k) - 5.0, 1.0, 6.0)
    low, high = counting.levels_of(cells, np.arange(1), digits=40)
    assert abs((low[0] + high[0]) / 2 + kappa**2) < 1e-9


@pytest.mark.parametrize("q", [0.5, 5.0, 25.0])
@pytest.mark.parametrize("left", [0.0, 0.4])
def test_mathieu(q, left):
    """-psi'' + 2 q cos(2 x) psi = a psi; another seam makes V uneven. SciPy is good to 1e-10."""
    problem = Formula(left, left + PI, q, "mathieu")
    periodic = [special.mathieu_a(2 * n, q) for n in range(4)] + [special.mathieu_b(2 * n, q) for n in range(1, 4)]
    anti = [special.mathieu_a(2 * n + 1, q) for n in range(3)] + [special.mathieu_b(2 * n + 1, q) for n in range(3)]
    check(hamiltonian(problem, ring()), np.sort(periodic)[:6], tol=1e-10)
    check(hamiltonian(problem, ring(PI)), np.sort(anti), tol=1e-10)
    bands = reference.best(hamiltonian(problem, ring(1.0)), 5).energies
    edges = np.sort(np.concatenate([periodic, anti]))
    assert (bands > edges[[0, 2, 4, 6, 8]]).all()
    assert (bands < edges[[1, 3, 5, 7, 9]]).all()


@pytest.mark.parametrize("theta", [0.0, 0.5, 2.2, PI])
def test_mathieu_bands(theta):
    """With psi = sum_n c_n exp(i (2 n + theta / pi) x): (2 n + theta / pi)^2 and q beside it, a matrix."""
    q, order = 3.0, np.arange(-30, 31)
    matrix = np.diag((2 * order + theta / PI) ** 2) + q * (np.eye(61, k=1) + np.eye(61, k=-1))
    check(hamiltonian(Formula(0.1, 0.1 + PI, q, "mathieu"), ring(theta)), linalg.eigvalsh(matrix)[:6])


def kronig_penney(theta, height, well, barrier, count):
    """Roots of cos(k a) cosh(kappa b) + (kappa^2 - k^2) / (2 k kappa) sin(k a) sinh(kappa b) = cos(theta)."""

    def left(energy):
        k, kappa = np.sqrt(energy + 0j), np.sqrt(height - energy + 0j)
        cross = (kappa**2 - k**2) / (2 * k * kappa) * np.sin(k * well) * np.sinh(kappa * barrier)
        return (np.cos(k * well) * np.cosh(kappa * barrier) + cross).real - np.cos(theta)

    grid = np.linspace(1e-6, 20 * height, 40001) + 1e-9
    values = left(grid)
    places = np.flatnonzero(values[1:] * values[:-1] < 0)[:count]
    return np.array([optimize.brentq(left, grid[j], grid[j + 1], xtol=1e-13, rtol=1e-14) for j in places])


@pytest.mark.parametrize("theta", [0.0, 0.1, 1.5, 3.0, PI])
@pytest.mark.parametrize("start", [-1.5, -1.1])
def test_kronig_penney(theta, start):
    """Wells of 2 between barriers of 1 and height 8; where the period starts changes no level."""
    edges, inside = np.array([start, -0.5, 0.5, start + 3.0]), np.array([0.0, 8.0, 0.0])
    steps = Steps(edges, inside, np.ones(3), (0.0, 0.0))
    check(hamiltonian(steps, ring(theta)), kronig_penney(theta, 8.0, 2.0, 1.0, 5))


@pytest.mark.parametrize("strength", [-6.0, 10.0])
@pytest.mark.parametrize("theta", [0.4, 1.9])
def test_a_crystal_of_deltas(strength, theta):
    """cos(k) + alpha sin(k) / (2 k) = cos(theta), a delta in each period of 1."""

    def left(energy):
        k = np.sqrt(energy + 0j)
        return (np.cos(k) + strength * np.sin(k) / (2 * k)).real - np.cos(theta)

    grid = np.linspace(-20, 400, 20001) + 1e-7
    places = np.flatnonzero(left(grid[1:]) * left(grid[:-1]) < 0)[:5]
    exact = np.array([optimize.brentq(left, grid[j], grid[j + 1], xtol=1e-13) for j in places])
    check(hamiltonian(potentials.delta((-0.3, 0.7), strength=strength), ring(theta)), exact)


@pytest.mark.parametrize(("sides", "ends"), [((0.0, None), FREE_WALL), ((None, 0.0), WALL_FREE)])
def test_half_an_oscillator(sides, ends):
    """x^2 on a half line: with psi' = 0 at 0 the even levels, with psi = 0 the odd ones."""
    half = potentials.harmonic(sides)
    problem = walls.on_box(hamiltonian(half, ends), 4)
    assert isinstance(problem, Hamiltonian)
    check(problem, 1 + 4.0 * np.arange(4))
    check(walls.on_box(half, 4), 3 + 4.0 * np.arange(4))


def test_half_a_well_holds_its_even_states():
    """E_n = -(4.5 - n)^2, of which the even ones have psi' = 0 at the middle."""
    half = hamiltonian(potentials.poeschl_teller((0.0, None), l=4.5), FREE_WALL)
    assert walls.bound_states(half) == 3
    assert walls.bound_states(half.potential) == 2
    check(walls.on_box(half, 3), -((4.5 - np.array([0, 2, 4])) ** 2))
    with pytest.raises(ValueError, match="the well holds 3 bound states"):
        walls.on_box(half, 4)


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_methyl_rotor(start):
    """B = 0.665 meV, in units of which H = -d^2/dphi^2 + V / B."""
    rotor = hamiltonian(Formula(start, start + 2 * PI, 13.17 / 0.665, "rotor"), ring())
    levels = reference.best(rotor, 6)
    np.testing.assert_allclose(levels.energies[:5] * 0.665, [6.3946, 6.9478, 6.9478, 8.4283, 8.4283], atol=5e-4)
    assert levels.errors.max() < 1e-9
    check(rotor, levels.energies)


def test_wells_that_hardly_see_each_other():
    """Three of them on a ring, two of them alike, split by exp(-60): no level of the pairs is lost."""
    edges = np.array([0.0, 2.0, 4.0, 7.0, 9.0, 12.0, 13.0])
    steps = Steps(edges, np.array([400.0, 0, 400, 0, 400, 0]), np.ones(6), np.zeros(5))
    cells, _ = survey.steps_about(hamiltonian(steps, ring()), edges)
    low, high = counting.levels_of(cells, np.arange(9), digits=40)
    alone = reference.exact(potentials.finite_well((-2.0, 2.0), width=2.0, depth=400.0), 5).energies
    two = reference.exact(potentials.finite_well((-2.0, 2.0), width=1.0, depth=400.0), 3).energies
    np.testing.assert_allclose((low + high) / 2, np.sort([*alone, *alone, *two])[:9], rtol=1e-10)


@pytest.mark.parametrize("ends", EVERY, ids=str)
def test_finite_differences_converge_with_second_order(ends):
    edges = np.array([0.0, 0.25, 0.75, 1.0])
    steps = Steps(edges, np.array([30.0, 0.0, 10.0]), np.array([1.0, 0.5, 1.0]), (0.0, 5.0))
    problem = hamiltonian(steps, ends)
    exact = reference.best(problem, 3)
    coarse, fine = (reference.finite_differences(problem, 3, n) for n in (199, 399))
    error, half = coarse.energies - exact.energies, fine.energies - exact.energies
    assert (np.abs(half) < 0.3 * np.abs(error) + 1e-9).all()
    check_psi(problem, exact, 3)
    x = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(fine.psi(x), exact.psi(x), atol=1e-2)


def test_parity_is_that_of_potential_and_ends():
    even, uneven = potentials.harmonic((-2.0, 2.0)), potentials.harmonic((-2.0, 3.0))
    for ends, alternating, parity in (
        (Ends(), True, True), (FREE, True, True), (WALL_FREE, False, False), (ring(), False, True),
        (ring(PI), False, True), (ring(1.0), False, False),
    ):  # fmt: skip
        assert symmetry.is_even(hamiltonian(even, ends)) is alternating
        assert symmetry.reflects(hamiltonian(even, ends)) is parity
        assert not symmetry.reflects(hamiltonian(uneven, ends))


@pytest.mark.parametrize("ends", [FREE, ring(), ring(PI)], ids=str)
def test_parities_are_put_together_in_order(ends):
    """Each half of the box on its own, against the whole of it."""
    problem = hamiltonian(potentials.barrier((-0.5, 0.5), center=0.0, height=30.0), ends)
    exact = reference.best(problem, 7)
    assert exact.exact
    shifted = dense(Steps(np.array([-0.5, -0.1, 0.1, 0.5]), np.array([0.0, 30, 0]), np.ones(3), (0.0, 0.0)), ends, 7)
    np.testing.assert_allclose(exact.energies, shifted, atol=1e-9)
    x = np.linspace(-0.49, 0.49, 99)
    for row in exact.psi(x):
        assert min(np.abs(row - row[::-1]).max(), np.abs(row + row[::-1]).max()) < 1e-9


def test_a_hamiltonian_looks_like_its_potential():
    plain = potentials.harmonic((-2.0, 2.0), omega=2.0)
    problem = hamiltonian(plain, FREE)
    assert (problem.name, problem.domain, problem.breakpoints) == (plain.name, plain.domain, plain.breakpoints)
    assert not hasattr(problem, "mass_at")
    assert not hasattr(problem, "deltas")
    assert hasattr(Hamiltonian(Steps.random(0), FREE), "mass_at")
    assert ends_of(problem) == FREE
    assert ends_of(plain) == Ends()
    assert hamiltonian(plain, Ends()) is plain
    assert hamiltonian(problem, Ends()) is plain
    assert problem.on(-1.0, 1.0) == hamiltonian(plain.on(-1.0, 1.0), FREE)
    assert changed(problem, omega=3.0).omega == 3.0
    assert copy.deepcopy(problem) == problem
    assert len({problem, hamiltonian(plain, FREE), plain}) == 2
    assert enclosure.is_enclosed(problem)
    assert describe(problem) == {**describe(plain), "ends": {"left": "free", "right": "free"}}
    scaled = units.dimensionless(problem, units.of("semiconductor"))
    assert scaled == hamiltonian(units.dimensionless(plain, units.of("semiconductor")), FREE)


def test_a_hamiltonian_is_an_argument_of_a_compiled_function():
    problem = hamiltonian(potentials.harmonic((-2.0, 2.0)), ring(0.5))

    @jax.jit
    def phase_and_v(problem, x):
        return problem.ends.theta, problem(x), jax.tree.leaves(problem)

    theta, v, leaves = phase_and_v(problem, np.array([1.5]))
    assert (theta, v[0], len(leaves)) == (0.5, 2.25, 5)
    assert problem.ends.left == "periodic"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("open", "wall"), "ends.left='open': must be one of wall, free, periodic"),
        (("wall", None), "ends.right=None: must be one of"),
        (("periodic", "wall"), "periodic ends are joined"),
        (("periodic", "periodic", float("nan")), "ends.theta=nan: must be a finite number"),
        (("periodic", "periodic", "pi"), "ends.theta='pi': must be a finite number"),
        (("free", "free", 1.0), "ends.theta=1: is the phase of psi over a period; needs periodic ends"),
    ],
)
def test_ends_that_are_none_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        domain.ends(*arguments)


def test_ends_need_a_place():
    with pytest.raises(ValueError, match=r"ends\.left=free: harmonic has no left end, psi decays there"):
        hamiltonian(potentials.harmonic(), FREE_WALL)
    with pytest.raises(ValueError, match=r"ends\.right=periodic: harmonic has no right end"):
        hamiltonian(potentials.harmonic((0.0, None)), ring())
