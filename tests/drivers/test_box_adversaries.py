"""Potentials of several coordinates that were made to be hard: no well and no jump of theirs is missed."""

import numpy as np
import pytest

import qpinn
from qpinn.physics import box_walls
from qpinn.physics.mean_field import Sinc
from qpinn.physics.potentials.several import several


def test_a_deeper_well_far_from_the_middle_is_not_missed():
    axis = Sinc(-4, 14, 1.0, 400)
    exact = axis.levels(axis.x**2 * (axis.x - 10) ** 2 - 20 * axis.x)[0][0] + 1
    boxed, _ = box_walls.in_box(several([[None, None], [-6, 6]], "x**2*(x-10)**2 - 20*x + y**2"), 5)
    assert exact < -180
    assert box_walls.highest(box_walls.coarse(boxed)[0], 1) == pytest.approx(exact, rel=1e-3)


def test_a_well_off_both_axes_is_within_the_walls():
    boxed, _ = box_walls.in_box(several([[None, None]] * 2, "x**2 + y**2 - 400*exp(-(x-12)**2 - (y+9)**2)"), 3)
    (_, right), (lower, _) = boxed.domain
    assert right > 13
    assert lower < -10


def test_a_potential_that_falls_far_out_needs_walls():
    with pytest.raises(ValueError, match="not known to rise along axis 1"):
        box_walls.in_box(several([[None, None]] * 2, "x**2 - 0.001*x**3 + y**2"), 2)


def test_a_slit_beside_a_stretch_on_which_its_switch_is_zero_is_not_missed():
    slit, walls = "(1e-7 - (x-0.30107)**2)", [[-4, 4], [-6, 6]]  # 6e-4 wide
    plain = several(walls, f"x**2 + y**2 - 1e4*heaviside({slit})")
    within = several(walls, f"x**2 + y**2 - 1e4*heaviside(heaviside(x+0.5)*{slit})")
    assert set(plain.breakpoints[0]) < set(within.breakpoints[0])


@pytest.mark.parametrize("formula", ["x**2 + y**2 + sqrt(-1)", "x**2 + y**2 + 1e300"])
def test_a_constant_that_is_no_number_is_refused_in_words(formula):
    with pytest.raises(ValueError, match="is no real number"):
        several([[-4, 4]] * 2, formula)


def test_a_slit_that_is_narrower_than_any_segment_is_refused_and_not_left_out():
    with pytest.raises(ValueError, match=r"jumps or bends at two places about 0\.3"):
        several([[-4, 4]] * 2, "x**2 + y**2 - 1e9*heaviside(1e-17 - (x-0.3)**2)")


@pytest.mark.parametrize("place", [0.3, 2500.0])
def test_a_place_where_two_switches_turn_is_one(place):
    walls = [[place - 4, place + 4], [-4, 4]]
    assert several(walls, f"abs(x - {place}) + abs(10*x - {10 * place}) + y**2").breakpoints == ((place,), ())


# 6e-4 wide, and in floating point not to be told from zero on a stretch as wide
NEEDLE = "50*heaviside(1e-14 - (x**4 - 4*x**3 + 6*x**2 - 4*x + 1))"


@pytest.mark.parametrize(
    ("dimension", "formula"),
    [
        (2, f"x**2 + y**2 + {NEEDLE}"),
        (2, f"x**2 + y**2 + where(abs(abs(y) - 1) < 0.5, 0, {NEEDLE})"),
        (2, "x**2 + y**2 + 9*abs(x**3 - 3*x**2 + 3*x - 1)*y"),
        (2, "x**2 + y**2 + floor(0.5 + (x**3 - 3*x**2 + 3*x)/2)"),
        (3, f"x**2 + y**2 + z**2 + {NEEDLE}"),
        (4, f"x1**2 + x2**2 + x3**2 + x4**2 + {NEEDLE.replace('x', 'x1')}"),
    ],
)
def test_a_jump_that_intervals_do_not_locate_leaves_no_bounds_and_says_so(dimension, formula):
    solution = qpinn.solve(several([[-2.5, 2.5]] * dimension, formula), states=1)
    assert np.isneginf(solution.levels.lower).all()
    assert np.isposinf(solution.levels.upper).all()
    assert "does not tell apart" in solution.levels.reason
    assert np.isfinite(solution.energy)


@pytest.mark.parametrize("formula", [
    "abs(x) + floor(y) + maximum(x - 1, 0)", "sign(maximum(x, 0))", "heaviside((x - 1)**2)", "mod(x, 1)*abs(sin(3*y))",
    "where(abs(abs(x) - 1) < 0.5, 1, 2)", "minimum(abs(x), 1)*minimum(abs(y), 2)",
])  # fmt: skip
def test_jumps_that_are_located_keep_their_bounds(formula):
    assert several([[-4, 4]] * 2, f"x**2 + y**2 + {formula}").unlocated == ()


@pytest.mark.parametrize("formula", ["40*exp(-((x - 0.3)/1e-4)**2)", "20*tanh(1e5*(x - 0.3))"])
def test_details_narrower_than_segments_leave_no_bounds(formula):
    solution = qpinn.solve(several([[-2.5, 2.5]] * 2, f"x**2 + y**2 + {formula}"), states=1)
    assert np.isneginf(solution.levels.lower).all()
    assert solution.levels.reason


def test_a_constant_in_v_moves_levels_alone():
    """At 1e4 the energies are 1000 times what they are without, and V is rounded to 2e-12."""
    there, moved = (qpinn.solve(f"x**2 + 2*y**2 + 0.3*x*y + 0.1*x**2*y**2 + {constant}", domain=[[-5, 5]] * 2, states=3)
                    for constant in (0, 1e4))  # fmt: skip
    x = np.random.default_rng(0).uniform(-2, 2, (200, 2))
    np.testing.assert_allclose(moved.energies - 1e4, there.energies, atol=1e-9)
    np.testing.assert_allclose(moved.at(x), there.at(x), atol=1e-8)
    np.testing.assert_allclose(moved.levels.half_width, there.levels.half_width, atol=1e-8)
