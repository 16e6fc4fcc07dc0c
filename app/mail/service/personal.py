"""What the mail room holds about a person, for their export and their erasure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from app.events import Subject, forget
from app.identity import SYSTEM
from app.identity import service as identity
from app.mail.constants import InboundStatus, OutgoingStatus
from app.mail.models import InboundMail, MailSuppression, OutgoingMail


class MailData:
    """Mails from and to a person: by their id, and by the address that they have now.

    Erasing empties mails of addresses, subject lines and contents; what is queued is not sent. An address
    leaves the suppression list, too: what nobody knows is not written to.
    """

    name = "mail"

    async def hold(self, session: AsyncSession, person_id: UUID) -> None:
        """Nothing: what the room has is locked after the person."""

    async def export(
        self, session: AsyncSession, person_id: UUID
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Mails as text, byte for byte where they are ASCII."""
        address = await _address(session, person_id)
        received = select(InboundMail).where(_from(person_id, address)).order_by(InboundMail.id)
        sent = select(OutgoingMail).where(_to(person_id, address)).order_by(OutgoingMail.id)
        entries = select(MailSuppression).where(MailSuppression.address == (address or ""))
        return {
            "received": [
                _shown(row, "sender", "verdict")
                for row in await session.scalars(received.options(undefer(InboundMail.raw)))
            ],
            "sent": [
                _shown(row, "recipient", "status")
                for row in await session.scalars(sent.options(undefer(OutgoingMail.raw)))
            ],
            "suppressions": [
                {
                    "address": row.address,
                    "scope": row.scope,
                    "reason": row.reason,
                    "created_at": row.created_at,
                }
                for row in await session.scalars(entries)
            ],
        }

    async def erase(self, session: AsyncSession, person_id: UUID) -> Mapping[str, int]:
        """See the class. Before the person's own address goes: it finds the mails without their id."""
        address = await _address(session, person_id)
        received = await session.scalars(
            update(InboundMail)
            .where(_from(person_id, address))
            .values(
                sender=None,
                title=None,
                raw=None,
                person_id=None,
                status=InboundStatus.processed,
                message_id=func.concat(InboundMail.id, "@derived.invalid"),
            )
            .returning(InboundMail.id)
            .execution_options(synchronize_session=False)
        )
        sent = (
            await session.scalars(
                update(OutgoingMail)
                .where(_to(person_id, address))
                .values(recipient=None, title=None, raw=None, person_id=None, next_attempt_at=None)
                .returning(OutgoingMail.id)
                .execution_options(synchronize_session=False)
            )
        ).all()
        await session.execute(
            update(OutgoingMail)
            .where(OutgoingMail.id.in_(sent), OutgoingMail.status == OutgoingStatus.queued)
            .values(status=OutgoingStatus.erased)
            .execution_options(synchronize_session=False)
        )
        entries = (
            await session.scalars(
                delete(MailSuppression)
                .where(MailSuppression.address == (address or ""))
                .returning(MailSuppression.id)
                .execution_options(synchronize_session=False)
            )
        ).all()
        for entry in entries:
            await forget(session, Subject("mail_suppression", entry))
        return {"received": len(received.all()), "sent": len(sent), "suppressions": len(entries)}


def _from(person_id: UUID, address: str | None) -> ColumnElement[bool]:
    theirs = InboundMail.person_id == person_id
    # Without an address, "equal to none" would be every mail that waits for its sender to be read.
    return theirs if address is None else or_(theirs, InboundMail.sender == address)


def _to(person_id: UUID, address: str | None) -> ColumnElement[bool]:
    theirs = OutgoingMail.person_id == person_id
    return theirs if address is None else or_(theirs, OutgoingMail.recipient == address)


async def _address(session: AsyncSession, person_id: UUID) -> str | None:
    person = await identity.get_person(session, person_id, principal=SYSTEM)
    return person.email.lower() if person.email else None


def _shown(row: InboundMail | OutgoingMail, *names: str) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in ("message_id", "title", "created_at", *names)}
    return shown | {"message": (row.raw or b"").decode("utf-8", "replace")}


MAIL_DATA = MailData()
