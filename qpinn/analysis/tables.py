"""Numbers as text: one table layout for the terminal, one for Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float | None, digits: int = 1) -> str:
    """An error or a small figure: 3.2e-11, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}e}"


def seconds(value: float | None) -> str:
    """A duration with three significant digits."""
    return "-" if value is None else f"{value:.3g}"


def plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned for a terminal, the first to the left and the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def text(line: list[str]) -> str:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))]
        return "  " + "  ".join(cells).rstrip()

    rule = "  " + "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([text(lines[0]), rule, *map(text, lines[1:])])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
