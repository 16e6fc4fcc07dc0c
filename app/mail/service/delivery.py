"""Delivering: queued mails go to the mail server, each attempt made by one job.

At least once. An attempt is claimed by counting it, in a transaction of its own; then the server is spoken to
with no transaction open; then the outcome is written. Who is killed between the server's 250 and that last
commit leaves a mail that is sent again after ``LEASE``: with the same bytes and the same Message-ID, by which
many servers drop the second copy. Nothing more can be had from SMTP.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.orm import undefer

from app.config import Settings
from app.database import Database
from app.events import Subject, record
from app.identity import SYSTEM
from app.jobs import enqueue_all
from app.mail.constants import (
    BACKSTOP,
    LEASE,
    RETRY_AFTER,
    SEND_JOB,
    SWEEP_BATCH,
    OutgoingStatus,
    SuppressionReason,
)
from app.mail.exceptions import MailRefusedError, MailServerError
from app.mail.models import OutgoingMail
from app.mail.service.suppressions import suppress, suppressed_because
from app.mail.transport import transmit

logger = logging.getLogger(__name__)


class Payload(msgspec.Struct, frozen=True):
    """Of the job: which attempt of which mail. Another job for the same attempt finds it taken."""

    id: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: OutgoingStatus
    error: str | None = None
    retry_in: timedelta | None = None
    is_dead: bool = False  # the address does not exist


class Deliverer:
    """The job that sends."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    async def handle(self, payload: bytes, attempts: int) -> None:
        """Job handler. The mail server's failures are not the job's: the mail has its own retries."""
        job = msgspec.json.decode(payload, type=Payload)
        mail = await self._claim(job)
        if mail is None:
            return
        outcome = await self._attempt(mail)
        await self._settle(mail, outcome)

    async def _claim(self, job: Payload) -> OutgoingMail | None:
        """The mail, if this attempt is still to be made and its reader has not unsubscribed meanwhile."""
        statement = (
            update(OutgoingMail)
            .where(
                OutgoingMail.id == job.id,
                OutgoingMail.status == OutgoingStatus.queued,
                OutgoingMail.attempts == job.attempt,
            )
            .values(attempts=job.attempt + 1, next_attempt_at=func.now() + LEASE)
            .returning(OutgoingMail.id)
        )
        async with self._database.session() as session:
            if (await session.scalars(statement)).one_or_none() is None:
                return None
            wanted = select(OutgoingMail).where(OutgoingMail.id == job.id)
            mail = (await session.scalars(wanted.options(undefer(OutgoingMail.raw)))).one()
            reason = await suppressed_because(session, mail.recipient or "", scope=mail.scope)
        if reason is not None:
            await self._settle(mail, _Outcome(OutgoingStatus.suppressed, reason))
            return None
        return mail

    async def _attempt(self, mail: OutgoingMail) -> _Outcome:
        if self._settings.smtp_host is None or self._settings.mail_from is None:
            return _later(mail, "mail_is_off")
        try:
            await transmit(
                self._settings,
                mail.raw or b"",
                sender=self._settings.mail_from,
                recipient=mail.recipient or "",
            )
        except MailRefusedError as error:
            return _Outcome(OutgoingStatus.failed, error.reason, is_dead=error.suppress)
        except MailServerError as error:
            return _later(mail, error.detail)
        return _Outcome(OutgoingStatus.sent)

    async def _settle(self, mail: OutgoingMail, outcome: _Outcome) -> None:
        """Write the outcome, unless the mail was erased or another attempt has begun since the claim."""
        retry_in = outcome.retry_in
        statement = (
            update(OutgoingMail)
            .where(
                OutgoingMail.id == mail.id,
                OutgoingMail.status == OutgoingStatus.queued,
                OutgoingMail.attempts == mail.attempts,
            )
            .values(
                status=outcome.status,
                error=outcome.error,
                sent_at=func.now() if outcome.status == OutgoingStatus.sent else None,
                next_attempt_at=func.now() + retry_in if retry_in is not None else None,
            )
            .returning(OutgoingMail.recipient)
        )
        async with self._database.session() as session:
            recipient = (await session.scalars(statement)).one_or_none()
            if recipient is None or outcome.status == OutgoingStatus.queued:
                return
            if outcome.is_dead:
                await suppress(
                    session,
                    recipient,
                    reason=SuppressionReason.hard_bounce,
                    source="mail_server",
                    actor=SYSTEM,
                )
            await record(
                session,
                f"mail.{outcome.status}",
                subject=Subject("outgoing_mail", mail.id),
                actor=SYSTEM,
                before={"status": OutgoingStatus.queued},
                after={"status": outcome.status, "error": outcome.error},
            )


def _later(mail: OutgoingMail, error: str) -> _Outcome:
    """The next attempt, or the end of them."""
    if mail.attempts > len(RETRY_AFTER):
        logger.warning("mail %s given up: %s", mail.id, error)
        return _Outcome(OutgoingStatus.failed, error)
    return _Outcome(OutgoingStatus.queued, error, retry_in=RETRY_AFTER[mail.attempts - 1])


async def sweep(database: Database) -> int:
    """Queue the attempts that are due: retries, and those whose job or worker is gone. How many."""
    due = (
        select(OutgoingMail.id)
        .where(OutgoingMail.status == OutgoingStatus.queued, OutgoingMail.next_attempt_at <= func.now())
        .order_by(OutgoingMail.next_attempt_at)
        .limit(SWEEP_BATCH)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(OutgoingMail)
        .where(OutgoingMail.id.in_(due))
        .values(next_attempt_at=func.now() + BACKSTOP)
        .returning(OutgoingMail.id, OutgoingMail.attempts)
        .execution_options(synchronize_session=False)
    )
    async with database.session() as session:
        rows = (await session.execute(statement)).all()
        await enqueue_all(session, SEND_JOB, [{"id": row.id, "attempt": row.attempts} for row in rows])
    return len(rows)
