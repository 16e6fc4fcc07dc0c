"""A client of the stream in the test's own loop: reads what comes, may stop reading, may leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from litestar import Litestar

SECONDS = 10


class Follower:
    """One request for /v1/events/stream."""

    def __init__(self, app: Litestar, key: str, *, last_event_id: str | None = None, **query: Any) -> None:
        self.app = app
        self.status = 0
        self.headers: dict[str, str] = {}
        self.received = ""
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._news = asyncio.Condition()
        self._left = asyncio.Event()
        headers = [(b"authorization", f"Bearer {key}".encode())]
        if last_event_id is not None:
            headers.append((b"last-event-id", last_event_id.encode()))
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/v1/events/stream",
            "raw_path": b"/v1/events/stream",
            "root_path": "",
            "query_string": urlencode(query, doseq=True).encode(),
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("tridesk.test", 80),
        }

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        async with self._news:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode().lower(): each.decode() for name, each in message["headers"]}
            else:
                self.received += message["body"].decode()
                if not message.get("more_body"):
                    self._left.set()  # as servers say it once the response is whole
            self._news.notify_all()
        await self.may_read.wait()

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()

    async def run(self) -> None:
        """The whole exchange."""
        await self.app(self.scope, self._receive, self._send)  # type: ignore[arg-type]  # litestar's own ASGI types
        async with self._news:
            self._news.notify_all()

    @property
    def blocks(self) -> list[dict[str, str]]:
        """Fields of each block, by the rules of the HTML standard; comments are under ""."""
        blocks = self.received.replace("\r\n", "\n").split("\n\n")[:-1]
        return [
            {
                name: value.removeprefix(" ")
                for name, _, value in (line.partition(":") for line in block.split("\n"))
            }
            for block in blocks
        ]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The data of the blocks that have some, each with its id and event as they were sent."""
        return [
            {"data": json.loads(each["data"]), "event": each["event"], "id": each.get("id")}
            for each in self.blocks
            if "data" in each
        ]

    @property
    def types(self) -> list[str]:
        """The events' types so far."""
        return [each["event"] for each in self.events]

    async def until(self, condition: Callable[[Follower], bool]) -> None:
        """Wait for what is to come."""
        async with asyncio.timeout(SECONDS), self._news:
            await self._news.wait_for(lambda: condition(self))

    async def has(self, count: int) -> list[str]:
        """Wait for so many events; their types."""
        await self.until(lambda each: len(each.events) >= count)
        return self.types


@asynccontextmanager
async def following(app: Litestar, key: str, **options: Any) -> AsyncIterator[Follower]:
    """A stream that has begun; it is left at the end."""
    follower = Follower(app, key, **options)
    running = asyncio.create_task(follower.run())
    try:
        await follower.until(lambda each: each.blocks != [] or each.status >= 400)
        yield follower
    finally:
        follower.leave()
        follower.may_read.set()
        async with asyncio.timeout(SECONDS):
            await running
