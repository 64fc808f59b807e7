"""Potentials of two, three and more coordinates, by name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from qpinn.checks import finite, plain, positive, shown, whole
from qpinn.physics.potentials.base import box_builder
from qpinn.physics.potentials.several import Several, several
from qpinn.physics.potentials.terms import MOST_AXES, coordinates

Walls = Sequence[Sequence[float]] | None


@box_builder
def box(domain: Walls = ((0.0, 1.0), (0.0, 1.0)), masses: Sequence[float] | None = None) -> Several:
    """V = 0 between walls: E = pi^2 sum_i n_i^2 / (m_i L_i^2), n_i = 1, 2, ..."""
    sides = _sides(domain, 2)
    return several(sides, f"0*x1**{len(sides)}", None, masses, title="box")


@box_builder
def henon_heiles(
    strength: float = 0.1118, domain: Walls = ((-7.0, 7.0), (-7.0, 7.0)), masses: Sequence[float] | None = None
) -> Several:
    """V = x^2 + y^2 + 2 strength (x^2 y - y^3 / 3), twice that of Henon and Heiles (Astron. J. 69 (1964) 73), as H is.

    V falls without end beyond its saddles at V = 1 / (3 strength^2); the box closes it, and its levels are those of the
    box.
    """
    finite("potential.strength", strength)
    sides = _sides(domain, 2)
    if len(sides) != 2:
        raise ValueError(f"potential.domain={shown(domain)}: has {len(sides)} axes; henon_heiles has 2")
    return several(sides, "x**2 + y**2 + 2*strength*(x**2*y - y**3/3)", {"strength": strength}, masses,
                   title="henon_heiles")  # fmt: skip


@box_builder
def box_dot(
    depth: float = 30.0, sizes: Sequence[float] = (2.0, 1.8, 1.6), domain: Walls = None,
    masses: Sequence[float] | None = None,
) -> Several:  # fmt: skip
    """V = 0 for |x_i| < sizes_i / 2 on every axis, `depth` elsewhere: a rectangle (two sizes) or a block (three)."""
    positive("potential.depth", depth)
    lengths = plain(sizes)
    if not isinstance(lengths, Sequence) or isinstance(lengths, str) or len(lengths) not in (2, 3):
        raise ValueError(f"potential.sizes={shown(sizes)}: must be the lengths of 2 or 3 axes, as [2,1.5]")
    halves = [positive("potential.sizes", length) / 2 for length in lengths]
    formula = "0"
    for name, half in zip(coordinates(len(halves)), halves, strict=False):
        formula = f"where(-{half!r} < {name} < {half!r}, {formula}, depth)"
    return several(_sides(domain, len(halves)), formula, {"depth": depth}, masses, title="box_dot")


@box_builder
def circular_dot(
    depth: float = 50.0, radius: float = 1.0, domain: Walls = None, masses: Sequence[float] | None = None
) -> Several:
    """V = 0 for x^2 + y^2 < radius^2, `depth` elsewhere."""
    positive("potential.depth", depth)
    positive("potential.radius", radius)
    numbers = {"depth": depth, "radius": radius}
    return several(_sides(domain, 2), "where(x**2 + y**2 < radius**2, 0, depth)", numbers, masses, title="circular_dot")


@box_builder
def oscillator_chain(
    dimension: int = 10, coupling: float = 0.5, quartic: float = 0.0, domain: Walls = None,
    masses: Sequence[float] | None = None,
) -> Several:  # fmt: skip
    """V = sum_k x_k^2 + quartic x_k^4 + coupling sum_k (x_k - x_(k+1))^2: a chain of oscillators.

    Without quartic terms E = sum_k (2 n_k + 1) w_k, w_k^2 the eigenvalues of the matrix of the quadratic form.
    """
    count = whole("potential.dimension", dimension, 2, MOST_AXES)
    names = coordinates(count)[-count:]
    terms = [f"{name}**2" for name in names]
    numbers: dict[str, float] = {"coupling": finite("potential.coupling", coupling)}
    if finite("potential.quartic", quartic):
        numbers["quartic"] = quartic
        terms += [f"quartic*{name}**4" for name in names]
    bonds = " + ".join(f"({one}-{other})**2" for one, other in pairwise(names))
    formula = f"{' + '.join(terms)} + coupling*({bonds})"
    return several(_sides(domain, count), formula, numbers, masses, title="oscillator_chain")


def _sides(domain: Any, count: int) -> Any:
    """Walls of `count` axes, none of them where they are left out."""
    return [[None, None]] * count if domain is None else plain(domain)
