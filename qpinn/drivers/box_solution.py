"""What a solved problem of several coordinates is: what was asked, the functions that were found, and their bounds."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.bounds import certify
from qpinn.drivers.box_curves import Bend
from qpinn.drivers.box_plan import BoxPlan
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Stats
from qpinn.physics.units import Units
from qpinn.wavefunctions import product
from qpinn.wavefunctions.axis import Axis


@dataclasses.dataclass(frozen=True, kw_only=True)
class Levels:
    """What is known of K levels, dimensionless; each (K,) unless it says otherwise.

    energies    Rayleigh quotients
    lower, upper  bounds of each level; -inf and inf where there are none
    residual    |H psi - E psi|
    rounding    what the bounds allow for rounding, quadrature, and what it does not see of V
    truncation  what the lower ones allow for walls that were put where psi has decayed
    sigma       lower bound of level `together`, from `products` of the comparison potential
    together    levels that are bounded together
    reason      why there are no bounds, or None
    kinetic     <T>; moments (d, K, K) <i|x|j> and squares (d, K) <x^2> of every axis
    scale       energy that errors are divided by
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
    kinetic: Float[np.ndarray, "K"]
    moments: Float[np.ndarray, "d K K"]
    squares: Float[np.ndarray, "d K"]
    scale: Float[np.ndarray, "K"]

    @property
    def half_width(self) -> Float[np.ndarray, "K"]:
        return (self.upper - self.lower) / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxSolution:
    """Levels of several coordinates: K states, one unless several were asked for, in the units of the settings.

    given     the potential as it was given
    settings  how it was solved
    plan      walls and meshes, settled before
    axes      the natural functions of every axis
    core      (K, n_1, ..., n_d) the coefficients of their products
    bends     what bends on curves where V jumps
    levels    energies, bounds and what they rest on, dimensionless
    stats     seconds, device, number of meshes

    energy    E of the first; energies (K,); bounds (K, 2), NaN where there is none
    psi(x)    wavefunctions at positions (..., d): (...) where `states` was not given, else (K, ...); zero outside
    """

    given: Any
    settings: Settings
    plan: BoxPlan
    axes: tuple[Axis, ...]
    core: Float[np.ndarray, "K *n"]
    bends: tuple[Bend, ...]
    levels: Levels
    stats: Stats

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

    @property
    def potential(self) -> Any:
        """The potential as it was given, with its walls."""
        return self.given.on(self.plan.potential.domain)

    def psi(self, x: Any) -> Float[np.ndarray, "..."]:
        place = np.asarray(x, np.float64)
        d = len(self.axes)
        if place.ndim == 0 or place.shape[-1] != d:
            raise TypeError(f"x: has the shape {place.shape}; its last axis must be that of {d} coordinates")
        with jax.enable_x64(True):
            values = np.asarray(self._values(jnp.asarray(place.reshape(-1, d))))
        walls = np.asarray(self.plan.potential.domain, np.float64)
        inside = ((place >= walls[:, 0]) & (place <= walls[:, 1])).all(axis=-1)
        shown = np.where(inside, values.reshape(-1, *place.shape[:-1]), 0.0)[self.shown]
        return shown[0] if self.settings.states is None else shown

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

        def made(axes: tuple[Axis, ...], core: np.ndarray) -> Any:
            indices = np.indices(core.shape[1:]).reshape(len(axes), -1).T
            return product.variables(axes, indices, core.reshape(len(core), -1))

        module, smooth = product.product_of(self.axes), made(self.axes, self.core)
        if not self.bends:
            return module, smooth
        bent = product.Bent(module, tuple((bend.side.curve.tree, bend.side.sign) for bend in self.bends))
        return bent, product.together(smooth, [made(bend.axes, bend.core) for bend in self.bends])
