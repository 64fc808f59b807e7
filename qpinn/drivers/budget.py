"""What a training will take of the machine, known before it does."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from pathlib import Path

import jax

from qpinn.drivers.settings import Settings
from qpinn.training.shared import DENSE

MOST_BYTES = 8 * 2**30
"""Memory beyond which nothing is begun, however much there is."""


CGROUPS = Path("/sys/fs/cgroup")


def room() -> int:
    """Bytes that this process may still take: of `MOST_BYTES`, of the machine, of its cgroup and of `ulimit -v`."""
    page = os.sysconf("SC_PAGE_SIZE")
    most = [MOST_BYTES, page * os.sysconf("SC_PHYS_PAGES")]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        taken = Path("/proc/self/statm")  # in pages, the first number; not on every system
        most.append(limit - (page * int(taken.read_text().split()[0]) if taken.exists() else 0))
    with contextlib.suppress(OSError, IndexError):  # no cgroup of the second version
        group = Path("/proc/self/cgroup").read_text().split("::")[1].strip().strip("/")
        for folder in (path for path in (CGROUPS / group, *(CGROUPS / group).parents) if path.is_relative_to(CGROUPS)):
            with contextlib.suppress(OSError, ValueError):  # the first has none; "max"
                most.append(int((folder / "memory.max").read_text()))
    return max(min(most), 0)


def needed(settings: Settings, cells: int, lanes: int, points: int | None = None) -> int:
    """About how many bytes training takes at its peak: on a mesh of so many cells, for so many states.

    Ritz start: psi, psi' and their products with each other (n points, p linear parameters: n p, p^2), a problem at a
    time. Levenberg-Marquardt: the Jacobian of every state, by segments: n (P + 5), P the parameters of a network.
    Gradients: what every unit has at every point, and for every parameter two moments, the gradient and the update,
    before and after a step.

    points  of the residual, of a box; None: those of a line
    """
    segments = 1 if settings.ansatz.name == "envelope" else cells
    per_cell = {"gauss_legendre": cells, "random": segments, "uniform": 1}[settings.sampling.name]
    points = points or settings.sampling.points * per_cell
    width, depth = settings.width, settings.network.depth
    parameters = (depth - 1) * width * (width + 1) + 3 * width + 1
    numbers = 12 * points * width * depth + 8 * lanes * segments * parameters
    if settings.start.name == "ritz":
        linear = segments * (width + 3)
        many = settings.shared and segments > DENSE  # what a segment sees of the nodes stays a dense array
        numbers += 4 * points * (width + 6) + 48 * segments**2 if many else 4 * points * linear + 8 * linear**2
    if settings.optimizer.name == "levenberg_marquardt" and not settings.shared:
        numbers += 3 * lanes * points * (parameters + 5) + 4 * parameters * min(parameters, points // segments + 1)
    return numbers * (8 if settings.precision == "float64" else 4)


def check_points(settings: Settings, count: int, axes: str, size: int, starts: int = 1) -> None:
    """Raise ValueError where one network on so many points of these `axes` needs more memory than there is.

    size  bytes of one training; starts: of a sweep, that are trained at once
    """
    size, most = starts * size, room()
    if size > most:
        raise ValueError(
            f"sampling.points={settings.sampling.points}: {count} points {axes} need {size / 2**30:.3g} GiB, more than "
            f"the {most / 2**30:.3g} that there are; fewer points or units"
            f"{' or a smaller sweep.block' if starts > 1 else ''} need less"
        )


MAPPINGS = Path("/proc/sys/vm/max_map_count")
"""How many mappings of memory Linux lets a process have: 65530 unless somebody has changed it."""


def forget_programmes() -> None:
    """Let JAX forget what it has compiled, before the system refuses to map another programme and JAX aborts.

    A new potential takes about 240 mappings, which JAX keeps: without this the end comes after some 270 of them.
    """
    try:
        allowed, taken = int(MAPPINGS.read_text()), Path("/proc/self/maps").read_bytes().count(b"\n")
    except (OSError, ValueError):  # not Linux
        return
    if taken > allowed / 2:
        jax.clear_caches()
        gc.collect()


def check(settings: Settings, cells: int, lanes: int, starts: int = 1) -> None:
    """Raise ValueError, saying what would make it smaller, if a training does not fit into `room`.

    starts  of a sweep that are trained at once
    """
    size, most = starts * needed(settings, cells, lanes), room()
    if size <= most:
        return
    what = f"{lanes} states in " if starts == 1 else f"{starts} starts at once in "
    less = "fewer units, points or states, or a larger ansatz.phase, need less" if starts == 1 else \
        "a smaller sweep.block, or fewer sweep.devices, need less"  # fmt: skip
    raise ValueError(
        f"network.width={settings.width}, network.depth={settings.network.depth}: {what}{cells} segments with "
        f"sampling.points={settings.sampling.points} need {size / 2**30:.3g} GiB, more than the {most / 2**30:.3g} "
        f"that there are; {less}"
    )
