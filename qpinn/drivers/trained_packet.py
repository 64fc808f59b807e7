"""A packet by the recipe of physics-informed networks: one complex network of (t, x), trained on the residual.

psi0 and the walls are exact by construction, all else is learnt, from random parameters. Its error is measured against
the default route, and its own bound, from its own residual, stands beside it: what other routes are compared with.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Complex, Float

from qpinn.checks import finite
from qpinn.drivers import budget, build, evolve_places, packet_problem, wave_bench, wave_measure
from qpinn.drivers.clock import Clock
from qpinn.drivers.eigenstates import check_device
from qpinn.drivers.evolution import Evolution
from qpinn.drivers.moving import Known, Moving, Series
from qpinn.drivers.packet_problem import Asked
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Stats
from qpinn.equations.evolution import Evolving
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.physics import units
from qpinn.training import loop
from qpinn.training.fit import Fit
from qpinn.training.lanes import side_by_side
from qpinn.typing import Params


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class TrainedPacket(Moving):
    """A packet by one network, see `Moving`; `estimate` is its distance from the default route.

    equation   with the wave in float64, and params: its parameters
    fit        how the training went
    rules      two quadratures, the finer first
    initial    bound on |psi - exact| at the first time, and integrals (K,) of |residual| on the intervals of time
    exact      by the default route; None where that does not get there, `unknown` says why
    """

    equation: Evolving
    params: Params
    fit: Fit
    rules: tuple[wave_measure.Measure, wave_measure.Measure]
    initial: float
    integrals: Float[np.ndarray, "K"]
    exact: Evolution | None
    unknown: str

    @property
    def _size(self) -> str:
        return f"a network of {self.parameters} parameters"

    @property
    def status(self) -> str:
        """ "finished", or "non-finite"."""
        return self.fit.status

    @property
    def _met(self) -> str:
        return "its own bound"

    def division(self, place: float | None = None) -> float:
        """Where left and right part: any place, or the middle of V."""
        return evolve_places.middle_of(self.problem.bare) if place is None else finite("divide", place)

    def transmitted(self) -> Any:
        """See `Moving`."""
        return super().transmitted() if self.exact is None else self.exact.transmitted()

    @property
    def parameters(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))

    @property
    def series(self) -> Series:
        return Series(self.initial, self.integrals, self.rules[0].edges)

    @property
    def history(self) -> dict[str, Float[np.ndarray, "rows"]]:
        """Columns with an entry for each step: step, pde, total, step_size, seconds."""
        return self.fit.rows()

    @property
    def work(self) -> dict[str, Any]:
        exact, known = self.exact, None
        if exact is not None:
            known = {"bound": exact.series.final, "seconds": sum(exact.seconds.values()), **exact.work}
        return {
            "route": wave_bench.describe_route(self.settings), "parameters": self.parameters,
            "steps": int(self.fit.steps[0]), "loss": float(self.fit.losses[0]),
            "exact": known, "unknown": self.unknown,
        }  # fmt: skip

    def more(self, times: Float[np.ndarray, "T"]) -> dict[str, Any]:
        known = {} if self.exact is None else {"exact": self.exact.bound(times)}
        return {"loss": self.history["total"], **known}

    def fastest(self, times: Float[np.ndarray, "T"]) -> float:
        """That of psi0 and V."""
        return self._energy

    @functools.cached_property
    def _energy(self) -> float:
        return packet_problem.first_energy(self.problem)

    @functools.cached_property
    def _edges(self) -> Float[np.ndarray, "S+1"]:
        return packet_problem.mesh_of(self.problem, self._energy, wave_measure.PHASE)

    def error(self, t: Any) -> Known:
        """|psi - psi of the default route|, and the bound of that; NaN where there is none."""
        if self.exact is None:
            return Known(self.estimate(t), self.estimate(t))
        return Known(self.estimate(t), self.exact.bound(t))

    def estimate(self, t: Any) -> Float[np.ndarray, "*T"]:
        """|psi - psi of the default route|; NaN where there is none."""
        if self.exact is None:
            return np.full(np.shape(t), np.nan)
        rule, times = self.rules[0], self._times(t)
        apart = wave_measure.apart(self.on(times, rule.x), self.exact, times, rule, self.problem)
        return apart.reshape(np.shape(t))  # type: ignore[no-any-return]

    def on(self, times: Float[np.ndarray, "T"], x: Float[np.ndarray, "X"]) -> Complex[np.ndarray, "T X"]:
        return wave_measure.psi_on(self.equation, self.params, times, x)

    def squares(self, times: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
        return self._expected(times, 1.0)

    def _offsets(self, times: Float[np.ndarray, "T"], middle: float) -> Float[np.ndarray, "T"]:
        return self._expected(times, self.rules[0].x - middle)

    def _expected(self, times: Float[np.ndarray, "T"], factor: Any) -> Float[np.ndarray, "T"]:
        rule = self.rules[0]
        return np.abs(self.on(times, rule.x)) ** 2 @ (rule.weight * factor)  # type: ignore[no-any-return]

    def _energies(self, times: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
        rule, forces = self.rules[0], self.problem.forces(times)
        energies = [
            np.sum(at.psi * (at.h_psi + f[:, None, None] * at.w_psi), axis=-1) @ rule.weight
            for at, f in wave_measure.in_blocks(self.equation, self.params, times, rule.x, forces)
        ]
        return np.concatenate(energies)

    def _inside(self, times: Float[np.ndarray, "T"], low: float, high: float) -> Float[np.ndarray, "T"]:
        edges = self._edges
        ends = np.concatenate([[low], edges[(edges > low) & (edges < high)], [high]])
        rule = gauss_legendre(Mesh(ends), wave_measure.POINTS[0])
        x, weight = np.asarray(rule.x).ravel(), np.asarray(rule.weight).ravel()
        return np.abs(self.on(times, x)) ** 2 @ weight  # type: ignore[no-any-return]


def run(
    potential: Any, asked: Asked, settings: Settings, callbacks: Sequence[Callable[..., Any]] = ()
) -> TrainedPacket:
    """Train one network, measure it, and compare it with the default route. Arguments as in `evolve.run`."""
    clock, device = Clock(), check_device(settings.precision)
    budget.forget_programmes()
    given, potential = potential, units.converted(potential, settings.units.units)
    problem = wave_bench.problem_of(potential, asked, settings)
    clock.lap("planning")
    on = wave_bench.bench(potential, asked, problem, settings)
    clock.lap("exact")
    with jax.enable_x64(settings.precision == "float64"):
        fit = loop.together(side_by_side([on.system]), build.course(settings, bool(callbacks)), callbacks)
        params = jax.tree.map(lambda leaf: np.asarray(leaf[0], np.float64), jax.device_get(fit.params))
    clock.lap("train", compile=fit.seconds["compile"])
    measured = wave_measure.bounded(on.equation, params, on.problem, on.rules)
    clock.lap("measure")
    return TrainedPacket(
        given=given, packet=problem.packet, drive=asked.drive, settings=settings, problem=on.problem,
        stats=Stats(seconds=clock.seconds, device=device, rounds=1), equation=on.equation, params=params, fit=fit,
        rules=on.rules, initial=on.initial, integrals=measured, exact=None if isinstance(on.exact, str) else on.exact,
        unknown=on.exact if isinstance(on.exact, str) else "",
    )  # fmt: skip
