"""HTTP to receivers: only public addresses, no redirects, bounded in time and size.

The host's name is resolved here, its addresses are judged, and the connection goes to one that passed: a name
that leads elsewhere a moment later (DNS rebinding) is asked no second time. The Host header, SNI and the
certificate's check stay the name's. Built on httpcore, httpx' own engine, since that is where connections are
opened; it knows no redirects, no proxies of the environment, no cookies, and unpacks nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import httpcore

from app import __version__
from app.webhooks.addresses import is_public
from app.webhooks.constants import RESPONSE_KEPT, RESPONSE_READ, SEND_SECONDS, SENDS, DeliveryError
from app.webhooks.exceptions import ForbiddenAddressError, UnresolvableError
from app.webhooks.utils import retry_after

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # (host, port) to addresses

ADDRESSES_TRIED = 3
CONNECT_SECONDS = 3.0  # for each of them, so that one which swallows everything leaves time for the others
RESOLVER_THREADS = 16  # of its own: a name server that does not answer must hold up nobody else's threads
KEPT_ALIVE = 16
KEEPALIVE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one attempt ended; ``error`` is None when the receiver took the message."""

    error: DeliveryError | None
    duration_ms: int
    status: int | None = None
    body: str | None = None
    retry_after: timedelta = timedelta(0)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses that were looked at, and to no others."""

    def __init__(self, resolve: Resolve, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first allowed address that answers.

        ``UnresolvableError``, ``ForbiddenAddressError`` if none is allowed, httpcore's own otherwise.
        """
        addresses = await self._resolve(host.strip("[]"), port)
        allowed = [each for each in addresses if self._allow_private or is_public(ipaddress.ip_address(each))]
        if not allowed:
            raise ForbiddenAddressError("The name leads to no public address.")
        for address in allowed[:ADDRESSES_TRIED]:
            try:
                return await self._inner.connect_tcp(
                    address, port, CONNECT_SECONDS, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """As the engine asks."""
        await asyncio.sleep(seconds)


class WebhookClient:
    """Posts messages; ``async with WebhookClient(allow_private=False) as client``."""

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolve | None = None,
        seconds: float = SEND_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="webhook-dns")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpcore.default_ssl_context(),
            max_connections=SENDS,
            max_keepalive_connections=KEPT_ALIVE,
            keepalive_expiry=KEEPALIVE_SECONDS,
            network_backend=GuardedBackend(resolve or self._look_up, allow_private=allow_private),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """One attempt, within ``seconds`` as a whole; whatever the receiver does is an outcome."""
        started = time.perf_counter()
        status = text = asked = None
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._pool.stream("POST", url, headers=_headers(headers), content=body) as response,
            ):
                status = response.status
                text, asked = await _start_of(response.aiter_stream()), _header(response, b"retry-after")
            failure = None if 200 <= status < 300 else DeliveryError.STATUS
        except Exception as error:  # noqa: BLE001 - a receiver may break every layer below in its own way
            # A receiver that said yes and then trickled on has the message.
            failure = None if status is not None and 200 <= status < 300 else _kind(error)
        return Outcome(
            error=failure,
            duration_ms=round((time.perf_counter() - started) * 1000),
            status=status,
            body=text,
            retry_after=retry_after(asked) if status in (429, 503) else timedelta(0),
        )

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        """The system's resolver; also what it makes of ``127.1`` or ``0x7f000001``."""

        def resolve() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(address[0]) for *_, address in found))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, resolve)
        except (OSError, UnicodeError) as error:
            raise UnresolvableError("The name leads nowhere.") from error


def _headers(headers: dict[str, str]) -> list[tuple[bytes | str, bytes | str]]:
    always = {"User-Agent": f"Tridesk/{__version__}", "Accept": "*/*", "Content-Type": "application/json"}
    return [*always.items(), *headers.items()]


async def _start_of(stream: AsyncIterable[bytes]) -> str:
    """The first kilobyte as text that Postgres stores; what goes on for long is left unread."""
    kept, read = b"", 0
    async for part in stream:
        kept += part[: RESPONSE_KEPT - len(kept)]
        read += len(part)
        if read > RESPONSE_READ:
            break
    return kept.decode("utf-8", "replace").replace("\0", "\ufffd")


def _header(response: httpcore.Response, name: bytes) -> str | None:
    found: Any = next((value for key, value in response.headers if key.lower() == name), None)
    return None if found is None else bytes(found).decode("latin-1")


def _kind(error: BaseException) -> DeliveryError:
    """What an exception means to whoever reads the log."""
    if isinstance(error, ForbiddenAddressError):
        return DeliveryError.FORBIDDEN_ADDRESS
    if isinstance(error, UnresolvableError):
        return DeliveryError.UNRESOLVABLE
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return DeliveryError.TIMEOUT
    causes = {type(each) for each in (error.__cause__, error.__context__)}
    if any(issubclass(each, ssl.SSLError) for each in causes):
        return DeliveryError.TLS
    if isinstance(error, httpcore.NetworkError | OSError):
        return DeliveryError.UNREACHABLE
    return DeliveryError.PROTOCOL
