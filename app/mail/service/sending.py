"""Sending: a mail is written down in the caller's transaction, and leaves after its commit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.events import Subject, record
from app.identity import SYSTEM, Principal
from app.identity.service import hold_person
from app.jobs import enqueue
from app.mail.constants import BACKSTOP, NAME_MAX, SEND_JOB, OutgoingStatus
from app.mail.guards import without_token
from app.mail.headers import is_sendable
from app.mail.models import OutgoingMail
from app.mail.rendering import Envelope, build, one_line, render
from app.mail.service.suppressions import suppressed_because
from app.mail.tokens import reply_token, unsubscribe_token
from app.redaction import redact

# What a reader's program groups mails by; the newest last: what came in, and what went to this reader. Copies
# for others are none that the program knows. Derived ids are of mails that had none.
REFERENCES = text("""
select message_id from (
    select message_id, created_at from inbound_mail
    where subject_type = :type and subject_id = :id and verdict = 'accepted'
        and message_id not like '%@derived.invalid'
    union all
    select message_id, created_at from outgoing_mail
    where subject_type = :type and subject_id = :id and status in ('queued', 'sent')
        and recipient = :recipient
    order by created_at desc limit 10
) as newest order by created_at
""")


class Mailer:
    """Writes mails of ours. Without SMTP_HOST it writes nothing, and ``send`` returns None."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sender = settings.mail_from or ""
        self._reply_to = settings.mail_reply_to or self._sender
        self._secret = settings.mail_token_secret or ""
        self.is_on = settings.smtp_host is not None

    async def send(
        self,
        session: AsyncSession,
        *,
        template: str,
        to: str,
        title: str,
        context: Mapping[str, str],
        to_name: str = "",
        from_name: str = "",
        person_id: UUID | None = None,
        subject: Subject | None = None,
        in_reply_to: str | None = None,
        automatic: bool = True,
        scope: str | None = None,
        actor: Principal = SYSTEM,
    ) -> OutgoingMail | None:
        """Write a mail to one address and queue it; it exists exactly when the transaction commits.

        ``template``: ``reply`` (body, author) or ``notice`` (heading, body), their values in ``context``;
        ``body_html`` may come with the body. ``subject``: the thread that an answer to it shall find.
        ``in_reply_to``: Message-ID without brackets; the newest mail of the thread by itself. ``automatic``:
        no person has written it now. ``scope``: what the reader can unsubscribe from; None when they cannot.

        The returned row's status says whether it will go: ``queued``, ``suppressed`` or, for an address that
        no mail server takes, ``failed``.
        """
        if not self.is_on:
            return None
        await hold_person(session, person_id)
        identity: UUID = (await session.execute(select(func.uuidv7()))).scalar_one()
        row = OutgoingMail(
            id=identity,
            message_id=f"{identity.hex}@{self._sender.rpartition('@')[2]}",
            template=template,
            recipient=to.strip().lower()[: NAME_MAX * 2],
            title=redact(one_line(title)),
            automatic=automatic,
            scope=scope,
            person_id=person_id,
            subject_type=subject.type if subject else None,
            subject_id=subject.id if subject else None,
            created_at=datetime.now(UTC),
        )
        row.status, row.error = await self._fate(session, to.strip(), scope=scope)
        if row.status == OutgoingStatus.queued:
            references = await _references(session, subject, in_reply_to, recipient=row.recipient)
            unsubscribe = self._link(identity) if scope else None
            envelope = Envelope(
                message_id=row.message_id,
                sender=self._sender,
                sender_name=from_name,
                recipient=to.strip(),
                recipient_name=redact(to_name),
                reply_to=self._reply_address(subject),
                title=row.title or "",
                sent_at=row.created_at,
                references=references,
                automatic=automatic,
                unsubscribe=unsubscribe,
            )
            values = {name: redact(value) for name, value in context.items()}
            row.raw = build(envelope, render(template, values, unsubscribe=unsubscribe))
            row.next_attempt_at = row.created_at + BACKSTOP
        session.add(row)
        await session.flush()
        await record(
            session,
            f"mail.{row.status}",
            subject=Subject("outgoing_mail", row.id),
            actor=actor,
            after={"status": row.status, "error": row.error, "template": template},
        )
        if row.status == OutgoingStatus.queued:
            await enqueue(session, SEND_JOB, {"id": row.id, "attempt": 0})
        return row

    async def _fate(
        self, session: AsyncSession, address: str, *, scope: str | None
    ) -> tuple[OutgoingStatus, str | None]:
        if not is_sendable(address):
            return OutgoingStatus.failed, "address_unsupported"
        if without_token(address.lower()) in {self._sender.lower(), self._reply_to.lower()}:
            return OutgoingStatus.suppressed, "own_address"
        reason = await suppressed_because(session, address, scope=scope)
        return (OutgoingStatus.suppressed, reason) if reason else (OutgoingStatus.queued, None)

    def _reply_address(self, subject: Subject | None) -> str:
        if subject is None:
            return self._reply_to
        local, _, domain = self._reply_to.rpartition("@")
        return f"{local}+{reply_token(self._secret, subject)}@{domain}"

    def _link(self, identity: UUID) -> str:
        return f"{self._settings.public_url}/v1/unsubscribe/{unsubscribe_token(self._secret, identity)}"


async def _references(
    session: AsyncSession, subject: Subject | None, in_reply_to: str | None, *, recipient: str | None
) -> tuple[str, ...]:
    known: list[str] = []
    if subject is not None:
        values = {"type": subject.type, "id": subject.id, "recipient": recipient}
        known = list(await session.scalars(REFERENCES, values))
    if in_reply_to is not None:
        known = [*(each for each in known if each != in_reply_to), in_reply_to]
    return tuple(known)
