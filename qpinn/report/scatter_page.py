"""report.html of a scattering: |psi|^2 on V with a slider over E, the figures, tables and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.report import page, page_levels, scattering, tables, words
from qpinn.runs.files import read_npz, write_atomically
from qpinn.runs.run_folder import read_summary
from qpinn.runs.scattering import NAME, WAVES, table

SHOWN = 24
"""Energies of the slider, evenly, beside those where T has a peak."""

ROUTE = ("waves from the left between two leads, by least squares on the hidden units of one network; T and R "
         "corrected by the residual")  # fmt: skip

SPOKEN = page_levels.Spoken("Energy", "|ψ|² of the wave from the left on V")

KEPT = ("potential", "units", "ends", "leads", "states", "resonances", "certificate", "seconds", "versions", "status")


def save(folder: Path, figures: page.Pictures = page.NONE) -> Path:
    """Write the page of a scattering, from the files of its folder. Raises ValueError, naming one that is damaged."""
    content, path = read_summary(folder, (NAME,)), folder / "config.yaml"
    try:
        config = path.read_text() if path.is_file() else ""
        path = folder / WAVES
        grid = read_npz(path.read_bytes(), path)
        text = of_scattering(content, grid, config, figures)
    except (OSError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: missing or damaged ({error})") from None
    write_atomically(folder / page.NAME, text.encode())
    return folder / page.NAME


def of_scattering(
    content: Mapping[str, Any], grid: Mapping[str, np.ndarray], config: str, figures: page.Pictures = page.NONE
) -> str:
    """The page, from scattering.json, the arrays of waves.npz and config.yaml."""
    states, density = _states(content, grid)
    ends = {"left": "open", "right": "open"}
    shown = {
        **content,
        "states": states,
        "walls": content["ends"],
        "route": {"label": ROUTE},
        "settings": {"ends": ends},
    }
    drawn = {"x": grid["x"], "v": grid["v"], "psi": density}
    parts = [page_levels.section(shown, drawn, _caption, SPOKEN), _table(content, states), _resonances(content),
             page.drawings(figures),
             page.section("What is certified", page.certificate(content, scattering.bounded(content))),
             page.origin(content, config)]  # fmt: skip
    warnings = [line for line in scattering.bounded(content) if "no bound" in line]
    return page.whole(shown, "".join(parts), warnings, KEPT)


def _states(content: Mapping[str, Any], grid: Mapping[str, np.ndarray]) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The energies of the slider as `page_levels` has levels, and |psi|^2 at each over its largest value."""
    density = np.asarray(grid["density"], float)
    largest = density.max(axis=1)
    kept, energies = np.asarray(grid["energies"], float), scattering.column(content, "energies")
    even = np.linspace(kept[0], kept[-1], min(SHOWN, len(kept)))
    wanted = np.concatenate([even, energies[scattering.peaks(content)]])
    some = np.unique([int(np.argmin(np.abs(kept - energy))) for energy in wanted])
    numbers = {name: scattering.column(content, name) for name in ("T", "R", "bound")}
    states = []
    for index, place in enumerate(some):
        at = int(np.argmin(np.abs(energies - kept[place])))
        t, r, bound = (float(numbers[name][at]) for name in ("T", "R", "bound"))
        said = f"E = {kept[place]:.8g}{words.unit(content)}: T = {t:.6g}, R = {r:.6g}"
        certain = f"T within {bound:.0e}" if np.isfinite(bound) else "no bound"
        known = f"{said}; {certain}; |ψ|² up to {largest[place]:.3g}"
        states.append({"index": index, "energy": float(kept[place]), "lower": None, "upper": None, "node_count": 20,
                       "outcome": words.RIGHT, "said": said, "known": known})  # fmt: skip
    return states, (density / largest[:, None])[some]


def _caption(content: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    return str(state["known"])


def _table(content: Mapping[str, Any], states: list[dict[str, Any]]) -> str:
    """A row for each energy of the slider, which picks it; every energy as CSV."""
    data = table(content).encode()
    link = page.download("scatter.csv", data, "T and R at every energy as CSV") if len(data) <= page.LONGEST else ""
    numbers = f"<pre>{page.escaped(tables.plain(*scattering.rows(content)))}</pre>"
    return page.section("Transmission and reflection", f"{numbers}{link}{page_levels.picked(states, 'energy')}")


def _resonances(content: Mapping[str, Any]) -> str:
    if not content["resonances"]:
        return ""
    return page.section("Resonances", f"<pre>{page.escaped(tables.plain(*scattering.resonances(content)))}</pre>")
