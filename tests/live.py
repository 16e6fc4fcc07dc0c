"""The app on a real socket of loopback, served by uvicorn in a thread of its own.

Usage::

    with serve(app) as url:
        httpx.get(f"{url}/health/live")
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

START_SECONDS = 60


class _Server(uvicorn.Server):
    """uvicorn, saying when it listens, or that it never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()


@contextmanager
def serve(app: Any) -> Iterator[str]:
    """The address at which ``app`` answers, its lifespan included, until the block ends.

    The app runs in its own event loop: it must not share an engine or a queue with the test's.
    """
    # asyncio turns Nagle's algorithm off only where it sees by its number that this is TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="on", ws="none", timeout_graceful_shutdown=5)
    server = _Server(config)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(server.serve(sockets=[listening]))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the test's own thread reports it
            failures.append(error)
        finally:
            server.settled.set()

    thread = threading.Thread(target=run, name="live-server", daemon=True)
    thread.start()
    try:
        assert server.settled.wait(START_SECONDS), "the server did not start in time"
        assert server.started, f"the server did not start: {failures}"
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
