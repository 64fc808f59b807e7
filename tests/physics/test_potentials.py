"""Potentials as functions, as pytrees, and as checked input."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qpinn.physics.potentials import barrier, describe, finite_well, infinite_well


def test_values_inside_and_outside():
    x = np.array([-2.0, -0.999, 0.0, 0.999, 2.0])
    np.testing.assert_array_equal(finite_well()(x), [20, 0, 0, 0, 20])
    np.testing.assert_array_equal(barrier((-4.0, 4.0), 0.0, 2.0, 7.0)(x), [0, 7, 7, 7, 0])
    np.testing.assert_array_equal(infinite_well()(x), np.zeros(5))


def test_the_numbers_are_leaves_that_can_be_vmapped_and_differentiated():
    heights = jnp.array([1.0, 2.0, 3.0])
    many = jax.vmap(lambda h: dataclasses.replace(barrier(), height=h))(heights)
    np.testing.assert_array_equal(jax.vmap(lambda p: p(0.5))(many), heights)
    slope = jax.grad(lambda p: p(0.5))(jax.tree.map(jnp.asarray, barrier()))
    assert float(slope.height) == 1.0


def test_description_holds_every_number():
    assert describe(barrier()) == {
        "name": "barrier", "left": 0.0, "right": 1.0, "center": 0.5, "width": 0.2, "height": 50.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("build", "numbers", "key"),
    [
        (infinite_well, {"domain": (1.0, 0.0)}, "domain"),
        (infinite_well, {"domain": (1.0, 1.0)}, "domain"),
        (infinite_well, {"domain": (0.0, math.nan)}, "domain"),
        (infinite_well, {"domain": (0.0, math.inf)}, "domain"),
        (infinite_well, {"domain": (1e6, 1e6 + 1e-9)}, "domain"),
        (infinite_well, {"domain": "ab"}, "domain"),
        (infinite_well, {"domain": (0.0, 1.0, 2.0)}, "domain"),
        (finite_well, {"width": 9.0}, "width"),
        (finite_well, {"width": 8.0}, "width"),
        (finite_well, {"center": 3.5}, "center"),
        (finite_well, {"depth": -1.0}, "depth"),
        (finite_well, {"depth": 0.0}, "depth"),
        (finite_well, {"depth": math.nan}, "depth"),
        (finite_well, {"depth": "deep"}, "depth"),
        (finite_well, {"depth": True}, "depth"),
        (barrier, {"height": math.inf}, "height"),
        (barrier, {"height": 1e-400}, "height"),
        (barrier, {"center": 0.05}, "center"),
        (barrier, {"width": 1e-9}, "width"),
    ],
)
def test_bad_numbers_are_refused_by_name(build, numbers, key):
    with pytest.raises(ValueError, match=rf"potential\.{key}="):
        build(**numbers)
