"""What is seen of a box: its arrays, symmetries, tables, figures and page."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from matplotlib import pyplot

from qpinn.analysis import box_symmetry
from qpinn.drivers import box, box_folder
from qpinn.drivers.settings import Settings, UnitsChoice
from qpinn.physics.potentials.several import several
from qpinn.report import (
    box_data,
    box_figures,
    box_maps,
    box_page,
    box_tables,
    isosurface,
    page,
    run_figures,
    style,
    tables,
)
from qpinn.report.choice import Choice
from qpinn.runs import box_arrays, run_folder
from qpinn.runs import box_folder as results_of

ROUTE = {"label": "products of functions of each axis"}


@pytest.fixture(scope="module")
def disc():
    """x^2 + y^2: levels 2, 4 (twice), 6 (three times), 8 (four times)."""
    return box.run(several([[None, None]] * 2, "x**2 + y**2", title="disc"), Settings(states=6))


@pytest.fixture(scope="module")
def ball():
    """Three coordinates, the second excited state of the lowest frequency among the levels."""
    return box.run(several([[None, None]] * 3, "x**2 + 2*y**2 + 3*z**2"), Settings(states=2))


@pytest.fixture(scope="module")
def folder(disc, tmp_path_factory):
    place = tmp_path_factory.mktemp("box")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(box_figures, "MOST_ALONE", 2)
        box_folder.write(place, disc, ROUTE, disc.seconds, Choice(format="png", dpi=50))
    return place


def test_arrays_are_those_of_psi(disc):
    grid = box_arrays.arrays(disc)
    x, y = np.meshgrid(grid["x_0"], grid["x_1"], indexing="ij")
    np.testing.assert_allclose(grid["psi"], disc.psi(np.stack([x, y], axis=-1)), atol=1e-9)  # points on edges are moved
    places = np.array([[0.3, -1.2], [2.0, 0.4]])
    np.testing.assert_allclose(disc.at(places), disc.psi(places), atol=1e-11)
    np.testing.assert_allclose(grid["v"], x**2 + y**2, atol=1e-6)
    step = np.diff(grid["x_0"])[0] * np.diff(grid["x_1"])[0]
    np.testing.assert_allclose((grid["psi"] ** 2).sum(axis=(1, 2)) * step, 1, atol=1e-4)
    np.testing.assert_allclose((grid["psi"] ** 2).sum(axis=2) * np.diff(grid["x_1"])[0], grid["density_0"], atol=1e-4)


def test_the_residual_is_that_of_second_derivatives_of_psi(disc):
    grid, places, step = box_arrays.arrays(disc), np.array([[40, 70], [83, 60], [100, 97]]), 2e-3
    points = np.stack([grid["x_0"][places[:, 0]], grid["x_1"][places[:, 1]]], axis=1)
    assert min(np.abs(points[:, axis, None] - grid[f"edges_{axis}"]).min() for axis in (0, 1)) > 2 * step
    expected = ((points**2).sum(axis=1) - disc.energies[:, None]) * disc.psi(points)
    for direction in np.eye(2):
        ahead = [disc.psi(points + place * step * direction) for place in (-2, -1, 0, 1, 2)]
        expected -= np.tensordot([-1 / 12, 4 / 3, -5 / 2, 4 / 3, -1 / 12], ahead, axes=1) / step**2
    np.testing.assert_allclose(grid["residual"][:, places[:, 0], places[:, 1]], expected, atol=2e-8)
    assert np.abs(expected).max() > 1e-7


def test_degenerate_levels_have_the_symmetries_of_v(disc):
    assert [list(run) for run in box_symmetry.groups(disc.levels)] == [[0], [1, 2], [3, 4, 5]]
    assert set(disc.symmetries) == {"parity x", "parity y", "x <-> y"}
    x = np.random.default_rng(1).normal(size=(50, 2))
    moved = {"parity x": x * [-1, 1], "parity y": x * [1, -1], "x <-> y": x[:, ::-1]}
    for name, values in disc.symmetries.items():
        for k, value in enumerate(values):
            if value is not None:
                np.testing.assert_allclose(disc.psi(moved[name])[k], value * disc.psi(x)[k], atol=1e-5)
    assert sorted(zip(disc.symmetries["parity x"][1:3], disc.symmetries["parity y"][1:3], strict=True)) == [
        (-1, 1),
        (1, -1),
    ]
    assert None not in disc.symmetries["parity x"] + disc.symmetries["parity y"] + disc.symmetries["x <-> y"][3:]
    squares = sorted(disc.levels.squares[:, 1, 1].tolist())
    np.testing.assert_allclose(squares, [0.5, 1.5], atol=1e-8)
    np.testing.assert_allclose(np.abs(disc.dipoles[0, 0]).max(), np.sqrt(0.5), atol=1e-8)


def test_levels_that_are_close_but_not_the_same_get_their_parity_too(disc):
    angle = 0.3
    turn = np.eye(6)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    apart = dataclasses.replace(disc.levels, energies=disc.levels.energies + 1e-5 * np.arange(6))
    apart = dataclasses.replace(apart, squares=turn @ disc.levels.squares @ turn.T)

    def turned(x):
        return turn @ disc.at(x)

    norms = 1e-6 * np.arange(1, 7)
    residuals = turn @ np.diag(norms**2) @ turn.T
    mix, levels = box_symmetry.aligned(disc.plan.potential, turned, disc.plan.sampled, apart, residuals)
    whole = mix.T @ residuals @ mix
    np.testing.assert_allclose(np.diag(whole), norms**2, rtol=1e-6)
    assert (levels.residual >= np.sqrt(np.diag(whole))).all()
    alone = [0, 3, 4, 5]  # the others are mixed of two energies that differ by 1e-5
    np.testing.assert_allclose(levels.residual[alone], norms[alone], rtol=1e-6)
    assert (levels.residual[1:3] < 1e-5).all()
    values = box_symmetry.characters(disc.plan.potential, lambda x: mix.T @ turned(x), disc.plan.sampled)
    assert None not in values["parity x"] + values["parity y"]
    np.testing.assert_allclose(np.sort(np.diag(levels.squares[0])[1:3]), [0.5, 1.5], atol=1e-8)


def test_what_breaks_a_symmetry_by_little_is_seen():
    walls = [[-4, 4]] * 2
    assert [one.name for one in box_symmetry.symmetries(several(walls, "x**2 + y**2 + x*y"))] == [
        "inversion",
        "x <-> y",
    ]
    assert not box_symmetry.symmetries(several(walls, "x**2 + 1.1*y**2 + 1e-6*(x + y)"))
    assert [one.name for one in box_symmetry.symmetries(several(walls, "x**2 + y**2", masses=[1, 2]))] == [
        "parity x", "parity y"
    ]  # fmt: skip
    chain = several([[-4, 4]] * 4, "x1**2 + x2**2 + x3**2 + x4**2 + 0.5*((x1-x2)**2 + (x2-x3)**2 + (x3-x4)**2)")
    assert [one.name for one in box_symmetry.symmetries(chain)] == ["inversion", "reversal"]


def test_a_group_that_was_not_asked_for_as_a_whole_is_said():
    cut = box.run(several([[None, None]] * 2, "x**2 + y**2"), Settings(states=2))
    results = results_of.summary(cut, ROUTE, {"total": 1.0})
    assert [state["open"] for state in results["states"]] == [False, True]
    assert "level 1 is one of more that are the same" in " ".join(box_tables.report(results).split())


def test_results_have_units_and_are_read_back(tmp_path):
    settings = Settings(states=3, units=UnitsChoice("semiconductor", mass=0.067, energy="meV"))
    solution = box.run(several([[-20, 20], [-10, 10]], "0*x"), settings)
    results = results_of.summary(solution, ROUTE, {"total": 1.0})
    run_folder.write_summary(tmp_path, results)
    assert run_folder.read_summary(tmp_path) == {"schema": run_folder.SCHEMA, **json.loads(json.dumps(results))}
    expected = solution.units.scale * np.pi**2 * np.array([1 / 40**2 + 1 / 20**2, 4 / 40**2 + 1 / 20**2])
    np.testing.assert_allclose([state["energy"] for state in results["states"][:2]], expected, rtol=1e-9)
    falls = [state["wall_fall"] / state["energy"] for state in results["states"]]
    np.testing.assert_allclose(falls, 0.02, rtol=1e-6)  # E goes as the inverse square of the width
    text = tables.report(results)
    assert "further out by 1 % E falls by about 4e-01 (level 0)" in " ".join(text.split())
    assert "E / meV" in text
    assert "<x^2>^1/2 / nm" in text
    grid = box_arrays.arrays(solution)
    assert np.abs(grid["psi"]).max() == pytest.approx(2 / np.sqrt(40 * 20), rel=1e-3)  # nm^-1


def test_the_table_names_what_bounds_rest_on(disc):
    results = results_of.summary(disc, ROUTE, {**disc.seconds, "total": 3.0})
    text = box_tables.report(results)
    line = next(line for line in text.splitlines() if line.startswith("  3 "))
    assert re.search(r"(5\.99999|6\.00000)\d*\(\d\) +yes +3", line)
    for words in (
        "parity x",
        "x <-> y",
        "within 1e-8",
        "all levels",
        "Bazley and Fox",
        "walls put where psi has decayed",
    ):
        assert words in " ".join(text.split())


def test_without_bounds_the_reason_is_said(disc):
    results = results_of.summary(disc, ROUTE, {"total": 3.0})
    results["certificate"] |= {"reason": "V is too far away", "sigma": None}
    results["states"] = [{**state, "lower": None, "converged": False} for state in results["states"]]
    text = " ".join(box_tables.report(results).split())
    assert "no bounds: V is too far away" in text
    assert "(?)" in text
    assert "Bazley" not in text
    assert "no bounds: V is too far away" in box_page.of_box(results, "")


def test_the_folder_has_figures_and_a_page(disc, folder):
    assert box_figures.names(box_data.load(folder))[-1] == "level_5"
    names = {path.stem for path in folder.glob("*.png")}
    assert names == {"levels", "states", "densities", "cuts", "residual", "level_0", "level_1"}
    text = (folder / "report.html").read_text()
    assert text.count('<figure class="level"') == text.count('<tr id="row-') == 6
    assert text.count("no figure was drawn of it") == 4
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])
    np.testing.assert_allclose([state["energy"] for state in data["states"]], disc.energies)
    assert "figures" in run_folder.read_summary(folder)["seconds"]


def test_figures_are_drawn_again_from_the_folder(folder, tmp_path):
    for name in ("results.json", "wavefunction.npz"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    drawn = run_figures.save_all(tmp_path, Choice("essential", format="svg", dpi=40))
    assert sorted(path.name for path in drawn.files) == ["levels.svg", "residual.svg", "states.svg"]
    assert "ψ of each level" not in page.save(tmp_path, drawn.shown).read_text()  # there is none to be seen
    assert not run_figures.save_all(tmp_path, Choice("none")).files


def test_a_damaged_folder_is_named(folder, tmp_path):
    (tmp_path / "results.json").write_bytes((folder / "results.json").read_bytes())
    with pytest.raises(ValueError, match=r"wavefunction\.npz"):
        box_data.load(tmp_path)
    grid = box_arrays.read(folder)
    grid.pop("psi")
    np.savez(tmp_path / "wavefunction.npz", **grid)
    with pytest.raises(ValueError, match=r"wavefunction\.npz.*psi"):
        box_figures.save_all(tmp_path, Choice(format="png", dpi=40))


def test_levels_that_are_the_same_stand_side_by_side(disc):
    data = box_data.of(disc, ROUTE)
    axes = style.panels(3.0)[1][0]
    box_figures.level_diagram(axes, data)
    bars = [line.get_xdata() for line in axes.lines]
    assert len(bars) == 6
    assert bars[3][1] < bars[4][0] < bars[4][1] < bars[5][0]
    assert bars[0][1] - bars[0][0] > 2.5 * (bars[3][1] - bars[3][0])
    assert any("×3" in text.get_text() for text in axes.texts)


def test_an_isosurface_of_a_ball_is_a_sphere():
    x = [np.linspace(-2, 2, n) for n in (31, 41, 36)]
    squares = sum(np.meshgrid(*(own**2 for own in x), indexing="ij"))
    faces = isosurface.triangles(x, np.exp(-squares), np.exp(-1.21))
    np.testing.assert_allclose(np.linalg.norm(faces, axis=-1), 1.1, rtol=6e-3)
    sides = np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0])
    assert np.linalg.norm(sides, axis=1).sum() / 2 == pytest.approx(4 * np.pi * 1.21, rel=5e-3)
    inside = isosurface.enclosing(np.exp(-squares), 0.5)
    assert (np.exp(-squares) >= inside).sum() > 100
    assert np.exp(-squares)[np.exp(-squares) >= inside].sum() == pytest.approx(0.5 * np.exp(-squares).sum(), rel=1e-2)


def test_three_coordinates_are_drawn_in_space(ball):
    data = box_data.of(ball, ROUTE)
    assert box_figures.names(data) == ["levels", "states", "cuts", "residual", "level_0", "level_1"]
    assert data.x[0][data.peak(1)[0]] == pytest.approx(1, abs=0.15)
    assert box_maps.through(data, 1, 2) == "$z$ = 0.00"
    density = data.grid["psi"][1] ** 2
    lobes = isosurface.triangles(data.x, density, isosurface.enclosing(density, 0.8)).reshape(-1, 3)
    assert np.ptp(lobes[:, 0]) > 1.8 * np.ptp(lobes[:, 2])  # two of them along x
    assert np.abs(lobes[:, 0]).min() > 0.1
    with style.applied():
        assert len(box_figures.figure("states", data).axes) == 2
        for name in ("level_1", "residual"):
            assert len(box_figures.figure(name, data).axes) > 3
    np.testing.assert_allclose(data.grid["residual_2"].shape, (2, 61, 61))


def test_a_session_shows_levels_and_draws_them(disc):
    text = repr(disc)
    assert len(text.splitlines()) <= 12
    assert "disc" in text
    assert "even in x and y; symmetric in x ↔ y" in text
    assert "<table>" in disc._repr_html_()
    with pyplot.rc_context({"figure.dpi": 40}):
        assert disc.plot().shape == (6,)
        assert disc.plot(level=2).shape == (2,)
        assert disc.plot_levels().get_ylabel().startswith("$E$")
        figure, axes = pyplot.subplots()
        assert disc.plot_residual(level=1, ax=axes) is axes
        assert disc.plot_density(ax=figure.add_subplot()).get_title(loc="left").startswith("disc, $E_{0}$")
        with pytest.raises(ValueError, match="level=7: was not solved; allowed: 0 to 5"):
            disc.plot(level=7)
    pyplot.close("all")
