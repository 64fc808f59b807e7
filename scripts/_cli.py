"""What the scripts share: Hydra, checks before anything compiles, and errors in one line.

The only module that knows Hydra.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import _signals

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
BAD_INPUT = 2
NON_FINITE = 3

# The matrices are small: BLAS threads cost more than they gain, twice as much where XLA runs several of them at once.
# To be set before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Figures go into files: whatever a notebook or a desktop wants of matplotlib does not matter here.
os.environ["MPLBACKEND"] = "Agg"

# our launchers are named as their plugins name them, and Hydra says so
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/.*validated against ConfigStore schema")


def process_started() -> float:
    """`time.time()` at which the interpreter was started: starting it is all that this process has done so far.

    Not from the kernel: a shell that replaces itself by Python hands on the time of its own start.
    """
    return time.time() - time.process_time()


class Failed(SystemExit):
    """The end of a script with one line for the user, which has been shown."""

    def __init__(self, line: str, status: int) -> None:
        super().__init__(status)
        self.line, self.status = line, status


def fail(message: str, status: int = BAD_INPUT) -> NoReturn:
    """End with one line on stderr."""
    line = " ".join(str(message).split())
    print(f"error: {line}", file=sys.stderr)
    raise Failed(line, status)


def use_cache() -> None:
    """Keep compiled programmes on disk: in JAX_COMPILATION_CACHE_DIR, or in the user's cache folder."""
    import _cache

    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    _cache.use(os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(home / "qpinn" / "xla"))


def _compose(overrides: Sequence[str], primary: str = "config", with_hydra: bool = False) -> Any:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIGS), version_base=None):
        return compose(primary, list(overrides), return_hydra_config=with_hydra)


def choices(group: str) -> list[str]:
    folder = CONFIGS / group
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


def _leaves(config: Any, prefix: str = "") -> list[str]:
    names = []
    for key, value in config.items():
        names.append(f"{prefix}{key}")
        if isinstance(value, dict):
            names += _leaves(value, f"{prefix}{key}.")
    return names


def _check_names(overrides: Sequence[Any], primary: str) -> None:
    """Refuse unknown groups, choices and keys, with a suggestion, before Hydra does so in its own words."""
    from omegaconf import OmegaConf

    from qpinn.checks import suggestion

    groups = sorted(folder.name for folder in CONFIGS.iterdir() if folder.is_dir() and folder.name != "hydra")
    chosen = []
    for override in overrides:
        if override.key_or_group == "hydra/launcher":
            _check_launcher(override.value())
        if override.key_or_group not in groups:
            continue
        allowed = choices(override.key_or_group)
        value = override.value()
        if value not in allowed and not (value is None and override.key_or_group == "experiment"):
            hint = suggestion(str(value), allowed)
            fail(f"{override.key_or_group}={value}: unknown; {hint}allowed: {', '.join(allowed)}")
        chosen.append(override.input_line)
    keys = _leaves(OmegaConf.to_container(_compose(chosen, primary), resolve=False))
    for override in overrides:
        if override.key_or_group not in groups and not re.match(r"hydra[./]", override.key_or_group):
            _check_key(override, keys, groups)


def _check_key(override: Any, keys: Sequence[str], groups: Sequence[str]) -> None:
    """Refuse a key that is not there, a group of keys in the place of a value, and the other way round."""
    from qpinn.checks import suggestion

    name, value = override.key_or_group, override.value()
    if name == "potential.name":
        fail(f"{override.input_line}: a potential is chosen with its numbers; allowed: potential=<name>")
    if name not in keys:
        siblings = [key for key in keys if key.rpartition(".")[0] == name.rpartition(".")[0]]
        top = [key for key in keys if "." not in key]
        fail(f"{name}={override.get_value_element_as_str()}: unknown key; {suggestion(name, [*keys, *groups])}"
             f"allowed: {', '.join(siblings or top)}")  # fmt: skip
    inside = [key.removeprefix(f"{name}.") for key in keys if key.startswith(f"{name}.")]
    if inside and not isinstance(value, dict):
        fail(f"{override.input_line}: is a group of keys; allowed: {name}.<key>=value")
    if not inside and isinstance(value, dict):
        fail(f"{override.input_line}: must be a value, not a group of keys")
    for key in value if inside else ():
        if key not in inside:
            fail(f"{name}.{key}={value[key]}: unknown key; {suggestion(str(key), inside)}allowed: {', '.join(inside)}")


def _check_launcher(name: Any) -> None:
    """Refuse a launcher that is not known or not installed."""
    allowed = ["basic", *choices("hydra/launcher")]
    if name not in allowed:
        fail(f"hydra/launcher={name}: unknown; allowed: {', '.join(allowed)}")
    extra = str(name).split("_")[0]
    if name != "basic" and importlib.util.find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
        fail(f'hydra/launcher={name}: is not installed; pip install "qpinn[{extra}]"')


def _check_hydra(overrides: Sequence[Any], multirun: bool) -> None:
    """Refuse folders of Hydra's that would be ignored."""
    other, instead = ("hydra.run.", "hydra.sweep.dir") if multirun else ("hydra.sweep.", "hydra.run.dir")
    for override in overrides:
        if override.key_or_group.startswith(other):
            what = "a multirun" if multirun else "a single run"
            fail(f"{override.input_line}: has no effect on {what}; allowed: {instead}")


def _check_underflow(overrides: Sequence[Any]) -> None:
    """Refuse numbers like 1e-400, which have become 0 before anything else can see them."""
    for override in overrides:
        text = override.input_line.partition("=")[2]
        for mantissa in re.findall(r"(?<![\w.])([\d.]+)[eE]-?\d+", text) if override.value() == 0.0 else ():
            if mantissa.strip("0."):
                fail(f"{override.input_line}: too small for a number of 64 bits, it would become 0")


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


def override(key: str, value: object) -> str:
    """`key=value` in the quotes that make Hydra take any text as it is."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", str(value))
    return f"{key}='{text}'"


def multirun(job: Callable[[Any, Path], Any], overrides: Sequence[str], options: Sequence[str], folder: Path,
             primary: str = "config") -> None:  # fmt: skip
    """Call `job` with the config and the folder of each job of a multirun: `folder`/0, 1, ..., each with its overrides.

    The order of the overrides on the command line does not matter to the numbers.
    """

    script = os.getpid()

    def begin(config: Any) -> None:
        from hydra.core.hydra_config import HydraConfig

        from qpinn.runs.checkpoint import write_atomically

        if os.getpid() != script:
            _signals.follow()
        _signals.check()
        use_cache()
        place, words = Path(HydraConfig.get().runtime.output_dir), list(HydraConfig.get().overrides.task)
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(place / OVERRIDES, "".join(f"{word}\n" for word in words).encode())
        print(f"\n{place.name}: {' '.join(word for word in words if not word.startswith('output='))}", flush=True)
        job(config, place)

    # a launcher's processes import what stands beside this file
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
    words = [word for word in overrides if not word.startswith("hydra.sweep.dir=")]
    words = sorted(words, key=lambda word: word.partition("=")[0])
    sys.argv[1:] = [*options, *words, override("hydra.sweep.dir", folder.absolute())]
    hydra_main(begin, primary)


OVERRIDES = "overrides.txt"

RUNNING = ("output", "resume", "save_every", "requeue")
"""Keys that say where and how a run is made, not what it is."""


def plain(config: Any) -> dict[str, Any]:
    """A composed config without Hydra's part, resolved, as dictionaries."""
    from omegaconf import OmegaConf

    without = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    values: Any = OmegaConf.to_container(without, resolve=True)
    return values


def contents(config: Any) -> dict[str, str]:
    """The SHA-256 of the file that a potential is read from, if it is: another content is another problem."""
    from qpinn.runs import status

    content = status.content(config.potential.get("file"))
    return {} if content is None else {"file": content}


def write_config(config: Any, folder: Path) -> None:
    """config.yaml of a run."""
    from omegaconf import OmegaConf

    from qpinn.runs.checkpoint import write_atomically

    write_atomically(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain(config))).encode())


def stored(folder: Path) -> dict[str, Any]:
    """The config of a run folder. Raises ValueError if there is none, or it is damaged."""
    from omegaconf import OmegaConf

    try:
        values = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"), resolve=False)
    except OSError as error:
        raise ValueError(f"config.yaml: {error.strerror}") from None
    except Exception:  # what a damaged YAML raises is not one class
        raise ValueError("config.yaml is damaged") from None
    if not isinstance(values, dict):
        raise ValueError("config.yaml is damaged")
    return {str(key): value for key, value in values.items()}


def read(config: Any) -> tuple[Any, Any]:
    """Potential and Settings of a composed config. Raises ValueError for what is not allowed."""
    from omegaconf.errors import OmegaConfBaseException

    from qpinn.drivers import discretize, settings
    from qpinn.drivers.mapping import from_mapping
    from qpinn.drivers.sweep_settings import Sweep

    try:
        values = plain(config)
    except OmegaConfBaseException as error:
        raise ValueError(str(error)) from None
    groups = {key: value for key, value in values.items() if key not in (*RUNNING, "potential", "sweep", "bands")}
    chosen = from_mapping(settings.Settings, groups)
    for group in ("potential", "sweep", "bands"):
        if group in values and not isinstance(values[group], dict):
            raise ValueError(f"{group}={values[group]}: must be a group of keys")
    if "sweep" in values:
        from_mapping(Sweep, values["sweep"], "sweep.").check(chosen)
    if "bands" in values:
        from_mapping(settings.BandsChoice, values["bands"], "bands.")
    potential = settings.build_potential(values["potential"])
    discretize.of(potential, chosen)  # whether there are as many states
    return potential, chosen


def _parse(parser: Any, argument: str) -> Any:
    from hydra.errors import HydraException

    try:
        return parser.parse_overrides([argument])[0]
    except HydraException as error:
        fail(f"{argument}: cannot be read as key=value ({str(error).splitlines()[0]})")


def command_line() -> list[str]:
    """The arguments of this process, a formula among them in the quotes that Hydra wants and a shell takes away.

    Without experiment=null, which is what Hydra does by itself and has no word for.
    """
    sys.argv = [argument for argument in sys.argv if argument != "experiment=null"]
    for i, argument in enumerate(sys.argv):
        key, _, value = argument.partition("=")
        if key.lstrip("+") == "potential.formula" and not value.startswith(("'", '"')):
            sys.argv[i] = f"{key}='{value}'"
    return sys.argv[1:]


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

    try:
        parser = OverridesParser.create()
        config = None
        parsed = [_parse(parser, argument) for argument in arguments]
        swept = [override for override in parsed if override.is_sweep_override()]
        if swept and not multirun:
            fail(f"{swept[0].input_line}: several values need -m (multirun)")
        _check_hydra(parsed, multirun)
        names = [override.key_or_group for override in parsed]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            fail(f"{twice[0]}: is given twice")
        for overrides in _expand(parsed):
            _check_names(parser.parse_overrides(overrides), primary)
            _check_underflow(parser.parse_overrides(overrides))
            composed = _compose(overrides, primary, with_hydra=True)
            _, settings = read(composed)
            if config is None:
                prepare(composed)
            check_device(settings.precision)
            config = config or composed
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        fail(str(error))
    return config


def hydra_main(job: Callable[[Any], Any], primary: str = "config") -> int:
    """Let Hydra read the command line and call `job` with each config."""
    import hydra

    hydra.main(config_path=str(CONFIGS), config_name=primary, version_base=None)(job)()
    return 0


def check_writable(output: Any) -> None:
    """Refuse an output folder that cannot be made or written, before anything is computed."""
    if not isinstance(output, str) or not output:
        fail(f"output={output}: must be the path of a folder")
    folder = Path(output)
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        fail(f"output={folder}: cannot be written; {parent}: {error.strerror}")


def first(path: Path, text: str) -> bool:
    """Whether this process is the first to write `path`, which is there at once with its content."""
    draft = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
    draft.write_text(text)
    try:
        os.link(draft, path)
        return True
    except FileExistsError:
        return False
    except OSError:  # a disk without links
        if path.exists():
            return False
        draft.replace(path)
        return True
    finally:
        draft.unlink(missing_ok=True)


def numbered(folder: Path) -> Iterator[Path]:
    """folder, folder-2, folder-3, ..."""
    yield folder
    for number in range(2, 10_000):
        yield folder.with_name(f"{folder.name}-{number}")


def fresh(folder: Path) -> Path:
    """`folder`, or the first of folder-2, folder-3, ... that is not there, made."""
    for candidate in numbered(folder):
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            continue
        except OSError as error:
            fail(f"output={folder.parent}: cannot be written; {error.strerror}")
    fail(f"output={folder}: ten thousand runs of that name are there already")


def runs(argv: Sequence[str], usage: str | None) -> list[tuple[Path, dict[str, Any]]]:
    """The runs and sweeps in and below the folders on a command line, each with its results."""
    if len(argv) < 2 or any(argument.startswith("-") for argument in argv[1:]):
        print(usage)
        raise SystemExit(0 if argv[1:2] in (["-h"], ["--help"]) else BAD_INPUT)
    from qpinn.runs import run_folder

    finished = []
    for argument in argv[1:]:
        folders = run_folder.find_runs(Path(argument))
        if not folders:
            fail(f"{argument}: holds no finished run or sweep (a folder with a results.json or summary.json)")
        try:
            finished += [(folder, run_folder.read_summary(folder)) for folder in folders]
        except ValueError as error:
            fail(str(error))
    return finished
