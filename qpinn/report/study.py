"""The sensitivity study: what its sweeps found, as one table, a page and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from qpinn.report import style, sweep_figures
from qpinn.report.choice import Choice
from qpinn.report.tables import markdown, number

Entry = Mapping[str, Any]
"""One sweep: route, well, factor, label, words (its command line), statistics (of its summary.json)."""

BASE = "seed"
"""The factor of the sweep as configured, in which nothing but the seed differs."""

ROUTES = {
    "paper": ("The paper's route", "`experiment=paper/...`: envelope, random start, Adam. "
              "As configured: tanh, three layers of 20, glorot, loss.norm=1000, 5000 steps."),
    "envelope": ("The paper's network from a variational start", "`experiment=variational/envelope_...`: the same "
                 "network and steps; the Rayleigh quotient is minimised first, by 5000 steps of Adam, and the residual "
                 "is taken on Gauss-Legendre points."),
    "variational": ("The variational route", "`experiment=variational/...`: piecewise ansatz, random parameters, the "
                    "Rayleigh quotient minimised first by 5000 steps of Adam, then Levenberg-Marquardt; no linear "
                    "solve. As configured: tanh, 12 units in each segment, init spread, loss.norm=1000, 60 steps."),
    "default": ("The default route", "Piecewise ansatz, Ritz start, Levenberg-Marquardt. As configured: tanh, 12 units "
                "in each segment, init spread, loss.norm=1000, 15 steps."),
}  # fmt: skip


def page(study: Mapping[str, Any]) -> str:
    """docs/sensitivity.md from docs/sensitivity.json."""
    entries: Sequence[Entry] = study["entries"]
    starts = sorted({entry["statistics"]["starts"] for entry in entries})
    versions = ", ".join(f"{name} {value}" for name, value in study["versions"].items())
    sections = [
        "# Sensitivity to the start",
        f"Written by `scripts/benchmarks/sensitivity.py` from `configs/sensitivity.yaml`: {len(entries)} sweeps of "
        f"{' or '.join(map(str, starts))} starts, seeds 0 and up, each `scripts/sweep.py` with one change against its "
        f"route as configured. Commit {study['git']}; {versions}; {study['device']}.",
        "*Right state*: the trained psi overlaps most with the exact ground state, by at least 0.9, and E is within "
        "10 % of its level; where *level* changes, this is said of the level with index k (`state=k`, trained alone) "
        "or k - 1 (`states=k`, the last of k that are trained in turn, each orthogonal to those before). Intervals are "
        "Wilson's at 95 %. Errors are over all starts, whatever their outcome. Where *rank* is near 1 a smaller loss "
        "means a smaller error; where it is near 0 the loss says nothing.",
    ]
    if study["missing"]:
        sections.append("Not run: " + "; ".join(f"`{words}`" for words in study["missing"]) + ".")
    for route, (title, note) in ROUTES.items():
        chosen = [entry for entry in entries if entry["route"] == route]
        if not chosen:
            continue
        sections += [f"## {title}", note]
        if any(entry["factor"] != BASE for entry in chosen):
            sections += [f"![Right states and errors by setting](sensitivity-{route}.png)", _ranges(chosen)]
        sections += [f"![{entry['well']}: where the first guess of E leads](sensitivity-energy-{entry['well']}.png)"
                     for entry in chosen if entry["factor"] == "energy"]  # fmt: skip
        sections.append(_table(chosen))
    return "\n\n".join(sections) + "\n"


def summary(study: Mapping[str, Any]) -> str:
    """For each route and well: right states and errors as configured, and the worst of its other settings."""
    rows = []
    for route, (title, _) in ROUTES.items():
        for well in _wells(study["entries"]):
            group = [entry for entry in study["entries"] if (entry["route"], entry["well"]) == (route, well)]
            base = next((entry for entry in group if entry["factor"] == BASE), None)
            if base is None:
                continue
            worst = min(group, key=lambda entry: entry["statistics"]["success"]["rate"])
            cells = [_success(base), _spread(base["statistics"]["relative_l2_psi"])]
            lowest = f"{_success(worst)} ({_setting(worst)})" if len(group) > 1 else "-"
            rows.append([title, well.replace("_", " "), *cells, str(len(group) - 1), lowest])
    header = [
        "",
        "well",
        "right state as configured",
        "L2 error of psi: median (95 %)",
        "other settings",
        "worst of all",
    ]
    return markdown(header, rows)


def _success(entry: Entry) -> str:
    success = entry["statistics"]["success"]
    low, high = success["wilson_95"]
    return f"{100 * success['rate']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _wells(entries: Iterable[Entry]) -> list[str]:
    return list(dict.fromkeys(entry["well"] for entry in entries))


def _setting(entry: Entry) -> str:
    return str(entry["label"]).replace("vary=", "").replace(" range=", " in ")


def _ranges(entries: Sequence[Entry]) -> str:
    """For each factor and well: right states and median errors, from the worst to the best of its settings."""
    rows = []
    for factor in dict.fromkeys(entry["factor"] for entry in entries if entry["factor"] != BASE):
        for well in _wells(entries):
            group = [e for e in entries if e["well"] == well and e["factor"] in (factor, BASE)]
            if not any(entry["factor"] == factor for entry in group):
                continue
            rate = [entry["statistics"]["success"]["rate"] for entry in group]
            error = [e["statistics"]["relative_l2_psi"]["median"] for e in group if e["statistics"]["relative_l2_psi"]]
            rows.append([factor, well.replace("_", " "), str(len(group)), f"{100 * min(rate):.1f} to "
                         f"{100 * max(rate):.1f} %", f"{number(min(error))} to {number(max(error))}"])  # fmt: skip
    return markdown(["what changes", "well", "settings", "right state", "L2 error of psi, median"], rows)


def _table(entries: Sequence[Entry]) -> str:
    rows = []
    for entry in entries:
        stats = entry["statistics"]
        low, high = stats["success"]["wilson_95"]
        outcomes = ", ".join(f"{n} {name}" for name, n in stats["outcomes"].items() if n and name != "right state")
        rank = stats["rank_correlation_loss_l2"]
        well = entry["well"].replace("_", " ")
        rows.append([
            entry["factor"], _setting(entry), well, f"{100 * stats['success']['rate']:.1f} %",
            f"{100 * low:.1f} - {100 * high:.1f} %", outcomes or "-",
            "fixed" if _given(entry) else _spread(stats["relative_error_energy"]),
            _spread(stats["relative_l2_psi"]), "-" if rank is None else f"{rank:.2f}",
            stats["lowest_loss"]["outcome"] if stats["lowest_loss"] else "-",
        ])  # fmt: skip
    header = ["what changes", "to", "well", "right state", "interval", "other outcomes", "error of E: median (95 %)",
              "L2 error: median (95 %)", "rank of loss and L2", "lowest loss"]  # fmt: skip
    return markdown(header, rows)


def _given(entry: Entry) -> bool:
    """Whether E was given: with the paper's network on the infinite well (`configs/experiment/paper`)."""
    return bool({"experiment=paper/infinite_well", "experiment=variational/envelope_infinite_well"} & {*entry["words"]})


def _spread(values: Mapping[str, float] | None) -> str:
    return "-" if values is None else f"{number(values['median'])} ({number(values['95%'])})"


def figure(entries: Sequence[Entry], title: str) -> Figure:
    """Right states and errors of a route, a row a setting, the wells side by side in it."""
    settings = list(dict.fromkeys(_setting(entry) for entry in entries))
    series = {
        well.replace("_", " "): [
            next((e["statistics"] for e in entries if (e["well"], _setting(e)) == (well, setting)), None)
            for setting in settings
        ]
        for well in _wells(entries)
    }
    return sweep_figures.settings(settings, series, title)


def save_figures(entries: Sequence[Entry], sweeps: Mapping[str, Path], folder: Path) -> None:
    """The figures of `page`; `sweeps` are the folders of the sweeps over the first guess of E, by well."""
    png = Choice(format="png")
    with style.applied():
        for route, (title, _) in ROUTES.items():
            chosen = [entry for entry in entries if entry["route"] == route]
            if any(entry["factor"] != BASE for entry in chosen):
                style.save(figure(chosen, title), folder / f"sensitivity-{route}", png)
        for well, sweep in sweeps.items():
            style.save(sweep_figures.varied(sweep_figures.load(sweep)), folder / f"sensitivity-energy-{well}", png)
