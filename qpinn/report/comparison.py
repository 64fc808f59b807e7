"""Several runs or sweeps side by side: what differs between them, what each came to, and what became of jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from qpinn.report import words
from qpinn.report.tables import classical, plain, seconds, wrapped
from qpinn.report.words import level, number, unit

Results = Mapping[str, Any]

LONGEST = 40
"""Characters of a setting that a table shows."""

WIDEST = 100
"""Characters of a line of text, where nothing else says how wide it may be."""


class Differences(NamedTuple):
    """What differs between several things: the names of settings, and the value of each for each of them."""

    names: list[str]
    values: list[list[str]]

    @property
    def usual(self) -> list[str]:
        """The commonest value of each setting."""
        return [Counter(column).most_common(1)[0][0] for column in zip(*self.values, strict=True)]

    def short(self) -> list[str]:
        """For each of them those settings alone that are not as usual."""
        lines = []
        for row in self.values:
            cells = zip(self.names, row, self.usual, strict=True)
            lines.append(", ".join(f"{name}={value}" for name, value, usual in cells if value != usual) or "as usual")
        return lines


def differing(runs: Sequence[Results], left_out: Sequence[str] = ()) -> Differences:
    """The settings in which runs or sweeps differ; the seed last. A name or a file tells the numbers that follow it."""
    settings = [{"potential": _potential(run), **run["settings"], **_varied(run), **_packet(run)} for run in runs]
    flats = [_flat(values) for values in settings]
    varied = _vary(flats)
    tellers = [key for key in varied if key.endswith((".name", ".file"))]
    shown = [key for key in varied if key in tellers or not any(_follows(flats, name, key) for name in tellers)]
    shown = [key for key in shown if key not in left_out]
    shown = sorted(shown, key=lambda key: key == "seed") or ["potential.name"]
    return Differences([key.removesuffix(".name") for key in shown], _columns(flats, shown))


def _packet(run: Results) -> dict[str, Any]:
    """What a sweep over packets was asked."""
    return {"packet": run["packet"]} if "packet" in run else {}


def _potential(run: Results) -> dict[str, Any]:
    """The numbers of a potential as they are given: no walls that were put where psi has decayed, and thicknesses."""
    numbers = dict(run["potential"])
    for side, chosen in zip(("left", "right"), run.get("certificate", {}).get("walls_chosen", ()), strict=False):
        if chosen:
            numbers.pop(side, None)
    if "masses" in numbers and "edges" in numbers:
        numbers["thickness"] = np.round(np.diff(numbers.pop("edges")), 12).tolist()
    return numbers


def _varied(run: Results) -> dict[str, str]:
    """What varies within a sweep, as a setting."""
    sweep = run.get("sweep", {})
    return {sweep["vary"]: "{:g} to {:g}".format(*sweep["range"])} if sweep.get("vary") else {}


def _follows(settings: Sequence[Mapping[str, Any]], name: str, key: str) -> bool:
    """Whether `key`, of the same group as `name`, has one value for each value of `name`."""
    if key.split(".")[0] != name.split(".")[0]:
        return False
    pairs = {(str(flat.get(name)), str(flat.get(key))) for flat in settings}
    return len(pairs) == len({first for first, _ in pairs})


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as `group.key`, and the entries of a list as `group.key[0]`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        elif isinstance(value, (list, tuple)):
            flat.update({f"{prefix}{key}[{place}]": entry for place, entry in enumerate(value)})
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _vary(flats: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys that have not one value in all of them."""
    keys = dict.fromkeys(key for flat in flats for key in flat)
    return [key for key in keys if len({str(flat.get(key)) for flat in flats}) > 1]


def _columns(flats: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[list[str]]:
    """The values of `keys` (n, keys) as text."""
    columns = [_shortened([_text(flat.get(key, "-")) for flat in flats]) for key in keys]
    return [[column[k] for column in columns] for k in range(len(flats))]


def _text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else "null" if value is None else str(value)


def _shortened(texts: Sequence[str]) -> list[str]:
    """Long texts without what they all begin and end with, and without their middle where that tells none apart."""
    if max(map(len, texts)) <= LONGEST:
        return list(texts)
    distinct = list(dict.fromkeys(texts))
    first = _alike(distinct)
    last = _alike([text[first:][::-1] for text in distinct])
    first, last = (0 if size < 8 else size - 4 for size in (first, last))

    def cut(text: str) -> str:
        core = text[first : len(text) - last]
        core = core if len(core) <= LONGEST else f"{core[: LONGEST // 2 - 2]}...{core[2 - LONGEST // 2 :]}"
        return f"{'...' if first else ''}{core}{'...' if last else ''}"

    short = {text: cut(text) for text in distinct}
    return [short[text] for text in texts] if len(set(short.values())) == len(short) else list(texts)


def _alike(texts: Sequence[str]) -> int:
    """How many characters all of several different texts begin with; 0 of a single one."""
    if len(texts) < 2:
        return 0
    return next(
        (place for place, signs in enumerate(zip(*texts, strict=False)) if len(set(signs)) > 1), min(map(len, texts))
    )


# -------------------------------------------------------------------------------------------------------------- layout


class Rows(NamedTuple):
    """A heading and a line of cells for each of several things.

    least  ends of the names of columns that may be left out, in that order
    left   how many columns are aligned to the left
    """

    header: list[str]
    cells: list[list[str]]
    least: tuple[str, ...] = ()
    left: int = 0


def _table(differ: Differences, rows: Rows, width: int | None, folders: Sequence[str] = ()) -> tuple[str, list[str]]:
    """A line for each, with what differs in front, or numbers and what they stand for where that is too wide.

    folders  names of each, which stand before anything else
    Returns the table and what each line is called. Where a `width` is given no line is wider.
    """
    place, called = ("folder", list(folders)) if folders else ("run", [str(k + 1) for k in range(len(rows.cells))])
    labels = sum(max(map(len, column)) + 2 for column in zip(differ.names, *differ.values, strict=True))
    least = _without(rows, rows.least)
    fits = width is None or labels + _width(least.header, least.cells) <= width
    if labels <= LONGEST + 4 and (fits or len(differ.names) == 1):
        names, each, legend = differ.names, differ.values, ""
        if folders:
            names, each = [place, *names], [[name, *row] for name, row in zip(called, each, strict=True)]
        called = [", ".join(row) for row in differ.values]
    else:
        names, each, legend = [place], [[name] for name in called], _legend(differ, called, width)
    room, left_out = None if width is None else width - _width(names, each), 0
    while room is not None and left_out < len(rows.least) and _width(rows.header, rows.cells) > room:
        rows, left_out = _without(rows, rows.least[left_out : left_out + 1]), left_out + 1
    lines = plain(
        [*names, *rows.header], [[*a, *b] for a, b in zip(each, rows.cells, strict=True)], left=len(names) + rows.left
    )
    blocks = [legend, "\n".join(clipped(line, width) for line in lines.splitlines())]
    return "\n\n".join(block for block in blocks if block), called


def _without(rows: Rows, names: Sequence[str]) -> Rows:
    """Without the columns whose headings end in one of `names`."""
    kept = [place for place, title in enumerate(rows.header) if not title.endswith(tuple(names))]
    cells = [[line[place] for place in kept] for line in rows.cells]
    return rows._replace(header=[rows.header[place] for place in kept], cells=cells)


def _width(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return 2 + sum(max(map(len, column)) + 2 for column in zip(header, *rows, strict=True))


def _legend(differ: Differences, called: Sequence[str], width: int | None) -> str:
    """What the names of lines stand for: what is usual, and what differs from it."""
    usual = ", ".join(f"{name}={value}" for name, value in zip(differ.names, differ.usual, strict=True))
    lines = [f"usual: {usual}", *map(": ".join, zip(called, differ.short(), strict=True))]
    return "\n".join(_within(line, width) for line in lines)


def _within(line: str, width: int | None) -> str:
    """A line of text that goes on below, and is no wider than a terminal of this width."""
    below = wrapped(line, min(WIDEST, width or WIDEST)).splitlines()
    return "\n".join(clipped(piece, width) for piece in below)


def clipped(line: str, width: int | None) -> str:
    """A line that ends in ... where it is wider than `width`."""
    return line if width is None or len(line) <= width else f"{line[: width - 3]}..."


# ---------------------------------------------------------------------------------------------------------------- runs


def overview(runs: Sequence[Results], width: int | None = None) -> str:
    """One line for each of several results.json, with the settings in which they differ, and the classical methods.

    Of a run of several states: E of the lowest, the largest errors, and how many are right. No line is wider than
    `width` characters.
    """
    table, called = _table(differing(runs, LEVELS), run_rows(runs), width)
    lines = [
        _within(f"{name}: {note}", width)
        for run, name in zip(runs, called, strict=True)
        for note in (words.no_reference(run), *words.outside(run), *words.notes(run["states"]))
        if note
    ]
    return "\n\n".join(block for block in (table, "\n".join(lines), _classical(runs, width)) if block)


LEVELS = ("states", "state")
"""Settings that a column of its own says."""


def run_rows(runs: Sequence[Results]) -> Rows:
    """What each of several runs came to: its levels, E with its bound, errors, seconds and the outcome."""
    several = any(len(run["states"]) > 1 for run in runs)
    largest = "largest " if several else ""
    header = ["level", "lowest E" if several else "E", f"{largest}error of E", f"{largest}L2 error",
              *([] if several else ["nodes"]), "seconds", "outcome"]  # fmt: skip
    return Rows(header, [_run(run, several) for run in runs], ("nodes", "L2 error", "error of E", "seconds"))


def _run(run: Results, several: bool) -> list[str]:
    states = run["states"]
    state, last = states[0], states[-1]
    which = str(state["index"]) if len(states) == 1 else f"{state['index']} to {last['index']}"
    stated = words.certified(state) if run["route"]["projected_start"] else level(state["energy"])
    energy, took = "-" if words.is_empty(state) else stated + unit(run), seconds(words.trained_in(run))
    if not several:
        nodes, psi = (
            ("-", "-") if words.is_empty(state) else (_said(state, "node_count"), number(state.get("relative_l2_psi")))
        )
        return [which, energy, words.error_of(run, state), psi, nodes, took, state["outcome"]]
    filled = [entry for entry in states if not words.is_empty(entry)]
    worst = max(filled, key=lambda entry: entry.get("relative_error_energy") or 0.0, default=state)
    errors = [entry["relative_l2_psi"] for entry in filled if entry.get("relative_l2_psi") is not None]
    counts = [entry["outcome"] for entry in states]
    outcome = (
        ", ".join(f"{counts.count(name)} {name}" for name in dict.fromkeys(counts)) if len(counts) > 1 else counts[0]
    )
    return [which, energy, words.error_of(run, worst), number(max(errors, default=None)), took, outcome]


def _said(state: Mapping[str, Any], key: str) -> str:
    """What a state says of something, a dash where it says nothing: levels of several coordinates have no nodes."""
    value = state.get(key)
    return "-" if value is None else str(value)


def _classical(runs: Sequence[Results], width: int | None) -> str:
    """The classical methods, once for each potential and level among the runs, told apart by what differs."""
    chosen = {(str(_potential(run)), run["states"][-1]["index"]): run for run in reversed(runs)}.values()
    differ = differing([{"potential": _potential(run), "settings": {}} for run in chosen])
    names = [name.removeprefix("potential.") for name in differ.names]
    of, cells = [], []
    for run, values in reversed(list(zip(chosen, differ.values, strict=True))):
        for row in run.get("comparison", ()):
            name, energy, *others = classical(run, row)
            of.append(values)
            cells.append([str(run["states"][-1]["index"]), name, energy + unit(run), *others])
    if not cells:
        return ""
    if len({str(values) for values in of}) == 1:
        names, of = [], [[] for _ in cells]
    header = ["n", "classical method", "E", "error of E", "L2 error", "seconds"]
    return _table(Differences(names, of), Rows(header, cells, ("L2 error", "seconds", "error of E"), 2), width)[0]


# -------------------------------------------------------------------------------------------------------------- sweeps


def sweep_overview(summaries: Sequence[Results], width: int | None = None) -> str:
    """One line for each sweep: what differs, success with its interval, errors."""
    return _table(differing(summaries), sweep_rows(summaries), width)[0]


def sweep_rows(summaries: Sequence[Results]) -> Rows:
    """What each of several sweeps came to."""
    rows = []
    for summary in summaries:
        stats = summary["statistics"]
        low, high = stats["success"]["wilson_95"]
        right = stats.get("right", ["right state"])
        outcomes = ", ".join(f"{n} {name}" for name, n in stats["outcomes"].items() if n and name not in right)
        rows.append([
            str(stats["starts"]), f"{100 * stats['success']['rate']:.1f} %", f"{100 * low:.1f} - {100 * high:.1f} %",
            "fixed" if summary["route"].get("energy") == "fixed" else _median(stats["relative_error_energy"]),
            _median(stats["relative_l2_psi"]), f"{1e3 * summary['seconds']['per_start']:.3g}", outcomes or "-",
        ])  # fmt: skip
    goals = {summary["statistics"].get("goal", "right state") for summary in summaries}
    header = [
        "starts",
        goals.pop() if len(goals) == 1 else "right",
        "95 % interval",
        "error of E",
        "L2 error",
        "ms a start",
        "others",
    ]
    return Rows(header, rows, ("ms a start", "L2 error", "error of E", "95 % interval", "others"))


def _median(spread: Mapping[str, float] | None) -> str:
    return "-" if spread is None else number(spread["median"])


# ---------------------------------------------------------------------------------------------------------------- jobs


class Job(NamedTuple):
    """A job of a multirun: the name of its folder, its overrides, what became of it, and its results, if any."""

    folder: str
    overrides: Sequence[str]
    status: str
    results: Results | None


def jobs(every: Sequence[Job], width: int | None = None) -> str:
    """One line for each job of a multirun: in what it differs from the others, what it came to, and its status."""
    flats = [dict(word.partition("=")[::2] for word in job.overrides) for job in every]
    keys = _vary(flats)
    made = [job.results for job in every if job.results is not None]
    swept = any("statistics" in results for results in made)
    rows = (sweep_rows if swept else run_rows)(made) if made else Rows([], [])
    cells, nothing = iter(rows.cells), ["-"] * len(rows.header)
    filled = [[*(nothing if job.results is None else next(cells)), job.status] for job in every]
    differ = Differences(keys, _columns(flats, keys))
    return _table(differ, Rows([*rows.header, "status"], filled, rows.least), width, [job.folder for job in every])[0]
