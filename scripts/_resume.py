"""Which folder a run works in: a new one, or that of the same run that was interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import reprlib
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import _cli
import _overrides

MAY_DIFFER = (*_cli.RUNNING, "optimizer.steps")
"""Keys that may differ when a run goes on; optimizer.steps must not be below the steps already taken."""


SHORT = reprlib.Repr()
SHORT.maxstring, SHORT.maxlevel = 200, 2
"""What a damaged config says may be of any size."""

MULTIRUN = "multirun.txt"
"""The overrides of a multirun, in its folder."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder that this process has claimed (`qpinn.runs.status.Claim`), and the snapshots that it goes on from.

    before  what its status.json said before this process, None if it is new
    """

    folder: Path
    claim: Any
    snapshots: list[Any]
    before: dict[str, Any] | None = None

    @property
    def seconds(self) -> float:
        """That processes before this one have worked on the run."""
        return float((self.before or {}).get("seconds", 0.0))


def check(config: Any) -> None:
    """End with one line if resume, save_every or requeue cannot be what it is."""
    if not isinstance(config.resume, str) or not config.resume:
        _cli.fail(f"resume={config.resume}: must be auto, never or the folder of a run")
    every = config.save_every
    if isinstance(every, bool) or not isinstance(every, (int, float)) or not 0 < every < float("inf"):
        _cli.fail(f"save_every={every}: must be a number of seconds above 0")
    if not isinstance(config.requeue, bool):
        _cli.fail(f"requeue={config.requeue}: must be true or false")


def place(config: Any, wanted: Path, given: bool) -> Place:
    """The folder of a run, by its key `resume`; a new one is `wanted`, or wanted-2, wanted-3, ... if that is there.

    given  whether the folder was named: then no other place is looked at
    """
    if config.resume not in ("auto", "never"):
        return named(config, Path(config.resume))
    from qpinn.runs import status

    hashed = status.identity(asked(config))
    others = wanted.parent.glob(f"{wanted.name}-*") if given else Path(config.output).glob(f"{config.potential.name}-*")
    there = [(status.read(folder), folder) for folder in {wanted, *others}]
    same = [
        (facts.get("number", 0), facts, folder) for facts, folder in there if facts and facts.get("config") == hashed
    ]
    done = max((number for number, facts, _ in same if facts["status"] in status.ENDED), default=-1)
    unfinished = [
        (number, folder)
        for number, facts, folder in same
        if facts["status"] in status.UNFINISHED and number > done and config.resume == "auto"
    ]
    for _, folder in sorted(unfinished, reverse=True):
        try:
            claim = status.Claim(folder)
        except (ValueError, OSError):  # another process was faster, or the folder is not ours
            continue
        facts = status.read(folder) or {}
        if facts.get("status") not in status.ENDED and facts.get("config") == hashed and _of_this_code(facts, folder):
            return _go_on(folder, claim)
        claim.release()  # another process finished it before we had the lock, or the code has changed
    return new(config, wanted, max((number for number, _, _ in same), default=-1) + 1)


def code() -> dict[str, Any]:
    """What a run is made with."""
    from qpinn.runs import run_folder

    return {"versions": run_folder.versions(), "git": run_folder.git_commit()}


def _of_this_code(facts: Mapping[str, Any], folder: Path) -> bool:
    """Whether a run was made with this code and these versions; says so where it was not."""
    same = {key: facts.get(key) for key in ("versions", "git")} == code()
    if not same:
        print(f"{folder} is unfinished, but of other versions or another commit; resume={folder} goes on with it")
    return same


def multirun(config: Any, overrides: Sequence[str], wanted: Path) -> Path:
    """The folder of a multirun, by its key `resume`: that of the same one if it has jobs that are not finished."""
    from qpinn.runs import status
    from qpinn.runs.files import write_atomically

    free = tuple(f"{key}=" for key in _cli.RUNNING)
    text = "".join(f"{word}\n" for word in sorted(overrides) if not word.startswith((*free, "hydra.", "hydra/")))
    text += "".join(f"{key} {value}\n" for key, value in _cli.contents(config).items())

    def same(folder: Path) -> bool:
        try:
            return (folder / MULTIRUN).read_text() == text
        except OSError:
            return False

    if config.resume not in ("auto", "never"):
        if not same(Path(config.resume)):
            _cli.fail(f"resume={config.resume}: must be auto, never or the folder of the same multirun")
        return Path(config.resume)
    if config.resume == "auto" and any(word.startswith("hydra.sweep.dir=") for word in overrides):
        wanted.mkdir(parents=True, exist_ok=True)  # several processes may be given the same one
        if _cli.first(wanted / MULTIRUN, text) or same(wanted):
            return wanted
        _cli.fail(f"hydra.sweep.dir={wanted}: holds another multirun; choose another or remove it")
    if config.resume == "auto":
        for folder in sorted(Path(config.output).glob("multirun-*"), reverse=True):
            if not same(folder):
                continue
            jobs = [status.read(path) or {} for path in folder.iterdir() if path.is_dir()]
            if sum(job.get("status") in status.ENDED for job in jobs) < _overrides.jobs(overrides):
                print(f"goes on in {folder}; resume=never begins anew", flush=True)
                return folder
    folder = _cli.fresh(wanted)
    write_atomically(folder / MULTIRUN, text.encode())
    return folder


def exits(folder: Path) -> list[int]:
    """The exit statuses of the jobs of a multirun that have ended, in whatever process."""
    from qpinn.runs import status

    return [int((status.read(path) or {}).get("exit", 0)) for path in folder.iterdir() if path.is_dir()]


def job(config: Any, folder: Path) -> Place | int | None:
    """The place of a job of a multirun; after saying so its exit status, if it has ended, or None, if another process
    works on it."""
    from qpinn.runs import status

    try:
        claim = status.Claim(folder)
    except ValueError:
        print(f"another process works in {folder}", flush=True)
        return None
    facts = status.read(folder)  # nobody else changes it while we hold the lock
    if facts is None:
        return Place(folder, claim, [])
    if facts.get("config") != status.identity(asked(config)):
        claim.release()
        _cli.fail(f"{folder}: holds another run; resume=never begins anew")
    if facts["status"] in status.ENDED:
        claim.release()
        print(f"already {facts['status']}: {folder}", flush=True)
        return int(facts.get("exit", 0))
    return _go_on(folder, claim)


def new(config: Any, wanted: Path, number: int = 0) -> Place:
    """A new folder: `wanted`, or wanted-2, wanted-3, ... if there is something in it.

    number  of runs like it that are there: clocks are not asked which is the last

    It is there at once with its status and its lock, so that a run that is killed leaves none that says nothing.
    """
    from qpinn.runs import status

    facts = {"config": status.identity(asked(config)), "number": number, **code()}
    draft = wanted.with_name(f".{wanted.name}.{socket.gethostname()}.{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        claim = status.Claim(draft)
        claim.write("running", **facts)
        for folder in _cli.numbered(wanted):
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                if _moved(draft, folder):
                    claim.moved(folder)
                    return Place(folder, claim, [])
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        _cli.fail(f"output={wanted.parent}: cannot be written; {error.strerror}")
    shutil.rmtree(draft)
    _cli.fail(f"output={wanted}: ten thousand runs of that name are there already")


def _moved(draft: Path, folder: Path) -> bool:
    """Whether a folder could take a new name, under which there is none, or an empty one."""
    try:
        draft.rename(folder)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            return False
        raise
    return True


def named(config: Any, folder: Path) -> Place:
    """The folder of `resume=<folder>`, whose config must be this one but for `MAY_DIFFER`."""
    from qpinn.runs import saves, status

    try:
        stored = _cli.stored(folder)
    except ValueError as error:
        _cli.fail(f"resume={config.resume}: {error}; must be auto, never or the folder of a run")
    differ = _differences(flat(stored), flat(_cli.plain(config)))
    if differ:
        _cli.fail(
            f"resume={folder}: holds another run: {'; '.join(differ)}; allowed to differ: {', '.join(MAY_DIFFER)}"
        )
    try:
        found = _go_on(folder, status.Claim(folder))
    except ValueError as error:
        _cli.fail(f"resume={error}")
    except OSError as error:
        _cli.fail(f"resume={folder}: cannot be written; {error.strerror}")
    if (found.before or {}).get("file") != _cli.contents(config).get("file"):
        found.claim.release()
        _cli.fail(f"potential.file={config.potential.file}: has changed since the run in {folder}")
    steps, done = config.optimizer.steps, max((snapshot.done for snapshot in found.snapshots), default=0)
    if steps is not None and steps < done:
        found.claim.release()
        _cli.fail(f"optimizer.steps={steps}: must be at least {done}, which the run in {folder} has taken")
    if not found.snapshots and (folder / "results.json").exists() and config.network.shared is not True:
        found.claim.release()
        _cli.fail(f"resume={folder}: has results and no good save; resume=never begins anew")
    before = stored.get("optimizer", {}).get("steps")
    if steps != before and len(found.snapshots) > 1:  # later trainings began where the first ended, which now goes on
        found = dataclasses.replace(found, snapshots=found.snapshots[:1])
        saves.replace(folder, found.snapshots, **code())
    return found


def _go_on(folder: Path, claim: Any) -> Place:
    from qpinn.runs import saves, status

    snapshots, damaged = saves.read(folder)
    for line in damaged:
        print(f"warning: {line}; the newest good save is used, if there is one", file=sys.stderr)
    return Place(folder, claim, snapshots, status.read(folder))


def asked(config: Any) -> dict[str, Any]:
    """What makes two runs the same: what is asked, and the content of the file that it names."""
    values = {key: value for key, value in _cli.plain(config).items() if key not in _cli.RUNNING}
    return {**values, **_cli.contents(config)}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as `group.key`."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        leaves.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return leaves


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    every = sorted(key for key in {**there, **here} if key.partition(".")[0] not in MAY_DIFFER)
    keys = [key for key in every if key not in MAY_DIFFER and there.get(key) != here.get(key)]
    return [f"{key}={_text(there.get(key))} there, {_text(here.get(key))} here" for key in keys]


def _text(value: Any) -> str:
    """As YAML has it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else SHORT.repr(value).strip("'")
