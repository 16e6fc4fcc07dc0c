"""Answers as they happen: asking once, and the same as server-sent events.

A connection of the database is held while searching and while storing, never while a model writes or a
client reads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import anyio
import msgspec
from litestar.response import ServerSentEvent, ServerSentEventMessage
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as ASGIScope
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database, is_database_away
from app.exceptions import DatabaseUnavailableError, TrideskError
from app.idempotency import KeyedRequest, Replay, Reservation, reserve
from app.idempotency.exceptions import ReplayErasedError
from app.identity import Principal
from app.knowledge import Outcome, Records, Told
from app.problems import problem_members
from app.rag.answering import Part
from app.rag.evidence import Composition, Material, Turn
from app.rag.exceptions import AnswerNotFoundError
from app.rag.retrieval import Scope
from app.rag.runtime import Rag
from app.rag.schemas import AnswerView, CitationEvent, DeltaEvent, DoneEvent, SourcesEvent
from app.rag.service import answers, chats
from app.rag.visibility import as_of
from app.redaction import redact

logger = logging.getLogger(__name__)

HEARTBEAT = 10.0  # seconds of silence after which a comment line keeps proxies from closing the stream


class EventStream(ServerSentEvent):
    """Server-sent events whose generator is closed when the response ends, however it ends.

    The framework leaves it to the garbage collector: a reader who left in the middle would keep the model
    writing.
    """

    def __init__(self, events: AsyncGenerator[ServerSentEventMessage, None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"}, status_code=200)
        self._events = events

    def to_asgi_response(self, *args: Any, **options: Any) -> ASGIApp:  # type: ignore[override]  # callers want an app
        """The response as an ASGI app."""
        inner = super().to_asgi_response(*args, **options)

        async def app(scope: ASGIScope, receive: Receive, send: Send) -> None:
            try:
                await inner(scope, receive, send)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._events.aclose()

        return app


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One question on its way: who asks, of what, in which chat."""

    database: Database
    rag: Rag
    principal: Principal
    question: str
    collections: tuple[UUID, ...] | None = None
    as_of: datetime | None = None
    account_id: UUID | None = None  # whose matters a member of the staff asks about
    chat_id: UUID | None = None
    heartbeat: float = HEARTBEAT
    keyed: KeyedRequest | None = None
    records: Sequence[Records] = ()

    async def retrieve(self) -> Material:
        """Understand the question and search; the first thing, so that its errors are answered as errors."""
        question = redact(self.question)  # before a model sees it and before it is kept
        history: Sequence[Turn] = ()
        if self.chat_id is not None:
            async with self.database.session() as session:
                history = await chats.history(session, self.chat_id, principal=self.principal)
        standalone = await self.rag.answerer.understand(question, history)
        embedding = await self.rag.answerer.embed(standalone)
        scope = Scope(
            audiences=self.principal.audiences,
            collections=self.collections,
            as_of=as_of(self.principal, self.as_of),
        )
        async with self.database.session() as session:
            told = await self._told(session, standalone)
            return await self.rag.answerer.retrieve(
                session,
                question=question,
                standalone=standalone,
                embedding=embedding,
                history=history,
                scope=scope,
                told=told,
            )

    def _asked(self) -> dict[str, Any]:
        """Of what, as an answer keeps it, so that it can be asked again."""
        given = {"collections": self.collections, "as_of": self.as_of, "account_id": self.account_id}
        kept: dict[str, Any] = msgspec.to_builtins({name: value for name, value in given.items() if value})
        return kept

    async def _told(self, session: AsyncSession, question: str) -> Told | None:
        """What the first desk says whose rows the question is about; collections asked for are documents."""
        if self.collections is not None:
            return None
        for source in self.records:
            told = await source.tell(session, question, principal=self.principal, account_id=self.account_id)
            if told is not None:
                return told
        return None

    async def answer(self) -> AnswerView:
        """The whole answer, stored; the same one for a retry with the same key, which asks no model."""
        async with reserve(self.database, self.keyed) as reservation:
            material = await self.retrieve()
            numbering = answers.Numbering()
            async for part in self.rag.answerer.compose(material):
                if isinstance(part, Composition):
                    return await self._store(material, part, numbering, reservation)
                numbering.add(part)
        raise RuntimeError("an answer ended without its composition")

    async def answer_again(self, replay: Replay) -> AnswerView:
        """The answer given before, as its reader may see it now: its documents may have been withdrawn."""
        try:
            async with self.database.session() as session:
                return await answers.get(session, UUID(replay.made_id), principal=self.principal)
        except AnswerNotFoundError as error:
            raise ReplayErasedError("This was answered before, and the answer has been erased.") from error

    async def events(self, material: Material) -> AsyncGenerator[ServerSentEventMessage, None]:
        """The answer as events; stored even when the reader leaves in the middle."""
        numbering = answers.Numbering()
        composing = self.rag.answerer.compose(material)
        settled = False
        try:
            yield _event("sources", SourcesEvent(items=answers.sources(material)))
            async with aclosing(with_heartbeats(aiter(composing), self.heartbeat)) as parts:
                async for part in parts:
                    if part is None:
                        yield ServerSentEventMessage(comment="heartbeat", data=None)
                    elif isinstance(part, Composition):
                        settled = True
                        with anyio.CancelScope(shield=True):  # a reader who leaves now does not undo it
                            view = await self._store(material, part, numbering)
                        if part.outcome is Outcome.ABSTAINED:
                            yield _event("delta", DeltaEvent(text=view.text))
                        yield _event("done", DoneEvent(answer=view))
                    else:
                        text, number, citation = numbering.add(part)
                        if citation is not None:
                            yield _event("citation", CitationEvent(index=number, citation=citation))
                        yield _event("delta", DeltaEvent(text=text))
        except Exception as error:  # noqa: BLE001 - the response has begun: the error must travel in the stream
            settled = True
            yield _event("error", {"problem": problem_members(_as_ours(error))})
        finally:
            if not settled:
                with anyio.CancelScope(shield=True):
                    await self._store_partial(material, composing.interrupted(), numbering)

    async def _store_partial(
        self, material: Material, composition: Composition, numbering: answers.Numbering
    ) -> None:
        try:
            await self._store(material, composition, numbering)
        except Exception as error:  # noqa: BLE001 - nobody is left to be told
            logger.warning("an interrupted answer was not stored: %s", type(error).__name__)

    async def _store(
        self,
        material: Material,
        composition: Composition,
        numbering: answers.Numbering,
        reservation: Reservation | None = None,
    ) -> AnswerView:
        async with self.database.session() as session:
            if self.chat_id is not None:
                await chats.name_after(session, self.chat_id, material.question)
            view = await answers.store(
                session,
                material=material,
                composition=composition,
                numbering=numbering,
                principal=self.principal,
                asked=self._asked(),
                chat_id=self.chat_id,
            )
            if reservation is not None:
                await reservation.store(session, status=200, made_id=view.id)
            return view


async def with_heartbeats(
    parts: AsyncGenerator[Part, None], interval: float
) -> AsyncGenerator[Part | None, None]:
    """The parts, and None for every ``interval`` seconds of silence; closes ``parts`` at the end."""
    pending: asyncio.Task[Part] | None = None
    try:
        while True:
            pending = pending or asyncio.create_task(_next(parts))
            done, _ = await asyncio.wait({pending}, timeout=interval)
            if not done:
                yield None
                continue
            try:
                part = pending.result()
            except StopAsyncIteration:
                return
            pending = None
            yield part
    finally:
        with anyio.CancelScope(shield=True):
            if pending is not None:
                pending.cancel()
                await asyncio.wait({pending})
            await parts.aclose()


async def _next(parts: AsyncGenerator[Part, None]) -> Part:
    return await anext(parts)


def _as_ours(error: Exception) -> TrideskError:
    if isinstance(error, TrideskError):
        return error
    if is_database_away(error):
        return DatabaseUnavailableError("The database does not answer; try again.")
    logger.error("answer stream failed", exc_info=error)
    return TrideskError("Something went wrong on our side.")


def _event(name: str, data: object) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=name, data=msgspec.json.encode(data, enc_hook=str).decode())
