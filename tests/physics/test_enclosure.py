"""What is said of V on a stretch holds at every point of it, and what is said of its symmetry at every pair of them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn.physics import enclosure, potentials, survey, symmetry
from qpinn.physics.interval import Interval, Region
from qpinn.physics.potentials import base
from qpinn.physics.potentials import formula as formulas
from qpinn.physics.potentials.expressions import Expression
from qpinn.runs import run_folder

FORMULAS = [
    "10*(x**2-1)**2 + 0.3*x",
    "1e4*x**2 + 1.5*exp(-((x-0.1)/1e-4)**2)",
    "-6/cosh(x)**2 + 1/(1+x**2)**3",
    "sin(20*x)*cos(3*x) + tan(x/9)",
    "tanh(x/0.1)*sqrt(x+7) + log(x+8) + arctan(5*x)",
    "-(x+6)**-3 + (x+7)**1.5 + sinh(x)",
    "erf(x/0.2)*x + arcsinh(3*x) + sech(2*x) + hypot(x, 0.3)",
    "coth(x+7) + csch(x+6) + sec(x/5) + erf(x-1)**2",
]
SWITCHED = (
    "where(abs(x)<1,x,-x**3) + minimum(x,0.2) + maximum(sin(x),0.1) + sign(x) + heaviside(x-0.3) + abs(x)**1.5"
    " + mod(x, 0.7) + floor(2*x)"
)


def _formula(left, right, text):
    """A formula without breakpoints, unchecked."""
    return Expression(left=left, right=right, formula=text, places=())


def _cells(seed):
    """Cells of all sizes, from a few units in the last place to the box."""
    rng = np.random.default_rng(seed)
    left = rng.uniform(-4, 4, 400)
    right = np.minimum(left + 10.0 ** rng.uniform(-14, 1, 400), 5.0)
    inside = np.clip(left[:, None] + (right - left)[:, None] * rng.uniform(0, 1, (400, 60)), left[:, None],
                     right[:, None])  # fmt: skip
    return left, right, inside


@pytest.mark.parametrize("text", [*FORMULAS, SWITCHED])
def test_values_lie_in_their_interval(text):
    left, right, inside = _cells(1)
    tree = formulas.parse(text)
    enclosed, v = formulas.compute(tree, Interval(left, right)), formulas.compute(tree, inside)
    assert (enclosed.lo[:, None] <= v).all()
    assert (v <= enclosed.hi[:, None]).all()
    narrow = (right - left < 1e-5) & np.isfinite(enclosed.hi - enclosed.lo)
    assert narrow.any()
    slack = 1e-9 * (1 + np.abs(v).max(axis=1)) + 1e3 * np.ptp(v, axis=1)
    if text != SWITCHED:  # it jumps within cells
        assert (enclosed.hi - enclosed.lo <= slack)[narrow].all()


@pytest.mark.parametrize("text", FORMULAS)
def test_complex_values_lie_in_their_region(text):
    left, right, _ = _cells(2)
    rng = np.random.default_rng(3)
    half, middle = (right - left) / 2, (right + left) / 2
    wide, high = 1.1 * half, 0.3 * half
    region = Region(Interval(middle - wide, middle + wide), Interval(-high, high), Interval(left, right))
    enclosed = formulas.compute(formulas.parse(text), region)
    share, turn = np.sqrt(rng.uniform(0, 1, (400, 60))), rng.uniform(0, 2 * np.pi, (400, 60))
    z = middle[:, None] + share * (wide[:, None] * np.cos(turn) + 1j * high[:, None] * np.sin(turn))
    bounded = np.isfinite(enclosed.size.hi)
    assert bounded.mean() > 0.8
    with np.errstate(all="ignore"):
        v = formulas.compute(formulas.parse(text), z)
    slack = 1e-12 * np.maximum(enclosed.size.hi, 1e-300)[:, None]
    for side, values in ((enclosed.re, v.real), (enclosed.im, v.imag), (enclosed.size, np.abs(v))):
        assert (values >= side.lo[:, None] - slack)[bounded].all()
        assert (values <= side.hi[:, None] + slack)[bounded].all()


LIBRARY = [name for name in potentials.BUILDERS if name not in ("layers", "sampled", "expression")]


@pytest.mark.parametrize("name", LIBRARY)
def test_library_potentials_are_enclosed(name):
    potential = potentials.BUILDERS[name]()
    left, right = ((-4.0, 5.0)[k] if wall is None else wall for k, wall in enumerate(potential.domain))
    inner = [edge for edge in potential.breakpoints if left < edge < right]
    ends = np.union1d(np.linspace(left, right, 60), inner)
    assert enclosure.is_enclosed(potential)
    lo, hi = enclosure.enclose(potential, ends[:-1], ends[1:])
    share = np.linspace(1e-9, 1 - 1e-9, 50)
    v = potential(ends[:-1, None] + np.diff(ends)[:, None] * share)
    assert (lo[:, None] <= v).all()
    assert (v <= hi[:, None]).all()
    assert enclosure.stray(potential, ends[:-1], ends[1:], 52).max() < 1e-10 * max(np.abs(v).max(), 1.0)


def test_samples_know_their_extremes(tmp_path):
    rng = np.random.default_rng(5)
    x = np.sort(rng.uniform(-3, 3, 40))
    file = tmp_path / "v.csv"
    file.write_text("x,V\n" + "".join(f"{a:.17g},{b:.17g}\n" for a, b in zip(x, rng.normal(size=40), strict=True)))
    for interpolation in ("linear", "cubic"):
        potential = potentials.sampled(str(file), interpolation)
        left = rng.uniform(x[0], x[-1] - 0.01, 40)
        right = left + (x[-1] - left) * rng.uniform(1e-6, 1, 40)
        lo, hi = potential.enclose(left, right)
        v = potential(left[:, None] + (right - left)[:, None] * np.linspace(0, 1, 20001))
        assert (lo[:, None] <= v).all()
        assert (v <= hi[:, None]).all()
        np.testing.assert_allclose(np.stack([lo, hi]), np.stack([v.min(axis=1), v.max(axis=1)]), atol=5e-3)


@pytest.mark.parametrize("width", [1e-2, 1e-5, 1e-9, 1e-14])
@pytest.mark.parametrize("shape", ["exp(-{z}**2)", "1/(1+{z}**2)", "where(abs({z})<1,1,0)", "1-tanh({z})**2"])
def test_a_feature_is_seen_however_narrow(shape, width):
    """On cells that know nothing of it; and the quadrature is told that it misses it."""
    z = f"((x-0.37123456789)/{width:.3e})"
    potential = _formula(-1.0, 2.0, f"x**2 + 7*({shape.format(z=z)})")
    ends = np.linspace(-1, 2, 31)
    _, hi = enclosure.enclose(potential, ends[:-1], ends[1:])
    cell = np.searchsorted(ends, 0.37123456789) - 1
    assert hi[cell] >= 7.0
    assert hi[cell + 5] < 3.0
    assert enclosure.stray(potential, ends[:-1], ends[1:], 52)[cell] > (1e-3 if width < 1e-2 else -1.0)


@pytest.mark.parametrize(
    ("walls", "text", "even"),
    [
        ((-3.0, 3.0), "x**2 + cos(x)*exp(-x**2)", True),
        ((0.0, 1.0), "x*(1-x)", True),
        ((0.0, 1.0), "x*(1-x) + 1e-9*x", False),
        ((0.0, 2.0), "sin(3*(x-1))**2 + tanh(x-1)*(x-1)**3", True),
        ((-1.0, 1.0), "where(abs(x)<0.5, x**2, abs(x)**1.5)", True),
        ((-1.0, 1.0), "x**2 + 1e-9*exp(-((x-0.1)/1e-7)**2)", False),
        ((-1.0, 1.0), "minimum(x, -x)", False),  # it is, and this is not seen: no harm
        ((-1.0, 1.0), "maximum(x, 0)**2", False),
        ((-3.0, 3.0), "x**2 + 0.5*sin(200*x)", False),
    ],
)
def test_parity_is_proved(walls, text, even):
    assert symmetry.is_even(_formula(*walls, text)) is even


def test_a_function_that_no_interval_enters_is_sampled():
    class Given:
        name, domain, breakpoints = "given", (-1.0, 1.0), ()

        def at(self, x):
            return np.asarray(np.interp(x[..., 0], [-1, 0, 1], [1.0, 0.0, 1.0]))

    assert not enclosure.is_enclosed(Given())
    assert not symmetry.is_even(Given())
    surveyed = survey.survey(Given(), 2)
    assert (surveyed.low < surveyed.high).all()


def test_a_mass_that_no_interval_enters_is_said_to_be_sampled():
    """V = 0 is enclosed, and the mass is not: a certificate that says nothing of it would hide a spike of the mass."""

    @base.pytree
    class Heavy(base.Between):
        name = "heavy"

        def at(self, x):
            return 0.0 * x[..., 0]

        def mass_at(self, x):
            return jnp.interp(x[..., 0], jnp.array([0.0, 1.0]), jnp.array([1.0, 2.0]))

    heavy = Heavy(left=0.0, right=1.0)
    assert enclosure.is_enclosed(heavy)
    assert not enclosure.is_mass_enclosed(heavy)
    assert "mass is sampled" in run_folder.certificate(qpinn.solve(heavy))["assumed"]
    formula = qpinn.solve("0*x", domain=(0, 1), hamiltonian={"mass": "1 + x"})
    assert "sampled" not in run_folder.certificate(formula)["assumed"]


@pytest.mark.parametrize("offset", [1e3, -1e6, 1e10])
def test_a_constant_shifts_the_brackets_and_no_more(offset):
    plain = survey.survey(_formula(-7.0, 7.0, "x**2"), 4)
    shifted = survey.survey(_formula(-7.0, 7.0, f"x**2 + ({offset})"), 4)
    assert len(shifted.lower.values) <= 2 * len(plain.lower.values)
    assert (shifted.low < offset + 2 * np.arange(4) + 1).all()
    assert (shifted.high > offset + 2 * np.arange(4) + 1).all()
    assert (shifted.high - shifted.low).max() < 2 * (plain.high - plain.low).max() + 1e-14 * abs(offset) * 64


@pytest.mark.parametrize("text", ["-2/x", "1/sin(x)", "x**-2"])
def test_a_pole_is_named_with_its_place(text):
    with pytest.raises(ValueError, match=r"division by zero at x = 0, the left wall; begin beyond it"):
        potentials.expression((0.0, 3.0), text)


@pytest.mark.parametrize(
    ("walls", "text"), [((-15.0, 15.0), "-6/cosh(x)**2"), ((-101.0, 101.0), "1/(1+x**2)**3"), ((0.0, 1.0), "x*log(x)")]
)
def test_a_denominator_that_only_becomes_small_is_none(walls, text):
    assert potentials.expression(walls, text).breakpoints == ()


@pytest.mark.parametrize("smooth", [True, False])
def test_how_far_a_spline_is_from_a_polynomial(tmp_path, smooth):
    """No polynomial of that degree is stated to be nearer than the best one, found by least squares on many points."""
    rng = np.random.default_rng(8)
    x = np.linspace(-1, 1, 60)
    v = np.exp(x) if smooth else rng.normal(size=60)
    file = tmp_path / "v.csv"
    file.write_text("x,V\n" + "".join(f"{a:.17g},{b:.17g}\n" for a, b in zip(x, v, strict=True)))
    potential = potentials.sampled(str(file), "cubic")
    left = rng.uniform(-1, 0.5, 20)
    right = left + rng.uniform(0.01, 0.5, 20)
    t = np.cos(np.linspace(0, np.pi, 3001))
    for degree in (4, 12):
        stated = enclosure.stray(potential, left, right, degree)
        for a, b, most in zip(left, right, stated, strict=True):
            values = potential((a + b) / 2 + (b - a) / 2 * t)
            fit = np.polynomial.chebyshev.Chebyshev.fit(t, values, degree, domain=[-1, 1])
            best = np.sqrt(np.mean((fit(t) - values) ** 2))  # no more than the largest difference of the best
            assert most >= best - 1e-12
            assert most < 1e-5 or not smooth
