"""A run of several coordinates: from a checked config to a complete folder."""

from __future__ import annotations

import logging
from typing import Any

import _cli
import _resume

log = logging.getLogger("qpinn")


def say(text: str) -> None:
    """To the terminal and to train.log."""
    print(text, flush=True)
    log.info(text)


def train(config: Any, place: _resume.Place, potential: Any, settings: Any, clock: Any) -> tuple[int, str]:
    """One run. Returns its exit status and status."""
    from qpinn.drivers import box, box_folder
    from qpinn.physics import box_walls
    from qpinn.physics.potentials.several import coordinates
    from qpinn.report import box_tables

    route = box.describe_route(settings)
    say(heading(potential, settings))
    say(f"{route['label']}; seed {settings.seed}")
    clock.lap("planning")
    solution = box.run(potential, settings)
    names = coordinates(potential.dimension)
    chosen = [name for name, put in zip(names, solution.plan.chosen, strict=False) if put]
    if chosen:
        decay = box_walls.decay(bool(potential.curves))
        say(f"walls of {', '.join(chosen)} put where psi of the highest state has decayed by exp(-{decay:g})")
    clock.lap("planning", **solution.seconds)
    results = box_folder.write(place.folder, solution, route, clock.seconds, _cli.figures(config))
    say(f"\n{box_tables.report(results)}\n  folder: {place.folder}")
    return 0, solution.status


def heading(potential: Any, settings: Any) -> str:
    """The equation that is solved."""
    from qpinn.physics.potentials import describe

    described, units = describe(potential), settings.units.units
    numbers = ", ".join(f"{key} {value:g}" for key, value in described.get("parameters", {}).items())
    said = "" if units.none else f" in {units.length} and {units.energy}"
    masses = "" if "masses" not in described else f", masses {described['masses']}"
    equation = "-sum psi_ii / m_i + V psi = E psi" if masses else "-Laplace psi + V psi = E psi"
    return (f"{described['name']}: {equation}{said} in {potential.dimension} dimensions, V = {described['formula']}"
            f"{', ' if numbers else ''}{numbers}{masses}")  # fmt: skip
