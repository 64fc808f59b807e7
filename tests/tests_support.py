"""Running the scripts as a user does, as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/<name>.py and wait for it."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=dict(os.environ))


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/train.py, which must end well."""
    finished = script("train", *arguments)
    assert finished.returncode == 0, finished.stderr
    return finished
