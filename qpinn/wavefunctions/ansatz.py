"""Trial wavefunctions psi(params, x) that vanish at both walls, whatever the parameters.

An ansatz is a pytree: its network is static, its mesh is data. It owns segments, evaluates psi inside one of them from
what that segment sees of the parameters (`local`, `psi_local`), and everywhere by looking the segment up (`psi`). Each
segment has a network of its own; what is under "nodal" it shares with its neighbours. Training uses the first form,
vmapped over segments and points; the second is what a user plots.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from qpinn.physics.potentials.base import has_kinks, mass_at, strengths_at
from qpinn.typing import Array, Params, Point, Scalar
from qpinn.wavefunctions.networks import MLP, from_uniform, parameter_count


class Ansatz(Protocol):
    """What training and analysis ask of an ansatz."""

    @property
    def edges(self) -> Array: ...

    @property
    def network(self) -> MLP: ...

    @property
    def parity(self) -> Any: ...

    def init(self, key: Array) -> Params: ...

    def local(self, params: Params) -> Params: ...

    def psi_local(self, local: Params, x: Point) -> Scalar: ...

    def fold(self, x: Point) -> tuple[Point, Any]: ...

    def sector(self, state: Any) -> Any: ...

    def confined(self, params: Params) -> Params: ...

    def inherit(self, edges: Array, params: Params) -> Params: ...


STEEPEST = 8.0
"""Largest hidden weight of a segment, in units of its half-length: tanh(8 xi) is resolved to 1e-7 by the 40 points of a
training and to rounding by those of a measurement. A minimum of the loss on points may have units that jump between two
of them, which no measurement sees."""


def _draws(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.uniform(key, shape, dtype, -1, 1)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Envelope:
    """The paper's: psi(x) = (1 - xi^2) N(xi), with xi in [-1, 1] the position in the box and N one network.

    The envelope vanishes at both walls; psi is as smooth as the network everywhere, also where V jumps and psi'' of the
    solution jumps with it.

    edges  (2,)  the walls
    """

    edges: Array
    network: MLP = dataclasses.field(metadata={"static": True})
    parity: ClassVar[None] = None

    def init(self, key: Array) -> Params:
        draws = _draws(key, (parameter_count(self.network),), self.network.dtype)
        return {"network": jax.tree.map(lambda leaf: leaf[None], from_uniform(self.network, draws))}

    def local(self, params: Params) -> Params:
        """Parameters of every segment, with a leading axis of segments: here one."""
        nothing = jnp.zeros((1, 0), self.network.dtype)
        return {**params, "nodal": nothing, "left": self.edges[:1], "right": self.edges[1:]}

    def fold(self, x: Point) -> tuple[Point, Any]:
        """Where psi is evaluated for x, and the sign that it takes there."""
        return x, 1.0

    def sector(self, state: Any) -> Any:
        """Place of level `state` among those that psi can be."""
        return state

    def confined(self, params: Params) -> Params:
        """`params` as they are: a network of the whole box may need any slope."""
        return params

    def inherit(self, edges: Array, params: Params) -> Params:
        """`params` as they are: there is one segment, whatever the mesh."""
        return params

    def psi_local(self, local: Params, x: Point) -> Scalar:
        xi = (2 * x - local["left"] - local["right"]) / (local["right"] - local["left"])
        return (1 - xi[0]) * (1 + xi[0]) * self.network.apply({"params": local["network"]}, xi)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Piecewise:
    """A trial function on segments, with psi'' free to jump between them; C1 where there are no masses and no deltas.

    In a segment of half-length h, with xi in [-1, 1] the position in it, u and u' the values and slopes at its ends,

        psi = Hermite(u_j, u'_j, u_{j+1}, u'_{j+1})(xi) + (1 - xi^2)^2 N_j(xi),

    where the cubic Hermite part carries all of psi and psi' at the ends, and N_j, the network of that segment, none of
    it. Neighbours share the value u_j and the flux f_j = psi' / m of their edge, the mean of its two sides, which are
    apart by what a delta of strength alpha_j asks for:

        u'_j = m (f_j - alpha_j u_j / 2) left of it,  m (f_j + alpha_j u_j / 2) right of it,

    so that psi is continuous and in the domain of H by construction. The values at the walls are zero and are no
    parameters.

    With a `parity` the segments are those of the left half of a box, and the other half is its mirror image: at the
    centre, the last edge, an even function has f = 0 and an odd one u = 0.

    edges     (segments + 1,)  ascending; every breakpoint of the potential is one of them
    mass      (segments,)      effective masses m, or None: all 1
    strength  (segments + 1,)  of the delta at each edge, or None: there is none
    parity    ()               1 even, -1 odd, or None: neither, and the last edge is a wall
    """

    edges: Array
    network: MLP = dataclasses.field(metadata={"static": True})
    mass: Any = None
    strength: Any = None
    parity: Any = None

    @property
    def _values(self) -> int:
        """Number of nodal values that are parameters."""
        return self.edges.shape[0] - (2 if self.parity is None else 1)

    def init(self, key: Array) -> Params:
        segments = self.edges.shape[0] - 1
        size = parameter_count(self.network)
        draws = _draws(key, (segments * (size + 1) + 1 + self._values,), self.network.dtype)
        networks = jax.vmap(partial(from_uniform, self.network))(draws[: segments * size].reshape(segments, size))
        value, slope = jnp.split(draws[segments * size :], [self._values])
        nodal = {"value": value, "slope": slope / (self.edges[-1] - self.edges[0])}
        return {"network": networks, "nodal": nodal}

    def local(self, params: Params) -> Params:
        """Parameters of every segment, with a leading axis of segments."""
        wall = jnp.zeros(1, params["nodal"]["value"].dtype)
        value, flux = params["nodal"]["value"], params["nodal"]["slope"]
        if self.parity is None:
            value = jnp.concatenate([wall, value, wall])
        else:
            value = jnp.concatenate([wall, value[:-1], (1 + self.parity) / 2 * value[-1:]])
            flux = jnp.concatenate([flux[:-1], (1 - self.parity) / 2 * flux[-1:]])
        half = 0.0 if self.strength is None else self.strength * value / 2
        slope = jnp.stack([(flux + half)[:-1], (flux - half)[1:]], axis=1)
        return {
            "network": params["network"],
            "nodal": {
                "value": jnp.stack([value[:-1], value[1:]], axis=1),
                "slope": slope if self.mass is None else self.mass[:, None] * slope,
            },
            "left": self.edges[:-1],
            "right": self.edges[1:],
        }

    def fold(self, x: Point) -> tuple[Point, Any]:
        """Where psi is evaluated for x, and the sign that it takes there."""
        if self.parity is None:
            return x, 1.0
        center = self.edges[-1]
        return center - jnp.abs(x - center), jnp.where(x[0] > center, self.parity, 1.0)

    def sector(self, state: Any) -> Any:
        """Place of level `state` among those that psi can be: those of one parity are every second."""
        return state if self.parity is None else state // 2

    def inherit(self, edges: Array, params: Params) -> Params:
        """Parameters of this ansatz from `params` (lanes first) of one with coarser `edges`, all of them among its own.

        The network of a part of a segment is that of the whole, as a function of x; nodal values and slopes are zero,
        for a linear solve to find.
        """
        old, new = np.asarray(edges), np.asarray(self.edges)
        middle, half = (new[:-1] + new[1:]) / 2, np.diff(new) / 2
        whole = np.clip(np.searchsorted(old, middle) - 1, 0, len(old) - 2)
        size = np.diff(old)[whole] / 2
        ratio, shift = half / size, (middle - (old[whole] + old[whole + 1]) / 2) / size  # xi of whole: shift + ratio xi
        first = params["network"]["hidden_0"]
        kernel, bias = first["kernel"][..., whole, :, :], first["bias"][..., whole, :]
        moved = {
            "kernel": kernel * ratio[:, None, None].astype(kernel.dtype),
            "bias": bias + (kernel * shift[:, None, None].astype(kernel.dtype))[..., 0, :],
        }
        rest = jax.tree.map(lambda leaf: jnp.take(leaf, whole, axis=bias.ndim - 2), params["network"])
        lanes, dtype = bias.shape[:-2], bias.dtype
        nodal = {"value": jnp.zeros((*lanes, self._values), dtype), "slope": jnp.zeros((*lanes, len(new)), dtype)}
        return {"network": {**rest, "hidden_0": moved}, "nodal": nodal}

    def confined(self, params: Params) -> Params:
        """`params` with the hidden weights and biases of every network within +-STEEPEST."""
        hidden = {
            name: jax.tree.map(lambda leaf: jnp.clip(leaf, -STEEPEST, STEEPEST), layer) if name != "readout" else layer
            for name, layer in params["network"].items()
        }
        return {**params, "network": hidden}

    def psi_local(self, local: Params, x: Point) -> Scalar:
        half = (local["right"] - local["left"]) / 2
        plus = (x - local["left"]) / half  # 1 + xi
        minus = (local["right"] - x) / half  # 1 - xi
        inner = self.network.apply({"params": local["network"]}, (plus - minus) / 2)
        plus, minus = plus[0], minus[0]
        value, slope = local["nodal"]["value"] / 4, local["nodal"]["slope"] * (half / 4)
        from_left = value[0] + plus * (value[0] + slope[0])
        from_right = value[1] + minus * (value[1] - slope[1])
        product = plus * minus
        return minus * minus * from_left + plus * plus * from_right + product * product * inner


ANSATZE = ("envelope", "piecewise")
"""What `ansatz.name` in a config may say."""


def on_mesh(name: str, mesh: np.ndarray, network: MLP, potential: Any, parity: float | None = None) -> Ansatz:
    """The ansatz called `name` for `potential`, on the segments of `mesh` (of the left half, for a parity)."""
    if name == "envelope":
        return Envelope(mesh[[0, -1]], network)  # type: ignore[arg-type]
    if not has_kinks(potential):
        return Piecewise(mesh, network, parity=parity)  # type: ignore[arg-type]
    mass = np.broadcast_to(mass_at(potential, ((mesh[:-1] + mesh[1:]) / 2)[:, None]), len(mesh) - 1)
    return Piecewise(mesh, network, mass, strengths_at(potential, mesh), parity)  # type: ignore[arg-type]


def psi(ansatz: Ansatz, params: Params, x: Point) -> Scalar:
    """The trial wavefunction at one position x (d,) anywhere in the domain."""
    inner = ansatz.edges[1:-1]
    at, sign = ansatz.fold(x)
    segment = jnp.searchsorted(inner, at[0], side="right")
    return sign * ansatz.psi_local(jax.tree.map(lambda leaf: leaf[segment], ansatz.local(params)), at)


def is_linear(params: Params) -> Params:
    """For each leaf, whether psi is linear in it: readout of the network, nodal values and slopes."""

    def linear(path: tuple[Any, ...], _: Array) -> bool:
        names = {getattr(entry, "key", None) for entry in path}
        return bool(names & {"readout", "nodal"})

    return jax.tree_util.tree_map_with_path(linear, params)
