"""Several runs, sweeps or jobs side by side: told apart by what differs, and no wider than the terminal."""

from __future__ import annotations

import pytest
from made_results import lost, results, row, state, wrong

from qpinn.report import comparison, tables


def morse(depth=100.0, a=1.0, **changes):
    """A run of a Morse potential, whose walls were chosen."""
    numbers = {"name": "morse", "left": -1.0 / a, "right": 9.0 / a, "center": 0.0, "depth": depth, "a": a}
    certificate = results()["certificate"] | {"walls_chosen": [True, True]}
    return results(potential=numbers, certificate=certificate, **changes)


def heads(text: str) -> list[str]:
    """The headings of the first table, which two blanks part."""
    return [name.strip() for name in text.splitlines()[0].split("  ") if name.strip()]


def test_runs_of_one_potential_are_told_apart_by_the_two_numbers_that_differ():
    """Not by walls that follow from them, nor by a name that is the same in all."""
    text = comparison.overview([morse(), morse(50.0, 2.0)])
    assert heads(text)[:3] == ["potential.depth", "potential.a", "level"]
    first, second = text.splitlines()[2:4]
    assert first.split()[:3] == ["100", "1", "0"]
    assert second.split()[:3] == ["50", "2", "0"]
    assert "morse" not in text.split("\n\n")[0]
    methods = text.split("\n\n")[1]
    assert heads(methods)[:3] == ["depth", "a", "n"]


def test_the_classical_methods_of_one_potential_do_not_repeat_its_name():
    text = comparison.overview([results(), results(seed=1, settings={"seed": 1})])
    assert "infinite_well" not in text
    assert text.count("spectral elements") == 1


def test_layers_are_told_apart_by_the_entry_that_differs():
    def layers(middle):
        edges = [0.0, 10.0, 10.0 + middle, 20.0 + middle]
        return results(potential={"name": "layers", "edges": edges, "masses": [0.1] * 3, "offset": [0.3, 0.0, 0.3]})

    assert heads(comparison.overview([layers(8.0), layers(9.0)]))[:2] == ["potential.thickness[1]", "level"]


def test_long_formulas_are_shown_where_they_differ():
    formulas = [f"10*(x**2 - 1)**2 + {height}*exp(-(x/0.3)**2) + 0.001*x**6 + 0.0001*x**8" for height in (3, 4)]
    text = comparison.overview([results(potential={"name": "expression", "formula": formula}) for formula in formulas])
    for line, height in zip(text.splitlines()[2:4], (3, 4), strict=True):
        assert f"+ {height}*ex" in line
        assert "0001" not in line


def test_of_many_settings_each_line_says_those_that_are_not_as_usual():
    usual = {f"group.key{k}": 0.125 for k in range(10)}
    runs = [results(settings={**usual, **({} if k == 10 else {f"group.key{k}": 0.5})}) for k in range(11)]
    text = comparison.overview(runs)
    assert "\n  3: group.key2=0.5\n" in text
    assert "\n  11: as usual\n" in text
    assert text.count("group.key2=0.125") == 1  # under what is usual
    assert comparison.differing(runs).short()[2] == "group.key2=0.5"


def test_levels_have_a_column():
    several = results(*(state(k) for k in range(3)), settings={"states": 3})
    text = comparison.overview([several, results(state(2), settings={"state": 2}), results()])
    assert "level" in heads(text)
    lines = text.splitlines()[2:5]
    assert ["0 to 2" in lines[0], " 2 " in lines[1], " 0 " in lines[2]] == [True] * 3


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_nothing_is_wider_than_the_terminal(width):
    settings = [{f"group.key{k}": k * step for k in range(9)} for step in (1, 2)]
    runs = [results(state(), lost(1), wrong(2), settings=one, no_reference="a word " * 40) for one in settings]
    runs.append(morse(comparison=[row("finite differences, 2000 points")]))
    for text in (comparison.overview(runs, width), comparison.jobs(jobs(runs), width)):
        assert max(map(len, text.splitlines())) <= width
    assert max(map(len, comparison.overview(runs).splitlines())) > 80  # of a file nothing is cut


def test_the_columns_that_matter_are_left_out_last():
    text = comparison.overview([morse(), morse(50.0)], 70)
    assert {"potential.depth", "level", "E", "outcome"} <= {*heads(text)}
    assert "nodes" not in text


def jobs(runs):
    words = [[f"potential.depth={10 * k}", "states=2"] for k in range(len(runs))]
    return [comparison.Job(str(k), words[k], "finished", run) for k, run in enumerate(runs)]


def test_jobs_have_what_differs_what_they_came_to_and_a_status():
    every = [*jobs([results(state(), wrong(1)), morse()]), comparison.Job("2", ["potential.depth=20"], "failed", None)]
    text = comparison.jobs(every)
    assert heads(text)[:4] == ["folder", "potential.depth", "states", "level"]
    assert heads(text)[-1] == "status"
    lines = text.splitlines()[2:]
    assert lines[0].split()[:3] == ["0", "0", "2"]
    assert "9.8696044011(2)" in lines[0]
    assert "1 right state, 1 wrong state  finished" in lines[0]
    assert lines[2].split()[-1] == "failed"
    assert lines[2].split()[1] == "20"


def test_jobs_that_all_failed_are_listed():
    every = [comparison.Job(str(k), [f"seed={k}"], "failed", None) for k in range(2)]
    assert [line.split() for line in comparison.jobs(every).splitlines()[2:]] == [
        ["0", "0", "failed"], ["1", "1", "failed"]
    ]  # fmt: skip


def test_transitions_say_where_they_stop():
    names = ("dipoles", "oscillator_strengths")
    many = results(*(state(k) for k in range(10)), **{name: [[0.1] * 10] * 10 for name in names})
    assert "the lowest 8 of 10, all are in results.json" in " ".join(tables.transitions(many).split())
    assert "lowest" not in tables.transitions(results(state(), state(1)))
    assert max(map(len, tables.transitions(many).splitlines())) <= 100
