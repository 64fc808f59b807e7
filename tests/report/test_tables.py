"""What the terminal says of a run is so: outcomes, bounds, references, tolerances, classical methods."""

from __future__ import annotations

import pytest
from made_results import FIXED, PAPER, PI2, lost, results, row, state, wrong

from qpinn.report import comparison, tables, words


def cells(text: str, first: str) -> list[str]:
    """The cells of the line of a table that begins with `first`."""
    line = next(line for line in text.splitlines() if line.split()[:1] == [first])
    return line.split()


def test_an_energy_outside_its_bounds_is_not_stated_as_certified():
    off = state(energy=1.751085, lower=1.379123, upper=1.664614, converged=False, relative_error_energy=0.07)
    text = tables.report(results(off, route=PAPER))
    assert "certified: level 0 lies in [1.379, 1.665]; this run's E, 1.75109, does not" in text
    assert "E_0 = 1.75" not in text
    inside = state(energy=1.6, lower=1.379123, upper=1.664614, converged=False)
    text = " ".join(tables.report(results(inside)).split())
    assert "level 0 lies in [1.379, 1.665], as this run's E does; not within 1e-8" in text
    assert "E_0 = 9.8696044011(2), within 1e-8" in tables.report(results())


@pytest.mark.parametrize(("lower", "upper", "energy"), [(1.0, 1.0 + 1e-9, 1.1), (-3e-7, 2e-9, 0.0), (1e8, 1e8 + 1, 1)])
def test_an_interval_is_rounded_outwards_and_its_ends_differ(lower, upper, energy):
    low, high = map(float, words.interval(state(lower=lower, upper=upper, energy=energy)).strip("[]").split(","))
    assert low <= lower < upper <= high
    assert high - low <= 1.3 * (upper - lower)


def test_the_levels_whose_energy_is_outside_are_named_in_tables_of_several():
    off = state(1, energy=45.0)
    made = results(state(), off, route=PAPER)
    assert "level 1 lies in [39.47" in tables.report(made)
    assert "this run's E, 45, does not" in tables.report(made)
    assert cells(tables.levels(made), "1")[2] == "no"
    assert "this run's E, 45, does not" in comparison.overview([made, results(seed=1)])


def test_a_level_without_a_function_has_dashes_and_an_outcome():
    made = results(state(), lost(1), state(2), route=FIXED)
    text = tables.levels(made)
    assert cells(text, "1") == ["1", "-", "-", "-", "-", "-", "psi", "=", "0"]
    assert cells(text, "0")[-2:] == ["right", "state"]
    assert cells(tables.expectations(made), "1")[1:] == ["-"] * 6
    report = tables.report(made)
    assert "level 1: psi = 0" in report
    assert "0.0e+00" not in report
    single = tables.report(results(lost(), route=FIXED))
    assert "this network: psi = 0" in single
    assert "nodes" not in single


def test_a_wrong_state_is_named_with_the_level_that_it_is():
    made = results(state(), wrong(1, nearest=0), wrong(2, nearest=0), state(3, outcome="not converged"))
    report = tables.report(made)
    assert "levels 1 and 2: wrong state, nearest is level 0" in report
    assert "level 3: not converged" in report
    assert "wrong state, nearest is level 2" in tables.report(results(wrong(0, nearest=2)))
    assert "1 right state, 2 wrong state, 1 not converged" in comparison.overview([made, made])
    shown = tables.report(results(state(), state(1), wrong(2)))
    assert cells(shown[shown.index("transitions") :], "2")[1:] == ["-", "-"]


def test_notes_of_a_level_are_shown():
    strayed = state(1, outcome="not converged", note="E lies outside [39, 40], where level 1 is")
    for made in (results(state(), strayed), results(strayed)):
        assert "level 1: E lies outside [39, 40], where level 1 is" in tables.report(made)


def test_right_states_have_no_column_of_outcomes():
    assert "outcome" not in tables.levels(results(state(), state(1)))


def test_classical_solvers_win_where_they_do():
    fast = row("finite differences, 200 points", 1e-3, 0.0004)
    slow = row("spectral elements", 1e-15, 9.7)
    quick = row("spectral elements", 1e-12, 0.01)
    assert "solvers win" not in tables.report(results(comparison=[fast, slow]))
    assert "classical solvers win: spectral elements, E to 1.0e-12" in tables.report(results(comparison=[fast, quick]))
    poor = state(relative_error_energy=0.07)
    assert "win: finite differences, 200 points" in tables.report(results(poor, comparison=[fast, slow]))
    for rows in ([], [row(error=None)]):
        assert "classical" not in tables.report(results(comparison=rows))
    unsure = results()["reference"] | {"errors": [1e-11] * 8}
    assert "E to 2e-12 in 4 ms" in tables.report(results(reference=unsure))  # no better than its reference is known
    # E was given: psi decides
    assert "psi to" in tables.report(results(state(relative_l2_psi=1e-3), route=FIXED))


def test_exact_is_for_closed_forms_and_transcendental_equations():
    levels = results()["reference"] | {"method": "spectral elements", "exact": False}
    assert "exact (closed form)" in tables.report(results())
    text = tables.report(results(reference=levels))
    assert "reference (spectral elements)" in text
    assert "exact" not in text
    before = {"method": "exact", "energies": levels["energies"]}  # a folder from before there was the key
    assert words.reference_name(results(reference=before)) == "exact"
    assert words.reference_name({"statistics": {}}) == "reference"


def test_an_error_below_that_of_the_reference_is_bounded():
    levels = results()["reference"] | {"errors": [2e-12 * PI2] * 8}
    made = results(state(relative_error_energy=3e-13), state(1, relative_error_energy=4e-12), reference=levels)
    assert "<= 3e-12" in next(line for line in tables.levels(made).splitlines() if line.startswith("  0"))
    assert cells(tables.levels(made), "1")[3] == "4.0e-12"
    assert words.at_most(2.01e-13) == "<= 3e-13"
    assert words.at_most(9.5e-13) == "<= 1e-12"


def test_without_a_reference_there_are_dashes_and_one_line():
    names = [name for name in state() if name.startswith("relative")] + ["energy_reference", "overlaps"]
    blind = [state(k, outcome="no reference", **dict.fromkeys(names)) for k in range(2)]
    made = results(*blind, reference=None, comparison=[], no_reference="more than 4000 elements")
    report = tables.report(made)
    assert "no reference was computed: more than 4000 elements" in report
    assert cells(tables.levels(made), "0")[3:5] == ["-", "-"]
    assert "exact" not in report
    one = results(blind[0], reference=None, comparison=[])
    assert "no reference was computed; no errors are known" in tables.report(one)
    assert "error -" not in tables.report(one)
    assert "no reference was computed" in comparison.overview([one, one])
    unsure = results(state(), state(1, relative_error_energy=None, relative_l2_psi=None))
    assert "errors of level 1 are unknown where blank" in tables.report(unsure)
    assert "classical" not in tables.report(unsure)  # nobody can compare


def test_a_tolerance_that_was_not_given_is_named_by_its_number():
    assert "within 1e-8" in tables.levels(results(state(), state(1)))
    assert "(no tol was given)" in tables.report(results())
    given = results()["certificate"] | {"tol": 2.5e-6}
    assert "within 2.5e-6" in tables.levels(results(state(), state(1), certificate=given))
    assert "no tol was given" not in tables.report(results(certificate=given))


def test_why_there_are_no_bounds():
    bare = state(lower=None, upper=None, converged=False)
    spikes = results()["certificate"] | {"unresolved": [[2.00299, 2.00301], [3.0, 3.6]]}
    made = results(bare, certificate=spikes, walls=[0, 5])
    assert "no bounds: V is unresolved near x = 2.003, 3 to 3.6" in tables.report(made)
    high = results(bare, certificate={"tol": None, "sigma": 5.0, "assumed": "V is sampled"})
    assert "lies above the next level" in tables.report(high)
    rough = results(bare, settings={"network": {"activation": "selu"}})
    assert "no bounds: psi' has jumps where selu has kinks" in tables.report(rough)
    above = results(state(lower=None), state(1))
    assert "no bounds from below of level 0" in tables.report(above)
    assert "from above alone: E_0 <= 9.8" in tables.report(above)


def test_a_run_that_was_cut_short_says_so():
    assert "stopped by a signal after 15 steps" in tables.report(results(status="stopped"))
    assert "not finite any more after 1 step\n" in tables.report(results(status="non-finite", steps=1))


def test_what_a_given_wall_does_to_a_level_is_one_line():
    free = {"wall_shift": 0.5, "free_at_wall": True}
    report = tables.report(results(state(), state(1, wall_shift=3e-4), state(2, **free), state(3, **free)))
    assert "a wall as given raises level 1 by about 3e-04, level 2 by about 5e-01" in report
    assert "levels 2 and 3 belong to the box\n" in report
    wider = " ".join(tables.report(results(state(), state(1, wall_slope=30.0, **free))).split())
    assert "level 1 belongs to the box; with walls further out by 1 % of it E falls by about 3e-01" in wider
    assert "wall" not in tables.report(results())


def test_the_parity_of_an_uneven_potential_is_a_dash():
    expectation = state()["expectation"] | {"parity": None}
    made = results(state(expectation=expectation), state(1))
    assert cells(tables.expectations(made), "0")[1] == "-"
    assert cells(tables.expectations(made), "1")[1] == "odd"


def test_every_phase_that_took_time_is_shown():
    assert "seconds: import 0.6, compile 1.5, train 0.5, write 0.2, total 3.0" in tables.report(results())


def test_energies_that_were_given_have_no_error():
    made = results(state(), state(1), route=FIXED)
    assert cells(tables.levels(made), "0")[3] == "fixed"
    assert "E was given" in tables.report(made)


def test_nothing_that_is_not_a_number_stops_a_report():
    names = ("energy", "lower", "upper", "energy_start", "energy_rayleigh", "norm", "loss", "relative_l2_psi",
             "relative_error_energy", "relative_error_energy_start", "relative_error_energy_rayleigh")  # fmt: skip
    nothing = dict.fromkeys(state()["expectation"])
    broken = state(outcome="non-finite", converged=False, expectation=nothing, **dict.fromkeys(names))
    assert "non-finite" in tables.report(results(broken))
    both = results(broken, state(1), dipoles=[[None] * 2] * 2, oscillator_strengths=[[None] * 2] * 2)
    assert "level 0: non-finite" in tables.report(both)
    assert "1 non-finite, 1 right state" in comparison.overview([both, both])


def test_small_boxes_show_digits():
    expectation = state()["expectation"] | {"x": 5e-4, "x2": 3e-7, "p2": 9e6}
    text = tables.expectations(results(*(state(k, expectation=expectation) for k in range(2))))
    assert "5.0000e-04" in text
    assert "9.0000e+06" in text
    rounding = state()["expectation"] | {"x": -1e-16}
    assert cells(tables.expectations(results(*(state(k, expectation=rounding) for k in range(2)))), "0")[2] == "0.00000"


@pytest.mark.parametrize(
    "units", [{"length": "L", "energy": "", "scale": 1}, {"length": "nm", "energy": "eV", "scale": 1}]
)
def test_tables_fit_a_terminal(units):
    many = [state(k) for k in range(8)]
    made = results(*many[:6], lost(6), wrong(7), units=units, comparison=[row("finite differences, 2000 points")])
    assert max(map(len, tables.report(made).splitlines())) <= 100
    assert max(map(len, tables.levels(made).splitlines())) <= 80
    assert max(map(len, tables.expectations(made).splitlines())) <= 80
    assert max(map(len, tables.methods(made).splitlines())) <= 80


def test_runs_that_differ_in_many_settings_are_numbered():
    other = results(seed=1, settings={"seed": 1, **{f"group.key{k}": 0.125 * k for k in range(8)}})
    text = comparison.overview([results(), other])
    assert cells(text, "run")[:3] == ["run", "level", "E"]
    assert "2: " in text
    assert "group.key7=0.875" in text
    assert max(map(len, text.splitlines())) <= 100


def test_energies_of_sweeps_that_were_given_have_no_error():
    statistics = {
        "starts": 2, "success": {"count": 2, "rate": 1.0, "wilson_95": [0.3, 1.0]}, "outcomes": {"right state": 2},
        "relative_error_energy": dict.fromkeys(("median", "95%", "max"), 0.0), "lowest_loss": None,
        "relative_l2_psi": dict.fromkeys(("median", "95%", "max"), 1e-5), "rank_correlation_loss_l2": None,
        "not_finite": [],
    }  # fmt: skip
    summary = {"statistics": statistics, "seconds": {"per_start": 0.1, "compile": 1.0}, "starts_per_second": 10.0,
               "block": 1, "devices": 1, "route": FIXED, "potential": {"name": "a"}, "settings": {}}  # fmt: skip
    assert "E was given" in tables.sweep_report(summary)
    assert "error of E" not in tables.sweep_report(summary)
    assert "fixed" in comparison.sweep_overview([summary, summary])


def test_a_level_that_is_left_out_is_named():
    certificate = results()["certificate"]
    assert "left out" not in tables.report(results(certificate=certificate | {"left_out": None}))
    assert "one more level is bound, by less than 4e-06" in tables.report(
        results(certificate=certificate | {"left_out": 4e-6})
    )


def test_a_round_level_has_its_digits_in_the_table_of_methods():
    text = tables.report(results(state(energy=3.0)))
    assert "3.000000000000" in next(line for line in text.splitlines() if "this network" in line)
