"""What is said of the levels from V alone holds for levels that are computed otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qpinn.physics import counting, potentials, reference, survey, units, walls


def build(name):
    """A potential by name, with what it cannot do without."""
    needs = {
        "expression": {"domain": (-3.0, 3.0)},
        "sampled": {"file": str(DATA / "well.csv")},
        "layers": {"file": str(DATA / "quantum_well.csv")},
    }
    built = potentials.BUILDERS[name](**needs.get(name, {}))
    return units.dimensionless(built, units.of("semiconductor")) if name == "layers" else built


DATA = Path(__file__).parent.parent / "data"
LINE = ["harmonic", "anharmonic", "double_well", "morse", "poeschl_teller", "linear", "woods_saxon", "gaussian_well"]


@pytest.mark.parametrize("name", potentials.BUILDERS)
def test_levels_lie_in_their_brackets(name):
    """They are no wider than a tenth of the spacing of the levels to either side, in a box for those that are bound."""
    potential, count = build(name), 6
    bound = walls.bound_states(potential) if None in potential.domain and np.isfinite(potential.threshold) else count
    boxed = walls.on_box(potential, min(4, bound))
    surveyed = survey.survey(boxed, count)
    energies = reference.best(boxed, count).energies[:count]
    assert (surveyed.low < energies).all()
    assert (energies < surveyed.high).all()
    first, last = np.maximum(np.arange(count) - 2, 0), np.minimum(np.arange(count) + 2, count - 1)
    spacing = (energies[last] - energies[first]) / (last - first)
    assert (surveyed.high - surveyed.low < survey.LOOSE * spacing).all()


@pytest.mark.parametrize("seed", range(20))
def test_levels_of_random_steps_are_counted(seed):
    """Against spectral elements, a solver that knows nothing of the transcendental equation; masses and deltas too."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(np.concatenate([[0.0], rng.uniform(0.05, 1.0, 9)]))
    values, masses = rng.uniform(-60, 60, 9), rng.uniform(0.05, 2.0, 9) if seed % 2 else np.ones(9)
    strengths = rng.normal(size=8) * 20 * (seed % 3 == 0)

    class Random:
        domain = (edges[0], edges[-1])
        breakpoints = tuple(edges[1:-1])
        deltas = breakpoints, tuple(strengths)

        def at(self, x):
            return values[np.clip(np.searchsorted(edges, x[..., 0], side="right") - 1, 0, 8)]

        def mass_at(self, x):
            return masses[np.clip(np.searchsorted(edges, x[..., 0], side="right") - 1, 0, 8)]

    potential = Random()
    energies = reference.spectral_elements(potential, 12).energies
    np.testing.assert_allclose(reference.exact(potential, 12).energies, energies, rtol=1e-11, atol=1e-10)
    gaps = (energies[1:] + energies[:-1]) / 2
    lower, upper = survey.steps_about(potential, edges)
    steps = lower.joined()
    np.testing.assert_array_equal(lower.values, upper.values)
    assert steps.floor < energies[0]
    np.testing.assert_array_equal(counting.count_below(steps, gaps), np.arange(1, 12))
    low, high = counting.levels_of(steps, np.arange(12))
    assert (low <= energies + 1e-9 * np.abs(energies)).all()
    assert (energies <= high + 1e-9 * np.abs(energies)).all()


@pytest.mark.parametrize("name", LINE)
def test_chosen_walls_change_no_level(name):
    """Walls further out: the same levels to 1e-12 of their size."""
    potential = potentials.BUILDERS[name]()
    near, far = walls.on_box(potential, 3), walls.on_box(potential, 3, decay=26.0)
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
    assert walls.bound_states(potential) == bound
    with pytest.raises(ValueError, match=rf"states={bound + 1}: the well holds {bound} bound states?, asked for"):
        walls.on_box(potential, bound + 1)


def test_given_walls_stay():
    assert walls.on_box(potentials.harmonic((-1.0, 2.0)), 3).domain == (-1.0, 2.0)
    boxed = walls.on_box(potentials.linear(), 2)
    assert boxed.domain[0] == 0.0
    assert boxed.domain[1] > 5.0


@pytest.mark.parametrize(("l", "bound", "weak"), [(4.02, 5, False), (4.14, 5, False), (1.02, 2, False),
                                                  (4.001, 4, True), (4.0, 4, False), (4.999, 5, False)])  # fmt: skip
def test_weakly_bound_levels_get_their_walls_or_are_named(l, bound, weak):  # noqa: E741
    """E_n = -(l - n)^2; the level of l = 4.001 would need walls at 20 000 natural lengths."""
    well = potentials.poeschl_teller(l=l)
    assert walls.bound_states(well) == bound
    assert (walls.left_out(well) is not None) is weak
    boxed = walls.on_box(well, bound)
    kappa = l - bound + 1
    assert kappa * boxed.domain[1] > 19.0
    surveyed = survey.survey(boxed, bound + 1)
    exact = -((l - np.arange(bound)) ** 2)
    assert (surveyed.low[:bound] < exact).all()
    assert (exact < surveyed.high[:bound]).all()


def test_no_wall_is_put_between_two_deltas():
    pair = potentials.two_deltas(distance=12.0, strength_left=0.01)
    left, right = walls.on_box(pair, 1).domain
    assert left < -6.0 < 6.0 < right


def test_a_decay_layer_however_thin_is_counted():
    """k tan(k a) = kappa coth(kappa (b - a)): E_0 of depth 1e8 is (pi / 2)^2 (1 - 2e-4) to four digits."""
    surveyed = survey.survey(potentials.finite_well(depth=1e8), 2)
    exact = (np.pi / 2 / (1 + 1e-4)) ** 2
    assert surveyed.low[0] < exact * (1 + 1e-7)
    assert exact * (1 - 1e-7) < surveyed.high[0]
    assert surveyed.high[0] - surveyed.low[0] < 1e-3


@pytest.mark.parametrize("guess", [0.0, 1e6, -1e6, "levels", "half", "same"])
def test_a_guess_of_levels_may_be_worth_nothing(guess):
    steps = survey.survey(potentials.harmonic((-8.0, 8.0)), 12).lower.joined()
    wanted = np.array([0, 1, 4, 11])
    low, high = counting.levels_of(steps, wanted, 30)
    guesses = {"levels": (low + high) / 2, "half": low / 2, "same": np.full(4, low[2])}
    given = guesses[guess] if isinstance(guess, str) else np.full(4, guess)
    other_low, other_high = counting.levels_of(steps, wanted, 30, given)
    assert (np.maximum(low, other_low) <= np.minimum(high, other_high)).all()
    assert (other_high - other_low <= 2.0**-30 * np.ptp(high) / 11).all()
    np.testing.assert_array_equal(counting.count_below(steps, other_low), wanted)
    np.testing.assert_array_equal(counting.count_below(steps, other_high), wanted + 1)
