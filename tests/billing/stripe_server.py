"""A server that speaks HTTP as Stripe does, badly where it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Request:
    """What came in."""

    path: str
    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class StripeServer:
    """Answers with ``answers`` in turn, the last one again and again; remembers each key's first answer."""

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    done: dict[str, bytes] = field(default_factory=dict)
    silent: int = 0  # so many requests are carried out and never answered

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self.requests.append(Request(first.split(" ")[1], headers, form))
            content = self.done.setdefault(headers["idempotency-key"], self._next())
            if self.silent:
                self.silent -= 1
                await reader.read()  # until the caller gives up
            else:
                writer.write(content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller hung up
        finally:
            writer.close()

    def _next(self) -> bytes:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, bytes) else http(*answer)


def http(status: int, body: Any, **headers: str) -> bytes:
    """An answer as it goes over the wire."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(content)}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@asynccontextmanager
async def serving(*answers: Any) -> AsyncIterator[StripeServer]:
    """The server, on a port of its own."""
    stripe = StripeServer(answers=list(answers))
    server = await asyncio.start_server(stripe.handle, "127.0.0.1", 0)
    stripe.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield stripe
    finally:
        server.close()
        await server.wait_closed()
