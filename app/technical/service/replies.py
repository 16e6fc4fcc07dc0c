"""Messages on a ticket, and what each does to its status and clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations, sla
from app.conversations import Posted
from app.conversations.constants import MessageKind
from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.technical.constants import PAUSED, LinkKind, Mover, Source, Status
from app.technical.desk import Desk
from app.technical.exceptions import TicketClosedError
from app.technical.models import Ticket, TicketLink
from app.technical.service import notifying, tickets, transitions
from app.technical.service.changes import check_open, lock, record, subject_of

INHERITED = (
    *("subject", "requester_id", "account_id", "team_id", "priority", "severity"),
    *("product", "component", "product_version", "environment", "tags", "custom"),
)


@dataclass(frozen=True, slots=True)
class Written:
    """A message, and the ticket that it is on: a follow-up, when the one written to is closed."""

    posted: Posted
    ticket: Ticket


async def write(
    session: AsyncSession,
    desk: Desk,
    ticket_id: UUID,
    *,
    author: Principal,
    status: Status | None = None,
    **message: Any,
) -> Written:
    """Post a message on a ticket.

    A customer's reply opens what is pending, on hold, or solved within the reopen window; after that, and on
    a closed ticket, anybody's public reply opens a follow-up. The staff's first reply opens a new ticket.
    ``status``: where a member of the staff moves the ticket with the message. ``message``: what
    ``conversations.post`` takes. Errors: those of that, ``TicketNotFoundError``, ``TicketMergedError``,
    ``TicketClosedError`` (a note on a closed ticket), ``InvalidTransitionError``.
    """
    if status is not None and not author.is_staff:
        raise PermissionDeniedError("Only staff move a ticket with a message.")
    ticket = await lock(session, ticket_id, principal=author)
    public = message.get("kind", MessageKind.public) is MessageKind.public
    if public and not message.get("automatic") and _is_over(desk, ticket, author, message):
        return await _follow_up(session, desk, ticket, author=author, message=message)
    check_open(ticket)
    conversation = await conversations.get(session, subject_of(ticket.id), principal=author)
    posted = await conversations.post(session, conversation, author=author, **message)
    ticket = await tickets.note_waiting(session, ticket, posted)
    ticket = await _follow(session, desk, ticket, posted, author=author, status=status)
    await notifying.replied(session, desk, ticket, posted)
    return Written(posted, ticket)


def _is_over(desk: Desk, ticket: Ticket, author: Principal, message: Mapping[str, Any]) -> bool:
    if ticket.status == Status.closed:
        return True
    if (
        ticket.status != Status.solved
        or ticket.solved_at is None
        or not _is_customers(ticket, author, message)
    ):
        return False
    return datetime.now(ticket.solved_at.tzinfo) - ticket.solved_at > desk.reopen_window


def _is_customers(ticket: Ticket, author: Principal, message: Mapping[str, Any]) -> bool:
    if message.get("on_behalf_of") is not None or message.get("sender_email") is not None:
        return True
    is_requester = author.person_id is not None and author.person_id == ticket.requester_id
    return is_requester or not author.is_staff


async def _follow(
    session: AsyncSession,
    desk: Desk,
    ticket: Ticket,
    posted: Posted,
    *,
    author: Principal,
    status: Status | None,
) -> Ticket:
    """What a message does to clocks and status, in that order: an answer counts before a move cancels."""
    at, subject = posted.message.created_at, subject_of(ticket.id)
    if posted.is_reply:
        await sla.answered(session, subject, at=at, public=True, by_person=True, actor=author)
    if status is not None:
        ticket = await transitions.move(session, desk, ticket, status, actor=author, at=at)
    elif posted.is_customer_message and Status(ticket.status) in PAUSED | {Status.solved}:
        ticket = await transitions.move(
            session, desk, ticket, Status.open, actor=author, as_=Mover.reply, at=at
        )
    elif posted.is_reply and ticket.status == Status.new:
        ticket = await transitions.move(
            session, desk, ticket, Status.open, actor=author, as_=Mover.staff, at=at
        )
    if posted.is_customer_message:  # also one after what was solved unanswered, whose clock was canceled
        await sla.start_next_reply(session, subject, at=at, actor=author)
    return ticket


async def _follow_up(
    session: AsyncSession, desk: Desk, ticket: Ticket, *, author: Principal, message: Mapping[str, Any]
) -> Written:
    """A new ticket of the same requester, about the same thing, whose first message is this one."""
    body = str(message.get("body", ""))
    if not body.strip():
        raise TicketClosedError("This ticket is closed; write something to open a follow-up.")
    values = {name: getattr(ticket, name) for name in INHERITED}
    values |= {"description": body, "source": Source.follow_up}
    opened = await tickets.open_ticket(
        session, desk, values, actor=author, message=dict(message) | {"in_reply_to": None}
    )
    made = opened.ticket
    assert opened.posted is not None  # it was opened with a message
    link = {"ticket_id": made.id, "kind": LinkKind.follow_up, "other_id": ticket.id}
    await session.execute(insert(TicketLink).values(link))
    after = {"kind": LinkKind.follow_up, "other_id": ticket.id}
    await record(session, "ticket.linked", made, actor=author, after=after)
    await notifying.replied(session, desk, made, opened.posted)
    return Written(opened.posted, made)
