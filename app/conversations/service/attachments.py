"""Attachments: stored for their uploader, sent with a message, read by its readers, purged if never sent."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from app import events
from app.conversations.constants import (
    ATTACHMENTS_MAX,
    EXTRACT_JOB,
    ORPHAN_AGE,
    PENDING_MAX,
    PURGE_BATCH,
    TextStatus,
)
from app.conversations.exceptions import (
    AttachmentNotFoundError,
    AttachmentRefusedError,
    AttachmentTooLargeError,
    EmptyAttachmentError,
    TooManyAttachmentsError,
    TooManyUploadsError,
    UnknownAttachmentError,
)
from app.conversations.files import READABLE, clean_name, is_program, media_type_of
from app.conversations.models import Attachment
from app.conversations.service.access import attachments_of, uploaded_by
from app.conversations.service.conversations import check_visible
from app.events import Subject
from app.identity.constants import PrincipalKind
from app.identity.principal import SYSTEM, Principal
from app.jobs import enqueue_all

CONTENT_ID_MAX = 255


async def store(
    session: AsyncSession,
    *,
    uploader: Principal,
    content: bytes,
    name: str | None,
    maximum: int,
    conversation_id: UUID | None = None,
    content_id: str | None = None,
) -> Attachment:
    """Keep a file until its uploader sends it; ``maximum`` bytes. With a conversation, in that one only.

    ``content_id``: its ``cid:`` in an e-mail. Errors: ``EmptyAttachmentError``, ``AttachmentTooLargeError``,
    ``AttachmentRefusedError`` (a program), ``TooManyUploadsError``, ``ConversationNotFoundError``.
    """
    _check_size(content, maximum)
    if conversation_id is not None:
        await check_visible(session, conversation_id, principal=uploader)
    await _check_pending(session, uploader)
    described = await asyncio.to_thread(_describe, content, name)
    attachment = Attachment(
        conversation_id=conversation_id,
        uploader_person_id=uploader.person_id,
        uploader_key_id=uploader.key_id,
        content=content,
        content_id=clean_name(content_id)[:CONTENT_ID_MAX] if content_id else None,
        **described,
    )
    session.add(attachment)
    await session.flush()
    await _record(session, "attachment.uploaded", attachment, actor=uploader, after=_shown(attachment))
    return attachment


async def get(session: AsyncSession, attachment_id: UUID, *, principal: Principal) -> Attachment:
    """The attachment without its content; ``AttachmentNotFoundError`` also when it is not for the caller."""
    statement = select(Attachment).where(Attachment.id == attachment_id, attachments_of(principal))
    return _found(await session.scalar(statement))


async def read(session: AsyncSession, attachment_id: UUID, *, principal: Principal) -> Attachment:
    """The attachment with its ``content`` loaded; errors as ``get``."""
    statement = select(Attachment).where(Attachment.id == attachment_id, attachments_of(principal))
    loaded = statement.options(undefer(Attachment.content))
    return _found(await session.scalar(loaded, execution_options={"populate_existing": True}))


async def claim(
    session: AsyncSession, attachment_ids: Sequence[UUID], *, author: Principal, conversation_id: UUID
) -> list[Attachment]:
    """The author's uploads that a new message names, locked, in the order named.

    ``TooManyAttachmentsError``; ``UnknownAttachmentError`` with the ids that are not theirs to send here.
    """
    wanted = list(dict.fromkeys(attachment_ids))
    if len(wanted) > ATTACHMENTS_MAX:
        raise TooManyAttachmentsError(f"A message has {ATTACHMENTS_MAX} attachments at most.")
    if not wanted:
        return []
    statement = select(Attachment).where(
        Attachment.id.in_(wanted),
        Attachment.message_id.is_(None),
        uploaded_by(author),
        or_(Attachment.conversation_id.is_(None), Attachment.conversation_id == conversation_id),
    )
    found = await session.scalars(statement.order_by(Attachment.id).with_for_update())
    by_id = {each.id: each for each in found}
    if missing := [each for each in wanted if each not in by_id]:
        raise UnknownAttachmentError(
            "The message names attachments that are not there to be sent.", attachments=missing
        )
    return [by_id[each] for each in wanted]


async def send(
    session: AsyncSession, claimed: Sequence[Attachment], *, message_id: UUID, conversation_id: UUID
) -> None:
    """Make claimed uploads a message's, and have their texts extracted once that is committed."""
    if not claimed:
        return
    statement = update(Attachment).where(Attachment.id.in_([each.id for each in claimed]))
    await session.execute(statement.values(message_id=message_id, conversation_id=conversation_id))
    readable = [each.id for each in claimed if each.text_status == TextStatus.queued]
    await enqueue_all(session, EXTRACT_JOB, [{"attachment_id": each} for each in readable])


async def of_messages(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, list[Attachment]]:
    """Attachments, without content, by message; in the order of their upload."""
    statement = select(Attachment).where(Attachment.message_id.in_(message_ids)).order_by(Attachment.id)
    by_message: dict[UUID, list[Attachment]] = {}
    for each in await session.scalars(statement):
        if each.message_id is not None:
            by_message.setdefault(each.message_id, []).append(each)
    return by_message


async def purge_orphans(
    session: AsyncSession, *, older_than: timedelta = ORPHAN_AGE, batch: int = PURGE_BATCH
) -> int:
    """Delete uploads that were never sent and are older than this: how many, ``batch`` at most.

    One that is being sent right now is passed over.
    """
    old = select(Attachment.id).where(
        Attachment.message_id.is_(None), Attachment.created_at < func.now() - older_than
    )
    some = old.order_by(Attachment.created_at).limit(batch).with_for_update(skip_locked=True)
    statement = delete(Attachment).where(Attachment.id.in_(some.scalar_subquery())).returning(Attachment)
    gone = (await session.scalars(statement)).all()
    for each in gone:
        await _record(session, "attachment.deleted", each, actor=SYSTEM, after=None)
    return len(gone)


def _check_size(content: bytes, maximum: int) -> None:
    if not content:
        raise EmptyAttachmentError("The file is empty.")
    if len(content) > maximum:
        raise AttachmentTooLargeError(f"An attachment has {maximum} bytes at most.", maximum=maximum)


async def _check_pending(session: AsyncSession, uploader: Principal) -> None:
    """Nobody fills the database with what they never send; mail, which is sent at once, has no such limit."""
    if uploader.kind is PrincipalKind.system:
        return
    waiting = select(func.count()).where(Attachment.message_id.is_(None), uploaded_by(uploader))
    if (await session.scalar(waiting) or 0) >= PENDING_MAX:
        raise TooManyUploadsError(f"Send some of your {PENDING_MAX} uploads first.", maximum=PENDING_MAX)


def _describe(content: bytes, given: str | None) -> dict[str, Any]:
    """Name, type, size and hash; some tenths of a second for the largest."""
    name = clean_name(given)
    if is_program(content, name):
        raise AttachmentRefusedError("Programs and files that a computer runs are not taken.")
    media_type = media_type_of(content, name)
    return {
        "name": name,
        "media_type": media_type,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "text_status": TextStatus.queued if media_type in READABLE else TextStatus.none,
    }


def _found(attachment: Attachment | None) -> Attachment:
    if attachment is None:
        raise AttachmentNotFoundError("There is no such attachment.")
    return attachment


def _shown(attachment: Attachment) -> dict[str, Any]:
    """Of an attachment, in an event: no name, which may be somebody's."""
    return {
        "media_type": attachment.media_type,
        "size": attachment.size,
        "conversation_id": attachment.conversation_id,
    }


async def _record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    attachment: Attachment,
    *,
    actor: Principal,
    after: Mapping[str, Any] | None,
) -> None:
    """An unsent attachment is its uploader's affair alone."""
    await events.record(
        session,
        type,
        subject=Subject("attachment", attachment.id),
        actor=actor,
        after=after,
        person_id=attachment.uploader_person_id,
        customer_visible=attachment.uploader_person_id is not None,
    )
