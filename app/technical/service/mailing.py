"""Mail to the technical desk: an answer goes to its ticket, anything else opens one."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations.constants import BodyFormat, Channel
from app.conversations.exceptions import AttachmentRefusedError, AttachmentTooLargeError, EmptyAttachmentError
from app.conversations.models import Conversation, Participant
from app.events import Subject
from app.identity.constants import PrincipalKind, Role
from app.identity.models import Person
from app.identity.principal import SYSTEM, Principal
from app.knowledge import ReceivedMail, Thread
from app.technical.constants import DESK, SUBJECT_MAX, SUBJECT_TYPE, Source, Status
from app.technical.desk import Desk
from app.technical.models import Ticket
from app.technical.service import changes, notifying, replies, tickets

# Prefixes of answers and forwards, in the languages that mail programs write them in.
PREFIX = re.compile(
    r"^(?:\s*(?:re|aw|antw|sv|vs|res|rép|odp|ynt|fw|fwd|wg|tr|rv|enc|doorst|vb|i|r)(?:\[\d+\])?\s*:)+\s*",
    re.IGNORECASE,
)
MARK = re.compile(r"\[TEC-\d+\]\s*", re.IGNORECASE)
UNTITLED = "(no subject)"
UNWRITTEN = "(no text)"
REFUSED = (AttachmentRefusedError, AttachmentTooLargeError, EmptyAttachmentError)


@dataclass(kw_only=True, slots=True)
class TechnicalMail:
    """``knowledge.InboundMail``: the desk that takes what no other desk is addressed by.

    What a customer writes is posted on their behalf, as a key without a person would; what a member of the
    staff writes is their own reply. Who is no person here keeps their address.
    """

    desk: Desk
    attachment_max_bytes: int
    name: str = DESK
    subject_type: str = SUBJECT_TYPE
    addresses: Collection[str] = ()

    async def participates(
        self, session: AsyncSession, thread: Thread, *, address: str, person_id: UUID | None
    ) -> bool:
        """Whether they are in the ticket's conversation, or belong to the staff."""
        if person_id is not None and (await _person(session, person_id)).role >= Role.agent:
            return True
        here = or_(Participant.person_id == person_id, func.lower(Participant.email) == address)
        statement = (
            select(Participant.id)
            .join(Conversation, Conversation.id == Participant.conversation_id)
            .where(Conversation.subject_type == thread.type, Conversation.subject_id == thread.id, here)
            .limit(1)
        )
        return await session.scalar(statement) is not None

    async def handle(self, session: AsyncSession, mail: ReceivedMail, *, thread: Thread | None) -> Thread:
        """Add the mail to its ticket, or to the one that this was merged into, or open a ticket."""
        author, origin = await _author(session, mail)
        message = origin | {
            "body": mail.text.strip() or UNWRITTEN,
            "body_format": BodyFormat.text,
            "channel": Channel.email,
            "email_message_id": mail.message_id,
            "attachments": await self._attach(session, mail, author),
        }
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
            "subject": title_of(mail.title),
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

    async def _attach(self, session: AsyncSession, mail: ReceivedMail, author: Principal) -> list[UUID]:
        """Files become uploads of the author; one that no message may carry is left in the stored mail."""
        kept = []
        for each in mail.attachments:
            try:
                async with session.begin_nested():
                    stored = await conversations.attachments.store(
                        session,
                        uploader=author,
                        content=each.content,
                        name=each.filename,
                        maximum=self.attachment_max_bytes,
                        content_id=each.content_id,
                    )
            except REFUSED:
                continue
            kept.append(stored.id)
        return kept


def title_of(title: str) -> str:
    """The title of a mail as a ticket's subject: without ``Re:``, ``Fwd:`` and our own mark."""
    bare = MARK.sub("", PREFIX.sub("", MARK.sub("", title))).strip()
    return " ".join(bare.split())[:SUBJECT_MAX] or UNTITLED


async def _author(session: AsyncSession, mail: ReceivedMail) -> tuple[Principal, dict[str, Any]]:
    """Who posts it, and on whose behalf."""
    if mail.person_id is None:
        return SYSTEM, {"sender_email": mail.sender}
    person = await _person(session, mail.person_id)
    if person.role == Role.customer:
        return SYSTEM, {"on_behalf_of": person.id}
    author = Principal(
        kind=PrincipalKind.system,  # an address is no proof that a key or token would be
        role=Role.agent,
        person_id=person.id,
        account_id=person.account_id,
        name=person.name,
    )
    return author, {}


async def _person(session: AsyncSession, person_id: UUID) -> Person:
    return await session.get_one(Person, person_id)


async def _current(session: AsyncSession, ticket_id: UUID) -> Ticket | None:
    """The ticket, or where it went on; a merge has one level."""
    ticket = await session.get(Ticket, ticket_id, populate_existing=True)
    while ticket is not None and ticket.status == Status.merged and ticket.merged_into_id is not None:
        ticket = await session.get(Ticket, ticket.merged_into_id, populate_existing=True)
    return ticket
