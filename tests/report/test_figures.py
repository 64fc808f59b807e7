"""The figures say what they show: how levels ended, what they are compared with, which bounds are drawn."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from made_results import FIXED, lost, results, state, write, wrong
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from qpinn.report import levels_figures, run_data, run_figures, style, sweep_figures


@pytest.fixture
def drawn(tmp_path):
    """The figures of a made run, by name."""

    def draw(made, **files):
        return run_figures.draw(run_data.load(write(tmp_path, made, **files)))

    with matplotlib.rc_context(style.STYLE):
        yield draw


def text(figure: Figure) -> str:
    """All words of a figure."""
    words = []
    for axes in figure.axes:
        words += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        words += [entry.get_text() for entry in axes.texts]
        words += [entry.get_text() for entry in axes.get_legend().get_texts()] if axes.get_legend() else []
    return "\n".join(words)


def test_a_wrong_state_says_so_in_every_figure(drawn):
    for name, figure in drawn(results(wrong(0, nearest=2))).items():
        assert "level 0: wrong state, nearest is level 2" in text(figure), name


def test_a_wrong_state_among_several_says_so_in_every_figure(drawn):
    figures = drawn(results(state(), wrong(1, nearest=0), lost(2), state(3, outcome="not converged")))
    for name, figure in figures.items():
        for words in ("level 1: wrong state, nearest is level 0", "level 2: psi = 0", "level 3: not converged"):
            assert words in text(figure), name
    for name in ("levels", "densities"):
        assert text(figures[name]).split("\n").count("2") == 0  # not drawn, and not numbered


def test_no_function_is_said_to_be_zero_in_every_figure(drawn):
    figures = drawn(results(lost()))
    for name, figure in figures.items():
        assert "level 0: psi = 0" in text(figure), name
    assert "|Hψ" in text(figures["wavefunction"])  # no error of what is not there


def test_right_states_have_plain_titles(drawn):
    for name, figure in drawn(results(state(), state(1))).items():
        assert figure.axes[0].get_title(loc="left").count("\n") == 0, name
        assert "right" not in text(figure)


def test_an_energy_that_was_given_is_not_drawn_against_steps(drawn):
    assert set(drawn(results(route=FIXED))) == {"wavefunction", "density", "residual", "loss"}
    assert set(drawn(results(state(), state(1), route=FIXED))) == {"levels", "densities", "residual", "loss"}
    assert "energy" in drawn(results())


def test_exact_stands_only_where_it_is(drawn):
    spectral = results()["reference"] | {"method": "spectral elements", "exact": False}
    for name, figure in drawn(results(reference=spectral)).items():
        assert "exact" not in text(figure), name
    figures = drawn(results())
    assert "exact" in text(figures["wavefunction"])
    assert "exact" in text(figures["energy"])


def test_without_a_reference_there_is_no_curve_and_the_residual_is_shown(drawn):
    blind = dict.fromkeys(("energy_reference", "relative_error_energy", "relative_l2_psi", "overlaps"))
    made = results(state(**blind), reference=None, comparison=[])
    figures = drawn(made, reference=False)
    assert "exact" not in "".join(map(text, figures.values()))
    assert "|Hψ" in text(figures["wavefunction"])
    assert len(figures["energy"].axes) == 1
    several = drawn(results(*(state(k, **blind) for k in range(2)), reference=None, comparison=[]), reference=False)
    assert several["energy"].axes[0].get_ylabel().startswith("E /")


def test_a_level_that_the_reference_does_not_know_has_no_curve(drawn, tmp_path):
    folder = write(tmp_path, results(state(), state(1)))
    with np.load(folder / "wavefunction.npz") as stored:
        arrays = dict(stored)
    arrays["psi_reference"][1] = np.nan
    np.savez(folder / "wavefunction.npz", **arrays)
    first, second = run_data.load(folder)
    assert first.reference is not None
    assert second.reference is None


def test_errors_end_at_that_of_the_reference(drawn):
    unsure = results()["reference"] | {"errors": [1e-3] * 8}
    (line, *_) = drawn(results(reference=unsure))["energy"].axes[0].get_lines()
    assert line.get_ydata().min() == pytest.approx(1e-3 / np.pi**2)


def test_bounds_are_drawn_where_they_can_be_seen_and_within_the_walls(drawn):
    wide = state(1, lower=10.0, upper=90.0)
    figure = drawn(results(state(), wide))["levels"]
    (bars,) = figure.axes[0].containers
    assert "bounds of a level" in text(figure)
    (segment,) = bars[2][0].get_segments()
    assert (segment[:, 0] > 0).all()
    assert (segment[:, 0] < 1).all()
    np.testing.assert_allclose(np.sort(segment[:, 1]), [10, 90])
    plain = drawn(results(state(), state(1)))["levels"]
    assert not plain.axes[0].containers
    assert "bounds" not in text(plain)


def test_v_starts_where_the_density_does(drawn):
    figure = drawn(results(), v=5.0)["density"]
    left, right = figure.axes
    starts = [(0 - low) / (high - low) for low, high in (left.get_ylim(), right.get_ylim())]
    assert starts[0] == pytest.approx(starts[1], abs=1e-12)


def test_every_level_has_its_number_however_close(drawn):
    close = [state(k, energy=10 + 1e-3 * k, lower=None, upper=None) for k in range(6)]
    figure = drawn(results(*close))["levels"]
    assert {"0", "1", "2", "3", "4", "5"} <= set(text(figure).split("\n"))


@pytest.mark.parametrize("values", [[0.5] * 5, [0.0, 0.01, 0.5, 0.99, 1.0], [0.98, 0.99, 1.0], np.linspace(0, 1, 28)])
def test_numbers_are_spread_in_order_and_stay_within(values):
    at = levels_figures.spread(np.asarray(values), 0.036)
    assert (np.diff(at) >= 0.036 - 1e-12).all()
    assert (at >= 0).all()
    assert (at <= 1 + 1e-12).all()
    apart = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(levels_figures.spread(apart, 0.036), apart)


def test_deltas_are_drawn_towards_their_sign(drawn):
    for strength in (-4.0, 4.0):
        axes = drawn(results(deltas=[[0.5, strength]]))["density"].axes[1]
        (bar,) = [part for part in axes.collections if isinstance(part, LineCollection)]
        assert (bar.get_segments()[0][:, 1] * strength >= 0).all()


def test_a_legend_does_not_run_into_the_title(drawn):
    figures = drawn(results(potential={"name": "a_potential_with_a_long_name"}))
    for name, figure in figures.items():
        figure.canvas.draw()
        for axes in figure.axes:
            if axes.get_legend() and axes.get_title(loc="left"):
                title = axes._left_title.get_window_extent()
                assert not axes.get_legend().get_window_extent().overlaps(title), name


def test_the_levels_of_a_sweep_are_named_as_they_are():
    data = sweep_figures.SweepData(
        title="", columns={"energy": np.array([1.0, 2.0])}, frames=np.zeros(0), outcome=np.array(["right state"] * 2),
        levels=np.array([1.0, 2.0]), reference="reference", fixed=False, vary=None, values=None,
    )  # fmt: skip
    assert "reference levels" in text(sweep_figures.energies(data))


def test_a_logarithmic_axis_within_a_decade_has_room_for_its_label():
    figure, axes = style.one_panel("errors")
    errors = np.geomspace(1.4e-14, 9e-15, 5)
    axes.plot(errors)
    style.log_axis(axes, [errors])
    axes.set_ylabel("relative error of E")
    figure.canvas.draw()
    assert axes.yaxis.label.get_window_extent().x0 >= figure.bbox.x0


def test_units_are_drawn_with_their_signs(tmp_path):
    folder = write(tmp_path, {**results(state()), "units": {"length": "angstrom", "energy": "cm^-1"}})
    rows = (folder / "history.csv").read_text()
    (folder / "history.csv").write_text(rows.replace(",energy,", ",energy_cm^-1,"))
    words = "\n".join(text(figure) for figure in run_figures.draw(run_data.load(folder)).values())
    assert "position x / Å" in words
    assert "E / cm⁻¹" in words
    assert "cm^-1" not in words
