"""What is settled before training, from V alone: walls, mesh, how many states, and what bounds them from below."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from qpinn.drivers.settings import MOST_STATES, Settings
from qpinn.geometry.mesh import Mesh
from qpinn.physics import enclosure, symmetry, units, walls
from qpinn.physics.hamiltonian import hamiltonian
from qpinn.physics.potentials.base import has_kinks
from qpinn.physics.resolution import segment_edges
from qpinn.physics.survey import pieces, survey

EXTRA = 4
"""States beyond those asked for that may be trained too, to end at a gap of the spectrum."""

MOST_SEGMENTS = 256
"""Of trained networks: their Rayleigh-Ritz start is a dense eigenproblem of all of them."""

MOST_SHARED = 2048
"""Of a shared network, whose levels are found by a sparse factorisation."""


class SegmentsError(ValueError):
    """More segments are needed than can be trained."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Walls, levels and mesh, settled before training.

    potential   with its walls
    first       index of the first level that is trained: 0, but for one that is trained alone
    trained     number of states that are trained: with a Ritz start those up to the next gap of the spectrum, since the
                lower bounds are the sharper the further sigma is above them
    shown       which of them were asked for
    floor       upper bound of level first - 1; -inf for first = 0
    sigma       lower bound of level first + trained
    chosen      which walls (2,) were put where psi has decayed, instead of given
    low, high   lower and upper bounds of the levels from counting, their brackets
    mesh        to begin with; of the left half of the box where psi is taken to be even or odd
    left_out    with states=all, the binding energy below which levels were not counted; None if there are none
    """

    potential: Any
    first: int
    trained: int
    shown: slice
    floor: float
    sigma: float
    chosen: tuple[bool, bool]
    low: Float[np.ndarray, "levels"]
    high: Float[np.ndarray, "levels"]
    mesh: Mesh
    left_out: float | None

    def with_walls(self, potential: Any) -> Any:
        """`potential`, in whatever units, between the walls of the plan: a length is the same number in all of them."""
        return potential.on(*self.potential.domain) if None in potential.domain else potential

    @property
    def indices(self) -> Int[np.ndarray, "trained"]:
        """Indices (trained,) of the levels that are trained."""
        return self.first + np.arange(self.trained)

    @property
    def parities(self) -> list[float | None]:
        """+1 for each even, -1 for each odd level that is trained; None where psi is taken to be neither."""
        return [parity_of(index) if self.mesh.half else None for index in self.indices.tolist()]


def parity_of(index: int) -> float:
    """+1 or -1, the parity of a level of an even V."""
    return 1.0 - 2.0 * (index % 2)


def of(potential: Any, settings: Settings) -> Plan:
    """Where to put missing walls and edges, and how many states to train, for a potential in the units of `settings`.

    Raises ValueError if it does not bind as many states as were asked for, or they need too many segments.
    """
    bare = units.dimensionless(potential, settings.units.units, settings.units.particle)
    bare = hamiltonian(bare, settings.ends.of_axes(1)[0])
    if has_kinks(bare) and settings.ansatz.name != "piecewise":
        raise ValueError(f"ansatz.name={settings.ansatz.name}: has no kinks, and psi of potential={bare.name} has "
                         "some; allowed: piecewise")  # fmt: skip
    projected = settings.start.name == "ritz"
    plan = _plan(bare, settings.states, settings.state, projected, settings.phase, settings.by_parity)
    check(plan.mesh, bare, plan.first + plan.trained, settings)
    return plan


def settled(potential: Any, settings: Settings) -> Settings:
    """`settings` with one network for all levels where so many segments are needed that each cannot have its own.

    Raises ValueError as `of`.
    """
    try:
        of(potential, settings)
    except SegmentsError:
        if settings.network.shared is not None or not settings.may_share:
            raise
        settings = dataclasses.replace(settings, network=dataclasses.replace(settings.network, shared=True))
        of(potential, settings)
    return settings


@functools.lru_cache(maxsize=16)
def _plan(
    potential: Any, states: int | str | None, state: int | None, projected: bool, phase: float, by_parity: bool
) -> Plan:
    """The plan for the lowest `states`, or for one `state`, of a dimensionless potential; kept for the next call."""
    asked = (state or 0) + 1 if states is None else _asked(potential, states)
    key = f"state={state}" if state is not None else f"states={1 if states is None else states}"
    boxed = walls.on_box(potential, asked, key=key)
    _check(boxed)
    surveyed = survey(boxed, asked + EXTRA + 1)
    low, high = surveyed.low, surveyed.high
    gaps = low[asked:] - high[asked - 1 : -1]
    wide = np.flatnonzero(gaps > 0.03 * (high[-1] - low[0]) / (asked + EXTRA))
    alone = not projected and states is None
    end = asked + int(wide[0] if wide.size else np.argmax(gaps)) if projected else asked
    first = asked - 1 if alone else 0
    left, right = (wall is None for wall in potential.domain)
    return Plan(
        potential=boxed, first=first, trained=end - first,
        shown=slice(asked - 1 - first, asked - first) if states is None else slice(0, asked),
        floor=float(high[first - 1]) if first else -np.inf, sigma=float(low[end]), chosen=(left, right), low=low,
        high=high, mesh=mesh_of(boxed, end, phase, by_parity),
        left_out=walls.left_out(potential) if states == "all" else None,
    )  # fmt: skip


def mesh_of(potential: Any, states: int, phase: float, by_parity: bool) -> Mesh:
    """The mesh for the lowest `states` levels: of the left half of the box, if V is even and that is wanted."""
    mesh = Mesh(segment_edges(potential, states, phase))
    return mesh.left_half() if by_parity and symmetry.is_even(potential) else mesh


def check(mesh: Mesh, potential: Any, states: int, settings: Settings) -> None:
    """Raise SegmentsError if a mesh has more segments than the networks of `settings` can have."""
    most = MOST_SHARED if settings.shared else MOST_SEGMENTS
    if len(mesh) > most:
        raise SegmentsError(f"{potential.name}: {len(mesh)} segments are needed for {states} levels, more than {most}; "
                            f"a larger ansatz.phase (now {settings.phase:g}) makes them wider")  # fmt: skip


def _check(potential: Any) -> None:
    """Raise ValueError unless V is finite between its walls and its breakpoints are apart."""
    edges = pieces(potential)
    if np.diff(edges).min() < 1e-9 * (edges[-1] - edges[0]):
        raise ValueError(f"potential={potential.name}: two of its breakpoints or walls are closer than 1e-9 of the box")
    beyond = enclosure.out_of_range(potential)
    if beyond is not None:
        raise ValueError(f"potential.domain=[{edges[0]:g}, {edges[-1]:g}]: V is {beyond[1]:g} at x = {beyond[0]:g}; "
                         f"must lie within +-{enclosure.largest(edges[0], edges[-1]):g}")  # fmt: skip


def _asked(potential: Any, states: int | str) -> int:
    if states != "all":
        return int(states)
    if not np.isfinite(getattr(potential, "threshold", np.inf)):
        raise ValueError(f"states=all: {potential.name} has no end of bound states; say how many")
    bound = walls.bound_states(potential)
    if not 1 <= bound <= MOST_STATES:
        raise ValueError(
            f"states=all: the well holds {bound} bound states; from 1 to {MOST_STATES} can be solved at once"
        )
    return bound
