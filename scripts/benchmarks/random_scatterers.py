"""Random structures of layers between leads, and T and R from transfer matrices at 100 digits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qpinn
from qpinn.physics import units

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "physics"))

SCALE = units.of("semiconductor").scale


class Case(NamedTuple):
    """A structure in nm, eV and m_e, its leads, and energies (N,)."""

    layers: dict[str, Any]
    leads: dict[str, float]
    energies: np.ndarray


def drawn(seed: int, energies: int = 8) -> Case:
    """One of four kinds in turn: flat layers; graded ones; in a field; under a bias, with leads of their own."""
    draw = np.random.default_rng([16, seed])
    count, kind = int(draw.integers(1, 7)), seed % 4
    layers: dict[str, Any] = {
        "thickness": draw.uniform(0.3, 5.0, count).tolist(), "offset": draw.uniform(-0.3, 0.6, count).tolist(),
        "mass": draw.uniform(0.04, 0.3, count).tolist(),
    }  # fmt: skip
    leads = {"left": 0.0, "right": float(draw.uniform(-0.1, 0.2)), "mass_left": 0.067,
             "mass_right": float(draw.uniform(0.04, 0.3))}  # fmt: skip
    if kind == 1:
        layers["offset_end"] = draw.uniform(-0.3, 0.6, count).tolist()
    if kind == 2:
        layers["field"] = float(draw.uniform(-100, 100))
    if kind == 3:
        leads["bias"] = float(draw.uniform(-0.3, 0.3))
    lowest = min(0.0, leads["right"] - leads.get("bias", 0.0))
    return Case(layers, leads, np.sort(draw.uniform(lowest + 0.002, lowest + 1.2, energies)))


def extreme(seed: int) -> Case:
    """Up to thirty layers from 1e-3 to 20 nm, of masses from 0.01 to 10, with energies near both thresholds.

    T is as small as 1e-158, so that a reference needs twice as many digits.
    """
    draw = np.random.default_rng([99, seed])
    count = int(draw.integers(1, 31)) if seed % 3 == 0 else int(draw.integers(1, 6))
    layers: dict[str, Any] = {
        "thickness": (10 ** draw.uniform(-3, 1.3, count)).tolist(),
        "offset": (draw.uniform(-1, 1, count) * 10 ** draw.uniform(-2, 1)).tolist(),
        "mass": (10 ** draw.uniform(-2, 1, count)).tolist(),
    }
    leads = {"left": 0.0, "right": float(draw.choice([0.0, 0.1, -0.05])), "mass_left": float(10 ** draw.uniform(-2, 0)),
             "mass_right": float(10 ** draw.uniform(-2, 0))}  # fmt: skip
    if seed % 2:
        leads["bias"] = float(draw.uniform(-2, 2))
    low, high = sorted((0.0, leads["right"] - leads.get("bias", 0.0)))
    near = [low + 10 ** draw.uniform(-8, 0.5, 3), high + 10 ** draw.uniform(-8, -0.5, 3)]
    return Case(layers, leads, np.unique(np.concatenate(near)))


def solved(case: Case, **settings: Any) -> Any:
    """The `qpinn.Scattering` of a case."""
    return qpinn.scatter(
        qpinn.potentials.layers(**case.layers), case.energies, case.leads, units="semiconductor", **settings
    )


def exact(case: Case, digits: int = 100) -> list[tuple[Any, Any]]:
    """T and R at every energy to 100 digits, or so many, of the numbers in 64 bits."""
    import mpmath
    import transfer
    from transfer import Layered

    layers, leads = case.layers, case.leads
    transfer.DIGITS = digits
    with mpmath.workdps(digits):
        scale, edges = mpmath.mpf(SCALE), [mpmath.mpf(0)]
        for thickness in layers["thickness"]:
            edges.append(edges[-1] + mpmath.mpf(thickness))
        tilt = mpmath.mpf(layers.get("field", 0.0)) * mpmath.mpf(1e-4) - mpmath.mpf(leads.get("bias", 0.0)) / edges[-1]
        start, end = ([mpmath.mpf(value) for value in layers.get(key, layers["offset"])] for key in
                      ("offset", "offset_end"))  # fmt: skip
        start = [(value + tilt * place) / scale for value, place in zip(start, edges[:-1], strict=True)]
        end = [(value + tilt * place) / scale for value, place in zip(end, edges[1:], strict=True)]
        levels = [mpmath.mpf(leads["left"]) / scale, (mpmath.mpf(leads["right"]) - mpmath.mpf(leads.get("bias", 0.0)))
                  / scale]  # fmt: skip
        known = Layered(layers["thickness"], start, end, layers["mass"], levels,
                        [leads["mass_left"], leads["mass_right"]])  # fmt: skip
        found = []
        for energy in case.energies:
            scaled = mpmath.mpf(energy) / scale
            if scaled <= max(levels):
                found.append((mpmath.mpf(0), mpmath.mpf(1)))
            else:
                found.append(known.probabilities(scaled))
        return found
