"""Levels of two coordinates where V jumps on curves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from qpinn.drivers import box
from qpinn.drivers.settings import Settings
from qpinn.geometry.quadrature import legendre
from qpinn.physics.potentials.several import several
from qpinn.wavefunctions.on_cells import Functions, on_cells


def circular_well(depth, count):
    """The lowest levels of -Lap + depth outside of the unit disc, from J_m and K_m that meet at r = 1."""
    found = []
    for m in range(6):

        def meet(e, m=m):
            k, q = np.sqrt(e), np.sqrt(depth - e)
            inner, outer = k * special.jvp(m, k) * special.kv(m, q), q * special.kvp(m, q) * special.jv(m, k)
            return inner - outer

        tried = np.linspace(1e-6, depth - 1e-6, 2000)
        sign = np.sign([meet(e) for e in tried])
        for place in np.flatnonzero(sign[:-1] * sign[1:] < 0):
            found += [optimize.brentq(meet, tried[place], tried[place + 1], xtol=1e-14)] * (2 if m else 1)
    return np.sort(found)[:count]


@pytest.fixture(scope="module")
def dot():
    """The circular well, its second axis in units half as long: an ellipse with masses 1 and 4."""
    potential = several([[-3.5, 3.5], [-1.75, 1.75]], "where(x**2 + 4*y**2 < 1, 0, 50)", masses=[1.0, 4.0])
    return box.run(potential, Settings(states=3))


def test_the_circular_well_lies_within_its_bounds(dot):
    exact = circular_well(50.0, 3)
    assert dot.levels.reason is None
    # walls raise the levels by 1e-11
    assert (dot.levels.lower <= exact + 1e-9).all()
    assert (exact <= dot.levels.upper + 1e-9).all()
    assert (dot.levels.half_width < 1e-5 * exact).all()
    np.testing.assert_allclose(dot.energies, exact, rtol=3e-8)


def test_psi_is_smooth_up_to_its_slope_and_bends_as_v_jumps(dot):
    module, variables = dot.wavefunction
    angle = np.array([0.3, 1.1, 2.9, 4.4])
    place = np.stack([np.cos(angle), np.sin(angle) / 2], axis=1)
    normal = np.stack([np.cos(angle), 2 * np.sin(angle)], axis=1)
    normal /= np.linalg.norm(normal, axis=1)[:, None]

    def across(place, normal):
        """Values, slopes and second derivatives of psi (3, K) along the normal."""

        def psi(t):
            return module.apply(variables, place + t * normal)

        slope = jax.jacfwd(psi)
        return jnp.stack([psi(0.0), slope(0.0), jax.jacfwd(slope)(0.0)])

    each = jax.jit(jax.vmap(across))
    inside, outside = (each(place + side * 1e-9 * normal, normal) for side in (-1, 1))
    np.testing.assert_allclose(inside[:, :2], outside[:, :2], atol=1e-6)
    jump = (normal[:, :1] ** 2 + normal[:, 1:] ** 2 / 4) * (outside - inside)[:, 2]
    np.testing.assert_allclose(jump, 50 * inside[:, 0], atol=0.05)


def test_the_module_and_the_tables_are_one_function(dot):
    cut = box.box_curves.cut(dot.plan)
    rule = 3
    potential, masses, (bend,) = dot.plan.potential, dot.plan.potential.masses, dot.bends
    smooth = on_cells(potential, dot.axes, cut.sides, cut.pieces, rule)
    bending = on_cells(potential, bend.axes, cut.sides, cut.pieces, rule)
    nothing = np.zeros((1, *dot.core.shape)), np.zeros(bend.core.shape)
    module, variables = dot.wavefunction
    psi = jax.jit(lambda x: module.apply(variables, x))
    hessian = jax.jit(jax.hessian(lambda x: module.apply(variables, x)))
    for place in range(0, len(smooth), 5):
        cell, other = smooth[place], bending[place]
        fields = cell.fields(Functions(dot.core, nothing[0]))
        fields = fields + other.fields(Functions(nothing[1], bend.core[None]))
        tabulated = cell.h(fields, masses)[:, :4]
        for k, x in enumerate(jnp.asarray(cell.places.T[:4])):
            second = hessian(x)
            h_psi = cell.v[k] * psi(x) - second[:, 0, 0] / masses[0] - second[:, 1, 1] / masses[1]
            np.testing.assert_allclose(tabulated[:, k], h_psi, rtol=1e-7, atol=1e-7)


def test_degenerate_levels_have_parities(dot):
    assert dot.symmetries["parity x"] == [1, -1, 1] or dot.symmetries["parity x"] == [1, 1, -1]
    assert dot.symmetries["parity y"] == [1, 1, -1] or dot.symmetries["parity y"] == [1, -1, 1]


def sines(count, edge, height):
    """Levels from above of V = height where x + 2 y > edge, 0 elsewhere, in [-2, 2]^2: among products of sin functions,
    with integrals over x known and those over y by Gauss-Legendre between the places where the line leaves the box."""
    k = np.arange(1, count + 1) * np.pi / 4
    nodes, weights = legendre(200)
    y, form = np.zeros(0), np.zeros((count, count, count, count))
    for low, high in ((-2.0, (edge - 2) / 2), ((edge - 2) / 2, min((edge + 2) / 2, 2.0))):
        y = low + (high - low) * (nodes + 1) / 2
        from_ = np.clip(edge - 2 * y, -2, 2) + 2

        def upto(at):  # integral of sin(k_a s) sin(k_b s) from 0 to `at`
            minus, plus = k[:, None] - k, k[:, None] + k
            first = np.where(minus == 0, at, np.sin(minus * at) / np.where(minus == 0, 1, minus))
            return (first - np.sin(plus * at) / plus) / 2

        along = np.array([upto(4.0) - upto(s) for s in from_]) / 2
        across = np.sin(k[:, None] * (y + 2)) / np.sqrt(2)
        pairs = np.einsum("aq,bq,q->abq", across, across, weights * (high - low) / 2)
        form += np.einsum("qab,cdq->acbd", along, pairs, optimize=True)
    if (edge + 2) / 2 < 2:
        low = (edge + 2) / 2
        y = low + (2 - low) * (nodes + 1) / 2
        across = np.sin(k[:, None] * (y + 2)) / np.sqrt(2)
        form += np.einsum("ab,cd->acbd", np.eye(count), (across * weights * (2 - low) / 2) @ across.T)
    matrix = height * form.reshape(count**2, -1) + np.diag((k[:, None] ** 2 + k**2).ravel())
    return np.linalg.eigvalsh(matrix)


def test_a_half_plane_against_sin_functions():
    solved = box.run(several([[-2, 2], [-2, 2]], "where(x + 2*y < 0.3, 0, 10)"), Settings(states=4))
    above = sines(26, 0.3, 10.0)[:4]
    assert solved.levels.reason is None
    assert (solved.levels.half_width < 1e-5).all()
    assert (solved.levels.lower <= above).all()
    np.testing.assert_allclose(solved.energies, above, rtol=1e-4)
    assert (above >= solved.energies - 1e-9).all()


def test_where_v_bends_on_a_line():
    """20 |x - y| + x^2 and its mirror image have the same levels, on other meshes and with other networks."""
    first = box.run(several([[-1, 1], [-1, 1]], "9*abs(x - 0.5*y) + x**2"), Settings(states=2))
    second = box.run(several([[-1, 1], [-1, 1]], "9*abs(y + 0.5*x) + y**2"), Settings(states=2, seed=5))
    for solved in (first, second):
        assert solved.levels.reason is None
    assert (first.levels.lower <= second.levels.upper).all()
    assert (second.levels.lower <= first.levels.upper).all()
    np.testing.assert_allclose(first.energies, second.energies, rtol=1e-9)


@pytest.mark.parametrize(
    ("domain", "formula", "reason"),
    [
        ([[-1, 1]] * 2, "where(x**2 < (y - 0.1)**3, 0, 1)", "can be followed near"),
        ([[-1, 1]] * 2, "where(floor(2*x + y) < 1, 0, 1)", "floor or mod"),
        ([[-1, 1]] * 3, "where(x**2 + y**2 + z**2 < 0.5, 0, 1)", "no axis follows"),
    ],
)
def test_what_cannot_be_followed_has_no_bounds(domain, formula, reason):
    solved = box.run(several(domain, formula), Settings(states=1))
    assert reason in solved.levels.reason
    assert np.isnan(solved.bounds).all()
    assert np.isfinite(solved.energy)
