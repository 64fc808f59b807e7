"""What parameters.npz holds of a box: the functions of its axes, their products, and what is known of the levels.

axis_i/edges    (S + 1,) of the segments of axis i
axis_i/params   of its network, whose hidden units are those of all functions
axis_i/linear   (S, W + 4, n_i) and axis_i/nodal (q, n_i), see `qpinn.wavefunctions.axis.Axis`
core            (K, n_0, ..., n_d-1) the coefficients of the products; where only some are taken
indices         (T, d) which function of each axis is in each product, and coefficients (K, T)
bend_c/...      what bends on a curve: axis_i/linear and axis_i/nodal, core, and the curve, a number and a sign
levels/...      the fields of `qpinn.drivers.box_solution.Levels` by name, but for those that are None
training/...    those of `qpinn.drivers.box_solution.Training`, where hidden units were trained
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import jax
import numpy as np
from jaxtyping import Float

from qpinn.physics.curves import Curve
from qpinn.runs import checkpoint, potential_file
from qpinn.wavefunctions.ansatz import Ansatz
from qpinn.wavefunctions.axis import Axis
from qpinn.wavefunctions.on_cells import Bend, Side
from qpinn.wavefunctions.product import Core, Terms

NAME = "parameters.npz"


class Stored(NamedTuple):
    """What `read` gives back."""

    axes: tuple[Axis, ...]
    core: Core
    bends: tuple[Bend, ...]
    levels: Any
    training: Any


def write(folder: Path, solution: Any, curves: Sequence[Curve]) -> None:
    """parameters.npz and potential.json of a `qpinn.drivers.box_solution.BoxSolution`.

    curves  on which V may jump or bend
    """
    tree: dict[str, Any] = {"levels": vars(solution.levels)}
    tree |= {"training": vars(solution.training)} if solution.training else {}
    for place, axis in enumerate(solution.axes):
        tree[f"axis_{place}"] = {"edges": axis.mesh.edges, "params": axis.params, **_linear(axis)}
    tree |= vars(solution.core) if isinstance(solution.core, Terms) else {"core": solution.core}
    for place, bend in enumerate(solution.bends):
        number = [curve.tree for curve in curves].index(bend.side.curve.tree)
        axes = {f"axis_{i}": _linear(axis) for i, axis in enumerate(bend.axes)}
        tree[f"bend_{place}"] = {**axes, "core": bend.core, "curve": number, "sign": bend.side.sign}
    checkpoint.save(folder / NAME, tree)
    potential_file.write(folder, solution.given)


def _linear(axis: Axis) -> dict[str, np.ndarray]:
    return {"linear": axis.linear, "nodal": axis.nodal}


def read(
    folder: Path, dimension: int, ansatz_on: Callable[[Float[np.ndarray, "S+1"], int], Ansatz],
    curves_in: Callable[[list[tuple[float, float]]], Sequence[Curve]], levels_kind: type, training_kind: type,
) -> Stored:  # fmt: skip
    """What `write` wrote of a box of so many axes, float64.

    ansatz_on    the ansatz of an axis, the number of it, on its edges
    curves_in    the curves of V between walls
    levels_kind  the class of the levels, training_kind that of what training did

    Raises ValueError, naming the file, if it is missing, damaged, or of another shape.
    """
    path = folder / NAME
    stored, names = checkpoint.arrays(path), [f"axis_{axis}" for axis in range(dimension)]
    with _named(path):
        ansatze = [ansatz_on(_ascending(stored[f"{name}/edges"]), axis) for axis, name in enumerate(names)]
        shapes = [jax.eval_shape(ansatz.init, jax.random.key(0)) for ansatz in ansatze]
    params = checkpoint.load(path, {name: {"params": own} for name, own in zip(names, shapes, strict=True)})
    with _named(path):
        hidden = [Axis(ansatz=jax.device_get(ansatz), params=params[name]["params"], linear=np.zeros(()),
                       nodal=np.zeros(())) for name, ansatz in zip(names, ansatze, strict=True)]  # fmt: skip
        axes, sizes = _axes(stored, hidden), {"d": dimension, "K": len(stored["levels/energies"])}
        levels = _fields(_below(stored, "levels/"), levels_kind, sizes)
        trained = _below(stored, "training/")
        training = _fields(trained, training_kind, sizes) if trained else None
        core = _core(stored, axes, len(levels.energies))
        bends: list[Bend] = []
        while f"bend_{len(bends)}/curve" in stored:
            own = _below(stored, f"bend_{len(bends)}/")
            number, sign = own["curve"].item(), own["sign"].item()
            curve = curves_in([(float(axis.mesh.edges[0]), float(axis.mesh.edges[-1])) for axis in axes])[number]
            within = _axes(own, hidden)
            bends.append(Bend(Side(curve, float(sign)), within, _core(own, within, len(core))))  # type: ignore[arg-type]
    return Stored(axes=axes, core=core, bends=tuple(bends), levels=levels, training=training)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """What arrays of another content raise as a ValueError that names their file."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: is damaged ({error})") from None


def _below(stored: Mapping[str, np.ndarray], start: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin so, by the rest of these."""
    return {name.removeprefix(start): array for name, array in stored.items() if name.startswith(start)}


def _axes(stored: Mapping[str, np.ndarray], hidden: Sequence[Axis]) -> tuple[Axis, ...]:
    """Functions of the axes whose hidden units these are."""
    axes = []
    for place, axis in enumerate(hidden):
        linear, nodal = (stored[f"axis_{place}/{name}"] for name in ("linear", "nodal"))
        units = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(axis.params["network"]["readout"]))
        segments, _, nodes = axis.ansatz.continuity.shape
        _check(f"axis_{place}/linear", linear, (segments, units + 4, linear.shape[-1]))
        _check(f"axis_{place}/nodal", nodal, (nodes, linear.shape[-1]))
        axes.append(dataclasses.replace(axis, linear=linear, nodal=nodal))
    return tuple(axes)


def _core(stored: Mapping[str, np.ndarray], axes: Sequence[Axis], count: int) -> Core:
    """The coefficients of `count` levels in products of functions of the axes."""
    sizes = tuple(axis.count for axis in axes)
    if "core" in stored:
        _check("core", stored["core"], (count, *sizes))
        return stored["core"]
    indices, coefficients = stored["indices"], stored["coefficients"]
    _check("indices", indices, (len(indices), len(sizes)), np.integer)
    _check("coefficients", coefficients, (count, len(indices)))
    if (indices < 0).any() or (indices >= sizes).any():
        raise ValueError("indices of functions that are not there")
    return Terms(indices, coefficients)


def _fields(arrays: Mapping[str, np.ndarray], kind: type, sizes: Mapping[str, int]) -> Any:
    """An instance of `kind`: numbers, words or None, and arrays whose types name their sizes, d axes and K levels."""
    fields = dict[str, Any]()
    for name, hint in get_type_hints(kind).items():
        shape = getattr(hint, "dim_str", None)
        if shape is not None:
            _check(name, arrays[name], tuple(sizes.get(size) or int(size) for size in shape.split()))
            fields[name] = arrays[name]
        elif hint in (int, float):
            _check(name, arrays[name], (), np.integer if hint is int else np.floating)
            fields[name] = arrays[name].item()
        else:
            fields[name] = str(arrays[name]) if name in arrays else None
    return kind(**fields)


def _ascending(edges: np.ndarray) -> np.ndarray:
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise ValueError("edges that do not ascend")
    return edges


def _check(name: str, array: np.ndarray, shape: tuple[int, ...], kind: Any = np.floating) -> None:
    if array.shape != shape or not np.issubdtype(array.dtype, kind):
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}, expected {list(shape)}")
