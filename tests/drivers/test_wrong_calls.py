"""What people hand to `solve` and the builders by mistake: refused in one line, by name; what means the same works."""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn import potentials
from qpinn.drivers import eigenstates
from qpinn.drivers.mapping import from_mapping

X = np.linspace(-3.0, 3.0, 41)
BARRIER = potentials.barrier()
THREE = {"thickness": [10, 8, 10], "offset": [0.3, 0, 0.3], "mass": [0.1] * 3}
DATA = pathlib.Path(__file__).parent.parent / "data"


class PlannedError(Exception):
    """Everything was taken, and training would begin."""


@pytest.fixture(autouse=True)
def _no_training(monkeypatch):
    def begin(*_, **__):
        raise PlannedError

    monkeypatch.setattr(eigenstates, "_train", begin)


class Bare:
    """A potential whose class JAX does not know."""

    domain, breakpoints, name = (0.0, 1.0), (), "bare"

    def at(self, x):
        return 0.0 * x[..., 0]


def nan_at(index):
    return np.where(np.arange(41) == index, np.nan, X**2)


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (None, {}, "potential=None: must be one of qpinn.potentials, a pair of arrays"),
        ({"name": "barrier"}, {}, "potential={'name': 'barrier'}: must be one of"),
        (b"x", {"domain": (0, 1)}, "potential=b'x': must be one of"),
        (
            potentials.barrier,
            {},
            "potential=barrier: must be called with its numbers, as in qpinn.potentials.barrier()",
        ),
        (Bare(), {}, "potential=Bare: must be a pytree of its numbers"),
        ((X, X**2 + 0j), {}, "potential.V: has complex numbers; must be real"),
        ((X, nan_at(27)), {}, "potential.V: number 28=nan: must be within"),
        (([], []), {}, "potential.x, V: have 0 and 0 numbers"),
        (("a", "b"), {}, "potential.x=a: must be numbers"),
        (np.stack([X, X]), {}, "a pair of arrays (x, V)"),
        ("x**2", {"domain": (3, -3)}, "potential.domain=[3, -3]: the left wall must be smaller"),
        ("x**2", {"domain": {"a": 1}}, "potential.domain={'a': 1}: must be two numbers"),
        ("x**2", {"domain": (0, 1j)}, "potential.domain=(0, 1j): must be two numbers"),
        ("10*eV*x**2", {"domain": (-3, 3)}, "eV is a unit; x and V are numbers, in the units that the key units"),
        (BARRIER, {"breakpoints": np.array([0.2, 0.4])}, "breakpoints=[0.2, 0.4]: has an effect only with"),
        (BARRIER, {"states": 0}, "states=0: must be a whole number from 1 to 256"),
        (BARRIER, {"states": "all"}, "states=all: barrier has no end of bound states"),
        (BARRIER, {"states": np.array([1, 2])}, "states=[1, 2]: must be a whole number"),
        (BARRIER, {"states": True}, "states=True: must be a whole number"),
        (BARRIER, {"tol": -1}, "tol=-1: must lie below 1"),
        (BARRIER, {"tol": 1j}, "tol=1j: must be a number"),
        (BARRIER, {"seed": jax.random.key(0)}, "seed=Array("),
        (BARRIER, {"ends": {"left": 3}}, "ends.left=3: must be a word"),
        (BARRIER, {"ends": None}, "ends=None: must be a group of keys"),
        (BARRIER, {"network": {"activation": jnp.tanh}}, "network.activation=<PjitFunction"),
        (BARRIER, {"optimizer": {"numbers": 3}}, "optimizer.numbers=3: must be a group of keys"),
        (BARRIER, {"optimizer": {"numbers": {"dampling": 1.0}}}, "optimizer.dampling=1.0: unknown key; did you mean d"),
        (BARRIER, {"mass": 0.067}, 'mass=0.067: unknown key; did you mean hamiltonian={"mass": ...} or units={"mass":'),
        (BARRIER, {"length": "nm"}, 'length=nm: unknown key; did you mean units={"length": ...}? allowed: ansatz,'),
        (BARRIER, {"widht": 8}, 'widht=8: unknown key; did you mean network={"width": ...}? allowed'),
        (BARRIER, {"damping": 1}, 'damping=1: unknown key; did you mean optimizer={"damping": ...}? allowed'),
        (
            BARRIER,
            {"domains": (0, 1)},
            "domains=(0, 1): unknown key; did you mean domain? allowed: ansatz, breakpoints",
        ),
        (BARRIER, {"hamilton": {}}, "hamilton={}: unknown key; did you mean hamiltonian? allowed: "),
        (BARRIER, {"callback": [print]}, "callback=[<built-in function print>]: unknown key; did you mean callbacks?"),
        (BARRIER, {"xyzzy": X}, "xyzzy=array("),
        (BARRIER, {"callbacks": print}, "callbacks=<built-in function print>: must be functions in brackets"),
        (BARRIER, {"callbacks": [3]}, "callbacks=[3]: must be functions in brackets"),
        (BARRIER, {"units": {"name": "semiconductor", "mass": 0}}, "units.mass=0: must lie from"),
        (BARRIER, {"units": {"name": "semiconductor", "mass": np.inf}}, "units.mass=inf: must be finite"),
        (BARRIER, {"units": {"name": "semiconductor", "energy": "nm"}}, "units.energy=nm: unknown; allowed: eV"),
        (BARRIER, {"units": {"mass_unit": "amu"}}, "units.mass_unit=amu: has an effect only with units=semiconductor"),
        (BARRIER, {"precision": np.float32}, "precision=<class 'numpy.float32'>: must be a word"),
    ],
)
def test_a_wrong_call_is_one_line_that_begins_with_the_key(given, settings, message):
    with pytest.raises(ValueError, match=r"^[\w.]+[=:, ]") as refused:
        qpinn.solve(given, **settings)
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: potentials.barrier(height=None), "potential.height=None: must be a number"),
        (lambda: potentials.barrier(height=np.array([1.0, 2.0])), "potential.height=[1.0, 2.0]: must be a number"),
        (lambda: potentials.layers(**{**THREE, "mass": 0.1}), "potential.mass=0.1: must be numbers in brackets"),
        (lambda: potentials.layers(**{**THREE, "mass": [0.1, -1, 0.1]}), "potential.mass: number 2=-1: must be posit"),
        (
            lambda: potentials.layers(**{**THREE, "offset": [0.1, np.nan, 0]}),
            "potential.offset: number 2=nan: must be ",
        ),
        (lambda: potentials.sampled(file=3), "potential.file=3: must be the path of a file"),
        (
            lambda: potentials.sampled(file=DATA / "well.csv", columns=3),
            "potential.columns=3: must be names or numbers",
        ),
        (lambda: qpinn.energies(None), "potential=None: must be one of qpinn.potentials"),
    ],
)
def test_builders_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=r"^potential") as refused:
        call()
    assert str(refused.value).startswith(message)


def test_gradients_of_what_is_no_solution():
    with pytest.raises(TypeError, match=r"^solution=None: must be what qpinn\.solve returns$"):
        qpinn.gradients(None)


@pytest.mark.parametrize("number", [int, np.int64, np.int32, np.float64, lambda value: jnp.asarray(value), np.array])
def test_numbers_of_numpy_and_jax_are_numbers(number):
    settings = {"states": number(2), "seed": number(3), "network": {"width": number(4)}}
    with pytest.raises(PlannedError):
        qpinn.solve(potentials.barrier(height=number(50), domain=(number(0), number(1))), **settings)
    assert potentials.kronig_penney(count=number(4) if number is not np.float64 else 4).count == 4
    assert potentials.barrier(height=number(50)) == BARRIER


@pytest.mark.parametrize("array", [np.array, jnp.array, tuple])
def test_arrays_are_rows_of_numbers(array):
    with pytest.raises(PlannedError):
        qpinn.solve("where(x < 0.5, 0, 1)*x", domain=array([-3.0, 3.0]), breakpoints=array([0.25]))
    assert potentials.harmonic(domain=array([-9.0, 9.0])) == potentials.harmonic(domain=(-9.0, 9.0))
    layers = potentials.layers(**{key: array([float(value) for value in values]) for key, values in THREE.items()})
    np.testing.assert_allclose(layers.edges, [0, 10, 18, 28])


def test_numbers_of_an_optimiser_may_be_a_group_as_they_are_written_in_results():
    settings = from_mapping(eigenstates.Settings, {"optimizer": {"numbers": {"damping": 1e-3}}})
    assert settings.optimizer.numbers["damping"] == 1e-3
