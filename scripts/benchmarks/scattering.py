"""T and R between two leads: five scatterers, 200 random ones, resonances, training. Writes docs/scattering.{json,md}.

python scripts/benchmarks/scattering.py            # everything, about five minutes on one core
python scripts/benchmarks/scattering.py <name>     # one of the five alone, as JSON: seconds of a fresh process
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import mpmath
import numpy as np
import random_scatterers
import scattering_page
from random_scatterers import Case
from stamps import stamp

import qpinn

DOCS = Path(__file__).resolve().parents[2] / "docs"
COUNT = 1000
RANDOM, EXTREME = 200, 100
RTD: dict[str, Any] = {"thickness": [3, 5, 3], "offset": [0.3, 0, 0.3], "mass": [0.092, 0.067, 0.092]}
GAAS = {"left": 0.0, "right": 0.0, "mass_left": 0.067, "mass_right": 0.067}
EV = np.linspace(0.005, 0.6, COUNT)

CONSTANT = 0.0380998212
"""hbar^2 / 2 m_e in eV nm^2, with which 81.4051003139 and 2.3539441808 meV were computed elsewhere."""


class Scatterer(NamedTuple):
    """What is solved, and T that is exact: (energies) -> (N,)."""

    about: str
    potential: Any
    energies: np.ndarray
    settings: dict[str, Any]
    exact: Callable[[np.ndarray], Any]


def scatterers() -> dict[str, Scatterer]:
    potentials = qpinn.potentials
    in_field = {**RTD, "field": 30.0}
    field_leads = {**GAAS, "right": 30 * 1e-4 * 11}
    units = {"units": "semiconductor"}
    return {
        "rectangular": Scatterer("rectangular barrier, height 50, width 0.2, E 1 to 200", potentials.barrier(),
                                 np.linspace(1, 200, COUNT), {}, _rectangular),
        "poeschl_teller": Scatterer("Poeschl-Teller, l = 2, E 0.1 to 20", potentials.poeschl_teller(l=2.0),
                                    np.linspace(0.1, 20, COUNT), {}, np.ones_like),
        "eckart": Scatterer("Eckart, 5 / cosh(x)^2, E 0.1 to 20", potentials.expression([-18, 18], "5/cosh(x)^2"),
                            np.linspace(0.1, 20, COUNT), {}, _eckart),
        "double_barrier": Scatterer("GaAs/AlGaAs 3/5/3 nm with masses, 5 to 600 meV", potentials.layers(**RTD), EV,
                                    {**units, "leads": GAAS}, lambda e: _layers(RTD, GAAS, e)),
        "in_field": Scatterer("the same at 30 kV/cm", potentials.layers(**in_field), EV[EV > 0.035],
                              {**units, "leads": field_leads}, lambda e: _layers(in_field, field_leads, e)),
    }  # fmt: skip


def _rectangular(energies: np.ndarray) -> np.ndarray:
    q = np.sqrt(energies - 50 + 0j)
    return (1 / (1 + 2500 * np.sin(0.2 * q) ** 2 / (4 * energies * (energies - 50)))).real


def _eckart(energies: np.ndarray) -> np.ndarray:
    k = np.pi * np.sqrt(energies)
    return np.sinh(k) ** 2 / (np.sinh(k) ** 2 + np.cosh(np.pi * np.sqrt(4.75)) ** 2)


def _layers(layers: dict[str, Any], leads: dict[str, float], energies: np.ndarray) -> list[Any]:
    return [t for t, _ in random_scatterers.exact(Case(layers, leads, energies))]


def solved(name: str) -> dict[str, Any]:
    """One of the five, with the seconds of the call, what is compiled for it included."""
    one = scatterers()[name]
    begun, worked = time.perf_counter(), time.process_time()
    found = qpinn.scatter(one.potential, one.energies, **one.settings)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
    error = [float(abs(mpmath.mpf(exact) - mpmath.mpf(t))) for exact, t in zip(one.exact(one.energies), found.T)]  # noqa: B905
    return {
        "name": name, "about": one.about, "energies": len(one.energies), "segments": len(found.system.mesh),
        "seconds": seconds, "cpu": cpu, "error": max(error), "bound": float(found.bound.max()),
        "outside": int((np.array(error) > found.bound).sum()), "residual": float(found.residual.max()),
        "unitarity": float(np.abs(1 - _plain(found)).max()),
    }  # fmt: skip


def _plain(found: Any) -> np.ndarray:
    """T + R of psi as it is, before it is corrected."""
    spectrum = found.spectrum
    flux = spectrum.velocity[:, 1].real / spectrum.velocity[:, 0].real
    return flux * np.abs(spectrum.t_plain) ** 2 + np.abs(spectrum.r_plain) ** 2


def random_ones(draw: Callable[[int], Case], count: int, digits: int) -> dict[str, Any]:
    """Errors and bounds of random structures, against transfer matrices with so many digits."""
    errors, bounds, solving = [], [], 0.0
    smallest, unbounded = np.inf, 0.0
    for seed in range(count):
        case = draw(seed)
        begun = time.perf_counter()
        found = random_scatterers.solved(case)
        solving += time.perf_counter() - begun
        for index, (t, r) in enumerate(random_scatterers.exact(case, digits)):
            if t > 0:
                smallest = min(smallest, float(t))
            if np.isinf(found.bound[index]):
                unbounded = max(unbounded, float(t))
            errors += [float(abs(t - mpmath.mpf(found.T[index]))), float(abs(r - mpmath.mpf(found.R[index])))]
            bounds += [float(found.bound[index]), float(found.reflection_bound[index])]
    error, bound = np.array(errors), np.array(bounds)
    return {"structures": count, "numbers": len(error), "outside": int((error > bound).sum()),
            "without_bound": int(np.isinf(bound).sum()), "largest_error": float(error[np.isfinite(bound)].max()),
            "largest_bound": float(bound[np.isfinite(bound)].max()), "median_bound": float(np.median(bound)),
            "smallest": smallest, "unbounded": unbounded, "seconds": solving}  # fmt: skip


def resonances() -> list[dict[str, Any]]:
    """The lowest resonances of double barriers, and their errors against transfer matrices at 100 digits."""
    from transfer import Layered

    rows = []
    share = random_scatterers.SCALE / CONSTANT
    for thickness in (3, 6, 10):
        layers = {**RTD, "thickness": [thickness, 5, thickness], "mass": [mass * share for mass in RTD["mass"]]}
        leads = {**GAAS, "mass_left": 0.067 * share, "mass_right": 0.067 * share}
        with mpmath.workdps(100):
            scale = mpmath.mpf(random_scatterers.SCALE)
            v = [mpmath.mpf(value) / scale for value in layers["offset"]]
            masses = [mpmath.mpf(mass) for mass in layers["mass"]]
            known = Layered(layers["thickness"], v, v, masses, [0, 0], [leads["mass_left"]] * 2)
        begun = time.perf_counter()
        found = qpinn.scatter(
            qpinn.potentials.layers(**layers), [0.1], leads, units="semiconductor"
        ).resonances(2)  # fmt: skip
        seconds = time.perf_counter() - begun
        for one in found:
            exact = known.resonance((one.energy - 0.5j * one.width) / random_scatterers.SCALE)
            energy, width = exact.real * random_scatterers.SCALE, -2 * exact.imag * random_scatterers.SCALE
            rows.append({
                "thickness": thickness, "energy_meV": 1e3 * one.energy, "width_meV": 1e3 * one.width,
                "error_energy_meV": float(abs(energy - one.energy)) * 1e3,
                "relative_error_width": float(abs(width - one.width) / width), "estimate_meV": 1e3 * one.error,
                "seconds": seconds,
            })  # fmt: skip
    return rows


def narrow() -> list[dict[str, Any]]:
    """T over a resonance that is narrower than the distance of the energies asked for."""
    rows = []
    for thickness in (6, 8, 10, 12):
        layers = {**RTD, "thickness": [thickness, 5, thickness]}
        begun = time.perf_counter()
        found = qpinn.scatter(qpinn.potentials.layers(**layers), np.linspace(0.01, 0.5, 80), GAAS,
                              units="semiconductor", refine=True)  # fmt: skip
        seconds = time.perf_counter() - begun
        exact = _layers(layers, GAAS, found.energies)
        error = np.array([float(abs(one - mpmath.mpf(t))) for one, t in zip(exact, found.T, strict=True)])
        one = found.resonances(1)[0]
        rows.append({
            "thickness": thickness, "quality": one.width / one.energy, "energies": len(found.energies),
            "error": float(error.max()), "bound": float(found.bound.max()), "peak": float(found.T.max()),
            "outside": int((error > found.bound).sum()), "seconds": seconds,
        })  # fmt: skip
    return rows


def training() -> list[dict[str, Any]]:
    """The double barrier with few hidden units, as they are drawn and trained on the band of energies."""
    rows = []
    for width in (4, 6, 10, 20):
        for seed in range(3):
            begun = time.perf_counter()
            found = qpinn.scatter(qpinn.potentials.layers(**RTD), EV[::5], GAAS, tol=0.5, units="semiconductor",
                                  network={"width": width}, train=60, seed=seed)  # fmt: skip
            seconds = time.perf_counter() - begun
            drawn = qpinn.scatter(qpinn.potentials.layers(**RTD), EV[::5], GAAS, tol=0.5, units="semiconductor",
                                  network={"width": width}, seed=seed)  # fmt: skip
            rows.append({"width": width, "seed": seed, "residual_drawn": float(drawn.residual.max()),
                         "residual_trained": float(found.residual.max()), "bound_drawn": float(drawn.bound.max()),
                         "bound_trained": float(found.bound.max()), "seconds": seconds})  # fmt: skip
    return rows


def elsewhere() -> list[dict[str, Any]]:
    """What people use: transfer matrices in 64 bits for flat layers, finite differences for a smooth V."""
    rows = []
    layers, ends = RTD, GAAS
    begun = time.perf_counter()
    t = _matrices(layers, ends, EV / random_scatterers.SCALE)
    seconds = time.perf_counter() - begun
    exact = _layers(layers, ends, EV)
    error = max(float(abs(one - mpmath.mpf(float(value)))) for one, value in zip(exact, t, strict=True))
    rows.append({"method": "transfer matrices, double barrier", "error": error, "seconds": seconds})
    energies = np.linspace(0.1, 20, COUNT)
    for points in (2001, 20001):
        begun = time.perf_counter()
        t = _numerov(energies, points)
        rows.append({"method": f"Numerov, Eckart, {points} points", "error": float(np.abs(t - _eckart(energies)).max()),
                     "seconds": time.perf_counter() - begun})  # fmt: skip
    return rows


def _matrices(layers: dict[str, Any], leads: dict[str, float], energies: np.ndarray) -> np.ndarray:
    """T by products of transfer matrices of (psi, psi' / m)."""
    k = np.sqrt(energies / leads["mass_left"] + 0j)
    u, f = np.ones_like(k), 1j * k
    for length, v, mass in zip(layers["thickness"][::-1], layers["offset"][::-1], layers["mass"][::-1], strict=True):
        q = np.sqrt(mass * (energies - v / random_scatterers.SCALE) + 0j)
        cosine, sine = np.cos(q * length), np.sin(q * length)
        u, f = u * cosine - f * mass * sine / q, u * q / mass * sine + f * cosine
    return np.abs(2 / (u + f / (1j * k))) ** 2


def _numerov(energies: np.ndarray, points: int) -> np.ndarray:
    """T of the Eckart barrier on [-18, 18] by Numerov's method from the right."""
    x = np.linspace(-18, 18, points)
    h = x[1] - x[0]
    g = 1 + h**2 / 12 * (energies - 5 / np.cosh(x[:, None]) ** 2)
    k = np.sqrt(energies)
    after, here = np.exp(1j * k * h), np.ones_like(k, complex)
    for n in range(points - 1, 0, -1):
        after, here = here, ((12 - 10 * g[n]) * here - (g[n + 1] if n + 1 < points else g[n]) * after) / g[n - 1]
    # the last two are psi at x[1] and x[0]: split into waves to the right and to the left
    right = (after * np.exp(1j * k * 0) - here * np.exp(-1j * k * h)) / (np.exp(1j * k * h) - np.exp(-1j * k * h))
    return 1 / np.abs(right) ** 2


def measured() -> dict[str, Any]:
    """Everything that the page says."""
    where, five = stamp(), []
    for name in scatterers():
        command = [sys.executable, __file__, name]
        cache = {**os.environ, "JAX_COMPILATION_CACHE_DIR": "", "JAX_ENABLE_COMPILATION_CACHE": "false"}
        five.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=cache).stdout))
        print(five[-1], flush=True)
    parts: dict[str, Callable[[], Any]] = {
        "random": lambda: random_ones(random_scatterers.drawn, RANDOM, 100),
        "extreme": lambda: random_ones(random_scatterers.extreme, EXTREME, 250),
        "resonances": resonances,
        "narrow": narrow,
        "training": training,
        "elsewhere": elsewhere,
    }
    content: dict[str, Any] = {**where, "five": five}
    for name, part in parts.items():
        content[name] = part()
        print(name, content[name], flush=True)
    return content


def main(arguments: list[str]) -> int:
    if arguments:
        print(json.dumps(solved(arguments[0])))
        return 0
    content = measured()
    (DOCS / "scattering.json").write_text(json.dumps(content, indent=1) + "\n")
    (DOCS / "scattering.md").write_text(scattering_page.page(content))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
