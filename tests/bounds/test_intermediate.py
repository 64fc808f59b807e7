"""Counts of levels of H_0 + V' by inertia, against matrices whose levels are known."""

from __future__ import annotations

import numpy as np
import pytest

from qpinn.bounds.intermediate import SPLIT, Intermediate


def _problem(seed, size=40, kept=25):
    """H_0 (diagonal), V' >= 0, and what `Intermediate` makes of them for m random functions p."""
    rng = np.random.default_rng(seed)
    energies = np.sort(rng.uniform(0, 20, size))
    root = rng.normal(size=(size, size)) * 0.3
    v = root @ root.T
    return energies, v, kept


def _intermediate(energies, v, kept, p):
    felt = v @ p
    sizes, directions = np.linalg.eigh(p.T @ felt)
    lift = felt @ (directions / np.sqrt(sizes))
    return Intermediate(energies=energies[:kept], lift=lift[:kept], beyond=lift[kept:].T @ lift[kept:],
                        tau=float(energies[kept]))  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_no_level_is_missed(seed):
    energies, v, kept = _problem(seed)
    exact = np.linalg.eigvalsh(np.diag(energies) + v)
    p = np.random.default_rng(100 + seed).normal(size=(len(energies), 1 + seed % 7))
    below = _intermediate(energies, v, kept, p)
    for level in np.linspace(energies[0] - 1, below.tau - 1e-6, 50):
        assert below.count(level) >= (exact < level).sum()


def test_it_is_close_where_the_functions_are_those_of_h():
    energies, v, kept = _problem(7, kept=39)
    exact, functions = np.linalg.eigh(np.diag(energies) + v)
    below = _intermediate(energies, v, kept, np.concatenate([functions[:, :6], np.eye(40)[:, :20]], axis=1))
    for k in range(5):
        assert below.count(exact[k] - 1e-9 - SPLIT * 40 - 0.05) == k


def test_no_count_is_given_above_tau():
    energies, v, kept = _problem(1)
    below = _intermediate(energies, v, kept, np.eye(len(energies))[:, :3])
    with pytest.raises(ValueError, match="tau"):
        below.count(below.tau)
