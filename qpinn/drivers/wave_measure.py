"""How a wave is measured: psi on grids of t and x, by quadratures, its residual, and its distance from another psi."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Complex, Float

from qpinn.drivers import packet_problem
from qpinn.drivers.evolution import Evolution
from qpinn.drivers.moving import Problem
from qpinn.equations.evolution import Evolving, Fields
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import gauss_legendre
from qpinn.physics.enclosure import stray
from qpinn.typing import Params

AT_ONCE = 8192
"""Times and positions that psi is evaluated at."""


PARTS, FINE = 3.0, 20_001
"""Intervals while a drive rises to its largest value, and times at which it is looked at."""


TURN, STEPS, LEAST, MOST = 6.0, (8, 6), 20, 400
"""Radians that the highest energy turns in an interval of time, points of two rules in it, and how many there are."""


PHASE, POINTS = 6.0, (16, 12)
"""Radians of psi of the highest energy in a segment of the quadrature in x, and points of two rules in it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A quadrature on which waves are measured.

    edges    (K + 1,) of intervals of time
    t, x     of Gauss-Legendre points: (K, n) in the intervals, and (Q,)
    share    (n,) weights in an interval of length 1; weight (Q,)
    blur     (Q,) bound on the distance of V from the polynomials that the quadrature integrates, and kick: of W
    """

    edges: Float[np.ndarray, "K+1"]
    t: Float[np.ndarray, "K n"]
    share: Float[np.ndarray, "n"]
    x: Float[np.ndarray, "Q"]
    weight: Float[np.ndarray, "Q"]
    blur: Float[np.ndarray, "Q"]
    kick: Float[np.ndarray, "Q"]


@jax.jit
def _psi(equation: Evolving, params: Params, tx: jax.Array) -> jax.Array:
    return jax.vmap(equation.psi, (None, 0))(params, tx)


@jax.jit
def _fields(equation: Evolving, params: Params, tx: jax.Array) -> Fields:
    return jax.vmap(equation.fields, (None, 0))(params, tx)


def _batches(
    function: Callable[..., Any], equation: Evolving, params: Params, times: Float[np.ndarray, "T"],
    x: Float[np.ndarray, "X"],
) -> Iterator[Any]:  # fmt: skip
    """Values of a compiled function of (t, x) on a grid, batch by batch, all of them of one length."""
    count = len(times) * len(x)
    for begin in range(0, count, AT_ONCE):
        at = np.minimum(np.arange(begin, begin + AT_ONCE), count - 1)
        tx = np.stack([times[at // len(x)], x[at % len(x)]], axis=1)
        with jax.enable_x64(True):
            values = jax.device_get(function(equation, params, tx))
        yield jax.tree.map(lambda leaf: np.asarray(leaf[: count - begin]), values)


def psi_on(
    equation: Evolving, params: Params, times: Float[np.ndarray, "T"], x: Float[np.ndarray, "X"]
) -> Complex[np.ndarray, "T X"]:
    """psi at each of the times and positions."""
    values = np.concatenate(list(_batches(_psi, equation, params, times, x)))
    return (values[:, 0] + 1j * values[:, 1]).reshape(len(times), len(x))


def in_blocks(
    equation: Evolving, params: Params, times: Float[np.ndarray, "T"], x: Float[np.ndarray, "X"], force: np.ndarray
) -> Iterator[tuple[Fields, np.ndarray]]:
    """Fields (T', X, 2) and f (T',) of some of the times after the other."""
    rows = max(1, AT_ONCE // len(x))
    for begin in range(0, len(times), rows):
        some = times[begin : begin + rows]
        parts = list(_batches(_fields, equation, params, some, x))
        whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        yield jax.tree.map(lambda leaf: leaf.reshape(-1, len(x), 2), whole), force[begin : begin + rows]


def rules_of(problem: Problem, energy: float) -> tuple[Measure, Measure]:
    """Two quadratures for a wave of energies up to this."""
    edges = packet_problem.mesh_of(problem, energy, PHASE)
    marks = _marks(problem, energy)

    def rule(points: int, steps: int) -> Measure:
        on_x, on_t = gauss_legendre(Mesh(edges), points), gauss_legendre(Mesh(marks), steps)
        blur, kick = (np.zeros(len(edges) - 1) if v is None else
                      stray(v, edges[:-1], edges[1:], np.full(len(edges) - 1, points // 2))
                      for v in (problem.potential, problem.space))  # fmt: skip
        return Measure(
            edges=marks, t=np.asarray(on_t.x)[..., 0], share=np.asarray(on_t.weight[0]) / np.diff(marks)[0],
            x=np.asarray(on_x.x).ravel(), weight=np.asarray(on_x.weight).ravel(), blur=np.repeat(blur, points),
            kick=np.repeat(kick, points),
        )  # fmt: skip

    fine, coarse = (rule(*sizes) for sizes in zip(POINTS, STEPS, strict=True))
    return fine, coarse


def _marks(problem: Problem, energy: float) -> Float[np.ndarray, "K+1"]:
    """Ends of intervals of time: in each the phase of this energy and of the drive turns by `TURN` at most, and the
    drive changes by a part of all that it changes by."""
    begin, end = problem.times[[0, -1]]
    t = np.linspace(begin, end, FINE)
    turns = np.full(FINE - 1, (end - begin) * (energy - problem.lowest) / TURN / (FINE - 1))
    if problem.force is not None:
        f, w = np.asarray(problem.force(t), np.float64), np.asarray(problem.space.at(problem.even(801)[:, None]))
        turns += np.abs(f[:-1]) * float(np.max(np.abs(w))) * np.diff(t) / TURN
        turns += PARTS * np.abs(np.diff(f)) / max(float(np.abs(f).max()), 1e-300)
    done = np.concatenate([[0.0], np.cumsum(turns)])
    done += np.linspace(0.0, max(LEAST - done[-1], 0.05 * done[-1]), FINE)
    return np.interp(np.linspace(0.0, done[-1], 1 + int(np.clip(np.ceil(done[-1]), LEAST, MOST))), done, t)


def apart(
    psi: Complex[np.ndarray, "T Q"], known: Evolution, times: Float[np.ndarray, "T"], rule: Measure, problem: Problem
) -> Float[np.ndarray, "T"]:
    """|psi - psi of the default route|, on the whole domain, of psi on a quadrature that is zero beyond its walls."""
    exact = known.on(times, rule.x)
    squares = np.abs(psi - exact) ** 2 @ rule.weight
    if any(problem.margins):
        squares = squares + np.maximum(known.squares(times) - np.abs(exact) ** 2 @ rule.weight, 0.0)
    return np.sqrt(squares)  # type: ignore[no-any-return]


def integrals(equation: Evolving, params: Params, problem: Problem, rule: Measure) -> Float[np.ndarray, "K"]:
    """sqrt(h integral |r|^2) on each interval of time (K,) of length h, r = i psi_t - H psi with what V and W may hide
    of it: at least the integral of |r|, see `qpinn.bounds.evolution`."""
    times = rule.t.ravel()
    sizes = []
    for fields, f in in_blocks(equation, params, times, rule.x, problem.forces(times)):
        residual = np.asarray(fields.residual(f[:, None] + 0 * rule.x))
        hidden = np.sum(fields.psi**2, axis=-1) * (rule.blur + np.abs(f)[:, None] * rule.kick) ** 2 @ rule.weight
        sizes.append(np.sqrt(np.sum(residual**2, axis=-1) @ rule.weight) + np.sqrt(hidden))
    squares = np.concatenate(sizes).reshape(rule.t.shape) ** 2 @ rule.share
    return np.sqrt(squares) * np.diff(rule.edges)  # type: ignore[no-any-return]


def bounded(
    equation: Evolving, params: Params, problem: Problem, rules: tuple[Measure, Measure]
) -> Float[np.ndarray, "K"]:
    """Bounds on these integrals: of the finer quadrature, and twice its distance from the coarser one."""
    with jax.enable_x64(True):
        fine, coarse = (integrals(equation, params, problem, rule) for rule in rules)
    return fine + 2 * np.abs(fine - coarse)
