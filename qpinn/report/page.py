"""report.html: one page that holds all of a run or a sweep, made from the files of its folder alone.

Nothing in it comes from elsewhere: figures and numbers are in the page. Without scripts, and on paper, every level is
shown below the other; with them a slider picks one.
"""

from __future__ import annotations

import base64
import csv
import html
import importlib.resources
import io
import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qpinn.report import page_levels, tables, words
from qpinn.report.words import Results, State
from qpinn.runs.files import read_npz, write_atomically
from qpinn.runs.run_folder import BOX, read_summary

NAME = "report.html"

LONGEST = 1_000_000
"""Bytes of a table beyond which it is left out."""

Pictures = Mapping[str, tuple[str, bytes]]
"""Figures by their names, each its type (image/...) and its bytes."""
NONE: Pictures = {}


def save(folder: Path, figures: Pictures = NONE) -> Path:
    """Write the page of a run or a sweep, with the figures that were drawn of it.

    Raises ValueError, naming the file, if one is missing or damaged.
    """
    results, path = read_summary(folder), folder / "config.yaml"
    try:
        config = path.read_text() if path.is_file() else ""
        if "statistics" in results:
            path = folder / "seeds.csv"
            text = of_sweep(results, path.read_bytes(), config, figures)
        elif results.get("task") == BOX:
            from qpinn.report import box_page

            text = box_page.of_box(results, config, figures)
        else:
            path = folder / "wavefunction.npz"
            text = of_run(results, read_npz(path.read_bytes(), path), config, figures)
    except (OSError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: missing or damaged ({error})") from None
    write_atomically(folder / NAME, text.encode())
    return folder / NAME


def of_run(results: Results, grid: Mapping[str, Any], config: str, figures: Pictures = NONE) -> str:
    """The page of a run, from results.json, the arrays of wavefunction.npz and config.yaml."""
    methods = section("Other methods on the same problem", f"<pre>{escaped(tables.methods(results))}</pre>")
    certified = section("What is certified", certificate(results, _certified(results)))
    parts = [page_levels.section(results, grid), _table(results), certified,
             drawings(figures), methods, section("How it was made", f"<p>{escaped(_made(results))}</p>"),
             origin(results, config)]  # fmt: skip
    return whole(results, "".join(parts), _warnings(results), KEPT)


def of_sweep(summary: Results, seeds: bytes, config: str, figures: Pictures = NONE) -> str:
    """The page of a sweep, from summary.json, seeds.csv and config.yaml."""
    link = download("seeds.csv", seeds, "Every start as CSV") if len(seeds) <= LONGEST else ""
    report = section("Starts", f"<pre>{escaped(tables.sweep_report(summary))}</pre>{link}")
    parts = [report, drawings(figures), origin(summary, config)]
    kept = [name for name in ("potential", "packet", "statistics", "seconds", "versions") if name in summary]
    return whole(summary, "".join(parts), [], kept, _equation(summary))


def whole(
    results: Results, main: str, warnings: Sequence[str], kept: Sequence[str], equation: str | None = None
) -> str:
    """The whole page; `kept` of the results are its data."""
    template = importlib.resources.files("qpinn.report").joinpath("page.html").read_text(encoding="utf-8")
    return string.Template(template).substitute(
        title=escaped(results["potential"]["name"].replace("_", " ")), equation=escaped(equation or _equation(results)),
        route=escaped(results["route"]["label"]), main=main, data=_island(results, kept),
        warnings="".join(f'<p class="warning">{escaped(line)}</p>' for line in warnings),
    )  # fmt: skip


def section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>"


def download(name: str, data: bytes, label: str) -> str:
    """A link that holds a CSV file."""
    source = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data).decode()}"
    return f'<p class="csv"><a download="{name}" href="{source}">{label}</a></p>'


def origin(results: Results, config: str) -> str:
    """Seconds, versions and the configuration."""
    rows = [[phase, f"{value:.3g}"] for phase, value in results["seconds"].items() if isinstance(value, (int, float))]
    body = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    seconds = (
        f'<table class="words"><thead><tr><th>phase</th><th>seconds</th></tr></thead><tbody>{body}</tbody></table>'
    )
    versions = ", ".join(f"{name} {version}" for name, version in results.get("versions", {}).items())
    parts = {
        "Seconds": seconds,
        "Versions": f"<p>{escaped(versions)}</p>",
        "Configuration": f"<pre>{escaped(config)}</pre>",
    }
    return "".join(section(heading, content) for heading, content in parts.items())


def escaped(value: Any) -> str:
    return html.escape(str(value))


MOST_SHOWN = 12
"""Numbers of a list in the heading: a table of V is in the configuration, or in its file."""


def _equation(results: Results) -> str:
    """The equation, its units, and the numbers of the potential."""
    potential, units = dict(results["potential"]), results.get("units", {"length": "L"})
    potential.pop("name")
    potential |= potential.pop("parameters", {})
    potential |= dict(zip(("left", "right"), results.get("walls", ()), strict=False))
    numbers = [f"{key} {_shown(value)}" for key, value in potential.items()
               if value not in ("", []) and not (isinstance(value, list) and len(value) > MOST_SHOWN)]  # fmt: skip
    if "packet" in results:
        drive = " + f(t) W ψ" if results["packet"]["drive"] else ""
        return f"i ψ_t = −ψ″ + V ψ{drive}; {', '.join(numbers)}"
    if units["length"] == "L":
        return f"−ψ″ + V ψ = E ψ; {', '.join(numbers)}"
    where = words.signs(f"{units['length']} and {units['energy']}")
    if units["length"] == "rad":
        return f"−B ψ″ + V ψ = E ψ in {where}; B {units['scale']:g}, {', '.join(numbers)}"
    return f"−(ħ²/2) (ψ′/m)′ + V ψ = E ψ in {where}; {', '.join(numbers)}"


def _shown(value: Any) -> str:
    """A number of a potential, or several, or a word."""
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:g}".replace("-", "−") if isinstance(value, float) else str(value)


def _warnings(results: Results) -> list[str]:
    """Whatever is not as it should be."""
    states = results["states"]
    lines = [words.cut_short(results), *words.remarks(states), *words.outside(results), *words.walls(results),
             words.left_out(results), words.no_reference(results)]  # fmt: skip
    return [line for line in lines if line]


COLUMNS = ("x", "x2", "p2", "dx_dp", "parity")


def _csv(results: Results) -> str:
    """The levels as CSV, every number as it is in results.json."""
    units = results["units"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    energies = [tables.with_unit(name, units, "energy") for name in ("energy", "lower", "upper")]
    powers = zip(COLUMNS[:3], (1, 2, -2), strict=True)
    expectations = [tables.with_unit(f"<{name}>", units, "length", power) for name, power in powers]
    errors = ["relative_error_energy", "relative_l2_psi"]
    writer.writerow(["n", *energies, "converged", "outcome", "nodes", *expectations, *COLUMNS[3:], *errors])
    for state in results["states"]:
        writer.writerow([
            state["index"], *(exact(state[name]) for name in ("energy", "lower", "upper")), state["converged"],
            state["outcome"], state["node_count"], *(exact(state["expectation"][name]) for name in COLUMNS),
            *(exact(state[name]) for name in errors),
        ])  # fmt: skip
    return text.getvalue()


def exact(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _table(results: Results) -> str:
    """The levels with their bounds and expectation values, and a link that holds them as CSV."""
    units = results["units"]
    p = "p" if units["length"] == "L" else "k"
    powers = (("<x>", 1), ("<x²>", 2), (f"<{p}²>", -2))
    energy = [tables.with_unit(name, units, "energy") for name in ("E", "lower bound", "upper bound")]
    within = f"within {words.tolerance(results)}"
    lengths = [tables.with_unit(name, units, "length", power) for name, power in powers]
    head = ["n", *energy, within, "nodes", "parity", *lengths, f"Δx Δ{p}", "error of E", "L2 error of ψ",
            "outcome"]  # fmt: skip
    names = "".join(f"<th>{escaped(words.signs(name))}</th>" for name in head)
    body = "".join(_row(results, state) for state in results["states"])
    return (
        "<section><h2>Levels</h2>"
        f'<div class="wide"><table id="levels"><thead><tr>{names}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        '<p class="quiet">20.617452223990(4) lies within 4 units of its last digit of the level, (?) has no bound.</p>'
        f"{download('levels.csv', _csv(results).encode(), 'This table as CSV, all digits')}</section>"
    )


def _row(results: Results, state: State) -> str:
    index, lost = state["index"], words.is_empty(state)
    energy = words.certified(state) if results["route"]["projected_start"] else words.level(state["energy"])
    bounds = [exact(state[name]) or "-" for name in ("lower", "upper")]
    within = "yes" if state["converged"] and words.holds(state) else "no"
    parity, *values = ("-" if lost else _number(state["expectation"], name) for name in ("parity", *COLUMNS[:4]))
    cells = ["-" if lost else energy, *bounds, "-" if lost else within, "-" if lost else str(state["node_count"]),
             {"1": "even", "-1": "odd"}.get(parity, "-"), *values, words.error_of(results, state),
             "-" if lost else words.number(state["relative_l2_psi"]), words.outcome(state)]  # fmt: skip
    name = f'<td><a href="#level-{index}">{index}</a></td>'
    return f'<tr id="row-{index}">{name}{"".join(f"<td>{escaped(cell)}</td>" for cell in cells)}</tr>'


def _number(expectation: Mapping[str, float | None], name: str) -> str:
    """Six digits; <x> is zero where it is nothing beside the width of psi."""
    value, square = expectation[name], expectation["x2"]
    if value is None:
        return "-"
    return f"{0.0 if name == 'x' and square is not None and value**2 < 1e-24 * square else value:.6g}"


def _certified(results: Results) -> list[str]:
    """What the bounds say."""
    sigma = results["certificate"].get("sigma")
    below = [] if sigma is None else [f"no level was missed below {words.level(sigma, 8)}{words.unit(results)}"]
    return words.bounds(results) + below


def certificate(results: Results, lines: Sequence[str]) -> str:
    """What the bounds say, in lines, what was checked for them and what is assumed."""
    known = results["certificate"]
    parts = [f"<p>{escaped(line)}</p>" for line in lines]
    for key, name in (("checked", "Checked"), ("assumed", "Assumed")):
        said = known.get(key) or []
        items = said.split("; ") if isinstance(said, str) else said
        if items:
            parts.append(f"<h3>{name}</h3><ul>{''.join(f'<li>{escaped(item)}</li>' for item in items)}</ul>")
    return "".join(parts)


def drawings(pictures: Pictures) -> str:
    """The figures, each with its name."""
    shown = [f"<figure>{image(name, pictures)}<figcaption>{escaped(name.replace('_', ' '))}</figcaption></figure>"
             for name in pictures]  # fmt: skip
    return section("Figures", f'<div class="drawn">{"".join(shown)}</div>') if shown else ""


def image(name: str, pictures: Pictures) -> str:
    """A figure as it stands in a page."""
    kind, data = pictures[name]
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<img alt="{escaped(name.replace("_", " "))}" src="{source}">'


def _made(results: Results) -> str:
    """Training, device, seed and commit."""
    meshes = "1 mesh" if results["rounds"] == 1 else f"{results['rounds']} meshes"
    commit = f"; commit {results['git']}" if results.get("git") else ""
    return (f"{words.counted(results['steps'], 'step')} on {meshes}, {results['parameters']} parameters, seed "
            f"{results['seed']}, on {results.get('device', 'a device')}{commit}; {results['status']}")  # fmt: skip


KEPT = ("potential", "units", "walls", "breakpoints", "route", "states", "certificate", "steps", "parameters",
        "seconds", "versions", "seed", "status")  # fmt: skip
"""Of results.json, what the page has as data."""


def _island(results: Results, kept: Sequence[str]) -> str:
    """The numbers of the page as JSON that no text in it can end."""
    text = json.dumps({key: results[key] for key in kept if key in results}, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
