"""`solve_trained`: the recipe of physics-informed networks in two and three dimensions, one network for each level.

psi is an envelope times one network of the whole box, trained on the residual from random parameters, or from a minimum
of the Rayleigh quotient. No projected solve, no bounds: what other routes are compared with.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from qpinn.analysis import errors, on_box, statistics
from qpinn.analysis.observables import State
from qpinn.drivers import budget, build, eigenstates
from qpinn.drivers.clock import Clock
from qpinn.drivers.settings import SamplingChoice, Settings
from qpinn.drivers.solution import LEVELS, Stats
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import FixedPoints, Points, RandomPoints, Sampling, gauss_legendre, tensor, uniform
from qpinn.physics import box_walls, units
from qpinn.physics.mean_field import sums
from qpinn.physics.reference import Eigenstates, SizeError
from qpinn.physics.reference.sines import sine_products
from qpinn.physics.units import Units
from qpinn.training import loop
from qpinn.training.fit import Callback, Fit, Snapshot
from qpinn.training.lanes import Lanes, System, side_by_side
from qpinn.wavefunctions.ansatz import Ansatz
from qpinn.wavefunctions.envelope import Envelope

MEASURED = {2: 64, 3: 36}
"""Points of an axis where trained functions are measured, by the number of axes; at least `FEWEST` between jumps."""

FEWEST = 16

AT_ONCE = 65536
"""Positions at which psi is evaluated at once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedBox:
    """K levels, a single one unless several were asked for, each trained by itself, in the units of the settings.

    given     the potential as it was given
    settings  how it was trained
    boxed     the potential between walls, dimensionless; chosen says on which axes they were put where psi has decayed
    lanes     what was trained, and fit what came out; dimensionless
    values    the functions on a product of Gauss-Legendre points that they were not trained on, dimensionless
    ended     (2, K) E that each ended with, and that it started from; dimensionless
    doubt     (K,) difference of the Rayleigh quotients on those points and on fewer, dimensionless
    known     levels to compare with, if they were given; dimensionless
    stats     seconds (planning, reference where training needed one, compile, train, measure), and the device
    """

    given: Any
    settings: Settings
    boxed: Any
    chosen: tuple[bool, ...]
    lanes: Lanes
    fit: Fit
    values: on_box.OnBox
    ended: Float[np.ndarray, "2 K"]
    doubt: Float[np.ndarray, "K"]
    known: Eigenstates | None
    stats: Stats

    @property
    def units(self) -> Units:
        return self.settings.units.units

    @property
    def seconds(self) -> dict[str, float]:
        return self.stats.seconds

    @property
    def potential(self) -> Any:
        """The potential as it was given, with its walls."""
        return self.given.on(self.boxed.domain)

    @property
    def indices(self) -> Int[np.ndarray, "K"]:
        """Indices (K,) of the levels."""
        return indices_of(self.settings)

    @property
    def energies(self) -> Float[np.ndarray, "K"]:
        """E (K,) as it was trained, or is fixed; its Rayleigh quotient, with energy=rayleigh."""
        return self.ended[0] * self.units.scale

    @property
    def energy(self) -> float:
        """E of the first."""
        return float(self.energies[0])

    @property
    def rayleigh(self) -> Float[np.ndarray, "K"]:
        """Rayleigh quotients (K,), on the points of `values`: above the lowest level but for the quadrature."""
        return self.values.energies() * self.units.scale

    @property
    def norms(self) -> Float[np.ndarray, "K"]:
        return self.values.norms()

    @property
    def dipoles(self) -> Float[np.ndarray, "d K K"]:
        """<i|x|j> of every coordinate, of the functions divided by their norms."""
        return self.values.dipoles()

    @property
    def residuals(self) -> Float[np.ndarray, "K"]:
        """|H psi - E psi| / |psi| (K,) with E the Rayleigh quotient; some level lies within it."""
        return self.values.residuals() * self.units.scale

    @property
    def status(self) -> str:
        """ "finished", "stopped" (by a callback) or "non-finite" (in some level, which was frozen there)."""
        return self.fit.status

    @property
    def steps(self) -> int:
        """Steps of training: of the level that took most, or of the last one whose turn came."""
        return self.fit.taken(self.settings.in_turn)

    @property
    def frozen(self) -> dict[int, int]:
        """Indices of the levels that met a NaN, and how many good steps each took before."""
        return self.fit.frozen(self.indices)

    @property
    def parameters(self) -> int:
        """Number of parameters of all networks, and of E where it is trained."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.fit.params))

    @property
    def history(self) -> dict[str, Float[np.ndarray, "rows"]]:
        """Columns with an entry for each step and each level: step, state, pde, norm, orthogonality, total, energy,
        step_size, seconds."""
        rows = self.fit.rows()
        return {**rows, "state": rows["state"] + self.indices[0], "energy": rows["energy"] * self.units.scale}

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]

    def __repr__(self) -> str:
        from qpinn.drivers import box_shown, shown

        return shown.text(box_shown.of_trained(self))

    def _repr_html_(self) -> str:
        from qpinn.drivers import box_shown, shown

        return shown.table(box_shown.of_trained(self))

    def psi(self, x: Any) -> Float[np.ndarray, "..."]:
        """Wavefunctions at positions x (..., d): (...) where `states` was not given, else (K, ...).

        As they were trained: of unit norm as far as the training brought them there, of either sign. Zero outside the
        walls.
        """
        places = np.asarray(x, np.float64)
        dimension = self.boxed.dimension
        if places.ndim == 0 or places.shape[-1] != dimension:
            raise TypeError(f"x: has the shape {places.shape}; its last axis must be that of {dimension} coordinates")
        low, high = corners(self.boxed)
        flat = places.reshape(-1, dimension)
        with jax.enable_x64(self.settings.precision == "float64"):
            parts = [self._on(flat[begin : begin + AT_ONCE]) for begin in range(0, max(len(flat), 1), AT_ONCE)]
        inside = np.all((flat >= low) & (flat <= high), axis=-1)
        values = np.where(inside, np.concatenate(parts, axis=1), 0.0).reshape(-1, *places.shape[:-1])
        return values if self.settings.states is not None else values[0]

    def _on(self, x: np.ndarray) -> np.ndarray:
        ansatz = self.lanes.system.equation.ansatz
        return np.asarray(_psi(ansatz, self.fit.params["psi"], jnp.asarray(x, ansatz.dtype)), np.float64)

    def on_grid(self, axes: Sequence[Float[np.ndarray, "n"]]) -> on_box.OnBox:
        """The functions on the product of ascending points of each axis, the last one running fastest; dimensionless.

        Weights are the distances of the points, so that a function is summed up that vanishes at the ends.
        """
        grid = tensor([Points(x=x[None, :, None], weight=np.gradient(x)[None]) for x in axes])  # type: ignore[arg-type]
        with jax.enable_x64(self.settings.precision == "float64"):
            (values,), _ = on_box.measurer(self.lanes, [grid])(self.lanes, self.fit.params)
        return values

    @functools.cached_property
    def reference(self) -> Eigenstates | None:
        """Levels from another method, or those that were given; dimensionless. None where there are too many."""
        try:
            return self.known or exact_levels(self.boxed, int(self.indices[-1]) + 1)
        except SizeError:
            return None

    @functools.cached_property
    def measured(self) -> list[State]:
        """Everything measured of each level, without a reference."""
        return self.against(None)

    @functools.cached_property
    def states(self) -> list[State]:
        """`measured` with the errors against the reference, as far as it vouches for them."""
        return self.against(self.reference)

    def against(self, levels: Eigenstates | None) -> list[State]:
        """The states with their errors against `levels`; psi of a degenerate one is any mixture, and has no error."""
        found = on_box.states(self.values, self.ended, self.fit, self.indices.tolist(), self.doubt)
        if levels is not None:
            found = errors.against(found, self.values, levels, groups=True)
        return [state.times(self.units.scale) for state in found]


@jax.jit
def _psi(ansatz: Ansatz, params: Any, x: jax.Array) -> jax.Array:
    return jax.vmap(lambda one: jax.vmap(lambda place: ansatz.psi(one, place))(x))(params)


def solve_trained(
    potential: Any, settings: Settings, callbacks: Sequence[Callback] = (), snapshots: Sequence[Snapshot] = (),
    levels: Eigenstates | None = None,
) -> TrainedBox:  # fmt: skip
    """Train an envelope times a network for each level of a potential in a box of two or three axes, and measure them.

    settings   with ansatz=envelope and start=random or variational; `sampling.points` are those of an axis (between
               two jumps of V on it, for gauss_legendre), but with sampling=random those of the box
    callbacks  see `qpinn.training.fit.Progress`; snapshots of a run that was interrupted: it goes on from them
    levels     known ones, with psi of positions (n, d); by default those of products of sin functions, where needed

    Raises ValueError of one line, before anything compiles, for what this route cannot do.
    """
    clock = Clock()
    budget.forget_programmes()
    device = eigenstates.check_device(settings.precision)
    boxed, chosen = with_walls(potential, settings)
    check_size(boxed, settings)
    indices = indices_of(settings)
    unit = settings.loss.unit or energy_unit(boxed, int(indices[-1]))
    clock.lap("planning")
    if settings.energy.to_reference and levels is None:
        levels = exact_levels(boxed, int(indices[-1]) + 1)
    energies = energies_of(settings, indices, levels)
    clock.lap("reference")
    with jax.enable_x64(settings.precision == "float64"):
        system = system_of(boxed, settings, unit)
        systems = [build.at_level(system, energy, settings.seed, index)
                   for energy, index in zip(energies, indices, strict=True)]  # fmt: skip
        lanes, course = side_by_side(systems), build.course(settings, bool(callbacks))
        measure = on_box.measurer(lanes, [measured_on(boxed), measured_on(boxed, share=0.75)])
        clock.lap("compile")
        watched: dict[str, Any] = {"callbacks": callbacks, "snapshots": snapshots}
        if settings.in_turn:
            fit = eigenstates.trained_in_turn(systems, settings, course, **watched)
        else:
            fit = loop.together(lanes, course, **watched)
        fit = dataclasses.replace(fit, params=jax.device_get(fit.params))
        clock.lap("train", compile=fit.seconds["compile"])
        (values, coarse), energy = measure(lanes, fit.params)
    clock.lap("measure")
    return TrainedBox(
        given=potential, settings=settings, boxed=boxed, chosen=chosen, lanes=lanes, fit=fit, values=values,
        ended=np.stack([energy, fit.start["energy"]]), doubt=np.abs(values.energies() - coarse.energies()),
        known=levels, stats=Stats(seconds=clock.seconds, device=device, rounds=1),
    )  # fmt: skip


def with_walls(potential: Any, settings: Settings) -> tuple[Any, tuple[bool, ...]]:
    """The potential without units between walls, and on which axes they were put where psi has decayed.

    Raises ValueError for what is not to be had by this route.
    """
    if potential.dimension not in MEASURED:
        raise ValueError(f"ansatz.name=envelope: potential={potential.name} has {potential.dimension} coordinates, and "
                         "one network is trained of two or three; leave it out for products of networks")  # fmt: skip
    if settings.ansatz.name != "envelope":
        raise ValueError(f"ansatz.name={settings.ansatz.name}: one network of {potential.dimension} coordinates is an "
                         "envelope times it; write ansatz=envelope")  # fmt: skip
    if settings.start.name not in ("random", "variational"):
        raise ValueError(f"start.name={settings.start.name}: an envelope of {potential.dimension} coordinates is "
                         "trained, not solved; write start=random or start=variational")  # fmt: skip
    if not settings.ends.walls:
        raise ValueError(f"{settings.ends.said}: an envelope vanishes at "
                         "the walls; allowed: wall")  # fmt: skip
    if settings.states == "all":
        raise ValueError("states=all: is counted on a line alone; in several dimensions say how many")
    bare = units.dimensionless(potential, settings.units.units, settings.units.particle)
    return box_walls.in_box(bare, settings.level + 1)


def check_size(potential: Any, settings: Settings, starts: int = 1) -> None:
    """Raise ValueError where training needs more memory than there is; starts of a sweep that are trained at once."""
    count = points_of(potential, settings.sampling)
    passes = potential.dimension * count  # one of derivatives for each axis
    size = budget.needed(settings, 1, 1, points=passes)
    if settings.optimizer.name == "levenberg_marquardt":  # derivatives of every unit by every parameter
        width, depth = settings.width, settings.network.depth
        parameters = (depth - 1) * width * (width + 1) + (potential.dimension + 2) * width + 1
        size += 4 * depth * passes * parameters * width * (8 if settings.precision == "float64" else 4)
    budget.check_points(settings, count, f"in {potential.dimension} dimensions", size, starts)


def indices_of(settings: Settings) -> Int[np.ndarray, "K"]:
    """Indices (K,) of the levels that are trained."""
    return np.arange(settings.level + 1) if settings.states is not None else np.array([settings.level])


def corners(potential: Any) -> Float[np.ndarray, "2 d"]:
    """The walls of every axis: (2, d)."""
    return np.array(potential.domain, np.float64).T


def meshes(potential: Any) -> list[Mesh]:
    """For every axis the segments between its walls and the jumps of V on it."""
    return [Mesh(np.array([left, *inner, right], np.float64))
            for (left, right), inner in zip(potential.domain, potential.breakpoints, strict=True)]  # fmt: skip


def points_of(potential: Any, choice: SamplingChoice) -> int:
    """Points that the residual is taken at."""
    if choice.name == "random":
        return choice.points
    panels = [len(mesh) if choice.name == "gauss_legendre" else 1 for mesh in meshes(potential)]
    return math.prod(count * choice.points for count in panels)


def system_of(potential: Any, settings: Settings, unit: float) -> System:
    """The system of any level."""
    edges = corners(potential)
    ansatz = Ansatz(Envelope(build.network_of(settings.network, settings.width, settings.precision)), {"edges": edges})
    return build.system_of(potential, settings, ansatz, _sampling(potential, settings.sampling), unit)


def _sampling(potential: Any, choice: SamplingChoice) -> Sampling:
    if choice.name == "random":
        return RandomPoints(corners(potential), choice.points)  # type: ignore[arg-type]
    if choice.name == "uniform":
        return FixedPoints(tensor([uniform(walls, choice.points) for walls in corners(potential).T]))
    return FixedPoints(tensor([gauss_legendre(mesh, choice.points) for mesh in meshes(potential)]))


def measured_on(potential: Any, share: float = 1.0) -> Points:
    """The product of Gauss-Legendre points on which trained functions are measured, or of a share of them."""
    most = share * MEASURED[potential.dimension]
    return tensor([
        gauss_legendre(mesh, max(round(share * FEWEST), math.ceil(most / len(mesh)))) for mesh in meshes(potential)
    ])  # fmt: skip


def energy_unit(potential: Any, index: int) -> float:
    """Kinetic energy of product number `index` of the mean field: sum_i (pi / L_i)^2 / m_i in an empty box."""
    field, axes = box_walls.coarse(potential)
    product = sums(field.energies, index + 1)[-1]
    kinetic = 0.0
    for axis, energies, functions, v, n in zip(axes, field.energies, field.functions, field.v, product, strict=True):
        kinetic += float(energies[n] - (axis.weight * v) @ functions[n] ** 2)
    return kinetic


def energies_of(
    settings: Settings, indices: Int[np.ndarray, "K"], levels: Eigenstates | None
) -> Float[np.ndarray, "K"]:
    """E of each level if it is fixed, or where it starts. Raises ValueError where a reference does not know it."""
    if not settings.energy.to_reference or levels is None:
        return build.energies(settings, indices, None)
    if len(levels.energies) <= indices[-1] or not errors.vouched(levels)[indices].all():
        raise ValueError(f"energy.value=null: must be given, because the reference does not know E_{indices[-1]} well "
                         "enough")  # fmt: skip
    return build.energies(settings, indices, levels.energies)


@functools.lru_cache(maxsize=16)
def exact_levels(potential: Any, states: int = 1) -> Eigenstates:
    """The lowest levels by another method: `states` of them, and at least `LEVELS`."""
    return sine_products(potential, max(states, LEVELS))


def exact_on(potential: Any, settings: Settings, levels: Eigenstates, index: int) -> statistics.Exact:
    """What functions on `measured_on` the box are compared with."""
    psi = levels.psi(np.asarray(measured_on(potential).x[0]))
    return statistics.Exact(
        levels=levels, psi=psi, index=index, fixed=settings.energy.name == "fixed", projected=False
    )  # fmt: skip
