"""What a run folder is at the moment: status.json, and a lock that the process that works there holds.

status               running, finished, stopped (by a signal), non-finite (the loss became NaN or infinite), failed, or
                     killed: the file says running, and no process holds the lock
pid, host, started   of the process that wrote it last; updated: when
step, steps          of the training, at the last save; of a variation its points, and counted says so
seconds              that this process and those before it had taken by then
config               hash of the settings, see `identity`; file: of the file that the potential is read from
reason               the exception by which it failed
number               of runs of the same settings that were there before it
exit                 the exit status of a run that has ended
versions, git        of what it was run with
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qpinn.runs.files import read_json, write_atomically

NAME = "status.json"
SHARED = ".at-work"
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""What a disk says that keeps no locks: there one process is not kept from another."""

UNFINISHED = ("killed", "stopped", "failed")
"""What a run can go on from."""

ENDED = ("finished", "non-finite")
"""Statuses of runs that are not done again."""


def identity(config: Mapping[str, Any]) -> str:
    """A hash of settings."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def content(file: Any) -> str | None:
    """The SHA-256 of a file, None if there is none."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file and Path(file).is_file() else None


class Claim:
    """The lock on a run folder, held until `release`, or the end of the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError if another process holds it, OSError if the folder cannot be written."""
        self._folder, self._facts = folder, {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
        self._lock = None
        for _ in range(10):  # `read` may hold it for a moment
            try:
                self._lock = _locked(folder)
            except OSError as error:
                if error.errno not in WITHOUT_LOCKS:
                    raise
                break
            if self._lock is not None:
                break
            time.sleep(0.05)
        else:
            raise ValueError(f"{folder}: another process works in this folder; wait for it, or choose another")
        for place in (folder, folder / "saves"):
            for path in place.glob(".*"):
                draft = re.fullmatch(r"\..+\.(\d+)\.\d+", path.name)
                if draft and not _lives(int(draft[1])):  # of a process that was killed while it wrote
                    path.unlink(missing_ok=True)

    def write(self, status: str, **facts: Any) -> None:
        """Write status.json, with the facts of all calls of this process."""
        self._facts.update(facts, status=status, updated=time.time())
        write_atomically(self._folder / NAME, (json.dumps(self._facts, indent=2) + "\n").encode())

    def moved(self, folder: Path) -> None:
        """The folder has another name now."""
        self._folder = folder

    def release(self) -> None:
        if self._lock is not None:
            _unlocked(self._folder, self._lock)
            self._lock = None


def _lives(pid: int) -> bool:
    """Whether this machine has another process of that number: it may be about to rename its draft."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return pid != os.getpid()


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """While this lasts `is_at_work` is true of a folder that several processes may share."""
    import fcntl

    descriptor = None
    for _ in range(20):  # `is_at_work` may hold it for a moment, and the last one removes it
        with contextlib.suppress(OSError):  # a folder that may only be read, or a disk without locks
            descriptor = os.open(folder / SHARED, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == (folder / SHARED).stat().st_ino:
                break
        if descriptor is not None:
            os.close(descriptor)
            descriptor = None
        time.sleep(0.01)
    try:
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the last one
                (folder / SHARED).unlink()
            os.close(descriptor)


def is_at_work(folder: Path) -> bool:
    """Whether some process of this machine, or of others where the disk passes locks on, is `at_work` in a folder."""
    import fcntl

    with contextlib.suppress(OSError):
        descriptor = os.open(folder / SHARED, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock of a folder, or None where another process does.

    Raises OSError where the folder cannot be written, or its disk keeps no locks.
    """
    import fcntl

    path = folder / ".lock"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        try:
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # of a file that another process has removed: try again


def _unlocked(folder: Path, descriptor: int) -> None:
    with contextlib.suppress(OSError):
        (folder / ".lock").unlink()
    os.close(descriptor)


def read(folder: Path) -> dict[str, Any] | None:
    """What status.json of a folder says, None if nothing.

    Where it says running and no process holds the lock, it is changed to killed, if it can be written.
    """
    facts = _facts(folder)
    if facts is None or facts["status"] != "running":
        return facts
    try:
        lock = _locked(folder)
    except OSError:  # a folder that may only be read, or a disk without locks
        return facts
    if lock is None:
        return facts
    try:
        facts = _facts(folder)  # it may have ended in between
        if facts is not None and facts["status"] == "running":
            facts["status"] = "killed"
            with contextlib.suppress(OSError):
                write_atomically(folder / NAME, (json.dumps(facts, indent=2) + "\n").encode())
    finally:
        _unlocked(folder, lock)
    return facts


def _facts(folder: Path) -> dict[str, Any] | None:
    try:
        facts = read_json(folder / NAME)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and isinstance(facts.get("status"), str) else None
