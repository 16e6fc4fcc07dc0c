"""Mail to the technical desk: an answer goes to its ticket, anything else opens one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations import mailing
from app.events import Subject
from app.identity.principal import Principal
from app.knowledge import ReceivedMail, Thread
from app.technical.constants import DESK, NUMBER_PREFIX, SUBJECT_MAX, SUBJECT_TYPE, Source, Status
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service import changes, notifying, replies, tickets


@dataclass(kw_only=True, slots=True)
class TechnicalMail:
    """``knowledge.InboundMail``: the desk that takes what no other desk is addressed by."""

    desk: Desk
    attachment_max_bytes: int
    name: str = DESK
    subject_type: str = SUBJECT_TYPE
    addresses: Collection[str] = ()

    async def participates(
        self, session: AsyncSession, thread: Thread, *, address: str, person_id: UUID | None
    ) -> bool:
        """Whether they are in the ticket's conversation, or belong to the staff."""
        return await mailing.participates(session, thread, address=address, person_id=person_id)

    async def handle(self, session: AsyncSession, mail: ReceivedMail, *, thread: Thread | None) -> Thread:
        """Add the mail to its ticket, or to the one that this was merged into, or open a ticket."""
        author, message = await mailing.message_of(session, mail, maximum=self.attachment_max_bytes)
        ticket = None if thread is None else await _current(session, thread.id)
        if ticket is None:
            return await self._open(session, mail, author=author, message=message)
        written = await replies.write(session, self.desk, ticket.id, author=author, **message)
        return changes.subject_of(written.ticket.id)

    async def _open(
        self, session: AsyncSession, mail: ReceivedMail, *, author: Principal, message: dict[str, Any]
    ) -> Subject:
        is_customer = message.get("on_behalf_of") is not None
        values = {
            "subject": mailing.title_of(mail.title, prefix=NUMBER_PREFIX, maximum=SUBJECT_MAX),
            "description": message["body"],
            "source": Source.email,
            "requester_id": mail.person_id if is_customer or author.person_id else None,
            "account_id": mail.account_id,
        }
        opened = await tickets.open_ticket(session, self.desk, values, actor=author, message=message)
        await notifying.received(
            session, self.desk, opened.ticket, address=mail.sender, person_id=mail.person_id
        )
        return changes.subject_of(opened.ticket.id)


async def _current(session: AsyncSession, ticket_id: UUID) -> Ticket | None:
    """The ticket, or where it went on; a merge has one level."""
    ticket = await session.get(Ticket, ticket_id, populate_existing=True)
    while ticket is not None and ticket.status == Status.merged and ticket.merged_into_id is not None:
        ticket = await session.get(Ticket, ticket.merged_into_id, populate_existing=True)
    return ticket
