"""How the streams of one process learn that the log has grown: one connection that listens for all of them.

A notification only says that somebody has committed something. What counts is how far the log is complete
(``event_horizon``), so the feed then looks at the log itself: at once, again soon while committed events wait
for an older transaction, and every ``POLL`` seconds in case a notification was lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import anyio
import asyncpg
import msgspec

from app.database import COMMAND_TIMEOUT, CONNECT_TIMEOUT, Database, is_database_away, server_settings
from app.events.announcing import Notice
from app.events.constants import (
    CHANNEL,
    GAP,
    LONGEST_PENDING,
    LONGEST_RECONNECT,
    NOTICES,
    NOTICES_MAX,
    PENDING,
    POLL,
    READS,
    ROUTED,
    STREAMS_A_CALLER,
)
from app.events.exceptions import TooManyStreamsError
from app.events.service import concerns
from app.events.utils import START, Filters, Place, fits
from app.identity.principal import Principal

logger = logging.getLogger(__name__)

NEW = f"""
select transaction, number, person_id, account_id, customer_visible from event
where (transaction, number) > ($1, $2) and transaction < event_horizon()
order by transaction, number limit {ROUTED + 1}
"""  # noqa: S608 - a number of ours
NEWEST = """
select transaction, number from event where transaction < event_horizon()
order by transaction desc, number desc limit 1
"""
IS_PENDING = "select exists (select from event where transaction >= event_horizon())"


class Watcher:
    """One stream that waits; ``principal`` may change while it does.

    ``is_behind``: the log has something that may concern it. A notice alone does not let it read the log.
    """

    def __init__(self, principal: Principal, filters: Filters) -> None:
        self.principal = principal
        self.filters = filters
        self.woken = asyncio.Event()
        self.is_behind = True
        self.notices: deque[Notice] = deque(maxlen=NOTICES_MAX)

    def wake(self) -> None:
        """The log has grown."""
        self.is_behind = True
        self.woken.set()

    def tell(self, notice: Notice) -> None:
        """Pass a notice on, if it is asked for and by whom it is for."""
        subject = (notice.subject_type, notice.subject_id)
        if self.principal.is_staff and fits(self.filters, type=notice.kind, subject=subject):
            self.notices.append(notice)
            self.woken.set()

    async def wait(self, seconds: float) -> None:
        """Until there is news that may concern it, or so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.woken.wait(), seconds)


class Feed:
    """Wakes the streams of this process; watches the log only while there are any."""

    def __init__(self, database: Database, *, poll: float = POLL) -> None:
        self.reading = asyncio.Semaphore(READS)
        self.settled = START  # the log is complete up to here
        self._connected = asyncio.Event()
        self._database = database
        self._poll = poll
        self._watchers: set[Watcher] = set()
        self._streams: Counter[UUID | None] = Counter()
        self._watching: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it listens."""
        return self._connected.is_set()

    async def connected(self, seconds: float) -> None:
        """Until it listens, or so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), seconds)

    @asynccontextmanager
    async def joined(
        self,
        principal: Principal,
        filters: Filters = Filters(),  # noqa: B008 - frozen
    ) -> AsyncIterator[Watcher]:
        """A place among the streams; ``TooManyStreamsError`` when the caller has enough of them."""
        caller, watcher = principal.person_id or principal.key_id, Watcher(principal, filters)
        if self._streams[caller] >= STREAMS_A_CALLER:
            raise TooManyStreamsError(
                f"At most {STREAMS_A_CALLER} streams at once; close another first.", retry_after=5
            )
        self._streams[caller] += 1
        self._watchers.add(watcher)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="event feed")
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._streams -= Counter([caller])  # drops the caller at zero
            if not self._watchers:
                await self._stop()

    async def _stop(self) -> None:
        watching, self._watching = self._watching, None
        self._connected.clear()
        if watching is not None:
            watching.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait({watching})

    async def _watch(self) -> None:
        """Until cancelled; a connection that is lost is made again."""
        delay = 0.1
        while True:
            try:
                async with self._listening() as (connection, heard):
                    await self._follow(connection, heard)
            except Exception as error:  # noqa: BLE001 - whatever broke the connection, the streams must go on
                delay = 0.1 if self.is_connected else delay
                logger.log(
                    logging.WARNING if is_database_away(error) else logging.ERROR,
                    "the event feed lost its connection: %s; trying again",
                    type(error).__name__,
                )
            self._connected.clear()
            await self._database.revive()
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RECONNECT)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[tuple[Any, asyncio.Event]]:
        connection = await asyncpg.connect(
            self._database.dsn("listen"),
            timeout=CONNECT_TIMEOUT,
            command_timeout=min(COMMAND_TIMEOUT, 30),
            server_settings=server_settings(self._database.schema),
        )
        heard = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: heard.set())
            await connection.add_listener(CHANNEL, lambda *_: heard.set())
            await connection.add_listener(NOTICES, self._pass_on)
            yield connection, heard
        finally:
            with anyio.CancelScope(shield=True):
                await _close(connection)

    async def _follow(self, connection: Any, heard: asyncio.Event) -> None:
        """Look whenever it is time to; raises when the connection is lost."""
        await self._catch_up(connection)
        pause = self._poll
        while True:
            try:
                await asyncio.wait_for(heard.wait(), pause)
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(GAP)
                heard.clear()
                pause = self._poll
            rows = await connection.fetch(NEW, *self.settled)
            if len(rows) > ROUTED:
                await self._catch_up(connection)
            else:
                self._wake(rows)
            if await connection.fetchval(IS_PENDING):
                pause = PENDING if pause >= self._poll else min(pause * 2, LONGEST_PENDING)
            else:
                pause = self._poll

    def _pass_on(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        try:
            notice = msgspec.json.decode(str(payload), type=Notice)
        except (msgspec.MsgspecError, RecursionError):  # not ours: whoever may connect can notify
            return
        for each in self._watchers:
            each.tell(notice)

    async def _catch_up(self, connection: Any) -> None:
        """What happened while nobody listened, or all at once, may concern anybody."""
        newest = await connection.fetchrow(NEWEST)
        self.settled = START if newest is None else Place(*newest)
        self._connected.set()
        for each in self._watchers:
            each.wake()

    def _wake(self, rows: Sequence[Any]) -> None:
        if not rows:
            return
        self.settled = Place(rows[-1]["transaction"], rows[-1]["number"])
        visible = [row for row in rows if row["customer_visible"]]
        people = {row["person_id"] for row in visible} - {None}
        accounts = {row["account_id"] for row in visible} - {None}
        for each in self._watchers:
            if concerns(each.principal, person_ids=people, account_ids=accounts):
                each.wake()


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=2)
    except Exception:  # noqa: BLE001 - it is gone either way
        connection.terminate()
