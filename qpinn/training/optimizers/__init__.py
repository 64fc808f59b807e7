"""The optimisers, by the names that a config uses. Every module of this folder registers its own."""

import importlib
import pkgutil

from qpinn.training.optimizers.base import LONG, OPTIMIZERS, Optimizer, Record, optimizer, record

__all__ = ["LONG", "OPTIMIZERS", "Optimizer", "Record", "optimizer", "record"]


def discover() -> None:
    """Import the modules of this folder, so that their optimisers are registered."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)


discover()
