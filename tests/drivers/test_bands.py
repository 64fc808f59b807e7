"""Bands against exact levels: of a free particle, of Mathieu's equation, of a comb of deltas."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import mathieu_a, mathieu_b
from tests_support import call

from qpinn import potentials
from qpinn.drivers.bands import bands


@pytest.mark.long
def test_a_free_particle_has_folded_parabolas():
    """Without V bands touch: bounds hold there too, of pairs of levels."""
    result = bands(potentials.infinite_well(), 4, 5)
    levels = np.array([np.sort((theta + 2 * np.pi * np.arange(-4, 5)) ** 2)[:4] for theta in result.theta])
    np.testing.assert_allclose(result.energies, levels, atol=1e-10)
    assert (result.lower <= levels).all()
    assert (levels <= result.upper).all()
    assert (result.gaps[:, 1] - result.gaps[:, 0] < 1e-6).all()


@pytest.mark.parametrize("network", [{"activation": "selu"}, {"scale": 300.0}])
def test_what_is_not_in_the_domain_of_h_or_not_resolved_has_no_bounds(network):
    """SELU has kinks; large weights make jumps between all points."""
    result = bands(potentials.infinite_well(), 2, 2, network=network)
    assert np.isnan(result.lower).all()
    assert np.isnan(result.upper).all()


def test_the_lowest_level_of_a_ring_is_inside_its_bounds_though_it_is_zero():
    result = bands(potentials.infinite_well(), 2, 2)
    assert result.lower[0, 0] <= 0 <= result.upper[0, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"states": 3}, "states=3: means nothing for bands"),
        ({"tol": 1e-6}, "tol=1e-06: means nothing for bands"),
        ({"ends": {"left": "free"}}, "ends.left=free, ends.right=wall: bands have periodic ends"),
        ({"sampling": {"name": "uniform"}}, "sampling.name=uniform: bands need gauss_legendre"),
        ({"ansatz": "envelope", "start": "random"}, "ansatz=piecewise start=ritz"),
        ({"network": {"width": 4000}}, "network.width=4000"),
    ],
)
def test_settings_that_mean_nothing_for_bands_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        bands(potentials.infinite_well(), 2, 2, **settings)


def test_band_edges_of_mathieu():
    q = 3.0
    result = bands(potentials.expression([0, np.pi], f"{2 * q}*cos(2*x)"), 3, 3)
    edges = [[mathieu_a(0, q), mathieu_b(2, q), mathieu_a(2, q)], [mathieu_b(1, q), mathieu_a(1, q), mathieu_b(3, q)]]
    np.testing.assert_allclose(result.energies[[0, -1]], edges, rtol=1e-10)
    assert (result.lower[[0, -1]] <= edges).all()
    assert (edges <= result.upper[[0, -1]]).all()
    assert (result.upper - result.lower < 1e-7).all()


@pytest.mark.parametrize("strength", [pytest.param(6.0, marks=pytest.mark.long), -3.0])
def test_kronig_and_penney(strength):
    """cos(theta) = cos(q) + alpha / (2 q) sin(q), for deltas alpha at every whole number."""
    result = bands(potentials.delta([0, 1], center=0.4, strength=strength), 3, 7)

    def trace(energies):
        q = np.sqrt(np.asarray(energies, complex))
        return (np.cos(q) + strength / 2 * np.sinc(q / np.pi)).real

    np.testing.assert_allclose(
        trace(result.energies), np.broadcast_to(np.cos(result.theta)[:, None], (7, 3)), atol=1e-9
    )
    inside = (trace(result.lower) - np.cos(result.theta)[:, None]) * (
        trace(result.upper) - np.cos(result.theta)[:, None]
    )
    assert (inside[1:-1] <= 0).all()  # a root between the bounds; at 0 and pi the trace only touches +-1


@pytest.mark.parametrize(
    ("potential", "numbers", "message"),
    [
        (potentials.harmonic(), {}, "harmonic has no period"),
        (potentials.infinite_well(), {"count": 0}, "bands.count=0: must be a whole number from 1 to 32"),
        (potentials.infinite_well(), {"phases": 1}, "bands.phases=1: must be a whole number from 2 to"),
    ],
)
def test_bands_that_cannot_be_are_refused(potential, numbers, message):
    with pytest.raises(ValueError, match=message):
        bands(potential, **numbers)


def test_the_script_writes_bands_and_a_figure(tmp_path):
    ended = call("bands", "potential=delta", "potential.domain=[0,1]", "potential.center=0.5", "potential.strength=6",
                 "bands.count=2", "bands.phases=5", f"output={tmp_path}")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (folder,) = tmp_path.iterdir()
    summary = json.loads((folder / "bands.json").read_text())
    assert (summary["task"], summary["schema"]) == ("bands", 1)
    assert len((folder / "bands.csv").read_text().splitlines()) == 11
    assert {"bands.png", "bands.svg", "config.yaml"} <= {path.name for path in folder.iterdir()}
    assert "10 of 10 levels with bounds" in ended.stdout
