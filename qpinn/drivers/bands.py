"""Bands E_n(theta) of a periodic potential, each level with its bounds.

psi(x + a) = exp(i theta) psi(x), theta = k a the phase over a period a. Between 0 and pi psi is complex: its real and
imaginary part are two real functions on the segments of the period, tied by a rotation through theta, and every level
of this real problem is double. One network serves all bands and all phases; the linear parameters follow from Rayleigh
and Ritz (`qpinn.training.shared`), on a mesh on which the bands above are resolved too.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.analysis.quadratures import Quadratures, quadratures
from qpinn.bounds import certify
from qpinn.drivers import budget, discretize
from qpinn.drivers.build import build_on, cast
from qpinn.drivers.settings import BandsChoice, Settings, of_keywords
from qpinn.equations.eigenvalue import Fields
from qpinn.geometry.domain import Ends
from qpinn.geometry.quadrature import FixedPoints, Points, gauss_legendre
from qpinn.physics import units
from qpinn.physics.hamiltonian import hamiltonian
from qpinn.physics.resolution import energy_unit
from qpinn.physics.survey import Survey, survey, with_ends
from qpinn.physics.units import Units
from qpinn.training import shared
from qpinn.training.lanes import System

EXTRA = 2
"""Bands beyond those asked for among which a gap is looked for: bounds from below rest on it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bands:
    """The lowest K bands at T phases, in the units of the settings.

    theta    (T,) from 0 to pi; negative ones have the same levels
    k        (T,) theta over the period
    energies (T, K); lower, upper (T, K) bounds of each level, NaN where there is none
    gaps     (K - 1, 2) between the highest of a band and the lowest of the next at these phases: sure to be free of
             levels at them; negative where bands overlap or touch
    given    the potential, its domain one period
    settings how it was solved
    """

    given: Any
    settings: Settings
    theta: Float[np.ndarray, "T"]
    k: Float[np.ndarray, "T"]
    energies: Float[np.ndarray, "T K"]
    lower: Float[np.ndarray, "T K"]
    upper: Float[np.ndarray, "T K"]

    @property
    def gaps(self) -> Float[np.ndarray, "K-1 2"]:
        return np.stack([self.upper[:, :-1].max(axis=0), self.lower[:, 1:].min(axis=0)], axis=1)

    @property
    def units(self) -> Units:
        return self.settings.units.units

    def __repr__(self) -> str:
        from qpinn.drivers import shown

        return shown.text(shown.of_bands(self))

    def _repr_html_(self) -> str:
        from qpinn.drivers import shown

        return shown.table(shown.of_bands(self))

    def plot(self, ax: Any = None) -> Any:
        """E over k from -pi / a to pi / a, gaps shaded. Returns Axes of Matplotlib: `ax`, or those of a new figure."""
        from qpinn.report import band_figures, style  # not before: Matplotlib takes long to import
        from qpinn.runs.bands import summary

        return style.on_axes(band_figures.draw, ax, summary(self))


def bands(potential: Any, count: int = 4, phases: int = 33, **settings: Any) -> Bands:
    """The lowest `count` bands of a potential whose domain is one period, at `phases` from 0 to pi.

    Settings as in `qpinn.solve`: bands(qpinn.potentials.layers(...), 3, units="semiconductor").

    Raises ValueError if the potential has no period, for settings that mean nothing here, or if memory does not do.
    """
    return run(potential, count, phases, of_keywords(settings, {"count": (), "phases": ()}))


def run(potential: Any, count: int, phases: int, settings: Settings) -> Bands:
    """`bands` for settings that are checked."""
    BandsChoice(count, phases)  # checks
    for key in ("states", "state", "tol"):
        if getattr(settings, key) is not None:
            raise ValueError(f"{key}={getattr(settings, key)}: means nothing for bands; bands.count says how many")
    if not settings.ends.walls:
        raise ValueError(f"{settings.ends.said}: bands have periodic ends of every phase; leave it out")
    if settings.sampling.name != "gauss_legendre":
        raise ValueError(f"sampling.name={settings.sampling.name}: bands need gauss_legendre")
    bare = units.dimensionless(potential, settings.units.units, settings.units.particle)
    if None in bare.domain:
        raise ValueError(f"potential.domain: {bare.name} has no period; give potential.domain, one period of it")
    many = dataclasses.replace(settings, network=dataclasses.replace(settings.network, shared=True))
    theta = np.linspace(0, np.pi, phases)
    with jax.enable_x64(settings.precision == "float64"):
        energies, lower, upper = _levels(bare, many, count, theta)
    scale = settings.units.units.scale
    period = float(bare.domain[1] - bare.domain[0])
    return Bands(
        theta=theta, k=theta / period, energies=energies * scale, lower=lower * scale, upper=upper * scale,
        given=potential, settings=settings,
    )  # fmt: skip


@jax.jit
def _solved(system: System, at: Points) -> tuple[Fields, Any]:
    """Fields (K, ...) on `at` and parameters (K, ...) of the levels `system.level` (K,) of the Ritz problem."""
    params, _, _ = shared.levels(system)
    return jax.vmap(lambda level: system.equation.fields(level, at))(params), params


def _levels(
    potential: Any, settings: Settings, count: int, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies and bounds (T, count) of the lowest `count` levels at each of the phases `theta` (T,), one by one."""
    budget.forget_programmes()
    most = count + EXTRA
    rings = [hamiltonian(potential, Ends("periodic", "periodic", float(phase))) for phase in theta]
    mesh = discretize.mesh_of(rings[0], most, settings.phase, by_parity=False)
    discretize.check(mesh, rings[0], most, settings)
    budget.check(settings, 2 * len(mesh), 2 * most)
    unit = settings.loss.unit or energy_unit(rings[0], most)
    sampling = cast(settings.precision, FixedPoints(_twice(gauss_legendre(mesh, settings.sampling.points))))
    rules = _on_both_sheets(quadratures(rings[0], mesh.edges, mesh, settings.sampling.points, most))
    at, surveyed = cast(settings.precision, rules.points), survey(rings[0], most + 1)
    eps = float(jnp.finfo(settings.precision).eps)
    columns = []
    for ring in rings:
        system = build_on(ring, settings, mesh, unit, sheets=2)
        system = system._replace(sampling=sampling, seed=np.asarray(settings.seed), level=np.arange(2 * most))
        fields, params = jax.device_get(_solved(system, at))
        fine, check = (rules.values(fields, name) for name in ("fine", "check"))
        mix = certify.ritz(fine)
        columns.append(_certified(fine.mixed(mix), check.mixed(mix), with_ends(surveyed, ring.ends), count, eps))
        if not rules.resolves(settings.network.activation, params):
            columns[-1] = columns[-1][0], np.full(count, np.nan), np.full(count, np.nan)
    energies, lower, upper = (np.array(column) for column in zip(*columns, strict=True))
    return energies, lower, upper


def _certified(
    fine: certify.Values, check: certify.Values, brackets: Survey, count: int, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies and bounds (count,) of the lowest levels, from real functions of which every level has two.

    The bounds rest on a level above those that are looked at, the one with the widest gap below it. NaN where there is
    none, or where one contradicts the bracket of its level.
    """
    energies = fine.kinetic() + fine.potential()
    above = np.arange(count, len(fine.psi) // 2 + 1)
    kept = int(above[np.argmax(brackets.low[above] - energies[2 * above - 1])])
    first, pairs = slice(0, 2 * kept), slice(0, 2 * count)
    bound = certify.certify(fine.some(first), check.some(first), float(brackets.low[kept]), eps)
    lower, upper = bound.lower[pairs].reshape(-1, 2).max(axis=1), bound.upper[pairs].reshape(-1, 2).min(axis=1)
    wrong = (lower > brackets.high[:count]) | (upper < brackets.low[:count]) | (lower > upper)
    lower, upper = (np.where(np.isfinite(side) & ~wrong, side, np.nan) for side in (lower, upper))
    return bound.energies[pairs][::2], lower, upper


def _twice(points: Points) -> Points:
    """Points of the real and of the imaginary part, one after the other."""
    return jax.tree.map(lambda leaf: np.concatenate([leaf, leaf]), points)


def _on_both_sheets(rules: Quadratures) -> Quadratures:
    """The quadratures of the real and of the imaginary part, one after the other."""
    doubled = {
        name: (columns, np.tile(weight, (2, 1)), np.tile(blur, (2, 1)))
        for name, (columns, weight, blur) in rules.rules.items()
    }
    return dataclasses.replace(rules, points=_twice(rules.points), rules=doubled, strength=np.tile(rules.strength, 2))
