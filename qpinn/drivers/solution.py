"""What a solved eigenproblem is: what was asked, what was trained, and all that follows from the two."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.analysis import errors, observables
from qpinn.bounds import certify
from qpinn.drivers import discretize
from qpinn.drivers.settings import Settings
from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.mesh import Mesh
from qpinn.physics import reference as reference_module
from qpinn.physics import symmetry
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.potentials.base import positions
from qpinn.physics.reference import Eigenstates, SizeError
from qpinn.physics.units import Units
from qpinn.training.fit import Fit
from qpinn.training.lanes import Lanes, System
from qpinn.typing import Params
from qpinn.wavefunctions.ansatz import is_linear

LEVELS = 8
"""Levels of the reference that a trained state is compared with at least, to say which it is."""


@functools.lru_cache(maxsize=16)
def exact_levels(potential: Any, states: int = 1) -> Eigenstates:
    """The lowest levels of a potential with walls by another method: `states` of them, and at least `LEVELS`.

    Raises SizeError if they are too large a problem.
    """
    return reference_module.best(potential, max(states, LEVELS))


def reference_of(plan: discretize.Plan) -> Eigenstates:
    """`exact_levels` of a plan, which are no better than the brackets of the plan say."""
    return errors.within_brackets(exact_levels(plan.potential, plan.first + plan.trained), plan.low, plan.high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """What was trained on one mesh, and what came out; dimensionless.

    mesh      of the whole box, or of its left half for a parity
    mix       matrix (K, K) that makes the functions measured of the lanes: after a Ritz start the Ritz functions
    measured  the functions on quadratures and a grid, with their bounds
    """

    mesh: Mesh
    lanes: Lanes
    fit: Fit
    mix: np.ndarray
    measured: observables.Measured


class Stats(NamedTuple):
    """Seconds of each phase (planning, reference where training needed one, compile, train, measure), the device, and
    the number of meshes that were tried."""

    seconds: dict[str, float]
    device: str
    rounds: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solution:
    """A solved eigenproblem: K states, a single one unless several were asked for.

    Lengths and energies are in the units of the settings: by default L and hbar^2 / (2 m L^2). `plan` and `trained` are
    dimensionless whatever the units are.

    given     the potential as it was given
    settings  how it was solved
    plan      walls, levels and mesh, settled before training
    trained   what was trained, and what came out
    stats     seconds, device, number of meshes

    What follows from them, with the lengths and energies of the units:

    energy      E of the first; energies (K,); bounds (K, 2), below and above
    psi(x)      wavefunctions on positions of any shape: x.shape where `states` was not given, else (K, *x.shape);
                zero outside the walls
    measured    everything measured of each: norm, nodes, bounds, expectation values
    reference   levels from another method with their own errors, computed when they are first asked for; None where
                they would be too large a problem
    states      `measured` with the errors against the reference, as far as it vouches for them
    history     columns with an entry for each step and each state trained: step, state, pde, norm, orthogonality,
                total, energy, step_size, seconds
    params      of the states trained, each a lane, and how the states are mixed from them
    samples     psi, H psi and V on a grid
    save(folder)  writes it as the folder of a run, which `qpinn.load` gives back
    """

    given: Any
    settings: Settings
    plan: discretize.Plan
    trained: Round
    stats: Stats

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]

    def __repr__(self) -> str:
        from qpinn.drivers import shown

        return shown.text(shown.of_solution(self))

    def _repr_html_(self) -> str:
        from qpinn.drivers import shown

        return shown.table(shown.of_solution(self))

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
        """ "finished", "stopped" (by a callback) or "non-finite" (in some state, which was frozen there)."""
        return self.trained.fit.status

    @property
    def steps(self) -> int:
        """Steps of training: of the state that took most, or of the last one whose turn came."""
        return 0 if self.settings.shared else self.trained.fit.taken(self.settings.in_turn)

    @property
    def frozen(self) -> dict[int, int]:
        """Indices of the levels that met a NaN, and how many good steps each took before."""
        return self.trained.fit.frozen(self.plan.indices)

    @property
    def history(self) -> dict[str, Float[np.ndarray, "rows"]]:
        rows = self.trained.fit.rows()
        return {**rows, "state": rows["state"] + self.plan.first, "energy": rows["energy"] * self.units.scale}

    @property
    def params(self) -> Params:
        return {"lanes": self.trained.fit.params, "mix": self.trained.mix}

    @property
    def fine(self) -> certify.Values:
        """The states on the finest quadrature, dimensionless."""
        return self.trained.measured.fine.some(self.plan.shown)

    @property
    def samples(self) -> certify.Values:
        return self.trained.measured.grid.some(self.plan.shown).times(self.units.scale)

    @property
    def interpolation_shift(self) -> Float[np.ndarray, "K"] | None:
        """What every level of a table (K,) changes by if every second row is left out; None for what is no table."""
        measured = self.trained.measured
        shift = observables.interpolation_shift(measured.fine, measured.bound.energies, self.plan.potential)
        return None if shift is None else shift[self.plan.shown] * self.units.scale

    @property
    def dipoles(self) -> Float[np.ndarray, "K K"]:
        """<i|x|j> (K, K)."""
        return observables.dipoles(self.fine)

    @property
    def equation(self) -> Eigenvalue:
        """The equation that was trained; where lanes differ in a number, it has one for each."""
        return self.trained.lanes.system.equation

    @property
    def potential(self) -> Any:
        """The potential as it was given, with its walls."""
        return self.plan.with_walls(self.given)

    @functools.cached_property
    def _states(self) -> list[observables.State]:
        """The states, dimensionless."""
        plan, measured = self.plan, self.trained.measured
        cutting, even = observables.cut_by_walls(plan.potential, plan.chosen), symmetry.is_even(plan.potential)
        tol = self.settings.tol or certify.TOLERANCE
        return observables.states(measured, plan, tol, even, cutting)[plan.shown]

    @functools.cached_property
    def measured(self) -> list[observables.State]:
        return [state.times(self.units.scale) for state in self._states]

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
        return [state.times(self.units.scale) for state in errors.against(self._states, self.fine, levels)]

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
    def energies(self) -> Float[np.ndarray, "K"]:
        return np.array([state.energy for state in self.measured])

    @property
    def bounds(self) -> Float[np.ndarray, "K 2"]:
        """Energies (K, 2) below and above each level; NaN where a bound does not exist."""
        bounds = [(state.lower, state.upper) for state in self.measured]
        return np.array([[np.nan if bound is None else bound for bound in pair] for pair in bounds])

    @property
    def scale(self) -> Float[np.ndarray, "K"]:
        """What `tol` and `converged` are relative to (K,): |E|, or a tenth of the spacing where E is near zero."""
        energies = np.array([state.energy_rayleigh for state in self._states])
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

    def psi(self, x: Any) -> Float[np.ndarray, "..."]:
        x = np.asarray(positions(x, None), np.float64)
        with jax.enable_x64(self.settings.precision == "float64"):
            flat = jnp.asarray(x.reshape(-1, 1), self.equation.ansatz.dtype)
            lanes = np.asarray(_psi(self.trained.lanes, self.trained.fit.params, flat), np.float64)
        left, right = self.plan.potential.domain
        inside = (x >= left) & (x <= right) | ends_of(self.plan.potential).ring
        values = np.where(inside, (np.asarray(self.trained.mix, np.float64).T @ lanes).reshape(-1, *x.shape), 0.0)
        shown = values[self.plan.shown]
        return shown[0] if self.settings.states is None else shown

    def plot(self, ax: Any = None) -> Any:
        """psi on V, with that of the reference; several levels lifted to their energies. Returns Axes of Matplotlib.

        ax  axes to draw on; by default those of a new figure. So with the other methods that begin with plot
        """
        return self._drawn("wavefunction" if len(self.measured) == 1 else "levels", ax)

    def plot_levels(self, ax: Any = None) -> Any:
        """psi of every level on V, lifted to its energy, with its number; bounds where they can be seen."""
        return self._drawn("levels", ax)

    def plot_density(self, ax: Any = None) -> Any:
        """|psi|^2 on V; of several levels lifted to their energies."""
        return self._drawn("density" if len(self.measured) == 1 else "densities", ax)

    def plot_residual(self, ax: Any = None) -> Any:
        """|H psi - E psi| along x; of several levels as colours over x and level."""
        return self._drawn("residual", ax)

    def plot_energy(self, ax: Any = None) -> Any:
        """E of every level against step; after training without steps, against level."""
        return self._drawn("energy", ax)

    def plot_history(self, ax: Any = None) -> Any:
        """The loss against step: its terms, or of several levels the sum."""
        return self._drawn("loss", ax)

    def _drawn(self, name: str, ax: Any) -> Any:
        from qpinn.drivers.eigenstates import describe_route
        from qpinn.report import run_data, run_figures  # not before: Matplotlib takes long to import

        return run_figures.on_axes(name, run_data.of(self, describe_route(self.settings)), ax)

    def save(self, folder: str | Path) -> Path:
        """Write the solution as the folder of a run, which `qpinn.load` and the scripts read; returns the folder.

        The reference and the classical methods are computed for it, and the figures drawn, with report.html. A Python
        function as potential is in no file: `qpinn.load(folder, potential=f)` takes it again. Raises ValueError if
        there is something in the folder, OSError where it cannot be written.
        """
        from qpinn.drivers.load import save

        return save(self, folder)

    @property
    def edges(self) -> Float[np.ndarray, "segments+1"]:
        """Edges of the segments of the ansatz."""
        return Mesh(np.asarray(self.equation.ansatz.edges, np.float64), self.plan.mesh.half).whole.edges

    @property
    def parameters(self) -> int:
        """Number of parameters of all lanes; hidden units that lanes share are counted once for each parity."""
        lanes = self.trained.fit.params
        networks = len(set(self.plan.parities))
        once = jax.tree.map(lambda linear: self.settings.shared and not linear, is_linear(lanes["psi"]))
        sizes = jax.tree.map(lambda leaf, flag: leaf[:networks].size if flag else leaf.size, lanes["psi"], once)
        return sum(jax.tree.leaves(sizes)) + (lanes["energy"].size if "energy" in lanes else 0)


@jax.jit
def _psi(lanes: Lanes, params: Params, x: Any) -> Any:
    def values(system: System, params: Params) -> Any:
        return jax.vmap(lambda place: system.equation.ansatz.psi(params["psi"], place))(x)

    return lanes.over(values, params)
