"""What wavefunction.npz holds of a box: psi on a grid of its axes for a figure, up to three of them; else densities.

Everything is in the units of the settings. K levels; axis i has n_i even points where some psi is to be seen.

    x_i         (n_i,) points of axis i
    density_i   (K, n_i) |psi|^2 integrated over all other axes
    edges_i     edges of the segments of axis i
    psi         (K, n_0, n_1[, n_2]) up to three axes, and v (n_0, n_1[, n_2])
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

from qpinn.physics.potentials.several import at_places
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
    count = min(POINTS.get(d, ALONE), int((LARGEST / levels) ** (1 / d)) if d <= FIELDS else ALONE)
    places = [np.linspace(*span, count) for span in spans]
    off = [_off(x, np.asarray(axis.mesh.edges)) for axis, x in zip(solution.axes, places, strict=True)]
    by_name: dict[str, np.ndarray] = {f"x_{axis}": x for axis, x in enumerate(places)}
    by_name |= {f"density_{axis}": solution.density(axis, x) for axis, x in enumerate(off)}
    by_name |= {f"edges_{axis}": np.asarray(own) for axis, own in enumerate(solution.plan.edges)}
    if d > FIELDS:
        return by_name
    fields = solution.fields(off)
    peak = np.array([_peak(psi) for psi in fields.psi])
    by_name |= {"psi": fields.psi, "v": fields.v * scale, "switches": _switches(potential, places), "peak": peak}
    residual = (fields.h_psi - solution.levels.energies[solution.shown].reshape(-1, *[1] * d) * fields.psi) * scale
    return by_name | ({"residual": residual} if d < FIELDS else _planes(peak, residual))


def _seen(solution: Any, axis: int) -> tuple[float, float]:
    """Where some psi is above `SEEN` of its largest value along an axis; the whole box, unless that leaves much out."""
    left, right = map(float, solution.plan.potential.domain[axis])
    x = np.linspace(left, right, ALONE)
    rho = solution.density(axis, x)
    there = x[(rho > SEEN**2 * rho.max(axis=1, keepdims=True)).any(axis=0)]
    return (left, right) if np.ptp(there) > 0.85 * (right - left) else (float(there.min()), float(there.max()))


def _off(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Points with those on an edge moved to the right of it, or inside of the last one."""
    hair = HAIR * (edges[-1] - edges[0])
    near = np.abs(x[:, None] - edges).min(axis=1) < hair
    return np.minimum(np.where(near, x + 2 * hair, x), edges[-1] - hair)


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


def write(folder: Path, solution: Any) -> None:
    """wavefunction.npz of a box."""
    data = io.BytesIO()
    np.savez(data, **arrays(solution))  # type: ignore[arg-type]
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
