"""What must hold for any potential and any network: laws of scaling, shifts and mirrors, and an answer or a reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import qpinn
from qpinn.physics import reference
from qpinn.wavefunctions.networks import ACTIVATIONS, INITIALIZATIONS

STATES = 3
FEW = settings(max_examples=3, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
"""No shrinking: every example compiles for seconds."""
MANY = settings(FEW, max_examples=100, derandomize=False)


def _number(low, high):
    return st.floats(low, high).map(lambda value: round(value, 4))


@st.composite
def wells(draw):
    """A domain and a formula: parabola, waves, a step and a bump, each perhaps of no height."""
    left, width = draw(_number(-3, 3)), draw(_number(0.5, 5))
    at, edge = draw(_number(left, left + width)), draw(_number(left, left + width))
    some = st.just(0.0) | _number(-30, 30)
    terms = [
        f"{abs(draw(some))}*(x-({at}))**2", f"({draw(some)})*sin({draw(_number(0.5, 8))}*x)",
        f"where(x < {edge}, {draw(some)}, 0)", f"({draw(some)})*exp(-(x-({at}))**2/{draw(_number(0.05, 1))})",
    ]  # fmt: skip
    return (left, left + width), " + ".join(terms)


def _solved(domain, text):
    return qpinn.solve(qpinn.potentials.expression(domain, text), states=STATES)


def _agree(one, other, size):
    """Energies (K,) that differ by rounding alone of numbers of a size."""
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-10 * size)


def assert_laws(well, scale, shift):
    """E L^2 is the same for V L^2 as a function of x / L, E - V_0 for V - V_0, and E for V mirrored; E is bounded."""
    domain, text = well
    plain = _solved(domain, text)
    size = max(1.0, abs(plain.energies).max(), (np.pi * STATES / (domain[1] - domain[0])) ** 2)
    assert (plain.bounds[:, 0] <= plain.energies).all()
    independent = reference.best(qpinn.potentials.expression(domain, text), STATES)
    slack = np.asarray(independent.errors) + 1e-12 * size
    assert (plain.bounds[:, 0] - slack <= independent.energies).all()
    assert (independent.energies <= plain.bounds[:, 1] + slack).all()
    stretched = text.replace("*x", f"*x/{scale}").replace("(x", f"(x/{scale}")
    narrow = _solved([scale * end for end in domain], f"({stretched})/{scale}**2")
    _agree(narrow.energies * scale**2, plain.energies, size)
    raised = _solved(domain, f"{text} + ({shift})")
    _agree(raised.energies - shift, plain.energies, size + abs(shift))
    turned = _solved((-domain[1], -domain[0]), text.replace("*x", "*(-x)").replace("(x", "(-x"))
    _agree(turned.energies, plain.energies, size)


@FEW
@given(wells(), _number(0.3, 4), _number(-50, 50))
def test_energies_scale_shift_and_mirror_as_they_must(well, scale, shift):
    assert_laws(well, scale, shift)


@pytest.mark.long
@MANY
@given(wells(), _number(0.3, 4), _number(-50, 50))
def test_energies_of_many_scale_shift_and_mirror_as_they_must(well, scale, shift):
    assert_laws(well, scale, shift)


NETWORKS = st.fixed_dictionaries({
    "width": st.integers(1, 12), "depth": st.integers(1, 3), "activation": st.sampled_from(sorted(ACTIVATIONS)),
    "init": st.sampled_from(sorted(INITIALIZATIONS)), "scale": _number(0.1, 10),
})  # fmt: skip
ROUTES = st.fixed_dictionaries({
    "ansatz": st.sampled_from(["piecewise", "envelope"]), "start": st.sampled_from(["ritz", "random", "variational"]),
    "sampling": st.sampled_from(["gauss_legendre", "random", "uniform"]),
    "optimizer": st.sampled_from(["levenberg_marquardt", "adam", "adam_lbfgs"]).map(
        lambda name: {"name": name, "steps": 4, **({"adam_steps": 2} if name == "adam_lbfgs" else {})}
    ),
    "energy": st.sampled_from(["trainable", "rayleigh", "fixed"]), "states": st.none() | st.integers(1, 3),
    "seed": st.integers(0, 2**31 - 1),
})  # fmt: skip


def assert_answers(well, network, route):
    """Numbers, and bounds that hold if there are any; or one line that begins with a key."""
    domain, text = well
    reason = ""
    try:
        solution = qpinn.solve(qpinn.potentials.expression(domain, text), network=network, **route)
    except ValueError as error:
        reason = str(error)
    if reason:
        assert reason.partition("=")[0].split(".")[0] in {*route, "network", "potential", "state"}, reason
        assert "\n" not in reason
        return
    assert solution.status in ("finished", "non-finite")
    assert np.isfinite(solution.energies).all() or solution.status == "non-finite"
    exact = reference.best(qpinn.potentials.expression(domain, text), STATES)
    k = len(np.atleast_1d(solution.energies))
    slack = np.asarray(exact.errors)[:k] + 1e-12 * (1 + abs(exact.energies[:k]))
    below, above = solution.bounds.T
    assert not (below > exact.energies[:k] + slack).any()
    assert not (above < exact.energies[:k] - slack).any()


@pytest.mark.usefixtures("optax_promotion")
def test_any_network_answers_or_says_why_not():
    FEW(given(wells(), NETWORKS, ROUTES)(assert_answers))()


@pytest.mark.long
@pytest.mark.usefixtures("optax_promotion")
def test_any_of_many_networks_answers_or_says_why_not():
    MANY(given(wells(), NETWORKS, ROUTES)(assert_answers))()
