"""Levels with free and periodic ends, exact ones inside their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import mathieu_a, mathieu_b

import qpinn
from qpinn import potentials
from qpinn.runs import run_folder

FREE = {"left": "free", "right": "free"}
RING = {"left": "periodic", "right": "periodic"}
ANTIPERIODIC = {**RING, "theta": float(np.pi)}
Q = 5.0
"""Of Mathieu's equation, -psi'' + 2 q cos(2 x) psi = a psi."""


def mathieu():
    return potentials.expression([0, np.pi], f"{2 * Q}*cos(2*x)")


def rotor():
    """A methyl rotor, B = 0.665 meV; levels in units of B."""
    barrier = "(1 - sin(3*x)**4)*cos(3*x)**2 + (cos(6*x) + 1)*sin(3*x)**2/2"
    return potentials.expression([0, 2 * np.pi], f"13.17/0.665*({barrier})")


HALVES = [((n + 0.5) * np.pi) ** 2 for n in range(5)]

CASES = {
    "free": (potentials.infinite_well, FREE, [(n * np.pi) ** 2 for n in range(5)], 0.0),
    "free at the left": (potentials.infinite_well, {"left": "free"}, HALVES, 0.0),
    "free at the right": (potentials.infinite_well, {"right": "free"}, HALVES, 0.0),
    "free, the other side decaying": (
        lambda: potentials.harmonic(domain=[0, None]), {"left": "free"}, [1.0, 5.0, 9.0, 13.0], 0.0,
    ),
    "ring": (potentials.infinite_well, RING, [(2 * n * np.pi) ** 2 for n in (0, 1, 1, 2, 2)], 0.0),
    "Mathieu, periodic": (
        mathieu, RING, [mathieu_a(0, Q), mathieu_b(2, Q), mathieu_a(2, Q), mathieu_b(4, Q), mathieu_a(4, Q)], 1e-12,
    ),
    "Mathieu, antiperiodic": (
        mathieu, ANTIPERIODIC, [mathieu_b(1, Q), mathieu_a(1, Q), mathieu_b(3, Q), mathieu_a(3, Q)], 1e-12,
    ),
    "methyl rotor": (rotor, RING, np.array([6.3946, 6.9478, 6.9478, 8.4283, 8.4283]) / 0.665, 1e-4),
}  # fmt: skip


LONG = ("free at the right", "Mathieu, antiperiodic")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.long) if case in LONG else case for case in CASES]
)
def test_levels_of_other_ends(case):
    build, ends, levels, known = CASES[case]
    solution = qpinn.solve(build(), states=len(levels), ends=ends, seed=1)
    levels = np.asarray(levels)
    scale = np.abs(levels).max()
    np.testing.assert_allclose(solution.energies, levels, atol=max(known, 1e-12) * scale)
    assert all(solution.converged)
    assert (solution.bounds[:, 0] <= levels + known * scale).all()
    assert (levels - known * scale <= solution.bounds[:, 1]).all()
    assert all(state.outcome == "right state" for state in solution.states)
    assert max(state.relative_error_energy for state in solution.states) < 1e-11


def test_psi_of_a_ring_goes_on_beyond_it_and_pairs_are_kept_apart():
    solution = qpinn.solve(mathieu(), states=3, ends=RING)
    x = np.linspace(0, np.pi, 2001)
    psi = solution.psi(x)
    np.testing.assert_allclose(solution.psi(x + np.pi), psi, atol=1e-9)
    np.testing.assert_allclose(psi @ psi.T * (x[1] - x[0]), np.eye(3), atol=1e-2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ends": FREE, "ansatz": "envelope", "start": "random"}, "vanishes at both ends; allowed: piecewise"),
        ({"ends": {**RING, "theta": 0.3}}, "ends.theta=0.3: makes psi complex"),
        ({"ends": {"left": "periodic"}}, "periodic ends are joined"),
        ({"ends": {"left": "open"}}, "ends.left='open': must be one of wall, free, periodic"),
    ],
)
def test_ends_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        qpinn.solve(potentials.infinite_well(), **settings)


def test_a_free_end_where_psi_decays_is_refused():
    with pytest.raises(ValueError, match=r"ends\.left=free: harmonic has no left end"):
        qpinn.solve(potentials.harmonic(), ends={"left": "free"})


def test_a_curve_that_ends_below_a_level_says_what_its_wall_does():
    """Against the levels between walls that are moved: what E falls by, and that the certificate assumes the walls."""
    short, wider = (
        qpinn.solve("10*(1 - exp(-x**2))", domain=(-2.0 - moved, 2.2 + moved), states=3, network={"width": 8})
        for moved in (0.0, 0.01)
    )
    assert [state.free_at_wall for state in short.measured] == [False, False, True]
    slopes = [state.wall_slope for state in short.measured]
    np.testing.assert_allclose(slopes, (short.energies - wider.energies) / 0.01, rtol=0.05)
    assumed = run_folder.certificate(short)["assumed"]
    assert "psi = 0 at the walls as given, where V is not known to end: they raise level 0 by about 4e-03" in assumed
    assert "level 2 by more than 1e+00" in assumed
    boxed = qpinn.solve(qpinn.potentials.infinite_well(), network={"width": 4})
    assert "walls as given" not in run_folder.certificate(boxed)["assumed"]
