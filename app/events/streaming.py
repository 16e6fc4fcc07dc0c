"""The log as server-sent events: what happens from now on, or from an event that the caller has seen.

A connection of the database is held while a batch is read, never while waiting or while a client reads; a
slow client holds one batch. When the database goes away the stream waits, tells so by comments only, and goes
on where it stopped. It ends with an ``error`` event when the caller's credential no longer holds or something
breaks, and without one when the server stops: clients come back by themselves and say what they saw last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import anyio
import msgspec
from litestar.response import ServerSentEventMessage, Stream
from litestar.types import ASGIApp, Receive, Scope, Send

from app.database import Database, is_database_away
from app.events import service
from app.events.constants import BEGINNING, DRAINING, HEARTBEAT, RETRY, STREAM_BATCH
from app.events.feed import Feed, Watcher
from app.events.models import Event
from app.events.utils import START, Filters, Place, show
from app.exceptions import TrideskError
from app.identity.principal import Principal
from app.problems import problem_members

logger = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
HEARTBEAT_COMMENT = b": heartbeat\r\n\r\n"


class Tail:
    """One stream of events, from its start to its end."""

    def __init__(
        self,
        *,
        database: Database,
        feed: Feed,
        principal: Principal,
        credential: str,
        filters: Filters,
        is_draining: Callable[[], bool],
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._database = database
        self._feed = feed
        self._principal = principal
        self._credential = credential
        self.filters = filters
        self._is_draining = is_draining
        self._heartbeat = heartbeat
        self._place = START
        self._first_id = BEGINNING
        self._renewed = time.monotonic()

    async def start(self, after: UUID | None, *, field: str) -> None:
        """Find the place to begin at; ``InvalidError`` naming ``field`` when ``after`` is none."""
        async with self._database.session() as session:
            if after is not None:
                self._place = await service.place_of(session, after, principal=self._principal, field=field)
                self._first_id = after
                return
            newest = await service.latest(session, principal=self._principal)
        if newest is not None:
            self._place, self._first_id = Place(newest.transaction, newest.number), newest.id

    async def messages(self, watcher: Watcher) -> AsyncGenerator[bytes, None]:
        """Encoded events, several at once, and comments in between."""
        # Who asks for the present state when this has come misses no notice that changes it.
        await self._feed.connected(DRAINING)
        # An id without data: a client that loses the connection before the first event knows where it was.
        yield _encode(ServerSentEventMessage(id=str(self._first_id), data=None, retry=RETRY))
        try:
            while not self._is_draining():
                watcher.woken.clear()
                events = await self._next(watcher)
                if events:
                    yield b"".join(map(self._message, events))
                # Not while the database is away: whether the reader may still see them is not known.
                if events is not None and (notices := self._notices(watcher)):
                    yield b"".join(notices)
                has_more = events is not None and len(events) == STREAM_BATCH
                if not has_more and await self._is_silent(watcher):
                    yield HEARTBEAT_COMMENT
        except Exception as error:  # noqa: BLE001 - the response has begun: the error must travel in the stream
            yield _failure(error)

    async def _next(self, watcher: Watcher) -> Sequence[Event] | None:
        """The next batch; None while the database is away: when it is back, the feed wakes everybody."""
        if not watcher.is_behind and time.monotonic() - self._renewed < self._heartbeat:
            return ()
        watcher.is_behind = False
        events = None
        try:
            async with self._feed.reading:
                events = await self._read(watcher) if self._feed.is_connected else None
        except Exception as error:
            if not is_database_away(error):
                raise
        watcher.is_behind |= events is None or len(events) == STREAM_BATCH
        return events

    async def _read(self, watcher: Watcher) -> Sequence[Event]:
        settled = self._feed.settled
        async with self._database.session() as session:
            if time.monotonic() - self._renewed >= self._heartbeat:
                self._principal = watcher.principal = await service.renew(
                    session, self._principal, self._credential
                )
                self._renewed = time.monotonic()
            events = await service.read_events(
                session,
                principal=self._principal,
                filters=self.filters,
                after=self._place,
                limit=STREAM_BATCH,
            )
        if len(events) < STREAM_BATCH:  # nothing else up to where the log was complete before reading
            self._place = max(self._place, settled)
        if events:
            self._place = max(self._place, Place(events[-1].transaction, events[-1].number))
        return events

    async def _is_silent(self, watcher: Watcher) -> bool:
        """Wait for news; True when a heartbeat passed without any."""
        until = time.monotonic() + self._heartbeat
        while not watcher.woken.is_set() and not self._is_draining():
            left = until - time.monotonic()
            if left <= 0:
                return True
            await watcher.wait(min(left, DRAINING))
        return False

    def _notices(self, watcher: Watcher) -> list[bytes]:
        """What is told and not kept: without an id, so that a reader who comes back misses no event."""
        frames = []
        while watcher.notices:
            notice = watcher.notices.popleft()
            if self._principal.is_staff:  # they may have been until now
                frames.append(_encode(ServerSentEventMessage(event=notice.kind, data=bytes(notice.data))))
        return frames

    def _message(self, event: Event) -> bytes:
        shown = msgspec.json.encode(show(event, self._principal))
        return _encode(ServerSentEventMessage(id=str(event.id), event=event.type, data=shown))


class TailResponse(Stream):
    """The response of a stream: takes its place in the feed, and gives it up however the stream ends."""

    def __init__(self, tail: Tail, feed: Feed, principal: Principal) -> None:
        self._tail, self._feed, self._principal = tail, feed, principal
        super().__init__(
            _nothing(),
            media_type=EVENT_STREAM,
            status_code=200,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    def to_asgi_response(self, *args: Any, **options: Any) -> ASGIApp:  # type: ignore[override]  # callers want an app
        """The response as an ASGI app."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async with (
                self._feed.joined(self._principal, self._tail.filters) as watcher,
                _closed(self._tail.messages(watcher)) as self.iterator,
            ):
                await super(TailResponse, self).to_asgi_response(*args, **options)(scope, receive, send)

        return app


@asynccontextmanager
async def _closed(messages: AsyncGenerator[bytes, None]) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """The framework would leave a generator whose reader left to the garbage collector."""
    try:
        yield messages
    finally:
        with anyio.CancelScope(shield=True):
            await messages.aclose()


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield b""


def _encode(message: ServerSentEventMessage) -> bytes:
    return message.encode()


def _failure(error: Exception) -> bytes:
    if isinstance(error, TrideskError):
        shown = error
    else:
        logger.error("event stream failed", exc_info=error)
        shown = TrideskError("Something went wrong on our side.")
    data = msgspec.json.encode({"problem": problem_members(shown)}, enc_hook=str)
    return _encode(ServerSentEventMessage(event="error", data=data))
