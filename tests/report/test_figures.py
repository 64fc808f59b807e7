"""The figures say what they show: how levels ended, what they are compared with, which bounds are drawn."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from made_results import FIXED, lost, results, state, write, wrong
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from qpinn.report import levels_figures, run_data, run_figures, style, sweep_figures


@pytest.fixture
def drawn(tmp_path):
    """The figures of a made run, by name."""

    def draw(made, **files):
        return run_figures.draw(run_data.load(write(tmp_path, made, **files)))

    with style.applied():
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
    assert r"|H\psi" in text(figures["wavefunction"])  # no error of what is not there


def test_right_states_have_plain_titles(drawn):
    for name, figure in drawn(results(state(), state(1))).items():
        assert figure.axes[0].get_title(loc="left").count("\n") == 1, name  # what it is, and E
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
    assert r"|H\psi" in text(figures["wavefunction"])
    assert len(figures["energy"].axes) == 1
    several = drawn(results(*(state(k, **blind) for k in range(2)), reference=None, comparison=[]), reference=False)
    assert several["energy"].axes[0].get_ylabel().startswith("$E$ /")


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
    (line, *_) = drawn(results(reference=unsure))["energy"].axes[1].get_lines()
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


@pytest.mark.parametrize("v", [0.0, 5.0, -30.0, 60.0])
@pytest.mark.parametrize("name", ["wavefunction", "density"])
def test_zero_of_v_is_where_zero_of_psi_is(drawn, name, v):
    figure = drawn(results(state(1)), v=v)[name]
    heights = [axes.transData.transform((0.5, 0.0))[1] for axes in (figure.axes[0], figure.axes[-1])]
    assert figure.axes[-1].get_ylabel().startswith("$V$")
    assert heights[0] == pytest.approx(heights[1], abs=1e-6)


@pytest.mark.parametrize("ranges", [((0, 1), (0, 1)), ((0, 1.3), (-5, 0)), ((-1, 1), (0, 50)), ((-0.2, 1), (-3, 100))])
def test_axes_with_a_common_zero_hold_their_ranges(ranges):
    limits = style.common_zero(*ranges)
    places = {round(-low / (high - low), 9) for low, high in limits}
    assert len(places) == 1
    for (low, high), (least, most) in zip(ranges, limits, strict=True):
        assert least < low < high < most
        assert (high - low) > 0.39 * (most - least)  # none is pressed flat


def test_v_far_from_zero_is_seen(drawn):
    figure = drawn(results(state(energy=1010.0, lower=None, upper=None)), v=1000.0)["density"]
    low, high = figure.axes[-1].get_ylim()
    assert high - low < 50


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


@pytest.mark.parametrize("strength", [-4.0, 4.0])
def test_a_delta_is_an_arrow_towards_its_sign_with_its_strength_and_no_breakpoint(drawn, strength):
    figures = drawn(results(state(energy=strength), deltas=[[0.5, strength]], breakpoints=[0.25, 0.5]))
    notes = [note for note in figures["density"].axes[-1].texts if isinstance(note, Annotation)]
    (arrow,) = [note for note in notes if note.arrow_patch]
    assert tuple(arrow.xyann) == (0.5, 0.0)
    assert arrow.xy[1] * strength > 0
    assert f"{strength:g}".replace("-", "−") + r" $\delta$" in text(figures["density"])
    for name in ("wavefunction", "density", "residual"):
        lines = figures[name].axes[0].get_lines()
        dotted = {line.get_xdata()[0] for line in lines if line.get_linestyle() == ":" and len(line.get_xdata())}
        assert dotted == {0.25}, name


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(
    "deltas",
    [[[0.5, -4.0]], [[0.5, 40.0]], [[0.3, 20.0], [0.7, -10.0]], [[0.1, 30.0], [0.5, 20.0], [0.9, 30.0]],
     [[0.05, -3.0], [0.95, 5.0]], [[k / 6, 20.0] for k in range(1, 6)]],
)  # fmt: skip
def test_the_strength_of_a_delta_stands_on_no_curve(drawn, deltas, count):
    figures = drawn(results(*map(state, range(count)), deltas=deltas))
    for name in ("levels", "densities") if count > 1 else ("wavefunction", "density"):
        figure = figures[name]
        figure.canvas.draw()
        notes = [note for axes in figure.axes for note in axes.texts if "delta" in note.get_text()]
        assert len(notes) == 1 + sum(one[1] != other[1] for one, other in pairwise(deltas)), name
        boxes = [note.get_window_extent() for note in notes]
        for axes in figure.axes:
            for line in axes.get_lines():
                path = line.get_transform().transform_path(line.get_path())
                for note, box in zip(notes, boxes, strict=True):
                    assert not len(path.vertices) or not path.intersects_bbox(box, filled=False), (name, note)
        inside = figure.axes[0].get_window_extent()
        for k, box in enumerate(boxes):
            assert inside.x0 <= box.x0
            assert box.x1 <= inside.x1
            assert inside.y0 <= box.y0
            assert box.y1 <= inside.y1
            assert not any(box.overlaps(other) for other in boxes[k + 1 :]), name


def test_of_many_deltas_the_strongest_is_named(drawn):
    many = [[k / 12, (-1) ** k * (10.0 + k)] for k in range(1, 12)]
    figure = drawn(results(deltas=many))["density"]
    notes = [note.get_text() for axes in figure.axes for note in axes.texts if "delta" in note.get_text()]
    assert notes == [r"−21 $\delta$"]
    assert sum(isinstance(note, Annotation) and bool(note.arrow_patch) for note in figure.axes[-1].texts) == 11


def _boxes(figure: Figure) -> list[tuple[str, object]]:
    """What stands above the axes of a figure with the boxes that it takes, as it is written."""
    figure.canvas.draw()
    top = figure.axes[0]
    boxes = [("title", top._left_title.get_window_extent()), ("offset", top.yaxis.offsetText.get_window_extent())]
    boxes += [(note.get_text(), note.get_window_extent()) for note in top.texts if note.get_gid() == style.BELOW]
    boxes += [("legend", top.get_legend().get_window_extent())] if top.get_legend() else []
    return [(name, box) for name, box in boxes if box.width > 1]


@pytest.mark.parametrize("made", [
    results(potential={"name": "a_potential_with_a_long_name_that_says_much_of_what_it_is"}),
    results(*(wrong(k, nearest=k + 1) for k in range(6))),
    results(state(energy=3e9, lower=None, upper=None), breakpoints=[0.3]),
    results(*(state(k, lower=-0.1234567890123, upper=-0.1234567890121, energy=-0.1234567890122) for k in range(2))),
], ids=["long name", "many remarks", "large numbers", "many digits"])  # fmt: skip
@pytest.mark.parametrize("units", [{}, {"units": {"length": "nm", "energy": "meV"}}], ids=["plain", "meV"])
def test_nothing_above_the_axes_overlaps_or_is_cut_off(tmp_path, made, units):
    folder = write(tmp_path, made | units)
    rows = (folder / "history.csv").read_text()
    (folder / "history.csv").write_text(rows.replace(",energy,", ",energy_meV,") if units else rows)
    with style.applied():
        figures = run_figures.draw(run_data.load(folder))
    for name, figure in figures.items():
        boxes = _boxes(figure)
        assert len(boxes) >= 2
        for i, (what, box) in enumerate(boxes):
            assert box.x0 >= 0, (name, what)
            assert box.x1 <= figure.bbox.x1, (name, what)
            assert box.y1 <= figure.bbox.y1, (name, what)
            assert not any(box.overlaps(other) for _, other in boxes[i + 1 :]), (name, what)


def test_figures_of_a_run_show_the_same_positions(drawn, tmp_path):
    folder = write(tmp_path, results(state(), walls=[-5.0, 6.0]))
    figures = run_figures.draw(run_data.load(folder))
    ranges = {figures[name].axes[0].get_xlim() for name in ("wavefunction", "density", "residual")}
    assert len(ranges) == 1
    (low, high) = ranges.pop()
    assert -0.1 < low < 0.05
    assert 0.95 < high < 1.1
    folder = write(tmp_path, results(state(), state(1), walls=[-5.0, 6.0]))
    figures = run_figures.draw(run_data.load(folder))
    assert len({figures[name].axes[0].get_xlim() for name in ("levels", "densities", "residual")}) == 1


@pytest.mark.parametrize("count", [12, 40])
def test_every_level_is_named_by_its_number_or_its_colour(drawn, count):
    many = [{**state(k % 8, energy=10.0 + k % 3 + k, lower=None, upper=None), "index": k} for k in range(count)]
    for name in ("levels", "densities"):
        figure = drawn(results(*many), reference=False)[name]
        figure.canvas.draw()
        numbered = {note.get_text() for note in figure.axes[0].texts} >= {str(k) for k in range(count)}
        bars = [axes for axes in figure.axes[0].child_axes if axes.get_ylabel() == "level $n$"]
        assert numbered != bool(bars)
        if bars:
            assert tuple(bars[0].get_ylim()) == (-0.5, count - 0.5)


def test_residuals_of_several_levels_are_told_apart(drawn):
    """A row of the map for each level, none for psi = 0."""
    made = results(state(), lost(1), state(2))
    (image,) = [part for part in drawn(made)["residual"].axes[0].collections if hasattr(part, "get_coordinates")]
    rows = np.ma.getmaskarray(image.get_array().reshape(3, -1)).all(axis=1)
    assert rows.tolist() == [False, True, False]


def test_many_steps_are_drawn_on_a_logarithmic_axis():
    for count, scale in ((15, "linear"), (5000, "symlog")):
        _, (axes,) = style.panels(2.5)
        style.steps(axes, np.arange(count))
        assert axes.get_xscale() == scale
        assert 0.0 in axes.get_xticks()


def test_the_figure_of_energies_shows_energies(drawn):
    for made in (results(), results(state(), state(1))):
        axes = drawn(made)["energy"].axes[0]
        assert axes.get_ylabel().startswith("$E$ /")
        np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), np.pi**2)


def test_titles_carry_e_the_route_and_the_seed(drawn):
    route = {"label": "", "energy": "trainable", "projected_start": True, "start": "ritz", "ansatz": "piecewise",
             "optimizer": "levenberg_marquardt"}  # fmt: skip
    bounded = state(lower=9.8696044, upper=9.8696045)
    for name, figure in drawn(results(bounded, route=route, seed=7)).items():
        assert "9.86960445(5)" in figure.axes[0].get_title(loc="left"), name
        assert "piecewise, Ritz start, Levenberg-Marquardt, seed 7" in text(figure), name


def _sweep(energies, frames, levels=(1.0, 4.0)):
    """Starts that ended with these energies, after these frames."""
    return sweep_figures.SweepData(
        title="", route="", columns={"energy": np.asarray(energies), "energies": np.asarray(frames)}, unit="", wanted=0,
        frames=np.arange(np.shape(frames)[1]), outcome=np.array(["right state"] * len(energies)),
        levels=np.array(levels), reference="exact", fixed=False, vary=None, values=None,
    )  # fmt: skip


def test_starts_that_agree_are_shown_by_their_distance_from_the_level():
    agree = _sweep(1.0 + np.geomspace(1e-12, 1e-9, 9), 1.0 + np.geomspace(1e-2, 1e-9, 5) * np.ones((9, 1)))
    assert sweep_figures.energies(agree).axes[0].get_xscale() == "log"
    axes = sweep_figures.fan(agree).axes[0]
    assert axes.get_yscale() == "log"
    assert {entry.get_text() for entry in axes.get_legend().get_texts()} == {"median"}  # bands have no width
    apart = _sweep(np.linspace(1.0, 4.0, 9), np.linspace(1.0, 4.0, 9)[:, None] * np.ones(5))
    assert sweep_figures.energies(apart).axes[0].get_xscale() == "linear"
    assert "90 % of starts" in text(sweep_figures.fan(apart))


def test_the_levels_of_a_sweep_are_named_as_they_are():
    data = sweep_figures.SweepData(
        title="", route="", columns={"energy": np.array([1.0, 2.0])}, frames=np.zeros(0), unit="", wanted=0,
        outcome=np.array(["right state"] * 2), levels=np.array([1.0, 2.0]), reference="reference", fixed=False,
        vary=None, values=None,
    )  # fmt: skip
    assert "reference levels" in text(sweep_figures.energies(data))


def test_a_logarithmic_axis_within_a_decade_has_room_for_its_label():
    figure, (axes,) = style.panels(2.5)
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
    assert "position $x$ / Å" in words
    assert "$E$ / cm$^{-1}$" in words
    assert "cm^-1" not in words


def _statistics():
    spread = dict(zip(("5%", "25%", "median", "75%", "95%"), np.geomspace(1e-9, 1e-7, 5), strict=True))
    return {"success": {"rate": 0.9, "wilson_95": [0.8, 0.95]}, "relative_l2_psi": spread}


def test_settings_that_take_many_words_have_room():
    long = ["finite_well, 20, 3, glorot, piecewise, levenberg_marquardt, 15, gauss_legendre", "barrier"]
    names = "potential, network.width, network.depth, network.init, ansatz, optimizer, optimizer.steps, sampling"
    with style.applied():
        figure = sweep_figures.settings(long, {"": [_statistics(), _statistics()]}, "8 starts each", names)
        figure.canvas.draw()
    left, right = figure.axes
    labels = [*left.get_yticklabels(), *figure.texts]
    boxes = [label.get_window_extent() for label in labels]
    boxes += [axes.xaxis.label.get_window_extent() for axes in figure.axes]
    assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes)
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[i + 1 :])
    assert left.get_window_extent().width == pytest.approx(right.get_window_extent().width)


@pytest.mark.parametrize(("count", "marked"), [(20, 20), (63, 0)])
def test_jumps_are_marked_unless_they_are_many(count, marked):
    """The lines of 64 layers would hide psi; V shows its jumps itself."""
    jumps = np.linspace(0.1, 0.9, count)
    data = SimpleNamespace(walls=(0, 1), shown=(0, 1), ends=("wall", "wall"), jumps=jumps, position="x")
    axes = Figure().subplots()
    style.box(axes, data)
    assert sum(line.get_linestyle() == ":" for line in axes.lines) == marked
