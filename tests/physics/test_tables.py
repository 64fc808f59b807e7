"""Tables as people have them, their units, and what becomes of a jump: all read as the same numbers."""

from __future__ import annotations

import re

import jax.numpy as jnp
import numpy as np
import pytest

import qpinn
from qpinn.physics import potentials, reference, units

X = np.array([0.5, 0.75, 1.125, 1.5, 2.0])
V = np.array([2.25, -1e-3, 12.5, 3.0, 0.125])
PAIRS = [(f"{x:.6f}", f"{v:.6f}") for x, v in zip(X, V, strict=True)]


def _rows(separator, pairs=PAIRS):
    return "".join(f"{separator.join(pair)}\n" for pair in pairs)


COMMAS = [tuple(cell.replace(".", ",") for cell in pair) for pair in PAIRS]
FORTRAN = [(x, f"{v:.6E}".replace("E", "D")) for x, v in zip((x for x, _ in PAIRS), V, strict=True)]
TABLES = {
    "comma": "x,V\n" + _rows(","), "no header": _rows(","), "tab": "r\tU\n" + _rows("\t"), "blanks": _rows("   "),
    "blanks and header": "  R   Energy\n" + _rows("  "), "semicolon": "x;V\n" + _rows(";"),
    "decimal comma": "x;V\n" + _rows(";", COMMAS), "decimal comma, tab": _rows("\t", COMMAS),
    "decimal comma, blanks": _rows("  ", COMMAS), "comma and blank": "z, pot\n" + _rows(", "),
    "Fortran": _rows(" ", FORTRAN),
    "comment": "# mine, of 2024\nx,V\n" + _rows(","), "header in a comment": "# x,V\n" + _rows(","),
    "a comment like a row": "! 1.2 (Re) 5.2 (De)\n" + _rows(" "),
    "trailing": "x,V\n" + _rows(",").replace("\n", " % why\n"),
    "quotes": '"x","V"\n' + _rows(","), "CRLF": ("x,V\n" + _rows(",")).replace("\n", "\r\n"),
    "BOM": "\ufeffx,V\n" + _rows(","),
    "empty lines": "\n\nx,V\n\n" + _rows(",").replace("\n", "\n\n"), "descending": "x,V\n" + _rows(",", PAIRS[::-1]),
    "unsorted": "x,V\n" + _rows(",", [PAIRS[k] for k in (3, 0, 4, 1, 2)]),
    "twice": "x,V\n" + _rows(",", [*PAIRS[:2], *PAIRS[1:]]),
    "other columns": "n,x,note,V\n" + "".join(f"{n},{x},a,{v}\n" for n, (x, v) in enumerate(PAIRS)),
    "another separator in the comment": "# x, V\n" + _rows(" "),
    "a line below": "# x V\n# ---\n#\n" + _rows(" "),
    "turned": "# V, x\n" + _rows(" ", [pair[::-1] for pair in PAIRS]),
    "V of x": "x V(x)\n" + _rows(" "), "Latin-1": "# \xe9nergie\nx,V\n" + _rows(","),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_the_same_numbers_whatever_the_table_looks_like(tmp_path, name):
    path = tmp_path / "table.dat"
    path.write_bytes(TABLES[name].encode("latin-1" if name == "Latin-1" else "utf-8"))
    potential = potentials.sampled(path)
    np.testing.assert_allclose(potential.knots, X, rtol=1e-12)
    np.testing.assert_allclose(potential(X[:-1]), V[:-1], rtol=1e-12)
    assert str(len(X) + (name == "twice") - (name == "twice")) in potential.read


@pytest.mark.parametrize("kind", ["utf-16", "npy", "npy, turned", "npz"])
def test_the_same_numbers_in_other_files(tmp_path, kind):
    path = tmp_path / f"table.{kind[:3]}"
    if kind == "utf-16":
        path.write_text(TABLES["comma"], encoding="utf-16")
    elif kind == "npz":
        np.savez(path, r=X, energy=V)
    else:
        np.save(path, np.stack([X, V], axis=0 if "turned" in kind else 1))
    potential = potentials.sampled(path)
    np.testing.assert_array_equal(potential.knots, X)
    np.testing.assert_allclose(potential(X[:-1]), V[:-1], rtol=1e-15)


def test_two_arrays_are_a_table():
    """NumPy's, JAX's and lists: an oscillator between walls far out, E_n = 2 n + 1; and what is no pair of them."""
    x = np.linspace(-8, 8, 401)
    exact = [1, 3, 5]
    for pair in ((x, x**2), (jnp.asarray(x), jnp.asarray(x**2)), (list(x), list(x**2))):
        np.testing.assert_allclose(qpinn.solve(pair, states=3).energies, exact, rtol=1e-9)
    wrongs = {
        "potential.x, V: have 401 and 400 numbers": (x, x[1:]), "potential.V=a: must be numbers": (x, "a"),
        "potential.V: has the shape [401, 1]": (x, x[:, None]),
        "potential.V: number 1=inf: must be within": (x, x + np.inf),
    }  # fmt: skip
    for message, wrong in wrongs.items():
        with pytest.raises(ValueError, match=re.escape(message)):
            qpinn.solve(wrong)


def test_units_in_comments_and_after_a_stroke(tmp_path):
    for header in ("# R [bohr], E [hartree]", "# r/bohr V/hartree", "R(bohr);V(R) [hartree]"):
        path = tmp_path / "table.dat"
        path.write_text(f"{header}\n" + _rows(";" if ";" in header else " "))
        assert dict(potentials.sampled(path).given) == {"length": "bohr", "energy": "hartree"}
    with pytest.raises(ValueError, match="unit=MeV: unknown"):
        units.named("unit", "MeV", units.NAMES["energy"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x;V\n0.5;1,000\n1.5;2,000\n", "row 2, V=1,000: must be a number"),
        ("x,V\n4,5\n2,5\n2,0\n1,0\n0,0\n3,5\n", "position 2: has two values of V, which is a jump only where"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        potentials.sampled(path)


def test_arrays_that_are_no_table_are_refused(tmp_path):
    path = tmp_path / "table.npy"
    np.save(path, np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(potentials.sampled(path, columns=[1, 2]).knots, [0, 4, 8])
    with pytest.raises(ValueError, match="has 4 columns without names"):
        potentials.sampled(path)
    np.save(path, np.ones((4, 2), complex))
    with pytest.raises(ValueError, match="more than real numbers"):
        potentials.sampled(path)


def test_columns_by_name_and_by_number(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,c\n" + "".join(f"{v},7,{x}\n" for x, v in PAIRS))
    for chosen in (["c", "a"], [3, 1], ["c", 1]):
        np.testing.assert_allclose(potentials.sampled(path, columns=chosen).knots, X)
    for chosen, message in ((["c", "d"], "potential.columns=d: no such column; allowed: a, b, c"),
                            ([3, 4], "potential.columns=4: must be a number from 1 to 3"),
                            (["c"], "potential.columns=['c']: must be 2 names or numbers, for x, V")):  # fmt: skip
        with pytest.raises(ValueError, match=re.escape(message)):
            potentials.sampled(path, columns=chosen)
    with pytest.raises(ValueError, match=r"has no column x; .*its header is a, b, c; potential\.columns says"):
        potentials.sampled(path)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_position_with_two_values_is_a_jump(tmp_path, interpolation, turned):
    """The finite well as a table: levels of the exact equation."""
    rows = [
        (-4, 20),
        (-3, 20),
        (-2, 20),
        (-1, 20),
        (-1, 0),
        (-0.5, 0),
        (0.5, 0),
        (1, 0),
        (1, 20),
        (2, 20),
        (3, 20),
        (4, 20),
    ]
    path = tmp_path / "well.csv"
    path.write_text("x,V\n" + "".join(f"{x},{v}\n" for x, v in (rows[::-1] if turned else rows)))
    potential = potentials.sampled(path, interpolation=interpolation)
    assert potential.breakpoints == (-1, 1)
    assert "jumps at -1, 1" in potential.read
    exact = reference.exact(potentials.finite_well(), 4)
    solution = qpinn.solve(potential, states=4, tol=1e-9)
    np.testing.assert_allclose(solution.energies, exact.energies, rtol=1e-11)
    assert ((solution.bounds[:, 0] <= exact.energies) & (exact.energies <= solution.bounds[:, 1])).all()
    assert solution.bounds[:, 1] - solution.bounds[:, 0] == pytest.approx(0, abs=1e-7)


def test_derivatives_with_respect_to_the_two_values_of_a_jump(tmp_path):
    """Against differences of solved tables."""
    rows = np.array([(0, 5), (0.3, 4), (0.4, 1), (0.4, 9), (0.7, 3), (1, 8)], float)
    path = tmp_path / "table.csv"

    def energy(rows):
        np.savetxt(path, rows, delimiter=",", header="x,V")
        return qpinn.solve(potentials.sampled(path), tol=1e-12).energy

    energy(rows)
    by_sample = qpinn.gradients(qpinn.solve(potentials.sampled(path), tol=1e-12))["V"]
    for k in range(len(rows)):
        up, down = rows.copy(), rows.copy()
        up[k, 1] += 0.01
        down[k, 1] -= 0.01
        np.testing.assert_allclose(np.ravel(by_sample)[k], (energy(up) - energy(down)) / 0.02, rtol=2e-6)


JOULES = {"eV": 1.602176634e-19, "meV": 1.602176634e-22, "cm^-1": 1.986445857e-23, "hartree": 4.3597447222e-18,
          "kJ/mol": 1.66053907e-21, "kcal/mol": 6.947695457e-21,
          "K": 1.380649e-23, "THz": 6.62607015e-22, "J": 1.0}  # fmt: skip
METRES = {"nm": 1e-9, "angstrom": 1e-10, "bohr": 5.29177210544e-11, "pm": 1e-12, "um": 1e-6, "m": 1.0}
KILOGRAMS = {"m_e": 9.1093837139e-31, "amu": 1.66053906892e-27, "kg": 1.0}


@pytest.mark.parametrize(("kind", "codata"), [("energy", JOULES), ("length", METRES), ("mass", KILOGRAMS)])
def test_units_are_those_of_codata(kind, codata):
    """Numbers of CODATA 2022 and of the SI of 2019, written out."""
    assert set(units.si(kind)) == set(codata)
    for name, value in codata.items():
        np.testing.assert_allclose(units.si(kind)[name], value, rtol=2e-9)


@pytest.mark.parametrize(
    ("length", "energy"),
    [("R (angstrom)", "E [cm-1]"), ("r [bohr]", "V (hartree)"), ("x_nm", "V_meV"), ("r (pm)", "U (kJ/mol)")],
)
@pytest.mark.parametrize("system", ["semiconductor", "atomic", "spectroscopic"])
def test_units_of_a_header_are_converted_into_those_that_are_chosen(tmp_path, length, energy, system):
    """One curve, a parabola in nm and eV, in each of four units: the same levels in each of three systems."""
    x = np.linspace(-1.2, 1.2, 25)
    v = 3.0 * x**2
    blank = "   " if length.startswith("R") else ","  # blanks part the cells, and stand before units
    names = (re.sub(r".*[(\[_](.*?)[)\]]?$", r"\1", name) for name in (length, energy))
    in_m, in_joule = (units.named("unit", name, table) for name, table in zip(names, (METRES, JOULES), strict=True))
    path = tmp_path / "curve.csv"
    table = np.stack([x * 1e-9 / METRES[in_m], v * JOULES["eV"] / JOULES[in_joule]], axis=1)
    head = f"{length}{blank}{energy}"
    np.savetxt(path, table, delimiter=blank, header=head, comments="# " if system == "atomic" else "", fmt="%.17g")
    chosen = units.of(system)
    mass = {"name": system, "mass": 1.0 / (KILOGRAMS[chosen.mass] / KILOGRAMS["m_e"])}  # an electron
    solution = qpinn.solve(potentials.sampled(path, interpolation="cubic"), states=2, units=mass)
    omega = np.sqrt(2 * 3.0 * JOULES["eV"] / 1e-18 / KILOGRAMS["m_e"])
    exact = 1.054571817e-34 * omega * np.array([0.5, 1.5])
    np.testing.assert_allclose(solution.energies * JOULES[chosen.energy], exact, rtol=2e-2)  # walls at 1.2 nm
    tight = qpinn.solve(potentials.expression((-1.2, 1.2), "3.0*x**2"), states=2, units="semiconductor")
    np.testing.assert_allclose(solution.energies * JOULES[chosen.energy] / JOULES["eV"], tight.energies, rtol=1e-8)


def test_units_that_do_not_go_together_are_one_line(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("R (angstrom),E (cm-1)\n0,0\n1,2\n")
    with pytest.raises(ValueError, match=r"^units=dimensionless: .* is in angstrom, cm\^-1; allowed: semiconductor"):
        qpinn.solve(potentials.sampled(path))
    with pytest.raises(ValueError, match=r"^units\.energy=furlong: unknown; allowed: eV, meV"):
        qpinn.solve(potentials.barrier(), units={"name": "atomic", "energy": "furlong"})
    with pytest.raises(ValueError, match=r"^units\.length=nm: has an effect only with units=semiconductor"):
        qpinn.solve(potentials.barrier(), units={"length": "nm"})


def test_layers_in_other_units_are_the_same_layers(tmp_path):
    columns = {"thickness_nm": [10, 8, 10], "offset_eV": [0.228, 0, 0.228], "mass_me": [0.0919, 0.0665, 0.0919]}
    levels = []
    headers = {
        ("thickness_nm", "offset_eV", "mass_me"): (1, 1, 1), ("d (A)", "Ec [meV]", "m*"): (10, 1e3, 1),
        ("width (bohr)", "V (hartree)", "m_eff (m_e)"): (1e-9 / METRES["bohr"], 1 / 27.211386245981, 1),
        ("width (m)", "V (J)", "mass (kg)"): (1e-9, 1.602176634e-19, 9.1093837139e-31),
    }  # fmt: skip
    for names, factors in headers.items():
        path = tmp_path / "layers.csv"
        table = np.stack(
            [np.array(column) * factor for column, factor in zip(columns.values(), factors, strict=True)], axis=1
        )
        np.savetxt(path, table, delimiter="\t", header="\t".join(names), comments="", fmt="%.17g")
        levels.append(qpinn.solve(potentials.layers(path), states=2, units="semiconductor").energies)
    np.testing.assert_allclose(levels[1:], [levels[0]] * 3, rtol=1e-10)
