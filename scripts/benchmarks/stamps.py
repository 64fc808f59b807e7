"""Where and with what something was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import routes


def stamp() -> dict[str, Any]:
    """The machine, the commit and the versions, for a JSON file."""
    from qpinn.runs import run_folder

    machine = {"cpu": routes.cpu(), "system": platform.system(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    return {"machine": machine, "git": run_folder.git_commit(), "versions": run_folder.versions()}


def line(part: Mapping[str, Any]) -> str:
    """The same for a page."""
    versions = ", ".join(f"{name} {value}" for name, value in part["versions"].items())
    machine = part["machine"]
    return (f"{machine['cpu']}, {machine['system']}; load {machine['load']:.1f} on {machine['cores']} cores when it "
            f"began; commit {part['git']}; {versions}.")  # fmt: skip
