"""`solve`: from a potential to a trained and measured wavefunction."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qpinn import settings as settings_module
from qpinn.analysis import evaluate
from qpinn.physics import domain, reference
from qpinn.settings import Settings
from qpinn.training import loop, optimizers
from qpinn.training.problem import Problem
from qpinn.types import Params
from qpinn.wavefunctions import ansatz as ansatz_module
from qpinn.wavefunctions.networks import MLP

LEVELS = 8
"""Exact levels that a trained state is compared with, to say which it is."""

QUICK = 2e7
"""Steps x residuals x parameters below which less compiling is worth more than faster steps."""


@dataclasses.dataclass(frozen=True)
class Solution:
    """A solved eigenproblem.

    energy     E, dimensionless (hbar^2 / (2 m L^2))
    psi(x)     the normalised-by-training wavefunction on positions (n,); zero outside the walls
    state      everything measured: errors against the reference, norm, nodes, which eigenstate it is
    history    columns over the steps: step, pde, norm, total, energy, step_size, seconds
    seconds    compile, train, reference, measure
    status     "finished", "stopped" or "non-finite"
    samples    psi, H psi and V on a grid
    """

    potential: Any
    settings: Settings
    state: evaluate.State
    history: dict[str, np.ndarray]
    samples: evaluate.Samples
    levels: reference.Eigenstates
    problem: Problem
    params: Params
    steps: int
    seconds: dict[str, float]
    status: str
    device: str

    @property
    def energy(self) -> float:
        return self.state.energy

    @property
    def errors(self) -> dict[str, float | None]:
        """Relative errors of E and of psi (L2), None where there is no reference."""
        return {"energy": self.state.relative_error_energy, "psi": self.state.relative_l2_psi}

    def psi(self, x: Any) -> np.ndarray:
        """psi at positions x of any shape, in the precision of the run; zero outside the walls."""
        with jax.enable_x64(self.settings.precision == "float64"):
            x = np.asarray(x, np.float64)
            flat = jnp.asarray(x.reshape(-1, 1), self.problem.ansatz.network.dtype)
            values = np.asarray(_psi(self.problem, self.params, flat), np.float64).reshape(x.shape)
        left, right = self.potential.domain
        return np.where((x >= left) & (x <= right), values, 0.0)

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))


@jax.jit
def _psi(problem: Problem, params: Params, x: Any) -> Any:
    return jax.vmap(lambda y: ansatz_module.psi(problem.ansatz, params["psi"], y))(x)


def solve(potential: Any, *, callbacks: Sequence[loop.Callback] = (), **settings: Any) -> Solution:
    """Train a neural wavefunction for the ground state of `potential` and measure it.

    -psi'' + V psi = E psi with psi = 0 at both walls and integral psi^2 = 1, dimensionless. Keyword arguments are the
    keys of the configuration, a group as a mapping or, for its defaults, as a name: `solve(potential, seed=3,
    network={"width": 32}, start="random")`. They default to the accurate route: piecewise ansatz, Ritz start,
    Levenberg-Marquardt. Works in float64 whatever JAX's own setting is, which is left as it was.

    Raises ValueError, naming key, value and what is allowed, before anything compiles.
    """
    chosen = settings_module.from_mapping(Settings, settings)
    return run(potential, chosen, callbacks)


def run(potential: Any, settings: Settings, callbacks: Sequence[loop.Callback] = ()) -> Solution:
    """`solve` for settings that are already checked."""
    device = check_device(settings.precision)
    seconds = {}
    begun = time.perf_counter()
    levels = exact_levels(potential)
    seconds["reference"] = time.perf_counter() - begun
    with jax.enable_x64(settings.precision == "float64"):
        problem, optimizer, sampling = build(potential, settings, levels)
        count = steps(settings)
        begun = time.perf_counter()
        seed = jnp.asarray(settings.seed)
        quick = loop.compiler_options(quick=True)
        jitted = jax.jit(loop.begin, static_argnames=("start", "state"), compiler_options=quick)
        begin = jitted.lower(problem, optimizer, sampling, seed, settings.start.name).compile()
        carry, energy_start = begin(problem, optimizer, sampling, seed)
        length = min(settings.optimizer.chunk, count)
        options = loop.compiler_options(quick=_work(carry, sampling, count) < QUICK)
        chunk = loop.compile_chunk(problem, optimizer, sampling, carry, seed, length, options)
        at = _as(settings.precision, evaluate.points(potential, np.asarray(problem.ansatz.edges), merged(settings)))
        measure = evaluate.compile_measure(problem, carry.state.params, at, quick)
        seconds["compile"] = time.perf_counter() - begun
        fit = loop.fit(chunk, carry, seed, count, length, callbacks)
        seconds["train"] = fit.seconds
        begun = time.perf_counter()
        fields, energy, rayleigh = jax.device_get(measure(problem, fit.params, at))
        energies = float(energy), float(energy_start), float(rayleigh)
        state = evaluate.state(fields, at, energies, float(fit.history["total"][-1]), levels)
        samples = evaluate.samples(fields, at)
        seconds["measure"] = time.perf_counter() - begun
    return Solution(
        potential, settings, state, fit.history, samples, levels, problem, fit.params, fit.steps, seconds, fit.status,
        device,
    )  # fmt: skip


def check_device(precision: str) -> str:
    """The device that will be used. Raises ValueError if it lacks `precision`."""
    device = jax.devices()[0]
    if precision == "float64" and device.platform == "tpu":
        raise ValueError("precision=float64: a TPU has no fast float64; allowed here: float32")
    return f"{device.platform}: {device.device_kind}"


def exact_levels(potential: Any) -> reference.Eigenstates:
    """The lowest exact levels."""
    return reference.exact(potential, LEVELS)


def build(
    potential: Any, settings: Settings, levels: reference.Eigenstates
) -> tuple[Problem, optimizers.Optimizer, domain.Sampling]:
    """Problem, optimiser and sampling as pytrees of arrays in the wanted precision."""
    mesh = domain.segment_edges(potential, phase=settings.ansatz.phase)
    if settings.energy.name == "fixed":
        value = settings.energy.value if settings.energy.value is not None else levels.energies[0]
    else:
        value = settings.energy.initial
    return build_on(potential, settings, mesh, 1, value)


def build_on(
    potential: Any, settings: Settings, mesh: np.ndarray, states: int, energy: float = 1.0
) -> tuple[Problem, optimizers.Optimizer, domain.Sampling]:
    """`build` on a given mesh, for the lowest `states` levels."""
    dtype = jnp.dtype(settings.precision)
    choice = settings.network
    network = MLP(choice.width, choice.depth, choice.activation, choice.init, choice.scale, dtype)
    edges = mesh[[0, -1]] if merged(settings) else mesh
    unit = settings.loss.unit or domain.energy_unit(potential, states)
    problem = Problem(
        potential, ansatz_module.ANSATZE[settings.ansatz.name](edges, network), settings.loss.residual,
        settings.loss.norm, unit, energy, settings.energy.name,
    )  # fmt: skip
    sampling = _sampling(settings.sampling, edges, mesh)
    return (*_as(settings.precision, (problem, _optimizer(settings.optimizer))), _as(settings.precision, sampling))


def steps(settings: Settings) -> int:
    """How many steps a run takes."""
    return settings.optimizer.steps or settings_module.OPTIMIZERS[settings.optimizer.name]


def merged(settings: Settings) -> bool:
    """Whether the ansatz has one segment, so that its points form one group."""
    return settings.ansatz.name == "envelope"


def _as(precision: str, tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, precision), tree)


def _sampling(choice: settings_module.SamplingChoice, edges: np.ndarray, mesh: np.ndarray) -> domain.Sampling:
    if choice.name == "random":
        return domain.RandomPoints(edges, choice.points)  # type: ignore[arg-type]
    if choice.name == "uniform":
        return domain.FixedPoints(domain.uniform(edges, choice.points))
    points = domain.gauss_legendre(mesh, choice.points)
    return domain.FixedPoints(points if len(edges) == len(mesh) else domain.merge(points))


def _optimizer(choice: settings_module.OptimizerChoice) -> optimizers.Optimizer:
    if choice.name == "levenberg_marquardt":
        return optimizers.LevenbergMarquardt(damping=choice.damping)
    steps = choice.steps or settings_module.OPTIMIZERS[choice.name]
    horizon = steps if choice.name == "adam" else max(choice.adam_steps, 1)
    adam = optimizers.Adam(choice.learning_rate, choice.final, horizon, choice.schedule)
    if choice.name == "adam":
        return adam
    return optimizers.AdamLBFGS(dataclasses.replace(adam, steps=choice.adam_steps), choice.memory)


def _work(carry: loop.Carry, sampling: Any, steps: int) -> float:
    parameters = sum(leaf.size for leaf in jax.tree.leaves(carry.state.params))
    points = sum(leaf.size for leaf in jax.tree.leaves(sampling))
    return float(steps) * parameters * points


def describe_route(settings: Settings) -> dict[str, Any]:
    """What the network was trained with, and whether it started from a projected solve."""
    s = settings
    projected = s.start.name == "ritz"
    start = "Rayleigh-Ritz start (projected solve on the linear parameters)" if projected else "random start"
    names = {"levenberg_marquardt": "Levenberg-Marquardt", "adam": "Adam", "adam_lbfgs": "Adam, then L-BFGS"}
    label = f"{s.ansatz.name} ansatz, {start}, {names[s.optimizer.name]}, E {s.energy.name}"
    return {
        "label": label, "ansatz": s.ansatz.name, "start": s.start.name, "projected_start": projected,
        "optimizer": s.optimizer.name, "energy": s.energy.name, "sampling": s.sampling.name, "precision": s.precision,
    }  # fmt: skip
