"""What is stated against a reference, and what is left blank because it cannot vouch for it."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

import qpinn
from qpinn.analysis import compare, errors, observables
from qpinn.bounds import certify
from qpinn.drivers import budget, settings
from qpinn.drivers import solution as solution_module
from qpinn.physics import potentials, reference
from qpinn.runs import run_folder

EXACT = reference.exact(potentials.infinite_well(), 8)


def _doubtful(error, psi_error=1e-12):
    return dataclasses.replace(EXACT, errors=np.full(8, error), psi_errors=np.full(8, psi_error))


def _plan(low, high, sigma, first=0):
    low, high = np.asarray(low, float), np.asarray(high, float)
    floor = high[first - 1] if first else -np.inf
    return SimpleNamespace(
        potential=None, low=low, high=high, sigma=sigma, floor=floor, indices=np.arange(first, len(low))
    )


def test_an_error_is_the_difference_where_the_reference_is_better():
    for off in (1e-3, 1e-12):
        energy = EXACT.energies[1] * (1 + off)
        np.testing.assert_allclose(errors.of_energy(energy, EXACT, 1), off, rtol=1e-3)
    np.testing.assert_allclose(errors.of_energy(EXACT.energies[1] * 1.01, _doubtful(1e-4), 1), 0.01)


@pytest.mark.parametrize(
    ("error", "off"),
    [(1.0, 1e-12), (1.0, 0.5), (1e-3, 1e-9), (1e-3, 2e-5), (1e6, 1e3)],  # above 1e-3 of a level, or of the difference
)
def test_an_error_that_may_be_the_reference_s_is_blank(error, off):
    levels = _doubtful(error)
    assert np.isnan(errors.of_energy(levels.energies[1] * (1 + off), levels, 1))


def test_psi_of_a_pair_that_a_reference_cannot_tell_apart_is_blank():
    x = np.linspace(0, 1, 2001)
    weight = np.full(2001, 1 / 2000)
    psi = EXACT.psi(x)
    wrong = psi[0] + 1e-3 * psi[1]
    assert errors.of_psi(wrong, weight, EXACT, 0, psi[0]) == pytest.approx(1e-3, rel=1e-3)
    for doubt in (1.0, 2e-3):
        assert np.isnan(errors.of_psi(wrong, weight, _doubtful(1e-12, doubt), 0, psi[0]))


def test_a_reference_that_misses_a_level_is_no_reference():
    """All of its levels above the one that is missing lie outside the brackets."""
    missing = dataclasses.replace(EXACT, energies=np.append(EXACT.energies[0], EXACT.energies[2:]),
                                  errors=EXACT.errors[1:], psi_errors=EXACT.psi_errors[1:])  # fmt: skip
    low, high = EXACT.energies - 0.1, EXACT.energies + 0.1
    bounded = errors.within_brackets(missing, low, high)
    np.testing.assert_array_equal(errors.vouched(bounded), [True] + [False] * 6)
    np.testing.assert_allclose(bounded.errors[1], EXACT.energies[2] - high[1])
    assert (bounded.psi_errors[1:] > 1).all()
    same = errors.within_brackets(EXACT, low, high)
    np.testing.assert_array_equal(same.errors, EXACT.errors)


@pytest.mark.parametrize(
    ("energies", "expected"),
    [
        ([-4.0, 0.0, 4.0], [4.0, 0.4, 4.0]),
        ([np.nan, 0.0, 4.0], [4.0, 0.4, 4.0]),  # the middle of its bracket
        ([1e9, 0.0, 4.0], [3.0, 0.37, 4.0]),  # the most that its bracket allows
    ],
)
def test_the_scale_is_that_of_the_levels_whatever_was_trained(energies, expected):
    plan = _plan([-5, -0.1, 3.9], [-3, 0.1, 4.1], sigma=8.0)
    np.testing.assert_allclose(observables.scales(plan, np.array(energies)), expected, rtol=0.01)


def test_the_scale_of_a_steep_potential_is_that_of_its_level():
    """Its bracket reaches up to 1e5: V is 2e6 at the left wall, and E is -1/4."""
    plan = _plan([-0.6], [5e5], sigma=6e5)
    assert observables.scales(plan, np.array([-0.25])) == pytest.approx([6e4], rel=0.1)
    assert observables.scales(_plan([-0.6], [5e5], sigma=-0.12), np.array([-0.25]))[0] == 0.25


def _bound(energies, lower, upper):
    energies = np.asarray(energies, float)
    zero = np.zeros_like(energies)
    return certify.Certificate(
        energies=energies, lower=np.asarray(lower, float), upper=np.asarray(upper, float), residual=zero,
        rounding=zero, truncation=zero, sigma=1e9,
    )  # fmt: skip


def test_bounds_that_exclude_the_bracket_are_withdrawn_and_others_are_not():
    plan = _plan([2.4], [2.5], sigma=9.0)
    assert observables.contradicted(plan, _bound([3.19], [3.1], [3.2]))
    assert observables.contradicted(plan, _bound([2.3], [2.2], [2.3]))
    assert not observables.contradicted(plan, _bound([2.52], [2.45], [2.52]))  # less accurate than the bracket
    assert not observables.contradicted(plan, _bound([2.52], [-np.inf], [np.inf]))
    assert observables.strayed(plan, np.array([3.19])).all()
    assert observables.strayed(plan, np.array([np.nan])).all()
    assert not observables.strayed(plan, np.array([2.52])).any()


@pytest.mark.parametrize(
    ("norm", "energy", "lower", "upper", "outside", "expected"),
    [
        (1.0, 1.0, 0.9, 1.1, False, "right state"),
        (1.0, 1.2, 0.9, 1.1, False, "not converged"),
        (1.0, 1.0, -np.inf, 1.1, False, "no reference"),
        (1.0, 3.0, -np.inf, np.inf, True, "not converged"),
        (0.05, 1.0, 0.9, 1.1, False, "psi = 0"),
        (1e10, 1.0, 0.9, 1.1, False, "diverged"),
        (np.nan, 1.0, 0.9, 1.1, False, "non-finite"),
    ],
)
def test_outcomes_without_a_reference(norm, energy, lower, upper, outside, expected):
    assert observables.outcome_by_bounds(norm, energy, lower, upper, outside) == expected


def test_nothing_is_computed_that_nobody_asked_for(monkeypatch):
    """Energies, bounds and a complete results.json need no reference; errors fetch it once."""
    asked = []
    monkeypatch.setattr(solution_module, "exact_levels", lambda *given: asked.append(given) or EXACT)
    solution = qpinn.solve(potentials.infinite_well())
    written = json.loads(json.dumps(run_folder.summary(solution, {}, solution.seconds)))
    assert solution.converged == [True]
    assert solution.bounds[0, 0] <= np.pi**2 <= solution.bounds[0, 1]
    assert not asked
    assert written["reference"] is None
    (state,) = written["states"]
    assert state["outcome"] == "right state"
    assert state["energy"] == solution.energy
    blank = ("energy_reference", "relative_error_energy", "relative_l2_psi", "overlaps")
    assert [state[name] for name in blank] == [None] * 4
    assert solution.errors["energy"] < 1e-12
    assert solution.states[0].overlaps[0] > 0.99
    assert len(asked) == 1


def _measured(energies, psi, slope, v, length, amplitude=1.0):
    """Functions (K, n) of x (n,) on a Gauss-Legendre rule of [0, length], as if they had been trained."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x, grid = length * (nodes + 1) / 2, np.linspace(0, length, 801)

    def values(at, weight):
        functions = amplitude * np.array([f(at) for f in psi])
        return certify.Values(
            x=at, psi=functions, slope=amplitude * np.array([f(at) for f in slope]),
            h_psi=np.asarray(energies)[:, None] * functions, v=v(at), mass=np.ones_like(at),
            mass_slope=np.zeros_like(at), weight=weight,
            blur=np.zeros_like(at), at_deltas=np.zeros((len(psi), 0)), strength=np.zeros(0),
        )  # fmt: skip

    bound = _bound(energies, np.asarray(energies) - 1e-9, np.asarray(energies) + 1e-9)
    both = np.stack([energies, energies])
    return observables.Measured(
        fine=values(x, length * weights / 2), grid=values(grid, 0 * grid), bound=bound, energies=both,
        losses=np.zeros(len(psi)),
    )  # fmt: skip


def _well(amplitude=1.0):
    """The two lowest functions of a box of length 1, and its plan."""
    k = np.pi * np.arange(1, 3)
    psi = [lambda x, q=q: np.sqrt(2) * np.sin(q * x) for q in k]
    slope = [lambda x, q=q: np.sqrt(2) * q * np.cos(q * x) for q in k]
    measured = _measured(k**2, psi, slope, np.zeros_like, 1.0, amplitude)
    return measured, _plan(k**2 - 0.01, k**2 + 0.01, sigma=9 * np.pi**2 - 0.1)


def test_psi_that_is_zero_has_no_errors_and_no_nodes():
    measured, plan = _well(amplitude=1e-3)
    for state in errors.against(observables.states(measured, plan, 1e-8, True, (False, False)), measured.fine, EXACT):
        assert state.outcome == "psi = 0"
        assert state.energy_reference == pytest.approx(np.pi**2 * (state.index + 1) ** 2)
        blank = (state.node_count, state.relative_error_energy, state.relative_l2_psi, state.expectation["parity"])
        assert blank == (None,) * 4


def test_parity_and_nodes_are_those_of_the_functions_where_v_is_even():
    measured, plan = _well()
    even, uneven = (observables.states(measured, plan, 1e-8, even, (False, False)) for even in (True, False))
    np.testing.assert_allclose([state.expectation["parity"] for state in even], [1, -1], atol=1e-3)
    assert [state.expectation["parity"] for state in uneven] == [None, None]
    assert [state.node_count for state in even] == [0, 1]
    for state in errors.against(even, measured.fine, EXACT):
        assert state.outcome == "right state"
        assert state.relative_error_energy < 1e-14
        assert state.relative_l2_psi < 1e-12


@pytest.mark.parametrize("reach", [2.5, 3.0, 4.0, 5.0])
def test_a_wall_that_cuts_psi_says_by_how_much(reach):
    """The levels of x^2 on the whole line are 1 and 3: what the walls at +-reach make of them is known."""
    levels = reference.best(potentials.harmonic((-reach, reach)), 8)
    x = np.linspace(-reach, reach, 401)
    slope = np.zeros((2, len(x)))
    step = 1e-4
    slope[:, 0], slope[:, -1] = levels.psi(x[[0, 0]] + step)[:2, 0] / step, -levels.psi(x[[-1]] - step)[:2, 0] / step
    grid = certify.Values(
        x=x, psi=levels.psi(x)[:2], slope=slope, h_psi=slope, v=x**2, mass=np.ones_like(x), mass_slope=np.zeros_like(x),
        weight=np.ones_like(x), blur=np.zeros_like(x), at_deltas=np.zeros((2, 0)), strength=np.zeros(0),
    )  # fmt: skip
    energies = levels.energies[:2]
    shift, free = observables.wall_shift(_bound(energies, energies, energies), grid, (True, True))
    assert not free.any()
    np.testing.assert_allclose(shift, energies - [1, 3], rtol=0.6 if reach == 2.5 else 0.1)


def test_a_level_above_v_at_a_wall_is_one_of_the_box():
    measured, plan = _well()
    state, _ = observables.states(measured, plan, 1e-8, True, (True, True))
    assert state.free_at_wall
    assert state.wall_shift == pytest.approx(np.pi**2)  # without walls the level is at V = 0
    assert state.wall_slope == pytest.approx(4 * np.pi**2, rel=1e-3)  # of E = pi^2 / (1 + 2 d)^2 at d = 0
    state, _ = observables.states(measured, plan, 1e-8, True, (False, False))
    assert (state.free_at_wall, state.wall_shift, state.wall_slope) == (False, None, None)


def test_the_walls_of_a_box_are_no_fault_and_those_of_a_well_that_was_cut_short_are():
    cut = observables.cut_by_walls
    assert cut(potentials.barrier(), (False, False)) == (False, False)
    assert cut(potentials.kronig_penney(), (False, False)) == (False, False)
    assert cut(potentials.harmonic((-1.0, 1.0)), (False, False)) == (True, True)
    assert cut(potentials.harmonic(), (True, True)) == (False, False)
    assert cut(potentials.linear((0.0, 4.0)), (False, False)) == (False, True)


def test_a_wall_that_is_too_deep_for_the_mesh_is_no_result():
    """psi decays over 1e-4 in the wall; where the mesh misses that, E_0 comes out as 3.2 instead of 2.467."""
    solution = qpinn.solve(potentials.finite_well(depth=1e8), states=1, ansatz={"phase": 2.0})
    (state,) = solution.states
    truth = (np.pi / 2) ** 2 / (1 + 1e-4) ** 2
    if abs(state.energy / truth - 1) > 1e-6:
        assert state.outcome == "not converged"
        assert state.note == "E lies outside the bracket of level 0"
        assert (state.lower, state.upper, state.converged) == (None, None, False)


def test_a_training_that_fits_into_no_memory_is_refused_by_its_size():
    huge = {"width": 4096, "depth": 3}
    with pytest.raises(ValueError, match=r"network\.width=4096, network\.depth=3: 1 states in \d+ segments .* GiB"):
        qpinn.solve(potentials.harmonic(), network=huge)
    small = settings.Settings()
    assert budget.needed(small, 26, 8) < 1e8
    assert budget.needed(small, 256, 8) < budget.MOST_BYTES


def test_classical_methods_go_on_without_a_reference(monkeypatch):
    rows = compare.classical(potentials.morse((-2.0, 6.0)), None, 3)
    assert [row.relative_error_energy for row in rows] == [None] * 3
    np.testing.assert_allclose([row.energy for row in rows], -((10 - 3.5) ** 2), rtol=1e-2)

    def too_large(*given, **named):
        raise reference.SizeError("too large")

    monkeypatch.setattr(reference, "spectral_elements", too_large)
    assert len(compare.classical(potentials.morse((-2.0, 6.0)), EXACT, 3)) == 2
