"""Levels of boxes by other routes: finite elements of scikit-fem, qmsolve in an environment of its own, the paper's."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from in_qmsolve import PROBLEMS as QMSOLVE
from in_qmsolve_time import PROBLEMS as MOVING

REFINED = {
    "x^2 + y^2 + 0.1 x^2 y^2": (3, 4), "x^2 + y^2 + x^2 y^2": (3, 4), "Henon-Heiles, 0.1118": (3, 4),
    "rectangular dot, depth 20": (3, 4), "circular dot, depth 50": (3, 4, 5),
}  # fmt: skip
"""How often the meshes of a problem are refined."""

GRIDS: dict[int, list[list[str]]] = {2: [["120", "eigsh"], ["240", "eigsh"]], 3: [["24", "eigsh"], ["60", "lobpcg"]]}
"""Points of an axis and method in qmsolve, by the number of coordinates."""

RELEASE = "2.0.0"
"""Of qmsolve."""


def finite_elements(potential: Any, states: int, refined: int) -> tuple[np.ndarray, int]:
    """Levels (states,) of a potential of two coordinates by quartic triangles, and the number of unknowns.

    The mesh, `mesh_of`, has its edges where V jumps, so that V there is a number of each triangle.
    """
    from scipy.sparse.linalg import eigsh
    from skfem import Basis, BilinearForm, ElementTriP4, condense
    from skfem.helpers import dot, grad

    mesh = mesh_of(potential, refined)
    basis = Basis(mesh, ElementTriP4(), intorder=12)
    jumps = bool(potential.curves) or any(potential.breakpoints)
    points = np.asarray(basis.global_coordinates())
    places = mesh.mapping().F(np.full((2, 1), 1 / 3)) if jumps else points
    v = np.broadcast_to(potential(np.moveaxis(places, 0, -1)), points.shape[1:])

    @BilinearForm
    def energy(u: Any, w: Any, at: Any) -> Any:
        return dot(grad(u), grad(w)) + at.v * u * w

    @BilinearForm
    def overlap(u: Any, w: Any, at: Any) -> Any:
        return u * w

    h, s = condense(energy.assemble(basis, v=v), overlap.assemble(basis), D=basis.get_dofs(), expand=False)
    found = eigsh(h, k=states, M=s, sigma=float(v.min()), return_eigenvectors=False)
    return np.sort(found), h.shape[0]


def mesh_of(potential: Any, refined: int) -> Any:
    """Triangles of a rectangle; edges along breakpoints, which are narrower there, and along the circle of a dot."""
    from skfem import MeshTri

    if potential.curves:
        return around_circle(float(potential.domain[0][1]), float(dict(potential.parameters)["radius"]), refined)
    axes = [
        graded(np.array([start, *places, end]), 2**refined)
        for (start, end), places in zip(potential.domain, potential.breakpoints, strict=True)
    ]
    return MeshTri.init_tensor(*axes)


def around_circle(half: float, radius: float, refined: int) -> Any:
    """Curved triangles of [-half, half]^2: those of a square, whose squares around the centre become circles.

    The middle of each edge of the circle is put where the parabola holds as much area as the arc.
    """
    from skfem import MeshTri, MeshTri2

    mesh = MeshTri2.from_mesh(MeshTri.init_sqsymmetric().translated((-0.5, -0.5)).scaled(4.0).refined(refined))
    x, y = mesh.doflocs  # in [-2, 2]^2; the square of half side 1 becomes the circle
    side = np.maximum(np.abs(x), np.abs(y))
    square = np.stack([x, y]) / np.maximum(side, 1e-300)
    along = np.pi / 4 * np.where(np.abs(x) >= np.abs(y), square[1], square[0])
    circle = np.where(np.abs(square) == 1, square * np.cos(along), np.sin(along))
    angle = np.pi / 2 ** (refined + 2)  # half of an edge
    outwards = np.cos(angle) + 3 * (angle - np.sin(angle) * np.cos(angle)) / (4 * np.sin(angle))
    circle[:, (side == 1) & (np.arange(len(x)) >= mesh.nvertices)] *= outwards
    weight = np.where(side < 1, side, 2 - side)
    size = np.where(side < 1, radius * side, radius + (half - radius) * (side - 1))
    return MeshTri2(size * ((1 - weight) * square + weight * circle), mesh.t)


def graded(ends: np.ndarray, cells: int) -> np.ndarray:
    """Positions that cut the segments between ends into cells each: even ones of a whole axis, else narrow at jumps."""
    if len(ends) == 2:
        return np.linspace(ends[0], ends[1], 2 * cells + 1)
    even = np.linspace(0, 1, cells + 1)
    both = np.where(even < 0.5, 4 * even**3, 1 - 4 * (1 - even) ** 3)
    first, last = 1 - (1 - even) ** 3, even**3
    shapes = [first, *[both] * (len(ends) - 3), last]
    pieces = [start + (end - start) * shape for start, end, shape in zip(ends, ends[1:], shapes, strict=False)]
    return np.unique(np.concatenate(pieces))


@contextlib.contextmanager
def with_qmsolve() -> Iterator[tuple[str, str]]:
    """The Python of a new environment with qmsolve, and why it did not install, if it did not."""
    with tempfile.TemporaryDirectory() as folder:
        python, failed = str(Path(folder) / "bin" / "python"), ""
        for command in (
            [sys.executable, "-m", "venv", folder],
            [python, "-m", "pip", "install", "-q", f"qmsolve=={RELEASE}"],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                failed = f"did not install: {last_line(done.stderr)}"
                break
        yield python, failed


def by_qmsolve() -> Iterator[dict[str, Any]]:
    """What qmsolve gives for each of its problems and grids, its points further apart by one step in N, and mended."""
    with with_qmsolve() as (python, failed):
        if failed:
            yield {"failed": failed}
            return
        script = str(Path(__file__).resolve().with_name("in_qmsolve.py"))
        for name, (dimension, *_) in QMSOLVE.items():
            for points, method in GRIDS[dimension]:
                for mended in (False, True):
                    found = output([python, script, name, points, method, str(int(mended))])
                    yield {"problem": name, "points": int(points), "method": method, "mended": mended, **found}


def packets_by_qmsolve(points: int, steps: int) -> Iterator[dict[str, Any]]:
    """What qmsolve gives for each of its problems in time, by its two methods."""
    with with_qmsolve() as (python, failed):
        if failed:
            yield {"failed": failed}
            return
        script = str(Path(__file__).resolve().with_name("in_qmsolve_time.py"))
        for name in MOVING:
            for method in ("split-step", "crank-nicolson"):
                found = output([python, script, name, str(points), str(steps), method])
                yield {"problem": name, "method": method, **found}


def by_recipe(steps: int) -> list[dict[str, Any]]:
    """What the paper's recipe gives, a seed of each of the runs of trained_boxes.py."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        script = str(Path(__file__).resolve().with_name("trained_boxes.py"))
        finished = run([sys.executable, script, "--steps", str(steps), "--output", str(rows)])
        if finished.returncode:
            return [{"failed": last_line(finished.stderr)}]
        return list(json.loads(rows.read_text()))


def output(command: list[str], pinned: bool = True) -> dict[str, Any]:
    """What a command prints as its last line, and its seconds; or why it failed."""
    begun = time.perf_counter()
    finished = run(command, pinned)
    seconds = time.perf_counter() - begun
    if finished.returncode:
        return {"failed": last_line(finished.stderr), "seconds": seconds}
    return {**json.loads(last_line(finished.stdout)), "seconds": seconds}


def run(command: list[str], pinned: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing compiled before, on one core if it is pinned."""
    core = ["taskset", "-c", "0"] if pinned and platform.system() == "Linux" else []
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.run([*core, *command], capture_output=True, text=True, env=environment)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["?"])[-1]
