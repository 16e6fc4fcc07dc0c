"""Whether a customer waits, after messages came or went: the ticket's own note of it, and its clock.

A conversation counts its times anew when messages are moved. From that follow ``waiting_since`` of the ticket
and the clock that waits for a reply: there is one exactly while the customer waits, since when they wait.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import sla
from app.conversations.constants import MessageKind, Speaker
from app.conversations.models import Conversation, Message
from app.conversations.service.conversations import change
from app.identity.principal import Principal
from app.sla import UNANSWERED, ClockKind, ClockState, ClockView
from app.technical.constants import UNFINISHED
from app.technical.models import Ticket
from app.technical.service.changes import FRESH, subject_of

RUNS = (ClockState.running, ClockState.paused)


async def since_either(
    session: AsyncSession, conversation: Conversation, *before: datetime | None
) -> Conversation:
    """Of a locked conversation that was joined with another: who waited in one of them waits in both.

    A reply in the one does not answer what was written in the other, though it may be younger.
    """
    since = min((each for each in before if each is not None), default=None)
    return await restate(session, conversation, since)


async def since_left(
    session: AsyncSession, conversation: Conversation, *known: datetime | None, after: datetime | None
) -> Conversation:
    """Of a locked conversation that messages left: those that waited and are left wait on.

    Nothing begins to wait because an answer has gone with them. So what waits are messages of the ``known``
    times, and those after a time (None: no others) that no reply has followed.
    """
    named: list[ColumnElement[bool]] = [Message.created_at.in_([each for each in known if each is not None])]
    if after is not None:
        replied = conversation.last_staff_reply_at
        named.append(Message.created_at > (after if replied is None else max(after, replied)))
    statement = select(func.min(Message.created_at)).where(
        Message.conversation_id == conversation.id,
        Message.kind == MessageKind.public,
        Message.speaker == Speaker.customer,
        ~Message.automatic,
        or_(*named),
    )
    return await restate(session, conversation, await session.scalar(statement))


async def restate(session: AsyncSession, conversation: Conversation, since: datetime | None) -> Conversation:
    """Say since when a locked conversation waits, where its messages alone do not tell."""
    if conversation.unanswered_since == since:
        return conversation
    return await change(session, conversation, unanswered_since=since)


async def note(session: AsyncSession, ticket: Ticket, conversation: Conversation) -> Ticket:
    """Keep on a locked ticket since when its customer waits; no change that its version counts."""
    statement = (
        update(Ticket)
        .where(Ticket.id == ticket.id)
        .values(waiting_since=conversation.unanswered_since, updated_at=func.now())
        .returning(Ticket)
    )
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def settle(
    session: AsyncSession,
    ticket: Ticket,
    conversation: Conversation,
    *,
    at: datetime,
    actor: Principal,
    anew: bool = False,
) -> Ticket:
    """Bring a locked ticket and its clock for a reply in line with its conversation.

    A next reply starts with the oldest message that waits. With ``anew`` that one has gone, and a clock that
    runs starts again with the oldest of the others; but the first response waits for the ticket as a whole.
    """
    since, subject = conversation.unanswered_since, subject_of(ticket.id)
    waiting = await running(session, ticket, at=at)
    is_over = ticket.status not in UNFINISHED or (since is None and conversation.last_customer_message_at)
    moved = anew and since is not None and all(each.kind == ClockKind.next_reply for each in waiting)
    if waiting and (is_over or moved):
        await sla.cancel(session, subject, at=at, kinds=UNANSWERED, actor=actor)
    return await ensure(session, ticket, conversation, actor=actor)


async def ensure(
    session: AsyncSession, ticket: Ticket, conversation: Conversation, *, actor: Principal
) -> Ticket:
    """Let a locked ticket say since when its customer waits, and a clock run if none does."""
    since = conversation.unanswered_since
    if since is not None and ticket.status in UNFINISHED:
        await sla.start_next_reply(session, subject_of(ticket.id), at=since, actor=actor)
    return await note(session, ticket, conversation)


async def running(session: AsyncSession, ticket: Ticket, *, at: datetime) -> list[ClockView]:
    """The clocks of a ticket that wait for a reply."""
    found = await sla.clocks(session, subject_of(ticket.id), at=at)
    return [each for each in found if each.kind in UNANSWERED and each.state in RUNS]
