"""Tables of numbers as people have them: CSV, TSV, columns of blanks, decimal commas, Fortran, npy and npz.

Read are comma, semicolon, tab or blanks between cells; a decimal comma where the cells are parted otherwise; exponents
written with D; comments after #, ! or %; a header or none, in a comment too; UTF-8, UTF-16 and Latin-1. Columns are
found by name, or taken in their order where there are no names.
"""

from __future__ import annotations

import io
import os
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from qpinn.checks import LIMIT, suggestion
from qpinn.physics import units

MOST_ROWS = 500_000
MOST_BYTES = 64 * 2**20
COMMENT = re.compile(r"[#!%].*")
UNIT = re.compile(
    r"^(.*?)\s*(?:[\[(](.*?)[\])]|_(nm|um|pm|A|angstrom|bohr|m|rad|deg|eV|meV|cm-1|hartree|K|THz|J|me|m_e|amu|u|kg)|/([A-Za-z^_*\d-]+))\s*$"
)
"""A name with a unit: `x (nm)`, `V [eV]`, `R/bohr`, `thickness_nm`."""
OF_POSITION = re.compile(r"\s*\((x|r|z|q|theta|phi)\)", re.IGNORECASE)
"""The argument of V(x), which is no unit."""


DAMAGED = (
    OSError, ValueError, EOFError, TypeError, AttributeError, MemoryError, OverflowError, RuntimeError, SyntaxError,
    BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy raises for a file that is none of its own."""


Given = tuple[tuple[str, str], ...]
"""Units that a file says it is in: kinds ("length", "energy", "mass") and units."""


class Column(NamedTuple):
    """A column that is looked for: of which kind its numbers are, and what else it may be called."""

    kind: str
    others: tuple[str, ...]
    optional: bool = False


class Table(NamedTuple):
    """What was read of a file.

    values  (rows,) of each column asked for, but for optional ones that are not there
    names   of these columns as the header has them, or their numbers
    rows    the number of its line in the file for each row (rows,)
    given   the units that the header says
    """

    values: dict[str, Float[np.ndarray, "rows"]]
    names: dict[str, str]
    rows: list[int]
    given: Given


class _Cells(NamedTuple):
    """A file as it is: a header, empty without one, and rows of cells, numbers or text, each with its line."""

    header: list[str]
    rows: Any
    lines: list[int]
    decimal_comma: bool = False


def path_of(file: Any, what: str) -> str:
    """The path of a file as text. Raises ValueError, saying `what` it must be, for what is no path."""
    if not isinstance(file, (str, os.PathLike)) or not os.fspath(file):
        raise ValueError(f"potential.file={'null' if file is None else file}: must be the path of a file {what}")
    return str(os.fspath(file))


def read(file: str, wanted: Mapping[str, Column], chosen: Sequence[str | int] | None = None) -> Table:
    """The columns of a file, as finite numbers.

    wanted  columns by name; case and units in a header do not matter
    chosen  names of columns of the file, or their numbers from 1, one for each of `wanted`: instead of looking

    Raises ValueError, naming the file, the row and what was expected, for what cannot be read.
    """
    path = Path(file)
    if path.exists() and not path.is_file():  # a device may never end
        raise _refused(file, "is no file")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _refused(file, f"has more than {MOST_BYTES // 2**20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise _refused(file, f"cannot be read ({error.strerror})") from None
    if path.suffix.lower() in (".npy", ".npz"):
        cells = _arrays(data, file, None if chosen is not None else len(_needed(wanted)))
    else:
        cells = _text(data, file, wanted)
    places = _places(cells, wanted, chosen, file)
    names = {key: cells.header[place] if cells.header else f"column {place + 1}" for key, place in places.items()}
    values = {key: _numbers(cells, place, names[key], file) for key, place in places.items()}
    given = _units(names, wanted, file) if cells.header else ()
    return Table(values=values, names=names, rows=cells.lines, given=given)


def _needed(wanted: Mapping[str, Column]) -> list[str]:
    return [name for name, column in wanted.items() if not column.optional]


def _units(names: Mapping[str, str], wanted: Mapping[str, Column], file: str) -> Given:
    """The unit of each kind of numbers that a header names. Raises ValueError for two of a kind."""
    said: dict[str, str] = {}
    for key, name in names.items():
        if unit := _split(name)[1]:
            kind = wanted[key].kind
            unit = units.named(f"potential.file={file}: unit of {name}", unit, units.of_header(kind))
            if said.setdefault(kind, unit) != unit:
                raise _refused(file, f"{name} is in {unit}, other columns of {kind} are in {said[kind]}; must be one")
    return tuple(said.items())


def _refused(file: str, reason: str) -> ValueError:
    return ValueError(f"potential.file={file}: {reason}")


def _numbers(cells: _Cells, place: int, name: str, file: str) -> Float[np.ndarray, "rows"]:
    """A column of cells as numbers."""
    values = np.empty(len(cells.rows))
    for row, (cell, line) in enumerate(zip((row[place] for row in cells.rows), cells.lines, strict=True)):
        value = _number(cell, cells.decimal_comma) if isinstance(cell, str) else float(cell)
        if value is None or not abs(value) <= LIMIT:
            shown = str(cell).strip()[:40] or "nothing"
            raise _refused(file, f"row {line}, {name}={shown}: must be a number within +-{LIMIT:g}")
        values[row] = value
    return values


def _split(name: str) -> tuple[str, str | None]:
    """A name of a header and its unit."""
    plain = OF_POSITION.sub("", name).strip()
    parts = UNIT.match(plain)
    if not parts or not parts[1]:
        return plain, None
    return parts[1], parts[2] or parts[3] or parts[4] or None


def _called(header: Sequence[str], name: str, column: Column) -> list[int]:
    """Places of a header that have a name of a column."""
    names = {name.lower(), *(other.lower() for other in column.others)}
    return [place for place, title in enumerate(header) if _split(title)[0].lower() in names]


def _places(
    cells: _Cells, wanted: Mapping[str, Column], chosen: Sequence[str | int] | None, file: str
) -> dict[str, int]:
    """Which columns of a table are meant."""
    needed, count, header = _needed(wanted), len(cells.rows[0]), cells.header
    needs = ", ".join(needed)
    if chosen is not None:
        if isinstance(chosen, str) or not isinstance(chosen, Sequence):
            raise ValueError(
                f"potential.columns={chosen}: must be names or numbers in brackets, one for each of {needs}"
            )
        if not len(needed) <= len(chosen) <= len(wanted):
            raise ValueError(f"potential.columns={list(chosen)}: must be {len(needed)} names or numbers, for {needs}")
        return {key: _chosen(entry, header, count) for key, entry in zip(wanted, chosen, strict=False)}
    if not header:
        if count != len(needed):
            raise _refused(
                file, f"has {count} columns without names, for {needs}; potential.columns=[1,2] says which are meant"
            )
        return {key: place for place, key in enumerate(needed)}
    places = {}
    for name, column in wanted.items():
        fitting = _called(header, name, column)
        if len(fitting) > 1:
            raise _refused(file, f"has several columns for {name}: {', '.join(header[place] for place in fitting)}; "
                                 "potential.columns says which is meant")  # fmt: skip
        if not fitting and not column.optional:
            hint = suggestion(name, header)
            raise _refused(file, f"has no column {name}; {hint}needs {needs}; its header is {', '.join(header)}; "
                                 "potential.columns says which columns are meant")  # fmt: skip
        if fitting:
            places[name] = fitting[0]
    return places


def _chosen(entry: str | int, header: Sequence[str], count: int) -> int:
    """The place of a column by its name or its number."""
    if isinstance(entry, int) and not isinstance(entry, bool):
        if not 1 <= entry <= count:
            raise ValueError(f"potential.columns={entry}: must be a number from 1 to {count}")
        return entry - 1
    fitting = [place for place, title in enumerate(header) if entry in (title, _split(title)[0])]
    if len(fitting) != 1:
        hint = suggestion(str(entry), header)
        raise ValueError(
            f"potential.columns={entry}: no such column; {hint}allowed: {', '.join(header) or 'numbers from 1'}"
        )
    return fitting[0]


# ----------------------------------------------------------------------------------------------------------------- text


def _decoded(data: bytes, file: str) -> str:
    encodings = ["utf-16"] if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "latin-1"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not re.search(r"[\0-\x08\x0e-\x1f\x7f]", text):
            return text
    raise _refused(file, "cannot be read (it is not text)")


def _text(data: bytes, file: str, wanted: Mapping[str, Column]) -> _Cells:
    numbered, comments = [], []
    for number, line in enumerate(_decoded(data, file).splitlines(), 1):
        stripped = COMMENT.sub("", line).strip()
        if stripped:
            numbered.append((number, stripped))
        elif line.strip() and not numbered:
            comments.append(line.strip(" \t#!%"))
        if len(numbered) > MOST_ROWS + 1:
            raise _refused(file, f"has more than {MOST_ROWS} rows")
    if not numbered:
        raise _refused(file, f"has no rows; needs columns {', '.join(_needed(wanted))}")
    split, decimal_comma = _separator([line for _, line in numbered])
    first = _names(numbered[0][1], split)
    if all(_number(cell, decimal_comma) is None for cell in first):
        header, numbered = first, numbered[1:]
        if numbered and (named := _with_units(header, numbered[0][1], split)):
            header, numbered = named, numbered[1:]
    else:
        header = _header_in(comments, split, len(first), wanted)
    if not numbered:
        raise _refused(file, "has a header and no rows")
    rows = [split(line) for _, line in numbered]
    lines = [number for number, _ in numbered]
    for row, number in zip(rows, lines, strict=True):
        if len(row) != len(first):
            than = "the header" if header else "the first"
            raise _refused(file, f"row {number} has {len(row)} cells, {than} {len(first)}")
    return _Cells(header, rows, lines, decimal_comma)


MARKS = (",", ";", "\t", None)


def _header_in(
    comments: Sequence[str], split: Callable[[str], list[str]], count: int, wanted: Mapping[str, Column]
) -> list[str]:
    """The last comment with a name of every column, whatever parts its cells: numpy.savetxt writes one. Empty: none.

    Units may stand in the comment below it.
    """
    for comment, below in zip(reversed(comments), ["", *reversed(comments)], strict=False):
        parts: list[Callable[[str], list[str]]] = [split, *(partial(str.split, sep=mark) for mark in MARKS)]
        for part in parts:
            header = _names(comment, part)
            if len(header) == count and all(_called(header, name, wanted[name]) for name in _needed(wanted)):
                return _with_units(header, below, part) or header
    return []


def _with_units(header: Sequence[str], line: str, split: Callable[[str], list[str]]) -> list[str]:
    """A header with the units of a line below it, where - or 1 is none. Empty: the line names no units."""
    cells = [cell.strip("\"' ()[]") for cell in split(line)]
    none = ("", "-", "1", "none")
    if len(cells) != len(header) or not any(map(units.known, cells)):
        return []
    if not all(cell in none or units.known(cell) for cell in cells) or any(_split(name)[1] for name in header):
        return []
    return [name if cell in none else f"{name} [{cell}]" for name, cell in zip(header, cells, strict=True)]


def _names(line: str, split: Callable[[str], list[str]]) -> list[str]:
    """The cells of a header, in which blanks before a unit in brackets part nothing."""
    return [cell.strip("\"' ") for cell in split(re.sub(r"\s+(?=[\[(])", "", line))]


def _separator(lines: Sequence[str]) -> tuple[Callable[[str], list[str]], bool]:
    """How a line is split into cells, and whether a comma is the decimal one."""
    some = lines[:1000]
    comma = any(re.search(r"\d,\d", line) for line in some) and not any(re.search(r"\d\.\d", line) for line in some)
    if any(";" in line for line in some):
        return (lambda line: line.split(";")), comma
    if any("\t" in line for line in some):
        return (lambda line: re.split(r"\t+| *\t *", line)), comma
    if any("," in line for line in some):
        body = some[1:] or some
        by_comma = all(_number(cell, False) is not None for line in body for cell in line.split(",") if cell.strip())
        blanks = all(
            len(cells) > 1 and all(_number(cell, True) is not None for cell in cells) for cells in map(str.split, body)
        )
        if by_comma or not (blanks and comma):
            return (lambda line: line.split(",")), False
        return (lambda line: line.split()), True
    return (lambda line: line.split()), False


NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")


def _number(cell: str, decimal_comma: bool) -> float | None:
    """The value of a cell, None if it is no number."""
    text = re.sub(r'^"(.*)"$', r"\1", cell.strip()).strip()
    if decimal_comma:
        text = text.replace(",", ".")
    if not NUMBER.fullmatch(text) or len(text) > 400:
        return None
    return float(text.replace("D", "e").replace("d", "e"))


# --------------------------------------------------------------------------------------------------------------- arrays


def _arrays(data: bytes, file: str, count: int | None) -> _Cells:
    """An npy or npz file, without pickles; count: of columns, None: as many as there are."""
    try:
        stored = np.load(io.BytesIO(data), allow_pickle=False)
        arrays = {"": stored} if isinstance(stored, np.ndarray) else {name: stored[name] for name in stored.files}
        if any(array.dtype.kind not in "fiu" for array in arrays.values()):
            raise ValueError("it holds more than real numbers")
    except DAMAGED as error:
        raise _refused(file, f"cannot be read ({str(error).partition(chr(10))[0]})") from None
    header = list(arrays)
    first: np.ndarray = next(iter(arrays.values()), np.empty(0))
    if len(arrays) == 1 and first.ndim == 2 and first.size:
        header, table = [], first.T if count == first.shape[0] != first.shape[1] else first
    elif first.ndim != 1 or not first.size or any(array.shape != first.shape for array in arrays.values()):
        raise _refused(file, "must hold arrays of one length, or one array (rows, columns)")
    else:
        table = np.stack(list(arrays.values()), axis=1)
    return _Cells(header, table, list(range(1, len(table) + 1)))
