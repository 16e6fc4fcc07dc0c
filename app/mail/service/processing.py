"""Working through a mail that came in: guards, thread, desk; each mail once, in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from app.config import Settings
from app.database import Database, is_database_away
from app.events import Subject, record
from app.identity import SYSTEM
from app.identity.service import hold_person
from app.jobs import LAST_ATTEMPT
from app.knowledge import InboundMail as Desk
from app.knowledge import ReceivedMail, Thread
from app.mail.bounces import bounces
from app.mail.constants import (
    RATE_MAX,
    RATE_WINDOW,
    InboundStatus,
    OutgoingStatus,
    SuppressionReason,
    Verdict,
)
from app.mail.exceptions import UnreadableMailError
from app.mail.guards import Guarded, guard, without_token
from app.mail.models import InboundMail, OutgoingMail
from app.mail.reading import Mail, read
from app.mail.service.suppressions import suppress
from app.mail.service.threads import Author, find_author, find_thread
from app.redaction import redact

logger = logging.getLogger(__name__)

LOCK_SENDER = text("select pg_advisory_xact_lock(hashtextextended('mail from ' || :sender, 0))")
RECENT = text("""
select count(*) from inbound_mail
where sender = :sender and created_at > now() - CAST(:window AS interval) and verdict = 'accepted'
    and (CAST(:id AS uuid) is null or (subject_id = :id and subject_type = :type))
""")


class Payload(msgspec.Struct, frozen=True):
    """Of the job: the mail's id."""

    id: UUID


class Receiver:
    """The job that works through received mail. ``desks``: who takes mail, in the order they are asked."""

    def __init__(self, settings: Settings, database: Database, desks: Sequence[Desk] = ()) -> None:
        self._database = database
        self._desks = desks
        self._by_type = {desk.subject_type: desk for desk in desks}
        self._secret = settings.mail_token_secret
        self._mark = settings.mail_from
        ours = {settings.mail_from, settings.mail_reply_to, *(a for desk in desks for a in desk.addresses)}
        self._own = frozenset(address.lower() for address in ours if address)

    async def handle(self, payload: bytes, attempts: int) -> None:
        """Job handler. A failure is noted at the mail and raised, so that the queue tries again."""
        mail_id = msgspec.json.decode(payload, type=Payload).id
        try:
            async with self._database.session() as session:
                await self.process(session, mail_id)
        except Exception as error:
            if not is_database_away(error):
                await self._note_failure(mail_id, error, is_last=attempts >= LAST_ATTEMPT)
            raise

    async def process(self, session: AsyncSession, mail_id: UUID) -> None:
        """Give the mail its verdict; nothing to do when it has one or was erased meanwhile."""
        statement = select(InboundMail).where(InboundMail.id == mail_id).with_for_update()
        row = (await session.scalars(statement.options(undefer(InboundMail.raw)))).one_or_none()
        if row is None or row.raw is None or row.status == InboundStatus.processed:
            return
        try:
            mail = await asyncio.to_thread(read, row.raw)
        except UnreadableMailError as error:
            await _conclude(session, row, Guarded(Verdict.rejected_unreadable, error.reason))
            return
        row.sender, row.title = mail.sender, redact(mail.title)
        await session.execute(LOCK_SENDER, {"sender": mail.sender})
        author = await find_author(session, mail)
        await hold_person(session, author.person_id)  # erased meanwhile: the next attempt finds a stranger
        row.person_id = author.person_id
        await _conclude(session, row, await self._decide(session, row, mail, author))

    async def _decide(
        self, session: AsyncSession, row: InboundMail, mail: Mail, author: Author
    ) -> Guarded | None:
        """None when a desk has taken it."""
        guarded = guard(mail, own_addresses=self._own, loop_mark=self._mark)
        if guarded is None and await _is_ours(session, mail):
            guarded = Guarded(Verdict.loop, "own_message")
        if guarded is not None and guarded.verdict is Verdict.bounce:
            await _note_bounces(session, mail)
            return guarded
        found = await find_thread(session, mail, author, desks=self._by_type, secret=self._secret)
        guarded = guarded or await _rate_guard(session, mail, found.thread)
        if guarded is not None:
            _place(row, found.thread)  # staff can see what was not let in; the thread itself does not change
            return guarded
        desk = self._by_type[found.thread.type] if found.thread else self._desk_of(mail)
        if desk is None:
            return Guarded(Verdict.no_desk, "no_address_matches")
        received = _received(row.id, mail, author, claimed=found.claimed)
        row.desk = desk.name
        _place(row, await desk.handle(session, received, thread=found.thread))
        row.reason = "stranger_to_thread" if found.claimed else None
        return None

    def _desk_of(self, mail: Mail) -> Desk | None:
        for address in mail.recipients:
            for desk in self._desks:
                if without_token(address) in desk.addresses or address in desk.addresses:
                    return desk
        return next((desk for desk in self._desks if not desk.addresses), None)

    async def _note_failure(self, mail_id: UUID, error: Exception, *, is_last: bool) -> None:
        """Its kind only: an error's text may quote the mail."""
        logger.warning("mail %s could not be processed: %s", mail_id, type(error).__name__)
        values: dict[str, object] = {
            "attempts": InboundMail.attempts + 1,
            "error": type(error).__name__,
        }
        if is_last:
            values["status"] = InboundStatus.failed
        statement = update(InboundMail).where(
            InboundMail.id == mail_id, InboundMail.status != InboundStatus.processed
        )
        async with self._database.session() as session:
            changed = await session.execute(statement.values(values).returning(InboundMail.id))
            if is_last and changed.one_or_none() is not None:
                after = {"status": InboundStatus.failed, "error": type(error).__name__}
                await record(
                    session,
                    "mail.not_processed",
                    subject=Subject("inbound_mail", mail_id),
                    actor=SYSTEM,
                    after=after,
                )


def _received(identity: UUID, mail: Mail, author: Author, *, claimed: Thread | None) -> ReceivedMail:
    return ReceivedMail(
        id=identity,
        message_id=mail.message_id,
        sender=mail.sender,
        sender_name=redact(mail.sender_name),
        recipients=mail.recipients,
        title=redact(mail.title),
        text=redact(mail.text),
        quoted=redact(mail.quoted),
        attachments=mail.attachments,
        person_id=author.person_id,
        account_id=author.account_id,
        claimed=claimed,
    )


def _place(row: InboundMail, thread: Thread | None) -> None:
    if thread is not None:
        row.subject_type, row.subject_id = thread.type, thread.id


async def _is_ours(session: AsyncSession, mail: Mail) -> bool:
    found = select(OutgoingMail.id).where(OutgoingMail.message_id == mail.message_id)
    return await session.scalar(found) is not None


async def _rate_guard(session: AsyncSession, mail: Mail, thread: Subject | None) -> Guarded | None:
    """Two machines that answer each other without saying so are stopped here. Exact: the sender is locked."""
    values = {"sender": mail.sender, "window": RATE_WINDOW, "id": None, "type": None}
    if thread is not None:
        values |= {"id": thread.id, "type": thread.type}
    recent = (await session.execute(RECENT, values)).scalar_one()
    return Guarded(Verdict.loop, "rate") if recent >= RATE_MAX else None


async def _note_bounces(session: AsyncSession, mail: Mail) -> None:
    """Believed only of a mail that we sent to this address: nobody else knows its Message-ID."""
    for bounce in bounces(mail):
        statement = (
            select(OutgoingMail)
            .where(OutgoingMail.message_id.in_(bounce.message_ids), OutgoingMail.recipient == bounce.address)
            .with_for_update()
        )
        sent = (await session.scalars(statement)).first()
        if sent is None or sent.status == OutgoingStatus.bounced or not bounce.is_hard:
            continue
        before, sent.status, sent.error = sent.status, OutgoingStatus.bounced, bounce.status
        await suppress(
            session,
            bounce.address,
            reason=SuppressionReason.hard_bounce,
            source="delivery_report",
            actor=SYSTEM,
        )
        await record(
            session,
            "mail.bounced",
            subject=Subject("outgoing_mail", sent.id),
            actor=SYSTEM,
            before={"status": before},
            after={"status": sent.status, "error": bounce.status},
        )


async def _conclude(session: AsyncSession, row: InboundMail, guarded: Guarded | None) -> None:
    row.verdict = guarded.verdict if guarded else Verdict.accepted
    row.reason = guarded.reason if guarded else row.reason
    row.status, row.processed_at, row.error = InboundStatus.processed, datetime.now(UTC), None
    after = {"verdict": row.verdict, "reason": row.reason, "desk": row.desk}
    if row.subject_type is not None:
        after |= {"subject_type": row.subject_type, "subject_id": str(row.subject_id)}
    await record(session, "mail.received", subject=Subject("inbound_mail", row.id), actor=SYSTEM, after=after)
    await session.flush()
