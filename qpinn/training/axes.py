"""Training of the hidden units of the axes of a box, each on its lowest functions in the mean field.

All functions of an axis share their hidden units. What the readouts and nodal values are trained to is not kept: with
the new hidden units psi is solved among products again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.equations.shared import SharedEigenvalue, of_functions
from qpinn.geometry.quadrature import FixedPoints, gauss_legendre, legendre
from qpinn.training import loop
from qpinn.training.fit import Callback, Fit
from qpinn.training.lanes import System, side_by_side
from qpinn.typing import Params
from qpinn.wavefunctions.axis import Axis, OnGrid

SEEN = 1e-9
"""Share of a unit that a measuring quadrature may miss, which says how steep it may become."""


def steepest(points: int) -> float:
    """The largest hidden weight, in units of a segment's half-length, of a unit that `points` Gauss-Legendre points in
    the segment resolve to `SEEN`.

    tanh(w xi) has poles at +-i pi / (2 w), so that the error of n points is r^(-2 n), r = y + (1 + y^2)^1/2 with
    y = pi / (2 w) (Trefethen, SIAM Rev. 50 (2008) 67).
    """
    return math.pi / (2 * math.sinh(-math.log(SEEN) / (2 * points)))


def system(
    axis: Axis, grid: OnGrid, v: Float[np.ndarray, "Q"], optimizer: Any, numbers: dict[str, float], points: int
) -> tuple[System, Params]:
    """What is trained on one axis, whose functions are those of the potential v on `grid`, and what it starts from.

    numbers  weights of the loss, its unit, and how steep units may become, by the names of `SharedEigenvalue`
    points   of the training in a segment; v is taken from `grid` by its polynomial in the segment
    """
    mesh = axis.mesh
    v = v.reshape(len(mesh), -1) @ _onto(v.size // len(mesh), points).T
    equation = SharedEigenvalue(ansatz=axis.ansatz, v=v, mass=grid.mass, count=axis.count, **numbers)
    parts = (equation, optimizer, FixedPoints(gauss_legendre(mesh, points)))
    parts = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), parts)
    return System(*parts), of_functions(axis.function_params())


def _onto(count: int, points: int) -> Float[np.ndarray, "points count"]:
    """From values on Gauss-Legendre points to those of their polynomial on others."""
    nodes, weights = legendre(count)
    degrees = np.arange(count)
    from_values = np.polynomial.legendre.legvander(nodes, count - 1) * weights[:, None] * (degrees + 0.5)
    return np.asarray(np.polynomial.legendre.legvander(legendre(points)[0], count - 1) @ from_values.T)


def fit(
    systems: Sequence[System], begun: Sequence[Params], course: loop.Course, callbacks: Sequence[Callback] = ()
) -> Fit:
    """Train the axes, which have as many segments and functions each, side by side."""
    inherited = jax.tree.map(lambda *leaves: np.stack(leaves), *begun)
    return loop.together(side_by_side(systems), course, callbacks, inherited)


def with_hidden(axis: Axis, psi: Params) -> Params:
    """Parameters of the ansatz of an axis with the hidden layers of trained functions."""
    hidden = {name: layer for name, layer in psi["network"].items() if name != "readout"}
    return {**axis.params, "network": {**axis.params["network"], **jax.device_get(hidden)}}
