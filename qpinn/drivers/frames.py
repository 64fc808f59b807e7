"""psi at a few dozen steps of a training, for those who want to see it move."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from qpinn.drivers import build
from qpinn.drivers.settings import Settings
from qpinn.drivers.solution import Solution
from qpinn.training.fit import Progress

MOST = 36
"""Frames of a run."""


def watched(settings: Settings) -> Settings:
    """The settings with looks at the progress that are frequent enough.

    Random points are drawn anew after each look, so that more of them would be another training: there it is left.
    """
    course = build.course(settings, watched=True)
    steps = course.steps * (settings.level + 1 if settings.in_turn else 1)
    if settings.sampling.name == "random":
        return settings
    chunk = min(course.chunk, -(-steps // MOST))
    return dataclasses.replace(settings, optimizer=dataclasses.replace(settings.optimizer, chunk=chunk))


class Frames:
    """A callback that keeps the parameters at every look at the progress."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, int, Any]] = []

    def __call__(self, progress: Progress) -> None:
        self._kept.append((progress.training, progress.step, progress.params))

    def arrays(self, solution: Solution) -> dict[str, np.ndarray]:
        """Of the training that the solution is of: done (F, K), steps that each state has taken, psi (F, K, n) on the
        grid of its samples, energy (F, K); NaN before the turn of a state, where they are trained in turn."""
        lanes, in_turn = solution.plan.trained, solution.settings.in_turn
        params, x = solution.trained.fit.params, solution.samples.x
        shapes = jax.tree.map(np.shape, params)
        steps = build.course(solution.settings).steps
        done, psi = [], []
        for training, step, kept in self._kept:
            if in_turn:
                row = np.where(np.arange(lanes) < training, float(steps), np.nan)
                row[training] = step - training * steps
                kept = jax.tree.map(lambda whole, one, k=training: _with_lane(whole, one, k), params, kept)
            elif jax.tree.map(np.shape, kept) == shapes:  # not on a coarser mesh
                row = np.full(lanes, float(step))
            else:
                continue
            done.append(row[solution.plan.shown])
            psi.append(np.where(np.isnan(done[-1])[:, None], np.nan, _psi(solution, kept, x)))
        history = solution.history
        energies = [history["energy"][history["state"] == state.index] for state in solution.measured]
        taken = np.reshape(done, (len(done), len(energies)))
        energy = np.array([[_at(column, count) for column, count in zip(energies, row, strict=True)] for row in taken])
        return {"done": taken, "psi": np.array(psi, np.float32), "energy": energy}


def _with_lane(whole: Any, one: Any, k: int) -> np.ndarray:
    """Parameters (lanes, ...) with those of lane k replaced."""
    changed = np.array(whole)
    changed[k] = np.asarray(one)[0]
    return changed


def _psi(solution: Solution, params: Any, x: np.ndarray) -> np.ndarray:
    """psi (K, n) for parameters of all lanes, each as it is."""
    fit = dataclasses.replace(solution.trained.fit, params=params)
    trained = dataclasses.replace(solution.trained, fit=fit, mix=np.eye(solution.plan.trained))
    return np.atleast_2d(dataclasses.replace(solution, trained=trained).psi(x))


def _at(energies: np.ndarray, done: float) -> float:
    """E after so many steps."""
    if np.isnan(done) or not len(energies):
        return np.nan
    return float(energies[min(int(done), len(energies)) - 1])
