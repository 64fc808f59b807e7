"""Bands and levels over a number as a session shows them, on axes, and drawn again from their folders."""

from __future__ import annotations

import csv
import dataclasses
import json
import pickle
import shutil

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from tests_support import call

import qpinn
from qpinn.report import style

LAYERS = {"thickness": [1.25, 6.0, 1.25], "offset": [0.25, 0.0, 0.25], "mass": [0.0897, 0.067, 0.0897]}
OF_BANDS = ("potential=delta", "potential.domain=[0,2]", "potential.center=0.5", "units=semiconductor",
            "bands.count=2", "bands.phases=3")  # fmt: skip
OF_VARY = ("potential=layers", *(f"potential.{key}={numbers}".replace(" ", "") for key, numbers in LAYERS.items()),
           "units=semiconductor", "vary=potential.field", "range=[0,40]", "points=3", "states=2")  # fmt: skip


@pytest.fixture(scope="module")
def minibands():
    return qpinn.bands(qpinn.potentials.layers(**LAYERS), 3, 5, units="semiconductor")


@pytest.fixture(scope="module")
def over_field():
    return qpinn.vary(qpinn.potentials.layers(**LAYERS), "field", [0, 20, 40], states=2, units="semiconductor")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """What bands.py and vary.py wrote without figures."""
    top = tmp_path_factory.mktemp("families")
    for name, words in (("bands", OF_BANDS), ("vary", OF_VARY)):
        ended = call(name, *words, "figures=none", f"hydra.run.dir={top / name}")
        assert ended.returncode == 0, ended.stderr
    return top


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def curves(axes, color):
    """Curves of one colour."""
    return [line for line in axes.get_lines() if to_hex(line.get_color()) == color and len(line.get_xdata()) > 2]


def test_bands_are_drawn_on_axes_over_the_whole_zone(minibands):
    new = minibands.plot()
    assert pyplot.gcf() is new.get_figure()  # so that a notebook shows it
    _, (left, right) = pyplot.subplots(1, 2)
    assert minibands.plot(ax=right) is right
    assert not left.has_data()
    assert right.get_ylabel() == "$E$ / eV"
    assert [note.get_text() for note in right.texts] == ["period $a$ = 8.5 nm; seed 0"]
    for line, levels in zip(right.get_lines(), minibands.energies.T, strict=True):
        np.testing.assert_allclose(line.get_xdata(), [-1, -0.75, -0.5, -0.25, 0, 0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(line.get_ydata(), [*levels[::-1], *levels])


def test_levels_over_a_number_are_drawn_on_axes_with_units(over_field):
    new = over_field.plot()
    assert pyplot.gcf() is new.get_figure()
    _, axes = pyplot.subplots()
    assert over_field.plot(axes) is axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("field / (kV/cm)", "$E$ / eV")
    for levels, color in zip(over_field.energies.T, style.level_colors(2), strict=True):
        drawn = curves(axes, to_hex(color))[0]
        np.testing.assert_allclose(drawn.get_xdata(), over_field.values)
        np.testing.assert_allclose(drawn.get_ydata(), levels)


def test_bands_are_shown_in_a_few_lines(minibands):
    lines = repr(minibands).splitlines()
    assert lines[0] == "Bands of layers, 3 layers, field 0, left 0, right 8.5"
    assert lines[1] == "5 phases from 0 to pi"
    assert lines[2].split() == ["band", "bottom", "(eV)", "top", "(eV)", "gap", "above", "(eV)"]
    assert [float(line.split()[1]) for line in lines[3:6]] == pytest.approx(minibands.energies.min(axis=0), rel=1e-10)
    assert lines[6].strip().startswith("15 of 15 levels with bounds, the widest +- ")
    assert len(lines) == 7
    html = minibands._repr_html_()
    assert "<th style" in html
    assert [word for word in repr(minibands).split() if word not in html] == []


def test_levels_over_a_number_are_shown_in_a_few_lines(over_field):
    lines = repr(over_field).splitlines()
    assert lines[0] == "Levels of layers over field from 0 to 40 kV/cm, 3 points"
    assert "at field 40 (eV)" in lines[1]
    assert [float(line.split()[2]) for line in lines[2:4]] == pytest.approx(over_field.energies[-1], rel=1e-9)
    assert "6 of 6 levels within tol=1e-08" in lines[4]
    assert [word for word in repr(over_field).split() if word not in over_field._repr_html_()] == []


def test_many_bands_are_counted(minibands):
    many = {name: np.tile(getattr(minibands, name), 4)[:, :10] for name in ("energies", "lower", "upper")}
    text = repr(dataclasses.replace(minibands, **many))
    assert "...   and 2 more" in text
    assert len(text.splitlines()) == 13


def test_levels_of_a_function_of_the_number_are_shown_and_copied():
    found = qpinn.vary(lambda depth: qpinn.potentials.finite_well(depth=depth), "depth", [20.0, 22.0], states=1)
    copy = pickle.loads(pickle.dumps(found))
    assert repr(copy) == repr(found)
    assert repr(found).startswith("Levels of finite_well over depth from 20 to 22, 2 points")
    assert copy.plot().get_xlabel() == "depth"


def test_columns_of_bands_have_their_units(folders):
    rows = list(csv.DictReader((folders / "bands" / "bands.csv").read_text().splitlines()))
    assert list(rows[0]) == ["theta", "k_per_nm", "band", "energy_eV", "lower_eV", "upper_eV"]
    assert float(rows[-1]["k_per_nm"]) == pytest.approx(np.pi / 2)
    assert all(float(row["lower_eV"]) <= float(row["energy_eV"]) <= float(row["upper_eV"]) for row in rows)


@pytest.mark.parametrize("name", ["bands", "vary"])
def test_folders_are_drawn_from_their_files(folders, name):
    ended = call("plot", folders / name, "figures.format=[svg,pdf]")
    assert ended.returncode == 0, ended.stderr
    written = [folders / name / f"{name}.{kind}" for kind in ("svg", "pdf")]
    assert ended.stdout.split() == [str(path) for path in written]
    assert written[1].read_bytes().startswith(b"%PDF")
    first = written[0].read_bytes()
    assert call("plot", folders).returncode == 0  # both of them
    assert written[0].read_bytes() == first
    assert (folders / name / f"{name}.png").is_file()


def test_a_script_draws_what_is_drawn_again(tmp_path):
    ended = call("bands", *OF_BANDS, "figures.format=svg", f"hydra.run.dir={tmp_path / 'bands'}")
    assert ended.returncode == 0, ended.stderr
    first = (tmp_path / "bands" / "bands.svg").read_bytes()
    assert call("plot", tmp_path / "bands", "figures.format=svg").returncode == 0
    assert (tmp_path / "bands" / "bands.svg").read_bytes() == first


def test_a_variation_that_was_stopped_at_its_first_point_is_drawn(folders, tmp_path):
    shutil.copytree(folders / "vary", tmp_path / "vary")
    content = json.loads((tmp_path / "vary" / "vary.json").read_text())
    first = {key: value[:1] if isinstance(value, list) else value for key, value in content.items()}
    (tmp_path / "vary" / "vary.json").write_text(json.dumps(first | {"status": "stopped"}))
    ended = call("plot", tmp_path / "vary", "figures.format=png")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", ["bands", "vary"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("energies"), "damaged (KeyError('energies'))"),
        (lambda content: content["energies"].pop(), "damaged ("),
        (lambda content: content.update(schema=99), "schema=99: is not known"),
        (lambda content: content.update(task="other"), "is not the results of"),
    ],
)
def test_what_a_folder_lacks_is_one_line(folders, tmp_path, name, change, message):
    shutil.copytree(folders / name, tmp_path / name)
    path = tmp_path / name / f"{name}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    ended = call("plot", tmp_path / name)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {path}: ")
    assert message in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_what_is_not_in_a_folder_is_one_line(folders, tmp_path):
    ended = call("plot", tmp_path)
    assert ended.returncode == 2
    assert "no finished run, sweep, bands, vary, scattering or evolve (a folder with a results.json, " in ended.stderr
    ended = call("plot", folders / "vary", "figures.animate=true")
    assert ended.returncode == 2
    assert "is not one run, and keeps no frames; allowed for runs" in ended.stderr
    ended = call("compare", folders / "bands")
    assert ended.returncode == 2
    assert "holds no finished run or sweep (a folder with a results.json or summary.json)" in ended.stderr
