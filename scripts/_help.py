"""The options of the scripts, and what --help shows: read from the configs, whose comments say what a key means."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import _cli
import _overrides


def options(arguments: Sequence[str], about: str | None, primary: str = "config") -> list[str]:
    """The options on a command line. --help and --version are answered here, an unknown one ends with one line."""
    given = [argument for argument in arguments if argument.startswith("-")]
    for option in given:
        if option.partition("=")[0] not in OPTIONS:
            _cli.fail(f"{option}: unknown option; allowed: {', '.join(OPTIONS)}, and group=choice, key=value")
    if "--version" in given:
        from importlib import metadata

        print(f"qpinn {metadata.version('qpinn')}")
        raise SystemExit(0)
    if {"-h", "--help"} & set(given):
        print(help_text(about or "", primary))
        raise SystemExit(0)
    return given


OPTIONS = (
    "-h",
    "--help",
    "--version",
    "-m",
    "--multirun",
    "-c",
    "--cfg",
    "--resolve",
    "-p",
    "--package",
    "-i",
    "--info",
)
"""Those after --version are Hydra's."""


def help_text(about: str, primary: str = "config") -> str:
    """What a script does, the choices of every group, and every key with its default and its meaning."""
    groups = sorted(folder.name for folder in _cli.CONFIGS.iterdir() if folder.is_dir() and folder.name != "hydra")
    shown = [about.strip(), "", "Groups, as group=choice (the default first):", ""]
    chosen = dict(re.findall(r"^  - (\w+): (\w+)$", (_cli.CONFIGS / "base.yaml").read_text(), re.MULTILINE))
    for group in groups:
        others = [choice for choice in _overrides.choices(group) if choice != chosen.get(group)]
        names = ", ".join([*([chosen[group]] if group in chosen else []), *others])
        shown += textwrap.wrap(names, 118, initial_indent=f"  {group:10} ", subsequent_indent=" " * 13)
    shown += ["", "Keys, as key=value, with their defaults:", ""]
    files = [_cli.CONFIGS / "base.yaml"] + ([_cli.CONFIGS / f"{primary}.yaml"] if primary != "base" else [])
    for path in files:
        shown += ["  " + line for line in _keys(path.read_text())]
    for group, choice in chosen.items():
        shown += ["", f"  {group}={choice}:"]
        lines = (_cli.CONFIGS / group / f"{choice}.yaml").read_text().splitlines()
        shown += [f"    {line}" for line in lines if not line.startswith("name:")]
    return "\n".join(line.rstrip() for line in shown)


def _keys(text: str) -> list[str]:
    """The lines of a YAML file that are keys of ours, with their comments."""
    blocks = re.split(r"^(?=\w)", text, flags=re.MULTILINE)
    kept = [block for block in blocks if not block.startswith(("defaults:", "hydra:", "#"))]
    return [line for block in kept for line in block.splitlines() if line.strip()]
