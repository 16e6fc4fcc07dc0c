"""CSV files that are made while they are read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import anyio
from litestar.params import QueryParameter
from litestar.response import Stream
from litestar.types import ASGIApp, Receive, Scope, Send

CSV = "text/csv"

Spreadsheet = Annotated[
    bool,
    QueryParameter(
        name="spreadsheet",
        description="Whether a spreadsheet will open it: with a byte order mark, and an apostrophe before"
        " cells that it would run as formulas. False gives every text as it is, as an import wants it.",
    ),
]


class CsvStream(Stream):
    """A CSV file in parts, the first of which is there; their generator is closed when the response ends.

    A connection to the database is nobody's while a client reads: each part opens its own.
    """

    def __init__(self, name: str, first: bytes, further: AsyncGenerator[bytes, None]) -> None:
        self._further = further
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
            "X-Accel-Buffering": "no",
        }
        super().__init__(_joined(first, further), media_type=CSV, headers=headers)

    def to_asgi_response(self, *args: Any, **options: Any) -> ASGIApp:  # type: ignore[override]  # callers want an app
        """The response as an ASGI app."""
        inner = super().to_asgi_response(*args, **options)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await inner(scope, receive, send)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._further.aclose()

        return app


async def _joined(first: bytes, further: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async with aclosing(further):
        async for part in further:
            yield part
