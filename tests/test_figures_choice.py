"""Which figures a script draws, and in which formats."""

from __future__ import annotations

import base64
import io
import re
import shutil

import _overrides
import _resume
import numpy as np
import pytest
import sweep
from PIL import Image
from tests_support import call, script

QUICK = ("potential=infinite_well", "network.width=4", "optimizer.steps=3")


def _kinds(folder):
    """The figures in a folder, by their formats."""
    paths = [path for path in folder.iterdir() if path.suffix in (".png", ".svg", ".pdf", ".gif")]
    return {kind: {path.stem for path in paths if path.suffix == kind} for kind in {path.suffix for path in paths}}


@pytest.fixture(scope="module")
def animated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures") / "run"
    finished = call("train", *QUICK, "states=2", "figures=essential", "figures.format=[pdf,png]", "figures.dpi=40",
                    "figures.animate=true", f"hydra.run.dir={folder}")  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return folder


def test_the_essential_figures_in_the_formats_that_are_asked_for(animated):
    essential = {"levels", "residual", "energy"}
    assert _kinds(animated) == {".pdf": essential, ".png": essential, ".gif": {"training"}}
    assert (animated / "levels.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(animated / "levels.png") as image:
        assert image.width == round(3.4 * 40)


def test_an_animation_moves_and_ends_where_training_did(animated):
    with Image.open(animated / "training.gif") as image:
        assert image.n_frames >= 2
        first = np.asarray(image.convert("RGB"))
        image.seek(image.n_frames - 1)
        assert (np.asarray(image.convert("RGB")) != first).any()
    with np.load(animated / "frames.npz") as frames, np.load(animated / "wavefunction.npz") as ended:
        assert frames["done"].tolist() == [[1, 1], [2, 2], [3, 3]]
        assert frames["energy"][-1] == pytest.approx([np.pi**2, 4 * np.pi**2], rel=1e-6)
        overlap = np.abs(np.trapezoid(frames["psi"][-1] * ended["psi"], ended["x"], axis=1))
        np.testing.assert_allclose(overlap, 1.0, atol=1e-5)


def _page(folder):
    """The figures of a page: type and bytes by name."""
    found = re.findall(r'<img alt="([^"]*)" src="data:([^;]*);base64,([^"]*)"', (folder / "report.html").read_text())
    return {name: (kind, base64.b64decode(data)) for name, kind, data in found}


def test_the_page_shows_every_figure_whatever_its_files_are(animated, tmp_path):
    """Drawings, and pictures where these are smaller by much; the animation too, at most as fine as by default."""
    shutil.copytree(animated, tmp_path / "run")
    first = _page(animated)
    assert {name: kind for name, (kind, _) in first.items()} == {
        **dict.fromkeys(("levels", "residual", "energy"), "image/svg+xml"), "training": "image/gif"
    }  # fmt: skip
    assert first["training"][1] == (animated / "training.gif").read_bytes()
    words = ["figures=essential", "figures.animate=true"]
    assert call("plot", tmp_path / "run", *words, "figures.format=[pdf,svg]", "figures.dpi=40").returncode == 0
    assert _page(tmp_path / "run") == first
    assert call("plot", tmp_path / "run", *words, "figures.format=png", "figures.dpi=300").returncode == 0
    finer = _page(tmp_path / "run")
    assert finer["levels"] == first["levels"]
    for source, width in (
        (tmp_path / "run" / "training.gif", 3.4 * 300),
        (io.BytesIO(finer["training"][1]), 3.4 * 200),
    ):
        with Image.open(source) as image:
            assert image.width == pytest.approx(width, abs=1)
            assert image.n_frames >= 2


def test_looking_more_often_changes_no_number(animated, tmp_path):
    finished = call("train", *QUICK, "states=2", "figures=none", f"hydra.run.dir={tmp_path / 'plain'}")
    assert finished.returncode == 0, finished.stderr
    assert _kinds(tmp_path / "plain") == {}
    with np.load(tmp_path / "plain" / "wavefunction.npz") as plain, np.load(animated / "wavefunction.npz") as watched:
        np.testing.assert_allclose(watched["psi"], plain["psi"], atol=1e-9)


@pytest.mark.usefixtures("optax_promotion")
def test_states_that_are_trained_in_turn_come_one_after_the_other(tmp_path):
    finished = call("train", *QUICK, "states=2", "start=variational", "start.steps=20", "figures=essential",
                    "figures.format=svg", "figures.animate=true", f"hydra.run.dir={tmp_path / 'run'}")  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    with np.load(tmp_path / "run" / "frames.npz") as frames:
        done = frames["done"]
        assert np.isnan(frames["psi"][np.isnan(done)]).all()
    assert np.isnan(done[0]).tolist() == [False, True]
    assert done[-1].tolist() == [3, 3]
    assert (done[np.isfinite(done[:, 1]), 0] == 3).all()


def test_plot_draws_what_is_asked_for(animated):
    before = {path.name for path in animated.iterdir()}
    finished = call("plot", animated, "figures=all", "figures.format=svg", "figures.animate=true")
    assert finished.returncode == 0, finished.stderr
    drawn = {path.name for path in animated.iterdir()} - before
    assert drawn == {f"{name}.svg" for name in ("levels", "densities", "residual", "energy", "loss")}
    assert "training.gif" in finished.stdout


def test_without_figures_nothing_that_draws_is_imported(tmp_path):
    folder = tmp_path / "bands"
    words = ["potential=delta", "potential.domain=[0,1]", "potential.center=0.5", "bands.count=2", "bands.phases=3"]
    finished = call("bands", *words, "figures=none", f"hydra.run.dir={folder}")
    assert finished.returncode == 0, finished.stderr
    assert _kinds(folder) == {}
    finished = call("bands", *words, "figures=essential", "figures.format=pdf", f"hydra.run.dir={folder}-2")
    assert finished.returncode == 0, finished.stderr
    assert _kinds(folder.with_name("bands-2")) == {".pdf": {"bands"}}


def test_a_run_is_the_same_whatever_is_drawn_of_it():
    """So that it goes on with another choice."""
    plain, other = (["figures=none"], ["figures=essential", "figures.dpi=77"])
    runs = [_resume.asked(_overrides.composed(words)) for words in (plain, other)]
    assert runs[0] == runs[1]
    sweeps = [sweep.identity(_overrides.composed(words, "sweep")) for words in (plain, other)]
    assert sweeps[0] == sweeps[1]


def test_a_sweep_draws_what_is_asked_for(tmp_path):
    words = [*QUICK, "sweep.seeds=2", f"hydra.run.dir={tmp_path / 'sweep'}"]
    finished = script("sweep", *words, "figures=none")
    assert finished.returncode == 0, finished.stderr
    assert _kinds(tmp_path / "sweep") == {}
    assert call("plot", tmp_path / "sweep", "figures=essential", "figures.format=pdf").returncode == 0
    assert _kinds(tmp_path / "sweep") == {".pdf": {"energies", "loss_and_error"}}
    assert set(_page(tmp_path / "sweep")) == {"energies", "loss and error"}


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("train", ["figures.dpi=-1"], "figures.dpi=-1: must be a whole number from 20 to 2400"),
        ("train", ["figures.format=bmp"], "figures.format=bmp: unknown; allowed: png, svg, pdf"),
        ("train", ["figures.format=[png,jpg]"], "figures.format=[png,jpg]: unknown; did you mean png? "),
        ("train", ["figures.format=[]"], "figures.format=[]: must be one of png, svg, pdf, or a list of them"),
        ("train", ["figures=some"], "figures=some: unknown; allowed: all, essential, none"),
        ("train", ["figures.animated=true"], "figures.animated=True: unknown key; did you mean figures.animate?"),
        ("train", ["figures=none", "figures.animate=true"], "figures.animate=true: figures=none draws nothing"),
        ("train", ["states=40", "potential=harmonic", "figures.animate=true"], "figures.animate=true: a network that"),
        ("sweep", ["figures.animate=true"], "figures.animate=true: shows the training of one run"),
        ("bands", ["potential=harmonic", "figures.animate=true"], "figures.animate=true: shows the training of one"),
        ("plot", ["figures.format=bmp"], "figures.format=bmp: unknown; allowed: png, svg, pdf"),
        ("plot", ["dpi=300"], "dpi=300: unknown key; allowed: figures"),
        ("plot", ["figures.dpi=1"], "figures.dpi=1: must be a whole number from 20 to 2400"),
    ],
)
def test_a_choice_that_is_not_allowed_is_one_line(tmp_path, animated, name, words, message):
    where = [animated] if name == "plot" else [f"output={tmp_path / 'out'}"]
    finished = call(name, *where, *words)
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"error: {message}"), finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_plot_says_where_no_frames_were_kept(tmp_path, animated):
    frames = (animated / "frames.npz").read_bytes()
    try:
        (animated / "frames.npz").unlink()
        finished = call("plot", animated, "figures=essential", "figures.format=png", "figures.animate=true")
        assert finished.returncode == 2
        assert "frames.npz is not there" in finished.stderr
        (animated / "frames.npz").write_bytes(frames[:2000])
        finished = call("plot", animated, "figures=essential", "figures.format=png", "figures.animate=true")
        assert finished.returncode == 2
        assert len(finished.stderr.strip().splitlines()) == 1
    finally:
        (animated / "frames.npz").write_bytes(frames)
