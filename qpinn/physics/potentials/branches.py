"""Trees of formulas once more: their slopes, and what they are on one side of a curve where they switch."""

from __future__ import annotations

from typing import Any

from qpinn.physics.potentials.formula import COMPARED, Node

ZERO, ONE, TWO = (Node("number", (value,)) for value in (0.0, 1.0, 2.0))


def slope(node: Node, name: str) -> Node:
    """The derivative of a tree with respect to the coordinate `name`, away from where it switches."""
    operation, operands = node.operation, node.operands
    if operation == "parameter":
        return ONE if operands[0] == name else ZERO
    if operation in ("number", "sign", "floor", "heaviside"):
        return ZERO
    if operation == "**":
        power = operands[1]
        return _times(_times(Node("number", (power,)), _power(operands[0], power - 1)), slope(operands[0], name))
    if operation == "where":
        *conditions, first, second = operands
        return _where(conditions, slope(first, name), slope(second, name))
    slopes = [slope(child, name) for child in operands]
    if operation in ("+", "-"):
        return _plus(slopes[0], slopes[1]) if operation == "+" else _minus(slopes[0], slopes[1])
    if operation == "*":
        return _plus(_times(slopes[0], operands[1]), _times(operands[0], slopes[1]))
    if operation == "/":
        return _minus(_over(slopes[0], operands[1]), _over(_times(node, slopes[1]), operands[1]))
    if operation in ("minimum", "maximum"):
        return _where([Node("<" if operation == "minimum" else ">", operands)], *slopes)
    return _times(_outer(node), slopes[0])


def _outer(node: Node) -> Node:
    """The derivative of a function of one argument with respect to it."""
    (u,) = node.operands
    squared = Node("**", (u, 2.0))
    if node.operation == "sin":
        return Node("cos", (u,))
    if node.operation == "cos":
        return _minus(ZERO, Node("sin", (u,)))
    if node.operation == "tan":
        return _plus(ONE, Node("**", (node, 2.0)))
    if node.operation == "exp":
        return node
    if node.operation == "log":
        return _over(ONE, u)
    if node.operation == "sqrt":
        return _over(ONE, _times(TWO, node))
    if node.operation == "tanh":
        return _minus(ONE, Node("**", (node, 2.0)))
    if node.operation in ("sinh", "cosh"):
        return Node("cosh" if node.operation == "sinh" else "sinh", (u,))
    if node.operation == "arctan":
        return _over(ONE, _plus(ONE, squared))
    if node.operation == "arcsinh":
        return _over(ONE, Node("sqrt", (_plus(ONE, squared),)))
    if node.operation == "erf":
        return _times(Node("number", (1.1283791670955126,)), Node("exp", (_minus(ZERO, squared),)))
    if node.operation == "abs":
        return Node("sign", (u,))
    raise ValueError(f"{node.operation} has no slope")


def _plus(first: Node, second: Node) -> Node:
    return second if first == ZERO else first if second == ZERO else Node("+", (first, second))


def _minus(first: Node, second: Node) -> Node:
    return first if second == ZERO else Node("-", (first, second))


def _times(first: Node, second: Node) -> Node:
    if ZERO in (first, second):
        return ZERO
    return second if first == ONE else first if second == ONE else Node("*", (first, second))


def _over(first: Node, second: Node) -> Node:
    return ZERO if first == ZERO else Node("/", (first, second))


def _power(node: Node, power: float) -> Node:
    return ONE if power == 0 else node if power == 1 else Node("**", (node, power))


def _where(conditions: list[Node], first: Node, second: Node) -> Node:
    return first if first == second else Node("where", (*conditions, first, second))


def branch(node: Node, switch: Node, positive: bool) -> Node:
    """A tree as it is where `switch`, one of its switches, is positive, or where it is negative."""
    resolved: Any = _branch(node, switch, positive)
    return resolved  # type: ignore[no-any-return]


def _branch(node: Node, switch: Node, positive: bool) -> Node | bool:
    """The branch of a tree; whether it holds, of a comparison that is decided."""
    operands = [_branch(child, switch, positive) if isinstance(child, Node) else child for child in node.operands]
    if node.operation == "where":
        *conditions, first, second = operands
        if any(condition is False for condition in conditions):
            return second  # type: ignore[no-any-return]
        open_ = [condition for condition in conditions if condition is not True]
        return Node("where", (*open_, first, second)) if open_ else first  # type: ignore[return-value]
    if node.operation in COMPARED and Node("-", node.operands) == switch:
        return positive == (node.operation in (">", ">="))
    if node.operation in ("minimum", "maximum") and Node("-", node.operands) == switch:
        return operands[0 if positive == (node.operation == "maximum") else 1]  # type: ignore[no-any-return]
    if node.operands and node.operands[0] == switch:
        if node.operation == "abs":
            return operands[0] if positive else _minus(ZERO, operands[0])  # type: ignore[arg-type, return-value]
        if node.operation in ("sign", "heaviside"):
            return ONE if positive else Node("number", (-1.0 if node.operation == "sign" else 0.0,))
    return Node(node.operation, tuple(operands))
