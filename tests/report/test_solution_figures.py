"""A solution in memory draws what the figures of its folder show, on any axes."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from tests_support import train

import qpinn
from qpinn.drivers.eigenstates import describe_route
from qpinn.report import run_data, run_figures, style

METHODS = ("plot", "plot_levels", "plot_density", "plot_residual", "plot_energy", "plot_history")


@pytest.fixture(scope="module")
def one():
    return qpinn.solve(qpinn.potentials.barrier(), network={"width": 6}, optimizer={"steps": 3}, seed=4)


@pytest.fixture(scope="module")
def three():
    return qpinn.solve(qpinn.potentials.finite_well(), states=3, network={"width": 6}, optimizer={"steps": 3})


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("which", ["one", "three"])
def test_it_draws_on_new_axes_and_on_those_that_are_given(request, which, method):
    solution = request.getfixturevalue(which)
    new = getattr(solution, method)()
    assert isinstance(new, Axes)
    assert pyplot.gcf() is new.get_figure()  # so that a notebook shows it
    _, (left, right) = pyplot.subplots(1, 2)
    assert getattr(solution, method)(ax=right) is right
    assert not left.has_data()
    assert f"{solution.energy:.6f}"[:7] in right.get_title(loc="left")
    right.get_figure().canvas.draw()


def test_it_shows_psi_and_the_reference(one):
    curves = {line.get_label(): line for line in one.plot().get_lines()}
    x = curves["network"].get_xdata()
    y = curves["network"].get_ydata()
    np.testing.assert_allclose(np.abs(y), np.abs(one.psi(x)), atol=1e-10)
    np.testing.assert_allclose(curves["exact"].get_ydata(), y, atol=1e-3)


def test_a_figure_that_is_made_follows_the_settings_of_the_reader(one):
    with matplotlib.rc_context({"figure.figsize": (9.0, 2.0), "font.size": 20.0}):
        axes = one.plot_history()
    assert axes.get_figure().get_size_inches().tolist() == [9.0, 2.0]
    assert axes.title.get_fontsize() == pytest.approx(24.0)
    before = dict(matplotlib.rcParams)
    one.plot()
    assert dict(matplotlib.rcParams) == before


def test_memory_and_folder_say_the_same(tmp_path):
    """A run that was loaded draws what the figures of its folder are drawn from."""
    folder = tmp_path / "run"
    train("potential=infinite_well", "states=2", "network.width=6", "optimizer.steps=3", "figures=none",
          f"hydra.run.dir={folder}")  # fmt: skip
    loaded = qpinn.load(folder)
    for stored, made in zip(run_data.load(folder), run_data.of(loaded, describe_route(loaded.settings)), strict=True):
        for field in ("title", "route", "remark", "shown", "walls", "bounds", "units", "reference_name"):
            assert getattr(stored, field) == getattr(made, field), field
        for field in ("x", "psi", "v", "residual", "edges"):
            np.testing.assert_allclose(getattr(stored, field), getattr(made, field), rtol=1e-9, atol=1e-12)
        for column, values in stored.history.items():
            if column != "seconds":
                np.testing.assert_allclose(values, made.history[column], rtol=1e-9, atol=1e-12, err_msg=column)
    assert isinstance(loaded.plot(), Axes)


def test_titles_with_all_digits_and_units_are_not_cut_off():
    layers = qpinn.potentials.layers(thickness=[12, 9, 12], offset=[0.24, 0, 0.24], mass=[0.09, 0.067, 0.09])
    solution = qpinn.solve(layers, states=3, units="semiconductor")
    with style.applied():
        drawn = run_figures.figure("levels", run_data.of(solution, describe_route(solution.settings)))
        drawn.draw_without_rendering()
    title = drawn.axes[0]._left_title
    assert title.get_window_extent().x1 <= drawn.bbox.x1, title.get_text()
