"""The server's sockets, and uvicorn on them."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import uvicorn

from app.config import Settings
from app.exceptions import ConfigurationError

BACKLOG = 2048
DRAIN_SECONDS = 20  # that requests under way have to end after SIGTERM
DRAIN_SECONDS_AT_A_TERMINAL = 4  # and after Ctrl-C, where somebody waits
UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
REASONS = {
    errno.EADDRINUSE: "is taken by another program: stop that, or set another PORT",
    errno.EACCES: "may not be opened by this user: set another PORT",
    errno.EADDRNOTAVAIL: "is on no address of this machine: set another HOST",
}


def open_sockets(settings: Settings) -> list[socket.socket]:
    """Sockets bound to every address of HOST, not listening yet: the port is ours, nobody is kept waiting.

    ``ConfigurationError`` with one line when that cannot be.
    """
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"HOST={settings.host!r} is no address of this machine: {error}") from error
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            port = sockets[0].getsockname()[1] if sockets else settings.port
            sockets.append(_bind(family, (address[0], port, *address[2:])))
    except OSError as error:
        close(sockets)
        raise port_error(settings, error) from error
    return sockets


def port_error(settings: Settings, error: OSError) -> ConfigurationError:
    """Why the port cannot be had; also for the moment of listening, when another has been faster."""
    reason = REASONS.get(error.errno or 0, f"cannot be opened: {error.strerror or error}")
    return ConfigurationError(f"port {settings.port} of {settings.host} {reason}")


def close(sockets: list[socket.socket]) -> None:
    """Close all of them."""
    for each in sockets:
        each.close()


def address_of(sockets: list[socket.socket]) -> str:
    """The URL by which this machine reaches the first socket."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://{UNSPECIFIED.get(host) or (f'[{host}]' if ':' in host else host)}:{port}"


class Server(uvicorn.Server):
    """uvicorn without its own signal handling; tells when it listens.

    The app's lifespan is the caller's, so that a failure or an interrupt while it opens is an ordinary
    exception.
    """

    def __init__(self, app: Any, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                self._call,
                interface="asgi3",
                backlog=BACKLOG,
                log_config=None,
                log_level="warning",  # of its own lines: which process started is noise
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="off",
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        self._app = app
        self._ready = ready

    async def _call(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self.should_exit:
                raise
            # its time to end is over, which uvicorn has said; a stack trace would look like a fault

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # ours are taken already
        """Leave the signals to the command."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._ready()

    def drain(self, seconds: float) -> None:
        """Take no more requests; those under way have so long to end."""
        self.config.timeout_graceful_shutdown = int(seconds)
        self.should_exit = True


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where it sees by its number that this is TCP.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" means every address, IPv4 too; any other address is just that one.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
