"""`solve`, as in a notebook."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import qpinn
from qpinn.drivers import settings
from qpinn.drivers.mapping import from_mapping


def test_solve_gives_everything(solved):
    assert solved.status == "finished"
    assert solved.steps == len(solved.history["step"]) == 15
    assert set(solved.errors) == {"energy", "psi"}
    assert set(solved.seconds) == {"planning", "compile", "train", "reference", "measure"}
    assert solved.psi(0.3).shape == ()
    assert solved.psi(np.zeros((2, 3))).shape == (2, 3)
    assert (solved.psi(np.array([-0.1, 0.0, 1.0, 1.1])) == 0).all()


@pytest.mark.parametrize("setting", [False, True])
def test_solve_is_in_float64_and_leaves_the_setting_as_it_found_it(setting):
    with jax.enable_x64(setting):
        solution = qpinn.solve(qpinn.potentials.infinite_well())
        assert jax.config.jax_enable_x64 is setting
        assert solution.psi(0.5).dtype == np.float64
        assert solution.state.relative_error_energy < 1e-12


@pytest.mark.parametrize(
    ("name", "same"),
    [({"network": "mlp"}, {}), ({"network": "shared"}, {"network": {"shared": True}}), ({"ends": "walls"}, {}),
     ({"ends": "periodic"}, {"ends": {"left": "periodic", "right": "periodic"}})],
)  # fmt: skip
def test_a_choice_may_be_given_by_its_name(name, same):
    assert from_mapping(settings.Settings, name) == from_mapping(settings.Settings, same)


def test_a_choice_that_is_none_is_one_line():
    with pytest.raises(ValueError, match=r"^network=cnn: unknown; allowed: mlp, shared$"):
        qpinn.solve(qpinn.potentials.barrier(), network="cnn")


def test_float32_is_float32():
    solution = qpinn.solve(qpinn.potentials.infinite_well(), precision="float32")
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(solution.params["lanes"]))
    assert 0 < solution.state.relative_error_energy < 1e-4


@pytest.mark.parametrize(("name", "states"), [("barrier", 3), ("two_deltas", 2)])
def test_float32_meets_the_tolerance_that_it_is_allowed_on_the_first_mesh(name, states):
    solution = qpinn.solve(
        getattr(qpinn.potentials, name)(), precision="float32", states=states, tol=settings.REACH["float32"]
    )
    assert all(solution.converged)
    assert solution.stats.rounds == 1


def test_psi_satisfies_the_equation_where_v_is_smooth(solved):
    """-psi'' + V psi = E psi by finite differences on psi itself."""
    h = 1e-4
    for x in (0.11, 0.45, 0.83):
        left, middle, right = solved.psi(np.array([x - h, x, x + h]))
        v = 50.0 if 0.4 < x < 0.6 else 0.0
        assert abs(-(left - 2 * middle + right) / h**2 + (v - solved.energy) * middle) < 1e-5 * solved.energy


def test_scaling_of_the_box_scales_the_energy():
    """E L^2 is the same for similar potentials."""
    small = qpinn.solve(qpinn.potentials.barrier())
    large = qpinn.solve(qpinn.potentials.barrier((0.0, 10.0), center=5.0, width=2.0, height=0.5))
    np.testing.assert_allclose(100 * large.energy, small.energy, rtol=1e-11)


@pytest.mark.parametrize("seed", range(6))
def test_potentials_that_nobody_chose(seed):
    rng = np.random.default_rng(100 + seed)
    length = 10 ** rng.uniform(-0.3, 1.2)
    width = length * rng.uniform(0.05, 0.7)
    build = [qpinn.potentials.finite_well, qpinn.potentials.barrier][seed % 2]
    center = rng.uniform(-0.48, 0.48) * (length - width)
    potential = build((-length / 2, length / 2), center, width, 10 ** rng.uniform(0, 2.5) / length)
    state = qpinn.solve(potential, seed=seed).state
    assert state.outcome == "right state"
    assert state.relative_error_energy < 1e-10
    assert state.relative_l2_psi < 1e-6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": {"width": -3}}, r"network\.width=-3: must be a whole number from 1 to 4096"),
        ({"network": {"widht": 3}}, r"network\.widht=3: unknown key; did you mean width\?"),
        ({"optimzer": "adam"}, r"optimzer=adam: unknown key; did you mean optimizer\?"),
        ({"seed": 1.5}, r"seed=1\.5: must be a whole number"),
        ({"precision": "float16"}, r"precision=float16: unknown"),
        ({"network": {"activation": "relu"}}, r"network\.activation=relu: its second derivative is zero"),
        ({"loss": {"norm": float("nan")}}, r"loss\.norm=nan: must be finite"),
        ({"optimizer": {"learning_rate": -1.0}}, r"optimizer\.learning_rate=-1"),
        ({"sampling": "random"}, r"sampling\.name=random: optimizer\.name=levenberg_marquardt"),
        ({"network": 3}, r"network=3: must be a group of keys"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        qpinn.solve(qpinn.potentials.barrier(), **settings)


def test_a_device_without_the_precision_is_refused(monkeypatch):
    class Tpu:
        platform, device_kind = "tpu", "TPU v5"

    monkeypatch.setattr(jax, "devices", lambda: [Tpu()])
    with pytest.raises(ValueError, match=r"precision=float64: a TPU has no fast float64; allowed here: float32"):
        qpinn.solve(qpinn.potentials.barrier())
