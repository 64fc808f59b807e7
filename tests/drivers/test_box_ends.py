"""Boxes whose axes have free or periodic ends, against closed forms and a basis of plane waves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import qpinn

TURN = 2 * np.pi


def plane_waves(coefficients, count, most=12):
    """The lowest levels of -psi_xx - psi_yy + V psi on the torus (0, 2 pi)^2, V = sum of c exp(i (m x + n y))."""
    waves = np.array(list(itertools.product(range(-most, most + 1), repeat=2)))
    place = {tuple(wave): index for index, wave in enumerate(waves)}
    matrix = np.diag((waves**2).sum(axis=1).astype(complex))
    for (m, n), c in coefficients.items():
        for column, (k, last) in enumerate(waves):
            row = place.get((k + m, last + n))
            if row is not None:
                matrix[row, column] += c
    vectors = np.linalg.eigh(matrix)[1][
        :, :count
    ]  # known to rounding of the highest; Rayleigh quotients to that of theirs
    return (vectors.conj() * (matrix @ vectors)).sum(axis=0).real / (np.abs(vectors) ** 2).sum(axis=0)


def rings_of_oscillators(coupling, count, waves=12, states=28):
    """The lowest levels of -psi_xx - psi_yy + (1 + coupling cos x) y^2 psi, x on a ring, y on a line."""
    m, n = np.arange(-waves, waves + 1), np.arange(states)
    root = np.sqrt((n[1:] * 1.0) / 2)
    y = np.diag(root, 1) + np.diag(root, -1)
    wide = np.diag(np.sqrt(np.arange(1, states + 4) / 2), 1)
    wide = wide + wide.T
    y2 = (wide @ wide)[:states, :states]
    assert y.shape == y2.shape
    hop = (np.eye(len(m), k=1) + np.eye(len(m), k=-1)) / 2
    matrix = np.kron(np.diag(m**2.0), np.eye(states)) + np.kron(np.eye(len(m)), np.diag(2 * n + 1.0))
    return np.linalg.eigvalsh(matrix + coupling * np.kron(hop, y2))[:count]


def sums(*axes, count):
    """The lowest sums of one number from each row."""
    return np.sort([sum(row) for row in itertools.product(*axes)])[:count]


def holds(solution, exact, tol):
    """Every level within its bounds, as far as the rounding of `exact` goes, and these no wider than tol."""
    scale = max(1.0, float(np.abs(exact).max()))
    np.testing.assert_allclose(solution.energies, exact, rtol=0, atol=tol * scale)
    low, high = solution.bounds.T
    rounding = 1e-14 * scale
    assert (low <= exact + rounding).all()
    assert (exact <= high + rounding).all()
    assert ((high - low) <= tol * scale).all()


@pytest.mark.parametrize("states", [2, 6, 15])
def test_free_particle_on_a_torus(states):
    """m^2 + n^2: levels in fours and eights, wherever the last one that is asked for stands among them."""
    turns = np.arange(-6, 7) ** 2.0
    solution = qpinn.solve("0*x*y", domain=[[0, TURN], [0, TURN]], ends="periodic", states=states)
    holds(solution, sums(turns, turns, count=states), 1e-10)


def test_ends_of_every_axis():
    """A strip between walls, joined along x; and a wall on one side of an axis alone, the other one free."""
    turns, waves = np.arange(-9, 10) ** 2.0, np.arange(1, 9) ** 2 * np.pi**2
    strip = qpinn.solve("0*x*y", domain=[[0, TURN], [0, 1]], ends=("periodic", "walls"), states=6)
    holds(strip, sums(turns, waves, count=6), 1e-10)
    halves = ((np.arange(9) + 0.5) * np.pi) ** 2
    mixed = qpinn.solve("0*x*y", domain=[[0, 1], [0, 2]], ends=[["wall", "free"], "free"], states=5)
    holds(mixed, sums(halves, (np.arange(9) * np.pi / 2) ** 2, count=5), 1e-10)
    y = np.linspace(0, 2, 5)
    assert np.abs(mixed.psi(np.stack([0 * y, y], axis=1))).max() < 1e-12  # a wall at x = 0
    assert np.abs(mixed.psi(np.stack([0 * y + 1, y], axis=1))[0]).min() > 0.5


def test_box_with_free_ends_and_three_axes():
    lengths = [1.0, 1.0, 2.0]
    rows = [(np.arange(9) * np.pi / length) ** 2 for length in lengths]
    solution = qpinn.solve("0*x*y*z", domain=[[0, length] for length in lengths], ends="free", states=4)
    holds(solution, sums(*rows, count=4), 1e-9)


def test_coupled_torsions():
    """Two rotors that feel each other, V = cos x + cos y + cos(x - y) / 2."""
    waves = {(1, 0): 0.5, (-1, 0): 0.5, (0, 1): 0.5, (0, -1): 0.5, (1, -1): 0.25, (-1, 1): 0.25}
    solution = qpinn.solve("cos(x) + cos(y) + 0.5*cos(x - y)", domain=[[0, TURN], [0, TURN]], ends="periodic", states=8)
    holds(solution, plane_waves(waves, 8), 1e-8)
    assert solution.symmetries["x <-> y"].count(1) > 0
    x = np.array([[0.3, 5.0], [0.3 + TURN, 5.0 - TURN], [0.3, 5.0 + 2 * TURN]])
    values = solution.psi(x)  # from period to period
    np.testing.assert_allclose(values, values[:, :1].repeat(3, axis=1), atol=1e-12)
    seam = solution.psi(np.array([[1e-9, 1.0], [TURN - 1e-9, 1.0]]))
    np.testing.assert_allclose(seam[:, 0], seam[:, 1], atol=1e-8)


def test_ring_of_oscillators():
    solution = qpinn.solve("y**2 + 0.5*cos(x)*y**2", domain=[[0, TURN], [None, None]], ends=("periodic", "walls"),
                           states=4)  # fmt: skip
    holds(solution, rings_of_oscillators(0.5, 4), 1e-7)


def test_torus_of_four_axes():
    """Levels 0, then eight of energy 1."""
    solution = qpinn.solve("0*x1 + 0*x2 + 0*x3 + 0*x4", domain=[[0, TURN]] * 4, ends="periodic", states=3)
    holds(solution, np.array([0.0, 1.0, 1.0]), 1e-9)


def test_random_potentials_on_the_torus():
    """Trigonometric potentials against plane waves: no level missed, none outside its bounds."""
    chance = np.random.default_rng(5)
    for _ in range(2):
        waves, formula = {}, "0*x*y"
        for m, n in ((1, 0), (0, 1), (1, 1), (2, -1)):
            size, phase = chance.normal(), chance.uniform(0, TURN)
            formula += f" + {size:.17g}*cos({m}*x + ({n})*y + {phase:.17g})"
            for sign in (1, -1):
                waves[sign * m, sign * n] = size / 2 * np.exp(1j * sign * phase)
        solution = qpinn.solve(formula, domain=[[0, TURN], [0, TURN]], ends="periodic", states=5)
        holds(solution, plane_waves(waves, 5), 1e-6)


def test_saved_and_loaded(tmp_path):
    solution = qpinn.solve("0*x*y", domain=[[0, TURN], [0, 1]], ends=("periodic", "walls"), states=2)
    loaded = qpinn.load(solution.save(tmp_path / "strip"))
    x = np.array([[1.0, 0.3], [-2.0, 0.6]])
    np.testing.assert_array_equal(loaded.psi(x), solution.psi(x))
    np.testing.assert_array_equal(loaded.bounds, solution.bounds)
    assert (tmp_path / "strip" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"ends": ("ring", "walls")}, r"ends.axes\[0\]=ring: unknown; did you mean periodic"),
        ({"ends": ("periodic",)}, r"ends.axes=\['periodic'\]: has 1 entries, and the potential has 2 axes"),
        ({"ends": ("periodic", 3)}, r"ends.axes\[1\]=3: must be one of walls, free, periodic, or two ends"),
        ({"ends": (["wall", "periodic"], "walls")}, r"ends.axes\[0\]=\[wall,periodic\]: periodic ends are joined"),
        ({"ends": {"axes": ["free", "walls"], "left": "free"}}, "give one of the two"),
        ({"ends": "periodic", "domain": [[0, 1], [None, None]]}, "ends=periodic: axis 2 has no ends, psi decays there"),
        ({"ends": {"left": "periodic", "right": "periodic", "theta": np.pi}}, "ends.theta=3.14159: a phase"),
        ({"ends": ("periodic", "walls"), "ansatz": "envelope", "start": "random"}, "ends.axes=.*: the envelope"),
    ],
)  # fmt: skip
def test_ends_that_cannot_be(words, message):
    with pytest.raises(ValueError, match=message) as raised:
        qpinn.solve("x**2 + y**2", **{"domain": [[0, 1], [0, 1]], **words})
    assert "\n" not in str(raised.value)


def test_list_of_ends_on_a_line():
    with pytest.raises(ValueError, match=r"ends.axes=.*: has 2 entries, and the potential has 1 axis"):
        qpinn.solve(qpinn.potentials.infinite_well(), ends=("free", "walls"))


def test_strong_coupling_on_the_torus():
    """Levels that the mean field has in another order: the solve among products goes on until it has them all."""
    formula = "-7.48*cos(x + 4.88) + 4.35*cos(y + 0.249) - 11.09*cos(x + y + 0.392) + 6.73*cos(x - y + 3.726)"
    potential = qpinn.potentials.expression(formula=formula, domain=[[0, TURN], [0, TURN]], masses=[1, 2.185])
    solution = qpinn.solve(potential, ends="periodic", states=6)
    assert all(solution.converged)
    assert solution.levels.residual.max() < 1e-3
