"""What wavefunction.npz holds of a box: psi on a grid of its axes for a figure, up to three of them; else densities.

Everything is in the units of the settings. K levels; axis i has n_i even points where some psi is to be seen.

    x_i         (n_i,) points of axis i
    density_i   (K, n_i) |psi|^2 integrated over all other axes
    edges_i     edges of the segments of axis i
    psi         (K, n_0, n_1[, n_2]) up to three axes, and v (n_0, n_1[, n_2]); functions that were trained are of
                unit norm as far as the training brought them there
    switches    (C, n_0, n_1[, n_2]) numbers that change their sign where V may jump or bend, of several coordinates
    peak        (K, 2 or 3) the places of the largest |psi| on the points of the axes
    residual    (K, n_0, n_1) H psi - E psi, of two axes; of three residual_i (K, ...) on the plane across axis i
                through the peak
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from qpinn.physics.potentials.terms import at_places
from qpinn.runs import files

POINTS = {2: 161, 3: 61}
"""Of an axis, by the number of axes; of more axes `ALONE`."""

ALONE = 401

LARGEST = 2**22
"""Numbers of psi that are kept at most."""

SEEN = 3e-3
"""Share of the largest |psi| below which there is nothing to be seen."""

HAIR = 1e-12
"""By how much of a box a point on an edge of V is moved into the segment at its right."""

FIELDS = 3
"""Axes up to which psi is kept on a grid."""


def arrays(solution: Any) -> dict[str, np.ndarray]:
    """The arrays of a `qpinn.drivers.box_solution.BoxSolution`, by name."""
    potential, levels = solution.plan.potential, len(solution.energies)
    d, scale = potential.dimension, solution.units.scale
    spans = [_seen(solution, axis) for axis in range(d)]
    places = [np.linspace(*span, _count(d, levels)) for span in spans]
    off = [_off(x, np.asarray(axis.mesh.edges)) for axis, x in zip(solution.axes, places, strict=True)]
    by_name: dict[str, np.ndarray] = {f"x_{axis}": x for axis, x in enumerate(places)}
    by_name |= {f"density_{axis}": solution.density(axis, x) for axis, x in enumerate(off)}
    by_name |= {f"edges_{axis}": np.asarray(own) for axis, own in enumerate(solution.plan.edges)}
    if d > FIELDS:
        return by_name
    fields = solution.fields(off)
    residual = fields.h_psi - solution.levels.energies[solution.shown].reshape(-1, *[1] * d) * fields.psi
    return by_name | _maps(fields.psi, fields.v * scale, residual * scale, _switches(potential, places))


def of_trained(solution: Any) -> dict[str, np.ndarray]:
    """The arrays of a `qpinn.drivers.trained_box.TrainedBox`, residuals with E as it was trained."""
    potential, scale = solution.boxed, solution.units.scale
    d, count, walls = potential.dimension, len(solution.indices), np.array(potential.domain, np.float64)
    places = [np.linspace(*span, _count(d, count)) for span in _seen_of(solution.values, walls)]
    values = solution.on_grid([_off(x, np.array([*pair, *inner])) for x, pair, inner in
                               zip(places, walls, potential.breakpoints, strict=True)])  # fmt: skip
    shape = [len(x) for x in places]
    psi, h_psi = (array.reshape(-1, *shape) for array in (values.psi, values.h_psi))
    weights = [np.gradient(x) for x in places]
    by_name: dict[str, np.ndarray] = {f"x_{axis}": x for axis, x in enumerate(places)}
    for axis in range(d):
        rho = np.moveaxis(psi**2, axis + 1, 1)
        for weight in reversed([weight for other, weight in enumerate(weights) if other != axis]):
            rho = rho @ weight
        by_name |= {f"density_{axis}": rho, f"edges_{axis}": walls[axis]}
    residual = h_psi - solution.ended[0].reshape(-1, *[1] * d) * psi
    return by_name | _maps(psi, values.v.reshape(shape) * scale, residual * scale, _switches(potential, places))


def _maps(psi: np.ndarray, v: np.ndarray, residual: np.ndarray, switches: np.ndarray) -> dict[str, np.ndarray]:
    """What figures draw as maps."""
    peak = np.array([_peak(one) for one in psi])
    maps = {"psi": psi, "v": v, "switches": switches, "peak": peak}
    return maps | ({"residual": residual} if v.ndim < FIELDS else _planes(peak, residual))


def _count(dimension: int, levels: int) -> int:
    """Points of an axis."""
    most = POINTS.get(dimension, ALONE)
    return min(most, int((LARGEST / levels) ** (1 / dimension))) if dimension <= FIELDS else most


def _seen_of(values: Any, walls: np.ndarray) -> list[tuple[float, float]]:
    """Where some psi of functions on points in a box is above `SEEN` of its largest value, see `_seen`."""
    size = np.abs(np.nan_to_num(values.psi))
    there = values.x[(size >= SEEN * size.max(axis=1, keepdims=True)).any(axis=0)]
    return [_span(axis, *pair) for axis, pair in zip(there.T, walls, strict=True)]


def _seen(solution: Any, axis: int) -> tuple[float, float]:
    """Where some psi is above `SEEN` of its largest value along an axis; the whole box, unless that leaves much out."""
    left, right = map(float, solution.plan.potential.domain[axis])
    x = np.linspace(left, right, ALONE)
    rho = solution.density(axis, x)
    return _span(x[(rho > SEEN**2 * rho.max(axis=1, keepdims=True)).any(axis=0)], left, right)


def _span(there: np.ndarray, left: float, right: float) -> tuple[float, float]:
    """From the first to the last of the points where something is to be seen, or all."""
    return (left, right) if np.ptp(there) > 0.85 * (right - left) else (float(there.min()), float(there.max()))


def _off(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Points with those on an edge moved to the right of it, or inside of the last one."""
    hair = HAIR * np.ptp(edges)
    near = np.abs(x[:, None] - edges).min(axis=1) < hair
    return np.minimum(np.where(near, x + 2 * hair, x), edges.max() - hair)


def _switches(potential: Any, places: list[np.ndarray]) -> Float[np.ndarray, "C *n"]:
    """The numbers at whose zeros V may jump or bend across a curve or a surface."""
    mesh = dict(enumerate(np.meshgrid(*places, indexing="ij", sparse=True)))
    shape = [len(x) for x in places]
    with np.errstate(all="ignore"):
        values = [np.broadcast_to(np.asarray(at_places(tree, mesh), float), shape) for tree in potential.curves]
    return np.array(values).reshape(-1, *shape)


def _peak(psi: np.ndarray) -> Any:
    """Where |psi| is largest; of places that are the same but for rounding one where psi is positive."""
    high, low = np.unravel_index(np.argmax(psi), psi.shape), np.unravel_index(np.argmin(psi), psi.shape)
    return high if psi[high] > -0.999 * psi[low] else low


def _planes(peak: np.ndarray, residual: np.ndarray) -> dict[str, np.ndarray]:
    """The residual on the planes through the peak of every level."""
    return {
        f"residual_{axis}": np.array(
            [np.take(one, at[axis], axis=axis) for one, at in zip(residual, peak, strict=True)]
        )
        for axis in range(residual.ndim - 1)
    }


def write(folder: Path, by_name: Mapping[str, np.ndarray]) -> None:
    """wavefunction.npz of a box."""
    data = io.BytesIO()
    np.savez(data, **by_name)  # type: ignore[arg-type]
    files.write_atomically(folder / "wavefunction.npz", data.getvalue())


def read(folder: Path) -> dict[str, np.ndarray]:
    """What `write` wrote. Raises ValueError, naming the file, if it is missing or damaged."""
    path = folder / "wavefunction.npz"
    try:
        return files.read_npz(path.read_bytes(), path)
    except OSError as error:
        raise ValueError(f"{path}: missing or damaged ({error})") from None


def places(grid: Mapping[str, np.ndarray]) -> Float[np.ndarray, "*n d"]:
    """Positions of the points that psi and v are kept on."""
    along = [grid[f"x_{axis}"] for axis in range(grid["v"].ndim)]
    return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1)
