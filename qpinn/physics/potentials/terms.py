"""Formulas of several coordinates, read into terms on some of the axes of a box each."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.formula import Node

MOST_AXES = 10
LETTERS = ("x", "y", "z")


class Term(NamedTuple):
    """A tree of the coordinates `axes`, ascending; none of a constant."""

    axes: tuple[int, ...]
    tree: Node


def at_places(tree: Node, places: Mapping[int, Any]) -> Any:
    """The value of a tree where each coordinate has its values, arrays whose shapes go together."""
    numbers = {name: places[axis] for name, axis in _names_of(tree).items()}
    like = sum((0.0 * place for place in places.values()), 0.0)
    return formulas.compute(formulas.bound(tree, numbers), like)


def _names_of(tree: Node) -> dict[str, int]:
    """The axes of the coordinates in a tree, by their names."""
    return {name: _axis(name) for name in formulas.parameters(tree)}


def _axis(name: str) -> int:
    return LETTERS.index(name) if name in LETTERS else int(name[1:]) - 1


def coordinates(dimension: int) -> tuple[str, ...]:
    """What coordinates may be called: x1, x2, ..., and x, y, z of no more than three."""
    return (
        (*LETTERS[:dimension], *(f"x{axis + 1}" for axis in range(dimension)))
        if dimension <= len(LETTERS)
        else tuple(f"x{axis + 1}" for axis in range(dimension))
    )


@functools.lru_cache(maxsize=256)
def read(text: str, names: tuple[str, ...], dimension: int) -> Node:
    """The tree of a formula in `dimension` coordinates and the parameters `names`. Raises ValueError as `parse`."""
    known = coordinates(dimension)
    others = [name for name in (*LETTERS, *(f"x{axis + 1}" for axis in range(99))) if name not in (*known, *names)]
    tree = _with_x(formulas.parse(text, (*known, *names, *others)))
    for name in formulas.parameters(tree):
        if name not in (*known, *names):
            raise ValueError(f"potential.formula={text}: names {name}, and potential.domain has {dimension} "
                             f"axes; allowed: {', '.join(known)}")  # fmt: skip
    return tree


def _with_x(node: Node) -> Node:
    """A tree in which x is a name like any other."""
    if node.operation == "x":
        return Node("parameter", ("x",))
    return Node(node.operation, tuple(_with_x(child) if isinstance(child, Node) else child for child in node.operands))


def as_x(node: Node, axis: int, dimension: int) -> Node:
    """A tree of one coordinate as one of x."""
    named = {name: Node("x") for name in coordinates(dimension) if _axis(name) == axis}
    if node.operation == "parameter":
        return named[node.operands[0]]
    return Node(node.operation, tuple(as_x(child, axis, dimension) if isinstance(child, Node) else child
                                      for child in node.operands))  # fmt: skip


def renumbered(term: Term) -> Term:
    """The same function of the first coordinates: x1 in place of that of its first axis, and so on."""
    names = {name: f"x{term.axes.index(axis) + 1}" for name, axis in _names_of(term.tree).items()}

    def named(node: Node) -> Node:
        if node.operation == "parameter":
            return Node("parameter", (names[node.operands[0]],))
        return Node(node.operation, tuple(named(child) if isinstance(child, Node) else child
                                          for child in node.operands))  # fmt: skip

    return Term(tuple(range(len(term.axes))), named(term.tree))


def axes_of(tree: Node, dimension: int) -> tuple[int, ...]:
    """Axes whose coordinates are in a tree, ascending."""
    known = coordinates(dimension)
    return tuple(sorted({_axis(name) for name in formulas.parameters(tree) if name in known}))


@functools.lru_cache(maxsize=256)
def terms_of(text: str, names: tuple[str, ...], dimension: int) -> tuple[Term, ...]:
    """The terms of a formula, those on the same axes as one."""
    together: dict[tuple[int, ...], Node] = {}
    for sign, tree in _summands(read(text, names, dimension), 1.0):
        axes = axes_of(tree, dimension)
        signed = tree if sign > 0 else Node("-", (Node("number", (0.0,)), tree))
        together[axes] = signed if axes not in together else Node("+", (together[axes], signed))
    return tuple(Term(axes, tree) for axes, tree in sorted(together.items()))


def _summands(node: Node, sign: float) -> list[tuple[float, Node]]:
    """What a tree is the sum of, each with its sign; a number before a sum is multiplied into it."""
    if node.operation in ("+", "-"):
        second = -sign if node.operation == "-" else sign
        return [*_summands(node.operands[0], sign), *_summands(node.operands[1], second)]
    if node.operation in ("*", "/"):
        first, last = node.operands
        if node.operation == "*" and _is_sum(last) and not _coordinates_in(first):
            return [(s, Node("*", (first, tree))) for s, tree in _summands(last, sign)]
        if _is_sum(first) and not _coordinates_in(last):
            return [(s, Node(node.operation, (tree, last))) for s, tree in _summands(first, sign)]
    return [(sign, node)]


def _is_sum(node: Node) -> bool:
    return node.operation in ("+", "-") or (node.operation in ("*", "/") and any(map(_is_sum, node.operands)))


def _coordinates_in(node: Node) -> list[str]:
    every = (*LETTERS, *(f"x{axis + 1}" for axis in range(MOST_AXES)))
    return [name for name in formulas.parameters(node) if name in every]


def letter(axis: int, dimension: int) -> str:
    """What an axis is called: x, y, z of up to three, x1, x2, ... of more."""
    return coordinates(dimension)[axis]
