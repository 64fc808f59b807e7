"""Errors of what was trained against a reference, as far as it can vouch for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float

from qpinn.analysis import observables
from qpinn.analysis.observables import State
from qpinn.bounds import certify
from qpinn.physics.reference import Eigenstates

VOUCHED = 1e-3
"""Largest relative error of a reference level for which errors against it are stated."""

VOUCHED_PSI = 0.1
"""The same for its psi, in the L2 norm."""

SEPARATE = 1e-9
"""Spacing of levels, relative to them, below which psi of one is any mixture of both: nothing is said of it."""

ROUNDING = 1e-9
"""Relative error of a reference level below which differences from it are stated even where they are smaller."""

ROUNDING_PSI = 1e-7
"""The same for its psi."""


class Functions(Protocol):
    """K functions psi (K, n) on n points x, (n,) or (n, d), of a quadrature."""

    @property
    def x(self) -> Float[np.ndarray, "n *d"]: ...

    @property
    def psi(self) -> Float[np.ndarray, "K n"]: ...

    @property
    def weight(self) -> Float[np.ndarray, "n"]: ...


def within_brackets(levels: Eigenstates, low: Float[np.ndarray, "n"], high: Float[np.ndarray, "n"]) -> Eigenstates:
    """The reference, its errors raised to its distance from the brackets low, high (n,) of the lowest levels.

    The brackets come from counting levels, independently of the reference: had it missed one, all above it would be
    shifted.
    """
    count = min(len(low), len(levels.energies))
    outside = np.zeros(len(levels.energies))
    outside[:count] = np.maximum(low[:count] - levels.energies[:count], levels.energies[:count] - high[:count])
    outside = np.maximum(outside, 0.0)
    wrong = outside > levels.errors
    return dataclasses.replace(
        levels, errors=np.maximum(levels.errors, outside),
        psi_errors=np.where(wrong, np.sqrt(2.0), levels.psi_errors),
    )  # fmt: skip


def vouched(levels: Eigenstates) -> Bool[np.ndarray, "k"]:
    """Which energies (k,) of a reference are known well enough to state errors against them."""
    return np.asarray(levels.errors <= VOUCHED * certify.scale(levels.energies))


def degenerate(levels: Eigenstates) -> Bool[np.ndarray, "k k"]:
    """Which levels of a reference are as good as one, so that psi of each is any mixture; each with itself."""
    return np.asarray(np.abs(levels.energies - levels.energies[:, None]) <= SEPARATE * certify.scale(levels.energies))


def of_energy(energies: Any, levels: Eigenstates, index: int) -> Float[np.ndarray, "..."]:
    """Relative errors of energies (...) against level `index`; NaN within the error of the reference."""
    scale = float(certify.scale(levels.energies)[index])
    off = np.abs(np.asarray(energies, np.float64) - levels.energies[index])
    stated = vouched(levels)[index] & ((levels.errors[index] <= ROUNDING * scale) | (off > levels.errors[index]))
    return np.where(stated, off / scale, np.nan)


def of_psi(
    psi: Float[np.ndarray, "n"],
    weight: Float[np.ndarray, "n"],
    levels: Eigenstates,
    index: int,
    exact: Float[np.ndarray, "n"],
) -> float:
    """L2 error of psi (n,) against `exact` (n,), psi of level `index`; NaN within the error of the reference."""
    off, doubt = float(observables.l2_error(psi, exact, weight)), float(levels.psi_errors[index])
    stated = doubt <= VOUCHED_PSI and (doubt <= ROUNDING_PSI or off > doubt)
    return off if stated and vouched(levels)[index] else np.nan


def against(states: Sequence[State], fine: Functions, levels: Eigenstates, groups: bool = False) -> list[State]:
    """The states with their errors against the reference, from their functions `fine`. All dimensionless.

    groups  whether a function belongs to a degenerate level as far as it lies among its psi; else nothing is said there
    """
    scale = certify.scale(levels.energies)
    alike = degenerate(levels)
    single = alike.sum(axis=0) == 1
    exact, sure = levels.psi(fine.x), vouched(levels) & np.where(single, levels.psi_errors <= VOUCHED_PSI, groups)
    compared = []
    for state, psi in zip(states, fine.psi, strict=True):
        index = state.index
        referred = dataclasses.replace(
            state, energy_reference=float(levels.energies[index]) if vouched(levels)[index] else None
        )
        if state.outcome in ("psi = 0", "non-finite"):
            compared.append(referred)
            continue
        energy, start, rayleigh = (
            stated(of_energy(value, levels, index))
            for value in (state.energy, state.energy_start, state.energy_rayleigh)
        )
        overlaps = observables.overlaps_with(psi, exact, fine.weight)
        if groups:
            overlaps = np.sqrt(overlaps**2 @ alike)
        nearest = int(np.argmax(overlaps))
        nearest = index if groups and alike[nearest, index] else nearest
        ended = state.outcome
        if sure[index] and sure[nearest]:
            off = (state.energy - levels.energies[nearest]) / scale[nearest]
            ended = observables.outcome(state.norm, nearest, float(overlaps[nearest]), float(off), index)
        compared.append(dataclasses.replace(
            referred, relative_error_energy=energy, relative_error_energy_start=start,
            relative_error_energy_rayleigh=rayleigh, outcome=ended,
            relative_l2_psi=stated(of_psi(psi, fine.weight, levels, index, exact[index])) if single[index] else None,
            overlaps=overlaps.tolist() if sure[index] and sure[nearest] else None,
        ))  # fmt: skip
    return compared


def stated(error: Any) -> float | None:
    """NaN as None."""
    return float(error) if np.isfinite(error) else None
