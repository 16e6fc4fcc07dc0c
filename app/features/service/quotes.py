"""Said by customers: sentences of tickets and cases that ask for the same in other words.

The words stay where they were said; a quote names the place and the digest of the sentence. Who may not read
the message does not see the quote, and when the message is redacted, edited there or erased it is gone.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import MessageKind, Speaker
from app.conversations.models import Conversation, Message
from app.conversations.service.access import conversations_of, messages_of
from app.events import Subject
from app.exceptions import NotFoundError, UnavailableError
from app.features.constants import PROPOSED_QUOTES, QUOTES_MAX
from app.features.desk import Desk
from app.features.exceptions import QuoteNotFoundError, TooManyQuotesError
from app.features.models import Quote, Request
from app.features.schemas.comments import FeatureQuoteView
from app.features.service.access import requests_of
from app.features.service.changes import get, lock, record
from app.features.service.groups import members
from app.features.service.voters import check_source
from app.features.utils.quoting import Span, by_words, sentences
from app.identity.principal import Principal
from app.listing import Listing
from app.pagination import Page

logger = logging.getLogger(__name__)

QUOTES = Listing(Quote, sorts={"created_at": Quote.created_at}, default="created_at")
READ_MESSAGES = 20  # of a conversation, the first ones: what somebody wants is said early
WEIGHED = 60  # sentences that are compared
ALIKE_FROM = 0.35  # cosine


@dataclass(frozen=True, slots=True)
class Place:
    """A sentence in a message."""

    message_id: UUID
    span: Span
    sentence: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the sentence."""
        return hashlib.sha256(self.sentence.encode()).digest()


async def listed(
    session: AsyncSession, request_id: UUID, *, principal: Principal, limit: int, cursor: str | None
) -> Page[FeatureQuoteView]:
    """Quotes of a group that the caller may read, the first said first; ``RequestNotFoundError``.

    A page has fewer where words are gone.
    """
    request = await get(session, request_id, principal=principal)
    statement = (
        select(Quote)
        .join(Request, Request.id == Quote.request_id)
        .join(Message, Message.id == Quote.message_id)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Quote.request_id.in_(members(request.merged_into_id or request.id)), requests_of(principal))
        .where(*_said_by_customers(), conversations_of(principal), messages_of(principal))
    )
    found = await QUOTES.fetch(session, statement, limit=limit, cursor=cursor, filters={})
    shown = await show(session, found.rows, principal=principal)
    return Page(
        items=[shown[each.id] for each in found.rows if each.id in shown], next_cursor=found.next_cursor
    )


async def add(
    session: AsyncSession, desk: Desk, request_id: UUID, case: Subject, sentence: str, *, actor: Principal
) -> Quote:
    """Quote a sentence of a customer's public message on a ticket or case; again changes nothing.

    Errors: ``RequestNotFoundError``, ``UnknownReferenceError``, ``QuoteNotFoundError``,
    ``TooManyQuotesError``.
    """
    await check_source(session, desk, case, principal=actor)
    wanted = sentence.strip()
    for message in await session.scalars(_messages(case)):
        start = message.body_text.find(wanted)
        if start >= 0:
            place = Place(message.id, Span(start, start + len(wanted)), wanted)
            request = await lock(session, request_id, principal=actor)
            if not await room(session, request):
                raise TooManyQuotesError(f"A request has {QUOTES_MAX} quotes at most.", maximum=QUOTES_MAX)
            return (await keep(session, request, case, [place], actor=actor))[0]
    raise QuoteNotFoundError("No customer said this there, word for word.", field="sentence")


async def keep(
    session: AsyncSession, request: Request, case: Subject, places: Sequence[Place], *, actor: Principal
) -> list[Quote]:
    """The quotes of these places, made where there are none, of a locked request."""
    kept = []
    for place in places:
        key = {"request_id": request.id, "message_id": place.message_id, "start": place.span.start}
        values = {"stop": place.span.stop, "digest": place.digest, "added_by": actor.person_id}
        values |= {"subject_type": case.type, "subject_id": case.id}
        statement = insert(Quote).values(key | values).on_conflict_do_nothing().returning(Quote)
        made = (await session.scalars(statement)).one_or_none()
        if made is not None:
            told = {"quote_id": made.id, "source_type": case.type, "source_id": case.id}
            await record(
                session, "feature_request.quoted", request, actor=actor, after=told, customer_visible=False
            )
        kept.append(made or (await session.scalars(select(Quote).filter_by(**key))).one())
    return kept


async def room(session: AsyncSession, request: Request) -> int:
    """How many more quotes a locked request takes."""
    counting = select(func.count()).select_from(Quote).where(Quote.request_id == request.id)
    return max(0, QUOTES_MAX - (await session.scalar(counting) or 0))


async def remove(session: AsyncSession, request_id: UUID, quote_id: UUID, *, actor: Principal) -> None:
    """Take a quote away; ``RequestNotFoundError``, ``NotFoundError``."""
    request = await lock(session, request_id, principal=actor)
    mine = members(request.merged_into_id or request.id)
    gone = await session.execute(
        delete(Quote).where(Quote.id == quote_id, Quote.request_id.in_(mine)).returning(Quote.id)
    )
    if gone.one_or_none() is None:
        raise NotFoundError("The request has no such quote.")
    told = {"quote_id": quote_id}
    await record(
        session, "feature_request.unquoted", request, actor=actor, before=told, customer_visible=False
    )


async def propose(session: AsyncSession, desk: Desk, request: Request, case: Subject) -> list[Place]:
    """The sentences of a ticket or case that speak most of what the request wants; none when none does."""
    places = [
        Place(message.id, span, message.body_text[span.start : span.stop])
        for message in await session.scalars(_messages(case).limit(READ_MESSAGES))
        for span in sentences(message.body_text)
    ][:WEIGHED]
    weights = await _weights(desk, f"{request.title}\n{request.body}", [each.sentence for each in places])
    ranked = sorted(zip(weights, places, strict=True), key=lambda each: -each[0])
    return [place for weight, place in ranked[:PROPOSED_QUOTES] if weight > 0]


async def show(
    session: AsyncSession, quotes: Sequence[Quote], *, principal: Principal
) -> Mapping[UUID, FeatureQuoteView]:
    """Quotes whose words are still there, by id."""
    wanted = select(Message).where(Message.id.in_([each.message_id for each in quotes]))
    messages = {each.id: each for each in await session.scalars(wanted)}
    shown = {}
    for each in quotes:
        message = messages[each.message_id]
        sentence = message.body_text[each.start : each.stop]
        if hashlib.sha256(sentence.encode()).digest() != each.digest:
            continue
        shown[each.id] = FeatureQuoteView(
            id=each.id,
            request_id=each.request_id,
            sentence=sentence,
            said_at=message.created_at,
            type=each.subject_type if principal.is_staff else None,
            case_id=each.subject_id if principal.is_staff else None,
            message_id=each.message_id if principal.is_staff else None,
        )
    return shown


async def _weights(desk: Desk, wanted: str, offered: Sequence[str]) -> list[float]:
    if not offered:
        return []
    if desk.embeds is not None:
        try:
            first, *others = await desk.embeds.embed([wanted, *offered])
        except UnavailableError as error:
            logger.info("sentences are compared by their words: %s", error.code)
        else:
            alike = [sum(one * other for one, other in zip(first, each, strict=True)) for each in others]
            return [each if each >= ALIKE_FROM else 0.0 for each in alike]
    return by_words(wanted, offered)


def _messages(case: Subject) -> Select[Message]:
    """What customers said publicly in a conversation, the first first."""
    return (
        select(Message)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Conversation.subject_type == case.type, Conversation.subject_id == case.id)
        .where(*_said_by_customers())
        .order_by(Message.created_at, Message.id)
    )


def _said_by_customers() -> tuple[ColumnElement[bool], ...]:
    return (
        Message.kind == MessageKind.public,
        Message.speaker == Speaker.customer,
        Message.redacted_at.is_(None),
    )
