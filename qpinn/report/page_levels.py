"""Every level of a run on V, as drawings of their own that share the picture of V, for report.html."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from qpinn.report import words
from qpinn.report.words import Results, State

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 420, 84, 16, 14, 52
"""Of a drawing and its margins, in its own units."""

ABOVE = -5
"""Beyond the upper edge: V that is cut there has no top to be seen."""

FINE = 10
"""Steps of a curve in such a unit."""


Caption = Callable[[Results, State], str]


class View(NamedTuple):
    """What a drawing shows: positions, energies, and the height of psi in energy."""

    first: float
    last: float
    low: float
    high: float
    height: float

    def across(self, x: Any) -> Any:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - self.first) / (self.last - self.first)

    def up(self, energy: Any, least: float = TOP) -> Any:
        """The place of an energy, `least` at the highest."""
        place = TOP + (HEIGHT - TOP - BOTTOM) * (self.high - energy) / (self.high - self.low)
        return np.clip(place, least, HEIGHT - BOTTOM)


class Spoken(NamedTuple):
    """What the slider picks, a heading that is not that of levels, and the least height of psi, of the range of E."""

    what: str = "Level"
    heading: str | None = None
    tall: float = 0.0


LEVELS = Spoken()


def section(
    results: Results, grid: Mapping[str, np.ndarray], caption: Caption | None = None, spoken: Spoken = LEVELS
) -> str:
    """The slider, and a figure for each level, or for whatever else has an index and an energy.

    caption  what is said below each
    """
    states, psi = results["states"], np.asarray(grid["psi"], float)
    view = _view(states, grid["x"], grid["v"], psi, spoken.tall)
    said = caption or _caption
    figures = "".join(
        _figure(results, state, grid["x"], row, view, said(results, state))
        for state, row in zip(states, psi, strict=True)
    )
    slider = (
        f'<div class="slider" id="slider" hidden><label for="level">{spoken.what}</label>'
        f'<input type="range" id="level" min="0" max="{len(states) - 1}" step="1" value="0">'
        '<output id="said" for="level"></output></div>'
    )
    heading = spoken.heading or ("ψ on V" if len(states) == 1 else "ψ of each level on V")
    return (f"<section><h2>{heading}</h2>{_scene(results, grid, view)}{slider if len(states) > 1 else ''}"
            f'<div class="levels">{figures}</div></section>')  # fmt: skip


def picked(states: Sequence[State], what: str) -> str:
    """A row for each of what a slider picks, which picks it too, and what is `known` of it."""
    body = "".join(f'<tr id="row-{state["index"]}"><td><a href="#level-{state["index"]}">{state["index"]}</a></td>'
                   f"<td>{html.escape(state['known'])}</td></tr>" for state in states)  # fmt: skip
    table = f'<table class="words"><thead><tr><th></th><th>{what}</th></tr></thead><tbody>{body}</tbody></table>'
    return f"<details><summary>What the slider shows</summary>{table}</details>"


def _view(states: Sequence[State], x: np.ndarray, v: np.ndarray, psi: np.ndarray, tall: float = 0.0) -> View:
    """Where psi of some level is to be seen, from the bottom of V to above the highest level."""
    energies = [state["energy"] for state in states if state["energy"] is not None]
    bottom, top = min([v.min(), *energies]), max(energies, default=v.min())
    span = top - bottom if top > bottom else max(abs(bottom), 1.0)
    amplitude = span * (0.5 if len(states) == 1 else max(0.12, 0.7 / len(states), tall))
    top = max(top + 1.15 * amplitude, min(float(v.max()), top + span))
    low, high = bottom - 0.05 * span - 0.6 * amplitude, top + 0.06 * span
    largest = np.nan_to_num(np.abs(psi)).max(axis=1, keepdims=True)
    seen = x[(np.nan_to_num(np.abs(psi)) > 1e-2 * np.maximum(largest, 1e-300)).any(axis=0)]
    first, last = x[0], x[-1]
    if seen.size and np.ptp(seen) < 0.75 * (last - first):
        first, last = seen[0] - 0.05 * np.ptp(seen), seen[-1] + 0.05 * np.ptp(seen)
    margin = 0.02 * (last - first)
    height = amplitude / max(float(largest.max()), 1e-300)
    return View(first=first - margin, last=last + margin, low=low, high=high, height=height)


def _scene(results: Results, grid: Mapping[str, np.ndarray], view: View) -> str:
    """V, walls, axes and all levels, once for all drawings."""
    x, floor = grid["x"], HEIGHT - BOTTOM
    inside = (x >= view.first) & (x <= view.last)
    x, hill = x[inside], view.up(grid["v"][inside], ABOVE)
    area = _path(np.concatenate([[view.across(x[0])], view.across(x), [view.across(x[-1])]]),
                 np.concatenate([[floor], hill, [floor]]))  # fmt: skip
    parts = [f'<path class="hill" transform="scale({1 / FINE})" vector-effect="non-scaling-stroke" d="{area}z"/>']
    ends = results["settings"].get("ends", {})
    left, right = results["walls"]
    for kind, start, stop in (
        (ends.get("left", "wall"), view.first, left),
        (ends.get("right", "wall"), right, view.last),
    ):
        if kind == "wall" and stop > start:
            a, b = view.across(start), view.across(stop)
            parts.append(f'<rect class="wall" x="{a:.1f}" y="{TOP}" width="{b - a:.1f}" height="{floor - TOP}"/>')
    for place, strength in results.get("deltas", []):
        at, to = view.across(place), TOP if strength > 0 else floor
        parts.append(f'<line class="delta" x1="{at:.1f}" x2="{at:.1f}" y1="{view.up(0.0):.1f}" y2="{to}"/>')
    for state in results["states"]:
        if state["energy"] is not None:
            parts.append(_line("ladder", view.up(state["energy"])))
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{floor}H{WIDTH - RIGHT}"/>')
    length, energy = (words.signs(results["units"][kind]) for kind in ("length", "energy"))
    for value, text in _ticks(view.first, view.last):
        at = view.across(value)
        parts.append(f'<path class="axis" d="M{at:.1f} {floor}v5"/><text x="{at:.1f}" y="{floor + 20}" '
                     f'text-anchor="middle">{text}</text>')  # fmt: skip
    for value, text in _ticks(view.low, view.high):
        at = view.up(value)
        parts.append(f'<path class="axis" d="M{LEFT} {at:.1f}h-5"/><text x="{LEFT - 9}" y="{at + 5:.1f}" '
                     f'text-anchor="end">{text}</text>')  # fmt: skip
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">position x / {html.escape(length)}</text>')
    parts.append(f'<text transform="translate(16 {(TOP + floor) / 2}) rotate(-90)" text-anchor="middle">'
                 f"V and E / {html.escape(f'({energy})' if '/' in energy else energy)}</text>")  # fmt: skip
    return (f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs><g id="scene">'
            f"{''.join(parts)}</g></defs></svg>")  # fmt: skip


def _figure(results: Results, state: State, x: np.ndarray, psi: np.ndarray, view: View, text: str) -> str:
    """psi of a level, lifted to its energy, with its bounds where they can be seen; and both as text."""
    index, drawn = state["index"], ['<use href="#scene"/>']
    energy = state["energy"]
    if None not in (state["lower"], state["upper"]):
        top, bottom = view.up(state["upper"]), view.up(state["lower"])
        if bottom - top > 2:
            drawn.append(f'<rect class="bound" x="{LEFT}" y="{top:.1f}" width="{WIDTH - LEFT - RIGHT}" '
                         f'height="{bottom - top:.1f}"/>')  # fmt: skip
    if energy is not None:
        drawn.append(_line("energy", view.up(energy)))
        if not words.is_empty(state):
            curve = _curve(x, psi, view, energy, state["node_count"] or 0)
            drawn.append(f'<path class="psi" transform="scale({1 / FINE})" d="{curve}"/>')
    return (
        f'<figure class="level" id="level-{index}"><svg class="level" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="psi of level {index} on V">{"".join(drawn)}</svg>'
        f"<figcaption>{html.escape(words.signs(text))}</figcaption></figure>"
    )


def _caption(results: Results, state: State) -> str:
    """The level in words: E, its bounds, how it ended."""
    e = words.unit(results)
    parts = [f"level {state['index']}: E = {words.level(state['energy'])}{e}"]
    if None not in (state["lower"], state["upper"]):
        parts.append(f"the level lies in {words.interval(state)}{e}")
    elif state["upper"] is not None:
        parts.append(f"the level is {words.below(state['upper'])}{e}")
    if not words.is_empty(state):
        parts.append(words.counted(state["node_count"], "node"))
    if state["outcome"] != words.RIGHT:
        parts.append(words.outcome(state))
    return "; ".join(parts)


def _curve(x: np.ndarray, psi: np.ndarray, view: View, energy: float, nodes: int) -> str:
    """psi at as many positions as its nodes ask for."""
    inside = (x >= view.first) & (x <= view.last)
    x, psi = x[inside], psi[inside]
    wanted = np.linspace(x[0], x[-1], 300 + 16 * nodes)
    kept = np.unique(np.clip(np.searchsorted(x, wanted), 0, len(x) - 1))
    return _path(view.across(x[kept]), view.up(energy + view.height * psi[kept]))


def _path(across: np.ndarray, up: np.ndarray) -> str:
    """A polyline in steps of 1 / FINE, each from the point before it."""
    points = np.rint(FINE * np.stack([across, up], axis=1)).astype(int)
    steps = np.diff(points, axis=0)
    steps = steps[np.any(steps != 0, axis=1)]
    return f"M{points[0, 0]} {points[0, 1]}l" + " ".join(f"{a} {b}" for a, b in steps.tolist())


def _line(kind: str, at: float) -> str:
    return f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Five to ten round numbers from `low` to `high`, as they are written."""
    step = 10.0 ** np.floor(np.log10((high - low) / 5))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 8)
    values = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    return [(value, f"{0.0 if abs(value) < step / 2 else value:.6g}".replace("-", "−")) for value in values.tolist()]
