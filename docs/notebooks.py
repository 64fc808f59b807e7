"""Notebooks of the examples, made from their scripts and run: python docs/notebooks.py [name ...]

A script has its cells between lines that begin with "# %%"; those with "[markdown]" are text. It is run in
docs/examples, where its figure stays; its notebook holds the same cells with what they printed and drew.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import pyplot
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent / "examples"


class Cell(NamedTuple):
    """A cell of a script."""

    kind: str
    source: str


class Output(NamedTuple):
    """What a cell printed, and its figures as PNG."""

    text: str
    figures: list[bytes]


def cells(script: str) -> list[Cell]:
    """The cells of a script; text without the marks of comments."""
    found = []
    for part in script.split("# %%")[1:]:
        head, _, body = part.partition("\n")
        if head.strip() == "[markdown]":
            lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip().split("\n")]
            found.append(Cell("markdown", "\n".join(lines)))
        else:
            found.append(Cell("code", body.strip()))
    return found


def run(many: list[Cell]) -> tuple[dict[str, Any], list[Output]]:
    """Run the cells of code in one namespace; returns it, and the output of each."""
    names: dict[str, Any] = {"__name__": "__main__"}
    outputs = []
    with pyplot.rc_context():
        for cell in many:
            printed = io.StringIO()
            if cell.kind == "code":
                with contextlib.redirect_stdout(printed):
                    exec(compile(cell.source, cell.source.partition("\n")[0], "exec"), names)
            figures = []
            for number in pyplot.get_fignums():
                data = io.BytesIO()
                pyplot.figure(number).savefig(data, metadata={"Software": None})
                figures.append(small(data.getvalue()))
            pyplot.close("all")
            outputs.append(Output(printed.getvalue(), figures))
    return names, outputs


def small(png: bytes) -> bytes:
    """A picture of few colours in a third of its bytes."""
    data = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(data, "png", optimize=True)
    return data.getvalue()


def notebook(many: list[Cell], outputs: list[Output]) -> dict[str, Any]:
    """The cells with their outputs, as nbformat 4.5 has them."""
    return {
        "cells": [_cell(number, *pair) for number, pair in enumerate(zip(many, outputs, strict=True))],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip


def _cell(number: int, cell: Cell, output: Output) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": cell.kind, "id": f"cell-{number}", "metadata": {}}
    made["source"] = _lines(cell.source)
    if cell.kind == "code":
        printed = [{"output_type": "stream", "name": "stdout", "text": _lines(output.text)}] if output.text else []
        drawn = [
            {"output_type": "display_data", "data": {"image/png": base64.b64encode(data).decode()}, "metadata": {}}
            for data in output.figures
        ]
        made |= {"execution_count": None, "outputs": [*printed, *drawn]}
    return made


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main(names: list[str]) -> None:
    os.chdir(EXAMPLES)
    for name in names or sorted(path.stem for path in EXAMPLES.glob("*.py")):
        many = cells(Path(f"{name}.py").read_text())
        _, outputs = run(many)
        picture = Path(f"{name}.png")
        picture.write_bytes(small(picture.read_bytes()))
        Path(f"{name}.ipynb").write_text(json.dumps(notebook(many, outputs), indent=1) + "\n")
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
