"""A potential that is given as a Python function of the position."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import jax
import numpy as np

from qpinn.checks import LIMIT, finite
from qpinn.physics.potentials.base import Number, Potential, pytree, walls
from qpinn.physics.potentials.samples import MOST_ROWS, Sampled, sampled

CLOSE = 1e-11
"""Of the range of V: how well a spline agrees with a function between its samples, when there are enough."""

SHARES = (0.5, 0.2360679775)
"""Where between two samples they are compared."""


@pytree
class Function(Potential):
    """V = scale f(x), f a function that JAX traces, between walls."""

    left: Number
    right: Number
    function: Callable[[Any], Any] = dataclasses.field(metadata={"static": True, "hidden": True})
    breakpoints: tuple[float, ...] = dataclasses.field(metadata={"static": True})
    scale: Number = dataclasses.field(default=1.0, metadata={"hidden": True})
    name: ClassVar[str] = "function"
    energies: ClassVar[dict[str, float]] = {"scale": 1}

    @property
    def domain(self) -> tuple[Number, Number]:
        return self.left, self.right

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Raises TypeError for a function that pickle cannot find by its name."""
        f = self.function
        if isinstance(f, types.FunctionType) and _by_name(f) is not f:
            raise TypeError(
                f"potential={f.__qualname__}: a function that is not one of a module cannot be pickled; "
                "solution.save(folder) keeps a solution, and qpinn.load(folder, potential=f) gives it back"
            )
        return super().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: Any) -> Function:
        return self

    def at(self, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return self.scale * self.function(x[..., 0])
        with jax.enable_x64(True):  # also where the function is made of jax.numpy
            return self.scale * np.asarray(self.function(x[..., 0]), np.float64)


def function(f: Callable[[Any], Any], domain: Sequence[float], breakpoints: Sequence[float] = ()) -> Function | Sampled:
    """V(x) = f(x) between the walls `domain`; `breakpoints` inside, where V or its slope jumps.

    A function that JAX traces, and that returns for an array (n,) one of that shape, is used as it is. Another is
    sampled, between breakpoints, at more and more positions until a cubic spline agrees with it between them to 1e-11
    of the range of V; that the spline is V is then assumed, and said in `read`. What is narrower than the first
    samples, 1/32 of the way between breakpoints, may be missed.

    Raises ValueError if f is no such function, is not finite, or does not become smooth with 20000 samples.
    """
    if not callable(f):
        raise ValueError(f"potential={f!r}: must be a function of the position")
    left, right = walls(domain)
    if isinstance(breakpoints, str) or not np.iterable(breakpoints):
        raise ValueError(f"potential.breakpoints={breakpoints!r}: must be numbers in brackets, as [-1,1]")
    kinks = sorted(finite("potential.breakpoints", point) for point in breakpoints)
    if kinks and not left < kinks[0] <= kinks[-1] < right:
        raise ValueError(f"potential.breakpoints={kinks}: must lie inside the domain [{left:g}, {right:g}]")
    if _traced(f):
        built = Function(left=left, right=right, function=f, breakpoints=tuple(kinks))
        _finite(np.linspace(left, right, 1001), built(np.linspace(left, right, 1001)))
        return built
    return _spline(f, [left, *kinks, right])


def _by_name(f: types.FunctionType) -> Any:
    """What stands in the module of a function under its name."""
    found: Any = sys.modules.get(f.__module__)
    for name in f.__qualname__.split("."):
        found = getattr(found, name, None)
    return found


def _traced(f: Callable[[Any], Any]) -> bool:
    """Whether JAX traces a function, entry by entry."""
    try:
        shape = jax.eval_shape(f, jax.ShapeDtypeStruct((3,), np.float32))
    except Exception:  # whatever somebody's function raises for what is no array
        return False
    return getattr(shape, "shape", None) == (3,) and not np.issubdtype(shape.dtype, np.complexfloating)


def _values(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """f on x (n,): of the array, or one position after the other."""
    try:
        v = _real(f(x))
    except Exception:
        v = np.empty(0)
    if v.shape != x.shape:
        try:
            v = np.array([float(_real(f(float(place)))) for place in x])
        except Exception as error:
            raise ValueError(f"potential: the function fails at a position ({type(error).__name__}: {error})") from None
    return _finite(x, v)


def _real(value: Any) -> np.ndarray:
    """Numbers of 64 bits. Raises ValueError for complex ones."""
    array = np.asarray(value)
    if np.iscomplexobj(array):
        raise ValueError("V must be real")
    return np.asarray(array, np.float64)


def _finite(x: np.ndarray, v: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~(np.abs(v) <= LIMIT))
    if bad.size:
        raise ValueError(f"potential: the function is {v[bad[0]]:g} at x = {x[bad[0]]:.6g}; must be real and within "
                         f"+-{LIMIT:g}")  # fmt: skip
    return v


def _spline(f: Callable[[Any], Any], ends: Sequence[float]) -> Sampled:
    """Samples between ends and breakpoints, twice as many each time."""
    from scipy import interpolate

    tables, count, worst = [], 0, 0.0
    for left, right in pairwise(ends):
        n = 33
        inside = 4 * np.finfo(float).eps * max(abs(left), abs(right), 1e-300)
        while True:
            x = np.linspace(left, right, n)
            v = _values(f, np.clip(x, left + inside, right - inside))
            between = np.sort(np.concatenate([x[:-1] + share * np.diff(x) for share in SHARES]))
            off = np.abs(interpolate.CubicSpline(x, v)(between) - _values(f, between)).max()
            least = max(CLOSE * np.ptp(v), 16 * np.finfo(float).eps * np.abs(v).max(), 1e-300)
            if off <= least:
                break
            n = 2 * n - 1
            if n > MOST_ROWS / (len(ends) - 1):
                raise ValueError(
                    f"potential: the function is not smooth between {left:g} and {right:g} (with {len(x)} samples a "
                    f"spline is off by {off:.1e}); breakpoints says where V or its slope jumps"
                )
        tables.append(np.stack([x, v]))
        count, worst = count + n, max(worst, float(off))
    x, v = np.concatenate(tables, axis=1)
    built = sampled(x=x, V=v, interpolation="cubic")
    read = f"a function sampled at {count} positions, cubic, within {worst:.1e} between them (an estimate)"
    return dataclasses.replace(built, read=read)
