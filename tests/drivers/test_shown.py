"""What a session shows of a solution, and that it can be copied and sent to another process."""

from __future__ import annotations

import copy
import pickle
from html.parser import HTMLParser

import numpy as np
import pytest

import qpinn
from qpinn.drivers.derivatives import Gradients

FAST = {"network": {"width": 5}, "optimizer": {"name": "levenberg_marquardt", "steps": 4}}


@pytest.fixture(scope="module")
def many():
    """Ten levels on one network."""
    return qpinn.solve(qpinn.potentials.infinite_well(), states=10, network={"shared": True, "width": 8})


def test_a_solution_is_shown_in_a_few_lines(solved, many):
    lines = repr(solved).splitlines()
    assert lines[0] == "Solution of barrier, left 0, right 1, center 0.5, width 0.2, height 50"
    assert "Rayleigh-Ritz start" in lines[1]
    digits, _, last = lines[3].split()[1].partition("(")
    unit = 10.0 ** -len(digits.partition(".")[2])
    assert abs(float(digits) - solved.energy) <= unit * int(last.rstrip(")"))  # its bound in the last digit
    lines = repr(many).splitlines()
    assert len(lines) <= 12
    assert lines[-1].startswith("  ... and 2 more; ")
    assert all(len(line) <= 140 for line in lines)


def test_deltas_and_a_mass_beside_a_potential_are_shown():
    beside = {"deltas": [[0.5, 10.0]], "mass": "1+0.1*x"}
    well = qpinn.potentials.infinite_well()
    first = repr(qpinn.solve(well, hamiltonian=beside, **FAST)).splitlines()[0]
    assert first.endswith("mass(x) 1+0.1*x, deltas [[0.5, 10]]")


class Cells(HTMLParser):
    """The text of a page, and what it is marked up with."""

    def __init__(self):
        super().__init__()
        self.tags, self.cells = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.cells.append(data)


def test_a_notebook_shows_a_table_without_scripts_and_colours(solved, many):
    for solution in (solved, many):
        html = solution._repr_html_()
        shown = Cells()
        shown.feed(html)
        assert set(shown.tags) == {"div", "table", "thead", "tbody", "tr", "th", "td"}
        assert "color" not in html
        assert [word for word in repr(solution).split() if word not in " ".join(shown.cells)] == []


def test_what_is_shown_is_escaped():
    solution = qpinn.solve("where(x<0, 3, 0)", domain=(-1, 1), **FAST)
    assert "where(x&lt;0, 3, 0)" in solution._repr_html_()
    assert "where(x<0, 3, 0)" in repr(solution)


def test_arrays_are_not_shown_as_numbers():
    x = np.linspace(-3, 3, 400)
    table = qpinn.potentials.sampled(x=x, V=x**2, interpolation="cubic")
    layers = qpinn.potentials.layers(thickness=[8, 4, 8], offset=[0.2, 0.0, 0.2], mass=[0.09, 0.07, 0.09])
    for potential in (table, layers):
        assert repr(potential).startswith(type(potential).__name__)
        assert len(repr(potential)) < 160
    assert repr(Gradients({"width": np.array([-1.329261, -5.066038])})) == "width  -1.329261  -5.066038"
    assert repr(Gradients({"V": np.zeros((2, 400))})) == "V  <2 x 400 numbers>"


def test_a_copy_is_the_same(solved):
    solved.states  # noqa: B018  (what has been computed by then is no hindrance)
    x = np.linspace(0, 1, 7)
    for other in (pickle.loads(pickle.dumps(solved)), copy.deepcopy(solved)):
        np.testing.assert_array_equal(other.energies, solved.energies)
        np.testing.assert_array_equal(other.bounds, solved.bounds)
        np.testing.assert_array_equal(other.psi(x), solved.psi(x))
        assert repr(other) == repr(solved)


def test_a_function_without_a_name_says_what_to_do():
    solution = qpinn.solve(lambda x: x**4, domain=(-3, 3), **FAST)
    with pytest.raises(TypeError, match=r"<lambda>: .* cannot be pickled; solution.save\(folder\) keeps"):
        pickle.dumps(solution)
    np.testing.assert_array_equal(copy.deepcopy(solution).psi([0.5]), solution.psi([0.5]))


def test_what_a_table_and_its_walls_do_to_the_levels_is_shown():
    x = np.linspace(-2, 2, 30)
    solution = qpinn.solve((x, 10 * (x**2 - 1) ** 2), states=2, network={"width": 6})
    for shown in (repr(solution), solution._repr_html_()):
        assert "a wall as given raises level 0 by about" in shown
        assert "V between the rows of the table is an assumption" in shown
    assert len(repr(solution).splitlines()) <= 12
