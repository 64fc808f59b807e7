"""A packet by one network: its own bound holds whatever the network is, and its error is the true one."""

from __future__ import annotations

import numpy as np
import pytest

from qpinn.analysis import followed
from qpinn.drivers import packet_problem, sweep
from qpinn.drivers.evolve import evolve
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.drivers.sweep_settings import Sweep
from qpinn.physics import drives, packets, potentials
from qpinn.runs import sweep_folder

RECIPE = {
    "ansatz": "envelope", "start": "random", "network": {"width": 12, "depth": 2, "init": "glorot"},
    "sampling": {"name": "uniform", "points": 20},
    "optimizer": {"name": "adam", "steps": 400, "learning_rate": 1e-2, "schedule": "cosine"},
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("optax_promotion")


def brief(steps, **more):
    return {**RECIPE, "optimizer": {**RECIPE["optimizer"], "steps": steps}, **more}


def coherent(x, t, x0):
    """A coherent state of x^2 that is let go at x0."""
    place, k = x0 * np.cos(2 * t), -x0 * np.sin(2 * t)
    return np.pi**-0.25 * np.exp(-((x - place) ** 2) / 2 + 1j * k * (x - place) + 1j * (-t + place * k / 2))


def test_a_coherent_state_is_followed_and_its_error_is_the_true_one():
    given = packets.gaussian(center=1.0, width=np.sqrt(0.5))
    solution = evolve(potentials.harmonic(), given, [0, 0.1, 0.2], **brief(1000))
    x = np.linspace(-9, 9, 4001)
    for t in solution.times:
        apart = np.sqrt(np.trapezoid(np.abs(solution.psi(t, x) - coherent(x, t, 1.0)) ** 2, x))
        error = solution.error(t)
        assert float(error.value) == pytest.approx(apart, abs=1e-5 + float(error.bound))
        assert apart <= solution.bound(t) * (1 + 1e-9) + 1e-9
    assert float(solution.error(0.0).value) < 1e-4  # exact by construction
    assert float(solution.error(0.2).value) < 0.1
    assert solution.history["total"][-1] < 0.1 * solution.history["total"][0]
    assert abs(float(solution.norm(0.2).value) - 1) <= solution.bound(0.2)


DRIVE = drives.dipole(amplitude=5.0, frequency=8.0)


@pytest.mark.parametrize(
    ("potential", "packet", "drive", "more"),
    [
        (potentials.barrier(), packets.gaussian(0.3, 0.04, 10.0), None, {}),
        (potentials.barrier(), packets.superposition([0, 2]), None, {"seed": 4}),
        (potentials.infinite_well(), packets.formula("sin(pi*x)", "sin(2*pi*x)"), DRIVE, {"seed": 2}),
        (potentials.infinite_well(), packets.gaussian(0.5, 0.07), None, {"hamiltonian": {"mass": 2.0}}),
        (potentials.harmonic(), packets.gaussian(0.5, 0.6, 1.0), DRIVE, {"seed": 1}),
        (potentials.finite_well(), packets.gaussian(0.0, 0.15), None, {"precision": "float32"}),
    ],
    ids=["jumps", "levels", "driven", "mass", "driven on a line", "float32"],
)  # fmt: skip
def test_the_bound_holds_of_a_network_that_has_hardly_been_trained(potential, packet, drive, more):
    """Its error is then large, and the residual knows of it."""
    if "hamiltonian" in more:
        from qpinn.drivers.settings import with_terms

        more = dict(more)
        potential = with_terms(potential, more.pop("hamiltonian"))
    end = 0.1 if drive is None else 0.15
    solution = evolve(potential, packet, [0, end], drive, **brief(5, **more))
    t = np.linspace(0, end, 7)
    error, bound = solution.error(t), solution.bound(t)
    assert (error.value <= bound + error.bound).all()
    assert error.value[-1] > 1e-3
    assert bound[0] < 1e-4 or not solution.exact.converged  # psi0 is exact by construction
    np.testing.assert_allclose(solution.energy(t[:1]).value, solution.exact.energy(t[:1]).value, rtol=1e-3)
    left, right = solution.domain
    whole = solution.probability([left, right], t).value
    np.testing.assert_allclose(whole, solution.norm(t).value ** 2, rtol=1e-10)


@pytest.mark.parametrize(
    "pulse",
    ["2000*exp(-((t-0.105)/0.0002)**2)", "300*exp(-((t-0.1008)/0.0008)**2)", "263*exp(-((t-0.1025)/0.0012)**2)"],
)
@pytest.mark.parametrize("packet", [packets.gaussian(0.5, 0.6), packets.eigenstate(0)], ids=["gaussian", "level"])
def test_a_short_pulse_is_in_the_bound_at_every_time(pulse, packet):
    network = {**RECIPE["network"], "scale": 1e-3}
    solution = evolve(potentials.harmonic(), packet, [0, 0.2], (pulse, "x"), **brief(1, network=network))
    t = np.union1d(np.linspace(0, 0.2, 41), np.linspace(0.098, 0.108, 81))
    error = solution.error(t)
    assert (error.value <= solution.bound(t) + error.bound).all()
    assert error.value.max() > 0.1


def test_a_thin_layer_of_another_mass_is_noticed():
    layers = potentials.layers(thickness=[60.21, 0.05, 59.84], mass=[0.067, 1.0, 0.067], offset=[0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="mass depends on x"):
        evolve(layers, packets.gaussian(30.0, 5.0, 0.3), [0, 20], units="semiconductor", **brief(1))


def test_the_bound_is_close_to_the_error_where_the_residual_is_all_of_it():
    solution = evolve(potentials.infinite_well(), packets.gaussian(0.5, 0.1), [0, 0.01], **brief(300))
    assert 1 <= float(solution.bound(0.01) / solution.error(0.01).value) < 4


def test_a_packet_that_does_not_move_needs_no_learning():
    """psi0 a level: exp(-iEt) psi0 is what is to be learnt, and psi = psi0 has the residual |E|."""
    solution = evolve(potentials.infinite_well(), packets.eigenstate(0), [0, 0.02], **brief(1))
    assert float(solution.equation.unit) == pytest.approx(np.pi**2, rel=1e-6)
    assert float(solution.bound(0.0)) < 1e-5


def test_levenberg_marquardt_trains_a_wave_too():
    network = {"width": 8, "depth": 1, "init": "spread"}
    settings = {**RECIPE, "network": network, "optimizer": {"name": "levenberg_marquardt", "steps": 100}}
    solution = evolve(potentials.harmonic(), packets.gaussian(0.0, 0.6), [0, 0.2], **settings)
    assert float(solution.error(0.2).value) < 3e-2
    assert float(solution.error(0.2).value) <= solution.bound(0.2)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"start": "ritz"}, "start.name=ritz: a network of"),
        ({"start": "variational"}, "start.name=variational"),
        ({"states": 2}, "states=2: means nothing"),
        ({"energy": {"initial": 3.0}}, "energy.initial=3.0: means nothing"),
        ({"loss": {"norm": 3.0}}, "loss.norm=3.0: means nothing"),
        ({"tol": 1e-3}, "tol=0.001"),
        ({"ends": "periodic"}, "ends.left=periodic"),
        ({"network": {"activation": "selu"}}, "network.activation=selu"),
        ({"causal": -1.0}, "causal=-1: must not be negative"),
        ({"sampling": {"name": "uniform", "points": 100_000}}, "sampling.points=100000"),
        ({"ansatz": "piecewise", "start": "ritz", "optimizer": "levenberg_marquardt", "sampling": "gauss_legendre",
          "causal": 2.0}, "causal=2: means nothing"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(more, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")) as caught:
        evolve(potentials.harmonic(), "gaussian", [0, 0.2], **{**RECIPE, **more})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("hamiltonian", "words"), [({"deltas": [[0.5, 3.0]]}, "deltas"), ({"mass": "1 + x"}, "mass depends on x")]
)
def test_kinks_are_not_for_one_network(hamiltonian, words):
    from qpinn.drivers.settings import with_terms

    with pytest.raises(ValueError, match=words):
        evolve(with_terms(potentials.infinite_well(), hamiltonian), packets.gaussian(0.5, 0.1), [0, 0.01], **RECIPE)


def test_starts_of_a_sweep_are_single_runs_and_within_their_bounds(tmp_path):
    settings = from_mapping(Settings, brief(60, seed=3))
    asked = packet_problem.asked({"name": "gaussian", "center": 0.5, "width": 0.6}, None, [0, 0.2])
    job = sweep.Job(potentials.harmonic(), settings, Sweep(seeds=3, block=2), asked=asked)
    facts = sweep.run(job, tmp_path)
    columns = sweep.trained(job, tmp_path)
    assert facts["trained"] == 3
    assert len(np.unique(columns["error"])) == 3
    assert (columns["error"] <= columns["bound"]).all()
    for number in (0, 2):
        alone = evolve(potentials.harmonic(), packets.gaussian(0.5, 0.6), [0, 0.2], **brief(60, seed=3 + number))
        assert columns["error"][number] == pytest.approx(float(alone.error(0.2).value), rel=1e-5)
        assert columns["loss"][number] == pytest.approx(alone.fit.losses[0], rel=1e-5)
        assert columns["bound"][number] == pytest.approx(float(alone.bound(0.2)), rel=1e-5)
    assert sweep.run(job, tmp_path)["trained"] == 0
    summary = sweep.finish(job, tmp_path, columns, facts, 0.0)
    assert summary["statistics"]["starts"] == 3
    assert summary["statistics"]["outside"] == 0
    assert sum(summary["statistics"]["outcomes"].values()) == 3
    _, times = sweep_folder.read_blocks(tmp_path)
    assert columns["errors"].shape == (3, len(times))
    np.testing.assert_allclose(columns["errors"][:, -1], columns["error"])
    assert (tmp_path / "seeds.csv").read_text().count("\n") == 4


def test_ends_of_starts_are_told_apart():
    columns = {"error": np.array([1e-3, 0.05, 0.5, np.nan, 1e-3]), "steps": np.array([9, 9, 9, 9, 4]),
               "asked": np.full(5, 9)}  # fmt: skip
    assert list(followed.outcomes(columns)) == [
        "error below 1 %", "error 1 to 10 %", "not followed", "non-finite", "non-finite"
    ]  # fmt: skip
    assert followed.followed(columns) == 2
