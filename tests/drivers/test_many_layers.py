"""Hundreds of layers: their levels come from a sparse problem, with bounds like those of a few."""

import numpy as np
import pytest

import qpinn
from qpinn import potentials
from qpinn.physics import reference


def random_layers(count, seed, **more):
    rng = np.random.default_rng(seed)
    offset = rng.choice([0.0, 0.1, 0.2, 0.3], count)
    return potentials.layers(thickness=rng.uniform(1, 6, count), offset=offset, mass=0.067 + 0.083 * offset, **more)


@pytest.mark.parametrize(("count", "field"), [(300, 0.0), (140, 3.0)])
def test_levels_of_hundreds_of_layers(count, field):
    potential = random_layers(count, seed=count, field=field)
    solution = qpinn.solve(potential, units="semiconductor", states=4, tol=1e-8)
    exact = reference.best(solution.plan.potential, 4).energies * solution.units.scale
    assert all(solution.converged)
    np.testing.assert_allclose(solution.energies, exact, rtol=1e-12)
    assert ((solution.bounds[:, 0] <= exact + 1e-14) & (exact - 1e-14 <= solution.bounds[:, 1])).all()


def test_the_lowest_levels_of_a_miniband():
    """120 equal wells, whose lowest levels lie within 1e-4 of the depth."""
    wells = 120
    potential = potentials.layers(
        thickness=[3.0, 5.0] * wells + [3.0], offset=[0.3, 0.0] * wells + [0.3], mass=[0.09, 0.067] * wells + [0.09]
    )
    solution = qpinn.solve(potential, units="semiconductor", states=6, tol=1e-8)
    exact = reference.exact(solution.plan.potential, 6).energies * solution.units.scale
    assert all(solution.converged)
    np.testing.assert_allclose(solution.energies, exact, rtol=1e-12)


def test_more_layers_than_can_be_are_refused_in_one_line():
    with pytest.raises(ValueError, match="has 1001 layers; must be from 1 to 1000"):
        random_layers(1001, 0)


def test_layers_that_are_repeated_are_those_of_the_longer_list(tmp_path):
    path = tmp_path / "period.csv"
    path.write_text("thickness_A,offset_meV,mass,mass_end\n30,300,0.09,0.08\n50,0,0.067,0.067\n")
    period, many = potentials.layers(path), potentials.layers(path, repeat=3)
    for name in ("offset", "masses", "masses_end"):
        np.testing.assert_array_equal(getattr(many, name), np.tile(getattr(period, name), 3))
    np.testing.assert_array_equal(np.diff(many.edges), np.tile(np.diff(period.edges), 3))
    with pytest.raises(ValueError, match=r"^potential\.repeat=501: must be a whole number from 1 to 500$"):
        potentials.layers(path, repeat=501)
