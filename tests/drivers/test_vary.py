"""Levels over a number: exact wells, an avoided crossing against a dense solve, slopes, and what follows what."""

from __future__ import annotations

import csv
import functools
import json
import signal

import numpy as np
import pytest
from scipy import linalg
from tests_support import call, start, until

import qpinn
from qpinn import potentials
from qpinn.drivers import vary as driver
from qpinn.physics import units
from qpinn.physics.potentials import numbers

SEMI = {"thickness": [8, 5, 4, 5.5, 8], "offset": [0.3, 0, 0.3, 0.01, 0.3], "mass": [0.09, 0.067, 0.09, 0.067, 0.09]}
"""Two wells, of which the wider one begins above the other."""


@pytest.fixture(scope="module")
def crossing():
    """The wider well is lowered through the ground level of the other."""
    return qpinn.vary(potentials.layers(**SEMI), "offset[3]", np.linspace(-0.02, 0.04, 13), states=3,
                      units="semiconductor")  # fmt: skip


def dense(thickness, offset, mass, states, field=0.0):
    """The lowest levels by spectral elements: Gauss-Lobatto polynomials of degree 24 in each layer, in eV."""
    degree, hbar2 = 24, units.of("semiconductor").scale  # hbar^2 / (2 m_e), in eV nm^2
    inner = np.polynomial.Legendre.basis(degree)
    x = np.concatenate([[-1], np.sort(inner.deriv().roots().real), [1]])
    weight = 2 / (degree * (degree + 1) * inner(x) ** 2)
    value = inner(x)
    slope = np.where(np.eye(degree + 1), 0, value[:, None] / (value * (x[:, None] - x + np.eye(degree + 1))))
    slope[0, 0], slope[-1, -1] = -degree * (degree + 1) / 4, degree * (degree + 1) / 4
    size = degree * len(thickness) + 1
    form, gram = np.zeros((size, size)), np.zeros(size)
    for j, (length, v, m) in enumerate(zip(thickness, offset, mass, strict=True)):
        place = slice(degree * j, degree * (j + 1) + 1)
        form[place, place] += hbar2 / m * 2 / length * slope.T @ (weight[:, None] * slope)
        left = sum(thickness[:j])
        form[place, place] += np.diag(length / 2 * (v + 1e-4 * field * (left + length * (x + 1) / 2)) * weight)
        gram[place] += length / 2 * weight
    root = 1 / np.sqrt(gram[1:-1])
    return linalg.eigvalsh(root[:, None] * form[1:-1, 1:-1] * root)[:states]


def test_the_infinite_well_over_its_width():
    """E = (n pi / L)^2, dE/dL = -2 E / L."""
    found = qpinn.vary(potentials.infinite_well(), "domain[1]", [0.5, 0.9, 1.7, 3.0], states=3)
    exact = (np.pi * np.arange(1, 4) / found.values[:, None]) ** 2
    np.testing.assert_allclose(found.energies, exact, rtol=1e-12)
    assert ((found.bounds[..., 0] <= exact) & (exact <= found.bounds[..., 1])).all()
    assert found.converged.all()
    np.testing.assert_allclose(found.slopes, -2 * exact / found.values[:, None], rtol=1e-7)


def test_levels_of_two_wells_are_inside_their_bounds_and_come_as_close_as_a_dense_solve_says(crossing):
    wells = [{**SEMI, "offset": [0.3, 0, 0.3, value, 0.3]} for value in crossing.values]
    exact = np.array([dense(**well, states=3) for well in wells])
    np.testing.assert_allclose(crossing.energies, exact, rtol=1e-9)
    gap, expected = (np.diff(levels[:, :2], axis=1)[:, 0] for levels in (crossing.energies, exact))
    assert 0.001 < expected.min() < 0.01
    np.testing.assert_allclose(gap, expected, rtol=1e-8)
    own = qpinn.solve(potentials.layers(**wells[6]), states=3, units="semiconductor").energies
    assert ((crossing.bounds[6, :, 0] <= own) & (own <= crossing.bounds[6, :, 1])).all()


def test_a_field_takes_the_wells_through_each_other():
    """From -25 to 25 kV/cm they come as close as a dense solve says, where it says."""
    fields = np.linspace(-25, 25, 11)
    found = qpinn.vary(potentials.layers(**SEMI), "field", fields, states=3, units="semiconductor")
    exact = np.array([dense(**SEMI, states=3, field=field) for field in fields])
    assert (np.abs(found.energies - exact) < 1e-11).all()
    gap, expected = (levels[:, 1] - levels[:, 0] for levels in (found.energies, exact))
    assert 0 < np.argmin(expected) < 10
    np.testing.assert_allclose(gap, expected, rtol=1e-8)
    assert found.converged.all()


def test_slopes_are_those_of_the_energies(crossing):
    """By differences of fourth order, and the well that is lowered is where psi is: the slopes add up to its share."""
    step = np.diff(crossing.values)[0]
    e = crossing.energies
    by_difference = (8 * (e[3:-1] - e[1:-3]) - (e[4:] - e[:-4])) / (12 * step)
    np.testing.assert_allclose(crossing.slopes[2:-2], by_difference, atol=2e-2)
    assert ((crossing.slopes > 0) & (crossing.slopes < 1)).all()
    middle = qpinn.vary(potentials.layers(**SEMI), "offset[3]", np.linspace(0.0035, 0.0065, 5), states=3,
                        units="semiconductor")  # fmt: skip
    e, step = middle.energies, np.diff(middle.values)[0]
    by_difference = (8 * (e[3] - e[1]) - (e[4] - e[0])) / (12 * step)
    np.testing.assert_allclose(middle.slopes[2], by_difference, rtol=1e-4)


def test_points_that_resolve_an_exchange_follow_the_levels(crossing):
    assert crossing.sure.all()
    assert (crossing.followed == np.arange(3)).all()
    below = crossing.dipoles[:, 0, 1]
    assert (np.sign(below) == np.sign(below[0])).all()  # signs go on too


def test_points_on_either_side_of_an_exchange_follow_the_well():
    """A thick barrier: levels 0 and 1 exchange their wells between two points, and come back."""
    wells = potentials.layers(**{**SEMI, "thickness": [8, 5, 14, 5.5, 8]})
    found = qpinn.vary(wells, "offset[3]", [-0.02, -0.01, 0.03, 0.04, -0.01], states=3, units="semiconductor")
    assert found.sure[:, :2].all()
    np.testing.assert_array_equal(found.followed[:, :2], [[0, 1], [0, 1], [1, 0], [1, 0], [0, 1]])
    slope = np.take_along_axis(found.slopes, np.argsort(found.followed[:, :2], axis=1), axis=1)
    assert (slope[:, 0] > 0.7).all()  # the one that is followed stays in the well that is lowered
    assert (slope[:, 1] < 0.01).all()


def test_where_points_are_too_far_apart_it_is_said():
    found = qpinn.vary(potentials.finite_well([-8, 8], width=1.0), "center", [-5.0, 5.0], states=2)
    assert not found.sure[1].any()


def test_a_pair_that_is_split_by_less_than_rounding_is_there_and_has_no_slopes():
    pair = {"thickness": [6, 5, 40, 5, 6], "offset": [0.3, 0, 0.3, 0, 0.3], "mass": [0.09] * 5}
    found = qpinn.vary(potentials.layers(**pair), "offset[3]", [-1e-3, 0.0, 1e-3], states=3, units="semiconductor")
    assert found.converged.all()
    assert found.energies[1, 1] - found.energies[1, 0] < 1e-12
    assert np.isnan(found.slopes[1, :2]).all()
    assert np.isfinite(found.slopes[[0, 2]]).all()


@pytest.mark.long
def test_the_splitting_of_a_double_well_falls_with_its_barrier():
    from qpinn.physics import reference, walls

    found = qpinn.vary(potentials.double_well(), "height", [4.0, 8.0, 16.0], states=2)
    exact = [reference.best(walls.on_box(potentials.double_well(height=h), 2), 2).energies[:2] for h in found.values]
    np.testing.assert_allclose(found.energies, exact, rtol=1e-9)
    assert (np.diff(np.diff(found.energies, axis=1)[:, 0]) < 0).all()


def test_one_programme_serves_all_points():
    """A layer that grows needs more segments: meshes are filled up to few sizes."""
    driver._programme().clear_cache()
    found = qpinn.vary(potentials.layers(**SEMI), "thickness[1]", np.linspace(1, 15, 7), states=3,
                       units="semiconductor")  # fmt: skip
    assert driver._programme()._cache_size() <= 2
    assert found.converged.all()


def test_a_function_of_the_number_has_the_slope_of_its_chain():
    """A well that is made 2 t + t^2 wide: dE/dt = (2 + 2 t) dE/dwidth."""
    found = qpinn.vary(lambda t: potentials.finite_well(width=2 * t + t**2, depth=20.0), "t", [0.5, 0.7], states=2)
    width = 2 * found.values + found.values**2
    plain = qpinn.vary(potentials.finite_well(depth=20.0), "potential.width", width, states=2)
    np.testing.assert_allclose(found.energies, plain.energies, rtol=1e-13)
    np.testing.assert_allclose(found.slopes, (2 + 2 * found.values)[:, None] * plain.slopes, rtol=1e-9)


def test_a_number_of_a_formula_moves_a_jump():
    """A well that is made of a formula is the well that is made of numbers."""
    formula = potentials.expression([-4, 4], "where(abs(x)<w/2,0,20)", parameters={"w": 2.0})
    driver._programme().clear_cache()
    found = qpinn.vary(formula, "potential.parameters.w", [1.9, 2.0, 2.1], states=2)
    assert driver._programme()._cache_size() == 1
    plain = qpinn.vary(potentials.finite_well(depth=20.0), "width", found.values, states=2)
    shift = found.energies - plain.energies
    np.testing.assert_allclose(shift, shift[0, 0], atol=1e-9)  # the formula may count V from somewhere else
    np.testing.assert_allclose(found.slopes, plain.slopes, rtol=1e-7)


def test_a_jump_that_passes_another_has_no_slope_there_and_the_other_points_have():
    formula = potentials.expression([0, 3], "where(x<a,0,10) + where(x<1.5,0,3)", parameters={"a": 1.0})
    found = qpinn.vary(formula, "parameters.a", [1.4, 1.5, 1.6], states=1)
    assert found.converged.all()
    assert np.isnan(found.slopes[:, 0]).tolist() == [False, True, False]
    assert (np.diff(found.energies[:, 0]) < 0).all()


def test_a_function_that_changes_more_than_numbers_has_no_slopes():
    made = driver._moved(lambda a: potentials.expression([-3, 3], f"{a!r}*x**2"), 2.0, 1e-3)
    assert made is None


@pytest.mark.long
def test_points_that_one_network_does_not_do_justice_are_solved_by_themselves(monkeypatch):
    """A basis of two units a segment: bounds are met by training."""
    calls = []
    run = driver.eigenstates.run
    monkeypatch.setattr(driver.eigenstates, "run", lambda *given: calls.append(given) or run(*given))
    found = qpinn.vary(potentials.finite_well(), "depth", [20.0, 21.0], states=1, network={"width": 3}, tol=1e-9)
    assert len(calls) == 2
    assert found.converged.all()


def test_a_callback_ends_it_with_what_there_is():
    seen = []

    def stop(so_far, done, count):
        seen.append((done, count, len(so_far().values)))
        return done == 2

    found = qpinn.vary(potentials.infinite_well(), "domain[1]", np.linspace(1, 2, 5), callbacks=[stop])
    assert seen == [(1, 5, 1), (2, 5, 2)]
    assert found.energies.shape == (2, 1)


@pytest.mark.parametrize("name", sorted(set(potentials.BUILDERS) - {"expression", "sampled", "layers"}))
def test_every_number_of_every_potential_goes_back_into_its_builder(name):
    """Numbers are those of the builder: with its own value in its place it is the same potential."""
    given = potentials.BUILDERS[name]()
    for number in numbers.names(given):
        key, _, place = number.partition("[")
        value = numbers.arguments(given)[key]
        assert numbers.family(given, number)(value[int(place[:-1])] if place else value) == given
    if name != "infinite_well":
        assert numbers.names(given)


@pytest.mark.parametrize(
    ("name", "values", "settings", "message"),
    [
        ("widht", [1, 2], {}, r"vary=potential.widht: unknown; did you mean potential.width\?"),
        ("parameters.a", [1, 2], {}, "vary=parameters.a: unknown; "),
        ("width", [1.0], {}, "values: 1 of them; must be a row of 2 to 10000"),
        ("width", [1.0, np.nan], {}, "values=nan: must be finite"),
        ("width", [2.0, 1.0, -1.0], {}, r"potential.width=-1.0: must be positive.*\(point 3 of 3\)"),
        ("width", [1.0, 2.0], {"states": "all"}, "states=all: must be a number of levels"),
        ("width", [1.0, 2.0], {"state": 2}, "state=2: must be a number of levels"),
        ("width", [1.0, 2.0], {"sampling": "uniform"}, "sampling.name=uniform: to vary a number needs"),
        ("width", [1.0, 2.0], {"network": {"shared": False}}, "network.shared=false: one network serves all points"),
        ("width", [1.0, 2.0], {"start": "random"}, "network.shared=true"),
        ("width", [1.0, 2.0], {"network": {"width": 4000}}, "network.width=4000"),
    ],
)
def test_what_cannot_be_varied_is_refused(name, values, settings, message):
    with pytest.raises(ValueError, match=message):
        qpinn.vary(potentials.finite_well(), name, values, **settings)


def test_a_point_without_enough_levels_is_named():
    with pytest.raises(ValueError, match=r"states=2: .*\(point 2 of 2\)"):
        qpinn.vary(functools.partial(potentials.poeschl_teller, a=1.0), "l", [3.0, 0.9], states=2)


FEW = ["potential=finite_well", "vary=potential.width", "points=4", "states=2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["range=[1,2]"], "vary=null: must name a number of the potential"),
        (["vary=potential.width"], "range=null: must be the first and the last value"),
        ([*FEW, "range=[2,1]"], "range=[2,1]: must be [first,last], the first smaller"),
        ([*FEW, "range=[2,2]"], "range=[2,2]: must be [first,last], the first smaller"),
        ([*FEW, "range=[nan,2]"], "range=[nan,2]: must be finite"),
        ([*FEW[:2], "range=[1,2]", "points=1"], "points=1: must be a whole number from 2 to 10000"),
        ([*FEW[:2], "range=[1,2]", "points=1e7"], "points=10000000: must be a whole number from 2 to 10000"),
        ([*FEW, "range=[-1,2]"], "(point 1 of 4)"),
        (["vary=potential.hieght", "range=[1,2]"], "did you mean potential.height?"),
        (["vary=energy.initial", "range=[1,2]"], "vary=energy.initial: unknown; allowed: potential."),
        (
            ["vary=ends.theta", "range=[0,1]"],
            "vary=ends.theta: levels over the Bloch phase are bands; allowed: scripts/",
        ),
        (["vary=potential.domain[2]", "range=[1,2]"], "did you mean potential.domain["),
    ],
)
def test_mistakes_are_one_line(words, message):
    ended = call("vary", *words)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_the_script_writes_a_table_with_units_and_a_figure(tmp_path):
    lists = [f"potential.{key}={numbers}".replace(" ", "") for key, numbers in SEMI.items()]
    ended = call("vary", "potential=layers", *lists, "units=semiconductor", "vary=potential.thickness[1]",
                 "range=[4,6]", "points=3", "states=2", f"output={tmp_path}")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (folder,) = tmp_path.iterdir()
    summary = json.loads((folder / "vary.json").read_text())
    assert (summary["task"], summary["status"], summary["unit"]) == ("vary", "finished", "nm")
    rows = list(csv.DictReader((folder / "vary.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert [float(row["thickness[1]_nm"]) for row in rows] == [4, 4, 5, 5, 6, 6]
    assert all(float(row["lower_eV"]) <= float(row["energy_eV"]) <= float(row["upper_eV"]) for row in rows)
    assert all(float(row["slope_eV_per_nm"]) < 0 for row in rows)
    assert {"vary.png", "vary.svg", "config.yaml", "status.json"} <= {path.name for path in folder.iterdir()}
    assert "6 of 6 levels within tol=1e-08" in ended.stdout


def test_a_signal_leaves_what_was_done(tmp_path):
    process = start("vary", *FEW[:2], "range=[1,4]", "points=150", "states=1", f"output={tmp_path}")
    until(lambda: any(tmp_path.glob("*/status.json")), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert "vary.csv and vary.json are in" in errors
    (folder,) = tmp_path.iterdir()
    summary = json.loads((folder / "vary.json").read_text())
    assert summary["status"] == json.loads((folder / "status.json").read_text())["status"] == "stopped"
    assert 1 <= len(summary["values"]) < 150
