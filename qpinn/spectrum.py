"""The lowest levels of a potential to a tolerance, each between bounds.

Each state is a lane: its own copy of the network and its own Ritz vector as a start, one more axis of a `vmap`. After
training, a Rayleigh-Ritz among the lanes separates what is nearly degenerate and makes them orthonormal, and a
certificate bounds the levels. Segments in which the residual is largest are then cut, until the bounds meet the
tolerance or the rounds are used up.
"""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qpinn import solver
from qpinn.analysis import certify
from qpinn.physics import domain, estimates
from qpinn.physics.domain import Points
from qpinn.settings import Settings
from qpinn.training import loop
from qpinn.training.problem import Problem

EXTRA = 4
"""States beyond those asked for among which a gap is looked for."""

ROUNDS = 4


@dataclasses.dataclass(frozen=True)
class Round:
    """One mesh: lanes trained on it, mixed by Rayleigh-Ritz, and certified."""

    problem: Problem
    params: Any
    mix: np.ndarray
    values: certify.Values
    x: np.ndarray
    segment: np.ndarray
    certificate: certify.Certificate
    energy_start: np.ndarray
    seconds: dict[str, float]


def lanes(potential: Any, states: int) -> tuple[int, float, np.ndarray, np.ndarray]:
    """How many states to train so that a gap follows them, sigma in that gap, and the brackets of the levels."""
    low, high = estimates.brackets(potential, states + EXTRA + 1)
    gaps = low[states:] - high[states - 1 : -1]
    mean = (high[-1] - low[0]) / (states + EXTRA)
    wide = np.flatnonzero(gaps > 0.3 * mean)
    count = states + int(wide[0] if wide.size else np.argmax(gaps))
    return count, float(low[count]), low, high


def round_of(potential: Any, settings: Settings, edges: np.ndarray, states: int, sigma: float) -> Round:
    """Train `states` lanes on a mesh."""
    problem, optimizer, sampling = solver.build_on(potential, settings, edges, states)
    steps = solver.steps(settings)
    begun = time.perf_counter()
    seed = jnp.asarray(settings.seed)

    def begin(problem: Problem, optimizer: Any, sampling: Any, seed: Any) -> Any:
        own = partial(loop.begin, problem, optimizer, sampling, seed, "ritz")
        return jax.vmap(own)(jnp.arange(states))

    def train(problem: Problem, optimizer: Any, sampling: Any, carry: loop.Carry, seed: Any) -> Any:
        def own(carry: loop.Carry) -> Any:
            return loop.run_chunk(problem, optimizer, sampling, carry, seed, jnp.asarray(steps), steps)

        return jax.vmap(own)(carry)

    options = loop.compiler_options(quick=False)
    begin_all = (
        jax.jit(begin, compiler_options=loop.compiler_options(quick=True))
        .lower(problem, optimizer, sampling, seed)
        .compile()
    )
    carry, energy_start = begin_all(problem, optimizer, sampling, seed)
    train_all = (
        jax.jit(train, compiler_options=options, donate_argnums=3)
        .lower(problem, optimizer, sampling, carry, seed)
        .compile()
    )
    at, share = _points(edges, settings.sampling.points)
    at = jax.tree.map(lambda leaf: jnp.asarray(leaf, settings.precision), at)

    def measure(problem: Problem, params: Any, at: Points) -> Any:
        return jax.vmap(lambda own: problem.fields(own, at))(params)

    measure_all = (
        jax.jit(measure, compiler_options=loop.compiler_options(quick=True))
        .lower(problem, carry.state.params, at)
        .compile()
    )
    seconds = {"compile": time.perf_counter() - begun}
    begun = time.perf_counter()
    carry, _ = jax.block_until_ready(train_all(problem, optimizer, sampling, carry, seed))
    seconds["train"] = time.perf_counter() - begun
    begun = time.perf_counter()
    fields = jax.device_get(measure_all(problem, carry.state.params, at))

    def flat(values: Any, use: np.ndarray) -> np.ndarray:
        return np.asarray(values, np.float64)[..., use].reshape(states, -1)

    weight = np.asarray(at.weight, np.float64)
    rules = []
    for use in share:
        v = np.asarray(fields.v[0], np.float64)[:, use].ravel()
        psi = flat(fields.psi.value, use)
        h_psi = -flat(fields.psi.laplacian, use) + v * psi
        rules.append(certify.Values(psi, flat(fields.psi.gradient[..., 0], use), h_psi, v, weight[:, use].ravel()))
    fine, check = rules
    _, mix = certify.ritz(fine)
    fine, check = fine.mixed(mix), check.mixed(mix)
    certificate = certify.certify(fine, check, sigma, float(jnp.finfo(settings.precision).eps))
    x = np.asarray(at.x, np.float64)[..., 0][:, share[0]]
    seconds["measure"] = time.perf_counter() - begun
    return Round(
        problem, carry.state.params, mix, fine, x.ravel(), np.repeat(np.arange(len(x)), x.shape[1]), certificate,
        np.asarray(energy_start), seconds,
    )  # fmt: skip


def _points(edges: np.ndarray, trained: int) -> tuple[Points, tuple[np.ndarray, np.ndarray]]:
    """Two finer rules than the one trained on, side by side in every segment, and which points belong to which.

    The difference of their results bounds the error of the first, which has many more points than the second.
    """
    rules = [domain.gauss_legendre(edges, count) for count in (2 * trained + 24, trained + 16)]
    sizes = [rule.x.shape[1] for rule in rules]
    at = Points(
        x=np.concatenate([rule.x for rule in rules], axis=1),  # type: ignore[arg-type]
        weight=np.concatenate([rule.weight for rule in rules], axis=1),  # type: ignore[arg-type]
    )
    return at, (np.arange(sizes[0]), np.arange(sizes[0], sum(sizes)))
