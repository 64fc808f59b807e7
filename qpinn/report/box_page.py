"""report.html of a box: a figure for each level with a slider, and its levels, bounds, figures and numbers."""

from __future__ import annotations

import csv
import html
import io

from qpinn.report import box_tables, page, tables, words
from qpinn.report.box_data import ALONE
from qpinn.report.page import NONE, Pictures, escaped, exact, section
from qpinn.report.words import Results, State

ERRORS = ("relative_error_energy", "relative_l2_psi", "norm", "outcome")
"""What the CSV has beside, of levels that were trained."""

KEPT = ("potential", "units", "dimension", "coordinates", "walls", "breakpoints", "symmetries", "route", "states",
        "certificate", "seconds", "versions", "seed", "status")  # fmt: skip
"""Of results.json, what the page has as data."""


def of_box(results: Results, config: str, figures: Pictures = NONE) -> str:
    """The page of a box, from results.json, config.yaml and its figures."""
    others = {name: picture for name, picture in figures.items() if not name.startswith(ALONE)}
    reason, trained = results["certificate"]["reason"], words.is_trained(results)
    before = box_tables.without_training(results)
    transitions = box_tables.transitions(results) if sum(map(tables.settled, results["states"])) > 1 else ""
    parts = [
        _levels(results, figures), _table(results),
        _known(results),
        page.drawings(others),
        section("Before training", f"<pre>{escaped(before)}</pre>") if before else "",
        section("Transitions", f"<pre>{escaped(transitions)}</pre>") if transitions else "",
        section("How it was made", f"<p>{escaped(_made(results))}</p>"), page.origin(results, config),
    ]  # fmt: skip
    warnings = [line for line in (box_tables.goes_on(results), box_tables.walls(results)) if line]
    if trained:
        warnings = [*filter(None, [words.cut_short(results)]), *words.remarks(results["states"]), *warnings]
    if reason:
        warnings.insert(0, f"no bounds: {reason}")
    return page.whole(results, "".join(parts), warnings, KEPT, equation(results))


def _known(results: Results) -> str:
    """What is certified of the levels; of those that were trained what is known of them."""
    if not words.is_trained(results):
        return section("What is certified", page.certificate(results, box_tables.bounds(results)))
    lines = [*tables.training(results), *box_tables.trained(results)]
    return section("What is known", "".join(f"<p>{escaped(line)}</p>" for line in lines))


def equation(results: Results) -> str:
    """The equation, its units, the numbers of the potential and the walls."""
    units = results["units"]
    masses = "" if len(set(results["masses"])) == 1 and results["masses"][0] == 1 else "ᵢ"
    if units["length"] == "L":
        left = "−Σ (1/mᵢ) ∂²ψ/∂xᵢ²" if masses else "−Δψ"
        return f"{left} + V ψ = E ψ; {box_tables.potential(results)}"
    left = "−(ħ²/2m) Σ (1/mᵢ) ∂²ψ/∂xᵢ²" if masses else "−(ħ²/2m) Δψ"
    where = words.signs(f"{units['length']} and {units['energy']}")
    return f"{left} + V ψ = E ψ in {where}; {box_tables.potential(results)}"


def _levels(results: Results, figures: Pictures) -> str:
    """The slider, and the figure of every level; nothing where no level has one."""
    by_index = {int(name.removeprefix(ALONE)): page.image(name, figures) for name in figures if name.startswith(ALONE)}
    if not by_index:
        return ""
    states = results["states"]
    shown = "".join(_figure(results, state, by_index.get(state["index"])) for state in states)
    slider = (
        '<div class="slider" id="slider" hidden><label for="level">Level</label>'
        f'<input type="range" id="level" min="0" max="{len(states) - 1}" step="1" value="0">'
        '<output id="said" for="level"></output></div>'
    )
    heading = "ψ on V" if len(states) == 1 else "ψ of each level on V"
    return section(heading, f'{slider if len(states) > 1 else ""}<div class="levels">{shown}</div>')


def _figure(results: Results, state: State, image: str | None) -> str:
    """The figure of a level with its numbers as text."""
    e = words.unit(results)
    said = [f"level {state['index']}: E = {words.certified(state)}{e}"]
    if None not in (state["lower"], state["upper"]):
        said.append(f"the level lies in {words.interval(state)}{e}")
    if state["multiplicity"] > 1:
        said.append(f"one of {box_tables.multiplicity(state)} that are the same")
    said.append(box_tables.symmetry(state))
    if words.is_trained(results):
        said.append(words.outcome(state))
    said.append("" if image else "no figure was drawn of it")
    text = html.escape(words.signs("; ".join(filter(None, said))))
    picture = "" if image is None else image.replace("<img ", '<img class="level" ', 1)
    return f'<figure class="level" id="level-{state["index"]}">{picture}<figcaption>{text}</figcaption></figure>'


def _table(results: Results) -> str:
    """The levels with their bounds, symmetries and moments, and a link that holds them as CSV."""
    names, units = results["coordinates"], results["units"]
    energy = [tables.with_unit(name, units, "energy") for name in ("E", "lower bound", "upper bound")]
    means = [tables.with_unit(f"<{name}>", units, "length") for name in names]
    roots = [tables.with_unit(f"<{name}²>½", units, "length") for name in names]
    moments = [*means, *roots, tables.with_unit("<T>", units, "energy"), tables.with_unit("residual", units, "energy")]
    if words.is_trained(results):
        head = ["n", energy[0], words.reference_name(results), "error of E", "L2 error", "outcome", *moments]
        note = "Errors are relative, and none is stated that the reference does not vouch for."
    else:
        head = ["n", *energy, f"within {words.tolerance(results)}", "fold", *results["symmetries"], *moments]
        note = (
            "20.617452223990(4) lies within 4 units of its last digit of the level, (?) has no bound; fold: "
            "levels that are the same as far as their bounds say; + even or symmetric, − odd or antisymmetric."
        )
    columns = "".join(f"<th>{escaped(words.signs(name).replace('<->', '↔'))}</th>" for name in head)
    body = "".join(_row(results, state) for state in results["states"])
    return section(
        "Levels",
        f'<div class="wide"><table id="levels"><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<p class="quiet">{note}</p>'
        f"{page.download('levels.csv', _csv(results).encode(), 'This table as CSV, all digits')}",
    )


def _row(results: Results, state: State) -> str:
    values, d = state["expectation"], len(results["coordinates"])
    if words.is_empty(state):
        moments = ["-"] * (2 * d + 1)
    else:
        roots = [max(x2, 0.0) ** 0.5 for x2 in values["x2"]]
        means = [0.0 if abs(x) < 1e-8 * root else x for x, root in zip(values["x"], roots, strict=True)]
        moments = list(map(_number, (*means, *roots, values["kinetic"])))
    signs = [{1: "+", -1: "−", None: ""}[state["symmetry"][name]] for name in results["symmetries"]]
    if words.is_trained(results):
        first = [words.level(state["energy"], 10), words.level(state["energy_reference"], 10),
                 words.error_of(results, state), words.number(state["relative_l2_psi"]),
                 words.outcome(state)]  # fmt: skip
    else:
        first = [words.certified(state), *(exact(state[name]) or "-" for name in ("lower", "upper")),
                 "yes" if state["converged"] else "no", box_tables.multiplicity(state), *signs]  # fmt: skip
    cells = [*first, *moments, words.number(state["residual"])]
    name = f'<td><a href="#level-{state["index"]}">{state["index"]}</a></td>'
    return f'<tr id="row-{state["index"]}">{name}{"".join(f"<td>{escaped(cell)}</td>" for cell in cells)}</tr>'


def _number(value: float) -> str:
    return f"{value:.6g}"


def _csv(results: Results) -> str:
    """The levels as CSV, every number as it is in results.json."""
    units, names, text = results["units"], results["coordinates"], io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    errors = ERRORS if words.is_trained(results) else ()
    energies = [tables.with_unit(name, units, "energy") for name in ("energy", "lower", "upper")]
    moments = [tables.with_unit(f"<{name}{power}>", units, "length", len(power) or 1)
               for power in ("", "^2") for name in names]  # fmt: skip
    last = [tables.with_unit(name, units, "energy") for name in ("<T>", "residual")]
    writer.writerow(["n", *energies, "converged", "group", "multiplicity", *results["symmetries"], *moments, *last,
                     *errors])  # fmt: skip
    for state in results["states"]:
        values = state["expectation"]
        writer.writerow([
            state["index"], *(exact(state[name]) for name in ("energy", "lower", "upper")), state["converged"],
            state["group"], state["multiplicity"], *(state["symmetry"][name] for name in results["symmetries"]),
            *map(exact, (*values["x"], *values["x2"], values["kinetic"], state["residual"])),
            *(state[name] for name in errors),
        ])  # fmt: skip
    return text.getvalue()


def _made(results: Results) -> str:
    """Functions, segments, device, seed and commit."""
    commit = f"; commit {results['git']}" if results.get("git") else ""
    trained = box_tables.trained_axes(results)
    started = f"{trained}; " if trained else ""
    return f"{started}{box_tables.made(results)}, on {results.get('device', 'a device')}{commit}; {results['status']}"
