"""Tables of numbers as people have them: CSV, TSV, columns of blanks, decimal commas, Fortran, npy and npz.

Read are comma, semicolon, tab or blanks between cells; a decimal comma where the cells are parted otherwise; exponents
written with D; comments after #, ! or %; a header or none, in a comment too; UTF-8, UTF-16 and Latin-1. Columns are
found by name, or taken in their order where there are no names.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from qpinn.checks import LIMIT, suggestion

MOST_ROWS = 100_000
MOST_BYTES = 64 * 2**20
COMMENT = re.compile(r"[#!%].*")
UNIT = re.compile(
    r"^(.*?)\s*(?:[\[(](.*?)[\])]|_(nm|um|A|angstrom|bohr|m|eV|meV|cm-1|hartree|K|me|m_e)|/([A-Za-z^_*\d-]+))\s*$"
)
"""A name with a unit: `x (nm)`, `V [eV]`, `R/bohr`, `thickness_nm`."""
OF_POSITION = re.compile(r"\s*\((x|r|z|q|theta|phi)\)", re.IGNORECASE)
"""The argument of V(x), which is no unit."""


DAMAGED = (
    OSError, ValueError, EOFError, TypeError, AttributeError, MemoryError, OverflowError, RuntimeError, SyntaxError,
    BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy raises for a file that is none of its own."""


class Columns(NamedTuple):
    """What was read of a file.

    values  of each column asked for, (rows,)
    units   as the header has them, None where it has none
    names   as the header has them, or the numbers of the columns
    rows    the number of its line in the file for each row (rows,)
    """

    values: list[Float[np.ndarray, "rows"]]
    units: list[str | None]
    names: list[str]
    rows: list[int]


def read(file: str, wanted: Mapping[str, Sequence[str]], chosen: Sequence[str | int] | None = None) -> Columns:
    """The columns of a file, as finite numbers.

    wanted  a name for each column, and other names that it may have; case and units in brackets do not matter
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
        header, cells, rows = _arrays(data, file, None if chosen is not None else len(wanted))
    else:
        header, cells, rows = _text(data, file, wanted)
    places = _places(header, cells.shape[1], wanted, chosen, file)
    values = [cells[:, place] for place in places]
    for place, column in zip(places, values, strict=True):
        bad = np.flatnonzero(~(np.abs(column) <= LIMIT))
        if bad.size:
            raise _refused(
                file,
                f"row {rows[bad[0]]}, {_name(header, place)}={column[bad[0]]:g}: must be a number within +-{LIMIT:g}",
            )
    units = [_split(header[place])[1] if header else None for place in places]
    return Columns(values, units, [_name(header, place) for place in places], rows)


def _refused(file: str, reason: str) -> ValueError:
    return ValueError(f"potential.file={file}: {reason}")


def _name(header: Sequence[str], place: int) -> str:
    return header[place] if header else f"column {place + 1}"


def _split(name: str) -> tuple[str, str | None]:
    """A name of a header and its unit."""
    plain = OF_POSITION.sub("", name).strip()
    found = UNIT.match(plain)
    if not found or not found[1]:
        return plain, None
    return found[1], found[2] or found[3] or found[4] or None


def _places(
    header: Sequence[str],
    count: int,
    wanted: Mapping[str, Sequence[str]],
    chosen: Sequence[str | int] | None,
    file: str,
) -> list[int]:
    """Which columns of a table are meant."""
    needs = ", ".join(wanted)
    if chosen is not None:
        if len(chosen) != len(wanted):
            raise ValueError(f"potential.columns={list(chosen)}: must be {len(wanted)} names or numbers, for {needs}")
        return [_chosen(entry, header, count) for entry in chosen]
    if not header:
        if count != len(wanted):
            raise _refused(
                file, f"has {count} columns without names, for {needs}; potential.columns=[1,2] says which are meant"
            )
        return list(range(count))
    plain = [_split(name)[0].lower() for name in header]
    places = []
    for name, others in wanted.items():
        allowed = [name.lower(), *(other.lower() for other in others)]
        found = [place for place, here in enumerate(plain) if here in allowed]
        if len(found) > 1:
            raise _refused(file, f"has several columns for {name}: {', '.join(header[place] for place in found)}; "
                                 "potential.columns says which is meant")  # fmt: skip
        if not found:
            hint = suggestion(name, header)
            raise _refused(file, f"has no column {name}; {hint}needs {needs}; its header is {', '.join(header)}; "
                                 "potential.columns says which columns are meant")  # fmt: skip
        places += found
    return places


def _chosen(entry: str | int, header: Sequence[str], count: int) -> int:
    """The place of a column by its name or its number."""
    if isinstance(entry, int) and not isinstance(entry, bool):
        if not 1 <= entry <= count:
            raise ValueError(f"potential.columns={entry}: must be a number from 1 to {count}")
        return entry - 1
    names = [name.strip() for name in header]
    found = [place for place, name in enumerate(names) if entry in (name, _split(name)[0])]
    if len(found) != 1:
        hint = suggestion(str(entry), names)
        raise ValueError(
            f"potential.columns={entry}: no such column; {hint}allowed: {', '.join(names) or 'numbers from 1'}"
        )
    return found[0]


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


def _text(data: bytes, file: str, wanted: Mapping[str, Sequence[str]]) -> tuple[list[str], np.ndarray, list[int]]:
    """Header (empty if there is none), numbers (rows, columns) and the line of each row."""
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
        raise _refused(file, f"has no rows; needs columns {', '.join(wanted)}")
    split, decimal_comma = _separator([line for _, line in numbered])
    header: list[str] = []
    first = _names(numbered[0][1], split)
    if all(_number(cell, decimal_comma) is None for cell in first):
        header, numbered = first, numbered[1:]
    else:  # numpy.savetxt puts the header into a comment, whatever parts its cells
        known = {name.lower() for names in wanted.items() for name in (names[0], *names[1])}
        for comment in reversed(comments):
            for part in (split, *(lambda line, mark=mark: line.split(mark) for mark in (",", ";", "\t", None))):
                cells = _names(comment, part)
                if len(cells) == len(first) and sum(_split(cell)[0].lower() in known for cell in cells) >= len(wanted):
                    header = header or cells
    if not numbered:
        raise _refused(file, "has a header and no rows")
    columns = len(header) or len(first)
    values = np.empty((len(numbered), columns))
    for row, (number, line) in enumerate(numbered):
        cells = split(line)
        if len(cells) != columns:
            raise _refused(
                file, f"row {number} has {len(cells)} cells, {'the header' if header else 'the first'} {columns}"
            )
        for place, cell in enumerate(cells):
            value = _number(cell, decimal_comma)
            values[row, place] = np.nan if value is None else value
            if value is None and place in _meant(header, columns, wanted):
                shown = cell.strip()[:40] or "nothing"
                raise _refused(
                    file, f"row {number}, {_name(header, place)}={shown}: must be a number within +-{LIMIT:g}"
                )
    return header, values, [number for number, _ in numbered]


def _names(line: str, split: Callable[[str], list[str]]) -> list[str]:
    """The cells of a header, in which blanks before a unit in brackets part nothing."""
    return [cell.strip("\"' ") for cell in split(re.sub(r"\s+(?=[\[(])", "", line))]


def _meant(header: Sequence[str], count: int, wanted: Mapping[str, Sequence[str]]) -> list[int]:
    """Columns in which every cell must be a number: those that have one of the names, or all without names."""
    known = {name.lower() for names in wanted.items() for name in (names[0], *names[1])}
    return [place for place in range(count) if not header or _split(header[place])[0].lower() in known]


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


def _arrays(data: bytes, file: str, count: int | None) -> tuple[list[str], np.ndarray, list[int]]:
    """The same of an npy or npz file, without pickles; count: of columns, None: as many as there are."""
    try:
        stored = np.load(io.BytesIO(data), allow_pickle=False)
        arrays = {"": stored} if isinstance(stored, np.ndarray) else {name: stored[name] for name in stored.files}
        if any(array.dtype.kind not in "fiu" for array in arrays.values()):
            raise ValueError("it holds more than real numbers")
        columns = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    except DAMAGED as error:
        raise _refused(file, f"cannot be read ({str(error).partition(chr(10))[0]})") from None
    first = next(iter(columns.values()), np.empty(0))
    if len(columns) == 1 and first.ndim == 2 and first.size:
        table = first.T if count == first.shape[0] != first.shape[1] else first
        return [], table, list(range(1, len(table) + 1))
    if first.ndim != 1 or not first.size or any(column.shape != first.shape for column in columns.values()):
        raise _refused(file, "must hold arrays of one length, or one array (rows, columns)")
    return list(columns), np.stack(list(columns.values()), axis=1), list(range(1, len(first) + 1))
