"""The potentials, by name: `qpinn.potentials.barrier(height=50.0)`."""

from collections.abc import Callable
from typing import Any

from qpinn.physics.potentials.base import Potential, describe
from qpinn.physics.potentials.contacts import delta, delta_comb, two_deltas
from qpinn.physics.potentials.given import expression, layers, sampled
from qpinn.physics.potentials.smooth import (
    anharmonic,
    double_well,
    gaussian_well,
    harmonic,
    linear,
    morse,
    poeschl_teller,
    woods_saxon,
)
from qpinn.physics.potentials.wells import asymmetric_well, barrier, finite_well, infinite_well, kronig_penney

BUILDERS: dict[str, Callable[..., Any]] = {
    "infinite_well": infinite_well,
    "finite_well": finite_well,
    "asymmetric_well": asymmetric_well,
    "barrier": barrier,
    "kronig_penney": kronig_penney,
    "harmonic": harmonic,
    "anharmonic": anharmonic,
    "double_well": double_well,
    "morse": morse,
    "poeschl_teller": poeschl_teller,
    "linear": linear,
    "woods_saxon": woods_saxon,
    "gaussian_well": gaussian_well,
    "delta": delta,
    "two_deltas": two_deltas,
    "delta_comb": delta_comb,
    "layers": layers,
    "expression": expression,
    "sampled": sampled,
}
"""What `potential.name` in a config may say."""

__all__ = [
    "BUILDERS",
    "Potential",
    "anharmonic",
    "asymmetric_well",
    "barrier",
    "delta",
    "delta_comb",
    "describe",
    "double_well",
    "expression",
    "finite_well",
    "gaussian_well",
    "harmonic",
    "infinite_well",
    "kronig_penney",
    "layers",
    "linear",
    "morse",
    "poeschl_teller",
    "sampled",
    "two_deltas",
    "woods_saxon",
]
