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

from qpinn.analysis import errors, observables
from qpinn.analysis.quadratures import Quadratures, quadratures
from qpinn.bounds import certify
from qpinn.drivers import budget, discretize
from qpinn.drivers import settings as settings_module
from qpinn.drivers.clock import Clock
from qpinn.drivers.settings import Settings
from qpinn.equations.eigenvalue import Eigenvalue, Fields
from qpinn.geometry.mesh import mirrored
from qpinn.geometry.quadrature import FixedPoints, RandomPoints, Sampling, gauss_legendre, merge, uniform
from qpinn.physics import reference as reference_module
from qpinn.physics import symmetry
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.reference import Eigenstates, SizeError
from qpinn.physics.resolution import energy_unit
from qpinn.physics.units import Units
from qpinn.training import loop, shared, starts
from qpinn.training.lanes import Lanes, System, side_by_side
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.typing import Params
from qpinn.wavefunctions.ansatz import ansatz_of, is_linear
from qpinn.wavefunctions.networks import MLP

LEVELS = 8
"""Levels of the reference that a trained state is compared with at least, to say which it is."""

ROUNDS = 4
"""Meshes that are tried to meet a tolerance."""


@dataclasses.dataclass(frozen=True)
class Solution:
    """A solved eigenproblem: K states, a single one unless several were asked for.

    Lengths and energies are in the units of the settings: by default L and hbar^2 / (2 m L^2).

    energy      E of the first; energies (K,); bounds (K, 2), below and above
    psi(x)      wavefunctions on positions of any shape: x.shape where `states` was not given, else (K, *x.shape);
                zero outside the walls
    measured    everything measured of each: norm, nodes, bounds, expectation values
    reference   levels from another method with their own errors, computed when they are first asked for; None where
                they would be too large a problem
    states      `measured` with the errors against the reference, as far as it vouches for them
    dipoles     <i|x|j> (K, K)
    history     columns with an entry for each step and each state trained: step, state, pde, norm, orthogonality,
                total, energy, step_size, seconds
    params      of the states trained, each a lane, and how the states are mixed from them
    plan, trained, fine, lanes   what was trained and what came out, dimensionless whatever the units are
    seconds     planning, reference (where training needed one), compile, train, measure: together all of `run`
    status      "finished", "stopped" or "non-finite"
    samples     psi, H psi and V on a grid
    rounds      meshes that were tried
    """

    given: Any
    plan: discretize.Plan
    settings: Settings
    trained: list[observables.State]
    fine: certify.Values
    dipoles: np.ndarray
    history: dict[str, np.ndarray]
    samples: certify.Values
    lanes: Lanes
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
    def equation(self) -> Eigenvalue:
        """The equation that was trained; where lanes differ in a number, it has one for each."""
        return self.lanes.system.equation

    @property
    def potential(self) -> Any:
        """The potential as it was given, with its walls."""
        return self.plan.with_walls(self.given)

    @functools.cached_property
    def measured(self) -> list[observables.State]:
        return [state.times(self.units.scale) for state in self.trained]

    @functools.cached_property
    def reference(self) -> Eigenstates | None:
        """Dimensionless. None where it would be too large a problem."""
        try:
            return reference_of(self.plan)
        except SizeError:
            return None

    def against(self, levels: Eigenstates | None) -> list[observables.State]:
        """The states with their errors against `levels`."""
        if levels is None:
            return self.measured
        return [state.times(self.units.scale) for state in errors.against(self.trained, self.fine, levels)]

    @functools.cached_property
    def states(self) -> list[observables.State]:
        return self.against(self.reference)

    @property
    def state(self) -> observables.State:
        """The first of the states."""
        return self.states[0]

    @property
    def energy(self) -> float:
        return self.measured[0].energy

    @property
    def energies(self) -> np.ndarray:
        return np.array([state.energy for state in self.measured])

    @property
    def bounds(self) -> np.ndarray:
        """Energies (K, 2) below and above each level; NaN where a bound does not exist."""
        bounds = [(state.lower, state.upper) for state in self.measured]
        return np.array([[np.nan if bound is None else bound for bound in pair] for pair in bounds])

    @property
    def scale(self) -> np.ndarray:
        """What `tol` and `converged` are relative to (K,): |E|, or a tenth of the spacing where E is near zero."""
        energies = np.array([state.energy_rayleigh for state in self.trained])
        padded = np.full(self.plan.trained, np.nan)
        padded[self.plan.shown] = energies
        return observables.scales(self.plan, padded)[self.plan.shown] * self.units.scale

    @property
    def node_counts(self) -> list[int | None]:
        return [state.node_count for state in self.measured]

    @property
    def converged(self) -> list[bool]:
        return [state.converged for state in self.measured]

    @property
    def errors(self) -> dict[str, float | None]:
        """Relative errors of E and of psi (L2) of the lowest state."""
        return {"energy": self.state.relative_error_energy, "psi": self.state.relative_l2_psi}

    def psi(self, x: Any) -> np.ndarray:
        x = np.asarray(x, np.float64)
        with jax.enable_x64(self.settings.precision == "float64"):
            flat = jnp.asarray(x.reshape(-1, 1), self.equation.ansatz.dtype)
            lanes = np.asarray(_psi(self.lanes, self.params["lanes"], flat), np.float64)
        left, right = self.plan.potential.domain
        inside = (x >= left) & (x <= right) | ends_of(self.plan.potential).ring
        mix = np.asarray(self.params["mix"], np.float64)
        values = np.where(inside, (mix.T @ lanes).reshape(-1, *x.shape), 0.0)
        shown = values[self.plan.shown]
        return shown[0] if self.settings.states is None else shown

    @property
    def edges(self) -> np.ndarray:
        """Edges of the segments of the ansatz."""
        edges = np.asarray(self.equation.ansatz.edges, np.float64)
        return mirrored(edges) if self.plan.even else edges

    @property
    def parameters(self) -> int:
        """Number of parameters of all lanes; hidden units that lanes share are counted once for each parity."""
        lanes = self.params["lanes"]
        networks = 2 if self.plan.even and self.plan.trained > 1 else 1
        once = jax.tree.map(lambda linear: self.settings.shared and not linear, is_linear(lanes["psi"]))
        sizes = jax.tree.map(lambda leaf, flag: leaf[:networks].size if flag else leaf.size, lanes["psi"], once)
        return sum(jax.tree.leaves(sizes)) + (lanes["energy"].size if "energy" in lanes else 0)


@jax.jit
def _psi(lanes: Lanes, params: Params, x: Any) -> Any:
    def values(system: System, params: Params) -> Any:
        return jax.vmap(lambda place: system.equation.ansatz.psi(params["psi"], place))(x)

    return lanes.over(values, params)


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
    clock = Clock()
    device = check_device(settings.precision)
    plan = discretize.of(potential, settings)
    budget.check(settings, len(plan.mesh) - 1, plan.trained)
    clock.lap("planning")
    energy = _energy_value(settings, plan)
    clock.lap("reference")
    tol = settings.tol or certify.TOLERANCE
    mesh = plan.mesh
    with jax.enable_x64(settings.precision == "float64"):
        tried: list[tuple[float, _Trained]] = []
        while True:
            last = _train(plan, settings, mesh, energy, callbacks, clock, tried[-1][1] if tried else None)
            bound = last.measured.bound
            wide = (bound.half_width / (tol * observables.scales(plan, bound.energies)))[plan.shown]
            tried.append((float(wide.max()), last))
            met = settings.tol is None or not (wide > 1).any()
            ended = last.fit.status != "finished" or last.fit.asked
            if met or ended or len(tried) == ROUNDS or len(mesh) > discretize.MOST_SEGMENTS:
                break
            mesh = _refined(mesh, last.measured, plan.shown, wide)
            if budget.needed(settings, len(mesh) - 1, plan.trained) > budget.MOST_BYTES:
                break
    if last.fit.status == "finished":
        last = min(reversed(tried), key=lambda one: one[0])[1]
    cutting = observables.cut_by_walls(plan.potential, plan.chosen)
    trained = observables.states(last.measured, plan, tol, symmetry.is_even(plan.potential), cutting)
    shown, scale = plan.shown, settings.units.units.scale
    history = {**last.fit.history, "energy": last.fit.history["energy"] * scale}
    history["state"] = history["state"] + plan.first
    dipoles = observables.dipoles(last.measured.fine)[shown, shown]
    clock.lap("measure")
    return Solution(
        given=potential, plan=plan, settings=settings, trained=trained[shown], fine=last.measured.fine.some(shown),
        dipoles=dipoles, history=history, samples=last.measured.grid.some(shown).times(scale), lanes=last.lanes,
        params={"lanes": last.fit.params, "mix": last.mix}, steps=last.fit.steps, seconds=clock.seconds,
        status=last.fit.status, device=device, rounds=len(tried),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Trained:
    """The lanes trained on one mesh, how they are mixed if they were Ritz's, and what they are."""

    lanes: Lanes
    fit: loop.Fit
    mix: np.ndarray
    measured: observables.Measured


def _train(
    plan: discretize.Plan,
    settings: Settings,
    mesh: np.ndarray,
    energy: np.ndarray,
    callbacks: Sequence[loop.Callback],
    clock: Clock,
    before: _Trained | None = None,
) -> _Trained:
    """Train on `mesh`, going on from what was trained `before` on a coarser one, and measure.

    energy  (trained,), see `_energy_value`
    """
    highest = plan.first + plan.trained
    systems = _systems(plan, settings, mesh, energy)
    lanes = cast(settings.precision, side_by_side(systems))
    places = jnp.asarray(plan.indices // 2 if plan.even else plan.indices)
    ansatz = lanes.system.equation.ansatz
    quick = loop.compiler_options(quick=True)
    count_of = settings.sampling.points if settings.sampling.name == "gauss_legendre" else 0
    rules = quadratures(plan.potential, np.asarray(ansatz.edges), mesh, count_of, highest, plan.even)
    at = cast(settings.precision, rules.points)
    shapes = jax.eval_shape(lambda: lanes.over(lambda system, _: system.equation.init(jax.random.key(0)), places))
    measure = jax.jit(observables.measure, compiler_options=quick).lower(lanes, shapes, at).compile()
    clock.lap("compile")
    if settings.shared:
        fit = _shared(systems, plan, settings)
    elif settings.in_turn:
        turns = [cast(settings.precision, system) for system in systems]
        fit = loop.in_turn(turns, settings.seed, course(settings), settings.loss.orthogonality, callbacks)
    else:
        inherited = None
        if before is not None:
            coarse = before.lanes.system.equation.ansatz.edges
            inherited = ansatz.wavefunction.inherited(before.fit.params["psi"], coarse, ansatz.mesh)
        fit = loop.together(lanes, jnp.asarray(settings.seed), places, course(settings), callbacks, inherited)
    clock.lap("train", compile=fit.seconds["compile"])
    fields, ended = jax.device_get(measure(lanes, fit.params, at))
    network = ansatz.wavefunction.mlp
    measured, mix = _measured(plan, settings, rules, network, fit, fields, np.asarray(ended, np.float64))
    clock.lap("measure")
    return _Trained(lanes=lanes, fit=fit, mix=mix, measured=measured)


def _shared(systems: list[System], plan: discretize.Plan, settings: Settings) -> loop.Fit:
    """All levels in the basis of one network, those of each parity in one solve."""
    sectors = 2 if plan.even and plan.trained > 1 else 1
    lanes = cast(settings.precision, side_by_side(systems[:sectors]))
    places = jnp.tile(jnp.arange(-(-plan.trained // sectors)), (sectors, 1))
    seed = jnp.asarray(settings.seed)

    def levels(lanes: Lanes, seed: Any, places: Any) -> Any:
        return lanes.over(lambda system, places: shared.levels(system, seed, places), places)

    begun = time.perf_counter()
    solve_all = (
        jax.jit(levels, compiler_options=loop.compiler_options(quick=False)).lower(lanes, seed, places).compile()
    )
    compiled = time.perf_counter()
    # even and odd in turn
    params, energies, records = jax.tree.map(
        lambda leaf: jnp.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:])[: plan.trained],
        solve_all(lanes, seed, places),
    )
    seconds = {"compile": compiled - begun, "train": time.perf_counter() - compiled}
    columns = loop.history(jax.tree.map(lambda leaf: leaf[:, None], records), 0, 1, seconds["train"])
    return loop.Fit(
        params=params, history={name: column.ravel() for name, column in columns.items()}, losses=columns["total"][-1],
        energy_start=np.asarray(energies), steps=0, seconds=seconds, status="finished", asked=False,
    )  # fmt: skip


def _systems(plan: discretize.Plan, settings: Settings, mesh: np.ndarray, energy: np.ndarray) -> list[System]:
    """A system for each trained level, even and odd in turn where the plan says so."""
    unit = settings.loss.unit or energy_unit(plan.potential, plan.first + plan.trained)
    parities = 1.0 - 2.0 * (plan.indices % 2) if plan.even else [None] * plan.trained
    of_parity: dict[float | None, System] = {}
    for parity in parities:
        if parity not in of_parity:
            of_parity[parity] = build_on(plan.potential, settings, mesh, unit, parity)
    return [
        system._replace(equation=dataclasses.replace(system.equation, energy_value=np.asarray(value)))
        for system, value in zip(map(of_parity.__getitem__, parities), energy, strict=True)
    ]


def _measured(
    plan: discretize.Plan,
    settings: Settings,
    rules: Quadratures,
    network: MLP,
    fit: loop.Fit,
    fields: Fields,
    energy: np.ndarray,
) -> tuple[observables.Measured, np.ndarray]:
    """The functions of a fit with their bounds, and the matrix (K, K) that makes them of the lanes.

    After a Ritz start they are the Ritz functions of the lanes, else the lanes themselves.
    """
    fine, check, grid = (rules.values(fields, name) for name in ("fine", "check", "grid"))
    mix = certify.ritz(fine, plan.even)
    mixed, coarse, on_grid = (values.mixed(mix) for values in (fine, check, grid))
    bound = certify.certify(mixed, coarse, plan.sigma, float(jnp.finfo(settings.precision).eps), plan.floor)
    bound = certify.beyond_walls(bound, on_grid, plan.chosen)
    lost = observables.contradicted(plan, bound)
    if settings.start.name == "ritz":
        lost = lost or bool(observables.strayed(plan, bound.energies).any())
    if lost or not rules.resolves(network, fit.params):
        bound = bound.withdrawn()
    if settings.start.name == "ritz":
        energies = np.stack([bound.energies, fit.energy_start])
        measured = observables.Measured(fine=mixed, grid=on_grid, bound=bound, energies=energies, losses=fit.losses)
        return measured, mix
    # each function as it was trained; the bounds are those of the best that can be made of them
    energies = np.stack([energy, fit.energy_start])
    bound = certify.unmixed(bound, fine)
    measured = observables.Measured(fine=fine, grid=grid, bound=bound, energies=energies, losses=fit.losses)
    return measured, np.eye(plan.trained)


def _refined(mesh: np.ndarray, last: observables.Measured, shown: slice, wide: np.ndarray) -> np.ndarray:
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
def exact_levels(potential: Any, states: int = 1) -> Eigenstates:
    """The lowest levels of a potential with walls by another method: `states` of them, and at least `LEVELS`.

    Raises SizeError if they are too large a problem.
    """
    return reference_module.best(potential, max(states, LEVELS))


def reference_of(plan: discretize.Plan) -> Eigenstates:
    """`exact_levels` of a plan, which are no better than the brackets of the plan say."""
    return errors.within_brackets(exact_levels(plan.potential, plan.first + plan.trained), plan.low, plan.high)


def _energy_value(settings: Settings, plan: discretize.Plan) -> np.ndarray:
    """E of each trained level (K,), if it is fixed, or where it starts.

    Raises ValueError if it is to be that of a reference which cannot say.
    """
    if settings.energy.name != "fixed":
        return np.full(plan.trained, settings.energy.initial)
    if settings.energy.value is not None:
        return np.full(plan.trained, settings.energy.value)
    wanted = "energy.value=null: must be given, because the reference "
    try:
        levels = reference_of(plan)
    except SizeError as error:
        raise ValueError(f"{wanted}is too large ({error})") from None
    if not errors.vouched(levels)[plan.indices].all():
        raise ValueError(f"{wanted}does not know E_{plan.indices[-1]} well enough")
    return np.asarray(levels.energies)[plan.indices]


def build(potential: Any, settings: Settings, levels: Eigenstates) -> System:
    """Equation, optimiser and sampling for a single level, as pytrees of arrays in the wanted precision."""
    index = settings.state or 0
    mesh, even = discretize.segments(potential, index + 1, settings.phase, settings.by_parity)
    parity = (1.0 - 2.0 * (index % 2)) if even else None
    energy = settings.energy.initial
    if settings.energy.name == "fixed":
        energy = float(levels.energies[index]) if settings.energy.value is None else settings.energy.value
    unit = settings.loss.unit or energy_unit(potential, index + 1)
    system = build_on(potential, settings, mesh, unit, parity)
    equation = dataclasses.replace(system.equation, energy_value=np.asarray(energy))
    return cast(settings.precision, system._replace(equation=equation))


def build_on(
    potential: Any, settings: Settings, mesh: np.ndarray, unit: float, parity: float | None = None,
    sheets: int | None = None,
) -> System:  # fmt: skip
    """`build` on a given mesh (of the left half of the box, for a parity), but for the value of E."""
    choice = settings.network
    network = MLP(
        settings.width, choice.depth, choice.activation, choice.init, choice.scale, jnp.dtype(settings.precision)
    )
    ansatz = ansatz_of(settings.ansatz.name, network, mesh, potential, parity, sheets)
    equation = Eigenvalue(
        potential=potential, ansatz=ansatz, weight_pde=settings.loss.residual, weight_norm=settings.loss.norm,
        unit=unit, energy_value=0.0, energy_mode=settings.energy.name,
    )  # fmt: skip
    sampling = _sampling(settings.sampling, np.asarray(ansatz.edges), mesh, parity is not None)
    return System(equation, settings.optimizer.build(course(settings).steps), sampling)


def course(settings: Settings) -> loop.Course:
    """How a run starts, and how many steps it takes."""
    steps = settings.optimizer.steps or OPTIMIZERS[settings.optimizer.name].steps
    start: starts.Start = starts.Variational(settings.start.steps, settings.start.learning_rate)
    if settings.start.name != "variational":
        start = starts.Ritz() if settings.start.name == "ritz" else starts.Random()
    return loop.Course(start, steps, settings.optimizer.chunk)


def merged(settings: Settings) -> bool:
    """Whether the ansatz has one segment, so that its points form one group."""
    return settings.ansatz.name == "envelope"


def cast(precision: str, tree: Any) -> Any:
    """A tree with all of its arrays in this precision."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, precision), tree)


def _sampling(choice: settings_module.SamplingChoice, edges: np.ndarray, mesh: np.ndarray, half: bool) -> Sampling:
    if choice.name == "random":
        return RandomPoints(edges, choice.points)  # type: ignore[arg-type]
    if choice.name == "uniform":
        return FixedPoints(uniform(edges, choice.points))
    points = gauss_legendre(mesh, choice.points)
    points = points.for_both_halves() if half else points
    return FixedPoints(points if len(edges) == len(mesh) else merge(points))


def describe_route(settings: Settings) -> dict[str, Any]:
    """What the network was trained with, and whether it started from a projected solve."""
    s = settings
    projected = s.start.name == "ritz"
    start = {
        "ritz": "Rayleigh-Ritz start (projected solve on the linear parameters)", "random": "random start",
        "variational": "variational start (Rayleigh quotient minimised from random parameters)",
    }[s.start.name]  # fmt: skip
    if s.in_turn:
        start += ", states in turn, orthogonal to those below"
    label = f"{s.ansatz.name} ansatz, {start}, {OPTIMIZERS[s.optimizer.name].label}, E {s.energy.name}"
    if s.shared:
        label = f"{s.ansatz.name} ansatz, one network for all levels, untrained: Rayleigh-Ritz on its linear parameters"
    return {
        "label": label, "ansatz": s.ansatz.name, "start": s.start.name, "projected_start": projected,
        "optimizer": s.optimizer.name, "energy": s.energy.name, "sampling": s.sampling.name, "precision": s.precision,
    }  # fmt: skip
