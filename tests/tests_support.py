"""Running the scripts as a user does, as processes, or within this one where a process is not the point."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/<name>.py and wait for it."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=dict(os.environ))


def call(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `script` gives, from the main function of scripts/<name>.py in this process."""
    import _cli

    module, words = importlib.import_module(name), [name, *map(str, arguments)]
    out, errors = io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", words), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            status = _cli.outcome(module.main)
        except SystemExit as ended:
            status = ended.code
    return subprocess.CompletedProcess(words, status, out.getvalue(), errors.getvalue())


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    """Run scripts/<name>.py and do not wait for it."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ)
    )


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/train.py, which must end well."""
    finished = script("train", *arguments)
    assert finished.returncode == 0, finished.stderr
    return finished


def system_of(potential, settings):
    """The system of the level that `settings` ask for, as a sweep builds it."""
    from qpinn.drivers import build, discretize
    from qpinn.drivers.solution import exact_levels

    index = settings.level
    mesh = discretize.mesh_of(potential, index + 1, settings.phase, settings.by_parity)
    levels = exact_levels(potential, index + 1).energies
    return build.system(potential, settings, mesh, build.energies(settings, range(index + 1), levels)[index])


def until(condition, process, seconds=120):
    """Wait until something is so, while a process works on it."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def sine_axis(left: float, right: float, count: int, segments: int = 12, points: int = 16, mass: float = 1.0):
    """The lowest functions of a box on Gauss-Legendre points of even segments, as `OnGrid`, and the segments' edges."""
    import numpy as np

    from qpinn.geometry.quadrature import legendre
    from qpinn.wavefunctions.axis import OnGrid

    edges = np.linspace(left, right, segments + 1)
    nodes, weights = legendre(points)
    size = np.diff(edges)[:, None]
    x = (edges[:-1, None] + size * (nodes + 1) / 2).ravel()
    k = np.pi * np.arange(1, count + 1)[:, None] / (right - left)
    value, slope = (np.sqrt(2 / (right - left)) * f(k * (x - left)) for f in (np.sin, np.cos))
    jets = np.stack([value, k * slope, -(k**2) * value])
    return OnGrid(x=x, weight=(size * weights / 2).ravel(), jets=jets, mass=mass), edges
