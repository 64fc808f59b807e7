"""The overrides of a command line, checked before Hydra sees them: names, values, and what does not go together."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import _cli


def composed(overrides: Sequence[str], primary: str = "config", with_hydra: bool = False) -> Any:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(_cli.CONFIGS), version_base=None):
        return compose(primary, list(map(opened, overrides)), return_hydra_config=with_hydra)


NAMED = "potential.parameters"
"""A group whose keys are the user's own."""


def opened(word: str) -> str:
    """An override as Hydra must have it: of a key of `NAMED` so that it need not be there yet, a list of ends, which is
    no choice of their group, with its key."""
    word = re.sub(r"^ends=(?=\s*\[)", "ends.axes=", word)
    return f"++{word}" if re.match(rf"{re.escape(NAMED)}[.=]", word) else word


def choices(group: str, primary: str = "") -> list[str]:
    """The choices of a group, those of experiments that the script of a primary config can run."""
    folder = _cli.CONFIGS / group
    names = sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))
    if group == "experiment" and primary:
        return [name for name in names if primary in (IN_TIME if "time" in name.split("/") else LEVELS)
                and not (primary == "sweep" and name.startswith("time/"))]  # fmt: skip
    return names


IN_TIME = ("evolve", "sweep")
LEVELS = ("config", "sweep", "bands", "vary", "scatter")
"""Primary configs whose scripts run experiments of packets in time, with `time` in their path, and all others."""


def defaults_of(primary: str) -> dict[str, str]:
    """The groups of a primary config, each with the choice that it has by default."""
    text = (_cli.CONFIGS / f"{primary}.yaml").read_text()
    own = dict(re.findall(r"^  - (\w+): (\w+)\b", text, re.MULTILINE))
    return {**(defaults_of("base") if "\n  - base\n" in text else {}), **own}


def groups_of(primary: str) -> list[str]:
    return sorted(defaults_of(primary))


def leaves(config: Any, prefix: str = "") -> list[str]:
    names = []
    for key, value in config.items():
        names.append(f"{prefix}{key}")
        if isinstance(value, dict):
            names += leaves(value, f"{prefix}{key}.")
    return names


def _check_names(overrides: Sequence[Any], primary: str) -> None:
    """Refuse unknown groups, choices and keys, with a suggestion, before Hydra does so in its own words."""
    from omegaconf import OmegaConf

    from qpinn.checks import suggestion

    groups, chosen = groups_of(primary), []
    for override in overrides:
        if override.key_or_group == "hydra/launcher":
            _check_launcher(override.value())
        if override.key_or_group not in groups:
            continue
        allowed = choices(override.key_or_group, primary)
        value = override.value()
        if value not in allowed and not (value is None and override.key_or_group == "experiment"):
            hint = suggestion(str(value), allowed)
            _cli.fail(f"{override.key_or_group}={value}: unknown; {hint}allowed: {', '.join(allowed)}")
        chosen.append(override.input_line)
    keys = leaves(OmegaConf.to_container(composed(chosen, primary), resolve=False))
    for override in overrides:
        if override.key_or_group not in groups and not re.match(r"hydra[./]", override.key_or_group):
            _check_key(override, keys, groups)


def _check_key(override: Any, keys: Sequence[str], groups: Sequence[str]) -> None:
    """Refuse a key that is not there, a group of keys in the place of a value, and the other way round."""
    from qpinn.checks import suggestion

    name, value = override.key_or_group, override.value()
    if name == "potential.name":
        _cli.fail(f"{override.input_line}: a potential is chosen with its numbers; allowed: potential=<name>")
    if name == NAMED and name in keys and value is not None and not isinstance(value, dict):
        _cli.fail(f"{override.input_line}: must be numbers by name, as {name}={{D: 10, a: 1}}")
    if NAMED in keys and (name == NAMED or name.startswith(f"{NAMED}.")):
        return
    if name not in keys:
        siblings = [key for key in keys if key.rpartition(".")[0] == name.rpartition(".")[0]]
        top = [key for key in keys if "." not in key]
        _cli.fail(f"{name}={override.get_value_element_as_str()}: unknown key; {suggestion(name, [*keys, *groups])}"
             f"allowed: {', '.join(siblings or top)}")  # fmt: skip
    inside = [key.removeprefix(f"{name}.") for key in keys if key.startswith(f"{name}.")]
    if inside and not isinstance(value, dict):
        _cli.fail(f"{override.input_line}: is a group of keys; allowed: {name}.<key>=value")
    if not inside and isinstance(value, dict):
        _cli.fail(f"{override.input_line}: must be a value, not a group of keys")
    for key in value if inside else ():
        if key not in inside:
            hint = suggestion(str(key), inside)
            _cli.fail(f"{name}.{key}={value[key]}: unknown key; {hint}allowed: {', '.join(inside)}")


def _check_mixture(overrides: Sequence[Any], primary: str) -> None:
    """Refuse an experiment of one potential with another potential."""
    chosen = {override.key_or_group: override.value() for override in overrides}
    experiment, potential = chosen.get("experiment"), chosen.get("potential")
    own = _potential_of(experiment) if experiment and potential else None
    if own not in (None, potential):
        others = [name for name in choices("experiment", primary) if _potential_of(name) in (None, potential)]
        _cli.fail(f"potential={potential}: experiment={experiment} is of potential={own}; allowed with "
                  f"potential={potential}: experiment={', '.join(others)}")  # fmt: skip


def _potential_of(experiment: str) -> str | None:
    """The potential that an experiment chooses, itself or by another one that it is made from."""
    text = (_cli.CONFIGS / "experiment" / f"{experiment}.yaml").read_text()
    chosen = re.search(r"^  - override /potential: (\w+)$", text, re.MULTILINE)
    above = re.search(r"^  - /experiment/(\S+)$", text, re.MULTILINE)
    return chosen[1] if chosen else _potential_of(above[1]) if above else None


def _check_launcher(name: Any) -> None:
    """Refuse a launcher that is not known or not installed."""
    allowed = ["basic", *choices("hydra/launcher")]
    if name not in allowed:
        _cli.fail(f"hydra/launcher={name}: unknown; allowed: {', '.join(allowed)}")
    extra = str(name).split("_")[0]
    if name != "basic" and importlib.util.find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
        _cli.fail(f'hydra/launcher={name}: is not installed; pip install "qpinn[{extra}]"')


def _check_hydra(overrides: Sequence[Any], multirun: bool) -> None:
    """Refuse folders of Hydra's that would be ignored."""
    other, instead = ("hydra.run.", "hydra.sweep.dir") if multirun else ("hydra.sweep.", "hydra.run.dir")
    for override in overrides:
        if override.key_or_group.startswith(other):
            what = "a multirun" if multirun else "a single run"
            _cli.fail(f"{override.input_line}: has no effect on {what}; allowed: {instead}")


def _check_underflow(overrides: Sequence[Any]) -> None:
    """Refuse numbers like 1e-400, which have become 0 before anything else can see them."""
    for override in overrides:
        text = override.input_line.partition("=")[2]
        for mantissa in re.findall(r"(?<![\w.])([\d.]+)[eE]-?\d+", text) if override.value() == 0.0 else ():
            if mantissa.strip("0."):
                _cli.fail(f"{override.input_line}: too small for a number of 64 bits, it would become 0")


def _expand(overrides: Sequence[Any]) -> list[list[str]]:
    """Override lists that between them use every value of every sweep: not their product, whose parts they are."""
    first = []
    for override in overrides:
        swept = list(override.sweep_string_iterator()) if override.is_sweep_override() else None
        first.append([f"{override.key_or_group}={value}" for value in swept] if swept else [override.input_line])
    plain = [lines[0] for lines in first]
    return [plain] + [[*plain[:i], line, *plain[i + 1 :]] for i, lines in enumerate(first) for line in lines[1:]]


def jobs(arguments: Sequence[str]) -> int:
    """How many jobs a multirun of (checked) overrides has."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(arguments))
    return math.prod(len(list(override.sweep_string_iterator())) for override in parsed if override.is_sweep_override())


def _parse(argument: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_overrides([argument])[0]
    except HydraException as error:
        _cli.fail(f"{argument}: cannot be read as key=value ({str(error).splitlines()[0]})")


def check(
    arguments: Sequence[str],
    multirun: bool,
    primary: str = "config",
    prepare: Callable[[Any], Any] = lambda config: None,
) -> Any:
    """Check all overrides, of all jobs of a multirun. Returns the config of the (first) job, Hydra's part included.

    prepare: called with the first config before JAX looks for devices.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from qpinn.drivers.eigenstates import check_device

    arguments = [argument.removeprefix("++" if argument.startswith(f"++{NAMED}") else "") for argument in arguments]
    parser, config, words = OverridesParser.create(), None, [_parse(argument) for argument in arguments]
    swept = [override for override in words if override.is_sweep_override()]
    if swept and not multirun:
        _cli.fail(f"{swept[0].input_line}: several values need -m (multirun)")
    _check_hydra(words, multirun)
    names = [override.key_or_group for override in words]
    twice = [override for override in words if names.count(override.key_or_group) > 1]
    if twice:
        _cli.fail(f"{twice[-1].input_line}: is given twice")
    try:
        expanded = _expand(words)
    except (HydraException, ValueError) as error:  # interval(0,1) and the like have no list of values
        _cli.fail(str(error))
    for overrides in expanded:
        try:
            words = parser.parse_overrides(overrides)
            _check_names(words, primary)
            _check_mixture(words, primary)
            _check_underflow(words)
            whole = composed(overrides, primary, with_hydra=True)
            _, settings = _cli.read(whole)
            if config is None:
                prepare(whole)
            check_device(settings.precision)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            _cli.fail(_as_given(str(error), words))
        config = config or whole
    return config


def figures(arguments: Sequence[str]) -> Any:
    """The `qpinn.report.choice.Choice` that overrides of the group `figures` make, which are checked."""
    words = [_parse(argument) for argument in arguments]
    _check_names(words, "plot")
    try:
        return _cli.figures(composed(arguments, "plot"))
    except ValueError as error:
        _cli.fail(_as_given(str(error), words))


def _as_given(message: str, overrides: Sequence[Any]) -> str:
    """A message `key=value: ...` with the value as it stands on the command line: 1e400, not inf."""
    key, _, rest = message.partition("=")
    for override in overrides:
        value = override.value()
        entry = isinstance(value, list) and rest.partition(": ")[0]  # perhaps one of them
        shown = entry or (repr(value) if isinstance(value, str) else str(value))
        if override.key_or_group == key and rest.startswith(f"{shown}: "):
            return f"{override.input_line}{rest.removeprefix(shown)}"
    return message


def command_line() -> list[str]:
    """The arguments of this process, formulas and paths in the quotes that Hydra wants and a shell takes away.

    Paths not in a multirun, whose commas part several of them. Without experiment=null, which is what Hydra does by
    itself and has no word for.
    """
    sys.argv = [argument for argument in sys.argv if argument != "experiment=null"]
    text = TEXTS if {"-m", "--multirun"} & set(sys.argv) else (*TEXTS, *PATHS)
    for i, argument in enumerate(sys.argv):
        key, _, value = argument.partition("=")
        if key.lstrip("+") in text and value not in ("", "null") and not value.startswith(("'", '"')):
            sys.argv[i] = _cli.override(key, value)
        sys.argv[i] = opened(sys.argv[i])
    return sys.argv[1:]


TEXTS = ("potential.formula", "vary", "packet.real", "packet.imaginary", "drive.time", "drive.space")
"""Keys whose values may have brackets and other signs in them that mean something to Hydra."""

PATHS = ("potential.file", "packet.file", "output", "resume")
"""Keys whose values may have blanks, commas and signs of equality in them."""
