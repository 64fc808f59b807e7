"""Tables and files: numbers as text, JSON without NaN, damaged folders named."""

from __future__ import annotations

import json

import boxes_page
import crossings
import inputs
import many
import numpy as np
import packets
import pages
import pytest
import scattering_page
import sensitivity
import yaml
from tests_support import ROOT, train

from qpinn.report import study, tables
from qpinn.runs import run_folder


def test_a_table_is_aligned():
    text = tables.plain(["name", "value"], [["a", "1"], ["longer", "22"]])
    lines = [line.rstrip() for line in text.split("\n")]
    assert lines[2] == "  a           1"
    assert lines[3] == "  longer     22"
    assert tables.markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_nan_and_infinity_become_null(tmp_path):
    run_folder.write_summary(tmp_path, {"states": [{"energy": float("nan"), "loss": float("inf")}]})
    assert run_folder.read_summary(tmp_path)["states"] == [{"energy": None, "loss": None}]


@pytest.mark.parametrize(("name", "task", "key"), [(n, *kind) for n, kind in run_folder.KINDS.items()])
def test_a_summary_says_its_schema_and_task(tmp_path, name, task, key):
    run_folder.write_summary(tmp_path, {key: []}, name)
    stored = json.loads((tmp_path / name).read_text())
    assert stored == {"schema": run_folder.SCHEMA, "task": task, key: []}
    assert run_folder.read_summary(tmp_path, (name,)) == stored
    (tmp_path / name).write_text(json.dumps({key: []}))  # as written before there were schemas
    assert run_folder.read_summary(tmp_path, (name,)) == {key: []}


@pytest.mark.parametrize("schema", [run_folder.SCHEMA + 1, 0, "1", None])
def test_a_schema_that_is_not_known_is_refused_in_one_line(tmp_path, schema):
    (tmp_path / "results.json").write_text(json.dumps({"schema": schema, "states": []}))
    with pytest.raises(ValueError, match=r"results\.json: schema=.*; allowed: 1 to \d+$"):
        run_folder.read_summary(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}"])
def test_a_damaged_folder_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(ValueError, match=r"results\.json"):
        run_folder.read_summary(tmp_path)


def test_the_tables_of_the_benchmark_are_those_of_its_numbers():
    measured = json.loads((ROOT / "docs" / "benchmark.json").read_text())
    assert (ROOT / "docs" / "benchmark.md").read_text() == pages.page(measured)
    assert pages.summary(measured) in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("sensitivity", study.page),
        ("sweeps", pages.sweeps_page),
        ("levels", pages.levels_page),
        ("many", many.page),
        ("inputs", inputs.page),
        ("boxes", boxes_page.page),
        ("packets", packets.page),
        ("scattering", scattering_page.page),
    ],
)
def test_the_pages_are_those_of_their_numbers(name, page):
    measured = json.loads((ROOT / "docs" / f"{name}.json").read_text())
    assert (ROOT / "docs" / f"{name}.md").read_text() == page(measured)
    if name == "sensitivity":
        assert study.summary(measured) in (ROOT / "README.md").read_text()
        assert not measured["missing"]
        assert all(entry["statistics"]["starts"] >= 256 for entry in measured["entries"])


def test_the_page_of_sensitivity_is_drawn_again_from_its_numbers(tmp_path):
    """Without a sweep; its figures of E need those."""
    stored = (ROOT / "docs" / "sensitivity.json").read_bytes()
    (tmp_path / "sensitivity.json").write_bytes(stored)
    study = yaml.safe_load((ROOT / "configs" / "sensitivity.yaml").read_text())
    starts = study.pop("starts")
    everything = [entry for route, plan in study.items() for entry in sensitivity.entries(route, plan)]
    assert sensitivity.write(everything, tmp_path / "none", starts, tmp_path) == []
    assert (tmp_path / "sensitivity.json").read_bytes() == stored
    assert (tmp_path / "sensitivity.md").read_text() == (ROOT / "docs" / "sensitivity.md").read_text()
    drawn = {path.stem.removeprefix("sensitivity-") for path in tmp_path.glob("*.png")}
    assert drawn == {"paper", "variational", "default"}


def test_no_bound_of_the_benchmark_was_wrong():
    measured = json.loads((ROOT / "docs" / "levels.json").read_text())
    entries = measured["library"] + measured["random"]
    assert max(value for entry in entries for value in entry["outside"]) <= pages.REFERENCE


def test_levels_of_layers_that_were_measured_lie_within_their_bounds():
    entries = json.loads((ROOT / "docs" / "inputs.json").read_text())["entries"]
    assert all(entry["converged"] == entry["levels"] for entry in entries)
    assert all(entry["error"] < entry["half_width"] for entry in entries if "layers" in entry["input"])


def test_transfer_matrices_find_a_level_by_its_nodes():
    """Of two layers alike, an infinite well: n^2 pi^2 hbar^2 / (2 m L^2)."""
    well = crossings.Structure(kind="", thickness=[4.0, 6.0], offset=[0.0, 0.0], mass=[0.07, 0.07], fields=(0.0, 0.0))
    exact = [inputs.hbar2() / 0.07 * (n * np.pi / 10) ** 2 for n in (1, 2, 3)]
    for level, energy in enumerate(exact):
        assert inputs.transfer(well, level, energy * (1 + 1e-6)) == pytest.approx(energy, rel=1e-14)
    with pytest.raises(ValueError, match="1 nodes below and 2 above it; must be level 2"):
        inputs.transfer(well, 2, exact[1])


def test_the_default_route_of_the_benchmark_reaches_the_marks_that_the_readme_claims():
    measured = json.loads((ROOT / "docs" / "benchmark.json").read_text())
    marks = {"infinite_well": (1e-12, 1e-8), "finite_well": (1e-11, 1e-7), "barrier": (1e-11, 1e-8)}
    own = [entry for entry in measured["routes"] if entry["route"] == "default"]
    assert len(own) == 24
    for entry in own:
        assert entry["relative_error_energy"] <= marks[entry["problem"]][0]
        assert entry["relative_l2_psi"] <= marks[entry["problem"]][1]


def test_what_a_grid_sees_of_the_well():
    seen = pages.seen_by_grid(160)
    assert abs(seen["width_seen"] - 2) < 1e-12
    assert seen["predicted_error"] == pytest.approx(0, abs=1e-12)
    assert pages.seen_by_grid(100)["width_seen"] == pytest.approx(1.92)


def test_a_run_that_is_read_back_gives_the_same_report(tmp_path):
    finished = train("potential=barrier", f"output={tmp_path}")
    (folder,) = tmp_path.iterdir()
    assert tables.report(run_folder.read_summary(folder)) in finished.stdout
