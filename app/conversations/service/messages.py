"""Messages: read, edited, redacted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.constants import (
    BODY_MAX_BYTES,
    HTML_MAX_BYTES,
    BodyFormat,
    MessageKind,
)
from app.conversations.exceptions import (
    EmptyMessageError,
    MessageNotFoundError,
    MessageRedactedError,
    MessageTooLargeError,
)
from app.conversations.models import Attachment, Conversation, Message
from app.conversations.rendering import Body, render
from app.conversations.service import conversations
from app.conversations.service.access import messages_of
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.principal import Principal

RENDERED_AT_ONCE = 2_000  # characters; a longer text is rendered in a thread
FRESH = {"populate_existing": True}
Check = Callable[[int], None]


def _any_version(_: int) -> None:
    """No precondition."""


async def get(
    session: AsyncSession, conversation: Conversation, message_id: UUID, *, principal: Principal
) -> Message:
    """A message of a conversation that the caller sees; ``MessageNotFoundError``."""
    statement = select(Message).where(Message.id == message_id, Message.conversation_id == conversation.id)
    found = await session.scalar(statement.where(messages_of(principal)), execution_options=FRESH)
    if found is None:
        raise MessageNotFoundError("The conversation has no such message.")
    return found


async def edit(
    session: AsyncSession,
    conversation: Conversation,
    message_id: UUID,
    *,
    actor: Principal,
    body: str,
    check: Check = _any_version,
) -> Message:
    """Give a message a new text; the old one is gone. Its author does so, and leads.

    ``check``: called with the version of the locked message, such as ``expected.check``. Errors:
    ``MessageNotFoundError``, ``PermissionDeniedError``, ``MessageRedactedError``, ``EmptyMessageError``,
    ``MessageTooLargeError``.
    """
    locked = await conversations.lock(session, conversation.id, principal=actor)
    message = await get(session, locked, message_id, principal=actor)
    check(message.version)
    if not _wrote(actor, message) and not actor.at_least(Role.lead):
        raise PermissionDeniedError("Only its author and leads edit a message.")
    _refuse_redacted(message)
    if not body.strip("\0 \t\r\n"):
        raise EmptyMessageError("Write something.", errors=[field("body", "Required")])
    body_of = await rendered(body, BodyFormat(message.body_format))
    changed = await _change(session, message, columns(body_of) | {"edited_at": func.now()})
    await conversations.change(session, locked)
    await record(session, "message.edited", locked, changed, actor=actor)
    return changed


async def redact(
    session: AsyncSession,
    conversation: Conversation,
    message_id: UUID,
    *,
    actor: Principal,
    check: Check = _any_version,
) -> Message:
    """Remove a message's text and attachments for good: a password, somebody else's data. Staff only.

    The message stays as a place without words. Once more changes nothing. Errors: ``MessageNotFoundError``,
    ``PermissionDeniedError``.
    """
    if not actor.is_staff:
        raise PermissionDeniedError("Only staff redact messages.")
    locked = await conversations.lock(session, conversation.id, principal=actor)
    message = await get(session, locked, message_id, principal=actor)
    check(message.version)
    if message.redacted_at is not None:
        return message
    await session.execute(delete(Attachment).where(Attachment.message_id == message.id))
    nothing = columns(Body(BodyFormat(message.body_format), "", "", ""))
    changed = await _change(session, message, nothing | {"redacted_at": func.now()})
    await conversations.change(session, locked)
    await record(session, "message.redacted", locked, changed, actor=actor, audit=True)
    return changed


async def find_by_email(session: AsyncSession, email_message_ids: Sequence[str]) -> Message | None:
    """The newest message among those with these e-mail Message-IDs, to thread an answer to it."""
    statement = select(Message).where(Message.email_message_id.in_(email_message_ids))
    return await session.scalar(statement.order_by(Message.created_at.desc(), Message.id.desc()).limit(1))


async def rendered(body: str, body_format: BodyFormat) -> Body:
    """The text as it is stored; ``MessageTooLargeError``."""
    maximum = HTML_MAX_BYTES if body_format == BodyFormat.html else BODY_MAX_BYTES
    if len(body) > maximum or len(body.encode("utf-8", "replace")) > maximum:
        raise MessageTooLargeError(f"A message has {maximum} bytes at most.", maximum=maximum)
    if len(body) <= RENDERED_AT_ONCE:
        return render(body, body_format)
    return await asyncio.to_thread(render, body, body_format)


def _wrote(actor: Principal, message: Message) -> bool:
    if actor.person_id is not None:
        return message.author_person_id == actor.person_id
    return (
        message.author_person_id is None
        and actor.key_id is not None
        and message.author_key_id == actor.key_id
    )


def _refuse_redacted(message: Message) -> None:
    if message.redacted_at is not None:
        raise MessageRedactedError("The message's text was removed for good.")


def columns(body: Body) -> dict[str, Any]:
    """The columns of a message that hold its text."""
    return {
        "body_format": body.format,
        "body_raw": body.raw,
        "body_html": body.html,
        "body_text": body.text,
    }


async def _change(session: AsyncSession, message: Message, values: dict[str, Any]) -> Message:
    statement = (
        update(Message)
        .where(Message.id == message.id)
        .values(version=Message.version + 1, **values)
        .returning(Message)
    )
    return (await session.scalars(statement, execution_options=FRESH)).one()


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    conversation: Conversation,
    message: Message,
    *,
    actor: Principal,
    audit: bool = False,
    **further: Any,
) -> None:
    """An event about a message, without its text; customers see those of what they may read."""
    after = {
        "message_id": message.id,
        "number": message.number,
        "kind": message.kind,
        "speaker": message.speaker,
        "automatic": message.automatic,
        **further,
    }
    await conversations.record(
        session,
        type,
        conversation,
        actor=actor,
        after=after,
        customer_visible=message.kind == MessageKind.public,
        audit=audit,
    )


def field(name: str, message: str) -> dict[str, str]:
    """A member of a problem's ``errors``."""
    return {"field": name, "message": message}
