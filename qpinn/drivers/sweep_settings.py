"""What a sweep can be told beside the settings of its starts (`configs/sweep.yaml`), checked before it compiles."""

from __future__ import annotations

import dataclasses
from typing import Any

from qpinn.checks import one_of, whole
from qpinn.drivers.settings import Settings

VARIABLE: dict[str, tuple[str, ...]] = {
    "energy.initial": ("energy.name=trainable", "start.name=random"),
    "energy.value": ("energy.name=fixed",),
    "loss.residual": (),
    "loss.norm": (),
    "loss.unit": (),
    "optimizer.learning_rate": ("optimizer.name=adam", "optimizer.name=adam_lbfgs"),
    "optimizer.final": ("optimizer.name=adam", "optimizer.name=adam_lbfgs"),
    "optimizer.damping": ("optimizer.name=levenberg_marquardt",),
}
"""Numbers that may differ between the starts of a sweep, and where each has an effect."""


LAUNCHERS = ("slurm", "distributed")
"""Who can say how many processes a sweep has, and which of them this is."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A sweep over starts.

    block      starts that one device trains at once
    processes  how many share the sweep; "slurm": as the variables of `srun` say; "distributed": as `jax.distributed`
               says, which is initialised for that. Only a TPU of several hosts needs it, to see the devices of a host;
               it was not tried on one
    process    which of them this is, from 0; None: a single one that trains everything
    """

    seeds: int = 64
    block: int | None = None
    devices: int | None = None
    vary: str | None = None
    range: tuple[float, float] | None = None
    processes: int | str | None = None
    process: int | None = None

    def __post_init__(self) -> None:
        whole("sweep.seeds", self.seeds, 1, 10_000_000)
        for key in ("block", "devices"):
            if getattr(self, key) is not None:
                whole(f"sweep.{key}", getattr(self, key), 1, 10_000_000)
        if self.vary is not None and self.vary.startswith("potential."):
            raise ValueError(f"sweep.vary={self.vary}: all starts of a sweep are of one potential; train.py -m "
                             f"{self.vary}=1,2 solves one for each value; allowed: {', '.join(VARIABLE)}")  # fmt: skip
        if self.vary is not None:
            one_of("sweep.vary", self.vary, VARIABLE)
        if (self.vary is None) != (self.range is None):
            raise ValueError(f"sweep.vary={self.vary}: needs sweep.range=[first,last], and the other way round")
        if isinstance(self.processes, int):
            whole("sweep.processes", self.processes, 1, 1_000_000)
        elif self.processes not in (None, *LAUNCHERS):
            raise ValueError(
                f"sweep.processes={self.processes}: must be a whole number from 1, or {' or '.join(LAUNCHERS)}"
            )
        if self.process is not None:
            if not isinstance(self.processes, int):
                raise ValueError(f"sweep.process={self.process}: needs sweep.processes, a whole number from 1")
            whole("sweep.process", self.process, 0, self.processes - 1)

    @property
    def count(self) -> int:
        """How many processes share the sweep; 1 before it is known."""
        return self.processes if isinstance(self.processes, int) else 1

    def check(self, settings: Settings) -> None:
        """Raise a ValueError if what varies has no effect, or takes a value that is not allowed."""
        whole("seed", settings.seed + self.seeds - 1, 0, 2**31 - 1)
        if settings.tol is not None:
            raise ValueError(f"tol={settings.tol}: a sweep trains on one mesh; leave it out")
        if settings.states is not None and not (settings.in_turn and isinstance(settings.states, int)):
            raise ValueError(f"states={settings.states}: a sweep trains one level (state=k); with start=random or "
                             "variational also k in turn (states=k)")  # fmt: skip
        if settings.units.name != "dimensionless":
            raise ValueError(f"units={settings.units.name}: a sweep is dimensionless; leave it out")
        if self.vary is None or self.range is None:
            return
        chosen = {f"{group}.name={getattr(settings, group).name}" for group in ("energy", "start", "optimizer")}
        for condition in VARIABLE[self.vary]:
            same = [other for other in VARIABLE[self.vary] if other.split("=")[0] == condition.split("=")[0]]
            if not chosen & set(same):
                raise ValueError(f"sweep.vary={self.vary}: has an effect only with {' or '.join(same)}")
        for number in self.range:
            with_value(settings, self.vary, number)


def with_value(settings: Settings, key: str, value: float) -> Settings:
    """`settings` with one of the numbers of `VARIABLE` changed, checked like any other."""
    group, name = key.split(".")
    choice = getattr(settings, group)
    change: dict[str, Any] = {name: value} if group != "optimizer" else {"numbers": {**choice.numbers, name: value}}
    return dataclasses.replace(settings, **{group: dataclasses.replace(choice, **change)})
