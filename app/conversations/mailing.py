"""What desks do alike with a mail: who posts it, which files come along, what it is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import BodyFormat, Channel, MessageKind, Speaker
from app.conversations.exceptions import AttachmentRefusedError, AttachmentTooLargeError, EmptyAttachmentError
from app.conversations.models import Conversation, Message, Participant
from app.conversations.service import Posted, attachments, participants
from app.events import Subject
from app.identity.constants import Role
from app.identity.models import Person
from app.identity.principal import SYSTEM, Principal, speaking_as
from app.knowledge import ReceivedMail, Thread
from app.mail import Mailer

# Prefixes of answers and forwards, in the languages that mail programs write them in.
PREFIX = re.compile(
    r"^(?:\s*(?:re|aw|antw|sv|vs|res|rép|odp|ynt|fw|fwd|wg|tr|rv|enc|doorst|vb|i|r)(?:\[\d+\])?\s*:)+\s*",
    re.IGNORECASE,
)
UNTITLED = "(no subject)"
UNWRITTEN = "(no text)"
REFUSED = (AttachmentRefusedError, AttachmentTooLargeError, EmptyAttachmentError)


async def participates(
    session: AsyncSession, thread: Thread, *, address: str, person_id: UUID | None
) -> bool:
    """Whether they are in the thread's conversation, or belong to the staff."""
    if person_id is not None and (await session.get_one(Person, person_id)).role >= Role.agent:
        return True
    here = func.lower(Participant.email) == address
    if person_id is not None:  # compared with nobody, every participant without a person would match
        here = or_(here, Participant.person_id == person_id)
    statement = (
        select(Participant.id)
        .join(Conversation, Conversation.id == Participant.conversation_id)
        .where(Conversation.subject_type == thread.type, Conversation.subject_id == thread.id, here)
        .limit(1)
    )
    return await session.scalar(statement) is not None


async def message_of(
    session: AsyncSession, mail: ReceivedMail, *, maximum: int
) -> tuple[Principal, dict[str, Any]]:
    """Who posts a mail, and what ``conversations.post`` takes of it.

    What a customer writes is posted on their behalf, as a key without a person would; what a member of the
    staff writes is their own reply. Who is no person here keeps their address. ``maximum``: bytes a file.
    """
    author, origin = await _author(session, mail)
    message = origin | {
        "body": mail.text.strip() or UNWRITTEN,
        "body_format": BodyFormat.text,
        "channel": Channel.email,
        "email_message_id": mail.message_id,
        "attachments": await _attach(session, mail, author, maximum),
    }
    return author, message


def title_of(title: str, *, prefix: str, maximum: int) -> str:
    """The title of a mail without ``Re:``, ``Fwd:`` and our own mark, such as ``[TEC-42]`` of ``TEC-``."""
    mark = re.compile(rf"\[{re.escape(prefix)}\d+\]\s*", re.IGNORECASE)
    bare = mark.sub("", PREFIX.sub("", mark.sub("", title))).strip()
    return " ".join(bare.split())[:maximum] or UNTITLED


async def spread(
    session: AsyncSession, mailer: Mailer, posted: Posted, *, subject: Subject, title: str, team: str
) -> None:
    """A message goes to everybody on its thread but its author, a note to the staff among them.

    Watchers and who was copied may unsubscribe from the thread; requester and assignee take part in it.
    ``team``: who speaks where no person does. Nothing while outgoing mail is off.
    """
    if not mailer.is_on:
        return
    message = posted.message
    author = await _speaker(session, message, team)
    readers = await participants.recipients(
        session, posted.conversation, kind=MessageKind(message.kind), besides=message.author_person_id
    )
    for reader in readers:
        if reader.address == (message.author_email or "").lower():
            continue
        await mailer.send(
            session,
            template="reply",
            to=reader.address,
            to_name=reader.name,
            person_id=reader.person_id,
            from_name=author,
            title=title,
            context={"body": message.body_text, "body_html": message.body_html, "author": author},
            subject=subject,
            automatic=message.automatic,
            scope=f"{subject.type}:{subject.id}" if reader.may_leave else None,
        )


async def _speaker(session: AsyncSession, message: Message, team: str) -> str:
    """Customers are named by their address at most where they are no person here."""
    if message.author_person_id is not None:
        person = await session.get(Person, message.author_person_id)
        if person is not None:
            return person.name
    return message.author_email or team if message.speaker == Speaker.customer else team


async def _author(session: AsyncSession, mail: ReceivedMail) -> tuple[Principal, dict[str, Any]]:
    if mail.person_id is None:
        return SYSTEM, {"sender_email": mail.sender}
    person = await session.get_one(Person, mail.person_id)
    if person.role == Role.customer:
        return SYSTEM, {"on_behalf_of": person.id}
    return speaking_as(person), {}


async def _attach(
    session: AsyncSession, mail: ReceivedMail, author: Principal, maximum: int
) -> Sequence[UUID]:
    """Files become uploads of the author; one that no message may carry is left in the stored mail."""
    kept = []
    for each in mail.attachments:
        try:
            async with session.begin_nested():
                stored = await attachments.store(
                    session,
                    uploader=author,
                    content=each.content,
                    name=each.filename,
                    maximum=maximum,
                    content_id=each.content_id,
                )
        except REFUSED:
            continue
        kept.append(stored.id)
    return kept
