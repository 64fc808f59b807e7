"""What a bands.json says, in words: the edges of every band, the gap above it, and how wide the bounds are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qpinn.report import tables


def edges(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table: edges of every band and the gap above it."""
    gaps = [f"{high - low:.10g}" if high > low else "none" for low, high in np.asarray(content["gaps"], float)] + [""]
    rows = [
        [str(n), f"{column.min():.12g}", f"{column.max():.12g}", gap]
        for n, (column, gap) in enumerate(zip(np.asarray(content["energies"], float).T, gaps, strict=True))
    ]
    unit = content["units"]["energy"]
    return ["band", f"bottom ({unit})", f"top ({unit})", f"gap above ({unit})"], rows


def bounded(content: Mapping[str, Any]) -> str:
    """How many levels have bounds, and the widest."""
    width = np.asarray(content["upper"], float) - np.asarray(content["lower"], float)
    known = ~np.isnan(width)
    widest = float(np.max(width[known], initial=0.0)) / 2
    return (
        f"  {known.sum()} of {known.size} levels with bounds, the widest +- {widest:.1e} {content['units']['energy']}"
    )


def report(content: Mapping[str, Any]) -> str:
    """The table of `edges`, and `bounded`."""
    return "\n".join([tables.plain(*edges(content)), bounded(content)])
