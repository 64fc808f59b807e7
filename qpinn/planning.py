"""What is settled before training, from V alone: walls, mesh, how many states, and what bounds them from below."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from qpinn import settings as settings_module
from qpinn.analysis import certify
from qpinn.physics import domain, estimates, units
from qpinn.physics.potentials.base import deltas_of

EXTRA = 4
"""States beyond those asked for among which a gap is looked for."""

MOST_SEGMENTS = 256
"""The Rayleigh-Ritz start is a dense eigenproblem of all of them: with twice as many it takes eight times as long."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is known before training.

    potential   with its walls
    asked       states that were asked for
    trained     states that are trained: so many that a gap follows them
    sigma       an energy in that gap, which level number `trained` does not lie below
    chosen      which walls (2,) were put where psi has decayed, instead of given
    low, high   between which the levels lie (asked + EXTRA + 1,)
    mesh        edges of the segments to begin with
    """

    potential: Any
    asked: int
    trained: int
    sigma: float
    chosen: tuple[bool, bool]
    low: np.ndarray
    high: np.ndarray
    mesh: np.ndarray

    @property
    def scale(self) -> np.ndarray:
        """What an error of each level is relative to."""
        return certify.scale((self.low + self.high) / 2)


def of(potential: Any, settings: settings_module.Settings) -> Plan:
    """The plan of a run with these settings, for a potential in their units. Raises ValueError as `plan`."""
    bare = units.dimensionless(potential, settings.units.units, settings.units.mass)
    bent = hasattr(bare, "mass") or bool(deltas_of(bare)[0])
    if bent and settings.ansatz.name != "piecewise":
        raise ValueError(f"ansatz.name={settings.ansatz.name}: has no kinks, and psi of potential={bare.name} has "
                         "some; allowed: piecewise")  # fmt: skip
    return plan(bare, settings.states, settings.start.name == "ritz", settings.ansatz.phase)


@functools.lru_cache(maxsize=16)
def plan(potential: Any, states: int | str | None, projected: bool = True, phase: float = 1.0) -> Plan:
    """Where to put missing walls and edges, and how many states to train; one if the start is not `projected`.

    Raises ValueError if the potential does not bind as many states as were asked for, or they need too many segments.
    """
    asked = _asked(potential, states)
    boxed = estimates.on_box(potential, asked)
    _check(boxed)
    low, high = estimates.brackets(boxed, asked + EXTRA + 1)
    gaps = low[asked:] - high[asked - 1 : -1]
    wide = np.flatnonzero(gaps > 0.03 * (high[-1] - low[0]) / (asked + EXTRA))
    trained = asked + int(wide[0] if wide.size else np.argmax(gaps)) if projected else 1
    left, right = (wall is None for wall in potential.domain)
    mesh = domain.segment_edges(boxed, trained, phase)
    if len(mesh) - 1 > MOST_SEGMENTS:
        raise ValueError(f"states={asked}: {len(mesh) - 1} segments are needed, more than {MOST_SEGMENTS}; a larger "
                         f"ansatz.phase (now {phase:g}) makes them wider")  # fmt: skip
    return Plan(boxed, asked, trained, float(low[trained]), (left, right), low, high, mesh)


def _check(potential: Any) -> None:
    """Raise ValueError unless V is finite between its walls and its breakpoints are apart."""
    edges = estimates.pieces(potential)
    if np.diff(edges).min() < 1e-9 * (edges[-1] - edges[0]):
        raise ValueError(f"potential={potential.name}: two of its breakpoints or walls are closer than 1e-9 of the box")
    x = np.linspace(edges[0], edges[-1], 2001)[1:-1]
    with np.errstate(all="ignore"):
        v = potential(x[:, None])
    bad = np.flatnonzero(~(np.abs(v) <= 1e12))
    if bad.size:
        raise ValueError(f"potential.domain=[{edges[0]:g}, {edges[-1]:g}]: V is {v[bad[0]]:g} at x = {x[bad[0]]:g}; "
                         "must lie within +-1e+12")  # fmt: skip


def _asked(potential: Any, states: int | str | None) -> int:
    if states != "all":
        return 1 if states is None else int(states)
    if not np.isfinite(getattr(potential, "threshold", np.inf)):
        raise ValueError(f"states=all: {potential.name} has no end of bound states; say how many")
    bound = estimates.bound_states(potential)
    if not 1 <= bound <= settings_module.MOST_STATES:
        most = settings_module.MOST_STATES
        raise ValueError(f"states=all: the well holds {bound} bound states; from 1 to {most} can be solved at once")
    return bound
