"""Behind the requests: attachments are read, so that their texts are found, and forgotten uploads deleted."""

from __future__ import annotations

import asyncio
import functools
import logging
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.config import Settings
from app.conversations.constants import EXTRACT_JOB, PURGE_BATCH, TEXT_MAX, TextStatus
from app.conversations.models import Attachment, Conversation
from app.conversations.service import attachments
from app.database import Database, is_database_away
from app.events import Subject
from app.exceptions import TrideskError, UnavailableError
from app.identity.principal import SYSTEM
from app.jobs import LAST_ATTEMPT, JobHandler
from app.parsing import Code, Parsed, parse
from app.parsing.isolation import IsolatedPool
from app.redaction import redact

logger = logging.getLogger(__name__)


class ExtractJob(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of an extraction."""

    attachment_id: UUID


class TextExtractor:
    """Reads attachments in child processes; ``handle`` is the job ``EXTRACT_JOB``."""

    def __init__(self, *, database: Database, timeout: float, pool: IsolatedPool | None = None) -> None:
        """``timeout``: seconds a file. Without a ``pool`` each file has a child process of its own."""
        self._database = database
        self._timeout = timeout
        self._pool = pool

    async def handle(self, payload: bytes, attempts: int) -> None:
        """Extract the text of one attachment, or note that it has none. Raises to be tried again later."""
        attachment_id = msgspec.json.decode(payload, type=ExtractJob).attachment_id
        try:
            await self.extract(attachment_id)
        except Exception as error:
            if is_database_away(error):
                raise
            passing = isinstance(error, UnavailableError) or not isinstance(error, TrideskError)
            if passing and attempts < LAST_ATTEMPT:
                raise
            if not isinstance(error, TrideskError):
                logger.exception("text extraction failed", extra={"attachment_id": attachment_id})
            empty = getattr(error, "code", None) == Code.FILE_WITHOUT_TEXT
            await self._settle(attachment_id, TextStatus.none if empty else TextStatus.failed, None)

    async def extract(self, attachment_id: UUID) -> None:
        """Store the text, without card numbers; nothing if the attachment has gone or is done.

        ``ParsingError`` when it cannot be read.
        """
        statement = select(Attachment.content, Attachment.media_type)
        async with self._database.session() as session:
            row = (await session.execute(statement.where(*_waiting(attachment_id)))).one_or_none()
        if row is None:
            return
        parsed = await self._parse(row.content, row.media_type)
        text = await asyncio.to_thread(redact, parsed.text[:TEXT_MAX])
        await self._settle(attachment_id, TextStatus.ready if text.strip() else TextStatus.none, text or None)

    async def _parse(self, content: bytes, media_type: str) -> Parsed:
        pool = self._pool or IsolatedPool(workers=1)
        try:
            read = functools.partial(parse, media_type=media_type)
            return await pool.run(read, content, timeout=self._timeout)
        finally:
            if self._pool is None:
                await pool.aclose()

    async def _settle(self, attachment_id: UUID, status: TextStatus, text: str | None) -> None:
        statement = update(Attachment).where(*_waiting(attachment_id)).returning(Attachment.conversation_id)
        async with self._database.session() as session:
            changed = (await session.execute(statement.values(text=text, text_status=status))).one_or_none()
            if changed is not None:
                await _record(session, attachment_id, changed.conversation_id, status)


def _waiting(attachment_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return Attachment.id == attachment_id, Attachment.text_status == TextStatus.queued


async def _record(
    session: AsyncSession, attachment_id: UUID, conversation_id: UUID | None, status: TextStatus
) -> None:
    account = select(Conversation.account_id).where(Conversation.id == conversation_id)
    await events.record(
        session,
        "attachment.text_extracted",
        subject=Subject("attachment", attachment_id),
        actor=SYSTEM,
        before={"text_status": TextStatus.queued},
        after={"text_status": status},
        account_id=await session.scalar(account) if conversation_id is not None else None,
    )


def extraction_handlers(settings: Settings, database: Database) -> dict[str, JobHandler]:
    """The room's jobs."""
    return {EXTRACT_JOB: TextExtractor(database=database, timeout=settings.parse_timeout).handle}


async def sweep_uploads(database: Database) -> int:
    """Delete the uploads that were never sent, all that are due; how many. For a schedule, say every hour."""
    total = 0
    while True:
        async with database.session() as session:
            gone = await attachments.purge_orphans(session)
        total += gone
        if gone < PURGE_BATCH:
            return total
