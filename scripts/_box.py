"""A run of several coordinates: from a checked config to a complete folder."""

from __future__ import annotations

from typing import Any

import _cli
import _resume
import _training
from _training import say


def train(
    config: Any, place: _resume.Place, potential: Any, settings: Any, clock: Any, started: float
) -> tuple[int, str]:
    """One run, begun at `started`. Returns its exit status and status."""
    if settings.ansatz.name == "envelope":
        return _trained(config, place, potential, settings, clock, started)
    from qpinn.drivers import box, box_folder
    from qpinn.report import box_tables

    say(heading(potential, settings))
    clock.lap("planning")
    solution = box.run(potential, settings)
    route = box.describe_route(settings, bool(solution.bends))
    say(f"{route['label']}; seed {settings.seed}")
    _say_walls(potential, solution.plan.chosen)
    clock.lap("planning", **solution.seconds)
    results = box_folder.write(place.folder, solution, route, clock.seconds, _cli.figures(config))
    say(f"\n{box_tables.report(results)}\n  folder: {place.folder}")
    return 0, solution.status


def _trained(
    config: Any, place: _resume.Place, potential: Any, settings: Any, clock: Any, started: float
) -> tuple[int, str]:
    """One network for each level, trained; its result is written before it is compared with anything."""
    from qpinn.drivers import box_folder, eigenstates, trained_box
    from qpinn.report import box_tables
    from qpinn.runs import run_folder, trained_folder

    folder, route = place.folder, eigenstates.describe_route(settings)
    say(heading(potential, settings))
    _say_walls(potential, trained_box.with_walls(potential, settings)[1])
    say(f"{route['label']}; seed {settings.seed}")
    clock.lap("planning")
    _training.say_where(place)
    with _training.followed(config, place, settings.units.units, started) as callbacks:
        solution = trained_box.solve_trained(potential, settings, callbacks, place.snapshots)
    clock.lap("planning", **solution.seconds)
    clock.seconds.update({"earlier": place.seconds} if place.seconds else {})
    trained_folder.write_arrays(folder, solution)
    run_folder.write_summary(folder, trained_folder.summary(solution, route, clock.seconds))
    _training.written(solution, folder)
    clock.lap("write")
    levels, missing = solution.reference, None
    if levels is None:
        missing = f"{solution.indices[-1] + 1} levels are too many for a grid of products"
        say(f"no reference: {missing}")
    clock.lap("reference")
    trained_folder.write_history(folder, solution, levels)
    results = trained_folder.summary(solution, route, clock.seconds, levels, missing)
    results = box_folder.finish(folder, results, _cli.figures(config))
    say(f"\n{box_tables.report(results)}\n  folder: {folder}")
    return _training.ended(solution, "variational"), solution.status


def _say_walls(potential: Any, chosen: Any) -> None:
    """On which axes walls were put."""
    from qpinn.physics import box_walls
    from qpinn.physics.potentials.terms import coordinates

    names = [name for name, put in zip(coordinates(potential.dimension), chosen, strict=False) if put]
    if names:
        decay = box_walls.decay(bool(potential.curves))
        say(f"walls of {', '.join(names)} put where psi of the highest state has decayed by exp(-{decay:g})")


def heading(potential: Any, settings: Any) -> str:
    """The equation that is solved."""
    from qpinn.physics.potentials import describe

    described, units = describe(potential), settings.units.units
    numbers = ", ".join(f"{key} {value:g}" for key, value in described.get("parameters", {}).items())
    said = "" if units.none else f" in {units.length} and {units.energy}"
    masses = "" if "masses" not in described else f", masses {described['masses']}"
    factor = "" if units.none else "hbar^2 / 2 " if masses else "hbar^2 / 2m "
    kinetic = "sum psi_ii / m_i" if masses else "Laplace psi"
    equation = f"-{factor}{kinetic} + V psi = E psi"
    return (f"{described['name']}: {equation}{said} in {potential.dimension} dimensions, V = {described['formula']}"
            f"{', ' if numbers else ''}{numbers}{masses}{_ends(settings, potential.dimension)}")  # fmt: skip


def _ends(settings: Any, dimension: int) -> str:
    """What psi does at the ends of those axes that have others than walls."""
    from qpinn.physics.potentials.several import coordinates
    from qpinn.report.box_tables import at_ends

    each = zip(coordinates(dimension), settings.ends.of_axes(dimension), strict=False)
    said = [f"{name}{at_ends((ends.left, ends.right))}" for name, ends in each if not ends.walls]
    return f"; ends of {', '.join(said)}" if said else ""
