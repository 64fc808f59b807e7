"""report.html of a packet in time: |psi|^2 on V with a slider over t, the figures, a table and what bounds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qpinn.report import evolution, page, page_levels, tables, words
from qpinn.runs import evolution as files
from qpinn.runs.files import write_atomically

SHOWN = 41
"""Times of the slider, evenly."""

ROUTE = "psi0 projected on the states of one piecewise network, which evolve exactly"

DRIVEN = "psi0 projected on the states of one piecewise network, driven by collocation in time"

SPOKEN = page_levels.Spoken("Time", "|ψ|² on V", 0.6)

KEPT = ("potential", "units", "walls", "packet", "drive", "tol", "bound", "estimate", "states", "parameters", "steps",
        "loss", "seconds", "versions", "status")  # fmt: skip


def save(folder: Path, figures: page.Pictures = page.NONE) -> Path:
    """Write the page of a packet, from the files of its folder. Raises ValueError, naming one that is damaged."""
    content, grid = files.read(folder)
    path = folder / "config.yaml"
    try:
        text = of_packet(content, grid, path.read_text() if path.is_file() else "", figures)
    except (OSError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder / files.NAME}: damaged ({error})") from None
    write_atomically(folder / page.NAME, text.encode())
    return folder / page.NAME


def of_packet(
    content: Mapping[str, Any], grid: Mapping[str, np.ndarray], config: str, figures: page.Pictures = page.NONE
) -> str:
    """The page, from evolve.json, the arrays of evolve.npz and config.yaml."""
    states, density = _states(content, grid)
    left, right = content["ends"]
    shown = {
        **content,
        "states": states,
        "route": content.get("route", {"label": ROUTE if content["drive"] is None else DRIVEN}),
        "settings": {"ends": {"left": left, "right": right}},
    }
    drawn = {"x": grid["x"], "v": grid["v"], "psi": density}
    lines = [*evolution.status(content), *evolution.through(content)]
    link = page.download("evolve.csv", files.table(content).encode(), "every time as CSV")
    numbers = f"<pre>{page.escaped(tables.plain(*evolution.table(content), left=0))}</pre>"
    table = f"{numbers}{link}{page_levels.picked(states, 'time')}"
    said = "".join(f"<p>{page.escaped(line)}</p>" for line in [*evolution.packet(content), *lines])
    parts = [page_levels.section(shown, drawn, _caption, SPOKEN), page.section("Over t", table),
             page.drawings(figures), page.section("What is certified", said + f"<p>{_certified(content)}</p>"),
             page.origin(content, config)]  # fmt: skip
    warned = [] if content["converged"] or evolution.trained(content) else lines[:1]
    kept = [name for name in KEPT if name in shown]
    return page.whole(shown, "".join(parts), warned, kept, evolution.equation(content))


def _certified(content: Mapping[str, Any]) -> str:
    return TRAINED if evolution.trained(content) else CERTIFIED


CERTIFIED = (
    "The bound is what the basis lacks of psi0 plus the integral over t of the norm of i psi_t - H psi, by unitarity; "
    "norms by two quadratures, and how far V is from what they see by interval arithmetic. psi0 is sampled."
)


TRAINED = (
    "The bound is what the spline of psi0 lacks of it plus the integral over t of the norm of i psi_t - H psi, by "
    "unitarity; norms and the integral by two quadratures, and how far V is from what they see by interval arithmetic."
)


def _states(content: Mapping[str, Any], grid: Mapping[str, np.ndarray]) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The times of the slider as `page_levels` has levels, at <H>, and |psi|^2 at each over its largest value."""
    times = np.asarray(grid["t"], float)
    some = np.unique(np.linspace(0, len(times) - 1, min(SHOWN, len(times))).round().astype(int))
    density = np.abs(np.asarray(grid["psi"])[some]) ** 2
    unit = "" if content["units"]["length"] == "L" else f" {content['units']['time']}"
    states = []
    for index, place in enumerate(some):
        at = {name: content["series"][name][place] for name in ("bound", "energy", "right", "right_bound")}
        said = f"t = {times[place]:.6g}{unit}"
        probability = evolution.known(at["right"], at["right_bound"])
        known = (f"{said}: P(x > {content['divide']:.4g}) = {probability}; |ψ - exact| within "
                 f"{evolution.most(at['bound'])}; |ψ|² up to {density[index].max():.3g}")  # fmt: skip
        states.append({"index": index, "energy": float(at["energy"]), "lower": None, "upper": None, "node_count": 20,
                       "outcome": words.RIGHT, "said": said, "known": known})  # fmt: skip
    return states, density / density.max()


def _caption(content: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    return str(state["known"])
