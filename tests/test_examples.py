"""Every example runs, and what it yields is right: each kind of problem against a route that qpinn has no part in."""

from __future__ import annotations

import base64
import cmath
import importlib.util
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy import constants, linalg, special
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from tests_support import ROOT

from tests.physics import airy

EXAMPLES = ROOT / "docs" / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
JOULE = {"eV": constants.e, "meV": 1e-3 * constants.e, "cm^-1": 100 * constants.h * constants.c}
CM = constants.value("hartree-inverse meter relationship") / 100
BOHR = constants.value("Bohr radius") / 1e-10


def _notebooks():
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


notebooks = _notebooks()


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The names that the cells of an example make, what they print, and its folder; each is run once."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.png", "*.ipynb"))
    ran = {}

    def run(name):
        if name not in ran:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                ran[name] = notebooks.run(notebooks.cells((folder / f"{name}.py").read_text()))
        return *ran[name], folder

    return run


# ---------------------------------------------------------------------------------------------------- the other routes


def unit(mass, length, energy):
    """hbar^2 / 2 m L^2 in an energy: mass in kg, length in m."""
    return constants.hbar**2 / (2 * mass * length**2) / JOULE[energy]


NM = unit(constants.m_e, 1e-9, "eV")


def roots(f, low, high, cells=4000):
    """All places where f changes its sign."""
    x = np.linspace(low, high, cells)
    values = np.array([f(place) for place in x])
    return np.array([brentq(f, x[k], x[k + 1], xtol=1e-15, rtol=1e-14)
                     for k in np.flatnonzero(values[:-1] * values[1:] < 0)])  # fmt: skip


def stairs(widths, offsets, masses, scale, high):
    """Levels below `high` of constant pieces between walls: zeros of psi at the right one, no level left out."""

    def end(energy):
        psi, flux = 0.0, 1.0
        for width, offset, mass in zip(widths, offsets, masses, strict=True):
            k = cmath.sqrt(mass * (energy - offset) / scale)
            c, s = cmath.cos(k * width).real, (cmath.sin(k * width) / k).real
            psi, flux = c * psi + s * mass * flux, -(k * k).real * s / mass * psi + c * flux
        return psi

    return roots(end, min(offsets) + 1e-9, high)


def sines(v, left, right, count, scale=1.0, size=140, panels=400):
    """Levels of a smooth V between walls, in a basis of sines."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = np.linspace(left, right, panels + 1)
    half = (edges[1] - edges[0]) / 2
    x = (edges[:-1, None] + half * (nodes + 1)).ravel()
    n = np.arange(1, size + 1)
    waves = np.sqrt(2 / (right - left)) * np.sin(np.pi * n[:, None] * (x - left) / (right - left))
    h = (waves * (v(x) * np.tile(half * weights, panels))) @ waves.T + np.diag(
        scale * (np.pi * n / (right - left)) ** 2
    )
    return linalg.eigh(h, eigvals_only=True)[:count]


def ring(cosines, constant, count, size=60):
    """Levels of B m^2 + sum_k c_k cos(k phi) in plane waves."""
    m = np.arange(-size, size + 1)
    h = np.diag(constant * m**2 + cosines.get(0, 0.0))
    for k, value in cosines.items():
        if k:
            h += value / 2 * (np.eye(len(m), k=k) + np.eye(len(m), k=-k))
    return linalg.eigh(h, eigvals_only=True)[:count]


def morse(depth, a, scale, count):
    """Above the minimum: depth - (sqrt(depth) - a sqrt(hbar^2 / 2 m) (n + 1/2))^2."""
    return depth - (np.sqrt(depth) - a * np.sqrt(scale) * (np.arange(count) + 0.5)) ** 2


def two_atoms(first, second):
    """hbar^2 / 2 m for lengths in angstrom and energies in cm^-1."""
    return unit(first * second / (first + second) * constants.atomic_mass, 1e-10, "cm^-1")


def layers_by_airy(solution, indices):
    """Levels of layers by Airy functions at 40 digits, in the units of the solution."""
    given, scale = solution.given, solution.units.scale
    edges, left = np.asarray(given.edges), np.asarray(given.offset)
    slope = float(given.field) * {"eV": 1e-4, "meV": 0.1}[solution.units.energy]
    rise = np.full(len(left), slope)
    if given.offset_end is not None:
        rise = rise + (given.offset_end - left) / np.diff(edges)
    bare = edges, (left + slope * edges[:-1]) / scale, rise / scale, np.asarray(given.masses)
    return [float(airy.level(solution.energies[n] / scale, *bare)) * scale for n in indices]


def bloch(width, barrier, v, masses, scale, phase, high):
    """Levels of Kronig and Penney at a phase k a, with masses in the well and in the barrier."""

    def equation(energy):
        k, q = cmath.sqrt(masses[0] * energy / scale), cmath.sqrt(masses[1] * (v - energy) / scale)
        ratio = k * masses[1] / (q * masses[0])
        mixed = cmath.cos(k * width) * cmath.cosh(q * barrier)
        mixed += (1 / ratio - ratio) / 2 * cmath.sin(k * width) * cmath.sinh(q * barrier)
        return mixed.real - np.cos(phase)

    return roots(equation, 1e-9, high)


# ----------------------------------------------------------------------------------------------- one test for each kind


def test_a_published_well_with_masses(example):
    names, _, _ = example("quantum_well")
    widths, offsets, masses = [12, 9, 12], [0.24, 0, 0.24], [0.0903, 0.067, 0.0903]
    levels = stairs(widths, offsets, masses, NM, 0.26)
    np.testing.assert_allclose(names["well"].energies, levels, rtol=1e-11)
    wider, narrower = (stairs([12, 9 + step, 12], offsets, masses, NM, 0.26) for step in (1e-4, -1e-4))
    np.testing.assert_allclose(names["slopes"], (wider - narrower) / 2e-4, rtol=1e-6)
    assert all(names["well"].converged)


def test_coupled_wells_in_a_field(example):
    names, _, _ = example("coupled_wells")
    varied, layers = names["over_field"], names["layers"]
    edges, left, masses = (np.asarray(getattr(layers, key)) for key in ("edges", "offset", "masses"))
    for point in (0, names["closest"], 20):
        slope = varied.values[point] * 1e-4
        bare = edges, (left + slope * edges[:-1]) / NM, np.full(5, slope) / NM, masses
        exact = [complex(airy.level(level / NM, *bare)).real * NM for level in varied.energies[point]]
        np.testing.assert_allclose(varied.energies[point], exact, rtol=1e-11)
    assert 0 < names["closest"] < 20
    lower, upper = varied.slopes[:, 0], varied.slopes[:, 1]
    assert lower[0] / upper[-1] == pytest.approx(1, abs=0.05)  # the lower level is now in the well of the upper one
    assert upper[0] / lower[-1] == pytest.approx(1, abs=0.05)


def test_a_quantum_cascade_of_64_layers(example):
    names, _, _ = example("cascade_laser")
    cascade = names["cascade"]
    assert len(cascade.given.masses) == 64
    assert all(cascade.converged)
    some = [0, 7, 23]
    np.testing.assert_allclose(cascade.energies[some], layers_by_airy(cascade, some), rtol=1e-11)
    np.testing.assert_allclose(cascade.energies, _on_a_grid(cascade), atol=0.2)  # none is left out


def _on_a_grid(solution, cells=8):
    """Levels of layers in whole angstrom by finite differences, psi' / m between the points."""
    given = solution.given
    h = 0.1 / cells
    counts = np.rint(np.diff(given.edges) / h).astype(int)
    masses, v = (np.repeat(np.asarray(values), counts) for values in (given.masses, given.offset))
    x = h * np.arange(1, len(v))
    off = solution.units.scale / (h * h * masses)
    diagonal = off[:-1] + off[1:] + (v[:-1] + v[1:]) / 2 + 0.1 * float(given.field) * x
    last = len(solution.energies) - 1
    return linalg.eigh_tridiagonal(diagonal, -off[1:-1], eigvals_only=True, select="i", select_range=(0, last))


def test_minibands_of_a_superlattice(example):
    names, _, _ = example("superlattice")
    minibands = names["minibands"]
    for phase, levels in list(zip(minibands.theta, minibands.energies, strict=True))[::6]:
        if 0 < phase < np.pi:  # at the ends the equation only touches zero where bands meet
            exact = bloch(6.0, 2.5, 0.25, (0.067, 0.0897), NM, phase, 0.8)[:3]
            np.testing.assert_allclose(levels, exact, rtol=1e-10)
    finite = stairs([1.25, 6, 1.25] * 8, [0.25, 0, 0.25] * 8, [0.0897, 0.067, 0.0897] * 8, NM, 0.1)
    np.testing.assert_allclose(names["finite"].energies, finite[:8], rtol=1e-10)
    np.testing.assert_allclose(names["finite"].energies, minibands.energies[3::3, 0], rtol=1e-9)


def test_bands_of_kronig_and_penney(example):
    bands = example("superlattice")[0]["kronig_penney"]
    for phase, levels in zip(bands.theta[1:-1], bands.energies[1:-1], strict=True):
        np.testing.assert_allclose(levels, bloch(0.75, 0.25, 30.0, (1, 1), 1.0, phase, 150.0)[:3], rtol=1e-10)


def test_a_graded_well(example):
    graded = example("graded_well")[0]["graded"]
    np.testing.assert_allclose(graded.energies, layers_by_airy(graded, range(4)), rtol=1e-11)


def test_a_mass_that_varies_with_position(example):
    for name in ("heavier", "formula"):
        energies = example("graded_well")[0][name].energies
        exact = [float(airy.graded_mass_level(level / NM, 20.0, 0.04, 0.12)) * NM for level in energies]
        np.testing.assert_allclose(energies, exact, rtol=1e-11)


def test_a_well_with_diffused_interfaces(example):
    diffused = example("graded_well")[0]["diffused"]
    exact = sines(lambda x: 0.25 * (1 - (special.erf((x + 4.5) / 2) - special.erf((x - 4.5) / 2)) / 2), -14, 14, 2,
                  NM / 0.067)  # fmt: skip
    np.testing.assert_allclose(diffused.energies, exact, rtol=1e-10)


MOLECULES = {"H2": (1.007825, 38290.0, 1.945, 0.0), "N2": (14.003074, 0.364 * CM, 1.42 / BOHR, -109.54 * CM),
             "O2": (15.994915, 5.21 * JOULE["eV"] / JOULE["cm^-1"], 2.65, 0.0)}  # fmt: skip
"""Mass, depth, a, and V at the minimum, in amu, cm^-1 and angstrom."""


@pytest.mark.parametrize("name", MOLECULES)
def test_the_potential_curve_of_a_diatomic_molecule(example, name):
    """Rows are six digits or more of a Morse curve: levels are as good as the interpolation says."""
    molecule = example("diatomics")[0]["molecules"][name]
    mass, depth, a, bottom = MOLECULES[name]
    exact = bottom + morse(depth, a, two_atoms(mass, mass), 4)
    shift = np.abs(molecule.interpolation_shift).max()
    assert shift < 1e-3
    np.testing.assert_allclose(molecule.energies, exact, rtol=0, atol=max(shift, 1e-4))


BOND = {"bond_fortran.dat": 1e-5, "bond_semicolons.csv": 1e-5, "bond_descending.csv": 1e-5, "bond_scan.txt": 1e-5}


@pytest.mark.parametrize("file", BOND, ids=["fortran_exponents", "decimal_commas", "descending_rows", "no_header"])
def test_a_table_as_people_have_it(example, file):
    solution = example("tables")[0]["stretches"][file]
    r = np.linspace(0.6, 1.8, 61)
    scale = two_atoms(1.007825, 15.994915)
    spline = CubicSpline(r, 37300 * (1 - np.exp(-2.28 * (r - 0.9696))) ** 2)  # not-a-knot
    np.testing.assert_allclose(solution.energies, sines(spline, 0.6, 1.8, 3, scale), rtol=0, atol=BOND[file])
    np.testing.assert_allclose(solution.energies, morse(37300, 2.28, scale, 3), rtol=1e-5)


def test_a_jump_in_a_table(example):
    steps = example("tables")[0]["steps"]
    np.testing.assert_allclose(steps.energies, stairs([1] * 4, [12, 0, 5, 12], [1] * 4, 1.0, 13)[:2], rtol=1e-11)


def test_a_methyl_rotor(example):
    methyl = example("torsion")[0]["methyl"]
    v3, constant = 25.0, 0.655
    np.testing.assert_allclose(methyl.energies, ring({0: v3 / 2, 3: -v3 / 2}, constant, 6), rtol=1e-11)
    q = v3 / (9 * constant)
    symmetric = v3 / 2 + 9 * constant / 4 * np.array([special.mathieu_a(0, q), special.mathieu_b(2, q)])
    np.testing.assert_allclose(methyl.energies[[0, 5]], symmetric, rtol=1e-11)


def test_a_torsion_scan_in_degrees(example):
    scanned = example("torsion")[0]["scanned"]
    exact = ring({0: -46251.2 + 8.6, 1: -2.1, 2: -0.9, 3: -5.6}, 0.0215, 6)
    np.testing.assert_allclose(scanned.energies, exact, rtol=0, atol=5e-6)  # of a spline through rows 4 degrees apart


@pytest.mark.parametrize(("atom", "mass"), [("H", 1.007825), ("D", 2.014102)])
def test_an_inversion_doublet(example, atom, mass):
    doublet = example("inversion")[0]["doublets"][atom]
    exact = sines(lambda x: 2000 * ((x / 0.38) ** 2 - 1) ** 2, -0.85, 0.85, 4, two_atoms(3 * mass, 14.003074))
    np.testing.assert_allclose(doublet.energies, exact, rtol=1e-11)
    np.testing.assert_allclose(np.diff(doublet.energies)[::2], np.diff(exact)[::2], rtol=1e-7)


def test_a_molecule_of_deltas(example):
    curves = example("two_deltas")[0]["curves"]
    for distance, levels in zip(curves.values, curves.energies, strict=True):
        kappa = [brentq(lambda k, s=sign, d=distance: 2 * k - 4 * (1 + s * np.exp(-k * d)), 1e-3, 5, xtol=1e-15)
                 for sign in (1, -1)]  # fmt: skip
        np.testing.assert_allclose(levels, -np.square(kappa), rtol=1e-9)


def test_a_particle_in_a_box_as_a_function(example):
    box = example("classroom")[0]["box"]
    np.testing.assert_allclose(box.energies, stairs([0.5, 0.5], [0, 20], [1, 1], 1.0, 120)[:3], rtol=1e-11)


def test_a_formula_with_named_numbers(example):
    """Poeschl and Teller; walls at 12 change the level at -1 by e^-24."""
    np.testing.assert_allclose(example("classroom")[0]["sech"].energies, [-9, -4, -1], atol=4e-9)


def test_two_arrays(example):
    np.testing.assert_allclose(example("classroom")[0]["oscillator"].energies, [1, 3, 5], rtol=1e-10)


def test_a_radial_equation_of_hydrogen(example):
    np.testing.assert_allclose(example("radial")[0]["hydrogen"].energies, [-1 / 8, -1 / 18], rtol=2e-9)


def test_a_radial_equation_of_an_oscillator(example):
    np.testing.assert_allclose(example("radial")[0]["oscillator"].energies, [7, 11, 15], rtol=1e-9)


# ------------------------------------------------------------------------------------------------ scripts and notebooks


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_holds_its_script_and_what_it_prints(example, name):
    script = notebooks.cells((EXAMPLES / f"{name}.py").read_text())
    book = json.loads((EXAMPLES / f"{name}.ipynb").read_text())
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in book["cells"]] == script
    _, outputs, _ = example(name)
    for cell, now in zip(book["cells"], outputs, strict=True):
        kept = cell.get("outputs", [])
        text = "".join("".join(output["text"]) for output in kept if output["output_type"] == "stream")
        _same_words(text, now.text)
        pictures = [output for output in kept if output["output_type"] == "display_data"]
        assert len(pictures) == len(now.figures)
        assert all(base64.b64decode(picture["data"]["image/png"]).startswith(b"\x89PNG") for picture in pictures)


def _same_words(kept, now):
    """The same words, and the same numbers but for their last digits; seconds and digits of bounds left out."""
    some = [re.sub(r"\(\d+\)|; \d+\.\d s$", "", text, flags=re.MULTILINE).split() for text in (kept, now)]
    assert len(some[0]) == len(some[1]), f"python docs/notebooks.py would write this again:\n{kept}\n{now}"
    for before, after in zip(*some, strict=True):
        try:
            numbers = [float(word.strip(",;:")) for word in (before, after)]
        except ValueError:
            assert before == after
        else:
            assert numbers[1] == pytest.approx(numbers[0], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_of_an_example_shows_something(example, name):
    drawn = example(name)[2] / f"{name}.png"
    for path in (drawn, EXAMPLES / f"{name}.png"):
        with Image.open(path) as picture:
            ink = np.asarray(picture.convert("L")) < 250
        assert ink[20:-20, 20:-20].mean() > 0.01, path
    assert (EXAMPLES / f"{name}.png").stat().st_size < 60_000


def test_the_list_of_examples_names_each():
    listed = re.findall(r"\[(\w+)\]\(\w+\.ipynb\) \(\[py\]\((\w+)\.py\)\)", (EXAMPLES / "README.md").read_text())
    assert sorted(listed) == [(name, name) for name in NAMES]
