"""Lists of cases: what may be asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, Text, case, cast, func, select, true, union
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app import conversations
from app.billing.constants import SUBJECT_TYPE, CaseKind, CasePriority, CaseStatus
from app.billing.models import Case
from app.billing.service.access import cases_of
from app.billing.utils.numbers import CASES as NUMBERS
from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.listing import Listing, any_of, within

URGENCY = case({each.value: rank for rank, each in enumerate(CasePriority)}, value=Case.priority)

CASES = Listing(
    Case,
    sorts={
        "created_at": Case.created_at,
        "updated_at": Case.updated_at,
        "number": Case.number,
        "priority": URGENCY,
        "status_changed_at": Case.status_changed_at,
        "waiting_since": Case.waiting_since,
        "resolved_at": Case.resolved_at,
    },
    default="-created_at",
    never_null={"priority"},
)


class CaseFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What cases are wanted: each member that is given must hold, any of its values will do."""

    kind: Sequence[CaseKind] | None = None
    status: Sequence[CaseStatus] | None = None
    priority: Sequence[CasePriority] | None = None
    assignee_id: Sequence[UUID] | None = None
    unassigned: bool | None = None
    requester_id: Sequence[UUID] | None = None
    account_id: Sequence[UUID] | None = None
    invoice_id: Sequence[UUID] | None = None
    payment_id: Sequence[UUID] | None = None
    dispute_id: Sequence[UUID] | None = None
    subscription_id: Sequence[UUID] | None = None
    issue_id: Sequence[UUID] | None = None
    tag: Sequence[str] | None = None
    number: Sequence[str] | None = None
    waiting: bool | None = None
    q: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None


STAFF_FILTERS = ("assignee_id", "unassigned", "issue_id", "tag")
EQUAL = (
    *("kind", "status", "priority", "assignee_id", "requester_id", "account_id", "invoice_id"),
    *("payment_id", "dispute_id", "subscription_id", "issue_id"),
)


def wanted(principal: Principal, asked: CaseFilter) -> Select[Case]:
    """The cases that the caller may see and that the filter wants, without an order.

    ``PermissionDeniedError`` when a customer filters by what only the staff see: a list that grows shorter
    tells as much as the field would.
    """
    refused = [name for name in STAFF_FILTERS if getattr(asked, name) is not None]
    if refused and not principal.is_staff:
        raise PermissionDeniedError(f"Only staff filter by {', '.join(refused)}.", fields=refused)
    tags = None if asked.tag is None else [each.lower() for each in asked.tag]
    return select(Case).where(
        cases_of(principal),
        *(any_of(getattr(Case, name), getattr(asked, name)) for name in EQUAL),
        any_of(Case.number, _numbers(asked.number)),
        _is_null(Case.assignee_id, wanted=asked.unassigned),
        _is_null(Case.waiting_since, wanted=None if asked.waiting is None else not asked.waiting),
        true() if tags is None else Case.tags.overlap(cast(tags, ARRAY(Text))),
        within(Case.created_at, asked.created_after, asked.created_before),
        within(Case.updated_at, asked.updated_after, asked.updated_before, name="updated"),
        _said(principal, asked.q),
    )


async def by_ids(
    session: AsyncSession, case_ids: Sequence[UUID], *, principal: Principal
) -> dict[UUID, Case]:
    """Those of the cases that the caller may see, by id."""
    found = await session.scalars(select(Case).where(Case.id.in_(case_ids), cases_of(principal)))
    return {each.id: each for each in found}


def _numbers(texts: Sequence[str] | None) -> list[int] | None:
    if texts is None:
        return None
    return [number for each in texts if (number := NUMBERS.parse(each)) is not None]


def _is_null(column: Any, *, wanted: bool | None) -> ColumnElement[bool]:
    if wanted is None:
        return true()
    condition: ColumnElement[bool] = column.is_(None) if wanted else column.is_not(None)
    return condition


def _said(principal: Principal, q: str | None) -> ColumnElement[bool]:
    """Words in subject, description and messages that the caller may read; or a number. As one set of ids."""
    if q is None:
        return true()
    found_case = aliased(Case, name="found")
    words = found_case.search.op("@@")(func.websearch_to_tsquery("simple", q))
    found: list[Select[Any]] = [
        select(found_case.id).where(words),
        conversations.subjects_matching(principal, q, subject_type=SUBJECT_TYPE),
    ]
    if (number := NUMBERS.parse(q)) is not None:
        found.append(select(found_case.id).where(found_case.number == number))
    return Case.id.in_(union(*found))
