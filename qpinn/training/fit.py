"""What a training says of itself: while it goes on, and when it has ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from qpinn.training.optimizers import Record
from qpinn.typing import Params

History = dict[str, np.ndarray]
"""Columns (steps, lanes): the terms of the loss, "total", numbers of the equation, "step_size" and "seconds"."""


class Snapshot(NamedTuple):
    """A training between two chunks, on the host: all that it needs to go on as if it had not been interrupted.

    carry    leaves of the carry of all lanes
    start    numbers of the equation before training
    chunks   the history of the steps up to now, in one piece or more
    done     steps up to now
    """

    carry: list[np.ndarray]
    start: dict[str, np.ndarray]
    chunks: Sequence[History]
    done: int


class Progress(NamedTuple):
    """What a callback sees between chunks. A true return value ends the training.

    loss     the largest of all lanes that go on
    report   numbers of the equation, such as E, of the first lane that goes on
    params   on the host, with an axis of lanes: of all lanes, or of the one whose turn it is
    rows     their history up to now, see `Fit.rows`
    training  number of this training in the run: one for each mesh, and on it one for each turn
    ended    whether this training takes no more steps
    snapshot  of this training, to be called before the callback returns
    """

    step: int
    steps: int
    loss: float
    report: dict[str, float]
    params: Params
    rows: Callable[[], dict[str, np.ndarray]]
    training: int
    ended: bool
    snapshot: Callable[[], Snapshot]


Callback = Callable[[Progress], bool | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """Result of a training of one or more lanes.

    params   (lanes, ...) after the last good step of each
    start    numbers of the equation before training, each (lanes,)
    history  columns (steps, lanes); what a lane has after its last good step means nothing
    steps    (lanes,) good steps
    alive    (lanes,) False for a lane that met a NaN: it was frozen there, the others went on
    seconds  compile, train
    status   "finished", "stopped" (by a callback) or "non-finite" (in some lane)
    asked    whether a callback wanted the end, even if it had come already
    """

    params: Params
    start: dict[str, Float[np.ndarray, "lanes"]]
    history: History
    steps: Int[np.ndarray, "lanes"]
    alive: Bool[np.ndarray, "lanes"]
    seconds: dict[str, float]
    status: str
    asked: bool

    @property
    def losses(self) -> Float[np.ndarray, "lanes"]:
        """The loss (lanes,) at the last good step; NaN where there is none."""
        return _at(self.history["total"], self.steps - 1)

    def filled(self, name: str) -> Float[np.ndarray, "steps lanes"]:
        """A column (steps, lanes) of numbers of the equation, which stays at its last good value."""
        column = self.history[name]
        last = np.where(self.steps > 0, _at(column, self.steps - 1), self.start[name])
        return np.where(np.arange(len(column))[:, None] < self.steps, column, last)

    def taken(self, in_turn: bool) -> int:
        """Good steps of the lane that took most, or of the last one whose turn came."""
        if in_turn:
            steps = self.steps[: max(1, np.count_nonzero(self.steps))]
            return int(steps[-1])
        return int(self.steps.max())

    def frozen(self, indices: Int[np.ndarray, "lanes"]) -> dict[int, int]:
        """Indices of the levels whose lanes met a NaN, and how many good steps each took before."""
        return {int(indices[k]): int(self.steps[k]) for k in np.flatnonzero(~self.alive)}

    def some(self, which: slice) -> Fit:
        """Some of the lanes."""
        return dataclasses.replace(
            self, params=jax.tree.map(lambda leaf: leaf[which], self.params),
            start={name: value[which] for name, value in self.start.items()},
            history={name: column[:, which] for name, column in self.history.items()}, steps=self.steps[which],
            alive=self.alive[which],
        )  # fmt: skip

    def rows(self) -> dict[str, Float[np.ndarray, "rows"]]:
        """The history as columns with an entry for each step and lane, and its "step" and "state" (the lane)."""
        return rows([self.history], self.steps, self.alive)


def _at(column: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Entries (lanes,) of a column (steps, lanes) at a step (lanes,) of each lane; NaN for -1."""
    values: np.ndarray = np.take_along_axis(column, np.maximum(step, 0)[None], axis=0)[0]
    return np.where(step >= 0, values, np.nan)


def rows(
    chunks: Sequence[History], steps: Int[np.ndarray, "lanes"], alive: Bool[np.ndarray, "lanes"]
) -> dict[str, Float[np.ndarray, "rows"]]:
    """See `Fit.rows`. The step at which a lane met a NaN is the last of its rows."""
    whole = joined(chunks)
    step, lane = np.indices(whole["total"].shape).astype(int)
    taken = step < steps + ~alive
    return {"step": step[taken], "state": lane[taken], **{name: column[taken] for name, column in whole.items()}}


def history(records: Record, active: int, seconds: float, kept: Sequence[str] | None = None) -> History:
    """The history of the first `active` steps of `records`, whose leaves are (lanes, steps): all columns, or `kept`."""
    total = records.loss
    columns: dict[str, Any] = {**records.losses, "total": total, **records.report, "step_size": records.step_size}
    columns["seconds"] = np.full(total.shape, seconds)
    return {name: np.asarray(columns[name], np.float64).T[:active] for name in kept or columns}


def joined(chunks: Sequence[History]) -> History:
    """One history after the other, of the same lanes."""
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def concatenated(fits: Sequence[Fit]) -> Fit:
    """The lanes of all fits, in order; histories that are shorter than the longest are filled up with NaN."""
    longest = max(len(fit.history["total"]) for fit in fits)

    def column(fit: Fit, name: str) -> np.ndarray:
        values = fit.history[name]
        return np.pad(values, ((0, longest - len(values)), (0, 0)), constant_values=np.nan)

    alive = np.concatenate([fit.alive for fit in fits])
    return Fit(
        # on the host: several devices would keep it in pieces that no longer belong to lanes
        params=jax.tree.map(lambda *leaves: np.concatenate(leaves), *(jax.device_get(fit.params) for fit in fits)),
        start={name: np.concatenate([fit.start[name] for fit in fits]) for name in fits[0].start},
        history={name: np.concatenate([column(fit, name) for fit in fits], axis=1) for name in fits[0].history},
        steps=np.concatenate([fit.steps for fit in fits]), alive=alive,
        seconds={name: sum(fit.seconds[name] for fit in fits) for name in fits[0].seconds},
        status=fits[-1].status if alive.all() else "non-finite", asked=fits[-1].asked,
    )  # fmt: skip
