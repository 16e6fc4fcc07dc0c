"""Lists of tickets: what may be asked of them, for routes, saved views and bulk changes alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, Text, case, cast, func, select, true, union
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from app import conversations
from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.listing import Listing, any_of, within
from app.technical.constants import SUBJECT_TYPE, Priority, Severity, Source, Status
from app.technical.models import Ticket
from app.technical.service.access import tickets_of
from app.technical.utils.numbers import TICKETS as NUMBERS

URGENCY = case({each.value: rank for rank, each in enumerate(Priority)}, value=Ticket.priority)

TICKETS = Listing(
    Ticket,
    sorts={
        "created_at": Ticket.created_at,
        "updated_at": Ticket.updated_at,
        "number": Ticket.number,
        "priority": URGENCY,
        "status_changed_at": Ticket.status_changed_at,
        "waiting_since": Ticket.waiting_since,
        "solved_at": Ticket.solved_at,
    },
    default="-created_at",
    never_null={"priority"},
)


class TicketFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What tickets are wanted: each member that is given must hold, any of its values will do."""

    status: Sequence[Status] | None = None
    priority: Sequence[Priority] | None = None
    severity: Sequence[Severity] | None = None
    source: Sequence[Source] | None = None
    assignee_id: Sequence[UUID] | None = None
    unassigned: bool | None = None
    team_id: Sequence[UUID] | None = None
    requester_id: Sequence[UUID] | None = None
    account_id: Sequence[UUID] | None = None
    issue_id: Sequence[UUID] | None = None
    product: Sequence[str] | None = None
    component: Sequence[str] | None = None
    product_version: Sequence[str] | None = None
    tag: Sequence[str] | None = None
    signature: Sequence[str] | None = None
    number: Sequence[str] | None = None
    custom: dict[str, Any] | None = None
    waiting: bool | None = None
    q: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None


STAFF_FILTERS = ("assignee_id", "unassigned", "team_id", "issue_id", "tag", "signature")


def wanted(principal: Principal, asked: TicketFilter) -> Select[Ticket]:
    """The tickets that the caller may see and that the filter wants, without an order.

    ``PermissionDeniedError`` when a customer filters by what only the staff see: a list that grows shorter
    tells as much as the field would. Of ``custom``, ``customs.asked_for`` has let them ask for what they see.
    """
    refused = [name for name in STAFF_FILTERS if getattr(asked, name) not in (None, {})]
    if refused and not principal.is_staff:
        raise PermissionDeniedError(f"Only staff filter by {', '.join(refused)}.", fields=refused)
    return select(Ticket).where(
        tickets_of(principal),
        any_of(Ticket.status, asked.status),
        any_of(Ticket.priority, asked.priority),
        any_of(Ticket.severity, asked.severity),
        any_of(Ticket.source, asked.source),
        any_of(Ticket.assignee_id, asked.assignee_id),
        any_of(Ticket.team_id, asked.team_id),
        any_of(Ticket.requester_id, asked.requester_id),
        any_of(Ticket.account_id, asked.account_id),
        any_of(Ticket.issue_id, asked.issue_id),
        any_of(Ticket.product, asked.product),
        any_of(Ticket.component, asked.component),
        any_of(Ticket.product_version, asked.product_version),
        any_of(Ticket.number, _numbers(asked.number)),
        _is_null(Ticket.assignee_id, wanted=asked.unassigned),
        _is_null(Ticket.waiting_since, wanted=None if asked.waiting is None else not asked.waiting),
        _overlaps(Ticket.tags, None if asked.tag is None else [each.lower() for each in asked.tag]),
        _overlaps(Ticket.signatures, asked.signature),
        true() if not asked.custom else Ticket.custom.contains(asked.custom),
        within(Ticket.created_at, asked.created_after, asked.created_before),
        within(Ticket.updated_at, asked.updated_after, asked.updated_before, name="updated"),
        _said(principal, asked.q),
    )


def _numbers(texts: Sequence[str] | None) -> list[int] | None:
    if texts is None:
        return None
    return [number for each in texts if (number := NUMBERS.parse(each)) is not None]


def _is_null(column: Any, *, wanted: bool | None) -> ColumnElement[bool]:
    if wanted is None:
        return true()
    condition: ColumnElement[bool] = column.is_(None) if wanted else column.is_not(None)
    return condition


def _overlaps(column: Any, values: Sequence[str] | None) -> ColumnElement[bool]:
    return true() if values is None else column.overlap(cast(list(values), ARRAY(Text)))


def _said(principal: Principal, q: str | None) -> ColumnElement[bool]:
    """Words in subject, description, messages and attachments that the caller may read; or a number.

    As one set of ids, each from its own index: an ``or`` of both would be looked at on every ticket.
    """
    if q is None:
        return true()
    ticket = aliased(Ticket, name="found")
    words = ticket.search.op("@@")(func.websearch_to_tsquery("simple", q))
    found: list[Select[Any]] = [
        select(ticket.id).where(words),
        conversations.subjects_matching(principal, q, subject_type=SUBJECT_TYPE),
    ]
    if (number := NUMBERS.parse(q)) is not None:
        found.append(select(ticket.id).where(ticket.number == number))
    return Ticket.id.in_(union(*found))
