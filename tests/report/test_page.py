"""report.html: whole, closed, true to the files it is made of, and moved by its slider."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import made_results as made
import numpy as np
import pytest
from tests_support import call

from qpinn.report import page, page_levels, run_figures

VOID = {"meta", "img", "input", "br", "link", "path", "rect", "line", "use"}
BROWSER = Path(__file__).parent / "open_page.py"


class Page(HTMLParser):
    """Every element with its attributes and its text; raises where one is not closed in its place."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.open, self.elements = [], []
        self.source = path.read_text()
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", **dict(attributes)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append({"tag": tag, "text": "", **dict(attributes)})

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag, self.getpos()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **wanted):
        return [one for one in self.elements if one["tag"] == tag and wanted.items() <= one.items()]

    def __getitem__(self, name):
        (element,) = (one for one in self.elements if one.get("id") == name)
        return element

    @property
    def data(self):
        return json.loads(self["data"]["text"])

    @property
    def script(self):
        (one,) = (element for element in self.all("script") if "type" not in element)
        return one["text"]


def _made(tmp_path, *states, **changes):
    folder = made.write(tmp_path, made.results(*(states or map(made.state, range(3))), **changes))
    return Page(page.save(folder))


def _closed(shown):
    """Nothing in a page comes from outside it."""
    for element in shown.elements:
        for name in ("src", "href", "action", "srcset", "data", "xlink:href"):
            assert element.get(name) is None or re.match("#|data:", element[name]), element
        assert element["tag"] not in ("link", "iframe", "object", "embed", "base", "form")
        assert not [name for name in element if name.startswith("on")]
    own = shown.script + "".join(style["text"] for style in shown.all("style"))
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch|XMLHttp|import\(|eval|innerHTML|document\.write", own)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of three levels as the script makes it."""
    folder = tmp_path_factory.mktemp("page") / "run"
    words = ["potential=finite_well", "states=3", "network.width=6", "optimizer.steps=8"]
    finished = call("train", *words, f"hydra.run.dir={folder}")
    assert finished.returncode == 0, finished.stderr
    return folder


def test_the_page_of_a_run_is_whole_and_closed(run):
    shown = Page(run / "report.html")
    _closed(shown)
    results = json.loads((run / "results.json").read_text())
    assert shown.data["states"] == results["states"]
    assert shown.data["seconds"] == results["seconds"]
    assert {figure.stem for figure in run.glob("*.svg")} == {image["alt"] for image in shown.all("img")}
    assert (run / "config.yaml").read_text() in [one["text"] for one in shown.all("pre")]
    text = " ".join(one["text"] for one in shown.all("section"))
    for said in (results["certificate"]["checked"].split("; ")[0], "Versions", f"jax {results['versions']['jax']}"):
        assert said in text
    (link,) = (one for one in shown.all("a") if "download" in one)
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(link["href"].partition(",")[2]).decode())))
    for row, state in zip(rows, results["states"], strict=True):
        assert [float(row[name]) for name in ("energy", "lower", "upper")] == [
            state[name] for name in ("energy", "lower", "upper")
        ]
        assert float(row["<p2>"]) == state["expectation"]["p2"]


def test_it_is_drawn_again_from_the_files(run):
    before = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    finished = call("plot", run)
    assert finished.returncode == 0, finished.stderr
    assert str(run / "report.html") in finished.stdout
    assert (run / "report.html").read_bytes() == before


def test_without_scripts_every_level_is_shown(run):
    shown = Page(run / "report.html")
    for index in range(3):
        assert shown[f"level-{index}"]["class"] == "level"  # none is put aside
        assert f"level {index}: E = " in shown[f"level-{index}"]["text"]
        assert shown[f"row-{index}"]["tag"] == "tr"
    assert "hidden" in shown["slider"]
    (label,) = shown.all("label")
    assert label["for"] == shown["level"]["id"]
    assert shown["level"]["max"] == "2"


def test_a_curve_has_the_nodes_of_its_level(run):
    states = json.loads((run / "results.json").read_text())["states"]
    source = (run / "report.html").read_text()
    curves = re.findall(r'class="psi" [^>]*d="M(\d+) (\d+)l([^"]*)"', source)
    lines = [float(y) for y in re.findall(r'class="energy"[^>]*y1="([\d.]+)"', source)]
    assert len(curves) == len(lines) == 3
    for state, line, (_, first, steps) in zip(states, lines, curves, strict=True):
        heights = int(first) + np.cumsum([int(step) for step in steps.split()][1::2])
        off = heights - page_levels.FINE * line
        seen = np.sign(off[np.abs(off) > 3])
        assert np.count_nonzero(np.diff(seen)) == state["node_count"]
    assert lines == sorted(lines, reverse=True)  # higher levels stand higher


def test_whatever_a_text_holds_stays_text(tmp_path):
    name = "a \"b\" & 'c'</script><script>alert(1)</script>.csv"
    potential = {"name": "expression", "formula": "where(x<2, <b>3</b>, 0)", "file": name, "left": 0.0, "right": 1.0}
    shown = _made(tmp_path, potential=potential, git="<i>")
    _closed(shown)
    assert len(shown.all("script")) == 2
    assert shown.all("b") == shown.all("i") == []
    assert shown.data["potential"] == potential
    equation = shown.all("header")[0]["text"]
    assert "formula where(x<2, <b>3</b>, 0)" in equation
    assert name in equation


def test_what_did_not_end_well_is_said(tmp_path):
    shown = _made(tmp_path, made.state(0), made.wrong(1), made.lost(2), route=made.PAPER)
    _closed(shown)
    warnings = [one["text"] for one in shown.all("p") if one.get("class") == "warning"]
    assert any("wrong state, nearest is level 0" in line for line in warnings)
    assert any("psi = 0" in line for line in warnings)
    assert shown[f"level-{2}"]["text"].endswith("psi = 0")
    assert "no bounds of level 1" in " ".join(one["text"] for one in shown.all("section"))


@pytest.mark.parametrize(
    ("length", "energy", "across", "up"),
    [
        ("L", "ħ²/2mL²", "position x / L", "V and E / (ħ²/2mL²)"),
        ("angstrom", "cm^-1", "position x / Å", "V and E / cm⁻¹"),
        ("rad", "meV", "position x / rad", "V and E / meV"),
    ],
)
def test_units_stand_in_signs_and_not_in_formulas(tmp_path, length, energy, across, up):
    table = {"name": "sampled", "left": 0.0, "right": 1.0, "knots": np.linspace(0, 1, 60).tolist()}
    shown = _made(tmp_path, units={"length": length, "energy": energy, "scale": 5.0}, potential=table)
    assert {across, up} <= {element["text"] for element in shown.all("text")}
    (equation,) = (one["text"] for one in shown.all("p") if "E ψ" in one["text"])
    assert not [word for word in ("$", "^", "knots") if word in equation]
    assert equation.startswith("−B ψ″") == (length == "rad")
    assert not [one["text"] for one in shown.all("figcaption") if set("$^") & set(one["text"])]


def test_many_levels_stay_small(tmp_path):
    states = [made.state(k, overlaps=[1.0]) for k in range(48)]
    folder = made.write(tmp_path, made.results(*states), reference=False)
    x = np.linspace(0, 1, 4000)
    psi = np.sqrt(2) * np.sin(np.pi * np.arange(1, 49)[:, None] * x)
    np.savez(folder / "wavefunction.npz", x=x, psi=psi, v=0 * x, residual=1e-6 * psi + 1e-9, edges=x[::400])
    path = page.save(folder, run_figures.save_all(folder).shown)
    assert path.stat().st_size < 3e6
    assert len(Page(path).all("figure", **{"class": "level"})) == 48


def test_a_damaged_folder_is_named(tmp_path):
    folder = made.write(tmp_path, made.results())
    (folder / "wavefunction.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"wavefunction.npz"):
        page.save(folder)
    assert not (folder / "report.html").exists()


STUB = """
var elements = {}, listeners = {}, location = {hash: ""}, window = {addEventListener: listen};
function listen(name, heard) { listeners[name] = heard; }
function element(id) {
  if (!elements[id]) {
    elements[id] = {textContent: "", value: "0", hidden: true, aside: false, attributes: {}, addEventListener: listen,
      setAttribute: function (name, value) { this.attributes[name] = value; },
      classList: {toggle: function (name, on) { elements[id][name] = on; }}};
  }
  return elements[id];
}
var document = {getElementById: element};
element("data").textContent = dukpy.data;
function seen() {
  var shown = dukpy.indices.filter(function (n) { return !element("level-" + n).aside; });
  var rows = dukpy.indices.filter(function (n) { return element("row-" + n).chosen; });
  return [shown, rows, element("said").textContent, element("level").attributes["aria-valuetext"]];
}
"""
DRIVE = """
var all = [element("slider").hidden, seen()];
element("level").value = "2"; listeners.input(); all.push(seen());
location.hash = "#level-1"; listeners.hashchange(); all.push(seen()); all.push(element("level").value); all;
"""


def test_the_slider_picks_a_level(tmp_path):
    dukpy = pytest.importorskip("dukpy", reason="dukpy, of the extra dev, runs the script of the page")
    shown = _made(tmp_path)
    hidden, first, last, linked, value = dukpy.evaljs(
        [STUB, shown.script, DRIVE], data=shown["data"]["text"], indices=[0, 1, 2]
    )
    assert not hidden
    energies = [state["energy"] for state in shown.data["states"]]
    for index, (levels, rows, said, aloud) in zip((0, 2, 1), (first, last, linked), strict=True):
        assert levels == rows == [index]
        assert float(said.partition("E = ")[2]) == pytest.approx(energies[index], rel=1e-9)
        assert aloud.startswith(f"level {index}, E = ")
    assert value == 1


def test_it_is_clicked_through_in_a_browser(run, tmp_path):
    command = [sys.executable, str(BROWSER), str(run / "report.html"), str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if finished.returncode == 77:
        pytest.skip(f"no browser: {finished.stdout.strip()}; the extra browser (PySide6-WebEngine) is one")
    assert finished.returncode == 0, finished.stderr
    seen = json.loads(finished.stdout)
    assert seen["messages"] == []  # of the console
    assert [seen[step] for step in ("begin", "right", "end", "link")] == [["0"], ["1"], ["2"], ["1"]]
    assert seen["plain"] == ["0", "1", "2"]  # with JavaScript switched off
    energies = [state["energy"] for state in json.loads((run / "results.json").read_text())["states"]]
    (saved,) = tmp_path.glob("*.csv")
    with saved.open(newline="") as stream:
        assert [float(row["energy"]) for row in csv.DictReader(stream)] == energies
