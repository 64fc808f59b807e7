"""The options of the scripts, and what --help shows: read from the configs, whose comments say what a key means."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import _cli
import _overrides


def options(arguments: Sequence[str], about: str | None, primary: str = "config", multirun: bool = True) -> list[str]:
    """The options on a command line. Those up to --version are answered here; an unknown one, and -m where there is no
    multirun, ends with one line."""
    given = [argument for argument in arguments if argument.startswith("-")]
    for option in given:
        if option.partition("=")[0] not in OPTIONS:
            _cli.fail(f"{option}: unknown option; allowed: {', '.join(OPTIONS)}, and group=choice, key=value")
    if "--version" in given:
        from importlib import metadata

        print(f"qpinn {metadata.version('qpinn')}")
        raise SystemExit(0)
    if "--list" in given:
        print(list_text())
        raise SystemExit(0)
    if {"-h", "--help"} & set(given):
        print(help_text(about or "", primary))
        raise SystemExit(0)
    if not multirun and (several := {"-m", "--multirun"} & set(given)):
        _cli.fail(f"{several.pop()}: has no effect here; allowed for train.py and sweep.py, leave it out")
    return given


OPTIONS = (
    "-h",
    "--help",
    "--list",
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
    own_text = (_cli.CONFIGS / f"{primary}.yaml").read_text()
    files = [
        _cli.CONFIGS / f"{name}.yaml" for name in ("base", primary) if name == primary or "\n  - base\n" in own_text
    ]
    shown = [about.strip(), "--list shows every potential with its formula and its numbers, and every experiment."]
    shown += ["", "Groups, as group=choice (the default first):", ""]
    chosen = _overrides.defaults_of(primary)
    experiment = {"experiment": chosen.pop("experiment", "null")} if len(files) > 1 else {}
    for group, default in sorted({**chosen, **experiment}.items()):
        others = [choice for choice in _overrides.choices(group, primary) if choice != default]
        names = ", ".join([*([default] if default != "null" else []), *others])
        shown += textwrap.wrap(names, 118, initial_indent=f"  {group:10} ", subsequent_indent=" " * 13)
    shown += ["", "Keys, as key=value, with their defaults:", ""]
    own = set(re.findall(r"^(\w+):", files[-1].read_text(), re.MULTILINE)) if len(files) > 1 else set()
    for path in files:
        taken = own if path is not files[-1] else set()
        shown += ["  " + line for line in _keys(path.read_text()) if line.partition(":")[0] not in taken]
    for group, choice in chosen.items():
        if choice == "null":
            continue
        shown += ["", f"  {group}={choice}:"]
        lines = (_cli.CONFIGS / group / f"{choice}.yaml").read_text().splitlines()
        shown += [f"    {line}" for line in lines if not line.startswith("name:")]
    return "\n".join(line.rstrip() for line in shown)


def _keys(text: str) -> list[str]:
    """The lines of a YAML file that are keys of ours, with their comments."""
    blocks = re.split(r"^(?=\w)", text, flags=re.MULTILINE)
    kept = [block for block in blocks if not block.startswith(("defaults:", "hydra:", "#"))]
    return [line for block in kept for line in block.splitlines() if line.strip()]


WIDTHS = (16, 42, 36)
"""Of the columns of a list: names, what they are, and numbers with their defaults."""


def list_text() -> str:
    """Every potential with its formula and its numbers, and every experiment, as the configs say them; 100 wide."""
    shown = ["Potentials, as potential=<name>, and their numbers, as potential.<key>=<value>:", ""]
    for name in _overrides.choices("potential"):
        about, values = _said(_cli.CONFIGS / "potential" / f"{name}.yaml")
        numbers = [f"{key}={value}" for key, value in values.items() if key != "name"]
        shown += _columns(name, about, numbers)
    shown += [
        "",
        "Experiments, as experiment=<name>: other settings than the defaults, on any potential or on theirs:",
        "",
    ]
    experiments = _overrides.choices("experiment")
    longest = max(map(len, experiments))
    for name in experiments:
        about, _ = _said(_cli.CONFIGS / "experiment" / f"{name}.yaml")
        indent = " " * (longest + 4)
        shown += textwrap.wrap(about, 100, initial_indent=f"  {name:{longest}}  ", subsequent_indent=indent)
    return "\n".join(line.rstrip() for line in shown)


def _said(path: Path) -> tuple[str, dict[str, str]]:
    """The comment at the top of a YAML file, and its keys with their values as they are written."""
    lines = path.read_text().splitlines()
    about = itertools.takewhile(lambda line: line.startswith("#"), lines)
    said = " ".join(line.lstrip("# ") for line in about if not line.startswith("# @"))
    values = dict(re.findall(r"^(\w+): +(.*?) *(?:#.*)?$", "\n".join(lines), re.MULTILINE))
    return said, values


def _columns(name: str, about: str, numbers: Sequence[str]) -> list[str]:
    """Name, what it is and its numbers side by side, as many lines as they need."""
    together = textwrap.wrap(about.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"), WIDTHS[1])
    cells = [
        [name],
        [line.replace("\N{NO-BREAK SPACE}", " ") for line in together],
        textwrap.wrap(", ".join(numbers), WIDTHS[2], break_on_hyphens=False),
    ]
    return [
        "  " + "  ".join(f"{cell:{width}}" for cell, width in zip(line, WIDTHS, strict=True))
        for line in itertools.zip_longest(*cells, fillvalue="")
    ]
