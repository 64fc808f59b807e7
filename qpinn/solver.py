"""`solve`: from a potential to trained, measured and certified wavefunctions."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qpinn import planning
from qpinn import settings as settings_module
from qpinn.analysis import certify, evaluate
from qpinn.physics import domain, reference
from qpinn.physics.units import Units
from qpinn.settings import Settings
from qpinn.training import loop, optimizers
from qpinn.training.problem import Fields, Problem
from qpinn.types import Params
from qpinn.wavefunctions import ansatz as ansatz_module
from qpinn.wavefunctions.networks import MLP, ROUGH

LEVELS = 8
"""Exact levels that a trained state is compared with at least, to say which it is."""

ROUNDS = 4
"""Meshes that are tried to meet a tolerance."""

TOLERANCE = 1e-8
"""What `converged` is measured by where no tolerance was given."""


@dataclasses.dataclass(frozen=True)
class Solution:
    """A solved eigenproblem: K states, a single one unless several were asked for.

    Lengths and energies are in the units of the settings: by default L and hbar^2 / (2 m L^2).

    energy      E of the first; energies (K,); bounds (K, 2), below and above
    psi(x)      wavefunctions on positions of any shape: x.shape where `states` was not given, else (K, *x.shape);
                zero outside the walls
    states      everything measured of each: errors against the reference, norm, nodes, bounds, expectation values
    dipoles     <i|x|j> (K, K)
    history     columns with an entry for each step and each state trained: step, state, pde, norm, orthogonality,
                total, energy, step_size, seconds
    params      of the states trained, each a lane, and how the states are mixed from them
    plan, levels, problem   what was trained and the reference, dimensionless whatever the units are
    seconds     compile, train, reference, measure
    status      "finished", "stopped" or "non-finite"
    samples     psi, H psi and V on a grid
    rounds      meshes that were tried
    """

    given: Any
    plan: planning.Plan
    settings: Settings
    states: list[evaluate.State]
    dipoles: np.ndarray
    history: dict[str, np.ndarray]
    samples: certify.Values
    levels: reference.Eigenstates
    problem: Problem
    params: Params
    steps: int
    seconds: dict[str, float]
    status: str
    device: str
    rounds: int

    @property
    def units(self) -> Units:
        return self.settings.units.units

    @property
    def potential(self) -> Any:
        """The potential as it was given, with its walls."""
        return self.plan.with_walls(self.given)

    @property
    def state(self) -> evaluate.State:
        """The first of the states."""
        return self.states[0]

    @property
    def energy(self) -> float:
        return self.state.energy

    @property
    def energies(self) -> np.ndarray:
        return np.array([state.energy for state in self.states])

    @property
    def bounds(self) -> np.ndarray:
        """Energies (K, 2) below and above each level; NaN where a bound does not exist."""
        bounds = [(state.lower, state.upper) for state in self.states]
        return np.array([[np.nan if bound is None else bound for bound in pair] for pair in bounds])

    @property
    def node_counts(self) -> list[int]:
        return [state.node_count for state in self.states]

    @property
    def converged(self) -> list[bool]:
        return [state.converged for state in self.states]

    @property
    def errors(self) -> dict[str, float | None]:
        """Relative errors of E and of psi (L2) of the lowest state."""
        return {"energy": self.state.relative_error_energy, "psi": self.state.relative_l2_psi}

    def psi(self, x: Any) -> np.ndarray:
        x = np.asarray(x, np.float64)
        with jax.enable_x64(self.settings.precision == "float64"):
            flat = jnp.asarray(x.reshape(-1, 1), self.problem.ansatz.network.dtype)
            lanes = np.asarray(_psi(self.problem, self.params["lanes"], flat), np.float64)
        left, right = self.plan.potential.domain
        inside = (x >= left) & (x <= right)
        mix = np.asarray(self.params["mix"], np.float64)
        values = np.where(inside, (mix.T @ lanes).reshape(-1, *x.shape), 0.0)
        shown = values[self.plan.shown]
        return shown[0] if self.settings.states is None else shown

    @property
    def edges(self) -> np.ndarray:
        """Edges of the segments of the ansatz."""
        edges = np.asarray(self.problem.ansatz.edges, np.float64)
        return domain.mirrored(edges) if self.plan.even else edges

    @property
    def parameters(self) -> int:
        """Number of trained parameters of all lanes."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params["lanes"]))


@jax.jit
def _psi(problem: Problem, lanes: Params, x: Any) -> Any:
    values, of = problem.lanes(jax.tree.leaves(lanes)[0].shape[0])

    def own(lane: Any, params: Params) -> Any:
        return jax.vmap(lambda y: ansatz_module.psi(of(lane).ansatz, params["psi"], y))(x)

    return jax.vmap(own)(values, lanes)


def solve(potential: Any, *, callbacks: Sequence[loop.Callback] = (), **settings: Any) -> Solution:
    """Train neural wavefunctions for the lowest levels of `potential`, measure them and bound their energies.

    -psi'' + V psi = E psi with psi = 0 at both walls and integral psi^2 = 1, dimensionless unless units="semiconductor"
    says that the numbers of the potential, and so those of the solution, are in nm and eV. Keyword arguments are the
    keys of the configuration, a group as a mapping or, for its defaults, as a name: `solve(potential, states=8,
    tol=1e-8, seed=3, network={"width": 32})`. They default to the accurate route: piecewise ansatz, Ritz start,
    Levenberg-Marquardt. Works in float64 whatever JAX's own setting is, which is left as it was.

    Raises ValueError, naming key, value and what is allowed, before anything compiles.
    """
    chosen = settings_module.from_mapping(Settings, settings)
    return run(potential, chosen, callbacks)


def run(potential: Any, settings: Settings, callbacks: Sequence[loop.Callback] = ()) -> Solution:
    """`solve` for settings that are already checked."""
    device = check_device(settings.precision)
    begun = time.perf_counter()
    known = planning.of(potential, settings)
    levels = exact_levels(known.potential, known.first + known.trained)
    seconds = {"reference": time.perf_counter() - begun, "compile": 0.0, "train": 0.0, "measure": 0.0}
    tol = settings.tol or TOLERANCE
    mesh = known.mesh
    with jax.enable_x64(settings.precision == "float64"):
        tried: list[tuple[float, _Trained]] = []
        while True:
            last = _train(known, settings, mesh, levels, callbacks, tried[-1][1] if tried else None)
            seconds = {key: value + last.seconds.get(key, 0.0) for key, value in seconds.items()}
            wide = (last.measured.bound.half_width / (tol * known.scale[known.indices]))[known.shown]
            tried.append((float(wide.max()), last))
            met = settings.tol is None or not (wide > 1).any()
            ended = last.fit.status != "finished" or last.fit.asked
            if met or ended or len(tried) == ROUNDS or len(mesh) > planning.MOST_SEGMENTS:
                break
            mesh = _refined(mesh, last.measured, known.shown, wide)
    if last.fit.status == "finished":
        last = min(reversed(tried), key=lambda one: one[0])[1]
    found = evaluate.states(last.measured, levels, known.scale, tol, known.indices)
    shown, scale = known.shown, settings.units.units.scale
    history = {**last.fit.history, "energy": last.fit.history["energy"] * scale}
    history["state"] = history["state"] + known.first
    return Solution(
        potential, known, settings, [state.times(scale) for state in found[shown]],
        evaluate.dipoles(last.measured.fine)[shown, shown], history,
        last.measured.grid.some(shown).times(scale), levels, last.problem,
        {"lanes": last.fit.params, "mix": last.mix}, last.fit.steps, seconds, last.fit.status, device, len(tried),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Trained:
    """The lanes trained on one mesh, how they are mixed if they were Ritz's, and what they are."""

    problem: Problem
    fit: loop.Fit
    mix: np.ndarray
    measured: evaluate.Measured
    seconds: dict[str, float]


def _train(
    known: planning.Plan,
    settings: Settings,
    mesh: np.ndarray,
    levels: reference.Eigenstates,
    callbacks: Sequence[loop.Callback],
    before: _Trained | None = None,
) -> _Trained:
    """Train on `mesh`, going on from what was trained `before` on a coarser one, and measure."""
    begun = time.perf_counter()
    value, highest = _energy_value(settings, levels)[known.indices], known.first + known.trained
    system = _build_on(known.potential, settings, mesh, highest, value, 1.0 if known.even else None)
    problem = system[0]
    seed = jnp.asarray(settings.seed)
    quick = loop.compiler_options(quick=True)
    count_of = settings.sampling.points if settings.sampling.name == "gauss_legendre" else 0
    rules = evaluate.rules(known.potential, np.asarray(problem.ansatz.edges), mesh, count_of, known.even)
    at = _as(settings.precision, rules.points)
    values, of = problem.lanes(known.trained)
    lanes = jax.eval_shape(jax.vmap(lambda energy: of(energy).init(jax.random.key(0))), values)
    measure = jax.jit(evaluate.measure, compiler_options=quick).lower(problem, lanes, at).compile()
    seconds = {"compile": time.perf_counter() - begun}
    if settings.in_turn:
        weight = settings.loss.orthogonality
        fit = loop.in_turn(system, seed, course(settings), known.trained, weight, callbacks)
    else:
        inherited = None
        if before is not None:
            inherited = problem.ansatz.inherit(before.problem.ansatz.edges, before.fit.params["psi"])
        fit = loop.together(system, seed, course(settings), known.trained, callbacks, inherited)
    seconds = {"compile": seconds["compile"] + fit.seconds["compile"], "train": fit.seconds["train"]}
    begun = time.perf_counter()
    fields, energy = jax.device_get(measure(problem, fit.params, at))
    measured, mix = _measured(known, settings, rules, fit, fields, np.asarray(energy, np.float64))
    seconds["measure"] = time.perf_counter() - begun
    return _Trained(problem, fit, mix, measured, seconds)


def _measured(
    known: planning.Plan, settings: Settings, rules: evaluate.Rules, fit: loop.Fit, fields: Fields, energy: np.ndarray
) -> tuple[evaluate.Measured, np.ndarray]:
    """The functions of a fit with their bounds, and how they are mixed: by Ritz, where the start was his."""
    fine, check, grid = (rules.values(fields, name) for name in ("fine", "check", "grid"))
    mix = certify.ritz(fine, known.even)
    mixed, coarse, on_grid = (values.mixed(mix) for values in (fine, check, grid))
    bound = certify.certify(mixed, coarse, known.sigma, float(jnp.finfo(settings.precision).eps), known.floor)
    bound = certify.beyond_walls(bound, on_grid, known.chosen)
    seen = known.followed and evaluate.resolved(rules, fit.params) and evaluate.smooth(rules, fine)
    if settings.network.activation in ROUGH or not seen:
        bound = bound.withdrawn()  # psi is not in the domain of H, or is not known between the points
    if settings.start.name == "ritz":
        energies = np.stack([bound.energies, fit.energy_start])
        return evaluate.Measured(mixed, on_grid, bound, energies, fit.losses), mix
    # each function as it was trained; the bounds are those of the best that can be made of them
    energies = np.stack([energy, fit.energy_start])
    return evaluate.Measured(fine, grid, certify.unmixed(bound, fine), energies, fit.losses), np.eye(known.trained)


def _refined(mesh: np.ndarray, last: evaluate.Measured, shown: slice, wide: np.ndarray) -> np.ndarray:
    """The mesh with those segments halved that make bounds wider (by a factor `wide`) than they may be."""
    here = last.fine.x < mesh[-1]  # of the whole box, or of its left half
    owner = np.searchsorted(mesh, last.fine.x[here], side="right") - 1
    residual = (last.fine.h_psi - last.bound.energies[:, None] * last.fine.psi)[shown][:, here] ** 2
    residual = residual * last.fine.weight[here]
    share = np.array([np.bincount(owner, row, len(mesh) - 1) for row in residual])
    share = share / share.sum(axis=1, keepdims=True) * wide[:, None]  # above 1 in all: too wide
    cut = (share * (len(mesh) - 1) > 0.3).any(axis=0) if np.isfinite(share).all() else np.ones(len(mesh) - 1, bool)
    return np.sort(np.concatenate([mesh, (mesh[:-1] + mesh[1:])[cut] / 2]))


def check_device(precision: str) -> str:
    """The device that will be used. Raises ValueError if it lacks `precision`, or there is none."""
    try:
        device = jax.devices()[0]
    except (RuntimeError, AssertionError):  # JAX asserts where a backend that it knows has no device
        wanted = jax.config.jax_platforms or ""  # type: ignore[attr-defined]
        raise ValueError(
            f"JAX_PLATFORMS={wanted}: no such device on this machine; leave it out, or set it to cpu"
        ) from None
    if precision == "float64" and device.platform == "tpu":
        raise ValueError("precision=float64: a TPU has no fast float64; allowed here: float32")
    return f"{device.platform}: {device.device_kind}"


@functools.lru_cache(maxsize=16)
def exact_levels(potential: Any, states: int = 1) -> reference.Eigenstates:
    """The lowest levels of a potential with walls: `states` of them, and at least `LEVELS`."""
    return reference.best(potential, max(states, LEVELS))


def _energy_value(settings: Settings, levels: reference.Eigenstates) -> np.ndarray:
    """E of each level, if it is fixed, or where it starts."""
    if settings.energy.name != "fixed":
        return np.full(len(levels.energies), settings.energy.initial)
    if settings.energy.value is not None:
        return np.full(len(levels.energies), settings.energy.value)
    return np.asarray(levels.energies)


def build(potential: Any, settings: Settings, levels: reference.Eigenstates) -> loop.System:
    """Problem, optimiser and sampling for a single level, as pytrees of arrays in the wanted precision."""
    index = settings.state or 0
    mesh, even = planning.segments(potential, index + 1, settings.ansatz.phase, settings.by_parity)
    parity = (1.0 - 2.0 * (index % 2)) if even else None
    return _build_on(potential, settings, mesh, index + 1, _energy_value(settings, levels)[index], parity)


def _build_on(
    potential: Any, settings: Settings, mesh: np.ndarray, states: int, energy: np.ndarray | float,
    parity: float | None = None,
) -> loop.System:  # fmt: skip
    """`build` on a given mesh (of the left half of the box, for a parity), for the lowest `states` levels."""
    dtype = jnp.dtype(settings.precision)
    choice = settings.network
    network = MLP(choice.width, choice.depth, choice.activation, choice.init, choice.scale, dtype)
    unit = settings.loss.unit or domain.energy_unit(potential, states)
    ansatz = ansatz_module.on_mesh(settings.ansatz.name, mesh, network, potential, parity)
    problem = Problem(
        potential, ansatz, settings.loss.residual, settings.loss.norm, unit, energy, settings.energy.name,
    )  # fmt: skip
    sampling = _sampling(settings.sampling, np.asarray(ansatz.edges), mesh, parity is not None)
    return (*_as(settings.precision, (problem, _optimizer(settings))), _as(settings.precision, sampling))


def course(settings: Settings) -> loop.Course:
    """How a run starts, and how many steps it takes."""
    steps = settings.optimizer.steps or settings_module.OPTIMIZERS[settings.optimizer.name]
    return loop.Course(settings.start.name, steps, settings.optimizer.chunk)


def merged(settings: Settings) -> bool:
    """Whether the ansatz has one segment, so that its points form one group."""
    return settings.ansatz.name == "envelope"


def _as(precision: str, tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, precision), tree)


def _sampling(
    choice: settings_module.SamplingChoice, edges: np.ndarray, mesh: np.ndarray, half: bool
) -> domain.Sampling:
    if choice.name == "random":
        return domain.RandomPoints(edges, choice.points)  # type: ignore[arg-type]
    if choice.name == "uniform":
        return domain.FixedPoints(domain.uniform(edges, choice.points))
    points = domain.gauss_legendre(mesh, choice.points)
    points = points.for_both_halves() if half else points
    return domain.FixedPoints(points if len(edges) == len(mesh) else domain.merge(points))


def _optimizer(settings: Settings) -> optimizers.Optimizer:
    choice = settings.optimizer
    if choice.name == "levenberg_marquardt":
        return optimizers.LevenbergMarquardt(damping=choice.damping)
    horizon = course(settings).steps if choice.name == "adam" else max(choice.adam_steps, 1)
    adam = optimizers.Adam(choice.learning_rate, choice.final, horizon, choice.schedule)
    if choice.name == "adam":
        return adam
    return optimizers.AdamLBFGS(dataclasses.replace(adam, steps=choice.adam_steps), choice.memory)


def describe_route(settings: Settings) -> dict[str, Any]:
    """What the network was trained with, and whether it started from a projected solve."""
    s = settings
    projected = s.start.name == "ritz"
    start = "Rayleigh-Ritz start (projected solve on the linear parameters)" if projected else "random start"
    if s.in_turn:
        start += "s in turn, orthogonal to those below"
    names = {"levenberg_marquardt": "Levenberg-Marquardt", "adam": "Adam", "adam_lbfgs": "Adam, then L-BFGS"}
    label = f"{s.ansatz.name} ansatz, {start}, {names[s.optimizer.name]}, E {s.energy.name}"
    return {
        "label": label, "ansatz": s.ansatz.name, "start": s.start.name, "projected_start": projected,
        "optimizer": s.optimizer.name, "energy": s.energy.name, "sampling": s.sampling.name, "precision": s.precision,
    }  # fmt: skip
