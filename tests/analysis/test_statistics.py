"""Statistics of a sweep against cases computed by hand."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from qpinn.analysis import statistics
from qpinn.runs import sweep_folder

NUMBER = {
    "right": {"norm": 1.0, "nearest": 0, "overlap": 0.99, "off_nearest": 0.0},
    "wrong": {"norm": 1.0, "nearest": 2, "overlap": 0.95, "off_nearest": 0.01},
    "zero": {"norm": 1e-3, "nearest": 0, "overlap": 0.99, "off_nearest": 0.0},
    "lost": {"norm": 1.0, "nearest": 0, "overlap": 0.6, "off_nearest": 0.0},
    "nan": {"norm": 1.0, "nearest": 0, "overlap": 0.99, "off_nearest": 0.0},
}


def _columns(kinds, loss, error):
    columns = {name: np.array([NUMBER[kind][name] for kind in kinds]) for name in NUMBER["right"]}
    n = len(kinds)
    asked = np.full(n, 10)
    steps = np.where([kind == "nan" for kind in kinds], 4, asked)
    names = ("energy", "energy_start", "energy_rayleigh", "relative_error_energy")
    return {
        **columns, **{name: np.ones(n) for name in names}, "relative_l2_psi": np.array(error), "loss": np.array(loss),
        **{name: np.zeros(n, int) for name in ("index", "node_count")}, "number": np.arange(n), "steps": steps,
        "asked": asked,
        "seconds": np.full(n, 2.0), "energies": np.ones((n, 3)),
        **{f"steps_to_{t:.0e}": np.where(np.arange(n) == 0, 5.0, np.nan) for t in statistics.TOLERANCES},
    }  # fmt: skip


KINDS = ["right", "right", "wrong", "zero", "lost", "nan"]
COLUMNS = _columns(KINDS, [1e-3, 1e-2, 2e-3, 1e-9, 5.0, np.nan], [0.1, 0.2, 1.4, 1.0, 0.9, 0.7])


def test_each_outcome():
    expected = ["right state", "right state", "wrong state", "psi = 0", "not converged", "non-finite"]
    assert statistics.outcomes(COLUMNS).tolist() == expected


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(8, 10, 0.49016, 0.94332), (0, 16, 0.0, 0.19361), (16, 16, 0.80639, 1.0), (1, 2, 0.09453, 0.90547)],
)
def test_wilsons_interval(count, total, low, high):
    """From (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) with z = 1.959964."""
    np.testing.assert_allclose(statistics.wilson(count, total), [low, high], atol=2e-5)
    z, p = 1.959963984540054, count / total
    middle, reach = p + z**2 / (2 * total), z * np.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    exact = (middle + np.array([-1, 1]) * reach) / (1 + z**2 / total)
    np.testing.assert_allclose(statistics.wilson(count, total), exact, atol=1e-12)


def test_statistics_of_six_starts():
    found = statistics.statistics(COLUMNS)
    assert found["starts"] == 6
    assert found["success"]["count"] == 2
    assert found["success"]["rate"] == 2 / 6
    assert found["outcomes"] == {
        "right state": 2, "wrong state": 1, "psi = 0": 1, "not converged": 1, "diverged": 0, "non-finite": 1,
    }  # fmt: skip
    assert found["nearest_level"] == {"0": 2, "2": 1}
    assert found["lowest_loss"] == {"number": 3, "outcome": "psi = 0"}  # the lowest loss is the collapsed one
    assert found["not_finite"] == [[5, 5]]
    assert found["reached"]["1e-02"]["count"] == 1
    np.testing.assert_allclose(found["relative_l2_psi"]["median"], (0.7 + 0.9) / 2)


def test_ranks():
    loss, error = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0, 100.0, 1e4])
    assert statistics.rank_correlation(loss, error) == pytest.approx(1.0)
    assert statistics.rank_correlation(loss, -error) == pytest.approx(-1.0)
    swapped = np.array([1.0, 100.0, 10.0, 1e4])  # 1 - 6 * (1 + 1) / (4 * 15)
    assert statistics.rank_correlation(loss, swapped) == pytest.approx(0.8)
    assert statistics.rank_correlation(loss, np.ones(4)) is None
    assert statistics.rank_correlation(np.array([1.0, np.nan, 2.0]), error[:3]) is None


def test_quantiles_leave_out_what_is_not_finite():
    assert statistics.quantiles(np.array([np.nan, np.inf])) is None
    spread = statistics.quantiles(np.array([4.0, np.nan, 0.0, 2.0, 1.0, 3.0]))
    assert (spread["min"], spread["25%"], spread["median"], spread["75%"], spread["max"]) == (0, 1, 2, 3, 4)


def test_the_table_has_a_row_for_each_seed(tmp_path):
    sweep_folder.write_table(tmp_path, COLUMNS, 100, np.linspace(0, 25, 6), "energy.initial")
    rows = list(csv.DictReader((tmp_path / "seeds.csv").read_text().splitlines()))
    assert [int(row["seed"]) for row in rows] == list(range(100, 106))
    assert [float(row["energy.initial"]) for row in rows] == [0, 5, 10, 15, 20, 25]
    assert rows[0]["seconds_to_1e-02"] == "1"  # 5 of 10 steps of 2 seconds
    assert rows[1]["seconds_to_1e-02"] == ""
    assert [row["not_finite_at_step"] for row in rows] == ["", "", "", "", "", "5"]


def test_blocks_come_back_in_order_and_once(tmp_path):
    columns = {name: values[:4] for name, values in COLUMNS.items()}
    for part in ([2, 3], [0, 1], [1, 2]):
        chosen = {name: values[part] for name, values in columns.items()}
        sweep_folder.write_block(tmp_path, chosen, np.array([0, 5, 9]))
    back, frames = sweep_folder.read_blocks(tmp_path)
    np.testing.assert_array_equal(back["number"], [0, 1, 2, 3])
    np.testing.assert_array_equal(back["loss"], columns["loss"])
    np.testing.assert_array_equal(frames, [0, 5, 9])
    np.testing.assert_array_equal(sweep_folder.finished(tmp_path, 6), [True] * 4 + [False] * 2)
