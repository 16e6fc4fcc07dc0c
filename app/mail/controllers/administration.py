"""The logs of mail in and out, and the suppression list."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Principal, Role, require
from app.listing import CreatedAfter, CreatedBefore, Listing, Sort, Total, any_of, within
from app.mail import service
from app.mail.constants import (
    ADDRESS_MAX,
    InboundStatus,
    OutgoingStatus,
    SuppressionReason,
    Verdict,
)
from app.mail.exceptions import SuppressionExistsError, SuppressionNotFoundError
from app.mail.models import InboundMail, MailSuppression, OutgoingMail
from app.mail.schemas import (
    InboundMailView,
    MailSubject,
    MailSuppressionCreate,
    MailSuppressionView,
    OutgoingMailView,
)
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

INBOUND = Listing(InboundMail, sorts={"created_at": InboundMail.created_at}, default="-created_at")
OUTGOING = Listing(OutgoingMail, sorts={"created_at": OutgoingMail.created_at}, default="-created_at")
SUPPRESSIONS = Listing(
    MailSuppression,
    sorts={"created_at": MailSuppression.created_at, "address": MailSuppression.address},
    default="-created_at",
)

AddressFilter = Annotated[
    list[str] | None,
    QueryParameter(
        name="address", max_items=20, description=f"Of any of these addresses, {ADDRESS_MAX} characters each."
    ),
]
InboundStatusFilter = Annotated[
    list[InboundStatus] | None, QueryParameter(name="status", description="Mails that stand at any of these.")
]
VerdictFilter = Annotated[
    list[Verdict] | None, QueryParameter(name="verdict", description="Mails with any of these verdicts.")
]
OutgoingStatusFilter = Annotated[
    list[OutgoingStatus] | None,
    QueryParameter(name="status", description="Mails that stand at any of these."),
]
ReasonFilter = Annotated[
    list[SuppressionReason] | None, QueryParameter(name="reason", description="For any of these reasons.")
]


@get(
    "/mail/inbound",
    operation_id="list_inbound_mail",
    guards=[require(Role.agent)],
    opt=documented(listing=INBOUND),
)
async def list_inbound_mail(
    *,
    session: NamedDependency[AsyncSession],
    addresses: AddressFilter = None,
    statuses: InboundStatusFilter = None,
    verdicts: VerdictFilter = None,
    made_after: CreatedAfter = None,
    made_before: CreatedBefore = None,
    order: Sort = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    total: Total = False,
) -> Page[InboundMailView]:
    """List mails that came in, with their verdicts, newest first. `address` is the sender's. Staff only."""
    statement = select(InboundMail).where(
        any_of(InboundMail.sender, _lowered(addresses)),
        any_of(InboundMail.status, statuses),
        any_of(InboundMail.verdict, verdicts),
        within(InboundMail.created_at, made_after, made_before),
    )
    filters = {
        "address": addresses,
        "status": statuses,
        "verdict": verdicts,
        "created_after": made_after,
        "created_before": made_before,
    }
    found = await INBOUND.fetch(
        session, statement, limit=limit, sort=order, cursor=cursor, filters=filters, total=total
    )
    return found.page(_inbound)


@get(
    "/mail/messages",
    operation_id="list_outgoing_mail",
    guards=[require(Role.agent)],
    opt=documented(listing=OUTGOING),
)
async def list_outgoing_mail(
    *,
    session: NamedDependency[AsyncSession],
    addresses: AddressFilter = None,
    statuses: OutgoingStatusFilter = None,
    made_after: CreatedAfter = None,
    made_before: CreatedBefore = None,
    order: Sort = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    total: Total = False,
) -> Page[OutgoingMailView]:
    """List mails of ours, sent or not, newest first. `address` is the recipient's. Staff only."""
    statement = select(OutgoingMail).where(
        any_of(OutgoingMail.recipient, _lowered(addresses)),
        any_of(OutgoingMail.status, statuses),
        within(OutgoingMail.created_at, made_after, made_before),
    )
    filters = {
        "address": addresses,
        "status": statuses,
        "created_after": made_after,
        "created_before": made_before,
    }
    found = await OUTGOING.fetch(
        session, statement, limit=limit, sort=order, cursor=cursor, filters=filters, total=total
    )
    return found.page(_outgoing)


@get(
    "/mail/suppressions",
    operation_id="list_mail_suppressions",
    guards=[require(Role.agent)],
    opt=documented(listing=SUPPRESSIONS),
)
async def list_suppressions(
    *,
    session: NamedDependency[AsyncSession],
    addresses: AddressFilter = None,
    reasons: ReasonFilter = None,
    order: Sort = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    total: Total = False,
) -> Page[MailSuppressionView]:
    """List addresses that get no mail, newest first. Staff only."""
    statement = select(MailSuppression).where(
        any_of(MailSuppression.address, _lowered(addresses)), any_of(MailSuppression.reason, reasons)
    )
    filters = {"address": addresses, "reason": reasons}
    found = await SUPPRESSIONS.fetch(
        session, statement, limit=limit, sort=order, cursor=cursor, filters=filters, total=total
    )
    return found.page(_suppression)


@post(
    "/mail/suppressions",
    operation_id="create_mail_suppression",
    guards=[require(Role.admin)],
    opt=documented(raises=[SuppressionExistsError]),
)
async def create_suppression(
    data: JSONBody[MailSuppressionCreate],
    session: NamedDependency[AsyncSession],
    principal: NamedDependency[Principal],
) -> MailSuppressionView:
    """Send no more mail to an address: none at all, or none of a scope. Admins only."""
    entry, is_new = await service.suppress(
        session,
        data.address,
        scope=data.scope,
        reason=SuppressionReason.manual,
        source="staff",
        actor=principal,
    )
    if not is_new:
        raise SuppressionExistsError("The address is suppressed already.", id=str(entry.id))
    return _suppression(entry)


@delete(
    "/mail/suppressions/{suppression_id:uuid}",
    operation_id="delete_mail_suppression",
    guards=[require(Role.admin)],
    opt=documented(raises=[SuppressionNotFoundError]),
)
async def delete_suppression(
    suppression_id: FromPath[UUID],
    session: NamedDependency[AsyncSession],
    principal: NamedDependency[Principal],
) -> None:
    """Take an address off the list: it gets mail again. Admins only."""
    await service.remove_suppression(session, suppression_id, actor=principal)


def _lowered(addresses: list[str] | None) -> list[str] | None:
    return None if addresses is None else [address.lower() for address in addresses]


def _subject(row: InboundMail | OutgoingMail) -> MailSubject | None:
    if row.subject_type is None or row.subject_id is None:
        return None
    return MailSubject(type=row.subject_type, id=row.subject_id)


def _inbound(row: InboundMail) -> InboundMailView:
    return InboundMailView(
        id=row.id,
        message_id=row.message_id,
        sender=row.sender,
        title=row.title,
        size=row.size,
        status=InboundStatus(row.status),
        verdict=Verdict(row.verdict) if row.verdict else None,
        reason=row.reason,
        error=row.error,
        attempts=row.attempts,
        person_id=row.person_id,
        desk=row.desk,
        subject=_subject(row),
        created_at=row.created_at,
        processed_at=row.processed_at,
    )


def _outgoing(row: OutgoingMail) -> OutgoingMailView:
    return OutgoingMailView(
        id=row.id,
        message_id=row.message_id,
        template=row.template,
        recipient=row.recipient,
        title=row.title,
        automatic=row.automatic,
        scope=row.scope,
        status=OutgoingStatus(row.status),
        error=row.error,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        person_id=row.person_id,
        subject=_subject(row),
        created_at=row.created_at,
        sent_at=row.sent_at,
    )


def _suppression(row: MailSuppression) -> MailSuppressionView:
    return MailSuppressionView(
        id=row.id,
        address=row.address,
        scope=row.scope,
        reason=SuppressionReason(row.reason),
        source=row.source,
        created_at=row.created_at,
    )
