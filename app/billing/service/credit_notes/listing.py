"""Lists of credit notes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select, select

from app.billing.constants import CreditNoteStatus, Provider, RefundReason
from app.billing.models import CreditNote
from app.billing.service.access import money_of
from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.listing import Listing, any_of, within

NOTES = Listing(
    CreditNote,
    sorts={
        "created_at": CreditNote.created_at,
        "issued_at": CreditNote.issued_at,
        "number": CreditNote.number,
        "total": CreditNote.total,
    },
    default="-created_at",
)


class NoteFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What notes are wanted: each member that is given must hold, any of its values will do."""

    status: Sequence[CreditNoteStatus] | None = None
    provider: Sequence[Provider] | None = None
    account_id: Sequence[UUID] | None = None
    invoice_id: Sequence[UUID] | None = None
    case_id: Sequence[UUID] | None = None
    issue_id: Sequence[UUID] | None = None
    currency: Sequence[str] | None = None
    reason: Sequence[RefundReason] | None = None
    number: Sequence[str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def wanted(principal: Principal, asked: NoteFilter) -> Select[CreditNote]:
    """The notes that the caller may see and that the filter wants, without an order.

    ``PermissionDeniedError`` when a customer filters by what only the staff see.
    """
    if asked.issue_id is not None and not principal.is_staff:
        raise PermissionDeniedError("Only staff filter by issue_id.", fields=["issue_id"])
    return select(CreditNote).where(
        money_of(principal, CreditNote.account_id),
        any_of(CreditNote.status, asked.status),
        any_of(CreditNote.provider, asked.provider),
        any_of(CreditNote.account_id, asked.account_id),
        any_of(CreditNote.invoice_id, asked.invoice_id),
        any_of(CreditNote.case_id, asked.case_id),
        any_of(CreditNote.issue_id, asked.issue_id),
        any_of(CreditNote.currency, asked.currency),
        any_of(CreditNote.reason, asked.reason),
        any_of(CreditNote.number, asked.number),
        within(CreditNote.created_at, asked.created_after, asked.created_before),
    )
