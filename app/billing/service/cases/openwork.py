"""What other desks ask: which cases point to something of theirs, and how much of that is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, false, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import DESK, SUBJECT_TYPE, UNFINISHED
from app.billing.models import Case
from app.billing.service.access import cases_of
from app.billing.utils.numbers import CASES
from app.identity.principal import Principal
from app.knowledge import Thread, WorkCount, WorkItem

ITEMS_MAX = 100
COLUMNS: Mapping[str, Any] = {
    "known_issue": Case.issue_id,
    "payment": Case.payment_id,
    "invoice": Case.invoice_id,
    "dispute": Case.dispute_id,
    "subscription": Case.subscription_id,
}


class BillingWork:
    """``knowledge.OpenWork`` of this desk: cases about known issues, payments, invoices, disputes."""

    name = DESK

    async def item(self, session: AsyncSession, thing: Thread, *, principal: Principal) -> WorkItem | None:
        """The case, if it is one that the caller may see."""
        if thing.type != SUBJECT_TYPE:
            return None
        case = await session.scalar(select(Case).where(Case.id == thing.id, cases_of(principal)))
        return None if case is None else _item(case)

    async def pointing_to(
        self, session: AsyncSession, thing: Thread, *, principal: Principal
    ) -> Sequence[WorkItem]:
        """Cases about the thing that the caller may see, newest first, 100 at most."""
        statement = (
            select(Case)
            .where(_about(thing.type, [thing.id]), cases_of(principal))
            .order_by(Case.created_at.desc(), Case.id.desc())
            .limit(ITEMS_MAX)
        )
        return [_item(each) for each in await session.scalars(statement)]

    async def counts(
        self, session: AsyncSession, things: Sequence[UUID], thing_type: str
    ) -> Mapping[UUID, WorkCount]:
        """Unfinished cases about each thing, and their accounts; things without are left out."""
        column = COLUMNS.get(thing_type)
        if column is None:
            return {}
        statement = (
            select(column, func.count(Case.id), func.count(Case.account_id.distinct()))
            .where(column.in_(things), Case.status.in_(UNFINISHED))
            .group_by(column)
        )
        return {
            thing: WorkCount(open_tickets=cases, accounts=accounts)
            for thing, cases, accounts in await session.execute(statement)
        }


def _about(thing_type: str, things: Sequence[UUID]) -> ColumnElement[bool]:
    column = COLUMNS.get(thing_type)
    return false() if column is None else column.in_(things)


def _item(case: Case) -> WorkItem:
    return WorkItem(
        type=SUBJECT_TYPE,
        id=case.id,
        number=CASES.shown(case.number),
        title=case.subject,
        status=case.status,
        is_open=case.status in UNFINISHED,
        account_id=case.account_id,
    )
