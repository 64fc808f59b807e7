"""What a training will allocate, known before it does."""

from __future__ import annotations

from qpinn.drivers.settings import Settings

MOST_BYTES = 8 * 2**30
"""Memory beyond which nothing is begun."""


def needed(settings: Settings, cells: int, lanes: int) -> int:
    """About how many bytes training takes at its peak: on a mesh of so many cells, for so many states.

    Ritz start: psi, psi' and their products with each other (n points, p linear parameters: n p, p^2), a problem at a
    time. Levenberg-Marquardt: the Jacobian of every state, by segments: n (P + 5), P the parameters of a network.
    Gradients: what every unit has at every point.
    """
    segments = 1 if settings.ansatz.name == "envelope" else cells
    per_cell = {"gauss_legendre": cells, "random": segments, "uniform": 1}[settings.sampling.name]
    points, width, depth = settings.sampling.points * per_cell, settings.width, settings.network.depth
    numbers = 12 * points * width * depth
    if settings.start.name == "ritz":
        linear = segments * (width + 3)
        numbers += 4 * points * linear + 8 * linear**2
    if settings.optimizer.name == "levenberg_marquardt" and not settings.shared:
        parameters = (depth - 1) * width * (width + 1) + 3 * width + 1
        numbers += 3 * lanes * points * (parameters + 5) + 4 * parameters * min(parameters, points // segments + 1)
    return numbers * (8 if settings.precision == "float64" else 4)


def check(settings: Settings, cells: int, lanes: int) -> None:
    """Raise ValueError, saying what would make it smaller, if a training does not fit into `MOST_BYTES`."""
    size = needed(settings, cells, lanes)
    if size > MOST_BYTES:
        raise ValueError(
            f"network.width={settings.width}, network.depth={settings.network.depth}: {lanes} states in "
            f"{cells} segments with sampling.points={settings.sampling.points} need {size / 2**30:.3g} GiB, more than "
            f"{MOST_BYTES / 2**30:g}; fewer units, points or states, or a larger ansatz.phase, need less"
        )
