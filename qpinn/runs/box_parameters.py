"""What parameters.npz holds of a box: the functions of its axes, their products, and what is known of the levels.

axis_i/edges    (S + 1,) of the segments of axis i
axis_i/params   of its network, whose hidden units are those of all functions
axis_i/linear   (S, W + 4, n_i) and axis_i/nodal (q, n_i), see `qpinn.wavefunctions.axis.Axis`
core            (K, n_0, ..., n_d-1) the coefficients of the products
levels/...      the fields of `qpinn.drivers.box_solution.Levels` by name, but for those that are None
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from qpinn.runs import checkpoint, potential_file
from qpinn.wavefunctions.ansatz import Ansatz
from qpinn.wavefunctions.axis import Axis

NAME = "parameters.npz"


class Stored(NamedTuple):
    """What `read` gives back; `levels` by name."""

    axes: tuple[Axis, ...]
    core: Float[np.ndarray, "K *n"]
    levels: Mapping[str, Any]


def write(folder: Path, solution: Any) -> None:
    """parameters.npz and potential.json of a `qpinn.drivers.box_solution.BoxSolution`."""
    axes = {
        f"axis_{place}": {"edges": axis.mesh.edges, "params": axis.params, "linear": axis.linear, "nodal": axis.nodal}
        for place, axis in enumerate(solution.axes)
    }
    checkpoint.save(folder / NAME, {**axes, "core": solution.core, "levels": vars(solution.levels)})
    potential_file.write(folder, solution.given)


def read(folder: Path, dimension: int, ansatz_on: Callable[[Float[np.ndarray, "S+1"]], Ansatz]) -> Stored:
    """What `write` wrote of a box of so many axes, float64.

    ansatz_on  the ansatz of an axis on its edges

    Raises ValueError, naming the file, if it is missing, damaged, or of another shape.
    """
    path = folder / NAME
    stored, names = checkpoint.arrays(path), [f"axis_{axis}" for axis in range(dimension)]
    try:
        ansatze = [ansatz_on(_ascending(stored[f"{name}/edges"])) for name in names]
        shapes = [jax.eval_shape(ansatz.init, jax.random.key(0)) for ansatz in ansatze]
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: is damaged ({error})") from None
    params = checkpoint.load(path, {name: {"params": own} for name, own in zip(names, shapes, strict=True)})
    try:
        axes = tuple(
            _axis(ansatz, params[name]["params"], stored[f"{name}/linear"], stored[f"{name}/nodal"])
            for name, ansatz in zip(names, ansatze, strict=True)
        )
        core, levels = stored["core"], _levels(stored, dimension)
        _shaped("core", core, (len(levels["energies"]), *(axis.count for axis in axes)))
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: is damaged ({error})") from None
    return Stored(axes, core, levels)


def _axis(ansatz: Ansatz, params: Any, linear: np.ndarray, nodal: np.ndarray) -> Axis:
    units = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(params["network"]["readout"]))
    segments, _, nodes = ansatz.continuity.shape
    _shaped("linear", linear, (segments, units + 4, linear.shape[-1]))
    _shaped("nodal", nodal, (nodes, linear.shape[-1]))
    return Axis(ansatz=jax.device_get(ansatz), params=params, linear=linear, nodal=nodal)


NUMBERS = ("sigma", "products", "together", "beyond")
"""Fields of the levels that are one number."""


def _levels(stored: Mapping[str, np.ndarray], dimension: int) -> dict[str, Any]:
    levels: dict[str, Any] = {name.removeprefix("levels/"): value for name, value in stored.items()
                              if name.startswith("levels/")}  # fmt: skip
    reason, count = levels.pop("reason", None), len(levels["energies"])
    shapes = {"moments": (dimension, count, count), "squares": (dimension, count), **dict.fromkeys(NUMBERS, ())}
    for name, value in levels.items():
        _shaped(name, value, shapes.get(name, (count,)), int if name in ("products", "together") else float)
    numbers = {name: levels[name].item() for name in NUMBERS}
    return {**levels, **numbers, "reason": None if reason is None else str(reason)}


def _ascending(edges: np.ndarray) -> np.ndarray:
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise ValueError("edges that do not ascend")
    return edges


def _shaped(name: str, array: np.ndarray, shape: tuple[int, ...], kind: type = float) -> None:
    if array.shape != shape or array.dtype != kind:
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}, expected {np.dtype(kind)}{list(shape)}")
