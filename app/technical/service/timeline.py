"""What happened on a ticket: its events and messages in one order.

Items are ordered by when their row was written, in milliseconds (of an event the time in its UUIDv7, of a
message its own time, which an import gives), then by id. A transaction's begin, which ``occurred_at`` is,
would put an event before what its transaction had to wait for. Folding ``after`` of the ticket's own events
(``ticket.*``) by their ``version`` gives the state of the ticket at each version.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    String,
    Uuid,
    and_,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations.models import Message
from app.conversations.service.access import messages_of
from app.events.models import Event
from app.events.service import visible_to
from app.events.service.access import HAS_SOMETHING_TO_SHOW
from app.events.utils import show
from app.identity.principal import Principal
from app.pagination import Position, decode_cursor, encode_cursor, refuse_cursor
from app.technical.constants import SUBJECT_TYPE
from app.technical.models import Ticket
from app.technical.schemas.timeline import TimelineEvent, TimelineItem, TimelineMessage, TimelinePage
from app.technical.service.changes import get, subject_of

MOMENT = DateTime(timezone=True)
IDENTITY = Uuid()
EVENT, MESSAGE = "event", "message"
SAID = "message.posted"  # the message itself tells it

# RFC 9562, section 5.7: the first 48 bits of a UUIDv7 are its milliseconds.
WRITTEN = literal_column(
    "to_timestamp(('x' || left(translate(CAST(event.id AS text), '-', ''), 12))::bit(48)::bigint / 1000.0)",
    MOMENT,
)


class Place(NamedTuple):
    """One item, before it is read."""

    at: datetime
    id: UUID
    kind: str


async def page(
    session: AsyncSession,
    ticket_id: UUID,
    *,
    principal: Principal,
    newest_first: bool,
    limit: int,
    cursor: str | None,
) -> TimelinePage:
    """One page. Staff see all but what is administrative; customers public messages and their part of events.

    Errors: ``TicketNotFoundError``, ``InvalidError`` for another list's cursor.
    """
    ticket = await get(session, ticket_id, principal=principal)
    scope = f"timeline {ticket.id} {newest_first}"
    statement = await _places(session, ticket, principal)
    found = await session.execute(_cut(statement, scope, cursor, limit=limit, newest_first=newest_first))
    places = [Place(*row) for row in found]
    shown = places[:limit]
    following = None
    if len(places) > limit:
        following = encode_cursor(Position(shown[-1].at, shown[-1].id, scope))
    return TimelinePage(items=await _read(session, shown, principal=principal), next_cursor=following)


async def _places(session: AsyncSession, ticket: Ticket, principal: Principal) -> Any:
    conversation = await conversations.get(session, subject_of(ticket.id), principal=principal)
    happened = select(
        WRITTEN.label("at"), Event.id, literal_column(f"'{EVENT}'", String).label("kind")
    ).where(
        Event.subject_type == SUBJECT_TYPE,
        Event.subject_id == ticket.id,
        Event.type != SAID,
        _visible(principal),
    )
    said = select(
        func.date_trunc("milliseconds", Message.created_at, type_=MOMENT).label("at"),
        Message.id,
        literal_column(f"'{MESSAGE}'", String).label("kind"),
    ).where(Message.conversation_id == conversation.id, messages_of(principal))
    return union_all(happened, said).subquery()


def _visible(principal: Principal) -> ColumnElement[bool]:
    """Who sees the ticket sees its events; of them customers what is marked as theirs to see."""
    if principal.is_staff:
        return or_(*visible_to(principal))
    return and_(true(), Event.customer_visible, HAS_SOMETHING_TO_SHOW)


def _cut(places: Any, scope: str, cursor: str | None, *, limit: int, newest_first: bool) -> Select[Any]:
    statement = select(places.c.at, places.c.id, places.c.kind)
    key = tuple_(places.c.at, places.c.id)
    if cursor is not None:
        position = decode_cursor(cursor, key=MOMENT, identity=IDENTITY)
        if position.scope != scope or position.key is None or position.id is None:
            refuse_cursor("Given out for another list or order")
        there = tuple_(cast(literal(position.key, MOMENT), MOMENT), literal(position.id, IDENTITY))
        statement = statement.where(key < there if newest_first else key > there)
    columns = [each.desc() if newest_first else each.asc() for each in (places.c.at, places.c.id)]
    return statement.order_by(*columns).limit(limit + 1)


async def _read(
    session: AsyncSession, places: Sequence[Place], *, principal: Principal
) -> list[TimelineItem]:
    """The items themselves, in three queries."""
    wanted = {kind: [each.id for each in places if each.kind == kind] for kind in (EVENT, MESSAGE)}
    events = {
        row.id: TimelineEvent(at=row.occurred_at, event=show(row, principal))
        for row in await session.scalars(select(Event).where(Event.id.in_(wanted[EVENT])))
    }
    rows = (await session.scalars(select(Message).where(Message.id.in_(wanted[MESSAGE])))).all()
    shown = await conversations.show_messages(session, rows, principal=principal)
    messages = {each.id: TimelineMessage(at=each.created_at, message=each) for each in shown}
    return [events[each.id] if each.kind == EVENT else messages[each.id] for each in places]
