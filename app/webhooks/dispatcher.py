"""The part of the worker that delivers: events to queues, messages to receivers, outcomes to the log."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from app.database import Database, server_settings
from app.events.constants import CHANNEL
from app.exceptions import DatabaseUnavailableError
from app.webhooks.client import Outcome, WebhookClient
from app.webhooks.constants import LEASE, RETRIES, SENDS, SENDS_PER_ENDPOINT, WRITES, DeliveryError
from app.webhooks.service import queue
from app.webhooks.service.fanout import fan_out
from app.webhooks.service.messages import body_of, headers_of

logger = logging.getLogger(__name__)

ABOVE_POLL = 0.25  # seconds until events above the horizon are looked at again; nothing tells when they fall
IDLE_POLL = 5.0  # at the latest: who is killed right after a commit tells nobody of it
SPIN = 0.02  # at the least: what is due may be locked by another worker for a moment
CONNECT_SECONDS = 5.0
LISTENER = "tridesk webhooks"  # the name of its connection, as pg_stat_activity shows it


class WebhookDispatcher:
    """Delivers until stopped, then finishes what is under way; any number of them, in any process.

    Killed at any moment it loses nothing: deliveries come with the cursor's step in one transaction, and a
    message whose outcome was not written is sent again when its lease ends.
    """

    name = "webhooks"

    def __init__(
        self,
        database: Database,
        *,
        allow_private: bool,
        retries: Sequence[timedelta] = RETRIES,
        lease: timedelta = LEASE,
        make_client: Callable[[], WebhookClient] | None = None,
    ) -> None:
        self._database = database
        self._make_client = make_client or (lambda: WebhookClient(allow_private=allow_private))
        self._retries = retries
        self._lease = lease
        self._wake = asyncio.Event()
        self._news_at = 0.0  # when, on the loop's clock, the log of events is looked at next
        self._sending: dict[asyncio.Task[None], UUID] = {}
        self._failure: BaseException | None = None
        self._writes = asyncio.Semaphore(WRITES)

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until ``stopping``; raises when the database goes away, and may be run again."""
        self._failure, self._news_at = None, 0.0
        async with self._make_client() as client, self._listening(), self._woken_by(stopping):
            try:
                while not stopping.is_set():
                    self._wake.clear()
                    await self._sleep(await self._turn(client))
                    if self._failure is not None:
                        raise self._failure
            except asyncio.CancelledError:
                self._cut_off()
                raise
            finally:
                await self._end_sends()

    async def _end_sends(self) -> None:
        """Wait for what is under way; whoever cuts this off cuts those off, too."""
        try:
            if self._sending:
                await asyncio.wait(set(self._sending))
        finally:
            self._cut_off()
            await asyncio.gather(*self._sending, return_exceptions=True)

    def _cut_off(self) -> None:
        """A message whose attempt ends here is sent again when its lease ends."""
        for each in self._sending:
            each.cancel()

    async def _turn(self, client: WebhookClient) -> float:
        """Queue what is new, send what is due; seconds until there may be more to do."""
        now = asyncio.get_running_loop().time()
        if now >= self._news_at:
            # Set before looking: what is notified meanwhile is looked at again.
            self._news_at = now + IDLE_POLL
            done = await fan_out(self._database)
            if done.above:
                self._news_at = min(self._news_at, now + ABOVE_POLL)
        room = SENDS - len(self._sending)
        if room <= 0:
            return IDLE_POLL  # until one of them ends
        async with self._database.session() as session:
            attempts = await queue.take(session, room=room, busy=self._busy(), lease=self._lease)
        for each in attempts:
            self._start(client, each)
        async with self._database.session() as session:
            due = await queue.next_due(session, busy=self._busy())
        until_news = self._news_at - asyncio.get_running_loop().time()
        return max(SPIN, until_news if due is None else min(due, until_news))

    def _busy(self) -> list[UUID]:
        """Endpoints that have their share of attempts under way."""
        counts = Counter(self._sending.values())
        return [each for each, count in counts.items() if count >= SENDS_PER_ENDPOINT]

    def _start(self, client: WebhookClient, attempt: queue.Attempt) -> None:
        task = asyncio.create_task(self._send(client, attempt), name=f"webhook {attempt.delivery_id}")
        self._sending[task] = attempt.endpoint_id
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
        self._wake.set()

    async def _send(self, client: WebhookClient, attempt: queue.Attempt) -> None:
        outcome = await _post(client, attempt)
        async with self._writes, self._database.session() as session:
            await queue.settle(session, attempt, outcome, retries=self._retries)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

    @asynccontextmanager
    async def _woken_by(self, stopping: asyncio.Event) -> AsyncIterator[None]:
        async def wait() -> None:
            await stopping.wait()
            self._wake.set()

        waiting = asyncio.create_task(wait())
        try:
            yield
        finally:
            waiting.cancel()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Hear of commits that recorded events or changed a queue; a lost connection ends the run."""
        connection = await asyncpg.connect(
            self._database.dsn("listen"),
            timeout=CONNECT_SECONDS,
            server_settings=server_settings(self._database.schema) | {"application_name": LISTENER},
        )

        def news(*_: Any) -> None:
            self._news_at = 0.0
            self._wake.set()

        def lost(_: Any) -> None:
            self._failure = DatabaseUnavailableError("The database no longer tells of events.")
            self._wake.set()

        try:
            connection.add_termination_listener(lost)
            await connection.add_listener(CHANNEL, news)
            yield
        finally:
            connection.remove_termination_listener(lost)
            connection.terminate()


async def _post(client: WebhookClient, attempt: queue.Attempt) -> Outcome:
    """One attempt; an event that cannot be written as a message holds up its own subject and no other."""
    try:
        body = body_of(attempt.event)
    except Exception:
        logger.exception("the event of webhook message %s cannot be read", attempt.delivery_id)
        return Outcome(error=DeliveryError.UNREADABLE_EVENT, duration_ms=0)
    return await client.post(attempt.url, headers_of(attempt.delivery_id, attempt.secrets, body), body)
