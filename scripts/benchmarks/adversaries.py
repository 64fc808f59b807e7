"""Potentials drawn at random to break bounds: a feature, narrow against its box, on a base that hides it."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import Any

import numpy as np

BASES = ("parabola", "wall", "exponential", "floor")
LARGEST = 3e11
"""V of a base; a formula may reach 1e12."""

FEATURES = ("gaussian", "tanh step", "lorentzian", "notch")


@dataclasses.dataclass(frozen=True)
class Adversary:
    """A formula between walls, and where its feature lies: the mesh of a reference is laid on that."""

    base: str
    feature: str
    formula: str
    domain: tuple[float, float]
    place: float
    width: float

    @property
    def reference_edges(self) -> tuple[float, ...]:
        """Edges of elements that halve towards the feature from both sides, and 16 equal ones."""
        left, right = self.domain
        away = self.width * 2.0 ** np.arange(-2, 40)
        inner = np.linspace(left, right, 17)[1:-1]
        places = np.concatenate([self.place - away, [self.place], self.place + away, inner])
        if self.feature == "notch":  # its edges, as the formula has them
            places = np.concatenate([places, [self.place - self.width, self.place + self.width]])
        places = np.unique(places[(places > left) & (places < right)])
        apart = 1e-3 * self.width
        kept = places[np.diff(places, prepend=left) > apart]
        return tuple(kept[right - kept > apart].tolist())


def draw(number: int) -> Adversary:
    """Adversary number 0, 1, ...: every base with every feature in turn, the rest drawn."""
    rng = np.random.default_rng(10_000 + number)
    base, feature = BASES[number % 4], FEATURES[number // 4 % 4]
    length = 10.0 ** rng.uniform(-3, 3)
    left = float(rng.choice([0.0, -0.5, rng.normal()])) * length
    if base == "wall":
        left = 0.0
    unit = 1 / length**2
    s = f"((x-({left:.9e}))/{length:.9e})"
    if base == "parabola":
        strength, middle = min(10.0 ** rng.uniform(1, 7), LARGEST / unit), rng.uniform(0.3, 0.7)
        text, spacing = f"{strength * unit:.9e}*({s}-{middle:.6f})**2", 2 * np.sqrt(strength) * unit
    elif base == "wall":
        begin, ratio = rng.uniform(0.03, 0.2), rng.uniform(0.3, 0.5)
        strength = min(10.0 ** rng.uniform(0, 3), LARGEST / unit * ratio**12)
        text, spacing = f"{strength * unit:.9e}*({s}/{begin:.6f})**-12", 10 * unit
        left = ratio * begin * length
    elif base == "exponential":
        strength, rate = min(10.0 ** rng.uniform(3, 9), LARGEST / unit), rng.uniform(10, 40)
        text, spacing = f"{strength * unit:.9e}*exp(-{rate:.6f}*{s})", 20 * unit
    else:
        offset = float(rng.choice([-1.0, 1.0])) * 10.0 ** rng.uniform(0, 6)
        text, spacing = f"{offset:.9e}", 20 * unit
    right = left + length
    width = length * 10.0 ** rng.uniform(-6, -2)
    place = left + length * rng.uniform(0.1, 0.9)
    height = float(rng.choice([-1.0, 1.0])) * min(spacing * 10.0 ** rng.uniform(-2, 4), LARGEST)
    z = f"((x-({place:.12e}))/{width:.9e})"
    shapes = {"gaussian": f"exp(-{z}**2)", "tanh step": f"tanh({z})", "lorentzian": f"1/(1+{z}**2)",
              "notch": f"where(abs({z})<1,1,0)"}  # fmt: skip
    formula = f"{text} + ({height:.9e})*{shapes[feature]}"
    return Adversary(
        base=base, feature=feature, formula=formula, domain=(float(left), float(right)),
        place=float(f"{place:.12e}"), width=float(f"{width:.9e}"),
    )  # fmt: skip


def reference(adversary: Adversary, states: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest levels and what is granted to each, by spectral elements on a mesh that is laid on the feature."""
    from qpinn.physics import reference as methods
    from qpinn.physics.potentials.expressions import Expression

    left, right = adversary.domain
    edges = adversary.reference_edges
    potential = Expression(
        left=left, right=right, formula=adversary.formula, places=tuple((edge, None) for edge in edges)
    )
    levels = methods.spectral_elements(potential, states, degree=22, elements=1, checked=True)
    return levels.energies, levels.errors


def measure(number: int, states: int = 3, tol: float = 1e-8) -> dict[str, Any]:
    """What a run says of an adversary, and whether it is so."""
    import jax

    import qpinn

    adversary = draw(number)
    jax.clear_caches()  # thousands of programmes in one process run out of maps of memory
    begun = time.perf_counter()
    potential = qpinn.potentials.expression(adversary.domain, adversary.formula)
    solution = qpinn.solve(potential, states=states, tol=tol)
    seconds = time.perf_counter() - begun
    exact, doubt = reference(adversary, states)
    lower, upper = solution.bounds.T
    granted = doubt + 1e-13 * np.abs(exact) + 64 * np.finfo(float).eps * np.abs(exact)
    outside = np.maximum(lower - exact, exact - upper)
    off = np.abs(solution.energies - exact)
    print(f"adversary {number}: {adversary.base}, {adversary.feature}, {seconds:.1f} s", file=sys.stderr, flush=True)
    return {
        "number": number, "base": adversary.base, "feature": adversary.feature, "formula": adversary.formula,
        "domain": list(adversary.domain), "width": adversary.width / (adversary.domain[1] - adversary.domain[0]),
        "seconds": seconds, "rounds": solution.stats.rounds, "segments": len(solution.edges) - 1,
        "doubt": (doubt / solution.scale).tolist(),
        "outside": [bool(value > grant) for value, grant in zip(outside, granted, strict=True)],
        "false": [bool(said and value > tol * scale + grant) for said, value, scale, grant in
                  zip(solution.converged, off, solution.scale, granted, strict=True)],
        "bounded": np.isfinite(upper - lower).tolist(), "converged": list(map(bool, solution.converged)),
        "half_width": [float(value) if np.isfinite(value) else None for value in (upper - lower) / 2 / solution.scale],
    }  # fmt: skip
