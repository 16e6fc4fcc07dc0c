"""Addresses that get no mail: who went on the list, why, and off again."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.events import Subject, record
from app.identity import SYSTEM, Principal
from app.mail.constants import EVERYTHING, SuppressionReason
from app.mail.exceptions import SuppressionNotFoundError, UnknownUnsubscribeLinkError
from app.mail.models import MailSuppression, OutgoingMail


async def suppress(
    session: AsyncSession,
    address: str,
    *,
    reason: SuppressionReason,
    source: str,
    actor: Principal,
    scope: str = EVERYTHING,
) -> tuple[MailSuppression, bool]:
    """(the entry, whether it is new). The first reason stays."""
    values = {"address": address.lower(), "scope": scope, "reason": reason, "source": source}
    statement = (
        insert(MailSuppression).values(values).on_conflict_do_nothing(index_elements=["address", "scope"])
    )
    made = (await session.scalars(statement.returning(MailSuppression))).one_or_none()
    if made is None:
        known = select(MailSuppression).where(
            MailSuppression.address == address.lower(), MailSuppression.scope == scope
        )
        return (await session.scalars(known)).one(), False
    await _record(session, "mail_suppression.added", made, actor=actor, is_added=True)
    return made, True


async def remove_suppression(session: AsyncSession, suppression_id: UUID, *, actor: Principal) -> None:
    """Take an entry off the list; ``SuppressionNotFoundError``."""
    statement = delete(MailSuppression).where(MailSuppression.id == suppression_id).returning(MailSuppression)
    removed = (await session.scalars(statement)).one_or_none()
    if removed is None:
        raise SuppressionNotFoundError("There is no such suppression.")
    await _record(session, "mail_suppression.removed", removed, actor=actor, is_added=False)


async def suppressed_because(session: AsyncSession, address: str, *, scope: str | None) -> str | None:
    """Why the address gets no mail of this scope; None when it does."""
    scopes = [EVERYTHING] if scope is None else [EVERYTHING, scope]
    statement = select(MailSuppression.reason).where(
        MailSuppression.address == address.lower(), MailSuppression.scope.in_(scopes)
    )
    return (await session.scalars(statement.limit(1))).first()


async def find_unsubscription(session: AsyncSession, mail_id: UUID | None) -> OutgoingMail:
    """The mail whose link was followed; ``UnknownUnsubscribeLinkError``."""
    mail = None if mail_id is None else await session.get(OutgoingMail, mail_id)
    if mail is None or mail.scope is None:
        raise UnknownUnsubscribeLinkError("This is not an unsubscribe link of ours.")
    return mail


async def unsubscribe(session: AsyncSession, mail_id: UUID | None) -> None:
    """No more mail of the same scope to its reader; again changes nothing, nor does an erased mail's link.

    ``UnknownUnsubscribeLinkError``.
    """
    mail = await find_unsubscription(session, mail_id)
    if mail.recipient is not None and mail.scope is not None:
        await suppress(
            session,
            mail.recipient,
            scope=mail.scope,
            reason=SuppressionReason.unsubscribed,
            source="link",
            actor=SYSTEM,
        )


async def _record(
    session: AsyncSession, kind: str, row: MailSuppression, *, actor: Principal, is_added: bool
) -> None:
    """Without the address: events outlive the people in them."""
    fields = {"scope": row.scope, "reason": row.reason, "source": row.source}
    await record(
        session,
        kind,
        subject=Subject("mail_suppression", row.id),
        actor=actor,
        before=None if is_added else fields,
        after=fields if is_added else None,
        audit=True,
    )
