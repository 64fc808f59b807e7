"""Where trained functions are measured: two quadratures that follow V, and a grid.

A segment of the ansatz is one panel if V is close to a polynomial in it, and else is bisected until V is close to one
in every panel, or psi is negligible there; and until 1 / m is. A bound on the distance of V from polynomials of half
the degree that a panel resolves is kept with its points (`blur`) and enters the bounds (`qpinn.bounds.certify`), so
that a feature of V between the points widens them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from qpinn.bounds import certify
from qpinn.equations.eigenvalue import Fields
from qpinn.geometry.mesh import Mesh
from qpinn.geometry.quadrature import Points, legendre
from qpinn.physics.enclosure import is_enclosed, stray, stray_mass
from qpinn.physics.interval import EPS
from qpinn.physics.potentials.base import deltas_of
from qpinn.physics.resolution import energy_unit, share_of_norm
from qpinn.physics.survey import survey
from qpinn.typing import Array, Params
from qpinn.wavefunctions.networks import is_resolved

LEAST = 40
"""Points of a training in a segment that are measured on more than twice as many, at least."""

GRID = 800
"""Points of the grid, at least."""

FEWEST = 16
"""Points in a panel that is a small part of its segment."""

FELT = 1e-13
"""Largest distance of V from a polynomial in a panel, times its share of psi^2, in units of the kinetic energy."""

MASS_FELT = 256 * EPS
"""Largest distance of 1 / m from a polynomial in a panel, relative to it: where it is larger, there are no bounds."""

MOST_PANELS = 6000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panels:
    """Panels from `left` to `right`, in the segments `owner` of the ansatz, ascending; all (n,).

    points  of the quadrature in each
    blur    bound on the distance of V from a polynomial of half as many degrees
    share   of a panel in the length of its segment
    """

    left: Float[np.ndarray, "n"]
    right: Float[np.ndarray, "n"]
    owner: Int[np.ndarray, "n"]
    points: Int[np.ndarray, "n"]
    blur: Float[np.ndarray, "n"]
    share: Float[np.ndarray, "n"]


def panels(potential: Any, edges: Float[np.ndarray, "segments+1"], mesh: Mesh, most: int, states: int) -> Panels:
    """Panels for an ansatz with segments between `edges`, cut at the `mesh` and until V is close to a polynomial.

    most    points in a panel that is a segment of the mesh
    states  number of levels whose psi decide where V matters
    """
    seams = np.asarray(getattr(potential, "seams", ()), np.float64)  # a potential of a user may have none
    left, right = mesh.edges[[0, -1]]
    ends = np.union1d(mesh.edges, seams[(seams > left) & (seams < right)])
    shortest = 64 * EPS * max(abs(left), abs(right)) if is_enclosed(potential) else 1e-3 * mesh.lengths.min()
    while True:
        size, middle = np.diff(ends), (ends[:-1] + ends[1:]) / 2
        points = np.ceil(FEWEST + (most - FEWEST) * size / mesh.lengths[mesh.segment(middle)]).astype(int)
        blur = stray(potential, ends[:-1], ends[1:], points // 2)
        rounding = 4 * EPS * np.abs(np.asarray(potential.at(middle[:, None]), np.float64))
        bent = stray_mass(potential, ends[:-1], ends[1:], points // 2) > MASS_FELT
        cut = ((blur > rounding) | bent) & (size > 2 * shortest)
        if (cut & ~bent).any():  # where psi is does not matter to a V that is a polynomial
            felt = blur * share_of_norm(survey(potential, states), ends) / energy_unit(potential, states)
            cut &= (felt > FELT) | bent
        if not cut.any() or len(ends) > MOST_PANELS:
            break
        ends = np.sort(np.concatenate([ends, middle[cut]]))
    blur = np.where(bent, np.inf, blur)
    segments = Mesh(edges)
    owner = segments.segment(middle)
    share = size / segments.lengths[owner]
    return Panels(left=ends[:-1], right=ends[1:], owner=owner, points=points, blur=blur, share=share)


def _on_panels(cut: Panels, points: np.ndarray, segments: int, least: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss-Legendre points, weights and blur (segments, n), n >= least; one with fewer is filled up at its end."""
    most = max(int(np.bincount(cut.owner, points, segments).max()), least)
    x, weight, blur = (np.zeros((segments, most)) for _ in range(3))
    for segment in range(segments):
        place = 0
        for panel in np.flatnonzero(cut.owner == segment):
            nodes, weights = legendre(int(points[panel]))
            half, middle = (cut.right[panel] - cut.left[panel]) / 2, (cut.right[panel] + cut.left[panel]) / 2
            columns = slice(place, place + len(nodes))
            x[segment, columns], weight[segment, columns] = middle + half * nodes, half * weights
            blur[segment, columns] = cut.blur[panel]
            place = columns.stop
        x[segment, place:] = x[segment, place - 1]
    return x, weight, blur


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quadratures:
    """Two quadratures and a grid, side by side in every segment of the ansatz.

    points      all of them, grouped by segment; only `fine` has its weights there
    rules       for each of fine, check, grid: its columns of `points`, its weights and its blur (segments, n)
    strength    (D,) of the deltas of the potential
    resolution  points of `fine` in a segment, where they are fewest
    center      of a box of which `points` are in the left half, for functions that are even, odd, ...; or None
    """

    points: Points
    rules: dict[str, tuple[slice, np.ndarray, np.ndarray]]
    strength: np.ndarray
    resolution: float
    center: float | None

    def only(self, name: str) -> Quadratures:
        """One of the rules alone."""
        columns, weight, blur = self.rules[name]
        points = Points(self.points.x[:, columns], weight if self.center is None else 2 * weight)  # type: ignore
        return dataclasses.replace(self, points=points, rules={name: (slice(None), weight, blur)})

    def positions(self, name: str) -> np.ndarray:
        """Points (n,) of one of the rules in the whole box."""
        x = np.asarray(self.points.x[:, self.rules[name][0], 0], np.float64).ravel()
        return x if self.center is None else np.concatenate([x, 2 * self.center - x[::-1]])

    def values(self, fields: Fields, name: str, parities: Sequence[float | None] | None = None) -> certify.Values:
        """The functions of `observables.measure` on one of the rules; with their parities (K,) on the whole box."""
        where, weight, blur = self.rules[name]

        def flat(values: Array) -> np.ndarray:
            wide = np.asarray(values, np.float64)[..., where]
            return wide.reshape(*wide.shape[:-2], -1)

        psi, v, x = flat(fields.psi.value), flat(fields.v)[0], flat(self.points.x[..., 0])
        heavy = np.ndim(fields.mass) > 1
        mass = flat(fields.mass)[0] if heavy else np.ones_like(v)
        mass_slope = flat(fields.mass_slope)[0] if heavy else np.zeros_like(v)
        slope = flat(fields.psi.gradient[..., 0])
        h_psi = v * psi - (flat(fields.psi.laplacian) - slope * mass_slope / mass) / mass
        values = certify.Values(
            x=x, psi=psi, slope=slope, h_psi=h_psi, v=v, mass=mass, mass_slope=mass_slope, weight=weight.ravel(),
            blur=blur.ravel(), at_deltas=np.asarray(fields.at_deltas, np.float64), strength=self.strength,
        )  # fmt: skip
        return values if self.center is None else values.mirrored(self.center, np.asarray(parities, np.float64))

    def resolves(self, activation: str, params: Params) -> bool:
        """Whether psi of networks with these parameters is in the domain of H, and known between the points of `fine`:
        where psi has jumps between the points of every quadrature, nothing that is computed on them says anything of
        it."""
        return is_resolved(activation, params["psi"]["network"], self.resolution)


def quadratures(
    potential: Any, edges: Float[np.ndarray, "segments+1"], mesh: Mesh, trained: int, states: int,
    least: tuple[int, int] = (0, 0),
) -> Quadratures:  # fmt: skip
    """Quadratures for an ansatz with these segments, on a `mesh` that follows V, for the lowest `states` levels.

    trained  points in a segment that it is trained on
    least    columns of fine and of check, filled up with weights of zero: one programme then serves several potentials

    fine has more than twice as many and check a few more, so that their difference bounds the error of the first.
    """
    trained = LEAST if len(edges) <= len(mesh) else min(max(trained, LEAST), 400)
    most, segments = 2 * trained + 24, len(edges) - 1
    cut = panels(potential, edges, mesh, most, states)
    fine = _on_panels(cut, cut.points, segments, least[0])
    check = _on_panels(cut, np.maximum(cut.points * (trained + 16) // most, FEWEST // 2), segments, least[1])
    share = np.linspace(0, 1, max(8, -(-GRID // segments)) + 1)
    share[[0, -1]] = 1e-9, 1 - 1e-9  # a hair inside, so that V on either side of a breakpoint is that of the segment
    grid = Mesh(edges).at(share)
    rules = {"fine": fine, "check": check, "grid": (grid, np.zeros_like(grid), np.zeros_like(grid))}
    ends = np.cumsum([0, *(x.shape[1] for x, _, _ in rules.values())])
    columns = {
        name: (slice(int(first), int(last)), weight, blur)
        for (name, (_, weight, blur)), first, last in zip(rules.items(), ends[:-1], ends[1:], strict=True)
    }
    x = np.concatenate([x for x, _, _ in rules.values()], axis=1)[..., None]
    weight = np.concatenate([fine[1], 0 * check[1], 0 * grid], axis=1) * (2 if mesh.half else 1)
    return Quadratures(
        points=Points(x, weight), rules=columns,  # type: ignore[arg-type]
        strength=np.array(deltas_of(potential)[1], np.float64), resolution=float((cut.points / cut.share).min()),
        center=float(edges[-1]) if mesh.half else None,
    )  # fmt: skip
