"""`evolve`: a packet in time, with a bound on its error at every moment, by one of two routes.

By default it moves among states (`among_states`); for comparison one network of (t, x) is trained (`trained_packet`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qpinn.drivers import among_states, packet_problem, trained_packet, wave_bench
from qpinn.drivers.eigenstates import potential_of
from qpinn.drivers.moving import Moving, Problem
from qpinn.drivers.packet_problem import Asked
from qpinn.drivers.settings import Settings, of_keywords
from qpinn.physics.drives import DRIVES
from qpinn.physics.packets import PACKETS

NETWORK = {"network": {"activation": "sin"}}
"""Sines of random frequencies: an oscillating psi takes 2 to 3 times fewer of them than of tanh."""


def evolve(
    potential: Any, packet: Any = "gaussian", times: Sequence[float] = (0.0, 1.0), drive: Any = None,
    tol: float | None = None, *, causal: float = 0.0, domain: Sequence[float] | None = None,
    breakpoints: Sequence[float] = (), parameters: Mapping[str, float] | None = None, **settings: Any,
) -> Moving:  # fmt: skip
    """psi(t, x) of i hbar psi_t = H psi from a packet psi0, with a bound on |psi - exact| at every time.

    potential  as in `qpinn.solve`, with its ends; where it has none, walls are put beyond what the packet reaches and
               psi and psi' are zero there, so that the bound holds on the whole line
    packet     of `qpinn.packets`, as packets.gaussian(center=0.25, width=0.03, momentum=30), or a function psi0(x), or
               a pair of arrays (x, psi0)
    times      the first and the last, or more of them, ascending; dimensionless in 2 m L^2 / hbar, else fs
    drive      of `qpinn.drives`, as drives.dipole(amplitude=5, frequency=3); or a pair of formulas, of f(t) and W(x)
    tol        of |psi - exact| at the last time, 1e-6 by default; `converged` tells whether the bound meets it
    causal     of a wave that is trained, see `qpinn.equations.evolution.Evolving`

    Further keyword arguments are keys of the configuration, as in `qpinn.solve`: network, ends, units, seed. With
    ansatz="envelope", start="random" one network of (t, x) is trained instead, in the manner of
    physics-informed networks (`qpinn.drivers.trained_packet`), and compared with the default route.

    Raises ValueError, naming key, value and what is allowed.
    """
    chosen = of_keywords({"tol": tol, **settings}, {"packet": PACKETS, "drive": DRIVES, "times": ()})
    if not trained(chosen) and "network" not in settings:
        chosen = of_keywords({"tol": tol, **NETWORK, **settings})
    given = potential_of(potential, domain, breakpoints, parameters)
    return run(given, packet_problem.asked(packet, drive, times, causal), chosen)


def trained(settings: Settings) -> bool:
    """Whether settings are of one network of (t, x), which is trained, and not of states."""
    return settings.ansatz.name == "envelope"


def check(potential: Any, asked: Asked, settings: Settings) -> Problem:
    """The problem, without units. Raises ValueError for what the route of the settings does not do."""
    if trained(settings):
        return wave_bench.problem_of(potential, asked, settings)
    among_states.check(asked, settings)
    return packet_problem.problem_of(potential, asked, settings)


def run(
    potential: Any, asked: Asked, settings: Settings, callbacks: Sequence[Callable[..., Any]] = ()
) -> Moving:  # fmt: skip
    """`evolve` for settings that are already checked.

    callbacks  of the default route: called before each basis with how many have been tried, and what is `said` of the
               last; of a training: see `qpinn.training.fit.Progress`
    """
    return (trained_packet if trained(settings) else among_states).run(potential, asked, settings, callbacks)
