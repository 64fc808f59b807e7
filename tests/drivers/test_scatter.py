"""T and R against closed forms and against transfer matrices at 100 digits; what is conserved; bounds."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import random_scatterers
from tests_support import call

import qpinn
from qpinn.bounds import scattering as bounds
from qpinn.drivers import scatter
from qpinn.physics import leads
from qpinn.physics.resolution import wave_edges
from qpinn.training import waves

POTENTIALS = qpinn.potentials
BARRIER = POTENTIALS.barrier()
RTD = {"thickness": [3, 5, 3], "offset": [0.3, 0, 0.3], "mass": [0.092, 0.067, 0.092]}
GAAS = {"left": 0.0, "right": 0.0, "mass_left": 0.067, "mass_right": 0.067}


def rectangular(energies, width=0.2, height=50.0):
    """T of a rectangular barrier, below it and above."""
    q = np.sqrt(energies - height + 0j)
    return (1 / (1 + height**2 * np.sin(q * width) ** 2 / (4 * energies * (energies - height)))).real


def eckart(energies, height=5.0):
    """T of height / cosh(x)^2 (Eckart, Phys. Rev. 35 (1930) 1303)."""
    k = np.pi * np.sqrt(energies)
    return np.sinh(k) ** 2 / (np.sinh(k) ** 2 + np.cosh(np.pi * np.sqrt(height - 0.25)) ** 2)


def step(energies, height=5.0):
    k, q = np.sqrt(energies), np.sqrt(energies - height)
    return 4 * k * q / (k + q) ** 2


def delta(energies, strength=6.0):
    return 1 / (1 + strength**2 / (4 * energies))


CLOSED = {
    "rectangular": (BARRIER, np.linspace(1, 200, 40), rectangular),
    "step": (POTENTIALS.expression([-1, 1], "where(x < 0, 0, 5)"), np.linspace(5.01, 40, 30), step),
    "eckart": (POTENTIALS.expression([-18, 18], "5/cosh(x)^2"), np.linspace(0.2, 20, 30), eckart),
    "poeschl_teller": (POTENTIALS.poeschl_teller(l=2.0), np.linspace(0.2, 20, 30), np.ones_like),
    "delta": (POTENTIALS.delta([-1, 1], strength=6.0), np.linspace(0.1, 40, 30), delta),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    potential, energies, exact = CLOSED[name]
    found = qpinn.scatter(potential, energies)
    error = np.abs(found.T - exact(energies))
    assert error.max() < 5e-15
    assert (error <= found.bound).all()
    assert (np.abs(found.R - (1 - exact(energies))) <= found.reflection_bound).all()
    assert found.bound.max() < 1e-11
    assert found.converged.all()


@pytest.mark.parametrize("seed", range(8))
def test_random_layers_meet_transfer_matrices_within_their_bounds(seed):
    """Flat and graded layers with masses, in a field, and under a bias, with one lead closed at some energies."""
    case = random_scatterers.drawn(seed, energies=5)
    found = random_scatterers.solved(case)
    assert found.converged.all()
    for index, (t, r) in enumerate(random_scatterers.exact(case)):
        assert abs(t - mpmath.mpf(found.T[index])) <= found.bound[index]
        assert abs(r - mpmath.mpf(found.R[index])) <= found.reflection_bound[index]


@pytest.mark.parametrize("seed", range(4))
def test_bounds_of_a_poor_network_hold_and_are_wide(seed):
    """Three units in wide segments, which nothing refines."""
    case = random_scatterers.drawn(seed, energies=5)
    found = random_scatterers.solved(case, phase=6.0, network={"width": 3}, tol=0.9)
    error = [float(abs(t - mpmath.mpf(found.T[i]))) for i, (t, _) in enumerate(random_scatterers.exact(case))]
    assert (error <= found.bound).all()
    assert found.bound.max() > 1e-10


def test_t_and_r_add_up_before_they_are_corrected_as_far_as_psi_is_right():
    """Corrected ones always do: the correction keeps what waves conserve."""
    energies = np.linspace(60, 200, 20)
    for width, low, high in ((3, 1e-8, 1e-1), (20, 0.0, 1e-12)):
        found = qpinn.scatter(BARRIER, energies, network={"width": width}, phase=4.0, tol=0.9).spectrum
        plain = np.abs(found.t_plain) ** 2 + np.abs(found.r_plain) ** 2
        assert low <= np.abs(plain - 1).max() < high
        assert np.abs(found.transmission + found.reflection - 1).max() < 1e-12 + 0.1 * np.abs(plain - 1).max()
        assert np.abs(found.transmission - rectangular(energies)).max() < 1e-2 * max(high, 1e-13)


def test_a_wave_from_the_right_gets_through_as_well():
    """t' v_L = t v_R, and the mirror image of a structure has the same T."""
    layers = {"thickness": [2, 3, 1], "offset": [0.2, 0, 0.5], "mass": [0.09, 0.067, 0.12]}
    ends = {"left": 0.0, "right": 0.05, "mass_left": 0.067, "mass_right": 0.09}
    energies = np.linspace(0.06, 0.6, 15)
    there = qpinn.scatter(POTENTIALS.layers(**layers), energies, ends, units="semiconductor")
    velocity = there.spectrum.velocity
    np.testing.assert_allclose(there.spectrum.t_back * velocity[:, 0], there.t * velocity[:, 1], rtol=1e-12)
    mirrored = {key: values[::-1] for key, values in layers.items()}
    turned = {"left": 0.05, "right": 0.0, "mass_left": 0.09, "mass_right": 0.067}
    back = qpinn.scatter(POTENTIALS.layers(**mirrored), energies, turned, units="semiconductor")
    np.testing.assert_allclose(back.T, there.T, rtol=0, atol=1e-13)


def test_the_phase_time_is_the_slope_of_a_phase_in_closed_form():
    """t of a delta is exp(2 i k) / (1 + i alpha / 2 k) from -1 to 1: d(arg t)/dk = 2 + 2 alpha / (4 k^2 + alpha^2)."""
    potential, energies, _ = CLOSED["delta"]
    found = qpinn.scatter(potential, energies)
    k = np.sqrt(energies)
    np.testing.assert_allclose(found.phase_time, (2 + 12 / (4 * energies + 36)) / (2 * k), rtol=1e-11)
    np.testing.assert_allclose(found.t, np.exp(2j * k) / (1 + 3j / k), rtol=1e-12)


def test_the_phase_time_has_units():
    """A free electron crosses 10 nm in 10 nm / v."""
    from scipy import constants

    free = POTENTIALS.layers(thickness=[10.0], offset=[0.0], mass=[0.067])
    found = qpinn.scatter(free, [0.1], units="semiconductor")
    velocity = np.sqrt(2 * 0.1 * constants.eV / (0.067 * constants.m_e))
    np.testing.assert_allclose(found.phase_time, 10e-9 / velocity * 1e15, rtol=1e-8)


def test_psi_satisfies_the_equation_and_goes_on_into_the_leads():
    """The residual of the Flax module by `jax.grad` is that of the columns; psi' from both sides of an end agrees."""
    found = qpinn.scatter(BARRIER, [30.0, 80.0], leads={"right": 10.0})
    system, energies = found.system, np.array([80.0])
    solved = waves.waves(system, energies)
    params = tuple(scatter.parameters(system, solved, 0, part) for part in ("real", "imag"))
    x = jnp.asarray(system.x[:, ::7].ravel())
    residual = jax.vmap(lambda place: system.equation.residual(params, jnp.asarray(80.0), place))(x[:, None])
    assert np.abs(residual).max() < 1e-4
    _, columns = waves.fields(system, solved)
    columns = (columns[..., 0, 0] / np.sqrt(system.weight))[:, ::7].ravel()
    np.testing.assert_allclose(residual, columns, atol=1e-9)
    for end, side in ((0.0, -1), (1.0, 1)):
        near = found.psi(80.0, end + 1e-6 * np.arange(-2, 3))
        slopes = np.diff(near) / 1e-6
        assert np.abs(np.diff(slopes)).max() < 1e-3
        assert np.isfinite(found.psi(80.0, end + side * 5.0))
    assert abs(found.psi(80.0, 3.0)) ** 2 * np.sqrt(70 / 80) == pytest.approx(found.T[1], rel=1e-9)


def test_below_one_lead_everything_is_reflected():
    found = qpinn.scatter(BARRIER, [5.0, 15.0, 25.0], leads={"right": 20.0})
    assert found.T[:2].tolist() == [0.0, 0.0]
    assert found.R[:2].tolist() == [1.0, 1.0]
    assert 0 < found.T[2] < 1
    np.testing.assert_allclose(np.abs(found.r[:2]), 1, atol=1e-13)
    assert abs(found.psi(5.0, 3.0)) < 1e-3
    assert np.isnan(found.phase_time[:2]).all()
    from_right = qpinn.scatter(BARRIER, [5.0], leads={"left": 20.0})
    assert (from_right.T[0], from_right.R[0]) == (0.0, 1.0)
    np.testing.assert_allclose(abs(from_right.r[0]), 1, atol=1e-13)
    assert abs(from_right.psi(5.0, -3.0)) < 1e-3
    far = np.linspace(2, 5, 300)
    assert np.abs(from_right.psi(5.0, far)).max() == pytest.approx(2, rel=1e-3)  # a standing wave


def test_at_the_level_of_a_lead_nothing_leaves():
    found = qpinn.scatter("where(x < 0, 0, 20)", [20.0], domain=[-1, 1])
    assert (found.T[0], found.R[0]) == (0.0, 1.0)
    assert np.isfinite(found.psi(20.0, [-3.0, 0.0, 3.0])).all()


def test_a_bias_is_a_field():
    """10 kV / cm over 11 nm are 11 meV: the layers fall by so much, and the right lead with them."""
    energies = np.linspace(0.03, 0.5, 12)
    under_bias = qpinn.scatter(POTENTIALS.layers(**RTD), energies, {**GAAS, "bias": 0.011}, units="semiconductor")
    in_field = qpinn.scatter(POTENTIALS.layers(**RTD, field=-10.0), energies, {**GAAS, "right": -0.011},
                             units="semiconductor")  # fmt: skip
    np.testing.assert_allclose(under_bias.T, in_field.T, rtol=1e-11)


def test_what_is_cut_off_is_counted(monkeypatch):
    """V of the whole line cut far too early: T is another one, and its bound says so."""
    monkeypatch.setattr(leads, "NEGLIGIBLE", 1e-3)
    energies = np.linspace(0.3, 10, 20)
    found = qpinn.scatter(POTENTIALS.poeschl_teller(l=1.5), energies)
    k = np.pi * np.sqrt(energies)
    exact = np.sinh(k) ** 2 / (np.sinh(k) ** 2 + 1)  # cos(pi sqrt(1 / 4 + l (l + 1)))^2 = 1 for l = 1.5
    error = np.abs(found.T - exact)
    assert error.max() > 1e-8
    assert (error <= found.bound).all()
    assert (error <= found.reflection_bound).all()


def test_no_bound_where_the_kernel_is_not_small_or_psi_is_not_seen():
    one = np.ones((1, 2, 2))
    none = bounds.Pair(
        residual=0.9 * one, unseen=0 * one, size=one, wronskian=np.array([1.0]), velocity=np.ones((1, 2), complex),
        rounding=np.zeros((1, 2)),
    )  # fmt: skip
    assert np.isinf(bounds.amplitude_bounds(none)).all()
    small = dataclasses.replace(none, residual=1e-3 * one)
    assert (np.array(bounds.amplitude_bounds(small)) < 1e-4).all()
    rough = qpinn.scatter(BARRIER, [30.0], network={"activation": "selu"})
    assert np.isinf(rough.bound).all()
    assert not rough.converged.any()
    assert "1 of 1 energies have no bound" in repr(rough)
    assert rough.plot() is not None


def test_a_feature_between_the_points_is_found():
    """A spike of width 1e-4 in a box of 4, as a delta: T = 1 / (1 + alpha^2 / 4 E) to the width."""
    spike = POTENTIALS.expression([-2, 2], "2e4*exp(-((x-0.4321)/1e-4)^2)")
    edges = wave_edges(leads.structure(spike).potential, 1.0, 30.0, 3.0, 28)
    assert np.diff(edges).min() < 1e-3
    found = qpinn.scatter(spike, [2.0, 10.0])
    strength = 2.0 * np.sqrt(np.pi)
    np.testing.assert_allclose(found.T, 1 / (1 + strength**2 / (4 * np.array([2.0, 10.0]))), rtol=2e-3)


@pytest.fixture(scope="module")
def narrow():
    """Barriers of 10 nm, whose lowest resonance is 0.09 micro-eV wide, at 60 energies over 0.5 eV."""
    layers = POTENTIALS.layers(**{**RTD, "thickness": [10, 5, 10]})
    return qpinn.scatter(layers, np.linspace(0.01, 0.5, 60), GAAS, units="semiconductor", refine=True)


def test_a_narrow_resonance_is_not_stepped_over(narrow):
    near = np.abs(narrow.energies - 0.0818261) < 1e-6
    assert near.sum() > 10
    assert narrow.T[near].max() > 0.999
    assert len(narrow.energies) < 500
    assert (np.diff(narrow.energies) > 0).all()


def _exact(thickness, mass=1.0):
    from transfer import Layered

    scale = qpinn.physics.units.of("semiconductor").scale
    masses = [entry * mass for entry in RTD["mass"]]
    with mpmath.workdps(100):
        v = [mpmath.mpf(entry) / mpmath.mpf(scale) for entry in RTD["offset"]]
        return Layered([thickness, 5, thickness], v, v, masses, [0, 0], [0.067 * mass] * 2), scale


@pytest.mark.parametrize("thickness", [3, 6, 10])
def test_resonances_of_a_double_barrier(thickness):
    layers = POTENTIALS.layers(**{**RTD, "thickness": [thickness, 5, thickness]})
    found = qpinn.scatter(layers, [0.1], GAAS, units="semiconductor").resonances(2)
    reference, scale = _exact(thickness)
    assert len(found) == 2
    for one in found:
        exact = complex(reference.resonance((one.energy - 0.5j * one.width) / scale)) * scale
        assert abs(one.energy - exact.real) < one.error < 1e-13
        assert abs(one.width + 2 * exact.imag) < 2 * one.error


def test_a_resonance_is_known_to_all_its_digits():
    """81.4051003139 and 2.3539441808 meV with hbar^2 / 2 m_e = 0.0380998212 eV nm^2, by masses that make it so."""
    share = qpinn.physics.units.of("semiconductor").scale / 0.0380998212
    layers = POTENTIALS.layers(**{**RTD, "mass": [entry * share for entry in RTD["mass"]]})
    ends = {**GAAS, "mass_left": 0.067 * share, "mass_right": 0.067 * share}
    (one,) = qpinn.scatter(layers, [0.1], ends, units="semiconductor").resonances(1)
    assert f"{1e3 * one.energy:.10f} {1e3 * one.width:.10f}" == "81.4051003139 2.3539441808"


def test_hidden_units_trained_on_a_band_leave_less_of_the_equation():
    energies, settings = np.linspace(0.005, 0.6, 40), {"units": "semiconductor", "network": {"width": 5}, "tol": 0.5}
    layers = POTENTIALS.layers(**RTD)
    drawn, trained = (qpinn.scatter(layers, energies, GAAS, train=steps, **settings) for steps in (0, 30))
    np.testing.assert_allclose(trained.untrained, drawn.residual, rtol=1e-6)
    assert np.median(trained.residual) < 0.05 * np.median(drawn.residual)
    assert trained.bound.max() < 0.1 * drawn.bound.max()
    accurate = qpinn.scatter(layers, energies, GAAS, units="semiconductor")
    assert (np.abs(trained.T - accurate.T) <= trained.bound + accurate.bound).all()


@pytest.mark.parametrize(
    ("potential", "energies", "settings", "message"),
    [
        (BARRIER, [3.0, 2.0], {}, "energies: 2 follows 3; must ascend"),
        (BARRIER, [3.0, np.nan], {}, "energies: nan among them"),
        (3, [1.0], {}, "potential=3: must be one of qpinn.potentials"),
        ("x^2", [1.0], {}, "potential.domain=null: a formula needs walls"),
        (POTENTIALS.barrier(height=1e11), [1.0], {}, "potential=barrier: 2.11e+04 segments are needed"),
        (BARRIER, [1e12], {}, "potential=barrier: 3.33e+05 segments are needed"),
        (BARRIER, "low", {}, "energies='low': must be a row of numbers"),
        (BARRIER, [], {}, "energies: 0 of them"),
        (BARRIER, [-1.0, 2.0], {}, "energies=-1: nothing propagates at or below both leads"),
        (BARRIER, [1.0], {"leads": {"left": 4, "right": 3}}, "energies=1: nothing propagates"),
        (BARRIER, [1.0], {"leads": {"far": 4}}, "leads.far=4: unknown key"),
        (BARRIER, [1.0], {"network": {"shared": False}}, "network.shared=false"),
        (BARRIER, [1.0], {"units": "semiconductors"}, "units.name=semiconductors: unknown; did you mean semiconductor"),
        (POTENTIALS.infinite_well(), [1.0], {}, "potential=infinite_well: nothing scatters"),
        (POTENTIALS.harmonic(), [1.0], {}, "potential=harmonic: V has no limit to the left"),
        (POTENTIALS.linear(), [1.0], {}, "potential=linear: V has no limit to the left"),
        (POTENTIALS.morse(), [1.0], {}, "potential=morse: V has no limit to the left"),
        (POTENTIALS.box(), [1.0], {}, "potential=box: has 2 coordinates"),
        (POTENTIALS.delta(), [1.0], {"leads": {"bias": 1.0}}, "leads.bias=1: falls between two ends"),
        (POTENTIALS.layers(**RTD), [1.0], {}, "potential=layers: is in nm, eV and m_e; needs units=semiconductor"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(potential, energies, settings, message):
    with pytest.raises(ValueError, match=r"energies|=") as refused:
        qpinn.scatter(potential, energies, **settings)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_the_script_writes_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    words = ("potential=layers", "potential.thickness=[2,3,5,3,2]", "potential.offset=[0,0.3,0,0.3,0]",
             "potential.mass=[0.067,0.092,0.067,0.092,0.067]", "units=semiconductor", "energies=[0.01,0.4,40]",
             "resonances=1", "figures.format=png")  # fmt: skip
    finished = call("scatter", *words, f"output={tmp_path}")
    assert finished.returncode == 0, finished.stderr
    (folder,) = tmp_path.iterdir()
    assert "0.0814051002013" in finished.stdout
    content = json.loads((folder / "scattering.json").read_text())
    assert (content["task"], content["status"]) == ("scattering", "finished")
    assert max(content["T"]) > 0.99
    rows = (folder / "scatter.csv").read_text().splitlines()
    assert rows[0].startswith("energy_eV,T,R,bound_T,bound_R,phase_time_fs")
    assert len(rows) == 1 + len(content["energies"])
    names = {path.name for path in folder.iterdir()}
    assert {"scatter.png", "density.png", "phase_time.png", "report.html", "waves.npz", "config.yaml"} <= names
    text = (folder / "report.html").read_text()
    assert 'id="slider"' in text
    assert "Resonances" in text
    before = {name: (folder / name).read_bytes() for name in ("scatter.png", "report.html")}
    redrawn = call("plot", str(folder), "figures.format=png")
    assert redrawn.returncode == 0, redrawn.stderr
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_the_leads_are_what_v_is_just_inside_the_walls():
    """A row of wells ends with a well, as a comb of barriers in free space does with nothing."""
    row = qpinn.scatter(POTENTIALS.kronig_penney(count=2), [3.0, 60.0])
    assert row.system.structure.levels.tolist() == [0.0, 0.0]
    barrier = qpinn.scatter(POTENTIALS.barrier([-1, 1.2], center=0.1), [3.0, 60.0])
    np.testing.assert_allclose(row.T, barrier.T, rtol=1e-12)


KEYS = ("energies", "refine", "resonances", "tol", "train", "phase", "points", "seed", "debug", "leads.left",
        "leads.mass_left", "leads.bias")  # fmt: skip
VALUES = ("x", "nan", "-inf", "1e300", "-1", "''", "[]", "{a: 1}", "true", "null")
ALLOWED = {"energies=null", "debug=true", "refine=true", "leads.left=-1", "leads.bias=-1", "leads.left=null",
           "leads.mass_left=null"}  # fmt: skip
WORDS = [f"{key}={value}" for key in KEYS for value in VALUES]


@pytest.mark.parametrize(
    "word", [word if place % 4 == 0 else pytest.param(word, marks=pytest.mark.long) for place, word in enumerate(WORDS)]
)
def test_a_value_is_taken_or_refused_in_one_line(word, capsys):
    import _cli
    import _overrides

    words = [word] if word.startswith("resonances") else [word, "resonances=1"]
    if word in ALLOWED:
        _overrides.check(words, False, "scatter")
        return
    with pytest.raises(_cli.Failed) as refused:
        _overrides.check(words, False, "scatter")
    shown = capsys.readouterr().err
    assert refused.value.code == _cli.BAD_INPUT
    assert shown.startswith(f"error: {word.partition('=')[0].split('.')[0]}"), shown
    assert shown.count("\n") == 1, shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["energies=[10,1,10]"], "energies=[10,1,10]: must be [first,last,count], the first smaller"),
        (["energies=[1,10]"], "energies=[1,10]: must be [first,last,count]"),
        (["energies=[1,nan,10]"], "energies=[1,nan,10]: must be finite"),
        (["energies=[1,10,2.5]"], "energies=[1,10,2.5]: the count must be a whole number"),
        ([], "energies=null: must be [first,last,count], as in energies=[1,200,1000]; or resonances=4"),
        (["potential=finite_well", "energies=[1,10,10]"], "energies=[1,10,10]: nothing propagates"),
        (["energies=[1,10,10]", "states=2"], "states=2: unknown key"),
        (["energies=[1,10,10]", "leads=vacuum"], "leads=vacuum: unknown"),
        (["energies=[1,10,10]", "resonances=-1"], "resonances=-1: must be a whole number"),
    ],
)
def test_the_script_refuses_in_one_line(words, message, tmp_path):
    finished = call("scatter", *words, f"output={tmp_path}")
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"error: {message}")
    assert finished.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
