"""Running a command's coroutine so that SIGINT and SIGTERM always end it cleanly."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SAME = 0.3  # seconds in which a second signal is the first one's echo: a terminal and a wrapper both send it
PATIENCE = 5.0  # seconds that an interrupted command has to tidy up
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _InterruptedError(Exception):
    """A signal came before there was a gentle way."""


class Interruption:
    """What a signal does.

    The first one cancels the command, or stops it gently once it has said how. The next one ends the process
    at once; the database, the job queue and the embedded server are made for that.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.is_rude = False  # whether the command was cut off
        self._gently: Callable[[int], None] | None = None
        self._task: asyncio.Task[object] | None = None
        self._at = 0.0

    def listen(self) -> None:
        """Take the signals over, for the running task."""
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._receive, number)

    def stop_by(self, gently: Callable[[int], None]) -> None:
        """From now on a signal calls ``gently`` with its number, and the command ends by itself, well."""
        self._gently = gently

    def _receive(self, number: int) -> None:
        if self.number is not None:
            if time.monotonic() - self._at > SAME:
                _end_now(self.number)
            return
        self.number, self._at = number, time.monotonic()
        if self._gently is not None:
            self._gently(number)
        elif self._task is not None:
            self.is_rude = True
            # What is cut off in the middle complains in the log; nobody wants to know.
            logging.disable(logging.CRITICAL)
            watchdog = threading.Timer(PATIENCE, _end_now, [number])
            watchdog.daemon = True
            watchdog.start()
            self._task.cancel()


def run(work: Callable[[Interruption], Awaitable[T]]) -> T:
    """Run ``work`` to its end and return its result; with uvloop where it is installed.

    An interrupted command exits with 128 + the signal's number when all is tidied up.
    """
    interrupted = Interruption()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_guarded(work, interrupted))
    except _InterruptedError:
        sys.exit(128 + (interrupted.number or 0))
    finally:
        for number in SIGNALS:  # nothing is left to interrupt but the interpreter's own end
            signal.signal(number, signal.SIG_IGN)


async def _guarded(work: Callable[[Interruption], Awaitable[T]], interruption: Interruption) -> T:
    interruption.listen()
    try:
        return await work(interruption)
    except BaseException as error:
        if interruption.is_rude:  # whatever came of being cut off
            raise _InterruptedError from error
        raise


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - only part of the server's requirements
    except ImportError:
        return None
    return uvloop.new_event_loop


def _end_now(number: int) -> None:
    os.write(2, b"tridesk: stopped at once\n")
    os._exit(128 + number)
