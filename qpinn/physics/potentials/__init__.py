"""The potentials, by name: `qpinn.potentials.barrier(height=50.0)`. Every module of this folder registers its own."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from qpinn.physics.potentials.base import BOXES, BUILDERS, Potential, builder, describe

__all__ = ["BOXES", "BUILDERS", "Potential", "builder", "combined", "describe", "function"]


def discover() -> None:
    """Import the modules of this folder, so that their builders are registered."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    globals().update({**BUILDERS, **BOXES})  # a builder is meant, not the module that may have its name


def __getattr__(name: str) -> Callable[..., Any]:
    if name in BUILDERS or name in BOXES:
        return {**BUILDERS, **BOXES}[name]
    raise AttributeError(f"module {__name__} has no attribute {name}; potentials: {', '.join((*BUILDERS, *BOXES))}")


def __dir__() -> list[str]:
    return sorted({*__all__, *BUILDERS, *BOXES})


discover()

from qpinn.physics.potentials.combined import combined  # noqa: E402
from qpinn.physics.potentials.functions import function  # noqa: E402  (of a folder that has been discovered)
