"""Lists of an account's credits, as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import convert, structs
from sqlalchemy import Select, select, true

from app.billing.constants import CreditKind
from app.billing.models import CreditGrant
from app.billing.schemas.credits import CreditGrantView
from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.listing import Listing, any_of, within

GRANTS = Listing(
    CreditGrant,
    sorts={
        "created_at": CreditGrant.created_at,
        "granted_at": CreditGrant.granted_at,
        "amount": CreditGrant.amount,
    },
    default="-created_at",
)
STAFFS = ("reason", "issue_id", "policy_version", "granted_by_id")


class GrantFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What credits are wanted: each member that is given must hold, any of its values will do."""

    kind: Sequence[CreditKind] | None = None
    currency: Sequence[str] | None = None
    case_id: Sequence[UUID] | None = None
    issue_id: Sequence[UUID] | None = None
    voided: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def wanted(account_id: UUID, asked: GrantFilter, *, principal: Principal) -> Select[CreditGrant]:
    """The account's credits that the filter wants, without an order; whoever asks may see them.

    ``PermissionDeniedError`` when a customer filters by what only the staff see.
    """
    if asked.issue_id is not None and not principal.is_staff:
        raise PermissionDeniedError("Only staff filter by issue_id.", fields=["issue_id"])
    voided = CreditGrant.voided_at.is_not(None)
    return select(CreditGrant).where(
        CreditGrant.account_id == account_id,
        any_of(CreditGrant.kind, asked.kind),
        any_of(CreditGrant.currency, asked.currency),
        any_of(CreditGrant.case_id, asked.case_id),
        any_of(CreditGrant.issue_id, asked.issue_id),
        true() if asked.voided is None else voided if asked.voided else ~voided,
        within(CreditGrant.created_at, asked.created_after, asked.created_before),
    )


def show(row: CreditGrant, *, principal: Principal) -> CreditGrantView:
    """One credit; to customers without what is the staff's."""
    values = {each.name: getattr(row, each.name) for each in structs.fields(CreditGrantView)}
    if not principal.is_staff:
        values |= dict.fromkeys(STAFFS)
    return convert(values, CreditGrantView)
