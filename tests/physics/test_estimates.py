"""What is said of the levels from V alone holds for levels that are computed otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qpinn.physics import estimates, potentials, reference


def build(name):
    """A potential by name, with what it cannot do without."""
    needs = {"expression": {"domain": (-3.0, 3.0)}, "sampled": {"file": str(DATA / "well.csv")}}
    return potentials.BUILDERS[name](**needs.get(name, {}))


DATA = Path(__file__).parent.parent / "data"
LINE = ["harmonic", "anharmonic", "double_well", "morse", "poeschl_teller", "linear", "woods_saxon", "gaussian_well"]


@pytest.mark.parametrize("name", potentials.BUILDERS)
def test_levels_lie_in_their_brackets(name):
    potential = estimates.on_box(build(name), 4)
    low, high = estimates.brackets(potential, 4)
    energies = reference.best(potential, 4).energies
    assert (low < energies).all()
    assert (energies < high).all()
    assert (high - low).max() < 0.05 * np.ptp(energies)


@pytest.mark.parametrize("seed", range(20))
def test_levels_of_random_steps_are_counted(seed):
    """Against spectral elements: a solver that knows nothing of the transcendental equation."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(np.concatenate([[0.0], rng.uniform(0.05, 1.0, 9)]))
    values = rng.uniform(-60, 60, 9)

    class Steps:
        domain = (edges[0], edges[-1])
        breakpoints = tuple(edges[1:-1])

        def __call__(self, x):
            return values[np.clip(np.searchsorted(edges, x[..., 0], side="right") - 1, 0, 8)]

    energies = reference.spectral_elements(Steps(), 12).energies
    gaps = (energies[1:] + energies[:-1]) / 2
    np.testing.assert_array_equal(estimates.count_below(edges, values, gaps), np.arange(1, 12))
    low, high = estimates.levels_of(edges, values, 12)
    assert (low <= energies + 1e-9 * np.abs(energies)).all()
    assert (energies <= high + 1e-9 * np.abs(energies)).all()


@pytest.mark.parametrize("name", LINE)
def test_chosen_walls_change_no_level(name):
    """Walls further out: the same levels to 1e-12 of their size."""
    potential = potentials.BUILDERS[name]()
    near, far = estimates.on_box(potential, 3), estimates.on_box(potential, 3, decay=26.0)
    assert far.domain[1] > near.domain[1]
    near_levels, far_levels = (reference.best(box, 3).energies for box in (near, far))
    np.testing.assert_allclose(near_levels, far_levels, rtol=1e-12)
    closed = potential.levels(3)
    if closed is not None:
        np.testing.assert_allclose(far_levels, closed, rtol=1e-11)


@pytest.mark.parametrize(
    ("potential", "bound"),
    [
        (potentials.poeschl_teller(l=3.5), 4),
        (potentials.poeschl_teller(a=0.3, l=2.0), 2),
        (potentials.morse(), 10),
        (potentials.morse(depth=4.0), 2),
        (potentials.morse(center=-3.0, depth=30.0, a=2.0), 3),
    ],
)
def test_bound_states_are_counted(potential, bound):
    assert estimates.bound_states(potential) == bound
    with pytest.raises(ValueError, match=rf"states={bound + 1}: the well holds {bound} bound states?, asked for"):
        estimates.on_box(potential, bound + 1)


def test_given_walls_stay():
    assert estimates.on_box(potentials.harmonic((-1.0, 2.0)), 3).domain == (-1.0, 2.0)
    boxed = estimates.on_box(potentials.linear(), 2)
    assert boxed.domain[0] == 0.0
    assert boxed.domain[1] > 5.0
