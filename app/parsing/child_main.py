"""The program of a child process: limits itself, then answers calls until its pipe ends."""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import resource
import select
import signal
import sys
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

from app.exceptions import TrideskError

_HEADER = 8
_MAX_CALLS = 500
_MAX_RESIDENT_KB = 400 * 1024


def main(settings: dict[str, Any]) -> None:
    """Serve calls from standard input to standard output; what a library prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    _die_with_parent(int(settings["lifeline"]))
    _limit(int(settings["memory"]))
    calls = sys.stdin.buffer
    served = 0
    while (frame := _read(calls)) is not None:
        served += 1
        answer = _answer(frame, served)
        answers.write(len(answer).to_bytes(_HEADER, "big"))
        answers.write(answer)
        answers.flush()


def _die_with_parent(lifeline: int) -> None:
    """The parent holds the other end and never writes: the pipe's end is its death.

    The kernel then sends SIGIO, whose default is to end the process; that works in the midst of C code as
    well, and unlike PR_SET_PDEATHSIG does not depend on which thread of the parent made this process.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:
        os._exit(0)  # it died before the line above


def _limit(memory: int) -> None:
    """Memory by address space; no files written, no core dumps; the first to go when the machine runs
    short.
    """
    os.nice(5)
    with suppress(OSError):  # only Linux has it, and a container may forbid it
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _read(stream: BinaryIO | Any) -> bytes | None:
    header = stream.read(_HEADER)
    if len(header) < _HEADER:
        return None
    frame: bytes = stream.read(int.from_bytes(header, "big"))
    return frame


def _answer(frame: bytes, served: int) -> bytes:
    """A pickled (status, value, whether this process should be replaced)."""
    status, value = _result(frame)
    retire = served >= _MAX_CALLS or _peak_kb() > _MAX_RESIDENT_KB or status == "crash"
    try:
        return _dump((status, value, retire))
    except (pickle.PicklingError, TypeError, AttributeError, MemoryError) as error:
        return _dump(("crash", type(error).__name__, True))


class _Pickler(pickle.Pickler):
    """Enum members by their value: some releases of Python 3.11 would call ``getattr`` for them, which the
    parent refuses in an answer.
    """

    def reducer_override(self, obj: Any) -> Any:
        """How to make an object again; ``NotImplemented`` leaves it to pickle."""
        return (type(obj), (obj.value,)) if isinstance(obj, Enum) else NotImplemented


def _dump(answer: tuple[str, Any, bool]) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(answer)
    return buffer.getvalue()


def _peak_kb() -> int:
    """The most memory this program has had resident.

    Not getrusage's ru_maxrss: that survives exec, and so begins with what the parent had.
    """
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123 - pathlib is not loaded here
        return next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0)


def _result(frame: bytes) -> tuple[str, Any]:
    try:
        function, args = pickle.loads(frame)  # noqa: S301 - written by our own parent
        return "ok", function(*args)
    except TrideskError as error:
        error.__cause__ = error.__context__ = error.__traceback__ = None
        return "error", error
    except MemoryError:
        return "crash", "out of memory"
    except Exception as error:  # noqa: BLE001 - the parent must hear of whatever it is
        return "crash", type(error).__name__
