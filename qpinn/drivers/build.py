"""From settings to what is trained: network, ansatz, equation, optimiser and points, as pytrees of arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from qpinn.drivers import discretize
from qpinn.drivers.settings import Network, SamplingChoice, Settings
from qpinn.equations.eigenvalue import Eigenvalue
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import FixedPoints, RandomPoints, Sampling, gauss_legendre, merge, uniform
from qpinn.physics.resolution import energy_unit
from qpinn.training import loop, starts
from qpinn.training.lanes import Lanes, System, side_by_side
from qpinn.training.optimizers import LONG, OPTIMIZERS
from qpinn.typing import Params
from qpinn.wavefunctions.ansatz import Ansatz, ansatz_of
from qpinn.wavefunctions.networks import MLP


def systems(
    plan: discretize.Plan,
    settings: Settings,
    mesh: Mesh,
    energy: Float[np.ndarray, "trained"],
) -> list[System]:
    """A system for each trained level, even and odd in turn where the plan says so.

    energy  (trained,) E of each if it is fixed, or where it starts
    """
    unit = settings.loss.unit or energy_unit(plan.potential, plan.first + plan.trained)
    built = {parity: build_on(plan.potential, settings, mesh, unit, parity) for parity in dict.fromkeys(plan.parities)}
    levels = plan.indices // 2 if mesh.half else plan.indices
    return [
        at_level(built[parity], value, settings.seed, level)
        for parity, value, level in zip(plan.parities, energy, levels, strict=True)
    ]


def networks(plan: discretize.Plan, levels: list[System]) -> Lanes:
    """Lanes of the networks that the `levels` share, one for each parity, with the levels of each."""
    parities = len(set(plan.parities))
    numbers = np.arange(-(-plan.trained // parities))
    return side_by_side([system._replace(level=numbers) for system in levels[:parities]])


def system(potential: Any, settings: Settings, mesh: Mesh, energy: float) -> System:
    """The system of a single level of a potential with walls, on a mesh for it (`discretize.mesh_of`)."""
    index = settings.level
    unit = settings.loss.unit or energy_unit(potential, index + 1)
    on_mesh = build_on(potential, settings, mesh, unit, discretize.parity_of(index) if mesh.half else None)
    return at_level(on_mesh, energy, settings.seed, index // 2 if mesh.half else index)


def energies(
    settings: Settings, indices: Int[np.ndarray, "K"], levels: Float[np.ndarray, "levels"] | None
) -> Float[np.ndarray, "K"]:
    """E of each level if it is fixed, or where it starts; `levels` are needed where it is fixed to those of them."""
    if settings.energy.to_reference:
        assert levels is not None
        return levels[indices]
    fixed = settings.energy.name == "fixed"
    return np.full(len(indices), settings.energy.value if fixed else settings.energy.initial)


def at_level(system: System, energy: Any, seed: int, level: Any) -> System:
    """The system of one level: E where it is fixed, or where it starts; its seed; and which level of a Ritz start."""
    dtype = system.equation.ansatz.dtype
    equation = dataclasses.replace(system.equation, energy_value=np.asarray(energy, dtype))
    return system._replace(equation=equation, seed=np.asarray(seed), level=np.asarray(level))


def network_of(choice: Network, width: int, precision: str = "float64", faster: float = 1.0) -> MLP:
    """The network of the settings with so many units in a layer.

    faster  what `scale` is multiplied by
    """
    return MLP(
        width=width, depth=choice.depth, activation=choice.activation, initialization=choice.init,
        scale=choice.scale * faster, dtype=jnp.dtype(precision),
    )  # fmt: skip


def system_of(potential: Any, settings: Settings, ansatz: Ansatz, sampling: Sampling, unit: float) -> System:
    """A system in the precision of the settings; `at_level` gives it a level."""
    equation = Eigenvalue(
        potential=potential, ansatz=ansatz, weight_pde=settings.loss.residual, weight_norm=settings.loss.norm,
        unit=unit, energy_value=0.0, energy_mode=settings.energy.name,
    )  # fmt: skip
    optimizer = settings.optimizer.build(course(settings).steps)
    return System(*cast(settings.precision, (equation, optimizer, sampling)))


def build_on(
    potential: Any, settings: Settings, mesh: Mesh, unit: float, parity: float | None = None, sheets: int | None = None
) -> System:
    """A system on a given mesh (of the left half of the box, for a parity), in the precision of the settings."""
    ansatz = ansatz_of(
        settings.ansatz.name,
        network_of(settings.network, settings.width, settings.precision),
        mesh.edges,
        potential,
        parity,
        sheets,
    )
    sampling = _sampling(settings.sampling, np.asarray(ansatz.edges), mesh)
    return system_of(potential, settings, ansatz, sampling, unit)


def _sampling(choice: SamplingChoice, edges: np.ndarray, mesh: Mesh) -> Sampling:
    if choice.name == "random":
        return RandomPoints(edges, choice.points)  # type: ignore[arg-type]
    if choice.name == "uniform":
        return FixedPoints(uniform(edges, choice.points))
    points = gauss_legendre(mesh, choice.points)
    return FixedPoints(points if len(edges) - 1 == len(mesh) else merge(points))


def course(settings: Settings, watched: bool = True) -> loop.Course:
    """How a run starts, and how many steps it takes; watched: whether somebody wants to see its progress."""
    entry = OPTIMIZERS[settings.optimizer.name]
    steps, chunk = settings.optimizer.steps or entry.steps, settings.optimizer.chunk or entry.chunk
    if settings.optimizer.chunk is None and not watched:
        chunk = max(chunk, LONG)
    start: starts.Start = starts.Variational(settings.start.steps, settings.start.learning_rate)
    if settings.start.name != "variational":
        start = starts.Ritz() if settings.start.name == "ritz" else starts.Random()
    return loop.Course(start, steps, chunk)


def orthogonal(
    system: System, trained: Sequence[Params], count: int, settings: Settings, lanes: tuple[int, ...] = ()
) -> System:
    """The system of one of `count` functions that are trained in turn, orthogonal to those that have been `trained`.

    lanes  leading axes of the parameters of those
    """
    below = [params["psi"] for params in trained]
    equation = system.equation.orthogonal_to(below, count, settings.loss.orthogonality, lanes)
    return system._replace(equation=equation)


def cast(precision: str, tree: Any) -> Any:
    """A tree with all of its arrays in this precision."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, precision), tree)
