"""One network for all levels: its hidden units are shared, each level has its own linear parameters.

The basis is what psi can be for fixed hidden units; Rayleigh and Ritz give the best levels in it, all at once, where
one trained network for each level starts from a solve of its own. Hidden units stay as they were drawn.
"""

from __future__ import annotations

from typing import Any

import jax

from qpinn.training import loop, ritz
from qpinn.training.lanes import System
from qpinn.training.optimizers import Record, record
from qpinn.typing import Array, Params, Scalar


def levels(system: System, seed: Scalar, places: Array) -> tuple[Params, Array, Record]:
    """Parameters (K, ...), energies (K,) and records (K,) of the levels at `places` (K,) of the Ritz problem."""
    equation, _, sampling = system
    init_key, points_key = loop.keys(seed)
    points = sampling.draw(jax.random.fold_in(points_key, 0))
    params, energies = ritz.levels(equation, equation.init(init_key), points, places)

    def report(params: Params) -> Any:
        return record(equation, params, points, equation.residuals(params, points))

    return params, energies, jax.vmap(report)(params)
