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

from qpinn.analysis.quadratures import Quadratures, quadratures
from qpinn.bounds import certify
from qpinn.drivers import discretize, eigenstates
from qpinn.drivers.settings import BandsChoice, Settings
from qpinn.geometry.domain import Ends
from qpinn.geometry.quadrature import FixedPoints, Points, gauss_legendre
from qpinn.physics import units
from qpinn.physics.counting import levels_of
from qpinn.physics.hamiltonian import ends_of, hamiltonian
from qpinn.physics.resolution import energy_unit
from qpinn.physics.survey import survey
from qpinn.training import shared
from qpinn.training.lanes import Lanes, System, side_by_side

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
    """

    theta: np.ndarray
    k: np.ndarray
    energies: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        return np.stack([self.upper[:, :-1].max(axis=0), self.lower[:, 1:].min(axis=0)], axis=1)


def bands(potential: Any, count: int = 4, phases: int = 33, settings: Settings | None = None) -> Bands:
    """The lowest `count` bands of a potential whose domain is one period, at `phases` from 0 to pi.

    Raises ValueError if the potential has no period, or more is asked for than can be computed.
    """
    settings = settings or Settings()
    BandsChoice(count, phases)  # checks
    bare = units.dimensionless(potential, settings.units.units, settings.units.mass)
    if None in bare.domain:
        raise ValueError(f"potential.domain: {bare.name} has no period; give potential.domain, one period of it")
    many = dataclasses.replace(settings, network=dataclasses.replace(settings.network, shared=True))
    theta = np.linspace(0, np.pi, phases)
    with jax.enable_x64(settings.precision == "float64"):
        energies, lower, upper = _levels(bare, many, count, theta)
    scale = settings.units.units.scale
    period = float(bare.domain[1] - bare.domain[0])
    return Bands(theta=theta, k=theta / period, energies=energies * scale, lower=lower * scale, upper=upper * scale)


def _levels(
    potential: Any, settings: Settings, count: int, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies and bounds (T, count) of the lowest `count` levels at each of the phases `theta` (T,)."""
    most = count + EXTRA
    rings = [hamiltonian(potential, Ends("periodic", "periodic", float(phase))) for phase in theta]
    edges, _ = discretize.segments(rings[0], most, settings.phase, by_parity=False)
    unit = settings.loss.unit or energy_unit(rings[0], most)
    points = gauss_legendre(edges, settings.sampling.points)
    sampling = FixedPoints(jax.tree.map(lambda leaf: np.concatenate([leaf, leaf]), points))
    systems = [
        eigenstates.build_on(ring, settings, edges, unit, sheets=2)._replace(sampling=sampling) for ring in rings
    ]
    lanes = eigenstates.cast(settings.precision, side_by_side(systems))
    places = jnp.tile(jnp.arange(2 * most), (len(theta), 1))
    rules = _on_both_sheets(quadratures(rings[0], edges, edges, settings.sampling.points, most))
    at = eigenstates.cast(settings.precision, rules.points)

    @jax.jit
    def solve(lanes: Lanes, seed: Any, places: Any, at: Points) -> Any:
        def levels(system: System, places: Any) -> Any:
            params, _, _ = shared.levels(system, seed, places)
            return jax.vmap(lambda level: system.equation.fields(level, at))(params)

        return lanes.over(levels, places)

    fields = jax.device_get(solve(lanes, jnp.asarray(settings.seed), places, at))
    lower_steps = survey(rings[0], most + 1).lower.joined()
    eps = float(jnp.finfo(settings.precision).eps)
    columns = []
    for at_phase, ring in enumerate(rings):
        of_phase = jax.tree.map(lambda leaf, t=at_phase: leaf[t], fields)
        fine, check = (rules.values(of_phase, name) for name in ("fine", "check"))
        mix = certify.ritz(fine)
        fine, check = fine.mixed(mix), check.mixed(mix)
        steps = dataclasses.replace(lower_steps, ends=ends_of(ring))
        above = levels_of(steps, np.arange(count, most + 1))[0]  # below the levels count, ..., most
        columns.append(_certified(fine, check, above, count, eps))
    energies, lower, upper = (np.array(column) for column in zip(*columns, strict=True))
    return energies, lower, upper


def _certified(
    fine: certify.Values, check: certify.Values, above: np.ndarray, count: int, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies and bounds (count,) from twice as many functions and more, all levels double.

    above  energies below the levels count, count + 1, ...: the one with the widest gap below it is taken
    """
    energies = np.array([np.sum(fine.energy_of(k)) for k in range(len(fine.psi))])
    gap = above - energies[2 * np.arange(count, count + len(above)) - 1]
    kept = count + int(np.argmax(gap))
    first = slice(0, 2 * kept)
    bound = certify.certify(fine.some(first), check.some(first), float(above[kept - count]), eps)
    lower, upper = (np.where(np.isfinite(side), side, np.nan) for side in (bound.lower, bound.upper))
    # both of a pair are bounds of the same level
    pairs = slice(0, 2 * count)
    return bound.energies[pairs][::2], lower[pairs].reshape(-1, 2).max(axis=1), upper[pairs].reshape(-1, 2).min(axis=1)


def _on_both_sheets(rules: Quadratures) -> Quadratures:
    """The quadratures of the real and of the imaginary part, one after the other."""
    doubled = {
        name: (columns, np.tile(weight, (2, 1)), np.tile(blur, (2, 1)))
        for name, (columns, weight, blur) in rules.rules.items()
    }
    points = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf]), rules.points)
    return dataclasses.replace(rules, points=points, rules=doubled, strength=np.tile(rules.strength, 2))
