"""`solve`: from a potential to trained, measured and certified wavefunctions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qpinn.analysis import errors, observables
from qpinn.analysis.quadratures import Quadratures, quadratures
from qpinn.bounds import certify
from qpinn.checks import plain, shown
from qpinn.drivers import budget, build, discretize
from qpinn.drivers.clock import Clock
from qpinn.drivers.settings import TERMS, Settings, of_keywords, with_terms
from qpinn.drivers.solution import Round, Solution, Stats, reference_of
from qpinn.equations.eigenvalue import Fields
from qpinn.geometry.mesh import Mesh
from qpinn.physics import potentials, units
from qpinn.physics.potentials.base import dimension
from qpinn.physics.reference import SizeError
from qpinn.training import loop, shared
from qpinn.training.fit import Callback, Fit, Snapshot
from qpinn.training.lanes import Lanes, System, side_by_side, varied
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.typing import Params

ROUNDS = 4
"""Meshes that are tried to meet a tolerance."""


def solve(
    potential: Any, *, domain: Sequence[float] | None = None, breakpoints: Sequence[float] = (),
    parameters: Mapping[str, float] | None = None, hamiltonian: Mapping[str, Any] = MappingProxyType({}),
    callbacks: Sequence[Callback] = (), **settings: Any,
) -> Solution:  # fmt: skip
    """Train neural wavefunctions for the lowest levels of `potential`, measure them and bound their energies.

    -psi'' + V psi = E psi with psi = 0 at both walls and integral psi^2 = 1. Dimensionless, unless `units`
    ("semiconductor", "atomic", "spectroscopic") says that the numbers of the potential and of the solution have units.

    potential  of `qpinn.potentials`; or a pair of arrays (x, V), samples of a smooth curve between which V is a cubic
               spline (`qpinn.potentials.sampled`); or a formula in x (`expression`) or a Python function (`function`),
               between the walls `domain`, with `breakpoints` where V or its slope jumps; and `parameters` of a formula,
               numbers by name. A formula in x, y, z or x1, x2, ... between walls of every axis, as in
               domain=[[-6, 6], [-6, 6]], or a potential of several coordinates gives a BoxSolution
    hamiltonian  what is beside the potential's own: {"deltas": [[0.5, 10.0]], "mass": "1 + 0.1*x"}, as in
               `qpinn.potentials.combined`

    Keyword arguments are the keys of the configuration, a group as a mapping or, for its defaults, as a name:
    `solve(potential, states=8, tol=1e-8, seed=3, network={"width": 32})`. They default to the accurate route: piecewise
    ansatz, Ritz start, Levenberg-Marquardt. Works in float64 whatever JAX's own setting is, which is left as it was.

    Raises ValueError, naming key, value and what is allowed, before anything compiles.
    """
    own = ("domain", "breakpoints", "parameters", "callbacks")
    chosen = of_keywords(settings, {"hamiltonian": TERMS, **dict.fromkeys(own, ())})
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise ValueError(f"callbacks={shown(callbacks)}: must be functions in brackets, as [print]")
    given = with_terms(potential_of(potential, domain, breakpoints, parameters), hamiltonian)
    return run(given, chosen, callbacks)  # type: ignore[no-any-return]


def potential_of(
    given: Any, domain: Sequence[float] | None, breakpoints: Sequence[float], parameters: Mapping[str, float] | None
) -> Any:
    """What people hand over as a potential, as one. Raises ValueError for what is none."""
    domain, breakpoints = plain(domain), () if breakpoints is None else plain(breakpoints)
    if isinstance(given, str):
        return potentials.expression(domain, given, breakpoints, parameters)
    if parameters is not None:
        raise ValueError(f"parameters={parameters}: has an effect only with a formula as potential")
    if any(given is builder for builder in (*potentials.BUILDERS.values(), *potentials.BOXES.values())):
        name = given.__name__
        raise ValueError(f"potential={name}: must be called with its numbers, as in qpinn.potentials.{name}()")
    if not hasattr(given, "domain") and callable(given):
        if domain is None:
            raise ValueError("domain=None: a function needs walls, as in domain=(-3, 3)")
        return potentials.function(given, domain, breakpoints)
    pair = isinstance(given, tuple | list) and len(given) == 2
    if not pair and not (hasattr(given, "domain") and hasattr(given, "at")):
        raise ValueError(
            f"potential={shown(given)}: must be one of qpinn.potentials, a pair of arrays (x, V), a formula or a "
            "function"
        )
    if domain is not None or np.size(breakpoints):
        key, value = ("domain", domain) if domain is not None else ("breakpoints", breakpoints)
        raise ValueError(f"{key}={shown(value)}: has an effect only with a formula or a function as potential")
    if pair:
        return potentials.sampled(x=given[0], V=given[1], interpolation="cubic")
    if any(leaf is given for leaf in jax.tree.leaves(given)):
        raise ValueError(
            f"potential={type(given).__name__}: must be a pytree of its numbers, as a class with "
            "qpinn.physics.potentials.base.pytree is"
        )
    return given


def run(
    potential: Any, settings: Settings, callbacks: Sequence[Callback] = (), snapshots: Sequence[Snapshot] = (),
    rounds: int = ROUNDS,
) -> Any:  # fmt: skip
    """`solve` for settings that are already checked: a Solution, or a BoxSolution of several coordinates.

    snapshots  of the trainings of a run that was interrupted, in their order: it goes on from them
    rounds     meshes that are tried at most
    """
    if dimension(potential) > 1:
        from qpinn.drivers import box

        return box.run(potential, settings)
    clock = Clock()
    budget.forget_programmes()
    device = check_device(settings.precision)
    potential = units.converted(potential, settings.units.units)
    settings = discretize.settled(potential, settings)
    plan = discretize.of(potential, settings)
    budget.check(settings, len(plan.mesh), plan.trained)
    clock.lap("planning")
    energy = _energy_value(settings, plan)
    clock.lap("reference")
    tol = settings.tol or certify.TOLERANCE
    mesh, most = plan.mesh, discretize.MOST_SHARED if settings.shared else discretize.MOST_SEGMENTS
    with jax.enable_x64(settings.precision == "float64"):
        tried: list[tuple[float, Round]] = []
        while True:
            before = tried[-1][1] if tried else None
            last = _train(plan, settings, mesh, energy, clock, before, callbacks=callbacks, snapshots=snapshots,
                          number=len(tried) * (plan.trained if settings.in_turn else 1))  # fmt: skip
            bound = last.measured.bound
            wide = (bound.half_width / (tol * observables.scales(plan, bound.energies)))[plan.shown]
            tried.append((float(wide.max()), last))
            met = settings.tol is None or not (wide > 1).any()
            if met or last.fit.status != "finished" or len(tried) == rounds or len(mesh) >= most:
                break
            mesh = _refined(mesh, last.measured, plan.shown, wide)
            if budget.needed(settings, len(mesh), plan.trained) > budget.room():
                break
            if last.fit.asked:  # to stop, after the last step on this mesh
                last = dataclasses.replace(last, fit=dataclasses.replace(last.fit, status="stopped"))
                break
    if last.fit.status == "finished":
        last = min(reversed(tried), key=lambda one: one[0])[1]
    clock.lap("measure")
    stats = Stats(seconds=clock.seconds, device=device, rounds=len(tried))
    return Solution(given=potential, settings=settings, plan=plan, trained=last, stats=stats)


def _train(
    plan: discretize.Plan,
    settings: Settings,
    mesh: Mesh,
    energy: np.ndarray,
    clock: Clock,
    before: Round | None,
    **watched: Any,
) -> Round:
    """Train on `mesh`, going on from what was trained `before` on a coarser one, and measure.

    energy   (trained,), see `_energy_value`
    watched  callbacks, snapshots and the number of the (first) training, see `loop.fit`
    """
    systems, course = build.systems(plan, settings, mesh, energy), build.course(settings, bool(watched["callbacks"]))
    lanes = side_by_side(systems)
    ansatz = lanes.system.equation.ansatz
    measure = _measure(plan, settings, mesh, lanes)
    clock.lap("compile")
    if settings.shared:
        fit = shared.fit(build.networks(plan, systems), plan.trained)
    elif settings.in_turn:
        fit = trained_in_turn(systems, settings, course, **watched)
    else:
        inherited = None
        if before is not None:
            coarse = before.lanes.system.equation.ansatz.edges
            inherited = ansatz.wavefunction.inherited(before.fit.params["psi"], coarse, ansatz.mesh)
        fit = loop.together(lanes, course, inherited=inherited, **watched)
    clock.lap("train", compile=fit.seconds["compile"])
    last = measure(fit)
    clock.lap("measure")
    return last


def trained_in_turn(systems: Sequence[System], settings: Settings, course: loop.Course, **watched: Any) -> Fit:
    """Train a level after the other, each to be orthogonal to those before it, see `loop.in_turn`."""

    def turn(trained: Sequence[Params]) -> Lanes:
        one = systems[len(trained)]._replace(seed=loop.seeds_of_turn(settings.seed, len(trained)))
        many = build.orthogonal(one, trained, len(systems), settings, lanes=(1,))
        return varied(build.orthogonal(one, [], len(systems), settings), many, 1)

    return loop.in_turn(loop.compiled(turn([]), course), turn, len(systems), course, **watched)


def restored(potential: Any, settings: Settings, mesh: Mesh, fit: Callable[[Lanes], Fit], stats: Stats) -> Solution:
    """The solution of a training that is over, measured and bounded again; nothing is trained.

    fit  what came out of the training on `mesh`, from the lanes that were trained there
    """
    budget.forget_programmes()
    check_device(settings.precision)
    plan = discretize.of(potential, settings)
    with jax.enable_x64(settings.precision == "float64"):
        lanes = side_by_side(build.systems(plan, settings, mesh, _energy_value(settings, plan)))
        trained = _measure(plan, settings, mesh, lanes)(fit(lanes))
    return Solution(given=potential, settings=settings, plan=plan, trained=trained, stats=stats)


def _measure(plan: discretize.Plan, settings: Settings, mesh: Mesh, lanes: Lanes) -> Callable[[Fit], Round]:
    """What measures a training of `lanes` on `mesh`, compiled."""
    points = settings.sampling.points if settings.sampling.name == "gauss_legendre" else 0
    edges = np.asarray(lanes.system.equation.ansatz.edges)
    rules = quadratures(plan.potential, edges, mesh, points, plan.first + plan.trained)
    at = build.cast(settings.precision, rules.points)
    jitted = jax.jit(observables.measure, compiler_options=loop.compiler_options(quick=True))
    compiled = jitted.lower(lanes, loop.parameter_shapes(lanes), at).compile()

    def measure(fit: Fit) -> Round:
        # on the host: arrays of JAX are single precision once they have been pickled
        fit = dataclasses.replace(fit, params=jax.device_get(fit.params))
        fields, energies = jax.device_get(compiled(lanes, fit.params, at))
        mix, ended = measured(plan, settings, rules, fit, fields, np.asarray(energies, np.float64))
        return Round(mesh=mesh, lanes=lanes, fit=fit, mix=mix, measured=ended)

    return measure


def measured(
    plan: discretize.Plan, settings: Settings, rules: Quadratures, fit: Fit, fields: Fields, energy: np.ndarray
) -> tuple[np.ndarray, observables.Measured]:
    """The matrix (K, K) that makes functions of the lanes of a fit, and these functions with their bounds.

    After a Ritz start they are the Ritz functions of the lanes, else the lanes themselves.
    """
    fine, check, grid = (rules.values(fields, name, plan.parities) for name in ("fine", "check", "grid"))
    mix = certify.ritz(fine, plan.mesh.half)
    mixed, coarse, on_grid = (values.mixed(mix) for values in (fine, check, grid))
    bound = certify.certify(mixed, coarse, plan.sigma, float(jnp.finfo(settings.precision).eps), plan.floor)
    bound = certify.beyond_walls(bound, on_grid, plan.chosen)
    projected = settings.start.name == "ritz"
    lost = observables.contradicted(plan, bound)
    if projected:
        lost = lost or bool(observables.strayed(plan, bound.energies).any())
    if lost or not rules.resolves(settings.network.activation, fit.params):
        bound = bound.withdrawn()
    if projected:
        energy, fine, grid = bound.energies, mixed, on_grid
    else:  # each function as it was trained; the bounds are those of the best that can be made of them
        mix, bound = np.eye(plan.trained), certify.unmixed(bound, fine)
    energies = np.stack([energy, fit.start["energy"]])
    return mix, observables.Measured(fine=fine, grid=grid, bound=bound, energies=energies, losses=fit.losses)


def _refined(mesh: Mesh, last: observables.Measured, shown: slice, wide: np.ndarray) -> Mesh:
    """The mesh with those segments halved that make bounds wider (by a factor `wide`) than they may be."""
    here = last.fine.x < mesh.edges[-1]  # of the whole box, or of its left half
    owner = mesh.segment(last.fine.x[here])
    residual = (last.fine.h_psi - last.bound.energies[:, None] * last.fine.psi)[shown][:, here] ** 2
    residual = residual * last.fine.weight[here]
    share = np.array([np.bincount(owner, row, len(mesh)) for row in residual])
    share = share / share.sum(axis=1, keepdims=True) * wide[:, None]  # above 1 in all: too wide
    cut = (share * len(mesh) > 0.3).any(axis=0) if np.isfinite(share).all() else np.ones(len(mesh), bool)
    return mesh.bisected(cut)


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


def _energy_value(settings: Settings, plan: discretize.Plan) -> np.ndarray:
    """E of each trained level (K,), if it is fixed, or where it starts.

    Raises ValueError if it is to be that of a reference which cannot say.
    """
    if not settings.energy.to_reference:
        return build.energies(settings, plan.indices, None)
    wanted = "energy.value=null: must be given, because the reference "
    try:
        levels = reference_of(plan)
    except SizeError as error:
        raise ValueError(f"{wanted}is too large ({error})") from None
    if not errors.vouched(levels)[plan.indices].all():
        raise ValueError(f"{wanted}does not know E_{plan.indices[-1]} well enough")
    return build.energies(settings, plan.indices, levels.energies)


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
