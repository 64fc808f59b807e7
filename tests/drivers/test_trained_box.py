"""One network in a box of two or three axes: its residual is the equation's, and its variational start the level's."""

from __future__ import annotations

import dataclasses

import _cli
import _overrides
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.analysis import statistics
from qpinn.drivers import sweep, trained_box
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.settings import Settings
from qpinn.drivers.sweep_settings import Sweep
from qpinn.linalg.jacobian import losses
from qpinn.physics.potentials.several import several
from qpinn.runs import sweep_folder

SMALL = {
    "ansatz": "envelope", "start": {"name": "variational", "steps": 600, "learning_rate": 2e-2},
    "network": {"width": 12, "depth": 2, "init": "glorot"}, "sampling": {"points": 16},
    "optimizer": {"name": "adam", "steps": 20, "learning_rate": 1e-4},
}  # fmt: skip
SQUARE = several([[0, 1], [0, 1]], "0*x + 0*y")
COUPLED = several([[-3, 3], [-3, 3]], "x**2 + y**2 + 0.1*x**2*y**2")


def _settings(**more):
    return from_mapping(Settings, {**SMALL, **more})


@dataclasses.dataclass(frozen=True)
class Exact:
    """A given function in the place of a network: what the equation asks of an ansatz."""

    psi_of: object
    dtype = jnp.dtype("float64")
    sheets = 1

    def segments(self, params):
        return {"factor": params["factor"][None]}

    def in_segment(self, segment, x):
        return segment["factor"] * self.psi_of(x)

    def psi(self, params, x):
        return params["factor"] * self.psi_of(x)


jax.tree_util.register_dataclass(Exact, [], ["psi_of"])


def _equation(potential, psi, **more):
    settings = _settings(**more)
    system = trained_box.system_of(potential, settings, unit=1.0)
    return dataclasses.replace(system.equation, ansatz=Exact(psi)), system.sampling.draw(jax.random.key(0))


def _product(x):
    return 2 * jnp.sin(jnp.pi * x[0]) * jnp.sin(2 * jnp.pi * x[1])


def _gaussian(x):
    """Ground state of -psi_xx - psi_yy / 4 - psi_zz + (x^2 + 9 y^2 + 4 z^2) psi, normalised on all of space."""
    return jnp.exp(-(x[0] ** 2) / 2 - 3 * x[1] ** 2 - x[2] ** 2) * (1 * 6 * 2 / jnp.pi**3) ** 0.25


@pytest.mark.parametrize(
    ("potential", "psi", "energy", "points"),
    [
        (SQUARE, _product, 5 * np.pi**2, 20),
        (several([[-6, 6], [-2.5, 2.5], [-4.2, 4.2]], "x**2 + 9*y**2 + 4*z**2", masses=[1, 4, 1]), _gaussian, 4.5, 36),
    ],
)
def test_an_exact_eigenfunction_has_no_residual(potential, psi, energy, points):
    equation, at = _equation(potential, psi, sampling={"points": points})
    params = {"psi": {"factor": jnp.ones(())}, "energy": jnp.asarray(energy)}
    terms = losses(jax.jit(equation.residuals)(params, at))
    assert float(terms["pde"]) < 1e-20
    assert float(terms["norm"]) < 1e-12
    fields = jax.jit(equation.fields)(params, at)
    np.testing.assert_allclose(equation.rayleigh_quotient(fields, at.weight), energy, rtol=1e-9)
    wrong = losses(jax.jit(equation.residuals)({**params, "energy": jnp.asarray(energy + 0.5)}, at))
    np.testing.assert_allclose(wrong["pde"], 0.25, rtol=1e-8)  # |delta E|^2


def test_psi_is_exactly_zero_at_the_walls():
    potential = several([[-1.1, 0.7], [0.3, 1e3], [-2, 5]], "x*y + 0*z")
    system = trained_box.system_of(potential, _settings(sampling={"points": 4}), unit=1.0)
    params = system.equation.ansatz.init(jax.random.key(1))
    low, high = trained_box.corners(potential)
    x = low + (high - low) * np.random.default_rng(0).random((60, 3))
    psi = jax.jit(jax.vmap(lambda place: system.equation.ansatz.psi(params, place)))
    assert np.all(np.abs(psi(x)) > 0)
    for axis in range(3):
        for wall in (low, high):
            at_wall = x.copy()
            at_wall[:, axis] = wall[axis]
            np.testing.assert_array_equal(psi(at_wall), 0)


def test_points_of_a_box_integrate_what_they_should():
    """Gauss-Legendre points do not cross a jump; the even and the random ones see it as well as their number allows."""
    jump = several([[0, 1], [0, 2]], "where(x < 0.3, 5, 0) + y")
    expected = 0.3 * 5 * 2 + 2
    for sampling, tolerance in (
        ({"name": "gauss_legendre", "points": 4}, 1e-13),
        ({"name": "uniform", "points": 50}, 0.1),
    ):
        drawn = trained_box.system_of(jump, _settings(sampling=sampling), 1.0).sampling.draw(jax.random.key(0))
        assert drawn.x.shape == (1, trained_box.points_of(jump, _settings(sampling=sampling).sampling), 2)
        np.testing.assert_allclose(np.sum(drawn.weight * jump.at(drawn.x)), expected, rtol=tolerance)
    chosen = _settings(sampling={"name": "random", "points": 20_000}, optimizer={"name": "adam"})
    sampling = trained_box.system_of(jump, chosen, 1.0).sampling
    one, other = (sampling.draw(jax.random.key(seed)) for seed in (0, 1))
    np.testing.assert_allclose(np.sum(one.weight * jump.at(one.x)), expected, rtol=0.05)
    assert one.x.shape == (1, 20_000, 2)
    assert not np.any(one.x == other.x)


@pytest.mark.usefixtures("optax_promotion")
@pytest.mark.parametrize("potential", [SQUARE, COUPLED], ids=["square", "coupled"])
def test_many_variational_starts_find_the_ground_state(potential, tmp_path):
    job = sweep.Job(potential, _settings(), Sweep(seeds=6, block=3))
    facts = sweep.run(job, tmp_path)
    assert facts["block"] == 3
    columns, _ = sweep_folder.read_blocks(tmp_path)
    assert list(statistics.outcomes(columns)) == ["right state"] * 6
    assert len(np.unique(columns["energy_start"])) == 6  # the starts are not one another
    level = trained_box.exact_levels(potential).energies[0]
    assert np.all(columns["energy_rayleigh"] > level * (1 - 1e-12))
    assert np.max(columns["relative_error_energy"]) < 1e-2
    assert np.all(np.abs(columns["energy_rayleigh"] - level) < columns["residual"])  # some level lies within it


@pytest.mark.usefixtures("optax_promotion")
def test_levels_in_turn_with_a_mass_of_each_axis():
    """Masses 1 and 4 in a box: E = pi^2 (n^2 + k^2 / 4)."""
    heavy = several([[0, 1], [0, 1]], "0*x + 0*y", masses=[1, 4])
    trained = trained_box.solve_trained(heavy, _settings(states=2))
    np.testing.assert_allclose(trained.rayleigh, np.pi**2 * np.array([1.25, 2]), rtol=1e-2)
    assert [state.outcome for state in trained.states] == ["right state"] * 2
    assert trained.status == "finished"
    assert set(trained.history["state"]) == {0, 1}
    assert {"step", "state", "pde", "norm", "orthogonality", "total", "energy"} <= set(trained.history)
    assert np.all(trained.doubt < 1e-9)
    at = np.array([[0.3, 0.2], [1.5, 0.5], [0.0, 0.5]])
    psi = trained.psi(at)
    assert psi.shape == (2, 3)
    np.testing.assert_array_equal(psi[:, 1:], 0)
    exact = np.array([1, 2])[:, None] * np.pi * at[:1, 1]
    np.testing.assert_allclose(np.abs(psi[:, :1]), np.abs(2 * np.sin(np.pi * 0.3) * np.sin(exact)), rtol=0.1)


@pytest.mark.usefixtures("optax_promotion")
def test_levenberg_marquardt_in_float32_with_the_exact_energy_lowers_the_residual():
    """The precision is kept: a float64 anywhere would be refused by strict promotion, or show in the parameters."""
    settings = _settings(
        precision="float32",
        optimizer={"name": "levenberg_marquardt", "steps": 6},
        energy="fixed",
        network={"width": 8, "depth": 1},
    )
    trained = trained_box.solve_trained(SQUARE, settings)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(trained.fit.params))
    np.testing.assert_allclose(trained.energy, 2 * np.pi**2, rtol=1e-6)
    assert trained.fit.history["total"][-1] < 0.2 * trained.fit.history["total"][0]
    assert trained.psi(np.full((5, 2), 0.5)).shape == (5,)
    assert trained.states[0].outcome == "right state"


@pytest.mark.usefixtures("optax_promotion")
def test_the_papers_square_box_runs_with_its_exact_energy():
    values = _cli.plain(_overrides.composed(["experiment=paper/box_2d", "optimizer.steps=5", "network.width=4"]))
    groups = ("network", "ansatz", "energy", "optimizer", "sampling", "loss", "start", "seed")
    settings = from_mapping(Settings, {key: values[key] for key in groups})
    potential = several(values["potential"]["domain"], values["potential"]["formula"])
    trained = trained_box.solve_trained(potential, settings)
    np.testing.assert_allclose(trained.energy, 2 * np.pi**2, rtol=1e-12)
    np.testing.assert_allclose(trained.history["energy"], trained.energy, rtol=1e-12)
    assert trained.history["total"][-1] < trained.history["total"][0]
    assert trained.fit.history["total"].shape == (5, 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"start": "ritz"}, "start.name=ritz"),
        ({"ansatz": "piecewise"}, "ansatz.name=piecewise"),
        ({"sampling": {"points": 1000}, "network": {"width": 64, "depth": 3}}, "sampling.points=1000"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(settings, words):
    with pytest.raises(ValueError, match=words) as error:
        trained_box.solve_trained(several([[0, 1]] * 3, "0*x + 0*y + 0*z"), _settings(**settings))
    assert "\n" not in str(error.value)


def test_four_axes_are_refused():
    with pytest.raises(ValueError, match="has 4 coordinates"):
        trained_box.solve_trained(several([[0, 1]] * 4, "x1 + x2 + x3 + x4"), _settings())
