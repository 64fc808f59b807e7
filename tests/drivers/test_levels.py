"""Several levels of many potentials: nodes, orthonormality, bounds, tolerance."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest

import qpinn
from qpinn.analysis import observables
from qpinn.drivers import discretize
from qpinn.physics import potentials, reference

FAST = {"ansatz": {"phase": 2.0}}


def _check(solution, states):
    exact = reference.best(solution.plan.potential, states).energies * solution.units.scale
    assert solution.energies.shape == (states,)
    assert solution.bounds.shape == (states, 2)
    scale = solution.scale
    lower, upper = solution.bounds.T
    assert (lower <= exact + 1e-13 * scale).all()
    assert (exact - 1e-13 * scale <= upper).all()
    assert solution.node_counts == list(range(states))
    assert (np.abs(solution.energies - exact) <= 1e-10 * scale).all()
    x = solution.samples.x
    np.testing.assert_allclose(solution.psi(x), solution.samples.psi, atol=1e-7)
    np.testing.assert_allclose([state.expectation["virial"] for state in solution.states], 1, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "asymmetric_well",
        "kronig_penney",
        "double_well",
        "morse",
        "linear",
        "woods_saxon",
        "gaussian_well",
        "expression",
    ],
)
def test_levels_of_the_library(name):
    walls = {"domain": (-3.0, 3.0)} if name == "expression" else {}
    solution = qpinn.solve(potentials.BUILDERS[name](**walls), states=4, tol=1e-8, **FAST)
    _check(solution, 4)
    assert all(solution.converged)
    points = np.polynomial.legendre.leggauss(400)
    left, right = solution.potential.domain
    edges = solution.edges
    x = (edges[:-1, None] + np.diff(edges)[:, None] * (points[0] + 1) / 2).ravel()
    weight = (np.diff(edges)[:, None] * points[1] / 2).ravel()
    psi = solution.psi(x)
    np.testing.assert_allclose((weight * psi) @ psi.T, np.eye(4), atol=1e-8)
    np.testing.assert_allclose((weight * x * psi) @ psi.T, solution.dipoles, atol=1e-7 * (right - left))


@pytest.mark.parametrize(
    ("potential", "states"),
    [(potentials.delta(), 1), (potentials.two_deltas((-2.0, 1.5), 1.0, -5.0, 4.0), 3), (potentials.delta_comb(2), 3)],
    ids=lambda value: getattr(value, "name", None),
)
def test_levels_of_deltas(potential, states):
    _check(qpinn.solve(potential, states=states, **FAST), states)


def test_levels_of_layers_are_in_electronvolts():
    solution = qpinn.solve(
        potentials.layers(thickness=[8, 6, 2, 8], offset=[0.3, 0, -0.05, 0.25], mass=[0.1, 0.067, 0.05, 0.09]),
        states=3, units="semiconductor", **FAST,
    )  # fmt: skip
    _check(solution, 3)
    assert solution.energies[0] < 0.1
    found = solution.states[0].expectation
    np.testing.assert_allclose(found["kinetic"] + found["potential"], solution.energy, rtol=1e-9)
    for place, ratio in zip(solution.potential.breakpoints, (0.067 / 0.1, 0.05 / 0.067, 0.09 / 0.05), strict=True):
        left, middle, right = solution.psi(place + np.array([-1e-4, 0, 1e-4]))[0]
        np.testing.assert_allclose((right - middle) / (middle - left), ratio, rtol=1e-3)  # psi' / m is continuous


def test_harmonic_levels_are_those_of_the_closed_form():
    solution = qpinn.solve(potentials.harmonic(center=0.3, omega=2.0), states=4, **FAST)
    np.testing.assert_allclose(solution.energies, 2 * (2 * np.arange(4) + 1), rtol=1e-11)
    for k, state in enumerate(solution.states):
        found = state.expectation
        np.testing.assert_allclose(found["x"], 0.3, atol=1e-6)
        np.testing.assert_allclose(found["kinetic"], found["potential"], rtol=1e-7)  # virial
        np.testing.assert_allclose(found["dx_dp"], k + 0.5, rtol=1e-7)
        np.testing.assert_allclose(found["parity"], (-1) ** k, atol=1e-3)
    strengths = observables.oscillator_strengths(solution.energies, solution.dipoles)
    np.testing.assert_allclose(strengths.sum(axis=1)[:3], 1, rtol=1e-6)  # the others of a harmonic level are zero
    for k in range(3):  # <k|x|k+1>^2 = (k + 1) / (2 omega)
        np.testing.assert_allclose(solution.dipoles[k, k + 1] ** 2, (k + 1) / 4, rtol=1e-6)


def test_a_nearly_degenerate_pair_is_resolved():
    """The splitting itself, against both parities solved apart by the reference."""
    solution = qpinn.solve(potentials.double_well(height=60.0, a=1.5), states=2, **FAST)
    exact = reference.best(solution.potential, 2).energies
    assert 1e-9 < (exact[1] - exact[0]) / exact[0] < 1e-4
    np.testing.assert_allclose(np.diff(solution.energies), np.diff(exact), atol=1e-11 * exact[0])
    assert solution.node_counts == [0, 1]
    np.testing.assert_allclose([state.expectation["x"] for state in solution.states], 0, atol=1e-3)


def test_parity_separates_what_rounding_cannot():
    """A pair split by less than 1e-12 of a level: even and odd all the same, where a Ritz solve would mix them."""
    potential = potentials.double_well(height=400.0, a=1.5)
    solution = qpinn.solve(potential, states=2, **FAST)
    exact = reference.best(solution.plan.potential, 2)
    assert abs(np.diff(exact.energies)[0]) < 1e-12 * exact.energies[0]
    np.testing.assert_allclose(solution.energies, exact.energies, rtol=1e-12)
    x = np.linspace(0, solution.potential.domain[1], 50)
    psi, mirrored = solution.psi(x), solution.psi(-x)
    np.testing.assert_allclose(mirrored, np.array([[1], [-1]]) * psi, atol=1e-12)
    np.testing.assert_allclose(psi, exact.psi(x), atol=1e-5)


@pytest.mark.parametrize(
    ("formula", "even"),
    [("x**4 - 8*x**2", True), ("x**4 - 8*x**2 + 1e-6*x", False), ("x**4 + 5*exp(-((x-0.7)/1e-3)**2)", False)],
)
def test_parity_is_used_where_v_is_even_and_only_there(formula, even):
    potential = potentials.expression((-3.0, 3.0), formula)
    known = discretize.of(potential, qpinn.drivers.settings.Settings())
    assert known.mesh.half == even
    assert len(known.mesh) < len(discretize.of(potential, qpinn.drivers.mapping.from_mapping(
        qpinn.drivers.settings.Settings, {"ansatz": {"parity": "none"}}
    )).mesh) or not even  # fmt: skip


def test_parity_changes_no_level():
    with_parity, without = (
        qpinn.solve(potentials.finite_well(), states=3, ansatz={"phase": 2.0, "parity": parity})
        for parity in ("auto", "none")
    )
    assert (with_parity.plan.mesh.half, without.plan.mesh.half) == (True, False)
    np.testing.assert_allclose(with_parity.energies, without.energies, rtol=1e-12)
    x = np.linspace(-4, 4, 101)
    np.testing.assert_allclose(with_parity.psi(x), without.psi(x), atol=1e-5)
    assert with_parity.parameters < 0.7 * without.parameters


@pytest.mark.parametrize("energy", ["fixed", "rayleigh"])
def test_every_energy_mode_works_for_excited_states(energy):
    solution = qpinn.solve(potentials.barrier(), states=3, energy=energy, **FAST)
    _check(solution, 3)
    assert all(solution.converged)
    assert max(state.relative_l2_psi for state in solution.states) < 1e-6


def test_one_state_by_its_index():
    solution = qpinn.solve(potentials.barrier(), state=2, tol=1e-9, **FAST)
    exact = reference.exact(potentials.barrier(), 3).energies[2]
    assert [state.index for state in solution.states] == [2]
    assert solution.bounds.shape == (1, 2)
    lower, upper = solution.bounds[0]
    assert lower <= exact * (1 + 1e-13)
    assert exact * (1 - 1e-13) <= upper
    assert solution.node_counts == [2]
    x = np.linspace(0, 1, 31)
    assert solution.psi(x).shape == (31,)
    assert solution.dipoles.shape == (1, 1)
    with pytest.raises(ValueError, match="state=4: the well holds 4 bound states, asked for 5"):
        qpinn.solve(potentials.poeschl_teller(), state=4)


@pytest.mark.usefixtures("optax_promotion")
def test_a_random_start_aims_at_a_state_by_its_energy_and_is_bounded_on_both_sides():
    """Kato's bound for a function that is not the lowest: no level below it can have been missed."""
    solution = qpinn.solve(
        potentials.infinite_well(), state=1, start="random", energy="fixed", ansatz="envelope",
        network={"width": 16, "depth": 2, "init": "glorot"},
        optimizer={"name": "adam_lbfgs", "adam_steps": 500, "steps": 900},
    )  # fmt: skip
    state, exact = solution.state, 4 * np.pi**2
    assert state.index == 1
    assert state.outcome == "right state"
    assert state.lower < exact < state.upper
    assert state.upper - state.lower < 0.1 * exact
    assert (solution.history["state"] == 1).all()


@pytest.mark.usefixtures("optax_promotion")
def test_the_route_of_the_paper_trains_excited_states_in_turn():
    """With the term they are orthogonal and three different levels; without it they are not."""
    common = {
        "states": 2, "start": "random", "energy": {"name": "trainable", "initial": 5.0}, "ansatz": "envelope",
        "network": {"width": 12, "depth": 2, "init": "glorot"},
        "optimizer": {"name": "adam_lbfgs", "adam_steps": 500, "steps": 900, "learning_rate": 3e-3},
    }  # fmt: skip
    solution = qpinn.solve(potentials.infinite_well(), **common)
    assert [int(np.argmax(state.overlaps)) for state in solution.states] == [0, 1]
    x = np.linspace(0, 1, 4001)
    psi = solution.psi(x)
    overlap = np.trapezoid(psi[0] * psi[1], x)
    assert abs(overlap) < 1e-2
    lower, upper = solution.bounds.T
    exact = np.pi**2 * np.array([1, 4])
    assert (np.isnan(lower) | (lower <= exact)).all()
    assert (np.isnan(upper) | (exact <= upper)).all()
    history = solution.history
    np.testing.assert_array_equal(np.unique(history["state"]), [0, 1])
    assert (history["orthogonality"][history["state"] == 0] == 0).all()
    term = history["orthogonality"][history["state"] == 1]
    assert term[-1] < 1e-3 * term.max()
    free = qpinn.solve(potentials.infinite_well(), loss={"orthogonality": 0.0}, **common)
    assert np.argmax(free.states[1].overlaps) != 1


def test_all_bound_states():
    solution = qpinn.solve(potentials.poeschl_teller(l=3.0), states="all", **FAST)
    np.testing.assert_allclose(solution.energies, [-9, -4, -1], rtol=1e-10)


def test_segments_are_cut_until_the_tolerance_is_met():
    coarse = {"ansatz": {"phase": 4.0}, "network": {"width": 6}}
    rough = qpinn.solve(potentials.barrier(), states=1, **coarse)
    assert rough.stats.rounds == 1
    tol = float(rough.states[0].upper - rough.states[0].lower) / 2 / rough.scale[0] / 30
    fine = qpinn.solve(potentials.barrier(), states=1, tol=tol, **coarse)
    assert fine.stats.rounds > 1
    assert all(fine.converged)
    _check(fine, 1)
    assert len(fine.edges) > len(rough.edges)


@pytest.mark.parametrize("seed", range(5))
def test_bounds_hold_for_potentials_that_nobody_chose(seed):
    rng = np.random.default_rng(seed)
    if seed == 4:
        lists = rng.uniform(1, 8, 5), rng.uniform(0, 0.5, 5), rng.uniform(0.03, 0.3, 5)
        potential = potentials.layers(None, *(column.tolist() for column in lists))
    elif seed % 2:
        potential = potentials.anharmonic(g=10 ** rng.uniform(-2, 2))
    else:
        potential = potentials.asymmetric_well(
            (-3.0, 3.0), rng.uniform(-1, 1), rng.uniform(0.5, 3.0), *10 ** rng.uniform(0, 2, 2)
        )
    units = "semiconductor" if seed == 4 else "dimensionless"
    _check(qpinn.solve(potential, states=3, seed=seed, units=units, **FAST), 3)


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("optimizer", ["adam", "levenberg_marquardt"])
def test_the_paper_route_gets_what_bounds_there_are(optimizer):
    """Levenberg-Marquardt makes units of the one network jump between points: that must be seen."""
    solution = qpinn.solve(
        potentials.infinite_well(), ansatz="envelope", start="random", energy="fixed",
        optimizer={"name": optimizer, "steps": 60},
    )  # fmt: skip
    (lower, upper), exact = solution.bounds[0], np.pi**2
    assert np.isnan(upper) or upper >= exact
    assert np.isnan(lower) or lower <= exact


def test_a_network_with_kinks_gets_no_bounds():
    """Its psi is not in the domain of H: the delta functions of psi'' are on no point."""
    solution = qpinn.solve(potentials.barrier(), states=1, network={"activation": "selu"}, **FAST)
    assert np.isnan(solution.bounds).all()
    assert not any(solution.converged)


@pytest.mark.parametrize(
    ("potential", "lowest"),
    [
        (potentials.harmonic(center=1e5), 1.0),  # positions are known to 1e-11 only
        (potentials.gaussian_well((-0.15, 0.16), depth=1e6, width=1e-2), -931169.45798106),  # narrow against its box
        (potentials.expression((-3.0, 3.0), "where(abs(x-0.30071) < 1e-4, -1000, 0)"), 0.2047),
        (potentials.woods_saxon((-6.0, 6.3), 50.0, 0.3, 1e-9), None),  # all but a jump
    ],
    ids=["far away", "narrow", "between samples", "steep"],
)
def test_bounds_are_right_or_absent_where_it_is_hard(potential, lowest):
    solution = qpinn.solve(potential, states=1, **FAST)
    lower, upper = solution.bounds[0]
    exact = lowest or reference.spectral_elements(solution.potential, 1, degree=30).energies[0]
    slack = 1e-4 * abs(exact) if lowest == 0.2047 else 1e-11 * abs(exact)  # digits of the number
    assert np.isnan(upper) or lower - slack <= exact <= upper + slack
    assert np.isfinite(upper)


def test_bounds_hold_far_from_the_origin():
    """Points are rounded to eps |x|: an error that two quadratures share."""
    left = 1e6
    far = qpinn.solve(potentials.infinite_well((left, left + 1)), states=3, **FAST)
    lower, upper = far.bounds.T
    exact = (np.arange(1, 4) * np.pi) ** 2
    assert (lower <= exact).all()
    assert (exact <= upper).all()


def test_functions_that_depend_on_each_other_bound_the_lowest_level_alone():
    same = {"name": "adam", "steps": 1, "learning_rate": 1e-12}
    network = {"init": "lecun", "scale": 1e-12, "width": 4}
    with jax.numpy_dtype_promotion("standard"):
        solution = qpinn.solve(potentials.infinite_well(), states=3, start="random", ansatz="envelope",
                               optimizer=same, network=network)  # fmt: skip
    exact = (np.arange(1, 4) * np.pi) ** 2
    upper = solution.bounds[:, 1]
    assert (np.isnan(upper) | (upper >= exact)).all()


def test_a_spike_that_no_sample_meets_is_found():
    """A well of 1e-4 in a box of 6: its level lies far below those of the parabola."""
    solution = qpinn.solve(potentials.expression((-3.0, 3.0), "x**2-1e5*exp(-((x-0.3)/1e-4)**2)"), states=2, **FAST)
    lower, upper = solution.bounds.T
    exact = np.array([-78.332578314, 2.494386899805])  # by spectral elements on a mesh laid on it
    assert (lower <= exact + 1e-9).all()
    assert (exact - 1e-9 <= upper).all()
    assert all(solution.converged)


def test_two_wells_that_are_far_apart_cost_no_more():
    solution = qpinn.solve(potentials.two_deltas(distance=1e9), states=1, **FAST)
    lower, upper = solution.bounds[0]
    assert lower <= -4 <= upper
    assert solution.errors["energy"] < 1e-4


def test_a_callback_ends_the_cutting_of_segments_too():
    coarse = {"ansatz": {"phase": 4.0}, "network": {"width": 6}}
    solution = qpinn.solve(potentials.barrier(), states=1, tol=1e-13, callbacks=[lambda progress: True], **coarse)
    assert solution.stats.rounds == 1


def test_bound_states_of_a_soft_well_are_counted():
    with pytest.raises(ValueError, match="holds 8 bound states, asked for 9"):
        qpinn.solve(potentials.woods_saxon(depth=50.0, radius=0.01, a=1.0), states=9)


@pytest.mark.parametrize(
    ("potential", "message"),
    [
        (potentials.morse((-1000.0, 10.0)), r"potential\.domain=\[-1000, 10\]: V is inf at x"),
        (potentials.kronig_penney(3, 1e4, 1e-12), "breakpoints or walls are closer than"),
    ],
)
def test_potentials_that_cannot_be_computed_are_refused(potential, message):
    with pytest.raises(ValueError, match=message):
        qpinn.solve(potential)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (0, "states=0: must be a whole number from 1 to 256"),
        (-1, "states=-1: must be"),
        (10000, "states=10000: must be"),
        ("some", "states=some: must be a whole number from 1 to 256, or all"),
        (1.5, "states=1.5: must be"),
        (5, "states=5: the well holds 4 bound states, asked for 5"),
    ],
)
def test_states_that_cannot_be_are_refused(states, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        qpinn.solve(potentials.poeschl_teller(), states=states)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tol": 1e-20}, "tol=1e-20: must lie below 1, and from 1e-13 for float64"),
        ({"tol": 1e-6, "precision": "float32"}, "from 0.001 for float32"),
        ({"tol": float("nan")}, "tol=nan: must be finite"),
        ({"tol": 1e-6, "start": "random"}, "tol=1e-06: start.name=random trains to no tolerance"),
        ({"states": 2, "state": 1}, "state=1: one level by its index, and states=2: the lowest ones; leave out one"),
        ({"state": -1}, "state=-1: must be a whole number from 0 to 255"),
        ({"loss": {"orthogonality": -1.0}}, "loss.orthogonality=-1: must not be negative"),
        ({"states": "all"}, "states=all: harmonic has no end of bound states"),
        (
            {"states": 12, "ansatz": {"phase": 0.05}, "network": {"shared": False}},
            "segments are needed for 12 levels, more than 256; a larger ansatz.phase (now 0.05)",
        ),
        (
            {"states": 250, "ansatz": {"phase": 0.05}},
            "segments are needed for 250 levels, more than 2048; a larger ansatz.phase (now 0.05)",
        ),
    ],
)
def test_tolerances_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        qpinn.solve(potentials.harmonic(), **settings)


@pytest.mark.parametrize("constant", [1e10, -3e8])
def test_a_constant_takes_its_own_digits_and_no_more(constant):
    """Levels 1 and 3 of x^2, to what is left of them beside the constant."""
    solution = qpinn.solve(potentials.expression((-7.0, 7.0), f"x**2 + ({constant})"), states=2, **FAST)
    np.testing.assert_allclose(solution.energies - constant, [1.0, 3.0], atol=4e-16 * abs(constant))
    assert [state.outcome for state in solution.states] == ["right state"] * 2
    assert (solution.bounds[:, 0] <= constant + np.array([1.0, 3.0])).all()
    assert (constant + np.array([1.0, 3.0]) <= solution.bounds[:, 1]).all()
