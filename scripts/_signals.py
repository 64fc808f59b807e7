"""SIGINT and SIGTERM end a script within two seconds, whatever its main thread is inside of.

Python runs a handler between two steps of its main thread, and no thread at all while SciPy's LAPACK holds the lock of
the interpreter. So the number of a signal is written into a pipe, which the kernel does at once, to a small process
that was forked at the start: it says so, hands it on to a thread that saves what there is, and ends the script if it
has not ended itself. A second signal finds the default action and ends the script at once.
"""

from __future__ import annotations

import ctypes
import functools
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable

GRACE = 1.4
"""Seconds in which the main thread may end in order where something is to be saved."""

LIMIT = 1.8
"""Seconds after which the script is ended from outside."""

NUMBERS = (int(signal.SIGINT), int(signal.SIGTERM))

REQUEUE = 75
"""The status (EX_TEMPFAIL) that asks a scheduler to queue the job again."""

_came = 0
_requeue = False
_rescue: Callable[[], str] | None = None


def watch(message: str) -> None:
    """From now on a signal says `message` and ends this process. To be called once, before there are threads."""
    to_helper, signals = os.pipe(), os.pipe()
    main = os.getpid()
    if os.fork() == 0:
        try:
            os.close(to_helper[1])
            os.close(signals[0])
            _help(main, to_helper[0], signals[1], message)
        finally:
            os._exit(0)
    os.close(to_helper[0])
    os.close(signals[1])
    os.set_blocking(to_helper[1], False)
    signal.set_wakeup_fd(to_helper[1], warn_on_full_buffer=False)
    arm()
    threading.Thread(target=_end, args=(signals[0],), daemon=True).start()


def arm() -> None:
    """Handle signals (again: `jax.distributed` takes SIGTERM for itself)."""
    library = ctypes.CDLL(None)
    for number in NUMBERS:
        signal.signal(number, lambda number, frame: None)
        once = getattr(library, "sysv_signal", None)
        if once is not None:  # Python's handler again, but for one signal only
            library.signal.restype = ctypes.c_void_p
            once.argtypes = library.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
            once(number, library.signal(number, None))


def keep(save: Callable[[], str] | None) -> None:
    """What a signal saves before it ends the process, and says; None: nothing, what there is has been written."""
    global _rescue
    _rescue = save


def requeue(wanted: bool) -> None:
    """Whether a signal is to end this process with status 75 instead of 128 and its number."""
    global _requeue
    _requeue = wanted


def _status() -> int:
    return REQUEUE if _requeue else 128 + _came


def came() -> int:
    """The number of the signal that came, or 0."""
    return _came


def check() -> None:
    """End here in order if a signal came."""
    if _came:
        raise SystemExit(_status())


def leave() -> None:
    """End here if a signal came, what was to be saved being saved: Python takes seconds to put its libraries away."""
    if _came:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status())


@functools.cache
def follow() -> None:
    """End this process, a worker of a launcher, when the one that started it is gone, and not before."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to both

    def poll() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=poll, daemon=True).start()


def say(text: str) -> None:
    """One line on stderr, past Python's buffers and their locks."""
    os.write(2, f"{text}\n".encode())


def _end(signals: int) -> None:
    """The thread: waits for a signal, lets the main thread end where it has something to save, or saves it."""
    global _came
    _came = os.read(signals, 1)[0]
    try:
        if _rescue is not None:
            time.sleep(GRACE)
        if _rescue is not None:
            say(_rescue())
    finally:
        os._exit(_status())


def _help(main: int, signals: int, thread: int, message: str) -> None:
    """The process beside: passes on the first signal and sees to it that the script ends."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
    number = 0
    while number not in NUMBERS:
        came = os.read(signals, 1)
        if not came:
            return  # the script has ended
        number = came[0]
    say(message)
    os.write(thread, bytes([number]))
    select.select([signals], [], [], LIMIT)  # another signal, or the end of the script
    for deadly in (number, int(signal.SIGKILL)):
        if os.getppid() != main:
            return
        os.kill(main, deadly)
        time.sleep(0.1)
