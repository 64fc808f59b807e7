"""The rules of the house: who imports whom, and how long things are."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests_support import ROOT

LAYERS = ["types", "physics", "wavefunctions", "training", "analysis"]
ONLY = {
    "hydra": "scripts/_cli.py scripts/train.py scripts/sweep.py",
    "omegaconf": "scripts/_cli.py scripts/train.py scripts/sweep.py scripts/sensitivity.py",
    "matplotlib": "".join(
        f"qpinn/analysis/{name}.py " for name in ("style", "plotting", "levels_plotting", "sweep_plotting", "study")
    ),
    "optax": "qpinn/training/optimizers.py qpinn/training/loop.py",
}


def _imports():
    for folder in ("qpinn", "scripts"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                for name in names:
                    yield path.relative_to(ROOT), name


def test_imports_go_down_only():
    checked = 0
    for path, name in _imports():
        source, target = path.parts[1].removesuffix(".py"), name.split(".")
        if path.parts[0] == "qpinn" and source in LAYERS and target[0] == "qpinn" and len(target) > 1:
            assert target[1] in LAYERS, f"{path} imports {name}"
            assert LAYERS.index(target[1]) <= LAYERS.index(source), f"{path} imports {name}"
            checked += 1
    assert checked > 20


def test_each_library_has_its_place():
    for path, name in _imports():
        allowed = ONLY.get(name.split(".")[0])
        assert allowed is None or str(path) in allowed.split(), f"{path} imports {name}"


def test_nothing_is_unpickled_or_evaluated():
    for folder in ("qpinn", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id not in ("eval", "exec", "__import__"), path
            assert "import pickle" not in path.read_text()


def test_importing_the_package_changes_no_setting():
    code = (
        "import os, jax; before = dict(jax.config.values), dict(os.environ); import qpinn; "
        "assert before == (dict(jax.config.values), dict(os.environ))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
