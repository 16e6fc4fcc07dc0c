"""Posting a message. What it means for a desk's states and clocks is said in its return value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import MESSAGE_ID_MAX, BodyFormat, Channel, MessageKind, Speaker
from app.conversations.exceptions import (
    EmptyMessageError,
    MessageExistsError,
    MessageNotFoundError,
    UnknownReplyError,
)
from app.conversations.models import Conversation, Message
from app.conversations.rendering import Body
from app.conversations.service import attachments as files
from app.conversations.service import conversations, messages
from app.exceptions import InvalidError, PermissionDeniedError
from app.identity.constants import Role
from app.identity.exceptions import UnknownPersonError
from app.identity.models import Person
from app.identity.principal import Principal
from app.identity.utils import clean_email


@dataclass(frozen=True, slots=True)
class Posted:
    """A new message, and what it is to a desk's states and clocks."""

    message: Message
    conversation: Conversation  # as it is now
    is_customer_message: bool  # public, of the customer's side, not automatic: reopens, asks for a reply
    is_reply: bool  # public, by a person of the staff, not automatic: stops the next-reply clock
    is_first_reply: bool  # the first such one: stops the first-response clock
    starts_waiting: bool  # the customer's first since the last reply: starts the next-reply clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What ``post`` was given."""

    kind: MessageKind
    body: Body
    author: Principal
    automatic: bool
    channel: Channel
    in_reply_to: UUID | None
    on_behalf_of: UUID | None
    sender_email: str | None
    email_message_id: str | None


async def post(
    session: AsyncSession,
    conversation: Conversation,
    *,
    author: Principal,
    body: str,
    kind: MessageKind = MessageKind.public,
    body_format: BodyFormat = BodyFormat.markdown,
    attachments: Sequence[UUID] = (),
    automatic: bool = False,
    channel: Channel = Channel.api,
    in_reply_to: UUID | None = None,
    on_behalf_of: UUID | None = None,
    sender_email: str | None = None,
    email_message_id: str | None = None,
) -> Posted:
    """Add a message. The conversation is locked, then changed; see ``Posted`` for what a desk does next.

    ``attachments``: uploads of the author. ``on_behalf_of``: a customer whose words a member of the staff
    enters. ``sender_email``: who wrote, when that is no person here; the author is then ``SYSTEM``.
    ``automatic`` is implied for authors without a person, who are programs.

    Errors: ``ConversationNotFoundError``, ``PermissionDeniedError``, ``EmptyMessageError``,
    ``MessageTooLargeError``, ``UnknownAttachmentError``, ``TooManyAttachmentsError``, ``UnknownReplyError``,
    ``UnknownPersonError``, ``MessageExistsError`` (an e-mail that came before).
    """
    _check_author(author, kind, on_behalf_of)
    if not body.strip("\0 \t\r\n") and not attachments:
        raise EmptyMessageError(
            "Write something, or attach a file.", errors=[messages.field("body", "Required")]
        )
    _check_message_id(email_message_id)
    rendered = await messages.rendered(body, body_format)
    await _hold_people(session, author.person_id, on_behalf_of)
    locked = await conversations.lock(session, conversation.id, principal=author)
    draft = _Draft(
        kind=kind,
        body=rendered,
        author=author,
        automatic=automatic,
        channel=channel,
        in_reply_to=in_reply_to,
        on_behalf_of=on_behalf_of,
        sender_email=clean_email(sender_email).lower() if sender_email is not None else None,
        email_message_id=email_message_id,
    )
    return await _post(session, locked, draft, attachments)


async def _post(
    session: AsyncSession, conversation: Conversation, draft: _Draft, attachment_ids: Sequence[UUID]
) -> Posted:
    await _check_references(session, conversation, draft)
    claimed = await files.claim(session, attachment_ids, author=draft.author, conversation_id=conversation.id)
    message = await _insert(session, conversation, draft)
    await files.send(session, claimed, message_id=message.id, conversation_id=conversation.id)
    counts = message.kind == MessageKind.public and not message.automatic
    is_reply = counts and message.speaker == Speaker.staff
    is_customers = counts and message.speaker == Speaker.customer
    is_first_reply = is_reply and conversation.first_reply_at is None
    starts_waiting = is_customers and conversation.unanswered_since is None
    changes: dict[str, Any] = {"last_number": message.number, "last_message_at": message.created_at}
    if is_reply:
        changes |= {"last_staff_reply_at": message.created_at, "unanswered_since": None}
    if is_first_reply:
        changes["first_reply_at"] = message.created_at
    if is_customers:
        changes["last_customer_message_at"] = message.created_at
    if starts_waiting:
        changes["unanswered_since"] = message.created_at
    changed = await conversations.change(session, conversation, **changes)
    await messages.record(
        session, "message.posted", changed, message, actor=draft.author, attachments=len(claimed)
    )
    return Posted(message, changed, is_customers, is_reply, is_first_reply, starts_waiting)


def _check_author(author: Principal, kind: MessageKind, on_behalf_of: UUID | None) -> None:
    if author.is_staff:
        return
    if kind != MessageKind.public:
        raise PermissionDeniedError("Only staff write notes.")
    if on_behalf_of is not None:
        raise PermissionDeniedError("Only staff write on behalf of somebody.")


def _check_message_id(email_message_id: str | None) -> None:
    if email_message_id is None:
        return
    if not 0 < len(email_message_id.encode()) <= MESSAGE_ID_MAX or "\0" in email_message_id:
        message = f"Must have 1 to {MESSAGE_ID_MAX} bytes"
        raise InvalidError(
            f"email_message_id: {message}", errors=[messages.field("email_message_id", message)]
        )


async def _hold_people(session: AsyncSession, author_id: UUID | None, on_behalf_of: UUID | None) -> None:
    """Before the conversation is locked, as an erasure does; the message's reference would do so after."""
    statement = select(Person.id).where(Person.id.in_([author_id, on_behalf_of])).order_by(Person.id)
    held = await session.scalars(statement.with_for_update(read=True, key_share=True))
    if on_behalf_of is not None and on_behalf_of not in held.all():
        raise UnknownPersonError("There is no such person.", person_id=on_behalf_of)


async def _check_references(session: AsyncSession, conversation: Conversation, draft: _Draft) -> None:
    if draft.in_reply_to is None:
        return
    try:
        await messages.get(session, conversation, draft.in_reply_to, principal=draft.author)
    except MessageNotFoundError:
        raise UnknownReplyError("The message replied to is not in this conversation.") from None


async def _insert(session: AsyncSession, conversation: Conversation, draft: _Draft) -> Message:
    author, behalf = draft.author, draft.on_behalf_of is not None or draft.sender_email is not None
    speaker = _speaker(author, conversation, behalf=behalf)
    values = messages.columns(draft.body) | {
        "conversation_id": conversation.id,
        "number": conversation.last_number + 1,
        "kind": draft.kind,
        "speaker": speaker,
        "channel": draft.channel,
        "automatic": draft.automatic or speaker is Speaker.machine,
        "author_person_id": draft.on_behalf_of if behalf else author.person_id,
        "author_key_id": None if behalf else author.key_id,
        "author_role": Role.customer if behalf else author.role,
        "author_email": draft.sender_email,
        "in_reply_to": draft.in_reply_to,
        "email_message_id": draft.email_message_id,
    }
    statement = insert(Message).values(values).on_conflict_do_nothing(index_elements=["email_message_id"])
    message = (await session.scalars(statement.returning(Message))).one_or_none()
    if message is None:
        same = select(Message.id).where(Message.email_message_id == draft.email_message_id)
        raise MessageExistsError("This e-mail has come already.", id=await session.scalar(same))
    return message


def _speaker(author: Principal, conversation: Conversation, *, behalf: bool) -> Speaker:
    is_requester = author.person_id is not None and author.person_id == conversation.requester_id
    if behalf or is_requester or not author.is_staff:
        return Speaker.customer
    return Speaker.machine if author.person_id is None else Speaker.staff
