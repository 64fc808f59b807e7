"""The ansatz: a Flax module psi(params, x) on its mesh, the collection of constants beside `params`.

The module is static and the mesh is data, so that another mesh of the same size compiles nothing. Training evaluates
psi inside one segment from what that segment knows of the parameters (`segments`, `in_segment`), vmapped over segments
and points; a reader writes `wavefunction.apply({"params": params, "mesh": mesh}, x)`, which looks the segment up.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qpinn.physics.enclosure import inside
from qpinn.physics.hamiltonian import ends_of
from qpinn.physics.potentials.base import has_kinks, mass_at, strengths_at
from qpinn.typing import Array, Key, Params, Point, Scalar
from qpinn.wavefunctions.continuity import continuity
from qpinn.wavefunctions.envelope import Envelope
from qpinn.wavefunctions.networks import MLP
from qpinn.wavefunctions.piecewise import Piecewise

ANSATZE = {"envelope": Envelope, "piecewise": Piecewise}
"""What `ansatz.name` in a config may say."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Ansatz:
    """A wavefunction, a Flax module, and its `mesh`, a dict of arrays; see the modules for what is in it."""

    wavefunction: Any = dataclasses.field(metadata={"static": True})
    mesh: Params

    @property
    def edges(self) -> Float[Array, "segments+1"]:
        """Edges (segments + 1,) of the segments, of the left half of the box for a parity; in d dimensions (2, d)."""
        return self.mesh["edges"]

    @property
    def dimension(self) -> int:
        """Coordinates of a position."""
        return self.edges.shape[1] if np.ndim(self.edges) == 2 else 1

    @property
    def continuity(self) -> Float[Array, "segments 4 q"]:
        """What each segment sees (segments, 4, q) of the nodal parameters; (1, 0, 0) where there are none."""
        return self.mesh.get("continuity", jnp.zeros((1, 0, 0), self.dtype))

    @property
    def sheets(self) -> int:
        """Real functions that psi is made of: two where it is complex."""
        return len(self.continuity) // (len(self.edges) - 1)

    @property
    def dtype(self) -> Any:
        return self.wavefunction.mlp.dtype

    def init(self, key: Key) -> Params:
        """Random parameters."""
        _, created = self.wavefunction.apply(
            {"mesh": self.mesh}, jnp.zeros(self.dimension, self.dtype), rngs={"params": key}, mutable=["params"]
        )
        return created["params"]

    def psi(self, params: Params, x: Point) -> Scalar:
        """psi at one position x (d,) anywhere in the domain."""
        return self.wavefunction.apply({"params": params, "mesh": self.mesh}, x)

    def segments(self, params: Params) -> Params:
        """What every segment knows of the parameters, with a leading axis of segments."""
        return self.wavefunction.segments(params, self.mesh)

    def in_segment(self, segment: Params, x: Point) -> Scalar:
        """psi at x (d,) from what its segment knows."""
        return self.wavefunction.in_segment(segment, x)

    def scaled(self, params: Params, factor: Scalar) -> Params:
        """Parameters of `factor` psi."""
        return jax.tree.map(lambda leaf, linear: factor * leaf if linear else leaf, params, is_linear(params))


def mesh_of(
    edges: np.ndarray, potential: Any, parity: float | None = None, sheets: int | None = None
) -> dict[str, Any]:
    """Constants of a piecewise psi of `potential`, with its ends, masses and deltas, on segments between `edges`."""
    mass, strength = None, None
    if has_kinks(potential):
        sides = np.stack(inside(potential, edges[:-1], edges[1:]), axis=1)
        mass = np.broadcast_to(np.asarray(mass_at(potential, sides[..., None]), np.float64), sides.shape)
        strength = strengths_at(potential, edges)
    ends = ends_of(potential)
    ties, unit = continuity(edges, ends, mass=mass, strength=strength, parity=parity, sheets=sheets)
    mesh = {"edges": edges, "continuity": ties, "unit": unit}
    if parity is not None:
        mesh["parity"] = np.asarray(parity)
    if ends.ring:
        mesh["theta"] = np.asarray(ends.theta, np.float64)
    return mesh


def ansatz_of(
    name: str, network: MLP, edges: np.ndarray, potential: Any, parity: float | None = None, sheets: int | None = None
) -> Ansatz:
    """The ansatz called `name` for `potential`, on the segments between `edges` (of the left half, for a parity).

    That of a box of d axes is an envelope between edges (2, d), the walls.
    """
    wavefunction = ANSATZE[name](network)
    if name == "envelope":
        return Ansatz(wavefunction, {"edges": edges[[0, -1]]})
    return Ansatz(wavefunction, mesh_of(edges, potential, parity, sheets))


def is_linear(params: Params) -> Params:
    """For each leaf, whether psi is linear in it: readout of the network, nodal parameters."""

    def linear(path: tuple[Any, ...], _: Array) -> bool:
        names = {getattr(entry, "key", None) for entry in path}
        return bool(names & {"readout", "nodal"})

    return jax.tree_util.tree_map_with_path(linear, params)
