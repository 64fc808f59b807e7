"""Packets in time: five problems by several routes, and random ones against their bounds; writes docs/packets.md.

python scripts/benchmarks/packets.py                  # about half an hour on two cores
python scripts/benchmarks/packets.py --scale 0.1      # fewer random packets
python scripts/benchmarks/packets.py --only networks  # ten minutes: one network for each problem, trained
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import _cli
import elsewhere
import numpy as np
import other_packets as other
from stamps import line, stamp

PROBLEMS: dict[str, dict[str, Any]] = {
    "free": {"v": "0*x", "domain": (-5.0, 5.0), "packet": (0.0, 0.4, 4.0), "time": 0.5},
    "coherent": {"v": "x**2", "domain": (-9.0, 9.0), "packet": (2.0, 0.5**0.5, 0.0), "time": np.pi / 2},
    "double well": {"v": "10*(x**2-1)**2", "domain": (-3.5, 3.5), "packet": (-1.0, 0.3, 0.0), "time": 4.23},
    "barrier": {"v": "20*heaviside(0.25-abs(x))", "domain": (-16.0, 16.0), "cuts": (-0.25, 0.25),
                "packet": (-6.0, 1.0, 4.0), "time": 1.6},
    "driven": {"v": "10*(x**2-1)**2", "domain": (-3.5, 3.5), "packet": (-1.0, 0.3, 0.0), "time": 2.0,
               "drive": (5.0, 3.0)},
}  # fmt: skip
"""V, walls, centre, width and wave number of the packet, the time, and amplitude and frequency of a dipole's drive."""

TOLERANCES = (1e-6, 1e-7)
SEEDS = 8
GRID = (2048, 2000)
"""Points and steps of qmsolve."""

AT = 4001
"""Points that routes are compared on."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=_cli.ROOT / "docs")
    parser.add_argument("--scale", type=float, default=1.0, help="a smaller number: fewer random packets")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parts = ("problems", "qmsolve", "networks", "starts", "random", "page")
    parser.add_argument("--only", choices=parts, help="measure this part, keep the others")
    arguments = parser.parse_args()
    if arguments.row:
        name, *numbers = json.loads(arguments.row)
        print(json.dumps((network if name == "network" else partial(row, name))(*numbers)))
        return 0
    path = arguments.output / "packets.json"
    measured = json.loads(path.read_text()) if arguments.only and path.exists() else {}
    where = stamp()
    if arguments.only in (None, "problems"):
        measured["problems"] = {"rows": list(problems()), **where}
    if arguments.only in (None, "qmsolve"):
        measured["qmsolve"] = {"entries": list(by_qmsolve()), **where}
    if arguments.only in (None, "networks"):
        measured["networks"] = {"entries": networks(), **where}
    if arguments.only in (None, "starts"):
        measured["starts"] = {"entries": list(starts(max(4, round(32 * arguments.scale)))), **where}
    if arguments.only in (None, "random"):
        _cli.use_cache()
        measured["random"] = {"entries": list(random_packets(max(4, round(200 * arguments.scale)))), **where}
    arguments.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(measured, indent=1) + "\n")
    (arguments.output / "packets.md").write_text(page(measured))
    return 0


def problems() -> Iterator[dict[str, Any]]:
    """Every problem by every route; those of qpinn in processes of their own, with nothing compiled before."""
    for name, problem in PROBLEMS.items():
        x = points(problem)
        exact, doubt = reference(problem, x)
        found: dict[str, Any] = {"problem": name, "doubt": doubt, "qpinn": []}
        for tol in TOLERANCES:
            for seed in range(SEEDS):
                entry = elsewhere.output([sys.executable, str(Path(__file__).resolve()), "--row",
                                          json.dumps([name, tol, seed])])  # fmt: skip
                psi = np.array(entry.pop("real")) + 1j * np.array(entry.pop("imaginary"))
                found["qpinn"].append({"tol": tol, "seed": seed, **entry, "error": distance(psi, exact, x)})
        v = potential(problem)
        for label, route in (("split", other.split_operator), ("crank", other.crank_nicolson)):
            grid, psi, seconds = route(v, packet(problem), problem["domain"], problem["time"])
            grid, psi = np.pad(grid, 1, constant_values=problem["domain"]), np.pad(psi, 1)
            there = psi_on(grid, psi, x)
            found[label] = {"error": distance(there, exact, x), "seconds": seconds}
        print(name, f"doubt {doubt:.1e}", {key: found[key] for key in ("split", "crank")},
              [(one["error"], one["bound"], one["seconds"]) for one in found["qpinn"]], flush=True)  # fmt: skip
        yield found


def by_qmsolve() -> Iterator[dict[str, Any]]:
    """The problems without a drive by qmsolve, against the references."""
    for entry in elsewhere.packets_by_qmsolve(*GRID):
        if "failed" not in entry:
            problem = PROBLEMS[entry["problem"]]
            x = points(problem)
            psi = np.array(entry.pop("real")) + 1j * np.array(entry.pop("imaginary"))
            exact, _ = reference(problem, x)
            entry["error"] = distance(psi_on(np.array(entry.pop("x")), psi, x), exact, x)
        print(entry, flush=True)
        yield entry


def psi_on(grid: np.ndarray, psi: np.ndarray, x: np.ndarray) -> np.ndarray:
    """psi of a grid at other positions, by a spline of it."""
    from scipy.interpolate import CubicSpline

    return CubicSpline(grid, psi)(x)  # type: ignore[no-any-return]


def points(problem: Mapping[str, Any]) -> np.ndarray:
    """Where routes are compared."""
    left, right = problem["domain"]
    return np.linspace(left, right, AT)


def distance(psi: np.ndarray, exact: np.ndarray, x: np.ndarray) -> float:
    """|psi - exact| on an even grid."""
    return float(np.sqrt(np.sum(np.abs(psi - exact) ** 2) * (x[1] - x[0])))


def potential(problem: Mapping[str, Any]) -> Any:
    """V(x, t) with its drive, for routes on grids."""
    from qpinn.physics.packets import function_of

    still = function_of(problem["v"], "v")
    amplitude, frequency = problem.get("drive", (0.0, 0.0))
    return lambda x, t: still(x) + amplitude * np.cos(frequency * t) * x


def packet(problem: Mapping[str, Any]) -> Any:
    """psi0."""
    center, width, momentum = problem["packet"]
    return lambda x: np.exp(-(((x - center) / width) ** 2) / 4 + 1j * momentum * (x - center))


def reference(problem: Mapping[str, Any], x: np.ndarray) -> tuple[np.ndarray, float]:
    """psi at the time, and how far two resolutions of it differ; 0 of closed forms."""
    if problem["v"] == "0*x":
        return sines(problem, x), 0.0
    if problem["v"] == "x**2":
        center, t = problem["packet"][0], problem["time"]
        place, k = center * np.cos(2 * t), -center * np.sin(2 * t)
        phase = np.exp(1j * (k * (x - place) - t + place * k / 2))
        return np.pi**-0.25 * np.exp(-((x - place) ** 2) / 2) * phase, 0.0
    v, psi0, (left, right) = potential(problem), packet(problem), problem["domain"]
    cuts, found = (left, *problem.get("cuts", ()), right), list[np.ndarray]()
    for energy in (1500.0, 3000.0) if problem["time"] != 1.6 else (2500.0, 4500.0):
        elements = other.Elements(lambda at: v(at, 0.0) - problem.get("drive", (0.0,))[0] * at, cuts, energy)
        if "drive" in problem:
            amplitude, frequency = problem["drive"]
            states, steps = (110, 10000) if not found else (130, 20000)
            c = other.driven(elements, psi0, lambda t: amplitude * np.cos(frequency * t), lambda at: at,
                             problem["time"], states, steps)  # fmt: skip
        else:
            c = other.exponential(elements, psi0, problem["time"])
        found.append(elements.psi(c, x))
    return found[1], distance(found[0], found[1], x)


def sines(problem: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """psi at the time in an empty box, by the sines of the box."""
    (left, right), n = problem["domain"], np.arange(1, 400)
    nodes, weights = np.polynomial.legendre.leggauss(1200)
    at, weight = left + (right - left) * (nodes + 1) / 2, (right - left) * weights / 2
    psi0 = packet(problem)(at)
    psi0 = psi0 / np.sqrt(np.sum(weight * np.abs(psi0) ** 2))
    k, norm = n * np.pi / (right - left), np.sqrt(2 / (right - left))
    coefficients = norm * np.sin(k[:, None] * (at - left)) @ (weight * psi0)
    return (coefficients * np.exp(-1j * k**2 * problem["time"])) @ (norm * np.sin(k[:, None] * (x - left)))


def row(name: str, tol: float, seed: int) -> dict[str, Any]:
    """A problem by qpinn, with psi on the points of the comparison."""
    from qpinn.drivers.evolution import Evolution
    from qpinn.drivers.evolve import evolve
    from qpinn.physics import drives, packets

    problem = PROBLEMS[name]
    center, width, momentum = problem["packet"]
    drive = drives.dipole(*problem["drive"]) if "drive" in problem else None
    begun = time.perf_counter()
    solution = evolve(problem["v"], packets.gaussian(center, width, momentum), [0.0, problem["time"]], drive, tol,
                      domain=problem["domain"], seed=seed)  # fmt: skip
    assert isinstance(solution, Evolution)
    seconds = time.perf_counter() - begun
    psi = solution.psi(problem["time"], points(problem))
    return {
        "seconds": seconds, "bound": float(solution.bound(problem["time"])), "rounds": solution.stats.rounds,
        "estimate": float(solution.estimate(problem["time"])), "states": len(solution.fine.start),
        "norm": float(abs(solution.norm(problem["time"]).value - 1)), "real": psi.real.tolist(),
        "imaginary": psi.imag.tolist(),
    }  # fmt: skip


RECIPE: dict[str, Any] = {
    "ansatz": "envelope", "start": "random", "network": {"width": 50, "depth": 3, "init": "glorot"},
    "sampling": {"name": "random", "points": 2500},
    "optimizer": {"name": "adam", "steps": 4000, "chunk": 50, "learning_rate": 5e-3, "schedule": "cosine"},
}  # fmt: skip
"""Of a network of (t, x)."""

SHARES = (1.0, 0.125)
"""Of the times of the problems."""


def networks() -> list[dict[str, Any]]:
    """Every problem by networks, for its whole time and a part of it, two at a time."""
    from concurrent.futures import ThreadPoolExecutor

    def one(asked: tuple[str, float, int]) -> dict[str, Any]:
        words = [sys.executable, str(Path(__file__).resolve()), "--row", json.dumps(["network", *asked])]
        entry = elsewhere.output(words, pinned=False)
        print(asked, entry, flush=True)
        return entry  # type: ignore[no-any-return]

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, [(name, share, seed) for name in PROBLEMS for share in SHARES for seed in (0,)]))


SWEPT = (["potential=harmonic"], ["potential=barrier", "times=[0,0.02]"])
"""Packets whose networks are swept over starts."""


def starts(count: int) -> Iterator[dict[str, Any]]:
    """What scripts/sweep.py says of so many starts of the experiment paper/time."""
    import subprocess
    import tempfile

    for words in SWEPT:
        with tempfile.TemporaryDirectory() as folder:
            command = ["sweep.py", "experiment=paper/time", *words, f"sweep.seeds={count}", "figures=none",
                       f"hydra.run.dir={folder}"]  # fmt: skip
            subprocess.run([sys.executable, str(_cli.ROOT / "scripts" / command[0]), *command[1:]], check=True)
            summary = json.loads((Path(folder) / "summary.json").read_text())
            yield {"words": words, "statistics": summary["statistics"], "seconds": summary["seconds"]}


def network(name: str, share: float, seed: int) -> dict[str, Any]:
    """A problem for a share of its time by a network, compared with qpinn's default route."""
    from qpinn.drivers.evolve import evolve
    from qpinn.drivers.trained_packet import TrainedPacket
    from qpinn.physics import drives, packets

    problem = PROBLEMS[name]
    drive, end = drives.dipole(*problem["drive"]) if "drive" in problem else None, share * problem["time"]
    solution = evolve(problem["v"], packets.gaussian(*problem["packet"]), [0.0, end], drive, domain=problem["domain"],
                      seed=seed, **RECIPE)  # fmt: skip
    assert isinstance(solution, TrainedPacket)
    error, spent = solution.error(end), solution.seconds
    return {
        "problem": name, "share": share, "seed": seed, "error": float(error.value), "known": float(error.bound),
        "bound": float(solution.bound(end)), "loss": float(solution.fit.losses[0]),
        "seconds": sum(spent.values()) - spent["exact"], "norm": float(solution.norm(end).value),
    }  # fmt: skip


def random_packets(count: int) -> Iterator[dict[str, Any]]:
    """Random packets on random potentials, every fourth of them driven, against spectral elements."""
    from qpinn.drivers.evolution import Evolution
    from qpinn.drivers.evolve import evolve
    from qpinn.physics import drives, packets, potentials

    for number in range(count):
        rng = np.random.default_rng(40_000 + number)
        formula, domain, kind = draw(rng)
        length = domain[1] - domain[0]
        given = potentials.expression(domain, formula)
        width, center = length * rng.uniform(0.02, 0.05), domain[0] + length * rng.uniform(0.4, 0.6)
        momentum, end = rng.uniform(-3, 3) / width, rng.uniform(0.05, 1) * length**2 / 20
        drive = None
        if number % 4 == 3:
            drive = (rng.uniform(0.5, 20) / length**3, rng.uniform(0.1, 5) / end)
        tol = float(10 ** rng.uniform(-6, -4))
        solution = evolve(given, packets.gaussian(center, width, momentum), [0, end],
                          None if drive is None else drives.dipole(*drive), tol)  # fmt: skip
        assert isinstance(solution, Evolution)
        problem: dict[str, Any] = {"v": formula, "domain": domain, "packet": (center, width, momentum), "time": end}
        x, still, found = np.linspace(*domain, AT), potential(problem), []
        for factor in (1.5, 3.0):
            cuts = (domain[0], *(float(b) for b in given.breakpoints if domain[0] < b < domain[1]), domain[1])
            elements = other.Elements(partial(still, t=0.0), cuts, factor * solution.fine.energy)
            if drive is None:
                c = other.exponential(elements, packet(problem), end)
            else:
                states = int(np.searchsorted(elements.energies, factor * 0.7 * solution.fine.energy))
                c = other.driven(elements, packet(problem), partial(force, drive), lambda at: at, end, states,
                                 int(1000 * factor))  # fmt: skip
            found.append(elements.psi(c, x))
        error, doubt = distance(solution.psi(end, x), found[1], x), distance(found[0], found[1], x)
        bound = float(solution.bound(end))
        entry = {
            "kind": kind, "driven": drive is not None, "tol": tol, "error": error, "doubt": doubt, "bound": bound,
            "estimate": float(solution.estimate(end)), "converged": solution.converged,
            "seconds": sum(solution.seconds.values()), "outside": error > bound + doubt,
        }  # fmt: skip
        print(number, entry, flush=True)
        yield entry


def force(drive: tuple[float, float], t: np.ndarray) -> np.ndarray:
    """f of a dipole's drive."""
    return drive[0] * np.cos(drive[1] * t)


def draw(rng: np.random.Generator) -> tuple[str, tuple[float, float], str]:
    """A potential of one to three steps, bumps or parabolas, its walls, and what it is made of."""
    kind = str(rng.choice(["steps", "bumps", "mixed", "parabolas"]))
    length, left = float(rng.uniform(1, 10)), float(rng.uniform(-3, 0))
    terms = []
    for _ in range(int(rng.integers(1, 4))):
        center, width = left + length * rng.uniform(0.1, 0.9), length * rng.uniform(0.02, 0.3)
        height = 240 / length**2 * rng.uniform(-1, 1)
        step = kind == "steps" or (kind == "mixed" and rng.random() < 0.5)
        if step:
            terms.append(f"{height:.4f}*heaviside({width:.4f}-abs(x-({center:.4f})))")
        elif kind == "parabolas":
            terms.append(f"{abs(height):.4f}*(x-({center:.4f}))**2")
        else:
            terms.append(f"{height:.4f}*exp(-((x-({center:.4f}))/{width:.4f})**2)")
    return " + ".join(terms), (left, left + length), kind


def page(measured: Mapping[str, Any]) -> str:
    """docs/packets.md."""
    from qpinn.report.tables import markdown

    parts = ["# Packets in time", "Written by `scripts/benchmarks/packets.py`. H = -d^2/dx^2 + V between walls; "
             "errors are |psi - exact| at the last time, norms in L2."]  # fmt: skip
    if "problems" in measured:
        parts += ["## Five problems", line(measured["problems"]), ABOUT]
        rows = []
        for found in measured["problems"]["rows"]:
            for tol in TOLERANCES:
                own = [entry for entry in found["qpinn"] if entry["tol"] == tol]
                seconds = np.median([entry["seconds"] for entry in own])
                rows.append([found["problem"], f"qpinn, tol {tol:.0e}", _spread(own, "error"), _spread(own, "bound"),
                             _spread(own, "estimate"), f"{seconds:.2f}"])  # fmt: skip
            for key, label in (("split", "split operator"), ("crank", "Crank-Nicolson")):
                rows.append([found["problem"], label, f"{found[key]['error']:.1e}", "", "",
                             f"{found[key]['seconds']:.2f}"])  # fmt: skip
            rows.append([found["problem"], "the reference's own", f"{found['doubt']:.1e}", "", "", ""])
        parts.append(markdown(["problem", "route", "error", "bound", "estimate", "seconds"], rows))
    if "qmsolve" in measured:
        rows = [[entry.get("problem", ""), entry.get("method", ""), *([entry["failed"], ""] if "failed" in entry else
                 [f"{entry['error']:.1e}", f"{entry['solve_seconds']:.2f}"])]
                for entry in measured["qmsolve"]["entries"]]  # fmt: skip
        parts += ["## The same by qmsolve", line(measured["qmsolve"]), QMSOLVE,
                  markdown(["problem", "method", "error", "seconds"], rows)]  # fmt: skip
    if "networks" in measured:
        rows, entries = [], measured["networks"]["entries"]
        for name in PROBLEMS:
            for share in SHARES:
                some = [one for one in entries if (one["problem"], one["share"]) == (name, share)]
                numbers = [f"{one[key]:.2g}" for one in some for key in ("error", "bound", "norm", "loss")]
                rows.append([name, f"{share:g} T", *numbers, *(f"{one['seconds']:.0f}" for one in some)])
        parts += ["## The same by one network of (t, x)", line(measured["networks"]), NETWORKS, markdown(
            ["problem", "time", "error", "bound", "norm", "loss", "seconds"], rows)]  # fmt: skip
    if "starts" in measured:
        rows = []
        for entry in measured["starts"]["entries"]:
            stats = entry["statistics"]
            spread = [", ".join(f"{stats[key][name]:.1e}" for name in ("median", "95%", "max"))
                      for key in ("relative_l2_psi", "bound")]  # fmt: skip
            ended = ", ".join(f"{number} {name}" for name, number in stats["outcomes"].items() if number)
            rows.append(
                [
                    f"`{' '.join(entry['words'])}`",
                    str(stats["starts"]),
                    ended,
                    *spread,
                    str(stats["outside"]),
                    f"{stats['rank_correlation_loss_l2']:.2f}",
                    f"{entry['seconds']['per_start']:.0f}",
                ]
            )
        parts += ["## Starts of a network", line(measured["starts"]), STARTS, markdown(
            ["packet", "starts", "ends", "error: median, 95 %, worst", "bound", "outside", "rank correlation",
             "seconds a start"], rows)]  # fmt: skip
    if "random" in measured:
        parts += ["## Random packets", line(measured["random"])]
        entries = measured["random"]["entries"]
        rows = []
        for kind in dict.fromkeys(entry["kind"] for entry in entries):
            for driven in (False, True):
                some = [entry for entry in entries if (entry["kind"], entry["driven"]) == (kind, driven)]
                if some:
                    ratio = [entry["error"] / entry["bound"] for entry in some]
                    rows.append([
                        kind + (", driven" if driven else ""), str(len(some)),
                        str(sum(entry["outside"] for entry in some)), str(sum(entry["converged"] for entry in some)),
                        f"{np.median(ratio):.2g} ({max(ratio):.2g})",
                        f"{np.median([entry['seconds'] for entry in some]):.2f} "
                        f"({max(entry['seconds'] for entry in some):.1f})",
                    ])  # fmt: skip
        parts += [RANDOM, markdown(["potential", "packets", "outside their bounds", "within their tolerance",
                                    "error / bound: median (largest)", "seconds: median (largest)"], rows)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


ABOUT = (
    "*qpinn*: `qpinn.evolve`, the median and the largest of 8 seeds, each in a process of its own with nothing "
    "compiled before; seconds include compiling. *split operator*: fourth order, 2000 steps, sine transforms on 2048 "
    "points. *Crank-Nicolson*: 4000 points and 2000 steps, second order. The references are the sines of the box, the "
    "closed form of the coherent state, and spectral elements with the exponential of H, driven by fourth-order "
    "splitting between H and the drive; *the reference's own* is the distance of two resolutions of it. Grids need a "
    "fraction of the time, and the split operator is close where V is smooth; they state no bound, and where V jumps "
    "they have a digit or two."
)

QMSOLVE = (
    f"qmsolve {elsewhere.RELEASE} on {GRID[0]} points in {GRID[1]} steps, in an environment of its own; seconds of its "
    "`run`. Its split steps have a ring instead of walls, and it has no drive. Their momenta run evenly from -pi N / L "
    "to pi N / L with both ends, half a step beside those of the transform: a packet comes out 2 pi t / L beside its "
    "place."
)

NETWORKS = (
    "The recipe of physics-informed networks, `ansatz=envelope start=random`: psi0 and the walls exact, a complex "
    "network of 3 x 50 units, 4000 steps of Adam, 2500 random points drawn anew every 50 steps; two at a time on two "
    "cores. *T* is the time of the problem above. The error is the distance from the default route; the bound is of "
    "the network's own residual. A norm of 1 is not built in. A loss of 1 is that of psi = psi0: in the long box of "
    "the barrier the network does not learn waves that are so short."
)

STARTS = (
    "`scripts/sweep.py experiment=paper/time`: random starts of one network, all else alike. *Outside*: an error "
    "larger than the bound. The rank correlation is that of loss and error over the starts."
)

RANDOM = (
    "Gaussians on one to three steps, Gaussian bumps or parabolas at random, every fourth packet driven by a dipole; "
    "tolerances at random from 1e-6 to 1e-4. *Outside*: an error larger than the bound by more than two resolutions of "
    "the reference differ."
)


def _spread(entries: list[dict[str, Any]], key: str) -> str:
    values = [entry[key] for entry in entries]
    return f"{np.median(values):.1e} ({max(values):.1e})"


if __name__ == "__main__":
    raise SystemExit(main())
