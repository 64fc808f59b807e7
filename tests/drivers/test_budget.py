"""Memory and mappings: what does not fit is said before, and many problems in one process do not end it."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

import qpinn
from qpinn.drivers import budget, settings
from qpinn.drivers.mapping import from_mapping

LINUX = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux alone counts mappings")


@LINUX
def test_there_is_no_more_room_than_a_limit_leaves(monkeypatch):
    free = budget.room()
    assert 0 < free <= budget.MOST_BYTES
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (taken + 2**20, taken + 2**20))
    assert budget.room() <= 2**20
    with pytest.raises(ValueError, match=r"network\.width=20, network\.depth=1: 1 states in 8 segments with"):
        budget.check(from_mapping(settings.Settings, {"network": {"width": 20}}), 8, 1)


def _mappings():
    return len(Path("/proc/self/maps").read_text().splitlines())


@LINUX
def test_programmes_are_forgotten_before_there_are_too_many(monkeypatch, tmp_path):
    """With as many mappings allowed as there are now, some are let go with every new problem."""
    counts = []
    for number in range(4):
        limit = tmp_path / "limit"
        limit.write_text(str(_mappings()))
        monkeypatch.setattr(budget, "MAPPINGS", limit)
        qpinn.solve(qpinn.potentials.barrier(height=10.0 + number), network={"width": 5 + number}, states=2)
        counts.append(_mappings())
    assert max(counts[1:]) <= counts[0] * 1.1
