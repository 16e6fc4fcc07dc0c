"""A receiver of webhooks on loopback: it answers as it is told and keeps what it took."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """One request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)["data"]

    @property
    def subject(self) -> str:
        return self.event["subject"]["id"]

    @property
    def n(self) -> int:
        """The number that the test gave the event."""
        return self.event["after"]["n"]


Answer = tuple[int, dict[str, str], bytes]
Behaviour = Callable[[Message], Awaitable[int | Answer]]


async def accept(_: Message) -> int:
    return 204


@dataclass
class Receiver:
    """``url`` is where it listens; ``behave`` says how it answers; ``taken`` got a 2xx."""

    port: int = 0
    scheme: str = "http"
    behave: Behaviour = accept
    seen: list[Message] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)
    connections: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    async def until(self, enough: Callable[[], object], seconds: float = 20) -> None:
        """Wait until ``enough`` holds; looked at after every message."""
        async with asyncio.timeout(seconds):
            while not enough():
                self.changed.clear()
                await self.changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (message := await _read(reader)) is not None:
                self.seen.append(message)
                self.changed.set()
                answer = await self.behave(message)
                status, headers, body = answer if isinstance(answer, tuple) else (answer, {}, b"")
                if 200 <= status < 300:
                    self.taken.append(message)
                lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                await writer.drain()
                self.changed.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.changed.set()
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Message | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Message(head[0].split(" ")[1], headers, body)


@asynccontextmanager
async def receiving(
    behave: Behaviour = accept, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver that listens until the block ends."""
    receiver = Receiver(behave=behave, scheme="https" if tls else "http")
    open_connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        try:
            await receiver.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            open_connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for each in list(open_connections):
            each.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)
