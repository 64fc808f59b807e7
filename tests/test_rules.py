"""The rules of the house: who imports whom, and how long things are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests_support import ROOT

LAYERS = [
    {"typing", "checks"}, {"geometry", "linalg"}, {"physics"}, {"wavefunctions"}, {"equations"}, {"training", "bounds"},
    {"analysis"}, {"runs"}, {"report"}, {"drivers"},
]  # fmt: skip
"""From the bottom up: a package imports from those below it, and from its own row."""
ONLY = {
    "hydra": "scripts/_cli.py scripts/_overrides.py",
    "omegaconf": "scripts/_cli.py scripts/_overrides.py scripts/sweep.py scripts/benchmarks/sensitivity.py",
    "matplotlib": " ".join(str(path.relative_to(ROOT)) for path in (ROOT / "qpinn" / "report").glob("*.py")),
    "optax": "qpinn/training/optimizers/adam.py qpinn/training/variational.py",
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


def _level(package):
    return next(level for level, row in enumerate(LAYERS) if package in row)


def test_imports_go_down_only():
    modules = {path.relative_to(ROOT) for path in (ROOT / "qpinn").rglob("*.py")} - {Path("qpinn/__init__.py")}
    for path in modules:
        _level(path.parts[1].removesuffix(".py"))  # every module has a place
    checked = 0
    for path, name in _imports():
        target = name.split(".")
        if path in modules and target[0] == "qpinn":
            assert _level(target[1]) <= _level(path.parts[1].removesuffix(".py")), f"{path} imports {name}"
            checked += 1
    assert checked > 100


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


def _trees(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def _fields_of_dataclasses():
    """Fields of every dataclass of the package, inherited ones included, by the name of the class."""
    fields = {}
    classes = [node for _, tree in _trees("qpinn") for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {node.name: [ast.unparse(base) for base in node.bases] for node in classes}
    for node in classes:
        if any("dataclass" in (text := ast.unparse(mark)) or text == "pytree" for mark in node.decorator_list):
            notes = [entry for entry in node.body if isinstance(entry, ast.AnnAssign)]
            names = [entry.target.id for entry in notes if not ast.unparse(entry.annotation).startswith("ClassVar")]
            fields.setdefault(node.name, []).extend(names)

    def of(name):
        return [field for base in bases.get(name, ()) for field in of(base)] + fields.get(name, [])

    return {name: of(name) for name in fields}


def test_dataclasses_of_more_than_three_fields_are_made_by_keyword():
    fields = _fields_of_dataclasses()
    assert fields["Barrier"] == ["left", "right", "center", "width", "height"]
    checked = 0
    for path, tree in _trees("qpinn", "scripts"):
        for node in ast.walk(tree):
            name = ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
            if len(fields.get(name, ())) > 3:
                by_position = 4 if any(isinstance(entry, ast.Starred) for entry in node.args) else len(node.args)
                assert by_position <= 3, f"{path}:{node.lineno}: {name} by position"
                checked += 1
    assert checked > 20


def test_importing_the_package_imports_no_figures():
    code = "import sys, qpinn, qpinn.report.choice; assert not [name for name in sys.modules if 'matplotlib' in name]"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr


def test_importing_the_package_changes_no_setting():
    code = (
        "import os, jax; before = dict(jax.config.values), dict(os.environ); import qpinn; "
        "assert before == (dict(jax.config.values), dict(os.environ))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
