"""Layers in an electric field, and graded ones, against Airy functions at 40 digits."""

import numpy as np
import pytest
from scipy import constants

import qpinn
from qpinn import potentials
from qpinn.physics import reference
from tests.physics import airy

DOTS = {"thickness": [6.0, 5.0, 3.0, 8.0, 6.0], "offset": [0.3, 0.0, 0.25, 0.0, 0.3],
        "mass": [0.1, 0.067, 0.09, 0.067, 0.1]}  # fmt: skip


def solved(states=4, tol=1e-8, **layers):
    return qpinn.solve(potentials.layers(**layers), units="semiconductor", states=states, tol=tol)


def by_airy(solution):
    """Levels to 40 digits of the potential of a solution, in its own units, as floats."""
    given, scale = solution.given, solution.units.scale
    slope = 1e3 * 1e2 * 1e-9 * float(given.field)  # kV / cm in V / m, eV / nm
    left = np.asarray(given.offset) + slope * (given.edges[:-1] - given.edges[0])
    rise = np.full(len(left), slope)
    if given.offset_end is not None:
        rise = rise + (given.offset_end - given.offset) / np.diff(given.edges)
    bare = (given.edges, left / scale, rise / scale, given.masses)
    return np.array([float(airy.level(energy / scale, *bare)) * scale for energy in solution.energies])


@pytest.mark.parametrize("field", [1.0, -40.0, 250.0])
def test_levels_in_a_field_have_the_digits_of_airy_functions(field):
    solution = solved(field=field, **DOTS)
    exact = by_airy(solution)
    assert all(solution.converged)
    np.testing.assert_allclose(solution.energies, exact, rtol=2e-14)
    assert (solution.bounds[:, 0] <= exact).all()
    assert (exact <= solution.bounds[:, 1]).all()


def test_graded_offsets_are_fields_of_their_own():
    """A parabola of offsets by pieces, in a field."""
    solution = solved(thickness=[4.0] * 6, offset=[0.3, 0.12, 0.03, 0.0, 0.03, 0.12],
                      offset_end=[0.12, 0.03, 0.0, 0.03, 0.12, 0.3], mass=[0.08] * 6, field=20.0)  # fmt: skip
    exact = by_airy(solution)
    np.testing.assert_allclose(solution.energies, exact, rtol=2e-14)
    assert ((solution.bounds[:, 0] <= exact) & (exact <= solution.bounds[:, 1])).all()


@pytest.mark.parametrize("ratio", [1.5, 0.1, 30.0])
def test_a_mass_that_grows_in_a_layer(ratio):
    """Between walls psi' / m is an Airy function of the place."""
    solution = solved(thickness=[10.0], offset=[0.0], mass=[0.05], mass_end=[0.05 * ratio])
    scale = solution.units.scale
    exact = [float(airy.graded_mass_level(energy / scale, 10.0, 0.05, 0.05 * ratio)) * scale
             for energy in solution.energies]  # fmt: skip
    assert all(solution.converged)
    np.testing.assert_allclose(solution.energies, exact, rtol=2e-14)
    assert ((solution.bounds[:, 0] <= exact) & (exact <= solution.bounds[:, 1])).all()
    np.testing.assert_allclose([state.expectation["virial"] for state in solution.states], 1.0, atol=1e-6)
    best = reference.best(solution.plan.potential, 4)
    np.testing.assert_allclose(best.energies * scale, exact, rtol=1e-13)
    grid = reference.finite_differences(solution.plan.potential, 4, 4000)
    np.testing.assert_allclose(grid.energies * scale, exact, rtol=1e-4)


def test_psi_of_a_graded_mass_keeps_its_flux_at_an_interface():
    solution = solved(thickness=[5.0, 5.0], offset=[0.0, 0.1], mass=[0.05, 0.1], mass_end=[0.09, 0.06], states=3)
    step = 1e-6
    before, after = (np.diff(solution.psi(np.array([5.0 + side * step, 5.0 + 2 * side * step])), axis=1)[:, 0] / side
                     for side in (-1, 1))  # fmt: skip
    np.testing.assert_allclose(before / 0.09, after / 0.1, rtol=1e-4)


def test_derivatives_with_respect_to_the_field_and_to_graded_layers():
    numbers = {**DOTS, "offset_end": [0.3, 0.05, 0.25, 0.0, 0.32], "mass_end": [0.1, 0.067, 0.08, 0.07, 0.1]}
    slopes = qpinn.gradients(solved(field=30.0, **numbers))
    step = 1e-3
    up, down = (solved(field=30.0 + side * step, **numbers).energies for side in (1, -1))
    np.testing.assert_allclose(slopes["field"], (up - down) / (2 * step), rtol=1e-6)
    for key in ("mass_end", "offset_end", "mass", "thickness"):
        step = 1e-4 * numbers[key][2]
        moved = [[*numbers[key][:2], numbers[key][2] + side * step, *numbers[key][3:]] for side in (1, -1)]
        up, down = (solved(field=30.0, **{**numbers, key: values}).energies for values in moved)
        np.testing.assert_allclose(slopes[key][:, 2], (up - down) / (2 * step), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(("length", "energy"), [("angstrom", "meV"), ("bohr", "hartree")])
def test_a_field_is_in_kv_per_cm_whatever_the_units(length, energy):
    joule = {"meV": 1e-3 * constants.e, "hartree": constants.physical_constants["Hartree energy"][0]}[energy]
    metre = {"angstrom": 1e-10, "bohr": constants.physical_constants["Bohr radius"][0]}[length]
    usual = solved(field=80.0, states=2, **DOTS)
    numbers = {**DOTS, "thickness": [d * 1e-9 / metre for d in DOTS["thickness"]],
               "offset": [v * constants.e / joule for v in DOTS["offset"]]}  # fmt: skip
    units = {"name": "semiconductor", "length": length, "energy": energy}
    other = qpinn.solve(potentials.layers(field=80.0, **numbers), units=units, states=2, tol=1e-8)
    np.testing.assert_allclose(other.energies * joule / constants.e, usual.energies, rtol=1e-12)


def test_columns_of_graded_layers_in_a_file(tmp_path):
    path = tmp_path / "graded.csv"
    path.write_text("width_nm,Ec_eV,m,offset_end_eV,mass_end\n5,0.3,0.1,0.2,0.08\n4,0,0.067,0,0.067\n")
    layers = potentials.layers(path)
    np.testing.assert_array_equal(layers.offset_end, [0.2, 0.0])
    np.testing.assert_array_equal(layers.masses_end, [0.08, 0.067])
    np.testing.assert_allclose(layers.mass([0.0, 2.5, 4.999999, 5.0]), [0.1, 0.09, 0.08, 0.067], rtol=1e-6)
    path.write_text("width_nm,V_eV,m,V_end_meV\n5,0.3,0.1,0.2\n")
    with pytest.raises(ValueError, match="V_end_meV is in meV, other columns of energy are in eV; must be one"):
        potentials.layers(path)


def test_a_field_in_another_unit_is_refused():
    with pytest.raises(ValueError, match=r"potential\.field=4e\+06: must lie within .* kV/cm; 1 V/m is 1e-5 kV/cm"):
        potentials.layers(field=4e6, **DOTS)


@pytest.mark.parametrize("field", [0.0, 5.0])
def test_layers_are_on_no_ring_of_a_rotor(tmp_path, field):
    path = tmp_path / "layers.csv"
    path.write_text("thickness_nm,offset_eV,mass_me\n5,0,0.1\n")
    rotor = {"name": "rotor", "constant": 1.0}
    for layers in (potentials.layers(path, field=field), potentials.layers(field=field, **DOTS)):
        with pytest.raises(ValueError, match=r"^units[.=]"):
            qpinn.solve(layers, units=rotor)
