"""Potentials of several coordinates that were made to be hard: no well and no jump of theirs is missed."""

import pytest

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
