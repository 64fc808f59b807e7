"""Transmission and reflection of a structure between two leads, every number with a bound."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Bool, Complex, Float

from qpinn.analysis import spectrum as spectra
from qpinn.analysis.spectrum import Progress, Spectrum
from qpinn.checks import plain, shown, whole
from qpinn.drivers.build import network_of
from qpinn.drivers.clock import Clock
from qpinn.drivers.eigenstates import potential_of
from qpinn.drivers.mapping import from_mapping
from qpinn.drivers.scatter_settings import MOST_ENERGIES, MOST_RESONANCES, ScatterSettings
from qpinn.drivers.settings import with_terms
from qpinn.equations.scattering import Scattering as Equation
from qpinn.physics import units
from qpinn.physics.leads import Structure, structure
from qpinn.physics.resolution import wave_edges
from qpinn.physics.units import Units
from qpinn.training import band, waves
from qpinn.training.waves import Discretization
from qpinn.typing import Params
from qpinn.wavefunctions.ansatz import Ansatz, ansatz_of

PROBES = 12
"""Energies at which bounds are looked at before segments are halved."""

MOST_ROUNDS = 6

MOST_SEGMENTS = 1000

MORE = 8
"""Energies at most, of those asked for, where T and the phase of t are followed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scattering:
    """Waves that come from the left, at N ascending energies, in the units of the settings.

    A wave of amplitude 1 at the left end of the structure is reflected with r there and leaves the right end with t;
    T = (v_R / v_L) |t|^2 and R = |r|^2. Where one of the leads is closed T = 0 and R = 1; where it is the left one, r
    and psi are those of a wave from the right.

    given      the potential
    spectrum   dimensionless amplitudes and their bounds
    system     the functions that psi is a combination of
    settings   how it was solved; seconds by phase
    untrained  residuals (N,) before the hidden units were trained, where they were
    """

    given: Any
    spectrum: Spectrum
    system: Discretization
    settings: ScatterSettings
    seconds: Mapping[str, float]
    untrained: Float[np.ndarray, "N"] | None = None

    @property
    def units(self) -> Units:
        return self.settings.units.units

    @property
    def energies(self) -> Float[np.ndarray, "N"]:
        return self.spectrum.energies * self.units.scale

    @property
    def T(self) -> Float[np.ndarray, "N"]:  # noqa: N802  (its name in the field)
        return self.spectrum.transmission

    @property
    def R(self) -> Float[np.ndarray, "N"]:  # noqa: N802
        return self.spectrum.reflection

    @property
    def t(self) -> Complex[np.ndarray, "N"]:
        return self.spectrum.t

    @property
    def r(self) -> Complex[np.ndarray, "N"]:
        return self.spectrum.r

    @property
    def bound(self) -> Float[np.ndarray, "N"]:
        """Bound (N,) on the error of T; inf where there is none."""
        return self.spectrum.transmission_bound

    @property
    def reflection_bound(self) -> Float[np.ndarray, "N"]:
        """The same of R."""
        return self.spectrum.reflection_bound

    @property
    def converged(self) -> Bool[np.ndarray, "N"]:
        """Whether both bounds meet the tolerance."""
        return np.maximum(self.bound, self.reflection_bound) <= self.settings.tol

    @property
    def residual(self) -> Float[np.ndarray, "N"]:
        """Norm of (H - E) psi (N,), dimensionless, for the wave of amplitude 1."""
        return self.spectrum.residual

    @property
    def phase_time(self) -> Float[np.ndarray, "N"]:
        """hbar d(arg t)/dE (N,), from end to end of the structure (Wigner, Phys. Rev. 98 (1955) 145).

        In the unit of `qpinn.physics.units.time`; NaN where T = 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            delay = np.where(self.spectrum.open, (self.spectrum.t_slope / self.spectrum.t).imag, np.nan)
        return delay / units.time(self.units)[1]

    def psi(self, energy: float, x: Any) -> Complex[np.ndarray, "*n"]:
        """psi at positions x of any shape, in the leads too, of amplitude 1 at the left end for the wave that comes."""
        place = np.asarray(x, np.float64)
        scaled = float(energy) / self.units.scale
        _check_open(np.array([scaled]), self.system.structure, self.units)
        return wave(self.system, scaled, place.ravel()).reshape(place.shape)

    def resonances(self, count: int = 4) -> list[Any]:
        """The lowest `count` resonances, E_r above the lower lead, that were found from several starts: maybe fewer."""
        whole("resonances", count, 1, MOST_RESONANCES)
        from qpinn.drivers import resonances

        return resonances.of(self.given, count, self.settings)

    def __repr__(self) -> str:
        from qpinn.drivers import shown

        return shown.text(shown.of_scattering(self))

    def _repr_html_(self) -> str:
        from qpinn.drivers import shown

        return shown.table(shown.of_scattering(self))

    def plot(self, ax: Any = None) -> Any:
        """T and R over E with their bounds. Returns Axes of Matplotlib: `ax`, or those of a new figure."""
        from qpinn.report import scatter_figures, style  # not before: Matplotlib takes long to import
        from qpinn.runs.scattering import summary

        return style.on_axes(scatter_figures.draw, ax, summary(self))


def scatter(
    potential: Any, energies: Any, leads: Mapping[str, float] | str | None = None, tol: float = 1e-10, *,
    domain: Sequence[float] | None = None, breakpoints: Sequence[float] = (),
    parameters: Mapping[str, float] | None = None, hamiltonian: Mapping[str, Any] = MappingProxyType({}),
    refine: bool = False, progress: Progress | None = None, **settings: Any,
) -> Scattering:  # fmt: skip
    """T and R of `potential` at `energies` (N,) for waves from the left, every number with its bound.

    -(psi' / m)' + V psi = E psi, and beyond the ends of the potential's domain V and m are those of the `leads`, by
    default what they are at the ends: there are no walls. A potential of the whole line is cut where V has met its
    limits, and the bounds count what was cut off.

    potential  with domain, breakpoints, parameters and hamiltonian as in `qpinn.solve`
    leads      {"left": V, "right": V, "mass_left": m, "mass_right": m, "bias": energy by which V falls from end to
               end}, or "zero": V = 0 on both sides
    tol        of the bounds: segments are halved where they are not met
    refine     put more energies where T moves, so that no resonance is stepped over
    progress   called with how many energies are solved, and of how many
    settings   network, units, phase, points, train, seed: see `qpinn.drivers.scatter_settings`

    Works in float64. Raises ValueError, naming what is allowed, for energies that are below both leads, and for a
    potential with nothing beyond its ends where a wave could go.
    """
    chosen = from_mapping(ScatterSettings, {**settings, "leads": leads or {}, "tol": tol})
    given = with_terms(potential_of(potential, domain, breakpoints, parameters), hamiltonian)
    return run(given, energies, chosen, refine, progress)


def run(
    potential: Any, energies: Any, settings: ScatterSettings, refine: bool = False, progress: Progress | None = None
) -> Scattering:
    """`scatter` for settings that are checked."""
    clock = Clock()
    given, scaled = prepared(potential, energies, settings)
    with jax.enable_x64(True):
        system = discretized(given, scaled, settings)
        clock.lap("segments")
        begun = system
        if settings.train:
            system = _trained(system, scaled, settings)
            clock.lap("training")
        spectrum = spectra.spectrum(system, scaled, progress)
        if refine:
            spectrum = spectra.refined(system, spectrum, MORE * len(scaled), progress)
        before = None
        if settings.train:
            before = spectra.spectrum(begun, spectrum.energies).residual
        else:
            system, spectrum = _halved(system, spectrum, settings, progress)
        clock.lap("energies")
    seconds = {**clock.seconds, "total": sum(clock.seconds.values())}
    return Scattering(
        given=potential, spectrum=spectrum, system=system, settings=settings, seconds=seconds, untrained=before
    )


def prepared(potential: Any, energies: Any, settings: ScatterSettings) -> tuple[Structure, np.ndarray]:
    """The dimensionless structure and energies. Raises ValueError as `scatter`."""
    scales = settings.units.units
    array = _energies(energies) / scales.scale
    bare = units.dimensionless(potential, scales, settings.units.particle)
    leads = settings.leads.over(scales.scale)
    given = structure(bare, leads)
    if None in bare.domain:
        above = np.abs(array[:, None] - given.levels).min()
        given = structure(bare, leads, float(np.sqrt(max(above, 1e-12))))
    _check_open(array, given, scales)
    return given, array


def check(potential: Any, energies: np.ndarray | None, settings: ScatterSettings) -> None:
    """Raise ValueError for what `run` would refuse, before anything is computed."""
    if energies is not None:
        prepared(potential, energies, settings)
        return
    scales = settings.units.units
    structure(units.dimensionless(potential, scales, settings.units.particle), settings.leads.over(scales.scale))


def _energies(energies: Any) -> np.ndarray:
    try:
        array = np.atleast_1d(np.asarray(plain(energies), np.float64))
    except (TypeError, ValueError):
        raise ValueError(f"energies={shown(energies)}: must be a row of numbers") from None
    if array.ndim != 1 or not 1 <= len(array) <= MOST_ENERGIES:
        raise ValueError(
            f"energies: {' x '.join(map(str, array.shape))} of them; must be a row of 1 to {MOST_ENERGIES}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"energies: {array[~np.isfinite(array)][0]} among them; must be finite")
    if (np.diff(array) <= 0).any():
        place = int(np.argmax(np.diff(array) <= 0))
        raise ValueError(f"energies: {array[place + 1]:g} follows {array[place]:g}; must ascend")
    return array


def _check_open(energies: np.ndarray, given: Structure, scales: Units) -> None:
    """Raise ValueError unless a wave comes from at least one lead, and none stands still in one."""
    lowest = float(given.levels.min())
    if energies.min() <= lowest:
        unit = "" if scales.none else f" {scales.energy}"
        levels = ", ".join(f"{level * scales.scale:g}" for level in given.levels)
        raise ValueError(f"energies={energies.min() * scales.scale:g}: nothing propagates at or below both leads "
                         f"({levels}{unit}); must lie above {lowest * scales.scale:g}")  # fmt: skip


def discretized(given: Structure, energies: np.ndarray, settings: ScatterSettings) -> Discretization:
    """Segments for waves of these dimensionless energies, halved where the bounds do not meet the tolerance."""
    low, high = float(np.min(energies)), float(np.max(energies))
    edges = wave_edges(given.potential, low, high, settings.phase, (settings.points + waves.MORE) // 2)
    probes = np.unique(energies[np.linspace(0, len(energies) - 1, PROBES).round().astype(int)])
    system = on_edges(given, edges, settings)
    for _ in range(MOST_ROUNDS):
        finer = _finer(system, spectra.spectrum(system, probes), settings)
        if finer is None:
            break
        system = finer
    return system


def on_edges(given: Structure, edges: np.ndarray, settings: ScatterSettings) -> Discretization:
    """The functions on segments between these edges, hidden units as they are drawn."""
    ansatz = jax.tree.map(
        jnp.asarray, ansatz_of("piecewise", network_of(settings.network, settings.width), edges, given.potential)
    )
    equation = Equation(given.potential, ansatz)
    return waves.discretized(given, equation, equation.init(jax.random.key(settings.seed)), settings.points)


def _trained(system: Discretization, energies: np.ndarray, settings: ScatterSettings) -> Discretization:
    """The same segments with hidden units trained on the energies as a band."""
    params = band.trained(system, energies, settings.train, settings.points)
    return waves.discretized(system.structure, system.equation, params, settings.points)


def _finer(system: Discretization, spectrum: Spectrum, settings: ScatterSettings) -> Discretization | None:
    """With the segments halved that keep bounds from meeting the tolerance; None where none do."""
    missed = np.maximum(spectrum.transmission_bound, spectrum.reflection_bound) > settings.tol
    missed = np.flatnonzero(missed & (spectrum.curable > settings.tol / 10))
    if not missed.size or len(system.mesh) > MOST_SEGMENTS / 2:
        return None
    some = missed[np.linspace(0, len(missed) - 1, PROBES).round().astype(int)]
    measured = waves.measured(system, waves.waves(system, spectrum.energies[np.unique(some)]))
    felt = (measured.residual.max(axis=-1) * measured.size.max(axis=-1)).max(axis=0)
    return on_edges(system.structure, system.mesh.bisected(felt > 0.1 * felt.max()).edges, settings)


def _halved(
    system: Discretization, spectrum: Spectrum, settings: ScatterSettings, progress: Progress | None
) -> tuple[Discretization, Spectrum]:
    """The same on finer segments, as long as that brings more energies within the tolerance."""
    for _ in range(MOST_ROUNDS):
        finer = _finer(system, spectrum, settings)
        if finer is None:
            break
        again = spectra.spectrum(finer, spectrum.energies, progress)
        if _missing(again, settings.tol) >= _missing(spectrum, settings.tol):
            break
        system, spectrum = finer, again
    return system, spectrum


def _missing(spectrum: Spectrum, tol: float) -> int:
    return int(np.sum(np.maximum(spectrum.transmission_bound, spectrum.reflection_bound) > tol))


def wave(system: Discretization, energy: float, x: Float[np.ndarray, "n"]) -> Complex[np.ndarray, "n"]:
    """psi at positions x (n,), by the Flax module; plane waves in the leads.

    Of the wave from the left, or where the left lead is closed from the right.
    """
    with jax.enable_x64(True):
        solved = waves.waves(system, np.array([energy]))
        side = int(waves.from_right(solved.velocity)[0])
        left, right = system.structure.domain
        inside = jnp.asarray(np.clip(x, left, right))
        parts = [
            np.asarray(_values(system.equation.ansatz, parameters(system, solved, 0, part, side), inside))
            for part in ("real", "imag")
        ]
    psi, k = parts[0] + 1j * parts[1], solved.velocity[0] * system.structure.masses
    u = solved.nodes[0, [0, -1], 0, side]
    for end, place, sign in ((0, left, -1), (1, right, 1)):
        out = np.maximum(sign * (x - place), 0.0)
        coming = 1.0 if end == side else 0.0
        beyond = coming * np.exp(-1j * k[end] * out) + (u[end] - coming) * np.exp(1j * k[end] * out)
        psi = np.where(out > 0, beyond, psi)
    return psi


@jax.jit
def _values(ansatz: Ansatz, params: Params, x: Float[jax.Array, "n"]) -> Float[jax.Array, "n"]:
    return jax.vmap(lambda place: ansatz.psi(params, place))(x[:, None])


def parameters(system: Discretization, solved: waves.Waves, index: int, part: str, side: int = 0) -> Params:
    """Parameters of the Flax module for the real or the imaginary part of a wave from the left, or the right (1)."""
    weights = getattr(solved.weights[:, :, index, side], part)[:, : -waves.NODAL]
    network = jax.tree.map(jnp.asarray, system.params["network"])
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], network["readout"]))
    readout = jax.vmap(unravel)(jnp.asarray(weights))
    nodal = getattr(solved.nodes[index, :, :, side], part).T.ravel()
    return {"network": {**network, "readout": readout}, "nodal": jnp.asarray(nodal)}


SHOWN = 400
"""Energies at which |psi|^2 is kept for figures."""

GRID = 600
"""Positions of them."""


def densities(scattering: Scattering) -> dict[str, np.ndarray]:
    """x (n,), V (n,), energies (M,) and |psi|^2 (M, n) on a grid, for figures."""
    system, count = scattering.system, len(scattering.spectrum.energies)
    some = np.unique(np.linspace(0, count - 1, min(SHOWN, count)).round().astype(int))
    energies = scattering.spectrum.energies[some]
    stride = max(1, system.x.size // GRID)
    with jax.enable_x64(True):
        rows = []
        for first in range(0, len(energies), 32):
            solved = waves.waves(system, energies[first : first + 32])
            psi, _ = waves.fields(system, solved)
            psi = np.where(waves.from_right(solved.velocity), psi[..., 1], psi[..., 0])
            dense = np.abs(psi / np.sqrt(system.weight)[..., None]) ** 2
            rows.append(dense.reshape(-1, dense.shape[-1])[::stride].T)
    scale = scattering.units.scale
    return {"x": system.x.ravel()[::stride], "v": system.v.ravel()[::stride] * scale, "energies": energies * scale,
            "density": np.concatenate(rows)}  # fmt: skip
