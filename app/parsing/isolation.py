"""Hostile files are read in child processes: an event loop is never held up, and a crash stays in the child.

A child is a fresh interpreter (no fork: the parent may have threads and locks), has no open file of the
parent, no environment, a memory limit and no right to write files. It ends after idling, and with its
parent, however that ends.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple, cast

from app.exceptions import UnavailableError
from app.parsing.child import Child, ChildDiedError
from app.parsing.exceptions import Code, ParsingError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

DEFAULT_MEMORY_LIMIT = 1536 * 1024 * 1024


class IsolatedPool:
    """Runs picklable functions in at most ``workers`` children, each limited to ``memory_limit`` bytes.

    >>> pool = IsolatedPool(workers=1)  # starts nothing yet
    >>> async def read(data: bytes) -> Parsed:
    ...     return await pool.run(functools.partial(parse, filename="a.pdf"), data, timeout=60)
    """

    def __init__(
        self, *, workers: int = 2, memory_limit: int = DEFAULT_MEMORY_LIMIT, idle_seconds: float = 60.0
    ) -> None:
        self._workers = workers
        self._memory_limit = memory_limit
        self._idle_seconds = idle_seconds
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._closed = False
        self._reaper: asyncio.TimerHandle | None = None

    @property
    def children(self) -> int:
        """How many child processes there are now."""
        return len(self._idle) + len(self._busy)

    async def run(
        self,
        function: Callable[[*Ts], T],
        *args: *Ts,
        timeout: float,  # noqa: ASYNC109 - the child is killed, which a cancellation alone would not do
    ) -> T:
        """``function(*args)`` in a child. The time limit, in seconds, begins when a child is free.

        Raises what ``function`` raises if it is of the TrideskError tree;
        ``parse_timeout`` when the time is over;
        ``parser_crashed`` when the child dies, runs out of memory or meets any other error. A cancelled call
        kills the child.
        """
        async with self._slots:
            if self._closed:
                raise UnavailableError("the pool of parsers is closed")
            child = self._idle.pop() if self._idle else Child(self._memory_limit)
            self._busy.add(child)
            try:
                return cast("T", await self._call(child, (function, args), timeout))
            finally:
                self._busy.discard(child)
                self._keep(child)

    async def _call(
        self, child: Child, call: tuple[Callable[..., Any], tuple[Any, ...]], seconds: float
    ) -> Any:
        future = _in_thread(lambda: child.call(call))
        try:
            async with asyncio.timeout(seconds):
                # Shielded, for the thread has to see the end of the killed child before anything else is
                # done.
                return await asyncio.shield(future)
        except TimeoutError as error:
            await _killed(child, future)
            raise ParsingError(
                f"reading took longer than {seconds:g} seconds", code=Code.PARSE_TIMEOUT
            ) from error
        except asyncio.CancelledError:
            await _killed(child, future)
            raise
        except ChildDiedError as error:
            raise ParsingError(
                "the parser crashed on this file", code=Code.PARSER_CRASHED, cause=error.cause
            ) from error

    def _keep(self, child: Child) -> None:
        """Back to the idle ones, unless it is dead or has grown."""
        if not child.usable or self._closed:
            child.kill()
            return
        child.idle_since = time.monotonic()
        self._idle.append(child)
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().call_later(self._idle_seconds, self._reap)

    def _reap(self) -> None:
        """End the children that have idled long enough."""
        self._reaper = None
        now = time.monotonic()
        due = [child for child in self._idle if now - child.idle_since >= self._idle_seconds * 0.99]
        self._idle = [child for child in self._idle if child not in due]
        for child in due:
            child.kill()
        if self._idle and not self._closed:
            oldest = min(child.idle_since for child in self._idle)
            delay = max(0.0, oldest + self._idle_seconds - now)
            self._reaper = asyncio.get_running_loop().call_later(delay, self._reap)

    async def aclose(self) -> None:
        """Kill all children; calls under way fail with ``parser_crashed``, later ones with
        ``service_unavailable``.
        """
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        children = [*self._idle, *self._busy]
        self._idle.clear()
        for child in children:
            child.kill()
        for child in children:
            await _in_thread(child.wait)


async def _killed(child: Child, future: asyncio.Future[Any]) -> None:
    child.kill()
    await asyncio.wait({future})
    # Looked at, so that it is not reported as never retrieved.
    future.exception()


def _in_thread(function: Callable[[], Any]) -> asyncio.Future[Any]:
    """Run in a daemon thread: an executor's threads would hold up the exit of the interpreter."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        try:
            result, error = function(), cast("BaseException | None", None)
        except BaseException as caught:  # noqa: BLE001 - whatever it is, the waiting call must hear of it
            result, error = None, caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=work, name="isolated-call", daemon=True).start()
    return future
