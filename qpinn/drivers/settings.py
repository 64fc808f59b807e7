"""What a run can be told: one frozen dataclass per group of `configs/`, checked before anything compiles.

Every fault is a `ValueError` of one line that names the key as a user writes it, the value, and what is allowed.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from qpinn.checks import finite, one_of, positive, shown, suggestion, whole
from qpinn.drivers.ends_choice import EndsChoice
from qpinn.drivers.mapping import NONE, converted, from_mapping
from qpinn.equations.eigenvalue import ENERGY_MODES
from qpinn.physics import units
from qpinn.physics.potentials import BOXES, BUILDERS
from qpinn.physics.potentials.base import dimension
from qpinn.physics.potentials.combined import combined
from qpinn.training.optimizers import OPTIMIZERS
from qpinn.wavefunctions.ansatz import ANSATZE
from qpinn.wavefunctions.networks import INITIALIZATIONS, activation, check_initialization


@dataclasses.dataclass(frozen=True)
class Network:
    """A fully connected network: `depth` hidden layers of `width` units (none: 12, or 20 if they are shared).

    shared  one network for all levels, each with its own linear parameters, and hidden units as they were drawn;
            otherwise every level trains a network of its own (none: shared for more than 16 levels, or more than 256
            segments)
    """

    width: int | None = None
    depth: int = 1
    activation: str = "tanh"
    init: str = "spread"
    scale: float = 1.0
    shared: bool | None = None
    NAMED: ClassVar[dict[str, dict[str, Any]]] = {"mlp": {}, "shared": {"shared": True}}

    def __post_init__(self) -> None:
        if self.width is not None:
            whole("network.width", self.width, 1, 4096)
        whole("network.depth", self.depth, 1, 64)
        activation(self.activation)
        one_of("network.init", self.init, INITIALIZATIONS)
        positive("network.scale", self.scale)
        check_initialization(self.init, self.activation)


@dataclasses.dataclass(frozen=True)
class AnsatzChoice:
    """The trial function; `phase` is the longest segment of `piecewise` in radians of psi or decay lengths (none: 1,
    or 3 for a shared network).

    parity  auto: where V is even, networks on the left half alone and psi(-x) = +-psi(x) (from a Ritz start, on
            Gauss-Legendre points); none: never
    """

    name: str = "piecewise"
    phase: float | None = None
    parity: str = "auto"

    def __post_init__(self) -> None:
        one_of("ansatz.name", self.name, ANSATZE)
        one_of("ansatz.parity", self.parity, ("auto", "none"))
        if self.phase is not None and not 0.05 <= positive("ansatz.phase", self.phase) <= 100:
            raise ValueError(f"ansatz.phase={self.phase:g}: must lie from 0.05 to 100")


@dataclasses.dataclass(frozen=True)
class Energy:
    """How E is found. `value` is for fixed (none: the exact level), `initial` for trainable from a random start."""

    name: str = "trainable"
    value: float | None = None
    initial: float = 1.0

    @property
    def to_reference(self) -> bool:
        """Whether E is fixed to the exact level."""
        return self.name == "fixed" and self.value is None

    def __post_init__(self) -> None:
        one_of("energy.name", self.name, ENERGY_MODES)
        finite("energy.initial", self.initial)
        if self.value is not None:
            finite("energy.value", self.value)


@dataclasses.dataclass(frozen=True)
class OptimizerChoice:
    """The optimiser, `steps`, `chunk` (steps between two looks at the progress), and its numbers; none: its defaults.
    Among products of several coordinates, a number of steps trains the hidden units of every axis, and none leaves them
    as they were drawn.

    Each optimiser says which `numbers` it has, in a file of its own in `qpinn.training.optimizers`; those that are not
    given have its defaults, and numbers of another optimiser are refused.
    """

    name: str = "levenberg_marquardt"
    steps: int | None = None
    chunk: int | None = None
    numbers: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("optimizer.name", self.name, OPTIMIZERS)
        if self.steps is not None:
            whole("optimizer.steps", self.steps, 1, 100_000_000)
        if self.chunk is not None:
            whole("optimizer.chunk", self.chunk, 1, 1_000_000)
        every = {key: value for entry in OPTIMIZERS.values() for key, value in entry.numbers.items()}
        defaults = OPTIMIZERS[self.name].numbers
        for key, value in self.numbers.items():
            name = f"optimizer.{key}"
            if key not in every:
                names = ("name", "steps", "chunk", *defaults)
                raise ValueError(f"{name}={value}: unknown key; {suggestion(key, names)}allowed: {', '.join(names)}")
            converted(name, value, type(every[key]))
            if isinstance(every[key], float):
                positive(name, float(value))
            elif isinstance(every[key], int):
                whole(name, value, 0, 100_000_000)
        numbers = {key: type(value)(self.numbers.get(key, value)) for key, value in defaults.items()}
        object.__setattr__(self, "numbers", numbers)
        self.build(1)

    def build(self, steps: int) -> Any:
        """The optimiser of a training of `steps`."""
        return OPTIMIZERS[self.name].build(self.numbers, steps)


@dataclasses.dataclass(frozen=True)
class SamplingChoice:
    """Where the residual is taken: `points` in each segment (gauss_legendre, random) or in the domain (uniform)."""

    name: str = "gauss_legendre"
    points: int = 40

    def __post_init__(self) -> None:
        one_of("sampling.name", self.name, ("gauss_legendre", "uniform", "random"))
        whole("sampling.points", self.points, 2, 1000 if self.name == "gauss_legendre" else 1_000_000)


@dataclasses.dataclass(frozen=True)
class Loss:
    """Weights of the terms.

    orthogonality  of sum_j <psi_j|psi>^2 over the states below, for states that are trained in turn
    unit           energy that the residual is divided by; None: `physics.resolution.energy_unit`
    """

    residual: float = 1.0
    norm: float = 1000.0
    orthogonality: float = 1000.0
    unit: float | None = None

    def __post_init__(self) -> None:
        positive("loss.residual", self.residual)
        for key in ("norm", "orthogonality"):
            if finite(f"loss.{key}", getattr(self, key)) < 0:
                raise ValueError(f"loss.{key}={getattr(self, key):g}: must not be negative")
        if self.unit is not None:
            positive("loss.unit", self.unit)


@dataclasses.dataclass(frozen=True)
class Start:
    """Where training starts.

    random       random parameters as they are
    ritz         a Rayleigh-Ritz solve on those in which psi is linear
    variational  from random ones, `steps` of Adam from `learning_rate` on the Rayleigh quotient; no linear solve
    """

    name: str = "ritz"
    steps: int = 5000
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        one_of("start.name", self.name, ("random", "ritz", "variational"))
        whole("start.steps", self.steps, 1, 1_000_000)
        positive("start.learning_rate", self.learning_rate)


@dataclasses.dataclass(frozen=True)
class UnitsChoice:
    """Units of the potential's numbers and of the results, see `qpinn.physics.units`.

    mass      of the particle; or masses, of two of which one moves about the other: m = m_1 m_2 / (m_1 + m_2)
    constant  of a rotor, B = hbar^2 / (2 I)
    """

    name: str = "dimensionless"
    mass: float | None = None
    masses: tuple[float, float] | None = None
    length: str | None = None
    energy: str | None = None
    mass_unit: str | None = None
    constant: float | None = None
    ONLY: ClassVar[dict[str, tuple[str, ...]]] = {
        **dict.fromkeys(("mass", "masses", "length", "mass_unit"), ("semiconductor", "atomic", "spectroscopic")),
        "energy": ("semiconductor", "atomic", "spectroscopic", "rotor"), "constant": ("rotor",),
    }  # fmt: skip

    def __post_init__(self) -> None:
        one_of("units.name", self.name, units.SYSTEMS)
        for key, systems in self.ONLY.items():
            value = getattr(self, key)
            if value is not None and self.name not in systems:
                shown = list(value) if isinstance(value, tuple) else value
                allowed = " or ".join(filter(None, [", ".join(systems[:-1]), systems[-1]]))
                raise ValueError(f"units.{key}={shown}: has an effect only with units={allowed}")
        if self.name == "rotor":
            if self.constant is None:
                raise ValueError("units.constant=null: a rotor needs its constant B, in the unit of energy")
            positive("units.constant", self.constant)
        if self.mass is not None and self.masses is not None:
            raise ValueError(f"units.mass={self.mass:g}: and units.masses={list(self.masses)}; give one of the two")
        in_kg = units.of(self.name, 1.0, self.length, self.energy, self.mass_unit, self.constant).mass == "kg"
        if in_kg and self.mass is None and self.masses is None:
            raise ValueError("units.mass=null: units.mass_unit=kg needs the mass of the particle; layers have their "
                             "own, in m_e or amu")  # fmt: skip
        least, most = units.MASSES_IN_KG if in_kg else (1e-6, 1e6)
        for key, mass in (("mass", self.mass), *(("masses", mass) for mass in self.masses or ())):
            if mass is not None and not least <= finite(f"units.{key}", mass) <= most:
                raise ValueError(f"units.{key}={mass:g}: must lie from {least:.3g} to {most:.3g}")

    @property
    def particle(self) -> float | None:
        """The mass that was given, or the reduced one of two."""
        if self.masses is None:
            return self.mass
        first, second = self.masses
        return first * second / (first + second)

    @property
    def units(self) -> units.Units:
        return units.of(self.name, self.particle or 1.0, self.length, self.energy, self.mass_unit, self.constant)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything but the potential. The defaults are the accurate route.

    states  how many of the lowest levels, or "all" bound ones; state: the index of a single one; neither: the lowest
    """

    network: Network = Network()
    ansatz: AnsatzChoice = AnsatzChoice()
    energy: Energy = Energy()
    optimizer: OptimizerChoice = OptimizerChoice()
    sampling: SamplingChoice = SamplingChoice()
    loss: Loss = Loss()
    start: Start = Start()
    units: UnitsChoice = UnitsChoice()
    ends: EndsChoice = dataclasses.field(default_factory=EndsChoice)
    states: int | str | None = None
    state: int | None = None
    tol: float | None = None
    seed: int = 0
    precision: str = "float64"

    def __post_init__(self) -> None:
        whole("seed", self.seed, 0, 2**31 - 1)
        self._check_states()
        one_of("precision", self.precision, ("float64", "float32"))
        if not self.ends.walls and self.ansatz.name != "piecewise":
            raise ValueError(f"{self.ends.said}: the envelope of "
                             f"ansatz.name={self.ansatz.name} vanishes at both ends; allowed: piecewise")  # fmt: skip
        if self.units.units.length == "m" and (self.start.name, self.optimizer.name) != FAR:
            raise ValueError(f"units.length=m: start.name={self.start.name} optimizer.name={self.optimizer.name} takes "
                             "steps of order one, and psi and E in metres are far from that; allowed: start=ritz with "
                             "optimizer=levenberg_marquardt, or units.length=nm")  # fmt: skip
        if self.ends.axes is None and not self.ends.of_axes(1)[0].real:
            raise ValueError(f"ends.theta={self.ends.theta:g}: makes psi complex; allowed here: 0 and pi (bands for "
                             "all others: scripts/bands.py)")  # fmt: skip
        if self.sampling.name == "random" and self.optimizer.name == "levenberg_marquardt":
            raise ValueError("sampling.name=random: optimizer.name=levenberg_marquardt compares losses, so it needs "
                             "the same points in every step; allowed: gauss_legendre, uniform")  # fmt: skip

    def _check_states(self) -> None:
        if self.states is not None and self.states != "all":
            if isinstance(self.states, str):
                raise ValueError(f"states={self.states}: must be a whole number from 1 to {MOST_STATES}, or all")
            whole("states", self.states, 1, MOST_STATES)
        if self.tol is not None:
            least = REACH.get(self.precision, 0.0)
            if not least <= finite("tol", self.tol) < 1:
                raise ValueError(f"tol={self.tol:g}: must lie below 1, and from {least:g} for {self.precision}")
        if self.state is not None:
            whole("state", self.state, 0, MOST_STATES - 1)
            if self.states is not None:
                raise ValueError(f"state={self.state}: one level by its index, and states={self.states}: the lowest "
                                 "ones; leave out one of them")  # fmt: skip
        if self.network.shared and not self.may_share:
            raise ValueError("network.shared=true: is a basis for a projected solve; allowed with it: "
                             "ansatz=piecewise start=ritz")  # fmt: skip
        if self.start.name == "ritz":
            return
        if self.tol is not None:
            raise ValueError(f"tol={self.tol}: start.name={self.start.name} trains to no tolerance; allowed with it: "
                             "start=ritz")  # fmt: skip

    @property
    def shared(self) -> bool:
        """Whether one network serves all levels."""
        many = isinstance(self.states, int) and self.states > MOST_LANES
        return many and self.may_share if self.network.shared is None else self.network.shared

    @property
    def may_share(self) -> bool:
        """Whether one network can serve all levels: it is a basis for a projected solve."""
        return self.ansatz.name == "piecewise" and self.start.name == "ritz"

    @property
    def width(self) -> int:
        """Units of a hidden layer."""
        return self.network.width or (20 if self.shared else 12)

    @property
    def phase(self) -> float:
        """The longest segment, in radians of psi or decay lengths."""
        return self.ansatz.phase or (3.0 if self.shared else 1.0)

    @property
    def by_parity(self) -> bool:
        """Whether the symmetry of an even potential is built into psi."""
        piecewise = self.ansatz.name == "piecewise" and self.ansatz.parity == "auto"
        return piecewise and self.start.name == "ritz" and self.sampling.name == "gauss_legendre"

    @property
    def level(self) -> int:
        """Index of the highest level that was asked for."""
        return (self.state or 0) if self.states is None else int(self.states) - 1

    @property
    def in_turn(self) -> bool:
        """Whether states are trained one after the other, each orthogonal to those below, instead of each by itself."""
        return self.start.name != "ritz" and self.states is not None


def of_keywords(keywords: Mapping[str, Any], own: Mapping[str, Collection[str]] = NONE) -> Settings:
    """Settings from the keyword arguments of a function that has its `own` as well, some of them groups of keys.

    Raises ValueError, with what may have been meant, for an unknown one.
    """
    numbers = {key for entry in OPTIMIZERS.values() for key in entry.numbers}
    return from_mapping(Settings, keywords, beside={"optimizer": numbers, **own})


MOST_STATES = 256

FAR = ("ritz", "levenberg_marquardt")
"""The start and the optimiser that reach numbers of psi and E of any size."""

MOST_LANES = 16
"""Levels beyond which they share a network by default: measured (docs/many.md), bounds within 1e-8 in less time."""

REACH = {"float64": 1e-13, "float32": 1e-3}
"""The smallest tolerance that the rounding of each precision leaves room for, whatever the potential: in float32 the
half-width of a bound is 1e-5 to 4e-4 of the level (a pair of deltas), and no mesh makes it less."""


@dataclasses.dataclass(frozen=True)
class BandsChoice:
    """How many bands, and at how many Bloch phases k a from 0 to pi."""

    count: int = 4
    phases: int = 33

    def __post_init__(self) -> None:
        whole("bands.count", self.count, 1, 32)
        whole("bands.phases", self.phases, 2, 1000)  # 0 and pi, where bands end


MOST_POINTS = 10_000
"""Of a number that is varied: at about 25 of them a second they take seven minutes."""


@dataclasses.dataclass(frozen=True)
class VaryChoice:
    """Which number of the potential varies, between which values, and at how many of them, evenly."""

    vary: str | None = None
    range: tuple[float, float] | None = None
    points: int = 41

    def __post_init__(self) -> None:
        whole("points", self.points, 2, MOST_POINTS)
        for entry in self.range or ():
            finite("range", entry)
        if self.vary is None:
            raise ValueError("vary=null: must name a number of the potential, as in vary=potential.width range=[1,3]")
        if self.range is None:
            raise ValueError("range=null: must be the first and the last value, as in range=[1,3]")
        if self.range[0] >= self.range[1]:
            first, last = self.range
            raise ValueError(f"range=[{first:g},{last:g}]: must be [first,last], the first smaller than the last")

    @property
    def values(self) -> np.ndarray:
        """The values (points,)."""
        return np.linspace(*self.range or (0.0, 0.0), self.points)


def built(group: str, builders: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """What a group of the configuration names, by the builder of that name.

    Raises ValueError for an unknown name, key or number.
    """
    one_of(f"{group}.name", values.get("name"), builders)
    builder = builders[values["name"]]
    keys = list(inspect.signature(builder).parameters)
    numbers = {key: value for key, value in values.items() if key != "name"}
    for key, value in numbers.items():
        if key not in keys:
            hint = suggestion(str(key), keys)
            raise ValueError(f"{group}.{key}={value}: unknown key; {hint}allowed: {', '.join(keys) or 'none'}")
    return builder(**numbers)


def build_potential(values: Mapping[str, Any], more: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """The potential that the `potential` group names, with what the group `hamiltonian` says."""
    return with_terms(built("potential", {**BUILDERS, **BOXES}, values), more)


TERMS = ("deltas", "mass")
"""Keys of the group `hamiltonian`."""


def with_terms(potential: Any, more: Mapping[str, Any]) -> Any:
    """`potential` with the deltas and the mass of the group `hamiltonian`. Raises ValueError as `combined`."""
    if not isinstance(more, Mapping):
        raise ValueError(f"hamiltonian={shown(more)}: must be a group of keys; allowed: deltas, mass")
    for key in more:
        one_of("hamiltonian", key, TERMS)
    if dimension(potential) > 1:
        for key, value in more.items():
            if value is not None and not (isinstance(value, Sequence | Mapping) and not len(value)):
                hint = "; the masses of its axes are potential.masses" if key == "mass" else ""
                raise ValueError(f"hamiltonian.{key}={shown(value)}: potential={potential.name} has "
                                 f"{potential.dimension} coordinates; allowed on a line alone{hint}")  # fmt: skip
        return potential
    try:
        return combined(potential, **more)
    except ValueError as error:
        raise ValueError(f"hamiltonian.{error}") from None
