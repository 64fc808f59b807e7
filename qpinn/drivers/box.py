"""`solve` for boxes of two to ten dimensions: from a potential to certified levels among products."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from qpinn.analysis import box_bounds, box_symmetry, many_axes, tensor
from qpinn.analysis.bent_fields import Psi
from qpinn.bounds import certify
from qpinn.drivers import box_curves, box_many, box_plan, box_training, build
from qpinn.drivers.box_curves import Cut, Expansion
from qpinn.drivers.box_plan import WIDTH, BoxPlan
from qpinn.drivers.box_solution import BoxSolution, Levels
from qpinn.drivers.clock import Clock
from qpinn.drivers.eigenstates import check_device
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Stats
from qpinn.geometry.domain import Ends
from qpinn.physics import cells, potentials
from qpinn.physics.hamiltonian import hamiltonian
from qpinn.physics.mean_field import mean_field
from qpinn.physics.potentials.several import tabulated
from qpinn.physics.separable import comparison
from qpinn.training import products
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.typing import Key, Params
from qpinn.wavefunctions.ansatz import Ansatz, ansatz_of
from qpinn.wavefunctions.axis import Axis, OnGrid, axis_of
from qpinn.wavefunctions.on_cells import Bend
from qpinn.wavefunctions.product import Core

FUNCTIONS = {2: 180, 3: 28}
"""Functions of an axis that products are made of, at most."""

FEWEST, USEFUL = 56, 80.0
"""Of the functions of an axis those are left out whose energy is more than 80 times as far above the lowest as the
highest level is above the ground state, but for the first 56."""

FUNCTIONS_OF_KINKS = {2: 256, 3: 44}
"""The same where V jumps on planes across the axis."""

MOST_LEVELS = 64
"""Levels that are solved: four times as many products bound them, in matrices and on grids that hold all of these."""

ROUNDS = 3
"""Meshes that are tried to meet a tolerance."""

RESIDUAL = 1e-8
"""Norm of the residual among products at which they are solved, relative to the highest level above the least V."""

SHORTER = 0.7
"""Segments of the next mesh, relative to those of the last one."""


class Solved(NamedTuple):
    """What came out on one mesh: natural functions of the axes, coefficients (K, ...) in them, what is known,
    <r_i|r_j>, what bends on curves, and how hidden units were trained."""

    axes: tuple[Axis, ...]
    core: Core
    levels: Levels
    residuals: Float[np.ndarray, "K K"]
    bends: tuple[Bend, ...] = ()
    trained: box_training.Trained | None = None


def run(potential: Any, settings: Settings) -> BoxSolution:
    """Levels of a potential of several coordinates for settings that are already checked."""
    clock, device = Clock(), check_device(settings.precision)
    check(settings)
    tried: list[tuple[float, BoxPlan, Solved]] = []
    phase = 1.0
    with jax.enable_x64(True):
        while True:
            try:
                plan = box_plan.of(potential, settings, phase)
                check_room(plan, settings)
            except ValueError:
                if tried:  # the mesh before is as good as it gets
                    break
                raise
            clock.lap("planning")
            solved = _on_mesh(plan, settings, clock)
            shown = slice(plan.first, plan.asked)
            wide = float(
                (solved.levels.half_width / (settings.tol or certify.TOLERANCE) / solved.levels.scale)[shown].max()
            )
            tried.append((wide, plan, solved))
            if settings.tol is None or wide <= 1 or len(tried) == ROUNDS:
                break
            phase *= SHORTER
        _, plan, solved = min(tried, key=lambda one: one[0])
        training = None
        if solved.trained is not None:
            training = box_training.beside(settings, solved.trained, lambda one: _on_mesh(plan, one, Clock()).levels)
            clock.lap("compare")
    psi = Psi(solved.axes, solved.core, solved.bends)
    mix, levels = box_symmetry.aligned(plan.potential, psi.at, plan.sampled, solved.levels, solved.residuals)
    psi = psi.mixed(mix)
    clock.lap("measure")
    return BoxSolution(
        given=potential, settings=settings, plan=plan, axes=psi.axes, core=psi.core, bends=psi.bends, levels=levels,
        training=training, stats=Stats(seconds=clock.seconds, device=device, rounds=len(tried)),
    )  # fmt: skip


def describe_route(settings: Settings, bends: bool = False) -> dict[str, Any]:
    """What the levels are made of, in the words of `eigenstates.describe_route`; `bends` where V jumps on curves."""
    units = "untrained"
    if box_training.is_wanted(settings):
        units = f"hidden units trained by {OPTIMIZERS[settings.optimizer.name].label} in the mean field"
    others = " and of products that bend on the curves of V" if bends else ""
    return {
        "label": f"products of piecewise networks of the axes, {units}: Rayleigh-Ritz among all of them{others}",
        "ansatz": "product", "start": "ritz", "projected_start": True, "optimizer": None, "energy": "rayleigh",
        "sampling": "gauss_legendre", "precision": settings.precision,
    }  # fmt: skip


def check(settings: Settings) -> None:
    """Raise ValueError for what has no meaning, or is not there, in several dimensions."""
    if settings.precision != "float64":
        raise ValueError(f"precision={settings.precision}: products are solved in float64; leave it out")
    if settings.start.name != "ritz":
        raise ValueError(f"start.name={settings.start.name}: products are solved, not trained; leave it out, or write "
                         "ansatz=envelope to train one network of all coordinates")  # fmt: skip
    if settings.states != "all" and settings.level >= MOST_LEVELS:
        key = f"state={settings.level}" if settings.states is None else f"states={settings.states}"
        raise ValueError(f"{key}: in several dimensions at most {MOST_LEVELS} levels are solved and bounded together")
    if settings.states == "all":
        raise ValueError("states=all: is counted on a line alone; in several dimensions say how many")
    box_training.check(settings)


def check_room(plan: BoxPlan, settings: Settings) -> None:
    """Raise ValueError, saying what would fit, where what a plan needs does not fit into memory."""
    box_plan.check(plan)
    box_training.check_room(plan, settings)


def _on_mesh(plan: BoxPlan, settings: Settings, clock: Clock) -> Solved:
    """Levels on the meshes of a plan, and what bounds them."""
    potential, d = plan.potential, plan.potential.dimension
    axes, grids = _drawn_axes(plan, settings)
    clock.lap("compile")
    trained = None
    if box_training.is_wanted(settings):
        trained = box_training.trained(plan, settings, axes, grids)
        axes, grids = trained.axes, trained.grids
        clock.lap("train")
    if d > 3:
        many = box_many.expanded(plan, settings, axes, grids)
        clock.lap("solve")
        return Solved(*many, trained=trained)
    cut, reason = _cut(plan)
    if cut is None:
        expansion = _among_products(plan, axes, grids)
    else:
        expansion = box_curves.expanded(plan, cut, axes, grids, _tolerance(plan))
    clock.lap("solve")
    energies = expansion.fine.energies
    if reason is None:
        densities = [(sinc.x, sinc.weight * (u[: 1 + plan.asked // 2] ** 2).mean(axis=0))
                     for sinc, u in zip(plan.axes, plan.field.functions, strict=True)]  # fmt: skip
        compared = comparison(potential, plan.edges, densities, float(energies[plan.asked - 1]))
        fine, check_, coarse, others = ([of_axis[which] for of_axis in grids] for which in (0, 1, -2, -1))
        rules = box_bounds.Rules(fine=fine, check=check_, products=coarse, others=others, cells=expansion.cells)
        sigma = box_bounds.sigma(potential, compared, rules, energies, plan.asked)
    else:
        sigma = box_bounds.Sigma(np.full(len(energies), -np.inf), plan.asked, reason=reason)
    levels = _levels(plan, expansion, sigma)
    clock.lap("bound")
    shown = slice(0, plan.asked)
    bends = tuple(bend._replace(core=bend.core[shown]) for bend in expansion.bends)
    return Solved(
        axes=expansion.axes, core=expansion.core[shown], levels=levels, residuals=expansion.fine.residual[shown, shown],
        bends=bends, trained=trained,
    )  # fmt: skip


def _cut(plan: BoxPlan) -> tuple[Cut | None, str | None]:
    """The cells cut along the curves where V jumps, None where there are none; or why that cannot be."""
    if plan.potential.unlocated:
        return None, many_axes.UNLOCATED
    if not plan.potential.curves:
        return None, None
    if plan.potential.dimension != 2:
        return None, many_axes.CURVES
    if plan.potential.joined:
        return None, "V jumps or bends on curves, and functions that bend there are known between walls alone"
    try:
        cut = box_curves.cut(plan)
    except ValueError as error:
        return None, f"{error}: the quadrature does not see it"
    return (cut if cut.sides else None), None


def _tolerance(plan: BoxPlan) -> float:
    return RESIDUAL * plan.height


def among_products(plan: BoxPlan, settings: Settings) -> Expansion:
    """The levels of a plan among products, without bounds."""
    axes, grids = _drawn_axes(plan, settings)
    if box_training.is_wanted(settings):
        axes, grids, *_ = box_training.trained(plan, settings, axes, grids)
    return _among_products(plan, axes, grids)


def _among_products(plan: BoxPlan, axes: tuple[Axis, ...], grids: tuple[list[OnGrid], ...]) -> Expansion:
    """The levels of a plan among products of the functions of the axes."""
    potential, d = plan.potential, plan.potential.dimension
    # of three axes the finer grid is for measuring alone
    solving: list[Any] = [rules[0 if d == 2 else 1] for rules in grids]
    field = mean_field(potential, solving)
    most = [_functions(plan, axis, field.energies[axis]) for axis in range(d)]
    mixes = [grid.ritz(v)[1][:, :n] for grid, v, n in zip(solving, field.v, most, strict=True)]
    mixed = [grid.mixed(mix) for grid, mix in zip(solving, mixes, strict=True)]
    v = products.grid_of(tabulated(potential, [grid.x for grid in mixed]), [len(grid.x) for grid in mixed])
    ritz = products.ritz(v, field, mixed, plan.solved, _tolerance(plan))
    natural, core = products.natural(ritz.core)
    whole = [mix @ turn for mix, turn in zip(mixes, natural, strict=True)]
    fine, coarse = ([rules[which].mixed(mix) for rules, mix in zip(grids, whole, strict=True)] for which in (0, 1))
    core = np.tensordot(tensor.ritz_mix(potential, fine, core).T, core, axes=1)
    return Expansion(
        axes=tuple(axis.mixed(mix) for axis, mix in zip(axes, whole, strict=True)), core=core, bends=(),
        fine=tensor.forms(potential, fine, core, _blur(plan, fine)), check=tensor.forms(potential, coarse, core),
        cells=None,
    )  # fmt: skip


def _functions(plan: BoxPlan, axis: int, energies: np.ndarray) -> int:
    """How many functions of an axis products are made of: all that have energies of use, where V is smooth."""
    d = plan.potential.dimension
    if plan.potential.breakpoints[axis]:
        return FUNCTIONS_OF_KINKS[d]
    lowest = sum(e[0] for e in plan.field.energies) - plan.field.excess
    useful = int(np.searchsorted(energies - energies[0], USEFUL * (plan.top - lowest)))
    return min(max(useful, FEWEST), FUNCTIONS[d])


def _drawn_axes(plan: BoxPlan, settings: Settings) -> tuple[tuple[Axis, ...], tuple[list[OnGrid], ...]]:
    """The functions of all axes, and these on the quadratures of the plan."""
    made = [_axis(plan, settings, axis) for axis in range(plan.potential.dimension)]
    return tuple(axis for axis, _ in made), tuple(rules for _, rules in made)


def _axis(plan: BoxPlan, settings: Settings, axis: int) -> tuple[Axis, list[OnGrid]]:
    """The functions of an axis: a network with hidden units as they are drawn, the seed of the axis its own."""
    ansatz = ansatz_on(plan.edges[axis], settings, plan.potential.ends_of_axes[axis])
    key = jax.random.fold_in(jax.random.key(settings.seed), axis)
    return axis_of(ansatz, _drawn(ansatz, key), float(plan.potential.masses[axis]), plan.points, plan.cutoff)


def ansatz_on(edges: Float[np.ndarray, "S+1"], settings: Settings, ends: Ends) -> Ansatz:
    """The ansatz that the functions of an axis with these ends belong to, between the first and the last edge."""
    network = build.network_of(settings.network, settings.network.width or WIDTH)
    between = hamiltonian(potentials.infinite_well(domain=[float(edges[0]), float(edges[-1])]), ends)
    return build.cast("float64", ansatz_of("piecewise", network, edges, between))


@jax.jit
def _drawn(ansatz: Ansatz, key: Key) -> Params:
    return ansatz.init(key)


def _blur(plan: BoxPlan, grids: list[OnGrid]) -> Float[np.ndarray, "*Q"] | None:
    """Bound on the distance of V from what the quadrature integrates, at its points; None where V is a polynomial."""
    potential, points = plan.potential, plan.points[0]
    if potential.curves or potential.unlocated:
        return np.full([len(grid.x) for grid in grids], np.inf)
    if max(cells.degrees(potential)) <= points // 2:
        return None
    low, high = cells.boxes(plan.edges)
    hair = [cells.HAIR * np.abs(edges).max() for edges in plan.edges]
    off = cells.stray(potential, low + hair, high - np.array(hair), points // 2)
    off = off.reshape([len(edges) - 1 for edges in plan.edges])
    for axis in range(len(grids)):
        off = np.repeat(off, points, axis=axis)
    return np.asarray(off)


def _levels(plan: BoxPlan, expansion: Expansion, sigma: box_bounds.Sigma) -> Levels:
    """What is known of the levels that were asked for."""
    fine, check_ = expansion.fine, expansion.check
    energies, eps = fine.energies, float(np.finfo(float).eps)
    differ = np.abs(energies - check_.energies)  # where these are rounding a single one may be small by chance
    differ = np.maximum(np.maximum.accumulate(differ), np.median(differ))
    rounding = 32 * eps * fine.size + 2 * differ + fine.unseen
    reason = sigma.reason
    seen = bool(np.isfinite(fine.unseen).all())
    count, above = sigma.together, sigma.above
    upper, lower = energies + rounding, np.full(len(energies), -np.inf)
    if not seen:
        reason, upper = reason or many_axes.unseen(plan.potential), upper + np.inf
    elif above > energies[count - 1]:
        some = slice(0, count)
        spread = box_bounds.spread(fine, check_)[some, some]
        lower[some] = certify.lehmann_maehly(energies[some], fine.residual[some, some], spread, above) - rounding[some]
        lower[some] = np.maximum(lower[some], sigma.lower[:count])
    truncation = _truncation(plan, expansion)
    shown = slice(0, plan.asked)
    return Levels(
        energies=energies[shown], lower=(lower - truncation)[shown], upper=upper[shown],
        residual=np.sqrt(np.diag(fine.residual))[shown], rounding=rounding[shown], truncation=truncation[shown],
        sigma=above, products=sigma.products, together=count, reason=reason, kinetic=fine.kinetic[shown, shown],
        moments=fine.moments[:, shown, shown], squares=fine.squares[:, shown, shown],
        scale=certify.scale(energies)[shown], beyond=float(energies[plan.asked]),
    )  # fmt: skip


def _truncation(plan: BoxPlan, expansion: Expansion) -> np.ndarray:
    """What walls that were put where psi has decayed raise the levels by, twice: the integral over each of them of
    (d psi / dn)^2 / (m kappa), kappa^2 = m (V - E) at least."""
    energies = expansion.fine.energies
    total = np.zeros(len(energies))
    for axis, chosen in enumerate(plan.chosen):
        if not chosen:
            continue
        mass = float(plan.potential.masses[axis])
        low = plan.field.v[axis]
        for end, row in ((0, -3), (-1, -1)):
            if expansion.bends:
                squares = box_curves.slopes_at_wall(expansion, axis, end)
            else:
                slopes = expansion.axes[axis].linear[end, row]
                normal = np.tensordot(expansion.core, slopes, axes=(axis + 1, 0)).reshape(len(energies), -1)
                squares = (normal**2).sum(axis=1)
            kappa = np.sqrt(np.maximum(mass * (low[end] - energies), 1e-12))
            total += squares / (mass * kappa)
    return total
