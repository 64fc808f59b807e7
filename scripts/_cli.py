"""What the scripts share: how they begin and end, errors in one line, Hydra's configs, folders."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import _signals

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
BAD_INPUT = 2
NON_FINITE = 3
UNREAD = 128 + 13  # as a shell says of a programme that SIGPIPE ended

# The matrices are small: BLAS threads cost more than they gain, twice as much where XLA runs several of them at once.
# To be set before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Figures go into files: whatever a notebook or a desktop wants of matplotlib does not matter here.
os.environ["MPLBACKEND"] = "Agg"

# without a home that it can write to, Matplotlib says at length where it keeps its list of fonts instead
logging.getLogger("matplotlib").setLevel(logging.ERROR)

# our launchers are named as their plugins name them, and Hydra says so
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/.*validated against ConfigStore schema")


def process_started() -> float:
    """`time.monotonic()` at which the interpreter was started: starting it is all that this process has done so far.

    Not from the kernel: a shell that replaces itself by Python hands on the time of its own start.
    """
    return time.monotonic() - time.process_time()


class Failed(SystemExit):
    """The end of a script with one line for the user, which has been shown."""

    def __init__(self, line: str, status: int) -> None:
        super().__init__(status)
        self.line, self.status = line, status


def fail(message: str, status: int = BAD_INPUT) -> NoReturn:
    """End with one line on stderr, under debug=true after the traceback."""
    line = " ".join(str(message).split())
    if "debug=true" in sys.argv:
        traceback.print_exc() if sys.exc_info()[0] else traceback.print_stack()
    print(f"error: {line}", file=sys.stderr)
    raise Failed(line, status)


def script(main: Callable[[], int], stopping: str) -> NoReturn:
    """Run a script from its first line to its exit status; `stopping` is what it says when a signal comes."""
    _signals.watch(stopping)
    _signals.requeue("requeue=true" in sys.argv)
    _check_memory()
    try:
        status = outcome(main)
    finally:
        _signals.leave()
    sys.exit(status)


def outcome(main: Callable[[], int]) -> int:
    """The exit status of a script; what nobody expected is one line and status 1."""
    try:
        return main()
    except Exception as error:
        fail(_unexpected(error), 1)


def shown(main: Callable[[], int]) -> int:
    """`outcome` of a script that only shows: where nobody reads on, as behind `head`, it ends without a word."""

    def until_unread() -> int:
        try:
            status = main()
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python still writes at its end
            return UNREAD

    return outcome(until_unread)


def _unexpected(error: Exception) -> str:
    """A line for what was not foreseen."""
    if isinstance(error, MemoryError) or any(word in str(error) for word in OUT_OF_MEMORY):
        return f"out of memory ({error}): fewer states, units or points need less, and in a sweep a smaller sweep.block"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename2 or error.filename or 'a file'}: {error.strerror}"
    return f"{type(error).__name__}: {error}; this should not happen; debug=true shows where it did"


DAMAGED = (LookupError, TypeError, AttributeError)
"""What results of another shape than they should be raise where they are shown."""

OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory", "Cannot allocate memory", "can't start new thread")
"""In the words of XLA and of the system."""


def _check_memory() -> None:
    """Refuse a limit on memory that the libraries do not survive: OpenBLAS waits for ever for what it cannot have."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = ADDRESSES + (os.cpu_count() or 1) * ADDRESSES_OF_CORE
    if limit not in (-1, resource.RLIM_INFINITY) and limit < needed:
        fail(f"ulimit -v {limit // 1024}: too little for JAX on this machine; must be at least {needed // 1024}")


ADDRESSES, ADDRESSES_OF_CORE = 7 * 2**28, 2**27
"""Bytes of addresses that a script takes beside those of its arrays, and hardly uses: 1.7 to 1.9 GB on two cores; each
further thread has its stack and its heap."""


def use_cache() -> None:
    """Keep compiled programmes on disk: in JAX_COMPILATION_CACHE_DIR, or in the user's cache folder."""
    import _cache

    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    _cache.use(os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(home / "qpinn" / "xla"))


def override(key: str, value: object) -> str:
    """`key=value` in the quotes that make Hydra take any text as it is."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", str(value))
    return f"{key}='{text}'"


def multirun(job: Callable[[Any, Path], Any], overrides: Sequence[str], options: Sequence[str], folder: Path,
             count: int, primary: str = "config") -> None:  # fmt: skip
    """Call `job` with the config and the folder of each of `count` jobs: `folder`/0, 1, ..., each with its overrides.

    The order of the overrides on the command line does not matter to the numbers.
    """

    script = os.getpid()

    def begin(config: Any) -> None:
        from hydra.core.hydra_config import HydraConfig

        from qpinn.runs.files import write_atomically

        if os.getpid() != script:
            _signals.follow()
        _signals.check()
        use_cache()
        place, words = Path(HydraConfig.get().runtime.output_dir), HydraConfig.get().overrides.task
        words = [word.removeprefix("++") for word in words]
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(place / OVERRIDES, "".join(f"{word}\n" for word in words).encode())
        shown = " ".join(word for word in words if not word.startswith("output="))
        print(f"\njob {HydraConfig.get().job.num + 1} of {count}, in folder {place.name}: {shown}", flush=True)
        job(config, place)

    # a launcher's processes import what stands beside this file
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
    words = [word for word in overrides if not word.startswith("hydra.sweep.dir=")]
    words = sorted(words, key=lambda word: word.partition("=")[0])
    sys.argv[1:] = [*options, *words, override("hydra.sweep.dir", folder.absolute())]
    hydra_main(begin, primary)


OVERRIDES = "overrides.txt"

RUNNING = ("output", "resume", "save_every", "requeue", "debug", "figures")
"""Keys that say where and how a run is made, not what it is."""

EVOLVED = ("packet", "drive", "times", "divide", "transmission", "causal")
"""Keys of a packet in time."""

OTHERS = ("potential", "hamiltonian", "sweep", "bands", "vary", "range", "points", *EVOLVED)
"""Keys that are none of `qpinn.drivers.settings.Settings`."""


def plain(config: Any) -> dict[str, Any]:
    """A composed config without Hydra's part, resolved, as dictionaries."""
    from omegaconf import OmegaConf

    without = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    values: Any = OmegaConf.to_container(without, resolve=True)
    return values


def contents(config: Any) -> dict[str, str]:
    """The SHA-256 of the files that a potential and a packet are read from: another content is another problem."""
    from qpinn.runs import status

    files = {"file": config.potential.get("file"), "packet": (config.get("packet") or {}).get("file")}
    read = {key: status.content(path) for key, path in files.items()}
    return {key: content for key, content in read.items() if content is not None}


def write_config(config: Any, folder: Path) -> None:
    """config.yaml of a run."""
    from qpinn.runs import run_folder

    run_folder.write_config(folder, plain(config))


def stored(folder: Path) -> dict[str, Any]:
    """The config of a run folder. Raises ValueError if there is none, or it is damaged."""
    from qpinn.runs.files import read_yaml

    return read_yaml(folder / "config.yaml")


def read(config: Any) -> tuple[Any, Any]:
    """Potential and Settings of a composed config. Raises ValueError for what is not allowed."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from qpinn.drivers import budget, discretize, settings, sweep_packets
    from qpinn.drivers.mapping import from_mapping
    from qpinn.drivers.sweep_settings import Sweep
    from qpinn.physics import units
    from qpinn.physics.potentials.base import dimension

    try:
        values = plain(config)
    except OmegaConfBaseException as error:  # ${...} of a key that is not there
        written: Any = OmegaConf.to_container(config, resolve=False)
        for key in str(error.full_key).split("."):
            written = written[key]
        raise ValueError(f"{error.full_key}={written}: {str(error).splitlines()[0]}") from None
    if not isinstance(values["debug"], bool):
        raise ValueError(f"debug={values['debug']}: must be true or false")
    if "leads" in values:
        return _read_scattering(values, figures(config))
    groups = {key: value for key, value in values.items() if key not in (*RUNNING, *OTHERS)}
    chosen = from_mapping(settings.Settings, groups)
    for group in ("potential", "hamiltonian", "sweep", "bands", "figures", "packet", "drive"):
        if group in values and not isinstance(values[group], dict):
            raise ValueError(f"{group}={values[group]}: must be a group of keys")
    if "sweep" in values:
        from_mapping(Sweep, values["sweep"], "sweep.").check(chosen)
    if "bands" in values:
        from_mapping(settings.BandsChoice, values["bands"], "bands.")
    _check_animation(figures(config).animate, values, chosen)
    potential = settings.build_potential(values["potential"], values["hamiltonian"])
    potential = units.converted(potential, chosen.units.units)
    question = asked(values)
    if question is not None:
        if "sweep" in values:
            sweep_packets.check(from_mapping(Sweep, values["sweep"], "sweep."), question, potential, chosen)
        else:
            divided(values, question, potential, chosen)
        return potential, chosen
    if dimension(potential) > 1:
        _check_box(potential, chosen, values)
        return potential, chosen
    if "vary" in values:
        varied(values, potential, chosen)
    if "sweep" not in values and "vary" not in values:
        chosen = discretize.settled(potential, chosen)
    plan = discretize.of(potential, chosen)  # whether there are as many states
    budget.check(chosen, len(plan.mesh), plan.trained)
    return potential, chosen


SCATTERED = ("energies", "refine", "resonances")
"""Keys that say which numbers scripts/scatter.py is to find."""


def _read_scattering(values: dict[str, Any], figures: Any) -> tuple[Any, Any]:
    """Potential and ScatterSettings of a composed config. Raises ValueError for what is not allowed."""
    from qpinn.drivers import scatter, settings
    from qpinn.drivers.mapping import from_mapping
    from qpinn.drivers.scatter_settings import ScatterSettings
    from qpinn.physics import units

    if figures.animate:
        raise ValueError("figures.animate=true: shows the training of one run; allowed with it: scripts/train.py")
    for group in ("potential", "hamiltonian", "leads"):
        if not isinstance(values[group], dict):
            raise ValueError(f"{group}={values[group]}: must be a group of keys")
    groups = {
        key: value for key, value in values.items() if key not in (*RUNNING, *SCATTERED, "potential", "hamiltonian")
    }
    chosen, choice = from_mapping(ScatterSettings, groups), scattered(values)
    potential = settings.build_potential(values["potential"], values["hamiltonian"])
    potential = units.converted(potential, chosen.units.units)
    scatter.check(potential, choice.values, chosen)
    return potential, chosen


def scattered(values: dict[str, Any]) -> Any:
    """The `qpinn.drivers.scatter_settings.ScatterChoice` of a config. Raises ValueError for what is not allowed."""
    from qpinn.drivers.mapping import from_mapping
    from qpinn.drivers.scatter_settings import ScatterChoice

    return from_mapping(ScatterChoice, {key: values[key] for key in SCATTERED})


def _check_box(potential: Any, chosen: Any, values: dict[str, Any]) -> None:
    """Raise ValueError for what cannot be done, or does not fit, with a potential of several coordinates."""
    from qpinn.drivers import box, box_plan, sweep_products, trained_box
    from qpinn.drivers.mapping import from_mapping
    from qpinn.drivers.sweep_settings import Sweep

    for key in ("bands", "vary"):
        if key in values:
            raise ValueError(f"potential={potential.name}: has {potential.dimension} coordinates; scripts/{key}.py "
                             "takes a potential on a line")  # fmt: skip
    if values.get("figures", {}).get("animate"):
        raise ValueError(f"figures.animate=true: shows psi along a line; potential={potential.name} has "
                         f"{potential.dimension} coordinates; leave it out")  # fmt: skip
    if chosen.ansatz.name == "envelope":
        boxed, _ = trained_box.with_walls(potential, chosen)
        trained_box.check_size(boxed, chosen)
        return
    if "sweep" in values:
        sweep_products.plan_of(potential, chosen, from_mapping(Sweep, values["sweep"], "sweep."))
        return
    box.check(chosen)
    box.check_room(box_plan.of(potential, chosen), chosen)


def varied(values: dict[str, Any], potential: Any, chosen: Any) -> Any:
    """The potentials of `qpinn.drivers.vary` that a config asks for. Raises ValueError for what is not allowed."""
    from qpinn.drivers import vary
    from qpinn.drivers.mapping import from_mapping
    from qpinn.drivers.settings import VaryChoice

    choice = from_mapping(VaryChoice, {key: values[key] for key in ("vary", "range", "points")})
    return vary.family(potential, str(choice.vary), choice.values, chosen)


def asked(values: dict[str, Any]) -> Any:
    """What a config asks of a packet, a `qpinn.drivers.packet_problem.Asked`; None where it is of levels. Raises
    ValueError for what is not allowed."""
    from qpinn.drivers import packet_problem

    given = [key for key in ("packet", "drive") if key in values]
    if not given:
        return None
    if "times" not in values:
        raise ValueError(f"{given[0]}={values[given[0]]['name']}: a sweep is of levels, or, with "
                         "experiment=paper/time, of packets")  # fmt: skip
    return packet_problem.asked(values["packet"], values["drive"], values["times"], values["causal"])


def divided(values: dict[str, Any], question: Any, potential: Any, chosen: Any) -> Any:
    """The place of division of a config, whose problem can be solved. Raises ValueError."""
    from qpinn.drivers import evolve, evolve_places, transmitted

    problem = evolve.check(potential, question, chosen)
    if not isinstance(values["transmission"], bool):
        raise ValueError(f"transmission={values['transmission']}: must be true or false")
    if values["transmission"]:
        transmitted.checked(problem)
    evolve_places.division_of(problem, values["divide"])
    return values["divide"]


def figures(config: Any) -> Any:
    """The `qpinn.report.choice.Choice` of a composed config. Raises ValueError for what is not allowed."""
    from qpinn.drivers.mapping import from_mapping
    from qpinn.report.choice import Choice

    return from_mapping(Choice, plain(config).get("figures", {}), "figures.")


def _check_animation(animate: bool, values: dict[str, Any], chosen: Any) -> None:
    """Refuse to show a training where there is none, or many of them."""
    if not animate:
        return
    if "packet" in values and "sweep" not in values:  # it moves without any training
        return
    if not {"sweep", "bands", "vary"}.isdisjoint(values):
        raise ValueError("figures.animate=true: shows the training of one run; allowed with it: scripts/train.py")
    if chosen.shared:
        raise ValueError("figures.animate=true: a network that levels share is not trained; allowed with it: "
                         "network.shared=false")  # fmt: skip


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


def width() -> int | None:
    """Characters of a line of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


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


def runs(argv: Sequence[str], usage: str | None, others: Sequence[str] = ()) -> list[tuple[Path, dict[str, Any]]]:
    """The runs and sweeps in and below the folders on a command line, each with its results.

    others  files of `qpinn.runs.run_folder.KINDS` that mark folders of other kinds that are taken too
    """
    if len(argv) < 2 or any(argument.startswith("-") for argument in argv[1:]):
        print(usage)
        raise SystemExit(0 if argv[1:2] in (["-h"], ["--help"]) else BAD_INPUT)
    from qpinn.runs import run_folder

    finished, names = [], (*run_folder.RUNS, *others)
    for argument in argv[1:]:
        folders = run_folder.find_runs(Path(argument), names)
        if not folders:
            kinds = ["run", "sweep", *(run_folder.KINDS[name][0] for name in others)]
            listed, files = (f"{', '.join(words[:-1])} or {words[-1]}" for words in (kinds, names))
            fail(f"{argument}: holds no finished {listed} (a folder with a {files})")
        try:
            finished += [(folder, run_folder.read_summary(folder, names)) for folder in folders]
        except ValueError as error:
            fail(str(error))
    return finished
