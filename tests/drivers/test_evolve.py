"""Packets in time against closed forms, and against routes that qpinn has no part in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import linalg, sparse
from scipy.integrate import solve_ivp

from qpinn.bounds import evolution as bounds
from qpinn.drivers import packet_problem, transmitted
from qpinn.drivers.evolve import evolve
from qpinn.drivers.scatter import scatter
from qpinn.drivers.settings import Settings
from qpinn.physics import drives, packets, potentials
from qpinn.physics.units import of, time


def distance(solution, t, exact):
    """|psi - exact| on the quadrature of the basis."""
    basis = solution.fine.basis
    return float(np.sqrt(np.sum(basis.weight * np.abs(solution.psi(t, basis.x) - exact(basis.x)) ** 2)))


def coherent(x, t, x0, k0):
    """A coherent state of x^2: it swings with the frequency 2 and keeps its shape."""
    place, k = x0 * np.cos(2 * t) + k0 * np.sin(2 * t), k0 * np.cos(2 * t) - x0 * np.sin(2 * t)
    phase = -t + (place * k - x0 * k0) / 2
    return np.pi**-0.25 * np.exp(-((x - place) ** 2) / 2 + 1j * k * (x - place) + 1j * phase)


def spreading(x, t, s, k):
    """A Gaussian of width s and wave number k in free space."""
    a = s**2 + 1j * t
    norm = (2 * np.pi * s**2) ** -0.25 * np.sqrt(s**2 / a)
    return norm * np.exp(-((x - 2 * k * t) ** 2) / (4 * a) + 1j * k * x - 1j * k**2 * t)


def test_a_coherent_state_on_the_whole_line_swings_within_its_bound():
    given = packets.gaussian(center=2.0, width=np.sqrt(0.5), momentum=1.3)
    solution = evolve(potentials.harmonic(), given, [0, 0.4, 3], tol=1e-7)
    assert solution.converged
    assert solution.problem.margins[0] > 0
    for t in solution.times:
        error = distance(solution, t, lambda x, t=t: coherent(x, t, 2.0, 1.3))
        assert error <= solution.bound(t) + 1e-13
        assert error < 1e-9
    swing = solution.position(solution.times).value
    np.testing.assert_allclose(swing, 2 * np.cos(2 * solution.times) + 1.3 * np.sin(2 * solution.times), atol=1e-8)


def test_a_free_packet_spreads_within_its_bound_and_estimate():
    solution = evolve("0*x", packets.gaussian(center=0.0, width=0.4, momentum=3.0), [0, 0.3], tol=1e-6, domain=(-9, 11))
    error = distance(solution, 0.3, lambda x: spreading(x, 0.3, 0.4, 3.0))
    assert error <= solution.bound(0.3) <= 1e-6
    assert error <= 3 * solution.estimate(0.3) + 1e-12


def test_a_packet_on_a_line_that_a_well_is_on_has_the_bound_of_the_line():
    """The same packet in a box that is half as long again: the two agree within their bounds."""
    given = packets.gaussian(center=-4.0, width=1.0, momentum=2.0)
    line = evolve(potentials.gaussian_well(), given, [0, 0.6], tol=1e-6)
    depth = float(-line.problem.potential.at(np.array([[0.0]]))[0])
    left, right = line.domain
    wide = evolve(potentials.gaussian_well(domain=[1.5 * left, 1.5 * right]), given, [0, 0.6], tol=1e-6)
    assert line.converged
    assert wide.converged
    assert depth > 0
    x, weight = line.fine.basis.x, line.fine.basis.weight
    apart = np.sqrt(np.sum(weight * np.abs(line.psi(0.6, x) - wide.psi(0.6, x)) ** 2))
    assert apart <= line.bound(0.6) + wide.bound(0.6)


def of_sines(packet, times, length=1.0, count=300):
    """psi in an empty box by its sines, on points and with weights of a fine quadrature."""
    n = np.arange(1, count + 1)
    nodes, weights = np.polynomial.legendre.leggauss(1500)
    x, weight = length * (nodes + 1) / 2, length * weights / 2
    psi0 = packet.at(x)
    psi0 = psi0 / np.sqrt(np.sum(weight * np.abs(psi0) ** 2))
    coefficients = np.sqrt(2 / length) * np.sin(np.pi * n[:, None] * x / length) @ (weight * psi0)
    energies = (n * np.pi / length) ** 2
    return lambda t, y: (
        (coefficients * np.exp(-1j * energies * t)) @ (np.sqrt(2 / length) * np.sin(np.pi * n[:, None] * y / length))
    )


def test_reflections_in_a_box_are_those_of_its_sines():
    given = packets.gaussian(center=0.5, width=0.05, momentum=20.0)
    solution = evolve(potentials.infinite_well(), given, [0, 0.015, 0.03], tol=1e-8)
    exact = of_sines(given, solution.times)
    for t in solution.times:
        error = distance(solution, t, lambda x, t=t: exact(t, x))
        assert error <= solution.bound(t) + 1e-13
        assert error < 1e-9
    assert solution.bound(solution.times).max() < 1e-8
    np.testing.assert_allclose(solution.norm(solution.times).value, 1, atol=1e-11)


@pytest.mark.parametrize("length", [1e-6, 1e5])
def test_lengths_change_nothing_but_the_numbers(length):
    """The same box, packet and time in another unit of length: the same bound, and the same psi."""

    def solved(size):
        given = packets.gaussian(center=0.5 * size, width=0.05 * size, momentum=20 / size)
        well = potentials.infinite_well(domain=[0.0, size])
        return evolve(well, given, [0, 0.0103 * size**2], tol=1e-7)

    unit, other = solved(1.0), solved(length)
    assert other.fine.integrals.min() > 0
    assert 0.2 < other.fine.final / unit.fine.final < 5
    x = np.linspace(0, 1, 101)
    apart = np.abs(unit.psi(unit.times[-1], x) - other.psi(other.times[-1], length * x) * np.sqrt(length))
    assert apart.max() < 1e-6


def finite_differences(v, left, right, count=6001):
    """H of fourth order on a grid between walls, as a banded matrix; points, and their distance."""
    x = np.linspace(left, right, count)[1:-1]
    h = x[1] - x[0]
    rows = [np.full(len(x), c) / (12 * h**2) for c in (1.0, -16.0, 30.0, -16.0, 1.0)]
    matrix = sparse.diags_array([rows[0][2:], rows[1][1:], rows[2] + v(x), rows[3][1:], rows[4][2:]],
                                offsets=(-2, -1, 0, 1, 2)).tolil()  # fmt: skip
    matrix[0, 0] -= 1 / (12 * h**2)  # psi is odd about a wall
    matrix[-1, -1] -= 1 / (12 * h**2)
    return sparse.csc_array(matrix), x, h


def test_a_driven_packet_obeys_an_integrator_of_its_own():
    """Collocation in Ritz states against Dormand and Prince on finite differences."""
    drive = drives.dipole(amplitude=5.0, frequency=3.0)
    given = packets.gaussian(center=-1.0, width=0.2)
    solution = evolve("10*(x**2-1)**2", given, [0, 0.3], drive, tol=1e-6, domain=(-3.0, 3.0))
    h_0, x, h = finite_differences(lambda x: 10 * (x**2 - 1) ** 2, -3.0, 3.0, 301)

    def slope(t, psi):
        return -1j * (h_0 @ psi + 5 * np.cos(3 * t) * x * psi)

    psi0 = given.at(x) / np.sqrt(h * np.sum(np.abs(given.at(x)) ** 2))
    other = solve_ivp(slope, (0, 0.3), psi0, method="DOP853", rtol=1e-7, atol=1e-9).y[:, -1]
    error = np.sqrt(h * np.sum(np.abs(solution.psi(0.3, x) - other) ** 2))
    assert solution.converged
    assert solution.estimate(0.3) <= solution.bound(0.3)
    assert error < 1e-3
    still = evolve("10*(x**2-1)**2", given, [0, 0.3], tol=1e-6, domain=(-3.0, 3.0))
    assert np.sqrt(h * np.sum(np.abs(still.psi(0.3, x) - other) ** 2)) > 0.1


def test_a_drive_by_formula_is_that_by_its_numbers():
    given = packets.gaussian(center=0.5, width=0.045)
    first = evolve(potentials.infinite_well(), given, [0, 0.005], drives.dipole(200.0, 40.0, 0.3), tol=1e-4)
    other = evolve(potentials.infinite_well(), given, [0, 0.005], ("200*cos(40*t + 0.3)", "x"), tol=1e-4)
    x = np.linspace(0, 1, 101)
    np.testing.assert_allclose(first.psi(0.005, x), other.psi(0.005, x), atol=1e-12)


def test_a_constant_force_in_time_is_another_potential():
    """f(t) = 1: the driven packet is the undriven one of V + W."""
    given = packets.gaussian(center=0.5, width=0.045, momentum=5.0)
    driven = evolve(potentials.infinite_well(), given, [0, 0.01], ("1 + 0*t", "80*x**2"), tol=1e-5)
    plain = evolve("80*x**2", given, [0, 0.01], tol=1e-7, domain=(0.0, 1.0))
    x, weight = plain.fine.basis.x, plain.fine.basis.weight
    apart = np.sqrt(np.sum(weight * np.abs(driven.psi(0.01, x) - plain.psi(0.01, x)) ** 2))
    assert apart <= driven.bound(0.01) + plain.bound(0.01) <= 2e-5


def test_jumps_masses_and_deltas_keep_the_packet_within_its_bound():
    """Energies cut at two places: each is within its bound of the other, and the worse is not within the better's."""
    potential = potentials.combined(potentials.barrier(), deltas=[[0.25, 20.0]], mass="1 + 0.5*heaviside(x-0.5)")
    given = packets.gaussian(center=0.5, width=0.05, momentum=15.0)
    fine, rough = (evolve(potential, given, [0, 0.01], tol=tol) for tol in (2e-6, 1e-2))
    x, weight = fine.fine.basis.x, fine.fine.basis.weight
    apart = np.sqrt(np.sum(weight * np.abs(fine.psi(0.01, x) - rough.psi(0.01, x)) ** 2))
    assert fine.bound(0.01) < apart <= rough.bound(0.01) + fine.bound(0.01)


def test_a_ring_turns_a_packet_round():
    """Free motion on a ring: plane waves."""
    given = packets.formula(real="exp(2*cos(x))", imaginary="0.5*sin(x)*exp(2*cos(x))")
    solution = evolve("0*x", given, [0, 1.7], tol=1e-9, domain=(0.0, 2 * np.pi), ends="periodic")
    m = np.arange(-60, 61)
    x = 2 * np.pi * np.arange(512) / 512
    psi0 = given.at(x)
    psi0 = psi0 / np.sqrt(2 * np.pi * np.mean(np.abs(psi0) ** 2))
    c = np.exp(-1j * np.outer(m, x)) @ psi0 / 512

    def exact(y):
        return (c * np.exp(-1j * m**2 * 1.7)) @ np.exp(1j * np.outer(m, y))

    assert distance(solution, 1.7, exact) <= solution.bound(1.7) <= 1e-9


def test_two_levels_beat_with_their_difference():
    solution = evolve(potentials.double_well(), packets.superposition([0, 1]), [0, 2.0], tol=1e-7)
    e = solution.fine.basis.energies
    period = 2 * np.pi / (e[1] - e[0])
    x = solution.position([0.0, min(period / 2, 2.0)]).value
    t = min(period / 2, 2.0)
    np.testing.assert_allclose(x[1], x[0] * np.cos((e[1] - e[0]) * t), atol=1e-8)
    assert 0 < solution.fine.left_out <= 1e-5  # what the Ritz states are off the levels, from their residuals and gaps


def test_probabilities_add_up_and_say_how_far_they_are_known():
    given = packets.gaussian(center=0.25, width=0.03, momentum=30.0)
    solution = evolve(potentials.barrier(), given, [0, 0.008], tol=1e-5)
    t = solution.frames(5)
    left, middle, right = (solution.probability(part, t) for part in ([-np.inf, 0.37], [0.37, 0.61], [0.61, np.inf]))
    np.testing.assert_allclose(left.value + middle.value + right.value, solution.norm(t).value ** 2, atol=1e-9)
    assert (right.bound <= 2 * solution.bound(t) * np.sqrt(right.value) + solution.bound(t) ** 2).all()
    assert right.value[-1] > right.value[0]


def test_what_gets_through_is_what_scattering_says():
    """P beyond the barrier once the packet has passed it, and the integral of |phi(k)|^2 T(k): two routes."""
    barrier = potentials.barrier(domain=[-21.0, 21.0], center=0.0, width=0.5, height=20.0)
    packet = evolve(barrier, packets.gaussian(center=-7.0, width=1.0, momentum=4.0), [0, 2.4], tol=2e-6)
    through, said = packet.probability([0.25, np.inf], 2.4), packet.transmitted()
    nodes, weights = np.polynomial.legendre.leggauss(200)
    k = 4 + 3.9 * nodes
    density = np.sqrt(2 / np.pi) * np.exp(-2 * (k - 4) ** 2)
    expected = 3.9 * np.sum(weights * density * scatter(barrier, k**2).T)
    assert abs(through.value - expected) <= through.bound + 5e-6  # of its slow part, which is still at the barrier
    assert said.side == "right"
    assert abs(said.value - expected) < 1e-6
    assert abs(said.value - expected) <= said.bound < 1e-4


def test_what_gets_through_does_not_depend_on_the_side_that_it_comes_from():
    """V = 0 on the left and 7 on the right, with a barrier between: T is the same both ways at the same energy."""
    step = potentials.expression((-20, 20), "7*heaviside(x) + 5*heaviside(0.4-abs(x))")
    right, left = (
        evolve(step, packets.gaussian(center, 1.2, k), [0, 0.01], tol=1e-3).transmitted()
        for center, k in ((-9.0, 4.0), (9.0, -3.0))
    )  # of the same mean energy, 16
    assert (right.side, left.side) == ("right", "left")
    for found, k, level in ((right, 4.0, 0.0), (left, 3.0, 7.0)):
        nodes, weights = np.polynomial.legendre.leggauss(300)
        waves = k + 2.4 * nodes
        density = 1.2 * np.sqrt(2 / np.pi) * np.exp(-2 * 1.44 * (waves - k) ** 2)
        expected = 2.4 * np.sum(weights * density * scatter(step, level + waves**2).T)
        assert abs(found.value - expected) <= found.bound + 1e-8
        assert found.bound < 1e-3


@pytest.mark.parametrize("end", [0.2, 8.0])
@pytest.mark.parametrize(("center", "momentum"), [(-20.3, 1.5), (20.3, -1.5)])
def test_what_gets_through_does_not_depend_on_the_box(end, center, momentum):
    """On a line without walls the box follows from the times; T is of the whole line, whose V is even."""
    well = potentials.gaussian_well()
    given = packet_problem.asked(packets.gaussian(center, 2.0, momentum), None, [0, end])
    found = transmitted.transmitted(packet_problem.problem_of(well, given, Settings()))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    k = 1.5 + 1.49 * nodes
    density = 2 * np.sqrt(2 / np.pi) * np.exp(-8 * (k - 1.5) ** 2)
    expected = 1.49 * np.sum(weights * density * scatter(well, k**2).T)
    assert found.side == ("right" if momentum > 0 else "left")
    assert abs(found.value - expected) <= found.bound < 1e-2
    assert abs(found.value - expected) < 1e-6


@pytest.mark.parametrize(
    ("packet", "drive", "words"),
    [
        (packets.eigenstate(0), None, "do not come from a lead"),
        (packets.gaussian(0.0, 1.0, 3.0), None, "lies at or behind x = -0.2"),
        (packets.gaussian(-9.0, 1.0, -3.0), None, "lies at or behind x = 0.2"),
        (packets.gaussian(-9.0, 1.0, 0.2), None, "moves the other way"),
        (packets.gaussian(-9.0, 1.0, 3.0), drives.dipole(), "leave out the drive"),
    ],
)
def test_what_has_no_transmission_is_refused(packet, drive, words):
    barrier = potentials.barrier(domain=[-20.0, 20.0], center=0.0, width=0.5, height=20.0)
    problem = packet_problem.problem_of(barrier, packet_problem.asked(packet, drive, [0, 0.1]), Settings())
    with pytest.raises(ValueError, match=words):
        transmitted.checked(problem)


@pytest.mark.parametrize("potential", [potentials.infinite_well(), potentials.harmonic()], ids=["box", "oscillator"])
def test_what_has_no_leads_has_no_transmission(potential):
    given = packet_problem.asked(packets.gaussian(0.3, 0.04, 30.0), None, [0, 0.005])
    with pytest.raises(ValueError, match="transmission=true: "):
        transmitted.checked(packet_problem.problem_of(potential, given, Settings()))


def test_units_change_nothing_but_the_numbers():
    """A well of 10 nm for an electron of 0.067 m_e, in nm, eV and fs, and in L and 2 m L^2 / hbar."""
    system = of("semiconductor", 0.067)
    name, per_fs = time(system)
    assert name == "fs"
    assert per_fs == pytest.approx(system.scale / 0.6582119569, rel=1e-9)
    given = packets.gaussian(center=5.0, width=0.6, momentum=0.9)
    well = potentials.infinite_well(domain=[0.0, 10.0])
    in_units = evolve(well, given, [0, 20.0], tol=1e-6, units={"name": "semiconductor", "mass": 0.067})
    plain = evolve(well, given, [0, 20.0 * per_fs], tol=1e-6)
    x = np.linspace(0, 10, 201)
    np.testing.assert_allclose(in_units.psi(20.0, x), plain.psi(20.0 * per_fs, x), atol=1e-9)
    np.testing.assert_allclose(in_units.energy(0.0).value, plain.energy(0.0).value * system.scale, rtol=1e-9)


def test_integrals_of_the_residual_are_those_of_a_fine_sum():
    rng = np.random.default_rng(1)
    r = rng.standard_normal((6, 40))
    gram, energies = r @ r.T, np.sort(rng.uniform(0, 30, 6))
    start = rng.standard_normal(6) + 1j * rng.standard_normal(6)
    edges = np.array([0.0, 0.3, 0.4, 1.0])
    found = bounds.residual_integrals(start, energies, gram, edges)
    for value, (a, b) in zip(found, itertools.pairwise(edges), strict=True):
        t = a + (b - a) * (np.arange(4000) + 0.5) / 4000
        sizes = np.linalg.norm((start[:, None] * np.exp(-1j * np.outer(energies, t))).T @ r, axis=1)
        assert value >= sizes.mean() * (b - a) - 1e-9  # Schwarz
        np.testing.assert_allclose(value, (b - a) * np.sqrt(np.mean(sizes**2)), rtol=1e-6)
    t = np.linspace(0, 1, 50)
    at = bounds.at_times(0.1, found, edges, t)
    assert (np.diff(at) >= 0).all()
    assert at[0] == 0.1
    assert at[-1] == pytest.approx(0.1 + found.sum())


@pytest.mark.parametrize("scale", [1e-12, 0.0103, 1.0, 7e5])
def test_integrals_of_the_residual_do_not_depend_on_the_unit_of_time(scale):
    rng = np.random.default_rng(2)
    r = rng.standard_normal((5, 30))
    energies, start = np.sort(rng.uniform(0, 30, 5)), rng.standard_normal(5) + 1j * rng.standard_normal(5)
    edges = np.concatenate([np.linspace(0, 1, 38), [1.2, 2.0]])
    found = bounds.residual_integrals(start, energies, r @ r.T, edges)
    scaled = bounds.residual_integrals(start, energies / scale, r @ r.T, edges * scale)
    assert (found > 0).all()
    np.testing.assert_allclose(scaled / scale, found, rtol=1e-9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"packet": packets.gaussian(center=0.02, width=0.05)}, "beyond the walls"),
        ({"times": [1, 0]}, "must ascend"),
        ({"times": [0, np.inf]}, "times"),
        ({"times": [0]}, "the first and the last"),
        ({"drive": ("1/(t-0.005)", "x")}, "finite and real"),
        ({"drive": ("cos(x)", "x")}, "formula in t"),
        ({"drive": ("cos(t)", "y")}, "drive.space"),
        ({"packet": {"name": "gausian"}}, "did you mean gaussian"),
        ({"packet": {"name": "gaussian", "widht": 1}}, "did you mean width"),
        ({"packet": packets.superposition([3, 1]), "states": 4}, "states=4"),
        ({"packet": lambda x: 0 * x}, "psi0 is zero"),
        ({"packet": lambda x: 1 / (x - x)}, "not finite"),
        ({"network": {"activation": "selu"}}, "network.activation=selu"),
        ({"network": {"activation": "tanh", "scale": 40.0}}, "network.scale=40"),
        ({"start": "random"}, "start.name=random"),
        ({"precision": "float32", "tol": 1e-2}, "precision=float32"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(given, said):
    arguments = {"packet": packets.gaussian(center=0.5, width=0.05), "times": [0, 0.01], **given}
    with pytest.raises((ValueError, TypeError)) as error:
        evolve(potentials.infinite_well(), **arguments)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_degenerate_level_is_no_packet():
    with pytest.raises(ValueError, match="degenerate"):
        evolve("0*x", packets.eigenstate(1), [0, 1], domain=(0.0, 1.0), ends="periodic")


def test_what_no_basis_can_hold_is_not_said_to_be_converged():
    """A packet that is cut at the wall has a tail of energies that falls as n^-1."""
    solution = evolve(potentials.infinite_well(), lambda x: np.exp(-((x - 0.5) ** 2)), [0, 0.01], tol=1e-8)
    assert not solution.converged
    assert solution.bound(0.01) > 1e-8
    exact = of_sines(solution.packet, solution.times, count=900)
    basis = solution.fine.basis
    error = np.sqrt(np.sum(basis.weight * np.abs(solution.psi(0.01, basis.x) - exact(0.01, basis.x)) ** 2))
    assert error <= solution.bound(0.01)


def test_exponentials_of_a_matrix_agree_on_a_barrier():
    """Against the exponential of H on finite differences that follow the jumps of V."""
    solution = evolve(
        potentials.barrier(), packets.gaussian(center=0.2, width=0.04, momentum=20.0), [0, 0.004], tol=1e-5
    )

    def v(x):
        return 50.0 * ((x > 0.4) & (x < 0.6)) + 25.0 * (np.abs(np.abs(x - 0.5) - 0.1) < 1e-9)

    h_0, x, h = finite_differences(v, 0.0, 1.0, 801)
    energies, states = linalg.eigh(h_0.toarray())
    psi0 = solution.packet.at(x) / np.sqrt(h * np.sum(np.abs(solution.packet.at(x)) ** 2))
    other = states @ (np.exp(-0.004j * energies) * (states.T @ psi0))
    assert np.sqrt(h * np.sum(np.abs(solution.psi(0.004, x) - other) ** 2)) < 2e-3


@pytest.mark.parametrize("end", [1e9, 1e12])
def test_times_that_no_basis_can_carry_are_refused_with_the_tolerance_that_can_be_had(end):
    with pytest.raises(ValueError, match=r"times: rounding .* at least") as caught:
        evolve(potentials.infinite_well(), packets.superposition([0, 1]), [0, end], tol=1e-6)
    assert "\n" not in str(caught.value)
    carried = float(str(caught.value).rpartition("tol=")[2].split()[0])
    if carried < 0.1:
        solution = evolve(potentials.infinite_well(), packets.superposition([0, 1]), [0, end], tol=carried)
        t = solution.times
        x = solution.position(t)
        beat = np.cos(3 * np.pi**2 * t)
        assert np.abs(np.abs(x.value - 0.5) - 16 / (9 * np.pi**2) * np.abs(beat)).max() <= x.bound.max()
