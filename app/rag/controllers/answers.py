"""Answers and chats: questions in, cited sentences out, whole or as a stream."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, MediaType, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import convert
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.idempotency import KeyedRequest, Replay
from app.idempotency.constants import REPLAYED_HEADER
from app.identity import Principal
from app.listing import Search, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.rag.exceptions import AnswerNotFoundError, ChatNotFoundError
from app.rag.models import Chat
from app.rag.replaying import replay
from app.rag.runtime import Rag
from app.rag.schemas import (
    AnswerReplay,
    AnswerRequest,
    AnswerView,
    ChatCreate,
    ChatMessageCreate,
    ChatView,
    CitationEvent,
    DeltaEvent,
    DoneEvent,
    ErrorEvent,
    FeedbackCreate,
    FeedbackView,
    SourcesEvent,
)
from app.rag.service import answers, chats
from app.rag.streaming import Asking, EventStream

EVENT_STREAM = "text/event-stream"
AnyRequest = Request[Any, Any, Any]
NO_ANSWER = documented(raises=[AnswerNotFoundError])
NO_CHAT = documented(raises=[ChatNotFoundError])
EVENTS = {
    "sources": SourcesEvent,
    "citation": CitationEvent,
    "delta": DeltaEvent,
    "done": DoneEvent,
    "error": ErrorEvent,
}


def wants_stream(request: AnyRequest) -> bool:
    """Whether the caller prefers server-sent events to JSON."""
    return request.accept.best_match([MediaType.JSON, EVENT_STREAM]) == EVENT_STREAM


async def respond(asking: Asking, request: AnyRequest) -> Response[Any]:
    """The answer in the form that the caller asked for; a stream is not replayed and claims no key."""
    if wants_stream(request):
        return EventStream(asking.events(await asking.retrieve()))
    try:
        return Response(await asking.answer(), status_code=200)
    except Replay as replay:
        return Response(await asking.answer_again(replay), status_code=200, headers={REPLAYED_HEADER: "true"})


class AnswerController(Controller):
    """Single questions."""

    path = "/answers"
    tags = ["rag"]  # noqa: RUF012 - the framework reads the plain list

    @post("/", operation_id="ask", status_code=200, summary="Ask", opt=documented(events=EVENTS))
    async def ask(
        self,
        *,
        data: JSONBody[AnswerRequest],
        request: AnyRequest,
        rag: NamedDependency[Rag],
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        keyed: NamedDependency[KeyedRequest | None],
        state: State,
    ) -> Response[AnswerView]:
        """Answer a question from the documents that the caller may read, each sentence with its source.

        With `Accept: text/event-stream` the same comes as events: `sources`, then `citation` and `delta` for
        each verified sentence, then `done` with the answer, or `error` with a problem. A stream is not
        replayed: it takes no heed of an `Idempotency-Key`.
        """
        return await respond(
            Asking(
                database=database,
                rag=rag,
                principal=principal,
                question=data.question,
                collections=tuple(data.collections) if data.collections else None,
                as_of=data.as_of,
                account_id=data.account_id if principal.is_staff else None,
                keyed=keyed,
                records=state.records,
            ),
            request,
        )

    @get("/{answer_id:uuid}", operation_id="get_answer", summary="Get an answer", opt=NO_ANSWER)
    async def get_answer(
        self,
        answer_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> AnswerView:
        """An answer given before; withheld when a document it rests on is no longer the caller's to read."""
        return await answers.get(session, answer_id, principal=principal)

    @get(
        "/{answer_id:uuid}/replay",
        operation_id="replay_answer",
        summary="Replay an answer",
        opt=NO_ANSWER,
    )
    async def replay_answer(
        self,
        *,
        answer_id: FromPath[UUID],
        rag: NamedDependency[Rag],
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        state: State,
    ) -> AnswerReplay:
        """Ask the same once more, of the same collections and moment, and say what differs; nothing is kept.

        It is answered from what the caller may read. Of a chat the question as it was understood is asked.
        """
        return await replay(database, rag, answer_id, principal=principal, records=state.records)

    @post(
        "/{answer_id:uuid}/feedback",
        operation_id="rate_answer",
        status_code=200,
        summary="Rate an answer",
        opt=NO_ANSWER,
    )
    async def rate_answer(
        self,
        answer_id: FromPath[UUID],
        data: JSONBody[FeedbackCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> FeedbackView:
        """Say whether an answer helped; a second verdict replaces the first."""
        stored = await answers.rate(
            session, answer_id, principal=principal, rating=data.rating, comment=data.comment
        )
        return FeedbackView(
            answer_id=stored.answer_id,
            rating=data.rating,
            comment=stored.comment,
            updated_at=stored.updated_at,
        )


class ChatController(Controller):
    """Questions in a row."""

    path = "/chats"
    tags = ["rag"]  # noqa: RUF012 - the framework reads the plain list

    @post("/", operation_id="create_chat", summary="Begin a chat")
    async def create_chat(
        self,
        data: JSONBody[ChatCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ChatView:
        """Begin a chat, in which a question may refer to the ones before."""
        return _chat(await chats.create(session, title=data.title, principal=principal))

    @get("/", operation_id="list_chats", summary="List chats", opt=documented(listing=chats.CHATS))
    async def list_chats(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        text: Search = None,
        sort: Sort = None,
        total: Total = False,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[ChatView]:
        """The caller's own chats, newest first; `q` looks in their titles."""
        found = await chats.CHATS.fetch(
            session,
            chats.owned_by(principal, text=text),
            sort=sort,
            cursor=cursor,
            limit=limit,
            total=total,
            filters={"q": text},
        )
        return found.page(_chat)

    @get("/{chat_id:uuid}", operation_id="get_chat", summary="Get a chat", opt=NO_CHAT)
    async def get_chat(
        self,
        chat_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> ChatView:
        """One chat; its questions and answers are its messages."""
        return _chat(await chats.get(session, chat_id, principal=principal))

    @post(
        "/{chat_id:uuid}/messages",
        operation_id="ask_in_chat",
        status_code=200,
        summary="Ask in a chat",
        opt=documented(raises=[ChatNotFoundError], events=EVENTS),
    )
    async def ask_in_chat(
        self,
        *,
        chat_id: FromPath[UUID],
        data: JSONBody[ChatMessageCreate],
        request: AnyRequest,
        rag: NamedDependency[Rag],
        database: NamedDependency[Database],
        principal: NamedDependency[Principal],
        keyed: NamedDependency[KeyedRequest | None],
        state: State,
    ) -> Response[AnswerView]:
        """Ask the next question of a chat; answered as `POST /v1/rag/answers` answers, streaming included."""
        return await respond(
            Asking(
                database=database,
                rag=rag,
                principal=principal,
                question=data.question,
                collections=tuple(data.collections) if data.collections else None,
                as_of=data.as_of,
                chat_id=chat_id,
                keyed=keyed,
                records=state.records,
            ),
            request,
        )

    @get(
        "/{chat_id:uuid}/messages",
        operation_id="list_chat_messages",
        summary="List a chat's messages",
        opt=documented(raises=[ChatNotFoundError], listing=chats.MESSAGES),
    )
    async def list_chat_messages(
        self,
        *,
        chat_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        sort: Sort = None,
        total: Total = False,
        cursor: Cursor = None,
        limit: Limit = 20,
    ) -> Page[AnswerView]:
        """A chat's questions with their answers, newest first."""
        found = await chats.MESSAGES.fetch(
            session,
            await chats.messages_of(session, chat_id, principal=principal),
            sort=sort,
            cursor=cursor,
            limit=limit,
            total=total,
            filters={"chat": chat_id},
        )
        views = {view.id: view for view in await answers.show_to(session, found.rows, principal=principal)}
        return found.page(lambda row: views[row.id])


def _chat(chat: Chat) -> ChatView:
    return convert(chat, ChatView, from_attributes=True)
