"""Levels as functions of the numbers of a potential: their derivatives, and a function that JAX differentiates."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.checks import shown
from qpinn.drivers.eigenstates import run
from qpinn.drivers.settings import of_keywords
from qpinn.drivers.solution import Solution
from qpinn.physics.derivatives import Densities, slopes
from qpinn.physics.potentials.combined import Combined
from qpinn.typing import Array

APART = 1e3
"""Half-widths of their bounds that two levels must be apart for each to have a derivative."""


class Gradients(dict[str, np.ndarray]):
    """Arrays by name, which are shown in a line each, many numbers by their shape."""

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name.ljust(width)}  {_line(value)}" for name, value in self.items())


def _line(value: Float[np.ndarray, "K ..."]) -> str:
    if value.size > 8:
        return f"<{' x '.join(map(str, value.shape))} numbers>"
    return "  ".join(f"{number:.7g}" for number in value.ravel())


def gradients(solution: Solution, matrices: bool = False) -> Gradients:
    """dE_k/dtheta of every level of a solution, for every number theta of its potential: name -> array (K, ...).

    By the theorem of Hellmann (1937) and Feynman (1939) on a mesh that moves with walls, jumps and deltas
    (`qpinn.physics.derivatives`); nothing is solved again. The names are the fields of the potential, which are the
    keys of its builder, but for

    left, right  the walls that were given; those that were put where psi has decayed stay where they are
    layers       thickness, offset, mass (K, n) of each layer, where a thickness moves all layers right of it; and edges
                 (K, n + 1), each moved alone
    sampled      V (K, n): the samples, at fixed x
    expression   left, right and the parameters of the formula, by their names
    deltas that were added: places and strengths (K, D)

    A field that holds several numbers has an array (K, n). Units are those of the solution: of energy over that of
    theta. The error is about the relative L2 error of psi, not its square as that of E is.

    The derivative of one level exists where it is separated. Where bounds show that two levels of the solution are less
    than 1000 times their half-widths apart, psi may be any mixture of the two, and both have NaN (but for an even and
    an odd one of an even V). The closest level that is not in the solution is not looked at. matrices=True returns
    (K, K, ...) in place of (K, ...), without NaN: <i|dH/dtheta|j> of all pairs, whose eigenvalues within a cluster are
    the derivatives of its levels to first order for a change of theta that is larger than the splitting, and whose
    trace there is always the derivative of the sum of its levels. Between levels far apart it means nothing.

    Raises ValueError if the potential is no registered dataclass with numbers, TypeError for what is no Solution.
    """
    if not isinstance(solution, Solution):
        raise TypeError(f"solution={shown(solution)}: must be what qpinn.solve returns")
    named = _by_name(solution.given, by_leaf(solution, matrices))
    count = len(solution.fine.psi)
    if matrices:
        row, column = np.triu_indices(count)
        place = np.zeros((count, count), int)
        place[row, column] = place[column, row] = np.arange(len(row))
        return Gradients({name: value[place] for name, value in named.items()})
    return Gradients(named)


def _by_name(given: Any, by_field: Any) -> dict[str, np.ndarray]:
    """Derivatives with respect to the numbers of a potential, from its pytree of them."""
    if isinstance(given, Combined):
        inner, own = _by_name(given.potential, by_field.potential), {}
        if given.places:
            own = {"places": np.stack(by_field.places, axis=-1), "strengths": np.stack(by_field.strengths, axis=-1)}
        return {**inner, **own}
    values = {}
    for field in dataclasses.fields(given):
        of = getattr(by_field, field.name)
        if field.metadata.get("static") or field.metadata.get("hidden") or not jax.tree.leaves(of):
            continue
        values[field.name] = of if isinstance(of, np.ndarray) else np.stack(jax.tree.leaves(of), axis=-1)
    by_key = getattr(given, "by_key", None)
    return by_key(values) if by_key else values


def by_leaf(solution: Solution, matrices: bool = False) -> Any:
    """The pytree of the potential with a leading axis: of levels, or of the pairs i <= j of them."""
    given, fine = solution.given, solution.fine
    if not dataclasses.is_dataclass(given) or not jax.tree.leaves(given):
        name = getattr(given, "name", type(given).__name__)
        raise ValueError(f"potential={name}: has no numbers to differentiate by; must be a dataclass with some, "
                         "registered with jax.tree_util.register_dataclass")  # fmt: skip
    size = np.sqrt(np.sum(fine.weight * fine.psi**2, axis=1, keepdims=True))
    psi, slope, contact = fine.psi / size, fine.slope / size, fine.at_deltas / size
    level = (fine.kinetic() + fine.potential()) / size[:, 0] ** 2
    row, column = np.triu_indices(len(psi)) if matrices else (np.arange(len(psi)),) * 2
    densities = Densities(
        x=fine.x, weight=fine.weight, density=psi[row] * psi[column],  # type: ignore[arg-type]
        kinetic=slope[row] * slope[column], contact=contact[row] * contact[column],  # type: ignore[arg-type]
        energy=(level[row] + level[column]) / 2,  # type: ignore[arg-type]
    )  # fmt: skip
    derivatives = slopes(given, solution.plan.potential.domain, densities, solution.units)
    if matrices:
        return derivatives
    close = ~_separated(solution)

    def of_separated(leaf: np.ndarray) -> np.ndarray:
        return np.where(close.reshape(-1, *(1,) * (leaf.ndim - 1)), np.nan, leaf)

    return jax.tree.map(of_separated, derivatives)


def _separated(solution: Solution) -> np.ndarray:
    """Whether psi of each level (K,) is not a mixture with another one of the solution, as far as bounds tell."""
    energies, bounds = solution.energies, solution.bounds
    half = np.diff(bounds, axis=1)[:, 0] / 2
    half = np.where(np.isfinite(half), half, 0.0)
    gap = np.abs(energies[:, None] - energies)
    index = solution.plan.indices[solution.plan.shown]
    other = index[:, None] != index
    if solution.plan.mesh.half:
        other &= (index[:, None] - index) % 2 == 0
    return ~np.any(other & (gap < APART * (half[:, None] + half)), axis=1)


def energies(potential: Any, states: int | None = 1, **settings: Any) -> Float[Array, "K"]:
    """The lowest `states` levels (K,) of `potential`, as a function that JAX differentiates by its numbers.

    potential  a pytree dataclass of `qpinn.potentials`; its numbers may be traced, as in
               jax.grad(lambda width: qpinn.energies(dataclasses.replace(well, width=width))[0])(2.0)
    states     how many levels; None with state=k in `settings`, for the one with index k
    settings   as in `qpinn.solve`

    `jax.grad`, `jax.jacrev`, `jax.jacfwd`, `jax.jit` and `jax.vmap` go through it. Each evaluation is a whole `solve`,
    in float64 on the host, with its derivatives by `gradients` (NaN for levels that are not separated); `vmap` runs one
    after another. A derivative with respect to a field of `layers` or `sampled` is that of the dataclass (edges,
    offset, masses; knots, coefficients), not that of the builder's keys. Builders take no traced numbers: replace
    fields of a potential that is built, within the limits that the builder checks.

    The result is float64 where JAX is (jax_enable_x64), else float32: the level is computed in float64 and rounded, and
    so are numbers that are traced, on their way in. Numbers that are not traced keep their digits.

    First derivatives only: another one raises NotImplementedError. ValueError as `solve`, which JAX raises as a
    JaxRuntimeError with its text where the numbers are known only when compiled code runs (under `jit` and `vmap`).
    There the solver runs on the CPU, with threads of its own.
    """
    chosen = of_keywords({"states": states, **settings})
    if chosen.states == "all":
        raise ValueError("states=all: the number of levels must be known beforehand; give it")
    if not (hasattr(potential, "domain") and callable(potential)):
        raise ValueError(f"potential={shown(potential)}: must be one of qpinn.potentials")
    tree: Any
    leaves, tree = jax.tree.flatten(potential)
    traced = [index for index, leaf in enumerate(leaves) if isinstance(leaf, jax.core.Tracer)]
    fixed = {index: leaf for index, leaf in enumerate(leaves) if index not in traced}
    count = 1 if chosen.states is None else int(chosen.states)

    def solved(numbers: Sequence[Any]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Energies (K,), and their derivatives (K, *shape) for each of the numbers that are traced."""
        every = {**fixed, **dict(zip(traced, numbers, strict=True))}
        host = [np.asarray(every[index], np.float64) for index in range(len(every))]
        concrete = tree.unflatten([leaf if leaf.ndim else leaf.item() for leaf in host])
        solution = run(concrete, chosen)
        slope = jax.tree.leaves(by_leaf(solution)) if traced else []
        return solution.energies, [slope[index] for index in traced]

    if not traced:
        return jnp.asarray(_apart(lambda: solved([])[0]))
    return _differentiable(solved, count)([leaves[index] for index in traced])


BLOCK = 8192
"""Numbers that reach the host at a time: JAX copies more than 100 KiB in a thread, which may be the one that waits."""

Solved = Callable[[Sequence[Any]], tuple[np.ndarray, list[np.ndarray]]]


def _differentiable(solved: Solved, count: int) -> Callable[[list[Array]], Array]:
    """Energies (count,) as a function of a list of arrays, with the derivative that `solved` computes beside them."""

    @jax.custom_jvp
    def both(numbers: list[Array]) -> tuple[Array, list[Array]]:
        kind = jnp.result_type(float)

        def rounded(energy: np.ndarray, slope: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
            return energy.astype(kind), [array.astype(kind) for array in slope]

        if not any(isinstance(number, jax.core.Tracer) for number in numbers):
            return jax.tree.map(jnp.asarray, rounded(*_apart(lambda: solved(numbers))))
        sizes = [jnp.shape(number) for number in numbers]
        shapes = [jax.ShapeDtypeStruct((count, *size), kind) for size in sizes]
        flat = [jnp.ravel(number) for number in numbers]
        blocks = [[array[first : first + BLOCK] for first in range(0, max(array.size, 1), BLOCK)] for array in flat]

        def on_host(blocks: list[list[Any]]) -> tuple[np.ndarray, list[np.ndarray]]:
            flat = [np.concatenate([np.asarray(block, np.float64) for block in array]) for array in blocks]
            values = [array.reshape(size) for array, size in zip(flat, sizes, strict=True)]
            return rounded(*_apart(lambda: solved(values), _device_of_its_own()))

        shape = jax.ShapeDtypeStruct((count,), kind)
        return jax.pure_callback(on_host, (shape, shapes), blocks, vmap_method="sequential")

    @both.defjvp
    def _twice(primals: Any, tangents: Any) -> Any:
        raise NotImplementedError("qpinn.energies: has first derivatives, and this asks for a second one")

    @jax.custom_jvp
    def levels(numbers: list[Array]) -> Array:
        return both(numbers)[0]

    @levels.defjvp
    def _once(primals: Any, tangents: Any) -> tuple[Array, Array]:
        energy, slope = both(*primals)
        moved = [
            jnp.tensordot(array, jnp.asarray(tangent, array.dtype), jnp.ndim(tangent))
            for array, tangent in zip(slope, *tangents, strict=True)
        ]
        return energy, sum(moved[1:], moved[0])

    return levels


def _apart(work: Callable[[], Any], device: Any = None) -> Any:
    """The result of `work` in a thread of its own, where JAX knows nothing of a trace that is under way here."""

    def there() -> Any:
        with jax.default_device(device):
            return work()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(there).result()


@functools.cache
def _device_of_its_own() -> Any:
    """A CPU device with threads of its own, for work that compiled code waits for.

    While it waits it may hold the last thread of JAX's own CPU device (on one core there is one), or the stream of a
    GPU: what is solved there then would wait for ever.
    """
    from jaxlib import xla_client

    client: Any = xla_client.make_cpu_client(asynchronous=False)
    return client.local_devices()[0]
