"""Conversations that took place elsewhere: many at once, with the times that their messages had.

Nothing is told of them here, neither by event nor by mail: the desk records that it imported a subject, and
the timeline shows the messages themselves. A message's id is made of what it was there, so that it is stored
once however often it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import Channel, MessageKind, ParticipantRole, Speaker
from app.conversations.models import Conversation, Message
from app.conversations.rendering import Body
from app.conversations.service import conversations
from app.events import Subject
from app.identity.constants import Role

INSERT_CONVERSATIONS = text("""
insert into conversation (subject_type, subject_id, account_id, requester_id, created_at, updated_at,
    last_number, last_message_at, last_customer_message_at, last_staff_reply_at, first_reply_at,
    unanswered_since)
select r.subject_type, r.subject_id, r.account_id, r.requester_id, r.created_at, r.created_at,
    0, r.last_message_at, r.last_customer_message_at, r.last_staff_reply_at, r.first_reply_at,
    r.unanswered_since
from jsonb_to_recordset(CAST(:rows AS jsonb)) as r(
    subject_type text, subject_id uuid, account_id uuid, requester_id uuid, created_at timestamptz,
    last_message_at timestamptz, last_customer_message_at timestamptz, last_staff_reply_at timestamptz,
    first_reply_at timestamptz, unanswered_since timestamptz)
returning subject_id, id
""")
INSERT_PARTICIPANTS = text("""
insert into participant (conversation_id, role, person_id, email)
select r.conversation_id, r.role, r.person_id, r.email
from jsonb_to_recordset(CAST(:rows AS jsonb)) as r(
    conversation_id uuid, role text, person_id uuid, email text)
on conflict do nothing
""")
INSERT_MESSAGES = text("""
insert into message (id, conversation_id, number, kind, speaker, channel, automatic, author_person_id,
    author_role, author_email, body_format, body_raw, body_html, body_text, created_at)
select r.id, r.conversation_id, r.number, r.kind, r.speaker, r.channel, r.automatic, r.author_person_id,
    r.author_role, r.author_email, r.body_format, r.body_raw, r.body_html, r.body_text, r.created_at
from json_to_recordset(CAST(:rows AS json)) as r(
    id uuid, conversation_id uuid, number integer, kind text, speaker text, channel text, automatic boolean,
    author_person_id uuid, author_role text, author_email text, body_format text, body_raw text,
    body_html text, body_text text, created_at timestamptz)
""")
COUNT_ON = text("""
update conversation c set last_number = c.last_number + r.added, updated_at = now()
from jsonb_to_recordset(CAST(:rows AS jsonb)) as r(id uuid, added integer) where c.id = r.id
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class PastMessage:
    """A message that was written elsewhere."""

    id: UUID
    body: Body
    kind: MessageKind
    speaker: Speaker
    created_at: datetime
    author_person_id: UUID | None = None
    author_email: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PastConversation:
    """What was said about a subject; ``messages`` in the order of their times."""

    subject: Subject
    created_at: datetime
    account_id: UUID | None = None
    requester_id: UUID | None = None
    requester_email: str | None = None  # of who is no person here
    assignee_id: UUID | None = None
    messages: Sequence[PastMessage] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Times:
    """What ``Conversation`` says of its messages' times."""

    last_message_at: datetime | None
    last_customer_message_at: datetime | None
    last_staff_reply_at: datetime | None
    first_reply_at: datetime | None
    unanswered_since: datetime | None


async def open_past(session: AsyncSession, past: Sequence[PastConversation]) -> int:
    """Store conversations of subjects that have none; people and accounts must exist. How many messages.

    However many there are, it is one statement a table.
    """
    if not past:
        return 0
    rows = [_conversation(each) for each in past]
    made = await session.execute(INSERT_CONVERSATIONS, {"rows": _json(rows)})
    ids: dict[UUID, UUID] = {row.subject_id: row.id for row in made}
    await _add_participants(session, past, ids)
    return await _insert(session, [(ids[each.subject.id], 0, each.messages) for each in past])


async def continue_past(
    session: AsyncSession, subject: Subject, messages: Sequence[PastMessage]
) -> tuple[Conversation, int]:
    """Add what is new of these messages to a subject's conversation; it, and how many that were.

    Its times are those of its messages then. ``NoResultFound`` for a subject without one.
    """
    statement = select(Conversation).where(
        Conversation.subject_type == subject.type, Conversation.subject_id == subject.id
    )
    locked = (
        await session.scalars(
            statement.with_for_update(of=Conversation), execution_options={"populate_existing": True}
        )
    ).one()
    known = await known_messages(session, [each.id for each in messages])
    new = [each for each in messages if each.id not in known]
    added = await _insert(session, [(locked.id, locked.last_number, new)])
    if added:
        await conversations.recount(session, locked)
    return locked, added


async def known_messages(session: AsyncSession, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the messages that are stored, wherever they were moved to since."""
    return set(await session.scalars(select(Message.id).where(Message.id.in_(ids)))) if ids else set()


def times_of(messages: Sequence[PastMessage]) -> Times:
    """The times that a conversation of these messages has; as ``conversations.RECOUNT`` has them."""
    counted = [each for each in messages if each.kind == MessageKind.public]
    customers = [each.created_at for each in counted if each.speaker == Speaker.customer]
    replies = [each.created_at for each in counted if each.speaker == Speaker.staff]
    last_reply = max(replies, default=None)
    return Times(
        last_message_at=max((each.created_at for each in messages), default=None),
        last_customer_message_at=max(customers, default=None),
        last_staff_reply_at=last_reply,
        first_reply_at=min(replies, default=None),
        unanswered_since=min(
            (each for each in customers if last_reply is None or each > last_reply), default=None
        ),
    )


def _conversation(past: PastConversation) -> dict[str, Any]:
    times = times_of(past.messages)
    return {
        "subject_type": past.subject.type,
        "subject_id": past.subject.id,
        "account_id": past.account_id,
        "requester_id": past.requester_id,
        "created_at": past.created_at,
        "last_message_at": times.last_message_at,
        "last_customer_message_at": times.last_customer_message_at,
        "last_staff_reply_at": times.last_staff_reply_at,
        "first_reply_at": times.first_reply_at,
        "unanswered_since": times.unanswered_since,
    }


async def _add_participants(
    session: AsyncSession, past: Sequence[PastConversation], ids: Mapping[UUID, UUID]
) -> None:
    rows: list[dict[str, Any]] = []
    for each in past:
        place = {"conversation_id": ids[each.subject.id]}
        if each.requester_id is not None:
            rows.append(place | {"role": ParticipantRole.requester, "person_id": each.requester_id})
        elif each.requester_email is not None:
            rows.append(place | {"role": ParticipantRole.requester, "email": each.requester_email})
        if each.assignee_id is not None:
            rows.append(place | {"role": ParticipantRole.assignee, "person_id": each.assignee_id})
    await session.execute(INSERT_PARTICIPANTS, {"rows": _json(rows)})


async def _insert(session: AsyncSession, threads: Sequence[tuple[UUID, int, Sequence[PastMessage]]]) -> int:
    """Messages behind each conversation's last number, which is moved on."""
    added = [{"id": identity, "added": len(messages)} for identity, _, messages in threads if messages]
    if not added:
        return 0
    rows = await asyncio.to_thread(_as_rows, threads)
    await session.execute(INSERT_MESSAGES, {"rows": rows})
    await session.execute(COUNT_ON, {"rows": _json(added)})
    return sum(len(messages) for _, _, messages in threads)


def _as_rows(threads: Sequence[tuple[UUID, int, Sequence[PastMessage]]]) -> str:
    return _json(
        [
            _message(each, conversation_id, number)
            for conversation_id, last, messages in threads
            for number, each in enumerate(messages, last + 1)
        ]
    )


def _message(past: PastMessage, conversation_id: UUID, number: int) -> dict[str, Any]:
    body = past.body
    return {
        "id": past.id,
        "conversation_id": conversation_id,
        "number": number,
        "kind": past.kind,
        "speaker": past.speaker,
        "channel": Channel.api,
        "automatic": past.speaker == Speaker.machine,
        "author_person_id": past.author_person_id,
        "author_role": Role.customer if past.speaker == Speaker.customer else Role.agent,
        "author_email": past.author_email if past.author_person_id is None else None,
        "body_format": body.format,
        "body_raw": body.raw,
        "body_html": body.html,
        "body_text": body.text,
        "created_at": past.created_at,
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return msgspec.json.encode(list(rows)).decode()
