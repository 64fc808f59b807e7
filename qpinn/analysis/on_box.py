"""Functions of several coordinates that were trained each by itself, measured on a product of quadratures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from qpinn.analysis import observables, statistics
from qpinn.analysis.observables import State
from qpinn.geometry.quadrature import Points
from qpinn.training import loop
from qpinn.training.fit import Fit
from qpinn.training.lanes import Lanes
from qpinn.typing import Params

BLOCK = 32768
"""Points times functions that are evaluated at once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnBox:
    """K functions on n points of a box; H = -sum_i (1 / m_i) d^2 / dx_i^2 + V.

    x           (n, d)
    psi, h_psi  (K, n)
    slope2      sum_i psi_i^2 / m_i (K, n)
    v, weight   (n,)
    """

    x: Float[np.ndarray, "n d"]
    psi: Float[np.ndarray, "K n"]
    slope2: Float[np.ndarray, "K n"]
    h_psi: Float[np.ndarray, "K n"]
    v: Float[np.ndarray, "n"]
    weight: Float[np.ndarray, "n"]

    def norms(self) -> Float[np.ndarray, "K"]:
        """integral psi^2 (K,)."""
        return observables.norm_of(self.psi, self.weight)

    def kinetic(self) -> Float[np.ndarray, "K"]:
        """integral sum_i psi_i^2 / m_i (K,), not divided by the norm."""
        return np.asarray(self.slope2 @ self.weight)

    def potential(self) -> Float[np.ndarray, "K"]:
        """integral V psi^2 (K,), not divided by the norm."""
        return np.asarray(self.psi**2 @ (self.weight * self.v))

    def energies(self) -> Float[np.ndarray, "K"]:
        """Rayleigh quotients (K,)."""
        return (self.kinetic() + self.potential()) / np.maximum(self.norms(), 1e-300)

    def residuals(self) -> Float[np.ndarray, "K"]:
        """|H psi - E psi| / |psi| (K,) with E the Rayleigh quotient: some level lies within it of E."""
        off = self.h_psi - self.energies()[:, None] * self.psi
        return np.sqrt(observables.norm_of(off, self.weight) / np.maximum(self.norms(), 1e-300))

    def dipoles(self) -> Float[np.ndarray, "d K K"]:
        """<i|x|j> of every coordinate, for functions of unit norm."""
        psi = self.psi / np.sqrt(np.maximum(self.norms(), 1e-300))[:, None]
        return np.array([(self.weight * x * psi) @ psi.T for x in self.x.T])

    def some(self, which: slice) -> OnBox:
        """Some of the functions."""
        return dataclasses.replace(self, psi=self.psi[which], slope2=self.slope2[which], h_psi=self.h_psi[which])


Measure = Callable[[Lanes, Params], tuple[list[OnBox], Float[np.ndarray, "K"]]]


def measurer(lanes: Lanes, grids: Sequence[Points]) -> Measure:
    """What measures lanes like `lanes` on grids of points (1, n): their functions on each, and E (K,); compiled."""
    dtype = lanes.system.equation.ansatz.dtype
    x = np.concatenate([np.asarray(points.x[0], dtype) for points in grids])
    ends = np.cumsum([points.x.shape[1] for points in grids])
    size = min(len(x), max(BLOCK // lanes.count, 1))
    padded = np.pad(x, ((0, -len(x) % size), (0, 0)), mode="edge")  # blocks of one size compile once
    blocks = [Points(part[None], np.zeros((1, size), dtype)) for part in np.split(padded, len(padded) // size)]  # type: ignore[arg-type]
    jitted = jax.jit(observables.measure, compiler_options=loop.compiler_options(quick=True))
    compiled = jitted.lower(lanes, loop.parameter_shapes(lanes), blocks[0]).compile()
    trained = lanes.system.equation.energy_mode != "rayleigh"

    def measure(lanes: Lanes, params: Params) -> tuple[list[OnBox], np.ndarray]:
        parts: list[tuple[Any, ...]] = []
        for block in blocks:
            fields, energy = jax.device_get(compiled(lanes, params, block))
            psi = fields.psi
            parts.append((psi.value, np.sum(psi.gradient**2, axis=-1), fields.v * psi.value - psi.laplacian, fields.v))
        psi, slope2, h_psi, v = (
            np.concatenate([np.asarray(part, np.float64)[:, 0] for part in column], axis=1)
            for column in zip(*parts, strict=True)
        )
        every = []
        for points, end in zip(grids, ends.tolist(), strict=True):
            weight = np.asarray(points.weight[0], np.float64)
            at = slice(end - len(weight), end)
            every.append(OnBox(x=np.asarray(points.x[0], np.float64), psi=psi[:, at], slope2=slope2[:, at],
                               h_psi=h_psi[:, at], v=v[0, at], weight=weight))  # fmt: skip
        return every, np.asarray(energy, np.float64) if trained else every[0].energies()

    return measure


def columns(
    values: OnBox, energy: Float[np.ndarray, "B"], fit: Any, exact: statistics.Exact, frames: Any, asked: int
) -> statistics.Columns:
    """`statistics.columns` of functions in a box, which have no number of nodes; and their residuals."""
    whole = statistics.columns(values, energy, fit, exact, frames, asked)
    return {**whole, "node_count": np.full(len(energy), np.nan), "residual": values.residuals()}


def states(
    values: OnBox, ended: Float[np.ndarray, "2 K"], fit: Fit, indices: Sequence[int], doubt: Float[np.ndarray, "K"]
) -> list[State]:
    """Every function as the results file has it; errors are added by `errors.against`. All dimensionless.

    ended  E of each, and the one that it started from; doubt, of the Rayleigh quotients, is their `rounding`
    """
    norms, rayleigh, residuals, losses = values.norms(), values.energies(), values.residuals(), fit.losses
    share = values.psi**2 * values.weight / np.maximum(norms, 1e-300)[:, None]
    measured = []
    for k, index in enumerate(indices):
        energy, norm = float(ended[0, k]), float(norms[k])
        expected = {
            "x": (share[k] @ values.x).tolist(), "x2": (share[k] @ values.x**2).tolist(),
            "kinetic": float(rayleigh[k] - share[k] @ values.v), "potential": float(share[k] @ values.v),
        }  # fmt: skip
        measured.append(State(
            index=int(index), energy=energy, lower=None, upper=None, converged=False, energy_start=float(ended[1, k]),
            energy_rayleigh=float(rayleigh[k]), norm=norm, node_count=None, loss=float(losses[k]),
            outcome=observables.outcome(norm if np.isfinite(energy) else np.nan, None, 0.0, 0.0, int(index)),
            note=None, residual=float(residuals[k]), rounding=float(doubt[k]), truncation=0.0, wall_shift=None,
            free_at_wall=False, expectation=expected,
        ))  # fmt: skip
    return measured
