"""Formulas in x and named numbers: read into a tree, checked, and computed on arrays. Nothing of them is run as Python.

numbers, x, pi, e, + - * / and ** or ^ with a number as exponent, parentheses
sin cos tan sec csc cot, sinh cosh tanh sech csch coth, arctan arcsinh, exp log sqrt erf, abs sign floor
heaviside(g)          0 for g < 0, 1 for g > 0
minimum(a, b), maximum(a, b), hypot(a, b), mod(a, b)
where(a < b, p, q)    with < <= > >=, chained as in where(0 < x < 1, p, q)

Names of parameters stand for their numbers. Other names are understood: ln, atan, asinh, min, max.
"""

from __future__ import annotations

import ast
import functools
import itertools
import math
import operator
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from qpinn.checks import suggestion
from qpinn.physics.interval import EPS, Interval

LONGEST = 1000
DEEPEST = 40
EXPONENT = 32.0
CONSTANTS = {"pi": math.pi, "e": math.e}
PLAIN = {
    "sin": "sin", "cos": "cos", "tan": "tan", "exp": "exp", "log": "log", "sqrt": "sqrt", "tanh": "tanh",
    "sinh": "sinh", "cosh": "cosh", "arctan": "arctan", "arcsinh": "arcsinh", "abs": "abs", "sign": "sign",
    "floor": "floor",
}  # fmt: skip
RATIOS = {"sec": (None, "cos"), "csc": (None, "sin"), "cot": ("cos", "sin"), "sech": (None, "cosh"),
          "csch": (None, "sinh"), "coth": ("cosh", "sinh")}  # fmt: skip
"""Functions that are one over another: numerator (None: 1) and denominator."""
ARGUMENTS = {
    **dict.fromkeys((*PLAIN, *RATIOS, "erf", "heaviside"), 1),
    **dict.fromkeys(("minimum", "maximum", "hypot", "mod"), 2), "where": 3,
}  # fmt: skip
ALIASES = {"ln": "log", "atan": "arctan", "asinh": "arcsinh", "min": "minimum", "max": "maximum"}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
ORDERS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Node(NamedTuple):
    """An operation and its operands; a number has the operation "number" and its value, x has "x" and none.

    A parameter has "parameter" and its name.
    """

    operation: str
    operands: tuple[Any, ...] = ()


@functools.lru_cache(maxsize=256)
def parse(text: str, names: tuple[str, ...] = ()) -> Node:
    """The tree of a formula in x and the parameters `names`.

    Raises ValueError that names `potential.formula` and what is not allowed in it.
    """
    if not isinstance(text, str) or not text.strip():
        raise _refused(text, "must be a formula in x, such as 10*(x**2-1)**2")
    if len(text) > LONGEST:
        raise ValueError(f"potential.formula: has {len(text)} characters; at most {LONGEST}")
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refused(text, "cannot be read; write it as in 10*(x**2-1)**2 + 0.3*x") from None
    node = _node(tree, text, 0)
    for name in parameters(node):
        if name not in names:
            if _is_unit(name):
                raise _refused(text, f"{name} is a unit; x and V are numbers, in the units that the key units chooses")
            every = [*names, "x", *CONSTANTS, *ARGUMENTS]
            known = f"{', '.join(every)}, and names in potential.parameters"
            raise _refused(text, f"{name} is unknown; {suggestion(name, every)}allowed: {known}")
    return node


def parameters(node: Node) -> list[str]:
    """Names of the parameters of a tree."""
    return list(dict.fromkeys(inner.operands[0] for inner in _below(node) if inner.operation == "parameter"))


def bound(node: Node, numbers: Mapping[str, Any]) -> Node:
    """A tree with numbers, which may be traced, in the place of those of its parameters that have one."""
    if node.operation == "parameter":
        return Node("number", (numbers[node.operands[0]],)) if node.operands[0] in numbers else node
    return Node(
        node.operation, tuple(bound(child, numbers) if isinstance(child, Node) else child for child in node.operands)
    )


def _refused(text: Any, reason: str) -> ValueError:
    return ValueError(f"potential.formula={text}: {reason}")


def _is_unit(name: str) -> bool:
    """Whether a unit is called so; a single letter means something else."""
    from qpinn.physics import units  # which knows potentials

    return len(name) > 1 and any(name in names for names in units.NAMES.values())


def _node(tree: ast.AST, text: str, depth: int) -> Node:
    if depth > DEEPEST:
        raise _refused(text, f"is nested deeper than {DEEPEST}")
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
        return Node("number", (_number(tree.value, text),))
    if isinstance(tree, ast.Name):
        if tree.id == "x":
            return Node("x")
        if tree.id in CONSTANTS:
            return Node("number", (CONSTANTS[tree.id],))
        return Node("parameter", (tree.id,))
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        inner = _node(tree.operand, text, depth + 1)
        return Node("-", (Node("number", (0.0,)), inner)) if isinstance(tree.op, ast.USub) else inner
    if isinstance(tree, ast.BinOp) and type(tree.op) in OPERATORS:
        operands = _node(tree.left, text, depth + 1), _node(tree.right, text, depth + 1)
        return Node(OPERATORS[type(tree.op)], operands)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Pow):
        return Node("**", (_node(tree.left, text, depth + 1), _exponent(tree.right, text)))
    if isinstance(tree, ast.Call):
        return _call(tree, text, depth)
    allowed = "+ - * / ** ( ), numbers, x and functions of it"
    raise _refused(text, f"{ast.unparse(tree)[:40]} is not allowed; allowed: {allowed}")


def _number(value: Any, text: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _refused(text, "has a number that is too large")
    return number


def _exponent(tree: ast.AST, text: str) -> float:
    sign = 1.0
    while isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        sign, tree = (-sign if isinstance(tree.op, ast.USub) else sign), tree.operand
    if not (isinstance(tree, ast.Constant) and type(tree.value) in (int, float)):
        raise _refused(text, "an exponent must be a number; write exp(...) for others")
    exponent = sign * _number(tree.value, text)
    if abs(exponent) > EXPONENT:
        raise _refused(text, f"the exponent {exponent:g} must lie within +-{EXPONENT:g}")
    return exponent


def _call(tree: ast.Call, text: str, depth: int) -> Node:
    name = tree.func.id if isinstance(tree.func, ast.Name) else ast.unparse(tree.func)[:40]
    name = ALIASES.get(name, name)
    if name not in ARGUMENTS:
        hint = suggestion(name, ARGUMENTS)
        raise _refused(text, f"{name}(...) is not a function here; {hint}allowed: {', '.join(ARGUMENTS)}")
    if tree.keywords or len(tree.args) != ARGUMENTS[name]:
        raise _refused(text, f"{name} takes {ARGUMENTS[name]} argument{'s' * (ARGUMENTS[name] > 1)}")
    if name == "where":
        return _where(tree, text, depth)
    operands = [_node(argument, text, depth + 1) for argument in tree.args]
    if name in RATIOS:
        above, below = RATIOS[name]
        numerator = Node("number", (1.0,)) if above is None else Node(above, (operands[0],))
        return Node("/", (numerator, Node(below, (operands[0],))))
    if name == "hypot":
        return Node("sqrt", (Node("+", tuple(Node("**", (operand, 2.0)) for operand in operands)),))
    if name == "mod":
        whole = Node("floor", (Node("/", tuple(operands)),))
        return Node("-", (operands[0], Node("*", (operands[1], whole))))
    return Node(name, tuple(operands))


def _where(tree: ast.Call, text: str, depth: int) -> Node:
    """Conditions, which must all hold, and the two values."""
    test = tree.args[0]
    if not (isinstance(test, ast.Compare) and all(type(order) in ORDERS for order in test.ops)):
        raise _refused(text, "where needs a comparison first, as in where(abs(x) < 1, 0, 20)")
    sides = [_node(side, text, depth + 1) for side in (test.left, *test.comparators)]
    conditions = [
        Node(ORDERS[type(order)], pair) for order, pair in zip(test.ops, itertools.pairwise(sides), strict=True)
    ]
    return Node("where", (*conditions, *(_node(argument, text, depth + 1) for argument in tree.args[1:])))


def compute(node: Node, x: Any) -> Any:
    """The values of a tree on positions x (...), as NumPy or JAX, whichever x is."""
    namespace = x.__array_namespace__()
    if node.operation == "number":
        return node.operands[0] + 0 * x
    if node.operation == "x":
        return x
    if node.operation == "**":
        base, exponent = compute(node.operands[0], x), node.operands[1]
        return base ** int(exponent) if exponent == int(exponent) else base**exponent
    values = [compute(child, x) for child in node.operands]
    if node.operation == "+":
        return values[0] + values[1]
    if node.operation == "-":
        return values[0] - values[1]
    if node.operation == "*":
        return values[0] * values[1]
    if node.operation == "/":
        return values[0] / values[1]
    if node.operation == "heaviside":
        return namespace.where(values[0] > 0, 1.0, 0.0) + 0 * x
    if node.operation in ("minimum", "maximum"):
        first = values[0] < values[1] if node.operation == "minimum" else values[0] > values[1]
        return namespace.where(first, values[0], values[1])
    if node.operation in COMPARED:
        return COMPARED[node.operation](*values)
    if node.operation == "where":
        *conditions, first, second = values
        return namespace.where(functools.reduce(operator.and_, conditions), first, second)
    if node.operation == "erf":
        return erf(values[0])
    return getattr(namespace, PLAIN[node.operation])(values[0])


def erf(value: Any) -> Any:
    """The error function, for which arrays have no method."""
    from scipy import special  # takes a tenth of a second

    if isinstance(value, jax.Array):
        return jax.scipy.special.erf(value)
    return special.erf(value) if isinstance(value, np.ndarray | np.generic | float) else value.erf()


def _below(node: Node) -> Iterator[Node]:
    yield node
    for child in node.operands:
        if isinstance(child, Node):
            yield from _below(child)


def has_x(node: Node) -> bool:
    """Whether x is in a tree."""
    return any(inner.operation == "x" for inner in _below(node))


def size(node: Node) -> int:
    """How many operations, names and numbers a tree holds."""
    return sum(1 for _ in _below(node))


def switches(node: Node) -> list[Node]:
    """The subtrees at whose `zeros` V or its slope may jump."""
    arguments = []
    for inner in _below(node):
        if inner.operation in ("abs", "sign", "heaviside"):
            arguments.append(inner.operands[0])
        elif inner.operation == "floor":
            arguments.append(inner)
        elif inner.operation in ("minimum", "maximum", *COMPARED):
            arguments.append(Node("-", inner.operands))
    return arguments


def denominators(node: Node) -> list[Node]:
    """The subtrees that must not vanish."""
    divisors = []
    for inner in _below(node):
        if inner.operation == "/":
            divisors.append(inner.operands[1])
        elif inner.operation == "**" and inner.operands[1] < 0:
            divisors.append(inner.operands[0])
        elif inner.operation == "tan":
            divisors.append(Node("cos", inner.operands))
    return divisors


MOST_CELLS = 4096
"""Cells in which a zero may lie, above which they are not told apart."""


MOST_CHANGES = 200
"""Changes of sign between samples, above which they are not bisected: there are too many to be breakpoints."""


def zeros(node: Node, left: float, right: float) -> list[float]:
    """Where a tree is zero, to rounding, from left to right: by bisection of all cells whose interval holds zero.

    So none is missed, however close two of them are. Where there are too many of them (a tree that is zero on a
    stretch), those between samples of different sign. Of floor(u), the places where it jumps.
    """
    if node.operation == "floor":
        return _steps(node, left, right)
    cells = _cells_with_zeros(node, left, right)
    if cells is None:
        x = np.linspace(left, right, 4001)
        with np.errstate(all="ignore"):
            sign = np.sign(np.asarray(compute(node, x), np.float64))
        changes = np.flatnonzero((sign[:-1] != sign[1:]) & ~np.isnan(sign[:-1]) & ~np.isnan(sign[1:]))
        if len(changes) > MOST_CHANGES:
            return x[changes].tolist()
        return [_change(node, float(x[i]), float(x[i + 1])) for i in changes]
    places = []
    groups = np.split(np.arange(len(cells[0])), np.flatnonzero(cells[0][1:] > cells[1][:-1]) + 1)
    for group in groups if len(cells[0]) else ():
        low, high = float(cells[0][group[0]]), float(cells[1][group[-1]])
        crossed = np.sign(_value(node, low)) != np.sign(_value(node, high))
        places.append(_change(node, low, high) if crossed else (low + high) / 2)
    least = EPS * 1e-3 * max(abs(left), abs(right))
    return [0.0 if abs(place) < least else place for place in places]


@functools.lru_cache(maxsize=1024)
def located(node: Node, left: float, right: float) -> bool:
    """Whether `zeros` of a tree are all of them: interval arithmetic leaves few enough cells that may hold one.

    Where it finds the tree zero on a whole stretch, that is one without a change.
    """
    if node.operation == "floor":
        node = _turns(node)
    value = compute(node, Interval(np.array([left]), np.array([right])))
    if (value.lo == value.hi).all():
        return True
    return _cells_with_zeros(node, left, right) is not None


def _turns(node: Node) -> Node:
    """sin(pi u) of floor(u)."""
    return Node("sin", (Node("*", (Node("number", (math.pi,)), node.operands[0])),))


def _steps(node: Node, left: float, right: float) -> list[float]:
    """The first numbers at which floor(u) has another value: beside the zeros of sin(pi u)."""
    turns = _turns(node)
    near, places = 16 * EPS * max(abs(left), abs(right)), []
    for place in zeros(turns, left, right):
        before, after = _value(node, place - near), _value(node, place + near)
        between = Node("-", (node, Node("number", ((before + after) / 2,))))
        places.append(_change(between, place - near, place + near) if before != after else place)
    return places


def _cells_with_zeros(node: Node, left: float, right: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Cells of a few units in the last place that between them hold every zero; None if they are too many.

    Interval arithmetic excludes the rest, so that close pairs and double zeros are found, which need no change of sign.
    """
    ends = np.linspace(left, right, 257)
    low, high = ends[:-1], ends[1:]
    least = 4 * EPS * np.maximum(max(abs(left), abs(right)) * 1e-3, np.abs(low))
    while True:
        value = compute(node, Interval(low, high))
        holds = (value.lo <= 0) & (value.hi >= 0)
        low, high, least = low[holds], high[holds], least[holds]
        wide = high - low > least
        if not wide.any():
            return low, high
        if len(low) > MOST_CELLS:
            return None
        middle = (low + high) / 2
        order = np.argsort(np.concatenate([low, middle[wide]]), kind="stable")
        low, high = (
            np.concatenate([low, middle[wide]])[order],
            np.concatenate([np.where(wide, middle, high), high[wide]])[order],
        )
        least = np.concatenate([least, least[wide]])[order]


def _value(node: Node, x: float) -> float:
    with np.errstate(all="ignore"):
        return float(compute(node, np.asarray(x)))


def _change(node: Node, low: float, high: float) -> float:
    """The first number at which the sign is no longer that at `low`.

    By bisection to adjacent numbers: a switch may jump over zero or be zero on one side, where the root finders of
    SciPy have no root to converge to, and breakpoints are to be exact.
    """
    sign = np.sign(_value(node, low))
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if np.sign(_value(node, middle)) == sign else (low, middle)
    return high
