"""Levels of two coordinates where V jumps or bends on curves: products, and others that bend there."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from qpinn.analysis import cell_forms
from qpinn.analysis.tensor import Forms
from qpinn.drivers import budget
from qpinn.drivers.box_plan import WIDTH, BoxPlan
from qpinn.geometry.quadrature import legendre
from qpinn.physics import cells as enclosing
from qpinn.physics import curves
from qpinn.physics.curves import Curve, Piece
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.branches import branch
from qpinn.physics.potentials.formula import Node
from qpinn.physics.potentials.several import OneSided, Sides, resolved
from qpinn.physics.potentials.terms import at_places
from qpinn.training import bent, products
from qpinn.wavefunctions.axis import Axis, OnGrid
from qpinn.wavefunctions.on_cells import Bend, OnCell, Side, on_cells

POINTS = 24, 20
"""Gauss-Legendre points between walls of a piece and curves, of the finer quadrature and the one it is checked with."""

BENDS = (12, 9, 8, 7)
"""Functions of each axis in what bends on a curve, by the number of curves."""

REACH = 2.0
"""How far they reach, in half-widths of the curve."""


class Cut(NamedTuple):
    """The cells of the meshes cut along the curves that run in the box, and the outer sides of these."""

    pieces: list[Piece]
    sides: list[Side]


class Expansion(NamedTuple):
    """Levels on one mesh: natural functions of the axes, coefficients in them, what bends, and integrals of both
    quadratures, with these themselves where curves cut the cells."""

    axes: tuple[Axis, ...]
    core: Float[np.ndarray, "K n n"]
    bends: tuple[Bend, ...]
    fine: Forms
    check: Forms
    cells: tuple[list[OnCell], list[OnCell]] | None


def curves_of(potential: Any) -> tuple[Curve, ...]:
    """The curves on which V may jump or bend, whether they run in the box or not.

    Raises ValueError for those that cannot be followed.
    """
    trees = dict.fromkeys(tree for switch in potential.curves for tree in smooth(switch) if _is_curve(tree))
    return tuple(Curve(tree, potential.domain) for tree in trees)


def cut(plan: BoxPlan) -> Cut:
    """Cells and curves of a plan. Raises ValueError where the curves cannot be followed."""
    domain, every = plan.potential.domain, curves_of(plan.potential)
    pieces = curves.pieces(every, plan.edges)
    used = [curve for curve in every if any(curve in piece.curves for piece in pieces)]
    if len(used) > len(BENDS):
        raise ValueError(f"V jumps or bends on {len(used)} curves, and at most {len(BENDS)} can be followed")
    corners = np.array(list(itertools.product(*domain)), np.float64).T
    outer = [float(np.sign(curve.at(*corners)).sum()) for curve in used]
    sides = [Side(curve, -1.0 if sign < 0 else 1.0) for curve, sign in zip(used, outer, strict=True)]
    if not all(side.is_smooth(pieces) for side in sides):
        raise ValueError("V jumps on a curve g = 0 whose g has no second derivative beyond it")
    if sides:
        _check_room(plan, len(pieces), len(sides))
    return Cut(pieces, sides)


def smooth(tree: Node) -> list[Node]:
    """The trees without switches that a tree is made of: |x| + |y| - 1 is x + y - 1, x - y - 1, ... in its parts.

    Raises ValueError for floor and mod, which are made of too many.
    """
    inner = formulas.switches(tree)
    if not inner:
        return [tree]
    if any(switch.operation == "floor" for switch in inner):
        raise ValueError("V jumps or bends on the curves of floor or mod, which are not followed")
    return [part for positive in (False, True) for part in smooth(branch(tree, inner[-1], positive))]


def _is_curve(tree: Node) -> bool:
    return len(formulas.parameters(tree)) > 1


def _check_room(plan: BoxPlan, pieces: int, count: int) -> None:
    """Raise ValueError where the functions on the cells, or what bends, do not fit into memory."""
    functions = WIDTH * len(plan.edges[0])
    bends = count * BENDS[count - 1] ** 2
    size = 8 * (pieces * 6 * WIDTH * 4 * POINTS[0] ** 2 + (4 + 2 * count) * bends * functions**2)
    room = budget.room()
    if size > room:
        raise ValueError(f"V jumps or bends on curves, and to follow them takes {size / 2**30:.3g} GiB, more than the "
                         f"{room / 2**30:.3g} that there are")  # fmt: skip


def expanded(plan: BoxPlan, cut: Cut, axes: Sequence[Axis], grids: Sequence[Sequence[OnGrid]], tol: float) -> Expansion:
    """The levels of a plan among products of the functions of the axes and what bends on curves."""
    potential, masses = plan.potential, [float(mass) for mass in plan.potential.masses]
    blurs = _blurs(plan, cut.pieces, POINTS[0] // 2)
    fine = on_cells(potential, axes, cut.sides, cut.pieces, POINTS[0], blurs)
    check = on_cells(potential, axes, cut.sides, cut.pieces, POINTS[1])
    solving = [rules[0] for rules in grids]
    free = [grid.ritz(np.zeros(len(grid.x))) for grid in solving]
    start = bent.Start((free[0][1], free[1][1]), (free[0][0], free[1][0]))
    mixes = [_mixes(cut.pieces, side.curve, solving, BENDS[len(cut.sides) - 1]) for side in cut.sides]
    functions = bent.ritz(fine, start, mixes, masses, plan.solved, tol)
    functions = functions.mixed(cell_forms.ritz_mix(fine, functions, masses))
    # the functions of `start` are orthonormal: in them the natural ones are found
    inverse = [np.linalg.pinv(mix) for mix in start.mixes]
    natural, core = products.natural(inverse[0] @ functions.core @ inverse[1].T)
    bends = []
    for place, (side, pair) in enumerate(zip(cut.sides, mixes, strict=True)):
        back = [np.linalg.pinv(mix) for mix in pair]
        factors = tuple(axis.mixed(mix) for axis, mix in zip(axes, pair, strict=True))
        bends.append(Bend(side, factors, back[0] @ functions.bends[place] @ back[1].T))
    return Expansion(
        axes=tuple(axis.mixed(mix @ factors) for axis, mix, factors in zip(axes, start.mixes, natural, strict=True)),
        core=core, bends=tuple(bends), fine=cell_forms.forms(fine, functions, masses),
        check=cell_forms.forms(check, functions, masses), cells=(fine, check),
    )  # fmt: skip


def _mixes(pieces: Sequence[Piece], curve: Curve, grids: Sequence[OnGrid], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth functions of every axis where a curve runs: those of an oscillator that is as wide."""
    functions = []
    for (low, high), grid in zip(curves.extent(pieces, curve), grids, strict=True):
        frequency = (2 * count + 1) / (REACH * (high - low) / 2) ** 2
        well = (frequency * (grid.x - (low + high) / 2)) ** 2 / grid.mass
        functions.append(grid.ritz(well)[1][:, :count])
    return functions[0], functions[1]


def _blurs(plan: BoxPlan, pieces: Sequence[Piece], degree: int) -> Float[np.ndarray, "pieces"]:
    """Bound in every piece on the distance of V on either side of its curves from polynomials."""
    hair = np.array([enclosing.HAIR * np.abs(edges).max() for edges in plan.edges])
    low, high = np.array([piece.low for piece in pieces]) + hair, np.array([piece.high for piece in pieces]) - hair
    together: dict[Sides, list[int]] = {}
    trees = [term.tree for term in plan.potential.switches]
    for place, piece in enumerate(pieces):
        for sides in _sides(trees, piece):
            together.setdefault(sides, []).append(place)
    total = np.zeros(len(pieces))
    for sides, places in together.items():
        one = OneSided(plan.potential, sides)
        if max(enclosing.degrees(one)) > degree:
            total[places] = np.maximum(total[places], enclosing.stray(one, low[places], high[places], degree))
    return total


def _sides(trees: Sequence[Node], piece: Piece) -> list[Sides]:
    """On which sides of the switches of V a piece lies: on both, of those whose curves run through it."""
    middle = {axis: np.asarray((piece.low[axis] + piece.high[axis]) / 2) for axis in (0, 1)}
    every: list[Sides] = [()]
    for tree in trees:
        more = []
        for sides in every:
            resolved_tree = resolved(tree, sides)
            cuts = any(resolved_tree == curve.tree for curve in piece.curves)
            signs = (False, True) if cuts else (bool(at_places(resolved_tree, middle) > 0),)
            more += [(*sides, (tree, sign)) for sign in signs]
        every = more
    return every


def slopes_at_wall(expansion: Expansion, axis: int, end: int) -> Float[np.ndarray, "K"]:
    """The integral along a wall of (d psi / dn)^2; `end` is 0 for the left one of an axis and -1 for the right one."""
    other, wall = 1 - axis, expansion.axes[axis].mesh.edges[end]
    nodes, weights = legendre(POINTS[0])
    mesh = expansion.axes[other].mesh
    places, weight = mesh.at((nodes + 1) / 2), mesh.lengths[:, None] * weights / 2
    at = [np.full(places.size, wall), places.ravel()]
    normal = _along_wall(expansion.axes, expansion.core, axis, end, places)
    for bend in expansion.bends:
        g = bend.side.jets(*(at if axis == 0 else at[::-1]))[0]
        normal = normal + g * _along_wall(bend.axes, bend.core, axis, end, places)
    return np.asarray(normal**2 @ weight.ravel())


def _along_wall(
    axes: Sequence[Axis], core: Float[np.ndarray, "K n m"], axis: int, end: int, places: Float[np.ndarray, "S q"]
) -> Float[np.ndarray, "K S*q"]:
    """d/dn of sums of products at places along a wall, where the products are zero."""
    slopes = np.tensordot(core, axes[axis].linear[end, -3 if end == 0 else -1], axes=(1 + axis, 0))
    other = axes[1 - axis]
    jets = other.jets(list(places))
    return np.concatenate([slopes[:, other.within(segment)] @ jet[0] for segment, jet in enumerate(jets)], axis=1)
