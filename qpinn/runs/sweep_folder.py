"""The files of a sweep over starts: its blocks, and a table of them all. Columns as in `qpinn.analysis.statistics`."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpinn.analysis import followed
from qpinn.analysis.statistics import TOLERANCES, Columns, outcomes
from qpinn.runs import run_folder
from qpinn.runs.files import read_npz, write_atomically


def write_block(folder: Path, columns: Columns, frames: np.ndarray) -> None:
    """One block of starts into folder/blocks, named by its first and last number."""
    blocks = folder / "blocks"
    blocks.mkdir(exist_ok=True)
    data = io.BytesIO()
    np.savez(data, frames=frames, **columns)  # type: ignore[arg-type]
    first, last = int(columns["number"][0]), int(columns["number"][-1])
    write_atomically(blocks / f"{first:08d}-{last:08d}.npz", data.getvalue())


def read_blocks(folder: Path) -> tuple[Columns, np.ndarray]:
    """All blocks of a sweep as columns in order of the starts' numbers, and the frames. Damaged blocks are left out."""
    blocks: list[Columns] = []
    frames = np.zeros(0, int)
    for path in sorted((folder / "blocks").glob("*.npz")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            block = read_npz(path.read_bytes(), path)
            frames = block.pop("frames")
            if block["number"].ndim == 1 and (not blocks or set(block) == set(blocks[0])):
                blocks.append(block)
    if not blocks:
        return {}, frames
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    _, order = np.unique(columns["number"], return_index=True)
    return {name: values[order] for name, values in columns.items()}, frames


class Swept(NamedTuple):
    """What the folder of a sweep holds: its summary, the columns of its starts, what their histories are of (`frames`),
    and what varies, one value for each start, or None."""

    summary: dict[str, Any]
    columns: Columns
    frames: np.ndarray
    values: np.ndarray | None


def read(folder: Path) -> Swept:
    """A sweep that is finished. Raises ValueError, naming the file, if one is missing or damaged."""
    summary = run_folder.read_summary(folder)
    sweep, (columns, frames) = summary["sweep"], read_blocks(folder)
    if not columns:
        raise ValueError(f"{folder / 'blocks'}: missing or damaged")
    columns = {name: values[columns["number"] < sweep["seeds"]] for name, values in columns.items()}
    values = None
    if sweep["range"] is not None:
        first, last = sweep["range"]
        values = np.linspace(first, last, sweep["seeds"])[columns["number"]]
    return Swept(summary, columns, frames, values)


def finished(folder: Path, starts: int) -> np.ndarray:
    """Which starts (starts,) are on the disk already."""
    columns, _ = read_blocks(folder)
    done = np.zeros(starts, bool)
    if columns:
        done[columns["number"][columns["number"] < starts]] = True
    return done


def write_table(folder: Path, columns: Columns, first_seed: int, values: np.ndarray | None, vary: str | None) -> None:
    """seeds.csv: one row a start."""
    tolerances = [f"{tolerance:.0e}" for tolerance in TOLERANCES]
    plain = ["energy", "energy_start", "energy_rayleigh", "nearest", "overlap", "node_count", "relative_error_energy",
             "relative_l2_psi", "norm", "loss", "steps", "seconds"]  # fmt: skip
    per_step = columns["seconds"] / np.maximum(columns["asked"], 1)
    ended = outcomes(columns)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([
        "seed", *([vary] if vary else []), *plain, *(f"steps_to_{t}" for t in tolerances),
        *(f"seconds_to_{t}" for t in tolerances), "outcome", "not_finite_at_step",
    ])  # fmt: skip
    for i, number in enumerate(columns["number"]):
        to = [columns[f"steps_to_{t}"][i] for t in tolerances]
        bad = ended[i] == "non-finite"
        writer.writerow([
            first_seed + number, *([_text(values[number])] if vary and values is not None else []),
            *(_text(columns[name][i]) for name in plain), *map(_text, to), *(_text(n * per_step[i]) for n in to),
            ended[i], columns["steps"][i] + 1 if bad else "",
        ])  # fmt: skip
    write_atomically(folder / "seeds.csv", text.getvalue().encode())


def write_packets(folder: Path, columns: Columns, first_seed: int, values: np.ndarray | None, vary: str | None) -> None:
    """seeds.csv of waves of a packet: one row a start."""
    plain, ended, text = (
        ["error", "bound", "norm", "loss", "steps", "seconds"],
        followed.outcomes(columns),
        io.StringIO(),
    )
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["seed", *([vary] if vary else []), *plain, "outcome"])
    for i, number in enumerate(columns["number"]):
        varied = [_text(values[number])] if vary and values is not None else []
        writer.writerow([first_seed + number, *varied, *(_text(columns[name][i]) for name in plain), ended[i]])
    write_atomically(folder / "seeds.csv", text.getvalue().encode())


def _text(value: Any) -> str:
    if isinstance(value, (np.integer, int)):
        return str(value)
    return "" if np.isnan(value) else f"{value:.17g}"
