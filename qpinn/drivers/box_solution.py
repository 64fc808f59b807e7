"""What a solved problem of several coordinates is: what was asked, the functions that were found, and their bounds."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.analysis import bent_fields, box_symmetry, tensor
from qpinn.analysis.bent_fields import Psi
from qpinn.bounds import certify
from qpinn.drivers.box_plan import BoxPlan
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Stats
from qpinn.physics.units import Units
from qpinn.wavefunctions import product
from qpinn.wavefunctions.axis import Axis
from qpinn.wavefunctions.on_cells import Bend


@dataclasses.dataclass(frozen=True, kw_only=True)
class Levels:
    """What is known of K levels, dimensionless; each (K,) unless it says otherwise.

    energies    Rayleigh quotients
    lower, upper  bounds of each level; -inf and inf where there are none
    residual    |H psi - E psi|
    rounding    what the bounds allow for rounding, quadrature, and what it does not see of V
    truncation  what the lower ones allow for walls that were put where psi has decayed
    sigma       lower bound of level `together`, from `products` of the comparison potential; 0 of more than three axes,
                where a count by inertia gives it
    together    levels that are bounded together
    reason      why there are no bounds, or None
    kinetic     (K, K) <i|T|j>; moments (d, K, K) <i|x|j> and squares (d, K, K) <i|x^2|j> of every axis
    scale       energy that errors are divided by
    beyond      energy of the next level, which was not asked for
    """

    energies: Float[np.ndarray, "K"]
    lower: Float[np.ndarray, "K"]
    upper: Float[np.ndarray, "K"]
    residual: Float[np.ndarray, "K"]
    rounding: Float[np.ndarray, "K"]
    truncation: Float[np.ndarray, "K"]
    sigma: float
    products: int
    together: int
    reason: str | None
    kinetic: Float[np.ndarray, "K K"]
    moments: Float[np.ndarray, "d K K"]
    squares: Float[np.ndarray, "d K K"]
    scale: Float[np.ndarray, "K"]
    beyond: float

    @property
    def half_width(self) -> Float[np.ndarray, "K"]:
        return (self.upper - self.lower) / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """What training the hidden units of the axes did, beside K levels without it; dimensionless.

    steps, functions   of the training, and of an axis that it was on
    width, wider       hidden units of a segment, and as many as stand in the place of training
    residuals          (2, d) root mean square of |H u - e u| of those functions of every axis, before and after
    start              (K,) energies of products of the mean field, untrained
    before, widened    (K,) Rayleigh quotients of the levels untrained, and untrained with more units, each with its
                       bounds (2, K), -inf and inf where there are none
    """

    steps: int
    functions: int
    width: int
    wider: int
    residuals: Float[np.ndarray, "2 d"]
    start: Float[np.ndarray, "K"]
    before: Float[np.ndarray, "K"]
    before_bounds: Float[np.ndarray, "2 K"]
    widened: Float[np.ndarray, "K"]
    widened_bounds: Float[np.ndarray, "2 K"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxSolution:
    """Levels of several coordinates: K states, one unless several were asked for, in the units of the settings.

    given     the potential as it was given
    settings  how it was solved
    plan      walls and meshes, settled before
    axes      the natural functions of every axis
    core      (K, n_1, ..., n_d) the coefficients of their products; of more than three axes those of chosen ones
    bends     what bends on curves where V jumps
    levels    energies, bounds and what they rest on, dimensionless
    training  what training the hidden units of the axes did; None where they are as they were drawn
    stats     seconds, device, number of meshes

    energy    E of the first; energies (K,); bounds (K, 2), NaN where there is none
    psi(x)    wavefunctions at positions (..., d): (...) where `states` was not given, else (K, ...); zero outside,
              but on a ring, where it goes on from period to period
    """

    given: Any
    settings: Settings
    plan: BoxPlan
    axes: tuple[Axis, ...]
    core: product.Core
    bends: tuple[Bend, ...] = ()
    levels: Levels
    training: Training | None = None
    stats: Stats

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]

    def __repr__(self) -> str:
        from qpinn.drivers import box_shown, shown

        return shown.text(box_shown.of_box(self))

    def _repr_html_(self) -> str:
        from qpinn.drivers import box_shown, shown

        return shown.table(box_shown.of_box(self))

    def __getstate__(self) -> dict[str, Any]:
        """The fields: what was computed from them is computed again in a copy, and some of it cannot be pickled."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def units(self) -> Units:
        return self.settings.units.units

    @property
    def seconds(self) -> dict[str, float]:
        return self.stats.seconds

    @property
    def status(self) -> str:
        return "finished"

    @property
    def steps(self) -> int:
        """Of training the hidden units of the axes."""
        return 0 if self.training is None else self.training.steps

    @property
    def shown(self) -> slice:
        """Which of the levels were asked for."""
        return slice(self.plan.first, self.plan.asked)

    @property
    def energies(self) -> Float[np.ndarray, "K"]:
        return self.levels.energies[self.shown] * self.units.scale

    @property
    def energy(self) -> float:
        return float(self.energies[0])

    @property
    def bounds(self) -> Float[np.ndarray, "K 2"]:
        pairs = np.stack([self.levels.lower, self.levels.upper], axis=1)[self.shown]
        return np.where(np.isfinite(pairs), pairs, np.nan) * self.units.scale

    @property
    def converged(self) -> list[bool]:
        """Whether the bounds of each level meet the tolerance."""
        tol = self.settings.tol or certify.TOLERANCE
        return (self.levels.half_width <= tol * self.levels.scale)[self.shown].tolist()

    @property
    def dipoles(self) -> Float[np.ndarray, "d K K"]:
        """<i|x|j> of every coordinate."""
        return self.levels.moments[:, self.shown, self.shown]

    @functools.cached_property
    def symmetries(self) -> dict[str, list[int | None]]:
        """For each symmetry of V +1 or -1 of every state (K,), None where psi is neither even nor odd under it."""
        return box_symmetry.characters(self.plan.potential, self.at, self.plan.sampled)

    def at(self, places: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "K N"]:
        """psi of every level at places inside, without a compiled programme."""
        return self.bent.at(places)

    def fields(self, places: Sequence[Float[np.ndarray, "Q"]]) -> tensor.Fields:
        """psi and H psi of every level, and V, on the grid of some positions of every axis; H and V dimensionless."""
        if self.bends:
            return bent_fields.fields(self.plan.potential, self.bent, places)
        core = self.core[self.shown]
        if isinstance(core, product.Terms):
            raise ValueError(f"places: no grid of {len(self.axes)} axes is filled; `at` takes places one by one")
        return tensor.fields(self.plan.potential, self.axes, core, places)

    def density(self, axis: int, x: Float[np.ndarray, "Q"]) -> Float[np.ndarray, "K Q"]:
        """|psi|^2 of every level at positions of an axis, integrated over all others."""
        if self.bends:
            return bent_fields.density(self.bent, x, axis)
        return tensor.density(self.axes[axis].on(x), self.core[self.shown], axis)

    @property
    def wall_flux(self) -> Float[np.ndarray, "K d 2"]:
        """Integrals of (d psi / dn)^2 / m of every level over both walls of every axis."""
        masses = list(map(float, self.plan.potential.masses))
        if self.bends:
            return bent_fields.wall_flux(self.bent, masses)
        return tensor.wall_flux(self.axes, self.core[self.shown], masses)

    @property
    def bent(self) -> Psi:
        """The levels that were asked for."""
        bends = tuple(bend._replace(core=bend.core[self.shown]) for bend in self.bends)
        return Psi(self.axes, self.core[self.shown], bends)

    @property
    def potential(self) -> Any:
        """The potential as it was given, with its walls."""
        return self.given.on(self.plan.potential.domain)

    def psi(self, x: Any) -> Float[np.ndarray, "..."]:
        place = np.asarray(x, np.float64)
        d = len(self.axes)
        if place.ndim == 0 or place.shape[-1] != d:
            raise TypeError(f"x: has the shape {place.shape}; its last axis must be that of {d} coordinates")
        walls = np.asarray(self.plan.potential.domain, np.float64)
        rings = np.array([ends.ring for ends in self.plan.potential.ends_of_axes])
        place = np.where(rings, walls[:, 0] + np.mod(place - walls[:, 0], walls[:, 1] - walls[:, 0]), place)
        with jax.enable_x64(True):
            values = self._at(place.reshape(-1, d))
        inside = ((place >= walls[:, 0]) & (place <= walls[:, 1])).all(axis=-1)
        shown = np.where(inside, values.reshape(-1, *place.shape[:-1]), 0.0)[self.shown]
        return shown[0] if self.settings.states is None else shown

    def plot(self, level: int | None = None, ax: Any = None) -> Any:
        """psi over V, of every level or of one; of three coordinates the surface within which most of |psi|^2 is, of
        more |psi|^2 along each axis. Returns Axes of Matplotlib, or an array of them.

        level  its index; ax  axes to draw one level on (in space, of three coordinates). So with the other methods
        """
        return self._drawn("states" if len(self.axes) <= 3 else "marginals", level, ax)

    def plot_levels(self, ax: Any = None) -> Any:
        """E of all levels, side by side where they are the same, with bounds where they can be seen."""
        return self._drawn("levels", None, ax)

    def plot_density(self, level: int | None = None, ax: Any = None) -> Any:
        """|psi|^2 over V; of three coordinates on planes through its largest value, of more along each axis."""
        if len(self.axes) == 3 and ax is None:
            return self._drawn("states", self.plan.first if level is None else level, None)
        return self._drawn("densities" if len(self.axes) <= 3 else "marginals", level, ax)

    def plot_residual(self, level: int | None = None, ax: Any = None) -> Any:
        """|H psi - E psi| as a map; of three coordinates on planes through the largest |psi|."""
        if len(self.axes) > 3:
            raise ValueError(f"the residual of {len(self.axes)} coordinates has no map; its norm is in levels.residual")
        return self._drawn("residual", level, ax)

    def save(self, folder: str | Path) -> Path:
        """Write the solution as the folder of a run, which `qpinn.load` and the scripts read; returns the folder.

        The figures are drawn for it, with report.html. Raises ValueError if there is something in the folder, OSError
        where it cannot be written.
        """
        from qpinn.drivers.load import save

        return save(self, folder)

    def _drawn(self, name: str, level: int | None, ax: Any) -> Any:
        from qpinn.report import box_data, box_figures  # not before: Matplotlib takes long to import

        data = box_data.of(self, {})
        if ax is not None:
            return box_figures.on_axes(name, data, 0 if level is None else data.place(level), ax)
        alone = name in ("states", "densities") and (level is not None or len(data.levels) == 1)
        if name == "residual" and level is not None:
            data = data.only(level)
        index = data.levels[0].index if level is None else data.levels[data.place(level)].index
        return box_figures.in_session(f"{box_data.ALONE}{index}" if alone else name, data)

    def _at(self, x: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "K N"]:
        """psi of every level, walls or not."""
        if not isinstance(self.core, product.Terms):
            return np.asarray(self._values(jnp.asarray(x)))
        walls = np.asarray(self.plan.potential.domain, np.float64)
        return Psi(self.axes, self.core, ()).at(np.clip(x, walls[:, 0], walls[:, 1]))

    @functools.cached_property
    def _values(self) -> Any:
        """psi of every level at positions (N, d), compiled: the functions of each axis, then their products."""
        module, made = self.wavefunction

        def each(x: Any) -> Any:
            return jnp.asarray(jax.vmap(lambda place: module.apply(made, place))(x)).T

        return jax.jit(each)

    @functools.cached_property
    def wavefunction(self) -> tuple[Any, Any]:
        """A Flax module and its variables: psi of every level (K,) at x (d,) is module.apply(variables, x)."""

        def made(axes: tuple[Axis, ...], core: product.Core) -> Any:
            if isinstance(core, product.Terms):
                return product.variables(axes, core.indices, core.coefficients)
            indices = np.indices(core.shape[1:]).reshape(len(axes), -1).T
            return product.variables(axes, indices, core.reshape(len(core), -1))

        module, smooth = product.product_of(self.axes), made(self.axes, self.core)
        if not self.bends:
            return module, smooth
        bent = product.Bent(module, tuple((bend.side.curve.tree, bend.side.sign) for bend in self.bends))
        return bent, product.together(smooth, [made(bend.axes, bend.core) for bend in self.bends])
