"""Levels of a potential over one of its numbers, each at each point with its bounds, and each followed by its psi.

One network serves all points: its hidden units are the same in all of them, on a mesh that moves with the jumps of V,
and the linear parameters follow from Rayleigh and Ritz (`qpinn.training.shared`). Meshes and quadratures are filled up
to a few sizes, so that a few compiled programmes serve all points. Walls, counts and bounds are those of `qpinn.solve`
at each point, and a point whose bounds do not meet the tolerance is solved by `qpinn.solve`. Each
level is followed from point to point by its psi (`qpinn.analysis.following`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from qpinn.analysis import following, observables
from qpinn.analysis.quadratures import quadratures
from qpinn.bounds import certify
from qpinn.checks import finite
from qpinn.drivers import budget, build, discretize, eigenstates
from qpinn.drivers.derivatives import by_leaf, gradients
from qpinn.drivers.discretize import Plan
from qpinn.drivers.settings import MOST_POINTS, Settings, of_keywords
from qpinn.drivers.solution import Round, Solution, Stats
from qpinn.geometry.quadrature import Points
from qpinn.physics import units
from qpinn.physics.hamiltonian import Hamiltonian, changed
from qpinn.physics.potentials import numbers
from qpinn.physics.potentials.expressions import Expression
from qpinn.physics.units import Units
from qpinn.training import loop, shared
from qpinn.training.lanes import Lanes, side_by_side

GROWTH, STEP = 1.5, 4
"""Ratio of the numbers of segments that meshes are filled up to, since a Ritz problem grows with their third power; and
what the largest is a multiple of, so that a programme that was compiled for one range may serve the next."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variation:
    """The lowest K levels at T values of a number, in the units of the settings; level k is that with index k.

    name       of the number, a key of the potential's builder
    values     (T,)
    energies   (T, K); bounds (T, K, 2) below and above each level, NaN where there is none
    converged  (T, K) whether bounds meet the tolerance
    slopes     (T, K) dE/dvalue at each point (`qpinn.gradients`); NaN where a level is not separated, or not known
    dipoles    (T, K, K) <i|x|j>, psi with the sign that continues that of the point before
    followed   (T, K) which level of the first point each is the continuation of
    overlaps   (T, K) <psi|psi'>^2 of each with the function that it is the continuation of; 1 at the first point. Not
               above 1/2 where points are too far apart, or in the middle of an exchange, to say which that is
    given      the potential as it was given, or that of the first value where it was a function of the number
    settings   how each point was solved
    """

    name: str
    values: Float[np.ndarray, "T"]
    energies: Float[np.ndarray, "T K"]
    bounds: Float[np.ndarray, "T K 2"]
    converged: Bool[np.ndarray, "T K"]
    slopes: Float[np.ndarray, "T K"]
    dipoles: Float[np.ndarray, "T K K"]
    followed: Int[np.ndarray, "T K"]
    overlaps: Float[np.ndarray, "T K"]
    given: Any
    settings: Settings

    @property
    def sure(self) -> Bool[np.ndarray, "T K"]:
        """Whether overlaps say which level of the first point each continues."""
        return self.overlaps > following.SURE

    @property
    def units(self) -> Units:
        return self.settings.units.units

    def __repr__(self) -> str:
        from qpinn.drivers import shown

        return shown.text(shown.of_variation(self))

    def _repr_html_(self) -> str:
        from qpinn.drivers import shown

        return shown.table(shown.of_variation(self))

    def plot(self, ax: Any = None) -> Any:
        """E over the number, a colour for each character; strokes are the slopes. Returns Axes of Matplotlib.

        ax  axes to draw on; by default those of a new figure
        """
        from qpinn.report import style, vary_figures  # not before: Matplotlib takes long to import
        from qpinn.runs.variation import summary

        return style.on_axes(vary_figures.draw, ax, summary(self, len(self.values)))


Callback = Callable[[Callable[[], Variation], int, int], object]
"""See `vary`."""


def vary(
    potential: Any, name: str, values: Sequence[float] | np.ndarray, *, callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Variation:  # fmt: skip
    """The lowest levels of a potential over `values` (T,) of one of its numbers, followed from point to point.

    potential  of `qpinn.potentials`, whose other numbers stay: vary(finite_well(depth=20.0), "width", widths); or a
               function of the number that makes one: vary(lambda angle: ..., "angle", angles)
    name       a key of the builder, one of several numbers with its place, from 0: "width", "thickness[2]", "domain[1]"
    callbacks  called after each point with a function that makes the `Variation` so far, and two numbers, points so far
               and in all; where one returns True no further point is solved
    settings   as in `qpinn.solve`; states says how many levels, tol what their bounds are to meet (none: 1e-8)

    Every level has the bounds of `qpinn.solve`, in the units of the settings; works in float64 unless precision says
    otherwise.

    Raises ValueError, naming what is allowed, for a name that the potential does not have, and for the first point at
    which there is no such potential, or not so many levels; before anything compiles.
    """
    chosen = of_keywords(settings, {"callbacks": ()})
    return run(family(potential, name, values, chosen), chosen, callbacks)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """A potential at each value (T,) of one of its numbers, in the units of the settings.

    given  as `Variation` has it
    moved  dleaf/dvalue of the leaves of each, where the number is one of a user's function; None where there is none
    """

    name: str
    values: Float[np.ndarray, "T"]
    potentials: Sequence[Any]
    given: Any
    moved: Sequence[Any] | None = None


def family(potential: Any, name: str, values: Sequence[float] | np.ndarray, settings: Settings) -> Family:
    """The potentials that `vary` solves, checked. Raises ValueError naming the first point where there is none."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not 2 <= len(array) <= MOST_POINTS:
        raise ValueError(f"values: {' x '.join(map(str, array.shape))} of them; must be a row of 2 to {MOST_POINTS}")
    function = not hasattr(potential, "domain") and callable(potential)
    scales = settings.units.units
    build = None if function else numbers.family(units.converted(potential, scales), name)

    def made(value: float) -> Any:
        return units.converted(potential(**{name: value}) if build is None else build(value), scales)

    potentials = [_at_point(made, finite("values", value), k, len(array)) for k, value in enumerate(array.tolist())]
    step = 1e-3 * max(float(np.ptp(array)), float(np.abs(array).max()))
    moved = [_moved(made, value, step) for value in array.tolist()] if function else None
    given = potentials[0] if function else potential
    return Family(name=name, values=array, potentials=potentials, given=given, moved=moved)


def _at_point(made: Callable[[Any], Any], argument: Any, k: int, count: int) -> Any:
    """made(argument); a ValueError says at which point it was."""
    try:
        return made(argument)
    except ValueError as error:
        raise ValueError(f"{error} (point {k + 1} of {count})") from None


def _moved(made: Callable[[float], Any], value: float, step: float) -> Any:
    """dleaf/dvalue of the leaves of made(value) by a difference of fourth order; None where other things change too."""
    try:
        near = [made(value + share * step) for share in (-1.0, -0.5, 0.5, 1.0)]
    except ValueError:
        return None
    if len({jax.tree.structure(potential) for potential in near}) > 1:
        return None

    def slope(*leaves: Any) -> np.ndarray:
        far, close = leaves[3] - np.asarray(leaves[0]), leaves[2] - np.asarray(leaves[1])
        return (8 * close - far) / (6 * step)

    return jax.tree.map(slope, *near)


def run(family: Family, settings: Settings, callbacks: Sequence[Callback] = ()) -> Variation:
    """`vary` for settings and potentials that are checked."""
    eigenstates.check_device(settings.precision)
    count = len(family.potentials)
    plans, many = planned(family.potentials, settings)
    points: list[_Point] = []

    def so_far() -> Variation:
        return _variation(family, settings, tuple(points))

    for k, solution in enumerate(_solutions(family.potentials, plans, settings, many)):
        points.append(_point(solution, _slopes(solution, family, k), points[-1] if points else None))
        asked = [callback(so_far, len(points), count) for callback in callbacks]
        if any(asked):
            break
    return so_far()


def planned(potentials: Sequence[Any], settings: Settings) -> tuple[list[Plan], Settings]:
    """The plan of each point, and the settings of one network for all. ValueError for what has no meaning here."""
    if settings.state is not None or settings.states == "all":
        key = "states=all" if settings.states == "all" else f"state={settings.state}"
        raise ValueError(f"{key}: must be a number of levels that is the same at every point, as states=4")
    if settings.sampling.name != "gauss_legendre":
        raise ValueError(f"sampling.name={settings.sampling.name}: to vary a number needs gauss_legendre")
    if settings.network.shared is False:
        raise ValueError("network.shared=false: one network serves all points of a number that is varied; leave it out")
    many = dataclasses.replace(
        settings, network=dataclasses.replace(settings.network, shared=True),
        loss=dataclasses.replace(settings.loss, unit=settings.loss.unit or 1.0),  # of a loss that nothing lowers
    )  # fmt: skip

    def plans(settings: Settings) -> list[Plan]:
        return [_at_point(lambda one: discretize.of(one, settings), potential, k, len(potentials))
                for k, potential in enumerate(potentials)]  # fmt: skip

    every = plans(many)
    if len({plan.mesh.half for plan in every}) > 1:  # even at some points only: a level has the same psi at all of them
        many = dataclasses.replace(many, ansatz=dataclasses.replace(many.ansatz, parity="none"))
        every = plans(many)
    largest = STEP * math.ceil(max(len(plan.mesh) for plan in every) / STEP)
    if largest > shared.DENSE:
        raise ValueError(f"{every[0].potential.name}: {largest} segments are needed; to vary a number takes at most "
                         f"{shared.DENSE}")  # fmt: skip
    budget.check(many, largest, _most(every[0]))
    return [dataclasses.replace(plan, mesh=_filled(plan.mesh, largest)) for plan in every], many


def _most(plan: Plan) -> int:
    """Levels that may have to be looked at, to end at a gap of the spectrum."""
    return int(plan.shown.stop) + discretize.EXTRA


def _filled(mesh: Any, largest: int) -> Any:
    """The mesh with its widest segments halved until their number is one of few: `largest` / GROWTH^k, k = 0, 1, ..."""
    size = largest
    while size / GROWTH >= len(mesh):
        size = math.floor(size / GROWTH)
    while len(mesh) < size:
        mesh = mesh.bisected(np.arange(len(mesh)) == np.argmax(mesh.lengths))
    return mesh


@functools.cache
def _programme() -> Callable[..., Any]:
    """From the lanes of the networks, those of the levels and points to parameters, energies, records and fields."""

    def solved(networks: Lanes, lanes: Lanes, at: Points) -> tuple[Any, ...]:
        params, energies, records = shared.ordered(networks, lanes.count)
        return params, energies, records, observables.measure(lanes, params, at)[0]

    return jax.jit(solved, compiler_options=loop.compiler_options(quick=False))


def _solutions(
    potentials: Sequence[Any], plans: Sequence[Plan], settings: Settings, many: Settings
) -> Iterator[Solution]:
    """The solution at each point; where bounds do not meet the tolerance that of `qpinn.solve`."""
    most, columns = _most(plans[0]), (0, 0)
    narrow = dataclasses.replace(settings, tol=settings.tol or certify.TOLERANCE)
    for potential, plan in zip(potentials, plans, strict=True):
        budget.forget_programmes()
        with jax.enable_x64(many.precision == "float64"):
            solution, columns = _solved(potential, plan, many, most, columns)
        if not all(solution.converged):
            trained = eigenstates.run(potential, narrow)
            if sum(trained.converged) >= sum(solution.converged):
                solution = trained
        yield solution


def _solved(
    potential: Any, plan: Plan, settings: Settings, most: int, columns: tuple[int, int]
) -> tuple[Solution, tuple[int, int]]:
    """The solution at a point, of whose programme `most` levels and `columns` of the quadratures or more are computed;
    and those columns."""
    wide = dataclasses.replace(plan, trained=most)
    in_programme = dataclasses.replace(wide, potential=_without_places(plan.potential))
    systems = build.systems(in_programme, settings, plan.mesh, np.zeros(most))
    lanes = side_by_side(systems)
    edges, count = np.asarray(lanes.system.equation.ansatz.edges), settings.sampling.points
    rules = quadratures(plan.potential, edges, plan.mesh, count, plan.trained, columns)
    columns = rules.rules["fine"][1].shape[1], rules.rules["check"][1].shape[1]
    at = build.cast(settings.precision, rules.points)
    solved = _programme()(build.networks(wide, systems), lanes, at)
    params, energies, records, fields = jax.device_get(solved)
    shown = slice(0, plan.trained)
    fit = shared.untrained(params, energies, records, 0.0, 0.0).some(shown)
    some = fields._replace(psi=jax.tree.map(lambda leaf: leaf[shown], fields.psi), at_deltas=fields.at_deltas[shown])
    mix, ended = eigenstates.measured(plan, settings, rules, fit, some, np.zeros(plan.trained))
    trained = Round(mesh=plan.mesh, lanes=side_by_side(systems[shown]), fit=fit, mix=mix, measured=ended)
    return Solution(given=potential, settings=settings, plan=plan, trained=trained, stats=Stats({}, "", 1)), columns


def _without_places(potential: Any) -> Any:
    """A formula without the places where it jumps: what is compiled asks for none, and they move with the number."""
    bare = potential.potential if isinstance(potential, Hamiltonian) else potential
    return changed(potential, places=()) if isinstance(bare, Expression) else potential


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Point:
    """What is kept of a point: a row of the variation, and the functions that the next point is compared with."""

    energies: np.ndarray
    bounds: np.ndarray
    converged: np.ndarray
    slopes: np.ndarray
    dipoles: np.ndarray
    trail: following.Trail


def _point(solution: Solution, slopes: np.ndarray, before: _Point | None) -> _Point:
    grid = solution.trained.measured.grid.some(solution.plan.shown)
    trail = following.begun(grid) if before is None else following.continued(before.trail, solution.fine, grid)
    return _Point(
        energies=solution.energies, bounds=solution.bounds, converged=np.array(solution.converged), slopes=slopes,
        dipoles=trail.sign[:, None] * solution.dipoles * trail.sign, trail=trail,
    )  # fmt: skip


def _slopes(solution: Solution, family: Family, k: int) -> np.ndarray:
    """dE/dvalue (K,) of the levels at point k; NaN where a level has no derivative, or the potential no number."""
    unknown = np.full(len(solution.energies), np.nan)
    if not jax.tree.leaves(solution.given):
        return unknown
    try:
        if family.moved is None:
            found = numbers.derivative(gradients(solution), family.name)
            return unknown if found is None else found
        by_number = jax.tree.leaves(by_leaf(solution))
    except ValueError:  # two places where V jumps meet at this value, or one only begins: no derivative
        return unknown
    if family.moved[k] is None:
        return unknown
    moved = jax.tree.leaves(family.moved[k])
    return sum((slope.reshape(len(unknown), -1) @ np.ravel(rate) for slope, rate in zip(by_number, moved, strict=True)),
               np.zeros(len(unknown)))  # fmt: skip


def _variation(family: Family, settings: Settings, points: Sequence[_Point]) -> Variation:
    keys = ("energies", "bounds", "converged", "slopes", "dipoles")
    columns: dict[str, Any] = {key: np.array([getattr(point, key) for point in points]) for key in keys}
    return Variation(
        name=family.name, values=family.values[: len(points)], given=family.given, settings=settings,
        followed=np.array([point.trail.character for point in points]),
        overlaps=np.array([point.trail.overlap for point in points]), **columns,
    )  # fmt: skip
