"""Boxes of two to ten dimensions: random potentials against a dense route, and problems one by one; docs/boxes.md.

python scripts/benchmarks/boxes.py                  # about forty minutes on two cores
python scripts/benchmarks/boxes.py --scale 0.1      # fewer random potentials, and no baselines
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import boxes_page
import elsewhere
import numpy as np
from stamps import stamp

STATES = 6

PROBLEMS: dict[str, dict[str, Any]] = {
    "x^2 + y^2 + 0.1 x^2 y^2": {"domain": [[-6, 6]] * 2, "formula": "x**2 + y**2 + 0.1*x**2*y**2", "states": 8},
    "x^2 + y^2 + x^2 y^2": {"domain": [[-6, 6]] * 2, "formula": "x**2 + y**2 + x**2*y**2", "states": 8},
    "Henon-Heiles, 0.1118": {"name": "henon_heiles", "states": 8},
    "rectangular dot, depth 20": {"name": "box_dot", "depth": 20.0, "sizes": [2.0, 1.4], "domain": [[-2, 2]] * 2,
                                  "states": 6},
    "circular dot, depth 50": {"name": "circular_dot", "domain": [[-2, 2]] * 2, "states": 8},
    "x^2 + 2 y^2 + 3 z^2, coupled": {
        "domain": [[-5, 5], [-4.5, 4.5], [-4, 4]], "states": 8,
        "formula": "x**2 + 2*y**2 + 3*z**2 + 0.1*(x**2*y**2 + y**2*z**2 + x**2*z**2) + 0.1*x*y*z",
    },
    "three coupled sextic": {"domain": [[-3.2, 3.2]] * 3, "states": 9,
                             "formula": "x**6 + y**6 + z**6 + x**2*y**2 + y**2*z**2 + x**2*z**2"},
    "block dot, depth 30": {"name": "box_dot", "depth": 30.0, "domain": [[-2.5, 2.5]] * 3, "states": 4},
    "5-D chain, 0.5": {"name": "oscillator_chain", "dimension": 5, "coupling": 0.5, "states": 4},
    "5-D chain, 0.5, quartic 0.2": {"name": "oscillator_chain", "dimension": 5, "coupling": 0.5, "quartic": 0.2,
                                    "states": 4},
    "10-D chain, 0.1": {"name": "oscillator_chain", "dimension": 10, "coupling": 0.1, "states": 4},
    "10-D chain, 0.5": {"name": "oscillator_chain", "dimension": 10, "coupling": 0.5, "states": 4},
    "box in 2-D (separates)": {"name": "box", "states": 4},
    "box in 5-D (separates)": {"name": "box", "domain": [[0, 1]] * 5, "states": 4},
    "oscillator in 2-D (separates)": {"domain": [[-7, 7]] * 2, "formula": "x**2 + y**2", "states": 4},
    "oscillator in 5-D (separates)": {"name": "oscillator_chain", "dimension": 5, "coupling": 0.0, "states": 4},
}  # fmt: skip
"""Numbers of the potential (a formula where it has no name), and levels."""


TRAINED = ("x^2 + y^2 + x^2 y^2", "Henon-Heiles, 0.1118", "rectangular dot, depth 20", "three coupled sextic")
WIDTHS = (4, 8, 16)
TRAINING_STEPS = 100
"""Problems whose axes are trained, hidden units of a segment, and steps."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=_cli.ROOT / "docs")
    parser.add_argument("--scale", type=float, default=1.0, help="a smaller number: fewer random potentials")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--refined", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--trained", help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=5000, help="of the paper's recipe")
    parser.add_argument(
        "--only",
        choices=("problems", "random", "baselines", "recipe", "training", "page"),
        help="measure this part, keep the others",
    )
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(elements(arguments.row, arguments.refined) if arguments.refined else row(arguments.row)))
        return 0
    if arguments.trained:
        print(json.dumps(training(arguments.trained)))
        return 0
    path = arguments.output / "boxes.json"
    measured = json.loads(path.read_text()) if arguments.only and path.exists() else {}
    where = stamp()
    if arguments.only in (None, "problems"):
        measured["problems"] = {"rows": [in_a_process(name) for name in PROBLEMS], **where}
    if arguments.only in (None, "random"):
        _cli.use_cache()
        counts = {2: max(4, round(100 * arguments.scale)), 3: max(2, round(30 * arguments.scale))}
        entries = [entry for d, count in counts.items() for entry in random_potentials(d, count)]
        measured["random"] = {"entries": entries, **where}
    if arguments.only in (None, "baselines"):
        measured["baselines"] = {**baselines(), **where}
    if arguments.only in (None, "recipe"):
        measured["recipe"] = {"steps": arguments.steps, "rows": elsewhere.by_recipe(arguments.steps), **where}
    if arguments.only in (None, "training"):
        rows = [{"problem": name, **elsewhere.output(this("--trained", name))} for name in TRAINED]
        measured["training"] = {"steps": TRAINING_STEPS, "rows": rows, **where}
    arguments.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(measured, indent=1) + "\n")
    (arguments.output / "boxes.md").write_text(boxes_page.page(measured))
    return 0


def in_a_process(name: str) -> dict[str, Any]:
    """A problem in a process of its own, on one core, nothing compiled before."""
    found = {"problem": name, **elsewhere.output(this("--row", name))}
    print(f"{name}: {found.get('failed') or found['error']}, {found['seconds']:.1f} s", flush=True)
    return found


def this(*words: str) -> list[str]:
    """A command that runs this script."""
    return [sys.executable, str(Path(__file__).resolve()), *words]


def baselines() -> dict[str, Any]:
    """Levels by other routes, and those of this program for the same problems."""
    programs = {"scikit-fem": metadata.version("scikit-fem"), "qmsolve": elsewhere.RELEASE}
    found: dict[str, Any] = {"programs": programs, "elements": []}
    for name, refinements in elsewhere.REFINED.items():
        for number in refinements:
            entry = elsewhere.output(this("--row", name, "--refined", str(number)))
            found["elements"].append({"problem": name, "refined": number, **entry})
            print(f"{name}, refined {number}: {entry.get('failed', '')} {entry['seconds']:.1f} s", flush=True)
    found["qmsolve"] = list(elsewhere.by_qmsolve())
    names = [name for name in PROBLEMS if name in elsewhere.REFINED or name in elsewhere.QMSOLVE]
    found["qpinn"] = [in_a_process(name) for name in names]
    return found


def row(name: str) -> dict[str, Any]:
    """What a problem's levels, errors and bounds are."""
    import qpinn

    _cli.use_cache()
    numbers = dict(PROBLEMS[name])
    states = numbers.pop("states")
    potential = built(numbers)
    begun = time.perf_counter()
    solution: Any = qpinn.solve(potential, states=states)
    seconds = time.perf_counter() - begun
    energies, bounds = np.asarray(solution.energies), np.asarray(solution.bounds)
    half = (bounds[:, 1] - bounds[:, 0]) / 2
    exact, how = known(name, potential, numbers, states)
    outside = None
    if exact is not None:  # Ritz levels say nothing of upper bounds: they lie above the levels themselves
        above = (exact > bounds[:, 1] + 1e-9) & (how != FINER)
        outside = int(np.sum((exact < bounds[:, 0] - 1e-9) | above))
    return {
        "problem": name, "dimension": potential.dimension, "states": states, "energies": energies.tolist(),
        "half_width": [None if not np.isfinite(one) else float(one) for one in half / np.abs(energies)],
        "reference": how, "error": None if exact is None else float(np.abs(energies / exact - 1).max()),
        "outside": outside, "solve_seconds": seconds, "phases": solution.seconds, "reason": solution.levels.reason,
    }  # fmt: skip


def training(name: str) -> dict[str, Any]:
    """A problem's levels with networks of several widths, before and after the hidden units of its axes are trained."""
    import qpinn

    numbers = dict(PROBLEMS[name])
    states = numbers.pop("states")
    potential = built(numbers)
    exact, how = known(name, potential, numbers, states)
    found = []
    for width in WIDTHS:
        for steps in (None, TRAINING_STEPS):
            begun = time.perf_counter()
            solution: Any = qpinn.solve(potential, states=states, network={"width": width}, optimizer={"steps": steps})
            seconds = time.perf_counter() - begun - solution.seconds.get("compare", 0.0)
            half = solution.levels.half_width[:states] / solution.levels.scale[:states]
            residuals = None if solution.training is None else solution.training.residuals.max(axis=1).tolist()
            found.append({
                "width": width, "steps": steps or 0, "residuals": residuals, "seconds": seconds,
                "parameters": sum(2 * width * (len(edges) - 1) for edges in solution.plan.edges),
                "error": float(np.abs(solution.energies / exact - 1).max()),
                "half_width": float(half.max()) if np.isfinite(half).all() else None,
                "reason": solution.levels.reason, "train_seconds": solution.seconds.get("train", 0.0),
            })  # fmt: skip
            print(name, found[-1], file=sys.stderr, flush=True)
    return {"reference": how, "solutions": found}


def elements(name: str, refined: int) -> dict[str, Any]:
    """A problem's levels by finite elements."""
    numbers = dict(PROBLEMS[name])
    states = numbers.pop("states")
    potential = built(numbers)
    begun = time.perf_counter()
    levels, unknowns = elsewhere.finite_elements(potential, states, refined)
    seconds = time.perf_counter() - begun
    return {"energies": levels.tolist(), "unknowns": unknowns, "solve_seconds": seconds}


def built(numbers: Mapping[str, Any]) -> Any:
    from qpinn import potentials

    given = dict(numbers)
    if "name" not in given:
        return potentials.expression(**given)
    return getattr(potentials, given.pop("name"))(**given)


def known(name: str, potential: Any, numbers: Mapping[str, Any], states: int) -> tuple[np.ndarray | None, str]:
    """Levels from another route, and which."""
    if name.startswith("box"):
        d = potential.dimension
        lows = np.array([np.pi**2 * n**2 for n in range(1, 9)])
        return _sums([lows] * d, states), "exact"
    if name.startswith("oscillator") or (potential.name == "oscillator_chain" and "quartic" not in numbers):
        return modes(potential, states), "normal modes"
    if potential.curves or potential.breakpoints != ((),) * potential.dimension or potential.dimension > 3:
        return finer(potential, states), FINER
    return dense(potential, states)[0], "polynomials, dense"


FINER = "another network, shorter segments"


def finer(potential: Any, states: int) -> np.ndarray:
    """Levels by the same route with another network on shorter segments."""
    import qpinn

    return np.asarray(qpinn.solve(potential, states=states, seed=7, ansatz={"phase": 1.9}).energies)


def _sums(levels: list[np.ndarray], count: int) -> np.ndarray:
    total = np.zeros(1)
    for one in levels:
        total = np.sort(np.add.outer(total, one).ravel())[: 4 * count]
    return total[:count]


def modes(potential: Any, count: int) -> np.ndarray:
    """Levels of a quadratic V from its normal modes."""
    d = potential.dimension
    eye = np.eye(d)
    form = np.array([[(potential(eye[i] + eye[j]) - potential(eye[i]) - potential(eye[j])) / 2 for j in range(d)]
                     for i in range(d)])  # fmt: skip
    frequencies = np.sqrt(np.linalg.eigvalsh(form))
    return _sums([frequency * (2 * np.arange(12) + 1) for frequency in frequencies], count)


FUNCTIONS = {2: (34, 30), 3: (20, 18)}
"""Functions of an axis in the dense route, and in the one that says how well it is known."""


def dense(potential: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels by polynomials that vanish at the walls, and their change where there are fewer functions of an axis.

    On every axis the lowest eigenfunctions, among polynomials of degree 64, of V along a line through its least value,
    or simply those of lowest degree: both give levels from above, and the lower is taken.
    """
    (one, change), (other, other_change) = (_by(potential, count, along) for along in (True, False))
    return np.minimum(one, other), np.where(one <= other, change, other_change)


def _by(potential: Any, count: int, along: bool) -> tuple[np.ndarray, np.ndarray]:
    from scipy import linalg

    d = potential.dimension
    nodes, weights = np.polynomial.legendre.leggauss(96)
    degree = 64
    p = np.polynomial.legendre.legvander(nodes, degree + 1)
    slopes = np.stack([np.polynomial.legendre.legval(nodes, np.polynomial.legendre.legder(row))
                       for row in np.eye(degree + 2)], axis=1)  # fmt: skip
    values, slopes = p[:, 2:] - p[:, :-2], slopes[:, 2:] - slopes[:, :-2]
    axes = [((left + right) / 2 + (right - left) / 2 * nodes, (right - left) / 2) for left, right in potential.domain]
    v = potential(np.stack(np.meshgrid(*(x for x, _ in axes), indexing="ij"), axis=-1))
    least = np.unravel_index(np.argmin(v), v.shape)
    functions, kinetic = [], []
    for axis, (_, half) in enumerate(axes):
        line = v[tuple(slice(None) if place == axis else least[place] for place in range(d))]
        overlap = (values.T * weights * half) @ values
        t = (slopes.T * weights / half) @ slopes
        few = slice(0, FUNCTIONS[d][0])
        if along:
            mix = linalg.eigh(t + (values.T * weights * half * line) @ values, overlap)[1][:, few]
        else:
            mix = np.eye(degree)[:, few] @ np.linalg.inv(np.linalg.cholesky(overlap[few, few])).T
        functions.append((values @ mix).T * np.sqrt(weights * half))
        kinetic.append(mix.T @ t @ mix)
    found = [_dense(v, [u[:n] for u in functions], [t[:n, :n] for t in kinetic], count) for n in FUNCTIONS[d]]
    return found[0], np.abs(found[0] - found[1])


def _dense(v: np.ndarray, functions: list[np.ndarray], kinetic: list[np.ndarray], count: int) -> np.ndarray:
    """Levels among products of the functions: of three axes those whose numbers add up to less than n + 4 of n."""
    from scipy import linalg

    form, n, d = v, len(functions[0]), len(functions)
    for u in functions:
        form = np.moveaxis(np.tensordot(np.einsum("aq,bq->abq", u, u), form, axes=(2, 0)), (0, 1), (-2, -1))
    used = np.indices((n,) * d).reshape(d, -1)
    used = used[:, used.sum(axis=0) < (n + 4 if d == 3 else 2 * n)]
    same = [index[:, None] == index for index in used]
    h = form[tuple(part for index in used for part in (index[:, None], index[None, :]))]
    for axis, t in enumerate(kinetic):
        part = t[used[axis][:, None], used[axis]]
        for other in range(d):
            part = part * same[other] if other != axis else part
        h = h + part
    return np.asarray(linalg.eigh(h, subset_by_index=[0, count - 1], eigvals_only=True))


def random_potentials(d: int, count: int) -> Iterator[dict[str, Any]]:
    """What came out for random potentials of d coordinates, one after the other."""
    import qpinn
    from qpinn.physics.potentials.several import several

    for number in range(count):
        kind, domain, formula = drawn(d, number)
        potential = several(domain, formula)
        begun = time.perf_counter()
        solution: Any = qpinn.solve(potential, states=STATES)
        seconds = time.perf_counter() - begun
        exact, change = dense(potential, STATES)
        bounds = solution.bounds
        off = np.maximum(bounds[:, 0] - exact, exact - bounds[:, 1]) / np.abs(exact).max()
        half = solution.levels.half_width / solution.levels.scale
        gap = float(np.diff(exact).min() / (exact[-1] - exact[0]))
        entry = {
            "dimension": d, "kind": kind, "formula": formula, "domain": domain, "seconds": seconds, "gap": gap,
            "bounded": int(np.isfinite(half).sum()), "within": int((half <= 1e-8).sum()),
            "half_width": float(np.where(np.isfinite(half), half, 0.0).max()), "reason": solution.levels.reason,
            "off": float(np.nan_to_num(off, nan=-1.0).max()), "doubt": float(change.max() / np.abs(exact).max()),
            "difference": float(np.abs(solution.energies - exact).max() / np.abs(exact).max()),
        }  # fmt: skip
        print(f"{d}-D {number}: {kind}, {entry['bounded']} bounded, {entry['half_width']:.1e}, off {entry['off']:.1e}, "
              f"{seconds:.1f} s", flush=True)  # fmt: skip
        yield entry


KINDS = ("coupled oscillators", "hills", "double wells", "alike", "waves")


def drawn(d: int, number: int) -> tuple[str, list[list[float]], str]:
    """Kind, walls and formula of a random potential."""
    draw = np.random.default_rng([d, number])
    kind, names = KINDS[number % len(KINDS)], "xyz"[:d]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]

    def number_in(low: float, high: float) -> str:
        return f"{draw.uniform(low, high):.4f}"

    wells = [f"{number_in(0.7, 2.5)}*{name}**2" for name in names]
    if kind == "coupled oscillators":
        more = [f"{number_in(0, 0.4)}*{a}**2*{b}**2 + {number_in(-0.6, 0.6)}*{a}*{b}" for a, b in pairs]
        more += [f"{number_in(-0.05, 0.05)}*{a}**2*{b}" for a, b in pairs]
        return kind, [[-5.5, 5.5]] * d, " + ".join([*wells, *more])
    if kind == "hills":
        more = []
        for _ in range(3):
            square = " + ".join(f"({name} - {number_in(-1.5, 1.5)})**2" for name in names)
            more.append(f"{number_in(-6, 6)}*exp(-{number_in(0.4, 1.5)}*({square}))")
        return kind, [[-5.5, 5.5]] * d, " + ".join([*wells, *more])
    if kind == "double wells":
        height = number_in(3, 25)
        deep = [f"{height}*({name}**2 - 1)**2" for name in names[:2]]
        more = [f"{number_in(-0.3, 0.3) if number % 2 else '0.02'}*{a}*{b}" for a, b in pairs]
        return kind, [[-2.8, 2.8]] * 2 + [[-5.5, 5.5]] * (d - 2), " + ".join([*deep, *wells[2:], *more])
    if kind == "alike":  # all axes the same: degenerate levels
        one, two, three = number_in(0.8, 2), number_in(0, 0.5), number_in(0, 1)
        total = " + ".join(f"{name}**2" for name in names)
        return (
            kind,
            [[-5.5, 5.5]] * d,
            f"{one}*({total}) + {three}*exp(-({total})) + " + " + ".join(f"{two}*{a}**2*{b}**2" for a, b in pairs),
        )
    waves = [f"{number_in(-12, 12)}*cos({number_in(0.5, 3)}*{a} + {number_in(0.5, 3)}*{b} + {number_in(0, 6)})"
             for a, b in pairs]  # fmt: skip
    return kind, [[-1.5, 1.5]] * d, " + ".join([*waves, *(f"{number_in(-3, 3)}*{name}" for name in names)])


if __name__ == "__main__":
    _cli.script(main, "stopping")
