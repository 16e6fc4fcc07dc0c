"""Mail that the desk sends about a ticket: what was written goes to who takes part in it.

Written in the transaction of what it tells; nothing while outgoing mail is off.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations import Posted
from app.conversations.constants import MessageKind, Speaker
from app.conversations.models import Message
from app.identity.models import Person
from app.technical.constants import SUBJECT_TYPE
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service.changes import subject_of
from app.technical.utils.numbers import TICKETS

TEAM = "Support"
RECEIVED = (
    "We have received your message and will answer as soon as we can. To add something, answer this mail."
)


async def replied(session: AsyncSession, desk: Desk, ticket: Ticket, posted: Posted) -> None:
    """A message goes to everybody on the ticket but its author, a note to the staff among them.

    Watchers and who was copied may unsubscribe from the ticket; requester and assignee take part in it.
    """
    if not desk.mailer.is_on:
        return
    message = posted.message
    author = await _author(session, message)
    readers = await conversations.participants.recipients(
        session, posted.conversation, kind=MessageKind(message.kind), besides=message.author_person_id
    )
    for reader in readers:
        if reader.address == (message.author_email or "").lower():
            continue
        await desk.mailer.send(
            session,
            template="reply",
            to=reader.address,
            to_name=reader.name,
            person_id=reader.person_id,
            from_name=author,
            title=title_of(ticket),
            context={"body": message.body_text, "body_html": message.body_html, "author": author},
            subject=subject_of(ticket.id),
            automatic=message.automatic,
            scope=f"{SUBJECT_TYPE}:{ticket.id}" if reader.may_leave else None,
        )


async def received(session: AsyncSession, desk: Desk, ticket: Ticket, *, address: str, **told: Any) -> None:
    """A receipt for who opened a ticket by mail; automatic, so that no machine answers it."""
    await desk.mailer.send(
        session,
        template="notice",
        to=address,
        title=title_of(ticket),
        context={"heading": f"Your request {TICKETS.shown(ticket.number)}", "body": RECEIVED},
        subject=subject_of(ticket.id),
        automatic=True,
        **told,
    )


def title_of(ticket: Ticket) -> str:
    """``[TEC-42] Export fails``: people find it by the number; answers are found by their headers."""
    return f"[{TICKETS.shown(ticket.number)}] {ticket.subject}"


async def _author(session: AsyncSession, message: Message) -> str:
    """Customers are named by their address at most where they are no person here."""
    if message.author_person_id is not None:
        person = await session.get(Person, message.author_person_id)
        if person is not None:
            return person.name
    return message.author_email or TEAM if message.speaker == Speaker.customer else TEAM
